/* SPDX-License-Identifier: MIT */
/*
 * Looks for tokens in the arguments and the environment of each program that begins in a scratch host, however short
 * its life is: by /etc/ld.so.preload, so also in what units with a sandbox or another user run. A look at /proc sees
 * only what still runs, and a program that is over in a millisecond is as good a place to read a token as any.
 *
 * Each find is a line in a FIFO that scenarios read at their end (canary.sh): "argv" or "environ", "long-" before it
 * where the text is cut off, the unit or "-", the program, and the text. A FIFO can be written to where the file system
 * is read-only. What cannot tell does not live: that fails the unit, and so the scenario.
 *
 * What is linked statically does not load it, and AddressSanitizer would have to be loaded first. What a program writes
 * over its arguments later is not seen here, but at the end, if it still runs.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "../canary.h"
#include "base/macro.h"

#define FIFO "/var/lib/canary"

/* The last part of the path of a control group, such as "shop.service". */
static void read_unit(char *unit, size_t size)
{
        char text[1024];
        int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
        char *slash;

        if (fd >= 0)
                close(fd);
        text[MAX(n, (ssize_t) 0)] = '\0';
        /* Of the hierarchy that systemd names its own, or the only one. */
        slash = strstr(text, "name=systemd:");
        slash = slash ?: strstr(text, "0::");
        if (slash)
                slash[strcspn(slash, "\n")] = '\0';
        slash = slash ? strrchr(slash, '/') : NULL;
        /* What comes from outside of the host is in "/../..", or in "/". */
        snprintf(unit, size, "%s", slash && strchr(slash, '.') && slash[1] != '.' ? slash + 1 : "-");
}

static void tell(const char *what, const char *text)
{
        char unit[256], line[PIPE_BUF]; /* so much is written to a FIFO as one */
        int fd, n;

        read_unit(unit, sizeof(unit));
        n = snprintf(line, sizeof(line), "%s %s %s %s", what, unit, program_invocation_short_name, text);
        /* Where a part is missing, nobody can say that there is only what may be. */
        if (n >= (int) sizeof(line))
                n = snprintf(line, sizeof(line), "long-%s %s %s %s", what, unit, program_invocation_short_name, text);
        n = MIN(n, (int) sizeof(line) - 1);
        /* One line, whatever is in it. */
        for (int i = 0; i < n; i++)
                if (line[i] == '\n')
                        line[i] = ' ';
        line[n++] = '\n';
        fd = open(FIFO, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || write(fd, line, (size_t) n) != n)
                abort();
        close(fd);
}

__attribute__((constructor)) static void look(int argc, char *argv[], char *envp[])
{
        int error = errno;

        for (char **arg = argv; arg && *arg; arg++)
                if (strstr(*arg, CANARY))
                        tell("argv", *arg);
        for (char **variable = envp; variable && *variable; variable++)
                if (strstr(*variable, CANARY))
                        tell("environ", *variable);
        errno = error;
}
