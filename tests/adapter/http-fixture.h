/* SPDX-License-Identifier: MIT */
#pragma once

#include <openssl/ssl.h>
#include <systemd/sd-event.h>

#include "base/macro.h"

/* An HTTP server that does exactly what a test tells it to, byte by byte, wrong things included. It runs on
 * the event loop of the test itself, so that what happens when is decided by the test and by nothing else.
 */

typedef struct HttpServer HttpServer;
typedef struct HttpPeer HttpPeer;

typedef struct HttpServerHandlers {
        /* A connection stands; over TLS, its handshake has not begun. NULL: nothing to do. */
        void (*accepted)(HttpPeer *peer, void *userdata);
        /* A request is there whole, header lines and body. It may be answered now, later, or never. */
        void (*requested)(HttpPeer *peer, const char *request, void *userdata);
        /* The client closed its end, or the connection broke. The peer is gone afterwards. NULL: nothing to
         * do. */
        void (*gone)(HttpPeer *peer, void *userdata);
} HttpServerHandlers;

/* Listens on a free port of 127.0.0.1. `tls` may be NULL; a reference is taken. */
int http_server_new(HttpServer **ret, sd_event *event, SSL_CTX *tls, const HttpServerHandlers *handlers,
                    void *userdata);
HttpServer *http_server_free(HttpServer *s);
DEFINE_CLEANUP(HttpServer *, http_server_free);

int http_server_port(const HttpServer *s);
unsigned http_server_n_accepted(const HttpServer *s);

/* Which connection this is, from 1 on. */
unsigned http_peer_number(const HttpPeer *peer);

void http_peer_send(HttpPeer *peer, const char *bytes, size_t size);
void http_peer_send_string(HttpPeer *peer, const char *text);

/* From here on nothing is read any more, so that the client is stuck in the middle of a large request. */
void http_peer_stop_reading(HttpPeer *peer);

/* A whole reply with Content-Length. `headers` are further lines, each with its CR LF, or "". */
void http_peer_reply(HttpPeer *peer, int status, const char *headers, const char *body);

void http_peer_close(HttpPeer *peer); /* what was sent goes out first; the peer is gone in any case */
void http_peer_reset(HttpPeer *peer); /* at once, with RST; the peer is gone */
