/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* Whether the workers are well at the target: each still the same process SettleSec= after it was started, the queue
 * taken, no webhook error, the spool handed over. */

/* A worker that was restarted is given so many more rounds of SettleSec=. */
#define ROUNDS_MAX 4
/* Between two looks at a queue that has something in it. */
#define LOOK_USEC (1 * USEC_PER_SEC)

typedef struct ConfirmOperation ConfirmOperation;

typedef struct Watched {
        ConfirmOperation *operation;
        const char *unit; /* in the record */
        UnitCall *call;
        usec_t main_start_usec; /* of the look before at which it was up; 0: it never was */
} Watched;

struct ConfirmOperation {
        Operation base;
        unsigned round;
        ClockTimer *timer;
        Watched *watched;
        size_t n_watched;
        size_t pending;
        const char *restless; /* a worker that was restarted in this round */
        bool lasting;         /* a worker that stays is among them */
        char *complaint;
        BotApiCall *call;
        UnitCall *restart_call;
        UnitCall *stopping_call;
        uint64_t last_error_usec; /* of a webhook, at the look before */
        ClockTimer *delivery_timer;
        Intake intake;
};

static void confirm_operation_free(Operation *op)
{
        ConfirmOperation *o = (ConfirmOperation *) op;

        op->bot->part_waiter = NULL;
        clock_timer_free(o->timer);
        for (size_t i = 0; i < o->n_watched; i++)
                unit_call_free(o->watched[i].call);
        free(o->watched);
        free(o->complaint);
        botapi_call_free(o->call);
        unit_call_free(o->restart_call);
        unit_call_free(o->stopping_call);
        clock_timer_free(o->delivery_timer);
        free(o);
}

static void not_confirmed(ConfirmOperation *o, const char *what)
{
        Bot *b = o->base.bot;

        /* Who is told to stop may be one of many: that a worker does not run then says nothing. The record keeps the
         * phase. */
        if (b->manager->stopping)
                return;
        bot_set_error(b, "The bot is at the %s server, but %s", seat_to_string(b->record.seat), what);
        b->intake_failed = b->record.job.result == JOB_RESULT_NONE &&
                           intake_judge(&o->intake, b->record.job.spooled) == INTAKE_NOBODY;
        bot_log_event(b, LOG_WARNING, b->intake_failed ? LOG_EVENT_UPDATES_UNTAKEN : LOG_EVENT_WORKERS_FAILED, "%s",
                      b->error ?: "no memory");
        bot_post(b, CUTOVER_NOT_CONFIRMED);
}

static void not_confirmed_errno(ConfirmOperation *o, int r)
{
        char what[256];

        snprintf(what, sizeof(what),
                 "whether its workers are well there could not be found out: %s. See 'systemctl status' of them.",
                 strerror(-r));
        not_confirmed(o, what);
}

static void look_at_workers(ConfirmOperation *o);

static void on_settle_timer(void *userdata)
{
        ConfirmOperation *o = userdata;

        o->timer = clock_timer_free(o->timer);
        o->round++;
        look_at_workers(o);
}

static void on_stopping(UnitCall *call, bool stopping, void *userdata)
{
        ConfirmOperation *o = userdata;
        _cleanup_free_ char *complaint = TAKE_PTR(o->complaint);

        o->stopping_call = unit_call_free(o->stopping_call);
        /* What a shutdown stops does not run: the record keeps the phase for the next boot. */
        if (!server_waits_for_boot(o->base.bot, stopping ? SERVER_SHUTDOWN : SERVER_READY))
                not_confirmed(o, complaint ?: "there is no memory left to say what is wrong.");
}

static void give_up(ConfirmOperation *o, const char *complaint)
{
        free(o->complaint);
        o->complaint = strdup(complaint);
        if (unit_client_ask_stopping(o->base.bot->manager->units, on_stopping, o, &o->stopping_call) < 0)
                not_confirmed(o, complaint);
}

static usec_t settle_usec(const Bot *b)
{
        return b->config ? b->config->settle_usec : USEC_PER_SEC;
}

static void begin_round(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        r = clock_timer_new(&o->timer, b->manager->event, settle_usec(b), on_settle_timer, o);
        if (r < 0)
                not_confirmed_errno(o, r);
}

static void another_round(ConfirmOperation *o, const char *otherwise)
{
        if (o->round >= ROUNDS_MAX)
                give_up(o, otherwise);
        else
                begin_round(o);
}

