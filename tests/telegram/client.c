/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "client.h"
#include "clock.h"

static Mailbox *mailbox_get(Engine *engine, int64_t bot)
{
        Mailbox *mailbox;

        for (mailbox = engine->mailboxes; mailbox; mailbox = mailbox->next)
                if (mailbox->bot == bot)
                        return mailbox;

        mailbox = calloc(1, sizeof(*mailbox));
        assert(mailbox);
        mailbox->bot = bot;
        mailbox->queue.next_id = 1 + random() % (INT32_MAX / 2);
        if (engine->options.store)
                store_load_queue(engine->options.store, bot, &mailbox->queue, &mailbox->last_uid);
        mailbox->next = engine->mailboxes;
        engine->mailboxes = mailbox;
        return mailbox;
}

Client *client_find(Engine *engine, const char *token)
{
        for (Client *client = engine->clients; client; client = client->next)
                if (streq(client->token, token))
                        return client;
        return NULL;
}

Client *client_new(Engine *engine, const char *token, int64_t bot)
{
        Client *client = calloc(1, sizeof(*client));

        assert(client);
        client->engine = engine;
        client->token = strdup(token);
        assert(client->token);
        client->bot = bot;
        client->state = CLIENT_LOGGING_IN;
        client->mailbox = mailbox_get(engine, bot);
        client->next = engine->clients;
        engine->clients = client;
        return client;
}

Client *client_free(Client *client)
{
        if (!client)
                return NULL;

        for (Client **slot = &client->engine->clients; *slot; slot = &(*slot)->next)
                if (*slot == client) {
                        *slot = client->next;
                        break;
                }
        while (client->waiting) {
                Query *query = client->waiting;

                client->waiting = query->next;
                query_free(query);
        }
        query_free(client->logout);
        query_free(client->poll);
        client_poll_done(client);
        client_webhook_done(client);
        sd_event_source_disable_unref(client->closing);
        free(client->token);
        free(client->username);
        free(client);
        return NULL;
}

void client_login(Client *client)
{
        Engine *engine = client->engine;
        bool again = engine->options.store && store_has_session(engine->options.store, client->token);

        client->state = CLIENT_LOGGING_IN;
        engine->handlers.login(engine->handlers.userdata, client->token, again);
}

bool client_expired(const Client *client)
{
        switch (client->state) {

        case CLIENT_LOGGED_OUT:
        case CLIENT_UNAUTHORIZED:
        case CLIENT_BAD_API:
        case CLIENT_FLOODED:
                return settings_now_usec(client->engine->options.settings) >= client->until_usec;

        case CLIENT_CLOSED:
                return true;

        default:
                return false;
        }
}

/* Nobody waits longer than this for a login: the connection ends without a word. */
#define CONNECTION_SEC 500

static int on_connection_too_old(sd_event_source *source, uint64_t usec, void *userdata)
{
        Query *query = userdata;
        Client *client = client_find(query->engine, query->token);

        for (Query **slot = client ? &client->waiting : NULL; slot && *slot; slot = &(*slot)->next)
                if (*slot == query) {
                        *slot = query->next;
                        break;
                }
        if (query->http)
                http_request_close(query->http);
        query_free(query);
        return 0;
}

static void client_wait(Client *client, Query *query)
{
        Query **slot;

        for (slot = &client->waiting; *slot; slot = &(*slot)->next)
                ;
        query->next = NULL;
        *slot = query;
        if (sd_event_add_time_relative(client->engine->event, &query->timer, CLOCK_MONOTONIC,
                                       settings_scaled_usec(client->engine->options.settings, CONNECTION_SEC), 1,
                                       on_connection_too_old, query) < 0)
                abort();
}

/* A call that would have logged the bot in at the real cloud, had this lock not been a promise. */
static void record_locked_call(Client *client, Query *query)
{
        json_object *entry = engine_entry(client->engine, "locked-call", client->bot);

        json_set_text(entry, "method", query->method);
        json_set_text(entry, "req", query->id);
        engine_record(client->engine, entry);
}

void client_dispatch(Client *client, Query *query)
{
        switch (client->state) {

        case CLIENT_LOGGING_IN:
                client_wait(client, query);
                return;

        case CLIENT_READY:
                client_run_method(client, query);
                return;

        case CLIENT_LOGGING_OUT:
                query_error(query, 400,
                            streq(query->method, "logout") ? "Bad Request: already logging out" : "Logged out");
                return;

        case CLIENT_LOGGED_OUT:
                if (client->engine->options.role == ROLE_CLOUD)
                        record_locked_call(client, query);
                query_error(query, 400, "Logged out");
                return;

        case CLIENT_BAD_API:
                query_error(query, 401, "Unauthorized: invalid api-id/api-hash");
                return;

        case CLIENT_FLOODED:
                query_flood(query,
                            (int64_t) ((client->until_usec - settings_now_usec(client->engine->options.settings)) /
                                                       USEC_PER_SEC +
                                       1));
                return;

        default:
                query_error(query, 401, "Unauthorized");
        }
}

