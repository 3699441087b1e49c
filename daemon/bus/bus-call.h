/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "manager/manager.h"

/* A method call that changes something, from its arrival to its answer: who calls is asked of the bus daemon without
 * blocking the loop, and then the call goes on or is denied. Reading needs none of this. */

typedef struct BusCall BusCall;
typedef struct BusCallList BusCallList;
typedef struct BusSwitch BusSwitch;

/* Carries out what the caller may have done. Where that takes longer it sets `waits`, and bus_call_free() is called
 * once the call has been answered or its caller has left the bus; otherwise the call was answered. A negative result is
 * answered with `error`, or with this errno where that is not set. */
typedef int (*bus_call_handler_t)(BusCall *call, sd_bus_error *error);

struct BusCall {
        BusCallList *list;
        sd_bus_message *message; /* referenced; its reading position is where the method left it */
        Manager *manager;
        bus_call_handler_t handler;
        sd_bus_slot *slot;      /* the question under way */
        sd_bus_slot *departure; /* of the caller, while the call goes on */
        char *requester;        /* "uid 0, unit session-1.scope" or less */
        bool wants_unit;
        bool waits;

        Bot *checked; /* bus-bot.c: whose checks are under way */
        BotCheck *check;
        BusSwitch *switching; /* bus-switch.c: the jobs that are to be on record */

        BusCall *next, *previous;
};

/* Everything that is not answered yet. */
struct BusCallList {
        BusCall *first;
        size_t n;
};

typedef enum BusCallFlags {
        BUS_CALL_REQUESTER = 1 << 0, /* also find out from which unit the call comes, for the history */
} BusCallFlags;

/* For a method of a vtable: its result is to be returned. Beyond BUS_CALLS_MAX open calls new ones are refused. */
#define BUS_CALLS_MAX 4096
int bus_call_begin(BusCallList *list, Manager *m, sd_bus_message *message, unsigned flags, bus_call_handler_t handler,
                   sd_bus_error *error);

BusCall *bus_call_free(BusCall *call);

/* Answers with an error and frees the call; `r` is what the handler returned. */
void bus_call_fail(BusCall *call, int r, const sd_bus_error *error);
