/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "io/inhibitor.h"

struct Inhibitor {
        sd_bus_slot *slot;
        int fd; /* the lock */
        InhibitorState state;
};

static int on_inhibited(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Inhibitor *i = userdata;
        int fd; /* the message's own */

        i->state = INHIBITOR_REFUSED;
        if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "h", &fd) < 0)
                return 0;
        i->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (i->fd >= 0)
                i->state = INHIBITOR_HELD;
        return 0;
}

int inhibitor_take(Inhibitor **ret, sd_bus *bus, const char *why)
{
        _cleanup_(inhibitor_freep) Inhibitor *i = NULL;
        int r;

        i = calloc(1, sizeof(Inhibitor));
        if (!i)
                return -ENOMEM;
        i->fd = -EBADF;
        i->state = INHIBITOR_ASKED;
        r = sd_bus_call_method_async(bus, &i->slot, "org.freedesktop.login1", "/org/freedesktop/login1",
                                     "org.freedesktop.login1.Manager", "Inhibit", on_inhibited, i, "ssss",
                                     "shutdown:sleep", "tgswitchd", why, "delay");
        if (r < 0)
                return r;

        *ret = TAKE_PTR(i);
        return 0;
}

Inhibitor *inhibitor_free(Inhibitor *i)
{
        if (!i)
                return NULL;
        /* An answer that comes after this is dropped by the bus, and the lock in it closed. */
        sd_bus_slot_unref(i->slot);
        closep(&i->fd);
        free(i);
        return NULL;
}

InhibitorState inhibitor_state(const Inhibitor *i)
{
        return i->state;
}
