/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "fault-fs.h"
#include "manager-fixture.h"
#include "scratch.h"

/* What is refused has changed nothing, and says why and what to do (L9). What a host can be asked is in tests/host;
 * here is what needs a disk that fails, a process without resources, or a moment that is hard to meet. */

#define AT_CLOUD "InitialSeat=cloud\nWorker=shop.service"

static Bot *begin(ManagerFixture *f)
{
        manager_store_bot(f, "shop", AT_CLOUD);
        return manager_begin_with(f, "shop");
}

/* As an earlier process left it; the caller changes what matters, and frees nothing. */
static Record record_of_shop(Seat seat)
{
        Record r;

        record_init(&r);
        r.bot_id = FIXTURE_BOT_ID;
        r.seat = seat;
        return r;
}

static void test_held(void **state)
{
        static const SwitchOptions automatic = { .automatic = true };
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;

        assert_int_equal(bot_hold(b, USEC_INFINITY, "holidays", &message), ASK_OK);
        manager_assert_answer(
                        bot_can_switch(b, SEAT_LOCAL, &automatic, &message), ASK_HELD, &message,
                        "shop is held, so it does not move by itself: holidays. Move it with 'tgswitchctl switch', "
                        "or allow it with 'tgswitchctl release shop'.");
        assert_int_equal(bot_can_switch(b, SEAT_LOCAL, NULL, &message), ASK_OK);
        manager_assert_logged(f, "shop: Held: it does not move by itself: holidays.");

        assert_int_equal(bot_release(b, &message), ASK_OK);
        manager_assert_logged(f, "shop: Released: it moves by itself again where it is configured to.");
        assert_int_equal(bot_can_switch(b, SEAT_LOCAL, &automatic, &message), ASK_OK);
}

/* Whoever holds a bot means the move, too, that waits for its time already. */
static void test_hold_calls_off(void **state)
{
        ManagerFixture *f = *state;
        Record record = record_of_shop(SEAT_CLOUD);
        char *message = NULL;
        Moment now;
        Bot *b;

        assert_int_equal(clock_moment(&now), 0);
        window_begin(&record.local_window, &now, WINDOW_LONG_USEC);
        record.state = CUTOVER_QUEUED;
        record.job = (RecordJob){
                .id = 7,
                .batch = 7,
                .source = SEAT_CLOUD,
                .wanted = SEAT_LOCAL,
                .target = SEAT_LOCAL,
                .when_allowed = true,
                .automatic = true,
                .started_usec = now.realtime_usec,
                .phase_started_usec = now.realtime_usec,
        };
        manager_store_bot(f, "shop", AT_CLOUD);
        manager_store_record(f, "shop", &record);
        assert_int_equal(manager_begin(f), 0);
        b = manager_find_bot(f->manager, "shop");
        assert_true(bot_job_running(b));

        assert_int_equal(bot_hold(b, USEC_INFINITY, "holidays", &message), ASK_OK);
        assert_string_equal(bot_last_error(b),
                            "The bot is held, so its move was called off: it does not move by itself "
                            "before 'tgswitchctl release shop'.");
        bot_dispatch(b);
        assert_false(bot_job_running(b));
        assert_string_equal(bot_job(b)->error, bot_last_error(b));
}

static void test_stopping(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;

        manager_stop(f->manager);
        manager_assert_answer(bot_can_switch(b, SEAT_LOCAL, NULL, &message), ASK_FAILED, &message,
                              "tgswitchd is stopping: try again when it runs.");
}

/* ---- the seat ---- */

static void test_seat_in_the_window(void **state)
{
        ManagerFixture *f = *state;
        Record record = record_of_shop(SEAT_LOCAL);
        char *message = NULL;
        Moment now;
        Bot *b;

        assert_int_equal(clock_moment(&now), 0);
        window_begin(&record.cloud_window, &now, WINDOW_CLOUD_USEC);
        manager_store_bot(f, "shop", AT_CLOUD);
        manager_store_record(f, "shop", &record);
        b = manager_begin_with(f, "shop");
        manager_assert_answer(
                        bot_set_seat(b, SEAT_CLOUD, &message), ASK_FALLBACK_WINDOW, &message,
                        "shop was logged out of the cloud, and no request may go there before the window is over: "
                        "see 'tgswitchctl status shop' for the time, and try again then.");
        assert_int_equal(bot_seat(b), SEAT_LOCAL);
}

