/* SPDX-License-Identifier: MIT */
#pragma once

#include "io/config.h"

/* Which bot has which worker, while a configuration is read: a unit belongs to one bot, and a thousand bots are asked
 * about each other. */

typedef struct WorkerOwner {
        const char *worker; /* an entry of Worker=; borrowed, as the bot is */
        const BotConfig *bot;
} WorkerOwner;

typedef struct WorkerOwners {
        WorkerOwner *units, *globs; /* the former sorted by name */
        size_t n_units, n_globs;
} WorkerOwners;

void worker_owners_done(WorkerOwners *o);

/* Has the workers of a bot be its own. Returns 0 or -ENOMEM. */
int worker_owners_add(WorkerOwners *o, const BotConfig *b) _must_check_;

/* An entry that is certain to name a unit together with `worker`, a unit or a glob; NULL: there is none. What two globs
 * have in common is found out when they are expanded. */
const WorkerOwner *worker_owners_find(const WorkerOwners *o, const char *worker);
