/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "bus/bus-internal.h"
#include "bus/bus-log-control.h"

/* ---- what has changed, told once per round of the event loop ---- */

static void note_change(BusBot *bb)
{
        BusService *s = bb->service;

        if (bb->changed)
                return;
        bb->changed = true;
        bb->changed_previous = s->changed_last;
        bb->changed_next = NULL;
        if (s->changed_last)
                s->changed_last->changed_next = bb;
        else
                s->changed = bb;
        s->changed_last = bb;
}

static void forget_change(BusBot *bb)
{
        BusService *s = bb->service;

        if (!bb->changed)
                return;
        bb->changed = false;
        if (bb->changed_previous)
                bb->changed_previous->changed_next = bb->changed_next;
        else
                s->changed = bb->changed_next;
        if (bb->changed_next)
                bb->changed_next->changed_previous = bb->changed_previous;
        else
                s->changed_last = bb->changed_previous;
}

static void publish_bot(BusBot *bb)
{
        forget_change(bb);
        if (bot_job_running(bb->bot))
                (void) bus_job_add(bb, bot_job(bb->bot)->id);
        /* What cannot be told for want of memory is told with the next change; reading is right at any time. */
        (void) bus_object_publish(&bb->object);
        (void) bus_object_publish(&bb->job_object);
}

static int on_publish(sd_event_source *source, void *userdata)
{
        BusService *s = userdata;

        while (s->changed)
                publish_bot(s->changed);
        (void) bus_object_publish(&s->object);
        return 0;
}

static void publish_later(BusService *s)
{
        (void) sd_event_source_set_enabled(s->publish_source, SD_EVENT_ONESHOT);
}

/* ---- the manager's observer ---- */

static void on_bot_changed(Bot *b, void *userdata)
{
        BusBot *bb = bot_observer_data(b);

        if (bb)
                note_change(bb);
        publish_later(userdata);
}

static void on_bot_added(Bot *b, void *userdata)
{
        BusService *s = userdata;
        char path[64];
        BusBot *bb;

        bb = calloc(1, sizeof(*bb));
        if (!bb)
                return; /* the bot works, nobody sees it; the next restart puts that right */
        bb->service = s;
        bb->bot = b;
        bb->recorded_job = bot_job(b)->id; /* from its record */
        bot_set_observer_data(b, bb);

        bus_bot_path(b, path);
        (void) bus_object_add(&bb->object, s->bus, path, BUS_BOT_INTERFACE, bus_bot_vtable,
                              BUS_OBJECT_IS_FOUND | (s->named ? 0 : BUS_OBJECT_UNTOLD), bb);
        if (bot_job_running(b))
                (void) bus_job_add(bb, bot_job(b)->id);
        publish_later(s);
}

static void on_bot_removed(Bot *b, void *userdata)
{
        BusService *s = userdata;
        BusBot *bb = bot_observer_data(b);

        bus_bot_drop_checks(&s->calls, b);
        bus_switch_forget_bot(s, b);
        if (bb) {
                forget_change(bb);
                bus_object_remove(&bb->job_object);
                bus_object_remove(&bb->object);
                bot_set_observer_data(b, NULL);
                free(bb);
        }
        publish_later(s);
}

static void on_job_new(Bot *b, uint32_t id, void *userdata)
{
        BusService *s = userdata;
        BusBot *bb = bot_observer_data(b);
        char path[BUS_JOB_PATH_SIZE];

        if (bb) {
                bb->recorded_job = id;
                (void) bus_job_add(bb, id);
        }
        bus_job_path(id, path);
        (void) sd_bus_emit_signal(s->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "JobNew", "uos", id, path, bot_name(b));
        bus_switch_look_later(s);
        on_bot_changed(b, s);
}

static void on_job_changed(Bot *b, uint32_t id, void *userdata)
{
        on_bot_changed(b, userdata);
}

/* Everything that the job changed is told before it ends: who has seen JobRemoved has seen all of it. */
static void on_job_removed(Bot *b, uint32_t id, JobResult result, void *userdata)
{
        BusService *s = userdata;
        BusBot *bb = bot_observer_data(b);
        char path[BUS_JOB_PATH_SIZE];

        if (bb)
                publish_bot(bb);
        bus_job_path(id, path);
        (void) sd_bus_emit_signal(s->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "JobRemoved", "uoss", id, path, bot_name(b),
                                  job_result_to_string(result));
        if (bb && bb->job_id == id) {
                bus_object_remove(&bb->job_object);
                bb->job_id = 0;
        }
        bus_switch_look_later(s);
        publish_later(s);
}

static void on_manager_changed(Manager *m, void *userdata)
{
        publish_later(userdata);
}

/* ---- the objects of the bots, of which there may be a thousand: found when somebody asks for them ---- */

