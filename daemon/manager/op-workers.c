/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "base/strv.h"
#include "manager/bot.h"

/* Stopping and starting the workers. Which ones, is on record before the first is stopped: the workers that ran before
 * are the ones that run after, whatever state they were caught in. */

/* A bot whose settings are all gone still has workers on record; for those systemd's own default will do. */
#define TIMEOUT_DEFAULT_USEC (90 * USEC_PER_SEC)

static usec_t stop_timeout_usec(const Bot *b)
{
        return b->config ? b->config->stop_timeout_usec : TIMEOUT_DEFAULT_USEC;
}

static usec_t start_timeout_usec(const Bot *b)
{
        return b->config ? b->config->start_timeout_usec : TIMEOUT_DEFAULT_USEC;
}

/* Jobs on a set of units, all at once. */
typedef struct UnitJobs UnitJobs;

typedef struct UnitJob {
        UnitJobs *jobs;
        const char *unit; /* in the record */
        UnitCall *call;
} UnitJob;

struct UnitJobs {
        UnitJob *items;
        size_t n;
        size_t pending;
        char *complaint; /* the first thing that went wrong */
        bool timed_out;
        bool shutting_down;
        void (*done)(void *userdata);
        void *userdata;
        sd_event_source *done_source;
};

static void unit_jobs_done(UnitJobs *j)
{
        for (size_t i = 0; i < j->n; i++)
                unit_call_free(j->items[i].call);
        sd_event_source_disable_unref(j->done_source);
        free(j->items);
        free(j->complaint);
        *j = (UnitJobs){};
}

static int on_jobs_done(sd_event_source *s, void *userdata)
{
        UnitJobs *j = userdata;

        j->done(j->userdata);
        return 0;
}

static int jobs_settle(UnitJobs *j, Manager *m)
{
        if (j->pending > 0)
                return 0;
        return sd_event_add_defer(m->event, &j->done_source, on_jobs_done, j);
}

static void complain(UnitJobs *j, const char *unit, const char *what, const char *error)
{
        if (j->complaint)
                return;
        if (asprintf(&j->complaint, "%s: %s.%s%s", unit, what, error ? " " : "", error ?: "") < 0)
                j->complaint = NULL;
}

static void on_unit_job(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        UnitJob *item = userdata;
        UnitJobs *j = item->jobs;

        if (result == UNIT_JOB_SHUTDOWN)
                j->shutting_down = true;
        else if (result != UNIT_JOB_DONE)
                complain(j, item->unit, unit_job_result_to_string(result), error);
        j->timed_out = j->timed_out || result == UNIT_JOB_TIMEOUT;
        item->call = unit_call_free(item->call);
        if (--j->pending == 0)
                j->done(j->userdata);
}

/* `units` is borrowed until the jobs are done. `done` comes from the event loop. */
static int unit_jobs_start(UnitJobs *j, Manager *m, char *const *units, UnitVerb verb, usec_t timeout_usec,
                           void (*done)(void *userdata), void *userdata)
{
        size_t n = strv_length(units);
        int r;

        unit_jobs_done(j);
        j->items = calloc(n + 1, sizeof(UnitJob));
        if (!j->items)
                return -ENOMEM;
        j->n = n;
        j->done = done;
        j->userdata = userdata;
        for (size_t i = 0; i < n; i++) {
                j->items[i].jobs = j;
                j->items[i].unit = units[i];
                r = unit_client_job(m->units, units[i], verb, timeout_usec, on_unit_job, &j->items[i],
                                    &j->items[i].call);
                if (r < 0)
                        return r;
                j->pending++;
        }
        return jobs_settle(j, m);
}

/* ---- stop ---- */

/* A unit that was started again while we stopped it, which cancels our job, is stopped again: so often at least, and
 * within StopTimeoutSec= as long as it takes. One that took too long is not. */
#define STOP_ROUNDS_MIN 3

typedef struct StopOperation StopOperation;

/* A look at one worker: what triggers it, and whether it runs. */
typedef struct Look {
        StopOperation *operation;
        UnitCall *call;
} Look;

struct StopOperation {
        Operation base;
        unsigned round;
        usec_t deadline_usec; /* CLOCK_BOOTTIME */
        UnitCall *list_call;
        Look *looks;
        size_t n_looks;
        size_t pending;
        int look_error;
        char **running; /* workers that run their program, as last seen */
        char **triggers_found;
        DiskJob *saving;
        UnitJobs jobs;
};

static void stop_looks_done(StopOperation *o)
{
        for (size_t i = 0; i < o->n_looks; i++)
                unit_call_free(o->looks[i].call);
        free(o->looks);
        o->looks = NULL;
        o->n_looks = 0;
}

static void stop_operation_free(Operation *op)
{
        StopOperation *o = (StopOperation *) op;

        unit_call_free(o->list_call);
        stop_looks_done(o);
        strv_free(o->running);
        strv_free(o->triggers_found);
        disk_job_free(o->saving);
        unit_jobs_done(&o->jobs);
        free(o);
}