/* What most programs do when a server says "Logged out". */
#define BUILT_IN "A program that has the address of the %s server built in ends like this, too."

static const char *other_server(const Bot *b)
{
        return seat_to_string(b->record.seat == SEAT_LOCAL ? SEAT_CLOUD : SEAT_LOCAL);
}

static void does_not_stay(ConfirmOperation *o, const char *unit)
{
        char what[512];

        snprintf(what, sizeof(what), "its worker %s keeps being restarted: see 'journalctl -u %s'. " BUILT_IN, unit,
                 unit, other_server(o->base.bot));
        another_round(o, what);
}

/* ---- the spool ---- */

static void look_at_spool(ConfirmOperation *o);

static void on_part(Bot *b, int r)
{
        ConfirmOperation *o = (ConfirmOperation *) b->operation;
        char what[512];

        b->part_waiter = NULL;
        if (r >= 0) {
                look_at_spool(o);
        } else if (r == -ESRCH) {
                does_not_stay(o, b->config && b->config->spool_to ? b->config->spool_to : b->name);
        } else {
                errno = -r;
                snprintf(what, sizeof(what),
                         "the spool could not be read, or what was handed over not be taken out of it: %m. That is tried "
                         "again, and until then the worker may get it at each start. Look after the file system of the "
                         "state directory.");
                another_round(o, what);
        }
}

/* The job waits so long at most for a webhook that takes one update after the other. */
#define DELIVERY_USEC USEC_PER_MIN

/* It goes on when the job is over, for as long as it takes. */
static void confirmed_but_for_delivery(ConfirmOperation *o)
{
        Bot *b = o->base.bot;

        b->part_waiter = NULL;
        bot_log_event(b, LOG_NOTICE, LOG_EVENT_SPOOL_KEPT,
                      "%" PRIu64
                      " spooled updates are kept: the webhook has not taken them yet, and they are posted on. See "
                      "'tgswitchctl status %s'.",
                      spool_count(b->spool) - b->record.part_served_updates, b->name);
        bot_set_error(b, NULL);
        bot_post(b, CUTOVER_CONFIRMED);
}

static void on_delivery_timer(void *userdata)
{
        ConfirmOperation *o = userdata;

        o->delivery_timer = clock_timer_free(o->delivery_timer);
        confirmed_but_for_delivery(o);
}

static void on_delivery(Bot *b, int r)
{
        ConfirmOperation *o = (ConfirmOperation *) b->operation;

        b->part_waiter = NULL;
        if (r >= 0)
                look_at_spool(o);
        else if (o->round >= ROUNDS_MAX)
                confirmed_but_for_delivery(o);
        else
                begin_round(o);
}

static void wait_for_delivery(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        int r = 0;

        if (!o->delivery_timer)
                r = clock_timer_new(&o->delivery_timer, b->manager->event, DELIVERY_USEC, on_delivery_timer, o);
        if (r < 0) {
                confirmed_but_for_delivery(o);
                return;
        }
        b->part_waiter = on_delivery;
        delivery_hurry(b);
}

static void look_at_spool(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        uint64_t left = spool_count(b->spool);

        if (left > 0 && delivery_applies(b)) {
                wait_for_delivery(o);
                return;
        }
        if (handover_pending(b)) {
                b->part_waiter = on_part;
                return;
        }
        if (left > 0 && (b->part_dropped || b->part_doubtful)) {
                bot_post(b, CUTOVER_SPOOL_LEFT);
                return;
        }
        if (left > 0)
                bot_log_event(b, LOG_NOTICE, LOG_EVENT_SPOOL_KEPT,
                              "%" PRIu64 " spooled updates are kept: no running worker took the credential "
                              "bot-pending-updates. See 'tgswitchctl spool %s'.",
                              left, b->name);
        bot_set_error(b, NULL);
        bot_post(b, CUTOVER_CONFIRMED);
}

/* ---- the queue and the webhook at the target ---- */

static void on_look_timer(void *userdata)
{
        ConfirmOperation *o = userdata;

        o->timer = clock_timer_free(o->timer);
        look_at_workers(o);
}

/* While a stale session is ended the workers go on as they did; and where all of them come and go, nobody would have to
 * ask already. */
