/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "ctl/ctl-bus.h"

/* What a program that goes on listens for. */
typedef struct CtlMatch {
        const char *match;
        sd_bus_message_handler_t handler;
} CtlMatch;

#define MATCH_DISCONNECTED                                                                          \
        "type='signal',sender='org.freedesktop.DBus.Local',interface='org.freedesktop.DBus.Local'," \
        "member='Disconnected'"
#define MATCH_OWNER                                                                     \
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus'," \
        "member='NameOwnerChanged',arg0='" BUS_NAME "'"
#define MATCH_MANAGER(member)                                                                       \
        "type='signal',sender='" BUS_NAME "',path='" BUS_PATH "',interface='" BUS_MANAGER_INTERFACE \
        "',member='" member "'"
/* Of the object at this path and of all below it. */
#define MATCH_PROPERTIES(path)                                           \
        "type='signal',sender='" BUS_NAME "',path_namespace='" path "'," \
        "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'"
#define MATCH_OBJECTS "type='signal',sender='" BUS_NAME "',interface='org.freedesktop.DBus.ObjectManager'"

int ctl_listen(sd_bus *bus, const CtlMatch *matches, size_t n_matches, void *userdata) _must_check_;

/* For a loop that the bus is attached to. Signals come first: Ctrl-C ends an ssh of --host as well, and then it is not
 * the connection that has failed. The source goes with the loop; the signal is blocked before. */
int ctl_add_signal(sd_event *event, int signal_number, sd_event_signal_handler_t handler, void *userdata) _must_check_;
