/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "manager/bot.h"

/* Jobs that wait: for the target's window, for a stale session to be ended, for the pace of logins, for their turn to
 * get ready (QUEUED); and then, with all checks made and the queue drained, for their turn to stop the workers (READY).
 * Whose turn it is says core/schedule.h, from what the records tell; here is only asked and answered. */

/* So often a step past log-out has to fail until others take warning. */
#define STRUGGLING_RETRIES 3u

/* What was checked so long ago is checked again. */
#define READY_USEC (60 * USEC_PER_SEC)

typedef struct QueueOperation {
        Operation base;
        ServerLoan *loan;
        ServerCall *server_call;
        bool server_ready;  /* the one that holds a stale session answers */
        bool let_go;        /* its event is posted */
        CutoverEvent event; /* this one */
        usec_t since_usec;  /* CLOCK_BOOTTIME */
        usec_t window_usec; /* what is left of the target's, as last looked at */
        usec_t left_usec;   /* it has to wait so long whatever the others do; USEC_INFINITY: for something else */
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

static bool is_waiting_state(CutoverState state)
{
        return state == CUTOVER_QUEUED || state == CUTOVER_READY;
}

static QueueOperation *waiting(const Bot *b)
{
        QueueOperation *o = is_waiting_state(b->record.state) ? (QueueOperation *) b->operation : NULL;

        return o && !o->let_go && b->n_events == 0 ? o : NULL;
}

static void let_go(Bot *b, CutoverEvent event)
{
        QueueOperation *o = (QueueOperation *) b->operation;

        o->let_go = true;
        o->event = event;
        if (event != CUTOVER_CALLED_OFF)
                bot_set_error(b, NULL);
        bot_post(b, event);
        /* At once: whoever is asked about next depends on it. */
        bot_count(b);
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
        o->since_usec = clock_boottime_usec();
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

static bool is_let_begin(const Bot *b)
{
        const QueueOperation *o = (QueueOperation *) b->operation;

        return b->record.state != CUTOVER_QUEUED || (o && o->let_go && o->event != CUTOVER_CALLED_OFF);
}

bool bot_reserves_login(const Bot *b)
{
        CutoverPlace place = cutover_facts(b->record.state)->place;

        if (!bot_job_running(b) || b->record.job.target != SEAT_CLOUD || !is_let_begin(b))
                return false;
        /* Where it turned back, the seat has been the cloud all the time. */
        return place == CUTOVER_AT_NONE || (b->record.seat != SEAT_CLOUD && place != CUTOVER_AT_TARGET);
}

usec_t manager_pace_left(const Manager *m)
{
        return pace_left(&m->pace, (unsigned) m->counts.n_reserve_login, (int64_t) clock_boottime_usec());
}

/* ---- whose turn it is ---- */

static ScheduleStage waiting_stage(const Bot *b)
{
        const QueueOperation *o = (QueueOperation *) b->operation;
        bool ready = b->record.state == CUTOVER_READY;

        if (!o || !o->let_go)
                return ready ? SCHEDULE_READY : SCHEDULE_QUEUED;
        if (o->event == CUTOVER_CALLED_OFF)
                return SCHEDULE_RETURNED;
        return ready && o->event == CUTOVER_ADMITTED ? SCHEDULE_MOVING : SCHEDULE_PREPARING;
}

ScheduleStage bot_schedule_stage(const Bot *b)
{
        const RecordJob *job = &b->record.job;
        bool at_target = b->record.seat == job->target;

        switch (b->record.state) {
        case CUTOVER_QUEUED:
        case CUTOVER_READY:
                return waiting_stage(b);
        case CUTOVER_CHECK:
        case CUTOVER_DRAIN:
        case CUTOVER_HOLD_DRAINED:
                return SCHEDULE_PREPARING;
        default:
                break;
        }
        if (bot_job_running(b))
                return !cutover_facts(b->record.state)->cancellable && b->retries >= STRUGGLING_RETRIES
                                       ? SCHEDULE_STRUGGLING
                                       : SCHEDULE_MOVING;
        if (job->result == JOB_RESULT_DONE)
                return SCHEDULE_ARRIVED;
        return job->result == JOB_RESULT_FAILED && at_target ? SCHEDULE_STRANDED : SCHEDULE_RETURNED;
}

/* `ahead` counts the logins that come before its own. */
static usec_t wait_left(const Manager *m, const Bot *b, usec_t window, unsigned ahead)
{
        usec_t pace;

        if (b->record.job.target != SEAT_CLOUD)
                return window;
        pace = pace_left(&m->pace, ahead, (int64_t) clock_boottime_usec());
        /* Of those behind the next twenty it is only known that they need another minute. */
        if (pace == USEC_INFINITY)
                pace = ahead / PACE_MINUTE_MAX * USEC_PER_MIN;
        return MAX(window, pace);
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

static void say_what_for(QueueOperation *o)
{
        Bot *b = o->base.bot;
        char when[WHEN_MAX];
        usec_t left = o->left_usec;
        bool known = left > 0 && left != USEC_INFINITY; /* not when others are done */
        usec_t not_before = known ? usec_add(clock_realtime_usec(), left) : 0;

        /* Counted anew each time, and told only where it has become another. */
        if (usec_sub(MAX(not_before, b->not_before_usec), MIN(not_before, b->not_before_usec)) < USEC_PER_SEC &&
            b->error)
                return;
        b->not_before_usec = not_before;
        if (o->window_usec > 0)
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
static bool waits_on(QueueOperation *o)
{
        Bot *b = o->base.bot;
        const RecordJob *job = &b->record.job;

        if (b->record.stale) {
                if (o->server_ready)
                        let_go(b, CUTOVER_ADMITTED_STALE);
                return false;
        }
        if (b->record.seat == job->target) {
                let_go(b, CUTOVER_ARRIVED);
                return false;
        }
        o->window_usec = bot_window_left(b, job->target);
        if (o->window_usec > 0 && !job->when_allowed) {
                refuse_window(b, o->window_usec);
                return false;
        }
        return true;
}

static void on_schedule_timer(void *userdata)
{
        Manager *m = userdata;

        m->schedule_timer = clock_timer_free(m->schedule_timer);
        manager_schedule(m);
}

/* How long each job has to wait by itself. */
static void look_at_waits(Manager *m)
{
        const BotList *l = &m->counts.with_job;
        unsigned ahead = (unsigned) m->counts.n_reserve_login;

        for (size_t i = 0; i < l->n; i++) {
                QueueOperation *o = waiting(l->bots[i]);

                if (!o)
                        continue;
                /* All but its turn was so when it left the queue, and its login is reserved. */
                if (l->bots[i]->record.state == CUTOVER_READY) {
                        o->left_usec = 0;
                        continue;
                }
                o->left_usec = USEC_INFINITY;
                if (!waits_on(o))
                        continue;
                o->left_usec = wait_left(m, l->bots[i], o->window_usec, ahead);
                ahead += l->bots[i]->record.job.target == SEAT_CLOUD;
        }
}

static void call_off(Bot *b)
{
        bot_set_error(b,
                      "Not begun: MaxFailures=%u of the bots that were to move before it did not get well there. See "
                      "'tgswitchctl status', then start the cutover again.",
                      b->manager->config->max_failures);
        let_go(b, CUTOVER_CALLED_OFF);
}

static ScheduleVerdict ask(const Bot *b)
{
        ScheduleTally *tally = &b->manager->counts.tally;
        ScheduleLimits limits = { b->manager->config->concurrency, b->manager->config->max_failures };

        return b->record.state == CUTOVER_READY ? schedule_ask_to_move(tally, b->counted.batch, &limits)
                                                : schedule_ask_to_prepare(tally, b->counted.batch, &limits);
}

static CutoverEvent admission(const QueueOperation *o)
{
        bool late = o->base.bot->record.state == CUTOVER_READY &&
                    usec_sub(clock_boottime_usec(), o->since_usec) > READY_USEC;

        return late ? CUTOVER_ADMITTED_LATE : CUTOVER_ADMITTED;
}

/* Also while it is being recorded that it is ready. */
static bool gets_ready(const Bot *b)
{
        return b->counted.stage == SCHEDULE_PREPARING || b->counted.stage == SCHEDULE_READY;
}

/* Asks for each job that could begin whether it is its turn. Returns how long until it is worth asking again. */
static usec_t admit(Manager *m)
{
        const BotList *l = &m->counts.with_job;
        usec_t next = USEC_INFINITY;

        schedule_begin_round(&m->counts.tally);
        for (size_t i = 0; i < l->n; i++) {
                QueueOperation *o = waiting(l->bots[i]);
                ScheduleVerdict verdict = SCHEDULE_WAIT_CONCURRENCY;

                if (!o && gets_ready(l->bots[i]))
                        schedule_pass(&m->counts.tally, l->bots[i]->counted.batch);
                if (!o || o->left_usec == USEC_INFINITY)
                        continue;
                if (o->left_usec == 0)
                        verdict = ask(l->bots[i]);
                if (verdict == SCHEDULE_START) {
                        let_go(l->bots[i], admission(o));
                } else if (verdict == SCHEDULE_CALL_OFF) {
                        call_off(l->bots[i]);
                } else {
                        say_what_for(o);
                        next = o->left_usec > 0 ? MIN(next, o->left_usec) : next;
                }
        }
        return next;
}

/* Two rounds over the jobs that run, which are few but where many wait; those of bots that rest are only counted. */
static int schedule(Manager *m)
{
        usec_t next;

        look_at_waits(m);
        next = admit(m);
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

void bot_make_way(Bot *b)
{
        if (b->makes_way)
                manager_schedule(b->manager);
        b->makes_way = false;
}
