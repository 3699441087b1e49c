/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/unit-jobs.h"

/* From StartUnit() to the gate systemd has a lot to do: it asks polkit, loads the unit, forks, sets up cgroup,
 * namespaces and users. It does that while the bot changes its seat: the workers are told to start as soon as all of
 * them have stopped, and their starts wait at the gate, which opens when the endpoint is published. Until then nothing
 * of them runs (L4), and whatever becomes of the cutover, forward or back, these are the units to be started.
 *
 * All of them or none. Not where a socket triggers one: systemd starts none beside a service that starts
 * (systemd.socket(5)). And none whose gate is not seen to be there: a moment ago, which is what `check` went by. */

static bool covers(const Bot *b, char *const *gated)
{
        STRV_FOREACH(unit, b->record.workers)
                if (!strv_contains(gated, *unit))
                        return false;
        STRV_FOREACH(unit, b->record.triggers)
                if (unit_is_socket(*unit))
                        return false;
        return true;
}

/* Whoever starts the workers takes the jobs over; nobody else wants to know. */
static void on_over(void *userdata)
{
}

void early_start(Bot *b, char *const *gated)
{
        int r;

        early_start_cancel(b);
        /* In the other states a worker may still run, or is told to go on, or holds for hours. */
        if (b->record.state != CUTOVER_STOP_WORKERS || !b->config || b->config->move != MOVE_RESTART ||
            b->record.job.hold_at == HOLD_AT_LOG_OUT || !covers(b, gated))
                return;
        b->early = calloc(1, sizeof(UnitJobs));
        r = b->early ? strv_copy(b->record.workers, &b->early_units) : -ENOMEM;
        if (r >= 0)
                /* They ran a moment ago, and check has reset their counts of starts: where that is not enough,
                 * op-start-workers.c does it again. */
                r = unit_jobs_start_all(b->early, b->manager, b->early_units, UNIT_START_PLAIN, USEC_INFINITY, on_over,
                                        b);
        if (r < 0) {
                bot_log_errno(b, LOG_DEBUG, r, "Failed to start the workers early, so they are started later: %m");
                early_start_cancel(b);
        }
}

bool early_start_has(const Bot *b, const char *unit)
{
        return strv_contains(b->early_units, unit);
}

void early_start_cancel(Bot *b)
{
        if (b->early)
                unit_jobs_done(b->early);
        free(b->early);
        b->early = NULL;
        b->early_units = strv_free(b->early_units);
}
