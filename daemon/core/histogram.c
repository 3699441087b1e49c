/* SPDX-License-Identifier: MIT */
#include "core/histogram.h"

void histogram_init(Histogram *h, const usec_t *bounds, size_t n_bounds)
{
        assert(n_bounds <= HISTOGRAM_BOUNDS_MAX);

        *h = (Histogram){ .bounds = bounds, .n_bounds = n_bounds };
}

void histogram_observe(Histogram *h, usec_t span_usec)
{
        size_t i = 0;

        while (i < h->n_bounds && span_usec > h->bounds[i])
                i++;
        h->counts[i]++;
        h->sum_usec = usec_add(h->sum_usec, span_usec);
}

uint64_t histogram_count(const Histogram *h)
{
        uint64_t n = 0;

        for (size_t i = 0; i <= h->n_bounds; i++)
                n += h->counts[i];
        return n;
}
