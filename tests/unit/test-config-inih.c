/* SPDX-License-Identifier: MIT */
#include <ini.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "io/config-reader.h"

/* What the reader says where libinih does not do what it is there for: no line of a file is ever left out unseen. */

static int answer;           /* of ini_parse_stream() */
static unsigned n_passed_on; /* lines that it takes before */

/* In the place of the library's. */
int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
        char line[INI_MAX_LINE];

        for (unsigned i = 0; reader(line, sizeof(line), stream); i++)
                if (i < n_passed_on)
                        assert_int_equal(handler(user, "Bot", "Worker", "shop.service"), 1);
        return answer;
}

static int count(const ConfigFile *file, const char *section, const char *key, const char *value, unsigned line,
                 void *userdata)
{
        ++*(unsigned *) userdata;
        return 0;
}

static int read_two_lines(ConfigProblems *problems, unsigned *ret_n_assigned)
{
        static const char text[] = "# the shop\n[Bot]\nWorker=shop.service\nMove=restart\n";
        static const char *const sections[] = { "Bot", NULL };
        const ConfigFile file = { "bots.d/shop.conf", "shop", sections, problems };

        *ret_n_assigned = 0;
        return config_read(&file, text, sizeof(text) - 1, count, ret_n_assigned);
}

static void test_other_rules(void **state)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        _cleanup_free_ char *text = NULL;
        unsigned n_assigned;

        answer = 2;
        n_passed_on = 1;
        assert_int_equal(read_two_lines(&problems, &n_assigned), 1);
        assert_int_equal(n_assigned, 1);
        assert_int_equal(problems.n, 1);
        assert_string_equal(problems.items[0].bot, "shop");
        text = config_problem_describe(problems.items);
        assert_non_null(text);
        assert_string_equal(text,
                            "bots.d/shop.conf: The libinih of this host was built with other rules than tgswitchd "
                            "expects, and does not take a line of this file; install it as the distribution has "
                            "it");
}

static void test_no_memory(void **state)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        unsigned n_assigned;

        answer = -2;
        n_passed_on = 0;
        assert_int_equal(read_two_lines(&problems, &n_assigned), -ENOMEM);
        assert_int_equal(problems.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_other_rules),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
