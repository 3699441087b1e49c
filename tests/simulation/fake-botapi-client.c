/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "daemon.h"
#include "judge.h"

/* io/botapi-client.h: the daemon's requests. The replies are given to the real parser as the bytes that a server would
 * send. */

struct BotApiClient {
        unsigned n_calls;
        botapi_observer_t observer;
        void *observer_userdata;
        usec_t used_usec[SIDE_MAX]; /* a connection rests since */
        sd_event *event;
};

struct BotApiCall {
        BotApiClient *client;
        BotApiMethod method;
        int tag;
        Request *request;
        bool connected;
        botapi_sent_handler_t sent;
        botapi_reply_handler_t handler;
        void *userdata;
        usec_t sent_usec, replied_usec;
        bool reused;
        usec_t timeout_usec;
        Event *event; /* connecting, or being refused */
        Event *deadline;
};

static const struct {
        const char *name;
        usec_t timeout_usec;
} methods[BOTAPI_METHOD_MAX] = {
        [BOTAPI_GET_ME] = { "getMe", 20 * USEC_PER_SEC },
        [BOTAPI_GET_WEBHOOK_INFO] = { "getWebhookInfo", 15 * USEC_PER_SEC },
        [BOTAPI_GET_UPDATES] = { "getUpdates", 20 * USEC_PER_SEC },
        [BOTAPI_DELETE_WEBHOOK] = { "deleteWebhook", 20 * USEC_PER_SEC },
        [BOTAPI_SET_WEBHOOK] = { "setWebhook", 30 * USEC_PER_SEC },
        [BOTAPI_LOG_OUT] = { "logOut", 20 * USEC_PER_SEC },
        [BOTAPI_NAMED] = { "sendMessage", 20 * USEC_PER_SEC },
};

const char *botapi_method_to_string(BotApiMethod m)
{
        return methods[m].name;
}

usec_t botapi_method_timeout_usec(BotApiMethod m)
{
        return methods[m].timeout_usec;
}

/* ---- bytes ---- */

static int print_updates(char *body, size_t size, const Reply *reply)
{
        int n = snprintf(body, size, "{\"ok\":true,\"result\":[");

        for (unsigned i = 0; i < reply->n_updates; i++)
                n += snprintf(body + n, size - (size_t) n,
                              "%s{\"update_id\":%" PRIi64 ",\"message\":{\"message_id\":%u}}", i > 0 ? "," : "",
                              reply->first_id + i, reply->updates[i]);
        return n + snprintf(body + n, size - (size_t) n, "]}");
}

static int print_webhook(char *body, size_t size, const Request *rq, const Reply *reply)
{
        char error[96] = "";

        if (reply->last_error_usec > 0)
                snprintf(error, sizeof(error), ",\"last_error_date\":%" PRIu64 ",\"last_error_message\":\"refused\"",
                         (reply->last_error_usec + SIM_EPOCH_USEC) / USEC_PER_SEC);
        return snprintf(body, size,
                        "{\"ok\":true,\"result\":{\"url\":\"%s%s\",\"has_custom_certificate\":%s,"
                        "\"pending_update_count\":%u%s}}",
                        reply->webhook ? "https://bots.example/" : "", reply->webhook ? rq->bot->token : "",
                        reply->webhook && rq->bot->sends_certificate ? "true" : "false", reply->pending, error);
}

static int print_body(char *body, size_t size, const Request *rq, const Reply *reply)
{
        switch (reply->kind) {
        case REPLY_TRUE:
                return snprintf(body, size, "{\"ok\":true,\"result\":true}");
        case REPLY_ME:
                return snprintf(body, size, "{\"ok\":true,\"result\":{\"id\":%" PRIi64 ",\"is_bot\":true}}",
                                rq->bot->id);
        case REPLY_WEBHOOK_INFO:
                return print_webhook(body, size, rq, reply);
        case REPLY_UPDATES:
                return print_updates(body, size, reply);
        case REPLY_ERROR:
                if (reply->retry_after == 0)
                        return snprintf(body, size, "{\"ok\":false,\"error_code\":%d,\"description\":\"%s\"}",
                                        reply->status, reply->description);
                return snprintf(body, size,
                                "{\"ok\":false,\"error_code\":%d,\"description\":\"%s\",\"parameters\":"
                                "{\"retry_after\":%u}}",
                                reply->status, reply->description, reply->retry_after);
        default:
                return snprintf(body, size, "<html><head><title>Bad Gateway</title></head></html>");
        }
}

/* ---- the way there and back ---- */

static void finish(BotApiCall *call, BotApiReply *reply)
{
        call->event = timeline_cancel(call->event);
        call->deadline = timeline_cancel(call->deadline);
        if (call->request) {
                if (reply->transport == BOTAPI_REPLIED) {
                        call->request->abandoned = true;
                } else {
                        judge_replied(call->request, NULL, reply->transport == BOTAPI_LOST);
                        request_abandon(call->request);
                }
                call->request = request_unref(call->request);
        }
        call->replied_usec = world_boottime_usec();
        daemon_touch();
        if (call->client->observer)
                call->client->observer(call->method, call->tag, reply, call->client->observer_userdata);
        call->handler(call, reply, call->userdata);
        botapi_reply_done(reply);
}

static void finish_without(BotApiCall *call, const char *why)
{
        BotApiReply reply = {
                .transport = call->connected ? BOTAPI_LOST : BOTAPI_NOT_SENT,
                .transport_error = strdup(why),
        };

        trace("%s: %s, %s", botapi_method_to_string(call->request->method), why, call->connected ? "lost" : "not sent");
        finish(call, &reply);
}

