/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"

/* Method calls of which so many are under way at a time; the others wait in their order. A broker refuses a
 * connection's calls beyond 128 that are unanswered (dbus-daemon(1), max_replies_per_connection): a host with more
 * workers than that would be told that systemd does not know the rest. */

#define BUS_QUEUE_UNDER_WAY_MAX 64u /* all of bus-call.h comes on top, and a few single calls */

typedef struct BusQueued BusQueued;

/* Part of its owner. */
typedef struct BusQueue {
        size_t n_under_way, under_way_max; /* 0: BUS_QUEUE_UNDER_WAY_MAX */
        BusQueued *first, *last; /* waiting and under way alike; a waiting one stands behind all that are under way */
} BusQueue;

/* Frees what is left, also calls that their owners have freed and that have no answer yet. */
void bus_queue_done(BusQueue *q);

/* Sends the message when it is its turn; the timeout counts from then on. The handler gets the reply or the error as
 * that of sd_bus_call_async(3) does. */
int bus_queue_call(BusQueue *q, BusQueued **ret, sd_bus_message *m, sd_bus_message_handler_t handler, void *userdata,
                   usec_t timeout_usec) _must_check_;

/* The handler is never run after this. A call that was sent goes on counting until it is answered or its time is over.
 * For the broker it does so until it is answered: a systemd that answers nobody for longer than that is no better off.
 */
BusQueued *bus_queued_free(BusQueued *c);
