/* SPDX-License-Identifier: MIT */

/* GetHistory() over a bus: for everybody, what was asked for and nothing else, a bounded number at a time, and nothing
 * left behind. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "bus-daemon.h"
#include "bus/bus-call.h"
#include "bus/bus-names.h"
#include "bus/bus-service.h"
#include "fake-manager.inc"

#include "bus-fixture.inc"

static int set_up_history(void **state)
{
        fake_hold_history = false;
        fake_history_result = 0;
        return set_up(state);
}

static int tear_down_history(void **state)
{
        int r = tear_down(state);

        assert_int_equal(fake_open_queries, 0);
        return r;
}

#define GET_HISTORY(f, n, ...) call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetHistory", "a{sv}", n, ##__VA_ARGS__)

/* The numbers of the jobs, in the order of the answer. */
static void assert_jobs_are(sd_bus_message *reply, const char *expected)
{
        char found[64] = "";

        assert_null(sd_bus_message_get_error(reply));
        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'a', "{sv}") > 0) {
                const char *key;
                uint32_t id;

                assert_true(sd_bus_message_enter_container(reply, 'e', "sv") > 0);
                assert_true(sd_bus_message_read(reply, "sv", &key, "u", &id) > 0);
                assert_string_equal(key, "id");
                sprintf(found + strlen(found), " %" PRIu32, id);
                assert_true(sd_bus_message_exit_container(reply) > 0);
                while (sd_bus_message_at_end(reply, false) == 0)
                        assert_true(sd_bus_message_skip(reply, "{sv}") > 0);
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        assert_string_equal(found, expected);
        sd_bus_message_unref(reply);
}

static void assert_invalid(sd_bus_message *reply, const char *words)
{
        assert_error_says(reply, SD_BUS_ERROR_INVALID_ARGS, words);
}

static void test_filters(void **state)
{
        Fixture *f = *state;

        assert_jobs_are(GET_HISTORY(f, 0), " 44 43 2");
        assert_jobs_are(GET_HISTORY(f, 1, "limit", "u", 1), " 44");
        assert_jobs_are(GET_HISTORY(f, 1, "bots", "as", 1, "shop"), " 44 43");
        assert_jobs_are(GET_HISTORY(f, 1, "bots", "as", 2, "g?ne", "news"), " 2");
        assert_jobs_are(GET_HISTORY(f, 1, "bots", "as", 0), " 44 43 2");
        assert_jobs_are(GET_HISTORY(f, 1, "since", "t", FAKE_HISTORY_USEC), " 44 43");
        assert_jobs_are(GET_HISTORY(f, 2, "since", "t", FAKE_HISTORY_USEC, "until", "t", FAKE_HISTORY_USEC), " 43");
        assert_jobs_are(GET_HISTORY(f, 1, "target", "s", "cloud"), " 2");
        assert_jobs_are(GET_HISTORY(f, 1, "result", "s", "done"), " 43");
        assert_jobs_are(GET_HISTORY(f, 2, "result", "s", "done", "target", "s", "cloud"), "");
        as_nobody(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetHistory", "a{sv}", NULL, "ok");
        assert_nothing_changed(f);
}

/* A filter that is misspelt would let everything pass. */
static void test_strict(void **state)
{
        Fixture *f = *state;

        assert_invalid(GET_HISTORY(f, 1, "bot", "s", "shop"),
                       "There is no filter 'bot'; known are bots, limit, since, until, target and result.");
        assert_invalid(GET_HISTORY(f, 1, "bots", "s", "shop"), "The filter 'bots' takes names and patterns (type as).");
        assert_invalid(GET_HISTORY(f, 1, "bots", "as", 1, "***"), "asterisks");
        assert_invalid(GET_HISTORY(f, 1, "limit", "u", 0), "The filter 'limit' takes 1 to 1000.");
        assert_invalid(GET_HISTORY(f, 1, "limit", "u", HISTORY_LIMIT_MAX + 1), "The filter 'limit' takes 1 to 1000.");
        assert_invalid(GET_HISTORY(f, 1, "limit", "t", UINT64_C(1)), "The filter 'limit' takes a number (type u).");
        assert_invalid(GET_HISTORY(f, 1, "since", "u", 1),
                       "The filter 'since' takes microseconds since 1970 (type t).");
        assert_invalid(GET_HISTORY(f, 2, "limit", "u", 1, "limit", "u", 1), "The filter 'limit' was given twice.");
        assert_invalid(GET_HISTORY(f, 1, "target", "s", "none"), "The filter 'target' takes cloud or local.");
        assert_invalid(GET_HISTORY(f, 1, "result", "s", "none"), "The filter 'result' takes done, failed or canceled.");
        assert_invalid(GET_HISTORY(f, 1, "result", "s", "\x1b[31m"), "done, failed or canceled");
        /* neither configured nor ever moved; one that is gone would have been found */
        assert_error_says(GET_HISTORY(f, 1, "bots", "as", 2, "shop", "shpo"), BUS_ERROR_NO_SUCH_BOT,
                          "No bot is called or matches 'shpo', nor is one in the history; see 'tgswitchctl list'.");
        assert_error(GET_HISTORY(f, 1, "bots", "as", 1, "x*"), BUS_ERROR_NO_SUCH_BOT);
        fake_history_result = -EIO;
        assert_error_says(GET_HISTORY(f, 0), BUS_ERROR_FAILED,
                          "The history cannot be read: Input/output error. Look after history.jsonl");
}

/* Each is compared with each entry. */
static void test_names_have_a_bound(void **state)
{
        static const char *const names[] = { "shop", "s*" };
        Fixture *f = *state;

        FOREACH_ELEMENT(name, names) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                                new_call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetHistory");

                assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                assert_true(sd_bus_message_append(m, "s", "bots") >= 0);
                assert_true(sd_bus_message_open_container(m, 'v', "as") >= 0);
                assert_true(sd_bus_message_open_container(m, 'a', "s") >= 0);
                for (size_t i = 0; i < 17; i++)
                        assert_true(sd_bus_message_append(m, "s", *name) >= 0);
                for (int i = 0; i < 4; i++)
                        assert_true(sd_bus_message_close_container(m) >= 0);
                assert_invalid(finish_call(f, m), "The filter 'bots' takes at most 16 names and patterns. Ask several "
                                                  "times, or for all bots.");
        }
}

