/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* The drop-in that `adopt` writes for a worker: units/worker-drop-in.conf.example for one bot, and a first line by
 * which `adopt` knows it again. Pure. */

#define DROP_IN_NAME "50-tgswitch.conf"

typedef enum AdoptMode {
        ADOPT_CREDENTIALS, /* the program reads its credentials, or the endpoint alone from the environment */
        ADOPT_ENVIRONMENT, /* it reads both from the environment file (ExportToken=) */
        ADOPT_EXEC,        /* tgswitch-exec sets both */
        ADOPT_MODE_MAX,
        ADOPT_MODE_INVALID = -EINVAL,
} AdoptMode;

const char *adopt_mode_to_string(AdoptMode m);
AdoptMode adopt_mode_from_string(const char *s);

/* Lines that went into the bot's file along with the drop-in: --undo takes out what was put in, and nothing else. */
typedef enum AdoptAdded {
        ADDED_WORKER = 1 << 0,
        ADDED_EXPORT_TOKEN = 1 << 1,
} AdoptAdded;

typedef struct DropIn {
        const char *unit, *bot;
        AdoptMode mode;
        bool pending;            /* its program handles bot-pending-updates */
        unsigned added;          /* AdoptAdded */
        const char *group;       /* for SupplementaryGroups=, or NULL */
        const char *bind;        /* for BindReadOnlyPaths=, or NULL */
        char *const *exec_start; /* wrapped commands, with ADOPT_EXEC */
} DropIn;

int drop_in_render(const DropIn *d, char **ret) _must_check_;

typedef struct DropInMark {
        char *bot;
        AdoptMode mode;
        bool pending;
        unsigned added;
        bool edited; /* somebody has changed the file since */
} DropInMark;

/* Reads the first line. -ENOENT: `adopt` did not write this file. */
int drop_in_recognise(const char *text, DropInMark *ret) _must_check_;
void drop_in_mark_done(DropInMark *m);
