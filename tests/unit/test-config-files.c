/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "../adapter/scratch.h"
#include "io/config.h"

/* LocalFiles=: a path that means one thing, or an error; the last word counts, and that may be "none". */

typedef struct Fixture {
        char *root;
        Config *config;
        ConfigProblems problems;
} Fixture;

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        f->root = scratch_new();
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        config_free(f->config);
        config_problems_done(&f->problems);
        scratch_remove(f->root);
        free(f);
        return 0;
}

static int load(Fixture *f)
{
        const char *const directories[] = { f->root, NULL };

        f->config = config_free(f->config);
        config_problems_done(&f->problems);
        return config_load(directories, &f->config, &f->problems);
}

static void test_last_word(void **state)
{
        Fixture *f = *state;

        scratch_write(f->root, "tgswitch.conf", "[Manager]\nLocalFiles=/srv/bot-api\n");
        assert_int_equal(load(f), 0);
        assert_string_equal(f->config->local_files, "/srv/bot-api");
        scratch_write(f->root, "tgswitch.conf.d/10.conf", "[Manager]\nLocalFiles=/srv/other\n");
        assert_int_equal(load(f), 0);
        assert_string_equal(f->config->local_files, "/srv/other");
        scratch_write(f->root, "tgswitch.conf.d/20.conf", "[Manager]\nLocalFiles=\n");
        assert_int_equal(load(f), 0);
        assert_null(f->config->local_files);
}

static void test_bad(void **state)
{
        static const char *const texts[] = { "files", "/", "/srv/", "/srv/../etc", "/srv/a b", "\"/srv/a\"" };
        Fixture *f = *state;

        FOREACH_ELEMENT(path, texts) {
                char text[128];

                snprintf(text, sizeof(text), "[Manager]\nLocalFiles=%s\n", *path);
                scratch_write(f->root, "tgswitch.conf", text);
                assert_int_equal(load(f), -EINVAL);
                assert_int_equal(f->problems.n, 1);
                assert_int_equal(f->problems.items[0].line, 2);
                assert_non_null(strstr(f->problems.items[0].message, "expected the absolute path of a directory, like "
                                                                     "/var/lib/telegram-bot-api"));
                assert_non_null(strstr(f->problems.items[0].message, "no slash at the end"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_last_word, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
