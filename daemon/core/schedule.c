/* SPDX-License-Identifier: MIT */
#include "core/schedule.h"

int schedule_reserve(ScheduleTally *t, size_t n_jobs)
{
        ScheduleBatch *grown;

        if (n_jobs <= t->n_allocated)
                return 0;
        grown = reallocarray(t->batches, n_jobs, sizeof(ScheduleBatch));
        if (!grown)
                return -ENOMEM;
        t->batches = grown;
        t->n_allocated = n_jobs;
        return 0;
}

void schedule_done(ScheduleTally *t)
{
        free(t->batches);
        *t = (ScheduleTally){};
}

/* The batch of that id, or the one before which it has to be. */
static ScheduleBatch *batch_place(const ScheduleTally *t, uint32_t id)
{
        size_t from = 0, to = t->n_batches;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (t->batches[middle].id < id)
                        from = middle + 1;
                else
                        to = middle;
        }
        return t->batches + from;
}

static bool is_there(const ScheduleTally *t, const ScheduleBatch *place, uint32_t id)
{
        return place < t->batches + t->n_batches && place->id == id;
}

static bool is_preparing(ScheduleStage stage)
{
        return stage == SCHEDULE_PREPARING || stage == SCHEDULE_READY;
}

void schedule_add(ScheduleTally *t, uint32_t batch, ScheduleStage stage)
{
        ScheduleBatch *b = batch_place(t, batch);

        if (!is_there(t, b, batch)) {
                assert(t->n_batches < t->n_allocated);
                memmove(b + 1, b, (size_t) (t->batches + t->n_batches - b) * sizeof(ScheduleBatch));
                *b = (ScheduleBatch){ .id = batch };
                t->n_batches++;
        }
        b->n_jobs[stage]++;
        t->n_moving += stage == SCHEDULE_MOVING;
        t->n_preparing += is_preparing(stage);
}

static bool is_empty(const ScheduleBatch *b)
{
        for (ScheduleStage stage = 0; stage < SCHEDULE_STAGE_MAX; stage++)
                if (b->n_jobs[stage] > 0)
                        return false;
        return true;
}

void schedule_remove(ScheduleTally *t, uint32_t batch, ScheduleStage stage)
{
        ScheduleBatch *b = batch_place(t, batch);

        assert(is_there(t, b, batch) && b->n_jobs[stage] > 0);
        b->n_jobs[stage]--;
        t->n_moving -= stage == SCHEDULE_MOVING;
        t->n_preparing -= is_preparing(stage);
        if (is_empty(b)) {
                t->n_batches--;
                memmove(b, b + 1, (size_t) (t->batches + t->n_batches - b) * sizeof(ScheduleBatch));
        }
}

void schedule_begin_round(ScheduleTally *t)
{
        t->round++;
}

void schedule_pass(ScheduleTally *t, uint32_t batch)
{
        ScheduleBatch *b = batch_place(t, batch);

        assert(is_there(t, b, batch) && b->n_jobs[SCHEDULE_PREPARING] + b->n_jobs[SCHEDULE_READY] > 0);
        b->waited_round = t->round;
}

static bool too_many_failed(const ScheduleBatch *b, const ScheduleLimits *limits)
{
        return b->n_jobs[SCHEDULE_STRANDED] + b->n_jobs[SCHEDULE_STRUGGLING] >= limits->max_failures;
}

ScheduleVerdict schedule_ask_to_prepare(ScheduleTally *t, uint32_t batch, const ScheduleLimits *limits)
{
        ScheduleBatch *b = batch_place(t, batch);

        assert(is_there(t, b, batch) && b->n_jobs[SCHEDULE_QUEUED] > 0);

        if (too_many_failed(b, limits))
                return SCHEDULE_CALL_OFF;
        /* One that has no room is not ahead of those who have taken it: they would wait for each other. */
        if (t->n_preparing / SCHEDULE_PREPARING_PER_MOVE >= limits->concurrency)
                return SCHEDULE_WAIT_CONCURRENCY;
        b->waited_round = t->round;
        return SCHEDULE_START;
}

ScheduleVerdict schedule_ask_to_move(ScheduleTally *t, uint32_t batch, const ScheduleLimits *limits)
{
        ScheduleBatch *b = batch_place(t, batch);
        bool unproven, ahead;

        assert(is_there(t, b, batch) && b->n_jobs[SCHEDULE_READY] > 0);

        if (too_many_failed(b, limits))
                return SCHEDULE_CALL_OFF;
        unproven = b->n_jobs[SCHEDULE_ARRIVED] == 0;
        ahead = b->n_jobs[SCHEDULE_MOVING] + b->n_jobs[SCHEDULE_STRUGGLING] > 0 || b->waited_round == t->round;
        /* One that struggles may do so for hours: the jobs of other calls need not wait for that. */
        if (!(unproven && ahead) && t->n_moving < limits->concurrency)
                return SCHEDULE_START;
        b->waited_round = t->round;
        return unproven && ahead ? SCHEDULE_WAIT_FIRST : SCHEDULE_WAIT_CONCURRENCY;
}

void pace_add(Pace *p, int64_t at_usec)
{
        size_t i;

        if (p->n == ELEMENTSOF(p->logins_usec)) {
                /* Older than all that count. */
                if (at_usec <= p->logins_usec[0])
                        return;
                p->n--;
                memmove(p->logins_usec, p->logins_usec + 1, p->n * sizeof(p->logins_usec[0]));
        }
        for (i = p->n; i > 0 && p->logins_usec[i - 1] > at_usec; i--)
                p->logins_usec[i] = p->logins_usec[i - 1];
        p->logins_usec[i] = at_usec;
        p->n++;
}

/* How long until fewer than `max` of the logins are younger than `span`. */
static usec_t span_left(const Pace *p, unsigned reserved, unsigned max, usec_t span_usec, int64_t now_usec)
{
        int64_t until_usec;
        size_t slots;

        if (reserved >= max)
                return USEC_INFINITY;
        slots = max - reserved;
        if (p->n < slots)
                return 0;
        /* The one that has to be older than the span when the next is sent. */
        until_usec = p->logins_usec[p->n - slots] + (int64_t) span_usec;
        return until_usec > now_usec ? (usec_t) (until_usec - now_usec) : 0;
}

usec_t pace_left(const Pace *p, unsigned reserved, int64_t now_usec)
{
        usec_t minute = span_left(p, reserved, PACE_MINUTE_MAX, PACE_MINUTE_USEC, now_usec);
        usec_t hour = span_left(p, reserved, PACE_HOUR_MAX, PACE_HOUR_USEC, now_usec);

        return MAX(minute, hour);
}
