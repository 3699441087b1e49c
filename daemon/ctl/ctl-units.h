/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"

/* What systemd knows of units, asked synchronously. Results are added to what is in the vector, each name once. */

/* Units that match a glob: loaded ones, and files of units that are not. Templates are left out, they can't run. */
int units_expand(sd_bus *bus, char *const *globs, char ***units) _must_check_;

/* The unit's own name, where this one is an alias, and the timers, sockets and paths that start it. */
int units_add_triggers(sd_bus *bus, const char *unit, char ***units) _must_check_;

/* Tells those of which there is neither a file nor a process from the others. A unit that cannot be asked about is
 * taken to be present. */
int units_split_missing(sd_bus *bus, char *const *units, char ***ret_present, char ***ret_missing) _must_check_;
