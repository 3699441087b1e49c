/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"

/* An a{sv} of a caller's, read strictly: a key that is not known, comes twice, or has a value of another type is an
 * InvalidArgs that names it, so that a misspelt one never passes for the default. */

typedef struct BusKey {
        const char *name;
        const char *type;  /* of its value, as a signature */
        const char *takes; /* the same for people: "a string" */
} BusKey;

typedef struct BusKeys {
        const char *what;  /* "option" */
        const char *known; /* all of them, as a sentence has them: "limit, since and until" */
        const BusKey *keys;
        size_t n_keys; /* at most 32 */
        /* Reads the value of one from the message, which stands at it, and says what is wrong with it. */
        int (*read_value)(sd_bus_message *m, size_t key, void *userdata, sd_bus_error *error);
} BusKeys;

int bus_keys_read(sd_bus_message *m, const BusKeys *keys, void *userdata, sd_bus_error *error) _must_check_;
