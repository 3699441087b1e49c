/* SPDX-License-Identifier: MIT */

/* Who may change what: everybody but root is put to polkit, which here is a small one that says what a test tells it
 * to. Defends L9 (a denied call has changed nothing) and that nobody gets what polkit was not asked about. */

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
#include "fake-polkit.inc"

#define SHOP BUS_BOT_PREFIX "shop"
#define JOB  BUS_JOB_PREFIX "1"

#define TO_LOCAL "org.tgswitch1.switch-to-local"
#define TO_CLOUD "org.tgswitch1.switch-to-cloud"
#define MANAGE   "org.tgswitch1.manage"

/* ---- fixture: the client is nobody, and root is there as well ---- */

static sd_bus *root_client;

static int set_up_nobody(void **state)
{
        Fixture *f;

        memset(&polkit, 0, sizeof(polkit));
        assert_int_equal(set_up(state), 0);
        f = *state;
        polkit_start(f);
        root_client = f->client;
        assert_int_equal(seteuid(NOBODY), 0); /* the bus daemon goes by who connects */
        f->client = connect_bus();
        assert_int_equal(seteuid(0), 0);
        assert_true(sd_bus_attach_event(f->client, f->event, 0) >= 0);
        settle(f);
        assert_true(sd_bus_get_unique_name(f->client, &polkit.subject) >= 0);
        return 0;
}

static int tear_down_nobody(void **state)
{
        Fixture *f = *state;

        if (f->client)
                sd_bus_flush_close_unref(f->client);
        f->client = root_client;
        polkit.subject = NULL;
        polkit_stop();
        return tear_down(state);
}

/* What polkit was asked since the last time. */
static const char *asked(void)
{
        static char copy[sizeof(polkit.asked)];

        memcpy(copy, polkit.asked, sizeof(copy));
        polkit.asked[0] = '\0';
        return copy;
}

static void begin_call(Fixture *f, sd_bus_message *m)
{
        f->replied = false;
        f->reply = NULL;
        assert_true(sd_bus_call_async(f->client, NULL, m, on_reply, f, 0) >= 0);
        sd_bus_message_unref(m);
}

static void begin_switch(Fixture *f, bool interactive)
{
        sd_bus_message *m = new_call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_true(sd_bus_message_set_allow_interactive_authorization(m, interactive) >= 0);
        begin_call(f, m);
}

static sd_bus_message *await_answer(Fixture *f)
{
        while (!f->replied)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        return f->reply;
}

