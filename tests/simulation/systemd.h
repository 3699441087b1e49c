/* SPDX-License-Identifier: MIT */
#pragma once

#include "io/credential-socket.h"
#include "io/unit-client.h"
#include "world.h"

/* The service manager, its units, and the programs that they run: workers that get their credentials through the gate,
 * timers that start them, the local server. */

typedef enum UnitRole {
        ROLE_SERVER,
        ROLE_POLLER,   /* asks for updates */
        ROLE_RECEIVER, /* is given them by a webhook */
        ROLE_HELPER,   /* sends something now and then */
        ROLE_ONESHOT,  /* the same, once at each start */
        ROLE_TIMER,
} UnitRole;

typedef enum Wanted {
        WANTED_NO,
        WANTED_YES,
        WANTED_EITHER, /* nobody can say: something happened to it by itself or in mid-cutover */
} Wanted;

typedef struct Connection Connection;
typedef struct Process Process;

struct Unit {
        char name[40];
        UnitRole role;
        SimBot *bot;
        Unit *triggers, *triggered_by;
        bool simple;   /* Type=simple: active as soon as it is forked */
        bool restarts; /* Restart=always */
        bool reloads;  /* ExecReload= tells the program what the environment file says */
        bool enabled;
        Wanted wanted;
        bool refused; /* the daemon was not let start it or tell it something */

        UnitActiveState state;
        const char *sub_state;
        const char *result;
        uint64_t invocation;
        uint32_t main_pid;
        usec_t main_start_usec; /* CLOCK_MONOTONIC */
        unsigned n_restarts;

        uint32_t job_id; /* 0: none */
        UnitVerb job_verb;

        Event *event; /* what the unit does next by itself */
        Event *timer_event;
        Connection *connection;
        unsigned n_asked; /* credentials of the present command */
        uint8_t order[3];
        bool main_is_next; /* it is the main program that asks, not ExecStartPre= */
        bool has_token, has_endpoint;
        Side side;
        uint32_t *part; /* of the spool, as served */
        size_t n_part;
        Process *process;
        bool killed; /* it did not end in time */
        Seat told;   /* what the reload that is under way has read */
        bool reload_again;
};

void systemd_reset(void);
Unit *systemd_add_unit(const char *name, UnitRole role, SimBot *bot);
Unit *systemd_find(const char *name);
Unit *systemd_unit(size_t i); /* NULL behind the last one */
Unit *systemd_server(void);

/* Queues a job, as systemctl does. Returns its number; 0: done at once, 1 would be a real one. */
uint32_t systemd_queue(Unit *u, UnitVerb verb);
/* Told for every job that ends. */
extern void (*systemd_job_ended)(uint32_t job, UnitJobResult result);
extern void (*systemd_unit_changed)(Unit *u);

/* All units that are enabled, at boot. */
void systemd_boot(void);
/* Power off: everything is gone where it stands. */
void systemd_power_off(void);

/* The program of a unit ends by itself. */
void unit_process_exited(Unit *u, bool success);
/* The server dies by itself. */
void unit_server_dies(void);

/* ---- connections to the gate ---- */

struct Connection {
        Unit *unit;
        CredentialPeer peer;
        bool accepted;
        bool held; /* and in the FD store */
        uint64_t number;
        char *data; /* once answered: what the unit is about to read */
        size_t size;
        Event *event;
        Connection *next;
};

extern Connection *gate_connections;

Connection *connection_new(Unit *u, const char *id);
/* By the unit's side. */
Connection *connection_close(Connection *c);
/* By the daemon's side: what it has sent is all there is. */
void connection_answer(Connection *c, const char *data, size_t size);
void unit_credential(Unit *u, const char *id, const char *data, size_t size);
/* A connection waits to be accepted. */
void gate_connected(void);

/* ---- programs ---- */

void process_start(Unit *u);
/* SIGTERM or SIGKILL: `done` comes when it is gone. */
void process_stop(Unit *u);
void process_kill(Unit *u);
bool process_runs(const Unit *u);
/* It runs and does not hold. */
bool process_may_send(const Unit *u);
/* What its ExecReload= has found for it: a server, or SEAT_NONE, to hold. */
void process_tell(Unit *u, Seat endpoint);
Side process_side(const Unit *u);
bool worker_takes_delivery(SimBot *b, uint32_t update);