static void stop_failed(StopOperation *o, const char *what)
{
        Bot *b = o->base.bot;

        bot_set_error(b, "The workers could not be stopped: %s", what);
        bot_post(b, CUTOVER_WORKERS_NOT_STOPPED);
}

static void list_workers(StopOperation *o);

static void on_workers_gone(void *userdata)
{
        StopOperation *o = userdata;

        /* What systemd says of the jobs is not what counts, but what it says of the units. */
        o->round++;
        list_workers(o);
}

static void on_triggers_gone(void *userdata)
{
        StopOperation *o = userdata;
        Bot *b = o->base.bot;
        int r;

        if (o->jobs.complaint) {
                stop_failed(o, o->jobs.complaint);
                return;
        }
        r = unit_jobs_start(&o->jobs, b->manager, b->record.workers, UNIT_STOP, stop_timeout_usec(b), on_workers_gone,
                            o);
        if (r < 0)
                stop_failed(o, strerror(-r));
}

static void on_remembered(DiskJob *job, int r, void *userdata)
{
        StopOperation *o = userdata;
        Bot *b = o->base.bot;

        o->saving = disk_job_free(o->saving);
        /* After logOut they are on record from before; a worker that must not run does not wait for the disk. */
        if (r < 0 && !cutover_facts(b->record.state)->needs_record)
                r = 0;
        if (r >= 0)
                /* Triggers first: a stopped worker whose timer or socket is left would be started again. */
                r = unit_jobs_start(&o->jobs, b->manager, o->triggers_found, UNIT_STOP, stop_timeout_usec(b),
                                    on_triggers_gone, o);
        if (r < 0)
                stop_failed(o, strerror(-r));
}

static void remember(StopOperation *o)
{
        Bot *b = o->base.bot;
        int r = 0;

        STRV_FOREACH(unit, o->running)
                if (r >= 0)
                        r = strv_extend_unique(&b->record.workers, *unit);
        STRV_FOREACH(unit, o->triggers_found)
                if (r >= 0)
                        r = strv_extend_unique(&b->record.triggers, *unit);
        if (r >= 0)
                r = bot_save(b, on_remembered, o, &o->saving);
        if (r < 0)
                stop_failed(o, strerror(-r));
}

static void on_triggers_listed(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        StopOperation *o = userdata;
        _cleanup_strv_ char **active = NULL;

        for (size_t i = 0; r >= 0 && i < n_rows; i++)
                if (unit_active_state_may_run(rows[i].active_state))
                        r = strv_extend_unique(&active, rows[i].name);
        o->list_call = unit_call_free(o->list_call);
        if (r < 0) {
                stop_failed(o, strerror(-r));
                return;
        }
        strv_free(o->triggers_found);
        o->triggers_found = TAKE_PTR(active);
        remember(o);
}

/* All workers have been looked at. */
static void looked(StopOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_free_ char *names = NULL;
        char what[512];
        int r;

        stop_looks_done(o);
        if (o->round > 0 && !o->running) {
                b->workers_stopped_usec = clock_boottime_usec();
                bot_post(b, CUTOVER_WORKERS_STOPPED);
                return;
        }
        if ((o->round >= STOP_ROUNDS_MIN && clock_boottime_usec() >= o->deadline_usec) || o->jobs.timed_out) {
                names = strv_join(o->running, ", ");
                snprintf(what, sizeof(what),
                         "%s still runs. %s See what starts it again, or why it does not end within "
                         "StopTimeoutSec=.",
                         names ?: "a worker", o->jobs.complaint ?: "");
                stop_failed(o, what);
                return;
        }
        if (!o->triggers_found) {
                remember(o);
                return;
        }
        r = unit_client_list(b->manager->units, o->triggers_found, on_triggers_listed, o, &o->list_call);
        if (r < 0)
                stop_failed(o, strerror(-r));
}

/* A held worker is activating and has no main process: its start waits for the gate and may go on waiting. Before our
 * first stop it counts as running all the same, so that it is among those that run afterwards. */
static bool counts_as_running(const StopOperation *o, const UnitInfo *info)
{
        if (!unit_active_state_may_run(info->active_state))
                return o->round == 0 && info->job_id != 0;
        return o->round == 0 || info->active_state != UNIT_ACTIVATING || info->main_pid != 0;
}

static void on_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Look *look = userdata;
        StopOperation *o = look->operation;

        if (r >= 0 && counts_as_running(o, info))
                r = strv_extend_unique(&o->running, info->name);
        for (char **t = r >= 0 ? info->triggered_by : NULL; t && *t && r >= 0; t++)
                r = strv_extend_unique(&o->triggers_found, *t);
        look->call = unit_call_free(look->call);
        if (r < 0)
                o->look_error = r;
        if (--o->pending > 0)
                return;
        if (o->look_error < 0)
                stop_failed(o, strerror(-o->look_error));
        else
                looked(o);
}

