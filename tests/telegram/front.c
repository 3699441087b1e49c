/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "clock.h"
#include "front.h"

/* Past this much under way in one direction we stop reading, so that an endless body stays bounded. */
#define UNDERWAY_SIZE_MAX (4 * 1024 * 1024)
#define READ_SIZE         16384

typedef enum ParcelKind {
        PARCEL_DATA,
        PARCEL_END,
        PARCEL_RESET,
} ParcelKind;

/* What was read on one side and is due on the other at a moment. */
typedef struct Parcel {
        struct Parcel *next;
        uint64_t due_usec;
        ParcelKind kind;
        size_t size, sent;
        uint8_t data[];
} Parcel;

typedef struct Lane {
        Parcel *first, **last;
        size_t underway_size;
        uint64_t pace_usec; /* where not 0: one byte each */
        bool ended;         /* no more is read from its source */
        bool blocked;       /* its destination takes no more at the moment */
} Lane;

typedef struct Connection {
        Front *front;
        struct Connection *next;
        uint64_t id;
        uint64_t ready_usec; /* TCP's own handshake is over */
        uint64_t arrived_usec;
        int client_fd, server_fd;
        sd_event_source *client_io, *server_io, *timer;
        Lane up, down;
        bool tls_alert;
} Connection;

struct Front {
        sd_event *event;
        struct sockaddr_in address;
        int listen_fd;
        int filler_fd; /* of our own, see front_fill() */
        sd_event_source *listen_io;
        FrontHandlers handlers;
        FrontMode mode;
        uint64_t latency_usec;
        uint64_t n_connections;
        Connection *connections;
};

bool front_parse_address(const char *text, struct sockaddr_in *ret)
{
        struct sockaddr_in address = { .sin_family = AF_INET };
        const char *colon = text ? strrchr(text, ':') : NULL;
        char host[INET_ADDRSTRLEN];
        unsigned long port;
        char *end;

        if (!colon || (size_t) (colon - text) >= sizeof(host) || colon[1] == '\0')
                return false;

        memcpy(host, text, (size_t) (colon - text));
        host[colon - text] = '\0';
        port = strtoul(colon + 1, &end, 10);
        if (*end != '\0' || port > UINT16_MAX || inet_pton(AF_INET, host, &address.sin_addr) != 1)
                return false;

        address.sin_port = htons((uint16_t) port);
        *ret = address;
        return true;
}

static void lane_done(Lane *lane)
{
        while (lane->first) {
                Parcel *parcel = lane->first;

                lane->first = parcel->next;
                free(parcel);
        }
}

static void lane_add(Lane *lane, ParcelKind kind, uint64_t due_usec, const void *data, size_t size)
{
        Parcel *parcel = malloc(sizeof(*parcel) + size);

        assert(parcel);
        *parcel = (Parcel){ .due_usec = due_usec, .kind = kind, .size = size };
        if (size > 0)
                memcpy(parcel->data, data, size);
        *lane->last = parcel;
        lane->last = &parcel->next;
        lane->underway_size += size;
        if (kind != PARCEL_DATA)
                lane->ended = true;
}

static void lane_drop_first(Lane *lane)
{
        Parcel *parcel = lane->first;

        lane->underway_size -= parcel->size;
        lane->first = parcel->next;
        if (!lane->first)
                lane->last = &lane->first;
        free(parcel);
}

static void close_with_reset(int fd)
{
        struct linger at_once = { .l_onoff = 1 };

        (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fd);
}

static void connection_end(Connection *c, bool reset, bool lost)
{
        Front *front = c->front;

        for (Connection **slot = &front->connections; *slot; slot = &(*slot)->next)
                if (*slot == c) {
                        *slot = c->next;
                        break;
                }

        sd_event_source_disable_unref(c->client_io);
        sd_event_source_disable_unref(c->server_io);
        sd_event_source_disable_unref(c->timer);
        if (reset)
                close_with_reset(c->client_fd);
        else
                close(c->client_fd);
        closep(&c->server_fd);
        lane_done(&c->up);
        lane_done(&c->down);

        front->handlers.on_closed(front->handlers.userdata, c->id, lost);
        free(c);
}

