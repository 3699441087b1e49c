/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-adopt-apply.h"
#include "ctl/ctl-adopt-notes.h"
#include "ctl/ctl-bus.h"

/* One run of `adopt`: what has been found, and what both files are to be. */
typedef struct Adoption {
        char *name;     /* of the unit: its own */
        char *worker;   /* its name, or pattern, for Worker= */
        char *bot_name; /* by --bot, or by the drop-in */

        Config *config;       /* read by adoption_begin() where it is NULL */
        const BotConfig *bot; /* NULL with --undo where its file is gone */
        CtlBot state;         /* what tgswitchd knows; without a name: nothing */
        AdoptUnit unit;

        const char *bot_text; /* borrowed: what the bot's file will be, by who writes it; NULL: what is on disk counts
                               */
        AdoptFile drop_in, bot_file;
        DropInMark mark; /* of the drop-in that is there; without a bot: none of ours */
        AdoptMode mode;
        bool pending;
        char **notes;
} Adoption;

void adoption_done(Adoption *a);

/* The beginning both ways: configuration, unit and drop-in. With --undo a unit that is gone is no reason to stop. */
CtlExit adoption_begin(Ctl *c, Adoption *a) _must_check_;
/* Makes `after` of both files, and the notes. */
CtlExit adoption_plan(Ctl *c, Adoption *a) _must_check_;
CtlExit adoption_plan_undo(Ctl *c, Adoption *a) _must_check_;
/* Whether its program may do without the drop-in where the bot is now; NULL: tgswitchd does not know it. Says why not.
 */
CtlExit adoption_check_seat(const Ctl *c, const Adoption *a, const CtlBot *b) _must_check_;

/* The line of [Bot] that stands for one of ADDED_…. NULL: no memory. */
char *adoption_line(const Adoption *a, AdoptAdded added) _must_check_;

/* Whether the names and patterns of a bot's workers have it. */
bool adoption_is_declared(const Adoption *a, char *const *workers) _pure_;

/* Shows it on standard output, or as members of `json`. */
CtlExit adoption_print(const Ctl *c, const Adoption *a, json_object *json) _must_check_;
/* The lines of one file that go and come, where any do. */
CtlExit adopt_file_print(const Ctl *c, const AdoptFile *f) _must_check_;
json_object *adopt_file_json(const AdoptFile *f);

/* What runs of the unit is restarted with --restart, else it is said how; "restarted" of `json`. */
CtlExit adoption_restart(Ctl *c, const Adoption *a, json_object *json) _must_check_;
