/* SPDX-License-Identifier: MIT */

/* GetMetrics() over a bus: for everybody, one question for all who ask at the same time, and nothing left behind. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "bus-daemon.h"
#include "bus/bus-names.h"
#include "bus/bus-service.h"
#include "fake-manager.inc"

#include "bus-fixture.inc"

static int set_up_metrics(void **state)
{
        fake_hold_metrics = fake_no_metrics = false;
        fake_begun_metrics = 0;
        return set_up(state);
}

static int tear_down_metrics(void **state)
{
        int r = tear_down(state);

        assert_int_equal(fake_open_metrics, 0);
        return r;
}

static sd_bus_message *get_metrics(Fixture *f)
{
        return call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetMetrics", "");
}

static void assert_metrics(sd_bus_message *reply, unsigned nth)
{
        const char *text;
        char line[64];

        assert_null(sd_bus_message_get_error(reply));
        assert_true(sd_bus_message_read(reply, "s", &text) > 0);
        /* A byte that is no text would take the whole answer along. */
        (void) snprintf(line, sizeof(line), "\ntgswitch_asked_total{bad=\"?\"} %u\n", nth);
        assert_non_null(strstr(text, line));
        sd_bus_message_unref(reply);
}

static void test_everybody_reads_and_nothing_changes(void **state)
{
        Fixture *f = *state;

        assert_metrics(get_metrics(f), 1);
        assert_metrics(get_metrics(f), 2);
        as_nobody(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetMetrics", "", NULL, "ok");
        assert_nothing_changed(f);
}

static void test_no_memory(void **state)
{
        Fixture *f = *state;

        fake_no_metrics = true;
        assert_error(get_metrics(f), SD_BUS_ERROR_NO_MEMORY);
        fake_no_metrics = false;
        assert_metrics(get_metrics(f), 2);
}

/* ---- many at a time ---- */

typedef struct Replies {
        unsigned good, refused, other;
} Replies;

static int on_one(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Replies *r = userdata;

        if (!sd_bus_message_is_method_error(m, NULL))
                r->good++;
        else if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_LIMITS_EXCEEDED))
                r->refused++;
        else
                r->other++;
        return 1;
}

static void ask(Fixture *f, Replies *replies, unsigned n)
{
        while (n-- > 0) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                                new_call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetMetrics");

                assert_true(sd_bus_call_async(f->client, NULL, m, on_one, replies, 0) >= 0);
        }
}

static void test_who_asks_meanwhile_gets_the_same(void **state)
{
        Fixture *f = *state;
        Replies replies = { 0 };

        fake_hold_metrics = true;
        ask(f, &replies, 100);
        while (replies.refused < 100 - 64)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        settle(f);
        assert_int_equal(fake_begun_metrics, 1);
        assert_int_equal(f->service->n_metrics_waiting, 64);
        assert_int_equal(replies.refused, 100 - 64);

        assert_true(sd_event_add_defer(f->event, &f->service->metrics->source, fake_on_metrics, f->service->metrics) >=
                    0);
        while (replies.good < 64)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(replies.other, 0);
        assert_int_equal(f->service->n_metrics_waiting, 0);

        fake_hold_metrics = false;
        assert_metrics(get_metrics(f), 2);
}

/* Nobody is answered by a service that is gone, and the question goes with it. */
static void test_service_goes_meanwhile(void **state)
{
        Fixture *f = *state;
        Replies replies = { 0 };

        fake_hold_metrics = true;
        ask(f, &replies, 3);
        while (f->service->n_metrics_waiting < 3)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        f->service = bus_service_free(f->service);
        assert_int_equal(fake_open_metrics, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_metrics, tear_down_metrics)
                TEST(test_everybody_reads_and_nothing_changes),
                TEST(test_no_memory),
                TEST(test_who_asks_meanwhile_gets_the_same),
                TEST(test_service_goes_meanwhile),
#undef TEST
        };
        int r;

        bus_daemon_start(&daemon_);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        bus_daemon_stop(&daemon_);
        return r;
}
