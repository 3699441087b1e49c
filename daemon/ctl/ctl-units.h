/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"

#define SYSTEMD_NAME      "org.freedesktop.systemd1"
#define SYSTEMD_PATH      "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE "org.freedesktop.systemd1.Manager"

#define DAEMON_UNIT     "tgswitchd.service"
#define STATE_DIRECTORY "/var/lib/tgswitch" /* of it, for who runs one of root's verbs by hand */

/* What systemd knows of units, asked synchronously. Results are added to what is in the vector, each name once. */

/* Units that match a glob: loaded ones, and files of units that are not. Templates are left out, they can't run. */
int units_expand(sd_bus *bus, char *const *globs, char ***units) _must_check_;

/* The unit's own name, where this one is an alias, and the timers, sockets and paths that start it. */
int units_add_triggers(sd_bus *bus, const char *unit, char ***units) _must_check_;

/* Tells those of which there is neither a file nor a process from the others. */
int units_split_missing(sd_bus *bus, char *const *units, char ***ret_present, char ***ret_missing) _must_check_;

/* A start may have to wait at the gate, for longer than anybody wants to look on. */
#define JOB_TIMEOUT_USEC (2 * USEC_PER_MIN)

/* Has systemd do something with a unit, by a method of its Manager that takes name and mode, and waits so long for the
 * job's end. 1: well, 0: not; -ETIMEDOUT: it goes on. */
int units_job(sd_bus *bus, const char *method, const char *unit, usec_t timeout_usec, sd_bus_error *error) _must_check_;
