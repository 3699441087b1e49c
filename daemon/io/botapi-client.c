/* SPDX-License-Identifier: MIT */

#include <curl/curl.h>
#include <stdio.h>

#include "io/botapi-client.h"
#include "io/botapi-form.h"
#include "io/clock.h"
#include "io/curl-glue.h"
#include "io/curl-pool.h"
#include "io/curl-reply.h"

#define NOBODY_TOKEN       "0:x"
#define PROBE_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define END_OF_HEADERS     UINT32_C(0x0d0a0d0a) /* CR LF CR LF */

typedef struct MethodFacts {
        const char *name;
        usec_t timeout_usec;
        size_t reply_size_max;
} MethodFacts;

/* The server itself ends a reply to getUpdates at 4 MiB. */
static const MethodFacts method_facts[BOTAPI_METHOD_MAX] = {
        [BOTAPI_GET_ME] = { "getMe", 20 * USEC_PER_SEC, 256 * 1024 },
        [BOTAPI_GET_WEBHOOK_INFO] = { "getWebhookInfo", 15 * USEC_PER_SEC, 256 * 1024 },
        [BOTAPI_GET_UPDATES] = { "getUpdates", 15 * USEC_PER_SEC, 8 * 1024 * 1024 },
        [BOTAPI_DELETE_WEBHOOK] = { "deleteWebhook", 30 * USEC_PER_SEC, 256 * 1024 },
        [BOTAPI_SET_WEBHOOK] = { "setWebhook", 30 * USEC_PER_SEC, 256 * 1024 },
        [BOTAPI_LOG_OUT] = { "logOut", 40 * USEC_PER_SEC, 256 * 1024 },
        [BOTAPI_NAMED] = { "another method", 20 * USEC_PER_SEC, 256 * 1024 },
};

/* A connection that has rested longer is not used again: the older it is, the likelier the server closes it just when a
 * logOut goes there, and then nobody knows whether it was applied. */
#define REST_MAX_SEC 30

/* What all clients of one event loop have together. */
typedef struct BotApiEngine {
        unsigned n_clients;
        CurlGlue *glue;
        sd_event_source *turn; /* a callback is due; enabled as long as `due` is not empty */
        struct curl_slist *json_headers, *form_headers;
        BotApiCall *due_first, *due_last;
        CurlPools pools;
} BotApiEngine;

struct BotApiClient {
        BotApiEngine *engine;
        CurlPool connections;
        botapi_observer_t observer;
        void *observer_userdata;
};

struct BotApiCall {
        BotApiClient *client;
        BotApiMethod method;
        int tag;
        CURL *easy; /* NULL: over */
        char *url;
        const char *token; /* within url */
        size_t token_size;
        char *body; /* of the request; NULL: GET, or a form */
        size_t body_size;
        curl_mime *form;

        bool connected; /* a connection has been given the request: from here on it may arrive */
        bool reused_connection;
        bool repeat_refused;
        bool answer_was_there;
        uint32_t headers_tail; /* the last four bytes written of the request's header lines */
        size_t body_written;
        usec_t sent_usec;

        CurlReply raw;
        BotApiReply reply;
        usec_t replied_usec;
        ReplyCount *count; /* NULL: nowhere, or it has been */

        bool due, sent_told;
        BotApiCall *due_previous, *due_next;
        botapi_sent_handler_t sent_handler;
        botapi_reply_handler_t reply_handler;
        void *userdata;
};

const char *botapi_method_to_string(BotApiMethod m)
{
        return m >= 0 && m < BOTAPI_METHOD_MAX ? method_facts[m].name : NULL;
}

usec_t botapi_method_timeout_usec(BotApiMethod m)
{
        assert(m >= 0 && m < BOTAPI_METHOD_MAX);
        return method_facts[m].timeout_usec;
}

/* ---- callbacks that are due: from the event loop, one a turn ---- */

static void call_set_due(BotApiCall *call)
{
        BotApiEngine *e = call->client->engine;

        if (call->due)
                return;
        call->due = true;
        call->due_previous = e->due_last;
        call->due_next = NULL;
        if (e->due_last)
                e->due_last->due_next = call;
        else
                e->due_first = call;
        e->due_last = call;

        /* Can't fail: the source exists, and a defer source needs nothing of the kernel. */
        (void) sd_event_source_set_enabled(e->turn, SD_EVENT_ON);
}

