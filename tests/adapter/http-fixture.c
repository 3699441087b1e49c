/* SPDX-License-Identifier: MIT */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http-fixture.h"

#define REQUEST_SIZE_MAX 65536

struct HttpPeer {
        HttpServer *server;
        HttpPeer *next;
        unsigned number;
        int fd;
        SSL *ssl; /* NULL: plain */
        sd_event_source *source;
        char in[REQUEST_SIZE_MAX + 1];
        size_t in_size;
        char *out;
        size_t out_size, out_sent;
        bool closing;
};

struct HttpServer {
        sd_event *event;
        SSL_CTX *tls;
        const HttpServerHandlers *handlers;
        void *userdata;
        int fd;
        sd_event_source *source;
        unsigned n_accepted;
        HttpPeer *peers;
};

static void peer_free(HttpPeer *peer)
{
        for (HttpPeer **p = &peer->server->peers; *p; p = &(*p)->next)
                if (*p == peer) {
                        *p = peer->next;
                        break;
                }
        sd_event_source_disable_unref(peer->source);
        SSL_free(peer->ssl);
        close(peer->fd);
        free(peer->out);
        free(peer);
}

static void peer_lost(HttpPeer *peer)
{
        HttpServer *s = peer->server;

        if (s->handlers->gone && !peer->closing)
                s->handlers->gone(peer, s->userdata);
        peer_free(peer);
}

/* As read(2) and write(2): -1 with EAGAIN where the other end has to move first. */
static ssize_t tls_result(HttpPeer *peer, int n)
{
        int e = SSL_get_error(peer->ssl, n);

        ERR_clear_error();
        if (n > 0)
                return n;
        if (e == SSL_ERROR_ZERO_RETURN)
                return 0;
        errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
        return -1;
}

static ssize_t peer_read(HttpPeer *peer, void *buffer, size_t size)
{
        return peer->ssl ? tls_result(peer, SSL_read(peer->ssl, buffer, (int) size)) : read(peer->fd, buffer, size);
}

static ssize_t peer_write(HttpPeer *peer, const void *buffer, size_t size)
{
        return peer->ssl ? tls_result(peer, SSL_write(peer->ssl, buffer, (int) size))
                         : send(peer->fd, buffer, size, MSG_NOSIGNAL);
}

/* Returns false where the peer is gone. */
static bool peer_flush(HttpPeer *peer)
{
        while (peer->out_sent < peer->out_size) {
                ssize_t n = peer_write(peer, peer->out + peer->out_sent, peer->out_size - peer->out_sent);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n <= 0) {
                        peer_lost(peer);
                        return false;
                }
                peer->out_sent += (size_t) n;
        }

        bool more = peer->out_sent < peer->out_size;
        if (!more && peer->closing) {
                if (peer->ssl)
                        (void) SSL_shutdown(peer->ssl);
                peer_free(peer);
                return false;
        }
        sd_event_source_set_io_events(peer->source, EPOLLIN | (more ? EPOLLOUT : 0));
        return true;
}

/* How long the first request in the buffer is; 0: not all of it is there. */
static size_t request_size(const HttpPeer *peer)
{
        const char *end = strstr(peer->in, "\r\n\r\n");
        const char *length = strcasestr(peer->in, "\r\ncontent-length:");

        if (!end)
                return 0;

        size_t size = (size_t) (end - peer->in) + 4;
        if (length && length < end)
                size += strtoul(strchr(length, ':') + 1, NULL, 10);
        return size <= peer->in_size ? size : 0;
}

static void peer_dispatch_request(HttpPeer *peer)
{
        size_t size = request_size(peer);
        char request[REQUEST_SIZE_MAX + 1];

        if (size == 0)
                return;
        memcpy(request, peer->in, size);
        request[size] = '\0';
        memmove(peer->in, peer->in + size, peer->in_size - size + 1);
        peer->in_size -= size;
        peer->server->handlers->requested(peer, request, peer->server->userdata); /* may free the peer */
}

