/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/time-util.h"
#include "gate-fixture.h"

#define LARGE_SIZE (512 * 1024)
#define MANY       2000

static int accept_error; /* what the next accept4() fails with */

/* Stands before the C library's for everything that is linked into this program. */
int accept4(int fd, struct sockaddr *address, socklen_t *address_size, int flags)
{
        if (accept_error != 0) {
                errno = accept_error;
                accept_error = 0;
                return -1;
        }
        return (int) syscall(SYS_accept4, fd, address, address_size, flags);
}

static void test_serves_at_once(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        gate_serve(f, "123:abc");
        gate_assert_reads(f, fd, "123:abc");
        assert_string_equal(f->last.unit, "shop.service");
        assert_string_equal(f->last.id, "bot-token");
        assert_int_equal(f->n_decided, 1);
        assert_int_equal(f->n_served, 1);
        assert_int_equal(f->n_store, 0);
}

static void test_serves_nothing(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        gate_serve(f, NULL);
        gate_assert_reads(f, fd, "");
        assert_int_equal(f->n_served, 1);
}

static void test_refuses(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        f->verdict = CREDENTIAL_REFUSE;
        gate_assert_reads(f, fd, "");
        assert_int_equal(f->n_decided, 1);
        assert_int_equal(f->n_served, 0);
}

/* L4: a held worker is not answered, not by its own end of file either, until the verdict changes. */
static void test_holds_and_serves_later(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        gate_settle(f);
        assert_false(gate_has_ended(fd));
        assert_int_equal(credential_socket_n_held(f->gate), 1);
        assert_int_equal(f->n_store, 1);
        assert_true(credential_socket_owns_name(f->store[0].name));

        credential_socket_reconsider(f->gate);
        gate_settle(f);
        assert_int_equal(f->n_decided, 2);
        assert_false(gate_has_ended(fd));
        assert_int_equal(f->n_store, 1);

        gate_serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        assert_int_equal(f->n_decided, 2);
        gate_assert_reads(f, fd, "123:abc");
        assert_int_equal(f->n_decided, 3);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);
}

/* L6: as long as this says no, whatever the unit has asked for it has got. */
static void test_is_asked_by(void **state)
{
        GateFixture *f = *state;
        _cleanup_free_ char *data = calloc(1, LARGE_SIZE), *seen = malloc(LARGE_SIZE + 1);
        int shop, news;

        assert_non_null(data);
        assert_non_null(seen);
        assert_false(credential_socket_is_asked_by(f->gate, "shop.service"));

        /* Not accepted yet: it may be anybody. */
        shop = gate_peer(f, "shop.service");
        assert_true(credential_socket_is_asked_by(f->gate, "shop.service"));
        assert_true(credential_socket_is_asked_by(f->gate, "news.service"));
        gate_settle(f);
        assert_true(credential_socket_is_asked_by(f->gate, "shop.service"));
        assert_false(credential_socket_is_asked_by(f->gate, "news.service"));

        /* Being sent: more than the socket takes at once. */
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;
        credential_socket_reconsider(f->gate);
        gate_settle(f);
        assert_int_equal(f->n_served, 0);
        assert_true(credential_socket_is_asked_by(f->gate, "shop.service"));
        assert_int_equal(gate_read_all(f, shop, seen, LARGE_SIZE + 1), LARGE_SIZE);
        assert_false(credential_socket_is_asked_by(f->gate, "shop.service"));

        /* Gone without an answer. */
        f->verdict = CREDENTIAL_HOLD;
        news = gate_peer(f, "news.service");
        gate_settle(f);
        assert_true(credential_socket_is_asked_by(f->gate, "news.service"));
        close(news);
        gate_settle(f);
        assert_false(credential_socket_is_asked_by(f->gate, "news.service"));
}

/* systemd ends the connection of a unit whose start is cancelled. */
static void test_forgets_a_held_peer_that_goes(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        gate_settle(f);
        close(fd);
        gate_settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);
        assert_int_equal(f->n_served, 0);
}

static void test_peer_goes_before_it_is_accepted(void **state)
{
        GateFixture *f = *state;

        close(gate_peer(f, "shop.service"));
        gate_settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(f->n_store, 0);

        gate_serve(f, "123:abc");
        close(gate_peer(f, "shop.service"));
        gate_settle(f);
        assert_int_equal(f->n_served, 0);
}

