/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/parse-util.h"
#include "io/config-value.h"

/* A value is read as systemd reads it, or not at all. */

static void test_parse_sec(void **state)
{
        static const struct {
                const char *text;
                usec_t usec;
        } good[] = {
                { "5", 5 * USEC_PER_SEC },
                { "0", 0 },
                { " 5s ", 5 * USEC_PER_SEC },
                { "1.5", 1500 * USEC_PER_MSEC },
                { "2min 30s", 150 * USEC_PER_SEC },
                { "2min30s", 150 * USEC_PER_SEC },
                { "1 hour", USEC_PER_HOUR },
                { "1w 2days 3hr 4m 5sec 6ms 7us",
                  ((7 + 2) * 24 + 3) * USEC_PER_HOUR + 4 * USEC_PER_MIN + 5 * USEC_PER_SEC + 6007 },
                { "0.0000019s", 1 },
                { "infinity", USEC_INFINITY },
                { "18446744073709551614us", USEC_INFINITY - 1 },
        };
        static const struct {
                const char *text;
                int error;
        } bad[] = {
                { "", -EINVAL },
                { " ", -EINVAL },
                { "-1", -EINVAL },
                { "s", -EINVAL },
                { "5x", -EINVAL },
                { "5 s s", -EINVAL },
                { "1..5", -EINVAL },
                { "1.", -EINVAL },
                { ".5", -EINVAL },
                { "0x10", -EINVAL },
                { "infinity s", -EINVAL },
                { "5S", -EINVAL },
                { "18446744073709551615us", -ERANGE },
                { "99999999999999999999", -ERANGE },
                { "18446744073709551614us 1us", -ERANGE },
                { "600000000000000w", -ERANGE },
        };
        usec_t usec = 42;

        FOREACH_ELEMENT(row, good) {
                assert_int_equal(parse_sec(row->text, &usec), 0);
                if (usec != row->usec)
                        fail_msg("%s: %" PRIu64, row->text, usec);
        }
        FOREACH_ELEMENT(row, bad)
                if (parse_sec(row->text, &usec) != row->error)
                        fail_msg("\"%s\" gives %d", row->text, parse_sec(row->text, &usec));
        assert_int_equal(usec, USEC_INFINITY - 1);
}

static void test_parse_values(void **state)
{
        uint64_t n;
        bool b;

        assert_int_equal(parse_size("64M", &n), 0);
        assert_int_equal(n, 64 << 20);
        assert_int_equal(parse_size("7", &n), 0);
        assert_int_equal(n, 7);
        assert_int_equal(parse_size("16777216T", &n), -ERANGE);
        assert_int_equal(parse_size("64m", &n), -EINVAL);
        assert_int_equal(parse_boolean("True", &b), 0);
        assert_true(b);
        assert_int_equal(parse_boolean("0", &b), 0);
        assert_false(b);
        assert_int_equal(parse_boolean("y", &b), -EINVAL);
        assert_true(bot_name_is_valid("a"));
        assert_true(bot_name_is_valid("a234567890123456789012345678901_"));
        assert_false(bot_name_is_valid("a234567890123456789012345678901_x"));
        assert_false(bot_name_is_valid(""));
        assert_false(bot_name_is_valid("1a"));
        assert_false(bot_name_is_valid("a-b"));
        assert_false(bot_name_is_valid("../a"));
}

static void test_directory(void **state)
{
        static const char *const good[] = { "/a", "/var/lib/telegram-bot-api", "/a/..b/.c/d.", "/srv/x@1+_" };
        static const char *const bad[] = { "",      "/",    "a",    "a/b",   "//a",     "/a/",    "/a//b",
                                           "/.",    "/..",  "/a/.", "/a/..", "/a/../b", "/./a",   "/a b",
                                           "/a\"b", "/a:b", "/a%b", "/a\\b", "/a\n",    "/a\xc3", "/a*" };

        FOREACH_ELEMENT(path, good)
                if (!directory_is_valid(*path))
                        fail_msg("%s is taken for none", *path);
        FOREACH_ELEMENT(path, bad)
                if (directory_is_valid(*path))
                        fail_msg("%s is taken for one", *path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_sec),
                cmocka_unit_test(test_parse_values),
                cmocka_unit_test(test_directory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