static int find_bot(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                    sd_bus_error *error)
{
        const char *name = startswith(path, BUS_BOT_PREFIX);
        const BusService *s = userdata;
        const Bot *b = name ? manager_find_bot(s->manager, name) : NULL;
        BusBot *bb = b ? bot_observer_data(b) : NULL;

        if (!bb || !bb->object.path)
                return 0;
        *ret_found = bb;
        return 1;
}

static int list_bot_paths(sd_bus *bus, const char *prefix, void *userdata, char ***ret_paths, sd_bus_error *error)
{
        _cleanup_strv_ char **paths = NULL;
        const BusService *s = userdata;
        size_t n = manager_n_bots(s->manager);

        paths = calloc(n + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                char path[64];

                bus_bot_path(manager_bot(s->manager, i), path);
                paths[i] = strdup(path);
                if (!paths[i])
                        return -ENOMEM;
        }
        *ret_paths = TAKE_PTR(paths);
        return 0;
}

/* ---- the service ---- */

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        enum {
                PRIMARY_OWNER = 1, /* D-Bus Specification, RequestName */
                ALREADY_OWNER = 4,
        };
        BusService *s = userdata;
        uint32_t answer;
        int r;

        s->name_slot = sd_bus_slot_unref(s->name_slot);
        if (sd_bus_message_is_method_error(reply, NULL))
                r = -sd_bus_message_get_errno(reply);
        else {
                r = sd_bus_message_read(reply, "u", &answer);
                if (r >= 0)
                        r = answer == PRIMARY_OWNER || answer == ALREADY_OWNER ? 0 : -EEXIST;
        }
        s->named = r >= 0;
        s->name_handler(s, r, s->name_userdata);
        return 1;
}

int bus_service_request_name(BusService *s, bus_service_name_handler_t handler, void *userdata)
{
        int r;

        assert(!s->name_slot);
        r = sd_bus_request_name_async(s->bus, &s->name_slot, BUS_NAME, 0, on_name, s);
        if (r < 0)
                return r;
        s->name_handler = handler;
        s->name_userdata = userdata;
        return 0;
}

int bus_service_new(BusService **ret, sd_bus *bus, Manager *m)
{
        _cleanup_(bus_service_freep) BusService *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->bus = sd_bus_ref(bus);
        s->manager = m;
        s->calls.service = s;
        s->calls.queue.under_way_max = BUS_UNITS_MAX;

        r = sd_event_add_defer(manager_event(m), &s->publish_source, on_publish, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->publish_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = bus_switch_set_up(s);
        if (r < 0)
                return r;
        r = bus_metrics_set_up(s);
        if (r < 0)
                return r;
        r = bus_objects_set_up(s);
        if (r < 0)
                return r;

        r = sd_bus_add_fallback_vtable(bus, &s->bots_slot, BUS_PATH "/bot", BUS_BOT_INTERFACE, bus_bot_vtable, find_bot,
                                       s);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(bus, &s->bot_paths_slot, BUS_PATH "/bot", list_bot_paths, s);
        if (r < 0)
                return r;
        r = bus_object_add(&s->object, bus, BUS_PATH, BUS_MANAGER_INTERFACE, bus_manager_vtable, 0, s);
        if (r < 0)
                return r;
        r = bus_log_control_add(bus, &s->log_control_slot);
        if (r < 0)
                return r;

        s->observer = (ManagerObserver){
                .bot_added = on_bot_added,
                .bot_removed = on_bot_removed,
                .bot_changed = on_bot_changed,
                .job_new = on_job_new,
                .job_changed = on_job_changed,
                .job_removed = on_job_removed,
                .manager_changed = on_manager_changed,
                .userdata = s,
        };
        manager_set_observer(m, &s->observer);
        for (size_t i = 0; i < manager_n_bots(m); i++)
                on_bot_added(manager_bot(m, i), s);

        *ret = TAKE_PTR(s);
        return 0;
}

BusService *bus_service_free(BusService *s)
{
        if (!s)
                return NULL;

        while (s->calls.first)
                bus_call_free(s->calls.first);
        bus_queue_done(&s->calls.queue);
        bus_metrics_done(s);
        bus_objects_done(s);
        if (s->observer.userdata) {
                manager_set_observer(s->manager, NULL);
                for (size_t i = 0; i < manager_n_bots(s->manager); i++)
                        on_bot_removed(manager_bot(s->manager, i), s);
        }
        bus_object_remove(&s->object);
        sd_bus_slot_unref(s->log_control_slot);
        sd_bus_slot_unref(s->name_slot);
        sd_bus_slot_unref(s->bot_paths_slot);
        sd_bus_slot_unref(s->bots_slot);
        sd_event_source_disable_unref(s->publish_source);
        sd_event_source_disable_unref(s->answer_source);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}
