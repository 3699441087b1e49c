/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/utf8.h"
#include "bus/bus-object.h"

static int render_value(sd_bus_message *m, FILE *f);

/* Types of these interfaces: s, o, b, u, t, x; what is not among them is a mistake in a vtable. */
static int render_basic(sd_bus_message *m, char type, FILE *f)
{
        union {
                const char *s;
                int b;
                uint32_t u;
                uint64_t t;
        } value = { 0 };
        int r;

        r = sd_bus_message_read_basic(m, type, &value);
        if (r < 0)
                return r;

        switch (type) {
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
                /* length first: no two different lists of strings look the same */
                fprintf(f, "%zu:%s,", strlen(value.s), value.s);
                return 0;
        case SD_BUS_TYPE_BOOLEAN:
                fprintf(f, "%i,", value.b);
                return 0;
        case SD_BUS_TYPE_UINT32:
                fprintf(f, "%" PRIu32 ",", value.u);
                return 0;
        case SD_BUS_TYPE_UINT64:
        case SD_BUS_TYPE_INT64:
                fprintf(f, "%" PRIu64 ",", value.t);
                return 0;
        default:
                return -EOPNOTSUPP;
        }
}

static int render_container(sd_bus_message *m, char type, const char *contents, FILE *f)
{
        int r;

        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        fprintf(f, "%c{", type);
        do
                r = render_value(m, f);
        while (r > 0);
        if (r < 0)
                return r;
        fputs("},", f);
        return sd_bus_message_exit_container(m);
}

/* Returns 1 after a value, 0 at the end of the container that is being read. */
static int render_value(sd_bus_message *m, FILE *f)
{
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r;
        r = contents ? render_container(m, type, contents, f) : render_basic(m, type, f);
        return r < 0 ? r : 1;
}

static int render_message(sd_bus_message *m, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        f = open_memstream(&text, &size);
        if (!f)
                return -errno;
        r = render_value(m, f);
        if (fclose(f) != 0)
                return -ENOMEM;
        if (r < 0)
                return r;

        *ret = TAKE_PTR(text);
        return 0;
}

/* Asks the getter of a property for its present value. The vtable is the one place where properties are listed, so the
 * values to compare come from there too: through a message that is never sent. */
static int property_render(BusObject *o, const sd_bus_vtable *property, char **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(o->bus, &m, o->path, o->interface, "Value");
        if (r < 0)
                return r;
        r = property->x.property.get(o->bus, o->path, o->interface, property->x.property.member, m, o->userdata,
                                     &error);
        if (r < 0)
                return r;
        r = sd_bus_message_seal(m, 1, 0);
        if (r < 0)
                return r;
        r = sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        return render_message(m, ret);
}

static bool property_emits_change(const sd_bus_vtable *entry)
{
        return entry->type == _SD_BUS_VTABLE_PROPERTY && (entry->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
}

/* Brings `published` up to date. `changed`, where given, gets the names of what differs; borrowed from the vtable. */
static int update_published(BusObject *o, const char **changed, size_t *ret_n_changed)
{
        size_t n = 0;

        for (size_t i = 0; i < o->n_published; i++) {
                _cleanup_free_ char *value = NULL;
                int r;

                if (!property_emits_change(o->vtable + i))
                        continue;
                r = property_render(o, o->vtable + i, &value);
                if (r < 0)
                        return r;
                if (streq_ptr(o->published[i], value))
                        continue;

                free(o->published[i]);
                o->published[i] = TAKE_PTR(value);
                if (changed)
                        changed[n++] = o->vtable[i].x.property.member;
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

        if (!o->slot)
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
        for (size_t i = 0; o->published && i < o->n_published; i++)
                free(o->published[i]);
        free(o->published);
        free(o->path);
        sd_bus_slot_unref(o->slot);
        sd_bus_unref(o->bus);
        *o = (BusObject){ 0 };
}

int bus_object_add(BusObject *o, sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *vtable,
                   void *userdata)
{
        int r;

        assert(!o->slot);
        *o = (BusObject){ .bus = sd_bus_ref(bus), .interface = interface, .vtable = vtable, .userdata = userdata };
        while (vtable[o->n_published].type != _SD_BUS_VTABLE_END)
                o->n_published++;

        o->path = strdup(path);
        o->published = calloc(o->n_published, sizeof(char *));
        if (!o->path || !o->published) {
                r = -ENOMEM;
                goto fail;
        }

        r = sd_bus_add_object_vtable(bus, &o->slot, path, interface, vtable, userdata);
        if (r < 0)
                goto fail;
        r = update_published(o, NULL, NULL);
        if (r < 0)
                goto fail;
        (void) sd_bus_emit_object_added(bus, path);
        return 0;

fail:
        object_done(o);
        return r;
}

void bus_object_remove(BusObject *o)
{
        if (!o->slot)
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
