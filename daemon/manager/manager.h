/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/record.h"
#include "io/history.h"

/* The one that owns everything and joins the parts: it steps the table of core/cutover.h for each bot, writes the
 * record, and then acts through the adapters of io/. What other layers may ask of it stands here; bus/ is such a layer.
 */

typedef struct Manager Manager;
typedef struct Bot Bot;

/* What happened, for whoever publishes it. All are called from the event loop after the fact; none may free a bot. */
typedef struct ManagerObserver {
        void (*bot_added)(Bot *bot, void *userdata);
        void (*bot_removed)(Bot *bot, void *userdata); /* the last call in which the bot may be used */
        void (*bot_changed)(Bot *bot, void *userdata); /* any property may have changed; coalesced, cheap to call */
        void (*job_new)(Bot *bot, uint32_t id, void *userdata);
        void (*job_changed)(Bot *bot, uint32_t id, void *userdata);
        void (*job_removed)(Bot *bot, uint32_t id, JobResult result, void *userdata);
        void (*manager_changed)(Manager *m, void *userdata);
        void *userdata;
} ManagerObserver;

typedef struct ManagerPaths {
        const char *const *config_directories; /* NULL: config.h's */
        const char *state_directory;           /* $STATE_DIRECTORY */
        const char *runtime_directory;         /* $RUNTIME_DIRECTORY: the environment files of workers */
        const char *credentials_directory;     /* $CREDENTIALS_DIRECTORY */
} ManagerPaths;

/* `bus` is the system bus, attached to `event`; both are referenced. `gate_fd` is the listening credential socket. */
int manager_new(Manager **ret, sd_event *event, sd_bus *bus, const ManagerPaths *paths, int gate_fd) _must_check_;
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

/* The observer is borrowed; at most one. */
void manager_set_observer(Manager *m, const ManagerObserver *observer);

/* Reads configuration, tokens and records and goes on with what was under way. Fails only where nothing at all could be
 * served; a bot that cannot be read is there all the same, with the reason as its error. */
int manager_start(Manager *m) _must_check_;

/* A held connection that came back from systemd's FD store; the fd is taken. False: the name is not ours, fd untouched.
 */
bool manager_adopt_fd(Manager *m, int fd, const char *name);

/* Reads the configuration again. On failure the last good one stays, and *ret_message is a new sentence for every
 * problem, one a line. Problems of single bots are reported the same way with result 0. */
int manager_reload(Manager *m, char **ret_message) _must_check_;

/* Finishes the step in flight of every bot, records it, then leaves the event loop. */
void manager_stop(Manager *m);

size_t manager_n_bots(const Manager *m);
Bot *manager_bot(const Manager *m, size_t i);                 /* sorted by name */
size_t manager_bot_place(const Manager *m, const char *name); /* of that name, or the first behind it */
Bot *manager_find_bot(const Manager *m, const char *name);
Bot *manager_find_job(const Manager *m, uint32_t job_id); /* the bot that it moves, or NULL */
size_t manager_n_at(const Manager *m, Seat seat);
size_t manager_n_jobs(const Manager *m); /* that run */

/* "inactive", "active", "answering", …: the unit state of the local server and what its last probe said. */
const char *manager_local_server_state(const Manager *m);
sd_event *manager_event(const Manager *m);

/* The text of tgswitch-metrics(7). systemd is asked which workers run, and nobody else anything. One callback from the
 * event loop, with NULL for want of memory, unless *ret is freed before; it may free it. */
typedef struct ManagerMetrics ManagerMetrics;
typedef void (*manager_metrics_handler_t)(const char *text, void *userdata);
int manager_get_metrics(Manager *m, manager_metrics_handler_t handler, void *userdata,
                        ManagerMetrics **ret) _must_check_;
ManagerMetrics *manager_metrics_free(ManagerMetrics *c);
DEFINE_CLEANUP(ManagerMetrics *, manager_metrics_free);

/* The jobs that have ended, the newest first: see io/history.h. Takes what is in `filter`. One callback from the event
 * loop, in which the query is freed, unless that is done before. */
typedef struct HistoryQuery HistoryQuery;
typedef history_handler_t manager_history_handler_t;
int manager_get_history(Manager *m, HistoryFilter *filter, manager_history_handler_t handler, void *userdata,
                        HistoryQuery **ret) _must_check_;
