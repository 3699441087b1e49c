/* SPDX-License-Identifier: MIT */

/* When SwitchToLocal() and SwitchToCloud() are answered, and what becomes of the bots of one call. Defends L9 (a call
 * answered by an error has changed nothing) and the promise that a path in an answer is a job on record (L5). */

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

#define SHOP BUS_BOT_PREFIX "shop"
#define NEWS BUS_BOT_PREFIX "news"

/* ---- calls that wait ---- */

static void begin_call(Fixture *f, sd_bus *from, sd_bus_message *m)
{
        f->replied = false;
        f->reply = NULL;
        assert_true(sd_bus_call_async(from, NULL, m, on_reply, f, 0) >= 0);
        sd_bus_message_unref(m);
}

static void begin_switch(Fixture *f)
{
        sd_bus_message *m = new_call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        begin_call(f, f->client, m);
}

static void begin_switch_all(Fixture *f)
{
        sd_bus_message *m = new_call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "SwitchToLocal");

        assert_true(sd_bus_message_append(m, "asa{sv}", 0, 0) >= 0);
        begin_call(f, f->client, m);
}

static void run_until_writing(Fixture *f, const Bot *b)
{
        while (b->writing == FAKE_WRITE_NONE)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

/* What the service sends before it answers a ping has arrived by then. The pings have replies of their own. */
static void assert_no_answer(Fixture *f)
{
        for (int i = 0; i < 2; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                Fixture ping = {};

                m = new_call(f, BUS_PATH, "org.freedesktop.DBus.Peer", "Ping");
                assert_true(sd_bus_call_async(f->client, NULL, m, on_reply, &ping, 0) >= 0);
                while (!ping.replied)
                        assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
                sd_bus_message_unref(ping.reply);
        }
        assert_false(f->replied);
}

static sd_bus_message *await_answer(Fixture *f)
{
        while (!f->replied)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        return f->reply;
}

static void assert_path(sd_bus_message *reply, const char *expected)
{
        const char *path;

        assert_null(sd_bus_message_get_error(reply));
        assert_true(sd_bus_message_read(reply, "o", &path) > 0);
        assert_string_equal(path, expected);
        sd_bus_message_unref(reply);
}

static void assert_refused(sd_bus_message *reply, const char *name, const char *message)
{
        assert_non_null(sd_bus_message_get_error(reply));
        assert_string_equal(sd_bus_message_get_error(reply)->message, message);
        assert_error(reply, name);
}

/* ---- tests: one bot ---- */

/* A daemon that is killed while the record is being written knows nothing of the job afterwards. */
static void test_answered_when_the_job_is_on_record(void **state)
{
        Fixture *f = *state;

        f->manager->holds_records = true;
        begin_switch(f);
        run_until_writing(f, f->shop);
        assert_no_answer(f);
        fake_written(f->shop);
        assert_path(await_answer(f), BUS_JOB_PREFIX "1");

        /* from now on it is there, and whoever asks again is answered at once */
        assert_path(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0), BUS_JOB_PREFIX "1");
}

static void test_who_asks_again_waits_for_the_same_record(void **state)
{
        Fixture *f = *state, second = { .client = f->client };

        f->manager->holds_records = true;
        begin_switch(f);
        run_until_writing(f, f->shop);
        begin_switch(&second);
        assert_no_answer(f);
        assert_false(second.replied);
        fake_written(f->shop);
        assert_path(await_answer(f), BUS_JOB_PREFIX "1");
        second.event = f->event;
        assert_path(await_answer(&second), BUS_JOB_PREFIX "1");
        assert_int_equal(f->manager->last_job_id, 1);
}

static void test_a_record_that_is_not_written_refuses(void **state)
{
        static const char sentence[] = "shop was not moved: The record could not be written: No space left on device. "
                                       "Make room.";
        Fixture *f = *state, second = { .client = f->client, .event = f->event };

        f->manager->holds_records = true;
        begin_switch(f);
        run_until_writing(f, f->shop);
        begin_switch(&second);
        assert_no_answer(f);
        fake_not_written(f->shop);
        assert_refused(await_answer(f), BUS_ERROR_FAILED, sentence);
        assert_refused(await_answer(&second), BUS_ERROR_FAILED, sentence);

        /* without waiting: before the manager has returned */
        f->shop->record_fails = true;
        assert_refused(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0), BUS_ERROR_FAILED, sentence);

        f->shop->record_fails = f->manager->holds_records = false;
        assert_path(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0), BUS_JOB_PREFIX "3");
}

/* It was on record, and JobRemoved tells the rest. */
static void test_a_job_that_ends_at_once_is_a_job(void **state)
{
        Fixture *f = *state;

        f->manager->holds_records = true;
        begin_switch(f);
        run_until_writing(f, f->shop);
        assert_done(call(&(Fixture){ .client = f->client, .event = f->event }, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE,
                         "Cancel", ""));
        assert_no_answer(f);
        fake_written(f->shop);
        assert_path(await_answer(f), BUS_JOB_PREFIX "1");
        assert_int_equal(f->shop->job.result, JOB_RESULT_CANCELED);
}

