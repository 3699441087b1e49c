/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time-util.h"

/* Posts updates to the webhook of one bot as Telegram does: an update is the JSON body of a POST over HTTP/1.1, the
 * secret stands in X-Telegram-Bot-Api-Secret-Token, any 2xx accepts it. libcurl's multi interface on the sd-event loop;
 * one post at a time, on a connection that is kept for the next. The address may be anybody's: it gets the update, the
 * secret and nothing else. https with a verified certificate, or http where the URL says so; never by way of a proxy,
 * whatever the environment says; no redirect is followed; answers are bounded.
 *
 * An update may arrive more than once: libcurl repeats a post by itself where a kept connection turns out to be closed.
 * Nothing is ever logged or reported that contains a URL. */

typedef struct WebhookClient WebhookClient;

/* How long one post may take, connection and answer included, unless the caller says otherwise. */
#define WEBHOOK_TIMEOUT_USEC (60 * USEC_PER_SEC)
/* Of an answer; of a longer one, status and header lines count and the rest is not read. */
#define WEBHOOK_ANSWER_SIZE_MAX (256u * 1024u)

typedef struct WebhookPost {
        /* All of it is borrowed for the time of webhook_client_post() alone. */
        const char *url;         /* as the bot set it, with the token where the bot has it there */
        const char *ip_address;  /* connect to this one, whatever the host's name says; NULL: as it resolves */
        const char *secret;      /* NULL: none */
        const char *certificate; /* PEM: trust this one and no other; NULL: those of the system */
        size_t certificate_size;
        const char *update;
        size_t update_size;
        usec_t timeout_usec; /* 0: WEBHOOK_TIMEOUT_USEC */
} WebhookPost;

typedef struct WebhookAnswer {
        bool accepted;
        int status;              /* of HTTP; 0: there was no whole answer */
        char *error;             /* why not accepted: a sentence fragment for people, cleaned, without the URL's path */
        usec_t retry_after_usec; /* of the header Retry-After, an hour at most; 0: none */
        char *method;            /* what the answer asks for: see core/webhook-answer.h; NULL: nothing */
        json_object *arguments;
} WebhookAnswer;

/* `answer` is valid during the callback, in which the client may be freed or the next post begin. Exactly one callback
 * for each post unless the client is freed before, always from the event loop. */
typedef void (*webhook_handler_t)(const WebhookAnswer *answer, void *userdata);

/* Has the process ignore SIGPIPE, as curl_glue_new() says. */
int webhook_client_new(WebhookClient **ret, sd_event *event) _must_check_;
WebhookClient *webhook_client_free(WebhookClient *c); /* cancels: a connection with a post on it is closed */
DEFINE_CLEANUP(WebhookClient *, webhook_client_free);

/* -EBUSY: one is under way. -EINVAL: what is to be a URL begins neither with https:// nor with http://. */
int webhook_client_post(WebhookClient *c, const WebhookPost *post, webhook_handler_t handler,
                        void *userdata) _must_check_;
