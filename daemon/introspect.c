/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "bus/bus-internal.h"

/* Prints the description of one interface, as it is installed in /usr/share/dbus-1/interfaces. `make` runs this; it
 * is not installed itself.
 *
 *   introspect org.tgswitch1.Manager
 *
 * What it prints is what the daemon answers to Introspect(): its tables are put on a connection that ends in this
 * process, so that neither a bus nor a daemon is needed to build. The handlers in them are never called. */

/* the inside of bus/ is asked for its tables alone */
static const struct {
        const char *name;
        const sd_bus_vtable *vtable;
} interfaces[] = {
        { BUS_MANAGER_INTERFACE, bus_manager_vtable },
        { BUS_BOT_INTERFACE, bus_bot_vtable },
        { BUS_JOB_INTERFACE, bus_job_vtable },
};

static const sd_bus_vtable *find_vtable(const char *name)
{
        FOREACH_ELEMENT(i, interfaces)
                if (streq(i->name, name))
                        return i->vtable;
        return NULL;
}

static int connect_end(int fd, bool server, sd_event *event, sd_bus **ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        sd_id128_t id;
        int r;

        if ((r = sd_id128_randomize(&id)) < 0 || (r = sd_bus_new(&bus)) < 0 || (r = sd_bus_set_fd(bus, fd, fd)) < 0 ||
            (server && (r = sd_bus_set_server(bus, true, id)) < 0) || (r = sd_bus_start(bus)) < 0 ||
            (r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL)) < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

/* sd-bus writes an element a line, and has interfaces of its own around ours. */
static int print_interface(const char *xml, const char *name)
{
        static const char end[] = " </interface>\n";
        _cleanup_free_ char *start = NULL;
        const char *from, *to;

        if (asprintf(&start, " <interface name=\"%s\">\n", name) < 0) {
                start = NULL;
                return -ENOMEM;
        }
        from = strstr(xml, start);
        to = from ? strstr(from, end) : NULL;
        if (!to)
                return -EBADMSG;

        printf("<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"
               "\"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
               "<!-- org.tgswitch1(5) tells what it does. -->\n"
               "<node>\n%.*s</node>\n",
               (int) (to - from + strlen(end)), from);
        return 0;
}

static int on_introspected(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        sd_event *event = sd_bus_get_event(sd_bus_message_get_bus(reply));
        const char *xml;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                r = -sd_bus_message_get_errno(reply);
        else if ((r = sd_bus_message_read(reply, "s", &xml)) > 0)
                r = print_interface(xml, userdata);
        return sd_event_exit(event, r);
}

static int introspect(const char *name, const sd_bus_vtable *vtable)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *server = NULL, *client = NULL;
        int ends[2], r;

        r = sd_event_new(&event);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return -errno;
        if ((r = connect_end(ends[0], true, event, &server)) < 0 ||
            (r = connect_end(ends[1], false, event, &client)) < 0 ||
            (r = sd_bus_add_object_vtable(server, NULL, "/", name, vtable, NULL)) < 0 ||
            (r = sd_bus_call_method_async(client, NULL, NULL, "/", "org.freedesktop.DBus.Introspectable", "Introspect",
                                          on_introspected, (char *) name, "")) < 0)
                return r;
        return sd_event_loop(event);
}

int main(int argc, char *argv[])
{
        const sd_bus_vtable *vtable = argc == 2 ? find_vtable(argv[1]) : NULL;
        int r;

        if (!vtable) {
                fprintf(stderr, "Usage: introspect INTERFACE; one of " BUS_NAME ".{Manager,Bot,Job}.\n");
                return EXIT_FAILURE;
        }
        r = introspect(argv[1], vtable);
        if (r >= 0 && fflush(stdout) != 0)
                r = -errno;
        if (r < 0) {
                fprintf(stderr, "%s cannot be described: %s\n", argv[1], strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
