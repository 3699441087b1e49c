/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "fault.h"
#include "http-server.h"
#include "settings.h"
#include "store.h"

/* A Bot API server: everything between its HTTP port and Telegram. Telegram itself is behind the handlers.
 */
typedef struct Engine Engine;

typedef enum LoginResult {
        LOGIN_OK,
        LOGIN_UNAUTHORIZED,
        LOGIN_BAD_API,
        LOGIN_FLOOD,
        _LOGIN_RESULT_MAX,
        _LOGIN_RESULT_INVALID = -EINVAL,
} LoginResult;

const char *login_result_to_string(LoginResult result);
LoginResult login_result_from_string(const char *s);

typedef struct EngineHandlers {
        /* An entry for the ledger; consumed. */
        void (*record)(void *userdata, json_object *entry);
        /* Asks Telegram for a session; `again` where this server has one on disk. Answered by
         * engine_login_done(), or never, as without a network. */
        void (*login)(void *userdata, const char *token, bool again);
        /* Answered by engine_logout_done(), or never. */
        void (*logout)(void *userdata, const char *token);
        void *userdata;
} EngineHandlers;

typedef struct EngineOptions {
        Role role;
        bool local_mode; /* --local */
        const Settings *settings;
        FaultList *faults;
        Store *store; /* borrowed; NULL: nothing outlives the process */
} EngineOptions;

int engine_new(Engine **ret, sd_event *event, const EngineOptions *options, const EngineHandlers *handlers);
Engine *engine_free(Engine *engine);
DEFINE_CLEANUP(Engine *, engine_free);

int engine_listen(Engine *engine, const struct sockaddr_in *address, const char *certificate, const char *key);
/* 0 where it doesn't listen yet. */
uint16_t engine_port(const Engine *engine);

void engine_login_done(Engine *engine, const char *token, LoginResult result, const char *username,
                       int64_t retry_after_sec);
void engine_logout_done(Engine *engine, const char *token, bool young);
/* The line to Telegram is there again: what was asked is asked anew, and updates flow to the sessions of
 * this server. */
void engine_reconnected(Engine *engine);
/* Telegram has ended the session. */
void engine_session_lost(Engine *engine, const char *token);
/* An update from Telegram; `body` is `"message":{…}`. One that was seen before is only recorded anew. */
void engine_add_update(Engine *engine, const char *token, int64_t uid, const char *body);
/* A bot that is logged in from the beginning. */
void engine_adopt(Engine *engine, const char *token, const char *username);
/* As an administrator had set it: arguments of setWebhook. */
void engine_set_webhook(Engine *engine, const char *token, json_object *arguments);
/* The bots with a saved webhook log in by themselves. */
void engine_restore_webhooks(Engine *engine);
/* Settings or faults have changed. */
void engine_refresh(Engine *engine);
/* One object a client: bot, state, queue, lock_left_ms, webhook. */
json_object *engine_state(const Engine *engine);
/* SIGTERM: open long polls get their answer, everything else 500. */
void engine_stop(Engine *engine);
