/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/window.h"

/* All the time there is in the daemon comes from here. */

usec_t clock_boottime_usec(void);
usec_t clock_realtime_usec(void);
/* For comparison with what systemd tells of units alone; stops in suspend. */
usec_t clock_monotonic_usec(void);

/* The present moment with boot id. Whether CLOCK_REALTIME is synchronised is what timedate1 last said; false until it
 * did, after an answer that was an error, and where the clock has been set since. */
int clock_moment(Moment *ret) _must_check_;

/* Asks org.freedesktop.timedate1 on `bus`, which is referenced, whether the clock is synchronised (NTPSynchronized),
 * without waiting for the answer. The property tells no changes: so it is asked for again by clock_refresh_…(), which
 * does nothing before clock_watch_…() or while a question is open. One bus for the process; a second call replaces it,
 * NULL ends it. */
int clock_watch_synchronised(sd_bus *bus) _must_check_;
int clock_refresh_synchronised(void);

typedef struct ClockTimer ClockTimer;
typedef void (*clock_timer_handler_t)(void *userdata);

/* One shot on CLOCK_BOOTTIME, so that suspend counts; never before `delay_usec` from this call has passed, and never at
 * all where that is USEC_INFINITY. The handler may free the timer. */
int clock_timer_new(ClockTimer **ret, sd_event *event, usec_t delay_usec, clock_timer_handler_t handler,
                    void *userdata) _must_check_;
ClockTimer *clock_timer_free(ClockTimer *t);
DEFINE_CLEANUP(ClockTimer *, clock_timer_free);
