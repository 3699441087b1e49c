/* SPDX-License-Identifier: MIT */
#include "io/unit-client-internal.h"

typedef struct UnitState {
        UnitActiveState active;
        char *sub;
} UnitState;

typedef struct WatchCall {
        UnitCall base;
        unit_watch_handler_t handler;
        BusQueued *question; /* a GetAll() that is outstanding */
        char *path;
        UnitState state; /* as last reported; .sub is NULL before the first time */
} WatchCall;

static const UnitProperty state_properties[] = {
        { "ActiveState", "s", unit_property_active_state, offsetof(UnitState, active) },
        { "SubState", "s", unit_property_string, offsetof(UnitState, sub) },
};

static void unit_state_done(UnitState *s)
{
        free(s->sub);
}

#define _cleanup_unit_state_ _cleanup_(unit_state_done)

static void watch_call_done(UnitCall *call)
{
        WatchCall *w = (WatchCall *) call;

        bus_queued_free(w->question);
        free(w->path);
        unit_state_done(&w->state);
}

/* Takes the string. The handler may free the call: nobody touches it after this. */
static void watch_report(WatchCall *w, UnitState *s)
{
        if (w->state.sub && w->state.active == s->active && streq(w->state.sub, s->sub))
                return;
        unit_state_done(&w->state);
        w->state.active = s->active;
        w->state.sub = TAKE_PTR(s->sub);
        w->handler(&w->base, w->state.active, w->state.sub, w->base.userdata);
}

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_unit_state_ UnitState s = { .active = UNIT_OTHER };
        WatchCall *w = userdata;
        int r;

        /* Where systemd left the bus before it answered, its return leads to a recheck. Anything else will
         * not get better by asking again, and "may run" is what is safe to say of a unit whose state nobody
         * tells. */
        w->question = bus_queued_free(w->question);
        if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY))
                return 0;
        r = sd_bus_message_is_method_error(reply, NULL)
                            ? 0
                            : unit_properties_read(reply, state_properties, ELEMENTSOF(state_properties), &s);
        if (r < 0)
                s.active = UNIT_OTHER;
        if (!s.sub) {
                r = unit_string_replace(&s.sub, "");
                if (r < 0)
                        return r;
        }
        watch_report(w, &s);
        return 0;
}

/* An answer and a signal come in the order in which systemd sent them, so the later one is always the newer
 * state. */
static int watch_ask(WatchCall *w)
{
        w->question = bus_queued_free(w->question);
        return unit_properties_ask(w->base.client, &w->question, w->path, SYSTEMD_UNIT, USEC_INFINITY, on_state, w);
}

void unit_watch_recheck(UnitCall *call)
{
        /* Fails only without a connection, and then no state will come any more in any way. */
        (void) watch_ask((WatchCall *) call);
}

static int watch_changed(WatchCall *w, sd_bus_message *m)
{
        _cleanup_unit_state_ UnitState s = { .active = UNIT_ACTIVE_STATE_INVALID };
        const char *interface;
        int r;

        r = sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "s", &interface);
        if (r < 0)
                return r;
        if (!streq(interface, SYSTEMD_UNIT))
                return 0;
        r = unit_properties_read(m, state_properties, ELEMENTSOF(state_properties), &s);
        if (r < 0)
                return r;

        /* One without the values says that they may have changed. */
        if (s.active == UNIT_ACTIVE_STATE_INVALID || !s.sub)
                return watch_ask(w);
        watch_report(w, &s);
        return 0;
}

static int on_unit_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitClient *c = userdata;
        const char *path = sd_bus_message_get_path(m);

        if (!unit_client_is_from_systemd(c, m))
                return 0;
        FOREACH_CALL(call, c)
        if (call->kind == UNIT_CALL_WATCH && streq(((WatchCall *) call)->path, path)) {
                int r = watch_changed((WatchCall *) call, m);

                if (r < 0)
                        return r;
        }
        return 0;
}

#define UNITS_CHANGED                                                                    \
        "type='signal',interface='" PROPERTIES_INTERFACE "',member='PropertiesChanged'," \
        "path_namespace='" SYSTEMD_UNIT_PATH "',arg0='" SYSTEMD_UNIT "'"

/* One for all: a broker gives a connection 512 rules by default (dbus-daemon(1),
 * max_match_rules_per_connection), and there may be more workers than that. */
static int add_match(UnitClient *c)
{
        if (c->slot_unit_changed)
                return 0;
        return sd_bus_add_match_async(c->bus, &c->slot_unit_changed,
                                      unit_client_match_sender(c) ? UNITS_CHANGED ",sender='" SYSTEMD_NAME "'"
                                                                  : UNITS_CHANGED,
                                      on_unit_changed, NULL, c);
}

int unit_client_watch(UnitClient *c, const char *unit, unit_watch_handler_t handler, void *userdata, UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        WatchCall *w;
        int r;

        r = unit_call_new(sizeof(WatchCall), c, UNIT_CALL_WATCH, unit, userdata, watch_call_done, &call);
        if (r < 0)
                return r;
        w = (WatchCall *) call;
        w->handler = handler;

        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, unit, &w->path);
        if (r < 0)
                return r;
        r = add_match(c);
        if (r < 0)
                return r;
        r = watch_ask(w);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}
