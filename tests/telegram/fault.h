/* SPDX-License-Identifier: MIT */
#pragma once

#include "json-util.h"
#include "role.h"

typedef enum FaultAction {
        FAULT_RESET,
        FAULT_HANG,
        FAULT_ANSWER, /* another answer than the true one */
        FAULT_TRUNCATE,
        FAULT_TRICKLE,
        FAULT_HUGE,
        FAULT_VAST,
        FAULT_DELAY,
        FAULT_REFUSE, /* from here on: of the port, not of a request */
        FAULT_SILENT,
        FAULT_UNREACHABLE,
        FAULT_RESET_AT_ACCEPT,
        FAULT_TLS_ALERT,
        _FAULT_ACTION_MAX,
} FaultAction;

/* A fault that was ordered. The texts may be NULL. */
typedef struct Fault {
        struct Fault *next;
        unsigned n_refs;
        int64_t id;
        Role role;    /* _ROLE_INVALID: any */
        int64_t bot;  /* 0: any */
        char *method; /* lower case; NULL: any */
        int64_t after, times;
        int64_t matched, fired;
        char *kind;
        FaultAction action;
        bool apply;
        unsigned status;
        char *body, *content_type, *location;
        char *filler, *tail; /* behind body: the first `repeat` times, then the second */
        int64_t repeat, length;
        int64_t retry_after_sec, interval_msec, duration_msec;
} Fault;

/* In the order of asking: the first that matches and isn't spent wins. */
typedef struct FaultList {
        Fault *first;
        int64_t last_id;
        /* Told of every match of a fault, after its counters changed. May be NULL. */
        void (*on_match)(void *userdata, const Fault *fault);
        void *userdata;
} FaultList;

void fault_list_done(FaultList *list);

/* An order of the control API, under a new number; or one that carries its number and counters (field
 * `fault`). Returns NULL and the reason where the order makes no sense. */
Fault *fault_list_add(FaultList *list, json_object *order, const char **ret_reason);
/* id 0: all. Returns false where there is none. */
bool fault_list_delete(FaultList *list, int64_t id);
Fault *fault_list_find(const FaultList *list, int64_t id);
json_object *fault_list_to_json(const FaultList *list);
/* Replaces the list by the array that fault_list_to_json() made elsewhere; counters never go back. */
void fault_list_replace(FaultList *list, json_object *array);

/* The fault for this request, or NULL; counts. The caller gets a reference. */
Fault *fault_list_match_request(FaultList *list, Role role, int64_t bot, const char *method);
/* The same for a connection that arrives: FAULT_RESET_AT_ACCEPT, FAULT_TLS_ALERT. */
Fault *fault_list_match_connection(FaultList *list, Role role);
bool fault_shuts_port(const Fault *fault);
/* The fault that shuts the port at the moment, borrowed. */
const Fault *fault_list_port(const FaultList *list, Role role);

/* The whole body of its answer: the caller's to free. */
char *fault_make_body(const Fault *fault, size_t *ret_size);

Fault *fault_unref(Fault *fault);
