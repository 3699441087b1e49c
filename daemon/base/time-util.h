/* SPDX-License-Identifier: MIT */
#pragma once

#include <inttypes.h>
#include <stdint.h>

/* Microseconds, since the epoch of whatever clock the name says, or a span. */
typedef uint64_t usec_t;

#define USEC_INFINITY ((usec_t) UINT64_MAX)
#define USEC_PER_MSEC ((usec_t) 1000)
#define USEC_PER_SEC  ((usec_t) 1000000)
#define USEC_PER_MIN  (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)

/* Saturates at USEC_INFINITY, which stays what it is. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* Stops at zero: a span that is already over has no length. */
static inline usec_t usec_sub(usec_t a, usec_t b)
{
        if (a == USEC_INFINITY)
                return USEC_INFINITY;
        return a > b ? a - b : 0;
}

/* The wait after `n` waits before it: doubled each time, up to `longest`. */
static inline usec_t usec_backoff(usec_t first, usec_t longest, unsigned n)
{
        while (n-- > 0 && first < longest)
                first *= 2;
        return first < longest ? first : longest;
}
