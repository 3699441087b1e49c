/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/unit-result.h"

/* The service manager's units over D-Bus (org.freedesktop.systemd1(5)), asynchronously: every call has one
 * handle, one callback, and is cancelled by freeing the handle. Cancelling forgets the answer; it does not
 * cancel a job of systemd. Handlers are called from the event loop only, and may free any call. Unit names
 * that are not valid are -EINVAL. */

typedef struct UnitClient UnitClient;
typedef struct UnitCall UnitCall;

/* Subscribes to the manager's signals. `bus` is referenced, and attached to the event loop before the first
 * call with a timeout. Signals count only if the broker says that they come from the owner of systemd's
 * name. */
int unit_client_new(UnitClient **ret, sd_bus *bus) _must_check_;
UnitClient *unit_client_free(UnitClient *c); /* its calls must be gone */
DEFINE_CLEANUP(UnitClient *, unit_client_free);

UnitCall *unit_call_free(UnitCall *call);
DEFINE_CLEANUP(UnitCall *, unit_call_free);

typedef enum UnitVerb {
        UNIT_START,
        UNIT_START_PLAIN, /* without ResetFailed */
        UNIT_STOP,
        UNIT_RESTART,
        UNIT_TRY_RESTART, /* nothing where the unit does not run */
        UNIT_RELOAD,
        UNIT_VERB_MAX,
        UNIT_VERB_INVALID = -EINVAL,
} UnitVerb;

/* `error` is NULL, or what systemd said when it refused to queue the job (access denied, no such unit,
 * masked). */
typedef void (*unit_job_handler_t)(UnitCall *call, UnitJobResult result, const char *error, void *userdata);

/* Queues a job in mode "replace" and waits for its JobRemoved, matched by job path; a signal that overtakes
 * the reply is kept. START resets the unit's failed state and start limit first (ResetFailed), so that a
 * worker that used up its restarts is not stranded. polkit is asked about that as it is about the start:
 * START_PLAIN is for a unit that ran just now. After `timeout_usec` (CLOCK_MONOTONIC; USEC_INFINITY: never)
 * systemd is asked once more, and the result is UNIT_JOB_TIMEOUT if the job is still there; it goes on in
 * systemd then. A `daemon-reload` or `daemon-reexec` in between is survived: where the end may have been
 * missed the job is looked for, and if it is gone the unit's own state decides.
 *
 * Of a RELOAD nothing can be told by that: it is UNIT_JOB_CANCELED then.
 *
 * UNIT_JOB_DONE of a START says that the job is done, not that the unit runs: a oneshot has ended, and
 * systemd also calls it done where a Condition…= of the unit was not met. STOP of a unit that does not exist
 * is UNIT_JOB_REFUSED. */
int unit_client_job(UnitClient *c, const char *unit, UnitVerb verb, usec_t timeout_usec, unit_job_handler_t handler,
                    void *userdata, UnitCall **ret) _must_check_;

/* For a job that was given no end: it has `timeout_usec` from now on. */
int unit_job_limit(UnitCall *call, usec_t timeout_usec) _must_check_;

/* ResetFailed alone. On a unit that has not failed it changes nothing and still asks polkit: so it shows
 * whether the rule names this unit, be it loaded or not. `r` is 0, also for a unit that does not exist,
 * -EACCES, or another errno; `error` is a sentence if r < 0. */
typedef void (*unit_reset_handler_t)(UnitCall *call, int r, const char *error, void *userdata);
int unit_client_reset_failed(UnitClient *c, const char *unit, unit_reset_handler_t handler, void *userdata,
                             UnitCall **ret) _must_check_;

/* Whether the host is going down (SystemState): then what a unit does says nothing of the unit. */
typedef void (*unit_stopping_handler_t)(UnitCall *call, bool stopping, void *userdata);
int unit_client_ask_stopping(UnitClient *c, unit_stopping_handler_t handler, void *userdata,
                             UnitCall **ret) _must_check_;

/* Everything we want to know of a unit. Strings are never NULL, vectors may be. */
typedef struct UnitCredential {
        char *id;
        char *path;
} UnitCredential;

/* As whom a service runs and what it sees of the file system (systemd.exec(5)); of other units nothing. */
typedef struct UnitBind {
        char *source;
        char *destination;
} UnitBind;

