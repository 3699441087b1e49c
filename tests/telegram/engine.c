/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "client.h"
#include "clock.h"

#define TOKEN_SIZE_MAX 80
#define BOT_ID_MAX     ((INT64_C(1) << 54) - 1)

static const char *const login_results[] = {
        [LOGIN_OK] = "ok",
        [LOGIN_UNAUTHORIZED] = "unauthorized",
        [LOGIN_BAD_API] = "bad-api",
        [LOGIN_FLOOD] = "flood",
};

const char *login_result_to_string(LoginResult result)
{
        return result >= 0 && result < _LOGIN_RESULT_MAX ? login_results[result] : NULL;
}

LoginResult login_result_from_string(const char *s)
{
        for (LoginResult result = 0; result < _LOGIN_RESULT_MAX; result++)
                if (streq_ptr(login_results[result], s))
                        return result;
        return _LOGIN_RESULT_INVALID;
}

void engine_record(Engine *engine, json_object *entry)
{
        engine->handlers.record(engine->handlers.userdata, entry);
}

json_object *engine_entry(const Engine *engine, const char *event, int64_t bot)
{
        json_object *entry = json_object_new_object();

        /* The number is the ledger's to give: here it only keeps the first place. */
        json_set_int(entry, "seq", 0);
        json_set_int(entry, "t", (int64_t) clock_now_usec());
        json_set_text(entry, "event", event);
        json_set_text(entry, "role", role_to_string(engine->options.role));
        if (bot > 0)
                json_set_int(entry, "bot", bot);
        return entry;
}

json_object *engine_uids(const UpdateQueue *queue, size_t n)
{
        json_object *uids = json_object_new_array();

        for (size_t i = 0; i < n; i++)
                json_object_array_add(uids, json_object_new_int64(queue->updates[i].uid));
        return uids;
}

/* Whether the secret half can be one at all: the real server asks nobody before it says no. */
static bool secret_valid(const char *secret)
{
        if (strlen(secret) < TOKEN_SECRET_SIZE_MIN)
                return false;
        for (const char *c = secret; *c; c++)
                if (!isalnum((unsigned char) *c) && *c != '_' && *c != '-')
                        return false;
        return true;
}

/* Answers for tokens that are none. Returns false where the query is over. */
static bool token_check(Query *query)
{
        const char *colon = strchr(query->token, ':');
        _cleanup_free_ char *id = NULL;

        if (query->token[0] == '0' || strlen(query->token) > TOKEN_SIZE_MAX || !colon) {
                query_error(query, 401, "Unauthorized: invalid token specified");
                return false;
        }
        id = strndup(query->token, (size_t) (colon - query->token));
        assert(id);
        if (isempty(id) || id[strspn(id, "0123456789")] != '\0') {
                query_error(query, 421, "Misdirected Request: unallowed token specified");
                return false;
        }
        if (!parse_int(id, 1, BOT_ID_MAX, &query->bot)) {
                query_error(query, 401, "Unauthorized: invalid token specified");
                return false;
        }
        if (!secret_valid(colon + 1)) {
                query_error(query, 401, "Unauthorized");
                return false;
        }
        return true;
}

