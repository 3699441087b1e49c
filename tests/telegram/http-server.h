/* SPDX-License-Identifier: MIT */
#pragma once

#include <netinet/in.h>
#include <systemd/sd-event.h>

#include "front.h"
#include "json-util.h"

/* libmicrohttpd on sd-event, behind a Front. A request may be answered later, at any time, or never. */
typedef struct HttpServer HttpServer;
typedef struct HttpRequest HttpRequest;

typedef enum HttpManner {
        HTTP_WHOLE,
        HTTP_TRUNCATED, /* half of the body, then the end of the connection */
        HTTP_TRICKLED,  /* a byte each interval_usec */
        HTTP_ENDLESS,   /* blanks without an end */
        HTTP_VAST,      /* so many blanks, which Content-Length tells */
        _HTTP_MANNER_MAX,
} HttpManner;

typedef struct HttpReply {
        unsigned status;
        const char *content_type; /* NULL: none */
        const char *location;     /* NULL: none */
        int64_t retry_after_sec;  /* 0: none */
        const char *body;
        size_t size;
        HttpManner manner;
        uint64_t interval_usec;
        uint64_t length; /* of HTTP_VAST */
} HttpReply;

typedef struct HttpHandlers {
        void (*on_request)(void *userdata, HttpRequest *request);
        /* The request is over and freed after this; delivered is false where the client is gone. */
        void (*on_done)(void *userdata, HttpRequest *request, bool delivered);
        /* The answer with this tag was on its way when the client left. NULL where nobody wants to know. */
        void (*on_lost)(void *userdata, const char *tag);
        /* A connection is over. May be NULL. */
        void (*on_closed)(void *userdata, uint64_t connection);
        /* See FrontHandlers. May be NULL. */
        FrontWelcome (*on_accept)(void *userdata);
        void *userdata;
} HttpHandlers;

/* certificate and key are PEM texts, or both NULL for plain HTTP. */
int http_server_new(HttpServer **ret, sd_event *event, const struct sockaddr_in *address, const char *certificate,
                    const char *key, const HttpHandlers *handlers);
HttpServer *http_server_free(HttpServer *server);
DEFINE_CLEANUP(HttpServer *, http_server_free);

Front *http_server_front(HttpServer *server);

const char *http_request_path(const HttpRequest *request);
const char *http_request_verb(const HttpRequest *request);
/* NULL where the header is missing. */
const char *http_request_header(const HttpRequest *request, const char *name);
/* Arguments of query string and body together, all as text. */
json_object *http_request_arguments(HttpRequest *request);
/* Those of its parts that came with a file name (multipart/form-data), as text. */
json_object *http_request_files(HttpRequest *request);
/* The body as JSON, NULL where it isn't. */
json_object *http_request_json(HttpRequest *request);
uint64_t http_request_connection(const HttpRequest *request);
/* CLOCK_MONOTONIC: when its last byte reached the port. Later than that only where the client sent more at once. */
uint64_t http_request_arrived_usec(const HttpRequest *request);
const struct sockaddr_in *http_request_peer(const HttpRequest *request);

void http_request_set_userdata(HttpRequest *request, void *userdata);
void *http_request_userdata(const HttpRequest *request);
/* A name for the answer, for on_lost(). */
void http_request_set_tag(HttpRequest *request, const char *tag);

/* Exactly one of these, once. The reply is copied. */
void http_request_reply(HttpRequest *request, const HttpReply *reply);
void http_request_reply_text(HttpRequest *request, unsigned status, const char *content_type, const char *body);
void http_request_reset(HttpRequest *request);
/* Ends the connection without a word. */
void http_request_close(HttpRequest *request);

const char *http_request_tag(const HttpRequest *request);
/* Whether there was a reply, as opposed to a reset or nothing. */
bool http_request_answered(const HttpRequest *request);
