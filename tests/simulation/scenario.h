/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/cutover.h"
#include "world.h"

/* What a seed stands for: a host with its bots, what goes wrong there, and what people do. */

/* Makes the world of the seed. */
void scenario_set_up(uint64_t seed);
void scenario_tear_down(void);

/* accidents.c: things that happen by themselves. */
void accidents_begin(void);
void accidents_soon(void);
/* A bot enters a state: what would otherwise hardly ever fall into it. */
void accidents_at(CutoverState state);
/* admin.c: what people ask of the daemon and of systemd. */
void admin_begin(void);
void admin_end(void);
/* Somebody changes their mind about a move that is under way. */
void admin_cancel(void);
/* Cancels what can be cancelled. */
void admin_give_up(void);

/* Nothing goes wrong any more, and what was broken is mended. */
void scenario_calm_down(void);

typedef struct Statistics {
        uint64_t seeds, virtual_usec, crashes, reboots, requests, moves, moved;
} Statistics;

extern Statistics statistics;

/* Runs one seed. False: a law was broken, see judge_verdict(). */
bool scenario_run(uint64_t seed);