static int on_peer_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        HttpPeer *peer = userdata;

        if (!peer_flush(peer))
                return 0;

        ssize_t n = peer_read(peer, peer->in + peer->in_size, REQUEST_SIZE_MAX - peer->in_size);
        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n <= 0) {
                peer_lost(peer);
                return 0;
        }
        peer->in_size += (size_t) n;
        peer->in[peer->in_size] = '\0';
        peer_dispatch_request(peer);
        return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        HttpServer *s = userdata;
        HttpPeer *peer = calloc(1, sizeof(*peer));

        assert(peer);
        peer->server = s;
        peer->number = ++s->n_accepted;
        peer->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        assert(peer->fd >= 0);
        peer->next = s->peers;
        s->peers = peer;
        if (s->tls) {
                peer->ssl = SSL_new(s->tls);
                assert(peer->ssl && SSL_set_fd(peer->ssl, peer->fd) == 1);
                SSL_set_mode(peer->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
                SSL_set_accept_state(peer->ssl);
        }
        int r = sd_event_add_io(s->event, &peer->source, peer->fd, EPOLLIN, on_peer_io, peer);
        assert(r >= 0);

        if (s->handlers->accepted)
                s->handlers->accepted(peer, s->userdata);
        return 0;
}

int http_server_new(HttpServer **ret, sd_event *event, SSL_CTX *tls, const HttpServerHandlers *handlers, void *userdata)
{
        _cleanup_(http_server_freep) HttpServer *s = calloc(1, sizeof(*s));
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };

        if (!s)
                return -ENOMEM;
        *s = (HttpServer){ .event = sd_event_ref(event), .tls = tls, .handlers = handlers, .userdata = userdata };
        if (tls)
                SSL_CTX_up_ref(tls);
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->fd < 0 || bind(s->fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(s->fd, 128) < 0)
                return -errno;
        int r = sd_event_add_io(event, &s->source, s->fd, EPOLLIN, on_accept, s);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(s);
        return 0;
}

HttpServer *http_server_free(HttpServer *s)
{
        if (!s)
                return NULL;

        while (s->peers)
                peer_free(s->peers);
        sd_event_source_disable_unref(s->source);
        if (s->fd >= 0)
                close(s->fd);
        SSL_CTX_free(s->tls);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

int http_server_port(const HttpServer *s)
{
        struct sockaddr_in address = {};
        socklen_t size = sizeof(address);

        int r = getsockname(s->fd, (struct sockaddr *) &address, &size);
        assert(r == 0);
        return ntohs(address.sin_port);
}

unsigned http_server_n_accepted(const HttpServer *s)
{
        return s->n_accepted;
}

unsigned http_peer_number(const HttpPeer *peer)
{
        return peer->number;
}

void http_peer_send(HttpPeer *peer, const char *bytes, size_t size)
{
        char *out = realloc(peer->out, peer->out_size + size);

        assert(out);
        memcpy(out + peer->out_size, bytes, size);
        peer->out = out;
        peer->out_size += size;
        /* Written by the loop and not here: the caller has to be able to rely on the peer still being there.
         */
        sd_event_source_set_io_events(peer->source, EPOLLIN | EPOLLOUT);
}

void http_peer_send_string(HttpPeer *peer, const char *text)
{
        http_peer_send(peer, text, strlen(text));
}

void http_peer_stop_reading(HttpPeer *peer)
{
        sd_event_source_set_enabled(peer->source, SD_EVENT_OFF);
}

void http_peer_reply(HttpPeer *peer, int status, const char *headers, const char *body)
{
        char *head;

        int n = asprintf(&head, "HTTP/1.1 %d Whatever\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body), headers);
        assert(n > 0);
        http_peer_send(peer, head, (size_t) n);
        http_peer_send_string(peer, body);
        free(head);
}

void http_peer_close(HttpPeer *peer)
{
        peer->closing = true;
        (void) peer_flush(peer);
}

void http_peer_reset(HttpPeer *peer)
{
        struct linger linger = { .l_onoff = 1 };

        (void) setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        peer_free(peer);
}
