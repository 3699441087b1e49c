/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* Whether something that is asked now and then is to be given up. One bad answer is a restart, and one good answer
 * between two bad ones is no recovery: a server in a crash loop answers now and then. Pure; all times are on one clock
 * that never goes back. */

typedef struct Health {
        usec_t bad_since_usec;  /* the first bad answer of this spell; 0: none */
        usec_t good_since_usec; /* the first good one since; 0: none */
} Health;

/* One answer. A spell is over once all answers of `stable_usec` were good. */
void health_note(Health *h, bool good, usec_t now_usec, usec_t stable_usec);

/* Bad for at least `grace_usec`, and so at the last answer. */
bool health_is_dead(const Health *h, usec_t now_usec, usec_t grace_usec) _pure_;
