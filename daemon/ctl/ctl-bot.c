/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/ctl-json.h"

static CtlExit bot_path(const Ctl *c, const char *name, char path[static 128])
{
        /* what is no name would be no path */
        if (strlen(name) == 0 || strlen(name) > 32 ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
                return ctl_error(CTL_NOT_FOUND, "No bot is called '%s'; '%s list' shows all.", name, ctl_program(c));
        (void) snprintf(path, 128, BUS_BOT_PREFIX "%s", name);
        return CTL_OK;
}

static CtlExit call_failed(const Ctl *c, const char *name, int r, const sd_bus_error *error)
{
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return ctl_error(CTL_NOT_FOUND, "No bot is called '%s'; '%s list' shows all.", name, ctl_program(c));
        return ctl_call_failed(name, r, error);
}

/* Says what was done, as JSON or text. */
static CtlExit done(Ctl *c, const char *name, const char *key, const char *value, const char *text)
{
        json_object *o;

        if (!c->json) {
                printf("%s: %s\n", name, text);
                return CTL_OK;
        }
        o = ctl_json_new();
        ctl_json_add(o, "bot", json_text(name));
        ctl_json_add(o, key, json_text(value));
        return ctl_print_json(o);
}

CtlExit verb_set_seat(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *name = c->arguments[0], *seat = c->arguments[1];
        char path[128], text[64];
        CtlExit status;
        int r;

        if (!streq(seat, "cloud") && !streq(seat, "local"))
                return ctl_error(CTL_USAGE, "A seat is either cloud or local, not '%s'.", seat);
        if ((status = ctl_connect(c)) != CTL_OK || (status = bot_path(c, name, path)) != CTL_OK)
                return status;
        r = ctl_call(c, path, BUS_BOT_INTERFACE, "SetSeat", &error, NULL, "s", seat);
        if (r < 0)
                return call_failed(c, name, r, &error);
        (void) snprintf(text, sizeof(text), "taken to be logged in at the %s server.", seat);
        return done(c, name, "seat", seat, text);
}

static CtlExit clear_spool(Ctl *c, const char *name, const char *path)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = ctl_call(c, path, BUS_BOT_INTERFACE, "ClearSpool", &error, NULL, "");
        if (r < 0)
                return call_failed(c, name, r, &error);
        return done(c, name, "spool", "cleared", "the spooled updates are dropped.");
}

/* The daemon's file holds a JSON array; around it goes an object with --json. */
static CtlExit print_spool(Ctl *c, const char *name, int fd)
{
        char bytes[16 * 1024];
        bool written = true;
        ssize_t n;

        if (c->json)
                printf("{\"schema\":%d,\"bot\":\"%s\",\"updates\":", CTL_JSON_SCHEMA, name);
        while (written && (n = read(fd, bytes, sizeof(bytes))) > 0)
                written = fwrite(bytes, 1, (size_t) n, stdout) == (size_t) n;
        if (n < 0)
                return ctl_error(CTL_FAILED,
                                 "The updates of %s could not be read: %s. Look after the file system of "
                                 "/var/lib/tgswitch.",
                                 name, strerror(errno));
        /* Whoever drops them afterwards has to know that they did not all get there. */
        written = written && puts(c->json ? "}" : "") >= 0 && fflush(stdout) == 0;
        if (!written)
                return ctl_error(CTL_FAILED,
                                 "The updates of %s could not be written: %s. They are kept; try again where "
                                 "there is room.",
                                 name, strerror(errno));
        return CTL_OK;
}

CtlExit verb_spool(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name = c->arguments[0];
        CtlExit status;
        char path[128];
        int r, fd;

        if (c->host && !c->clear)
                return ctl_error(CTL_USAGE,
                                 "tgswitchd hands over the updates in an open file, which ssh cannot carry: 'ssh %s "
                                 "tgswitchctl spool %s' prints them.",
                                 c->host, name);
        if ((status = ctl_connect(c)) != CTL_OK || (status = bot_path(c, name, path)) != CTL_OK)
                return status;
        if (c->clear)
                return clear_spool(c, name, path);

        r = ctl_call(c, path, BUS_BOT_INTERFACE, "ReadSpool", &error, &reply, "");
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd); /* belongs to the message */
        if (r < 0)
                return call_failed(c, name, r, &error);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return ctl_error(CTL_FAILED,
                                 "The updates of %s could not be read: %s. Look after the file system of "
                                 "/var/lib/tgswitch.",
                                 name, strerror(errno));
        return print_spool(c, name, fd);
}

CtlExit verb_reload(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *problems;
        CtlExit status;
        int r;

        status = ctl_connect(c);
        if (status != CTL_OK)
                return status;
        r = ctl_call(c, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", &error, &reply, "");
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &problems);
        if (r < 0)
                return ctl_call_failed(NULL, r, &error);

        if (!c->json) {
                if (!isempty(problems))
                        (void) ctl_error(CTL_OK, "%s", problems);
                puts(isempty(problems) ? "The configuration was read." : "The rest of the configuration was read.");
                return CTL_OK;
        }
        json_object *o = ctl_json_new();
        ctl_json_add(o, "problems", json_text(problems));
        return ctl_print_json(o);
}