static void call_unset_due(BotApiCall *call)
{
        BotApiEngine *e = call->client->engine;

        if (!call->due)
                return;
        call->due = false;
        if (call->due_previous)
                call->due_previous->due_next = call->due_next;
        else
                e->due_first = call->due_next;
        if (call->due_next)
                call->due_next->due_previous = call->due_previous;
        else
                e->due_last = call->due_previous;

        if (!e->due_first)
                (void) sd_event_source_set_enabled(e->turn, SD_EVENT_OFF);
}

/* Runs one callback and touches nothing of ours after it, for it may free any call, and the client. */
static int on_turn(sd_event_source *source, void *userdata)
{
        BotApiEngine *e = userdata;
        BotApiCall *call = e->due_first;
        bool over = !call->easy;

        if (call->sent_usec > 0 && !call->sent_told) {
                call->sent_told = true;
                if (!over)
                        call_unset_due(call);
                if (call->sent_handler)
                        call->sent_handler(call, call->userdata);
                return 0;
        }

        BotApiReply reply = call->reply;
        call->reply = (BotApiReply){};
        call_unset_due(call);
        if (call->count)
                reply_count_note(TAKE_PTR(call->count), &reply);
        if (call->client->observer)
                call->client->observer(call->method, call->tag, &reply, call->client->observer_userdata);
        call->reply_handler(call, &reply, call->userdata);
        botapi_reply_done(&reply);
        return 0;
}

/* ---- callbacks of libcurl: they note what happened ---- */

/* Called when a connection stands, TLS included, right before the request goes there; and called again when
 * libcurl is about to repeat the request on a fresh connection, because a kept one was closed without a
 * reply (CURLOPT_PREREQFUNCTION(3)). */
static int on_curl_connected(void *userdata, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
        BotApiCall *call = userdata;
        long n_connects = 0;

        if (call->connected) {
                call->repeat_refused = true;
                return CURL_PREREQFUNC_ABORT;
        }

        (void) curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &n_connects);
        call->reused_connection = n_connects == 0;
        /* A second reply to an earlier request would be taken for the reply to this one: a bot that seems to be logged
         * out, and is not. Over TLS it may as well be the other end's farewell, after which nothing should go there
         * either. This closes the connection. */
        call->answer_was_there = curl_sockets_answer_is_there(&call->client->connections.sockets, call->easy,
                                                              local_port, remote_port);
        if (call->answer_was_there)
                return CURL_PREREQFUNC_ABORT;

        call->connected = true;
        return CURL_PREREQFUNC_OK;
}

static bool sent_whole(BotApiCall *call)
{
        curl_off_t size = (curl_off_t) call->body_size;

        if (call->headers_tail != END_OF_HEADERS)
                return false;
        /* libcurl makes the form's boundaries, so its size is libcurl's to tell: known once the headers are written. */
        if (call->form && curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_UPLOAD_T, &size) != CURLE_OK)
                return false;
        return size >= 0 && call->body_written == (size_t) size;
}

/* The only way to hear what has been written (CURLOPT_DEBUGFUNCTION(3)). It looks for the end and keeps
 * nothing. */
static int on_curl_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *userdata)
{
        BotApiCall *call = userdata;

        if (type == CURLINFO_HEADER_OUT)
                for (size_t i = size - MIN(size, sizeof(call->headers_tail)); i < size; i++)
                        call->headers_tail = call->headers_tail << 8 | (uint8_t) data[i];
        else if (type == CURLINFO_DATA_OUT)
                call->body_written += size;
        else
                return 0;

        if (call->sent_usec == 0 && sent_whole(call)) {
                call->sent_usec = clock_boottime_usec();
                call_set_due(call);
        }
        return 0;
}

static void call_forget_request(BotApiCall *call)
{
        if (call->easy) {
                curl_glue_remove(call->client->engine->glue, call->easy);
                curl_easy_cleanup(TAKE_PTR(call->easy));
        }
        curl_mime_free(TAKE_PTR(call->form));
        wipe_and_free(TAKE_PTR(call->url));
        wipe_and_free(TAKE_PTR(call->body)); /* a webhook's URL and secret */
}

static char *call_error_text(const BotApiCall *call, CURLcode result)
{
        const char *text = call->raw.error;

        if (call->raw.headers_too_large || call->raw.body_too_large)
                text = "the reply is too large";
        else if (call->repeat_refused)
                text = "the server closed the connection";
        else if (call->answer_was_there)
                text = "the server had answered already, before it was asked";
        else if (isempty(text) || memmem(text, strlen(text), call->token, call->token_size))
                text = curl_easy_strerror(result);
        return botapi_clean_text(text, CURL_ERROR_SIZE);
}

