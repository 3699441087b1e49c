/* SPDX-License-Identifier: MIT */

/* The line at the bottom of a terminal: it fits, and says of each job what is under way. And who may take a terminal
 * for how wide: characters of two columns, of none, and bytes that are no characters. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* The objects of the program are not in the library. */
#include "ctl/ctl-columns.c"
#include "ctl/ctl-format.c"
#include "ctl/ctl-live.c"

#define SEC(n) ((n) *USEC_PER_SEC)
#define NOON   SEC(UINT64_C(1700049600)) /* 2023-11-15 12:00:00 UTC */

/* ---- how wide ---- */

static void test_columns(void **state)
{
        static const struct {
                const char *text;
                size_t columns;
        } texts[] = {
                { "", 0 },          { "shop", 4 },   { "é", 1 }, /* one character */
                { "e\xcc\x81", 1 },                              /* the same, of two: the accent takes no column */
                { "漢字", 4 },                                   /* two columns each */
                { "🤖!", 3 },     { "\x1b[m", 3 },             /* no terminal gets to see the first as it is */
                { "\xff\xc3", 2 },                               /* no characters */
                { "\xe6\xbc", 2 },                               /* the beginning of one */
                { "\xc2\x9b", 1 },
        };

        FOREACH_ELEMENT(t, texts)
                assert_int_equal(text_columns(t->text), t->columns);
}

static void check_cut(const char *text, size_t columns, const char *expected)
{
        _cleanup_free_ char *copy = strdup(text);

        assert_non_null(copy);
        assert_string_equal(text_cut(copy, columns), expected);
        assert_true(text_columns(copy) <= columns);
}

static void test_cut(void **state)
{
        check_cut("shop: drain 0:02", 80, "shop: drain 0:02");
        check_cut("shop: drain 0:02", 16, "shop: drain 0:02");
        check_cut("shop: drain 0:02", 15, "shop: drain ...");
        check_cut("shop: drain 0:02", 4, "s...");
        check_cut("shop: drain 0:02", 3, "sho");
        check_cut("shop: drain 0:02", 0, "");
        check_cut("", 0, "");
        check_cut("漢字漢字", 8, "漢字漢字");
        check_cut("漢字漢字", 7, "漢字...");
        check_cut("漢字漢字", 6, "漢..."); /* half of a character is none */
        check_cut("漢字", 1, "");
        check_cut("e\xcc\x81tudes", 5, "e\xcc\x81t...");
        check_cut("\xff\xff\xff\xff\xff", 4, "\xff...");
}

/* Whatever the text and the width: it fits, and is the beginning of what it was. */
static void test_cut_any(void **state)
{
        static const char *const pieces[] = { "a", " ", "é", "漢", "🤖", "\xcc\x81", "\xff", "\xe6\xbc" };
        unsigned seed = 1;

        for (unsigned run = 0; run < 20000; run++) {
                char text[64] = "", cut[64];
                size_t columns = (size_t) rand_r(&seed) % 24, n = (size_t) rand_r(&seed) % 12, kept;

                for (size_t i = 0; i < n; i++)
                        strcat(text, pieces[(size_t) rand_r(&seed) % ELEMENTSOF(pieces)]);
                strcpy(cut, text);
                text_cut(cut, columns);
                assert_true(text_columns(cut) <= columns);
                kept = strlen(cut);
                if (kept == strlen(text) && memcmp(cut, text, kept) == 0)
                        continue;
                if (columns > 3) {
                        assert_string_equal(cut + kept - 3, "...");
                        kept -= 3;
                }
                assert_memory_equal(cut, text, kept);
        }
}

static void test_minutes(void **state)
{
        static const struct {
                usec_t usec;
                const char *text;
        } spans[] = {
                { 0, "0:00" },
                { SEC(1) - 1, "0:00" },
                { SEC(59) + 999999, "0:59" },
                { SEC(60), "1:00" },
                { SEC(581), "9:41" },
                { SEC(3599), "59:59" },
                { SEC(3600), "1:00:00" },
                { SEC(100 * 3600 + 62), "100:01:02" },
                { USEC_INFINITY, "unknown" },
        };
        char buffer[SHOW_SIZE];

        FOREACH_ELEMENT(s, spans)
                assert_string_equal(show_minutes(buffer, s->usec), s->text);
}

/* ---- what the line says ---- */

static CtlJob job(uint32_t id, const char *bot, const char *phase, usec_t since_usec)
{
        return (CtlJob){ .id = id,
                         .bot = (char *) bot,
                         .target = (char *) "local",
                         .phase = (char *) phase,
                         .phase_started_usec = since_usec };
}

static void check_text(const LiveJob *jobs, size_t n_jobs, const char *expected)
{
        _cleanup_free_ char *text = live_text(jobs, n_jobs, "tgswitchctl", NOON);

        assert_string_equal(text, expected);
}