static void test_the_caller_leaves(void **state)
{
        Fixture *f = *state;
        sd_bus *other = connect_bus();
        sd_bus_message *m = NULL;

        assert_true(sd_bus_attach_event(other, f->event, 0) >= 0);
        f->manager->holds_records = true;
        assert_true(sd_bus_message_new_method_call(other, &m, BUS_NAME, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal") >= 0);
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        begin_call(f, other, m);
        run_until_writing(f, f->shop);
        assert_no_answer(f);
        assert_int_equal(f->service->calls.n, 1);
        sd_bus_flush_close_unref(other);
        while (f->service->calls.n > 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        fake_written(f->shop);
        settle(f);
        assert_true(bot_job_running(f->shop));
}

static void test_the_service_goes(void **state)
{
        Fixture *f = *state;

        f->manager->holds_records = true;
        begin_switch_all(f);
        f->lost->seat = SEAT_CLOUD;
        run_until_writing(f, f->shop);
        f->service = bus_service_free(f->service);
        assert_null(f->manager->observer);
        fake_changed(f->shop);
}

/* The configuration is read again before the call was answered. */
static void test_the_bot_goes(void **state)
{
        Fixture *f = *state;

        f->manager->holds_records = true;
        begin_switch(f);
        run_until_writing(f, f->shop);
        fake_not_written(f->shop);
        fake_bot_remove(f->shop);
        assert_error_says(await_answer(f), BUS_ERROR_FAILED,
                          "The record could not be written: No space left on device.");
}

/* And takes its job along, of which nobody has told the end. */
static void test_the_bot_goes_with_its_job(void **state)
{
        Fixture *f = *state;

        f->manager->holds_records = true;
        begin_switch(f);
        run_until_writing(f, f->shop);
        fake_bot_remove(f->shop);
        assert_refused(await_answer(f), BUS_ERROR_FAILED,
                       "shop was not moved: its job ended before it was recorded: 'journalctl -u tgswitchd' says why. "
                       "Then start the cutover again.");
}

static int on_get_unit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint32_t pid;

        assert_true(sd_bus_message_read(m, "u", &pid) > 0);
        assert_int_equal(pid, getpid());
        return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/unit/session_2d1_2escope");
}

static const sd_bus_vtable systemd_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetUnitByPID", "u", "o", on_get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* For the history: the user, and where systemd knows it the unit. */
static void test_who_asked_is_kept(void **state)
{
        Fixture *f = *state;
        sd_bus *systemd = connect_bus();

        assert_done(call(f, NEWS, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        assert_string_equal(f->news->job.requester, "uid 0");

        assert_true(sd_bus_attach_event(systemd, f->event, 0) >= 0);
        assert_true(sd_bus_add_object_vtable(systemd, NULL, "/org/freedesktop/systemd1",
                                             "org.freedesktop.systemd1.Manager", systemd_vtable, NULL) >= 0);
        assert_true(sd_bus_request_name(systemd, "org.freedesktop.systemd1", 0) >= 0);
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        assert_string_equal(f->shop->job.requester, "uid 0, unit session-1.scope");
        sd_bus_flush_close_unref(systemd);
}

/* Who asks is found out meanwhile. */
static void test_a_job_that_ends_before_it_is_cancelled(void **state)
{
        Fixture *f = *state;

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        begin_call(f, f->client, new_call(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Cancel"));
        while (f->service->calls.n == 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        fake_end_job(f->shop, JOB_RESULT_DONE, "");
        assert_refused(await_answer(f), BUS_ERROR_NO_SUCH_JOB, "Job 1 has ended; 'tgswitchctl status' shows how.");
        assert_int_equal(f->shop->job.result, JOB_RESULT_DONE);
}

/* As many as the daemon keeps in mind at a time wait already, whoever made them. */
static void test_calls_have_a_bound(void **state)
{
        Fixture *f = *state;

        f->service->calls.n += BUS_CALLS_MAX;
        assert_refused(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0), SD_BUS_ERROR_LIMITS_EXCEEDED,
                       "4096 calls wait for their answer already, so nothing was changed; try again later.");
        assert_nothing_changed(f);
        f->service->calls.n -= BUS_CALLS_MAX;
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
}

/* ---- tests: many bots ---- */

static void test_many_are_answered_together(void **state)
{
        Fixture *f = *state;

        f->lost->seat = SEAT_CLOUD;
        assert_done(call(f, NEWS, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        f->manager->holds_records = true;
        begin_switch_all(f);
        run_until_writing(f, f->shop);
        fake_written(f->shop);
        assert_no_answer(f);
        fake_written(f->lost);
        assert_jobs(await_answer(f), "lost=2 news=1 shop=3");
}

/* All or nothing: the answer comes when what was begun has been taken back, on disk too. */
static void test_one_that_is_not_recorded_takes_all_back(void **state)
{
        Fixture *f = *state;

        f->lost->seat = SEAT_CLOUD;
        assert_done(call(f, NEWS, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        f->manager->holds_records = true;
        begin_switch_all(f);
        run_until_writing(f, f->shop);
        fake_written(f->lost);
        fake_not_written(f->shop);
        run_until_writing(f, f->lost);
        assert_no_answer(f);
        fake_written(f->lost);
        assert_refused(await_answer(f), BUS_ERROR_FAILED,
                       "shop was not moved: The record could not be written: No space left on device. Make room.");
        assert_int_equal(f->lost->job.result, JOB_RESULT_CANCELED);
        assert_true(bot_job_running(f->news));
}

/* L9: where one bot is refused, none begins. */
static void test_one_refusal_is_one_for_all(void **state)
{
        Fixture *f = *state;

        f->shop->refusal = ASK_NO_TOKEN;
        assert_refused(switch_bots(f, NULL), BUS_ERROR_UNDECLARED,
                       "lost: Nobody has said where lost is logged in. For other reasons it cannot be done with shop.");
        assert_nothing_changed(f);
}

/* However many they are, the text stays short and whole. */
static void test_many_refusals_are_one_text(void **state)
{
        Fixture *f = *state;
        char name[16];

        for (int i = 1; i <= 12; i++) {
                (void) snprintf(name, sizeof(name), "b%02d", i);
                fake_bot_new(f->manager, name, SEAT_UNDECLARED);
        }
        f->news->refusal = ASK_NO_TOKEN;
        assert_refused(switch_bots(f, NULL), BUS_ERROR_UNDECLARED,
                       "lost: Nobody has said where lost is logged in. The same goes for b01, b02, b03, b04, b05, b06, "
                       "b07, b08 and 4 more. For other reasons it cannot be done with news.");
        assert_nothing_begun(f);
}

/* The same where the disk fills up between the question and the deed; what others had begun goes on. */
static void test_a_late_refusal_takes_all_back(void **state)
{
        Fixture *f = *state;

        f->lost->seat = SEAT_CLOUD;
        assert_done(call(f, NEWS, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        f->shop->refusal = ASK_FAILED;
        f->shop->refuses_late = true;
        assert_error(switch_bots(f, NULL), BUS_ERROR_FAILED);
        assert_int_equal(f->lost->job.result, JOB_RESULT_CANCELED);
        assert_int_equal(f->shop->job.id, 0);
        assert_true(bot_job_running(f->news));
}

/* MaxFailures= counts over the bots of one call, also where it is made of several calls of the bus. */
static void test_jobs_of_one_call_are_a_batch(void **state)
{
        Fixture *f = *state;

        f->lost->seat = SEAT_CLOUD;
        assert_done(call(f, NEWS, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        assert_int_equal(f->news->job.batch, 1);
        assert_jobs(switch_bots_to(f, "SwitchToLocal", NULL, "automatic", 1), "lost=2 news=1 shop=3");
        assert_true(f->lost->job.automatic);
        assert_int_equal(f->lost->job.batch, 2);
        assert_int_equal(f->shop->job.batch, 2);

        fake_end_job(f->lost, JOB_RESULT_FAILED, "");
        assert_error_says(call(f, BUS_BOT_PREFIX "lost", BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "batch", "u",
                               99),
                          SD_BUS_ERROR_INVALID_ARGS,
                          "The option 'batch' takes a job that runs or is its bot's last; 99 is none.");
        assert_error(call(f, BUS_BOT_PREFIX "lost", BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "batch", "u", 0),
                     SD_BUS_ERROR_INVALID_ARGS);
        assert_done(call(f, BUS_BOT_PREFIX "lost", BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "batch", "u", 3));
        assert_int_equal(f->lost->job.id, 4);
        assert_int_equal(f->lost->job.batch, 2);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
                TEST(test_answered_when_the_job_is_on_record),
                TEST(test_who_asks_again_waits_for_the_same_record),
                TEST(test_a_record_that_is_not_written_refuses),
                TEST(test_a_job_that_ends_at_once_is_a_job),
                TEST(test_the_caller_leaves),
                TEST(test_the_service_goes),
                TEST(test_the_bot_goes),
                TEST(test_the_bot_goes_with_its_job),
                TEST(test_who_asked_is_kept),
                TEST(test_a_job_that_ends_before_it_is_cancelled),
                TEST(test_calls_have_a_bound),
                TEST(test_many_are_answered_together),
                TEST(test_one_that_is_not_recorded_takes_all_back),
                TEST(test_one_refusal_is_one_for_all),
                TEST(test_many_refusals_are_one_text),
                TEST(test_a_late_refusal_takes_all_back),
                TEST(test_jobs_of_one_call_are_a_batch),
#undef TEST
        };

        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
