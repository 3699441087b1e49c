/* SPDX-License-Identifier: MIT */

/* What tgswitchctl prints, and the polkit rule that it writes: nothing from outside drives a terminal, and no unit gets
 * into the rule but the ones given. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/strv.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-columns.c"
#include "ctl/ctl-format.c"
#include "ctl/ctl-rules.c"
#include "ctl/ctl-until.c"

#define SEC(n) ((n) *USEC_PER_SEC)

static void test_spans(void **state)
{
        static const struct {
                usec_t usec;
                const char *text;
        } spans[] = {
                { 0, "0ms" },
                { 999, "0ms" },
                { 74 * USEC_PER_MSEC, "74ms" },
                { 999999, "999ms" },
                { USEC_PER_SEC, "1.0s" },
                { 1999999, "1.9s" },
                { 9999999, "9.9s" },
                { SEC(10), "10s" },
                { SEC(59) + 999999, "59s" },
                { SEC(60), "1min" },
                { SEC(552), "9min 12s" },
                { SEC(3600), "1h" },
                { SEC(3659), "1h" },
                { SEC(7500), "2h 5min" },
                { SEC(86400), "1d" },
                { SEC(3 * 86400 + 4 * 3600 + 59), "3d 4h" },
                { USEC_INFINITY, "unknown" },
                { USEC_INFINITY - 1, "213503982d 8h" },
        };
        char buffer[SHOW_SIZE];

        FOREACH_ELEMENT(s, spans)
                assert_string_equal(show_span(buffer, s->usec), s->text);
}

static void test_clock(void **state)
{
        const usec_t noon = SEC(UINT64_C(1700049600)); /* 2023-11-15 12:00:00 UTC */
        char buffer[SHOW_SIZE];

        assert_string_equal(show_clock(buffer, noon, noon + SEC(3600)), "12:00:00");
        assert_string_equal(show_clock(buffer, noon, noon + SEC(12 * 3600)), "2023-11-15 12:00:00");
        assert_string_equal(show_clock(buffer, noon, noon + SEC(366 * 86400)), "2023-11-15 12:00:00");
        assert_string_equal(show_clock(buffer, USEC_INFINITY, noon), "unknown");
}

static void test_window(void **state)
{
        const usec_t noon = SEC(UINT64_C(1700049600));
        char buffer[SHOW_SIZE];

        assert_string_equal(show_window(buffer, "cloud", 0, noon), "cloud open");
        assert_string_equal(show_window(buffer, "cloud", noon, noon), "cloud open");
        assert_string_equal(show_window(buffer, "cloud", noon + 1, noon), "cloud not before 12:00:00 (in 1.0s)");
        assert_string_equal(show_window(buffer, "cloud", noon + SEC(552), noon),
                            "cloud not before 12:09:12 (in 9min 12s)");
        assert_string_equal(show_window(buffer, "cloud", noon + SEC(86400), noon),
                            "cloud not before 2023-11-16 12:00:00 (in 1d)");
        assert_string_equal(show_window(buffer, "cloud", USEC_INFINITY, noon), "cloud closed, its time not known");
        assert_string_equal(show_window(buffer, "local", noon + 1, noon), "local not before 12:00:00 (in 1.0s)");
        assert_string_equal(show_not_before(buffer, noon + SEC(61), noon), "not before 12:01:01 (in 1min 1s)");
        assert_string_equal(show_not_before(buffer, noon, noon + SEC(1)), "not before 12:00:00 (in 0ms)");
        /* the longest there is fits */
        assert_true(strlen(show_window(buffer, "cloud", USEC_INFINITY - 1, noon)) < SHOW_SIZE - 1);
}

