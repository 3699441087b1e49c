/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "manager/bot.h"

/* Whether the server of the bot's seat takes the token that this process was started with, and still has the bot's
 * webhook. For a token that was replaced: a server keeps queues by the bot's id and webhooks by its token (Client.cpp),
 * so the updates are there under the new one and the webhook is not. */

struct TokenCheck {
        Bot *bot;
        bool restore_webhook;
        Moment logged_in; /* on record before it */
        Moment noted;     /* since */
        token_check_handler_t handler;
        void *userdata;
        BotApiCall *call;
};

TokenCheck *token_check_free(TokenCheck *c)
{
        if (!c)
                return NULL;
        c->bot->n_checks--;
        botapi_call_free(c->call);
        free(c);
        return NULL;
}

static const char *const verdicts[TOKEN_VERDICT_MAX] = {
        [TOKEN_ACCEPTED] = "accepted",
        [TOKEN_REFUSED] = "refused",
        [TOKEN_UNKNOWN] = "unknown",
};

const char *token_verdict_to_string(TokenVerdict v)
{
        return v >= 0 && v < TOKEN_VERDICT_MAX ? verdicts[v] : NULL;
}

static const char *const webhooks[TOKEN_WEBHOOK_MAX] = {
        [TOKEN_WEBHOOK_UNKNOWN] = "unknown", [TOKEN_WEBHOOK_NONE] = "none", [TOKEN_WEBHOOK_THERE] = "there",
        [TOKEN_WEBHOOK_GONE] = "gone",       [TOKEN_WEBHOOK_SET] = "set",
};

const char *token_webhook_to_string(TokenWebhook w)
{
        return w >= 0 && w < TOKEN_WEBHOOK_MAX ? webhooks[w] : NULL;
}

/* Frees the check, by the hand of who began it. */
static void report(TokenCheck *c, TokenVerdict verdict, TokenWebhook webhook, const char *explanation)
{
        c->handler(verdict, webhook, explanation ?: "There is not enough memory. Free some, then try again.",
                   c->userdata);
}

static void on_webhook_set(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        TokenCheck *c = userdata;
        bool good = botapi_is_true(reply);
        _cleanup_free_ char *said = botapi_reply_describe(reply), *sentence = NULL;

        c->call = botapi_call_free(c->call);
        if (!good && asprintf(&sentence, "The webhook could not be set again at the %s server: %s.",
                              seat_to_string(c->bot->record.seat), said ?: "no memory") < 0)
                sentence = NULL;
        report(c, TOKEN_ACCEPTED, good ? TOKEN_WEBHOOK_SET : TOKEN_WEBHOOK_GONE, good ? "" : sentence);
}

static int set_webhook(TokenCheck *c)
{
        Bot *b = c->bot;
        json_object *arguments;
        int r = -ENOMEM;

        if (bot_lacks_webhook_credentials(b)) {
                report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_GONE, b->error);
                return 0;
        }
        arguments = bot_set_webhook_arguments(b, b->record.seat);
        if (arguments)
                r = bot_call(b, b->record.seat, BOTAPI_SET_WEBHOOK, arguments, 0, NULL, on_webhook_set, c, &c->call);
        json_object_put(arguments);
        return r;
}

static void on_webhook_info(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        TokenCheck *c = userdata;
        bool on_record = !isempty(c->bot->record.webhook.url), there;
        WebhookInfo info = {};

        if (botapi_webhook_info(reply, &info) < 0) {
                c->call = botapi_call_free(c->call);
                report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_UNKNOWN, "");
                return;
        }
        there = !isempty(info.settings.url);
        webhook_info_done(&info);
        c->call = botapi_call_free(c->call);
        if (there)
                report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_THERE, "");
        else if (!on_record)
                report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_NONE, "");
        else if (!c->restore_webhook)
                report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_GONE, "");
        else if (set_webhook(c) < 0)
                report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_GONE, NULL);
}

static void on_get_me(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        TokenCheck *c = userdata;
        Bot *b = c->bot;
        LogInOutcome outcome = botapi_login_outcome(reply, bot_token_id(b->token));
        _cleanup_free_ char *said = botapi_reply_describe(reply), *sentence = NULL;

        c->call = botapi_call_free(c->call);
        if (outcome == LOGIN_OUTCOME_OK) {
                if (bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_webhook_info, c, &c->call) <
                    0)
                        report(c, TOKEN_ACCEPTED, TOKEN_WEBHOOK_UNKNOWN, "");
                return;
        }
        if (asprintf(&sentence, "The %s server %s: %s.", seat_to_string(b->record.seat),
                     outcome == LOGIN_OUTCOME_REFUSED ? "does not accept the token"
                                                      : "did not say that it takes the token",
                     said ?: "no memory") < 0)
                sentence = NULL;
        /* No session has begun with it. Whoever has written there since knows of another one. */
        if (outcome == LOGIN_OUTCOME_REFUSED && b->record.logged_in.boottime_usec == c->noted.boottime_usec) {
                b->record.logged_in = c->logged_in;
                bot_record_aside(b);
        }
        report(c, outcome == LOGIN_OUTCOME_REFUSED ? TOKEN_REFUSED : TOKEN_UNKNOWN, TOKEN_WEBHOOK_UNKNOWN, sentence);
}

/* A session belongs to a token, and this may be the first request with it: logged out soon, it locks for as long as a
 * young one does. Said before the request goes, whose answer may be lost. Where the token is the old one, the next
 * window is longer than it need be, and no harm is done. */
static void note_new_session(Bot *b)
{
        Moment now;

        if (clock_moment(&now) < 0)
                now = (Moment){ .boottime_usec = 1 }; /* of no boot that anybody knows: young for good */
        b->record.logged_in = now;
        bot_record_aside(b);
}

AskResult bot_check_token(Bot *b, bool restore_webhook, token_check_handler_t handler, void *userdata, TokenCheck **ret,
                          char **ret_message)
{
        AskResult result = bot_usable(b, ret_message);
        Seat seat = b->record.seat;
        TokenCheck *c;
        int r;

        if (result != ASK_OK)
                return result;
        if (bot_job_running(b) || (seat != SEAT_CLOUD && seat != SEAT_LOCAL))
                return ask_answer(
                                ASK_NOT_SETTLED, ret_message,
                                "%s has no settled seat, so no server can be asked about its token now: see 'tgswitchctl "
                                "status %s'.",
                                b->name, b->name);
        c = calloc(1, sizeof(TokenCheck));
        if (!c)
                return ask_answer(ASK_FAILED, ret_message, "There is not enough memory. Free some, then try again.");
        *c = (TokenCheck){
                .bot = b,
                .restore_webhook = restore_webhook,
                .logged_in = b->record.logged_in,
                .handler = handler,
                .userdata = userdata,
        };
        /* As long as it runs no cutover begins. */
        b->n_checks++;
        note_new_session(b);
        c->noted = b->record.logged_in;
        r = bot_call(b, seat, BOTAPI_GET_ME, NULL, 0, NULL, on_get_me, c, &c->call);
        if (r < 0) {
                token_check_free(c);
                return ask_answer(ASK_FAILED, ret_message, "There is not enough memory. Free some, then try again.");
        }
        *ret = c;
        return ASK_OK;
}
