/* SPDX-License-Identifier: MIT */
#include "bus/bus-internal.h"

/* GetManagedObjects() is answered by sd-bus and by it alone, but with 1,000 bots each answer has 1 MB and takes as long
 * to make as a request to a server. So the call waits in front of it: a user has a bounded number of them open, and one
 * goes on in a turn of the loop, so that in a flood of them a move waits for one at a time. */

static BusCall *longest(const BusService *s)
{
        BusCall *first = NULL;

        for (BusCall *call = s->calls.first; call; call = call->next)
                if (call->awaits_objects)
                        first = call; /* new ones stand in front */
        return first;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        BusService *s = userdata;
        BusCall *call = longest(s);
        int r;

        if (!call)
                return 0;
        call->awaits_objects = false;
        call->takes_objects = true;
        r = sd_bus_enqueue_for_read(s->bus, call->message);
        if (r < 0)
                bus_call_fail(call, r, NULL);
        return longest(s) ? sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) : 0;
}

static int get_objects(BusCall *call, sd_bus_error *error)
{
        int r = sd_event_source_set_enabled(call->list->service->objects_source, SD_EVENT_ONESHOT);

        if (r < 0)
                return r;
        call->awaits_objects = call->waits = true;
        return 0;
}

/* Sees every message that comes, before anything of ours is called for it. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const BusRequest request = {
                .handler = get_objects,
                .for_everyone = true,
                .user_max = BUS_OBJECTS_USER_MAX,
        };
        BusService *s = userdata;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
                return 0;
        for (BusCall *call = s->calls.first; call; call = call->next)
                if (call->takes_objects && call->message == m) {
                        /* Its turn: sd-bus answers it now. */
                        bus_call_free(call);
                        return 0;
                }
        return bus_call_begin(&s->calls, s->manager, m, &request, error);
}

int bus_objects_set_up(BusService *s)
{
        int r;

        r = sd_event_add_defer(manager_event(s->manager), &s->objects_source, on_turn, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->objects_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_bus_add_filter(s->bus, &s->objects_filter_slot, on_message, s);
        return r < 0 ? r : sd_bus_add_object_manager(s->bus, &s->object_manager_slot, BUS_PATH);
}

void bus_objects_done(BusService *s)
{
        s->objects_filter_slot = sd_bus_slot_unref(s->objects_filter_slot);
        s->object_manager_slot = sd_bus_slot_unref(s->object_manager_slot);
        s->objects_source = sd_event_source_disable_unref(s->objects_source);
}