typedef struct UnitSandbox {
        char *user;  /* a name or a number; "": root, or what DynamicUser= gives */
        char *group; /* the same; "": the user's own */
        char **supplementary_groups;
        bool dynamic_user;
        bool private_users;
        uint64_t capabilities; /* CapabilityBoundingSet=, one bit a capability */
        char *root_directory;
        char *root_image;
        char *protect_home; /* "no", "yes", "read-only", "tmpfs" */
        bool private_tmp;
        char **inaccessible_paths;     /* with the prefixes "-" and "+" that they may have */
        char **temporary_file_systems; /* without their options */
        UnitBind *binds;               /* BindPaths= and BindReadOnlyPaths= */
        size_t n_binds;
} UnitSandbox;

typedef struct UnitInfo {
        char *name; /* primary Id */
        UnitLoadState load_state;
        UnitActiveState active_state;
        char *sub_state;
        char *type;   /* of a service: simple, exec, notify, oneshot, …; "" otherwise */
        char *result; /* of a service: success, exit-code, …; "" otherwise */
        char *fragment_path;
        uint8_t invocation_id[16];
        bool need_daemon_reload;
        bool can_reload;
        uint32_t job_id; /* 0: no job is queued for it */
        uint32_t main_pid;
        usec_t main_start_usec; /* ExecMainStartTimestampMonotonic: CLOCK_MONOTONIC; 0: never */
        usec_t timeout_start_usec;
        usec_t timeout_stop_usec;
        char **exec_condition;
        char **exec_start_pre;       /* one string a command, argv joined by spaces; with '-' where it may fail */
        char **exec_start;           /* the same */
        char *missing_program;       /* of exec_start, where no such file is there; NULL: it is, or who knows */
        char **exec_reload;          /* the same */
        char **environment;          /* Environment=, NAME=VALUE */
        UnitCredential *credentials; /* LoadCredential= */
        size_t n_credentials;
        char **environment_files; /* EnvironmentFile=, without the '-' */
        char **requires;          /* Requires=, Requisite=, BindsTo= and PartOf= together */
        char **after;
        char **triggered_by;
        char **conflicts;    /* Conflicts= here or there */
        char **stopped_with; /* whose Requires=, Requisite=, BindsTo= or PartOf= names this unit; PropagatesStopTo= */
        bool transient;
        bool refuse_manual_start;
        bool refuse_manual_stop;
        bool remain_after_exit; /* active although its program has ended */
        bool send_sigkill;      /* what is left of its processes after TimeoutStopSec= is killed */
        char *kill_mode;        /* of a service: which of its processes are ended, systemd.kill(5); "" otherwise */
        UnitSandbox sandbox;
} UnitInfo;

void unit_info_done(UnitInfo *info);

/* Reads the properties of the unit, which systemd loads if need be. `info` is NULL if r < 0. A unit that
 * does not exist is no error: load_state says UNIT_LOAD_NOT_FOUND. This is 20 KiB, most of a millisecond in
 * systemd, and what is told of all is made for it anew: who wants to know a state asks for that. */
typedef void (*unit_info_handler_t)(UnitCall *call, int r, const UnitInfo *info, void *userdata);
int unit_client_get(UnitClient *c, const char *unit, unit_info_handler_t handler, void *userdata,
                    UnitCall **ret) _must_check_;

/* One row a unit that is loaded now and matches a pattern or name: all that ListUnitsByPatterns tells. No
 * pattern at all is -EINVAL. */
typedef struct UnitRow {
        char *name;
        UnitLoadState load_state;
        UnitActiveState active_state;
        char *sub_state;
        uint32_t job_id;
} UnitRow;

typedef void (*unit_list_handler_t)(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata);
int unit_client_list(UnitClient *c, char *const *patterns, unit_list_handler_t handler, void *userdata,
                     UnitCall **ret) _must_check_;
/* The same of units whose names are known (ListUnitsByNames): those are loaded if need be, and have a row each,
 * whether they exist or not. systemd compares a pattern with the name of each unit it has. */
int unit_client_list_named(UnitClient *c, char *const *units, unit_list_handler_t handler, void *userdata,
                           UnitCall **ret) _must_check_;

/* Calls back for every change of the unit's ActiveState or SubState from now on, and once at the start.
 * `unit` is its primary name (UnitInfo.name): signals come under that. It may be unloaded and loaded again
 * meanwhile. UNIT_OTHER and "" if systemd does not tell. */
typedef void (*unit_watch_handler_t)(UnitCall *call, UnitActiveState active, const char *sub_state, void *userdata);
int unit_client_watch(UnitClient *c, const char *unit, unit_watch_handler_t handler, void *userdata,
                      UnitCall **ret) _must_check_;
