/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-add-look.h"
#include "ctl/ctl.h"
#include "io/config.h"

/* Which services of the host may be the program of a bot: a guess, for somebody to choose from. */

typedef struct Candidates {
        Candidate *items; /* the likeliest first, then by name */
        size_t n;
} Candidates;

/* Looks at all services of the system but those of tgswitch and those that are a bot's already, this one's own
 * excepted. Needs a connected `c`. 0 or -errno. */
int candidates_find(Ctl *c, const Config *config, const char *bot, const BotToken *token, Candidates *ret) _must_check_;
void candidates_done(Candidates *l);
