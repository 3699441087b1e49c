/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/botapi-reply.h"

/* What an administrator is told when a server does not log the bot in: the cause, and what to do about it. */

static void test_advice(void **state)
{
        static const struct {
                const char *name, *cause, *cure;
        } words[LOGIN_OUTCOME_MAX] = {
                [LOGIN_OUTCOME_OTHER_BOT] = { "other-bot", "for another bot than the token's", "check what stands" },
                [LOGIN_OUTCOME_API_ID] = { "api-id", "refuses the server's API id or hash", "correct TELEGRAM_API_ID" },
                [LOGIN_OUTCOME_REFUSED] = { "refused", "does not accept the token", "put the new one" },
                [LOGIN_OUTCOME_MISDIRECTED] = { "misdirected", "not meant for this bot", "check the --filter= option" },
                [LOGIN_OUTCOME_FLOOD] = { "flood", "too many logins", "tried again when the time" },
                [LOGIN_OUTCOME_LOGGED_OUT] = { "logged-out", "after its last logOut", "nothing to do but wait" },
                [LOGIN_OUTCOME_RESTARTING] = { "restarting", "closing the bot or stopping", "look at its journal" },
                [LOGIN_OUTCOME_SILENT] = { "silent", "did not answer", "check that it runs" },
                [LOGIN_OUTCOME_ODD] = { "odd", "not one that a Bot API server gives", "check the address" },
        };

        for (LogInOutcome o = 0; o < LOGIN_OUTCOME_MAX; o++) {
                const char *advice = login_outcome_advice(o);

                if (o == LOGIN_OUTCOME_OK) {
                        assert_string_equal(login_outcome_to_string(o), "ok");
                        assert_null(advice);
                        continue;
                }
                assert_string_equal(login_outcome_to_string(o), words[o].name);
                assert_non_null(advice);
                if (!strstr(advice, words[o].cause) || !strstr(advice, words[o].cure))
                        fail_msg("%s: %s", words[o].name, advice);
        }
        assert_null(login_outcome_to_string(LOGIN_OUTCOME_MAX));
        assert_null(login_outcome_advice(LOGIN_OUTCOME_INVALID));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_advice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