static void test_until(void **state)
{
        const usec_t noon = SEC(UINT64_C(1700049600)); /* 2023-11-15 12:00:00 UTC, a Wednesday */
        static const struct {
                const char *text;
                int64_t seconds; /* from noon on; 0: refused */
        } moments[] = {
                { "12:00", 86400 },
                { "12:00:01", 1 },
                { "11:59:59", 86399 },
                { "18:30", 23400 },
                { "2023-11-16", 43200 },
                { "2023-11-16 08:30", 73800 },
                { "2023-11-16T08:30:05", 73805 },
                { "2024-02-29", 9115200 },
                { "@1700049601", 1 },
                { "@1700049600", 0 },
                { "2023-11-15", 0 },
                { "2023-02-29", 0 },
                { "2024-04-31", 0 },
                { "25:00", 0 },
                { "18:30 ", 0 },
                { "18", 0 },
                { "tomorrow", 0 },
                { "@", 0 },
                { "@-1", 0 },
                { "@99999999999999999999", 0 },
                { "", 0 },
        };

        FOREACH_ELEMENT(m, moments) {
                usec_t until = 77;

                assert_int_equal(parse_until(m->text, noon, &until), m->seconds > 0 ? 0 : -EINVAL);
                assert_int_equal(until, m->seconds > 0 ? noon + SEC((usec_t) m->seconds) : 77);
        }

        /* into the next month */
        usec_t until;
        assert_int_equal(parse_until("08:00", SEC(UINT64_C(1701432000)) - SEC(86400), &until), 0); /* 30 November */
        assert_int_equal(until, SEC(UINT64_C(1701432000)) - SEC(4 * 3600));
}

/* The same words mean what is over. */
static void test_since(void **state)
{
        const usec_t noon = SEC(UINT64_C(1700049600)); /* 2023-11-15 12:00:00 UTC */
        static const struct {
                const char *text;
                int64_t seconds; /* before noon; -1: refused */
        } moments[] = {
                { "12:00", 0 },
                { "12:00:01", 86399 },
                { "11:59:59", 1 },
                { "2023-11-15", 43200 },
                { "2023-11-14 12:00", 86400 },
                { "@1700049600", 0 },
                { "@1700049601", -1 },
                { "24h", 86400 },
                { "1h 30min", 5400 },
                { "90", 90 },
                { "2023-11-16", -1 },
                { "infinity", -1 },
                { "yesterday", -1 },
                { "-1h", -1 },
                { "", -1 },
        };

        FOREACH_ELEMENT(m, moments) {
                usec_t since = 77;

                assert_int_equal(parse_since(m->text, noon, &since), m->seconds >= 0 ? 0 : -EINVAL);
                assert_int_equal(since, m->seconds >= 0 ? noon - SEC((usec_t) m->seconds) : 77);
        }

        /* into the month before */
        usec_t since;
        assert_int_equal(parse_since("12:00", SEC(UINT64_C(1701388800)), &since), 0); /* 1 December, 00:00 */
        assert_int_equal(since, SEC(UINT64_C(1701388800)) - SEC(12 * 3600));
}

static char *print_to_string(const Table *t, bool colour, Style style, const char *text)
{
        char *printed = NULL;
        size_t size;
        FILE *f = open_memstream(&printed, &size);

        assert_non_null(f);
        if (t)
                table_print(t, f, colour, 1);
        else
                (void) print_styled(f, colour, style, text);
        fclose(f);
        return printed;
}

static void test_nothing_drives_the_terminal(void **state)
{
        static const struct {
                const char *text, *printed;
        } texts[] = {
                { "plain", "plain" },
                { "\033]0;title\a", "?]0;title?" },
                { "a\r\nb\tc\x7f", "a??b?c?" },
                { "\xc2\x9b"
                  "31m",
                  "?31m" }, /* U+009B is CSI */
                { "\xc2\xa0gr\xc3\xb6\xc3\x9f"
                  "e",
                  "\xc2\xa0gr\xc3\xb6\xc3\x9f"
                  "e" },
                { "cut \xc2", "cut \xc2" },
        };

        FOREACH_ELEMENT(t, texts) {
                _cleanup_free_ char *printed = print_to_string(NULL, false, STYLE_BAD, t->text);

                assert_string_equal(printed, t->printed);
        }
}

