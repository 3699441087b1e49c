/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/intake.h"

/* A worker that polls must never be blamed for traffic, and one that asks the wrong server must be found as soon as
 * anything comes in. */

static void note(Intake *i, const char *pendings)
{
        for (const char *p = pendings; *p; p++)
                intake_note(i, (uint64_t) (*p - '0'));
}

static void test_verdicts(void **state)
{
        static const struct {
                const char *pendings; /* one digit a look */
                IntakeVerdict verdict;
        } rows[] = {
                { "", INTAKE_QUIET },
                { "00000000000000000000000000", INTAKE_QUIET },
                { "1", INTAKE_WAITING },
                { "001", INTAKE_WAITING },
                { "10", INTAKE_TAKEN },
                { "1222221", INTAKE_TAKEN },
                { "1011111111111111111111111", INTAKE_TAKEN }, /* once seen, it is known */
                { "1111111111111111111", INTAKE_WAITING },     /* 19 */
                { "11111111111111111111", INTAKE_NOBODY },     /* 20 */
                { "00011111111111111111111", INTAKE_NOBODY },
                { "11122233344455566677", INTAKE_NOBODY },
                { "11111111111111111111111", INTAKE_NOBODY },
                { "111111111111111111110", INTAKE_TAKEN }, /* it was mended */
        };

        FOREACH_ELEMENT(row, rows) {
                Intake i = {};

                note(&i, row->pendings);
                if (intake_judge(&i, 0) != row->verdict)
                        fail_msg("%s: %d, expected %d", row->pendings, intake_judge(&i, 0), row->verdict);
        }
}

/* What was spooled comes first, and nobody is asked for more meanwhile. */
static void test_handed_over(void **state)
{
        Intake i = {};

        for (unsigned look = 1; look <= INTAKE_LOOKS + 10; look++) {
                intake_note(&i, look);
                assert_int_equal(intake_judge(&i, 109), look < INTAKE_LOOKS + 10 ? INTAKE_WAITING : INTAKE_NOBODY);
        }
        assert_int_equal(intake_judge(&i, 110), INTAKE_WAITING);
}

/* A busy bot, looked at whenever: between two looks some updates come and its worker takes what is there now and then.
 */
static void test_busy(void **state)
{
        for (uint64_t seed = 1; seed <= 2000; seed++) {
                uint64_t random = seed, pending = 0;
                Intake polled = {}, unpolled = {};

                for (unsigned look = 0; look < INTAKE_LOOKS; look++) {
                        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                        pending += 1 + (random >> 33) % 5;
                        intake_note(&unpolled, pending);
                        intake_note(&polled, 1 + (random >> 40) % 3);
                }
                if (intake_judge(&polled, 0) != INTAKE_TAKEN)
                        fail_msg("seed %" PRIu64 ": a polling worker is blamed", seed);
                assert_int_equal(intake_judge(&unpolled, 0), INTAKE_NOBODY);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_verdicts),
                cmocka_unit_test(test_handed_over),
                cmocka_unit_test(test_busy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
