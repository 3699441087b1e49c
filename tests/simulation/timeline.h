/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* Virtual time, and what happens in it. Nothing here waits: the next event is simply the present one. Events of one
 * moment happen in the order in which they were added, so that a run is the same each time. */

typedef struct Event Event;
typedef void (*event_handler_t)(void *userdata);

/* What a suspended host does late, and what goes on without it. */
typedef enum Place {
        PLACE_HOST,
        PLACE_OUTSIDE,
} Place;

/* Enough before it for sessions that are older than the run. */
#define TIMELINE_BEGIN_USEC (100000 * USEC_PER_SEC)

void timeline_reset(void);

/* True time since the run began, which no clock of the host shows. */
usec_t timeline_now(void);

/* The event is the timeline's, and gone when its handler is called. */
Event *timeline_add(usec_t delay_usec, Place place, event_handler_t handler, void *userdata);
Event *timeline_cancel(Event *e);
/* One that cannot be cancelled, with something of its own: `release` gets it where the run ends before. */
void timeline_add_owned(usec_t delay_usec, Place place, event_handler_t handler, event_handler_t release,
                        void *userdata);

/* The host sleeps: what should happen there happens when it wakes up. */
void timeline_suspend(usec_t length_usec);
bool timeline_is_asleep(void);
usec_t timeline_suspended_usec(void); /* all sleep so far */

/* Goes on to the next event and lets it happen. False: there is none before `limit`. */
bool timeline_step(usec_t limit);
uint64_t timeline_n_events(void);
