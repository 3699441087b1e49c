/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "manager/check.h"

/* The phases before anything is touched: check, drain, and the wait for the caller's go. */

typedef struct CheckOperation {
        Operation base;
        ServerLoan *loan;
        Check *check;
} CheckOperation;

static void check_operation_free(Operation *op)
{
        CheckOperation *o = (CheckOperation *) op;

        server_loan_free(o->loan);
        check_free(o->check);
        free(o);
}

const Bot *bot_whose_token_is_in(const Bot *b, const char *text)
{
        const Manager *m = b->manager;

        for (size_t i = 0; i < m->n_bots; i++) {
                const Bot *other = m->bots[i];
                _cleanup_free_ char *without = NULL;

                if (other == b || !other->token)
                        continue;
                without = bot_token_redact(other->token, text);
                if (!without || !streq(without, text))
                        return other;
        }
        return NULL;
}

/* A webhook URL often has the token in it, as Telegram's own documentation advises; the record must not (L7). */
int bot_remember_webhook(Bot *b, const WebhookSettings *settings)
{
        WebhookSettings copy = {};
        bool other;
        int r;

        /* No move begins with such a webhook: check_webhook(). */
        if (!isempty(settings->url) && bot_whose_token_is_in(b, settings->url))
                return 0;
        r = webhook_settings_copy(settings, &copy);
        if (r >= 0 && !isempty(copy.url)) {
                char *url = bot_token_redact(b->token, copy.url);

                free(copy.url);
                copy.url = url;
                r = url ? 0 : -ENOMEM;
        }
        if (r < 0) {
                webhook_settings_done(&copy);
                return r;
        }
        other = !streq(copy.url ?: "", b->record.webhook.url ?: "");
        webhook_settings_done(&b->record.webhook);
        b->record.webhook = copy;
        b->webhook_seen = true;
        return other;
}

static void on_checked(Check *c, const CheckList *list, const CheckFindings *findings, void *userdata)
{
        static const char no_memory[] = "There is not enough memory. Free some, then start the cutover again.";
        CheckOperation *o = userdata;
        Bot *b = o->base.bot;
        _cleanup_free_ char *complaint = NULL;

        if (server_waits_for_boot(b, findings->shutting_down ? SERVER_SHUTDOWN : SERVER_READY))
                return;
        if (!check_list_passed(list)) {
                complaint = check_list_complaint(list);
                if (findings->source_dead && b->record.job.automatic)
                        bot_set_error(b, "The local server is dead, and the bot does not leave it by itself: %s",
                                      complaint ?: no_memory);
                else
                        bot_set_error(b, "%s", complaint ?: no_memory);
                bot_post(b, CUTOVER_CHECK_FAILED);
                return;
        }
        if (findings->source_dead) {
                /* The settings that are on record are all that is known of its webhook. */
                bot_post(b, CUTOVER_SOURCE_DEAD);
                return;
        }
        if (bot_remember_webhook(b, &findings->webhook.settings) < 0) {
                bot_set_error(b, "%s", no_memory);
                bot_post(b, CUTOVER_CHECK_FAILED);
                return;
        }
        /* Its workers need not be able to take the spool. */
        if (b->undrained_by_default && !isempty(b->record.webhook.url))
                b->record.job.on_undrained = ON_UNDRAINED_SPOOL;
        b->record.bot_id = bot_token_id(b->token);
        b->record.job.pending_at_start = findings->webhook.pending_update_count;
        bot_set_error(b, NULL);
        bot_post(b, CUTOVER_CHECK_PASSED);
}

static void check_failed(CheckOperation *o, int r)
{
        bot_set_error(o->base.bot, "The checks could not be made: %s. Start the cutover again.", strerror(-r));
        bot_post(o->base.bot, CUTOVER_CHECK_FAILED);
}

static void on_server_noted(int r, void *userdata)
{
        CheckOperation *o = userdata;
        Bot *b = o->base.bot;

        o->loan = server_loan_free(o->loan);
        if (r >= 0)
                r = check_start(b, b->record.job.target, true, on_checked, o, &o->check);
        if (r < 0)
                check_failed(o, r);
}

