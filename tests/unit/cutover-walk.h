/* SPDX-License-Identifier: MIT */
#pragma once

#include "cutover-world.h"

/* Visits every configuration of the world that can be reached, each one once, so that a walk stands for all
 * sequences of events of any length; stops at the first that breaks a law. Rows and facts are arguments, so
 * that a table with a planted mistake can be walked too. */

typedef struct CutoverTable {
        const CutoverRow *rows;
        size_t n_rows;
        const CutoverFacts *facts; /* CUTOVER_STATE_MAX of them */
} CutoverTable;

/* Sequences are counted up to this many events. */
#define MODEL_DEPTH 8

typedef struct CutoverWalk {
        Law law;          /* the first one that was broken */
        const char *what; /* how; static */
        char *path;       /* the shortest sequence that leads there; owned, NULL where all laws are kept */
        size_t n_configurations;
        size_t n_moves;
        uint64_t n_sequences; /* of 1 to MODEL_DEPTH events from the settled seat */
        bool *taken;          /* for each row: the walk took it; owned */
} CutoverWalk;

/* Aborts where there is no memory. */
void cutover_walk(const CutoverTable *table, CutoverWalk *ret);
void cutover_walk_done(CutoverWalk *walk);
