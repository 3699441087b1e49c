/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "core/webhook-rules.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* After logOut: log in at the target, set the webhook again, publish the endpoint. Forward only: what fails is tried
 * again by the table's timer, and the reason is published. */

/* ---- log-in ---- */

typedef struct LogInOperation {
        Operation base;
        BotApiCall *call;
        UnitCall *unit_call;
} LogInOperation;

static void log_in_operation_free(Operation *op)
{
        LogInOperation *o = (LogInOperation *) op;

        botapi_call_free(o->call);
        unit_call_free(o->unit_call);
        free(o);
}

/* How long at least until the next attempt is worth it: the server remembers some refusals, and an attempt that it
 * holds pending is not helped by a second one. */
static usec_t log_in_wait_usec(LogInOutcome outcome, const BotApiReply *reply)
{
        if (reply->retry_after_usec > 0)
                return reply->retry_after_usec;
        switch (outcome) {
        case LOGIN_OUTCOME_API_ID:
        case LOGIN_OUTCOME_REFUSED:
        case LOGIN_OUTCOME_MISDIRECTED:
        case LOGIN_OUTCOME_OTHER_BOT:
                return 10 * USEC_PER_SEC;
        case LOGIN_OUTCOME_LOGGED_OUT:
                return 5 * USEC_PER_SEC;
        default:
                return 0; /* the state's own backoff */
        }
}

static void on_server_started(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        LogInOperation *o = userdata;
        Bot *b = o->base.bot;

        if (result != UNIT_JOB_DONE)
                bot_set_error(b,
                              "The bot is logged out and waits for the local server, but %s does not start (%s). "
                              "%s%sSee 'systemctl status %s'.",
                              b->manager->config->server_unit, unit_job_result_to_string(result), error ?: "",
                              error ? ". " : "", b->manager->config->server_unit);
        o->unit_call = unit_call_free(o->unit_call);
        bot_post(b, CUTOVER_LOGIN_FAILED);
}

/* The cloud takes a bot back ten minutes after its logOut, by its own clock and in its own opinion of that time. */
#define TOO_EARLY_FIRST_USEC   (60 * USEC_PER_SEC)
#define TOO_EARLY_LONGEST_USEC (10 * USEC_PER_MIN)

static bool too_early(Bot *b, LogInOutcome outcome)
{
        usec_t wait = usec_backoff(TOO_EARLY_FIRST_USEC, TOO_EARLY_LONGEST_USEC, b->retries);

        if (b->record.job.target != SEAT_CLOUD ||
            (outcome != LOGIN_OUTCOME_LOGGED_OUT && outcome != LOGIN_OUTCOME_FLOOD))
                return false;
        /* What the server says counts; where it only says no, our guess. */
        if (outcome == LOGIN_OUTCOME_LOGGED_OUT)
                b->retry_after_usec = MAX(b->retry_after_usec, wait);
        return true;
}

/* Nothing listens there: after a reboot nobody but us may have a reason to start it. */
static int start_server(LogInOperation *o)
{
        Manager *m = o->base.bot->manager;

        return unit_client_job(m->units, m->config->server_unit, UNIT_START, m->config->server_start_timeout_usec,
                               on_server_started, o, &o->unit_call);
}

