/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* Whether something that is asked now and then is to be given up. A restart is not a death, and a good answer between
 * two bad ones is no recovery: what counts is for how long it was bad, from each bad answer to the next good one, in
 * one spell. A server in a crash loop adds it up, two restarts do not. Pure; all times are on one clock that never goes
 * back. */

typedef struct Health {
        usec_t bad_usec;        /* in this spell, before bad_since_usec */
        usec_t bad_since_usec;  /* the first bad answer after the last good one; 0: the last one was good */
        usec_t good_since_usec; /* the first good answer after the last bad one; 0: the last one was bad, or all is well
                                 */
} Health;

/* One answer. A spell is over once all answers of `stable_usec` were good. */
void health_note(Health *h, bool good, usec_t now_usec, usec_t stable_usec);

/* No spell goes on. */
bool health_is_well(const Health *h) _pure_;

/* Bad for at least `grace_usec` in this spell, and so at the last answer. */
bool health_is_dead(const Health *h, usec_t now_usec, usec_t grace_usec) _pure_;
