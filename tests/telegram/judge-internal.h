/* SPDX-License-Identifier: MIT */
#pragma once

#include "judge.h"
#include "role.h"
#include "settings.h"

typedef struct JudgeUpdate {
        int64_t bot; /* 0: not injected */
        int64_t queued_t[_ROLE_MAX];
        int64_t wiped_t, answered_before_wipe_t;
        int64_t confirmed_t; /* by the worker that polled: what the daemon confirms, no worker has */
        unsigned n_returned; /* in answers that arrived */
        bool in_queue[_ROLE_MAX];
        bool for_local; /* was sent to a session there, too */
        unsigned n_handled;
        Role handled_at;
        bool handed_over, lost, dropped;
} JudgeUpdate;

typedef struct JudgeWorker {
        struct JudgeWorker *next;
        char *unit;
        Role role; /* _ROLE_INVALID: follows the seat */
} JudgeWorker;

/* An answer that may turn out not to have arrived. */
typedef struct JudgeAnswer {
        char req[48];
        bool logout;
        json_object *uids;
} JudgeAnswer;

#define JUDGE_ANSWERS 16

/* A request that waits for its answer, which a killed daemon does not get. */
typedef struct JudgeRequest {
        char req[48];
        int64_t t;
        bool by_daemon;
} JudgeRequest;

/* What a bot that went to the cloud may have left at a local server that was dead. */
typedef struct JudgeDebt {
        bool owed;       /* a session: nothing but what ends it may go there */
        bool may_settle; /* the daemon may send what ends it: it is owed, or may be as far as the daemon knows */
        bool served;     /* that server has answered with 200 since the bot left the cloud */
        char settled_by[48], served_by[48]; /* the requests whose answers told so */
        int64_t answered_t;                 /* the daemon's last answer there */
        int64_t left_t;                     /* the last request to the cloud that made it so */
} JudgeDebt;

/* What a client can know about its logOuts at one server. */
typedef struct JudgeLogout {
        bool open;               /* one was sent that may have been applied */
        bool unknown;            /* at least one attempt ended without a conclusive answer */
        bool conclusive;         /* an answer arrived that says applied: a repeat has no excuse */
        bool told;               /* the same, and a daemon that was killed since then may have kept it on disk */
        bool said;               /* a fault had the server say it in other words, which arrived */
        bool withdrawn;          /* the first attempt was answered: not applied */
        char req[48];            /* of the latest attempt */
        char told_by[48];        /* the request whose answer was conclusive */
        int64_t window_until;    /* Telegram's clock, as applied_at */
        int64_t applied_at;      /* 0: not yet */
        bool early;              /* a request has been, and is reported */
        bool returned;           /* the first request since then has been seen */
        int64_t arrived_t, conn; /* of the first attempt */
} JudgeLogout;

typedef struct JudgeBot {
        struct JudgeBot *next;
        int64_t id;
        bool session[_ROLE_MAX], l2_reported[_ROLE_MAX];
        JudgeDebt debt;
        Role seat;
        JudgeLogout logouts[_ROLE_MAX];
        /* A getUpdates at the cloud that the next request has to excuse. */
        struct {
                bool set;
                int64_t t, seq, conn;
        } suspect;
        JudgeWorker *workers;
        JudgeAnswer answers[JUDGE_ANSWERS];
        size_t n_answers;
        bool polled_by_daemon; /* the last getUpdates */
        JudgeRequest requests[JUDGE_ANSWERS];
        size_t n_requests;
        int64_t answered_t[_ROLE_MAX], answered_before_t[_ROLE_MAX]; /* the last getUpdates, and the one before */
        int64_t handled_t;
        Role handled_role;
        int64_t blind_since;
        /* The cloud's answer 429 to a bot that is not logged in there. */
        struct {
                int64_t until;
                char req[48];
        } told_to_wait;
        json_object *downtimes, *blind_times, *blind_floors, *away_times, *violations;
        int64_t n_twice, n_after_confirmed, n_refused;
} JudgeBot;