static void on_get_me(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        LogInOperation *o = userdata;
        Bot *b = o->base.bot;
        LogInOutcome outcome = botapi_login_outcome(reply, bot_token_id(b->token));
        bool nobody_there = reply->transport == BOTAPI_NOT_SENT && b->record.job.target == SEAT_LOCAL;
        _cleanup_free_ char *said = NULL;

        if (outcome == LOGIN_OUTCOME_OK) {
                o->call = botapi_call_free(o->call);
                bot_set_error(b, NULL);
                bot_post(b, CUTOVER_LOGGED_IN);
                return;
        }
        said = botapi_reply_describe(reply);
        /* Where nobody is there, what became of the unit's start says more, and stays until something else is known. */
        if (!nobody_there || !b->error)
                bot_set_error(b, "The bot is logged out, and the %s server has not logged it in yet: %s. %s",
                              seat_to_string(b->record.job.target), said ?: "no memory", login_outcome_advice(outcome));
        if (b->retries == 0)
                bot_log_event(b, LOG_WARNING, LOG_EVENT_LOGIN_REFUSED, "%s", b->error ?: "no memory");
        b->retry_after_usec = log_in_wait_usec(outcome, reply);
        o->call = botapi_call_free(o->call);
        if (nobody_there && start_server(o) >= 0)
                return;
        bot_post(b, too_early(b, outcome) ? CUTOVER_LOGIN_TOO_EARLY : CUTOVER_LOGIN_FAILED);
}

static void on_login_sent(BotApiCall *call, void *userdata)
{
        LogInOperation *o = userdata;

        o->base.bot->login_sent = true;
}

/* After a reboot with a clock that nobody trusts, a window that was over counts anew. */
static bool wait_for_window(Bot *b)
{
        usec_t left = b->record.job.target == SEAT_CLOUD ? bot_window_left(b, SEAT_CLOUD) : 0;
        char when[WHEN_MAX];

        if (left == 0)
                return false;
        bot_set_error(b, "The bot is logged out, and the cloud does not take it back before %s.",
                      format_when(when, left));
        b->retry_after_usec = left;
        bot_post(b, CUTOVER_LOGIN_FAILED);
        return true;
}

