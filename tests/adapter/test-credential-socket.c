/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/time-util.h"
#include "io/credential-socket.h"

#define STORE_MAX  64
#define LARGE_SIZE (512 * 1024)
#define MANY       2000
#define MANY_MAX   16

/* The gate under test, with the parts of systemd that it talks to: peers, and the FD store behind
 * NOTIFY_SOCKET=. */
typedef struct Fixture {
        char directory[32];
        struct sockaddr_un address;
        struct sockaddr_un notify_address;
        sd_event *event;
        CredentialSocket *gate;
        int listen_fd; /* a copy, as systemd has one */
        int notify_fd;

        /* systemd reads while we send: a datagram socket takes ten messages only (net.unix.max_dgram_qlen).
         */
        pthread_t systemd;
        int stop_fd;
        pthread_mutex_t lock; /* of the store */
        struct {
                char name[64];
                int fd;
        } store[STORE_MAX];
        size_t n_store;

        CredentialVerdict verdict;
        const char *data;
        size_t data_size;
        unsigned n_decided;
        unsigned n_served;
        CredentialPeer last;
} Fixture;

static CredentialVerdict decide(const CredentialPeer *peer, char **ret_data, size_t *ret_size,
                                void *userdata)
{
        Fixture *f = userdata;

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
        Fixture *f = userdata;

        f->n_served++;
        f->last = *peer;
}

static void start_gate(Fixture *f, size_t connections_max)
{
        const CredentialSocketHandlers handlers = { .decide = decide, .served = served, .userdata = f };
        int fd = fcntl(f->listen_fd, F_DUPFD_CLOEXEC, 3);

        assert_true(fd >= 0);
        assert_int_equal(credential_socket_new(&f->gate, f->event, fd, connections_max, &handlers), 0);
}

