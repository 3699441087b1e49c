/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/fs-util.h"
#include "ctl/ctl-seal.h"
#include "ctl/ctl-token.h"

/* Of what is read: a token and what people put around it. */
#define INPUT_SIZE 512

#define WHITESPACE " \t\r\n"

/* ---- reading ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
        interrupted = signal_number;
}

static const int impatience[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* All there is up to its end, or to the end of the line; what does not fit is -EFBIG. */
static ssize_t read_input(int fd, char *buffer, size_t size_max, bool one_line, const sigset_t *while_waiting)
{
        struct pollfd input = { .fd = fd, .events = POLLIN };
        size_t size = 0;

        while (size < size_max) {
                /* A signal counts only while we wait: none can come just before that and be slept over. */
                int ready = while_waiting ? ppoll(&input, 1, NULL, while_waiting) : 1;
                ssize_t n = ready < 0 ? -1 : read(fd, buffer + size, size_max - size);

                if (n < 0 && errno == EINTR && interrupted == 0)
                        continue;
                if (n < 0)
                        return -errno;
                size += (size_t) n;
                if (n == 0 || (one_line && memchr(buffer, '\n', size)))
                        return (ssize_t) size;
        }
        return -EFBIG;
}

/* Only while the line is typed: whoever ends the program in between finds a terminal that shows what is typed. */
static ssize_t read_without_echo(const char *bot, char *buffer, size_t size_max)
{
        struct sigaction action = { .sa_handler = on_signal }, before[ELEMENTSOF(impatience)];
        sigset_t mask, mask_before, while_waiting;
        struct termios shown, hidden;
        ssize_t r;

        if (tcgetattr(STDIN_FILENO, &shown) < 0)
                return -errno;
        interrupted = 0;
        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(impatience); i++)
                (void) sigaddset(&mask, impatience[i]);
        /* Ctrl-Z stops us when the line is there: the shell would show the terminal's echo again, and leave it on. */
        (void) sigaddset(&mask, SIGTSTP);
        (void) sigprocmask(SIG_BLOCK, &mask, &mask_before);
        while_waiting = mask_before;
        (void) sigaddset(&while_waiting, SIGTSTP);
        for (size_t i = 0; i < ELEMENTSOF(impatience); i++)
                (void) sigaction(impatience[i], &action, before + i);
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t) (ECHO | ECHOE | ECHOK | ECHONL);
        /* First, since it drops what was typed before: what comes after the prompt is to count. */
        r = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0 ? -errno : 0;
        if (r >= 0) {
                fprintf(stderr, "Token of %s (it is not shown): ", bot);
                r = read_input(STDIN_FILENO, buffer, size_max, true, &while_waiting);
        }
        (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
        for (size_t i = 0; i < ELEMENTSOF(impatience); i++)
                (void) sigaction(impatience[i], before + i, NULL);
        (void) sigprocmask(SIG_SETMASK, &mask_before, NULL);
        if (interrupted != 0) {
                explicit_bzero(buffer, size_max);
                (void) raise(interrupted);
        }
        return r;
}

static CtlExit no_token(void)
{
        return ctl_error(CTL_CHECKS_FAILED,
                         "This is no bot token: it has to be one line as BotFather gave it, a number, a colon and 35 "
                         "letters, digits, - and _. Nothing was changed.");
}

static CtlExit parse(const char *input, size_t size, BotToken **ret)
{
        int r;

        while (size > 0 && strchr(WHITESPACE, input[size - 1]))
                size--;
        for (; size > 0 && strchr(WHITESPACE, *input); size--)
                input++;
        if (size == 0)
                return ctl_error(CTL_FAILED,
                                 "No token was given: it is one line on standard input, as BotFather gave it. Nothing "
                                 "was changed.");
        r = bot_token_new(ret, input, size);
        return r == -EINVAL ? no_token() : r < 0 ? ctl_oom() : CTL_OK;
}

