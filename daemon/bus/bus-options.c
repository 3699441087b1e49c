/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "bus/bus-keys.h"
#include "bus/bus-options.h"

typedef enum OptionKey {
        OPTION_ON_UNDRAINED,
        OPTION_HOLD_AT,
        OPTION_WHEN_ALLOWED,
        OPTION_AUTOMATIC,
        OPTION_BATCH,
        OPTION_REASON,
        OPTION_MAX,
} OptionKey;

static const BusKey options[OPTION_MAX] = {
        [OPTION_ON_UNDRAINED] = { "on-undrained", "s", "a string" },
        [OPTION_HOLD_AT] = { "hold-at", "s", "a string" },
        [OPTION_WHEN_ALLOWED] = { "when-allowed", "b", "a boolean" },
        [OPTION_AUTOMATIC] = { "automatic", "b", "a boolean" },
        [OPTION_BATCH] = { "batch", "u", "the number of a job (type u)" },
        [OPTION_REASON] = { "reason", "s", "a string" },
};

typedef union OptionValue {
        const char *s;
        int b;
        uint32_t u;
} OptionValue;

/* D-Bus has made sure of UTF-8; here control characters go, the C1 set (U+0080 to U+009F) among them. */
static bool has_control_character(const char *s)
{
        for (const unsigned char *c = (const unsigned char *) s; *c; c++)
                if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
                        return true;
        return false;
}

bool bus_reason_is_valid(const char *s)
{
        return strlen(s) <= BUS_REASON_MAX && !has_control_character(s);
}

const char *bus_word_show(const char *s)
{
        return strlen(s) > BUS_WORD_SHOWN_MAX ? "(a very long name)"
               : has_control_character(s)     ? "(a name with control characters)"
                                              : s;
}

/* The batch of a job that runs, or is the last one of its bot; 0: there is no such job. */
static uint32_t find_batch(const Manager *m, uint32_t job_id)
{
        for (size_t i = 0; job_id > 0 && i < manager_n_bots(m); i++) {
                const RecordJob *job = bot_job(manager_bot(m, i));

                if (job->id == job_id)
                        return job->batch;
        }
        return 0;
}

static int option_set(OptionKey key, OptionValue value, const Manager *m, SwitchOptions *o, sd_bus_error *error)
{
        switch (key) {
        case OPTION_ON_UNDRAINED:
                o->on_undrained = on_undrained_from_string(value.s);
                if (o->on_undrained < 0)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                                "The option 'on-undrained' takes fail, spool or wait.");
                return 0;
        case OPTION_HOLD_AT:
                o->hold_at = hold_at_from_string(value.s);
                if (o->hold_at <= HOLD_AT_NONE)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                                "The option 'hold-at' takes stop-workers or log-out.");
                return 0;
        case OPTION_WHEN_ALLOWED:
                o->when_allowed = value.b;
                return 0;
        case OPTION_AUTOMATIC:
                o->automatic = value.b;
                return 0;
        case OPTION_BATCH:
                o->batch = find_batch(m, value.u);
                if (o->batch == 0)
                        return sd_bus_error_setf(
                                        error, SD_BUS_ERROR_INVALID_ARGS,
                                        "The option 'batch' takes a job that runs or is its bot's last; %" PRIu32
                                        " is none.",
                                        value.u);
                return 0;
        case OPTION_REASON:
                if (!bus_reason_is_valid(value.s))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "The option 'reason' takes at most %d bytes of text without control "
                                                 "characters.",
                                                 BUS_REASON_MAX);
                o->reason = value.s;
                return 0;
        default:
                return -EINVAL;
        }
}

typedef struct OptionReader {
        const Manager *manager;
        SwitchOptions options;
} OptionReader;

static int option_read(sd_bus_message *message, size_t key, void *userdata, sd_bus_error *error)
{
        OptionReader *reader = userdata;
        OptionValue value = {};
        int r;

        r = sd_bus_message_read_basic(message, options[key].type[0], &value);
        if (r < 0)
                return r;
        return option_set((OptionKey) key, value, reader->manager, &reader->options, error);
}

int bus_options_read(sd_bus_message *message, const Manager *m, SwitchOptions *ret, sd_bus_error *error)
{
        static const BusKeys keys = {
                .what = "option",
                .known = "on-undrained, hold-at, when-allowed, automatic, batch and reason",
                .keys = options,
                .n_keys = OPTION_MAX,
                .read_value = option_read,
        };
        OptionReader reader = {
                .manager = m,
                .options = { .on_undrained = ON_UNDRAINED_INVALID,
                             .hold_at = HOLD_AT_NONE,
                             .reason = "",
                             .requester = "" },
        };
        int r;

        r = bus_keys_read(message, &keys, &reader, error);
        if (r < 0)
                return r;
        *ret = reader.options;
        return 0;
}

int bus_options_check(sd_bus_message *message, const Manager *m, sd_bus_error *error)
{
        SwitchOptions ignored;

        return bus_options_read(message, m, &ignored, error);
}
