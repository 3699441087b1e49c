/* SPDX-License-Identifier: MIT */

/* What is said where a token cannot be stored: by a systemd-creds that does not do what it is asked for, by a directory
 * that is none, by a disk that fails at any moment. And that it is true: "nothing was changed" (L9). */

#include <limits.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../canary.h"
#include "fault-fs.h"
#include "scratch.h"

/* In the place of systemd-creds: a script for sh, whose first argument is the verb. NULL: there is none. */
static const char *creds;

static int spawn_creds(pid_t *ret, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const *argv, char *const *environment)
{
        char *const sh[] = { (char *) "sh", (char *) "-c", (char *) creds, argv[0], argv[1], NULL };

        /* Said here, since below valgrind it is the child that finds out. */
        return creds ? posix_spawn(ret, "/bin/sh", actions, attributes, sh, environment) : ENOENT;
}

/* The objects of the program are not in the library. */
#define posix_spawn spawn_creds
#include "ctl/ctl-seal.c"
#undef posix_spawn
#include "ctl/ctl-token.c"

#define OLD "7100000001:" CANARY_SECRET
#define NEW "7100000001:BB" CANARY_SECRET

static char said[1024];

CtlExit ctl_error(CtlExit status, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(said, sizeof(said), format, ap);
        va_end(ap);
        return status;
}

CtlExit ctl_oom(void)
{
        return CTL_FAILED;
}

static int set_up(void **state)
{
        *state = scratch_new();
        said[0] = '\0';
        return 0;
}

static int tear_down(void **state)
{
        scratch_remove(*state);
        return 0;
}

static void assert_file(const char *directory, const char *name, const char *content)
{
        _cleanup_free_ char *text = scratch_read(directory, name);

        assert_non_null(text);
        assert_string_equal(text, content);
}

/* Stores another token over the one that is there. The disk obeys no more after so many calls. */
static CtlExit store(const char *root, TokenForm form, unsigned n_calls)
{
        _cleanup_(bot_token_freep) BotToken *token = NULL;
        CtlExit status;
        TokenStore s;

        assert_int_equal(bot_token_new(&token, NEW, strlen(NEW)), 0);
        assert_int_equal(token_store_open(&s, root, "shop"), CTL_OK);
        fault_fs_begin();
        fault_fs_power_off_after(n_calls);
        status = token_store(&s, token, form);
        fault_fs_end();
        token_store_close(&s);
        return status;
}

static void test_systemd_creds_fails(void **state)
{
        static const struct {
                const char *script, *why;
        } rows[] = {
                { NULL, "/usr/bin/systemd-creds is not installed" },
                { "cat >/dev/null; exit 1", "systemd-creds does not say why" },
                { "cat >/dev/null; printf 'A warning.\\nThe TPM is locked.\\n' >&2; exit 1", "The TPM is locked" },
                { "[ \"$1\" = encrypt ] && exec cat; echo 'No key.' >&2; exit 1", "No key" },
                { "cat; [ \"$1\" = encrypt ] || echo more", "systemd-creds does not give back what it got" },
        };

        scratch_write(*state, "tokens/shop", OLD "\n");
        FOREACH_ELEMENT(row, rows) {
                _cleanup_free_ char *expected = NULL;

                creds = row->script;
                assert_true(asprintf(&expected,
                                     "The token cannot be encrypted on this host (%s): store it with "
                                     "--plain, or see systemd-creds(1). Nothing was changed.",
                                     row->why) > 0);
                assert_int_equal(store(*state, TOKEN_ENCRYPTED, UINT_MAX), CTL_FAILED);
                assert_string_equal(said, expected);
                assert_file(*state, "tokens/shop", OLD "\n");
                assert_null(scratch_read(*state, "tokens.encrypted/shop"));
        }
        /* None of this is for want of a script that does as it should. */
        creds = "cat";
        assert_int_equal(store(*state, TOKEN_ENCRYPTED, UINT_MAX), CTL_OK);
        assert_file(*state, "tokens.encrypted/shop", NEW "\n");
}

static void test_no_directory(void **state)
{
        _cleanup_free_ char *expected = NULL;
        TokenStore s;

        scratch_write(*state, "tokens", "");
        assert_true(asprintf(&expected, "%s/tokens cannot be opened: Not a directory. Nothing was changed.",
                             (char *) *state) > 0);
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_FAILED);
        token_store_close(&s);
        assert_string_equal(said, expected);
}

/* At first there is nothing to put back; later that fails as well, as the disk is gone for good. */
static void test_disk_fails(void **state)
{
        unsigned n_unchanged = 0, n_left = 0;
        CtlExit status;

        for (unsigned n_calls = 0;; n_calls++) {
                scratch_write(*state, "tokens/shop", OLD "\n");
                status = store(*state, TOKEN_PLAIN, n_calls);
                if (status == CTL_OK)
                        break;
                if (strstr(said, "left")) {
                        assert_string_equal(said, "The token cannot be stored: Input/output error. See what is left in "
                                                  "/etc/tgswitch/tokens.");
                        n_left++;
                } else {
                        assert_string_equal(said, "The token cannot be stored: Input/output error. Nothing was "
                                                  "changed.");
                        assert_file(*state, "tokens/shop", OLD "\n");
                        n_unchanged++;
                }
        }
        assert_file(*state, "tokens/shop", NEW "\n");
        assert_true(n_unchanged > 0 && n_left > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_systemd_creds_fails, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_disk_fails, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
