/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "../canary.h"
#include "http-fixture.h"
#include "io/botapi-client.h"

/* A client, a server that a test scripts, and the calls between the two. */

/* Stands for a real token in every test, so that each can look whether it came out anywhere. */
#define CANARY_ID    INT64_C(4242)
#define CANARY_TOKEN "4242:" CANARY_SECRET

#define TRUE_REPLY "{\"ok\":true,\"result\":true}"

typedef struct World {
        sd_event *event;
        BotApiClient *client;
        BotToken *token;
        HttpServer *server;
        char root[64];
} World;

/* One call and what became of it. */
typedef struct Exchange {
        World *world;
        const char *certificate; /* for the next call; NULL: none */
        BotApiCall *call;
        bool sent, replied;
        BotApiTransport transport;
        int http_status;
        usec_t retry_after_usec;
        LogOutOutcome outcome; /* as if it were logOut */
        char *text;            /* botapi_reply_describe() */
        bool reused;
        usec_t sent_usec, replied_usec;
        void (*on_sent)(struct Exchange *x);
        void (*on_replied)(struct Exchange *x);
        void *userdata;
} Exchange;

/* `tls` NULL: plain http. `host` is what stands in the root: "127.0.0.1", or a name where the test resolves
 * it. */
void world_set_up(World *w, SSL_CTX *tls, const char *host, const HttpServerHandlers *handlers, void *userdata);
void world_tear_down(World *w);

/* Starts a call to the world's server; `timeout_usec` as in BotApiRequest. */
void exchange_start(Exchange *x, World *w, BotApiMethod method, json_object *arguments, usec_t timeout_usec);

/* Runs the loop until *flag; the test fails where nothing at all happens for a minute. */
void world_run_until(World *w, const bool *flag);

/* Starts, waits for the reply, frees the call, and looks for the canary. */
void exchange_run(Exchange *x, World *w, BotApiMethod method);
void exchange_done(Exchange *x);

/* The call was not sent, or lost, and this is the reason that people read. */
void exchange_assert_failed(const Exchange *x, const char *why);

/* A world whose server answers every request in the same way, until the test changes it. */
typedef struct Script Script;

struct Script {
        World w;
        void (*answer)(Script *s, HttpPeer *peer);
        int status;
        const char *headers; /* further lines; NULL: none */
        const char *body;
        unsigned n_requests;
        char last_request[8192]; /* cut off there */
        HttpPeer *held;
        bool peer_gone; /* a client closed a connection, or it broke */
        sd_event_source *timer;
};

void script_set_up(Script *s, void (*answer)(Script *s, HttpPeer *peer), int status, const char *body);
void script_tear_down(Script *s);

void answer_reply(Script *s, HttpPeer *peer); /* status, headers and body as the script has them */
void answer_hold(Script *s, HttpPeer *peer);  /* not at all; the connection is in `held` */
void answer_raw(Script *s, HttpPeer *peer);   /* the bytes of body as they stand, then the end */
void answer_close(Script *s, HttpPeer *peer);
void answer_reset(Script *s, HttpPeer *peer);