/* recv() that also tells when the kernel got the last of these bytes: the one witness of the order in which clients
 * sent that does not depend on when we had time to read. Its stamps are of CLOCK_REALTIME, so we go by their age. */
static ssize_t receive(int fd, void *buffer, size_t size, uint64_t *ret_arrived_usec)
{
        union {
                struct cmsghdr header; /* for its alignment */
                uint8_t space[CMSG_SPACE(sizeof(struct timespec))];
        } control;
        struct iovec iov = { .iov_base = buffer, .iov_len = size };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        uint64_t now = clock_now_usec(), age_usec = 0;
        ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

        if (n <= 0)
                return n;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                struct timespec stamp, real;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
                        continue;
                memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
                (void) clock_gettime(CLOCK_REALTIME, &real);
                /* A clock that was set back in between makes them as young as can be. */
                age_usec = clock_usec(&real) - MIN(clock_usec(&stamp), clock_usec(&real));
        }
        *ret_arrived_usec = now - MIN(age_usec, now);
        return n;
}

/* Reads what there is. Returns false where the connection is over and freed. */
static bool connection_read(Connection *c, bool from_client)
{
        Lane *lane = from_client ? &c->up : &c->down;
        uint64_t now = clock_now_usec(), due = now + c->front->latency_usec / 2;
        uint8_t buffer[READ_SIZE];
        ssize_t n;

        if (from_client)
                due = MAX(due, c->ready_usec + c->front->latency_usec / 2);

        if (from_client)
                n = receive(c->client_fd, buffer, sizeof(buffer), &c->arrived_usec);
        else
                n = recv(c->server_fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;

        if (from_client && c->tls_alert) {
                static const uint8_t handshake_failure[] = { 0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28 };

                (void) send(c->client_fd, handshake_failure, sizeof(handshake_failure), MSG_NOSIGNAL);
                connection_end(c, false, false);
                return false;
        }
        if (n > 0)
                lane_add(lane, PARCEL_DATA, due, buffer, (size_t) n);
        else
                lane_add(lane, PARCEL_END, due, NULL, 0);
        return true;
}

/* Delivers what is due in one direction. Returns false where the connection is over and freed. */
static bool connection_deliver(Connection *c, bool to_client)
{
        Lane *lane = to_client ? &c->down : &c->up;
        int fd = to_client ? c->client_fd : c->server_fd;
        uint64_t now = clock_now_usec();

        lane->blocked = false;
        while (lane->first && lane->first->due_usec <= now) {
                Parcel *parcel = lane->first;
                size_t size = parcel->size - parcel->sent;
                ssize_t n;

                if (parcel->kind != PARCEL_DATA) {
                        /* A client that has closed is gone: HTTP clients don't close one half only. What is
                         * under way to it is lost. */
                        connection_end(c, parcel->kind == PARCEL_RESET, !to_client && c->down.first);
                        return false;
                }

                n = send(fd, parcel->data + parcel->sent, lane->pace_usec > 0 ? 1 : size, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                        lane->blocked = true;
                        return true;
                }
                if (n < 0) {
                        connection_end(c, false, to_client);
                        return false;
                }
                parcel->sent += (size_t) n;
                parcel->due_usec = now + lane->pace_usec;
                if (parcel->sent == parcel->size)
                        lane_drop_first(lane);
                if (lane->pace_usec > 0 && lane->first)
                        lane->first->due_usec = MAX(lane->first->due_usec, now + lane->pace_usec);
        }
        return true;
}

/* Asks for exactly the events that can move something on. */
static void connection_rearm(Connection *c)
{
        bool silent = c->front->mode == FRONT_SILENT || c->front->mode == FRONT_UNREACHABLE;
        uint64_t due_usec = UINT64_MAX;
        uint32_t client = 0, server = 0;

        if (!c->up.ended && c->up.underway_size < UNDERWAY_SIZE_MAX)
                client |= EPOLLIN;
        if (c->down.blocked)
                client |= EPOLLOUT;
        if (!c->down.ended && c->down.underway_size < UNDERWAY_SIZE_MAX)
                server |= EPOLLIN;
        if (c->up.blocked)
                server |= EPOLLOUT;

        if (c->up.first && !c->up.blocked)
                due_usec = MIN(due_usec, c->up.first->due_usec);
        if (c->down.first && !c->down.blocked)
                due_usec = MIN(due_usec, c->down.first->due_usec);

        (void) sd_event_source_set_io_events(c->client_io, client);
        (void) sd_event_source_set_io_events(c->server_io, server);
        /* With no event asked for epoll still reports a hang-up, over and over: then the source sleeps. */
        (void) sd_event_source_set_enabled(c->client_io, !silent && client ? SD_EVENT_ON : SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(c->server_io, !silent && server ? SD_EVENT_ON : SD_EVENT_OFF);
        (void) sd_event_source_set_time(c->timer, due_usec);
        (void) sd_event_source_set_enabled(c->timer,
                                           !silent && due_usec != UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void connection_move_on(Connection *c)
{
        if (connection_deliver(c, false) && connection_deliver(c, true))
                connection_rearm(c);
}

static int on_client_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Connection *c = userdata;

        if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) || c->up.ended || connection_read(c, true))
                connection_move_on(c);
        return 0;
}

static int on_server_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Connection *c = userdata;

        if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) || c->down.ended || connection_read(c, false))
                connection_move_on(c);
        return 0;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        connection_move_on(userdata);
        return 0;
}