static void look_at_intake(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        _cleanup_free_ char *complaint = NULL;
        int r;

        b->intake_expected = b->record.state == CUTOVER_CONFIRM && o->lasting && !intake_was_untaken(b);
        switch (b->intake_expected ? intake_judge(&o->intake, b->record.job.spooled) : INTAKE_QUIET) {

        case INTAKE_WAITING:
                r = clock_timer_new(&o->timer, b->manager->event, LOOK_USEC, on_look_timer, o);
                if (r < 0)
                        not_confirmed_errno(o, r);
                return;

        case INTAKE_NOBODY:
                complaint = intake_complaint(b);
                give_up(o, complaint ?: "its updates are not taken.");
                return;

        default:
                look_at_spool(o);
        }
}

static void on_webhook_info(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        ConfirmOperation *o = userdata;
        Bot *b = o->base.bot;
        _cleanup_free_ char *said = NULL;
        WebhookInfo info = {};
        bool complains;
        char what[512];
        int r;

        r = botapi_webhook_info(reply, &info);
        said = botapi_reply_describe(reply);
        o->call = botapi_call_free(o->call);
        if (r < 0) {
                snprintf(what, sizeof(what), "the server does not answer (%s): look at its journal.",
                         said ?: "no memory");
                another_round(o, what);
                return;
        }
        /* The webhook is set before its worker runs, so the first deliveries may well have been refused, and the server
         * keeps telling the last such error. One since the look before counts. */
        complains = info.last_error_usec > MAX(b->record.logged_in.realtime_usec, o->last_error_usec);
        o->last_error_usec = info.last_error_usec;
        intake_note(&o->intake, info.pending_update_count);
        b->pending_updates = info.pending_update_count;
        b->pending_updates_usec = clock_realtime_usec();
        webhook_info_done(&info);

        if (complains)
                another_round(o,
                              "it cannot deliver to the webhook: see 'tgswitchctl status' and the web server's log.");
        else
                look_at_intake(o);
}

static void look_at_queue(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_webhook_info, o, &o->call);
        if (r < 0)
                not_confirmed_errno(o, r);
}

/* ---- the workers ---- */

static void looked(ConfirmOperation *o)
{
        _cleanup_free_ char *complaint = TAKE_PTR(o->complaint);
        const char *restless = o->restless;

        o->restless = NULL;
        if (complaint) {
                another_round(o, complaint);
        } else if (restless) {
                does_not_stay(o, restless);
        } else {
                look_at_queue(o);
        }
}

static bool is_oneshot(const UnitInfo *info)
{
        return streq(info->type, "oneshot");
}

/* Its program has ended, and systemd starts the next one now or when RestartSec= is over. */
static bool is_restarted(const Watched *w, const UnitInfo *info)
{
        return info->active_state == UNIT_ACTIVATING &&
               (streq(info->sub_state, "auto-restart") || w->main_start_usec > 0);
}

static bool is_well(const Watched *w, const UnitInfo *info)
{
        if (is_oneshot(info))
                return info->active_state != UNIT_FAILED && streq(info->result, "success");
        return info->active_state == UNIT_ACTIVE || info->active_state == UNIT_RELOADING || is_restarted(w, info);
}

/* `info` is NULL where r says why; else it is not well. */
static char *trouble_of(const Bot *b, const char *unit, int r, const UnitInfo *info)
{
        char *text;

        if (!info)
                r = asprintf(&text, "systemd does not tell of its worker %s (%s): see 'systemctl status %s'.", unit,
                             strerror(-r), unit);
        else if (info->active_state == UNIT_FAILED || is_oneshot(info))
                r = asprintf(&text, "its worker %s has failed (%s): see 'journalctl -u %s'. " BUILT_IN, unit,
                             info->result, unit, other_server(b));
        else if (info->active_state == UNIT_ACTIVATING)
                r = asprintf(&text, "its worker %s is still starting: see 'systemctl status %s'.", unit, unit);
        else
                r = asprintf(&text, "its worker %s does not run: see 'systemctl status %s'.", unit, unit);
        return r < 0 ? NULL : text;
}

