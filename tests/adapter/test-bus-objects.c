/* SPDX-License-Identifier: MIT */

/* GetManagedObjects() over a bus: for everybody, a bounded number of calls of one user at a time, and one answer in a
 * turn of the loop, since with many bots it is long. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "bus-daemon.h"
#include "bus/bus-call.h"
#include "bus/bus-names.h"
#include "bus/bus-service.h"
#include "fake-manager.inc"

#include "bus-fixture.inc"

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

static void ask(Fixture *f, sd_bus *from, Replies *replies, unsigned n)
{
        replies->bound = BUS_OBJECTS_USER_MAX;
        ask_often(f, from, replies, n, OBJECT_MANAGER, "GetManagedObjects", "");
}

static size_t n_waiting(const Fixture *f)
{
        size_t n = 0;

        for (const BusCall *c = f->service->calls.first; c; c = c->next)
                n += c->awaits_objects;
        return n;
}

static void test_everybody_reads_all(void **state)
{
        Fixture *f = *state;
        sd_bus_message *reply = call(f, BUS_PATH, OBJECT_MANAGER, "GetManagedObjects", "");
        unsigned n = 0;

        assert_null(sd_bus_message_get_error(reply));
        assert_true(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_at_end(reply, false) == 0) {
                assert_true(sd_bus_message_skip(reply, "{oa{sa{sv}}}") > 0);
                n++;
        }
        assert_int_equal(n, 3);
        sd_bus_message_unref(reply);
        assert_int_equal(f->service->calls.n, 0);
        as_nobody(f, BUS_PATH, OBJECT_MANAGER, "GetManagedObjects", "", NULL, "ok");
        assert_nothing_changed(f);
}

/* Where there is no object manager sd-bus says so, as before. */
static void test_elsewhere(void **state)
{
        Fixture *f = *state;

        assert_error(call(f, BUS_PATH "/none", OBJECT_MANAGER, "GetManagedObjects", ""), SD_BUS_ERROR_UNKNOWN_OBJECT);
        assert_int_equal(f->service->calls.n, 0);
}

static void test_one_user_has_so_many(void **state)
{
        Fixture *f = *state;
        sd_bus *nobody = connect_nobody(f);
        Replies of_nobody = {}, of_root = {};

        /* None has its turn while all arrive. */
        assert_true(sd_event_source_set_priority(f->service->objects_source, SD_EVENT_PRIORITY_IDLE) >= 0);
        ask(f, nobody, &of_nobody, 70);
        ask(f, f->client, &of_root, 70);
        while (of_nobody.good + of_nobody.refused < 70 || of_root.good < 70)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_true(of_nobody.good >= BUS_OBJECTS_USER_MAX);
        assert_true(of_nobody.refused > 0);
        assert_int_equal(of_nobody.other, 0);
        assert_int_equal(of_root.refused + of_root.other, 0);
        sd_bus_flush_close_unref(nobody);
}

static void test_one_answer_in_a_turn(void **state)
{
        Fixture *f = *state;
        Replies replies = {};
        size_t before, n;

        assert_true(sd_event_source_set_enabled(f->service->objects_source, SD_EVENT_OFF) >= 0);
        assert_true(sd_event_source_set_priority(f->service->objects_source, SD_EVENT_PRIORITY_IDLE) >= 0);
        ask(f, f->client, &replies, 20);
        while (n_waiting(f) == 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        for (before = n_waiting(f); replies.good < 20; before = n) {
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
                n = n_waiting(f);
                assert_true(n + 1 >= before);
        }
        assert_int_equal(replies.refused + replies.other, 0);
}

/* Who leaves while it waits is forgotten; tear_down() looks. */
static void test_who_leaves(void **state)
{
        Fixture *f = *state;
        sd_bus *nobody = connect_nobody(f);
        Replies replies = {};

        ask(f, nobody, &replies, BUS_OBJECTS_USER_MAX);
        while (n_waiting(f) == 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        sd_bus_flush_close_unref(nobody);
        while (f->service->calls.n > 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

/* Who has left before the bus is asked who that was. What comes after it is served. */
static void test_who_has_left(void **state)
{
        Fixture *f = *state;
        sd_bus *nobody = connect_nobody(f);
        Replies replies = {};
        sd_bus_message *reply;

        ask(f, nobody, &replies, 1);
        sd_bus_flush_close_unref(nobody);
        reply = call(f, BUS_PATH, OBJECT_MANAGER, "GetManagedObjects", "");
        assert_null(sd_bus_message_get_error(reply));
        sd_bus_message_unref(reply);
        while (f->service->calls.n > 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_everybody_reads_all, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_elsewhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_user_has_so_many, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_answer_in_a_turn, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_who_leaves, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_who_has_left, set_up, tear_down),
        };

        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
