/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-daemon.h>

#include "base/time-util.h"
#include "io/credential-socket.h"

#define NAME_PREFIX "credential-"
#define NAME_SIZE   (sizeof(NAME_PREFIX) + 16)

/* While the process or the host is out of descriptors. Nothing tells when there are some again. */
#define ACCEPT_PAUSE_USEC (250 * USEC_PER_MSEC)

typedef struct Connection Connection;

struct Connection {
        CredentialSocket *owner;
        Connection *previous, *next;
        int fd;
        sd_event_source *source;
        CredentialPeer peer;
        uint64_t number; /* in the name of its copy in the FD store */
        bool stored;
        bool serving; /* else held */
        char *data;
        size_t size;
        size_t sent_size;
};

struct CredentialSocket {
        sd_event *event;
        int fd;
        sd_event_source *accept_source;
        sd_event_source *pause_source;
        sd_event_source *reconsider_source;
        CredentialSocketHandlers handlers;
        size_t connections_max;
        size_t n_connections;
        size_t n_held;
        uint64_t last_number;
        Connection *connections;
};

/* ---- The FD store ------------------------------------------------------------------------------------- */

static void name_of(const Connection *c, char ret[static NAME_SIZE])
{
        snprintf(ret, NAME_SIZE, NAME_PREFIX "%016" PRIx64, c->number);
}

static bool parse_name(const char *name, uint64_t *ret_number)
{
        const char *digits = startswith(name, NAME_PREFIX);

        if (!digits || strlen(digits) != 16 || strspn(digits, "0123456789abcdef") != 16)
                return false;
        *ret_number = strtoull(digits, NULL, 16);
        return true;
}

bool credential_socket_owns_name(const char *name)
{
        uint64_t number;

        return parse_name(name, &number);
}

static bool number_is_taken(CredentialSocket *s, uint64_t number)
{
        for (Connection *c = s->connections; c; c = c->next)
                if (c->stored && c->number == number)
                        return true;
        return false;
}

/* Once sent, the copy is safe: a message that systemd has not read yet holds it as well. systemd does not
 * answer, and drops its copy by itself when the peer goes. */
static void store(Connection *c)
{
        CredentialSocket *s = c->owner;
        char name[NAME_SIZE], state[64];

        do
                s->last_number++;
        while (number_is_taken(s, s->last_number));
        c->number = s->last_number;
        c->stored = true;
        name_of(c, name);
        snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
        /* 0 without a manager, where there is nothing to keep it for either. Where a send fails, the
         * connection is still held by us, and a restart of this process alone would end it. */
        (void) sd_pid_notify_with_fds(0, false, state, &c->fd, 1);
}

