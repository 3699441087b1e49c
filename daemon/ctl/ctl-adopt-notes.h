/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-adopt-unit.h"
#include "ctl/ctl-drop-in.h"
#include "io/config.h"

/* What an administrator should know before a unit is adopted, and what of it goes into the drop-in by itself. Pure: all
 * of it comes from what has been read. */

typedef struct AdoptView {
        const AdoptUnit *unit;
        const Config *config;
        const BotConfig *bot;
        AdoptMode mode;
        bool pending; /* the drop-in loads bot-pending-updates */
} AdoptView;

/* The unit's commands behind tgswitch-exec, which sets what carries token and endpoint now: `kept`, options that an
 * earlier drop-in had, and those that the unit's variables ask for. -EUCLEAN: a command has a token in it, and the
 * drop-in is for everybody to read; -ENOENT: there is none; else as exec_wrap(). */
int adopt_commands(const AdoptView *v, const char *wrapper, char *const *kept, char ***ret) _must_check_;

/* The options --set=… in a drop-in that `adopt` wrote, as they stand there. */
int adopt_kept_options(const char *text, char ***ret) _must_check_;

/* The directory of LocalFiles= where the unit's sandbox hides it and a bind mount helps; NULL: nothing is to be done.
 */
const char *adopt_bind(const AdoptView *v);

/* One sentence, or more, about each thing. */
int adopt_notes(const AdoptView *v, char ***ret) _must_check_;
