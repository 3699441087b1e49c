/* SPDX-License-Identifier: MIT */

/* How tgswitchctl takes a token and puts it into its file: from a pipe and from a terminal, which shows nothing of it
 * and is in order afterwards; in one step, with the one before it kept beside until somebody says which of them it is
 * to be. Encrypted ones need a host with a key: tests/host/scenarios/730-tokens.sh. Defends L7 and L9. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "../canary.h"
#include "scratch.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-seal.c"
#include "ctl/ctl-token.c"

#define OLD "7100000001:" CANARY_SECRET
#define NEW "7100000001:BB" CANARY_SECRET

/* The last thing that was said; there is never a token in it. */
static char said[1024];

CtlExit ctl_error(CtlExit status, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(said, sizeof(said), format, ap);
        va_end(ap);
        assert_null(strstr(said, CANARY_SECRET));
        return status;
}

static void assert_said(const char *words)
{
        if (!strstr(said, words))
                fail_msg("\"%s\" has no \"%s\"", said, words);
}

CtlExit ctl_oom(void)
{
        return CTL_FAILED;
}

static int set_up(void **state)
{
        *state = scratch_new();
        return 0;
}

static int tear_down(void **state)
{
        scratch_remove(*state);
        return 0;
}

static BotToken *token_of(const char *text)
{
        BotToken *t = NULL;

        assert_int_equal(bot_token_new(&t, text, strlen(text)), 0);
        return t;
}

/* ---- reading ---- */

/* What token_read() makes of it, with standard input from a pipe. */
static CtlExit read_from_pipe(const char *bytes, size_t size, BotToken **ret)
{
        int fds[2], before = dup(STDIN_FILENO);
        CtlExit status;

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], bytes, size), size);
        close(fds[1]);
        assert_return_code(dup2(fds[0], STDIN_FILENO), errno);
        close(fds[0]);
        status = token_read("shop", NULL, ret);
        assert_return_code(dup2(before, STDIN_FILENO), errno);
        close(before);
        return status;
}

static void test_read_from_pipe(void **state)
{
        static const char *const good[] = { OLD, OLD "\n", OLD "\r\n", "  " OLD " \t\n\n" };
        static const char *const bad[] = { OLD "\n" OLD "\n", "7100000001:AA", OLD " x", "shop", "0:" CANARY_SECRET };
        char zero[] = OLD "\0x", large[4096];

        FOREACH_ELEMENT(g, good) {
                _cleanup_(bot_token_freep) BotToken *t = NULL, *expected = token_of(OLD);

                assert_int_equal(read_from_pipe(*g, strlen(*g), &t), CTL_OK);
                assert_true(bot_token_equal(t, expected));
        }
        FOREACH_ELEMENT(b, bad) {
                BotToken *t = NULL;

                assert_int_equal(read_from_pipe(*b, strlen(*b), &t), CTL_CHECKS_FAILED);
                assert_null(t);
        }
        BotToken *t = NULL;

        assert_int_equal(read_from_pipe("", 0, &t), CTL_FAILED);
        assert_int_equal(read_from_pipe(" \n", 2, &t), CTL_FAILED);
        assert_int_equal(read_from_pipe(zero, sizeof(zero), &t), CTL_CHECKS_FAILED);
        memset(large, '1', sizeof(large));
        assert_int_equal(read_from_pipe(large, sizeof(large), &t), CTL_CHECKS_FAILED);
        assert_null(t);
}

static bool echoes(int terminal)
{
        struct termios t;

        assert_return_code(tcgetattr(terminal, &t), errno);
        return t.c_lflag & ECHO;
}

/* Exits, or ends, as `pid` does, which is a job of this session's terminal as a shell has it: where it stops, the shell
 * would have a terminal that shows what is typed. */
static _noreturn_ void look_after(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
                if (!echoes(STDIN_FILENO))
                        _exit(101);
                (void) kill(pid, SIGCONT);
        }
        if (WIFSIGNALED(status))
                (void) raise(WTERMSIG(status));
        _exit(WEXITSTATUS(status));
}

/* A child whose terminal is `path`, and whose standard input it is. Exits with what token_read() returned. */
static _noreturn_ void read_in_child(const char *path)
{
        BotToken *t = NULL;
        pid_t pid;
        int fd;

        (void) setsid();
        fd = open(path, O_RDWR);
        if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
                _exit(100);
        (void) signal(SIGTTOU, SIG_IGN);
        pid = fork();
        if (pid < 0 || (pid == 0 && (setpgid(0, 0) < 0 || tcsetpgrp(STDIN_FILENO, getpid()) < 0)))
                _exit(100);
        if (pid > 0)
                look_after(pid);
        (void) signal(SIGTTOU, SIG_DFL);
        _exit((int) token_read("shop", NULL, &t));
}

