/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* A moment as people write it, in local time, to microseconds of CLOCK_REALTIME: "18:30" or "18:30:00" is the next time
 * that the clock shows that; "2030-12-24" is when that day begins; "2030-12-24 18:30", with a T too, with seconds; "@"
 * and seconds since the epoch. -EINVAL: none of these, or not later than `now_usec`. */
int parse_until(const char *s, usec_t now_usec, usec_t *ret) _must_check_;

/* The same of a moment that is over: "18:30" is the last time that the clock has shown that. "24h" is how long ago it
 * was (parse_sec()). -EINVAL: none of these, or later than `now_usec`. */
int parse_since(const char *s, usec_t now_usec, usec_t *ret) _must_check_;
