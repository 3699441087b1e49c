/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* Follows jobs to their end, whether the daemon restarts or not, and shows their phases meanwhile. */

typedef struct Watch Watch;

/* Listens from now on: what happens after this call is not missed. Blocks SIGINT and SIGTERM, which detach. */
CtlExit watch_new(Watch **ret, Ctl *c) _must_check_;
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch *, watch_free);

/* A job that was just begun, or is running. It may have ended meanwhile. */
CtlExit watch_add(Watch *w, uint32_t id, const char *bot) _must_check_;
/* The last job of a bot, which has ended already; it is taken out of there. */
CtlExit watch_add_ended(Watch *w, CtlBot *b) _must_check_;
/* Says where to follow the jobs added so far, without waiting. */
void watch_print_jobs(const Watch *w);

/* Waits until all have ended. `*ret_detached` gets the signal that ended the waiting instead, or 0. */
CtlExit watch_run(Watch *w, int *ret_detached) _must_check_;

/* Prints how each job ended, or adds it to `json`. The status is that of all of them together; `n_refused` bots had no
 * job at all. */
CtlExit watch_report(Watch *w, size_t n_refused, json_object *json);
