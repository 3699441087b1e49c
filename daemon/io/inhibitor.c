/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "io/inhibitor.h"

/* One lock each: to ask for both at once takes a right that only root has (logind asks polkit for another action then,
 * the one for lid switches). */
static const char *const whats[] = { "shutdown", "sleep" };

typedef struct Lock {
        sd_bus_slot *slot;
        int fd;
        InhibitorState state;
} Lock;

struct Inhibitor {
        Lock locks[ELEMENTSOF(whats)];
};

static int on_inhibited(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Lock *l = userdata;
        int fd; /* the message's own */

        l->state = INHIBITOR_REFUSED;
        if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "h", &fd) < 0)
                return 0;
        l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (l->fd >= 0)
                l->state = INHIBITOR_HELD;
        return 0;
}

int inhibitor_take(Inhibitor **ret, sd_bus *bus, const char *why)
{
        _cleanup_(inhibitor_freep) Inhibitor *i = NULL;
        int r;

        i = calloc(1, sizeof(Inhibitor));
        if (!i)
                return -ENOMEM;
        for (size_t k = 0; k < ELEMENTSOF(whats); k++)
                i->locks[k] = (Lock){ .fd = -EBADF, .state = INHIBITOR_ASKED };
        for (size_t k = 0; k < ELEMENTSOF(whats); k++) {
                r = sd_bus_call_method_async(bus, &i->locks[k].slot, "org.freedesktop.login1",
                                             "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "Inhibit",
                                             on_inhibited, &i->locks[k], "ssss", whats[k], "tgswitchd", why, "delay");
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(i);
        return 0;
}

Inhibitor *inhibitor_free(Inhibitor *i)
{
        if (!i)
                return NULL;
        FOREACH_ELEMENT(l, i->locks) {
                /* An answer that comes after this is dropped by the bus, and the lock in it closed. */
                sd_bus_slot_unref(l->slot);
                closep(&l->fd);
        }
        free(i);
        return NULL;
}

InhibitorState inhibitor_state(const Inhibitor *i)
{
        InhibitorState state = INHIBITOR_HELD;

        FOREACH_ELEMENT(l, i->locks) {
                if (l->state == INHIBITOR_ASKED)
                        return INHIBITOR_ASKED;
                if (l->state == INHIBITOR_REFUSED)
                        state = INHIBITOR_REFUSED;
        }
        return state;
}
