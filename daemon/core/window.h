/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"
#include "core/seat.h"

/* The arithmetic of the windows: after a logOut the server that the bot left must not be asked for a while. No clock is
 * read here; the caller says what the clocks show. */

/* logOut in the Bot API documentation: "10 minutes". */
#define WINDOW_CLOUD_USEC (600 * USEC_PER_SEC)
/* Either server keeps a client whose session was younger than half an hour closed for 1800 s (Client.cpp,
 * finish_closing) … */
#define WINDOW_LONG_USEC (1800 * USEC_PER_SEC)
/* … and any other for a second, which is all that a local server asks for. */
#define WINDOW_LOCAL_USEC (1 * USEC_PER_SEC)
/* logOut's answer leaves the server before its own clock for the lock starts. */
#define WINDOW_MARGIN_USEC (5 * USEC_PER_SEC)

/* One moment as all clocks of the host saw it. boottime counts within one boot and goes on in suspend (CLOCK_BOOTTIME);
 * realtime compares moments of different boots, and can be believed only where it was synchronised. All zero: never. */
typedef struct Moment {
        usec_t boottime_usec;
        usec_t realtime_usec;
        uint8_t boot_id[16];
        bool synchronised;
} Moment;

bool moment_is_set(const Moment *m) _pure_;
bool moment_same_boot(const Moment *a, const Moment *b) _pure_;

/* Whether CLOCK_REALTIME has gone on since `reference`, in the same boot, without being set: what was said of it then
 * still holds. A clock that is corrected in small steps stays far within the bound. */
#define MOMENT_STEP_USEC (2 * USEC_PER_SEC)
bool moment_is_steady(const Moment *reference, const Moment *m) _pure_;

/* Time that has certainly passed since `then`; the truth is never less. `seen` is any moment after `then` in a later
 * boot, or NULL. In the boot of `then` only CLOCK_BOOTTIME counts. In a later one, the time since `seen` has passed for
 * certain, and CLOCK_REALTIME can prove more where it was synchronised at both ends; a stamp from the future proves
 * nothing. The boot's own age is not taken for granted: in a container CLOCK_BOOTTIME is older than the boot. */
usec_t moment_age(const Moment *then, const Moment *seen, const Moment *now) _pure_;

/* One server's window for one bot. */
typedef struct Window {
        Moment since;       /* the last moment at which that server can have applied a logOut, or refused a login */
        Moment seen;        /* when a process of a later boot first looked at it */
        usec_t length_usec; /* 0: it is over, or there never was one */
} Window;

/* `length_usec` as the server counts it: WINDOW_MARGIN_USEC is added in here, callers never do. */
void window_begin(Window *w, const Moment *now, usec_t length_usec);
/* It is over and stays so, whatever a clock says later; `since` is kept for people to read. */
void window_close(Window *w);
/* Has time count from here where `now` is of a later boot. Returns whether that changed anything. */
bool window_look(Window *w, const Moment *now);

/* How long, from `now`, nothing may be sent to that server; 0 when the window is over. Never shorter than the truth,
 * whatever the clocks do (L8); never longer than length and margin. */
usec_t window_left(const Window *w, const Moment *now) _pure_;

/* When the window ends on CLOCK_REALTIME as it goes now, for people to read; 0 when it is over. */
usec_t window_end_realtime(const Window *w, const Moment *now) _pure_;

/* Whether a session that began at `logged_in` may still be young in the sense of WINDOW_LONG_USEC; not where nobody
 * knows when it began. */
bool window_session_is_young(const Moment *logged_in, const Moment *now) _pure_;

/* How long `server` keeps a bot out that is logged out of it now, and whose session there began at `logged_in`; or with
 * this very logOut, where `may_be_new` says that it may have had to log the bot in first. */
usec_t window_length(Seat server, const Moment *logged_in, bool may_be_new, const Moment *now) _pure_;