static void test_seat_while_one_is_written(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;

        assert_int_equal(bot_set_seat(b, SEAT_LOCAL, &message), ASK_OK);
        manager_assert_answer(bot_set_seat(b, SEAT_CLOUD, &message), ASK_NOT_SETTLED, &message,
                              "Something else is being written for shop: try again.");
        assert_int_equal(bot_seat(b), SEAT_LOCAL);
        manager_drain(f);
        assert_int_equal(bot_set_seat(b, SEAT_CLOUD, &message), ASK_OK);
}

/* The record has no room for all that it is to hold. */
static void test_seat_without_a_record(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;

        b->record.held_reason = calloc(1, RECORD_STRING_MAX + 2);
        assert_non_null(b->record.held_reason);
        memset(b->record.held_reason, 'x', RECORD_STRING_MAX + 1);
        manager_assert_answer(
                        bot_set_seat(b, SEAT_LOCAL, &message), ASK_FAILED, &message,
                        "The seat of shop could not be recorded: Argument list too long. Nothing was changed; try "
                        "again.");
        assert_int_equal(bot_seat(b), SEAT_CLOUD);
        b->record.held_reason[0] = '\0';
        assert_int_equal(bot_set_seat(b, SEAT_LOCAL, &message), ASK_OK);
        manager_drain(f);
}

/* ---- the spool ---- */

static void put_into_spool(ManagerFixture *f, Bot *b)
{
        json_object *updates = json_tokener_parse("[{\"update_id\":7},{\"update_id\":8}]");

        assert_non_null(updates);
        assert_int_equal(spool_append(b->spool, updates, NULL, NULL, NULL), 0);
        json_object_put(updates);
        manager_drain(f);
        assert_int_equal(bot_spooled_updates(b), 2);
}

static void test_clear_spool(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;

        put_into_spool(f, b);
        assert_int_equal(bot_clear_spool(b, &message), ASK_OK);
        manager_drain(f);
        assert_int_equal(bot_spooled_updates(b), 0);
        manager_assert_logged(f, "shop: 2 spooled updates are thrown away, as asked for.");
        assert_int_equal(bot_clear_spool(b, &message), ASK_ALREADY);
}

/* What is still there is handed over, as if nobody had asked. */
static void test_clear_spool_fails(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;

        put_into_spool(f, b);
        fault_fs_begin();
        fault_fs_fail(FS_UNLINK, 1, EIO);
        assert_int_equal(bot_clear_spool(b, &message), ASK_OK);
        manager_drain(f);
        assert_true(fault_fs_happened());
        fault_fs_end();
        manager_assert_logged(f,
                              "shop: Failed to clear the spool: Input/output error. Look after the file system of the "
                              "state directory, then try again.");
        assert_int_equal(bot_spooled_updates(b), 2);
        assert_true(b->part_ready);
}

static void test_read_spool_fails(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin(f);
        char *message = NULL;
        int fd = -EBADF;

        put_into_spool(f, b);
        scratch_write(f->directory, "state/spool/shop/00000001", "{\"damaged\":true}\n");
        manager_assert_answer(
                        bot_read_spool(b, &fd, &message), ASK_FAILED, &message,
                        "The spool of shop could not be read: Bad message. Look after the file system of the state "
                        "directory, then try again.");
        assert_int_equal(fd, -EBADF);
}

/* ---- what nothing can be done for ---- */

/* The record is damaged: whatever is asked, the answer is the sentence that names the file. */
static void test_bad_record(void **state)
{
        static const char words[] = "/state/bots/shop.state cannot be used";
        ManagerFixture *f = *state;
        char *message = NULL;
        int fd = -EBADF;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        scratch_write(f->directory, "state/bots/shop.state", "rubbish\n");
        b = manager_begin_with(f, "shop");
        manager_assert_answer(bot_can_switch(b, SEAT_LOCAL, NULL, &message), ASK_BAD_RECORD, &message, words);
        manager_assert_answer(bot_cancel(b, &message), ASK_BAD_RECORD, &message, words);
        manager_assert_answer(bot_set_seat(b, SEAT_LOCAL, &message), ASK_BAD_RECORD, &message, words);
        manager_assert_answer(bot_hold(b, USEC_INFINITY, "", &message), ASK_BAD_RECORD, &message, words);
        manager_assert_answer(bot_read_spool(b, &fd, &message), ASK_BAD_RECORD, &message, words);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, manager_set_up, manager_tear_down)
                TEST(test_held),
                TEST(test_hold_calls_off),
                TEST(test_stopping),
                TEST(test_seat_in_the_window),
                TEST(test_seat_while_one_is_written),
                TEST(test_seat_without_a_record),
                TEST(test_clear_spool),
                TEST(test_clear_spool_fails),
                TEST(test_read_spool_fails),
                TEST(test_bad_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