/* The signals that do not reach a process now: signal(7) has them count from 1. */
static uint64_t blocked_signals(pid_t pid)
{
        char path[64], line[256];
        uint64_t mask = 0;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                if (startswith(line, "SigBlk:"))
                        mask = strtoull(line + strlen("SigBlk:"), NULL, 16);
        (void) fclose(f);
        return mask;
}

/* While it waits for a line, which is when Ctrl-C reaches it, Ctrl-Z does not. */
static void assert_does_not_stop(pid_t pid)
{
        uint64_t mask;

        do
                mask = blocked_signals(pid);
        while (mask & UINT64_C(1) << (SIGINT - 1));
        assert_true(mask & UINT64_C(1) << (SIGTSTP - 1));
}

/* Types `keys` once the prompt is there. Returns what waitpid() said of the child; *ret_screen is all that was shown.
 */
static int type_on_terminal(const char *keys, char ret_screen[static 4096])
{
        int terminal = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
        size_t size = 0;
        bool typed = false;
        char path[64];
        ssize_t n;
        pid_t pid;

        assert_return_code(terminal, errno);
        assert_int_equal(grantpt(terminal), 0);
        assert_int_equal(unlockpt(terminal), 0);
        assert_int_equal(ptsname_r(terminal, path, sizeof(path)), 0);
        /* Kept open, so that its settings outlive the child. */
        slave = open(path, O_RDWR | O_NOCTTY);
        assert_return_code(slave, errno);
        assert_true(echoes(slave));
        /* A child that says nothing is not waited for. */
        (void) alarm(60);
        pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0) {
                close(terminal);
                read_in_child(path);
        }
        ret_screen[0] = '\0';
        while (!typed || !strchr(strchr(ret_screen, ':') ?: "", '\n')) {
                n = read(terminal, ret_screen + size, 4095 - size);
                assert_return_code(n, errno);
                size += (size_t) n;
                ret_screen[size] = '\0';
                if (!typed && strstr(ret_screen, "shown): ")) {
                        assert_false(echoes(slave));
                        assert_does_not_stop(tcgetpgrp(terminal));
                        assert_int_equal(write(terminal, keys, strlen(keys)), strlen(keys));
                        typed = true;
                }
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void) alarm(0);
        assert_true(echoes(slave));
        close(slave);
        close(terminal);
        return status;
}

static void test_read_from_terminal(void **state)
{
        char screen[4096];
        int status;

        status = type_on_terminal(OLD "\n", screen);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), CTL_OK);
        assert_non_null(strstr(screen, "Token of shop"));
        assert_null(strstr(screen, CANARY_SECRET));

        status = type_on_terminal("no token\n", screen);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), CTL_CHECKS_FAILED);
        assert_null(strstr(screen, "no token"));

        /* Ctrl-Z does not leave a terminal behind that the shell sets right under us; what stood on the line is gone.
         */
        status = type_on_terminal("7100\032" OLD "\n", screen);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), CTL_OK);
        assert_null(strstr(screen, CANARY_SECRET));

        /* Ctrl-C in the middle of it ends the program, and the terminal shows again what is typed. */
        status = type_on_terminal("7100000001:\003", screen);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGINT);
}

/* ---- storing ---- */

static void assert_file(const char *directory, const char *name, const char *content)
{
        _cleanup_free_ char *text = scratch_read(directory, name);

        if (!content) {
                assert_null(text);
                return;
        }
        assert_non_null(text);
        assert_string_equal(text, content);
}

