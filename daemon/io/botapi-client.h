/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/bot-token.h"
#include "core/botapi-reply.h"
#include "core/reply-count.h"

/* Requests to Bot API servers: libcurl's multi interface on the sd-event loop, HTTP/1.1 with keep-alive.
 * https with a verified certificate, or http to loopback only; never by way of a proxy, whatever the
 * environment says; no redirect is followed; replies are bounded. Knows what may be sent, never whether it
 * should be. Nothing is ever logged or reported that contains a URL.
 *
 * One call is one request: it is handed to one connection, once. libcurl would send a request again by
 * itself when a kept connection turns out to be closed; here that is a lost reply, since the server may have
 * acted on the first one, and whether to repeat is for the protocol to say. */

typedef struct BotApiClient BotApiClient;
typedef struct BotApiCall BotApiCall;

typedef enum BotApiMethod {
        BOTAPI_GET_ME,
        BOTAPI_GET_WEBHOOK_INFO,
        BOTAPI_GET_UPDATES,
        BOTAPI_DELETE_WEBHOOK,
        BOTAPI_SET_WEBHOOK,
        BOTAPI_LOG_OUT,
        BOTAPI_NAMED, /* any other, as BotApiRequest.name says: not one of ours, but a bot's */
        BOTAPI_METHOD_MAX,
        BOTAPI_METHOD_INVALID = -EINVAL,
} BotApiMethod;

const char *botapi_method_to_string(BotApiMethod m);

/* How long one request may take, connection included, unless the caller says otherwise. A long poll needs
 * more: its own "timeout" and about 15 s. */
usec_t botapi_method_timeout_usec(BotApiMethod m);

typedef struct BotApiRequest {
        /* All of it is borrowed for the time of botapi_call() alone. */
        const char *root;      /* "https://api.telegram.org", no slash at the end */
        const BotToken *token; /* NULL: the token "0:x", which belongs to nobody and logs nobody in */
        BotApiMethod method;
        const char *name;       /* of BOTAPI_NAMED: ASCII letters alone, which the caller has seen to */
        json_object *arguments; /* sent as a JSON body with POST; NULL: none, and GET */
        /* PEM for setWebhook, or NULL. With it the request is a form (multipart/form-data), since there is no file in
         * JSON: the certificate as a file, each argument as a field, texts as they are and all else as JSON. */
        const char *certificate;
        size_t certificate_size;
        usec_t timeout_usec; /* 0: botapi_method_timeout_usec(), or 5 s where there is no token */
        int tag;             /* the caller's own, for its observer */
        ReplyCount *count;   /* where its end is counted, which has to outlive the call; NULL: nowhere */
} BotApiRequest;

/* `reply` is valid during the callback. The call may be freed in it. Exactly one callback for each call that
 * was started and not freed before, always from the event loop, never from within botapi_call(). */
typedef void (*botapi_reply_handler_t)(BotApiCall *call, const BotApiReply *reply, void *userdata);

/* The request's last byte has been handed to the kernel on a connection that stands. At most once, before
 * the reply. */
typedef void (*botapi_sent_handler_t)(BotApiCall *call, void *userdata);

/* Has the process ignore SIGPIPE, as curl_glue_new() says. */
int botapi_client_new(BotApiClient **ret, sd_event *event) _must_check_;
/* Has connections of its own, so that nobody else's request takes or slows those that wait for the next one, and shares
 * all else, libcurl's certificates above all: some hundred bytes for as long as it has no call. Either may be freed
 * first. */
int botapi_client_new_beside(BotApiClient **ret, BotApiClient *other) _must_check_;
/* How long connections may rest before they are closed: 30 s, which is long for a test. For all clients that share. */
void botapi_client_set_rest_max(BotApiClient *c, usec_t rest_max_usec);
/* Its connections are not needed any more: they are closed, at once or when the last call is over, and do not rest. */
void botapi_client_hang_up(BotApiClient *c);
BotApiClient *botapi_client_free(BotApiClient *c); /* frees no calls: they must be gone */
DEFINE_CLEANUP(BotApiClient *, botapi_client_free);

/* Told of every reply before its handler is, of whatever call of this client. */
typedef void (*botapi_observer_t)(BotApiMethod method, int tag, const BotApiReply *reply, void *userdata);
void botapi_client_observe(BotApiClient *c, botapi_observer_t observer, void *userdata);

/* Returns -EINVAL for a root that botapi_root_check() refuses. `sent` may be NULL. */
int botapi_call(BotApiClient *c, const BotApiRequest *request, botapi_sent_handler_t sent,
                botapi_reply_handler_t handler, void *userdata, BotApiCall **ret) _must_check_;

/* Cancels, at any moment and from any handler; the connection is closed if a reply was outstanding. */
BotApiCall *botapi_call_free(BotApiCall *call);
DEFINE_CLEANUP(BotApiCall *, botapi_call_free);

/* CLOCK_BOOTTIME of the moments that downtime and windows are computed from: the request was written; the
 * reply was whole, or was given up. 0 while not reached. */
usec_t botapi_call_sent_usec(const BotApiCall *call);
usec_t botapi_call_replied_usec(const BotApiCall *call);

/* Whether the call went out on a connection that an earlier one had opened. Valid once sent. */
bool botapi_call_reused_connection(const BotApiCall *call);

/* ---- io/botapi-root.c ---- */

/* https with a host, or http with a loopback address literal or "localhost"; no user, query or fragment; a
 * path is allowed, a trailing slash is not. Returns 0, or -EINVAL with *ret_why a static sentence fragment,
 * or -ENOMEM. */
int botapi_root_check(const char *root, const char **ret_why) _must_check_;
