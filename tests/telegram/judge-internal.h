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
        unsigned n_queues;   /* in how many it waits now */
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
} JudgeRequest;

/* What a client can know about its logOuts at one server. */
typedef struct JudgeLogout {
        bool open;        /* one was sent that may have been applied */
        bool unknown;     /* at least one attempt ended without a conclusive answer */
        bool conclusive;  /* an answer arrived that says applied: a repeat has no excuse */
        bool told;        /* the same, and a daemon that was killed since then may have kept it on disk */
        bool said;        /* a fault had the server say it in other words, which arrived */
        bool withdrawn;   /* the first attempt was answered: not applied */
        char req[48];     /* of the latest attempt */
        char told_by[48]; /* the request whose answer was conclusive */
        int64_t window_until;
        int64_t sent_t, conn; /* of the first attempt */
        bool ended;           /* it was answered, or its connection ended without */
} JudgeLogout;

typedef struct JudgeBot {
        struct JudgeBot *next;
        int64_t id;
        bool session[_ROLE_MAX], stale[_ROLE_MAX], l2_reported[_ROLE_MAX];
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
        json_object *downtimes, *blind_times, *blind_floors, *violations;
        int64_t n_twice, n_after_confirmed;
} JudgeBot;

typedef struct Judge {
        Settings settings;
        bool dead[_ROLE_MAX];
        json_object *ports_shut; /* fault numbers of refuse and silent, to the role */
        JudgeBot *bots;
        JudgeUpdate *updates;
        size_t n_updates;
        int64_t first_uid;
        int64_t killed_t; /* the daemon, last; 0: never */
        /* The entry at hand. */
        int64_t t, seq;
} Judge;

JudgeBot *judge_bot(Judge *judge, int64_t id);
_printf_(4, 5) void judge_violation(Judge *judge, JudgeBot *bot, const char *law, const char *format, ...);
/* The server that a worker's root means; _ROLE_INVALID: whichever is the seat. */
Role judge_root(const Judge *judge, const char *root);

/* judge-laws.c: L1 to L4. */
void judge_request(Judge *judge, JudgeBot *bot, Role role, json_object *entry);
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

/* judge-updates.c: L6 and the balance. */
void judge_update_event(Judge *judge, JudgeBot *bot, Role role, const char *event, json_object *entry);
void judge_updates_answer(JudgeBot *bot, Judge *judge, Role role, json_object *entry);
void judge_updates_undelivered(Judge *judge, const char *req);
void judge_updates_forgotten(Judge *judge, JudgeBot *bot, Role role);
void judge_handled(Judge *judge, JudgeBot *bot, Role role, int64_t uid, const char *from);
json_object *judge_bot_verdict(Judge *judge, JudgeBot *bot);
