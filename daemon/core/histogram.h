/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* Spans of time, counted by how long they were, in the shape in which Prometheus wants them: pure, without allocation,
 * and bounded by the table that it was made with. */

#define HISTOGRAM_BOUNDS_MAX 16u

typedef struct Histogram {
        const usec_t *bounds; /* ascending, borrowed for ever */
        size_t n_bounds;
        uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* each bound's own, not those below; the last is above all */
        usec_t sum_usec;
} Histogram;

void histogram_init(Histogram *h, const usec_t *bounds, size_t n_bounds);

/* A span that is exactly a bound is below it. */
void histogram_observe(Histogram *h, usec_t span_usec);

uint64_t histogram_count(const Histogram *h) _pure_;
