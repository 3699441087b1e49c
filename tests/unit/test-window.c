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
                w->boot++;
                w->boot_began = w->truth;
                w->synchronised = false;
                break;
        default:
                break;
        }
}

static void test_never_early(void **state)
{
        const char *given = getenv("SEED");
        uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t) time(NULL) * 2654435761u | 1;

        print_message("SEED=%" PRIu64 "\n", seed);
        for (unsigned i = 0; i < 20000; i++) {
                World w = { .random = seed + i * UINT64_C(0x9e3779b97f4a7c15) + 1, .truth = 1700000000 * USEC_PER_SEC };
                usec_t length = below(&w, 2) ? WINDOW_USEC : WINDOW_LONG_USEC, left, owed, since;
                Moment logged_out, now;

                w.boot_began = w.truth - below(&w, USEC_PER_HOUR);
                w.synchronised = below(&w, 2);
                for (unsigned k = below(&w, 3); k > 0; k--)
                        change(&w);
                logged_out = look(&w);
                since = w.truth;
                for (unsigned k = below(&w, 8); k > 0; k--) {
                        change(&w);
                        now = look(&w);
                        left = window_left(&logged_out, length, &now);
                        owed = usec_sub(length + WINDOW_MARGIN_USEC, w.truth - since);
                        if (left < owed || left > length + WINDOW_MARGIN_USEC)
                                fail_msg("SEED=%" PRIu64 " world %u: left %" PRIu64 ", owed %" PRIu64, seed, i, left,
                                         owed);
                        /* The same boot is measured to the microsecond. */
                        if (now.boot_id[0] == logged_out.boot_id[0])
                                assert_int_equal(left, owed);
                        assert_int_equal(window_end_realtime(&logged_out, length, &now),
                                         left > 0 ? now.realtime_usec + left : 0);
                }
        }
}

/* One row a situation: what `now` shows where the logOut was at boottime 1000 s, realtime 5000 s of boot 1. */
static void test_situations(void **state)
{
        static const struct {
                const char *what;
                unsigned boottime_sec, realtime_sec;
                uint8_t boot;
                bool then_synchronised, synchronised;
                unsigned left_sec; /* of 600 s and the margin */
        } rows[] = {
                { "at once", 1000, 5000, 1, true, true, 605 },
                { "half over", 1300, 5300, 1, true, true, 305 },
                { "over by the length, not by the margin", 1600, 5600, 1, true, true, 5 },
                { "over", 1605, 5605, 1, true, true, 0 },
                { "clock stepped ahead", 1010, 999999, 1, true, true, 595 },
                { "clock stepped back", 1610, 100, 1, true, true, 0 },
                { "a stamp from this boot's own future", 500, 5000, 1, true, true, 605 },
                { "rebooted, both synchronised", 30, 5200, 2, true, true, 405 },
                { "rebooted long ago, both synchronised", 30, 9000, 2, true, true, 0 },
                { "rebooted, not synchronised at the logOut", 30, 9000, 2, false, true, 575 },
                { "rebooted, not synchronised yet", 30, 9000, 2, true, false, 575 },
                { "rebooted, a stamp from the future", 30, 4000, 2, true, true, 575 },
                { "rebooted, the boot is older than the clock says", 700, 5100, 2, true, true, 0 },
                { "rebooted, unsynchronised for the whole window", 605, 0, 2, false, false, 0 },
        };

        FOREACH_ELEMENT(row, rows) {
                Moment then = {
                        .boottime_usec = 1000 * USEC_PER_SEC,
                        .realtime_usec = 5000 * USEC_PER_SEC,
                        .boot_id = { 1 },
                        .synchronised = row->then_synchronised,
                };
                Moment now = {
                        .boottime_usec = row->boottime_sec * USEC_PER_SEC,
                        .realtime_usec = row->realtime_sec * USEC_PER_SEC,
                        .boot_id = { row->boot },
                        .synchronised = row->synchronised,
                };
                usec_t left = window_left(&then, WINDOW_USEC, &now);

                if (left != row->left_sec * USEC_PER_SEC)
                        fail_msg("%s: %" PRIu64 " us left, expected %u s", row->what, left, row->left_sec);
        }
}

/* The last byte counts as much as the first. */
static void test_boot_id_is_compared_whole(void **state)
{
        Moment then = { .boottime_usec = 0, .synchronised = false };
        Moment now = { .boottime_usec = USEC_PER_HOUR };

        assert_int_equal(window_left(&then, 2 * USEC_PER_HOUR, &now), USEC_PER_HOUR + WINDOW_MARGIN_USEC);
        then.boottime_usec = USEC_PER_HOUR;
        assert_int_equal(window_left(&then, 2 * USEC_PER_HOUR, &now), 2 * USEC_PER_HOUR + WINDOW_MARGIN_USEC);
        now.boot_id[15] = 1;
        assert_int_equal(window_left(&then, 2 * USEC_PER_HOUR, &now), USEC_PER_HOUR + WINDOW_MARGIN_USEC);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_never_early),
                cmocka_unit_test(test_situations),
                cmocka_unit_test(test_boot_id_is_compared_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
