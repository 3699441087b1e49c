/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-add-candidates.h"
#include "ctl/ctl-adopt.h"
#include "ctl/ctl-daemon.h"
#include "ctl/ctl-token.h"
#include "io/config-text.h"

#define BOTS_DIRECTORY TOKEN_ROOT "/bots.d"

/* One run of `add`: what there is, what was answered, and what comes of it. */
typedef struct Addition {
        const char *name;
        bool asks; /* there is somebody at a terminal to answer */

        /* what there is */
        CtlState all;
        const CtlBot *state; /* in `all`; NULL: tgswitchd does not know the bot */
        ConfigTexts texts;
        Config *config;
        const BotConfig *present; /* in `config`; NULL: it has no file yet */
        TokenStore store;

        /* what was answered */
        BotToken *token;
        TokenForm form; /* that it is stored in */
        bool stored;    /* it is there, in this form */
        Seat seat;
        Candidates candidates;
        char **units; /* to be adopted, by systemd's names */

        /* what comes of it */
        AdoptFile bot_file;
        Adoption *adoptions;
        size_t n_adoptions;
        TokenAnswer answer;
        bool token_written, daemon_restarted; /* by this run */
        json_object *json;
} Addition;

/* What there is: the daemon's word, the configuration, the token's files. */
CtlExit addition_look(Ctl *c, Addition *a) _must_check_;

/* The daemon's word once more: the bot may have moved on while somebody typed. */
CtlExit addition_look_again(Ctl *c, Addition *a) _must_check_;

/* The token, the seat and the units, by options, by what is there already, or by asking. Each is judged as soon as it
 * is known. */
CtlExit addition_ask(Ctl *c, Addition *a) _must_check_;

/* Makes `bot_file` and `adoptions`. */
CtlExit addition_plan(Ctl *c, Addition *a) _must_check_;

bool addition_changes(const Addition *a);
/* Shows what would be written, or adds it to the JSON. */
CtlExit addition_print(const Ctl *c, const Addition *a) _must_check_;
