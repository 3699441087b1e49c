/* SPDX-License-Identifier: MIT */
#pragma once

#include <inttypes.h>

#include "base/macro.h"

const uint64_t *coverage_counts(size_t *ret_n);
/* Those of another process. */
void coverage_add(const uint64_t *counts);
size_t coverage_missed(void);
void coverage_print(void);
