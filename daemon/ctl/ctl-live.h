/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* The line at the bottom of a terminal that says what is under way. It is written over, and taken away before anything
 * else is printed. The cursor waits at its beginning: where the terminal is made narrower and wraps the line, all of it
 * stands at and below the cursor, so nothing of it is left behind. */

typedef struct LiveLine {
        bool on; /* off a terminal, and where TERM is dumb, there is none: the functions do nothing */
        size_t columns;
        char *shown; /* NULL: nothing is */
} LiveLine;

void live_open(LiveLine *l, const Ctl *c);
void live_close(LiveLine *l);
/* Asks the terminal for its size, which SIGWINCH says has changed. */
void live_measure(LiveLine *l);
void live_hide(LiveLine *l);
/* Takes `text`; NULL or empty: there is nothing to say. */
void live_show(LiveLine *l, char *text);

/* Of the terminal at standard output, as it is now. False where nobody knows. */
bool terminal_size(size_t *ret_columns, size_t *ret_rows);

/* ---- what it says, without a terminal or a clock ---- */

typedef struct LiveJob {
        const CtlJob *job;
        usec_t back_usec; /* when the server that it leaves takes the bot again; 0: now */
} LiveJob;

typedef struct LiveCounts {
        size_t done, moving, waiting, failed, canceled;
} LiveCounts;

LiveCounts live_count(const LiveJob *jobs, size_t n_jobs);

/* Of one job what it does; of several first how many do what. Empty where none is under way. */
char *live_text(const LiveJob *jobs, size_t n_jobs, const char *program, usec_t now_usec) _must_check_;

/* "3 of 4 bots were moved; 1 failed." `n_refused` had no job at all. */
void live_print_sum(FILE *f, const LiveCounts *counts, size_t n_refused);
