/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/unit-jobs.h"

/* Starting the workers that op-workers.c has stopped, at the target or, after a roll-back, where they were; and telling
 * those that hold where to go on. The environment file comes first: a reload reads it. */

/* Between two tries to write it. */
#define PUBLISH_FIRST_USEC   (1 * USEC_PER_SEC)
#define PUBLISH_LONGEST_USEC (30 * USEC_PER_SEC)

/* A worker that could not be started, or told to go on, is given so many more tries. */
#define ROUNDS_MAX 2

typedef struct StartOperation StartOperation;

typedef struct Look {
        StartOperation *operation;
        UnitCall *call;
        UnitWish wish;
} Look;

struct StartOperation {
        Operation base;
        ClockTimer *publish_timer;
        unsigned publish_tries;
        Look *looks; /* one for each worker on record */
        size_t n_looks;
        Look spool_look; /* at what takes the spool and is none of them */
        size_t pending;
        unsigned round;
        char **early; /* the workers whose jobs were begun before: early-start.c */
        char **first; /* triggers that are started before the workers */
        UnitJobs sockets;
        UnitJobs workers;
        UnitJobs rest; /* other triggers, and what takes the spool */
};

static void start_operation_free(Operation *op)
{
        StartOperation *o = (StartOperation *) op;

        clock_timer_free(o->publish_timer);
        for (size_t i = 0; i < o->n_looks; i++)
                unit_call_free(o->looks[i].call);
        free(o->looks);
        unit_call_free(o->spool_look.call);
        unit_jobs_done(&o->sockets);
        unit_jobs_done(&o->workers);
        unit_jobs_done(&o->rest);
        strv_free(o->early);
        strv_free(o->first);
        free(o);
}

static void start_finished(StartOperation *o)
{
        Bot *b = o->base.bot;
        const char *complaint = o->workers.complaint ?: o->sockets.complaint ?: o->rest.complaint;

        if (o->sockets.shutting_down || o->workers.shutting_down || o->rest.shutting_down) {
                /* The host goes down; the record keeps the phase for the next boot. */
                bot_set_error(b, "The host is shutting down: the workers are started at the next boot.");
                return;
        }
        held_workers_clear(&b->held);
        b->held_known = false;
        if (b->workers_stopped_usec > 0)
                b->record.job.downtime_usec = usec_sub(clock_boottime_usec(), b->workers_stopped_usec);
        if (!complaint) {
                bot_set_error(b, NULL);
                bot_post(b, CUTOVER_WORKERS_STARTED);
                return;
        }
        bot_set_error(b, "Not every worker started: %s See 'systemctl status' of it, and restart it when it is mended.",
                      complaint);
        bot_log_event(b, LOG_WARNING, LOG_EVENT_WORKERS_FAILED, "%s", b->error ?: "no memory");
        bot_post(b, CUTOVER_WORKERS_NOT_STARTED);
}

static void on_rest_started(void *userdata)
{
        start_finished(userdata);
}

/* A worker that was reloaded has not read the credential bot-pending-updates. One that was named for it with SpoolTo=
 * is started anew where something is left for it. */
static const char *restarted_for_spool(const Bot *b)
{
        if (!b->config || b->config->move != MOVE_RELOAD || !bot_config_hands_over(b->config) ||
            bot_spooled_updates(b) == 0)
                return NULL;
        return b->config->spool_to;
}

/* Last: what triggers the workers, and what takes the spool and is none of those that ran. */
static void start_rest(StartOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_free_ UnitWish *wishes = calloc(strv_length(b->record.triggers) + 1, sizeof(UnitWish));
        size_t n = 0;
        int r = -ENOMEM;

        if (wishes) {
                STRV_FOREACH(unit, b->record.triggers)
                        if (!strv_contains(o->first, *unit))
                                wishes[n++] = (UnitWish){ *unit, UNIT_START };
                if (o->spool_look.wish.unit)
                        wishes[n++] = o->spool_look.wish;
                r = unit_jobs_start(&o->rest, b->manager, wishes, n, start_timeout_usec(b), on_rest_started, o);
        }
        if (r < 0) {
                unit_jobs_complain(&o->rest, "a trigger", strerror(-r), NULL);
                start_finished(o);
        }
}

static void on_workers_started(void *userdata);

static bool is_start(UnitVerb verb)
{
        return verb == UNIT_START || verb == UNIT_START_PLAIN;
}

