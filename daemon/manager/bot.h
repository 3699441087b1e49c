/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/log-events.h"
#include "core/bot-token.h"
#include "core/cutover.h"
#include "core/health.h"
#include "core/intake.h"
#include "core/schedule.h"
#include "io/botapi-client.h"
#include "io/clock.h"
#include "io/config.h"
#include "io/credential-socket.h"
#include "io/disk-queue.h"
#include "io/history.h"
#include "io/inhibitor.h"
#include "io/store.h"
#include "io/unit-client.h"
#include "manager/held.h"
#include "manager/manager.h"
#include "manager/metrics.h"

/* The inside of manager/: shared by its files, seen by nobody else. */

/* Work that an action began and that ends in exactly one event, posted with bot_post(). A bot has at most one; stepping
 * frees it, which cancels whatever of it is still in flight. Nothing frees an operation from within its own callbacks:
 * events are taken up from the event loop later. */
typedef struct UnitJobs UnitJobs;
typedef struct Operation {
        void (*free)(struct Operation *op);
        Bot *bot;
} Operation;

Operation *operation_free(Operation *op);

/* What a bot adds to the counts. */
typedef struct BotCounted {
        bool valid; /* false: it is not counted yet */
        bool job_running;
        bool gate_closed;
        bool needs_watch;
        bool uses_server;
        bool reserves_login;
        bool is_noted;
        Seat seat;
        ScheduleStage stage; /* of its last job, like the two below */
        uint32_t job_id;
        uint32_t batch;
} BotCounted;

typedef struct BotList {
        Bot **bots;
        size_t n;
} BotList;

/* Of all bots: counts.c. */
typedef struct Counts {
        size_t n_at[SEAT_MAX];
        size_t n_gates_closed;
        size_t n_need_watch;
        size_t n_use_server;
        size_t n_reserve_login;
        BotList with_job; /* that runs; in the order of the jobs' ids */
        BotList noted;    /* in the order of names */
        ScheduleTally tally;
} Counts;

/* Worker= of a bot, borrowed from its settings. */
typedef struct Worker {
        const char *pattern;
        Bot *bot;
} Worker;

typedef struct WorkerList {
        Worker *items;
        size_t n;
} WorkerList;

/* Of all bots: workers.c. Each in the order of patterns and bots' names. */
typedef struct Workers {
        WorkerList units;
        WorkerList globs;
} Workers;

struct Manager {
        sd_event *event;
        sd_bus *bus;
        const char *const *config_directories;
        char *state_directory;
        char *runtime_directory;
        char *credentials_directory;

        Config *config;          /* in force; its bots have been handed to Bot.config */
        Config *fallback;        /* the copy of the last good one, for bots whose file is not good now */
        ConfigProblems problems; /* of the last reading */
        DiskJob *copying;
        DiskQueue *disk;
        Store *store;

        /* history.c */
        History *history;
        HistoryEntry *history_kept; /* not on their way to the disk yet, or not taken by it */
        size_t n_history_kept;
        struct HistoryBatch *history_batches; /* on their way */
        ClockTimer *history_timer;
        unsigned history_retries;
        bool history_complained, history_damage_told;
        HistoryQuery *history_queries; /* the first is being read */

        BotApiClient *api; /* for what needs no bot: probes of the local server */
        UnitClient *units;
        CredentialSocket *gate;
        Inhibitor *inhibitor; /* while any bot is between log-out and log-in */

        Bot **bots;
        size_t n_bots;
        Counts counts;
        Workers workers;

        UnitCall *server_watch;
        struct ServerCall *server_call; /* at start-up, where bots live there: their workers wait for it */
        UnitActiveState server_state;
        char *server_complaint;        /* it does not run, and bots are logged in there; NULL: it runs */
        UnitCall *server_look;         /* of which invocation it is, after it has become active */
        uint8_t server_invocation[16]; /* as last seen */
        uint8_t server_proven[16];     /* invocation of the server's unit whose login path has been seen to work */

        /* queue.c */
        Pace pace;
        size_t n_queued;
        sd_event_source *schedule_source;
        ClockTimer *schedule_timer;

        /* watch.c: only where a bot depends on it */
        Health health;
        ClockTimer *watch_timer;
        struct ServerCall *watch_call;

        Metrics metrics;

        const ManagerObserver *observer;
        sd_event_source *status_source;
        char *status; /* as last told to systemd */
        bool unlocked_told;
        bool stopping;
};

