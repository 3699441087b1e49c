/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "io/unit-client-internal.h"

/* Is the host going down? */

typedef struct StoppingCall {
        UnitCall base;
        unit_stopping_handler_t handler;
        BusQueued *question;
} StoppingCall;

static void stopping_call_done(UnitCall *call)
{
        bus_queued_free(((StoppingCall *) call)->question);
}

static int on_system_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        StoppingCall *s = userdata;
        const char *state = "";

        /* A connection that is gone took the answer with it, and the host, or the bus, with it. */
        if (sd_bus_is_open(s->base.client->bus) <= 0)
                state = "stopping";
        else if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "v", "s", &state) < 0)
                state = "";
        s->handler(&s->base, streq(state, "stopping"), s->base.userdata);
        return 0;
}

int unit_client_ask_stopping(UnitClient *c, unit_stopping_handler_t handler, void *userdata, UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        StoppingCall *s;
        int r;

        r = unit_call_new(sizeof(StoppingCall), c, UNIT_CALL_STOPPING, "-.slice", userdata, stopping_call_done, &call);
        if (r < 0)
                return r;
        s = (StoppingCall *) call;
        s->handler = handler;
        r = unit_client_call(c, &s->question, SYSTEMD_PATH, PROPERTIES_INTERFACE, "Get", on_system_state, s, 0, "ss",
                             SYSTEMD_MANAGER, "SystemState");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}