static void test_large_credential_arrives_whole(void **state)
{
        _cleanup_free_ char *data = malloc(LARGE_SIZE), *seen = malloc(LARGE_SIZE + 1);
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        assert_non_null(data);
        assert_non_null(seen);
        for (size_t i = 0; i < LARGE_SIZE; i++)
                data[i] = (char) (i * 7 + i / 251);
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;

        gate_settle(f);
        assert_int_equal(f->n_served, 0); /* more than a socket takes at once */
        assert_int_equal(credential_socket_n_held(f->gate), 0);
        assert_int_equal(gate_read_all(f, fd, seen, LARGE_SIZE + 1), LARGE_SIZE);
        assert_memory_equal(data, seen, LARGE_SIZE);
        assert_int_equal(f->n_served, 1);
}

static void test_peer_goes_in_the_middle(void **state)
{
        _cleanup_free_ char *data = calloc(1, LARGE_SIZE);
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        assert_non_null(data);
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;
        gate_settle(f);
        close(fd);
        gate_settle(f);
        assert_int_equal(f->n_served, 0);

        gate_serve(f, "123:abc");
        gate_assert_reads(f, gate_peer(f, "shop.service"), "123:abc");
}

/* A socket with mode 0600 keeps others away already. This is the second lock. */
static void test_peers_that_are_not_systemd(void **state)
{
        static const char *const names[] = { "", "4c1f", "4c1f/unit/shop/bot-token", "4c1f/unit/shop.service/a/b" };
        GateFixture *f = *state;
        pid_t pid;
        int status;

        gate_serve(f, "123:abc");
        FOREACH_ELEMENT(n, names)
                gate_assert_reads(f, gate_peer_named(f, *n), "");

        if (getuid() == 0) {
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        struct pollfd p = { .events = POLLIN };
                        char byte;

                        if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
                                _exit(2);
                        p.fd = gate_peer_named(f, "4c1f/unit/shop.service/bot-token");
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
        GateFixture *f = *state;
        int fd = gate_peer_named(f, "4c1f/unit/shop.service/bot-token");

        gate_settle(f);
        assert_int_equal(write(fd, "hello", 5), 5);
        assert_int_equal(sd_event_run(f->event, 0), 0);
        assert_int_equal(credential_socket_n_held(f->gate), 1);
        gate_serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        gate_settle(f);
        assert_int_equal(f->n_served, 1);
        close(fd);
}

/* 2000 workers start at once against a bound of 16: those beyond wait in the socket's queue, and each gets
 * its answer. */
static void test_more_than_the_bound(void **state)
{
        GateFixture *f = *state;
        int *fds = calloc(MANY, sizeof(int));
        size_t i;

        assert_non_null(fds);
        for (i = 0; i < MANY; i++)
                fds[i] = gate_peer(f, "shop.service");
        gate_settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), GATE_CONNECTIONS_MAX);
        assert_int_equal(f->n_store, GATE_CONNECTIONS_MAX);
        assert_int_equal(f->n_decided, GATE_CONNECTIONS_MAX);
        assert_int_equal(sd_event_run(f->event, 0), 0); /* and those that wait cost nothing */
        for (i = 0; i < MANY; i++)
                assert_false(gate_has_ended(fds[i]));

        /* one goes, one comes */
        close(fds[3]);
        gate_settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), GATE_CONNECTIONS_MAX);
        assert_int_equal(f->n_decided, GATE_CONNECTIONS_MAX + 1);

        gate_serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        for (i = 0; i < MANY; i++)
                if (i != 3)
                        gate_assert_reads(f, fds[i], "123:abc");
        assert_int_equal(f->n_served, MANY - 1);
        assert_int_equal(f->n_store, 0);
        free(fds);
}

/* Names may collide with none that a process before this one left in the store. */
static void test_names_are_unique(void **state)
{
        GateFixture *f = *state;
        int fds[GATE_CONNECTIONS_MAX];

        for (size_t i = 0; i < GATE_CONNECTIONS_MAX; i++)
                fds[i] = gate_peer(f, "shop.service");
        gate_settle(f);
        assert_int_equal(f->n_store, GATE_CONNECTIONS_MAX);
        for (size_t i = 0; i < f->n_store; i++)
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(f->store[i].name, f->store[j].name);
        for (size_t i = 0; i < GATE_CONNECTIONS_MAX; i++)
                close(fds[i]);
        gate_settle(f);
        assert_int_equal(f->n_store, 0);
}

