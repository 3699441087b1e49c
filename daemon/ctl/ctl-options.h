/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl.h"

/* The options of all verbs, in one table: what the command line is read by, and the help is made of. */

typedef enum CtlOption {
        CTL_OPTION_JSON,
        CTL_OPTION_ALL,
        CTL_OPTION_YES,
        CTL_OPTION_WAIT,
        CTL_OPTION_NO_WAIT,
        CTL_OPTION_WHEN_ALLOWED,
        CTL_OPTION_AUTOMATIC,
        CTL_OPTION_REASON,
        CTL_OPTION_ON_UNDRAINED,
        CTL_OPTION_HOLD_AT,
        CTL_OPTION_FOR,
        CTL_OPTION_UNTIL,
        CTL_OPTION_LIMIT,
        CTL_OPTION_SINCE,
        CTL_OPTION_CLEAR,
        CTL_OPTION_OUTPUT,
        CTL_OPTION_STRICT,
        CTL_OPTION_BOT,
        CTL_OPTION_TOKEN_FILE,
        CTL_OPTION_INITIAL_SEAT,
        CTL_OPTION_WORKER,
        CTL_OPTION_ENVIRONMENT,
        CTL_OPTION_EXEC,
        CTL_OPTION_PENDING_UPDATES,
        CTL_OPTION_UNDO,
        CTL_OPTION_FORCE,
        CTL_OPTION_RESTART,
        CTL_OPTION_ENCRYPT,
        CTL_OPTION_PLAIN,
        CTL_OPTION_WEBHOOK,
        CTL_OPTION_QUIET,
        CTL_OPTION_NO_ASK_PASSWORD,
        CTL_OPTION_HOST,
        CTL_OPTION_HELP,
        CTL_OPTION_VERSION,
        CTL_OPTION_MAX,
} CtlOption;

/* A set of options: what a verb takes, or what was given. */
#define CTL_OPTION(name) (UINT64_C(1) << CTL_OPTION_##name)
_Static_assert(CTL_OPTION_MAX <= 64, "a set of options has 64 bits");

typedef struct CtlOptionRow {
        const char *name;
        char letter;       /* of the short form; 0: there is none */
        bool off;          /* takes back what `field` says, instead of saying it */
        const char *value; /* what to call its argument in the help; NULL: it has none */
        bool list;         /* it may be given several times */
        size_t field;      /* in Ctl: a const char * where there is a value, a char ** for a list, else a bool */
        const char *help;
} CtlOptionRow;

extern const CtlOptionRow ctl_options[CTL_OPTION_MAX];

/* Sets the fields of `c`, what follows the options in `c->arguments`, the verb first, and *ret_given. -EINVAL: one is
 * not known, or lacks its argument; getopt_long(3) has said so. */
int ctl_options_parse(Ctl *c, int argc, char *argv[], uint64_t *ret_given) _must_check_;

/* One line of the help; `verb` is the only one that takes the option, or NULL. */
void ctl_option_print(CtlOption option, const char *verb);
