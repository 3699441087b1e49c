/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* The one source of chance: all that happens in a run follows from its seed. */

void random_seed(uint64_t seed);
uint64_t random_bits(void);

/* 0 … n-1 */
uint64_t random_below(uint64_t n);
/* low … high, both included */
uint64_t random_between(uint64_t low, uint64_t high);
bool random_chance(unsigned per_mille);
/* The same range, but each order of magnitude is as likely as the next: delays are mostly short and sometimes not. */
usec_t random_span(usec_t low, usec_t high);
