/* SPDX-License-Identifier: MIT */
#include "core/window.h"

static bool same_boot(const Moment *a, const Moment *b)
{
        return memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0;
}

/* Time that has certainly passed since `then`; the truth is never less. */
static usec_t elapsed_at_least(const Moment *then, const Moment *now)
{
        usec_t elapsed;

        /* One clock that nobody can set: nothing else is looked at. */
        if (same_boot(then, now))
                return usec_sub(now->boottime_usec, then->boottime_usec);

        /* Another boot: this one began after `then`, so its whole age has passed, and perhaps more. */
        elapsed = now->boottime_usec;
        /* A stamp from the future proves that one of the two was wrong, so it tells nothing (usec_sub() gives 0). */
        if (then->synchronised && now->synchronised)
                elapsed = MAX(elapsed, usec_sub(now->realtime_usec, then->realtime_usec));
        return elapsed;
}

usec_t window_left(const Moment *logged_out, usec_t length_usec, const Moment *now)
{
        return usec_sub(usec_add(length_usec, WINDOW_MARGIN_USEC), elapsed_at_least(logged_out, now));
}

usec_t window_end_realtime(const Moment *logged_out, usec_t length_usec, const Moment *now)
{
        usec_t left = window_left(logged_out, length_usec, now);

        return left > 0 ? usec_add(now->realtime_usec, left) : 0;
}