/* Does what systemd does with one message (sd_pid_notify_with_fds(3)). */
static void keep_store(Fixture *f, const char *message, int fd)
{
        const char *name = strstr(message, "FDNAME=");

        assert_non_null(name);
        name += strlen("FDNAME=");
        if (startswith(message, "FDSTORE=1\n")) {
                assert_true(fd >= 0);
                assert_true(f->n_store < STORE_MAX);
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

static void read_all_messages(Fixture *f)
{
        for (;;) {
                union {
                        struct cmsghdr header;
                        char bytes[CMSG_SPACE(sizeof(int))];
                } control;
                char message[512];
                struct iovec iov = { .iov_base = message, .iov_len = sizeof(message) - 1 };
                struct msghdr header = { .msg_iov = &iov,
                                         .msg_iovlen = 1,
                                         .msg_control = &control,
                                         .msg_controllen = sizeof(control) };
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
static void read_notifications(Fixture *f)
{
        pthread_mutex_lock(&f->lock);
        read_all_messages(f);
        pthread_mutex_unlock(&f->lock);
}

static void *run_systemd(void *userdata)
{
        Fixture *f = userdata;
        struct pollfd fds[] = { { .fd = f->notify_fd, .events = POLLIN },
                                { .fd = f->stop_fd, .events = POLLIN } };

        while (poll(fds, ELEMENTSOF(fds), -1) >= 0 && fds[1].revents == 0)
                read_notifications(f);
        return NULL;
}

static void stop_systemd(Fixture *f)
{
        if (f->stop_fd < 0)
                return;
        assert_int_equal(eventfd_write(f->stop_fd, 1), 0);
        assert_int_equal(pthread_join(f->systemd, NULL), 0);
        close(f->stop_fd);
        f->stop_fd = -EBADF;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        snprintf(f->directory, sizeof(f->directory), "/tmp/tgswitch-test-XXXXXX");
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
        assert_int_equal(bind(f->notify_fd, (struct sockaddr *) &f->notify_address,
                              sizeof(f->notify_address)),
                         0);
        assert_int_equal(setenv("NOTIFY_SOCKET", f->notify_address.sun_path, true), 0);

        f->verdict = CREDENTIAL_HOLD;
        assert_true(sd_event_new(&f->event) >= 0);
        start_gate(f, MANY_MAX);
        f->stop_fd = eventfd(0, EFD_CLOEXEC);
        assert_int_equal(pthread_mutex_init(&f->lock, NULL), 0);
        assert_int_equal(pthread_create(&f->systemd, NULL, run_systemd, f), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        stop_systemd(f);
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

/* Runs the loop until nothing is left to do. */
static void settle(Fixture *f)
{
        int r;

        do {
                r = sd_event_run(f->event, 0);
                assert_true(r >= 0);
                read_notifications(f);
        } while (r > 0);
}

static int peer_named(Fixture *f, const char *name)
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

/* Connects like systemd, which shuts its writing side down before it reads. */
static int peer(Fixture *f, const char *unit)
{
        static unsigned counter;
        char name[108];
        int fd;

        snprintf(name, sizeof(name), "%x%08x/unit/%s/bot-token", ++counter, (unsigned) getpid(), unit);
        fd = peer_named(f, name);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        return fd;
}

static bool has_ended(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* Reads to the end of the file, while the gate does its part, and closes. */
static size_t read_all(Fixture *f, int fd, char *buffer, size_t buffer_size)
{
        size_t size = 0;

        for (;;) {
                ssize_t n;

                settle(f);
                n = read(fd, buffer + size, buffer_size - size);
                if (n <= 0) {
                        assert_int_equal(n, 0);
                        close(fd);
                        return size;
                }
                size += (size_t) n;
        }
}

static void assert_reads(Fixture *f, int fd, const char *expected)
{
        char buffer[256];
        size_t n = read_all(f, fd, buffer, sizeof(buffer));

        assert_int_equal(n, strlen(expected));
        assert_memory_equal(buffer, expected, n);
}

static void serve(Fixture *f, const char *data)
{
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = data ? strlen(data) : 0;
}

static void test_serves_at_once(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        serve(f, "123:abc");
        assert_reads(f, fd, "123:abc");
        assert_string_equal(f->last.unit, "shop.service");
        assert_string_equal(f->last.id, "bot-token");
        assert_int_equal(f->n_decided, 1);
        assert_int_equal(f->n_served, 1);
        assert_int_equal(f->n_store, 0);
}

static void test_serves_nothing(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        serve(f, NULL);
        assert_reads(f, fd, "");
        assert_int_equal(f->n_served, 1);
}

static void test_refuses(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        f->verdict = CREDENTIAL_REFUSE;
        assert_reads(f, fd, "");
        assert_int_equal(f->n_decided, 1);
        assert_int_equal(f->n_served, 0);
}

/* L4: a held worker is not answered, not by its own end of file either, until the verdict changes. */
static void test_holds_and_serves_later(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        settle(f);
        assert_false(has_ended(fd));
        assert_int_equal(credential_socket_n_held(f->gate), 1);
        assert_int_equal(f->n_store, 1);
        assert_true(credential_socket_owns_name(f->store[0].name));

        credential_socket_reconsider(f->gate);
        settle(f);
        assert_int_equal(f->n_decided, 2);
        assert_false(has_ended(fd));
        assert_int_equal(f->n_store, 1);

        serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        assert_int_equal(f->n_decided, 2);
        assert_reads(f, fd, "123:abc");
        assert_int_equal(f->n_decided, 3);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);
}

/* systemd ends the connection of a unit whose start is cancelled. */
static void test_forgets_a_held_peer_that_goes(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        settle(f);
        close(fd);
        settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);
        assert_int_equal(f->n_served, 0);
}

static void test_peer_goes_before_it_is_accepted(void **state)
{
        Fixture *f = *state;

        close(peer(f, "shop.service"));
        settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);

        serve(f, "123:abc");
        close(peer(f, "shop.service"));
        settle(f);
        assert_int_equal(f->n_served, 0);
}

static void test_large_credential_arrives_whole(void **state)
{
        _cleanup_free_ char *data = malloc(LARGE_SIZE), *seen = malloc(LARGE_SIZE + 1);
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        assert_non_null(data);
        assert_non_null(seen);
        for (size_t i = 0; i < LARGE_SIZE; i++)
                data[i] = (char) (i * 7 + i / 251);
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;

        settle(f);
        assert_int_equal(f->n_served, 0); /* more than a socket takes at once */
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(read_all(f, fd, seen, LARGE_SIZE + 1), LARGE_SIZE);
        assert_memory_equal(data, seen, LARGE_SIZE);
        assert_int_equal(f->n_served, 1);
}

static void test_peer_goes_in_the_middle(void **state)
{
        _cleanup_free_ char *data = calloc(1, LARGE_SIZE);
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        assert_non_null(data);
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;
        settle(f);
        close(fd);
        settle(f);
        assert_int_equal(f->n_served, 0);

        serve(f, "123:abc");
        assert_reads(f, peer(f, "shop.service"), "123:abc");
}

/* A socket with mode 0600 keeps others away already. This is the second lock. */
static void test_peers_that_are_not_systemd(void **state)
{
        static const char *const names[] = { "", "4c1f", "4c1f/unit/shop/bot-token",
                                             "4c1f/unit/shop.service/a/b" };
        Fixture *f = *state;
        pid_t pid;
        int status;

        serve(f, "123:abc");
        FOREACH_ELEMENT (n, names)
                assert_reads(f, peer_named(f, *n), "");

        if (getuid() == 0) {
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        struct pollfd p = { .events = POLLIN };
                        char byte;

                        if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
                                _exit(2);
                        p.fd = peer_named(f, "4c1f/unit/shop.service/bot-token");
                        _exit(poll(&p, 1, 60000) == 1 && read(p.fd, &byte, 1) == 0 ? 0 : 1);
                }
                while (waitpid(pid, &status, WNOHANG) == 0)
                        assert_true(sd_event_run(f->event, 10 * USEC_PER_MSEC) >= 0);
                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), 0);
        }
        assert_int_equal(f->n_decided, 0);
}

/* Nothing that a peer sends is read, and none of it wakes us. */
static void test_peer_that_talks(void **state)
{
        Fixture *f = *state;
        int fd = peer_named(f, "4c1f/unit/shop.service/bot-token");

        settle(f);
        assert_int_equal(write(fd, "hello", 5), 5);
        assert_int_equal(sd_event_run(f->event, 0), 0);
        assert_int_equal(credential_socket_n_held(f->gate), 1);
        serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        settle(f);
        assert_int_equal(f->n_served, 1);
        close(fd);
}

/* 2000 workers start at once against a bound of 16: those beyond wait in the socket's queue, and each gets
 * its answer. */
static void test_more_than_the_bound(void **state)
{
        Fixture *f = *state;
        int *fds = calloc(MANY, sizeof(int));
        size_t i;

        assert_non_null(fds);
        for (i = 0; i < MANY; i++)
                fds[i] = peer(f, "shop.service");
        settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), MANY_MAX);
        assert_int_equal(f->n_store, MANY_MAX);
        assert_int_equal(f->n_decided, MANY_MAX);
        assert_int_equal(sd_event_run(f->event, 0), 0); /* and those that wait cost nothing */
        for (i = 0; i < MANY; i++)
                assert_false(has_ended(fds[i]));

        /* one goes, one comes */
        close(fds[3]);
        settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), MANY_MAX);
        assert_int_equal(f->n_decided, MANY_MAX + 1);

        serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        for (i = 0; i < MANY; i++)
                if (i != 3)
                        assert_reads(f, fds[i], "123:abc");
        assert_int_equal(f->n_served, MANY - 1);
        assert_int_equal(f->n_store, 0);
        free(fds);
}