static int connection_watch(Connection *c)
{
        sd_event *event = c->front->event;
        int r;

        r = sd_event_add_io(event, &c->client_io, c->client_fd, EPOLLIN, on_client_io, c);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &c->server_io, c->server_fd, EPOLLIN, on_server_io, c);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &c->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_due, c);
        if (r < 0)
                return r;
        connection_rearm(c);
        return 0;
}

/* Takes over client_fd. */
static void front_welcome(Front *front, int client_fd, const struct sockaddr_in *peer, FrontWelcome welcome)
{
        int pair[2], one = 1;
        Connection *c;

        if (welcome == FRONT_WELCOME_RESET ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
                close_with_reset(client_fd);
                return;
        }

        (void) setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c = calloc(1, sizeof(*c));
        assert(c);
        c->front = front;
        c->id = ++front->n_connections;
        c->client_fd = client_fd;
        c->server_fd = pair[0];
        c->up.last = &c->up.first;
        c->down.last = &c->down.first;
        c->ready_usec = clock_now_usec() + front->latency_usec;
        c->tls_alert = welcome == FRONT_WELCOME_TLS_ALERT;
        c->next = front->connections;
        front->connections = c;

        if (front->handlers.on_connection(front->handlers.userdata, c->id, pair[1], peer) < 0 ||
            connection_watch(c) < 0)
                connection_end(c, true, false);
}

static int on_listen_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Front *front = userdata;
        struct sockaddr_in peer = { 0 };
        socklen_t size = sizeof(peer);
        FrontWelcome welcome = FRONT_WELCOME_PASS;
        int client_fd;

        client_fd = accept4(front->listen_fd, (struct sockaddr *) &peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client_fd < 0)
                return 0;
        if (front->handlers.on_accept)
                welcome = front->handlers.on_accept(front->handlers.userdata);
        front_welcome(front, client_fd, &peer, welcome);
        return 0;
}

