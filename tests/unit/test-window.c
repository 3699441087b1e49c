/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "core/window.h"

/* L8: the window never opens early, whatever the clocks do. A small world with one true time is put through steps of
 * the clock, suspend and reboots; the code under test sees only what the clocks of that world show. */

typedef struct World {
        uint64_t random;
        usec_t truth; /* what nobody in there can read */
        usec_t boot_began;
        int64_t realtime_error; /* of CLOCK_REALTIME; 0 where it is synchronised */
        bool synchronised;
        uint8_t boot;
} World;

static uint64_t next_random(World *w)
{
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return w->random;
}

static uint64_t below(World *w, uint64_t n)
{
        return next_random(w) % n;
}

static Moment look(const World *w)
{
        Moment m = {
                .boottime_usec = w->truth - w->boot_began,
                .realtime_usec = (usec_t) ((int64_t) w->truth + w->realtime_error),
                .boot_id = { w->boot },
                .synchronised = w->synchronised,
        };

        return m;
}

static void pass_time(World *w)
{
        static const usec_t scales[] = { USEC_PER_MSEC, USEC_PER_SEC, USEC_PER_MIN, 20 * USEC_PER_MIN };

        w->truth += below(w, scales[below(w, ELEMENTSOF(scales))]);
}

/* Ten years back to ten years ahead, or a little. */
static void step_clock(World *w)
{
        static const usec_t scales[] = { USEC_PER_SEC, USEC_PER_HOUR, 87600 * USEC_PER_HOUR };
        usec_t scale = scales[below(w, ELEMENTSOF(scales))];

        w->realtime_error = (int64_t) below(w, 2 * scale) - (int64_t) scale;
        w->synchronised = false;
}

static void reboot(World *w)
{
        w->boot++;
        /* A container that boots anew goes on with its host's CLOCK_BOOTTIME. */
        if (below(w, 2))
                w->boot_began = w->truth;
        w->synchronised = false;
}

static void change(World *w)
{
        pass_time(w); /* suspended or not: CLOCK_BOOTTIME goes on */
        switch (below(w, 4)) {
        case 0:
                step_clock(w);
                break;
        case 1:
                w->realtime_error = 0;
                w->synchronised = true;
                break;
        case 2:
                reboot(w);
                break;
        default:
                break;
        }
}

static World random_world(uint64_t seed)
{
        World w = { .random = seed, .truth = 1700000000 * USEC_PER_SEC };

        w.boot_began = w.truth - below(&w, USEC_PER_HOUR);
        w.synchronised = below(&w, 2);
        for (unsigned k = below(&w, 3); k > 0; k--)
                change(&w);
        return w;
}

static usec_t random_length(World *w)
{
        static const usec_t lengths[] = { WINDOW_LOCAL_USEC, WINDOW_CLOUD_USEC, WINDOW_LONG_USEC };

        return lengths[below(w, ELEMENTSOF(lengths))];
}

static void live_through_window(uint64_t seed)
{
        World w = random_world(seed);
        usec_t length = random_length(&w), whole = length + WINDOW_MARGIN_USEC, began = w.truth, seen = 0;
        Moment logged_out = look(&w);
        uint8_t boot = w.boot;
        Window window;

        window_begin(&window, &logged_out, length);
        for (unsigned k = below(&w, 12); k > 0; k--) {
                usec_t left, owed;
                Moment now;

                change(&w);
                now = look(&w);
                /* A process that has just started looks; but it may start late, or crash before that is on disk. */
                if (below(&w, 2) && window_look(&window, &now))
                        seen = w.truth;
                left = window_left(&window, &now);
                owed = usec_sub(whole, w.truth - began);
                if (left < owed || left > whole)
                        fail_msg("seed %" PRIu64 ": left %" PRIu64 ", owed %" PRIu64, seed, left, owed);
                /* In one boot it is measured to the microsecond, and in a later one it gets on. */
                if (w.boot == boot)
                        assert_int_equal(left, owed);
                else if (seen > 0 && window.seen.boot_id[0] == w.boot)
                        assert_true(left <= usec_sub(whole, w.truth - seen));
                assert_int_equal(window_end_realtime(&window, &now), left > 0 ? now.realtime_usec + left : 0);
        }
}