CtlExit token_read(const char *bot, const char *file, BotToken **ret)
{
        bool is_file = file && !streq(file, "-");
        _cleanup_close_ int opened = is_file ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -EBADF;
        int fd = is_file ? opened : STDIN_FILENO;
        char input[INPUT_SIZE] = "";
        CtlExit status;
        ssize_t n;

        if (fd < 0)
                return ctl_error(CTL_FAILED, "%s cannot be opened: %s. Nothing was changed.", file, strerror(errno));
        n = !is_file && isatty(fd) ? read_without_echo(bot, input, sizeof(input))
                                   : read_input(fd, input, sizeof(input), false, NULL);
        if (n == -EFBIG)
                status = no_token();
        else if (n < 0)
                status = ctl_error(CTL_FAILED, "The token cannot be read from %s: %s. Nothing was changed.",
                                   is_file ? file : "standard input", strerror((int) -n));
        else
                status = parse(input, (size_t) n, ret);
        explicit_bzero(input, sizeof(input));
        return status;
}

/* ---- what is there ---- */

static const char *const forms[TOKEN_FORM_MAX] = {
        [TOKEN_NONE] = "none",
        [TOKEN_PLAIN] = "plain",
        [TOKEN_ENCRYPTED] = "encrypted",
};

static const char *const directories[TOKEN_FORM_MAX] = {
        [TOKEN_PLAIN] = "tokens",
        [TOKEN_ENCRYPTED] = "tokens.encrypted",
};

const char *token_form_to_string(TokenForm f)
{
        return f >= 0 && f < TOKEN_FORM_MAX ? forms[f] : NULL;
}

char *token_path(TokenForm form, const char *bot)
{
        char *path;

        assert(form > TOKEN_NONE && form < TOKEN_FORM_MAX);
        return asprintf(&path, TOKEN_ROOT "/%s/%s", directories[form], bot) < 0 ? NULL : path;
}

TokenForm token_form_best(const char *bot)
{
        static const char example[] = "no token";
        char name[SEAL_NAME_SIZE], *sealed = NULL, *plain = NULL;
        _cleanup_free_ char *why = NULL;
        size_t size, plain_size;
        int r;

        (void) seal_name(name, "token", bot);
        r = seal(name, example, sizeof(example), &sealed, &size, &why);
        if (r < 0)
                return TOKEN_PLAIN;
        r = unseal(name, sealed, size, &plain, &plain_size, &why);
        free(sealed);
        if (r < 0)
                return TOKEN_PLAIN;
        free(plain);
        return TOKEN_ENCRYPTED;
}

/* Beside NAME, and hidden, so that systemd makes no credential of it. */
typedef enum Beside {
        BESIDE_NEW,
        BESIDE_PREVIOUS,
} Beside;

static const char *beside(char buffer[static 64], const TokenStore *s, Beside b)
{
        (void) snprintf(buffer, 64, ".%s.%s", s->bot, b == BESIDE_NEW ? "new" : "previous");
        return buffer;
}

