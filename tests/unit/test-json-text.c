/* SPDX-License-Identifier: MIT */

/* What is taken for JSON, and what it may cost: a stranger has sent it. */

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <valgrind/valgrind.h>

#include "core/json-text.h"

/* A text of `size` bytes that is mostly `unit`, over and over. */
static char *repeated(const char *before, const char *unit, const char *after, size_t size)
{
        size_t n = (size - strlen(before) - strlen(after)) / strlen(unit);
        char *text = malloc(size + 1), *p = text;

        assert_non_null(text);
        p = stpcpy(p, before);
        for (size_t i = 0; i < n; i++)
                p = stpcpy(p, unit);
        strcpy(p, after);
        return text;
}

/* A text that would take far more than a server's own reply ever does is not parsed. */
static void test_memory_is_bounded(void **state)
{
        static const struct {
                const char *unit;
                size_t size;
                bool good;
        } cases[] = {
                { "{\"type\":\"bold\",\"offset\":0,\"length\":1},", 4 * 1024 * 1024, true },
                { "{\"text\":\"{{{{{{{{{{[[[[[[[[[[,,,,,,,,,\"},", 4 * 1024 * 1024, true },
                { "1234,", 64 * 1024, true },
                { "{},", 256, true },
                { "{},", 64 * 1024, false },
                { "{},", 8 * 1024 * 1024, false },
                { "[],", 8 * 1024 * 1024, false },
                { "0,", 8 * 1024 * 1024, false },
                { "{\"a\":{}},", 256 * 1024, false },
                { "\"\\\"\",{},", 256 * 1024, false },                      /* a string that seems to go on */
                { "{'\"':[{},{},{},{},{},{},{},{}]},", 256 * 1024, false }, /* another that seems to begin */
        };

        FOREACH_ELEMENT(c, cases) {
                _cleanup_free_ char *text = repeated("{\"ok\":true,\"result\":[", c->unit, "0]}", c->size);
                size_t size = strlen(text);
                json_object *value;

                assert_int_equal(json_text_parse(text, size, &value), 0);
                if ((value != NULL) != c->good)
                        fail_msg("%zu bytes of %s", c->size, c->unit);
                json_object_put(value);
        }
}

/* A quotation mark at the end, and a backslash there, are not looked beyond. */
static void test_memory_of_what_is_cut_off(void **state)
{
        static const char *const texts[] = { "", "\"", "\"\\", "{\"a\\", "{\"a\":\"\\\"" };

        FOREACH_ELEMENT(text, texts) {
                size_t size = strlen(*text);
                char *exactly = malloc(size + (size == 0)); /* so that a sanitizer sees a byte too many */

                assert_non_null(exactly);
                memcpy(exactly, *text, size);
                assert_true(json_text_memory(exactly, size) < 2048);
                free(exactly);
        }
}

static bool has_another_allocator(void)
{
#ifdef __SANITIZE_ADDRESS__
        return true;
#else
        return RUNNING_ON_VALGRIND;
#endif
}

/* The count is made of what json-c takes: were another version to take more, the bound would not be one. */
static void test_memory_is_counted(void **state)
{
        static const char *const units[] = {
                "{},",
                "[],",
                "[0],",
                "[[]],",
                "0,",
                "1.5,",
                "\"\",",
                "\"abcdefghijklmnopqrstuvwxyz\",",
                "{\"a\":0},",
                "{\"type\":\"bold\",\"offset\":0,\"length\":1},",
                "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0,\"k\":0,\"l\":0},",
        };

        if (has_another_allocator())
                skip();
        FOREACH_ELEMENT(unit, units) {
                _cleanup_free_ char *text = repeated("[", *unit, "0]", 60 * 1024);
                size_t counted = json_text_memory(text, strlen(text)), before = mallinfo2().uordblks, taken;
                json_object *value = json_tokener_parse(text);

                assert_non_null(value);
                taken = mallinfo2().uordblks - before;
                if (taken > counted + counted / 4 || taken < counted / 4)
                        fail_msg("%s: %zu bytes were counted, %zu taken", *unit, counted, taken);
                json_object_put(value);
        }
}

static void test_one_value(void **state)
{
        static const struct {
                const char *text;
                bool good;
        } cases[] = {
                { "{}", true },
                { " [1, 2] \r\n", true },
                { "\"x\"", true },
                { "", false },
                { "{", false },
                { "{}{}", false },
                { "{} x", false },
                { "{\"a\":1,}", false },
                { "/* */{}", false },
                { "[+1]", false },
                { "[01]", false },
                { "[NaN]", false },
                { "[-Infinity]", false },
                { "['x']", false },
                { "[\"\n\"]", false },
                { "[\"NaN I'm \\\" N\"]", true },
                { "[1.]", false },
                { "[1.5e3]", true },
                { "[\"\xff\"]", false },
                { "[\"\xed\xa0\x80\"]", false },
                { "[\"\xef\xbf\xbf\"]", true },
        };

        FOREACH_ELEMENT(c, cases) {
                json_object *value;

                assert_int_equal(json_text_parse(c->text, strlen(c->text), &value), 0);
                if ((value != NULL) != c->good)
                        fail_msg("%s", c->text);
                json_object_put(value);
        }
}

/* Of two members of one name the last one counts, and a number that is too large is the largest there is: neither may
 * end the process or depend on what is around. */
static void test_odd_but_json(void **state)
{
        static const char text[] = "{\"a\":1,\"a\":2,\"b\":99999999999999999999999999999999,\"c\":1e999999}";
        json_object *value, *member;

        assert_int_equal(json_text_parse(text, strlen(text), &value), 0);
        assert_true(json_object_object_get_ex(value, "a", &member));
        assert_int_equal(json_object_get_int64(member), 2);
        assert_true(json_object_object_get_ex(value, "b", &member));
        assert_int_equal(json_object_get_int64(member), INT64_MAX);
        json_object_put(value);
}

static void test_long_number(void **state)
{
        size_t size = 1024 * 1024;
        char *text = malloc(size + 3);
        json_object *value;

        assert_non_null(text);
        memset(text, '9', size + 2);
        text[0] = '[';
        text[size + 1] = ']';
        text[size + 2] = '\0';
        assert_int_equal(json_text_parse(text, size + 2, &value), 0);
        if (value)
                assert_int_equal(json_object_get_int64(json_object_array_get_idx(value, 0)), INT64_MAX);
        json_object_put(value);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_value),
                cmocka_unit_test(test_odd_but_json),
                cmocka_unit_test(test_long_number),
                cmocka_unit_test(test_memory_is_bounded),
                cmocka_unit_test(test_memory_of_what_is_cut_off),
                cmocka_unit_test(test_memory_is_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
