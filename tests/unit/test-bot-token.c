/* SPDX-License-Identifier: MIT */

/* What is a token (ClientManager.cpp of telegram-bot-api), and that it can be taken out of a text and put
 * back (L7). */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "../canary.h"
#include "core/bot-token.h"

#define SECRET CANARY_SECRET
#define TOKEN  "123456789:" SECRET

static BotToken *token_new(const char *text)
{
        BotToken *t = NULL;

        assert_int_equal(bot_token_new(&t, text, strlen(text)), 0);
        assert_non_null(t);
        return t;
}

static void test_good(void **state)
{
        static const struct {
                const char *text;
                int64_t id;
        } cases[] = {
                { TOKEN, 123456789 },
                { "1:aaaaaaaaaaaaaaaaaaaaaaaa", 1 },
                { "18014398509481983:" SECRET, (INT64_C(1) << 54) - 1 },
        };

        FOREACH_ELEMENT(c, cases) {
                BotToken *t = token_new(c->text);

                assert_int_equal(bot_token_id(t), c->id);
                assert_string_equal(bot_token_reveal(t), c->text);
                assert_null(bot_token_free(t));
        }
        assert_null(bot_token_free(NULL));
}

static void test_longest(void **state)
{
        char text[BOT_TOKEN_SIZE_MAX + 3] = "1:";
        BotToken *t = NULL;

        memset(text + 2, 'x', BOT_TOKEN_SIZE_MAX - 2);
        text[BOT_TOKEN_SIZE_MAX] = '\n';
        assert_int_equal(bot_token_new(&t, text, BOT_TOKEN_SIZE_MAX + 1), 0);
        assert_int_equal(strlen(bot_token_reveal(t)), BOT_TOKEN_SIZE_MAX);
        bot_token_free(t);

        t = NULL;
        text[BOT_TOKEN_SIZE_MAX] = 'x';
        assert_int_equal(bot_token_new(&t, text, BOT_TOKEN_SIZE_MAX + 1), -EINVAL);
        assert_null(t);
}

static void test_bad(void **state)
{
        static const char *const cases[] = {
                "",
                "\n",
                ":",
                "123456789",
                "123456789:",
                ":" SECRET,
                "0:" SECRET,
                "0123:" SECRET,
                "-1:" SECRET,
                "+1:" SECRET,
                " 1:" SECRET,
                "12a:" SECRET,
                "18014398509481984:" SECRET,
                "99999999999999999999999:" SECRET,
                "1:aaaaaaaaaaaaaaaaaaaaaaa",
                "1:" SECRET "/",
                "1:" SECRET "=",
                "1:" SECRET "\n\n",
                "1:" SECRET "\r\n",
                "1:" SECRET " ",
                "1:" SECRET "\xc3\xa4",
                "1:" SECRET ":" SECRET,
        };

        FOREACH_ELEMENT(text, cases) {
                BotToken *t = NULL;

                assert_int_equal(bot_token_new(&t, *text, strlen(*text)), -EINVAL);
                assert_null(t);
        }
}

/* A credential is bytes: what stands behind a NUL counts. */
static void test_nul_inside(void **state)
{
        static const char bytes[] = "1:" SECRET "\0" SECRET;
        static const char all_zero[40];
        BotToken *t = NULL;

        assert_int_equal(bot_token_new(&t, bytes, sizeof(bytes) - 1), -EINVAL);
        assert_int_equal(bot_token_new(&t, bytes, strlen(bytes) + 1), -EINVAL);
        assert_int_equal(bot_token_new(&t, all_zero, sizeof(all_zero)), -EINVAL);
        assert_null(t);
}

static void test_equal(void **state)
{
        BotToken *a = token_new(TOKEN), *b = token_new(TOKEN "\n"), *c = token_new("12345678:" SECRET);

        assert_true(bot_token_equal(a, b));
        assert_false(bot_token_equal(a, c));
        bot_token_free(a);
        bot_token_free(b);
        bot_token_free(c);
}

