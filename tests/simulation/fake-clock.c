/* SPDX-License-Identifier: MIT */
#include "daemon.h"
#include "io/clock.h"

/* io/clock.h on virtual time. */

usec_t clock_boottime_usec(void)
{
        return world_boottime_usec();
}

usec_t clock_realtime_usec(void)
{
        return world_realtime_usec();
}

usec_t clock_monotonic_usec(void)
{
        return world_monotonic_usec();
}

/* What slewing and the granularity of the clocks leave apart. */
#define STEP_USEC ((int64_t) (2 * USEC_PER_SEC))

static struct {
        bool watching;
        bool synchronised;   /* as timedate1 last said … */
        int64_t offset_usec; /* … and how far the clocks were apart then: whoever sets one changes that */
        Event *question;
} watch;

static int64_t clocks_apart_usec(void)
{
        return (int64_t) world_realtime_usec() - (int64_t) world_boottime_usec();
}

static bool is_synchronised(void)
{
        int64_t step = clocks_apart_usec() - watch.offset_usec;

        return watch.synchronised && step > -STEP_USEC && step < STEP_USEC;
}

int clock_moment(Moment *ret)
{
        *ret = (Moment){
                .boottime_usec = world_boottime_usec(),
                .realtime_usec = world_realtime_usec(),
                .synchronised = is_synchronised(),
        };
        memcpy(ret->boot_id, world.boot_id, sizeof(ret->boot_id));
        return 0;
}

static void on_synchronised(void *userdata)
{
        watch.question = NULL;
        watch.synchronised = world.synchronised && !fault(world.faults.bus_fails);
        watch.offset_usec = clocks_apart_usec();
}

int clock_refresh_synchronised(void)
{
        if (watch.watching && !watch.question)
                watch.question = timeline_add(random_span(300, 80 * USEC_PER_MSEC), PLACE_HOST, on_synchronised, NULL);
        return 0;
}

int clock_watch_synchronised(sd_bus *bus)
{
        watch.question = timeline_cancel(watch.question);
        watch.watching = bus;
        watch.synchronised = false;
        return clock_refresh_synchronised();
}

struct ClockTimer {
        Event *event;
        clock_timer_handler_t handler;
        void *userdata;
};

static void on_elapsed(void *userdata)
{
        ClockTimer *t = userdata;

        t->event = NULL;
        daemon_touch();
        t->handler(t->userdata);
}

int clock_timer_new(ClockTimer **ret, sd_event *event, usec_t delay_usec, clock_timer_handler_t handler, void *userdata)
{
        int r = refusal(REFUSABLE_TIMER);
        ClockTimer *t;

        if (r < 0)
                return r;
        t = malloc(sizeof(ClockTimer));
        if (!t)
                return -ENOMEM;
        *t = (ClockTimer){ .handler = handler, .userdata = userdata };
        /* The loop wakes up a little later, never early. */
        if (delay_usec != USEC_INFINITY && !daemon_is_dead())
                t->event = timeline_add(usec_add(delay_usec, random_below(1500)), PLACE_HOST, on_elapsed, t);
        *ret = t;
        return 0;
}

ClockTimer *clock_timer_free(ClockTimer *t)
{
        if (!t)
                return NULL;
        timeline_cancel(t->event);
        free(t);
        return NULL;
}
