/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "engine.h"
#include "ledger.h"

/* Telegram itself: which bots there are, which server has a session of which bot, and where an update goes.
 */
typedef struct Truth Truth;

/* A Bot API server as Telegram sees it. */
typedef struct TruthServer {
        void (*login_done)(void *userdata, const char *token, LoginResult result, const char *username,
                           int64_t retry_after_sec);
        void (*logout_done)(void *userdata, const char *token, bool young);
        void (*session_lost)(void *userdata, const char *token);
        void (*update)(void *userdata, const char *token, int64_t uid, const char *body);
        void *userdata;
} TruthServer;

int truth_new(Truth **ret, sd_event *event, Ledger *ledger, const Settings *settings);
Truth *truth_free(Truth *truth);
DEFINE_CLEANUP(Truth *, truth_free);

void truth_attach(Truth *truth, Role role, const TruthServer *server);
/* The server is gone; its sessions stay, and what comes for them waits. */
void truth_detach(Truth *truth, Role role);

/* session _ROLE_INVALID: logged in nowhere. Returns the id, or -EINVAL, -EEXIST. */
int64_t truth_add_bot(Truth *truth, const char *token, const char *username, Role session, int64_t age_sec);
bool truth_revoke_bot(Truth *truth, int64_t bot);
/* NULL where there is no such bot. */
const char *truth_bot_token(const Truth *truth, int64_t bot);

/* Answered through the server's handlers. api_id and api_hash NULL: not checked. */
void truth_login(Truth *truth, Role role, const char *token, bool again, const char *api_id, const char *api_hash);
void truth_logout(Truth *truth, Role role, const char *token);
/* The server has the update in its queue. */
void truth_acknowledge(Truth *truth, Role role, int64_t bot, int64_t uid);

typedef struct InjectionOrder {
        int64_t bot;   /* 0: each bot */
        int64_t count; /* of each bot; 0: without end */
        double rate;   /* a second and bot; 0: all at once */
        int64_t size;  /* of the text, at least */
} InjectionOrder;

/* Returns its number, or -ENOENT. */
int64_t truth_inject(Truth *truth, const InjectionOrder *order);
/* bot 0: all. */
void truth_inject_stop(Truth *truth, int64_t bot);
size_t truth_injections(const Truth *truth);

/* One object a bot: bot, username, sessions. */
json_object *truth_state(const Truth *truth);
