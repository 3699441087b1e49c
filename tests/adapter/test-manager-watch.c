/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "manager-fixture.h"

/* In place of the library's, for what it decides by an answer alone. */
#include "manager/watch.c"

/* A webhook that gets nothing while the local server is well: the bot goes back to the cloud by itself, not before the
 * cloud takes it, and what is seen of a server that is well does not call that off. What a server that dies leads to is
 * in tests/host and in the simulation. */

#define GRACE (60 * USEC_PER_SEC)

/* At the local server since a moment ago, with a webhook that has got nothing for `bad_usec`. */
static Bot *begin_at_local(ManagerFixture *f, const Record *of, usec_t bad_usec)
{
        Record r = *of;
        Bot *b;

        manager_store_bot(f, "shop", "Fallback=auto\nFallbackGraceSec=60\nWorker=shop.service");
        manager_store_record(f, "shop", &r);
        assert_int_equal(manager_begin(f), 0);
        manager_drain(f);
        b = manager_find_bot(f->manager, "shop");
        assert_non_null(b);
        b->webhook_health = (Health){ .bad_since_usec = usec_sub(clock_boottime_usec(), bad_usec) };
        /* Nothing is asked: what was seen last is what counts here. */
        b->webhook_due_usec = USEC_INFINITY;
        return b;
}

static Record at_local(usec_t window_usec)
{
        Record r;
        Moment now;

        record_init(&r);
        r.bot_id = FIXTURE_BOT_ID;
        r.seat = SEAT_LOCAL;
        assert_int_equal(clock_moment(&now), 0);
        if (window_usec > 0)
                window_begin(&r.cloud_window, &now, window_usec);
        return r;
}

static void test_not_before_the_cloud_takes_it(void **state)
{
        ManagerFixture *f = *state;
        Record r = at_local(WINDOW_CLOUD_USEC);
        Bot *b = begin_at_local(f, &r, WEBHOOK_GRACES * GRACE + USEC_PER_SEC);

        assert_true(bot_window_left(b, SEAT_CLOUD) > 0);
        consider(b, true);
        manager_assert_logged(f,
                              "shop: The local server cannot deliver to the webhook; see whether the bot's web server "
                              "is up. Where that lasts, the bot goes back to the cloud by itself, which does not take "
                              "it before ");
        assert_false(bot_job_running(b));

        /* Once. */
        manager_forget_log(f);
        for (unsigned i = 0; i < 100; i++)
                consider(b, true);
        assert_false(bot_job_running(b));
        assert_int_equal(b->record.job.id, 0);
        assert_int_equal(lseek(STDERR_FILENO, 0, SEEK_END), 0);

        /* And anew where it was well in between. */
        b->webhook_health = (Health){};
        consider(b, true);
        b->webhook_health = (Health){ .bad_since_usec = usec_sub(clock_boottime_usec(), WEBHOOK_GRACES * GRACE) };
        consider(b, true);
        manager_assert_logged(f, "cannot deliver");
}

static void test_goes_when_it_does(void **state)
{
        ManagerFixture *f = *state;
        Record r = at_local(0);
        Bot *b = begin_at_local(f, &r, WEBHOOK_GRACES * GRACE + USEC_PER_SEC);

        consider(b, true);
        manager_assert_logged(
                        f, "shop: Goes back to the cloud by itself: the local server cannot deliver to the webhook.");
        assert_true(bot_job_running(b));
        assert_int_equal(b->record.job.target, SEAT_CLOUD);
}

static void test_not_for_a_short_break(void **state)
{
        ManagerFixture *f = *state;
        Record r = at_local(0);
        Bot *b = begin_at_local(f, &r, WEBHOOK_GRACES * GRACE - 10 * USEC_PER_SEC);

        consider(b, true);
        assert_false(bot_job_running(b));
}

/* As an earlier process left it: the job waits, and this one has seen nothing of the webhook. */
static Bot *begin_waiting(ManagerFixture *f, const char *reason)
{
        Record r = at_local(WINDOW_CLOUD_USEC);
        Moment now;

        assert_int_equal(clock_moment(&now), 0);
        r.state = CUTOVER_QUEUED;
        r.job = (RecordJob){
                .id = 7,
                .batch = 7,
                .source = SEAT_LOCAL,
                .wanted = SEAT_CLOUD,
                .target = SEAT_CLOUD,
                .when_allowed = true,
                .automatic = true,
                .reason = (char *) reason,
                .started_usec = now.realtime_usec,
                .phase_started_usec = now.realtime_usec,
        };
        return begin_at_local(f, &r, 0);
}

static void test_a_server_that_is_well_proves_nothing(void **state)
{
        Bot *b = begin_waiting(*state, "fallback: the local server cannot deliver to the webhook");

        b->manager->health = b->webhook_health = (Health){};
        consider(b, true);
        bot_dispatch(b);
        manager_drain(*state);
        assert_true(bot_job_running(b));
}

static void test_but_for_one_that_was_dead(void **state)
{
        Bot *b = begin_waiting(*state, "fallback: the local server is dead");

        b->manager->health = (Health){};
        consider(b, true);
        bot_dispatch(b);
        manager_drain(*state);
        assert_false(bot_job_running(b));
        assert_string_equal(bot_last_error(b), "The local server is well again, so the bot stays there.");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_not_before_the_cloud_takes_it, manager_set_up, manager_tear_down),
                cmocka_unit_test_setup_teardown(test_goes_when_it_does, manager_set_up, manager_tear_down),
                cmocka_unit_test_setup_teardown(test_not_for_a_short_break, manager_set_up, manager_tear_down),
                cmocka_unit_test_setup_teardown(test_a_server_that_is_well_proves_nothing, manager_set_up,
                                                manager_tear_down),
                cmocka_unit_test_setup_teardown(test_but_for_one_that_was_dead, manager_set_up, manager_tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