static void on_replied(Request *rq, const Reply *made)
{
        static char body[REPLY_UPDATES_MAX * 80];
        BotApiCall *call = rq->sender;
        BotApiReply reply;
        int n;

        if (!made) {
                finish_without(call, "the connection was reset");
                return;
        }
        n = print_body(body, sizeof(body), rq, made);
        assert(n > 0 && (size_t) n < sizeof(body));
        if (botapi_reply_parse(made->status, body, (size_t) n, -1, &reply) < 0)
                abort();
        /* A webhook's URL has the token. */
        trace("%s: %d %.80s", botapi_method_to_string(rq->method), made->status,
              made->webhook ? "a webhook is set" : body);
        call->client->used_usec[rq->side] = timeline_now();
        judge_replied(rq, made, true);
        finish(call, &reply);
}

static void on_deadline(void *userdata)
{
        BotApiCall *call = userdata;

        call->deadline = NULL;
        finish_without(call, "it took too long");
}

static void on_refused(void *userdata)
{
        BotApiCall *call = userdata;

        call->event = NULL;
        finish_without(call, "the connection was refused");
}

static void on_connected(void *userdata)
{
        BotApiCall *call = userdata;

        call->event = NULL;
        call->connected = true;
        daemon_touch();
        if (daemon_dies_here("before a request"))
                return;
        call->sent_usec = world_boottime_usec();
        request_send(call->request);
        if (!daemon_dies_here("behind a request") && call->sent)
                call->sent(call, call->userdata);
}

static void connect_soon(BotApiCall *call)
{
        Side side = call->request->side;
        usec_t rests = usec_sub(timeline_now(), call->client->used_usec[side]);
        bool refused;
        usec_t delay;

        call->reused = call->client->used_usec[side] > 0 && rests < 30 * USEC_PER_SEC;
        delay = network_connect_usec(side, call->reused, &refused);
        if (delay != USEC_INFINITY)
                call->event = timeline_add(delay, PLACE_HOST, refused ? on_refused : on_connected, call);
        call->deadline = timeline_add(call->timeout_usec, PLACE_HOST, on_deadline, call);
}

/* ---- io/botapi-client.h ---- */

int botapi_client_new(BotApiClient **ret, sd_event *event)
{
        BotApiClient *c = calloc(1, sizeof(BotApiClient));

        if (!c)
                return -ENOMEM;
        *ret = c;
        return 0;
}

void botapi_client_observe(BotApiClient *c, botapi_observer_t observer, void *userdata)
{
        c->observer = observer;
        c->observer_userdata = userdata;
}

int botapi_client_new_beside(BotApiClient **ret, BotApiClient *other)
{
        return botapi_client_new(ret, NULL);
}

void botapi_client_hang_up(BotApiClient *c)
{
}

BotApiClient *botapi_client_free(BotApiClient *c)
{
        assert(!c || c->n_calls == 0);
        free(c);
        return NULL;
}

static SimBot *bot_of_token(const BotToken *token)
{
        for (size_t i = 0; token && i < world.n_bots; i++)
                if (streq(world.bots[i].token, bot_token_reveal(token)))
                        return &world.bots[i];
        return NULL;
}

static void take_arguments(Request *rq, json_object *arguments)
{
        json_object *value;

        if (!arguments)
                return;
        if (json_object_object_get_ex(arguments, "offset", &value))
                rq->offset = json_object_get_int64(value);
        if (json_object_object_get_ex(arguments, "limit", &value))
                rq->limit = (unsigned) json_object_get_int(value);
        if (json_object_object_get_ex(arguments, "timeout", &value))
                rq->timeout_sec = (unsigned) json_object_get_int(value);
}

int botapi_call(BotApiClient *c, const BotApiRequest *request, botapi_sent_handler_t sent,
                botapi_reply_handler_t handler, void *userdata, BotApiCall **ret)
{
        SimBot *b = bot_of_token(request->token);
        int r = refusal(REFUSABLE_REQUEST);
        BotApiCall *call;

        if (r < 0)
                return r;
        call = calloc(1, sizeof(BotApiCall));
        if (!call)
                return -ENOMEM;
        judge_called(b, request);
        c->n_calls++;
        *call = (BotApiCall){
                .client = c,
                .method = request->method,
                .tag = request->tag,
                .sent = sent,
                .handler = handler,
                .userdata = userdata,
        };
        call->timeout_usec = request->timeout_usec
                                             ?: request->token ? methods[request->method].timeout_usec
                                                               : 5 * USEC_PER_SEC;
        call->request = request_new(b, streq(request->root, CLOUD_ROOT) ? SIDE_CLOUD : SIDE_LOCAL, request->method);
        call->request->daemon = true;
        call->request->unknown_token = request->token && !b;
        call->request->replied = on_replied;
        call->request->sender = call;
        call->request->get = !request->arguments;
        take_arguments(call->request, request->arguments);
        *ret = call;
        if (!daemon_dies_here("a call"))
                connect_soon(call);
        return 0;
}

BotApiCall *botapi_call_free(BotApiCall *call)
{
        if (!call)
                return NULL;
        timeline_cancel(call->event);
        timeline_cancel(call->deadline);
        if (call->request) {
                if (call->request->sent_usec > 0)
                        judge_abandoned(call->request);
                request_abandon(call->request);
                request_unref(call->request);
        }
        call->client->n_calls--;
        free(call);
        return NULL;
}

usec_t botapi_call_sent_usec(const BotApiCall *call)
{
        return call->sent_usec;
}

usec_t botapi_call_replied_usec(const BotApiCall *call)
{
        return call->replied_usec;
}

bool botapi_call_reused_connection(const BotApiCall *call)
{
        return call->reused;
}
