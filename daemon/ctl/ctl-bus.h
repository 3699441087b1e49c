/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl.h"

/* org.tgswitch1 from the outside: its objects read into plain structures. */

#define BUS_NAME              "org.tgswitch1"
#define BUS_PATH              "/org/tgswitch1"
#define BUS_BOT_PREFIX        "/org/tgswitch1/bot/"
#define BUS_JOB_PREFIX        "/org/tgswitch1/job/"
#define BUS_MANAGER_INTERFACE "org.tgswitch1.Manager"
#define BUS_BOT_INTERFACE     "org.tgswitch1.Bot"
#define BUS_JOB_INTERFACE     "org.tgswitch1.Job"

/* A job: running, or the last one of a bot, which has a result. Strings may be NULL where the bus did not tell. */
typedef struct CtlJob {
        uint32_t id; /* 0: there is none */
        char *bot, *target, *phase, *reason, *requester, *result, *error;
        bool holding, cancellable;
        usec_t started_usec, phase_started_usec, ended_usec;
        usec_t not_before_usec; /* of a queued one; 0: not known */
        uint64_t drained, spooled, handed_over;
        usec_t blind_usec, downtime_usec;
        uint64_t as_of; /* number of the message that told this, among those of its sender; 0: none did */
} CtlJob;

typedef struct CtlBot {
        char *name, *seat, *phase, *target, *endpoint, *last_result, *last_error, *held_reason;
        int64_t id;
        char **workers;
        usec_t logged_out_usec, cloud_allowed_usec, local_allowed_usec, held_until_usec, pending_usec;
        bool stale_session;
        uint64_t pending, spooled;
        uint32_t job_id; /* of the running one; 0: none */
        CtlJob last_job;
        bool selected;
        bool named; /* selected by a name or glob, not because all are */
} CtlBot;

typedef struct CtlState {
        char *version, *server_state;
        CtlBot *bots; /* sorted by name */
        size_t n_bots;
        CtlJob *jobs; /* running ones */
        size_t n_jobs;
} CtlState;

/* Connects to the system bus, of this host or of that of --host; says so on standard error where that fails. */
CtlExit ctl_connect(Ctl *c) _must_check_;

/* A call that polkit may put to somebody (org.tgswitch1(5)): with the right to ask for a password, where it is not
 * waived, and somebody to ask; it waits for as long as that may take, or for `timeout_usec` where that is longer. 0:
 * sd-bus's own, for who need not be asked. Ctrl-C calls off the question alone, a second one ends the program. Signals
 * of the bus that arrive meanwhile may be dispatched before this returns. */
int ctl_call_message(Ctl *c, sd_bus_message *m, usec_t timeout_usec, sd_bus_error *error,
                     sd_bus_message **ret) _must_check_;
/* Whether somebody may be asked for a password during such a call. */
bool ctl_may_be_asked(const Ctl *c);
/* The same with the arguments of sd_bus_call_method(); `ret` may be NULL. */
int ctl_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_error *error,
             sd_bus_message **ret, const char *types, ...) _must_check_;

/* Reads everything there is in two calls. What was in `s` is released first. */
int ctl_state_read(Ctl *c, CtlState *s, sd_bus_error *error) _must_check_;
void ctl_state_done(CtlState *s);
/* Reads an a{sv} of the Manager interface over what is there. */
int ctl_state_update(CtlState *s, sd_bus_message *m) _must_check_;
const CtlJob *ctl_state_job(const CtlState *s, uint32_t id);
CtlBot *ctl_state_bot(const CtlState *s, const char *name);

/* Reads an a{sv} of the Bot interface over what is there. */
int ctl_bot_update(CtlBot *b, sd_bus_message *m) _must_check_;
/* One bot alone. Zero-initialized before, and done with in any case. */
int ctl_bot_read(Ctl *c, const char *name, CtlBot *b) _must_check_;
void ctl_bot_done(CtlBot *b);
/* When that server, "cloud" or "local", takes the bot; 0: now. */
usec_t ctl_bot_allowed_usec(const CtlBot *b, const char *seat);

/* Marks the bots that the names and globs choose, all without any. Says so where one of them chooses nothing. */
CtlExit ctl_state_select(CtlState *s, char *const *patterns) _must_check_;

/* Connects and reads; what verbs begin with. */
CtlExit ctl_begin(Ctl *c, CtlState *s) _must_check_;

void ctl_job_done(CtlJob *job);
/* Reads an a{sv} of the Job interface over what is there, where it is no older than that: an answer overtakes signals
 * that arrived before it. */
int ctl_job_update(CtlJob *job, sd_bus_message *m) _must_check_;
/* The phase that a job which holds has come to, and does not begin. */
const char *ctl_job_holds_before(const CtlJob *job) _pure_;
/* By its id. -ENOENT: it has ended, -EHOSTUNREACH: nobody answers. */
int ctl_job_read(Ctl *c, CtlJob *job) _must_check_;

/* The exit status for a failed call. */
CtlExit ctl_exit_of(int r, const sd_bus_error *error);
/* Prints the failure with `subject` (or NULL) before it. */
CtlExit ctl_call_failed(const char *subject, int r, const sd_bus_error *error);
