/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gate-fixture.h"

static CredentialVerdict decide(const CredentialPeer *peer, char **ret_data, size_t *ret_size, void *userdata)
{
        GateFixture *f = userdata;

        f->n_decided++;
        f->last = *peer;
        if (f->verdict == CREDENTIAL_SERVE && f->data) {
                *ret_data = malloc(f->data_size);
                assert_non_null(*ret_data);
                memcpy(*ret_data, f->data, f->data_size);
                *ret_size = f->data_size;
        }
        return f->verdict;
}

static void served(const CredentialPeer *peer, void *userdata)
{
        GateFixture *f = userdata;

        f->n_served++;
        f->last = *peer;
}

static void start_gate(GateFixture *f, size_t connections_max)
{
        const CredentialSocketHandlers handlers = { .decide = decide, .served = served, .userdata = f };
        int fd = fcntl(f->listen_fd, F_DUPFD_CLOEXEC, 3);

        assert_true(fd >= 0);
        assert_int_equal(credential_socket_new(&f->gate, f->event, fd, connections_max, &handlers), 0);
}

/* Does what systemd does with one message (sd_pid_notify_with_fds(3)). */
static void keep_store(GateFixture *f, const char *message, int fd)
{
        const char *name = strstr(message, "FDNAME=");

        assert_non_null(name);
        name += strlen("FDNAME=");
        if (startswith(message, "FDSTORE=1\n")) {
                assert_true(fd >= 0);
                assert_true(f->n_store < GATE_STORE_MAX);
                snprintf(f->store[f->n_store].name, sizeof(f->store[0].name), "%s", name);
                f->store[f->n_store++].fd = fd;
                return;
        }
        assert_non_null(startswith(message, "FDSTOREREMOVE=1\n"));
        assert_int_equal(fd, -EBADF);
        for (size_t i = 0; i < f->n_store; i++)
                if (streq(f->store[i].name, name)) {
                        close(f->store[i].fd);
                        f->store[i] = f->store[--f->n_store];
                        return;
                }
}

static void read_all_messages(GateFixture *f)
{
        for (;;) {
                union {
                        struct cmsghdr header;
                        char bytes[CMSG_SPACE(sizeof(int))];
                } control;
                char message[512];
                struct iovec iov = { .iov_base = message, .iov_len = sizeof(message) - 1 };
                struct msghdr header = {
                        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
                };
                struct cmsghdr *c;
                int fd = -EBADF;
                ssize_t n = recvmsg(f->notify_fd, &header, MSG_CMSG_CLOEXEC);

                if (n < 0)
                        return;
                message[n] = '\0';
                c = CMSG_FIRSTHDR(&header);
                if (c && c->cmsg_type == SCM_RIGHTS)
                        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
                keep_store(f, message, fd);
        }
}

/* What was sent before this is in the store after it. */
static void read_notifications(GateFixture *f)
{
        pthread_mutex_lock(&f->lock);
        read_all_messages(f);
        pthread_mutex_unlock(&f->lock);
}

static void *run_systemd(void *userdata)
{
        GateFixture *f = userdata;
        struct pollfd fds[] = { { .fd = f->notify_fd, .events = POLLIN }, { .fd = f->stop_fd, .events = POLLIN } };

        while (poll(fds, ELEMENTSOF(fds), -1) >= 0 && fds[1].revents == 0)
                read_notifications(f);
        return NULL;
}

void gate_stop_systemd(GateFixture *f)
{
        if (f->stop_fd < 0)
                return;
        assert_int_equal(eventfd_write(f->stop_fd, 1), 0);
        assert_int_equal(pthread_join(f->systemd, NULL), 0);
        close(f->stop_fd);
        f->stop_fd = -EBADF;
}