/* "key=value", one after the other, as they come. */
static void tell_value(sd_bus_message *m, FILE *f)
{
        const char *contents, *s;
        uint32_t u;
        uint64_t t;
        int64_t x;
        char type;
        int b;

        assert_true(sd_bus_message_peek_type(m, &type, &contents) > 0);
        assert_int_equal(type, 'v');
        if (streq(contents, "s") && sd_bus_message_read(m, "v", "s", &s) > 0)
                fprintf(f, "%s\n", s);
        else if (streq(contents, "u") && sd_bus_message_read(m, "v", "u", &u) > 0)
                fprintf(f, "%" PRIu32 "\n", u);
        else if (streq(contents, "t") && sd_bus_message_read(m, "v", "t", &t) > 0)
                fprintf(f, "%" PRIu64 "\n", t);
        else if (streq(contents, "x") && sd_bus_message_read(m, "v", "x", &x) > 0)
                fprintf(f, "%" PRIi64 "\n", x);
        else if (streq(contents, "b") && sd_bus_message_read(m, "v", "b", &b) > 0)
                fprintf(f, "%s\n", b ? "yes" : "no");
        else {
                assert_string_equal(contents, "a{st}");
                assert_true(sd_bus_message_enter_container(m, 'v', contents) > 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{st}") > 0);
                while (sd_bus_message_read(m, "{st}", &s, &t) > 0)
                        fprintf(f, "%s:%" PRIu64 " ", s, t);
                fputc('\n', f);
                assert_true(sd_bus_message_exit_container(m) > 0);
                assert_true(sd_bus_message_exit_container(m) > 0);
        }
}

static void test_all_of_an_entry(void **state)
{
        Fixture *f = *state;
        sd_bus_message *reply = GET_HISTORY(f, 1, "result", "s", "done");
        _cleanup_free_ char *told = NULL;
        const char *key;
        size_t size;
        FILE *text = open_memstream(&told, &size);

        assert_non_null(text);
        assert_null(sd_bus_message_get_error(reply));
        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                fprintf(text, "%s=", key);
                tell_value(reply, text);
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        assert_int_equal(fclose(text), 0);
        assert_string_equal(told, "id=43\nbot=shop\nbot-id=123456789\nsource=cloud\ntarget=local\nseat=local\n"
                                  "result=done\nautomatic=no\nrequester=uid 0, unit session-1.scope\n"
                                  "reason=large files\nerror=\nstarted-usec=1794999597000000\n"
                                  "ended-usec=1794999600000000\npending-at-start=15\ndrained=12\nspooled=3\n"
                                  "handed-over=3\nblind-usec=74000\ndowntime-usec=1900000\n"
                                  "phases=check:500000 confirm:2000000 \n");
        sd_bus_message_unref(reply);
}

static void ask(Fixture *f, sd_bus *from, Replies *replies, unsigned n)
{
        replies->bound = BUS_READS_USER_MAX;
        ask_often(f, from, replies, n, BUS_MANAGER_INTERFACE, "GetHistory", "a{sv}");
}

/* A read takes its time, and a user who asks for many holds up the others; root is not refused. */
static void test_one_user_has_so_many(void **state)
{
        Fixture *f = *state;
        Replies of_nobody = {}, of_root = {};
        sd_bus *nobody = connect_nobody(f);

        fake_hold_history = true;
        ask(f, nobody, &of_nobody, 20);
        while (of_nobody.refused < 20 - BUS_READS_USER_MAX)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(fake_open_queries, BUS_READS_USER_MAX);
        ask(f, f->client, &of_root, 20);
        while (fake_open_queries < BUS_READS_USER_MAX + 20)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(of_nobody.other + of_root.other + of_root.refused, 0);

        /* who leaves makes room */
        nobody = sd_bus_flush_close_unref(nobody);
        while (fake_open_queries > 20)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        f->service = bus_service_free(f->service);
}

/* Whose service is gone is answered by nobody, and what was asked goes with it. */
static void test_service_goes_meanwhile(void **state)
{
        Fixture *f = *state;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetHistory");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        fake_hold_history = true;
        assert_true(sd_bus_send(f->client, m, NULL) >= 0);
        while (fake_open_queries < 1)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        f->service = bus_service_free(f->service);
        assert_int_equal(fake_open_queries, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_history, tear_down_history)
                TEST(test_filters),
                TEST(test_strict),
                TEST(test_names_have_a_bound),
                TEST(test_all_of_an_entry),
                TEST(test_one_user_has_so_many),
                TEST(test_service_goes_meanwhile),
#undef TEST
        };

        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
