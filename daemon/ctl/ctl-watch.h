/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* Follows jobs to their end, whether the daemon restarts or not, and shows their phases meanwhile. */

typedef struct Watch Watch;

/* Listens from now on: what happens after this call is not missed. Blocks SIGINT and SIGTERM, which detach. */
CtlExit watch_new(Watch **ret, Ctl *c) _must_check_;
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch *, watch_free);

/* A bot whose job is about to be asked for; until it gets one, or is dropped, it counts as one that waits. */
CtlExit watch_expect(Watch *w, const char *bot) _must_check_;
void watch_drop(Watch *w, const char *bot);
/* A call by which jobs are begun; on a terminal it is shown meanwhile what becomes of the bots, unless somebody is
 * asked for a password there. -ECANCELED: a signal has detached us before the answer came. */
int watch_call(Watch *w, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret) _must_check_;
/* Before anything else is printed. */
void watch_hide(Watch *w);
bool watch_is_detached(const Watch *w);

/* A job that was just begun, or is running: of a bot that was expected, or of another. It may have ended meanwhile. */
CtlExit watch_add(Watch *w, uint32_t id, const char *bot, const char *target) _must_check_;
/* The last job of a bot, which has ended already; it is taken out of there. */
CtlExit watch_add_ended(Watch *w, CtlBot *b) _must_check_;
/* Asks what has become of them so far, as watch_run() does by itself. */
void watch_catch_up(Watch *w);
/* Says where to follow the jobs added so far, without waiting. */
void watch_print_jobs(const Watch *w);

/* Waits until all have ended. `*ret_detached` gets the signal that ended the waiting instead, or 0. */
CtlExit watch_run(Watch *w, int *ret_detached) _must_check_;

/* Prints how each job ended, or adds it to `json`. The status is that of all of them together; `n_refused` bots had no
 * job at all. */
CtlExit watch_report(Watch *w, size_t n_refused, json_object *json);
