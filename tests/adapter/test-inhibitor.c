/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fake-systemd.h"
#include "io/inhibitor.h"

typedef struct Fixture {
        sd_event *event;
        FakeSystemd *logind;
        sd_bus *bus;
        int read_fd;
} Fixture;

static void settle(Fixture *f)
{
        int r;

        do {
                r = sd_event_run(f->event, 0);
                assert_true(r >= 0);
        } while (r > 0);
}

/* logind hands out the writing end of a pipe: when no copy of it is left, the lock is gone. */
static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));
        int fds[2];

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        f->logind = fake_systemd_new(f->event, false, &f->bus);
        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        f->read_fd = fds[0];
        f->logind->inhibitor_fd = fds[1];
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        sd_bus_close_unref(f->bus);
        closep(&f->logind->inhibitor_fd);
        fake_systemd_free(f->logind);
        close(f->read_fd);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static bool lock_is_held(Fixture *f)
{
        char byte;
        ssize_t n;

        f->logind->inhibitor_fd = (closep(&f->logind->inhibitor_fd), -EBADF);
        n = read(f->read_fd, &byte, 1);
        assert_true(n == 0 || errno == EAGAIN);
        return n < 0;
}

static void test_lock_lives_with_the_inhibitor(void **state)
{
        Inhibitor *i = NULL;
        Fixture *f = *state;

        assert_int_equal(inhibitor_take(&i, f->bus, "shop moves"), 0);
        assert_int_equal(inhibitor_state(i), INHIBITOR_ASKED);
        settle(f);
        assert_int_equal(inhibitor_state(i), INHIBITOR_HELD);
        assert_string_equal(f->logind->calls[0], "Inhibit shutdown tgswitchd");
        assert_string_equal(f->logind->calls[1], "Inhibit sleep tgswitchd");
        assert_true(lock_is_held(f));
        i = inhibitor_free(i);
        assert_false(lock_is_held(f));
}

static void test_refused(void **state)
{
        Inhibitor *i = NULL;
        Fixture *f = *state;

        f->logind->refusal = SD_BUS_ERROR_ACCESS_DENIED;
        assert_int_equal(inhibitor_take(&i, f->bus, "shop moves"), 0);
        settle(f);
        assert_int_equal(inhibitor_state(i), INHIBITOR_REFUSED);
        inhibitor_free(i);
        assert_null(inhibitor_free(NULL));
}

static void test_freed_before_the_answer(void **state)
{
        Inhibitor *i = NULL;
        Fixture *f = *state;

        assert_int_equal(inhibitor_take(&i, f->bus, "shop moves"), 0);
        i = inhibitor_free(i);
        settle(f);
        assert_non_null(f->logind->calls);
        assert_false(lock_is_held(f));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_lock_lives_with_the_inhibitor, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_freed_before_the_answer, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