int op_check_start(Bot *b, Operation **ret)
{
        CheckOperation *o;
        int r;

        if (!b->config) {
                bot_set_error(b,
                              "The configuration of %s is gone or not valid: see 'systemctl status tgswitchd', "
                              "correct bots.d/%s.conf and run 'systemctl reload tgswitchd'.",
                              b->name, b->name);
                bot_post(b, CUTOVER_CHECK_FAILED);
                return 0;
        }
        o = calloc(1, sizeof(CheckOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ check_operation_free, b };
        r = server_loan(b, on_server_noted, o, &o->loan);
        if (r < 0) {
                free(o);
                return r;
        }
        *ret = &o->base;
        return 0;
}

/* ---- drain ---- */

#define DRAIN_FIRST_USEC   (50 * USEC_PER_MSEC)
#define DRAIN_LONGEST_USEC (250 * USEC_PER_MSEC)
/* A bot that is always busy always has a few pending. Where the rest may be spooled, waiting for a lucky moment gains
 * nothing once it fits into one getUpdates. */
#define DRAIN_FEW      100
#define DRAIN_FEW_USEC (2 * USEC_PER_SEC)

typedef struct DrainOperation {
        Operation base;
        BotApiCall *call;
        ServerCall *server_call;
        ClockTimer *timer;
        usec_t began_usec;    /* CLOCK_BOOTTIME */
        usec_t deadline_usec; /* the same */
        usec_t wait_usec;
} DrainOperation;

static void drain_operation_free(Operation *op)
{
        DrainOperation *o = (DrainOperation *) op;

        botapi_call_free(o->call);
        server_call_free(o->server_call);
        clock_timer_free(o->timer);
        free(o);
}

static void drained(Bot *b)
{
        bool hold = b->record.job.hold_at == HOLD_AT_STOP_WORKERS && !b->record.job.proceeded;

        b->record.job.drained = usec_sub(b->record.job.pending_at_start, b->pending_updates);
        bot_post(b, hold ? CUTOVER_DRAINED_HOLD : CUTOVER_DRAINED);
}

static void ask_pending(DrainOperation *o);

static void on_drain_timer(void *userdata)
{
        DrainOperation *o = userdata;

        o->timer = clock_timer_free(o->timer);
        ask_pending(o);
}

static void not_yet_drained(DrainOperation *o, const char *said)
{
        Bot *b = o->base.bot;
        OnUndrained policy = b->record.job.on_undrained;
        int r;

        if (policy == ON_UNDRAINED_WAIT || clock_boottime_usec() < o->deadline_usec) {
                r = clock_timer_new(&o->timer, b->manager->event, o->wait_usec, on_drain_timer, o);
                o->wait_usec = MIN(o->wait_usec * 2, DRAIN_LONGEST_USEC);
                if (r >= 0)
                        return;
                said = strerror(-r);
        } else if (policy == ON_UNDRAINED_SPOOL && !said) {
                drained(b);
                return;
        }

        if (said)
                bot_set_error(b,
                              "The %s server did not tell how many updates are pending (%s). Nothing was changed; "
                              "try again when it answers.",
                              seat_to_string(b->record.seat), said);
        else
                bot_set_error(b,
                              "%" PRIu64 " updates are still pending after DrainTimeoutSec=: the workers do not keep "
                              "up. Give them more time, or let tgswitchd take the rest with on-undrained=spool.",
                              b->pending_updates);
        bot_post(b, CUTOVER_DRAIN_FAILED);
}

static bool few_are_left(const DrainOperation *o)
{
        const Bot *b = o->base.bot;

        return b->record.job.on_undrained == ON_UNDRAINED_SPOOL && b->pending_updates <= DRAIN_FEW &&
               usec_sub(clock_boottime_usec(), o->began_usec) >= DRAIN_FEW_USEC;
}

static void on_source(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        DrainOperation *o = userdata;

        if (answer == SERVER_READY || answer == SERVER_UNKNOWN) {
                not_yet_drained(o, why);
        } else if (!server_waits_for_boot(o->base.bot, answer)) {
                bot_set_error(o->base.bot, "The local server died: %s", why);
                bot_post(o->base.bot, CUTOVER_SOURCE_DEAD);
        }
        o->server_call = server_call_free(o->server_call);
}

static void on_pending(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        DrainOperation *o = userdata;
        Bot *b = o->base.bot;
        _cleanup_free_ char *said = NULL;
        WebhookInfo info = {};
        bool nobody_there = reply->transport == BOTAPI_NOT_SENT && b->record.seat == SEAT_LOCAL;
        int r;

        r = botapi_webhook_info(reply, &info);
        if (r < 0)
                said = botapi_reply_describe(reply);
        o->call = botapi_call_free(o->call);
        if (nobody_there && server_call(b->manager, SERVER_START, on_source, o, &o->server_call) >= 0)
                return;
        if (r < 0) {
                not_yet_drained(o, said ?: "no memory");
                return;
        }
        b->pending_updates = info.pending_update_count;
        b->pending_updates_usec = clock_realtime_usec();
        webhook_info_done(&info);
        bot_changed(b);
        if (b->pending_updates == 0 || few_are_left(o))
                drained(b);
        else
                not_yet_drained(o, NULL);
}

static void ask_pending(DrainOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_pending, o, &o->call);
        if (r < 0)
                not_yet_drained(o, strerror(-r));
}

int op_drain_start(Bot *b, Operation **ret)
{
        DrainOperation *o;

        o = calloc(1, sizeof(DrainOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ drain_operation_free, b };
        o->wait_usec = DRAIN_FIRST_USEC;
        o->began_usec = clock_boottime_usec();
        o->deadline_usec = usec_add(o->began_usec, b->config ? b->config->drain_timeout_usec : 0);
        *ret = &o->base;
        /* Which takes the connection that check has left, so that the question waits for the other one. */
        warm_up_beside(b);
        ask_pending(o);
        return 0;
}

/* ---- hold ---- */

typedef struct HoldOperation {
        Operation base;
        ClockTimer *timer;
} HoldOperation;

static void hold_operation_free(Operation *op)
{
        HoldOperation *o = (HoldOperation *) op;

        clock_timer_free(o->timer);
        free(o);
}

static void on_hold_timer(void *userdata)
{
        HoldOperation *o = userdata;
        Bot *b = o->base.bot;

        o->timer = clock_timer_free(o->timer);
        bot_set_error(b,
                      "Nobody said 'tgswitchctl proceed %" PRIu32 "' within HoldTimeoutSec=. Start the cutover again.",
                      b->record.job.id);
        bot_post(b, CUTOVER_HOLD_TIMED_OUT);
}

int op_hold_start(Bot *b, Operation **ret)
{
        HoldOperation *o;
        int r;

        o = calloc(1, sizeof(HoldOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ hold_operation_free, b };
        r = clock_timer_new(&o->timer, b->manager->event, b->config ? b->config->hold_timeout_usec : 0, on_hold_timer,
                            o);
        if (r < 0) {
                free(o);
                return r;
        }
        *ret = &o->base;
        return 0;
}