/* Those that failed, once more, where that can help. Returns how many there are, or a negative errno. */
static int start_again(StartOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_free_ UnitWish *wishes = calloc(o->workers.n + 1, sizeof(UnitWish));
        size_t n = 0;
        int r;

        if (!wishes)
                return -ENOMEM;
        for (size_t i = 0; i < o->workers.n; i++) {
                const UnitJob *job = &o->workers.items[i];

                if (job->result == UNIT_JOB_DONE)
                        continue;
                if (job->wish.verb == UNIT_RELOAD && job->result == UNIT_JOB_CANCELED && o->round == 0) {
                        /* Somebody wanted something else of it, or nobody knows. */
                        wishes[n++] = job->wish;
                } else if (job->wish.verb == UNIT_RELOAD) {
                        /* It may hold for ever. */
                        bot_log_unit(b, LOG_WARNING, LOG_EVENT_WORKERS_FAILED, job->wish.unit,
                                     "%s was to go on, and its reload came to '%s': it is restarted.", job->wish.unit,
                                     unit_job_result_to_string(job->result));
                        wishes[n++] = (UnitWish){ job->wish.unit, UNIT_RESTART };
                } else if (is_start(job->wish.verb) && job->result != UNIT_JOB_TIMEOUT && o->round == 0) {
                        /* A start that was held while the process before this one died got no credential and failed.
                         * One that was begun early may have been one too many. */
                        wishes[n++] = (UnitWish){ job->wish.unit, UNIT_START };
                }
        }
        if (n == 0)
                return 0;
        r = unit_jobs_start(&o->workers, b->manager, wishes, n, start_timeout_usec(b), on_workers_started, o);
        return r < 0 ? r : (int) n;
}

static void on_workers_started(void *userdata)
{
        StartOperation *o = userdata;

        if (o->workers.complaint && o->round < ROUNDS_MAX && !o->workers.shutting_down) {
                int n = start_again(o);

                o->round++;
                if (n > 0)
                        return;
        }
        start_rest(o);
}

/* All of them wait at the gate, or have come through it. */
static bool were_started_early(const StartOperation *o)
{
        const Bot *b = o->base.bot;

        for (size_t i = 0; i < o->n_looks; i++)
                if (o->looks[i].wish.verb != UNIT_START || !early_start_has(b, o->looks[i].wish.unit))
                        return false;
        return b->early != NULL;
}

static int take_early(StartOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        o->early = TAKE_PTR(b->early_units);
        r = unit_jobs_take(&o->workers, b->early, b->manager, start_timeout_usec(b), on_workers_started, o);
        early_start_cancel(b);
        /* A limit of the unit's own (JobTimeoutSec=) is meant for a start that nobody holds: so it is tried again. */
        for (size_t i = 0; i < o->workers.n; i++)
                if (o->workers.items[i].result == UNIT_JOB_TIMEOUT)
                        o->workers.items[i].result = UNIT_JOB_CANCELED;
        return r;
}

static void start_workers(StartOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_free_ UnitWish *wishes = calloc(o->n_looks + 1, sizeof(UnitWish));
        int r = -ENOMEM;

        if (were_started_early(o)) {
                r = take_early(o);
                if (r >= 0)
                        return;
        }
        for (size_t i = 0; wishes && i < o->n_looks; i++)
                wishes[i] = o->looks[i].wish;
        if (wishes)
                r = unit_jobs_start(&o->workers, b->manager, wishes, o->n_looks, start_timeout_usec(b),
                                    on_workers_started, o);
        if (r < 0) {
                unit_jobs_complain(&o->workers, "the workers", strerror(-r), NULL);
                start_finished(o);
        }
}

/* ---- those that hold ---- */

/* Also where its file is gone, with what it said. */
static bool may_be_reloaded(const Bot *b)
{
        return !b->config || b->config->move == MOVE_RELOAD;
}

/* Where this process has not told the workers itself, any that runs may hold. */
static bool may_hold(const Bot *b, const UnitInfo *info)
{
        if (b->held_known)
                return held_workers_has(&b->held, info->name, info->invocation_id);
        return may_be_reloaded(b);
}

/* Where systemd does not say how it is, a reload: if there is nothing to reload, that leads to a start. */
static void choose_verb(Look *look, int r, const UnitInfo *info)
{
        Bot *b = look->operation->base.bot;
        const char *spool_to = restarted_for_spool(b);

        if (r < 0 ? !b->held_known || held_workers_find(&b->held, look->wish.unit)
                  : worker_can_reload(info) && may_hold(b, info))
                look->wish.verb = UNIT_RELOAD;
        if (spool_to && streq(spool_to, look->wish.unit))
                look->wish.verb = UNIT_RESTART;
}

