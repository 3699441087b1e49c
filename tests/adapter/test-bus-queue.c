/* SPDX-License-Identifier: MIT */

/* So many calls at a time, over a bus daemon of the test's own and to a service that answers when it is told to. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "bus-daemon.h"
#include "io/bus-queue.h"

#define NAME  "org.tgswitch.Slow"
#define CALLS 300u

typedef struct Fixture {
        sd_event *event;
        sd_bus *server, *client;
        sd_bus_message *held[CALLS];
        size_t n_held, n_come;
        BusQueue queue;
        BusQueued *calls[CALLS];
        size_t n_answered, n_refused;
        uint32_t last; /* the number in the last answer */
        size_t frees;  /* which call the next handler frees; 0: none */
} Fixture;

static BusDaemon daemon_;

static sd_bus *connect_bus(Fixture *f)
{
        sd_bus *bus = NULL;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, daemon_.address) >= 0);
        assert_true(sd_bus_set_bus_client(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_attach_event(bus, f->event, 0) >= 0);
        return bus;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;

        f->held[f->n_held++] = sd_bus_message_ref(m);
        f->n_come++;
        return 1;
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Wait", "u", "u", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        f->server = connect_bus(f);
        f->client = connect_bus(f);
        assert_true(sd_bus_add_object_vtable(f->server, NULL, "/", NAME, vtable, f) >= 0);
        assert_true(sd_bus_request_name(f->server, NAME, 0) >= 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        for (size_t i = 0; i < CALLS; i++)
                bus_queued_free(f->calls[i]);
        bus_queue_done(&f->queue);
        for (size_t i = 0; i < f->n_held; i++)
                sd_bus_message_unref(f->held[i]);
        sd_bus_flush_close_unref(f->client);
        sd_bus_flush_close_unref(f->server);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                f->n_refused++;
        else {
                assert_true(sd_bus_message_read(reply, "u", &f->last) > 0);
                assert_true(f->last == f->n_answered + f->n_refused || f->frees > 0);
                f->n_answered++;
        }
        if (f->frees > 0)
                f->calls[f->frees] = bus_queued_free(f->calls[f->frees]);
        return 0;
}

static sd_bus_message *new_call(Fixture *f, uint32_t number)
{
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(f->client, &m, NAME, "/", NAME, "Wait") >= 0);
        assert_true(sd_bus_message_append(m, "u", number) >= 0);
        return m;
}

static void call(Fixture *f, uint32_t number)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(f, number);

        assert_int_equal(bus_queue_call(&f->queue, f->calls + number, m, on_reply, f, USEC_INFINITY), 0);
}

/* Runs until so many calls have come to the service. */
static void run_until_come(Fixture *f, size_t n)
{
        while (f->n_come < n)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

/* The service answers all that it has, each with its number. */
static void answer(Fixture *f)
{
        for (size_t i = 0; i < f->n_held; i++) {
                uint32_t number;

                assert_true(sd_bus_message_read(f->held[i], "u", &number) > 0);
                assert_true(sd_bus_reply_method_return(f->held[i], "u", number) >= 0);
                sd_bus_message_unref(f->held[i]);
        }
        f->n_held = 0;
}

/* What this is here for. A broker whose limit is another would not need it. */
static void test_the_broker_refuses_too_many(void **state)
{
        Fixture *f = *state;

        for (uint32_t i = 0; i < CALLS; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(f, i);

                assert_true(sd_bus_call_async(f->client, NULL, m, on_reply, f, UINT64_MAX) >= 0);
        }
        while (f->n_come + f->n_refused < CALLS)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(f->n_come, 128);
        assert_int_equal(f->n_answered, 0);
}

static void test_so_many_at_a_time_and_all_in_order(void **state)
{
        Fixture *f = *state;
        size_t n_answered = 0;

        for (uint32_t i = 0; i < CALLS; i++)
                call(f, i);
        while (f->n_answered < CALLS) {
                size_t left = CALLS - f->n_answered;

                run_until_come(f, f->n_answered + (left < BUS_QUEUE_UNDER_WAY_MAX ? left : BUS_QUEUE_UNDER_WAY_MAX));
                assert_true(f->n_held <= BUS_QUEUE_UNDER_WAY_MAX);
                n_answered += f->n_held;
                answer(f);
                while (f->n_answered < n_answered)
                        assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        }
        assert_int_equal(f->n_refused, 0);
        assert_int_equal(f->queue.n_under_way, 0);
        assert_null(f->queue.first);
}

static void test_a_waiting_call_that_is_freed_is_not_sent(void **state)
{
        Fixture *f = *state;

        for (uint32_t i = 0; i <= BUS_QUEUE_UNDER_WAY_MAX + 1; i++)
                call(f, i);
        run_until_come(f, BUS_QUEUE_UNDER_WAY_MAX);
        f->calls[BUS_QUEUE_UNDER_WAY_MAX] = bus_queued_free(f->calls[BUS_QUEUE_UNDER_WAY_MAX]);
        answer(f);
        run_until_come(f, BUS_QUEUE_UNDER_WAY_MAX + 1);
        f->frees = CALLS - 1; /* the order has a gap from here on */
        answer(f);
        while (f->last != BUS_QUEUE_UNDER_WAY_MAX + 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(f->n_come, BUS_QUEUE_UNDER_WAY_MAX + 1);
}

/* For the broker it is under way until it is answered. */
static void test_a_sent_call_that_is_freed_goes_on_counting(void **state)
{
        Fixture *f = *state;

        for (uint32_t i = 0; i <= BUS_QUEUE_UNDER_WAY_MAX; i++)
                call(f, i);
        run_until_come(f, BUS_QUEUE_UNDER_WAY_MAX);
        for (uint32_t i = 0; i < BUS_QUEUE_UNDER_WAY_MAX; i++)
                f->calls[i] = bus_queued_free(f->calls[i]);
        assert_int_equal(f->queue.n_under_way, BUS_QUEUE_UNDER_WAY_MAX);
        answer(f);
        run_until_come(f, BUS_QUEUE_UNDER_WAY_MAX + 1);
        while (f->queue.n_under_way > 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(f->n_answered, 0);
        assert_int_equal(f->n_held, 1);
}

static void test_a_handler_frees_what_it_likes(void **state)
{
        Fixture *f = *state;

        for (uint32_t i = 0; i < 4; i++)
                call(f, i);
        run_until_come(f, 4);
        f->frees = 2;
        answer(f);
        while (f->last != 3)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(f->n_answered, 3);
        assert_int_equal(f->queue.n_under_way, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
                TEST(test_the_broker_refuses_too_many),
                TEST(test_so_many_at_a_time_and_all_in_order),
                TEST(test_a_waiting_call_that_is_freed_is_not_sent),
                TEST(test_a_sent_call_that_is_freed_goes_on_counting),
                TEST(test_a_handler_frees_what_it_likes),
#undef TEST
        };
        int r;

        bus_daemon_start(&daemon_);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        bus_daemon_stop(&daemon_);
        return r;
}