int gate_setup(void **state)
{
        GateFixture *f = calloc(1, sizeof(GateFixture));
        const char *parent = getenv("TMPDIR");

        assert_non_null(f);
        snprintf(f->directory, sizeof(f->directory), "%s/tgswitch-test-XXXXXX", parent ?: "/tmp");
        assert_non_null(mkdtemp(f->directory));
        assert_int_equal(chmod(f->directory, 0755), 0);
        f->address.sun_family = f->notify_address.sun_family = AF_UNIX;
        snprintf(f->address.sun_path, sizeof(f->address.sun_path), "%s/gate", f->directory);
        snprintf(f->notify_address.sun_path, sizeof(f->notify_address.sun_path), "%s/notify", f->directory);

        f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->listen_fd, (struct sockaddr *) &f->address, sizeof(f->address)), 0);
        assert_int_equal(listen(f->listen_fd, 4096), 0);
        assert_int_equal(chmod(f->address.sun_path, 0777), 0);
        f->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(f->notify_fd, (struct sockaddr *) &f->notify_address, sizeof(f->notify_address)), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", f->notify_address.sun_path, true), 0);

        f->verdict = CREDENTIAL_HOLD;
        assert_true(sd_event_new(&f->event) >= 0);
        start_gate(f, GATE_CONNECTIONS_MAX);
        f->stop_fd = eventfd(0, EFD_CLOEXEC);
        assert_int_equal(pthread_mutex_init(&f->lock, NULL), 0);
        assert_int_equal(pthread_create(&f->systemd, NULL, run_systemd, f), 0);
        *state = f;
        return 0;
}

int gate_teardown(void **state)
{
        GateFixture *f = *state;

        gate_stop_systemd(f);
        pthread_mutex_destroy(&f->lock);
        credential_socket_free(f->gate);
        sd_event_unref(f->event);
        close(f->listen_fd);
        close(f->notify_fd);
        for (size_t i = 0; i < f->n_store; i++)
                close(f->store[i].fd);
        unlink(f->address.sun_path);
        unlink(f->notify_address.sun_path);
        rmdir(f->directory);
        free(f);
        return 0;
}

void gate_settle(GateFixture *f)
{
        int r;

        do {
                r = sd_event_run(f->event, 0);
                assert_true(r >= 0);
                read_notifications(f);
        } while (r > 0);
}

int gate_peer_named(GateFixture *f, const char *name)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        size_t size = strlen(name);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        if (size > 0) {
                memcpy(un.sun_path + 1, name, size);
                assert_int_equal(bind(fd, (struct sockaddr *) &un,
                                      (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + size)),
                                 0);
        }
        assert_int_equal(connect(fd, (struct sockaddr *) &f->address, sizeof(f->address)), 0);
        return fd;
}

int gate_peer(GateFixture *f, const char *unit)
{
        static unsigned counter;
        char name[108];
        int fd;

        snprintf(name, sizeof(name), "%x%08x/unit/%s/bot-token", ++counter, (unsigned) getpid(), unit);
        fd = gate_peer_named(f, name);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        return fd;
}

bool gate_has_ended(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

size_t gate_read_all(GateFixture *f, int fd, char *buffer, size_t buffer_size)
{
        size_t size = 0;

        for (;;) {
                ssize_t n;

                gate_settle(f);
                n = read(fd, buffer + size, buffer_size - size);
                if (n <= 0) {
                        assert_int_equal(n, 0);
                        close(fd);
                        return size;
                }
                size += (size_t) n;
        }
}

void gate_assert_reads(GateFixture *f, int fd, const char *expected)
{
        char buffer[256];
        size_t n = gate_read_all(f, fd, buffer, sizeof(buffer));

        assert_int_equal(n, strlen(expected));
        assert_memory_equal(buffer, expected, n);
}

void gate_serve(GateFixture *f, const char *data)
{
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = data ? strlen(data) : 0;
}

void gate_restart(GateFixture *f, size_t connections_max)
{
        read_notifications(f);
        f->gate = credential_socket_free(f->gate);
        start_gate(f, connections_max);
        for (size_t i = f->n_store; i-- > 0;) {
                int fd = fcntl(f->store[i].fd, F_DUPFD, 3);

                assert_true(fd >= 0);
                assert_int_equal(credential_socket_adopt(f->gate, fd, f->store[i].name), 0);
        }
}