static void test_never_early(void **state)
{
        const char *given = getenv("SEED");
        uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t) time(NULL) * 2654435761u | 1;

        print_message("SEED=%" PRIu64 "\n", seed);
        for (unsigned i = 0; i < 30000; i++)
                live_through_window(seed + i * UINT64_C(0x9e3779b97f4a7c15) ?: 1);
}

#define YEAR_SEC (365u * 24 * 3600)

/* One row a situation: what `now` shows where the logOut was at boottime 1000 s of boot 1, realtime year 50. */
static void test_situations(void **state)
{
        const uint64_t then_sec = UINT64_C(50) * YEAR_SEC;
        static const struct {
                const char *what;
                unsigned boottime_sec;
                int64_t realtime_later_sec; /* than at the logOut */
                uint8_t boot;
                bool then_synchronised, synchronised;
                uint8_t seen_boot; /* 0: never seen */
                unsigned seen_boottime_sec;
                unsigned left_sec; /* of 600 s and the margin */
        } rows[] = {
                { "at once", 1000, 0, 1, true, true, 0, 0, 605 },
                { "half over", 1300, 300, 1, true, true, 0, 0, 305 },
                { "over by the length, not by the margin", 1600, 600, 1, true, true, 0, 0, 5 },
                { "over", 1605, 605, 1, true, true, 0, 0, 0 },
                { "suspended in between", 2605, 1605, 1, true, true, 0, 0, 0 },
                { "clock a year ahead", 1010, YEAR_SEC, 1, true, true, 0, 0, 595 },
                { "clock a year back", 1605, -(int64_t) YEAR_SEC, 1, true, true, 0, 0, 0 },
                { "a stamp from this boot's own future", 500, 0, 1, true, true, 0, 0, 605 },
                { "the same boot, whatever was seen of another", 1300, 300, 1, true, true, 2, 5, 305 },
                { "rebooted, both synchronised", 30, 200, 2, true, true, 0, 0, 405 },
                { "rebooted, both synchronised and seen", 30, 200, 2, true, true, 2, 20, 405 },
                { "rebooted long ago, both synchronised", 30, 4000, 2, true, true, 0, 0, 0 },
                { "rebooted, not synchronised at the logOut", 30, 4000, 2, false, true, 0, 0, 605 },
                { "the same, seen 20 s ago", 30, 4000, 2, false, true, 2, 10, 585 },
                { "rebooted, not synchronised yet", 30, 4000, 2, true, false, 0, 0, 605 },
                { "rebooted, clock a year ahead and not synchronised", 30, YEAR_SEC, 2, true, false, 2, 30, 605 },
                { "rebooted, a stamp from the future", 30, -1000, 2, true, true, 2, 10, 585 },
                { "rebooted, clock a year back", 30, -(int64_t) YEAR_SEC, 2, true, false, 2, 10, 585 },
                { "rebooted, seen for longer than the clock tells", 700, 100, 2, true, true, 2, 90, 0 },
                { "rebooted, not synchronised for the whole window", 635, 0, 2, false, false, 2, 30, 0 },
                { "a container that is younger than its CLOCK_BOOTTIME", 90000, 60, 2, false, false, 2, 89999, 604 },
                { "the same, not seen yet", 90000, 60, 2, false, false, 0, 0, 605 },
                { "rebooted twice, seen in the first", 5000, 60, 3, false, false, 2, 10, 605 },
        };

        FOREACH_ELEMENT(row, rows) {
                Moment then = {
                        .boottime_usec = 1000 * USEC_PER_SEC,
                        .realtime_usec = then_sec * USEC_PER_SEC,
                        .boot_id = { 1 },
                        .synchronised = row->then_synchronised,
                };
                Moment now = {
                        .boottime_usec = row->boottime_sec * USEC_PER_SEC,
                        .realtime_usec = (usec_t) ((int64_t) then_sec + row->realtime_later_sec) * USEC_PER_SEC,
                        .boot_id = { row->boot },
                        .synchronised = row->synchronised,
                };
                Window window;

                window_begin(&window, &then, WINDOW_CLOUD_USEC);
                if (row->seen_boot > 0)
                        window.seen = (Moment){
                                .boottime_usec = row->seen_boottime_sec * USEC_PER_SEC,
                                .boot_id = { row->seen_boot },
                        };
                if (window_left(&window, &now) != row->left_sec * USEC_PER_SEC)
                        fail_msg("%s: %" PRIu64 " us left, expected %u s", row->what, window_left(&window, &now),
                                 row->left_sec);
        }
}

