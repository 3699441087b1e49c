/* SPDX-License-Identifier: MIT */

/* Variables made of endpoint and token: what is an assignment, and what is filled in. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/api-root.h"
#include "core/template.h"

static void test_words(void **state)
{
        static const struct {
                const char *assignment;
                int words;
        } rows[] = {
                { "A={root}", TEMPLATE_ROOT },
                { "_a1={root}/bot%s/%s", TEMPLATE_ROOT },
                { "A={root}/bot{0}/{1}", TEMPLATE_ROOT },
                { "A={root}/bot{token}", TEMPLATE_ROOT | TEMPLATE_TOKEN },
                { "A={token}", TEMPLATE_TOKEN },
                { "A={token", 0 },
                { "A={Root}", 0 },
                { "A=", 0 },
                { "A=b=c", 0 },
                { "", -EINVAL },
                { "A", -EINVAL },
                { "={root}", -EINVAL },
                { "1A={root}", -EINVAL },
                { "A-B={root}", -EINVAL },
                { "A ={root}", -EINVAL },
                { "A={root} b", -EINVAL },
                { "A={root}\n", -EINVAL },
                { "A={root}\"", -EINVAL },
                { "A={root}'", -EINVAL },
                { "A={root}`", -EINVAL },
                { "A={root}\\", -EINVAL },
                { "A=${root}", -EINVAL },
                { "A={root}\x7f", -EINVAL },
                { "A={root}\xc3\xa9", -EINVAL },
        };

        FOREACH_ELEMENT(row, rows)
                if (template_words(row->assignment) != row->words)
                        fail_msg("%s: %d", row->assignment, template_words(row->assignment));
}

static void test_fill(void **state)
{
        static const struct {
                const char *assignment, *filled;
        } rows[] = {
                { "A={root}", "A=http://h:1" },
                { "A={root}/bot{token}/{0}", "A=http://h:1/bot7:x/{0}" },
                { "A={token}{token}", "A=7:x7:x" },
                { "A={{root}}", "A={http://h:1}" },
                { "A={roo", "A={roo" },
        };

        FOREACH_ELEMENT(row, rows) {
                char *filled = template_fill(row->assignment, "http://h:1", "7:x");

                assert_string_equal(filled, row->filled);
                free(filled);
        }

        /* What is filled in is not looked at again. */
        char *filled = template_fill("A={root}", "{token}", "7:x");
        assert_string_equal(filled, "A={token}");
        free(filled);
        filled = template_fill("A={token}", "http://h:1", NULL);
        assert_string_equal(filled, "A={token}");
        free(filled);
}

static void test_standard_variables(void **state)
{
        for (const char *const *v = template_endpoint_variables; *v; v++)
                assert_int_equal(template_words(*v), TEMPLATE_ROOT);
        for (const char *const *v = template_token_variables; *v; v++)
                assert_int_equal(template_words(*v), TEMPLATE_TOKEN);
}

static void test_root(void **state)
{
        static const char *const good[] = { "https://api.telegram.org", "http://127.0.0.1:8081", "https://h/prefix" };
        static const char *const bad[] = { "",
                                           "https://h/",
                                           "ftp://h",
                                           "https://h?x",
                                           "https://h#x",
                                           "https://a@h",
                                           "https://h%41",
                                           "https://h\\x",
                                           "https://h x",
                                           "https://\xc3\xa9",
                                           "https://h\n",
                                           "7:x" };

        FOREACH_ELEMENT(root, good)
                assert_null(api_root_complaint(*root));
        FOREACH_ELEMENT(root, bad)
                if (!api_root_complaint(*root))
                        fail_msg("%s", *root);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_fill),
                cmocka_unit_test(test_standard_variables),
                cmocka_unit_test(test_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
