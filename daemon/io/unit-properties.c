/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "io/unit-client-internal.h"

/* No unit comes near these. More is a broken peer, and no reason to give it our memory. */
#define STRING_LENGTH_MAX (64 * 1024)
#define STRINGS_MAX       16384

int unit_string_replace(char **field, const char *value)
{
        char *copy;

        if (strnlen(value, STRING_LENGTH_MAX + 1) > STRING_LENGTH_MAX)
                return -E2BIG;
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

int unit_property_string(sd_bus_message *m, void *field)
{
        const char *s;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        return r < 0 ? r : unit_string_replace(field, s);
}

int unit_property_load_state(sd_bus_message *m, void *field)
{
        const char *s;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        *(UnitLoadState *) field = unit_load_state_from_string(s);
        return 0;
}

int unit_property_active_state(sd_bus_message *m, void *field)
{
        const char *s;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        *(UnitActiveState *) field = unit_active_state_from_string(s);
        return 0;
}

int unit_property_bool(sd_bus_message *m, void *field)
{
        int r, b;

        r = sd_bus_message_read(m, "b", &b);
        if (r < 0)
                return r;
        *(bool *) field = b;
        return 0;
}

int unit_property_uint32(sd_bus_message *m, void *field)
{
        return sd_bus_message_read(m, "u", field);
}

int unit_property_uint64(sd_bus_message *m, void *field)
{
        return sd_bus_message_read(m, "t", field);
}

/* Empty until the unit has been started once. */
int unit_property_id128(sd_bus_message *m, void *field)
{
        const void *bytes;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, 'y', &bytes, &size);
        if (r < 0)
                return r;
        if (size == 16)
                memcpy(field, bytes, size);
        return 0;
}

int unit_property_job(sd_bus_message *m, void *field)
{
        const char *path;

        return sd_bus_message_read(m, "(uo)", field, &path);
}

/* Extends a list whose `length` the caller counts, where strv_extend() would count anew for each string. */
static int append_string(char ***list, size_t *length, char *taken)
{
        _cleanup_free_ char *s = taken;
        char **grown;

        if (*length >= STRINGS_MAX)
                return -E2BIG;
        grown = reallocarray(*list, *length + 2, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        grown[(*length)++] = TAKE_PTR(s);
        grown[*length] = NULL;
        *list = grown;
        return 0;
}

int unit_property_strings(sd_bus_message *m, void *field)
{
        char ***list = field;
        size_t length = strv_length(*list);
        const char *s;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &s)) > 0) {
                char *copy = strdup(s);

                if (!copy)
                        return -ENOMEM;
                r = append_string(list, &length, copy);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_command(sd_bus_message *m, char ***list, size_t *length)
{
        _cleanup_free_ char *words = NULL;
        _cleanup_strv_ char **argv = NULL;
        const char *path;
        char *line;
        int r, may_fail;

        r = sd_bus_message_enter_container(m, 'r', "sasbttttuii");
        if (r <= 0)
                return r;
        r = sd_bus_message_read(m, "s", &path);
        if (r < 0)
                return r;
        r = unit_property_strings(m, &argv);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "b", &may_fail);
        if (r < 0)
                return r;
        /* When it ran last, and how that ended. */
        r = sd_bus_message_skip(m, "ttttuii");
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;

        words = strv_join(argv, " ");
        if (!words || asprintf(&line, "%s%s", may_fail ? "-" : "", words) < 0)
                return -ENOMEM;
        r = append_string(list, length, line);
        return r < 0 ? r : 1;
}

int unit_property_commands(sd_bus_message *m, void *field)
{
        char ***list = field;
        size_t length = strv_length(*list);
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sasbttttuii)");
        if (r < 0)
                return r;
        do
                r = read_command(m, list, &length);
        while (r > 0);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* The variant that comes next. What it holds in a type that we don't know is an error: a default in its
 * place could pass for systemd's answer. */
static int read_property(sd_bus_message *m, const UnitProperty *p, void *object)
{
        int r;

        r = sd_bus_message_enter_container(m, 'v', p->signature);
        if (r < 0)
                return r;
        r = p->read(m, (char *) object + p->offset);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

/* Reads those that the table knows out of a{sv}. Those that a systemd does not have leave their fields
 * alone. */
int unit_properties_read(sd_bus_message *m, const UnitProperty *table, size_t n, void *object)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const UnitProperty *p = table;
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                while (p < table + n && !streq(p->name, name))
                        p++;
                r = p < table + n ? read_property(m, p, object) : sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int unit_properties_ask(UnitClient *c, BusQueued **ret, const char *path, const char *interface, usec_t timeout_usec,
                        sd_bus_message_handler_t handler, void *userdata)
{
        return unit_client_call(c, ret, path, PROPERTIES_INTERFACE, "GetAll", handler, userdata, timeout_usec, "s",
                                interface);
}