static void test_table(void **state)
{
        _cleanup_free_ char *plain = NULL, *coloured = NULL;
        _cleanup_(table_freep) Table *t = NULL;

        assert_int_equal(table_new(&t, 3), 0);
        assert_int_equal(table_add(t, STYLE_BOLD, "a"), 0);
        assert_int_equal(table_add(t, STYLE_PLAIN, ""), 0);
        assert_int_equal(table_add(t, STYLE_PLAIN, "first"), 0);
        assert_int_equal(table_add(t, STYLE_PLAIN,
                                   "gr\xc3\xb6\xc3\x9f"
                                   "e"),
                         0);
        assert_int_equal(table_addf(t, STYLE_GOOD, "%d", 12345), 0);
        assert_int_equal(table_add(t, STYLE_PLAIN, NULL), 0);
        assert_int_equal(table_note(t, STYLE_PLAIN, "a note\nof its row"), 0);

        plain = print_to_string(t, false, STYLE_PLAIN, NULL);
        assert_string_equal(plain, " a      -      first\n"
                                   " gr\xc3\xb6\xc3\x9f"
                                   "e  12345  -\n"
                                   "     a note?of its row\n");
        coloured = print_to_string(t, true, STYLE_PLAIN, NULL);
        assert_non_null(strstr(coloured, " \033[1ma\033[0m      -      first\n"));
}

/* ---- the rule ---- */

static char **units_of(const char *first, ...)
{
        char **units = NULL;
        va_list ap;

        va_start(ap, first);
        for (const char *u = first; u; u = va_arg(ap, const char *))
                assert_int_equal(strv_extend(&units, u), 0);
        va_end(ap);
        return units;
}

static void test_rule_names_units_exactly(void **state)
{
        _cleanup_strv_ char **units = units_of("shop.service", "a\\x2db@1.service", "backup.timer", (char *) NULL),
                            **read = NULL;
        _cleanup_free_ char *text = NULL, *again = NULL;

        assert_int_equal(rules_render(units, &text), 0);
        assert_non_null(strstr(text, "                \"a\\\\x2db@1.service\": true,\n"
                                     "                \"backup.timer\": true,\n"
                                     "                \"shop.service\": true,\n"
                                     "        };\n"));
        assert_non_null(strstr(text, "subject.user == \"tgswitch\""));
        assert_null(strstr(text, "set-property"));

        /* what it wrote it reads, and a rule made of that is the same */
        assert_int_equal(rules_parse(text, &read), 0);
        assert_int_equal(strv_length(read), 3);
        assert_true(strv_contains(read, "a\\x2db@1.service"));
        assert_int_equal(rules_render(read, &again), 0);
        assert_string_equal(text, again);
}

static void test_rule_takes_no_other_names(void **state)
{
        static const char *const bad[] = { "shop", "*.service", "a\"b.service", "a\nb.service", "", "a b.service" };

        FOREACH_ELEMENT(b, bad) {
                _cleanup_strv_ char **units = units_of(*b, (char *) NULL);
                char *text = NULL;

                assert_int_equal(rules_render(units, &text), -EINVAL);
                assert_null(text);
        }
}

static void test_rule_of_somebody_else_is_passed_over(void **state)
{
        _cleanup_strv_ char **read = NULL;

        assert_int_equal(rules_parse("var x = {\n"
                                     "\"early.service\": true,\n"
                                     "                \"*.service\": true,\n"
                                     "                \"late.service\": true, // why\n"
                                     "                \"unended\n"
                                     "                \"good.service\": true,",
                                     &read),
                         0);
        assert_int_equal(strv_length(read), 1);
        assert_string_equal(read[0], "good.service");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spans),
                cmocka_unit_test(test_clock),
                cmocka_unit_test(test_window),
                cmocka_unit_test(test_until),
                cmocka_unit_test(test_since),
                cmocka_unit_test(test_nothing_drives_the_terminal),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_rule_names_units_exactly),
                cmocka_unit_test(test_rule_takes_no_other_names),
                cmocka_unit_test(test_rule_of_somebody_else_is_passed_over),
        };

        (void) setenv("TZ", "UTC", 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
