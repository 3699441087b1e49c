/* SPDX-License-Identifier: MIT */

/* What tgswitchctl takes from the messages of the daemon: an answer overtakes signals that arrived before it, and what
 * they say is over by then. And which phase a job that holds has come to. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>

/* The objects of the program are not in the library. */
#include "ctl/ctl-bus.c"
#include "ctl/ctl-dict.c"

CtlExit ctl_error(CtlExit status, const char *format, ...)
{
        return status;
}

CtlExit ctl_oom(void)
{
        return CTL_FAILED;
}

void agent_open(Ctl *c)
{
}

/* A connection on which messages can be made; nobody is at its other end. */
static int set_up(void **state)
{
        sd_bus *bus = NULL;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        close(fds[1]);
        *state = bus;
        return 0;
}

static int tear_down(void **state)
{
        sd_bus_close_unref(*state);
        return 0;
}

/* The message of that number says: this phase, where it is not NULL, and this error. */
static void tell(sd_bus *bus, CtlJob *job, uint64_t number, const char *phase, const char *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(bus, &m, "/org/tgswitch1/job/1", BUS_JOB_INTERFACE, "Changed") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        if (phase)
                assert_true(sd_bus_message_append(m, "{sv}", "Phase", "s", phase) >= 0);
        assert_true(sd_bus_message_append(m, "{sv}", "Error", "s", error) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_seal(m, number, 0) >= 0);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
        assert_true(ctl_job_update(job, m) >= 0);
}

static void test_what_is_over_is_not_taken_for_news(void **state)
{
        CtlJob job = { .id = 1 };

        tell(*state, &job, 5, "queued", "");
        tell(*state, &job, 9, "check", ""); /* an answer */
        tell(*state, &job, 7, NULL, "Waits for its turn.");
        assert_string_equal(job.phase, "check");
        assert_string_equal(job.error, "");
        tell(*state, &job, 9, NULL, "One that stands beside it in the same message.");
        assert_string_equal(job.error, "One that stands beside it in the same message.");
        tell(*state, &job, 11, "drain", "");
        assert_string_equal(job.phase, "drain");
        assert_string_equal(job.error, "");
        ctl_job_done(&job);

        /* The next daemon counts from the beginning, and its job is read anew. */
        tell(*state, &job, 3, "log-in", "");
        assert_string_equal(job.phase, "log-in");
        ctl_job_done(&job);
}

static void test_holds_before(void **state)
{
        assert_string_equal(ctl_job_holds_before(&(CtlJob){ .phase = (char *) "drain" }), "stop-workers");
        assert_string_equal(ctl_job_holds_before(&(CtlJob){ .phase = (char *) "spool" }), "log-out");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_is_over_is_not_taken_for_news, set_up, tear_down),
                cmocka_unit_test(test_holds_before),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
