/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* The arithmetic of the windows: after a logOut the server that the bot left must not be asked for a while. No clock is
 * read here; the caller says what the clocks show. */

/* logOut in the Bot API documentation: "10 minutes". */
#define WINDOW_USEC (600 * USEC_PER_SEC)
/* The server's source keeps a client whose session was younger than half an hour closed for 1800 s. */
#define WINDOW_LONG_USEC (1800 * USEC_PER_SEC)
/* logOut's answer leaves the server before its own clock for the lock starts. */
#define WINDOW_MARGIN_USEC (5 * USEC_PER_SEC)

/* One moment as all clocks of the host saw it. boottime counts within one boot and goes on in suspend (CLOCK_BOOTTIME);
 * realtime compares moments of different boots, and can be believed only where it was synchronised. */
typedef struct Moment {
        usec_t boottime_usec;
        usec_t realtime_usec;
        uint8_t boot_id[16];
        bool synchronised;
} Moment;

/* How long, from `now`, nothing may be sent to the server that a logOut left at `logged_out`; 0 when the window is
 * over. `length_usec` is WINDOW_USEC or WINDOW_LONG_USEC: WINDOW_MARGIN_USEC is added here, callers never do.
 *
 * Never shorter than the truth, whatever the clocks do (L8). Within one boot only CLOCK_BOOTTIME counts. In a later
 * boot the age of that boot has passed for certain, and CLOCK_REALTIME can prove more where it was synchronised at both
 * moments; a stamp from the future proves nothing. Never longer than length and margin. */
usec_t window_left(const Moment *logged_out, usec_t length_usec, const Moment *now) _pure_;

/* When the window ends on CLOCK_REALTIME as it goes now, for people to read; 0 when it is over. */
usec_t window_end_realtime(const Moment *logged_out, usec_t length_usec, const Moment *now) _pure_;
