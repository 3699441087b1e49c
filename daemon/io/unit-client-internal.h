/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "io/bus-queue.h"
#include "io/unit-client.h"

/* What unit-client.c, unit-job.c and unit-info.c share, and nobody else sees. */

#define SYSTEMD_NAME         "org.freedesktop.systemd1"
#define SYSTEMD_PATH         "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER      "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT         "org.freedesktop.systemd1.Unit"
#define SYSTEMD_SERVICE      "org.freedesktop.systemd1.Service"
#define SYSTEMD_UNIT_PATH    "/org/freedesktop/systemd1/unit"
#define SYSTEMD_JOB_PATH     "/org/freedesktop/systemd1/job"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

/* For questions that systemd answers from memory. */
#define QUESTION_TIMEOUT_USEC (10 * USEC_PER_SEC)

typedef enum UnitCallKind {
        UNIT_CALL_JOB,
        UNIT_CALL_RESET,
        UNIT_CALL_STOPPING,
        UNIT_CALL_INFO,
        UNIT_CALL_LIST,
        UNIT_CALL_WATCH,
} UnitCallKind;

/* The first member of every kind of call. */
struct UnitCall {
        UnitCallKind kind;
        UnitClient *client;
        UnitCall *previous, *next;
        char *unit;
        void *userdata;
        void (*done)(UnitCall *call); /* frees what the kind adds */
};

/* A job that ended while the answer of a StartUnit() was outstanding, so that nobody knew yet whose it is.
 */
typedef struct EarlyEnd {
        uint32_t job_id;
        UnitJobResult result;
} EarlyEnd;

struct UnitClient {
        sd_bus *bus;
        BusQueue queue; /* of everything that systemd is asked */
        BusQueued *subscription;
        sd_bus_slot *slot_job_removed;
        sd_bus_slot *slot_reloading;
        sd_bus_slot *slot_name_owner;
        sd_bus_slot *slot_unit_changed; /* NULL until something is watched */
        char *owner;                    /* unique name of systemd; NULL: not known yet, or no bus */

        UnitCall *calls;
        UnitCall *cursor; /* the call that a running walk comes to next */

        size_t n_queueing; /* jobs whose id is not known yet; early ends are kept as long as there are any */
        EarlyEnd *early;
        size_t n_early;
        bool early_lost; /* more than fit */
};

/* Callbacks free calls as they like, the one called and others. So a walk over all calls keeps its place in
 * the client, and unit_call_free() moves it on. Walks never nest: they start from the event loop alone. */
#define FOREACH_CALL(call, c) \
        for (UnitCall *call = ((c)->cursor = (c)->calls); (call = (c)->cursor) && ((c)->cursor = call->next, true);)

/* Allocates `size` bytes, which begin with a UnitCall, and enters it. `unit` may be NULL; an invalid name is
 * -EINVAL. */
int unit_call_new(size_t size, UnitClient *c, UnitCallKind kind, const char *unit, void *userdata,
                  void (*done)(UnitCall *call), UnitCall **ret) _must_check_;

/* NULL on a direct connection: messages have no sender there (sd_bus_message_get_sender(3)). */
const char *unit_client_match_sender(UnitClient *c);

/* Anybody may send a signal to our unique name that looks like systemd's. On a bus only the broker's word
 * counts: the sender it wrote into the message has to be the one that owns systemd's name. */
bool unit_client_is_from_systemd(UnitClient *c, sd_bus_message *m);

/* Queues a method call to systemd; `types` and what follows as in sd_bus_message_append(3). */
int unit_client_call(UnitClient *c, BusQueued **ret, const char *path, const char *interface, const char *member,
                     sd_bus_message_handler_t handler, void *userdata, usec_t timeout_usec, const char *types,
                     ...) _must_check_;

/* What an error reply of systemd means, with a sentence for the administrator in *ret_error. `what` is the
 * rest of "systemd refused to …". Returns 0 or -ENOMEM. */
int unit_error_explain(sd_bus_message *reply, const char *what, const char *unit, UnitJobResult *ret_result,
                       char **ret_error) _must_check_;

/* unit-job.c */
void unit_job_ended(UnitCall *call, uint32_t job_id, UnitJobResult result);
void unit_job_recheck(UnitCall *call);

/* unit-watch.c */
void unit_watch_recheck(UnitCall *call);

/* unit-properties.c: reads a message's next value, of the type that `signature` of the row tells, into the
 * field. Lists are extended, strings replaced. */
typedef int (*unit_property_read_t)(sd_bus_message *m, void *field);

typedef struct UnitProperty {
        const char *name;
        const char *signature;
        unit_property_read_t read;
        size_t offset; /* of the field, in the structure that the table belongs to */
} UnitProperty;

int unit_property_string(sd_bus_message *m, void *field);       /* s: char *, never NULL after */
int unit_property_load_state(sd_bus_message *m, void *field);   /* s: UnitLoadState */
int unit_property_active_state(sd_bus_message *m, void *field); /* s: UnitActiveState */
int unit_property_bool(sd_bus_message *m, void *field);         /* b: bool */
int unit_property_uint32(sd_bus_message *m, void *field);       /* u: uint32_t */
int unit_property_uint64(sd_bus_message *m, void *field);       /* t: uint64_t */
int unit_property_id128(sd_bus_message *m, void *field);        /* ay: uint8_t[16], untouched where it is empty */
int unit_property_job(sd_bus_message *m, void *field);          /* (uo): uint32_t */
int unit_property_strings(sd_bus_message *m, void *field);      /* as: char ** */
int unit_property_commands(sd_bus_message *m, void *field);     /* a(sasbttttuii): char **, one string each */

/* Reads those properties that the table knows out of the a{sv} that comes next. Those that are not in it
 * leave their fields alone. -E2BIG for what no unit has. */
int unit_properties_read(sd_bus_message *m, const UnitProperty *table, size_t n, void *object) _must_check_;

/* Properties.GetAll() of one interface. */
int unit_properties_ask(UnitClient *c, BusQueued **ret, const char *path, const char *interface, usec_t timeout_usec,
                        sd_bus_message_handler_t handler, void *userdata) _must_check_;

int unit_string_replace(char **field, const char *value) _must_check_;

/* unit-sandbox.c */
int unit_property_temporary_file_systems(sd_bus_message *m, void *field); /* a(ss): char **, their paths */
int unit_property_binds(sd_bus_message *m, void *field); /* a(ssbt): UnitSandbox, whose binds are extended */
int unit_sandbox_set_defaults(UnitSandbox *s) _must_check_;
void unit_sandbox_done(UnitSandbox *s);