/* What is looked at, and when that has to be written. */
static void test_look(void **state)
{
        Moment then = { .boottime_usec = 1000 * USEC_PER_SEC, .boot_id = { 1 } };
        Moment later = { .boottime_usec = 10 * USEC_PER_SEC, .boot_id = { 2 } };
        Moment much_later = { .boottime_usec = 100 * USEC_PER_SEC, .boot_id = { 2 } };
        Moment another_boot = { .boottime_usec = 20 * USEC_PER_SEC, .boot_id = { 3 } };
        Window w = {};

        assert_false(window_look(&w, &then));
        window_begin(&w, &then, WINDOW_CLOUD_USEC);
        assert_false(window_look(&w, &then));
        assert_false(moment_is_set(&w.seen));

        assert_true(window_look(&w, &later));
        assert_memory_equal(&w.seen, &later, sizeof(later));
        /* Only the first look counts, or the window would never end. */
        assert_false(window_look(&w, &much_later));
        assert_memory_equal(&w.seen, &later, sizeof(later));
        assert_int_equal(window_left(&w, &much_later), WINDOW_CLOUD_USEC + WINDOW_MARGIN_USEC - 90 * USEC_PER_SEC);

        assert_true(window_look(&w, &another_boot));
        assert_memory_equal(&w.seen, &another_boot, sizeof(another_boot));

        window_begin(&w, &another_boot, WINDOW_LONG_USEC);
        assert_false(moment_is_set(&w.seen));
        assert_int_equal(window_left(&w, &another_boot), WINDOW_LONG_USEC + WINDOW_MARGIN_USEC);
}

/* Over is over: what the daemon has acted upon no clock takes back. */
static void test_close(void **state)
{
        Moment then = { .boottime_usec = 1000 * USEC_PER_SEC, .realtime_usec = 7, .boot_id = { 1 } };
        Moment other = { .boottime_usec = 1, .boot_id = { 2 } };
        Window w;

        window_begin(&w, &then, WINDOW_CLOUD_USEC);
        assert_true(window_left(&w, &then) > 0);
        window_close(&w);
        assert_int_equal(window_left(&w, &then), 0);
        assert_int_equal(window_left(&w, &other), 0);
        assert_int_equal(window_end_realtime(&w, &other), 0);
        assert_false(window_look(&w, &other));
        assert_memory_equal(&w.since, &then, sizeof(then));
}

static void test_never_was(void **state)
{
        Moment now = { .boottime_usec = 1, .realtime_usec = 1 };
        Window w = {};

        assert_int_equal(window_left(&w, &now), 0);
        assert_int_equal(window_end_realtime(&w, &now), 0);
        assert_false(moment_is_set(&w.since));
        assert_true(moment_is_set(&now));
}

