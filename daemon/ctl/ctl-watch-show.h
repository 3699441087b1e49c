/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-live.h"

/* The lines of a watch that stay. All of them are printed above the line that is written over. */

typedef struct WatchItem {
        CtlJob job; /* kept up to date by PropertiesChanged; `result` once it has ended */
        usec_t cloud_allowed_usec, local_allowed_usec;
        char *shown_error;
        bool shown_holding;
        bool told; /* its result has been printed */
} WatchItem;

typedef struct WatchShow {
        const Ctl *ctl;
        LiveLine live;
        int name_width; /* of the longest name among the bots */
        bool many;      /* more than one */
} WatchShow;

void show_begin(WatchShow *s, WatchItem *i);
/* A phase is over; nothing for one without a name. */
void show_phase_end(WatchShow *s, const CtlJob *job, const char *phase, usec_t took_usec);
/* What a job waits for, as far as that has not been said yet. */
void show_waiting(WatchShow *s, WatchItem *i);
/* How the job of `i` ended; `b` is the daemon's record of its bot, or empty. */
void show_result(WatchShow *s, const CtlJob *job, const CtlBot *b);
void show_detached(WatchShow *s, const WatchItem *items, size_t n_items);
void show_sum(WatchShow *s, const WatchItem *items, size_t n_items, size_t n_refused);
/* Brings the line that is written over up to date. */
void show_now(WatchShow *s, const WatchItem *items, size_t n_items);
