/* SPDX-License-Identifier: MIT */
#pragma once

#include "curl-loop.h"
#include "engine.h"
#include "flood.h"
#include "update-queue.h"

/* Inside of the engine: one request, one bot. */

#define TOKEN_SECRET_SIZE_MIN 24
#define LINGER_SEC            1800

typedef struct Query Query;
typedef struct Client Client;

typedef enum ClientState {
        CLIENT_LOGGING_IN,
        CLIENT_READY,
        CLIENT_LOGGING_OUT,
        CLIENT_LOGGED_OUT,
        CLIENT_UNAUTHORIZED,
        CLIENT_BAD_API,
        CLIENT_FLOODED,
        CLIENT_CLOSED,
        _CLIENT_STATE_MAX,
} ClientState;

/* The updates of a bot: by its id, not its token, and longer-lived than the client. */
typedef struct Mailbox {
        struct Mailbox *next;
        int64_t bot;
        int64_t last_uid;
        UpdateQueue queue;
} Mailbox;

typedef struct Webhook {
        char *url, *secret_token, *allowed_updates, *last_error;
        char *ip_address;  /* as setWebhook gave it; NULL: the host is looked up */
        char *address;     /* where updates go; NULL: wherever libcurl finds the host */
        char *certificate; /* PEM; NULL: the authorities of the system sign for it */
        int64_t max_connections, last_error_date;
        uint64_t set_usec;
        unsigned n_failures;
        int64_t sending_id, sending_uid; /* update_id under way, 0: none */
        CurlCall *call;
        sd_event_source *retry;
} Webhook;

struct Client {
        Engine *engine;
        Client *next;
        char *token;
        int64_t bot;
        char *username;
        ClientState state;
        uint64_t until_usec; /* Telegram's clock: of the states that end by themselves */
        Mailbox *mailbox;
        Query *waiting; /* until the login is through */
        Query *logout;
        sd_event_source *closing;
        bool young;

        Query *poll;
        int64_t poll_offset, poll_limit;
        sd_event_source *poll_end, *poll_wakeup;
        int64_t previous_offset;
        uint64_t previous_usec; /* of the getUpdates before; 0: none */
        uint64_t conflict_usec; /* the next 409 goes out not before */
        Webhook webhook;
};

struct Query {
        Engine *engine;
        Query *next;
        char id[40];
        char *token;
        int64_t bot;
        char *method;
        json_object *arguments, *files;
        HttpRequest *http; /* NULL: the client has left */
        Fault *fault;
        sd_event_source *timer;
        HttpReply delayed;
        char *delayed_body;
};

struct Engine {
        sd_event *event;
        EngineOptions options;
        EngineHandlers handlers;
        HttpServer *server;
        CurlLoop *curl;
        FloodControl flood;
        Client *clients;
        Mailbox *mailboxes;
        Query *sleeping; /* answered, but told to wait */
        uint64_t started_usec, n_queries;
};

/* engine.c */
void engine_record(Engine *engine, json_object *entry);
json_object *engine_entry(const Engine *engine, const char *event, int64_t bot);
/* uids of the first n updates of a queue. */
json_object *engine_uids(const UpdateQueue *queue, size_t n);

/* query.c: an answer ends and frees the query. */
Query *query_new(Engine *engine, HttpRequest *http, const char *token, int64_t bot, const char *method);
Query *query_free(Query *query);
void query_record(Query *query);
/* Takes the answer away where a fault says so. Returns true where the query is over. */
bool query_take_fault(Query *query);
/* result is consumed; description may be NULL. */
void query_ok(Query *query, json_object *result, const char *description);
/* body is the JSON text of the result, uids (consumed) what it contains. */
void query_ok_updates(Query *query, const char *body, json_object *uids);
void query_error(Query *query, unsigned code, const char *description);
void query_flood(Query *query, int64_t retry_after_sec);
/* Sets an answer aside for a while; the handler calls query_awake() first. */
void query_sleep(Query *query, uint64_t pause_usec, sd_event_time_handler_t handler);
void query_awake(Query *query);

/* client.c */
Client *client_find(Engine *engine, const char *token);
Client *client_new(Engine *engine, const char *token, int64_t bot);
Client *client_free(Client *client);
DEFINE_CLEANUP(Client *, client_free);
void client_login(Client *client);
/* Runs the query now, or when the client can; or answers with what its state says. */
void client_dispatch(Client *client, Query *query);
void client_begin_logout(Client *client, Query *query);
void client_close(Client *client, ClientState state, uint64_t until_usec, bool wipe);
/* Whether the state is one that has run out. */
bool client_expired(const Client *client);

/* methods.c */
void client_run_method(Client *client, Query *query);

/* files.c */
void client_get_file(Client *client, Query *query);

/* updates.c */
void client_get_updates(Client *client, Query *query);
/* Answers the open long poll with what there is. */
void client_answer_poll(Client *client);
/* 409, three seconds apart. */
void client_conflict(Client *client, Query *query, const char *description);
void client_updates_arrived(Client *client);
void client_forget_updates(Client *client, size_t n, const char *event);
void client_poll_done(Client *client);

/* webhook.c */
void client_set_webhook(Client *client, Query *query);
void client_delete_webhook(Client *client, Query *query);
void client_get_webhook_info(Client *client, Query *query);
/* Takes the settings over without any question: arguments of setWebhook, and the text of its certificate among them. */
void client_apply_webhook(Client *client, json_object *arguments, const char *by);
void client_webhook_deliver(Client *client);
void client_webhook_done(Client *client);
/* NULL where no webhook is set. */
json_object *client_webhook_to_json(const Client *client);

/* webhook-check.c */
/* Why setWebhook is refused, in the server's words, owned by the caller; NULL: it is not. *ret_address is where the
 * updates are to go, owned by the caller; NULL where this server leaves that to libcurl. */
char *webhook_check(const Client *client, json_object *arguments, char **ret_address);
/* Whether the server believes only in certificates that it can check. */
bool webhook_is_strict(const Client *client);
