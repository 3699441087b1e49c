/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "bus/bus-internal.h"

/* GetMetrics(): reading, and for everybody; but systemd is asked for it, so its answer comes later. Whoever asks
 * meanwhile gets the same text. For root it is asked for at once, for others once a second: a flood of calls costs no
 * more than that, and what is answered is never older than the call. With 1,000 bots it has 2 MB: so one caller is
 * answered in a turn of the loop. */

#define PAUSE_USEC (1 * USEC_PER_SEC)

/* Of those who wait for the text, or of those who are to be given it. */
static BusCall *longest(const BusService *s, bool ready)
{
        BusCall *first = NULL;

        for (BusCall *call = s->calls.first; call; call = call->next)
                if (ready ? call->takes_metrics : call->awaits_metrics)
                        first = call; /* new ones stand in front */
        return first;
}

static void fail_waiting(BusService *s, int r)
{
        BusCall *call;

        while ((call = longest(s, false)))
                bus_call_fail(call, r, NULL);
}

static void forget_text(BusService *s)
{
        free(s->metrics_text);
        s->metrics_text = NULL;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        BusService *s = userdata;
        BusCall *call = longest(s, true);
        int r;

        if (call) {
                r = sd_bus_reply_method_return(call->message, "s", s->metrics_text);
                if (r < 0)
                        bus_call_fail(call, r, NULL);
                else
                        bus_call_free(call);
        }
        if (longest(s, true))
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        forget_text(s);
        return 0;
}

static void on_metrics(const char *text, void *userdata)
{
        BusService *s = userdata;
        /* Names of units come from systemd, of whom no UTF-8 is demanded. */
        char *valid = text ? utf8_make_valid(text) : NULL;

        s->metrics = manager_metrics_free(s->metrics);
        if (!valid) {
                fail_waiting(s, -ENOMEM);
                return;
        }
        forget_text(s);
        s->metrics_text = valid;
        for (BusCall *call = s->calls.first; call; call = call->next)
                if (call->awaits_metrics) {
                        call->awaits_metrics = false;
                        call->takes_metrics = true;
                }
        (void) sd_event_source_set_enabled(s->metrics_source, SD_EVENT_ONESHOT);
}

static int ask(BusService *s, bool for_root);

static void on_pause_over(void *userdata)
{
        BusService *s = userdata;
        int r;

        s->metrics_timer = clock_timer_free(s->metrics_timer);
        r = longest(s, false) ? ask(s, false) : 0;
        if (r < 0)
                fail_waiting(s, r);
}

static int ask(BusService *s, bool for_root)
{
        int r;

        if (s->metrics || (s->metrics_timer && !for_root))
                return 0;
        if (!for_root) {
                r = clock_timer_new(&s->metrics_timer, manager_event(s->manager), PAUSE_USEC, on_pause_over, s);
                if (r < 0)
                        return r;
        }
        return manager_get_metrics(s->manager, on_metrics, s, &s->metrics);
}

static int get_metrics(BusCall *call, sd_bus_error *error)
{
        int r = ask(call->list->service, call->uid == 0);

        if (r < 0)
                return r;
        call->awaits_metrics = call->waits = true;
        return 0;
}

int bus_metrics_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const BusRequest request = {
                .handler = get_metrics,
                .for_everyone = true,
                .user_max = BUS_READS_USER_MAX,
        };
        BusService *s = userdata;

        return bus_call_begin(&s->calls, s->manager, m, &request, error);
}

int bus_metrics_set_up(BusService *s)
{
        int r;

        r = sd_event_add_defer(manager_event(s->manager), &s->metrics_source, on_turn, s);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(s->metrics_source, SD_EVENT_OFF);
}

void bus_metrics_done(BusService *s)
{
        s->metrics = manager_metrics_free(s->metrics);
        s->metrics_timer = clock_timer_free(s->metrics_timer);
        forget_text(s);
        sd_event_source_disable_unref(s->metrics_source);
}