/* Returns 0 where a new login from there is allowed, else the seconds to wait. */
static int64_t engine_admit(Engine *engine, Query *query)
{
        const char *real_ip = http_request_header(query->http, "X-Real-IP");
        const struct sockaddr_in *peer = http_request_peer(query->http);
        char address[INET_ADDRSTRLEN];

        if (engine->options.role == ROLE_LOCAL && !real_ip && ntohl(peer->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
                return 0;
        (void) inet_ntop(AF_INET, &peer->sin_addr, address, sizeof(address));
        return flood_admit(&engine->flood, engine->options.settings, real_ip ?: address,
                           settings_now_usec(engine->options.settings));
}

/* The limit on new logins met this one: Telegram itself was not asked. */
static void record_refused(Query *query, int64_t wait_sec)
{
        json_object *entry = engine_entry(query->engine, "login-refused", query->bot);

        json_set_text(entry, "method", query->method);
        json_set_text(entry, "req", query->id);
        json_set_int(entry, "retry_after", wait_sec);
        engine_record(query->engine, entry);
}

static void engine_dispatch(Engine *engine, Query *query)
{
        Client *client = client_find(engine, query->token);
        int64_t wait_sec;

        if (client && client_expired(client)) {
                bool closed = client->state == CLIENT_CLOSED;

                client_free(client);
                client = NULL;
                if (closed && streq(query->method, "close")) {
                        query_error(query, 400, "Bad Request: the bot has already been closed");
                        return;
                }
        }
        if (!client) {
                wait_sec = engine_admit(engine, query);
                if (wait_sec > 0) {
                        record_refused(query, wait_sec);
                        query_flood(query, wait_sec);
                        return;
                }
                client = client_new(engine, query->token, query->bot);
                client_login(client);
        }
        client_dispatch(client, query);
}

/* "/bot<token>/<method>": returns copies of both, method in lower case. */
static bool path_parse(const char *path, char **ret_token, char **ret_method)
{
        const char *token = startswith(path, "/bot"), *slash;

        if (!token || !(slash = strchr(token, '/')))
                return false;

        *ret_token = strndup(token, (size_t) (slash - token));
        *ret_method = strdup(startswith(slash, "/test/") ? slash + strlen("/test/") : slash + 1);
        assert(*ret_token && *ret_method);
        for (char *c = *ret_method; *c; c++)
                *c = (char) tolower(*c);
        return true;
}

static void on_request(void *userdata, HttpRequest *request)
{
        Engine *engine = userdata;
        _cleanup_free_ char *token = NULL, *method = NULL;
        Query *query;

        if (!path_parse(http_request_path(request), &token, &method)) {
                http_request_reply_text(request, 404, "application/json",
                                        "{\"ok\":false,\"error_code\":404,\"description\":\"Not Found\"}");
                return;
        }

        if (method[0] == '\0' && json_get_text(http_request_arguments(request), "method")) {
                free(method);
                method = strdup(json_get_text(http_request_arguments(request), "method"));
                assert(method);
        }
        query = query_new(engine, request, token, strtoll(token, NULL, 10), method);
        query_record(query);
        if (query_take_fault(query) || !token_check(query))
                return;
        engine_dispatch(engine, query);
}

static void on_done(void *userdata, HttpRequest *request, bool delivered)
{
        Engine *engine = userdata;
        Query *query = http_request_userdata(request);
        json_object *entry;

        if (query) {
                /* The client has left; the query goes on without it. */
                query->http = NULL;
                return;
        }
        if (delivered || !http_request_answered(request))
                return;
        entry = engine_entry(engine, "undelivered", 0);
        json_set_text(entry, "req", http_request_tag(request));
        engine_record(engine, entry);
}

static void on_lost(void *userdata, const char *tag)
{
        Engine *engine = userdata;
        json_object *entry = engine_entry(engine, "undelivered", 0);

        json_set_text(entry, "req", tag);
        engine_record(engine, entry);
}

static FrontWelcome on_accept(void *userdata)
{
        Engine *engine = userdata;
        Fault *fault = fault_list_match_connection(engine->options.faults, engine->options.role);
        FrontWelcome welcome = FRONT_WELCOME_PASS;
        json_object *entry;

        if (!fault)
                return FRONT_WELCOME_PASS;

        entry = engine_entry(engine, "fault", 0);
        json_set_int(entry, "fault", fault->id);
        json_set_text(entry, "kind", fault->kind);
        engine_record(engine, entry);
        welcome = fault->action == FAULT_TLS_ALERT ? FRONT_WELCOME_TLS_ALERT : FRONT_WELCOME_RESET;
        fault_unref(fault);
        return welcome;
}

int engine_new(Engine **ret, sd_event *event, const EngineOptions *options, const EngineHandlers *handlers)
{
        _cleanup_(engine_freep) Engine *engine = NULL;
        int r;

        engine = calloc(1, sizeof(*engine));
        if (!engine)
                return -ENOMEM;
        engine->event = sd_event_ref(event);
        engine->options = *options;
        engine->handlers = *handlers;
        engine->started_usec = clock_now_usec();
        srandom((unsigned) (engine->started_usec ^ (uint64_t) getpid()));

        r = curl_loop_new(&engine->curl, event);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(engine);
        return 0;
}

Engine *engine_free(Engine *engine)
{
        if (!engine)
                return NULL;

        while (engine->sleeping) {
                Query *query = engine->sleeping;

                engine->sleeping = query->next;
                query_free(query);
        }
        while (engine->clients)
                client_free(engine->clients);
        http_server_free(engine->server);
        while (engine->mailboxes) {
                Mailbox *mailbox = engine->mailboxes;

                engine->mailboxes = mailbox->next;
                update_queue_done(&mailbox->queue);
                free(mailbox);
        }
        curl_loop_free(engine->curl);
        flood_done(&engine->flood);
        sd_event_unref(engine->event);
        free(engine);
        return NULL;
}

int engine_listen(Engine *engine, const struct sockaddr_in *address, const char *certificate, const char *key)
{
        HttpHandlers handlers = {
                .on_request = on_request,
                .on_done = on_done,
                .on_lost = on_lost,
                .on_accept = on_accept,
                .userdata = engine,
        };
        int r;

        r = http_server_new(&engine->server, engine->event, address, certificate, key, &handlers);
        if (r < 0)
                return r;
        engine_refresh(engine);
        return 0;
}

uint16_t engine_port(const Engine *engine)
{
        return engine->server ? front_port(http_server_front(engine->server)) : 0;
}

void engine_add_update(Engine *engine, const char *token, int64_t uid, const char *body)
{
        Client *client = client_find(engine, token);
        Update *update = NULL;
        json_object *entry;

        if (!client)
                return;

        if (uid > client->mailbox->last_uid) {
                update = update_queue_add(&client->mailbox->queue, 0, uid, body);
                client->mailbox->last_uid = uid;
                if (update && engine->options.store)
                        store_add_update(engine->options.store, client->bot, update);
                entry = engine_entry(engine, update ? "update-queued" : "update-dropped", client->bot);
        } else {
                entry = engine_entry(engine, "update-queued", client->bot);
        }
        json_set_int(entry, "uid", uid);
        if (update)
                json_set_int(entry, "update_id", update->id);
        engine_record(engine, entry);
        if (update)
                client_updates_arrived(client);
}

void engine_adopt(Engine *engine, const char *token, const char *username)
{
        Client *client = client_find(engine, token) ?: client_new(engine, token, strtoll(token, NULL, 10));

        client->state = CLIENT_LOGGING_IN;
        engine_login_done(engine, token, LOGIN_OK, username, 0);
        client->until_usec = 0;
}

void engine_set_webhook(Engine *engine, const char *token, json_object *arguments)
{
        Client *client = client_find(engine, token);

        if (client)
                client_apply_webhook(client, arguments, "administrator");
}

void engine_restore_webhooks(Engine *engine)
{
        _cleanup_json_ json_object *webhooks = json_object_get(store_webhooks(engine->options.store));

        json_object_object_foreach(webhooks, token, settings)
        {
                if (settings && !client_find(engine, token))
                        client_login(client_new(engine, token, strtoll(token, NULL, 10)));
        }
}

void engine_refresh(Engine *engine)
{
        const Fault *port = fault_list_port(engine->options.faults, engine->options.role);
        Front *front;
        int r;

        if (!engine->server)
                return;
        front = http_server_front(engine->server);
        r = front_set_mode(front, !port                               ? FRONT_OPEN
                                  : port->action == FAULT_REFUSE      ? FRONT_REFUSE
                                  : port->action == FAULT_UNREACHABLE ? FRONT_UNREACHABLE
                                                                      : FRONT_SILENT);
        if (r < 0)
                fprintf(stderr, "Failed to open the port again: %s\n", strerror(-r));
        if (engine->options.role == ROLE_CLOUD)
                front_set_latency(front, (uint64_t) engine->options.settings->latency_msec * USEC_PER_MSEC);
}

json_object *engine_state(const Engine *engine)
{
        static const char *const states[] = {
                [CLIENT_LOGGING_IN] = "logging-in",     [CLIENT_READY] = "ready",
                [CLIENT_LOGGING_OUT] = "logging-out",   [CLIENT_LOGGED_OUT] = "logged-out",
                [CLIENT_UNAUTHORIZED] = "unauthorized", [CLIENT_BAD_API] = "bad-api",
                [CLIENT_FLOODED] = "flooded",           [CLIENT_CLOSED] = "closed",
        };
        json_object *array = json_object_new_array();
        uint64_t now = settings_now_usec(engine->options.settings);

        for (const Client *client = engine->clients; client; client = client->next) {
                json_object *object = json_object_new_object(), *webhook = client_webhook_to_json(client);
                uint64_t left = client->state == CLIENT_LOGGED_OUT && client->until_usec > now
                                                ? client->until_usec - now
                                                : 0;

                json_set_int(object, "bot", client->bot);
                json_set_text(object, "state", client_expired(client) ? "none" : states[client->state]);
                json_set_int(object, "queue", (int64_t) client->mailbox->queue.n_updates);
                json_set_int(object, "lock_left_ms", (int64_t) (left / USEC_PER_MSEC));
                json_set_bool(object, "polled", client->poll);
                if (webhook)
                        json_object_object_add(object, "webhook", webhook);
                json_object_array_add(array, object);
        }
        return array;
}

void engine_stop(Engine *engine)
{
        for (Client *client = engine->clients; client; client = client->next) {
                client_answer_poll(client);
                if (client->logout)
                        query_error(TAKE_PTR(client->logout), 500, "Internal Server Error: restart");
                while (client->waiting) {
                        Query *query = client->waiting;

                        client->waiting = query->next;
                        query_error(query, 500, "Internal Server Error: restart");
                }
        }
}
