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
        fake_refuse_metrics = true;
        assert_error(get_metrics(f), "System.Error.EBUSY");
        fake_refuse_metrics = false;
        assert_metrics(get_metrics(f), 3);
}

/* ---- many at a time ---- */

static void ask(Fixture *f, sd_bus *from, Replies *replies, unsigned n)
{
        replies->bound = BUS_READS_USER_MAX;
        ask_often(f, from, replies, n, BUS_MANAGER_INTERFACE, "GetMetrics", "");
}

static size_t n_waiting(const Fixture *f)
{
        size_t n = 0;

        for (const BusCall *c = f->service->calls.first; c; c = c->next)
                n += c->awaits_metrics || c->takes_metrics;
        return n;
}

static void release_metrics(Fixture *f)
{
        assert_true(sd_event_add_defer(f->event, &f->service->metrics->source, fake_on_metrics, f->service->metrics) >=
                    0);
}

static void run_until_good(Fixture *f, const Replies *replies, unsigned n)
{
        while (replies->good < n)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(replies->good, n);
        assert_int_equal(replies->other, 0);
}

static void test_who_asks_meanwhile_gets_the_same(void **state)
{
        Fixture *f = *state;
        Replies replies = {};

        fake_hold_metrics = true;
        ask(f, f->client, &replies, 100);
        while (n_waiting(f) < 100)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(fake_begun_metrics, 1);

        release_metrics(f);
        run_until_good(f, &replies, 100);
        assert_int_equal(replies.refused, 0);
        fake_hold_metrics = false;
        assert_metrics(get_metrics(f), 2);
}

/* A user who asks more than others can wait for is refused, and root, whose timer keeps a file of it, is not. */
static void test_one_user_has_so_many(void **state)
{
        Fixture *f = *state;
        sd_bus *nobody = connect_nobody(f);
        Replies of_nobody = {}, of_root = {};

        fake_hold_metrics = true;
        ask(f, nobody, &of_nobody, 70);
        while (of_nobody.refused < 70 - BUS_READS_USER_MAX)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(n_waiting(f), BUS_READS_USER_MAX);
        ask(f, f->client, &of_root, BUS_READS_USER_MAX + 1);
        while (n_waiting(f) < 2 * BUS_READS_USER_MAX + 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);

        release_metrics(f);
        run_until_good(f, &of_root, BUS_READS_USER_MAX + 1);
        run_until_good(f, &of_nobody, BUS_READS_USER_MAX);
        assert_int_equal(of_root.refused, 0);
        assert_int_equal(fake_begun_metrics, 1);
        sd_bus_flush_close_unref(nobody);
}

/* Of 2 MB each: the loop turns between them. */
static void test_one_answer_in_a_turn(void **state)
{
        Fixture *f = *state;
        Replies replies = {};
        size_t before = 20;

        fake_hold_metrics = true;
        ask(f, f->client, &replies, 20);
        while (n_waiting(f) < 20)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        release_metrics(f);
        while (before > 0) {
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
                assert_true(before - n_waiting(f) <= 1);
                before = n_waiting(f);
        }
        run_until_good(f, &replies, 20);
}

/* A flood costs one question in a second, root does not wait for it, and nobody is told what was before the call. */
static void test_users_wait_for_a_second(void **state)
{
        Fixture *f = *state, other = *f;
        Replies replies = {};

        other.client = connect_nobody(f);
        assert_metrics(get_metrics(f), 1);
        assert_metrics(get_metrics(&other), 2);
        ask(f, other.client, &replies, 2);
        while (n_waiting(f) < 2)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        settle(f);
        assert_non_null(f->service->metrics_timer);
        assert_int_equal(fake_begun_metrics, 2);
        assert_int_equal(replies.good, 0);

        /* with what root is told */
        assert_metrics(get_metrics(f), 3);
        run_until_good(f, &replies, 2);
        assert_null(f->service->metrics_text);

        /* when the second is over */
        assert_non_null(f->service->metrics_timer);
        assert_metrics(get_metrics(&other), 4);
        ask(f, other.client, &replies, 1);
        while (n_waiting(f) < 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        fake_refuse_metrics = true;
        while (replies.other < 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        fake_refuse_metrics = false;
        sd_bus_flush_close_unref(other.client);
}

/* Whose caller has left is not answered, and holds up nobody. */
static void test_caller_leaves(void **state)
{
        Fixture *f = *state;
        sd_bus *nobody = connect_nobody(f);
        Replies gone = {}, replies = {};

        fake_hold_metrics = true;
        ask(f, nobody, &gone, 2);
        ask(f, f->client, &replies, 1);
        while (n_waiting(f) < 3)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        settle(f);
        nobody = sd_bus_flush_close_unref(nobody);
        while (n_waiting(f) > 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        release_metrics(f);
        run_until_good(f, &replies, 1);
        assert_int_equal(gone.good, 0);
}

/* Nobody is answered by a service that is gone, and the question goes with it. */
static void test_service_goes_meanwhile(void **state)
{
        Fixture *f = *state;
        Replies replies = { 0 };

        fake_hold_metrics = true;
        ask(f, f->client, &replies, 3);
        while (n_waiting(f) < 3)
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
                TEST(test_one_user_has_so_many),
                TEST(test_one_answer_in_a_turn),
                TEST(test_users_wait_for_a_second),
                TEST(test_caller_leaves),
                TEST(test_service_goes_meanwhile),
#undef TEST
        };

        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