typedef struct Judge {
        Settings settings;
        struct {
                bool stopped, declared;
                json_object *ports_shut; /* the numbers of the faults that do it */
                int64_t alive_t;         /* since when it is not dead any more; 0: never was */
        } local;
        JudgeBot *bots;
        JudgeUpdate *updates;
        size_t n_updates;
        int64_t first_uid;
        int64_t killed_t; /* the daemon, last; 0: never */
        /* The entry at hand. */
        int64_t t, seq;
} Judge;

JudgeBot *judge_bot(Judge *judge, int64_t id);
/* Telegram's clock at the entry at hand. */
int64_t judge_now(const Judge *judge);
void judge_copy_req(char dest[static 48], const char *req);
/* NULL where it is too long ago. */
const JudgeRequest *judge_request_find(const JudgeBot *bot, const char *req);
_printf_(4, 5) void judge_violation(Judge *judge, JudgeBot *bot, const char *law, const char *format, ...);
/* The server that a worker's root means; _ROLE_INVALID: whichever is the seat. */
Role judge_root(const Judge *judge, const char *root);

/* judge-laws.c: L1 to L4, L8. */
void judge_request(Judge *judge, JudgeBot *bot, Role role, json_object *entry);
bool judge_says_logged_out(int64_t code, const char *description);
void judge_cloud_answer(Judge *judge, JudgeBot *bot, json_object *entry);
void judge_login_refused(Judge *judge, JudgeBot *bot, Role role, json_object *entry);
void judge_logout_answer(Judge *judge, JudgeBot *bot, Role role, json_object *entry);
void judge_spool_answer(JudgeBot *bot, Role role, json_object *entry);
void judge_logout_fault(JudgeBot *bot, Role role, json_object *entry);
void judge_logout_undelivered(JudgeBot *bot, const char *req);
void judge_logout_applied(Judge *judge, JudgeBot *bot, Role role, json_object *entry);
void judge_login(Judge *judge, JudgeBot *bot, Role role);
void judge_worker_start(Judge *judge, JudgeBot *bot, json_object *entry);
void judge_worker_stop(JudgeBot *bot, const char *unit);
void judge_seat_used(Judge *judge, JudgeBot *bot, json_object *entry);
void judge_daemon_killed(Judge *judge);
bool judge_request_is_dead(const Judge *judge, const JudgeBot *bot, const char *req);
void judge_end_of_laws(Judge *judge);

/* judge-owed.c: a local server that is dead, and the session that is left there. */
void judge_server(Judge *judge, const char *event, json_object *entry);
/* Whether what is at the local server, or on the way to it, has to wait for that server. */
bool judge_is_with_dead(const Judge *judge, const JudgeBot *bot);
/* Whether the bot may go to the cloud although nobody knows that the local server has logged it out: that one is dead,
 * or has never served the bot since it left the cloud. */
bool judge_may_leave_local(const Judge *judge, const JudgeBot *bot);
void judge_left_local(Judge *judge, JudgeBot *bot, bool known_out);
/* A request to the local server of a bot that may have left something there. Returns true where that is all there is to
 * say about it. */
bool judge_settling_request(Judge *judge, JudgeBot *bot, const char *method, const JudgeRequest *request);
void judge_settled(JudgeBot *bot, const char *req);
void judge_local_answer(Judge *judge, JudgeBot *bot, json_object *entry);
void judge_local_undelivered(JudgeBot *bot, const char *req);
void judge_debt_after_kill(JudgeBot *bot);
/* The bot leaves the cloud. */
void judge_debt_move_begins(JudgeBot *bot);

/* judge-updates.c: L6 and the balance. */
void judge_update_event(Judge *judge, JudgeBot *bot, Role role, const char *event, json_object *entry);
void judge_updates_answer(JudgeBot *bot, Judge *judge, Role role, json_object *entry);
void judge_updates_undelivered(Judge *judge, const char *req);
void judge_updates_forgotten(Judge *judge, JudgeBot *bot, Role role);
/* Whether no server has it any more: it was taken out of the queue, or wiped there. */
bool judge_was_taken(Judge *judge, int64_t uid);
void judge_handled(Judge *judge, JudgeBot *bot, Role role, int64_t uid, const char *from);
json_object *judge_bot_verdict(Judge *judge, JudgeBot *bot);
