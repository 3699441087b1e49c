/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/unit-result.h"

static void test_load_states(void **state)
{
        assert_int_equal(unit_load_state_from_string("loaded"), UNIT_LOAD_LOADED);
        assert_int_equal(unit_load_state_from_string("not-found"), UNIT_LOAD_NOT_FOUND);
        assert_int_equal(unit_load_state_from_string("bad-setting"), UNIT_LOAD_BAD_SETTING);
        assert_int_equal(unit_load_state_from_string("error"), UNIT_LOAD_ERROR);
        assert_int_equal(unit_load_state_from_string("masked"), UNIT_LOAD_MASKED);
        assert_int_equal(unit_load_state_from_string("stub"), UNIT_LOAD_OTHER);
        assert_int_equal(unit_load_state_from_string("merged"), UNIT_LOAD_OTHER);
        assert_int_equal(unit_load_state_from_string(""), UNIT_LOAD_OTHER);
        assert_int_equal(unit_load_state_from_string(NULL), UNIT_LOAD_INVALID);
}

/* L3: no logOut while a worker may run. A state that we do not know counts as one in which it does. */
static void test_only_two_states_are_stopped(void **state)
{
        static const char *const running[] = { "active",      "reloading", "activating", "deactivating",
                                               "maintenance", "",          "Inactive",   "failed " };

        assert_false(unit_active_state_may_run(unit_active_state_from_string("inactive")));
        assert_false(unit_active_state_may_run(unit_active_state_from_string("failed")));
        FOREACH_ELEMENT(s, running)
                assert_true(unit_active_state_may_run(unit_active_state_from_string(*s)));
        assert_int_equal(unit_active_state_from_string(NULL), UNIT_ACTIVE_STATE_INVALID);
}

static void test_active_states_round_trip(void **state)
{
        for (UnitActiveState s = 0; s < UNIT_ACTIVE_STATE_MAX; s++)
                assert_int_equal(unit_active_state_from_string(unit_active_state_to_string(s)), s);
}

static void test_job_results_round_trip(void **state)
{
        for (UnitJobResult r = 0; r < UNIT_JOB_RESULT_MAX; r++)
                assert_int_equal(unit_job_result_from_string(unit_job_result_to_string(r)), r);
        assert_int_equal(unit_job_result_from_string(NULL), UNIT_JOB_RESULT_INVALID);
}

static void test_failures_are_explained(void **state)
{
        static const char *const sentences[UNIT_JOB_RESULT_MAX] = {
                [UNIT_JOB_CANCELED] = "something else was asked of it meanwhile",
                [UNIT_JOB_TIMEOUT] = "that took longer than it may, and systemd goes on with it",
                [UNIT_JOB_FAILED] = "that failed",
                [UNIT_JOB_DEPENDENCY] = "a unit that it requires did not start",
                [UNIT_JOB_SKIPPED] = "a condition of the unit is not met",
                [UNIT_JOB_REFUSED] = "systemd did not take the request",
                [UNIT_JOB_DENIED] = "tgswitchd may not do that",
        };

        for (UnitJobResult r = 0; r < UNIT_JOB_RESULT_MAX; r++)
                if (r != UNIT_JOB_DONE && r != UNIT_JOB_SHUTDOWN)
                        assert_string_equal(unit_job_result_explain(r), sentences[r]);
}

/* Every word of systemd's that is not "done" is not a success, and neither is a word that it does not have
 * yet. */
static void test_only_done_is_done(void **state)
{
        static const struct {
                const char *word;
                UnitJobResult result;
        } words[] = {
                { "done", UNIT_JOB_DONE },
                { "canceled", UNIT_JOB_CANCELED },
                { "timeout", UNIT_JOB_TIMEOUT },
                { "failed", UNIT_JOB_FAILED },
                { "dependency", UNIT_JOB_DEPENDENCY },
                { "skipped", UNIT_JOB_SKIPPED },
                { "invalid", UNIT_JOB_SKIPPED },
                { "collected", UNIT_JOB_CANCELED },
                { "assert", UNIT_JOB_FAILED },
                { "unsupported", UNIT_JOB_FAILED },
                { "once", UNIT_JOB_FAILED },
                { "frozen", UNIT_JOB_FAILED },
                { "", UNIT_JOB_FAILED },
        };

        FOREACH_ELEMENT(w, words)
                assert_int_equal(unit_job_result_from_string(w->word), w->result);
}

static void test_names(void **state)
{
        static const char *const good[] = {
                "shop.service", "shop@1.service", "shop@a@b.service", "a.b.timer", "dev-disk-by\\x2duuid.swap",
                "_:-.mount",    "shop@..service"
        };
        static const char *const bad[] = { "",
                                           "shop",
                                           "shop.",
                                           ".service",
                                           "@.service",
                                           "@1.service",
                                           "shop@.service",
                                           "shop.Service",
                                           "shop/a.service",
                                           "shop a.service",
                                           "sh*p.service",
                                           "shop.service ",
                                           "sh\xc3\xb6p.service",
                                           "shop.conf" };
        char name[300];

        FOREACH_ELEMENT(n, good)
                assert_true(unit_name_is_valid(*n));
        FOREACH_ELEMENT(n, bad)
                assert_false(unit_name_is_valid(*n));
        assert_false(unit_name_is_valid(NULL));

        snprintf(name, sizeof(name), "%0*d.service", 255 - 8, 0);
        assert_int_equal(strlen(name), 255);
        assert_true(unit_name_is_valid(name));
        snprintf(name, sizeof(name), "%0*d.service", 256 - 8, 0);
        assert_false(unit_name_is_valid(name));
}

static void test_globs(void **state)
{
        static const char *const good[] = {
                "shop-*.service",     "shop@*.service", "sho[pt].service", "sho?.service",
                "shop[!0-9].service", "*.timer",        "s[]x]p.service",  "s[!]]p.service"
        };
        static const char *const bad[] = { "shop.service",  "shop-*",        "*",
                                           "sho[p.service", "shop].service", "sh op*.service",
                                           "shop*.exe",     "s[].service",   "s[!.service" };

        FOREACH_ELEMENT(g, good)
                assert_true(unit_name_is_glob(*g));
        FOREACH_ELEMENT(g, bad)
                assert_false(unit_name_is_glob(*g));
        assert_false(unit_name_is_glob(NULL));
}

static void test_matching(void **state)
{
        assert_true(unit_name_matches("shop.service", "shop.service"));
        assert_false(unit_name_matches("shop.service", "shop.timer"));
        assert_true(unit_name_matches("shop@*.service", "shop@7.service"));
        assert_false(unit_name_matches("shop@*.service", "shop.service"));
        assert_true(unit_name_matches("shop-[0-9].service", "shop-4.service"));
        assert_false(unit_name_matches("shop-[!0-9].service", "shop-4.service"));
        /* systemd writes escapes into names; they stand for themselves in a pattern as well */
        assert_true(unit_name_matches("my\\x2dshop-*.service", "my\\x2dshop-1.service"));
        assert_false(unit_name_matches("my\\x2dshop-*.service", "myx2dshop-1.service"));
        /* what is no pattern matches nothing but itself */
        assert_false(unit_name_matches("shop*", "shop.service"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_load_states),
                cmocka_unit_test(test_only_two_states_are_stopped),
                cmocka_unit_test(test_active_states_round_trip),
                cmocka_unit_test(test_job_results_round_trip),
                cmocka_unit_test(test_failures_are_explained),
                cmocka_unit_test(test_only_done_is_done),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_globs),
                cmocka_unit_test(test_matching),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