struct Bot {
        Manager *manager;
        char *name;
        BotCounted counted; /* as it was when it was last counted */
        bool makes_way;     /* for another bot's job, since then */
        BotApiClient *api;  /* its own connections, so that no other bot's request takes or slows those that wait */
        BotConfig *config;  /* the last good one; NULL: there never was any */
        char *config_error; /* why it is not what the file says now: no new move begins */
        BotToken *token;
        char *webhook_secret;
        char *webhook_certificate; /* PEM; NULL: there is none that can be used */
        size_t webhook_certificate_size;
        char *webhook_certificate_problem; /* a sentence, where the one that there is cannot be used */

        Record record;
        bool record_ok; /* false: what is on disk cannot be read; nothing is done for this bot */
        Spool *spool;
        char *error; /* why nothing is done, or what is waited for; NULL: all is well */

        /* stepping: bot-step.c */
        CutoverEvent events[8];
        size_t n_events;
        sd_event_source *dispatch_source;
        DiskJob *saving;
        unsigned actions;        /* of the step whose record is being written */
        const char *entered;     /* why a new phase was entered, until it has been logged */
        LogEvent telling;        /* what else there is to tell, once it is on record */
        usec_t phase_began_usec; /* CLOCK_BOOTTIME; 0: in an earlier process */
        Operation *operation;
        ClockTimer *retry_timer;
        unsigned retries;        /* since the last step ahead */
        usec_t retry_after_usec; /* the server's own word for the next wait; 0: none */

        /* what keeps the bot out of a server: windows.c, log-in */
        ClockTimer *window_timer;

        bool undrained_by_default; /* nobody has said OnUndrained= for this job */
        bool stale_asked;          /* a logOut for the stale session may have gone out before */
        bool webhook_seen;         /* its settings at the seat, by this process */
        bool login_sent;           /* a login may have arrived at the target of this job */
        usec_t not_before_usec;    /* of a queued job, CLOCK_REALTIME; 0: not known */

        /* watch.c */
        Health webhook_health;
        usec_t webhook_error_usec; /* CLOCK_REALTIME of the last delivery that failed, as last seen */
        usec_t webhook_due_usec;   /* CLOCK_BOOTTIME of the next look at the webhook */
        bool webhook_blamed;       /* it has been said that it gets nothing */
        BotApiCall *webhook_call;
        usec_t automatic_due_usec; /* CLOCK_BOOTTIME before which no further automatic move begins */
        usec_t stale_due_usec;     /* the same for the end of a stale session */

        /* watch-intake.c: for some minutes after a move */
        Intake intake;
        bool intake_expected; /* there is a worker that should ask for updates */
        bool intake_failed;   /* the error of the last job says that nobody does */
        bool intake_blamed;   /* the bot's own error says so */
        unsigned intake_looks;
        ClockTimer *intake_timer;
        BotApiCall *intake_call;

        /* the request that leaves: op-log-out.c */
        BotApiCall *warm_calls[2];   /* open the two connections that spool and log-out need: warm-up.c */
        BotApiCall *warm_target;     /* and the one for log-in */
        bool warm;                   /* they are open, or will be when the calls are answered */
        usec_t warm_usec;            /* CLOCK_BOOTTIME since when */
        void (*warm_waiter)(Bot *b); /* told when they have been answered */
        BotApiCall *late_poll;       /* the long poll that was in flight during logOut */
        DiskJob *late_poll_saving;
        ClockTimer *late_poll_timer;
        unsigned late_poll_updates;        /* in the answer that is being written */
        int64_t late_poll_next_offset;     /* once it is written */
        void (*late_poll_waiter)(Bot *b);  /* told when nothing is pending any more */
        usec_t began_usec;                 /* CLOCK_BOOTTIME since when this process has the bot */
        int blank_offset;                  /* 0 or 1: see get_updates_arguments() */
        int64_t asked_offset;              /* of the last getUpdates since the spool began; 0: none */
        int64_t answered_offset;           /* the server has forgotten what is below; 0: none was answered */
        usec_t round_trip_usec;            /* of the last getUpdates of the spool; 0: not known */
        bool single_is_all;                /* one update in its answer means that there is no second one */
        usec_t last_get_updates_usec;      /* see bot_get_updates_answered(); 0: none by this process */
        usec_t get_updates_suspended_usec; /* how long this boot had slept when the last one left */
        unsigned respools;                 /* since the last repeat of logOut was sent */
        usec_t log_out_began_usec;         /* first attempt of this job; 0: none by this process */
        bool log_out_lengthens;            /* the attempt that was answered logged in again first */
        usec_t workers_stopped_usec;

