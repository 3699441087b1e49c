/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/macro.h"
#include "bus-daemon.h"

static const char configuration[] =
                "<busconfig><type>session</type><listen>%s</listen><auth>EXTERNAL</auth><policy context=\"default\">"
                "<allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/>"
                "<allow send_type=\"method_call\"/></policy></busconfig>";

static void fail(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

void bus_daemon_start(BusDaemon *d)
{
        const char *parent = getenv("TMPDIR");
        char path[128], announced[256];
        int address[2];
        FILE *f;

        (void) snprintf(d->directory, sizeof(d->directory), "%s/test-bus-XXXXXX", parent ?: "/tmp");
        if (!mkdtemp(d->directory) || chmod(d->directory, 0755) < 0)
                fail(d->directory);
        (void) snprintf(d->address, sizeof(d->address), "unix:path=%s/bus", d->directory);
        (void) snprintf(path, sizeof(path), "%s/bus.conf", d->directory);
        f = fopen(path, "we");
        if (!f || fprintf(f, configuration, d->address) < 0 || fclose(f) != 0)
                fail(path);

        if (pipe(address) < 0)
                fail("pipe");
        d->pid = fork();
        if (d->pid < 0)
                fail("fork");
        if (d->pid == 0) {
                char fd[32], file[160];

                (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
                close(address[0]);
                (void) snprintf(fd, sizeof(fd), "--print-address=%d", address[1]);
                (void) snprintf(file, sizeof(file), "--config-file=%s", path);
                execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nosyslog", file, fd, NULL);
                _exit(127);
        }
        close(address[1]);

        /* the address is written once the socket listens */
        f = fdopen(address[0], "re");
        if (!f || !fgets(announced, sizeof(announced), f))
                fail("dbus-daemon");
        fclose(f);
}

void bus_daemon_stop(BusDaemon *d)
{
        char path[128];

        (void) kill(d->pid, SIGTERM);
        (void) waitpid(d->pid, NULL, 0);
        (void) snprintf(path, sizeof(path), "%s/bus", d->directory);
        (void) unlink(path);
        (void) snprintf(path, sizeof(path), "%s/bus.conf", d->directory);
        (void) unlink(path);
        (void) rmdir(d->directory);
}