/* Names may collide with none that a process before this one left in the store. */
static void test_names_are_unique(void **state)
{
        Fixture *f = *state;
        int fds[MANY_MAX];

        for (size_t i = 0; i < MANY_MAX; i++)
                fds[i] = peer(f, "shop.service");
        settle(f);
        assert_int_equal(f->n_store, MANY_MAX);
        for (size_t i = 0; i < f->n_store; i++)
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(f->store[i].name, f->store[j].name);
        for (size_t i = 0; i < MANY_MAX; i++)
                close(fds[i]);
        settle(f);
        assert_int_equal(f->n_store, 0);
}

/* The process dies and a next one starts: its store has the connections, and the old process ended none of
 * them. */
static void restart_gate(Fixture *f, size_t connections_max)
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

/* L5: a restart neither answers nor ends a held connection. */
static void test_adoption(void **state)
{
        Fixture *f = *state;
        int a = peer(f, "shop.service"), b = peer(f, "news.service"), c;

        settle(f);
        assert_int_equal(f->n_store, 2);
        restart_gate(f, 2);
        settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 2);
        assert_int_equal(f->n_decided, 4); /* asked anew, without a reconsideration from outside */
        assert_int_equal(f->n_store, 2);   /* under the names that they have */
        assert_false(has_ended(a));
        assert_false(has_ended(b));

        /* adopted ones count: the third waits outside */
        c = peer(f, "shop.service");
        settle(f);
        assert_int_equal(f->n_decided, 4);

        restart_gate(f, 2);
        serve(f, "123:abc");
        assert_reads(f, a, "123:abc");
        assert_reads(f, b, "123:abc");
        assert_reads(f, c, "123:abc");
        assert_int_equal(f->n_store, 0);
        assert_int_equal(f->n_served, 3);
}

/* The worker's start was cancelled while nobody was there. */
static void test_adoption_of_a_peer_that_is_gone(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        settle(f);
        close(fd);
        restart_gate(f, MANY_MAX);
        settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);
        assert_int_equal(f->n_decided, 1);
}

