/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fs-util.h"
#include "ctl/ctl-seal.h"

#define PROGRAM "/usr/bin/systemd-creds"

/* Both ends close on exec; the child gets copies. */
typedef struct Pipe {
        int fds[2]; /* to read from, to write to */
} Pipe;

static void pipe_close(Pipe *p)
{
        for (int i = 0; i < 2; i++)
                closep(&p->fds[i]);
}

static void close_end(Pipe *p, int end)
{
        closep(&p->fds[end]);
        p->fds[end] = -EBADF;
}

void seal_memory(void)
{
        /* The first does not outlive exec(): for systemd-creds there is the second. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) setrlimit(RLIMIT_CORE, &(struct rlimit){});
}

char *seal_name(char buffer[static SEAL_NAME_SIZE], const char *kind, const char *bot)
{
        (void) snprintf(buffer, SEAL_NAME_SIZE, "encrypted-%s_%.32s", kind, bot);
        return buffer;
}

/* Everything up to the end; -EFBIG where that is too much. What is not returned is wiped. */
static int read_end(int fd, char **ret, size_t *ret_size)
{
        char *bytes = malloc(SEALED_SIZE_MAX + 1);
        size_t size = 0;
        int r = -EFBIG;

        if (!bytes)
                return -ENOMEM;
        while (size <= SEALED_SIZE_MAX) {
                ssize_t n = read(fd, bytes + size, SEALED_SIZE_MAX + 1 - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        r = n < 0 ? -errno : 0;
                        break;
                }
                size += (size_t) n;
        }
        if (r < 0) {
                explicit_bzero(bytes, SEALED_SIZE_MAX + 1);
                free(bytes);
                return r;
        }
        bytes[size] = '\0';
        *ret = bytes;
        *ret_size = size;
        return 0;
}

static int start(char *const *argv, const Pipe *in, const Pipe *out, const Pipe *complaints, pid_t *ret)
{
        static char *const environment[] = { (char *) "LANG=C.UTF-8", (char *) "SYSTEMD_COLORS=0", NULL };
        posix_spawn_file_actions_t actions;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        if ((r = posix_spawn_file_actions_adddup2(&actions, in->fds[0], STDIN_FILENO)) == 0 &&
            (r = posix_spawn_file_actions_adddup2(&actions, out->fds[1], STDOUT_FILENO)) == 0 &&
            (r = posix_spawn_file_actions_adddup2(&actions, complaints->fds[1], STDERR_FILENO)) == 0)
                r = posix_spawn(ret, PROGRAM, &actions, NULL, argv, environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* The last line, which has the reason; those before it may be warnings. */
static char *last_line(char *text)
{
        char *end = text + strlen(text), *newline;

        while (end > text && (end[-1] == '\n' || end[-1] == '.'))
                *--end = '\0';
        newline = strrchr(text, '\n');
        return strdup(isempty(text) ? "systemd-creds does not say why" : newline ? newline + 1 : text);
}

/* Waits for the program; whether it succeeded. */
static bool succeeded(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return false;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int say(char **ret_why, const char *why)
{
        *ret_why = strdup(why);
        return *ret_why ? -EIO : -ENOMEM;
}

static int run(const char *verb, const char *name, const char *bytes, size_t size, char **ret, size_t *ret_size,
               char **ret_why)
{
        _cleanup_(pipe_close) Pipe in = { { -EBADF, -EBADF } }, out = in, complaints = in;
        _cleanup_free_ char *complaint = NULL, *said = NULL;
        char option[SEAL_NAME_SIZE + 8];
        char *const argv[] = { (char *) PROGRAM, (char *) verb, option, (char *) "-", (char *) "-", NULL };
        size_t complaint_size;
        pid_t pid;
        int r;

        if (size > SEALED_SIZE_MAX)
                return say(ret_why, "it is too large");
        (void) snprintf(option, sizeof(option), "--name=%s", name);
        if (pipe2(in.fds, O_CLOEXEC) < 0 || pipe2(out.fds, O_CLOEXEC) < 0 || pipe2(complaints.fds, O_CLOEXEC) < 0)
                return say(ret_why, strerror(errno));
        /* It fits into the pipe, so this waits for nobody. */
        r = write_all(in.fds[1], bytes, size);
        if (r >= 0)
                r = start(argv, &in, &out, &complaints, &pid);
        if (r < 0)
                return r == -ENOENT ? say(ret_why, PROGRAM " is not installed") : say(ret_why, strerror(-r));
        close_end(&in, 0);
        close_end(&in, 1);
        close_end(&out, 1);
        close_end(&complaints, 1);
        r = read_end(out.fds[0], ret, ret_size);
        close_end(&out, 0);
        if (read_end(complaints.fds[0], &complaint, &complaint_size) < 0)
                complaint = NULL;
        close_end(&complaints, 0);
        if (succeeded(pid) && r >= 0)
                return 0;
        if (r >= 0) {
                explicit_bzero(*ret, *ret_size);
                free(*ret);
                *ret = NULL;
        }
        said = last_line(complaint ?: (char[]){ "" });
        return r == -ENOMEM || !said ? -ENOMEM : say(ret_why, r < 0 ? strerror(-r) : said);
}

int seal(const char *name, const char *bytes, size_t size, char **ret, size_t *ret_size, char **ret_why)
{
        return run("encrypt", name, bytes, size, ret, ret_size, ret_why);
}

int unseal(const char *name, const char *bytes, size_t size, char **ret, size_t *ret_size, char **ret_why)
{
        return run("decrypt", name, bytes, size, ret, ret_size, ret_why);
}
