/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/bot-token.h"

/* Whether a service may be the program of a bot, by what is written in its files. What root wrote is believed. What
 * somebody else can write is a hint at most: the number of a bot is no secret, and who has it in a file of his own is
 * not to be the first that is offered the bot's token. */

typedef enum CandidateRank {
        CANDIDATE_NONE,
        CANDIDATE_FRAMEWORK, /* something in it is named like a library for bots */
        CANDIDATE_ID,        /* it has the bot's number, maybe with a token from before */
        CANDIDATE_TOKEN,     /* it has this very token */
        CANDIDATE_RANK_MAX,
        CANDIDATE_RANK_INVALID = -EINVAL,
} CandidateRank;

const char *candidate_rank_to_string(CandidateRank r);

typedef struct Candidate {
        char *unit;
        CandidateRank rank;
        char *why;       /* "/etc/shop.env has this token": of the highest rank */
        bool other_bot;  /* it has the token of another one */
        bool local_root; /* it has the address of the local server */
} Candidate;

/* What one text, called `what`, tells of the unit that it belongs to; it takes the rank to `most` and no higher. `why`
 * never has anything of the text in it, but the name of a framework. Pure. */
int candidate_look(Candidate *c, const char *what, const char *text, CandidateRank most, const BotToken *token,
                   const char *local_root) _must_check_;

/* The same for a file that the unit reads or has beside its program. A symbolic link in its place is not followed. Only
 * one that is root's alone to write, and has no link on the way to it, is believed. What cannot be read tells nothing.
 */
int candidate_look_at_file(Candidate *c, const char *path, const BotToken *token, const char *local_root) _must_check_;
