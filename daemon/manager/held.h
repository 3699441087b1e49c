/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* Workers that were told to hold (Move=reload), each in the run in which it was told: after another start of the unit
 * its program has come through the gate and knows better. A reload may replace the main process, so it is systemd's
 * invocation of the unit that counts, not the PID. */

typedef struct HeldWorker {
        char *unit;
        uint8_t invocation_id[16];
} HeldWorker;

typedef struct HeldWorkers {
        HeldWorker *items;
        size_t n;
} HeldWorkers;

/* Takes the place of an earlier run of that unit. Returns 0 or -ENOMEM. */
int held_workers_add(HeldWorkers *h, const char *unit, const uint8_t invocation_id[static 16]) _must_check_;
/* NULL: it was not told in any run. */
const HeldWorker *held_workers_find(const HeldWorkers *h, const char *unit) _pure_;
bool held_workers_has(const HeldWorkers *h, const char *unit, const uint8_t invocation_id[static 16]) _pure_;
/* Empties it; it may be used again. */
void held_workers_clear(HeldWorkers *h);
