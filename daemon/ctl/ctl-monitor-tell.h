/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* The lines of `monitor`: one for each change, as text or as JSON. */

/* A bot, and what was told of it last. */
typedef struct MonitorBot {
        CtlBot bot;
        char *seat, *error;
        usec_t cloud_allowed_usec, local_allowed_usec, held_until_usec;
        bool stale_session;
} MonitorBot;

/* A job that runs; `phase` is NULL while nothing was told of it. */
typedef struct MonitorJob {
        CtlJob job;
        char *phase, *error;
        usec_t phase_started_usec;
        bool holding;
} MonitorJob;

MonitorBot *monitor_bot_free(MonitorBot *b);
MonitorJob *monitor_job_free(MonitorJob *j);
/* As it is now it needs not be told. */
void monitor_bot_told(MonitorBot *b);

/* What has changed since it was told last. */
void tell_bot(const Ctl *c, MonitorBot *b);
void tell_job(const Ctl *c, MonitorJob *j);

void tell_begin(const Ctl *c, size_t n_bots);
void tell_bot_gone(const Ctl *c, const MonitorBot *b);
/* `record` is what the daemon has on record of the job; NULL: nothing. */
void tell_job_end(const Ctl *c, const CtlJob *job, const char *result, const CtlJob *record);
void tell_server(const Ctl *c, const char *state);
void tell_daemon(const Ctl *c, bool is_there);
