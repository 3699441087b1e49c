/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ctl/ctl-agent.h"

#define PROGRAM "/usr/bin/pkttyagent"
/* For polkit to answer the agent. One that hangs must not keep us from asking. */
#define READY_TIMEOUT_MSEC 10000

/* In the child, up to exec: nothing of it returns. */
static _noreturn_ void become_agent(pid_t parent, int notify_fd)
{
        char option[24];
        sigset_t none;

        (void) signal(SIGINT, SIG_DFL);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        /* It must not outlive us, and could not see our end before the line above. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) snprintf(option, sizeof(option), "%d", notify_fd);
        /* --fallback: it does not take the place of an agent that is there. */
        (void) execl(PROGRAM, PROGRAM, "--notify-fd", option, "--fallback", NULL);
        _exit(EXIT_FAILURE);
}

void agent_open(Ctl *c)
{
        _cleanup_close_ int ready = -EBADF, notify = -EBADF;
        pid_t parent = getpid(), pid;
        int fds[2];

        /* Ctrl-C at its last question has ended it. */
        if (c->agent > 0 && waitpid(c->agent, NULL, WNOHANG) == c->agent)
                c->agent = 0;
        if (c->agent > 0 || c->no_ask_password || c->host || geteuid() == 0 || !isatty(STDIN_FILENO))
                return;
        /* What we have printed stands before its question. */
        fflush(stdout);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        ready = fds[0];
        notify = fds[1];
        pid = fork();
        if (pid < 0)
                return;
        if (pid == 0) {
                if (fcntl(notify, F_SETFD, 0) < 0)
                        _exit(EXIT_FAILURE);
                become_agent(parent, notify);
        }
        c->agent = pid;
        closep(&notify);
        notify = -EBADF;
        /* It closes its end when it is registered; the kernel does where it could not be. */
        (void) poll(&(struct pollfd){ .fd = ready }, 1, READY_TIMEOUT_MSEC);
}

void agent_close(Ctl *c)
{
        if (c->agent <= 0)
                return;
        (void) kill(c->agent, SIGTERM);
        (void) kill(c->agent, SIGCONT);
        while (waitpid(c->agent, NULL, 0) < 0)
                if (errno != EINTR)
                        break;
        c->agent = 0;
}
