/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "bus/bus-internal.h"

/* The name of the unit is for the history alone: a systemd that is busy does not hold the call up for longer. */
#define UNIT_TIMEOUT_USEC (2 * USEC_PER_SEC)

BusCall *bus_call_free(BusCall *call)
{
        if (!call)
                return NULL;

        if (call->previous)
                call->previous->next = call->next;
        else
                call->list->first = call->next;
        if (call->next)
                call->next->previous = call->previous;
        call->list->n--;

        bot_check_free(call->check);
        bus_switch_free(call->switching);
        sd_bus_slot_unref(call->slot);
        sd_bus_slot_unref(call->departure);
        sd_bus_message_unref(call->message);
        free(call->requester);
        free(call);
        return NULL;
}

void bus_call_fail(BusCall *call, int r, const sd_bus_error *error)
{
        if (sd_bus_error_is_set(error))
                (void) sd_bus_reply_method_error(call->message, error);
        else
                (void) sd_bus_reply_method_errno(call->message, r, NULL);
        bus_call_free(call);
}

static int on_departure(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *new_owner;

        if (sd_bus_message_read(m, "sss", NULL, NULL, &new_owner) >= 0 && isempty(new_owner))
                bus_call_free(userdata);
        return 0;
}

/* Who has left needs no answer. Where this cannot be set up, or the caller is gone already, the call is kept until what
 * it waits for has happened. */
static void watch_caller(BusCall *call)
{
        char match[512];
        int n;

        n = snprintf(match, sizeof(match),
                     "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                     "member='NameOwnerChanged',arg0='%s'",
                     sd_bus_message_get_sender(call->message));
        if (n > 0 && (size_t) n < sizeof(match))
                (void) sd_bus_add_match_async(sd_bus_message_get_bus(call->message), &call->departure, match,
                                              on_departure, NULL, call);
}

static void call_go_on(BusCall *call)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        call->slot = sd_bus_slot_unref(call->slot);
        r = call->handler(call, &error);
        if (r < 0)
                bus_call_fail(call, r, &error);
        else if (!call->waits)
                bus_call_free(call);
        else
                watch_caller(call);
}

static int on_unit(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        BusCall *call = userdata;
        _cleanup_free_ char *unit = NULL;
        char *requester = NULL;
        const char *path;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "o", &path) >= 0 &&
            sd_bus_path_decode(path, "/org/freedesktop/systemd1/unit", &unit) > 0 &&
            asprintf(&requester, "%s, unit %s", call->requester, unit) >= 0) {
                free(call->requester);
                call->requester = requester;
        }

        call_go_on(call);
        return 1;
}

/* systemd is asked, because the caller's /proc/PID is hidden from the daemon (ProtectProc=invisible). */
static int ask_for_unit(BusCall *call, uint32_t pid)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = sd_bus_message_get_bus(call->message);
        int r;

        r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                           "org.freedesktop.systemd1.Manager", "GetUnitByPID");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "u", pid);
        if (r < 0)
                return r;
        return sd_bus_call_async(bus, &call->slot, m, on_unit, call, UNIT_TIMEOUT_USEC);
}

/* Picks two numbers out of the a{sv} of GetConnectionCredentials(); the rest of it depends on the bus daemon. */
static int read_credentials(sd_bus_message *reply, uint32_t *ret_uid, uint32_t *ret_pid)
{
        bool uid_known = false;
        int r;

        *ret_pid = 0;
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read(reply, "s", &key);
                if (r < 0)
                        return r;
                if (streq(key, "UnixUserID")) {
                        r = sd_bus_message_read(reply, "v", "u", ret_uid);
                        uid_known = r > 0;
                } else if (streq(key, "ProcessID"))
                        r = sd_bus_message_read(reply, "v", "u", ret_pid);
                else
                        r = sd_bus_message_skip(reply, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : uid_known ? 0 : -ENODATA;
}

static void call_deny(BusCall *call, const char *message)
{
        (void) sd_bus_reply_method_errorf(call->message, SD_BUS_ERROR_ACCESS_DENIED, "%s", message);
        bus_call_free(call);
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        BusCall *call = userdata;
        uint32_t uid = UINT32_MAX, pid = 0;

        if (sd_bus_message_is_method_error(reply, NULL) || read_credentials(reply, &uid, &pid) < 0) {
                call_deny(call, "The bus could not tell who asks, so nothing was changed; try again.");
                return 1;
        }
        if (uid != 0) {
                call_deny(call, "Only root may do this. Nothing was changed; use sudo or a root shell.");
                return 1;
        }
        if (asprintf(&call->requester, "uid %" PRIu32, uid) < 0) {
                call->requester = NULL;
                bus_call_fail(call, -ENOMEM, NULL);
                return 1;
        }

        call->slot = sd_bus_slot_unref(call->slot);
        if (!call->wants_unit || pid == 0 || ask_for_unit(call, pid) < 0)
                call_go_on(call);
        return 1;
}

int bus_call_begin(BusCallList *list, Manager *m, sd_bus_message *message, unsigned flags, bus_call_handler_t handler,
                   sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(message);
        BusCall *call;
        int r;

        if (!sender)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "This is answered over a bus only.");
        if (list->n >= BUS_CALLS_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many calls are waiting for their answer; try again later.");

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        *call = (BusCall){
                .list = list,
                .message = sd_bus_message_ref(message),
                .manager = m,
                .handler = handler,
                .wants_unit = flags & BUS_CALL_REQUESTER,
                .next = list->first,
        };
        if (call->next)
                call->next->previous = call;
        list->first = call;
        list->n++;

        /* sd_bus_query_sender_creds() would ask the same and block the loop meanwhile */
        r = sd_bus_call_method_async(sd_bus_message_get_bus(message), &call->slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionCredentials",
                                     on_credentials, call, "s", sender);
        if (r < 0) {
                bus_call_free(call);
                return r;
        }
        return 1;
}
