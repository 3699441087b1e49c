/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "bus/bus-service.h"
#include "io/bus-queue.h"
#include "io/polkit.h"
#include "manager/manager.h"

/* A method call that changes something, from its arrival to its answer: who calls is asked of the bus daemon, and
 * whether they may of polkit, without blocking the loop; then the call goes on or is denied. Reading needs none of
 * this, except where the disk has to be read for it. */

typedef struct BusCall BusCall;
typedef struct BusCallList BusCallList;
typedef struct BusSwitch BusSwitch;

/* What polkit is asked for, and what conf/org.tgswitch1.policy declares. */
typedef enum BusAction {
        BUS_ACTION_SWITCH_TO_LOCAL,
        BUS_ACTION_SWITCH_TO_CLOUD,
        BUS_ACTION_MANAGE,
        BUS_ACTION_MAX,
        BUS_ACTION_INVALID = -EINVAL,
} BusAction;

/* Carries out what the caller may have done. Where that takes longer it sets `waits`, and bus_call_free() is called
 * once the call has been answered or its caller has left the bus; otherwise the call was answered. A negative result is
 * answered with `error`, or with this errno where that is not set. */
typedef int (*bus_call_handler_t)(BusCall *call, sd_bus_error *error);

/* Reads the arguments of a method and says what is wrong with them. */
typedef int (*bus_arguments_t)(sd_bus_message *m, const Manager *manager, sd_bus_error *error);

/* What a method asks for. */
typedef struct BusRequest {
        BusAction action;
        char *const *bots; /* whom it is about: each is put to polkit as the detail "bot". NULL: it is about no bot */
        /* Run before anything else: a call waits for a password with all that is in it, so what could be of any size is
         * refused first. NULL: there are no arguments, or numbers alone. */
        bus_arguments_t check_arguments;
        bus_call_handler_t handler;
        bool for_history;  /* also find out from which unit the call comes */
        bool for_everyone; /* it only reads: polkit is not asked, but a user has a bounded number of them open */
        unsigned user_max; /* of these, where BUS_CALLS_USER_MAX would be too many; 0: it is not */
} BusRequest;

struct BusCall {
        BusCallList *list;
        sd_bus_message *message; /* referenced; for the handler it stands at its beginning */
        Manager *manager;
        BusRequest request;     /* its bots are a copy, which is ours */
        size_t n_allowed;       /* of these bots, from the first on */
        sd_bus_slot *slot;      /* the question to the bus that is under way */
        BusQueued *unit;        /* or the one to systemd */
        bool awaits_polkit;     /* its turn to be put to polkit */
        PolkitCheck *polkit;    /* or the question to polkit that is under way */
        sd_bus_slot *departure; /* of the caller, while somebody is asked for a password or the call goes on */
        uint32_t uid, pid;      /* of the caller; UINT32_MAX: not known yet */
        char *requester;        /* "uid 0, unit session-1.scope" or less */
        bool waits;

        Bot *checked; /* bus-bot.c: whose checks are under way */
        BotCheck *check;
        TokenCheck *token_check;
        BusSwitch *switching; /* bus-switch.c: the jobs that are to be on record */
        HistoryQuery *query;  /* bus-history.c */
        bool awaits_metrics;  /* bus-metrics.c: until there is a text */
        bool takes_metrics;   /* and then until it is its turn to be given it */
        bool awaits_objects;  /* bus-objects.c: its turn */
        bool takes_objects;   /* which it is: the message is with sd-bus again */

        BusCall *next, *previous;
};

/* Everything that is not answered yet. */
struct BusCallList {
        BusService *service;
        BusCall *first;
        size_t n;
        BusQueue queue; /* of what systemd is asked */
};

/* Beyond these numbers of open calls, of all callers and of one user who is not root, new ones are refused. */
#define BUS_CALLS_MAX      4096u
#define BUS_CALLS_USER_MAX 64u
/* And of one method that everybody may call, and whose answer costs work and room. */
#define BUS_READS_USER_MAX 4u
/* Of GetManagedObjects(), which is what tgswitchctl begins with: a script may well run some at the same time. */
#define BUS_OBJECTS_USER_MAX 16u

/* So many questions to polkit are under way at a time, in all and for one user; the others wait for their turn. The bus
 * lets a connection have 128 calls open (dbus-daemon(1), max_replies_per_connection): who lets password prompts stand
 * must not take those that move bots. */
#define BUS_QUESTIONS_MAX      24u
#define BUS_QUESTIONS_USER_MAX 4u
#define BUS_UNITS_MAX          24u /* questions to systemd about the unit of a caller */

/* For a method of a vtable: its result is to be returned. */
int bus_call_begin(BusCallList *list, Manager *m, sd_bus_message *message, const BusRequest *request,
                   sd_bus_error *error);

/* The bot of that name, which may have gone while somebody typed a password. */
int bus_call_find_bot(const BusCall *call, const char *name, Bot **ret, sd_bus_error *error);

BusCall *bus_call_free(BusCall *call);

/* Answers with an error and frees the call; `r` is what the handler returned. */
void bus_call_fail(BusCall *call, int r, const sd_bus_error *error);
