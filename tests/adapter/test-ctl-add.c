/* SPDX-License-Identifier: MIT */

/* What `tgswitchctl add` makes of the texts of a unit: whether it may be the program of a bot, and why. The rest of it
 * needs a host: tests/host/scenarios/840-add.sh. Defends L7. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../canary.h"
#include "scratch.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-add-look.c"
#include "ctl/ctl-adopt-look.c"

#define TOKEN "7100000001:" CANARY_SECRET
#define OTHER "7100000002:" CANARY_SECRET
#define LOCAL "http://127.0.0.1:8081"

static int set_up(void **state)
{
        BotToken *token = NULL;

        assert_int_equal(bot_token_new(&token, TOKEN, strlen(TOKEN)), 0);
        *state = token;
        return 0;
}

static int tear_down(void **state)
{
        bot_token_free(*state);
        return 0;
}

static void forget(Candidate *c)
{
        free(c->why);
        *c = (Candidate){};
}

static void test_texts(void **state)
{
        static const struct {
                const char *text;
                CandidateRank rank;
                const char *why; /* behind "F " */
                bool other_bot;
        } rows[] = {
                { "", CANDIDATE_NONE },
                { "ExecStart=/usr/sbin/sshd -D", CANDIDATE_NONE },
                { "BOT_TOKEN=" TOKEN, CANDIDATE_TOKEN, "has this token" },
                { "URL=https://api.telegram.org/bot" TOKEN "/getMe", CANDIDATE_TOKEN, "has this token" },
                { "ADMIN=5\nBOT_ID=7100000001\n", CANDIDATE_ID, "has the number of this bot" },
                /* a token from before it was revoked */
                { "T=7100000001:BB" CANARY_SECRET, CANDIDATE_ID, "has the number of this bot" },
                { "T=71000000012", CANDIDATE_NONE },
                { "T=17100000001", CANDIDATE_NONE },
                { "T=17100000001 7100000001", CANDIDATE_ID, "has the number of this bot" },
                { "ExecStart=/opt/Bot/run --with=GrammY", CANDIDATE_FRAMEWORK, "names grammy" },
                { "{\"dependencies\":{\"node-telegram-bot-api\":\"2\"}}", CANDIDATE_FRAMEWORK,
                  "names node-telegram-bot-api" },
                { "Description=My Telegram bot", CANDIDATE_FRAMEWORK, "names telegram" },
                { "BOT_TOKEN=" OTHER, CANDIDATE_NONE, NULL, true },
                { "telegraf " OTHER, CANDIDATE_FRAMEWORK, "names telegraf", true },
        };

        FOREACH_ELEMENT(row, rows) {
                Candidate c = {};

                assert_int_equal(candidate_look(&c, "F", row->text, CANDIDATE_TOKEN, *state, LOCAL), 0);
                assert_int_equal(c.rank, row->rank);
                assert_int_equal(c.other_bot, row->other_bot);
                assert_false(c.local_root);
                if (row->why)
                        assert_string_equal(c.why + strlen("F "), row->why);
                else
                        assert_null(c.why);
                forget(&c);
        }
}

/* The likeliest of several texts is what is told, in whatever order they come. */
static void test_several(void **state)
{
        static const char *const texts[] = { "telegraf", "7100000001", TOKEN, "7100000001", "aiogram" };
        Candidate c = {};
        char name[] = "0";

        FOREACH_ELEMENT(t, texts) {
                name[0]++;
                assert_int_equal(candidate_look(&c, name, *t, CANDIDATE_TOKEN, *state, LOCAL), 0);
        }
        assert_int_equal(c.rank, CANDIDATE_TOKEN);
        assert_string_equal(c.why, "3 has this token");
        forget(&c);
}

static void test_local_root(void **state)
{
        Candidate c = {};

        assert_int_equal(candidate_look(&c, "F", "ROOT=" LOCAL "0", CANDIDATE_TOKEN, *state, LOCAL), 0);
        assert_false(c.local_root);
        assert_int_equal(candidate_look(&c, "F", "ROOT=" LOCAL "/bot", CANDIDATE_TOKEN, *state, LOCAL), 0);
        assert_true(c.local_root);
        assert_int_equal(candidate_look(&c, "F", "nothing", CANDIDATE_TOKEN, *state, LOCAL), 0);
        assert_true(c.local_root);
        forget(&c);
}

/* What others can write is a hint, whatever is in it; a link is none, since it leads to what is somebody else's. */
static void test_files(void **state)
{
        static const struct {
                const char *name;
                mode_t mode;
                CandidateRank rank;
        } rows[] = {
                { "bot/.env", 0644, CANDIDATE_TOKEN },     { "bot/.env", 0640, CANDIDATE_TOKEN },
                { "bot/.env", 0664, CANDIDATE_FRAMEWORK }, { "bot/.env", 0646, CANDIDATE_FRAMEWORK },
                { "bot/link", 0644, CANDIDATE_NONE },      { "current/.env", 0644, CANDIDATE_FRAMEWORK },
                { "bot", 0755, CANDIDATE_NONE },           { "bot/none", 0, CANDIDATE_NONE },
        };
        char *directory = scratch_new();
        char path[256], link[256];

        scratch_write(directory, "bot/.env", "T=" TOKEN);
        (void) snprintf(link, sizeof(link), "%s/bot/link", directory);
        assert_int_equal(symlink(".env", link), 0);
        (void) snprintf(link, sizeof(link), "%s/current", directory);
        assert_int_equal(symlink("bot", link), 0);
        FOREACH_ELEMENT(row, rows) {
                Candidate c = {};

                (void) snprintf(path, sizeof(path), "%s/%s", directory, row->name);
                if (row->mode != 0)
                        assert_int_equal(chmod(path, row->mode), 0);
                assert_int_equal(candidate_look_at_file(&c, path, *state, LOCAL), 0);
                assert_int_equal(c.rank,
                                 geteuid() == 0 || row->rank == CANDIDATE_NONE ? row->rank : CANDIDATE_FRAMEWORK);
                forget(&c);
                /* nor of somebody else's */
                if (geteuid() != 0 || row->rank != CANDIDATE_TOKEN)
                        continue;
                assert_int_equal(chown(path, 65534, 0), 0);
                assert_int_equal(candidate_look_at_file(&c, path, *state, LOCAL), 0);
                assert_int_equal(c.rank, CANDIDATE_FRAMEWORK);
                assert_non_null(strstr(c.why, "/bot/.env has this token"));
                assert_int_equal(chown(path, 0, 0), 0);
                forget(&c);
        }
        scratch_remove(directory);
}

static void test_ranks(void **state)
{
        for (CandidateRank r = 0; r < CANDIDATE_RANK_MAX; r++)
                assert_non_null(candidate_rank_to_string(r));
        assert_null(candidate_rank_to_string(CANDIDATE_RANK_MAX));
        assert_null(candidate_rank_to_string(CANDIDATE_RANK_INVALID));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_several, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_local_root, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
                cmocka_unit_test(test_ranks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
