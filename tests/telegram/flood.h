/* SPDX-License-Identifier: MIT */
#pragma once

#include "settings.h"

/* New logins by address of the client: so many a minute, so many an hour. */
typedef struct FloodControl {
        struct FloodAddress *first;
} FloodControl;

void flood_done(FloodControl *flood);

/* Counts a login from the address. Returns 0 where it is allowed, else, uncounted, the seconds to wait,
 * rounded up. */
int64_t flood_admit(FloodControl *flood, const Settings *settings, const char *address, uint64_t now_usec);