        /* started while the gate is closed: early-start.c */
        UnitJobs *early;
        char **early_units;

        /* Move=reload: op-workers.c tells them to hold, op-start-workers.c to go on */
        HeldWorkers held;
        bool held_known; /* all that have been told are among them; false: an earlier process may have told others */

        /* the spool's next part: handover.c */
        DiskJob *part_job;
        bool part_ready;
        DiskJob *part_saving;
        uint64_t part_sent_updates;     /* in the answer that went out last */
        usec_t part_served_usec;        /* CLOCK_MONOTONIC of the last time; 0: by an earlier process */
        bool part_settled;              /* its worker stayed up: it is dropped as soon as the disk lets us */
        uint64_t part_dropping_updates; /* in the part that is being dropped */
        bool part_dropped;              /* one was, since the workers were last started */
        bool part_doubtful;             /* one may have been served, and nobody knows */
        unsigned part_retries;          /* of what the disk refused */
        ClockTimer *part_timer;         /* until its worker, or the disk, is looked at again */
        UnitCall *part_call;
        void (*part_waiter)(Bot *b, int r); /* told when a part is ready, or why none will be */
        bool part_by_webhook;               /* it is posted, not served to a worker */
        struct Delivery *delivery;          /* delivery.c: while something is posted */

        char **at_gate;     /* units of which it was told that they wait: gate.c */
        unsigned n_checks;  /* Check() calls under way */
        DiskJob *asked_job; /* of a wish that is no move: seat, spool */
        DiskJob *aside_job; /* of what nobody waits for: window, hold, webhook */
        bool unrecorded;    /* the last write failed, and what is on disk is not how it is */
        bool history_due;   /* the job has ended, and is in the history as soon as that is on disk */
        unsigned record_retries;
        ClockTimer *record_timer;  /* tries to write it again */
        ClockTimer *publish_timer; /* the same for the environment file */
        UnitCall *release_call;    /* the stop of a server that check had started */

        uint64_t pending_updates;
        usec_t pending_updates_usec;
        void *observer_data;
};

/* ---- bot.c ---- */
int bot_new(Bot **ret, Manager *m, const char *name) _must_check_;
Bot *bot_free(Bot *b);
DEFINE_CLEANUP(Bot *, bot_free);
void bot_set_error(Bot *b, const char *format, ...) _printf_(2, 3);
void bot_changed(Bot *b);
const char *bot_root(const Bot *b, Seat seat); /* API root of cloud or local */
bool bot_gate_open(const Bot *b);              /* workers may be served, by the record that is on disk */
Seat bot_source(const Bot *b);                 /* the server that a logOut goes to now */
bool bot_is_held(const Bot *b);

/* One request with the bot's token. The only way to send one: asserts what the laws demand of `seat`. */
int bot_call(Bot *b, Seat seat, BotApiMethod method, json_object *arguments, usec_t timeout_usec,
             botapi_sent_handler_t sent, botapi_reply_handler_t handler, void *userdata, BotApiCall **ret) _must_check_;
/* A method that is the bot's own, not ours, to the server where it is logged in: `method` has come from outside and is
 * one that webhook_answer_call() lets through. -EPERM where nothing may be sent. */
int bot_call_named(Bot *b, const char *method, json_object *arguments, usec_t timeout_usec,
                   botapi_reply_handler_t handler, void *userdata, BotApiCall **ret) _must_check_;
/* The last getUpdates has just been answered. CLOCK_BOOTTIME since which its answer may be the state of things: not
 * now, but as long ago as the host has slept since the request left, for the answer may have come before that. */
usec_t bot_get_updates_answered(const Bot *b);

/* ---- op-check.c ---- */
/* Keeps the settings in the record, without the token in them; not where another bot's is. Returns 1 where the URL is
 * another than before, 0, or a negative errno. */
int bot_remember_webhook(Bot *b, const WebhookSettings *settings) _must_check_;
/* The other bot whose token stands in the text, or NULL. */
const Bot *bot_whose_token_is_in(const Bot *b, const char *text);

