/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/check.h"
#include "manager/unit-jobs.h"

/* Stopping the workers. Which ones, is on record before the first is stopped: the workers that ran before are the ones
 * that run after, whatever state they were caught in (op-start-workers.c).
 *
 * With Move=reload one that runs its program is not stopped: the environment file says that there is no endpoint, the
 * unit is reloaded, and when systemd calls that done the program sends nothing any more: an ExecReload= returns when
 * the reload is complete (systemd.service(5)). Then it counts as stopped, as long as the unit is not started anew; and
 * who starts anew comes to the gate. Telling it twice does no harm, so nothing of this has to be on record: a process
 * that finds itself here after a restart tells all of them again. */

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
        char **running; /* workers that run their program and do not hold, as last seen */
        char **gated;   /* workers that start behind the gate; not all of them where one does not */
        char **triggers_found;
        HeldWorkers to_tell; /* those of them that can be told to hold */
        HeldWorkers holding; /* told, and they have done it */
        char **insisted;     /* told, and they have not: they are stopped */
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
        strv_free(o->gated);
        strv_free(o->triggers_found);
        held_workers_clear(&o->to_tell);
        held_workers_clear(&o->holding);
        strv_free(o->insisted);
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

/* Whether a worker that cannot be told to hold is stopped. Not as long as all can be put back: it is reloaded because a
 * restart costs something. After logOut, or where a dead server is left, the bot would be stuck between two servers. */
static bool may_insist(const StopOperation *o)
{
        return o->base.bot->record.state != CUTOVER_STOP_WORKERS;
}

static void stop_failed_errno(StopOperation *o, int r)
{
        char what[256];

        snprintf(what, sizeof(what), "%s. %s", strerror(-r),
                 may_insist(o) ? "It is tried again." : "Start the cutover again.");
        stop_failed(o, what);
}

/* Takes what came of one reload. Returns false where that ends the operation. */
static bool take_reload(StopOperation *o, const UnitJob *job)
{
        const HeldWorker *told = held_workers_find(&o->to_tell, job->wish.unit);
        char what[512];
        int r = 0;

        switch (job->result) {
        case UNIT_JOB_DONE:
                r = held_workers_add(&o->holding, told->unit, told->invocation_id);
                break;
        case UNIT_JOB_SKIPPED:
        case UNIT_JOB_CANCELED:
                /* It has ended by itself, or somebody else wanted something of it: the next look tells. */
                break;
        default:
                if (may_insist(o) || job->result == UNIT_JOB_SHUTDOWN) {
                        r = strv_extend_unique(&o->insisted, job->wish.unit);
                        break;
                }
                snprintf(what, sizeof(what),
                         "%s was to hold, and its reload came to '%s'. See 'systemctl status %s', and whether its "
                         "ExecReload= ends within StopTimeoutSec=, and well.",
                         job->wish.unit, unit_job_result_to_string(job->result), job->wish.unit);
                stop_failed(o, what);
                return false;
        }
        if (r < 0)
                stop_failed_errno(o, r);
        return r >= 0;
}

static void on_workers_gone(void *userdata)
{
        StopOperation *o = userdata;

        for (size_t i = 0; i < o->jobs.n; i++)
                if (o->jobs.items[i].wish.verb == UNIT_RELOAD && !take_reload(o, &o->jobs.items[i]))
                        return;
        /* What systemd says of the jobs is not what counts, but what it says of the units. */
        o->round++;
        list_workers(o);
}

/* What a reload is to tell has to be there first. */
static int publish_hold(StopOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        if (o->to_tell.n == 0)
                return 0;
        r = publish_environment(b, SEAT_NONE);
        for (size_t i = 0; r >= 0 && i < o->to_tell.n; i++)
                r = held_workers_add(&b->held, o->to_tell.items[i].unit, o->to_tell.items[i].invocation_id);
        if (r >= 0 || !may_insist(o))
                return r;
        bot_log_errno(b, LOG_WARNING, r, "Failed to tell the workers to hold, so they are stopped: %m");
        held_workers_clear(&o->to_tell);
        return 0;
}