static void on_transfer_done(CURL *easy, CURLcode result, void *userdata)
{
        BotApiCall *call = NULL;
        curl_off_t retry_after = 0;
        long status = 0;
        int r = -EIO;

        (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &call);
        call->replied_usec = clock_boottime_usec();

        result = curl_reply_result(&call->raw, easy, result);
        if (result == CURLE_OK) {
                (void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
                (void) curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after); /* 0: no such header */
                r = botapi_reply_parse((int) status, call->raw.body, call->raw.body_size,
                                       retry_after > 0 ? (int64_t) retry_after : -1, &call->reply);
        }
        if (r < 0)
                call->reply = (BotApiReply){
                        .transport = call->connected ? BOTAPI_LOST : BOTAPI_NOT_SENT,
                        .transport_error = call_error_text(call, result == CURLE_OK ? CURLE_OUT_OF_MEMORY : result),
                };

        /* Now and not with the call: the handler is to find the connection in the pool, and nothing with the token in
         * it is kept for a call that somebody keeps. */
        call_forget_request(call);
        curl_reply_done(&call->raw);
        call_set_due(call);
}

/* ---- a call ---- */

static const struct {
        CURLoption option;
        long value;
} long_options[] = {
        { CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
        { CURLOPT_TCP_KEEPALIVE, 1 },
        { CURLOPT_TCP_KEEPIDLE, 30 },
        { CURLOPT_TCP_KEEPINTVL, 10 },
        { CURLOPT_MAXAGE_CONN, REST_MAX_SEC },
        { CURLOPT_VERBOSE, 1 }, /* else nothing calls on_curl_debug(), which is where all of it goes */
};

static int call_set_options(BotApiCall *call, bool encrypted)
{
        CURL *e = call->easy;

        FOREACH_ELEMENT(o, long_options)
                if (curl_easy_setopt(e, o->option, o->value) != CURLE_OK)
                        return -ENOMEM;

        if (curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, encrypted ? "https" : "http") != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_USERAGENT, "tgswitch/" VERSION) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_URL, call->url) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_PRIVATE, call) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_curl_connected) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_PREREQDATA, call) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_curl_debug) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_DEBUGDATA, call) != CURLE_OK)
                return -ENOMEM;

        if (call->body && (curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->client->engine->json_headers) != CURLE_OK ||
                           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) call->body_size) != CURLE_OK ||
                           curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->body) != CURLE_OK))
                return -ENOMEM;
        if (call->form && (curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->client->engine->form_headers) != CURLE_OK ||
                           curl_easy_setopt(e, CURLOPT_MIMEPOST, call->form) != CURLE_OK))
                return -ENOMEM;
        return 0;
}

static usec_t timeout_usec(const BotApiRequest *request)
{
        if (request->timeout_usec > 0)
                return request->timeout_usec;
        return request->token ? botapi_method_timeout_usec(request->method) : PROBE_TIMEOUT_USEC;
}

static int call_set_content(BotApiCall *call, const BotApiRequest *request)
{
        const char *token = request->token ? bot_token_reveal(request->token) : NOBODY_TOKEN;
        const char *name = request->method == BOTAPI_NAMED ? request->name : method_facts[request->method].name;

        if (asprintf(&call->url, "%s/bot%s/%s", request->root, token, name) < 0) {
                call->url = NULL;
                return -ENOMEM;
        }
        call->token = call->url + strlen(request->root) + strlen("/bot");
        call->token_size = strlen(token);

        if (request->arguments && !request->certificate) {
                const char *body = botapi_json_text(request->arguments);

                call->body = body ? strdup(body) : NULL;
                if (!call->body)
                        return -ENOMEM;
                call->body_size = strlen(call->body);
        }
        return 0;
}

