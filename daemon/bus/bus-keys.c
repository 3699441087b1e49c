/* SPDX-License-Identifier: MIT */
#include "bus/bus-keys.h"
#include "bus/bus-options.h"

static size_t find_key(const BusKeys *keys, const char *name)
{
        size_t i = 0;

        while (i < keys->n_keys && !streq(keys->keys[i].name, name))
                i++;
        return i;
}

static int read_value(sd_bus_message *m, const BusKeys *keys, size_t i, void *userdata, sd_bus_error *error)
{
        const BusKey *key = keys->keys + i;
        const char *contents;
        char container;
        int r;

        r = sd_bus_message_peek_type(m, &container, &contents);
        if (r < 0)
                return r;
        if (container != SD_BUS_TYPE_VARIANT || !streq_ptr(contents, key->type))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The %s '%s' takes %s.", keys->what,
                                         key->name, key->takes);
        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_VARIANT, key->type);
        if (r < 0)
                return r;
        r = keys->read_value(m, i, userdata, error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_entry(sd_bus_message *m, const BusKeys *keys, uint32_t *seen, void *userdata, sd_bus_error *error)
{
        const char *name;
        size_t i;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        i = find_key(keys, name);
        if (i == keys->n_keys)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "There is no %s '%s'; known are %s.",
                                         keys->what, bus_word_show(name), keys->known);
        if (*seen & UINT32_C(1) << i)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The %s '%s' was given twice.", keys->what,
                                         name);
        *seen |= UINT32_C(1) << i;
        return read_value(m, keys, i, userdata, error);
}

int bus_keys_read(sd_bus_message *m, const BusKeys *keys, void *userdata, sd_bus_error *error)
{
        uint32_t seen = 0;
        int r;

        assert(keys->n_keys <= 32);

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, keys, &seen, userdata, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