static int stop_workers(StopOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_free_ UnitWish *wishes = calloc(strv_length(b->record.workers) + 1, sizeof(UnitWish));
        size_t n = 0;
        int r;

        if (!wishes)
                return -ENOMEM;
        r = publish_hold(o);
        if (r < 0)
                return r;
        /* From here on whoever is not among them has not been told. */
        b->held_known = true;
        STRV_FOREACH(unit, b->record.workers) {
                if (held_workers_find(&o->to_tell, *unit))
                        wishes[n++] = (UnitWish){ *unit, UNIT_RELOAD };
                else if (!held_workers_find(&o->holding, *unit) || strv_contains(o->running, *unit))
                        wishes[n++] = (UnitWish){ *unit, UNIT_STOP };
        }
        return unit_jobs_start(&o->jobs, b->manager, wishes, n, stop_timeout_usec(b), on_workers_gone, o);
}

static void on_triggers_gone(void *userdata)
{
        StopOperation *o = userdata;
        int r;

        if (o->jobs.complaint) {
                stop_failed(o, o->jobs.complaint);
                return;
        }
        r = stop_workers(o);
        if (r < 0)
                stop_failed_errno(o, r);
}

static void on_remembered(DiskJob *job, int r, void *userdata)
{
        StopOperation *o = userdata;
        Bot *b = o->base.bot;

        o->saving = disk_job_free(o->saving);
        /* After logOut they are on record from before; a worker that must not run does not wait for the disk. */
        if (r < 0 && cutover_facts(b->record.state)->recording != CUTOVER_RECORD_NEEDED)
                r = 0;
        if (r >= 0)
                /* Triggers first: a stopped worker whose timer or socket is left would be started again. */
                r = unit_jobs_start_all(&o->jobs, b->manager, o->triggers_found, UNIT_STOP, stop_timeout_usec(b),
                                        on_triggers_gone, o);
        if (r < 0)
                stop_failed_errno(o, r);
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
                stop_failed_errno(o, r);
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
                stop_failed_errno(o, r);
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
                early_start(b, o->gated);
                bot_post(b, CUTOVER_WORKERS_STOPPED);
                return;
        }
        if ((o->round >= STOP_ROUNDS_MIN && clock_boottime_usec() >= o->deadline_usec) ||
            unit_jobs_timed_out(&o->jobs, UNIT_STOP)) {
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
        r = unit_client_list_named(b->manager->units, o->triggers_found, on_triggers_listed, o, &o->list_call);
        if (r < 0)
                stop_failed_errno(o, r);
}

/* A held worker is activating and has no main process: its start waits for the gate and may go on waiting. Before our
 * first stop it counts as running all the same, so that it is among those that run afterwards. */
static bool counts_as_running(const StopOperation *o, const UnitInfo *info)
{
        if (held_workers_has(&o->holding, info->name, info->invocation_id))
                return false;
        if (!unit_active_state_may_run(info->active_state))
                return o->round == 0 && info->job_id != 0;
        return o->round == 0 || info->active_state != UNIT_ACTIVATING || info->main_pid != 0;
}

/* Its socket stays as well, since systemd starts none beside a service that runs; whatever that starts comes to the
 * gate.
 */
static bool can_hold(const StopOperation *o, const UnitInfo *info)
{
        const BotConfig *config = o->base.bot->config;

        return config && config->move == MOVE_RELOAD && worker_can_reload(info) &&
               !strv_contains(o->insisted, info->name);
}

/* A command gets the environment file as it was when its start began, which may be long before the gate opens: whatever
 * comes before the test of the gate would see the endpoint of before. The test itself looks at credentials alone. */
static bool gate_is_first(const UnitInfo *info)
{
        const char *first = info->exec_start_pre ? info->exec_start_pre[0] : NULL;

        return !info->exec_condition && first && first[0] != '-' && strstr(first, "bot-token");
}