HistoryQuery *history_query_free(HistoryQuery *q);
DEFINE_CLEANUP(HistoryQuery *, history_query_free);

/* ---- one bot: what can be read ---- */

const char *bot_name(const Bot *b);
int64_t bot_id(const Bot *b); /* 0: not known */
Seat bot_seat(const Bot *b);
CutoverState bot_state(const Bot *b);
const char *bot_phase(const Bot *b);    /* "" without a job */
Seat bot_target(const Bot *b);          /* of the running job, SEAT_UNDECLARED without one */
const char *bot_endpoint(const Bot *b); /* the API root that the workers get; "" while the seat is not settled */
char *const *bot_workers(const Bot *b); /* as configured */
const RecordJob *bot_job(const Bot *b); /* the running one, or the last; id 0: none yet */
bool bot_job_running(const Bot *b);
const char *bot_last_error(const Bot *b); /* "" if all is well */
usec_t bot_logged_out_usec(const Bot *b); /* CLOCK_REALTIME; 0: never */
/* CLOCK_REALTIME at which the window ends; 0: now; USEC_INFINITY: not known */
usec_t bot_cloud_allowed_usec(const Bot *b);
usec_t bot_local_allowed_usec(const Bot *b); /* the same for the local server */
/* The local server was left without a logOut and holds a session of the bot, which is ended when it answers again. */
bool bot_stale_session(const Bot *b);
usec_t bot_held_until_usec(const Bot *b);  /* CLOCK_REALTIME; 0: automatic moves are allowed, USEC_INFINITY: for good */
const char *bot_held_reason(const Bot *b); /* "" if none */
/* Of a queued job: CLOCK_REALTIME before which it will not begin, by what is known now; 0: no such time is known. */
usec_t bot_job_not_before_usec(const Bot *b);
uint64_t bot_pending_updates(const Bot *b);    /* last seen */
usec_t bot_pending_updates_usec(const Bot *b); /* when; CLOCK_REALTIME, 0: never */
uint64_t bot_spooled_updates(const Bot *b);

/* Whatever the observer wants to remember of a bot; the manager does not look at it. */
void bot_set_observer_data(Bot *b, void *data);
void *bot_observer_data(const Bot *b);

/* ---- one bot: what can be asked ---- */

/* How a wish ended; the bus turns it into an error name. Everything but the first three has changed nothing. */
typedef enum AskResult {
        ASK_OK,      /* for a switch: a new job was begun */
        ASK_RUNNING, /* the running job has the same target: that one is meant */
        ASK_ALREADY, /* nothing to do */
        ASK_NO_TOKEN,
        ASK_UNDECLARED,
        ASK_BAD_RECORD,
        ASK_BAD_CONFIG,
        ASK_JOB_RUNNING,     /* for the other target, or it is in the way */
        ASK_FALLBACK_WINDOW, /* the target does not take the bot yet, and the caller does not want to wait */
        ASK_HELD,            /* an automatic move, and somebody wants it otherwise */
        ASK_NOT_CANCELLABLE,
        ASK_NOT_HOLDING,
        ASK_NOT_SETTLED,
        ASK_FAILED, /* anything unexpected: no memory, no disk */
        ASK_RESULT_MAX,
        ASK_RESULT_INVALID = -EINVAL,
} AskResult;

typedef struct SwitchOptions {
        OnUndrained on_undrained; /* ON_UNDRAINED_INVALID: as configured */
        HoldAt hold_at;
        bool when_allowed;     /* wait in the queue until the target takes the bot */
        bool automatic;        /* by a unit at boot, not by somebody's word: respects Hold() */
        uint32_t batch;        /* id of the first job of the same call; 0: this is the first */
        const char *reason;    /* "" if none */
        const char *requester; /* for the history; "" if unknown */
} SwitchOptions;

/* Each sets *ret_message to a new sentence with cause and cure wherever the result is not OK, RUNNING or ALREADY. */
AskResult bot_switch(Bot *b, Seat target, const SwitchOptions *options, uint32_t *ret_job, char **ret_message);
/* What bot_switch() would say, OK for a job that could begin; changes nothing. */
AskResult bot_can_switch(const Bot *b, Seat target, const SwitchOptions *options, char **ret_message);
AskResult bot_cancel(Bot *b, char **ret_message);
AskResult bot_proceed(Bot *b, char **ret_message);

