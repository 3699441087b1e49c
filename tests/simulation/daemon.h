/* SPDX-License-Identifier: MIT */
#pragma once

#include "manager/manager.h"
#include "world.h"

/* tgswitchd as a process: the real manager and core on a real event loop that is never left waiting. It can die at any
 * place where it touches the world: from there on nothing that it does counts, and once the stack is unwound it is
 * thrown away. */

void daemon_reset(void);

/* systemd starts it; in vain where the host is down. */
void daemon_start(void);
/* SIGTERM, as for an update of the package (`keep_fds`: a restart) or because somebody says so; started again later. */
void daemon_stop(bool keep_fds);
/* Dies now. */
void daemon_crash(void);
/* Dies at the n-th place from now where it touches the world. */
void daemon_crash_at(unsigned n_places);

bool daemon_stops(void);

/* NULL while none runs. */
Manager *daemon_manager(void);

/* A Check() on the bus, one at a time; nobody looks at the answer. */
void daemon_check(SimBot *b);

/* For what takes the place of io/: whether this process is dead already, or dies here. */
bool daemon_is_dead(void);
bool daemon_dies_here(const char *where);
/* Something was handed to the manager: its loop has work. */
void daemon_touch(void);

/* Lets the loop come to rest, and buries what has died. */
void daemon_settle(void);

unsigned daemon_n_crashes(void);
unsigned daemon_n_starts(void);

/* ---- what of the fakes is to be told that the process is gone ---- */
void disk_process_died(void);
void gate_process_died(void);
void disk_power_cut(void);