/* A session is taken for young while that can be true; one that nobody saw begin is not. */
static void test_young_session(void **state)
{
        const usec_t limit = WINDOW_LONG_USEC + WINDOW_MARGIN_USEC;
        Moment in = { .boottime_usec = 5, .realtime_usec = 5, .boot_id = { 1 }, .synchronised = true };
        Moment now = in;

        assert_true(window_session_is_young(&in, &now));
        now.boottime_usec = in.boottime_usec + limit - 1;
        assert_true(window_session_is_young(&in, &now));
        now.boottime_usec++;
        assert_false(window_session_is_young(&in, &now));

        now.boot_id[0] = 2;
        assert_true(window_session_is_young(&in, &now));
        now.realtime_usec = in.realtime_usec + limit;
        assert_false(window_session_is_young(&in, &now));
        now.synchronised = false;
        assert_true(window_session_is_young(&in, &now));
        assert_false(window_session_is_young(&(Moment){ 0 }, &now));
}

/* A session that the logOut itself had to begin is young, however long ago an earlier one began. */
static void test_length(void **state)
{
        Moment in = { .boottime_usec = 5 }, now = { .boottime_usec = USEC_PER_HOUR };

        assert_int_equal(window_length(SEAT_CLOUD, &in, false, &now), 600 * USEC_PER_SEC);
        assert_int_equal(window_length(SEAT_LOCAL, &in, false, &now), USEC_PER_SEC);
        assert_int_equal(window_length(SEAT_CLOUD, &in, true, &now), 1800 * USEC_PER_SEC);
        assert_int_equal(window_length(SEAT_LOCAL, &in, true, &now), 1800 * USEC_PER_SEC);
        now.boottime_usec = USEC_PER_MIN;
        assert_int_equal(window_length(SEAT_CLOUD, &in, false, &now), 1800 * USEC_PER_SEC);
        assert_int_equal(window_length(SEAT_LOCAL, &in, false, &now), 1800 * USEC_PER_SEC);
}

/* The last byte counts as much as the first. */
static void test_boot_id_is_compared_whole(void **state)
{
        Moment then = { .boottime_usec = 0 };
        Moment now = { .boottime_usec = USEC_PER_HOUR };

        assert_int_equal(moment_age(&then, NULL, &now), USEC_PER_HOUR);
        now.boot_id[15] = 1;
        assert_int_equal(moment_age(&then, NULL, &now), 0);
        assert_int_equal(moment_age(&then, &(Moment){ .boottime_usec = 1 }, &now), 0);
        assert_int_equal(moment_age(&then, &(Moment){ .boottime_usec = 1, .boot_id = { [15] = 1 } }, &now),
                         USEC_PER_HOUR - 1);
}

/* What was said of the clock holds until somebody sets it. */
static void test_steady(void **state)
{
        const usec_t hour = USEC_PER_HOUR;
        Moment then = { .boottime_usec = hour, .realtime_usec = 500 * hour, .synchronised = true }, now = then;

        assert_true(moment_is_steady(&then, &now));
        now.boottime_usec += 10 * hour;
        now.realtime_usec += 10 * hour;
        assert_true(moment_is_steady(&then, &now));
        now.realtime_usec += MOMENT_STEP_USEC - 1;
        assert_true(moment_is_steady(&then, &now));
        now.realtime_usec += 1;
        assert_false(moment_is_steady(&then, &now));
        now.realtime_usec -= 2 * MOMENT_STEP_USEC - 1;
        assert_true(moment_is_steady(&then, &now));
        now.realtime_usec -= 400 * hour;
        assert_false(moment_is_steady(&then, &now));
        now = then;
        now.boot_id[3] = 1;
        assert_false(moment_is_steady(&then, &now));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_steady),        cmocka_unit_test(test_never_early),
                cmocka_unit_test(test_situations),    cmocka_unit_test(test_look),
                cmocka_unit_test(test_close),         cmocka_unit_test(test_never_was),
                cmocka_unit_test(test_young_session), cmocka_unit_test(test_boot_id_is_compared_whole),
                cmocka_unit_test(test_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
