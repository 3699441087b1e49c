/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "../adapter/scratch.h"
#include "base/strv.h"
#include "manager/check.h"
#include "manager/held.h"

/* Move=reload: what it says, which units can be told to hold (L3, L4), and who was told in which run. */

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

static void load(Fixture *f)
{
        const char *const directories[] = { f->root, NULL };

        f->config = config_free(f->config);
        config_problems_done(&f->problems);
        assert_int_equal(config_load(directories, &f->config, &f->problems), 0);
}

/* ---- the key ---- */

static void test_key(void **state)
{
        Fixture *f = *state;

        scratch_write(f->root, "bots.d/shop.conf", "[Bot]\n");
        load(f);
        assert_int_equal(f->config->bots[0]->move, MOVE_RESTART);
        scratch_write(f->root, "tgswitch.conf", "[BotDefaults]\nMove=reload\n");
        load(f);
        assert_int_equal(f->config->bots[0]->move, MOVE_RELOAD);
        scratch_write(f->root, "bots.d/shop.conf", "[Bot]\nMove=restart\n");
        load(f);
        assert_int_equal(f->config->bots[0]->move, MOVE_RESTART);

        for (Move m = 0; m < MOVE_MAX; m++)
                assert_int_equal(move_from_string(move_to_string(m)), m);
        scratch_write(f->root, "bots.d/shop.conf", "[Bot]\nMove=gateway\n");
        load(f);
        assert_int_equal(f->problems.n, 1);
        assert_non_null(strstr(f->problems.items[0].message, "expected restart or reload; gateway is kept"));
}

/* A worker that is not restarted takes no spool, unless that is what somebody wants. */
static void test_hand_over(void **state)
{
        static const struct {
                const char *text;
                const char *spool_to;
                bool hands_over;
        } rows[] = {
                { "[Bot]\nWorker=a.service\n", "a.service", true },
                { "[Bot]\nWorker=a.service\nMove=reload\n", "a.service", false },
                { "[Bot]\nWorker=a.service\nMove=reload\nSpoolTo=a.service\n", "a.service", true },
                { "[Bot]\nWorker=a.service b.service\nMove=reload\nSpoolTo=b.service\n", "b.service", true },
                { "[Bot]\nWorker=a.service\nMove=reload\nSpoolTo=none\n", NULL, false },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT(row, rows) {
                const BotConfig *b;

                scratch_write(f->root, "bots.d/shop.conf", row->text);
                load(f);
                b = f->config->bots[0];
                assert_true(row->spool_to ? streq_ptr(b->spool_to, row->spool_to) : !b->spool_to);
                assert_int_equal(bot_config_hands_over(b), row->hands_over);
                assert_int_equal(b->on_undrained, row->hands_over ? ON_UNDRAINED_SPOOL : ON_UNDRAINED_FAIL);
        }
}

/* ---- the unit ---- */

#define S(text) ((char *) (text))

static void expect(const UnitInfo *info, Move move, CheckVerdict verdict, const char *words)
{
        const CheckUnitContext context = {
                .bot = "shop",
                .environment_directory = "/run/tgswitch/bots",
                .move = move,
        };
        CheckList l = {};

        check_reload(&context, info, &l);
        if (!words) {
                assert_int_equal(l.n, 0);
        } else {
                assert_int_equal(l.n, 1);
                assert_string_equal(l.items[0].check, "reload");
                assert_string_equal(l.items[0].subject, "shop.service");
                assert_int_equal(l.items[0].verdict, verdict);
                if (!strstr(l.items[0].explanation, words))
                        fail_msg("%s", l.items[0].explanation);
        }
        check_list_done(&l);
}

static void test_unit(void **state)
{
        static char *files[] = { S("/etc/default/shop"), S("/run/tgswitch/bots/shop.env"), NULL };
        static char *other_files[] = { S("/run/tgswitch/bots/news.env"), NULL };
        UnitInfo info = {
                .name = S("shop.service"),
                .load_state = UNIT_LOAD_LOADED,
                .type = S("exec"),
                .can_reload = true,
                .environment_files = files,
        };

        expect(&info, MOVE_RELOAD, CHECK_PASS, "told by a reload to hold");
        expect(&info, MOVE_RESTART, CHECK_PASS, NULL);
        info.environment_files = other_files;
        expect(&info, MOVE_RELOAD, CHECK_SKIPPED, "EnvironmentFile=-/run/tgswitch/bots/shop.env");
        info.can_reload = false;
        expect(&info, MOVE_RELOAD, CHECK_FAIL, "give the unit an ExecReload=");
        info.type = S("oneshot");
        expect(&info, MOVE_RELOAD, CHECK_PASS, NULL);
        info.type = S("exec");
        info.load_state = UNIT_LOAD_NOT_FOUND;
        expect(&info, MOVE_RELOAD, CHECK_PASS, NULL);
}

/* logOut goes out when the reload is done, so that has to mean something; and it has to end without the gate. */
static void test_commands(void **state)
{
        static const struct {
                const char *first, *second;
                CheckVerdict verdict;
                const char *words;
        } rows[] = {
                { "/usr/bin/shop-ctl reload", NULL, CHECK_SKIPPED, "EnvironmentFile=" },
                { "/bin/kill -HUP 17", NULL, CHECK_FAIL, "kill does not wait" },
                { "kill -HUP 17", NULL, CHECK_FAIL, "kill does not wait" },
                { "-/usr/bin/kill", NULL, CHECK_FAIL, "kill does not wait" },
                { "/usr/bin/shop-ctl check", "/bin/kill -HUP 17", CHECK_FAIL, "kill does not wait" },
                { "/bin/kill -HUP 17", "/usr/bin/shop-ctl wait", CHECK_FAIL, "make one command of them" },
                { "/usr/bin/overkill 17", NULL, CHECK_SKIPPED, "EnvironmentFile=" },
                { "/usr/bin/skill/ctl", NULL, CHECK_SKIPPED, "EnvironmentFile=" },
        };

        FOREACH_ELEMENT(row, rows) {
                char *commands[] = { S(row->first), S(row->second), NULL };
                UnitInfo info = {
                        .name = S("shop.service"),
                        .load_state = UNIT_LOAD_LOADED,
                        .type = S("exec"),
                        .can_reload = true,
                        .exec_reload = commands,
                };

                expect(&info, MOVE_RELOAD, row->verdict, row->words);
        }
}

/* ---- who was told ---- */

static void test_held(void **state)
{
        static const uint8_t first[16] = { 1 }, second[16] = { 2 };
        HeldWorkers h = {};

        assert_int_equal(held_workers_add(&h, "a.service", first), 0);
        assert_int_equal(held_workers_add(&h, "b.service", second), 0);
        assert_true(held_workers_has(&h, "a.service", first));
        assert_false(held_workers_has(&h, "a.service", second));
        assert_false(held_workers_has(&h, "c.service", first));
        assert_null(held_workers_find(&h, "c.service"));
        assert_int_equal(held_workers_add(&h, "a.service", second), 0);
        assert_int_equal(h.n, 2);
        assert_true(held_workers_has(&h, "a.service", second));
        assert_false(held_workers_has(&h, "a.service", first));
        held_workers_clear(&h);
        assert_null(held_workers_find(&h, "a.service"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_key, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hand_over, set_up, tear_down),
                cmocka_unit_test(test_unit),
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_held),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