static void on_workers_listed(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        StopOperation *o = userdata;
        Bot *b = o->base.bot;

        o->running = strv_free(o->running);
        o->triggers_found = strv_free(o->triggers_found);
        o->looks = r < 0 ? NULL : calloc(n_rows + 1, sizeof(Look));
        if (r >= 0 && !o->looks)
                r = -ENOMEM;
        /* Those of an earlier process, too; which of all are active, and are there at all, is asked next. */
        if (r >= 0)
                r = strv_copy(b->record.triggers, &o->triggers_found);
        for (size_t i = 0; r >= 0 && i < n_rows; i++) {
                Look *look = &o->looks[o->n_looks];

                /* The file of a running unit may have been removed. */
                if (rows[i].load_state == UNIT_LOAD_NOT_FOUND && !unit_active_state_may_run(rows[i].active_state))
                        continue;
                look->operation = o;
                r = unit_client_get(b->manager->units, rows[i].name, on_looked, look, &look->call);
                if (r >= 0) {
                        o->n_looks++;
                        o->pending++;
                }
        }
        o->list_call = unit_call_free(o->list_call);
        if (r < 0)
                stop_failed(o, strerror(-r));
        else if (o->pending == 0)
                looked(o);
}

static void list_workers(StopOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_strv_ char **patterns = NULL;
        int r;

        r = strv_copy(b->record.workers, &patterns);
        STRV_FOREACH(worker, b->config ? b->config->workers : NULL)
                if (r >= 0)
                        r = strv_extend_unique(&patterns, *worker);
        if (r >= 0)
                r = unit_client_list(b->manager->units, patterns, on_workers_listed, o, &o->list_call);
        if (r < 0)
                stop_failed(o, strerror(-r));
}

int op_stop_workers_start(Bot *b, Operation **ret)
{
        StopOperation *o;

        o = calloc(1, sizeof(StopOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ stop_operation_free, b };
        o->deadline_usec = usec_add(clock_boottime_usec(), stop_timeout_usec(b));
        *ret = &o->base;
        warm_up(b);
        list_workers(o);
        return 0;
}

/* ---- start ---- */

typedef struct StartOperation {
        Operation base;
        bool again; /* the second time */
        UnitJobs workers;
        UnitJobs triggers;
} StartOperation;

static void start_operation_free(Operation *op)
{
        StartOperation *o = (StartOperation *) op;

        unit_jobs_done(&o->workers);
        unit_jobs_done(&o->triggers);
        free(o);
}

static void start_finished(StartOperation *o)
{
        Bot *b = o->base.bot;
        const char *complaint = o->workers.complaint ?: o->triggers.complaint;

        if (o->workers.shutting_down || o->triggers.shutting_down) {
                /* The host goes down; the record keeps the phase for the next boot. */
                bot_set_error(b, "The host is shutting down: the workers are started at the next boot.");
                return;
        }
        if (b->workers_stopped_usec > 0)
                b->record.job.downtime_usec = usec_sub(clock_boottime_usec(), b->workers_stopped_usec);
        if (!complaint) {
                bot_set_error(b, NULL);
                bot_post(b, CUTOVER_WORKERS_STARTED);
                return;
        }
        bot_set_error(b, "Not every worker started: %s See 'systemctl status' of it, and start it when it is mended.",
                      complaint);
        log_bot(LOG_WARNING, b->name, "%s", b->error);
        bot_post(b, CUTOVER_WORKERS_NOT_STARTED);
}

static void on_triggers_started(void *userdata)
{
        start_finished(userdata);
}

static int start_workers(StartOperation *o);

static void on_workers_started(void *userdata)
{
        StartOperation *o = userdata;
        Bot *b = o->base.bot;
        int r;

        if (o->workers.complaint && !o->again && !o->workers.timed_out) {
                /* A start that was held while the process before this one died got no credential and failed. For those
                 * that run this does nothing. */
                o->again = true;
                if (start_workers(o) >= 0)
                        return;
        }
        r = unit_jobs_start(&o->triggers, b->manager, b->record.triggers, UNIT_START, start_timeout_usec(b),
                            on_triggers_started, o);
        if (r < 0) {
                complain(&o->triggers, "a trigger", strerror(-r), NULL);
                start_finished(o);
        }
}

static int start_workers(StartOperation *o)
{
        Bot *b = o->base.bot;

        return unit_jobs_start(&o->workers, b->manager, b->record.workers, UNIT_START, start_timeout_usec(b),
                               on_workers_started, o);
}

int op_start_workers_start(Bot *b, Operation **ret)
{
        StartOperation *o;
        int r;

        o = calloc(1, sizeof(StartOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ start_operation_free, b };
        b->part_dropped = false;
        r = start_workers(o);
        if (r < 0) {
                start_operation_free(&o->base);
                return r;
        }
        *ret = &o->base;
        return 0;
}
