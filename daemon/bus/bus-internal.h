/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus-vtable.h>

#include "bus/bus-call.h"
#include "bus/bus-names.h"
#include "bus/bus-object.h"
#include "bus/bus-service.h"
#include "io/clock.h"

/* The inside of bus/: shared by its files, seen by nobody else. */

#define BUS_JOB_PATH_SIZE (sizeof(BUS_JOB_PREFIX) + 10)

/* A bot on the bus, and its job while one runs. It is the manager's observer data of that bot. */
typedef struct BusBot {
        BusService *service;
        Bot *bot;
        BusObject object;
        BusObject job_object;
        uint32_t job_id;       /* 0: no job is on the bus */
        uint32_t recorded_job; /* the last that is on record; numbers only grow */
        bool changed;          /* it is among the changed ones of the service */
        struct BusBot *changed_previous, *changed_next;
} BusBot;

struct BusService {
        sd_bus *bus;
        Manager *manager;
        ManagerObserver observer;
        BusObject object;
        sd_bus_slot *object_manager_slot, *objects_filter_slot;
        sd_event_source *objects_source; /* on while a call for all objects waits for its turn */
        sd_bus_slot *bots_slot, *bot_paths_slot;
        sd_event_source *publish_source; /* on while anything has changed and was not told yet */
        BusBot *changed, *changed_last;  /* the bots of which there is something to tell, the first one first */

        BusCallList calls;
        sd_event_source *answer_source; /* on while a call for a switch may have become answerable */

        ManagerMetrics *metrics; /* while they are asked for */
        char *metrics_text;      /* and until it is given to all who wait for it */
        sd_event_source *metrics_source;
        ClockTimer *metrics_timer; /* runs while they are not asked for again, but for root */

        sd_bus_slot *log_control_slot;
        sd_bus_slot *name_slot;
        bus_service_name_handler_t name_handler;
        void *name_userdata;
        bool named; /* whoever listens for signals of org.tgswitch1 hears ours */
};

extern const sd_bus_vtable bus_manager_vtable[]; /* its userdata is the BusService */
extern const sd_bus_vtable bus_bot_vtable[];     /* these two's is the BusBot */
extern const sd_bus_vtable bus_job_vtable[];

/* ---- bus-bot.c ---- */
void bus_bot_path(const Bot *b, char path[static 64]);
/* Answers the calls that wait for checks of this bot: it is gone. */
void bus_bot_drop_checks(BusCallList *calls, const Bot *b);

/* ---- bus-manager.c ---- */
/* A name or glob of a caller's that is cheap to match, or an error that says what it may be. */
int bus_pattern_check(const char *pattern, sd_bus_error *error);
/* Whether there is a bot of that name, or one that it matches; notes which in `selected`, where that is not NULL. */
bool bus_pattern_select(const Manager *m, const char *pattern, bool *selected);
bool bus_is_pattern(const char *s) _pure_;
#define BUS_PATTERNS_MAX 16u /* anybody can have them matched */

/* ---- bus-history.c ---- */
int bus_history_get(sd_bus_message *m, void *userdata, sd_bus_error *error); /* GetHistory(), of the manager's vtable */

/* ---- bus-objects.c ---- */
int bus_objects_set_up(BusService *s) _must_check_; /* the object manager, and what stands in front of it */
void bus_objects_done(BusService *s);

/* ---- bus-metrics.c ---- */
int bus_metrics_get(sd_bus_message *m, void *userdata, sd_bus_error *error); /* GetMetrics(), of the manager's vtable */
int bus_metrics_set_up(BusService *s) _must_check_;
void bus_metrics_done(BusService *s);

/* ---- bus-job.c ---- */
void bus_job_path(uint32_t id, char path[static BUS_JOB_PATH_SIZE]);
/* Makes sure that the job that the manager has just named can be found on the bus, though its JobNew may come later. */
int bus_job_add(BusBot *bb, uint32_t id);

/* ---- bus-switch.c ---- */

/* The method SwitchToLocal() or SwitchToCloud() of these bots, which is answered when each of their jobs is on record:
 * whoever has got a path will find that job, or how it ended, though the daemon be killed the next moment. All or
 * nothing; `one`: of a single bot's interface. Sets `waits` and returns as a bus_call_handler_t does. */
int bus_switch_begin(BusCall *call, Seat target, Bot *const *bots, size_t n_bots, bool one, sd_bus_error *error);
BusSwitch *bus_switch_free(BusSwitch *sw);

int bus_switch_set_up(BusService *s) _must_check_;
/* A job is on record, or has ended. */
void bus_switch_look_later(BusService *s);
/* The bot is about to go, and what is known of its job counts. */
void bus_switch_forget_bot(BusService *s, const Bot *b);
