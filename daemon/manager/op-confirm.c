/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "base/strv.h"
#include "manager/bot.h"

/* Whether the workers are well at the target: each still the same process SettleSec= after it was started, the queue
 * not growing, no webhook error, the spool handed over. */

/* A worker that was restarted, or a queue that grew, is given so many more rounds of SettleSec=. */
#define ROUNDS_MAX 4
/* Fewer are no trend. */
#define GROWTH_MIN 20

typedef struct ConfirmOperation ConfirmOperation;

typedef struct Watched {
        ConfirmOperation *operation;
        const char *unit; /* in the record */
        UnitCall *call;
        usec_t main_start_usec; /* of the round before */
} Watched;

struct ConfirmOperation {
        Operation base;
        unsigned round;
        ClockTimer *timer;
        Watched *watched;
        size_t n_watched;
        size_t pending;
        bool restless; /* a worker was restarted in this round */
        char *complaint;
        BotApiCall *call;
        UnitCall *restart_call;
        UnitCall *stopping_call;
        uint64_t pending_updates; /* of the round before */
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
        log_bot(LOG_WARNING, b->name, "%s", b->error);
        bot_post(b, CUTOVER_NOT_CONFIRMED);
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
                not_confirmed(o, complaint ?: "something is not well.");
}

static void give_up(ConfirmOperation *o, const char *complaint)
{
        free(o->complaint);
        o->complaint = strdup(complaint);
        if (unit_client_ask_stopping(o->base.bot->manager->units, on_stopping, o, &o->stopping_call) < 0)
                not_confirmed(o, complaint);
}

static void another_round(ConfirmOperation *o, const char *otherwise)
{
        Bot *b = o->base.bot;
        int r;

        if (o->round >= ROUNDS_MAX) {
                give_up(o, otherwise);
                return;
        }
        r = clock_timer_new(&o->timer, b->manager->event, b->config ? b->config->settle_usec : USEC_PER_SEC,
                            on_settle_timer, o);
        if (r < 0)
                not_confirmed(o, strerror(-r));
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
                another_round(o,
                              "the worker that takes the spool does not stay up: see its journal. The spool is kept.");
        } else {
                errno = -r;
                snprintf(what, sizeof(what),
                         b->part_settled ? "what was handed over could not be taken out of the spool: %m. That is tried "
                                           "again, and until then the worker gets it at each start. Look after the file "
                                           "system of the state directory."
                                         : "the spool could not be read: %m. That is tried again, and what is in it is "
                                           "kept. Look after the file system of the state directory.");
                another_round(o, what);
        }
}

static void look_at_spool(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        uint64_t left = spool_count(b->spool);

        if (handover_pending(b)) {
                b->part_waiter = on_part;
                return;
        }
        if (left > 0 && (b->part_dropped || b->part_doubtful)) {
                bot_post(b, CUTOVER_SPOOL_LEFT);
                return;
        }
        if (left > 0)
                log_bot(LOG_NOTICE, b->name,
                        "%" PRIu64 " spooled updates are kept: no running worker took the credential "
                        "bot-pending-updates. See 'tgswitchctl spool %s'.",
                        left, b->name);
        bot_set_error(b, NULL);
        bot_post(b, CUTOVER_CONFIRMED);
}

/* ---- the queue and the webhook at the target ---- */

static void on_webhook_info(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        ConfirmOperation *o = userdata;
        Bot *b = o->base.bot;
        _cleanup_free_ char *said = NULL;
        WebhookInfo info = {};
        bool growing, complains;
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
        growing = o->round > 1 && info.pending_update_count > o->pending_updates + GROWTH_MIN;
        complains = info.last_error_usec > b->record.logged_in.realtime_usec;
        o->pending_updates = info.pending_update_count;
        b->pending_updates = info.pending_update_count;
        b->pending_updates_usec = clock_realtime_usec();
        webhook_info_done(&info);

        if (growing)
                another_round(o,
                              "its workers do not take what comes in: the number of pending updates grows. See their "
                              "journal.");
        else if (complains)
                another_round(o,
                              "it cannot deliver to the webhook: see 'tgswitchctl status' and the web server's log.");
        else
                look_at_spool(o);
}

static void look_at_queue(ConfirmOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_webhook_info, o, &o->call);
        if (r < 0)
                not_confirmed(o, strerror(-r));
}

/* ---- the workers ---- */

static void looked(ConfirmOperation *o)
{
        _cleanup_free_ char *complaint = TAKE_PTR(o->complaint);
        bool restless = o->restless;

        o->restless = false;
        if (complaint)
                another_round(o, complaint);
        else if (restless)
                another_round(o, "a worker keeps being restarted: see its journal.");
        else
                look_at_queue(o);
}

static void on_worker(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Watched *w = userdata;
        ConfirmOperation *o = w->operation;
        bool oneshot = r >= 0 && streq(info->type, "oneshot");
        const char *trouble = NULL;

        if (r < 0) {
                trouble = strerror(-r);
        } else if (info->active_state == UNIT_FAILED || (oneshot && !streq(info->result, "success"))) {
                trouble = "has failed";
        } else if (!oneshot && info->active_state != UNIT_ACTIVE && info->active_state != UNIT_RELOADING) {
                trouble = "does not run";
        } else {
                /* The first look only learns which processes there are. One that a timer starts every second is another
                 * process each time, and well. */
                if (o->round == 0 || (!oneshot && info->main_start_usec != w->main_start_usec))
                        o->restless = true;
                w->main_start_usec = info->main_start_usec;
        }
        if (trouble && !o->complaint &&
            asprintf(&o->complaint, "its worker %s %s: see 'systemctl status %s'.", w->unit, trouble, w->unit) < 0)
                o->complaint = NULL;
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
                        not_confirmed(o, strerror(-r));
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
        *ret = &o->base;
        look_at_workers(o);
        return 0;
}

static void on_restarted(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        ConfirmOperation *o = userdata;
        char what[512];

        if (result == UNIT_JOB_DONE) {
                o->restart_call = unit_call_free(o->restart_call);
                look_at_workers(o);
                return;
        }
        snprintf(what, sizeof(what), "the worker that takes the spool did not restart (%s). %s",
                 unit_job_result_to_string(result), error ?: "");
        o->restart_call = unit_call_free(o->restart_call);
        not_confirmed(o, what);
}

/* A worker reads its credentials once, at its start: the next part needs another one. A worker that does not run gets
 * it when somebody starts it. */
int op_next_part_start(Bot *b, Operation **ret)
{
        ConfirmOperation *o;
        int r;

        r = confirm_operation_new(b, &o);
        if (r < 0)
                return r;
        *ret = &o->base;
        b->part_dropped = b->part_doubtful = false;
        if (!b->config || !b->config->spool_to || bot_spooled_updates(b) == 0) {
                look_at_workers(o);
                return 0;
        }
        r = unit_client_job(b->manager->units, b->config->spool_to, UNIT_TRY_RESTART, b->config->start_timeout_usec,
                            on_restarted, o, &o->restart_call);
        if (r < 0) {
                *ret = NULL;
                confirm_operation_free(&o->base);
                return r;
        }
        return 0;
}
