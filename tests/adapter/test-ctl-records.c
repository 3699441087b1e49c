/* SPDX-License-Identifier: MIT */

/* What `tgswitchctl authorize` takes from the records of the daemon: who is on the way, and nothing else. With
 *
 *       test-ctl-records --write DIRECTORY BOT STATE
 *
 * it writes such a record, for test-ctl.sh, of a bot whose worker is recorded.service. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/strv.h"
#include "scratch.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-records.c"

static void put_record(const char *directory, const char *bot, const Record *r)
{
        _cleanup_free_ char *bytes = NULL, *name = NULL;
        size_t size;

        assert_int_equal(record_encode(r, bot, &bytes, &size), 0);
        assert_true(asprintf(&name, "bots/%s.state", bot) > 0);
        scratch_write_bytes(directory, name, bytes, size);
}

static int set_up(void **state)
{
        *state = scratch_new();
        return 0;
}

static int tear_down(void **state)
{
        scratch_remove(*state);
        return 0;
}

static void test_who_is_on_the_way(void **state)
{
        static const char *const expected[] = { "held", "leaving", "owing", "waiting", NULL };
        _cleanup_strv_ char **bots = NULL, **complaints = NULL;

        put_record(*state, "waiting", &(Record){ .state = CUTOVER_QUEUED });
        put_record(*state, "leaving", &(Record){ .state = CUTOVER_LOG_OUT });
        put_record(*state, "held", &(Record){ .state = CUTOVER_HOLD_DRAINED });
        put_record(*state, "owing", &(Record){ .state = CUTOVER_SETTLED, .seat = SEAT_CLOUD, .stale = true });
        put_record(*state, "settled", &(Record){ .state = CUTOVER_SETTLED, .seat = SEAT_LOCAL });
        put_record(*state, "fresh", &(Record){});

        assert_int_equal(records_on_their_way(*state, &bots, &complaints), 0);
        assert_true(strv_equal(bots, (char *const *) expected));
        assert_null(complaints);
}

static void test_no_directory(void **state)
{
        _cleanup_strv_ char **bots = NULL, **complaints = NULL;
        _cleanup_free_ char *missing = NULL;

        assert_true(asprintf(&missing, "%s/missing", (char *) *state) > 0);
        assert_int_equal(records_on_their_way(*state, &bots, &complaints), 0);
        assert_int_equal(records_on_their_way(missing, &bots, &complaints), 0);
        assert_null(bots);
        assert_null(complaints);
}

/* The directory is the unprivileged daemon's, and root reads it: whatever lies there is neither followed, nor waited
 * for, nor shown by a name that is no bot's. */
static void test_what_cannot_be_read(void **state)
{
        _cleanup_strv_ char **bots = NULL, **complaints = NULL;
        _cleanup_free_ char *fifo = NULL, *link = NULL, *dangling = NULL;
        const char *directory = *state;

        put_record(directory, "good", &(Record){ .state = CUTOVER_CONFIRM });
        scratch_write(directory, "bots/damaged.state", "tgswitch-record ?");
        scratch_write(directory, "bots/newer.state", "tgswitch-record 999 1 00000000\n{");
        scratch_write(directory, "bots/\e[2J.state", "not ours");
        scratch_write(directory, "bots/good.spare", "not read");
        assert_true(asprintf(&fifo, "%s/bots/fifo.state", directory) > 0);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_true(asprintf(&link, "%s/bots/link.state", directory) > 0);
        assert_int_equal(symlink("good.state", link), 0);
        assert_true(asprintf(&dangling, "%s/bots/other.state", directory) > 0);
        assert_int_equal(symlink("/nowhere", dangling), 0);

        assert_int_equal(records_on_their_way(directory, &bots, &complaints), 0);
        assert_int_equal(strv_length(bots), 1);
        assert_string_equal(bots[0], "good");
        assert_int_equal(strv_length(complaints), 5);
        assert_non_null(strstr(complaints[0], "/bots/damaged.state cannot be used (its first line is damaged)"));
        assert_non_null(strstr(complaints[1], "/bots/fifo.state cannot be used ("));
        assert_non_null(strstr(complaints[2], "/bots/link.state cannot be used ("));
        assert_non_null(strstr(complaints[3], "newer.state cannot be used (it was written by another version"));
        assert_non_null(strstr(complaints[4], "/bots/other.state cannot be used ("));
}

/* A record counts under its own name alone. */
static void test_record_of_another_bot(void **state)
{
        _cleanup_strv_ char **bots = NULL, **complaints = NULL;
        _cleanup_free_ char *from = NULL, *to = NULL;

        put_record(*state, "shop", &(Record){ .state = CUTOVER_LOG_IN });
        assert_true(asprintf(&from, "%s/bots/shop.state", (char *) *state) > 0);
        assert_true(asprintf(&to, "%s/bots/news.state", (char *) *state) > 0);
        assert_int_equal(rename(from, to), 0);
        assert_int_equal(records_on_their_way(*state, &bots, &complaints), 0);
        assert_null(bots);
        assert_int_equal(strv_length(complaints), 1);
}

static int write_one(const char *directory, const char *bot, const char *state)
{
        char *workers[] = { (char *) "recorded.service", NULL };
        CutoverState s = cutover_state_from_string(state);

        if (s < 0) {
                fprintf(stderr, "There is no state '%s'.\n", state);
                return EXIT_FAILURE;
        }
        put_record(directory, bot, &(Record){ .state = s, .workers = workers });
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_who_is_on_the_way, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_cannot_be_read, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_record_of_another_bot, set_up, tear_down),
        };

        if (argc == 5 && streq(argv[1], "--write"))
                return write_one(argv[2], argv[3], argv[4]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
