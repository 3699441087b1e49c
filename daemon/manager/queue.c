/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "manager/bot.h"

/* Jobs that wait: for the target's window, for a stale session to be ended, for the pace of logins, for their turn.
 * Whose turn it is says core/schedule.h, from what the records tell; here is only asked and answered. */

/* So often a step past log-out has to fail until others take warning. */
#define STRUGGLING_RETRIES 3u

typedef struct QueueOperation {
        Operation base;
        ServerLoan *loan;
        ServerCall *server_call;
        bool server_ready; /* the one that holds a stale session answers */
        bool let_go;       /* its event is posted */
} QueueOperation;

static void queue_operation_free(Operation *op)
{
        QueueOperation *o = (QueueOperation *) op;

        op->bot->not_before_usec = 0;
        op->bot->manager->n_queued--;
        server_loan_free(o->loan);
        server_call_free(o->server_call);
        free(o);
}

static QueueOperation *waiting(const Bot *b)
{
        QueueOperation *o = b->record.state == CUTOVER_QUEUED ? (QueueOperation *) b->operation : NULL;

        return o && !o->let_go && b->n_events == 0 ? o : NULL;
}

static void let_go(Bot *b, CutoverEvent event)
{
        ((QueueOperation *) b->operation)->let_go = true;
        if (event != CUTOVER_CALLED_OFF)
                bot_set_error(b, NULL);
        bot_post(b, event);
}

static void session_not_ended(Bot *b, const char *why)
{
        bot_set_error(b,
                      "The local server still holds a session of the bot, which has to be ended first. %s Then start the "
                      "cutover again.",
                      why);
        let_go(b, CUTOVER_CALLED_OFF);
}

static void on_stale_server(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        QueueOperation *o = userdata;
        Bot *b = o->base.bot;

        o->server_call = server_call_free(o->server_call);
        o->server_ready = answer == SERVER_READY;
        if (server_waits_for_boot(b, answer))
                return;
        if (!o->server_ready) {
                session_not_ended(b, why);
                return;
        }
        manager_schedule(b->manager);
}

static void on_server_noted(int r, void *userdata)
{
        QueueOperation *o = userdata;
        Bot *b = o->base.bot;
        char why[128];

        o->loan = server_loan_free(o->loan);
        if (r >= 0)
                r = server_call(b->manager, SERVER_START, on_stale_server, o, &o->server_call);
        if (r < 0) {
                snprintf(why, sizeof(why), "%s.", strerror(-r));
                session_not_ended(b, why);
        }
}

/* Who only cleans up does not wake up a server for it. */
static int look_for_stale(QueueOperation *o)
{
        Bot *b = o->base.bot;

        if (b->record.job.target == SEAT_LOCAL)
                return server_loan(b, on_server_noted, o, &o->loan);
        return server_call(b->manager, 0, on_stale_server, o, &o->server_call);
}

