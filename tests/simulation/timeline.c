/* SPDX-License-Identifier: MIT */
#include "timeline.h"

struct Event {
        usec_t at;
        uint64_t number;
        size_t index; /* in the heap */
        Place place;
        event_handler_t handler;
        event_handler_t release; /* of the userdata, where the event never happens */
        void *userdata;
};

static struct {
        usec_t now;
        uint64_t last_number;
        uint64_t n_events;
        usec_t asleep_until;
        usec_t suspended_usec;
        Event **heap;
        size_t n, allocated;
        Event *spare[64]; /* used up, to be used again: an allocation for each event is what a run would spend most on
                           */
        size_t n_spare;
} timeline;

static bool before(const Event *a, const Event *b)
{
        return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void place_at(size_t i, Event *e)
{
        timeline.heap[i] = e;
        e->index = i;
}

static void move_up(Event *e)
{
        size_t i = e->index;

        while (i > 0 && before(e, timeline.heap[(i - 1) / 2])) {
                place_at(i, timeline.heap[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        place_at(i, e);
}

static void move_down(Event *e)
{
        size_t i = e->index;

        for (;;) {
                size_t child = 2 * i + 1;

                if (child >= timeline.n)
                        break;
                if (child + 1 < timeline.n && before(timeline.heap[child + 1], timeline.heap[child]))
                        child++;
                if (!before(timeline.heap[child], e))
                        break;
                place_at(i, timeline.heap[child]);
                i = child;
        }
        place_at(i, e);
}

static void insert(Event *e)
{
        if (timeline.n == timeline.allocated) {
                timeline.allocated = MAX((size_t) 256, timeline.allocated * 2);
                timeline.heap = reallocarray(timeline.heap, timeline.allocated, sizeof(Event *));
                assert(timeline.heap);
        }
        place_at(timeline.n++, e);
        move_up(e);
}

static void take_out(Event *e)
{
        Event *last = timeline.heap[--timeline.n];

        if (last == e)
                return;
        place_at(e->index, last);
        move_down(last);
        move_up(last);
}

static void discard(Event *e)
{
        if (timeline.n_spare < ELEMENTSOF(timeline.spare))
                timeline.spare[timeline.n_spare++] = e;
        else
                free(e);
}

void timeline_reset(void)
{
        while (timeline.n > 0) {
                Event *e = timeline.heap[--timeline.n];

                if (e->release)
                        e->release(e->userdata);
                free(e);
        }
        while (timeline.n_spare > 0)
                free(timeline.spare[--timeline.n_spare]);
        free(timeline.heap);
        memset(&timeline, 0, sizeof(timeline));
        timeline.now = TIMELINE_BEGIN_USEC;
}

usec_t timeline_now(void)
{
        return timeline.now;
}

Event *timeline_add(usec_t delay_usec, Place place, event_handler_t handler, void *userdata)
{
        Event *e = timeline.n_spare > 0 ? timeline.spare[--timeline.n_spare] : malloc(sizeof(Event));

        assert(e);
        *e = (Event){
                .at = usec_add(timeline.now, delay_usec),
                .number = ++timeline.last_number,
                .place = place,
                .handler = handler,
                .userdata = userdata,
        };
        insert(e);
        return e;
}

void timeline_add_owned(usec_t delay_usec, Place place, event_handler_t handler, event_handler_t release,
                        void *userdata)
{
        timeline_add(delay_usec, place, handler, userdata)->release = release;
}

Event *timeline_cancel(Event *e)
{
        if (!e)
                return NULL;
        take_out(e);
        discard(e);
        return NULL;
}

void timeline_suspend(usec_t length_usec)
{
        timeline.asleep_until = usec_add(timeline.now, length_usec);
        timeline.suspended_usec += length_usec;
}

bool timeline_is_asleep(void)
{
        return timeline.now < timeline.asleep_until;
}

usec_t timeline_suspended_usec(void)
{
        return timeline.suspended_usec - usec_sub(timeline.asleep_until, timeline.now);
}

bool timeline_step(usec_t limit)
{
        Event *e;
        event_handler_t handler;
        void *userdata;

        for (;;) {
                if (timeline.n == 0 || timeline.heap[0]->at > limit)
                        return false;
                e = timeline.heap[0];
                take_out(e);
                timeline.now = e->at;
                if (e->place != PLACE_HOST || timeline.now >= timeline.asleep_until)
                        break;
                e->at = timeline.asleep_until;
                e->number = ++timeline.last_number;
                insert(e);
        }
        handler = e->handler;
        userdata = e->userdata;
        discard(e);
        timeline.n_events++;
        handler(userdata);
        return true;
}

uint64_t timeline_n_events(void)
{
        return timeline.n_events;
}