/* Once it has stopped, systemd may have forgotten the unit: what it said of the last time counts. */
static int note_gate(StopOperation *o, const UnitInfo *info)
{
        if (o->base.bot->config && gate_is_first(info) && check_worker_passes(o->base.bot, info))
                return strv_extend_unique(&o->gated, info->name);
        o->gated = strv_free(o->gated);
        return 0;
}

/* The file of a running unit may have been removed. */
static bool is_there(UnitLoadState load, UnitActiveState active)
{
        return load != UNIT_LOAD_NOT_FOUND || unit_active_state_may_run(active);
}

static int note(StopOperation *o, const UnitInfo *info)
{
        int r = 0;

        if (counts_as_running(o, info)) {
                r = strv_extend_unique(&o->running, info->name);
                if (r >= 0 && can_hold(o, info))
                        r = held_workers_add(&o->to_tell, info->name, info->invocation_id);
        }
        if (r >= 0)
                r = note_gate(o, info);
        STRV_FOREACH(trigger, info->triggered_by)
                if (r >= 0 && (!unit_is_socket(*trigger) || !can_hold(o, info)))
                        r = strv_extend_unique(&o->triggers_found, *trigger);
        return r;
}

static void on_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Look *look = userdata;
        StopOperation *o = look->operation;

        if (r >= 0 && is_there(info->load_state, info->active_state))
                r = note(o, info);
        look->call = unit_call_free(look->call);
        if (r < 0)
                o->look_error = r;
        if (--o->pending > 0)
                return;
        if (o->look_error < 0)
                stop_failed_errno(o, o->look_error);
        else
                looked(o);
}

/* Looks at each of the units in full. */
static void look_at_workers(StopOperation *o, char *const *units)
{
        Bot *b = o->base.bot;
        int r;

        o->running = strv_free(o->running);
        o->triggers_found = strv_free(o->triggers_found);
        held_workers_clear(&o->to_tell);
        o->looks = calloc(strv_length(units) + 1, sizeof(Look));
        /* Those of an earlier process, too; which of all are active, and are there at all, is asked next. */
        r = o->looks ? strv_copy(b->record.triggers, &o->triggers_found) : -ENOMEM;
        STRV_FOREACH(unit, (char **) units) {
                Look *look = &o->looks[o->n_looks];

                if (r < 0)
                        break;
                look->operation = o;
                r = unit_client_get(b->manager->units, *unit, on_looked, look, &look->call);
                if (r >= 0) {
                        o->n_looks++;
                        o->pending++;
                }
        }
        if (r < 0)
                stop_failed_errno(o, r);
        else if (o->pending == 0)
                looked(o);
}

static void on_workers_listed(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        StopOperation *o = userdata;
        _cleanup_strv_ char **units = NULL;
        bool may_run = false;

        for (size_t i = 0; r >= 0 && i < n_rows; i++) {
                may_run = may_run || unit_active_state_may_run(rows[i].active_state);
                if (is_there(rows[i].load_state, rows[i].active_state))
                        r = strv_extend_unique(&units, rows[i].name);
        }
        o->list_call = unit_call_free(o->list_call);
        if (r < 0)
                stop_failed_errno(o, r);
        else
                /* Their states are enough where all have stopped. */
                look_at_workers(o, o->round == 0 || may_run ? units : NULL);
}

static void list_workers(StopOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_strv_ char **units = NULL;
        bool named;
        int r;

        r = strv_copy(b->record.workers, &units);
        STRV_FOREACH(worker, b->config ? b->config->workers : NULL)
                if (r >= 0)
                        r = strv_extend_unique(&units, *worker);
        named = units && !unit_names_have_glob(units);
        if (r >= 0 && named && o->round == 0) {
                /* Which they are is known, and each is looked at in any case. */
                look_at_workers(o, units);
                return;
        }
        if (r >= 0 && named)
                r = unit_client_list_named(b->manager->units, units, on_workers_listed, o, &o->list_call);
        else if (r >= 0)
                r = unit_client_list(b->manager->units, units, on_workers_listed, o, &o->list_call);
        if (r < 0)
                stop_failed_errno(o, r);
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
        early_start_cancel(b);
        list_workers(o);
        return 0;
}
