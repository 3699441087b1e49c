/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "core/metrics-text.h"

#define FIRST_SIZE 4096u

static void put_bytes(MetricsText *t, const char *bytes, size_t size)
{
        size_t needed = t->size + size + 1, allocated = MAX(t->allocated, FIRST_SIZE);

        while (allocated < needed)
                allocated *= 2;
        if (allocated > t->allocated && !t->failed) {
                char *grown = realloc(t->text, allocated);

                if (grown) {
                        t->text = grown;
                        t->allocated = allocated;
                } else {
                        t->failed = true;
                }
        }
        if (t->failed)
                return;
        memcpy(t->text + t->size, bytes, size);
        t->size += size;
        t->text[t->size] = '\0';
}

static void put(MetricsText *t, const char *s)
{
        put_bytes(t, s, strlen(s));
}

char *metrics_text_finish(MetricsText *t)
{
        char *text = t->failed ? NULL : TAKE_PTR(t->text);

        free(t->text);
        *t = (MetricsText){};
        return text;
}

static const char *const types[METRICS_TYPE_MAX] = {
        [METRICS_COUNTER] = "counter",
        [METRICS_GAUGE] = "gauge",
        [METRICS_HISTOGRAM] = "histogram",
};

/* In a help text a quotation mark stands for itself. */
static void put_escaped(MetricsText *t, const char *s, bool quoted)
{
        for (; *s; s++) {
                if (*s == '\n') {
                        put(t, "\\n");
                        continue;
                }
                if (*s == '\\' || (quoted && *s == '"'))
                        put(t, "\\");
                put_bytes(t, s, 1);
        }
}

void metrics_text_family(MetricsText *t, const char *name, MetricsType type, const char *help)
{
        assert(type >= 0 && type < METRICS_TYPE_MAX);

        put(t, "# HELP ");
        put(t, name);
        put(t, " ");
        put_escaped(t, help, false);
        put(t, "\n# TYPE ");
        put(t, name);
        put(t, " ");
        put(t, types[type]);
        put(t, "\n");
}

static void put_label(MetricsText *t, const char **separator, const char *name, const char *value)
{
        put(t, *separator);
        put(t, name);
        put(t, "=\"");
        put_escaped(t, value, true);
        put(t, "\"");
        *separator = ",";
}

#define NUMBER_MAX 32u

/* `bound` is that of a bucket, or NULL. */
static void put_sample(MetricsText *t, const char *name, const char *suffix, MetricsLabels labels, const char *bound,
                       const char *value)
{
        const char *separator = "{";

        put(t, name);
        put(t, suffix);
        for (; labels[0]; labels += 2)
                put_label(t, &separator, labels[0], labels[1]);
        if (bound)
                put_label(t, &separator, "le", bound);
        put(t, *separator == ',' ? "} " : " ");
        put(t, value);
        put(t, "\n");
}

static const char *format_number(char buffer[static NUMBER_MAX], uint64_t n)
{
        (void) snprintf(buffer, NUMBER_MAX, "%" PRIu64, n);
        return buffer;
}

/* Never by way of a double, which prints 1700000000.1 as something else; and without zeros at the end. */
static const char *format_seconds(char buffer[static NUMBER_MAX], usec_t usec)
{
        int n;

        if (usec == USEC_INFINITY)
                return "+Inf";
        n = snprintf(buffer, NUMBER_MAX, "%" PRIu64 ".%06" PRIu64, usec / USEC_PER_SEC, usec % USEC_PER_SEC);
        while (buffer[n - 1] == '0')
                buffer[--n] = '\0';
        if (buffer[n - 1] == '.')
                buffer[n - 1] = '\0';
        return buffer;
}

void metrics_text_number(MetricsText *t, const char *name, MetricsLabels labels, uint64_t value)
{
        char buffer[NUMBER_MAX];

        put_sample(t, name, "", labels, NULL, format_number(buffer, value));
}

void metrics_text_seconds(MetricsText *t, const char *name, MetricsLabels labels, usec_t value_usec)
{
        char buffer[NUMBER_MAX];

        put_sample(t, name, "", labels, NULL, format_seconds(buffer, value_usec));
}

void metrics_text_histogram(MetricsText *t, const char *name, MetricsLabels labels, const Histogram *h)
{
        char bound[NUMBER_MAX], value[NUMBER_MAX];
        uint64_t n = 0;

        for (size_t i = 0; i <= h->n_bounds; i++) {
                n += h->counts[i];
                put_sample(t, name, "_bucket", labels,
                           format_seconds(bound, i < h->n_bounds ? h->bounds[i] : USEC_INFINITY),
                           format_number(value, n));
        }
        put_sample(t, name, "_sum", labels, NULL, format_seconds(value, h->sum_usec));
        put_sample(t, name, "_count", labels, NULL, format_number(value, n));
}