static void on_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Look *look = userdata;
        StartOperation *o = look->operation;

        choose_verb(look, r, info);
        look->call = unit_call_free(look->call);
        if (--o->pending == 0)
                start_workers(o);
}

/* A oneshot is there for nothing but the spool. Any other worker that did not run before does not run after, and gets
 * it when somebody starts it. */
static void on_spool_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Look *look = userdata;
        StartOperation *o = look->operation;

        if (r < 0 || !streq(info->type, "oneshot"))
                look->wish.unit = NULL;
        look->call = unit_call_free(look->call);
        if (--o->pending == 0)
                start_workers(o);
}

static void look_at_spool_to(StartOperation *o)
{
        Bot *b = o->base.bot;
        const char *spool_to = restarted_for_spool(b);
        int r;

        if (!spool_to || strv_contains(b->record.workers, spool_to))
                return;
        o->spool_look = (Look){ .operation = o, .wish = { spool_to, UNIT_START } };
        r = unit_client_get(b->manager->units, spool_to, on_spool_looked, &o->spool_look, &o->spool_look.call);
        if (r >= 0)
                o->pending++;
        else
                o->spool_look.wish.unit = NULL;
}

/* Nobody holds where workers are stopped and started: then there is nothing to look at. */
static bool somebody_may_hold(const Bot *b)
{
        return may_be_reloaded(b) || b->held.n > 0;
}

/* One that cannot be looked at is told all the same: nobody else will. */
static void look_at_workers(StartOperation *o)
{
        Bot *b = o->base.bot;

        for (size_t i = 0; i < o->n_looks; i++) {
                Look *look = &o->looks[i];
                int r = unit_client_get(b->manager->units, look->wish.unit, on_looked, look, &look->call);

                if (r < 0)
                        choose_verb(look, r, NULL);
                else
                        o->pending++;
        }
        look_at_spool_to(o);
}

static void on_sockets_started(void *userdata)
{
        StartOperation *o = userdata;

        if (somebody_may_hold(o->base.bot))
                look_at_workers(o);
        if (o->pending == 0)
                start_workers(o);
}

/* systemd starts no socket beside the running service that it is for (systemd.socket(5)), and a timer that comes first
 * would start a worker that is being started anyway. */
static int start_sockets(StartOperation *o)
{
        Bot *b = o->base.bot;
        int r = 0;

        STRV_FOREACH(unit, b->record.triggers)
                if (r >= 0 && unit_is_socket(*unit))
                        r = strv_extend(&o->first, *unit);
        if (r < 0)
                return r;
        return unit_jobs_start_all(&o->sockets, b->manager, o->first, UNIT_START, start_timeout_usec(b),
                                   on_sockets_started, o);
}

static void publish_and_start(StartOperation *o);

static void on_publish_timer(void *userdata)
{
        StartOperation *o = userdata;

        o->publish_timer = clock_timer_free(o->publish_timer);
        publish_and_start(o);
}

/* Without the file a worker that holds would be told once more to hold. */
static void publish_again(StartOperation *o, int error)
{
        Bot *b = o->base.bot;
        usec_t wait = usec_backoff(PUBLISH_FIRST_USEC, PUBLISH_LONGEST_USEC, o->publish_tries++);
        int r;

        errno = -error;
        bot_set_error(b, "The endpoint could not be published, and the workers hold: %m. It is tried again. Look after "
                         "the file system of the directory for runtime data.");
        r = clock_timer_new(&o->publish_timer, b->manager->event, wait, on_publish_timer, o);
        if (r < 0)
                sd_event_exit(b->manager->event, bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer, giving up: %m"));
}

static void publish_and_start(StartOperation *o)
{
        Bot *b = o->base.bot;
        int r = 0;

        if (somebody_may_hold(b))
                r = publish_environment(b, bot_seat(b));
        if (r < 0) {
                publish_again(o, r);
                return;
        }
        r = start_sockets(o);
        if (r < 0) {
                unit_jobs_complain(&o->sockets, "a socket", strerror(-r), NULL);
                start_finished(o);
        }
}

int op_start_workers_start(Bot *b, Operation **ret)
{
        size_t n = strv_length(b->record.workers);
        StartOperation *o;

        o = calloc(1, sizeof(StartOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ start_operation_free, b };
        o->looks = calloc(n + 1, sizeof(Look));
        if (!o->looks) {
                start_operation_free(&o->base);
                return -ENOMEM;
        }
        STRV_FOREACH(unit, b->record.workers)
                o->looks[o->n_looks++] = (Look){ .operation = o, .wish = { *unit, UNIT_START } };
        b->part_dropped = false;
        *ret = &o->base;
        publish_and_start(o);
        return 0;
}