static void run_until_asked(Fixture *f, size_t n)
{
        while (polkit.n_held < n)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

static void run_until_no_call_is_left(Fixture *f)
{
        while (f->service->calls.n > 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

static void assert_unchanged(Fixture *f)
{
        assert_nothing_begun(f);
        assert_int_equal(f->shop->seat, SEAT_CLOUD);
        assert_int_equal(f->shop->held_until_usec, 0);
}

static void assert_refused(sd_bus_message *reply, const char *name, const char *part)
{
        assert_non_null(sd_bus_message_get_error(reply));
        if (!strstr(sd_bus_message_get_error(reply)->message, part))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        assert_non_null(strstr(sd_bus_message_get_error(reply)->message, "othing was changed"));
        assert_error(reply, name);
}

/* ---- tests: each method and its action ---- */

typedef struct Change {
        const char *path, *interface, *member, *types, *asked;
} Change;

/* Without these three, whose calls need a job of root's: Cancel, Proceed, and what is answered by the last row. */
static const Change changes[] = {
        { SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", TO_LOCAL " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", TO_CLOUD " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "Check", "s", MANAGE " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "CheckToken", "b", MANAGE " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "Hold", "ts", MANAGE " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "Release", "", MANAGE " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "SetSeat", "s", MANAGE " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "ReadSpool", "", MANAGE " shop 0\n" },
        { SHOP, BUS_BOT_INTERFACE, "ClearSpool", "", MANAGE " shop 0\n" },
        { BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", "", MANAGE " - 0\n" },
};

static sd_bus_message *make(Fixture *f, const Change *c)
{
        if (streq(c->types, "a{sv}"))
                return call(f, c->path, c->interface, c->member, c->types, 0);
        if (streq(c->types, "ts"))
                return call(f, c->path, c->interface, c->member, c->types, UINT64_MAX, "why");
        return call(f, c->path, c->interface, c->member, c->types, "local");
}

static void test_each_change_is_put_to_polkit(void **state)
{
        Fixture *f = *state;

        polkit.answer = ANSWER_NO;
        FOREACH_ELEMENT(c, changes) {
                assert_refused(make(f, c), SD_BUS_ERROR_ACCESS_DENIED, "polkit does not let you");
                assert_string_equal(asked(), c->asked);
        }
        assert_unchanged(f);
        assert_string_equal(asked(), "");
}

static void test_what_polkit_allows_is_done(void **state)
{
        Fixture *f = *state;

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SetSeat", "s", "local"));
        assert_int_equal(f->shop->seat, SEAT_LOCAL);
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_MAX, ""));
        assert_int_equal(f->shop->held_until_usec, UINT64_MAX);
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", 0));
        assert_true(bot_job_running(f->shop));
        assert_string_equal(f->shop->requester, "uid 65534");
        assert_string_equal(asked(), MANAGE " shop 0\n" MANAGE " shop 0\n" TO_CLOUD " shop 0\n");
}

/* A job is called off by whoever could have begun it. */
static void test_a_job_belongs_to_its_direction(void **state)
{
        Fixture *f = *state;

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        (void) asked();
        polkit.answer = ANSWER_NO;
        assert_refused(call(f, JOB, BUS_JOB_INTERFACE, "Cancel", ""), SD_BUS_ERROR_ACCESS_DENIED, "local server");
        assert_refused(call(f, JOB, BUS_JOB_INTERFACE, "Proceed", ""), SD_BUS_ERROR_ACCESS_DENIED, "local server");
        assert_string_equal(asked(), TO_LOCAL " shop 0\n" TO_LOCAL " shop 0\n");
        assert_true(bot_job_running(f->shop));

        polkit.answer = ANSWER_YES;
        assert_done(call(f, JOB, BUS_JOB_INTERFACE, "Cancel", ""));
        (void) asked();
        f->shop->seat = SEAT_LOCAL;
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", 0));
        (void) asked();
        assert_done(call(f, BUS_JOB_PREFIX "2", BUS_JOB_INTERFACE, "Cancel", ""));
        assert_string_equal(asked(), TO_CLOUD " shop 0\n");
}

static void test_reading_and_root_ask_nobody(void **state)
{
        Fixture *f = *state;
        sd_bus *nobody = f->client;

        polkit.answer = ANSWER_NO;
        assert_done(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListBots", ""));
        assert_done(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", "shop"));
        assert_done(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListJobs", ""));
        assert_done(call(f, SHOP, "org.freedesktop.DBus.Properties", "GetAll", "s", BUS_BOT_INTERFACE));
        assert_done(call(f, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ""));

        f->client = root_client;
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        assert_done(call(f, JOB, BUS_JOB_INTERFACE, "Cancel", ""));
        f->client = nobody;
        assert_string_equal(asked(), "");
}

/* ---- tests: many bots ---- */

/* A rule sees one bot at a time, and one bot that is denied is all of them. */
static void test_each_of_many_bots_is_asked_about(void **state)
{
        Fixture *f = *state;

        assert_jobs(switch_bots(f, STRV("s*", "news")), "news=1 shop=2");
        assert_string_equal(asked(), TO_LOCAL " news 0\n" TO_LOCAL " shop 0\n");
}

static void test_one_bot_that_is_denied_is_all(void **state)
{
        Fixture *f = *state;

        polkit.answer = ANSWER_NOT_BOB_BUT_SHOP;
        assert_refused(switch_bots(f, STRV("shop", "news")), SD_BUS_ERROR_ACCESS_DENIED, "news: ");
        assert_unchanged(f);
        assert_string_equal(asked(), TO_LOCAL " news 0\n");
        assert_jobs(switch_bots(f, STRV("shop")), "shop=1");
}

static void test_nobody_is_asked_about_what_is_not_there(void **state)
{
        Fixture *f = *state;

        assert_error(switch_bots(f, STRV("shop", "no-such-bot")), BUS_ERROR_NO_SUCH_BOT);
        assert_error(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", "none"), BUS_ERROR_NO_SUCH_BOT);
        assert_string_equal(asked(), "");
        assert_unchanged(f);
}

/* While polkit thinks, a pattern may come to match more than it was asked about. */
static void test_a_bot_that_comes_later_is_not_meant(void **state)
{
        Fixture *f = *state;
        sd_bus_message *m = new_call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "SwitchToLocal");
        Bot *shop2;

        polkit.answer = ANSWER_LATER;
        assert_true(sd_bus_message_append(m, "asa{sv}", 1, "sh*", 0) >= 0);
        begin_call(f, m);
        run_until_asked(f, 1);
        shop2 = fake_bot_new(f->manager, "shop2", SEAT_CLOUD);
        polkit_answer_held(ANSWER_YES);
        assert_jobs(await_answer(f), "shop=1");
        assert_false(bot_job_running(shop2));
}

/* ---- tests: verdicts ---- */

static void test_the_interactive_flag_is_passed_on(void **state)
{
        Fixture *f = *state;

        begin_switch(f, true);
        assert_done(await_answer(f));
        assert_string_equal(asked(), TO_LOCAL " shop 1\n");
}

static void test_each_verdict_has_its_error(void **state)
{
        static const struct {
                Answer answer;
                const char *error, *part;
        } verdicts[] = {
                { ANSWER_NO, SD_BUS_ERROR_ACCESS_DENIED,
                  "shop: polkit does not let you move a bot to the local server "
                  "(" TO_LOCAL ")" },
                { ANSWER_CHALLENGE, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, "an administrator's password" },
                { ANSWER_DISMISSED, SD_BUS_ERROR_ACCESS_DENIED, "The password was not given" },
                { ANSWER_ERROR, BUS_ERROR_POLKIT_UNAVAILABLE, "The rules are on fire." },
                { ANSWER_NONSENSE, BUS_ERROR_POLKIT_UNAVAILABLE, "polkitd does not answer" },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT(v, verdicts) {
                polkit.answer = v->answer;
                begin_switch(f, false);
                assert_refused(await_answer(f), v->error, v->part);
        }
        assert_unchanged(f);
}

static void test_without_polkitd_nobody_else_is_allowed(void **state)
{
        Fixture *f = *state;

        polkit_stop();
        FOREACH_ELEMENT(c, changes)
                assert_refused(make(f, c), BUS_ERROR_POLKIT_UNAVAILABLE, "systemctl status polkit");
        assert_unchanged(f);
        assert_done(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListBots", ""));

        /* and nothing has to be restarted once it is back */
        polkit_start(f);
        begin_switch(f, false);
        assert_done(await_answer(f));
}

/* ---- tests: while somebody types a password ---- */

static void test_others_go_on_meanwhile(void **state)
{
        Fixture *f = *state, other = *f;

        polkit.answer = ANSWER_LATER;
        begin_switch(f, true);
        run_until_asked(f, 1);
        other.client = root_client;
        assert_done(call(&other, BUS_BOT_PREFIX "news", BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        assert_false(f->replied);
        polkit_answer_held(ANSWER_YES);
        assert_done(await_answer(f));
}

static void test_a_bot_that_goes_meanwhile(void **state)
{
        Fixture *f = *state;

        polkit.answer = ANSWER_LATER;
        begin_switch(f, true);
        run_until_asked(f, 1);
        fake_bot_remove(f->shop);
        polkit_answer_held(ANSWER_YES);
        assert_error_says(await_answer(f), BUS_ERROR_NO_SUCH_BOT, "The bot shop is not configured any more");
}

/* The prompt goes away with who caused it, and a late answer allows nothing. */
static void test_a_caller_that_goes_meanwhile(void **state)
{
        Fixture *f = *state;

        polkit.answer = ANSWER_LATER;
        begin_switch(f, true);
        run_until_asked(f, 1);
        (void) asked();
        f->client = sd_bus_flush_close_unref(f->client);
        run_until_no_call_is_left(f);
        while (polkit.asked[0] == '\0')
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_string_equal(asked(), "cancel\n");
        polkit_answer_held(ANSWER_YES);
        f->client = root_client;
        settle(f);
        f->client = NULL;
        assert_unchanged(f);
}

/* Whoever waits for a password waits with all that the call holds. */
static void test_wrong_arguments_are_refused_first(void **state)
{
        Fixture *f = *state;

        polkit.answer = ANSWER_LATER;
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "x", "s", "y"),
                     SD_BUS_ERROR_INVALID_ARGS);
        assert_error(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "SwitchToLocal", "asa{sv}", 1, "shop", 1, "x", "s", "y"),
                     SD_BUS_ERROR_INVALID_ARGS);
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "Check", "s", "moon"), SD_BUS_ERROR_INVALID_ARGS);
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SetSeat", "s", "moon"), SD_BUS_ERROR_INVALID_ARGS);
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_MAX, "a\nb"), SD_BUS_ERROR_INVALID_ARGS);
        assert_string_equal(asked(), "");
        assert_unchanged(f);
}

static void on_verdict(PolkitVerdict verdict, const char *why, void *userdata)
{
        *(PolkitVerdict *) userdata = verdict;
}

/* It stands for nobody then, and polkitd's answer would count as open with the bus for good. */
static void test_a_prompt_whose_time_is_over_goes_away(void **state)
{
        Fixture *f = *state;
        PolkitQuestion question = {
                .subject = polkit.subject, .action = TO_LOCAL, .bot = "shop", .interactive = true, .timeout_usec = 1
        };
        PolkitVerdict verdict = POLKIT_VERDICT_INVALID;
        PolkitCheck *check = NULL;

        polkit.answer = ANSWER_LATER;
        assert_int_equal(polkit_check(&check, f->server, &question, on_verdict, &verdict), 0);
        while (verdict == POLKIT_VERDICT_INVALID || !strstr(polkit.asked, "cancel"))
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(verdict, POLKIT_UNAVAILABLE);
        polkit_check_free(check);
        settle(f);
        assert_string_equal(asked(), TO_LOCAL " shop 1\ncancel\n");
}

static void test_the_service_goes_meanwhile(void **state)
{
        Fixture *f = *state;

        polkit.answer = ANSWER_LATER;
        begin_switch(f, true);
        run_until_asked(f, 1);
        f->service = bus_service_free(f->service);
        polkit_answer_held(ANSWER_YES);
        settle(f);
        assert_nothing_begun(f);
}

static int on_reply_of_many(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return 1;
}

static void begin_one_of_many(Fixture *f, sd_bus *from)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_true(sd_bus_call_async(from, NULL, m, on_reply_of_many, NULL, 0) >= 0);
}

/* Who lets prompts stand takes neither the room of others nor the calls that the bus lets the daemon have open. */
static void test_one_user_has_so_many_calls(void **state)
{
        Fixture *f = *state, other = *f;
        sd_bus *connections[3];

        polkit.answer = ANSWER_LATER;
        polkit.subject = NULL;
        assert_int_equal(seteuid(NOBODY), 0);
        FOREACH_ELEMENT(c, connections) {
                *c = connect_bus();
                assert_true(sd_bus_attach_event(*c, f->event, 0) >= 0);
        }
        assert_int_equal(seteuid(0), 0);
        for (size_t i = 0; i < BUS_CALLS_USER_MAX; i++)
                begin_one_of_many(f, connections[i % ELEMENTSOF(connections)]);
        while (f->service->calls.n < BUS_CALLS_USER_MAX || polkit.n_held < BUS_QUESTIONS_USER_MAX)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        begin_switch(f, true);
        assert_refused(await_answer(f), SD_BUS_ERROR_LIMITS_EXCEEDED, "of your user");
        assert_int_equal(polkit.n_held, BUS_QUESTIONS_USER_MAX);

        other.client = root_client;
        assert_done(call(&other, BUS_BOT_PREFIX "news", BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));

        /* the next take their turn, and those of a caller that leaves make room, too */
        polkit_answer_held(ANSWER_NO);
        run_until_asked(f, BUS_QUESTIONS_USER_MAX);
        assert_int_equal(f->service->calls.n, BUS_CALLS_USER_MAX - BUS_QUESTIONS_USER_MAX);
        connections[0] = sd_bus_flush_close_unref(connections[0]);
        run_until_asked(f, BUS_QUESTIONS_USER_MAX + 1);
        polkit.answer = ANSWER_NO;
        polkit_answer_held(ANSWER_NO);
        run_until_no_call_is_left(f);
        FOREACH_ELEMENT(c, connections)
                sd_bus_flush_close_unref(*c);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_nobody, tear_down_nobody)
                TEST(test_each_change_is_put_to_polkit),
                TEST(test_what_polkit_allows_is_done),
                TEST(test_a_job_belongs_to_its_direction),
                TEST(test_reading_and_root_ask_nobody),
                TEST(test_each_of_many_bots_is_asked_about),
                TEST(test_one_bot_that_is_denied_is_all),
                TEST(test_nobody_is_asked_about_what_is_not_there),
                TEST(test_a_bot_that_comes_later_is_not_meant),
                TEST(test_the_interactive_flag_is_passed_on),
                TEST(test_each_verdict_has_its_error),
                TEST(test_without_polkitd_nobody_else_is_allowed),
                TEST(test_others_go_on_meanwhile),
                TEST(test_a_bot_that_goes_meanwhile),
                TEST(test_a_caller_that_goes_meanwhile),
                TEST(test_wrong_arguments_are_refused_first),
                TEST(test_a_prompt_whose_time_is_over_goes_away),
                TEST(test_the_service_goes_meanwhile),
                TEST(test_one_user_has_so_many_calls),
#undef TEST
        };

        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