static void test_redact_and_expand(void **state)
{
        static const struct {
                const char *plain, *redacted;
        } cases[] = {
                { "", "" },
                { "nothing", "nothing" },
                { TOKEN, "{token}" },
                { "https://h/" TOKEN "/x", "https://h/{token}/x" },
                { TOKEN TOKEN "-" TOKEN, "{token}{token}-{token}" },
                { "https://h/123456789%3A" SECRET, "https://h/123456789%3A{secret}" },
                { "https://h/" SECRET "?" TOKEN, "https://h/{secret}?{token}" },
                { "1123456789:" SECRET, "1{token}" },
                { "123456789:AAF-abc", "123456789:AAF-abc" },
                { "{tok", "{tok" },
        };
        BotToken *t = token_new(TOKEN);

        FOREACH_ELEMENT(c, cases) {
                _cleanup_free_ char *redacted = bot_token_redact(t, c->plain);
                _cleanup_free_ char *expanded = bot_token_expand(t, c->redacted);

                assert_string_equal(redacted, c->redacted);
                assert_string_equal(expanded, c->plain);
        }
        bot_token_free(t);
}

/* The flags of the memory that the token is in, as proc(5) has them in smaps. */
static char *memory_flags(const BotToken *t)
{
        uintptr_t address = (uintptr_t) bot_token_reveal(t);
        FILE *f = fopen("/proc/self/smaps", "re");
        bool within = false;
        char line[512], *flags = NULL;

        assert_non_null(f);
        while (!flags && fgets(line, sizeof(line), f)) {
                unsigned long from, to;

                if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
                        within = address >= from && address < to;
                else if (within && startswith(line, "VmFlags:"))
                        flags = strdup(line + strlen("VmFlags:"));
        }
        fclose(f);
        assert_non_null(flags);
        return flags;
}

/* Core dumps are where a secret would come out of a process that is otherwise careful. */
static void test_memory_is_not_dumped(void **state)
{
        BotToken *t = token_new(TOKEN);
        _cleanup_free_ char *flags = memory_flags(t);

        assert_non_null(strstr(flags, " dd")); /* "do not include area in core dump" */
        bot_token_free(t);
}

/* And the swap partition is where it would be found years later. */
static void test_memory_is_locked(void **state)
{
        BotToken *t = token_new(TOKEN);
        _cleanup_free_ char *flags = memory_flags(t);

        /* AddressSanitizer has an mlock() of its own, which does nothing. */
#ifndef __SANITIZE_ADDRESS__
        assert_int_equal(bot_token_is_locked(t), strstr(flags, " lo") != NULL);
#endif
        assert_true(bot_token_is_locked(t));
        bot_token_free(t);
}

/* Without the right to lock, a token is as good, and says so. */
static void test_memory_that_cannot_be_locked(void **state)
{
        struct rlimit before, none;
        uid_t uid = geteuid();
        BotToken *t;

        assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        if (uid == 0)
                assert_int_equal(seteuid(65534), 0); /* who may lock whatever the limit says */
        t = token_new(TOKEN);
        assert_int_equal(seteuid(uid), 0);
        assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);

#ifndef __SANITIZE_ADDRESS__
        assert_false(bot_token_is_locked(t));
#endif
        assert_string_equal(bot_token_reveal(t), TOKEN);
        bot_token_free(t);
}

/* Tokens share pages, and none of them ever another's place. */
static void test_many(void **state)
{
        BotToken *t[200];
        char text[64];

        for (unsigned round = 0; round < 2; round++) {
                for (unsigned i = round; i < ELEMENTSOF(t); i += round + 1) {
                        (void) snprintf(text, sizeof(text), "%u:" SECRET, 1000 + i);
                        t[i] = token_new(text);
                }
                for (unsigned i = 0; i < ELEMENTSOF(t); i++)
                        assert_int_equal(bot_token_id(t[i]), 1000 + i);
                /* every second place is free again */
                for (unsigned i = 1; round == 0 && i < ELEMENTSOF(t); i += 2)
                        bot_token_free(t[i]);
        }
        FOREACH_ELEMENT(i, t) {
                assert_string_equal(strchr(bot_token_reveal(*i), ':') + 1, SECRET);
                bot_token_free(*i);
        }
}

/* Its place is wiped though the page goes on. */
static void test_freed_among_others(void **state)
{
        BotToken *stays = token_new("1:" SECRET), *goes = token_new("2:" SECRET);
        const char *text = bot_token_reveal(goes);

        assert_true(labs(text - bot_token_reveal(stays)) < 4096);
        bot_token_free(goes);
        assert_string_equal(text, "");
        assert_string_equal(bot_token_reveal(stays), "1:" SECRET);
        bot_token_free(stays);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_freed_among_others),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_nul_inside),
                cmocka_unit_test(test_equal),
                cmocka_unit_test(test_redact_and_expand),
                cmocka_unit_test(test_memory_is_not_dumped),
                cmocka_unit_test(test_memory_is_locked),
                cmocka_unit_test(test_memory_that_cannot_be_locked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