static void on_worker(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Watched *w = userdata;
        ConfirmOperation *o = w->operation;

        if (r < 0 || !is_well(w, info)) {
                if (!o->complaint)
                        o->complaint = trouble_of(o->base.bot, w->unit, r, r < 0 ? NULL : info);
        } else {
                /* The first look only learns which processes there are; none has to stay with SettleSec=0. One that a
                 * timer starts every second is another process each time, and well. */
                bool learns = o->round == 0 && settle_usec(o->base.bot) > 0;
                bool is_another = o->round > 0 && !is_oneshot(info) && info->main_start_usec != w->main_start_usec;

                if (learns || is_another || is_restarted(w, info))
                        o->restless = w->unit;
                o->lasting = o->lasting || !is_oneshot(info);
                w->main_start_usec = info->main_start_usec;
        }
        w->call = unit_call_free(w->call);
        if (--o->pending == 0)
                looked(o);
}

static void look_at_workers(ConfirmOperation *o)
{
        int r;

        for (size_t i = 0; i < o->n_watched; i++) {
                Watched *w = &o->watched[i];

                r = unit_client_get(o->base.bot->manager->units, w->unit, on_worker, w, &w->call);
                if (r < 0) {
                        not_confirmed_errno(o, r);
                        return;
                }
                o->pending++;
        }
        if (o->n_watched == 0)
                look_at_queue(o);
}

static int confirm_operation_new(Bot *b, ConfirmOperation **ret)
{
        ConfirmOperation *o;

        o = calloc(1, sizeof(ConfirmOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ confirm_operation_free, b };
        o->watched = calloc(strv_length(b->record.workers) + 1, sizeof(Watched));
        if (!o->watched) {
                free(o);
                return -ENOMEM;
        }
        STRV_FOREACH(unit, b->record.workers)
                o->watched[o->n_watched++] = (Watched){ .operation = o, .unit = *unit };
        *ret = o;
        return 0;
}

int op_confirm_start(Bot *b, Operation **ret)
{
        ConfirmOperation *o;
        int r;

        r = confirm_operation_new(b, &o);
        if (r < 0)
                return r;
        b->intake_failed = false;
        *ret = &o->base;
        look_at_workers(o);
        return 0;
}

static void on_restarted(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        ConfirmOperation *o = userdata;
        const BotConfig *config = o->base.bot->config;
        const char *spool_to = config && config->spool_to ? config->spool_to : "The worker";
        char what[512];

        if (result == UNIT_JOB_DONE) {
                o->restart_call = unit_call_free(o->restart_call);
                look_at_workers(o);
                return;
        }
        snprintf(what, sizeof(what), "%s, which takes the spool, did not restart (%s). %s%sSee 'systemctl status %s'.",
                 spool_to, unit_job_result_to_string(result), error ?: "", error ? ". " : "", spool_to);
        o->restart_call = unit_call_free(o->restart_call);
        not_confirmed(o, what);
}

static int restart_for_spool(ConfirmOperation *o, UnitVerb verb)
{
        const BotConfig *config = o->base.bot->config;

        return unit_client_job(o->base.bot->manager->units, config->spool_to, verb, config->start_timeout_usec,
                               on_restarted, o, &o->restart_call);
}

static void on_spool_to(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        ConfirmOperation *o = userdata;
        bool ends_by_itself = r >= 0 && is_oneshot(info);

        o->restart_call = unit_call_free(o->restart_call);
        r = restart_for_spool(o, ends_by_itself ? UNIT_START : UNIT_TRY_RESTART);
        if (r < 0)
                not_confirmed_errno(o, r);
}

/* A worker reads its credentials once, at its start: the next part needs another one. A worker that does not run gets
 * it when somebody starts it. But beside workers that are reloaded a oneshot is there for nothing else, and has ended
 * after the part before. */
int op_next_part_start(Bot *b, Operation **ret)
{
        ConfirmOperation *o;
        int r;

        r = confirm_operation_new(b, &o);
        if (r < 0)
                return r;
        *ret = &o->base;
        b->part_dropped = b->part_doubtful = false;
        if (!b->config || !bot_config_hands_over(b->config) || bot_spooled_updates(b) == 0 || delivery_applies(b)) {
                look_at_workers(o);
                return 0;
        }
        if (b->config->move == MOVE_RELOAD)
                r = unit_client_get(b->manager->units, b->config->spool_to, on_spool_to, o, &o->restart_call);
        else
                r = restart_for_spool(o, UNIT_TRY_RESTART);
        if (r < 0) {
                *ret = NULL;
                confirm_operation_free(&o->base);
                return r;
        }
        return 0;
}
