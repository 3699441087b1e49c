/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "core/health.h"

/* A server is given up when it has been bad for as long as the grace says, and neither sooner nor never: a restart is
 * not a death, and answering now and then is not life. */

#define GRACE  (60 * USEC_PER_SEC)
#define STABLE (60 * USEC_PER_SEC)
#define PROBE  (5 * USEC_PER_SEC)

/* One answer each PROBE, '+' or '-'; returns the number of the answer at which it was dead for the first time, or -1.
 */
static int dies_at(Health *h, const char *answers, usec_t *now_usec)
{
        for (int i = 0; answers[i]; i++) {
                *now_usec += PROBE;
                health_note(h, answers[i] == '+', *now_usec, STABLE);
                if (health_is_dead(h, *now_usec, GRACE))
                        return i;
        }
        return -1;
}

static void test_spells(void **state)
{
        static const struct {
                const char *answers;
                int dies_at;
        } rows[] = {
                { "", -1 },
                { "+++++++++++++++", -1 },
                { "------------", -1 },  /* 55 s from the first bad one */
                { "-------------", 12 }, /* 60 s */
                { "+++-------------", 15 },
                { "-----+++++++++++++++++++-----------", -1 },    /* a restart, then well for more than STABLE */
                { "-----++++++++++++---------------------", 24 }, /* not for long enough: 25 s before count, too */
                { "-+-+-+-+-+-+-+-+-+-+-+-+-+-+", 24 },           /* a crash loop that answers now and then */
                { "-+++++++++++++-----------", -1 },              /* 13 good ones are 60 s: a new spell begins */
                { "-++++++++++++------------", 24 },              /* 12 are not */
                { "-++++++-++++++-++++++-", -1 },                 /* three restarts are no death */
        };

        FOREACH_ELEMENT(row, rows) {
                Health h = {};
                usec_t now = 1000 * USEC_PER_SEC;
                int found = dies_at(&h, row->answers, &now);

                if (found != row->dies_at)
                        fail_msg("%s: %d, expected %d", row->answers, found, row->dies_at);
        }
}

/* While its last answer was good it is not dead, however long the spell is. */
static void test_not_dead_while_it_answers(void **state)
{
        Health h = {};
        usec_t now = 1000 * USEC_PER_SEC;

        assert_int_equal(dies_at(&h, "-------------", &now), 12);
        assert_true(health_is_dead(&h, now, GRACE));
        health_note(&h, true, now += PROBE, STABLE);
        assert_false(health_is_dead(&h, now, GRACE));
        assert_false(health_is_dead(&h, now + 10 * GRACE, GRACE));
        health_note(&h, false, now += PROBE, STABLE);
        assert_true(health_is_dead(&h, now, GRACE));
}

/* It dies of time, not of answers: a hanging probe is as bad as many that are refused. */
static void test_one_bad_answer_and_silence(void **state)
{
        Health h = {};
        usec_t now = 1000 * USEC_PER_SEC;

        assert_false(health_is_dead(&h, now, GRACE));
        health_note(&h, false, now, STABLE);
        assert_false(health_is_dead(&h, now + GRACE - 1, GRACE));
        assert_true(health_is_dead(&h, now + GRACE, GRACE));
        /* No grace at all is allowed, too. */
        assert_true(health_is_dead(&h, now, 0));
        assert_false(health_is_dead(&(Health){}, now, 0));
}

/* What the answers of the last seconds say for certain, whatever came before. */
static void test_random_answers(void **state)
{
        const char *given = getenv("SEED");
        uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t) time(NULL) * 2654435761u | 1, random = seed;
        usec_t now = 1000 * USEC_PER_SEC, last_bad = 0, last_good = now;
        Health h = {};

        print_message("SEED=%" PRIu64 "\n", seed);
        for (unsigned i = 0; i < 200000; i++) {
                bool good, dead;

                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                now += random % (10 * USEC_PER_SEC) + 1;
                /* In spells, or none would be long enough to count. */
                good = random >> 32 & 0xf ? last_good > last_bad : random >> 40 & 1;
                health_note(&h, good, now, STABLE);
                *(good ? &last_good : &last_bad) = now;

                dead = health_is_dead(&h, now, GRACE);
                if (good)
                        assert_false(dead);
                else if (now - last_good >= GRACE + 10 * USEC_PER_SEC)
                        assert_true(dead);
                if (good && now - last_bad >= STABLE + 10 * USEC_PER_SEC)
                        assert_true(health_is_well(&h));
                if (dead)
                        assert_true(h.bad_usec + now - h.bad_since_usec >= GRACE);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spells),
                cmocka_unit_test(test_not_dead_while_it_answers),
                cmocka_unit_test(test_one_bad_answer_and_silence),
                cmocka_unit_test(test_random_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