int op_log_in_start(Bot *b, Operation **ret)
{
        usec_t timeout = b->config ? b->config->log_in_timeout_usec : 0;
        LogInOperation *o;
        int r;

        if (wait_for_window(b))
                return 0;
        o = calloc(1, sizeof(LogInOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ log_in_operation_free, b };
        r = bot_call(b, b->record.job.target, BOTAPI_GET_ME, NULL, timeout, on_login_sent, on_get_me, o, &o->call);
        if (r < 0) {
                free(o);
                return r;
        }
        if (b->record.job.target == SEAT_CLOUD)
                manager_pace_login(b->manager);
        *ret = &o->base;
        return 0;
}

/* ---- webhook ---- */

typedef struct WebhookOperation {
        Operation base;
        Seat seat;
        CutoverEvent good, bad;
        BotApiCall *call;
        DiskJob *disk_job;
        ServerCall *server_call;
} WebhookOperation;

static void webhook_operation_free(Operation *op)
{
        WebhookOperation *o = (WebhookOperation *) op;

        botapi_call_free(o->call);
        disk_job_free(o->disk_job);
        server_call_free(o->server_call);
        free(o);
}

/* The settings that getWebhookInfo told, and what it does not tell: the secret here, the certificate in bot_call().
 *
 * Its ip_address is not among them. It is where the server delivers, whether the bot asked for that address or the
 * server has looked it up, and cannot be told apart: to set it would nail every webhook to an address that its name may
 * leave. allowed_updates are left out of it where they are the default, and left out of setWebhook they would stay as
 * they are: an empty list is the default. drop_pending_updates is not sent: L6. */
json_object *bot_set_webhook_arguments(const Bot *b, Seat seat)
{
        const WebhookSettings *s = &b->record.webhook;
        int connections = webhook_connections(s->max_connections, server_is_in_local_mode(b->manager->config, seat));
        const char *pin = b->config ? b->config->webhook_ip_address : NULL;
        _cleanup_wipe_ char *url = bot_token_expand(b->token, s->url);
        json_object *arguments = url ? json_object_new_object() : NULL;

        if (!arguments)
                return NULL;
        json_object_object_add(arguments, "url", json_object_new_string(url));
        if (pin && !streq(pin, WEBHOOK_ADDRESS_BY_DNS))
                json_object_object_add(arguments, "ip_address", json_object_new_string(pin));
        if (connections > 0)
                json_object_object_add(arguments, "max_connections", json_object_new_int(connections));
        json_object_object_add(arguments, "allowed_updates",
                               s->allowed_updates ? json_object_get(s->allowed_updates) : json_object_new_array());
        if (b->webhook_secret && b->config && b->config->webhook_has_secret)
                json_object_object_add(arguments, "secret_token", json_object_new_string(b->webhook_secret));
        return arguments;
}

/* Nobody is there to be told. Where the bot may leave a dead server by itself, it does. */
static void on_server(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        WebhookOperation *o = userdata;
        Bot *b = o->base.bot;
        bool dead = answer == SERVER_FAILED && o->good == CUTOVER_SOURCE_RESTORED && bot_may_fall_back(b) &&
                    b->record.job.target == SEAT_CLOUD && bot_window_left(b, SEAT_CLOUD) == 0;

        o->server_call = server_call_free(o->server_call);
        if (server_waits_for_boot(b, answer))
                return;
        bot_post(b, dead ? CUTOVER_SOURCE_DEAD : o->bad);
}

static void on_webhook_set(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        WebhookOperation *o = userdata;
        Bot *b = o->base.bot;
        _cleanup_free_ char *said = NULL;
        bool good = botapi_is_true(reply), nobody_there;

        if (good) {
                bot_set_error(b, NULL);
        } else if (o->good == CUTOVER_SOURCE_RESTORED && reply->envelope && reply->error_code == 401) {
                /* Rolled back since the token was revoked: there is no bot any more whose webhook could be set. */
                bot_log_event(b, LOG_WARNING, LOG_EVENT_TOKEN_UNUSABLE,
                              "The webhook was not set again, because the token is revoked: store the new one with "
                              "'tgswitchctl set-token %s --webhook'.",
                              b->name);
                good = true;
        } else {
                said = botapi_reply_describe(reply);
                bot_set_error(b, "The webhook could not be set again at the %s server: %s. It is tried again.",
                              seat_to_string(o->seat), said ?: "no memory");
                b->retry_after_usec = reply->retry_after_usec;
        }
        nobody_there = reply->transport != BOTAPI_REPLIED && o->seat == SEAT_LOCAL;
        o->call = botapi_call_free(o->call);
        if (nobody_there && server_call(b->manager, SERVER_START, on_server, o, &o->server_call) >= 0)
                return;
        bot_post(b, good ? o->good : o->bad);
}

/* They were there when the checks were made, maybe in another process. Without its secret the bot would refuse every
 * update, and without the certificate the server would deliver none. */
bool bot_lacks_webhook_credentials(Bot *b)
{
        if (b->config && b->config->webhook_has_secret && !b->webhook_secret)
                bot_set_error(b,
                              "The webhook is not set again without its secret: put it back into /etc/tgswitch/secrets/%s "
                              "and run 'systemctl restart tgswitchd'.",
                              b->name);
        else if (b->record.webhook.has_custom_certificate && !b->webhook_certificate)
                bot_set_error(b,
                              "The webhook is not set again without its certificate: put it back into "
                              "/etc/tgswitch/certificates/%s and run 'systemctl restart tgswitchd'.",
                              b->name);
        else
                return false;
        return true;
}

static int webhook_set(WebhookOperation *o)
{
        Bot *b = o->base.bot;
        json_object *arguments;
        int r = -ENOMEM;

        if (bot_lacks_webhook_credentials(b)) {
                if (b->retries == 0)
                        bot_log_event(b, LOG_ERR, LOG_EVENT_WEBHOOK_SECRET_UNUSABLE, "%s", b->error ?: "no memory");
                bot_post(b, o->bad);
                return 0;
        }
        arguments = bot_set_webhook_arguments(b, o->seat);
        if (arguments)
                r = bot_call(b, o->seat, BOTAPI_SET_WEBHOOK, arguments, 0, NULL, on_webhook_set, o, &o->call);
        json_object_put(arguments);
        return r;
}

static int webhook_operation_new(Bot *b, Seat seat, CutoverEvent good, CutoverEvent bad, WebhookOperation **ret)
{
        WebhookOperation *o = calloc(1, sizeof(WebhookOperation));

        if (!o)
                return -ENOMEM;
        *o = (WebhookOperation){
                .base = { webhook_operation_free, b },
                .seat = seat,
                .good = good,
                .bad = bad,
        };
        *ret = o;
        return 0;
}

int op_restore_webhook_start(Bot *b, Operation **ret)
{
        WebhookOperation *o;
        int r;

        if (isempty(b->record.webhook.url)) {
                bot_post(b, CUTOVER_WEBHOOK_RESTORED);
                return 0;
        }
        r = webhook_operation_new(b, b->record.job.target, CUTOVER_WEBHOOK_RESTORED, CUTOVER_WEBHOOK_NOT_RESTORED, &o);
        if (r < 0)
                return r;
        *ret = &o->base;
        return webhook_set(o);
}

/* ---- restore-source: what the way here changed besides the workers ---- */

static void on_discarded(DiskJob *job, int r, void *userdata)
{
        WebhookOperation *o = userdata;
        Bot *b = o->base.bot;

        o->disk_job = disk_job_free(o->disk_job);
        if (r >= 0)
                r = handover_prepare(b);
        if (r >= 0) {
                r = b->record.webhook_deleted && !isempty(b->record.webhook.url) ? webhook_set(o) : 1;
                if (r == 0)
                        return;
        }
        if (r < 0) {
                errno = -r;
                bot_set_error(b, "The roll-back could not go on: %m. It is tried again.");
        }
        bot_post(b, r < 0 ? o->bad : o->good);
}

int op_restore_source_start(Bot *b, Operation **ret)
{
        WebhookOperation *o;
        int r;

        late_poll_drop(b);
        server_release(b);
        r = webhook_operation_new(b, b->record.seat, CUTOVER_SOURCE_RESTORED, CUTOVER_SOURCE_NOT_RESTORED, &o);
        if (r < 0)
                return r;
        *ret = &o->base;
        /* The workers get from the server itself what it has not been told to forget; twice would be once too often.
         * All that is in the spool came from this server: check lets no cutover begin with updates of an earlier one.
         */
        return spool_discard_from(b->spool, b->record.confirmed_offset, on_discarded, o, &o->disk_job);
}

/* ---- publish ---- */

typedef struct PublishOperation {
        Operation base;
} PublishOperation;

static void publish_operation_free(Operation *op)
{
        op->bot->late_poll_waiter = NULL;
        op->bot->part_waiter = NULL;
        free(op);
}

static void on_part_ready(Bot *b, int r)
{
        b->part_waiter = NULL;
        if (r < 0) {
                errno = -r;
                bot_set_error(b, "The spooled updates could not be read: %m. It is tried again.");
        }
        bot_post(b, r < 0 ? CUTOVER_NOT_PUBLISHED : CUTOVER_PUBLISHED);
}

/* All that was spooled is on disk: now it can be read for the credential, and the endpoint be written. */
static void publish(Bot *b)
{
        int r;

        b->late_poll_waiter = NULL;
        r = publish_environment(b, b->record.seat);
        if (r >= 0) {
                b->part_waiter = on_part_ready;
                r = handover_prepare(b);
        }
        if (r < 0) {
                errno = -r;
                bot_set_error(b, "The endpoint could not be published: %m. It is tried again.");
                bot_post(b, CUTOVER_NOT_PUBLISHED);
        }
}

int op_publish_start(Bot *b, Operation **ret)
{
        PublishOperation *o;

        o = calloc(1, sizeof(PublishOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ publish_operation_free, b };
        *ret = &o->base;
        if (late_poll_pending(b))
                b->late_poll_waiter = publish;
        else
                publish(b);
        return 0;
}