/* L5: a restart neither answers nor ends a held connection. */
static void test_adoption(void **state)
{
        GateFixture *f = *state;
        int a = gate_peer(f, "shop.service"), b = gate_peer(f, "news.service"), c;

        gate_settle(f);
        assert_int_equal(f->n_store, 2);
        gate_restart(f, 2);
        gate_settle(f);
        assert_int_equal(credential_socket_n_held(f->gate), 2);
        assert_int_equal(f->n_decided, 4); /* asked anew, without a reconsideration from outside */
        assert_int_equal(f->n_store, 2);   /* under the names that they have */
        assert_false(gate_has_ended(a));
        assert_false(gate_has_ended(b));

        /* adopted ones count: the third waits outside */
        c = gate_peer(f, "shop.service");
        gate_settle(f);
        assert_int_equal(f->n_decided, 4);

        gate_restart(f, 2);
        gate_serve(f, "123:abc");
        gate_assert_reads(f, a, "123:abc");
        gate_assert_reads(f, b, "123:abc");
        gate_assert_reads(f, c, "123:abc");
        assert_int_equal(f->n_store, 0);
        assert_int_equal(f->n_served, 3);
}

/* The worker's start was cancelled while nobody was there. */
static void test_adoption_of_a_peer_that_is_gone(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        gate_settle(f);
        close(fd);
        gate_restart(f, GATE_CONNECTIONS_MAX);
        gate_settle(f);
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
        GateFixture *f = *state;
        int fds[2];

        FOREACH_ELEMENT(n, names) {
                assert_false(credential_socket_owns_name(*n));
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
                assert_int_equal(credential_socket_adopt(f->gate, fds[0], *n), -EINVAL);
                assert_true(gate_has_ended(fds[1]));
                close(fds[1]);
        }
        assert_true(credential_socket_owns_name("credential-0123456789abcdef"));
}

/* A process that dies between its first and its last byte must not leave a connection behind that the next
 * one would answer from the beginning. */
static void test_leaves_the_store_before_the_first_byte(void **state)
{
        _cleanup_free_ char *data = calloc(1, LARGE_SIZE), *seen = malloc(LARGE_SIZE);
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service");

        assert_non_null(data);
        assert_non_null(seen);
        gate_settle(f);
        assert_int_equal(f->n_store, 1);
        f->verdict = CREDENTIAL_SERVE;
        f->data = data;
        f->data_size = LARGE_SIZE;
        credential_socket_reconsider(f->gate);
        gate_settle(f);
        assert_int_equal(f->n_served, 0);
        assert_int_equal(f->n_store, 0);

        gate_restart(f, GATE_CONNECTIONS_MAX);
        assert_in_range(gate_read_all(f, fd, seen, LARGE_SIZE), 1, LARGE_SIZE - 1);
        assert_int_equal(f->n_decided, 2);
}

/* close() alone would not end a connection of which systemd still has a copy. */
static void test_end_reaches_copies(void **state)
{
        GateFixture *f = *state;
        int fd = gate_peer(f, "shop.service"), copy;

        gate_settle(f);
        copy = fcntl(f->store[0].fd, F_DUPFD_CLOEXEC, 3);
        assert_true(copy >= 0);
        gate_serve(f, "123:abc");
        credential_socket_reconsider(f->gate);
        gate_assert_reads(f, fd, "123:abc");
        close(copy);
}

/* Whatever keeps us from accepting, peers wait, and are served when it has passed. */
static void test_accept_fails(void **state)
{
        static const int errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EPROTO, EINTR, ECONNABORTED };
        GateFixture *f = *state;

        gate_serve(f, "123:abc");
        FOREACH_ELEMENT(error, errors) {
                int fd = gate_peer(f, "shop.service");

                f->n_served = 0;
                accept_error = *error;
                assert_true(sd_event_run(f->event, USEC_INFINITY) >= 0);
                assert_int_equal(accept_error, 0);
                while (f->n_served == 0)
                        assert_true(sd_event_run(f->event, USEC_INFINITY) >= 0);
                gate_assert_reads(f, fd, "123:abc");
        }
}

/* On a host without a manager, and with one that does not listen any more. */
static void test_without_a_store(void **state)
{
        GateFixture *f = *state;
        int fd;

        gate_stop_systemd(f);
        close(f->notify_fd);
        f->notify_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        for (int i = 0; i < 2; i++) {
                f->verdict = CREDENTIAL_HOLD;
                fd = gate_peer(f, "shop.service");
                gate_settle(f);
                assert_int_equal(credential_socket_n_held(f->gate), 1);
                gate_serve(f, "123:abc");
                credential_socket_reconsider(f->gate);
                gate_assert_reads(f, fd, "123:abc");
                assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_setup, gate_teardown)

int main(void)
{
        const struct rlimit files = { .rlim_cur = MANY + 256, .rlim_max = MANY + 256 };
        const struct CMUnitTest tests[] = {
                TEST(test_serves_at_once),
                TEST(test_serves_nothing),
                TEST(test_refuses),
                TEST(test_holds_and_serves_later),
                TEST(test_is_asked_by),
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
                TEST(test_accept_fails),
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
