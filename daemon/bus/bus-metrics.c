/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "bus/bus-internal.h"

/* GetMetrics(): reading, and for everybody; but systemd is asked for it, so its answer comes later. Whoever asks
 * meanwhile gets the same one: to ask often costs the daemon no more than to ask without a break. */

static void done_waiting(BusService *s)
{
        for (size_t i = 0; i < s->n_metrics_waiting; i++)
                sd_bus_message_unref(s->metrics_waiting[i]);
        s->n_metrics_waiting = 0;
}

static void on_metrics(const char *text, void *userdata)
{
        BusService *s = userdata;
        /* Names of units come from systemd, of whom no UTF-8 is demanded. */
        _cleanup_free_ char *valid = text ? utf8_make_valid(text) : NULL;

        for (size_t i = 0; i < s->n_metrics_waiting; i++) {
                int r = valid ? sd_bus_reply_method_return(s->metrics_waiting[i], "s", valid) : -ENOMEM;

                if (r < 0)
                        (void) sd_bus_reply_method_errno(s->metrics_waiting[i], r, NULL);
        }
        done_waiting(s);
        s->metrics = manager_metrics_free(s->metrics);
}

int bus_metrics_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusService *s = userdata;
        int r;

        if (s->n_metrics_waiting >= BUS_METRICS_WAITING_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "%u callers wait for the metrics already; try again later.",
                                         BUS_METRICS_WAITING_MAX);
        if (!s->metrics) {
                r = manager_get_metrics(s->manager, on_metrics, s, &s->metrics);
                if (r < 0)
                        return r;
        }
        s->metrics_waiting[s->n_metrics_waiting++] = sd_bus_message_ref(m);
        return 1;
}

void bus_metrics_done(BusService *s)
{
        s->metrics = manager_metrics_free(s->metrics);
        done_waiting(s);
}