/* ---- bot-step.c ---- */
void bot_post(Bot *b, CutoverEvent event);
/* Takes it up at once, instead of from the event loop, or as soon as the record is written that is on its way. */
void bot_take(Bot *b, CutoverEvent event);
/* The same with what is posted. */
void bot_dispatch(Bot *b);
/* Writes the record as it is, besides the writing of steps; `done` as for store_save(). */
int bot_save(Bot *b, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;
/* The same where nobody waits for it: a failure is logged, and the next write may succeed. */
void bot_record_aside(Bot *b);
/* A step that is being carried out, or that must not be cut off, is still under way. */
bool bot_busy(const Bot *b);

/* ---- windows.c ---- */
/* How long nothing may be sent to that server; 0: the window is over. */
usec_t bot_window_left(const Bot *b, Seat server);
/* Publishes the end of a window when it comes; called whenever one may have changed. */
void bot_window_watch(Bot *b);
/* Has windows of an earlier boot count from now on. */
void bot_window_load(Bot *b);
/* The time of day of `usec_from_now`, as people read it, without and with the span: "14:05:10 (in 432 s)". */
#define WHEN_MAX 64u
const char *format_clock(char buffer[static WHEN_MAX], usec_t usec_from_now);
const char *format_when(char buffer[static WHEN_MAX], usec_t usec_from_now);

/* ---- counts.c ---- */
int counts_reserve(Counts *c, size_t n_bots) _must_check_;
void counts_done(Counts *c);
/* The bot whose job with that id runs, or NULL. */
Bot *counts_find_job(const Counts *c, uint32_t id);
/* Counts the bot anew; bot_changed() does. */
void bot_count(Bot *b);
/* It is about to go. */
void bot_uncount(Bot *b);

/* ---- workers.c ---- */
/* The bot is about to have these settings in place of those that it has. */
int workers_replace(Workers *w, Bot *b, const BotConfig *config) _must_check_;
void workers_forget(Workers *w, const Bot *b);
void workers_done(Workers *w);
/* The bot, but for that one, of which the settings that the file has now, or those that only count since there are no
 * better ones, name the unit as a worker; NULL: none. */
Bot *workers_find(const Workers *w, const char *unit, const Bot *except, bool by_present_settings);

/* ---- queue.c ---- */
int op_queue_start(Bot *b, Operation **ret) _must_check_;
/* Where its last job is, for whose turn it is. */
ScheduleStage bot_schedule_stage(const Bot *b);
/* Let begin, and its login to the cloud is still to come. */
bool bot_reserves_login(const Bot *b);
/* Somebody's turn may have come: looked at from the event loop. */
void manager_schedule(Manager *m);
/* The same, where the bot's last step is why. Before it is on record nobody begins because of it. */
void bot_make_way(Bot *b);
/* How long until one more bot may be let begin that will log in to the cloud. */
usec_t manager_pace_left(const Manager *m);
/* A login goes out to the cloud now. */
void manager_pace_login(Manager *m);
/* What the records tell of the logins before this process. */
void manager_pace_remember(Manager *m, const Bot *b);

/* ---- watch.c ---- */
/* Somebody may have begun, or ceased, to depend on the local server's being well; or it has changed. */
void manager_watch(Manager *m);
/* It has changed: asked at once, not at the next turn. */
void manager_watch_soon(Manager *m);
void bot_watch_cancel(Bot *b);
/* What becomes of the bot depends on whether the local server is well. */
bool bot_needs_watch(const Bot *b);
/* A login at the local server, or what follows it, has failed: whether the bot is to go back to the cloud now. */
bool bot_falls_back(const Bot *b);
/* The server that may have applied a logOut hangs, and the bot may leave a dead one by itself. */
bool bot_gives_up_source(const Bot *b);
/* Fallback=auto, and nobody holds it. */
bool bot_may_fall_back(const Bot *b);

/* ---- watch-intake.c ---- */
/* A job has ended: what comes in at the new seat is watched for a while. */
void intake_watch(Bot *b);
void intake_watch_cancel(Bot *b);
/* Nobody took the bot's updates before the move either: one that only sends has no worker that would. */
bool intake_was_untaken(const Bot *b);
/* Why nobody takes them now, behind "The bot is at the … server, but"; NULL: no memory. */
char *intake_complaint(const Bot *b);

/* ---- ask.c ---- */
/* A job that nobody asked for. Returns -EAGAIN where something is under way. */
int bot_begin_automatic(Bot *b, Seat target, const char *reason);

/* ---- operations: each starts one, or returns an error and has started nothing ---- */
int op_check_start(Bot *b, Operation **ret) _must_check_;
int op_drain_start(Bot *b, Operation **ret) _must_check_;
int op_hold_start(Bot *b, Operation **ret) _must_check_;
int op_stop_workers_start(Bot *b, Operation **ret) _must_check_;
int op_spool_start(Bot *b, Operation **ret) _must_check_;
int op_log_out_start(Bot *b, Operation **ret) _must_check_;
int op_repeat_log_out_start(Bot *b, Operation **ret) _must_check_;
int op_log_in_start(Bot *b, Operation **ret) _must_check_;
int op_restore_source_start(Bot *b, Operation **ret) _must_check_;
int op_restore_webhook_start(Bot *b, Operation **ret) _must_check_;
int op_publish_start(Bot *b, Operation **ret) _must_check_;
int op_start_workers_start(Bot *b, Operation **ret) _must_check_;
int op_next_part_start(Bot *b, Operation **ret) _must_check_;
int op_confirm_start(Bot *b, Operation **ret) _must_check_;

/* ---- op-log-in.c ---- */
/* setWebhook's, with the token where the bot has it in its URL: for bot_call() alone. NULL: no memory. */
json_object *bot_set_webhook_arguments(const Bot *b, Seat seat) _must_check_;
/* The secret or certificate that the webhook needs is not there; says so in the bot's error. */
bool bot_lacks_webhook_credentials(Bot *b);

/* ---- ask.c ---- */
/* Whether anything at all can be done for the bot. */
AskResult bot_usable(const Bot *b, char **ret_message);

/* Returns `result`, with the sentence that goes with it; NULL where there is no memory for one. */
AskResult ask_answer(AskResult result, char **ret_message, const char *format, ...) _printf_(3, 4);

/* ---- early-start.c ---- */

/* All workers of the bot have stopped, and those of `gated` start behind the gate. */
void early_start(Bot *b, char *const *gated);
bool early_start_has(const Bot *b, const char *unit) _pure_;
/* Forgets the jobs, which go on in systemd. */
void early_start_cancel(Bot *b);

/* ---- warm-up.c ---- */
void warm_up(Bot *b);
/* The same beside a request that the caller sends next, which opens the second of the two connections to the seat. */
void warm_up_beside(Bot *b);
bool warm_up_pending(const Bot *b);
void warm_up_cancel(Bot *b);

/* ---- op-log-out.c ---- */
/* The request, or the long poll ahead of it, is under way: what follows from the answer has to be recorded. */
bool log_out_in_flight(const Bot *b);
/* The long poll of the logOut is still to be answered or written. */
bool late_poll_pending(const Bot *b);
void late_poll_drop(Bot *b);
/* A getUpdates older than this is repeated before logOut is (L1). */
#define GET_UPDATES_FRESH_USEC (5 * USEC_PER_SEC)
/* getUpdates' arguments for the next request: see the comment there. */
json_object *get_updates_arguments(Bot *b, unsigned timeout_sec);

/* ---- server.c: the local server's unit ---- */
typedef struct ServerCall ServerCall;

typedef enum ServerAnswer {
        SERVER_READY,
        SERVER_NOT_RUNNING, /* and was not to be started */
        SERVER_FAILED,
        SERVER_UNKNOWN,  /* systemd could not be asked, or did not obey: that says nothing of the server */
        SERVER_SHUTDOWN, /* the host goes down, and starts nothing any more */
} ServerAnswer;

typedef enum ServerFlags {
        SERVER_START = 1 << 0,       /* start the unit where it is not active */
        SERVER_LOGIN_PROBE = 1 << 1, /* prove the login path, once per start of the unit */
} ServerFlags;

/* `started` says that this call started the unit; `why` is a sentence with cause and cure unless READY. */
typedef void (*server_handler_t)(ServerAnswer answer, bool started, const char *why, void *userdata);
int server_call(Manager *m, unsigned flags, server_handler_t handler, void *userdata, ServerCall **ret) _must_check_;
ServerCall *server_call_free(ServerCall *c);
/* Whether the unit, which did not run, runs now or will soon because of this call, answered or not. */
bool server_call_has_started(const ServerCall *c) _pure_;
/* Where the host goes down, nothing follows from an answer: the record keeps the phase for the next boot. */
bool server_waits_for_boot(Bot *b, ServerAnswer answer);
int server_watch(Manager *m) _must_check_;
/* Whether it runs, as systemd has told of it last, unasked. */
bool server_is_up(const Manager *m) _pure_;
/* Whether a bot lives at the local server or is on its way there (a job counts from `check` on), or that holds a
 * session that is to be ended. */
bool bot_uses_server(const Bot *b);
/* GET /bot0:x/getMe at the cloud. */
int probe_cloud(Manager *m, botapi_reply_handler_t handler, void *userdata, BotApiCall **ret) _must_check_;
/* The job is about to be over. Has it on record where the unit is to be stopped, before that is done. */
void server_note_release(Bot *b);
/* Stops the unit where that is on record and nobody else needs it; also for a roll-back. */
void server_release(Bot *b);
/* Starts the unit if any bot lives there, and stops it where an earlier process had started it for a job that is over;
 * asked at start-up. */
void server_start_if_used(Manager *m);
/* It does not run, or it is another process than it was when it locked the bot out. */
bool server_has_forgotten(const Bot *b);
/* It takes what only a server with --local takes, as far as the configuration tells. */
static inline bool server_is_in_local_mode(const Config *c, Seat server)
{
        return server == SEAT_LOCAL && c->local_files;
}

/* ---- server-loan.c ---- */
/* Before this bot's job starts the server: where the unit does not run now, it is put on record that it is to be
 * stopped again. One callback, from the event loop, in which the loan may be freed. */
typedef struct ServerLoan ServerLoan;
typedef void (*server_loan_handler_t)(int r, void *userdata);
int server_loan(Bot *b, server_loan_handler_t handler, void *userdata, ServerLoan **ret) _must_check_;
ServerLoan *server_loan_free(ServerLoan *l);

/* ---- publish.c ---- */
/* SEAT_NONE: that there is no endpoint now, for workers that are to hold. */
int publish_environment(Bot *b, Seat seat) _must_check_;

/* ---- gate.c ---- */
CredentialVerdict gate_decide(const CredentialPeer *peer, char **ret_data, size_t *ret_size, void *userdata);
void gate_served(const CredentialPeer *peer, void *userdata);
/* The bot's gate may have opened: who is held is looked at again, and its webhook gets what waits for it. */
void gate_reconsider(Bot *b);
/* The same of all bots. */
void gate_reconsider_all(Manager *m);

/* ---- handover.c ---- */
int handover_prepare(Bot *b) _must_check_; /* has the next part read into memory; then part_ready */
/* The same where nobody waits for the result: what fails is tried again. */
void handover_prepare_until_done(Bot *b);
void handover_wanted(Bot *b); /* a worker asks for a part and there is none */
void handover_served(Bot *b);
/* Whether the part's waiter has something to wait for. */
bool handover_pending(const Bot *b);
void handover_cancel(Bot *b);
void handover_drop(Bot *b); /* all of the part that is loaded has been handed over */

/* ---- delivery.c ---- */
/* Whether the spool is posted to the bot's webhook instead of being served to a worker. */
bool delivery_applies(const Bot *b);
/* Posts what is next, where it may be posted and nothing is under way. */
void delivery_go_on(Bot *b);
/* The same at once, where it waits only because an update was not accepted. */
void delivery_hurry(Bot *b);
void delivery_part_loaded(Bot *b);
/* Whatever is under way is cut off; what was not accepted stays in the spool. */
void delivery_cancel(Bot *b);
/* Why updates are not accepted, a sentence; NULL: none has been refused. */
const char *delivery_complaint(const Bot *b);

/* ---- status.c ---- */
/* The line may have more to say of the bot than where it is. */
bool bot_is_noted(const Bot *b);
void manager_status_changed(Manager *m);

/* ---- history.c ---- */
/* The job has ended: an entry for manager_history_write(). */
void bot_history_keep(Bot *b);
/* Has it written, where it is due; called as soon as the record that ends the job is on disk. */
void bot_history_append(Bot *b);
/* The job leaves the phase of this name ("": it begins). */
void bot_history_phase(Bot *b, const char *phase);
void manager_history_write(Manager *m);
void manager_history_done(Manager *m);

/* ---- bot-load.c ---- */
int bot_load(Bot *b) _must_check_;
int bot_declare_initial_seat(Bot *b) _must_check_;
void bot_publish_environment(Bot *b);

/* ---- manager-config.c ---- */
int manager_load_config(Manager *m) _must_check_;
int manager_apply_config(Manager *m) _must_check_;

/* ---- manager.c ---- */
int manager_add_bot(Manager *m, const char *name, Bot **ret) _must_check_;
void manager_remove_bot(Manager *m, Bot *b);
void manager_inhibit(Manager *m);
void manager_maybe_exit(Manager *m);