static bool is_there(int directory, const char *name)
{
        struct stat st;

        return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_link(int directory, const char *name)
{
        struct stat st;

        return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* Whether what was there before could be kept under that name, and brought back: nothing but an older one stands there.
 */
static bool can_keep(int directory, const char *previous)
{
        struct stat st;

        return fstatat(directory, previous, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode);
}

/* What cannot be read or understood is no token: it is about to be replaced. */
static BotToken *read_token(const TokenStore *s, TokenForm form)
{
        char name[SEAL_NAME_SIZE], *bytes = NULL, *plain = NULL;
        _cleanup_free_ char *why = NULL;
        BotToken *token = NULL;
        size_t size, plain_size;

        if (read_file_at(s->directories[form], s->bot, O_NOFOLLOW, SEALED_SIZE_MAX, &bytes, &size) < 0)
                return NULL;
        if (form == TOKEN_ENCRYPTED &&
            unseal(seal_name(name, "token", s->bot), bytes, size, &plain, &plain_size, &why) >= 0) {
                free(bytes);
                bytes = plain;
                size = plain_size;
        }
        if (bot_token_new(&token, bytes, size) < 0)
                token = NULL;
        explicit_bzero(bytes, size);
        free(bytes);
        return token;
}

CtlExit token_store_open(TokenStore *s, const char *root, const char *bot)
{
        _cleanup_close_ int directory = -EBADF;
        char previous[64];
        int r;

        *s = (TokenStore){ .directories = { -EBADF, -EBADF, -EBADF } };
        (void) snprintf(s->bot, sizeof(s->bot), "%.32s", bot);
        directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return ctl_error(CTL_FAILED, "%s cannot be opened: %s. Nothing was changed.", root, strerror(errno));
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++) {
                r = open_directory_at(directory, directories[f], 0700, &s->directories[f]);
                if (r < 0)
                        return ctl_error(CTL_FAILED, "%s/%s cannot be opened: %s. Nothing was changed.", root,
                                         directories[f], strerror(-r));
                if (is_link(s->directories[f], bot))
                        return ctl_error(CTL_FAILED,
                                         "%s/%s/%s is a symbolic link: store the token where it leads to, and run "
                                         "'systemctl restart tgswitchd'. Nothing was changed.",
                                         root, directories[f], bot);
                if (!can_keep(s->directories[f], beside(previous, s, BESIDE_PREVIOUS)))
                        return ctl_error(CTL_FAILED,
                                         "%s/%s/%s is no file, and the token before would be kept under that name to "
                                         "be put back: move it away. Nothing was changed.",
                                         root, directories[f], previous);
                if (is_there(s->directories[f], bot))
                        s->form = f;
                if (is_there(s->directories[f], beside(previous, s, BESIDE_PREVIOUS)))
                        s->unfinished = true;
        }
        if (s->form != TOKEN_NONE)
                s->token = read_token(s, s->form);
        return CTL_OK;
}

void token_store_close(TokenStore *s)
{
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++)
                closep(&s->directories[f]);
        s->token = bot_token_free(s->token);
        *s = (TokenStore){ .directories = { -EBADF, -EBADF, -EBADF } };
}

/* ---- storing ---- */

/* The bytes of the file, to be wiped and freed. What this host could not decrypt must never take the old one's place.
 */
static CtlExit render(const TokenStore *s, const BotToken *token, TokenForm form, char **ret, size_t *ret_size)
{
        char name[SEAL_NAME_SIZE], line[BOT_TOKEN_SIZE_MAX + 2], *again = NULL;
        size_t size = (size_t) snprintf(line, sizeof(line), "%s\n", bot_token_reveal(token)), again_size;
        _cleanup_free_ char *why = NULL;
        bool same = true;
        int r = 0;

        if (form == TOKEN_PLAIN) {
                *ret = strdup(line);
                *ret_size = size;
        } else {
                (void) seal_name(name, "token", s->bot);
                r = seal(name, line, size, ret, ret_size, &why);
                if (r >= 0 && (r = unseal(name, *ret, *ret_size, &again, &again_size, &why)) < 0)
                        free(*ret);
                if (r >= 0) {
                        same = again_size == size && memcmp(again, line, size) == 0;
                        explicit_bzero(again, again_size);
                        free(again);
                        if (!same)
                                free(*ret);
                }
        }
        explicit_bzero(line, sizeof(line));
        if (r == -ENOMEM || (r >= 0 && !*ret))
                return ctl_oom();
        if (r < 0 || !same)
                return ctl_error(CTL_FAILED,
                                 "The token cannot be encrypted on this host (%s): store it with --plain, or see "
                                 "systemd-creds(1). Nothing was changed.",
                                 why ?: "systemd-creds does not give back what it got");
        return CTL_OK;
}

/* An older one that is kept already stays: it is the last that was known to be good. 1: it was not there before. */
static int keep_beside(const TokenStore *s, int directory)
{
        char previous[64];
        int r;

        if (linkat(directory, s->bot, directory, beside(previous, s, BESIDE_PREVIOUS), 0) >= 0)
                return 1;
        r = -errno;
        return r == -ENOENT || (r == -EEXIST && can_keep(directory, previous)) ? 0 : r;
}

