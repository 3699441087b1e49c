/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-bus-vtable.h>

#include "base/macro.h"

/* One object on the bus with one interface of ours, and what was last told of its properties. */

typedef struct BusObject {
        sd_bus *bus;       /* borrowed */
        sd_bus_slot *slot; /* NULL: a fallback vtable finds it */
        char *path;        /* NULL: not on the bus */
        const char *interface;
        const sd_bus_vtable *vtable;
        void *userdata;      /* of the vtable's functions */
        uint64_t *published; /* for each property that tells its changes, in the vtable's order: a hash of what it told
                              */
        size_t n_published;
} BusObject;

typedef enum BusObjectFlags {
        /* sd_bus_add_fallback_vtable(3) covers the path: nothing of its own is registered, which costs libsystemd some
         * kilobytes for each object */
        BUS_OBJECT_IS_FOUND = 1 << 0,
        BUS_OBJECT_UNTOLD = 1 << 1, /* ObjectManager's listeners are not told: there are none yet */
} BusObjectFlags;

/* Puts the object on the bus and tells ObjectManager's listeners. `vtable` is static, `bus` outlives the object.
 * Nothing is left on failure. */
int bus_object_add(BusObject *o, sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *vtable,
                   BusObjectFlags flags, void *userdata);

/* Tells the listeners that it is gone, and takes it from the bus. Also for an object that was never added. */
void bus_object_remove(BusObject *o);

/* Emits PropertiesChanged with the values of those properties that differ from what was last told, if any do. Every
 * property with SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE takes part. */
int bus_object_publish(BusObject *o);

/* For getters: text from outside may be no UTF-8, which would make the whole reply fail. */
int bus_append_text(sd_bus_message *reply, const char *text);
