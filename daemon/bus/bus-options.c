/* SPDX-License-Identifier: MIT */
#include "bus/bus-options.h"

typedef enum OptionKey {
        OPTION_ON_UNDRAINED,
        OPTION_HOLD_AT,
        OPTION_REASON,
        OPTION_MAX,
        OPTION_INVALID = -EINVAL,
} OptionKey;

static const char *const option_names[OPTION_MAX] = {
        [OPTION_ON_UNDRAINED] = "on-undrained",
        [OPTION_HOLD_AT] = "hold-at",
        [OPTION_REASON] = "reason",
};

static OptionKey option_from_string(const char *s)
{
        for (OptionKey key = 0; key < OPTION_MAX; key++)
                if (streq(option_names[key], s))
                        return key;
        return OPTION_INVALID;
}

/* D-Bus has made sure of UTF-8; here control characters go, the C1 set (U+0080 to U+009F) among them: a reason is shown
 * on terminals. */
static bool reason_is_printable(const char *s)
{
        for (const unsigned char *c = (const unsigned char *) s; *c; c++)
                if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
                        return false;
        return true;
}

static int option_set(OptionKey key, const char *value, SwitchOptions *o, sd_bus_error *error)
{
        switch (key) {
        case OPTION_ON_UNDRAINED:
                o->on_undrained = on_undrained_from_string(value);
                if (o->on_undrained < 0)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                                "The option 'on-undrained' takes fail, spool or wait.");
                return 0;
        case OPTION_HOLD_AT:
                o->hold_at = hold_at_from_string(value);
                if (o->hold_at <= HOLD_AT_NONE)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                                "The option 'hold-at' takes stop-workers or log-out.");
                return 0;
        case OPTION_REASON:
                if (strlen(value) > BUS_REASON_MAX || !reason_is_printable(value))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "The option 'reason' takes at most %d bytes of text without control "
                                                 "characters.",
                                                 BUS_REASON_MAX);
                o->reason = value;
                return 0;
        default:
                return -EINVAL;
        }
}

static int option_read(sd_bus_message *m, bool seen[OPTION_MAX], SwitchOptions *o, sd_bus_error *error)
{
        const char *name, *contents, *value;
        OptionKey key;
        char type;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        key = option_from_string(name);
        if (key < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no option '%s'; known are on-undrained, hold-at and reason.",
                                         strlen(name) <= 64 ? name : "(a very long name)");
        if (seen[key])
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The option '%s' was given twice.", name);
        seen[key] = true;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (type != SD_BUS_TYPE_VARIANT || !streq_ptr(contents, "s"))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The option '%s' takes a string.", name);
        r = sd_bus_message_read(m, "v", "s", &value);
        if (r < 0)
                return r;
        return option_set(key, value, o, error);
}

int bus_options_read(sd_bus_message *m, SwitchOptions *ret, sd_bus_error *error)
{
        SwitchOptions o = {
                .on_undrained = ON_UNDRAINED_INVALID, .hold_at = HOLD_AT_NONE, .reason = "", .requester = ""
        };
        bool seen[OPTION_MAX] = { false };
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = option_read(m, seen, &o, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;

        *ret = o;
        return 0;
}