static int front_listen(Front *front, int backlog)
{
        socklen_t size = sizeof(front->address);
        int one = 1;

        front->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (front->listen_fd < 0)
                return -errno;
        (void) setsockopt(front->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        /* Every connection inherits it, so that its first bytes are stamped too. */
        (void) setsockopt(front->listen_fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
        if (bind(front->listen_fd, (struct sockaddr *) &front->address, size) < 0 ||
            listen(front->listen_fd, backlog) < 0 ||
            getsockname(front->listen_fd, (struct sockaddr *) &front->address, &size) < 0)
                return -errno;
        return sd_event_add_io(front->event, &front->listen_io, front->listen_fd, EPOLLIN, on_listen_io, front);
}

static void front_unlisten(Front *front)
{
        front->listen_io = sd_event_source_disable_unref(front->listen_io);
        closep(&front->listen_fd);
        closep(&front->filler_fd);
        front->listen_fd = front->filler_fd = -EBADF;
}

/* A listening socket whose queue is full drops what asks for a connection, and says nothing: with a backlog of 0 one
 * connection fills it, and that is our own. */
static int front_fill(Front *front)
{
        front->filler_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (front->filler_fd < 0)
                return -errno;
        if (connect(front->filler_fd, (struct sockaddr *) &front->address, sizeof(front->address)) < 0)
                return -errno;
        return 0;
}

int front_new(Front **ret, sd_event *event, const struct sockaddr_in *address, const FrontHandlers *handlers)
{
        _cleanup_(front_freep) Front *front = NULL;
        int r;

        front = calloc(1, sizeof(*front));
        if (!front)
                return -ENOMEM;
        front->event = sd_event_ref(event);
        front->address = *address;
        front->handlers = *handlers;
        front->listen_fd = front->filler_fd = -EBADF;

        r = front_listen(front, SOMAXCONN);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(front);
        return 0;
}

Front *front_free(Front *front)
{
        if (!front)
                return NULL;

        front_unlisten(front);
        while (front->connections)
                connection_end(front->connections, false, false);
        sd_event_unref(front->event);
        free(front);
        return NULL;
}

uint16_t front_port(const Front *front)
{
        return ntohs(front->address.sin_port);
}

void front_set_latency(Front *front, uint64_t latency_usec)
{
        front->latency_usec = latency_usec;
}

int front_set_mode(Front *front, FrontMode mode)
{
        FrontMode before = front->mode;
        int r;

        if (before == mode)
                return 0;

        front->mode = mode;
        for (Connection *c = front->connections; c; c = c->next)
                connection_rearm(c);

        if (mode == FRONT_REFUSE || mode == FRONT_UNREACHABLE || before == FRONT_UNREACHABLE)
                front_unlisten(front);
        if (mode == FRONT_REFUSE)
                return 0;
        if (front->listen_fd < 0) {
                r = front_listen(front, mode == FRONT_UNREACHABLE ? 0 : SOMAXCONN);
                if (r < 0)
                        return r;
        }
        r = mode == FRONT_UNREACHABLE ? front_fill(front) : 0;
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(front->listen_io, mode == FRONT_OPEN ? SD_EVENT_ON : SD_EVENT_OFF);
}

static Connection *front_find(const Front *front, uint64_t id)
{
        for (Connection *c = front->connections; c; c = c->next)
                if (c->id == id)
                        return c;
        return NULL;
}

uint64_t front_arrived_usec(const Front *front, uint64_t connection)
{
        const Connection *c = front_find(front, connection);

        return c ? c->arrived_usec : 0;
}

void front_flush(Front *front)
{
        for (Connection *c = front->connections, *next; c; c = next) {
                bool alive = true;
                size_t before;

                next = c->next;
                do {
                        before = c->down.underway_size;
                        alive = c->down.ended || connection_read(c, false);
                } while (alive && c->down.underway_size > before);

                for (Parcel *parcel = alive ? c->down.first : NULL; parcel; parcel = parcel->next)
                        parcel->due_usec = 0;
                if (alive && connection_deliver(c, true))
                        connection_rearm(c);
        }
}

void front_set_pace(Front *front, uint64_t connection, uint64_t interval_usec)
{
        Connection *c = front_find(front, connection);

        if (c)
                c->down.pace_usec = interval_usec;
}

void front_reset(Front *front, uint64_t connection)
{
        Connection *c = front_find(front, connection);

        if (!c)
                return;

        lane_done(&c->down);
        c->down = (Lane){ .last = &c->down.first };
        lane_add(&c->down, PARCEL_RESET, clock_now_usec() + front->latency_usec / 2, NULL, 0);
        connection_rearm(c);
}