static void test_one(void **state)
{
        CtlJob j = job(7, "shop", "drain", NOON - SEC(2) - 1);
        LiveJob live = { .job = &j };

        check_text(&live, 1, "shop: drain 0:02");
        /* a clock that was set, or differs from that of another host */
        j.phase_started_usec = NOON + SEC(5);
        check_text(&live, 1, "shop: drain 0:00");
        j.phase = NULL;
        check_text(&live, 1, "shop: begins");

        j = job(7, "shop", "drain", NOON - SEC(151));
        j.holding = true;
        check_text(&live, 1, "shop: holds 2:31; 'tgswitchctl proceed 7' lets it go on");

        j = job(7, "shop", "queued", NOON - SEC(5));
        check_text(&live, 1, "shop: queued 0:05");
        j.not_before_usec = NOON + SEC(552);
        check_text(&live, 1, "shop: queued, not before 12:09:12 (in 9min 12s)");
        j.not_before_usec = USEC_INFINITY;
        check_text(&live, 1, "shop: queued 0:05");

        j.result = (char *) "done";
        check_text(&live, 1, "");
        check_text(NULL, 0, "");
}

static void test_window(void **state)
{
        CtlJob j = job(7, "shop", "log-in", NOON - SEC(3));
        LiveJob live = { .job = &j, .back_usec = NOON + SEC(581) };

        check_text(&live, 1, "shop: log-in 0:03; the cloud takes it back in 9:41");
        live.back_usec = NOON + SEC(580) + 1; /* never earlier than it is said */
        check_text(&live, 1, "shop: log-in 0:03; the cloud takes it back in 9:41");
        live.back_usec = NOON + 1;
        check_text(&live, 1, "shop: log-in 0:03; the cloud takes it back in 0:01");
        live.back_usec = NOON;
        check_text(&live, 1, "shop: log-in 0:03");
        live.back_usec = USEC_INFINITY; /* a logOut without an answer */
        check_text(&live, 1, "shop: log-in 0:03");

        live.back_usec = NOON + SEC(1799);
        j.target = (char *) "cloud";
        check_text(&live, 1, "shop: log-in 0:03; the local server takes it back in 29:59");
        j.phase = (char *) "queued";
        check_text(&live, 1, "shop: queued 0:03");
}

static void test_many(void **state)
{
        CtlJob jobs[] = {
                job(1, "a", "confirm", NOON), job(2, "b", "queued", NOON - SEC(9)), job(3, "c", "drain", NOON - SEC(1)),
                job(4, "d", "spool", NOON),   job(5, "e", "log-in", NOON - SEC(2)), job(6, "f", "check", NOON),
        };
        LiveJob live[ELEMENTSOF(jobs)] = { 0 };
        LiveCounts counts;

        for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
                live[i].job = jobs + i;
        jobs[0].result = (char *) "done";
        jobs[2].holding = true;
        jobs[3].result = (char *) "failed";
        jobs[5].result = (char *) "unknown";
        live[4].back_usec = NOON + SEC(598);
        check_text(live, ELEMENTSOF(jobs),
                   "1 done, 1 moving, 2 waiting, 2 failed; e: log-in 0:02; the cloud takes it back in 9:58; b: queued "
                   "0:09; c: holds 0:01; 'tgswitchctl proceed 3' lets it go on");

        jobs[5].result = (char *) "canceled";
        counts = live_count(live, ELEMENTSOF(jobs));
        assert_int_equal(counts.failed, 1);
        assert_int_equal(counts.canceled, 1);
        check_text(live, 4,
                   "1 done, 0 moving, 2 waiting, 1 failed; b: queued 0:09; c: holds 0:01; 'tgswitchctl proceed 3' lets "
                   "it go on");
        for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
                jobs[i].result = jobs[i].result ?: (char *) "done";
        check_text(live, ELEMENTSOF(jobs), "");
}

static void check_sum(LiveCounts counts, size_t n_refused, const char *expected)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        live_print_sum(f, &counts, n_refused);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, expected);
        free(text);
}

static void test_sum(void **state)
{
        check_sum((LiveCounts){ .done = 4 }, 0, "4 of 4 bots were moved.\n");
        check_sum((LiveCounts){ .done = 3, .failed = 1 }, 0, "3 of 4 bots were moved; 1 failed.\n");
        check_sum((LiveCounts){ .canceled = 2 }, 3, "0 of 5 bots were moved; 2 cancelled, 3 refused.\n");
        check_sum((LiveCounts){ .done = 1, .failed = 2, .canceled = 3 }, 4,
                  "1 of 10 bots were moved; 2 failed, 3 cancelled, 4 refused.\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns), cmocka_unit_test(test_cut), cmocka_unit_test(test_cut_any),
                cmocka_unit_test(test_minutes), cmocka_unit_test(test_one), cmocka_unit_test(test_window),
                cmocka_unit_test(test_many),    cmocka_unit_test(test_sum),
        };

        assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