static int sync_directory(int directory)
{
        return fsync(directory) < 0 ? -errno : 0;
}

/* The new one may be in its place, as `touched` says, also where this fails. */
static int replace(TokenStore *s, TokenForm form, const char *bytes, size_t size)
{
        int directory = s->directories[form],
            other = s->directories[form == TOKEN_PLAIN ? TOKEN_ENCRYPTED : TOKEN_PLAIN];
        char fresh[64], previous[64];
        int r, kept;

        (void) beside(previous, s, BESIDE_PREVIOUS);
        r = write_file_atomic_at(directory, beside(fresh, s, BESIDE_NEW), bytes, size, 0600, WRITE_SYNC);
        if (r < 0)
                return r;
        r = kept = keep_beside(s, directory);
        if (r >= 0 && renameat(directory, fresh, directory, s->bot) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(directory, fresh, 0);
                if (kept > 0)
                        (void) unlinkat(directory, previous, 0);
                return r;
        }
        s->touched = true;
        r = sync_directory(directory);
        if (r < 0 || !is_there(other, s->bot))
                return r;
        if (renameat(other, s->bot, other, previous) < 0)
                return -errno;
        return sync_directory(other);
}

CtlExit token_store(TokenStore *s, const BotToken *token, TokenForm form)
{
        char *bytes = NULL;
        size_t size = 0;
        CtlExit status;
        int r, back;

        assert(form == TOKEN_PLAIN || form == TOKEN_ENCRYPTED);

        status = render(s, token, form, &bytes, &size);
        if (status != CTL_OK)
                return status;
        assert(bytes);
        s->touched = false;
        r = replace(s, form, bytes, size);
        explicit_bzero(bytes, size);
        free(bytes);
        if (r >= 0)
                return CTL_OK;
        back = s->touched ? token_put_back(s) : 0;
        s->touched = back < 0;
        return ctl_error(CTL_FAILED, "The token cannot be stored: %s. %s", strerror(-r),
                         back >= 0 ? "Nothing was changed." : "See what is left in " TOKEN_ROOT "/tokens.");
}

int token_remove(TokenStore *s)
{
        char previous[64];
        int r;

        (void) beside(previous, s, BESIDE_PREVIOUS);
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++) {
                int directory = s->directories[f];

                r = keep_beside(s, directory);
                if (r < 0 || (r = unlink_if_exists_at(directory, s->bot)) < 0)
                        return r;
                if (r > 0 && (r = sync_directory(directory)) < 0)
                        return r;
        }
        return 0;
}

int token_keep(TokenStore *s)
{
        char previous[64], fresh[64], half[80];
        const char *const names[] = { previous, fresh, half };
        int r;

        (void) beside(previous, s, BESIDE_PREVIOUS);
        /* left by a run that was killed */
        (void) snprintf(half, sizeof(half), "%s.tmp", beside(fresh, s, BESIDE_NEW));
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++) {
                bool any = false;

                FOREACH_ELEMENT(name, names) {
                        r = unlink_if_exists_at(s->directories[f], *name);
                        if (r < 0)
                                return r;
                        any |= r > 0;
                }
                if (any && (r = sync_directory(s->directories[f])) < 0)
                        return r;
        }
        return 0;
}

int token_put_back(TokenStore *s)
{
        bool kept[TOKEN_FORM_MAX] = {}, any = false;
        char previous[64];

        (void) beside(previous, s, BESIDE_PREVIOUS);
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++)
                any |= kept[f] = is_there(s->directories[f], previous);
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++) {
                int directory = s->directories[f], r = 0;

                /* Of two names of one file rename() leaves both. */
                if (kept[f])
                        r = renameat(directory, previous, directory, s->bot) < 0
                                            ? -errno
                                            : unlink_if_exists_at(directory, previous);
                else if (any || s->form == TOKEN_NONE)
                        r = unlink_if_exists_at(directory, s->bot);
                if (r < 0 || (r = sync_directory(directory)) < 0)
                        return r;
        }
        return 0;
}
