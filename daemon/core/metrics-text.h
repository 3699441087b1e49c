/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/histogram.h"

/* Metrics as Prometheus reads them: its text format, version 0.0.4. A family is its HELP and TYPE and then its samples,
 * none of them with a time: the node exporter takes no file that has one. Spans and times are seconds, as everything in
 * Prometheus is. */

/* Zero-initialised before. Whether there was memory for all of it is asked once, at the end. */
typedef struct MetricsText {
        char *text;
        size_t size, allocated; /* without the NUL at the end, and with it */
        bool failed;
} MetricsText;

/* The text, which is the caller's, or NULL for want of memory. Nothing is left to be freed in either case. */
char *metrics_text_finish(MetricsText *t) _must_check_;

typedef enum MetricsType {
        METRICS_COUNTER,
        METRICS_GAUGE,
        METRICS_HISTOGRAM,
        METRICS_TYPE_MAX,
        METRICS_TYPE_INVALID = -EINVAL,
} MetricsType;

/* Name, value, name, value, …, NULL. Names are ours; values are escaped. */
typedef const char *const *MetricsLabels;

#define METRICS_LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define METRICS_NO_LABELS   ((const char *const[]){ NULL })

void metrics_text_family(MetricsText *t, const char *name, MetricsType type, const char *help);
void metrics_text_number(MetricsText *t, const char *name, MetricsLabels labels, uint64_t value);
/* USEC_INFINITY is +Inf. */
void metrics_text_seconds(MetricsText *t, const char *name, MetricsLabels labels, usec_t value_usec);
/* All of _bucket, _sum and _count. */
void metrics_text_histogram(MetricsText *t, const char *name, MetricsLabels labels, const Histogram *h);
