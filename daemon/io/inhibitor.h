/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"

/* Delay inhibitors of logind for shutdown and sleep (org.freedesktop.login1(5), Inhibit): the host waits
 * for it, five seconds unless InhibitDelayMaxSec= says otherwise. Best effort: a host without logind goes
 * down without asking. */

typedef struct Inhibitor Inhibitor;

typedef enum InhibitorState {
        INHIBITOR_ASKED,
        INHIBITOR_HELD,
        INHIBITOR_REFUSED, /* at least one of the two: by logind, by polkit, or there is no logind */
        INHIBITOR_STATE_MAX,
        INHIBITOR_STATE_INVALID = -EINVAL,
} InhibitorState;

/* Asks for the lock; `why` is what `systemd-inhibit --list` shows. The answer comes from the event loop and
 * nobody is told: what the lock protects goes on without it. */
int inhibitor_take(Inhibitor **ret, sd_bus *bus, const char *why) _must_check_;

/* Gives the lock back, also one that is still being asked for. */
Inhibitor *inhibitor_free(Inhibitor *i);
DEFINE_CLEANUP(Inhibitor *, inhibitor_free);

InhibitorState inhibitor_state(const Inhibitor *i);