int botapi_call(BotApiClient *c, const BotApiRequest *request, botapi_sent_handler_t sent,
                botapi_reply_handler_t handler, void *userdata, BotApiCall **ret)
{
        _cleanup_(botapi_call_freep) BotApiCall *call = NULL;
        const char *why;
        bool encrypted;
        int r;

        assert(request->method >= 0 && request->method < BOTAPI_METHOD_MAX);

        r = botapi_root_check(request->root, &why);
        if (r < 0)
                return r;

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->client = c;
        call->method = request->method;
        call->tag = request->tag;
        call->raw.body_size_max = method_facts[request->method].reply_size_max;
        call->sent_handler = sent;
        call->reply_handler = handler;
        call->userdata = userdata;
        call->count = request->count;
        r = curl_pool_begin(&c->connections);
        if (r < 0) {
                free(TAKE_PTR(call));
                return r;
        }

        r = call_set_content(call, request);
        if (r < 0)
                return r;
        call->easy = curl_easy_init();
        if (!call->easy)
                return -ENOMEM;
        if (request->certificate) {
                r = botapi_form_new(&call->form, call->easy, request);
                if (r < 0)
                        return r;
        }
        encrypted = startswith(request->root, "https://");
        r = call_set_options(call, encrypted);
        if (r < 0)
                return r;
        r = curl_pool_add(&c->connections, call->easy, encrypted);
        if (r < 0)
                return r;
        r = curl_reply_expect(&call->raw, call->easy, timeout_usec(request));
        if (r < 0)
                return r;
        r = curl_glue_add(c->engine->glue, call->easy);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}

BotApiCall *botapi_call_free(BotApiCall *call)
{
        if (!call)
                return NULL;

        if (call->count && call->connected)
                reply_count_canceled(call->count);
        call_forget_request(call);
        call_unset_due(call);
        curl_pool_end(&call->client->connections);
        curl_reply_done(&call->raw);
        botapi_reply_done(&call->reply);
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
        return call->reused_connection;
}

/* ---- the client ---- */

static BotApiEngine *engine_unref(BotApiEngine *e)
{
        if (!e || --e->n_clients > 0)
                return NULL;

        curl_pools_done(&e->pools);
        sd_event_source_disable_unref(e->turn);
        curl_glue_free(e->glue);
        curl_slist_free_all(e->json_headers);
        curl_slist_free_all(e->form_headers);
        free(e);
        curl_global_cleanup();
        return NULL;
}

DEFINE_CLEANUP(BotApiEngine *, engine_unref);

static int engine_new(BotApiEngine **ret, sd_event *event)
{
        _cleanup_(engine_unrefp) BotApiEngine *e = NULL;
        int r;

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counts; undone by engine_unref() */
                return -ENOMEM;
        e = calloc(1, sizeof(*e));
        if (!e) {
                curl_global_cleanup();
                return -ENOMEM;
        }
        e->n_clients = 1;
        e->pools = (CurlPools){ .event = event, .rest_max_usec = REST_MAX_SEC * USEC_PER_SEC };

        r = curl_glue_append(&e->json_headers, "Content-Type: application/json");
        if (r >= 0)
                r = curl_glue_append(&e->json_headers, "Expect:"); /* no waiting for 100 Continue */
        if (r >= 0)
                r = curl_glue_append(&e->form_headers, "Expect:");
        if (r >= 0)
                r = curl_glue_new(&e->glue, event, on_transfer_done, NULL);
        e->pools.glue = e->glue;
        if (r >= 0)
                r = sd_event_add_defer(event, &e->turn, on_turn, e);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->turn, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(e);
        return 0;
}

int botapi_client_new(BotApiClient **ret, sd_event *event)
{
        _cleanup_(botapi_client_freep) BotApiClient *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        r = engine_new(&c->engine, event);
        if (r < 0)
                return r;
        c->connections.all = &c->engine->pools;

        *ret = TAKE_PTR(c);
        return 0;
}

void botapi_client_observe(BotApiClient *c, botapi_observer_t observer, void *userdata)
{
        c->observer = observer;
        c->observer_userdata = userdata;
}

int botapi_client_new_beside(BotApiClient **ret, BotApiClient *other)
{
        BotApiClient *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->engine = other->engine;
        c->engine->n_clients++;
        c->connections.all = &c->engine->pools;

        *ret = c;
        return 0;
}

void botapi_client_set_rest_max(BotApiClient *c, usec_t rest_max_usec)
{
        c->engine->pools.rest_max_usec = rest_max_usec;
}

void botapi_client_hang_up(BotApiClient *c)
{
        curl_pool_hang_up(&c->connections);
}

BotApiClient *botapi_client_free(BotApiClient *c)
{
        if (!c)
                return NULL;

        curl_pool_done(&c->connections);
        engine_unref(c->engine);
        free(c);
        return NULL;
}
