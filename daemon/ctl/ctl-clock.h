/* SPDX-License-Identifier: MIT */
#pragma once

#include <time.h>

#include "base/time-util.h"

/* CLOCK_REALTIME, which is what the bus tells times in. */
static inline usec_t ctl_now_usec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}