int op_queue_start(Bot *b, Operation **ret)
{
        QueueOperation *o;
        int r;

        o = calloc(1, sizeof(QueueOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ queue_operation_free, b };
        b->manager->n_queued++;
        r = b->record.stale ? look_for_stale(o) : 0;
        if (r < 0) {
                queue_operation_free(&o->base);
                return r;
        }
        *ret = &o->base;
        manager_schedule(b->manager);
        return 0;
}

/* ---- the pace of logins ---- */

void manager_pace_login(Manager *m)
{
        pace_add(&m->pace, (int64_t) clock_boottime_usec());
}

void manager_pace_remember(Manager *m, const Bot *b)
{
        Moment now;

        if (b->record.seat != SEAT_CLOUD || !moment_is_set(&b->record.logged_in) || clock_moment(&now) < 0)
                return;
        pace_add(&m->pace, (int64_t) now.boottime_usec - (int64_t) moment_age(&b->record.logged_in, NULL, &now));
}

/* Admitted, and its login is still to come. */
static bool has_login_reserved(const Bot *b)
{
        CutoverPlace place = cutover_facts(b->record.state)->place;

        if (!bot_job_running(b) || b->record.job.target != SEAT_CLOUD || b->record.state == CUTOVER_QUEUED)
                return false;
        /* Where it turned back, the seat has been the cloud all the time. */
        return place == CUTOVER_AT_NONE || (b->record.seat != SEAT_CLOUD && place != CUTOVER_AT_TARGET);
}

static unsigned reserved_logins(const Manager *m)
{
        unsigned n = 0;

        for (size_t i = 0; i < m->n_bots; i++)
                n += has_login_reserved(m->bots[i]);
        return n;
}

usec_t manager_pace_left(const Manager *m)
{
        return pace_left(&m->pace, reserved_logins(m), (int64_t) clock_boottime_usec());
}

/* ---- whose turn it is ---- */

static ScheduleStage stage_of(const Bot *b, usec_t left)
{
        const QueueOperation *o = (QueueOperation *) b->operation;
        const RecordJob *job = &b->record.job;
        bool at_target = b->record.seat == job->target;

        if (b->record.state == CUTOVER_QUEUED) {
                if (o && o->let_go)
                        return SCHEDULE_MOVING;
                return waiting(b) && left == 0 ? SCHEDULE_QUEUED : SCHEDULE_NOT_READY;
        }
        if (bot_job_running(b))
                return !cutover_facts(b->record.state)->cancellable && b->retries >= STRUGGLING_RETRIES
                                       ? SCHEDULE_STRUGGLING
                                       : SCHEDULE_MOVING;
        if (job->result == JOB_RESULT_DONE)
                return SCHEDULE_ARRIVED;
        return job->result == JOB_RESULT_FAILED && at_target ? SCHEDULE_STRANDED : SCHEDULE_RETURNED;
}

/* How long the job has to wait whatever the others do. `ahead` counts the logins that come before its own. */
static usec_t wait_left(const Manager *m, const Bot *b, unsigned ahead)
{
        usec_t left = bot_window_left(b, b->record.job.target);
        usec_t pace;

        if (b->record.job.target != SEAT_CLOUD)
                return left;
        pace = pace_left(&m->pace, ahead, (int64_t) clock_boottime_usec());
        /* Of those behind the next twenty it is only known that they need another minute. */
        if (pace == USEC_INFINITY)
                pace = ahead / PACE_MINUTE_MAX * USEC_PER_MIN;
        return MAX(left, pace);
}

static void refuse_window(Bot *b, usec_t left)
{
        char when[WHEN_MAX];

        bot_set_error(b,
                      "The %s server does not take the bot before %s. Start the cutover again then, or now with "
                      "--when-allowed.",
                      seat_to_string(b->record.job.target), format_when(when, left));
        let_go(b, CUTOVER_CALLED_OFF);
}

static void say_what_for(Bot *b, usec_t window, usec_t left)
{
        char when[WHEN_MAX];
        usec_t now = clock_realtime_usec(), not_before = left == USEC_INFINITY ? 0 : usec_add(now, left);

        /* Counted anew each time, and told only where it has become another. */
        if (usec_sub(MAX(not_before, b->not_before_usec), MIN(not_before, b->not_before_usec)) < USEC_PER_SEC &&
            b->error)
                return;
        b->not_before_usec = not_before;
        if (window > 0)
                bot_set_error(b, "Waits for the %s server, which does not take the bot before %s.",
                              seat_to_string(b->record.job.target), format_clock(when, left));
        else if (left > 0)
                bot_set_error(b,
                              "Waits for its turn: the cloud takes 20 new logins a minute and 600 an hour; not before %s.",
                              format_clock(when, left));
        else
                bot_set_error(b, "Waits for its turn: other bots are being moved.");
}

/* Settles what does not depend on other bots. Returns whether the job goes on waiting. */
static bool waits_on(Bot *b)
{
        QueueOperation *o = waiting(b);
        const RecordJob *job = &b->record.job;
        usec_t window;

        if (!o)
                return false;
        if (b->record.stale) {
                if (o->server_ready)
                        let_go(b, CUTOVER_ADMITTED_STALE);
                return false;
        }
        if (b->record.seat == job->target) {
                let_go(b, CUTOVER_ARRIVED);
                return false;
        }
        window = bot_window_left(b, job->target);
        if (window > 0 && !job->when_allowed) {
                refuse_window(b, window);
                return false;
        }
        return true;
}

static int compare_jobs(const void *a, const void *b)
{
        const Bot *const *x = a, *const *y = b;

        return ((*x)->record.job.id > (*y)->record.job.id) - ((*x)->record.job.id < (*y)->record.job.id);
}

/* The bots in the order of their jobs. */
static Bot **sorted_bots(Manager *m)
{
        Bot **bots = calloc(m->n_bots + 1, sizeof(Bot *));

        if (!bots)
                return NULL;
        memcpy(bots, m->bots, m->n_bots * sizeof(Bot *));
        qsort(bots, m->n_bots, sizeof(Bot *), compare_jobs);
        return bots;
}

static void on_schedule_timer(void *userdata)
{
        Manager *m = userdata;

        m->schedule_timer = clock_timer_free(m->schedule_timer);
        manager_schedule(m);
}

/* Asks for each job that could begin whether it is its turn. Returns how long until it is worth asking again. */
static usec_t admit(Manager *m, Bot **bots, ScheduleJob *jobs, usec_t *lefts)
{
        ScheduleLimits limits = { m->config->concurrency, m->config->max_failures };
        usec_t next = USEC_INFINITY;

        for (size_t i = 0; i < m->n_bots; i++) {
                Bot *b = bots[i];
                ScheduleVerdict verdict = SCHEDULE_WAIT_CONCURRENCY;

                /* Whose time is not known waits for something else than others. */
                if (!waiting(b) || lefts[i] == USEC_INFINITY)
                        continue;
                if (jobs[i].stage == SCHEDULE_QUEUED)
                        verdict = schedule_verdict(jobs, m->n_bots, i, &limits);
                if (verdict == SCHEDULE_START) {
                        jobs[i].stage = SCHEDULE_MOVING;
                        let_go(b, CUTOVER_ADMITTED);
                } else if (verdict == SCHEDULE_CALL_OFF) {
                        jobs[i].stage = SCHEDULE_RETURNED;
                        bot_set_error(b,
                                      "Not begun: MaxFailures=%u of the bots that were to move before it did not get "
                                      "well there. See 'tgswitchctl status', then start the cutover again.",
                                      m->config->max_failures);
                        let_go(b, CUTOVER_CALLED_OFF);
                } else {
                        say_what_for(b, bot_window_left(b, b->record.job.target), lefts[i]);
                        next = lefts[i] > 0 ? MIN(next, lefts[i]) : next;
                }
        }
        return next;
}

static int schedule(Manager *m)
{
        _cleanup_free_ Bot **bots = sorted_bots(m);
        _cleanup_free_ ScheduleJob *jobs = calloc(m->n_bots + 1, sizeof(ScheduleJob));
        _cleanup_free_ usec_t *lefts = calloc(m->n_bots + 1, sizeof(usec_t));
        unsigned ahead = reserved_logins(m);
        usec_t next;

        if (!bots || !jobs || !lefts)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_bots; i++) {
                const RecordJob *job = &bots[i]->record.job;

                lefts[i] = USEC_INFINITY;
                if (waits_on(bots[i])) {
                        lefts[i] = wait_left(m, bots[i], ahead);
                        ahead += job->target == SEAT_CLOUD;
                }
                jobs[i] = (ScheduleJob){ job->id, job->batch, stage_of(bots[i], lefts[i]) };
        }
        next = admit(m, bots, jobs, lefts);
        m->schedule_timer = clock_timer_free(m->schedule_timer);
        return next == USEC_INFINITY ? 0 : clock_timer_new(&m->schedule_timer, m->event, next, on_schedule_timer, m);
}

/* The jobs would wait for ever; a restart takes them up again. */
static int give_up(Manager *m, int r)
{
        return sd_event_exit(m->event, log_error_errno(r, "Failed to look whose turn it is, giving up: %m"));
}

static int on_schedule(sd_event_source *s, void *userdata)
{
        Manager *m = userdata;
        int r;

        if (m->n_queued == 0 || m->stopping)
                return 0;
        r = schedule(m);
        return r < 0 ? give_up(m, r) : 0;
}

void manager_schedule(Manager *m)
{
        int r;

        if (m->n_queued == 0)
                return;
        if (m->schedule_source)
                r = sd_event_source_set_enabled(m->schedule_source, SD_EVENT_ONESHOT);
        else
                r = sd_event_add_defer(m->event, &m->schedule_source, on_schedule, m);
        if (r < 0)
                (void) give_up(m, r);
}
