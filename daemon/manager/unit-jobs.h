/* SPDX-License-Identifier: MIT */
#pragma once

#include "io/unit-client.h"
#include "manager/bot.h"

/* Jobs of systemd on several units at once, for the operations that stop and start workers. */

typedef struct UnitWish {
        const char *unit; /* borrowed until the jobs are done */
        UnitVerb verb;
} UnitWish;

typedef struct UnitJob {
        UnitJobs *jobs;
        UnitWish wish;
        UnitCall *call;
        UnitJobResult result; /* once all are over */
} UnitJob;

struct UnitJobs {
        UnitJob *items;
        size_t n;
        size_t pending;
        char *complaint; /* the first thing that went wrong */
        bool shutting_down;
        void (*done)(void *userdata);
        void *userdata;
        sd_event_source *done_source;
};

/* Begins all of them, after forgetting those of the time before; `wishes` may be among what is forgotten. `done` comes
 * once, from the event loop, unless unit_jobs_done() is called before. Each job is given `timeout_usec`. */
int unit_jobs_start(UnitJobs *j, Manager *m, const UnitWish *wishes, size_t n, usec_t timeout_usec,
                    void (*done)(void *userdata), void *userdata) _must_check_;
/* The same verb for all of a vector, which is borrowed. */
int unit_jobs_start_all(UnitJobs *j, Manager *m, char *const *units, UnitVerb verb, usec_t timeout_usec,
                        void (*done)(void *userdata), void *userdata) _must_check_;
/* Takes over the jobs of `from`, which is empty then: each has `timeout_usec` from now on, and `done` comes once all
 * are over, also where they are by now. The units' names have to stay. */
int unit_jobs_take(UnitJobs *j, UnitJobs *from, Manager *m, usec_t timeout_usec, void (*done)(void *userdata),
                   void *userdata) _must_check_;
/* Forgets the jobs, which go on in systemd; leaves a structure that may be started again. */
void unit_jobs_done(UnitJobs *j);

/* Some job of this verb took longer than it may. */
bool unit_jobs_timed_out(const UnitJobs *j, UnitVerb verb) _pure_;

/* Takes the complaint unless there is one: "UNIT: what. error". `error` may be NULL. */
void unit_jobs_complain(UnitJobs *j, const char *unit, const char *what, const char *error);

bool unit_is_socket(const char *unit) _pure_;

/* Its main program runs, and it has a way to be told something. */
bool worker_can_reload(const UnitInfo *info) _pure_;

/* How long stopping and starting may take, by the bot's settings. A bot whose settings are all gone still has workers
 * on record; for those systemd's own default will do. */
usec_t stop_timeout_usec(const Bot *b);
usec_t start_timeout_usec(const Bot *b);
