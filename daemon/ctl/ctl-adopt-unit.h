/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-adopt-look.h"
#include "ctl/ctl-unit-file.h"
#include "ctl/ctl.h"

/* A service as systemd knows it and as its files have it. */
typedef struct AdoptUnit {
        char *name; /* its own, where the one given is an alias; "bot@.service" for a template */
        bool template;

        char *load_state, *active_state, *file_state, *fragment, *type, *user;
        bool transient, dynamic_user;
        char **drop_ins, **triggers, **after, **requires, **requisite, **binds_to, **part_of;
        char **running;        /* it, or its instances, as far as they are not stopped */
        UnitSettings settings; /* of all its files but ours */
        AdoptVariables variables;
} AdoptUnit;

/* Asks systemd, and reads the unit's files. `roots` are the addresses of both servers, NULL-terminated. A unit that
 * cannot be a worker is told with what to do about it; with `any` one that is gone or masked will do, and has no more
 * than its name. `u` is zero before and done with in any case. Needs a connected `c`. */
CtlExit adopt_unit_read(Ctl *c, const char *name, const char *const *roots, bool any, AdoptUnit *u) _must_check_;
void adopt_unit_done(AdoptUnit *u);

/* The files of EnvironmentFile= of the service at this object path, patterns filled in; added to the vector. */
int adopt_unit_environment_files(sd_bus *bus, const char *path, char ***files) _must_check_;

/* "/etc/systemd/system/UNIT.d" and what to name it in Worker=: a template stands for all its instances. NULL: no
 * memory. */
char *adopt_unit_directory(const char *name) _must_check_;
char *adopt_unit_worker(const char *name) _must_check_;

/* Brings a name into the form that systemd has: "bot" is bot.service. NULL: no memory, or (with ret_wrong) no name. */
char *adopt_unit_name(const char *given, bool *ret_wrong) _must_check_;