static void test_store_and_keep(void **state)
{
        _cleanup_(bot_token_freep) BotToken *first = token_of(OLD), *second = token_of(NEW);
        _cleanup_close_ int root = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC);
        TokenStore s;
        struct stat st;

        (void) umask(0);
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(s.form, TOKEN_NONE);
        assert_null(s.token);
        assert_int_equal(token_store(&s, first, TOKEN_PLAIN), CTL_OK);
        assert_int_equal(token_keep(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", OLD "\n");
        assert_int_equal(fstatat(root, "tokens/shop", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);

        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(s.form, TOKEN_PLAIN);
        assert_true(bot_token_equal(s.token, first));
        assert_int_equal(token_store(&s, second, TOKEN_PLAIN), CTL_OK);
        assert_file(*state, "tokens/shop", NEW "\n");
        assert_file(*state, "tokens/.shop.previous", OLD "\n");
        assert_int_equal(token_keep(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", NEW "\n");
        assert_file(*state, "tokens/.shop.previous", NULL);
        assert_file(*state, "tokens/.shop.new", NULL);
}

static void test_put_back(void **state)
{
        _cleanup_(bot_token_freep) BotToken *token = token_of(NEW);
        TokenStore s;

        /* None was there. */
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_OK);
        assert_int_equal(token_put_back(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", NULL);

        scratch_write(*state, "tokens/shop", OLD "\n");
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_OK);
        assert_int_equal(token_put_back(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", OLD "\n");
        assert_file(*state, "tokens/.shop.previous", NULL);

        /* An encrypted one that this test cannot decrypt gives way to a plain one, and comes back. */
        scratch_write(*state, "tokens.encrypted/shop", "sealed");
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(s.form, TOKEN_ENCRYPTED);
        assert_null(s.token);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_OK);
        assert_file(*state, "tokens/shop", NEW "\n");
        assert_file(*state, "tokens.encrypted/shop", NULL);
        assert_int_equal(token_put_back(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", OLD "\n");
        assert_file(*state, "tokens.encrypted/shop", "sealed");
}

static void test_remove(void **state)
{
        static const char *const names[] = { "shop", ".shop.previous", ".shop.new", ".shop.new.tmp" };
        TokenStore s;

        scratch_write(*state, "tokens/shop", OLD "\n");
        scratch_write(*state, "tokens/news", NEW "\n");
        scratch_write(*state, "tokens.encrypted/shop", "sealed");
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(token_remove(&s), 0);
        assert_file(*state, "tokens/shop", NULL);
        assert_file(*state, "tokens.encrypted/shop", NULL);
        assert_int_equal(token_put_back(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", OLD "\n");
        assert_file(*state, "tokens.encrypted/shop", "sealed");

        /* For good, with what a process that was killed has left beside it; and once more, which is nothing. */
        scratch_write(*state, "tokens/.shop.new", NEW "\n");
        scratch_write(*state, "tokens/.shop.new.tmp", NEW "\n");
        for (int i = 0; i < 2; i++) {
                assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
                assert_int_equal(token_remove(&s), 0);
                assert_int_equal(token_keep(&s), 0);
                token_store_close(&s);
                FOREACH_ELEMENT(name, names) {
                        _cleanup_free_ char *plain = NULL, *sealed = NULL;

                        assert_true(asprintf(&plain, "tokens/%s", *name) > 0);
                        assert_true(asprintf(&sealed, "tokens.encrypted/%s", *name) > 0);
                        assert_file(*state, plain, NULL);
                        assert_file(*state, sealed, NULL);
                }
        }
        assert_file(*state, "tokens/news", NEW "\n");
}

static void test_read_from_file(void **state)
{
        _cleanup_(bot_token_freep) BotToken *t = NULL, *expected = token_of(OLD);
        _cleanup_free_ char *path = NULL;
        BotToken *none = NULL;

        scratch_write(*state, "token", OLD "\n");
        assert_true(asprintf(&path, "%s/token", (const char *) *state) > 0);
        assert_int_equal(token_read("shop", path, &t), CTL_OK);
        assert_true(bot_token_equal(t, expected));
        assert_int_equal(token_read("shop", "/none/such", &none), CTL_FAILED);
        assert_said("/none/such cannot be opened: No such file or directory. Nothing was changed.");
        assert_int_equal(token_read("shop", *state, &none), CTL_FAILED);
        assert_said("The token cannot be read from ");
        assert_said(": Is a directory. Nothing was changed.");
        scratch_write(*state, "token", "7100000001:AA\n");
        assert_int_equal(token_read("shop", path, &none), CTL_CHECKS_FAILED);
        assert_null(none);
}

/* The process died between storing a token and learning whether it is good: the last one known to be good is what a
 * later refusal brings back. */
static void test_died_in_between(void **state)
{
        _cleanup_(bot_token_freep) BotToken *token = token_of(NEW);
        TokenStore s;

        scratch_write(*state, "tokens/shop", OLD "\n");
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_false(s.unfinished);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_OK);
        token_store_close(&s);

        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_true(s.unfinished);
        assert_true(bot_token_equal(s.token, token));
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_OK);
        assert_int_equal(token_put_back(&s), 0);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", OLD "\n");
        assert_file(*state, "tokens/.shop.previous", NULL);
}

static void test_refusals(void **state)
{
        _cleanup_(bot_token_freep) BotToken *token = token_of(NEW);
        _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TokenStore s;

        assert_int_equal(token_store_open(&s, "/nonexistent", "shop"), CTL_FAILED);
        assert_said("/nonexistent cannot be opened: No such file or directory. Nothing was changed.");
        token_store_close(&s);
        scratch_write(*state, "tokens", "no directory");
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_FAILED);
        assert_said("/tokens cannot be opened: Not a directory. Nothing was changed.");
        token_store_close(&s);
        assert_int_equal(unlinkat(directory, "tokens", 0), 0);

        scratch_write(*state, "elsewhere", OLD "\n");
        scratch_write(*state, "tokens/other", OLD "\n");
        assert_int_equal(symlinkat("../elsewhere", directory, "tokens/shop"), 0);
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_FAILED);
        token_store_close(&s);
        assert_file(*state, "elsewhere", OLD "\n");

        /* Something that is not a file stands in the way: nothing is changed. */
        assert_int_equal(mkdirat(directory, "tokens/.page.new", 0700), 0);
        scratch_write(*state, "tokens/page", OLD "\n");
        assert_int_equal(token_store_open(&s, *state, "page"), CTL_OK);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_FAILED);
        assert_said("The token cannot be stored: Is a directory. Nothing was changed.");
        token_store_close(&s);
        assert_file(*state, "tokens/page", OLD "\n");
        assert_file(*state, "tokens/.page.previous", NULL);
        assert_file(*state, "tokens/other", OLD "\n");
}

/* The process died in between, and the disk is full at the next attempt: what is there stays, though an older one is
 * kept beside it. */
static void test_failure_touches_nothing(void **state)
{
        _cleanup_(bot_token_freep) BotToken *token = token_of(NEW);
        _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TokenStore s;

        scratch_write(*state, "tokens/shop", NEW "\n");
        scratch_write(*state, "tokens/.shop.previous", OLD "\n");
        assert_int_equal(mkdirat(directory, "tokens/.shop.new", 0700), 0);
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_FAILED);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", NEW "\n");
        assert_file(*state, "tokens/.shop.previous", OLD "\n");
}

/* Where a token would be kept stands something it could not be brought back from: nothing is begun. */
static void test_cannot_be_kept(void **state)
{
        _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TokenStore s;

        scratch_write(*state, "tokens/shop", OLD "\n");
        assert_int_equal(mkdirat(directory, "tokens.encrypted", 0700), 0);
        for (int link = 0; link <= 1; link++) {
                if (link)
                        assert_int_equal(symlinkat("shop", directory, "tokens.encrypted/.shop.previous"), 0);
                else
                        assert_int_equal(mkdirat(directory, "tokens.encrypted/.shop.previous", 0700), 0);
                assert_int_equal(token_store_open(&s, *state, "shop"), CTL_FAILED);
                assert_said("tokens.encrypted/.shop.previous is no file, and the token before would be kept under that "
                            "name to be put back: move it away. Nothing was changed.");
                token_store_close(&s);
                assert_int_equal(unlinkat(directory, "tokens.encrypted/.shop.previous", link ? 0 : AT_REMOVEDIR), 0);
        }

        /* Nor where it comes there in between. */
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(mkdirat(directory, "tokens/.shop.previous", 0700), 0);
        assert_int_equal(token_remove(&s), -EEXIST);
        token_store_close(&s);
        assert_file(*state, "tokens/shop", OLD "\n");
}

/* Neither the other form nor what it was can be moved where it has to go: what is left is told. */
static void test_cannot_be_put_back(void **state)
{
        _cleanup_(bot_token_freep) BotToken *token = token_of(NEW);
        _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TokenStore s;

        scratch_write(*state, "tokens.encrypted/shop", "sealed");
        assert_int_equal(token_store_open(&s, *state, "shop"), CTL_OK);
        assert_int_equal(mkdirat(directory, "tokens.encrypted/.shop.previous", 0700), 0);
        assert_int_equal(token_store(&s, token, TOKEN_PLAIN), CTL_FAILED);
        assert_said("The token cannot be stored: Is a directory. See what is left in /etc/tgswitch/tokens.");
        token_store_close(&s);
        assert_file(*state, "tokens.encrypted/shop", "sealed");
}

static void test_no_core(void **state)
{
        pid_t pid = fork();
        int status;

        assert_return_code(pid, errno);
        if (pid == 0) {
                struct rlimit limit = { 1, 1 };

                seal_memory();
                (void) getrlimit(RLIMIT_CORE, &limit);
                _exit(prctl(PR_GET_DUMPABLE) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_seal_names(void **state)
{
        char name[SEAL_NAME_SIZE];

        assert_string_equal(seal_name(name, "token", "shop"), "encrypted-token_shop");
        assert_string_equal(seal_name(name, "secret", "a2345678901234567890123456789012"),
                            "encrypted-secret_a2345678901234567890123456789012");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_read_from_pipe),
                cmocka_unit_test(test_read_from_terminal),
                cmocka_unit_test_setup_teardown(test_store_and_keep, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_put_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_read_from_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_died_in_between, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_failure_touches_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cannot_be_kept, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cannot_be_put_back, set_up, tear_down),
                cmocka_unit_test(test_no_core),
                cmocka_unit_test(test_seal_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