static void test_adoption_under_a_foreign_name(void **state)
{
        static const char *const names[] = { "credential",
                                             "credential-",
                                             "credential-1",
                                             "tgswitch",
                                             "credential-00000000000000000",
                                             "credential-000000000000000G" };
        Fixture *f = *state;
        int fds[2];

        FOREACH_ELEMENT (n, names) {
                assert_false(credential_socket_owns_name(*n));
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
                assert_int_equal(credential_socket_adopt(f->gate, fds[0], *n), -EINVAL);
                assert_true(has_ended(fds[1]));
                close(fds[1]);
        }
        assert_true(credential_socket_owns_name("credential-0123456789abcdef"));
}

/* A process that dies between its first and its last byte must not leave a connection behind that the next
 * one would answer from the beginning. */
static void test_leaves_the_store_before_the_first_byte(void **state)
{
        _cleanup_free_ char *data = calloc(1, LARGE_SIZE), *seen = malloc(LARGE_SIZE);
        Fixture *f = *state;
        int fd = peer(f, "shop.service");

        assert_non_null(data);
        assert_non_null(seen);
        settle(f);
        assert_int_equal(f->n_store, 1);
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;
        credential_socket_reconsider(f->gate);
        settle(f);
        assert_int_equal(f->n_served, 0);
        assert_int_equal(f->n_store, 0);

        restart_gate(f, MANY_MAX);
        assert_in_range(read_all(f, fd, seen, LARGE_SIZE), 1, LARGE_SIZE - 1);
        assert_int_equal(f->n_decided, 2);
}

/* close() alone would not end a connection of which systemd still has a copy. */
static void test_end_reaches_copies(void **state)
{
        Fixture *f = *state;
        int fd = peer(f, "shop.service"), copy;

        settle(f);
        copy = fcntl(f->store[0].fd, F_DUPFD_CLOEXEC, 3);
        assert_true(copy >= 0);
        serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        assert_reads(f, fd, "123:abc");
        close(copy);
}

/* Out of descriptors: peers wait, and are served when there are some again. */
static void test_out_of_descriptors(void **state)
{
        Fixture *f = *state;
        struct rlimit old, tight;
        int fd = peer(f, "shop.service"), next = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        assert_true(next >= 0);
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        tight = (struct rlimit){ .rlim_cur = (rlim_t) next, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        settle(f);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(f->n_decided, 0);
        assert_false(has_ended(fd));

        serve(f, "123:abc");
        while (f->n_served == 0)
                assert_true(sd_event_run(f->event, USEC_INFINITY) >= 0);
        assert_reads(f, fd, "123:abc");
}

/* On a host without a manager, and with one that does not listen any more. */
static void test_without_a_store(void **state)
{
        Fixture *f = *state;
        int fd;

        stop_systemd(f);
        close(f->notify_fd);
        f->notify_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        for (int i = 0; i < 2; i++) {
                f->verdict = CREDENTIAL_HOLD;
                fd = peer(f, "shop.service");
                settle(f);
                assert_int_equal(credential_socket_n_held(f->gate), 1);
                serve(f, "123:abc");
                credential_socket_reconsider(f->gate);
                assert_reads(f, fd, "123:abc");
                assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct rlimit files = { .rlim_cur = MANY + 256, .rlim_max = MANY + 256 };
        const struct CMUnitTest tests[] = {
                TEST(test_serves_at_once),
                TEST(test_serves_nothing),
                TEST(test_refuses),
                TEST(test_holds_and_serves_later),
                TEST(test_forgets_a_held_peer_that_goes),
                TEST(test_peer_goes_before_it_is_accepted),
                TEST(test_large_credential_arrives_whole),
                TEST(test_peer_goes_in_the_middle),
                TEST(test_peers_that_are_not_systemd),
                TEST(test_peer_that_talks),
                TEST(test_more_than_the_bound),
                TEST(test_names_are_unique),
                TEST(test_adoption),
                TEST(test_adoption_of_a_peer_that_is_gone),
                TEST(test_adoption_under_a_foreign_name),
                TEST(test_leaves_the_store_before_the_first_byte),
                TEST(test_end_reaches_copies),
                TEST(test_out_of_descriptors),
                TEST(test_without_a_store),
        };

        if (getuid() != 0) {
                /* Peers have to be root, as systemd is. */
                printf("1..0 # SKIP needs root\n");
                return 77;
        }
        (void) setrlimit(RLIMIT_NOFILE, &files);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