static void unstore(Connection *c)
{
        char name[NAME_SIZE];

        if (!c->stored)
                return;
        c->stored = false;
        name_of(c, name);
        (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* ---- Connections -------------------------------------------------------------------------------------- */

static void enable_accept(CredentialSocket *s)
{
        bool room = s->n_connections < s->connections_max;

        (void) sd_event_source_set_enabled(s->accept_source, room ? SD_EVENT_ON : SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(s->pause_source, SD_EVENT_OFF);
}

static void wipe_data(Connection *c)
{
        if (c->data)
                explicit_bzero(c->data, c->size);
        free(c->data);
        c->data = NULL;
        c->size = 0;
}

/* Closes our descriptor and nothing else. */
static void connection_free(Connection *c)
{
        CredentialSocket *s = c->owner;

        if (c->previous)
                c->previous->next = c->next;
        else
                s->connections = c->next;
        if (c->next)
                c->next->previous = c->previous;
        s->n_connections--;
        if (!c->serving)
                s->n_held--;

        wipe_data(c);
        sd_event_source_disable_unref(c->source);
        close(c->fd);
        free(c);
}

/* The peer reads what was sent, then the end. */
static void connection_end(Connection *c)
{
        CredentialSocket *s = c->owner;

        unstore(c);
        /* Acts on the connection itself, so the copies that others have of it end too. */
        (void) shutdown(c->fd, SHUT_RDWR);
        connection_free(c);
        enable_accept(s);
}

static void connection_served(Connection *c)
{
        const CredentialSocketHandlers *h = &c->owner->handlers;
        CredentialPeer peer = c->peer;

        connection_end(c);
        if (h->served)
                h->served(&peer, h->userdata);
}

/* Frees the connection unless the peer has to read first. */
static void connection_send(Connection *c)
{
        while (c->sent_size < c->size) {
                ssize_t n = send(c->fd, c->data + c->sent_size, c->size - c->sent_size, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n >= 0) {
                        c->sent_size += (size_t) n;
                        continue;
                }
                if (errno == EINTR)
                        continue;
                if (errno == EAGAIN && sd_event_source_set_io_events(c->source, EPOLLOUT) >= 0)
                        return;
                connection_end(c);
                return;
        }
        connection_served(c);
}

/* Asks what to do with a held connection, and does it. May free it. */
static void connection_decide(Connection *c)
{
        CredentialSocket *s = c->owner;
        _cleanup_free_ char *data = NULL;
        CredentialVerdict verdict;
        size_t size = 0;

        verdict = s->handlers.decide(&c->peer, &data, &size, s->handlers.userdata);
        assert(verdict >= 0 && verdict < CREDENTIAL_VERDICT_MAX);
        switch (verdict) {
        case CREDENTIAL_HOLD:
                if (!c->stored)
                        store(c);
                return;

        case CREDENTIAL_REFUSE:
                connection_end(c);
                return;

        case CREDENTIAL_SERVE:
                c->serving = true;
                s->n_held--;
                c->data = TAKE_PTR(data);
                c->size = size;
                /* Out of the store before the first byte: if this process dies in between, the peer reads
                 * the end of the file where it stands. A next process that found the connection would send
                 * everything again, and the worker would start with a token that is there twice. */
                unstore(c);
                connection_send(c);
                return;

        default:
                return;
        }
}

/* systemd shuts its writing side down at once and so reading says "end of file" all the time. Nothing is
 * asked to be read therefore; EPOLLHUP and EPOLLERR are reported in any case, and mean that the peer is
 * gone. */
static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Connection *c = userdata;

        if (revents & (EPOLLHUP | EPOLLERR))
                connection_end(c);
        else if (revents & EPOLLOUT)
                connection_send(c);
        return 0;
}

static int read_peer(int fd, CredentialPeer *ret)
{
        struct sockaddr_un address;
        socklen_t address_size = sizeof(address);
        struct ucred cred;
        socklen_t cred_size = sizeof(cred);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_size) < 0)
                return -errno;
        /* Anybody may bind a name of systemd's form; only root is systemd. */
        if (cred.uid != 0)
                return -EPERM;
        if (getpeername(fd, (struct sockaddr *) &address, &address_size) < 0)
                return -errno;
        return credential_peer_parse((const struct sockaddr *) &address, address_size, ret);
}

/* Allocated before there is a descriptor for it: accepted and then dropped for want of memory, the
 * connection would start its worker with an empty credential. */
static Connection *connection_new(CredentialSocket *s)
{
        Connection *c = calloc(1, sizeof(Connection));

        if (!c)
                return NULL;
        c->owner = s;
        c->fd = -EBADF;
        return c;
}

/* Takes the descriptor if it succeeds, and enters the connection as held. */
static int connection_open(Connection *c, int fd)
{
        CredentialSocket *s = c->owner;
        int r;

        r = read_peer(fd, &c->peer);
        if (r < 0)
                return r;
        r = sd_event_add_io(s->event, &c->source, fd, 0, on_connection, c);
        if (r < 0)
                return r;

        c->fd = fd;
        c->next = s->connections;
        if (c->next)
                c->next->previous = c;
        s->connections = c;
        s->n_connections++;
        s->n_held++;
        return 0;
}

/* ---- Accepting ---------------------------------------------------------------------------------------- */

/* Whatever the reason, the gate must not stay shut: to the workers behind it that would be worse than a few
 * tries in vain. */
static void pause_accepting(CredentialSocket *s)
{
        (void) sd_event_source_set_enabled(s->accept_source, SD_EVENT_OFF);
        (void) sd_event_source_set_time_relative(s->pause_source, ACCEPT_PAUSE_USEC);
        (void) sd_event_source_set_enabled(s->pause_source, SD_EVENT_ONESHOT);
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        enable_accept(userdata);
        return 0;
}

/* Returns whether there may be more to accept now. */
static bool accept_one(CredentialSocket *s)
{
        _cleanup_free_ Connection *c = NULL;
        _cleanup_close_ int fd = -EBADF;

        c = connection_new(s);
        fd = c ? accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -EBADF;
        if (fd < 0) {
                if (c && errno == EAGAIN)
                        return false;
                if (c && (errno == EINTR || errno == ECONNABORTED))
                        return true;
                /* EMFILE, ENFILE, ENOMEM, … */
                pause_accepting(s);
                return false;
        }

        if (connection_open(c, fd) >= 0) {
                TAKE_FD(fd);
                connection_decide(TAKE_PTR(c));
        }
        return true;
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        CredentialSocket *s = userdata;

        while (s->n_connections < s->connections_max)
                if (!accept_one(s))
                        return 0;
        enable_accept(s);
        return 0;
}