static void client_dispatch_waiting(Client *client)
{
        Query *query;

        while (client->state != CLIENT_LOGGING_IN && (query = client->waiting)) {
                client->waiting = query->next;
                query->next = NULL;
                query->timer = sd_event_source_disable_unref(query->timer);
                client_dispatch(client, query);
        }
}

void client_close(Client *client, ClientState state, uint64_t until_usec, bool wipe)
{
        Engine *engine = client->engine;

        client_answer_poll(client);
        client->state = state;
        client->until_usec = until_usec;
        if (wipe)
                client_forget_updates(client, client->mailbox->queue.n_updates, "update-wiped");
        client_webhook_done(client);
        /* A session that ended, however it did, takes the webhook and the directory of the bot along. */
        if (state != CLIENT_CLOSED && engine->options.store) {
                store_set_webhook(engine->options.store, client->token, NULL);
                store_set_session(engine->options.store, client->token, false);
        }
        client_dispatch_waiting(client);
}

void client_begin_logout(Client *client, Query *query)
{
        Engine *engine = client->engine;

        client->state = CLIENT_LOGGING_OUT;
        client->logout = query;
        engine_record(engine, engine_entry(engine, "logout-begin", client->bot));
        engine->handlers.logout(engine->handlers.userdata, client->token);
}

static void client_logged_out(Client *client)
{
        const EngineOptions *options = &client->engine->options;

        client_close(client, CLIENT_LOGGED_OUT,
                     settings_now_usec(options->settings) +
                                     settings_lock_usec(options->settings, options->role, client->young),
                     true);
}

static int on_closing(sd_event_source *source, uint64_t usec, void *userdata)
{
        Client *client = userdata;

        client->closing = sd_event_source_disable_unref(client->closing);
        client_logged_out(client);
        return 0;
}

void engine_logout_done(Engine *engine, const char *token, bool young)
{
        Client *client = client_find(engine, token);
        int64_t close_msec = engine->options.settings->close_msec;

        if (!client || client->state != CLIENT_LOGGING_OUT || client->closing)
                return;

        client->young = young;
        if (client->logout)
                query_ok(TAKE_PTR(client->logout), json_object_new_boolean(true), NULL);
        if (close_msec == 0) {
                client_logged_out(client);
                return;
        }
        if (sd_event_add_time_relative(engine->event, &client->closing, CLOCK_MONOTONIC,
                                       (uint64_t) close_msec * USEC_PER_MSEC, 1, on_closing, client) < 0)
                abort();
}

void engine_login_done(Engine *engine, const char *token, LoginResult result, const char *username,
                       int64_t retry_after_sec)
{
        static const ClientState states[] = {
                [LOGIN_OK] = CLIENT_READY,
                [LOGIN_UNAUTHORIZED] = CLIENT_UNAUTHORIZED,
                [LOGIN_BAD_API] = CLIENT_BAD_API,
                [LOGIN_FLOOD] = CLIENT_FLOODED,
        };
        Client *client = client_find(engine, token);
        uint64_t now = settings_now_usec(engine->options.settings);

        if (client && client->state == CLIENT_READY && result != LOGIN_OK)
                engine_session_lost(engine, token);
        if (!client || client->state != CLIENT_LOGGING_IN)
                return;

        if (result != LOGIN_OK) {
                uint64_t linger_usec = result == LOGIN_FLOOD
                                                       ? (uint64_t) retry_after_sec * USEC_PER_SEC
                                                       : settings_scaled_usec(engine->options.settings, LINGER_SEC);

                client_close(client, states[result], now + linger_usec, false);
                return;
        }

        client->state = CLIENT_READY;
        client->until_usec = now; /* of a ready client: since when */
        free(client->username);
        client->username = strdup(username ?: "bot");
        assert(client->username);
        if (engine->options.store) {
                _cleanup_json_ json_object *webhook = store_webhook(engine->options.store, token);

                store_set_session(engine->options.store, token, true);
                if (webhook)
                        client_apply_webhook(client, webhook, "restart");
        }
        client_dispatch_waiting(client);
}

void engine_session_lost(Engine *engine, const char *token)
{
        Client *client = client_find(engine, token);

        if (!client || client->state == CLIENT_LOGGED_OUT || client->state == CLIENT_UNAUTHORIZED)
                return;
        if (client->logout)
                query_error(TAKE_PTR(client->logout), 401, "Unauthorized");
        client_close(client, CLIENT_UNAUTHORIZED,
                     settings_now_usec(engine->options.settings) +
                                     settings_scaled_usec(engine->options.settings, LINGER_SEC),
                     false);
}

void engine_reconnected(Engine *engine)
{
        for (Client *client = engine->clients; client; client = client->next)
                switch (client->state) {

                case CLIENT_LOGGING_IN:
                        client_login(client);
                        break;

                case CLIENT_READY:
                        engine->handlers.login(engine->handlers.userdata, client->token, true);
                        break;

                case CLIENT_LOGGING_OUT:
                        engine->handlers.logout(engine->handlers.userdata, client->token);
                        break;

                default:
                        break;
                }
}
