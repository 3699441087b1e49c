/* SPDX-License-Identifier: MIT */
#include "core/schedule.h"

static bool is_moving(ScheduleStage stage)
{
        return stage == SCHEDULE_MOVING || stage == SCHEDULE_STRUGGLING;
}

ScheduleVerdict schedule_verdict(const ScheduleJob *jobs, size_t n_jobs, size_t i, const ScheduleLimits *limits)
{
        unsigned moving = 0, batch_moving = 0, failures = 0, earlier = 0;
        bool proven = false;

        assert(i < n_jobs && jobs[i].stage == SCHEDULE_QUEUED);

        for (size_t k = 0; k < n_jobs; k++) {
                /* One that struggles may do so for hours: others need not wait for that. */
                moving += jobs[k].stage == SCHEDULE_MOVING;
                if (jobs[k].batch != jobs[i].batch || k == i)
                        continue;
                batch_moving += is_moving(jobs[k].stage);
                failures += jobs[k].stage == SCHEDULE_STRANDED || jobs[k].stage == SCHEDULE_STRUGGLING;
                earlier += jobs[k].stage == SCHEDULE_QUEUED && jobs[k].id < jobs[i].id;
                proven = proven || jobs[k].stage == SCHEDULE_ARRIVED;
        }
        if (failures >= limits->max_failures)
                return SCHEDULE_CALL_OFF;
        if (!proven && (batch_moving > 0 || earlier > 0))
                return SCHEDULE_WAIT_FIRST;
        return moving < limits->concurrency ? SCHEDULE_START : SCHEDULE_WAIT_CONCURRENCY;
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
