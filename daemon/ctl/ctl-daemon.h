/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* What verbs that give tgswitchd other files want of it afterwards. */

/* Whether it runs, without starting it. 0 or -errno. */
int daemon_runs(Ctl *c, bool *ret) _must_check_;

/* Restarts or starts it, which writes the polkit rule anew, and waits for that; says why where it fails. It reads its
 * credentials at no other time. Safe at any moment: a move goes on where it was. */
CtlExit daemon_restart(Ctl *c) _must_check_;

typedef enum TokenSaid {
        TOKEN_SAID_NOTHING,   /* there was no daemon to ask */
        TOKEN_SAID_NOT_ASKED, /* the daemon has asked no server, and `explanation` says why */
        TOKEN_SAID_ACCEPTED,
        TOKEN_SAID_REFUSED,
        TOKEN_SAID_UNKNOWN, /* no answer, or none that tells */
        TOKEN_SAID_MAX,
        TOKEN_SAID_INVALID = -EINVAL,
} TokenSaid;

const char *token_said_to_string(TokenSaid s); /* NULL for NOTHING */

typedef struct TokenAnswer {
        TokenSaid said;
        char *webhook; /* as CheckToken() of org.tgswitch1(5) says it, or NULL */
        char *explanation;
} TokenAnswer;

/* Has tgswitchd ask the server of the bot's seat whether it takes the token (CheckToken(), org.tgswitch1(5)), and set
 * the webhook on record again with `restore_webhook`. `answer` is done with before. -ENOMEM, else 0. */
int daemon_check_token(Ctl *c, const char *bot, bool restore_webhook, TokenAnswer *answer) _must_check_;
void token_answer_done(TokenAnswer *a);