/* ---- The socket --------------------------------------------------------------------------------------- */

static int on_reconsider(sd_event_source *source, void *userdata)
{
        CredentialSocket *s = userdata;
        Connection *next;

        /* What is decided for one connection may end that one, and no other. */
        for (Connection *c = s->connections; c; c = next) {
                next = c->next;
                if (!c->serving)
                        connection_decide(c);
        }
        return 0;
}

void credential_socket_reconsider(CredentialSocket *s)
{
        int r = sd_event_source_set_enabled(s->reconsider_source, SD_EVENT_ONESHOT);

        assert(r >= 0);
}

static int add_sources(CredentialSocket *s)
{
        int r;

        r = sd_event_add_io(s->event, &s->accept_source, s->fd, EPOLLIN, on_accept, s);
        if (r < 0)
                return r;
        r = sd_event_add_time(s->event, &s->pause_source, CLOCK_MONOTONIC, 0, 0, on_pause_over, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->pause_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_defer(s->event, &s->reconsider_source, on_reconsider, s);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(s->reconsider_source, SD_EVENT_OFF);
}

int credential_socket_new(CredentialSocket **ret, sd_event *event, int listen_fd, size_t connections_max,
                          const CredentialSocketHandlers *handlers)
{
        _cleanup_(credential_socket_freep) CredentialSocket *s = NULL;
        int r, flags;

        assert(handlers->decide);
        assert(connections_max > 0);

        s = calloc(1, sizeof(CredentialSocket));
        if (!s)
                return -ENOMEM;
        s->fd = -EBADF;
        s->event = sd_event_ref(event);
        s->connections_max = connections_max;
        s->handlers = *handlers;

        /* A process before this one may have left copies in the store that nobody adopted. Where there is no
         * randomness yet, at least none of the adopted names is given twice. */
        if (getrandom(&s->last_number, sizeof(s->last_number), GRND_NONBLOCK) < 0)
                s->last_number = 0;

        flags = fcntl(listen_fd, F_GETFL);
        if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        s->fd = listen_fd;
        r = add_sources(s);
        if (r < 0) {
                s->fd = -EBADF;
                return r;
        }

        *ret = TAKE_PTR(s);
        return 0;
}

CredentialSocket *credential_socket_free(CredentialSocket *s)
{
        if (!s)
                return NULL;
        while (s->connections)
                connection_free(s->connections);
        sd_event_source_disable_unref(s->accept_source);
        sd_event_source_disable_unref(s->pause_source);
        sd_event_source_disable_unref(s->reconsider_source);
        closep(&s->fd);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

/* Nothing can be sent to a peer that is gone, and nothing that it sends is of interest. */
static bool peer_is_gone(int fd)
{
        struct pollfd p = { .fd = fd };

        return poll(&p, 1, 0) != 0;
}

int credential_socket_adopt(CredentialSocket *s, int fd, const char *name)
{
        _cleanup_free_ Connection *c = NULL;
        _cleanup_close_ int taken = fd;
        uint64_t number;
        int flags;

        if (!parse_name(name, &number))
                return -EINVAL;
        c = connection_new(s);
        if (!c)
                return -ENOMEM;

        flags = fcntl(taken, F_GETFL);
        if (flags < 0 || fcntl(taken, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(taken, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        if (peer_is_gone(taken) || connection_open(c, taken) < 0) {
                (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
                (void) shutdown(taken, SHUT_RDWR);
                return 0;
        }

        TAKE_FD(taken);
        c->number = number;
        c->stored = true;
        TAKE_PTR(c);
        if (s->n_connections >= s->connections_max)
                enable_accept(s);
        credential_socket_reconsider(s);
        return 0;
}

size_t credential_socket_n_held(const CredentialSocket *s)
{
        return s->n_held;
}

bool credential_socket_is_asked_by(const CredentialSocket *s, const char *unit)
{
        struct pollfd queue = { .fd = s->fd, .events = POLLIN };

        for (const Connection *c = s->connections; c; c = c->next)
                if (streq(c->peer.unit, unit))
                        return true;
        return poll(&queue, 1, 0) != 0;
}
