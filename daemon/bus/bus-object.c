/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "bus/bus-object.h"

/* What was told of a property is remembered by its hash (FNV-1a, 64 bits): a thousand bots have tens of thousands of
 * values, and one that is told once too little for 2^64 changes is no loss. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static void hash_bytes(uint64_t *hash, const void *bytes, size_t size)
{
        const uint8_t *p = bytes;

        for (size_t i = 0; i < size; i++)
                *hash = (*hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static int hash_value(sd_bus_message *m, uint64_t *hash);

/* Types of these interfaces: s, o, b, u, t, x; what is not among them is a mistake in a vtable. */
static int hash_basic(sd_bus_message *m, char type, uint64_t *hash)
{
        union {
                const char *s;
                int b;
                uint32_t u;
                uint64_t t;
        } value = { .t = 0 };
        int r;

        r = sd_bus_message_read_basic(m, type, &value);
        if (r < 0)
                return r;

        switch (type) {
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
                /* with the zero at the end: no two different lists of strings look the same */
                hash_bytes(hash, value.s, strlen(value.s) + 1);
                return 0;
        case SD_BUS_TYPE_BOOLEAN:
        case SD_BUS_TYPE_UINT32:
        case SD_BUS_TYPE_UINT64:
        case SD_BUS_TYPE_INT64:
                hash_bytes(hash, &value, sizeof(value));
                return 0;
        default:
                return -EOPNOTSUPP;
        }
}

static int hash_container(sd_bus_message *m, char type, const char *contents, uint64_t *hash)
{
        int r;

        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        hash_bytes(hash, &type, sizeof(type));
        do
                r = hash_value(m, hash);
        while (r > 0);
        if (r < 0)
                return r;
        hash_bytes(hash, "}", 1);
        return sd_bus_message_exit_container(m);
}

/* Returns 1 after a value, 0 at the end of the container that is being read. */
static int hash_value(sd_bus_message *m, uint64_t *hash)
{
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r;
        r = contents ? hash_container(m, type, contents, hash) : hash_basic(m, type, hash);
        return r < 0 ? r : 1;
}

static bool property_emits_change(const sd_bus_vtable *entry)
{
        return entry->type == _SD_BUS_VTABLE_PROPERTY && (entry->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
}

/* Asks the getters for the present values, one behind the other. The vtable is the one place where properties are
 * listed, so the values to compare come from there too: through a message that is never sent. */
static int append_properties(BusObject *o, sd_bus_message *m)
{
        int r;

        for (const sd_bus_vtable *p = o->vtable; p->type != _SD_BUS_VTABLE_END; p++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                if (!property_emits_change(p))
                        continue;
                r = p->x.property.get(o->bus, o->path, o->interface, p->x.property.member, m, o->userdata, &error);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_seal(m, 1, 0);
        return r < 0 ? r : sd_bus_message_rewind(m, true);
}

/* Brings `published` up to date. `changed`, where given, gets the names of what differs; borrowed from the vtable. */
static int update_published(BusObject *o, const char **changed, size_t *ret_n_changed)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        size_t n = 0, i = 0;
        int r;

        r = sd_bus_message_new_signal(o->bus, &m, o->path, o->interface, "Values");
        if (r >= 0)
                r = append_properties(o, m);
        if (r < 0)
                return r;

        for (const sd_bus_vtable *p = o->vtable; p->type != _SD_BUS_VTABLE_END; p++) {
                uint64_t hash = HASH_START;

                if (!property_emits_change(p))
                        continue;
                r = hash_value(m, &hash);
                if (r < 0)
                        return r;
                if (changed && o->published[i] != hash)
                        changed[n++] = p->x.property.member;
                o->published[i++] = hash;
        }

        if (ret_n_changed)
                *ret_n_changed = n;
        return 0;
}

int bus_object_publish(BusObject *o)
{
        _cleanup_free_ const char **changed = NULL;
        size_t n;
        int r;

        if (!o->path)
                return 0;

        changed = calloc(o->n_published + 1, sizeof(char *));
        if (!changed)
                return -ENOMEM;
        r = update_published(o, changed, &n);
        if (r < 0 || n == 0)
                return r;
        return sd_bus_emit_properties_changed_strv(o->bus, o->path, o->interface, (char **) changed);
}

/* Frees everything and tells nobody. */
static void object_done(BusObject *o)
{
        free(o->published);
        free(o->path);
        sd_bus_slot_unref(o->slot);
        *o = (BusObject){ 0 };
}

int bus_object_add(BusObject *o, sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *vtable,
                   BusObjectFlags flags, void *userdata)
{
        int r;

        assert(!o->path);
        *o = (BusObject){ .bus = bus, .interface = interface, .vtable = vtable, .userdata = userdata };
        for (const sd_bus_vtable *p = vtable; p->type != _SD_BUS_VTABLE_END; p++)
                o->n_published += property_emits_change(p);

        o->path = strdup(path);
        o->published = calloc(o->n_published, sizeof(uint64_t));
        if (!o->path || !o->published) {
                r = -ENOMEM;
                goto fail;
        }

        if (!(flags & BUS_OBJECT_IS_FOUND)) {
                r = sd_bus_add_object_vtable(bus, &o->slot, path, interface, vtable, userdata);
                if (r < 0)
                        goto fail;
        }
        r = update_published(o, NULL, NULL);
        if (r < 0)
                goto fail;
        if (!(flags & BUS_OBJECT_UNTOLD))
                (void) sd_bus_emit_object_added(bus, path);
        return 0;

fail:
        object_done(o);
        return r;
}

void bus_object_remove(BusObject *o)
{
        if (!o->path)
                return;

        (void) sd_bus_emit_object_removed(o->bus, o->path);
        object_done(o);
}

int bus_append_text(sd_bus_message *reply, const char *text)
{
        _cleanup_free_ char *valid = NULL;

        if (isempty(text))
                return sd_bus_message_append(reply, "s", "");
        valid = utf8_make_valid(text);
        if (!valid)
                return -ENOMEM;
        return sd_bus_message_append(reply, "s", valid);
}
