/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"

/* tgswitchctl: what the command line said, and what all verbs share. The program talks to org.tgswitch1(5) and to
 * nothing else; `authorize` and `adopt`, which are root's, read the configuration too and ask systemd. */

/* tgswitchctl(1), EXIT STATUS */
typedef enum CtlExit {
        CTL_OK = 0,
        CTL_FAILED = 1,
        CTL_USAGE = 2,
        CTL_NOT_FOUND = 3,
        CTL_TOO_EARLY = 4,
        CTL_CHECKS_FAILED = 5,
        CTL_SOME_FAILED = 6,
        CTL_BUSY = 7,
        CTL_DENIED = 8,
        CTL_UNREACHABLE = 9,
} CtlExit;

typedef struct Ctl {
        sd_bus *bus; /* NULL until ctl_connect() */
        bool all, yes, no_wait, json, clear, strict, when_allowed, automatic;
        bool environment, exec, pending_updates, undo, force, restart; /* of adopt */
        bool encrypt, plain, webhook;                                  /* of set-token, as is `force` */
        bool no_ask_password, help, version;
        bool quiet;  /* of is-local */
        bool brief;  /* no verb was given: all on one screen, and what to do next */
        pid_t agent; /* ctl-agent.h; 0: none runs */
        const char *reason, *on_undrained, *hold_at, *output, *hold_for, *hold_until, *bot;
        const char *limit, *since;             /* of history */
        const char *token_file, *initial_seat; /* of add */
        char **workers;                        /* the same; owned */
        const char *host;                      /* whose system bus: [USER@]HOST, by ssh; NULL: that of this host */
        char **arguments;                      /* what follows the verb; NULL-terminated */

        bool terminal; /* standard output is one */
        bool dumb;     /* which obeys no control codes: lines cannot be written over */
        bool colour;
} Ctl;

#define CTL_JSON_SCHEMA 1

/* Verbs: return the exit status. */
CtlExit verb_status(Ctl *c);
CtlExit verb_list(Ctl *c);
CtlExit verb_plan(Ctl *c);
CtlExit verb_check(Ctl *c);
CtlExit verb_switch(Ctl *c);
CtlExit verb_is_local(Ctl *c);
CtlExit verb_monitor(Ctl *c);
CtlExit verb_wait(Ctl *c);
CtlExit verb_cancel(Ctl *c);
CtlExit verb_proceed(Ctl *c);
CtlExit verb_hold(Ctl *c);
CtlExit verb_release(Ctl *c);
CtlExit verb_set_seat(Ctl *c);
CtlExit verb_spool(Ctl *c);
CtlExit verb_history(Ctl *c);
CtlExit verb_metrics(Ctl *c);
CtlExit verb_reload(Ctl *c);
CtlExit verb_authorize(Ctl *c);
CtlExit verb_add(Ctl *c);
CtlExit verb_remove(Ctl *c);
CtlExit verb_adopt(Ctl *c);
CtlExit verb_set_token(Ctl *c);
CtlExit verb_check_credentials(Ctl *c);

/* How this program is called again, with --host where that was given. */
const char *ctl_program(const Ctl *c);
/* How that command is given from here: with --host it gets the option, or, where it acts on the host on which it is
 * typed, ssh in front. In a static buffer; `command` itself without --host. */
const char *ctl_command(const Ctl *c, const char *command);

/* A sentence for standard error. Returns `status`, to be returned. */
CtlExit ctl_error(CtlExit status, const char *format, ...) _printf_(2, 3);
CtlExit ctl_oom(void);

/* Ctrl-C is to end the program when there is no half of what it does left to be seen. Given back by
 * sigprocmask(SIG_SETMASK, …). */
static inline void ctl_block_signals(sigset_t *ret_before)
{
        sigset_t impatience;

        (void) sigemptyset(&impatience);
        (void) sigaddset(&impatience, SIGINT);
        (void) sigaddset(&impatience, SIGTERM);
        (void) sigaddset(&impatience, SIGHUP);
        (void) sigaddset(&impatience, SIGQUIT);
        (void) sigprocmask(SIG_BLOCK, &impatience, ret_before);
}

/* Asks on the terminal; true for an answer that begins with y. */
bool ctl_ask(const char *format, ...) _printf_(1, 2);

/* What a verb prints with --json: an object that begins with "schema"; printing it as one line takes it. */
json_object *ctl_json_new(void);
CtlExit ctl_print_json(json_object *object);
/* Adds a member; takes `value`. A NULL of json-c for want of memory ends the program. */
void ctl_json_add(json_object *object, const char *key, json_object *value);
