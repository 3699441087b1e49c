/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <libgen.h>

#include "base/fs-util.h"
#include "core/metrics-text.h"
#include "ctl/ctl-bus.h"

/* tgswitch-metrics(7). A daemon that does not answer is an answer, too: with no file, or with the one from before, the
 * bots would look as they did when it was last heard of. */

/* Longer than tgswitchd waits for systemd. */
#define TIMEOUT_USEC (15 * USEC_PER_SEC)

/* Who looks at a daemon must not start it: one that the administrator has stopped stays so. */
static int ask(Ctl *c, char **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *text;
        char *copy;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE, "GetMetrics");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_call(c->bus, m, TIMEOUT_USEC, error, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return r;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

static char *compose_down(void)
{
        MetricsText t = {};

        metrics_text_family(&t, "tgswitch_up", METRICS_GAUGE, "Whether tgswitchd answered.");
        metrics_text_number(&t, "tgswitch_up", METRICS_NO_LABELS, 0);
        return metrics_text_finish(&t);
}

static int write_file(const char *file, const char *text)
{
        _cleanup_free_ char *for_directory = strdup(file), *for_name = strdup(file);
        _cleanup_close_ int directory = -EBADF;

        if (!for_directory || !for_name)
                return -ENOMEM;
        directory = open(dirname(for_directory), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        return write_file_atomic_at(directory, basename(for_name), text, strlen(text), 0644, WRITE_SYNC);
}

static CtlExit deliver(Ctl *c, const char *text, bool up)
{
        int r = c->output ? write_file(c->output, text) : 0;

        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "%s cannot be written: %s. See that its directory is there and that you may write to "
                                 "it; tgswitch-metrics(7) says how to have another one.",
                                 c->output, strerror(-r));
        if (c->json) {
                json_object *o = ctl_json_new();

                ctl_json_add(o, "up", json_object_new_boolean(up));
                ctl_json_add(o, "metrics", json_object_new_string(text));
                return ctl_print_json(o);
        }
        if (!c->output)
                fputs(text, stdout);
        return CTL_OK;
}

CtlExit verb_metrics(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        CtlExit status, delivered;
        int r = 0;

        status = ctl_connect(c);
        if (status == CTL_OK) {
                r = ask(c, &text, &error);
                status = r < 0 ? ctl_exit_of(r, &error) : CTL_OK;
        }
        /* Who refuses is there: what the file says is truer than that the daemon is down. */
        if (r < 0 && status != CTL_UNREACHABLE)
                return ctl_call_failed(c->output ? "The file stays as it was" : NULL, r, &error);
        if (status != CTL_OK && status != CTL_UNREACHABLE)
                return status;
        if (!text)
                text = compose_down();
        if (!text)
                return ctl_oom();
        delivered = deliver(c, text, status == CTL_OK);
        if (delivered != CTL_OK)
                return delivered;
        /* The file says it, to whoever it is for: where it is written all the time, the journal need not. */
        if (c->output && status == CTL_UNREACHABLE)
                return CTL_OK;
        return r < 0 ? ctl_call_failed(NULL, r, &error) : status;
}
