/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "base/time-util.h"

/* One question to polkit: may this client of the bus do that? CheckAuthorization() of
 * org.freedesktop.PolicyKit1.Authority, without blocking the loop: the answer may take as long as somebody needs to
 * type a password. */

typedef enum PolkitVerdict {
        POLKIT_ALLOWED,
        POLKIT_DENIED,
        POLKIT_CHALLENGE, /* a password would do, and none could be asked for: the caller forbade it, or has no agent */
        POLKIT_DISMISSED, /* whoever was asked for it gave none, or a wrong one */
        POLKIT_UNAVAILABLE, /* polkitd did not answer, or not in a way that allows anything */
        POLKIT_VERDICT_MAX,
        POLKIT_VERDICT_INVALID = -EINVAL,
} PolkitVerdict;

typedef struct PolkitQuestion {
        const char *subject; /* unique name on the bus, which is never given to anybody else */
        const char *action;  /* declared in a .policy file that names our user as its owner: only then details are taken
                              */
        const char *bot;     /* the detail "bot", for rules and for the text of a password prompt; NULL: without it */
        bool interactive;    /* the caller allows that a person be asked */
        usec_t timeout_usec; /* 0: five minutes for a person, half of one otherwise */
} PolkitQuestion;

typedef struct PolkitCheck PolkitCheck;

/* `why` is what polkitd or the bus said where the verdict is POLKIT_UNAVAILABLE, otherwise NULL. The check may be freed
 * from within. */
typedef void (*polkit_handler_t)(PolkitVerdict verdict, const char *why, void *userdata);

/* Asks. The strings are copied. */
int polkit_check(PolkitCheck **ret, sd_bus *bus, const PolkitQuestion *question, polkit_handler_t handler,
                 void *userdata) _must_check_;

/* Takes a question back that has no answer yet: a password prompt goes away, and the handler is never run. */
PolkitCheck *polkit_check_free(PolkitCheck *c);
DEFINE_CLEANUP(PolkitCheck *, polkit_check_free);
