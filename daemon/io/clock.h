/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/window.h"

/* All the time there is in the daemon comes from here. */

usec_t clock_boottime_usec(void);
usec_t clock_realtime_usec(void);

/* The present moment with boot id. Whether CLOCK_REALTIME is synchronised is what clock_watch_synchronised() last
 * heard; false until it did. */
int clock_moment(Moment *ret) _must_check_;

typedef struct ClockTimer ClockTimer;
typedef void (*clock_timer_handler_t)(void *userdata);

/* One shot on CLOCK_BOOTTIME, so that suspend counts. */
int clock_timer_new(ClockTimer **ret, sd_event *event, usec_t delay_usec, clock_timer_handler_t handler,
                    void *userdata) _must_check_;
ClockTimer *clock_timer_free(ClockTimer *t);
DEFINE_CLEANUP(ClockTimer *, clock_timer_free);
