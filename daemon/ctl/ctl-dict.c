/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "ctl/ctl-dict.h"

static const char *const signatures[] = {
        [DICT_STRING] = "s", [DICT_STRV] = "as",  [DICT_BOOL] = "b",      [DICT_U32] = "u",      [DICT_U64] = "t",
        [DICT_I64] = "x",    [DICT_JOB] = "(uo)", [DICT_TIMES] = "a{st}", [DICT_DICT] = "a{sv}",
};

static int read_string(sd_bus_message *m, char **slot)
{
        const char *s;
        char *copy;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        free(*slot);
        *slot = copy;
        return 0;
}

static int read_strv(sd_bus_message *m, char ***slot)
{
        char **l = NULL;
        int r;

        r = sd_bus_message_read_strv(m, &l);
        if (r < 0)
                return r;
        strv_free(*slot);
        *slot = l;
        return 0;
}

static int read_bool(sd_bus_message *m, bool *slot)
{
        int b, r;

        r = sd_bus_message_read(m, "b", &b);
        if (r >= 0)
                *slot = b;
        return r;
}

static int read_times(sd_bus_message *m, json_object **slot)
{
        json_object *times = json_object_new_object();
        const char *key;
        uint64_t usec;
        int r;

        r = times ? sd_bus_message_enter_container(m, 'a', "{st}") : -ENOMEM;
        while (r >= 0 && (r = sd_bus_message_read(m, "{st}", &key, &usec)) > 0)
                if (json_object_object_add(times, key, json_object_new_uint64(usec)) < 0)
                        r = -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_object_put(times);
                return r;
        }
        json_object_put(*slot);
        *slot = times;
        return 0;
}

static int read_value(sd_bus_message *m, const DictField *f, char *base)
{
        void *slot = base + f->offset;

        switch (f->type) {
        case DICT_STRING:
                return read_string(m, slot);
        case DICT_STRV:
                return read_strv(m, slot);
        case DICT_BOOL:
                return read_bool(m, slot);
        case DICT_U32:
        case DICT_U64:
        case DICT_I64:
                return sd_bus_message_read_basic(m, signatures[f->type][0], slot);
        case DICT_JOB:
                return sd_bus_message_read(m, "(uo)", slot, NULL);
        case DICT_TIMES:
                return read_times(m, slot);
        case DICT_DICT:
                return dict_read(m, f->fields, slot);
        }
        return -EINVAL;
}

static int read_entry(sd_bus_message *m, const DictField *fields, char *base)
{
        const char *key, *contents;
        const DictField *f = fields;
        char type;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        while (f->key && !streq(f->key, key))
                f++;
        if (!f->key)
                return sd_bus_message_skip(m, "v");

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (!streq_ptr(contents, signatures[f->type]))
                return -EBADMSG;
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        r = read_value(m, f, base);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int dict_read(sd_bus_message *m, const DictField *fields, void *base)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, fields, base);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
