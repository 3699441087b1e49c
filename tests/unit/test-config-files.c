/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "../canary.h"
#include "../adapter/scratch.h"
#include "io/config-text.h"
#include "io/config.h"

/* LocalFiles=: a path that means one thing, or an error; the last word counts, and that may be "none". Files that are
 * called anything: what is said of them is fit for a terminal, and has no token (L7). */

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

/* The file's name and the unit's are text that somebody chose; who pasted a token into the wrong place finds it in no
 * journal. */
static void test_odd_names(void **state)
{
        static const char secret[] = CANARY_SECRET;
        Fixture *f = *state;
        char name[128], text[128];

        scratch_write(f->root, "bots.d/\x1b[31mred\n\xff.conf", "[Bot]\n");
        snprintf(name, sizeof(name), "bots.d/123456:%s.conf", secret);
        scratch_write(f->root, name, "[Bot]\n");
        snprintf(text, sizeof(text), "[Bot]\nWorker=123456:%s.service\n", secret);
        scratch_write(f->root, "bots.d/news.conf", text);
        scratch_write(f->root, "bots.d/shop.conf", text);
        assert_int_equal(load(f), 0);
        assert_int_equal(f->problems.n, 3);
        assert_non_null(strstr(f->problems.items[0].path, "/bots.d/?[31mred??.conf"));
        assert_string_equal(f->problems.items[0].bot, "?[31mred??");
        assert_non_null(strstr(f->problems.items[1].path, "/bots.d/123456:{secret}.conf"));
        assert_string_equal(f->problems.items[1].bot, "123456:{secret}");
        assert_non_null(strstr(f->problems.items[2].message, "Worker=123456:{secret}.service of bot shop is also"));
}

static void test_too_many_files(void **state)
{
        Fixture *f = *state;

        for (unsigned i = 0; i < CONFIG_FILES_MAX; i++) {
                char name[64];

                snprintf(name, sizeof(name), "tgswitch.conf.d/%u.conf", i);
                scratch_write(f->root, name, "[Manager]\nLoginProbe=yes\n");
        }
        assert_int_equal(load(f), 0);
        scratch_write(f->root, "bots.d/shop.conf", "[Bot]\nWorker=shop.service\n");
        assert_int_equal(load(f), -EINVAL);
        assert_int_equal(f->problems.n, 1);
        assert_null(f->problems.items[0].bot);
        assert_non_null(strstr(f->problems.items[0].path, "/bots.d"));
        assert_non_null(strstr(f->problems.items[0].message, "more than 4096 files"));
}

/* A bad file is left out of the copy; one that stands for no bot is so too, whatever it is called. */
static void test_odd_names_are_not_copied(void **state)
{
        Fixture *f = *state;
        const char *const directories[] = { f->root, NULL };
        _cleanup_free_ char *copy = NULL, *kept = NULL, *left = NULL;

        assert_true(asprintf(&copy, "%s/copy", f->root) > 0);
        scratch_write(f->root, "bots.d/shop.conf", "[Bot]\nWorker=shop.service\n");
        scratch_write(f->root, "bots.d/shop-old\n.conf", "[Bot]\nWorker=old.service\n");
        assert_int_equal(config_save_copy(directories, copy), 0);
        kept = scratch_read(copy, "bots.d/shop.conf");
        left = scratch_read(copy, "bots.d/shop-old\n.conf");
        assert_non_null(kept);
        assert_null(left);
}

/* A bot that is moved outlives its file, also where another one has its worker by now, by name or by a glob, and also
 * where that one was there before: read back, the copy has both, and all that was good of each. */
static void test_worker_of_two(void **state)
{
        static const char *const workers[][2] = {
                { "shop.service", "shop.service" },
                { "shop@1.service", "shop@*.service" },
                { "shop@*.service", "shop@1.service" },
        };
        Fixture *f = *state;
        const char *const directories[] = { f->root, NULL };

        FOREACH_ELEMENT(w, workers) {
                _cleanup_free_ char *copy = NULL, *path = NULL, *gone = NULL, *heir = NULL;
                _cleanup_(config_freep) Config *c = NULL, *later = NULL;

                assert_true(asprintf(&copy, "%s/copy", f->root) > 0);
                assert_true(asprintf(&path, "%s/bots.d/zeta.conf", f->root) > 0);
                assert_true(asprintf(&gone, "[Bot]\nWorker=other.service %s\n", (*w)[0]) > 0);
                assert_true(asprintf(&heir, "[Bot]\nWorker=alpha.service %s\n", (*w)[1]) > 0);
                scratch_write(f->root, "bots.d/zeta.conf", gone);
                scratch_write(f->root, "bots.d/alpha.conf", "[Bot]\nWorker=alpha.service\n");
                assert_int_equal(config_save_copy(directories, copy), 0);
                assert_return_code(unlink(path), errno);
                scratch_write(f->root, "bots.d/alpha.conf", heir);
                assert_int_equal(config_save_copy(directories, copy), 0);

                assert_int_equal(config_load_copy(copy, &c), 0);
                assert_non_null(config_find_bot(c, "zeta"));
                assert_non_null(config_find_bot(c, "alpha"));
                assert_string_equal(config_find_bot(c, "zeta")->workers[1], (*w)[0]);
                assert_string_equal(config_find_bot(c, "alpha")->workers[1], (*w)[1]);

                assert_int_equal(config_copy_forget_bot(copy, "zeta"), 0);
                assert_int_equal(config_load_copy(copy, &later), 0);
                assert_null(config_find_bot(later, "zeta"));
        }
}

/* The same where the file of the other one is bad, instead of gone. */
static void test_worker_of_a_bad_one(void **state)
{
        Fixture *f = *state;
        const char *const directories[] = { f->root, NULL };
        _cleanup_free_ char *copy = NULL;
        _cleanup_(config_freep) Config *c = NULL;

        assert_true(asprintf(&copy, "%s/copy", f->root) > 0);
        scratch_write(f->root, "bots.d/zeta.conf", "[Bot]\nWorker=shop.service\n");
        assert_int_equal(config_save_copy(directories, copy), 0);
        scratch_write(f->root, "bots.d/zeta.conf", "[Bot]\nWorker\n");
        scratch_write(f->root, "bots.d/alpha.conf", "[Bot]\nWorker=shop.service\n");
        assert_int_equal(config_save_copy(directories, copy), 0);
        assert_int_equal(config_load_copy(copy, &c), 0);
        assert_non_null(config_find_bot(c, "zeta"));
        assert_non_null(config_find_bot(c, "alpha"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_last_word, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_odd_names, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_too_many_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_odd_names_are_not_copied, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_worker_of_two, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_worker_of_a_bad_one, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
