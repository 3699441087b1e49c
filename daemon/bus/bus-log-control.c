/* SPDX-License-Identifier: MIT */
#include <systemd/sd-bus-vtable.h>

#include "base/log.h"
#include "bus/bus-log-control.h"

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                     void *userdata, sd_bus_error *ret_error)
{
        return sd_bus_message_append(reply, "s", log_level_to_string(log_max_level()));
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *value,
                     void *userdata, sd_bus_error *ret_error)
{
        const char *word;
        int r, level;

        r = sd_bus_message_read(value, "s", &word);
        if (r < 0)
                return r;
        level = log_level_from_string(word);
        if (level < 0)
                return sd_bus_error_set(
                                ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                "There is no such log level: it is emerg, alert, crit, err, warning, notice, info "
                                "or debug.");
        log_set_max_level(level);
        return 0;
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *ret_error)
{
        return sd_bus_message_append(reply, "s", log_target_to_string(log_target()));
}

static int set_target(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *value,
                      void *userdata, sd_bus_error *ret_error)
{
        LogTarget target;
        const char *word;
        int r;

        r = sd_bus_message_read(value, "s", &word);
        if (r < 0)
                return r;
        target = log_target_from_string(word);
        if (target < 0)
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                        "tgswitchd does not log there: the target is journal, console or auto.");
        log_set_target(target);
        return 0;
}

/* What journalctl -t finds. */
static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        return sd_bus_message_append(reply, "s", program_invocation_short_name);
}

/* Without SD_BUS_VTABLE_UNPRIVILEGED a writer has to be root or this daemon's own user: sd-bus asks the bus who it is,
 * and waits for that. So that nobody can make the daemon wait, conf/org.tgswitch1.conf lets only root's through. */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int bus_log_control_add(sd_bus *bus, sd_bus_slot **ret)
{
        return sd_bus_add_object_vtable(bus, ret, BUS_LOG_CONTROL_PATH, BUS_LOG_CONTROL_INTERFACE, vtable, NULL);
}
