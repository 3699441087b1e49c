/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/json-text.h"

/* What a Bot API server answered, and what that means. Pure: bytes and numbers in, values out.
 *
 * The replies are those of tdlib/telegram-bot-api 10.0 (Query.h, Client.cpp). A reply counts as that
 * server's own word only if its body is an envelope and agrees with the HTTP status; whatever a proxy or
 * front end made up proves nothing about the bot. */

/* How deep a reply may nest; who reads stored updates back has to allow as much. */
#define BOTAPI_JSON_DEPTH_MAX JSON_TEXT_DEPTH_MAX

typedef enum BotApiTransport {
        BOTAPI_REPLIED,  /* a whole HTTP reply came back, whatever stands in it */
        BOTAPI_NOT_SENT, /* nothing can have arrived: name look-up, connection or TLS handshake failed */
        BOTAPI_LOST,     /* perhaps sent, and no whole reply: timeout, reset, truncated, too large */
        BOTAPI_TRANSPORT_MAX,
        BOTAPI_TRANSPORT_INVALID = -EINVAL,
} BotApiTransport;

typedef struct BotApiReply {
        BotApiTransport transport;
        char *transport_error; /* sentence fragment for people, cleaned, without any URL; NULL if REPLIED */
        int http_status;       /* 0 unless REPLIED */
        bool envelope;         /* the body is a Bot API envelope: a JSON object with a boolean "ok" */
        bool ok;
        int error_code;          /* as in the envelope; 0 if absent or not between 100 and 999 */
        char *description;       /* cleaned, at most 256 bytes; "" if absent, NULL unless REPLIED */
        usec_t retry_after_usec; /* parameters.retry_after, else the header Retry-After, capped at 1 h; where
                                  * a 429 envelope has neither, 1 s; else 0 */
        json_object *result;     /* owned; NULL if absent */
} BotApiReply;

/* A copy of at most `size_max` bytes that is good for a journal line and a D-Bus string, whatever came in:
 * cut between characters, with a '?' for every control character and every byte that is not UTF-8, and with "{secret}"
 * for what may be the secret half of a token, anybody's (L7): a server knows more of them than this bot's. NULL: no
 * memory. */
char *botapi_clean_text(const char *text, size_t size_max) _must_check_;

/* Never fails for what the server sent: a body that is no envelope gives envelope == false.
 * `retry_after_header` is the value of the header in seconds, or -1. Returns -ENOMEM only. */
int botapi_reply_parse(int http_status, const char *body, size_t size, int64_t retry_after_header,
                       BotApiReply *ret) _must_check_;
void botapi_reply_done(BotApiReply *reply);

/* A sentence fragment for people, like "HTTP 502 and no Bot API reply" or "400 Bad Request: …". NULL: no
 * memory. */
char *botapi_reply_describe(const BotApiReply *reply) _must_check_;

/* 200 with `true` as its result, which is how the server says that it has done what it was asked for. */
bool botapi_is_true(const BotApiReply *reply) _pure_;

/* What one reply to logOut says. Whether an earlier attempt is unknown is the business of the table, not
 * ours. */
typedef enum LogOutOutcome {
        LOGOUT_OUTCOME_APPLIED,        /* 200 true */
        LOGOUT_OUTCOME_APPLIED_BEFORE, /* 400 "Logged out" or "Bad Request: already logging out" */
        LOGOUT_OUTCOME_REVOKED,        /* 401 in a Bot API envelope */
        LOGOUT_OUTCOME_NOT_SENT,
        LOGOUT_OUTCOME_FLOOD,   /* 429 in a Bot API envelope */
        LOGOUT_OUTCOME_UNKNOWN, /* everything else */
        LOGOUT_OUTCOME_MAX,
        LOGOUT_OUTCOME_INVALID = -EINVAL,
} LogOutOutcome;

LogOutOutcome botapi_logout_outcome(const BotApiReply *reply);
const char *logout_outcome_to_string(LogOutOutcome o);

/* Replies to getMe at the server that the bot is to log in to, or is logged in at. */
typedef enum LogInOutcome {
        LOGIN_OUTCOME_OK,          /* 200 and result.id is the expected id */
        LOGIN_OUTCOME_OTHER_BOT,   /* 200 and another id */
        LOGIN_OUTCOME_API_ID,      /* 401 "Unauthorized: invalid api-id/api-hash"; cached there 1800 s */
        LOGIN_OUTCOME_REFUSED,     /* 401 otherwise: revoked token, lost session */
        LOGIN_OUTCOME_MISDIRECTED, /* 421: --filter= of the server, or a token it does not accept */
        LOGIN_OUTCOME_FLOOD,       /* 429 */
        LOGIN_OUTCOME_LOGGED_OUT,  /* 400 "Logged out": the server's own lock */
        LOGIN_OUTCOME_RESTARTING,  /* 500 "Internal Server Error: restart" */
        LOGIN_OUTCOME_SILENT,      /* not connected, or no answer: the server may hold the login pending */
        LOGIN_OUTCOME_ODD,         /* anything else */
        LOGIN_OUTCOME_MAX,
        LOGIN_OUTCOME_INVALID = -EINVAL,
} LogInOutcome;

LogInOutcome botapi_login_outcome(const BotApiReply *reply, int64_t expected_id);
const char *login_outcome_to_string(LogInOutcome o);

/* One sentence with cause and cure for each but _OK, which is NULL; for LastError and the journal; static string. Says
 * "the server", since the same replies come from both. */
const char *login_outcome_advice(LogInOutcome o);

/* GET /bot0:x/getMe: 401 "Unauthorized: invalid token specified" proves that the server answers, without a
 * login. */
bool botapi_probe_alive(const BotApiReply *reply);

/* The same at the cloud, whose own words for that are not known: any success, or any error between 400 and 499 in a Bot
 * API envelope. A front end with nothing behind it says neither. */
bool botapi_server_answers(const BotApiReply *reply) _pure_;

/* Replies to getWebhookInfo. Strings are owned. */
typedef struct WebhookSettings {
        char *url; /* NULL or "": a polling bot; may contain the token */
        char *ip_address;
        bool has_custom_certificate;
        int max_connections;          /* 0: not set */
        json_object *allowed_updates; /* array, or NULL: not set */
} WebhookSettings;

typedef struct WebhookInfo {
        WebhookSettings settings;
        uint64_t pending_update_count;
        usec_t last_error_usec;   /* CLOCK_REALTIME of last_error_date; 0: none */
        char *last_error_message; /* cleaned; NULL: none. May contain the token where the URL does */
} WebhookInfo;

/* Returns 0, -ENOMEM, or -EBADMSG where the reply is not a good one of getWebhookInfo. */
int botapi_webhook_info(const BotApiReply *reply, WebhookInfo *ret) _must_check_;
void webhook_info_done(WebhookInfo *info);
void webhook_settings_done(WebhookSettings *s);
int webhook_settings_copy(const WebhookSettings *s, WebhookSettings *ret) _must_check_;

/* The reply to getUpdates: result is an array of objects, each with an integer update_id above 0 and
 * below 2^53, strictly ascending. On success *ret is a new reference to that array and *ret_next_offset is
 * one more than the last, or unchanged where the array is empty. -EBADMSG where anything is off: nothing of
 * it may be confirmed then. */
int botapi_updates(const BotApiReply *reply, json_object **ret, int64_t *ret_next_offset) _must_check_;