/* Says where a bot without a record is logged in, or corrects it where an administrator knows better. */
AskResult bot_set_seat(Bot *b, Seat seat, char **ret_message);
/* No automatic moves before `until_usec` (CLOCK_REALTIME; USEC_INFINITY: until bot_release()); `reason` may be "". An
 * automatic job that still waits is called off. */
AskResult bot_hold(Bot *b, usec_t until_usec, const char *reason, char **ret_message);
AskResult bot_release(Bot *b, char **ret_message);
AskResult bot_clear_spool(Bot *b, char **ret_message);
/* A sealed memfd with a JSON array of all spooled updates; the caller closes it. */
AskResult bot_read_spool(Bot *b, int *ret_fd, char **ret_message);

/* The checks of a cutover to `target` by themselves: they start nothing, and send the token only to a settled seat. */
typedef enum CheckVerdict {
        CHECK_PASS,
        CHECK_FAIL,
        CHECK_SKIPPED, /* could not be looked at without changing something, or does not apply */
        CHECK_VERDICT_MAX,
        CHECK_VERDICT_INVALID = -EINVAL,
} CheckVerdict;

const char *check_verdict_to_string(CheckVerdict v);

typedef struct CheckItem {
        char *check;   /* "token", "worker", "gate", "server", … */
        char *subject; /* a unit, a server, a file */
        CheckVerdict verdict;
        char *explanation; /* a sentence; on FAIL with cause and cure */
} CheckItem;

typedef void (*bot_check_handler_t)(const CheckItem *items, size_t n_items, void *userdata);

/* One callback from the event loop, unless *ret is freed before, which has to be before the bot is. No cutover begins
 * while it runs. */
typedef struct BotCheck BotCheck;
AskResult bot_check(Bot *b, Seat target, bot_check_handler_t handler, void *userdata, BotCheck **ret,
                    char **ret_message);
BotCheck *bot_check_free(BotCheck *c);
DEFINE_CLEANUP(BotCheck *, bot_check_free);

/* What the server of the bot's seat says of the token that the process was started with. */
typedef enum TokenVerdict {
        TOKEN_ACCEPTED,
        TOKEN_REFUSED, /* 401: revoked, or never given */
        TOKEN_UNKNOWN, /* no answer, or one about something else */
        TOKEN_VERDICT_MAX,
        TOKEN_VERDICT_INVALID = -EINVAL,
} TokenVerdict;

const char *token_verdict_to_string(TokenVerdict v);

/* And of its webhook, which belongs to the token: one that was replaced has none. */
typedef enum TokenWebhook {
        TOKEN_WEBHOOK_UNKNOWN,
        TOKEN_WEBHOOK_NONE,  /* neither at the server nor on record */
        TOKEN_WEBHOOK_THERE, /* at the server */
        TOKEN_WEBHOOK_GONE,  /* on record, and not at the server */
        TOKEN_WEBHOOK_SET,   /* the same, and was set again */
        TOKEN_WEBHOOK_MAX,
        TOKEN_WEBHOOK_INVALID = -EINVAL,
} TokenWebhook;

const char *token_webhook_to_string(TokenWebhook w);

/* `explanation` is a sentence, or "" where there is nothing to explain. */
typedef void (*token_check_handler_t)(TokenVerdict verdict, TokenWebhook webhook, const char *explanation,
                                      void *userdata);

/* Asks the server of a settled seat, and no other, with getMe and getWebhookInfo. With `restore_webhook` one that is
 * gone is set again as it is on record: by the last move, so it is for the caller to know that the bot has not gone
 * over to polling since. Callback and freeing as with bot_check(). */
typedef struct TokenCheck TokenCheck;
AskResult bot_check_token(Bot *b, bool restore_webhook, token_check_handler_t handler, void *userdata, TokenCheck **ret,
                          char **ret_message);
TokenCheck *token_check_free(TokenCheck *c);
DEFINE_CLEANUP(TokenCheck *, token_check_free);
