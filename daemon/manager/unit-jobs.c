/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "base/strv.h"
#include "manager/unit-jobs.h"

#define TIMEOUT_DEFAULT_USEC (90 * USEC_PER_SEC)

usec_t stop_timeout_usec(const Bot *b)
{
        return b->config ? b->config->stop_timeout_usec : TIMEOUT_DEFAULT_USEC;
}

usec_t start_timeout_usec(const Bot *b)
{
        return b->config ? b->config->start_timeout_usec : TIMEOUT_DEFAULT_USEC;
}

bool unit_is_socket(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        return dot && streq(dot, ".socket");
}

bool worker_can_reload(const UnitInfo *info)
{
        return (info->active_state == UNIT_ACTIVE || info->active_state == UNIT_RELOADING) && info->main_pid != 0 &&
               info->can_reload && !streq(info->type, "oneshot");
}

void unit_jobs_done(UnitJobs *j)
{
        for (size_t i = 0; i < j->n; i++)
                unit_call_free(j->items[i].call);
        sd_event_source_disable_unref(j->done_source);
        free(j->items);
        free(j->complaint);
        *j = (UnitJobs){};
}

static int on_none(sd_event_source *s, void *userdata)
{
        UnitJobs *j = userdata;

        j->done(j->userdata);
        return 0;
}

void unit_jobs_complain(UnitJobs *j, const char *unit, const char *what, const char *error)
{
        if (j->complaint)
                return;
        if (asprintf(&j->complaint, "%s: %s.%s%s%s", unit, what, error ? " " : "", error ?: "", error ? "." : "") < 0)
                j->complaint = NULL;
}

static void on_job(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        static const char *const verbs[UNIT_VERB_MAX] = {
                [UNIT_START] = "start",     [UNIT_START_PLAIN] = "start",       [UNIT_STOP] = "stop",
                [UNIT_RESTART] = "restart", [UNIT_TRY_RESTART] = "try-restart", [UNIT_RELOAD] = "reload",
        };
        UnitJob *item = userdata;
        UnitJobs *j = item->jobs;

        item->result = result;
        log_event(LOG_DEBUG, LOG_EVENT_NONE, item->wish.unit, "%s of %s: %s.", verbs[item->wish.verb], item->wish.unit,
                  unit_job_result_to_string(result));
        if (result == UNIT_JOB_SHUTDOWN)
                j->shutting_down = true;
        else if (result != UNIT_JOB_DONE)
                unit_jobs_complain(j, item->wish.unit, unit_job_result_explain(result), error);
        item->call = unit_call_free(item->call);
        if (--j->pending == 0)
                j->done(j->userdata);
}

bool unit_jobs_timed_out(const UnitJobs *j, UnitVerb verb)
{
        for (size_t i = 0; i < j->n; i++)
                if (j->items[i].wish.verb == verb && j->items[i].result == UNIT_JOB_TIMEOUT)
                        return true;
        return false;
}

int unit_jobs_start(UnitJobs *j, Manager *m, const UnitWish *wishes, size_t n, usec_t timeout_usec,
                    void (*done)(void *userdata), void *userdata)
{
        UnitJob *items = calloc(n + 1, sizeof(UnitJob));
        int r;

        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                items[i] = (UnitJob){ .jobs = j, .wish = wishes[i], .result = UNIT_JOB_RESULT_INVALID };
        unit_jobs_done(j);
        *j = (UnitJobs){ .items = items, .n = n, .done = done, .userdata = userdata };
        for (size_t i = 0; i < n; i++) {
                r = unit_client_job(m->units, items[i].wish.unit, items[i].wish.verb, timeout_usec, on_job, &items[i],
                                    &items[i].call);
                if (r < 0) {
                        /* The others have their jobs by now: it counts as one that failed, and may be tried again. */
                        items[i].result = UNIT_JOB_REFUSED;
                        unit_jobs_complain(j, wishes[i].unit, strerror(-r), NULL);
                } else {
                        j->pending++;
                }
        }
        return j->pending > 0 ? 0 : sd_event_add_defer(m->event, &j->done_source, on_none, j);
}

int unit_jobs_start_all(UnitJobs *j, Manager *m, char *const *units, UnitVerb verb, usec_t timeout_usec,
                        void (*done)(void *userdata), void *userdata)
{
        size_t n = strv_length(units);
        _cleanup_free_ UnitWish *wishes = calloc(n + 1, sizeof(UnitWish));

        if (!wishes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                wishes[i] = (UnitWish){ units[i], verb };
        return unit_jobs_start(j, m, wishes, n, timeout_usec, done, userdata);
}

int unit_jobs_take(UnitJobs *j, UnitJobs *from, Manager *m, usec_t timeout_usec, void (*done)(void *userdata),
                   void *userdata)
{
        int r = 0;

        unit_jobs_done(j);
        *j = *from;
        *from = (UnitJobs){};
        j->done = done;
        j->userdata = userdata;
        j->done_source = sd_event_source_disable_unref(j->done_source);
        for (size_t i = 0; i < j->n; i++) {
                j->items[i].jobs = j;
                if (j->items[i].call && r >= 0)
                        r = unit_job_limit(j->items[i].call, timeout_usec);
        }
        if (r >= 0 && j->pending == 0)
                r = sd_event_add_defer(m->event, &j->done_source, on_none, j);
        return r;
}
