/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-units.h"

#define SYSTEMD_NAME      "org.freedesktop.systemd1"
#define SYSTEMD_PATH      "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE    "org.freedesktop.systemd1.Unit"

static int add_if_matching(char *const *globs, const char *unit, char ***units)
{
        if (!unit_name_is_valid(unit) || strstr(unit, "@."))
                return 0;
        for (char *const *g = globs; *g; g++)
                if (unit_name_matches(*g, unit))
                        return strv_extend_unique(units, unit);
        return 0;
}

/* Calls one of the two methods that list by patterns. */
static int call_list(sd_bus *bus, const char *member, char *const *globs, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, member);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "as", 0);
        if (r < 0)
                return r;
        r = sd_bus_message_append_strv(m, (char **) globs);
        if (r < 0)
                return r;
        return sd_bus_call(bus, m, 0, NULL, ret);
}

static int expand_loaded(sd_bus *bus, char *const *globs, char ***units)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *unit;
        int r;

        r = call_list(bus, "ListUnitsByPatterns", globs, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                                        NULL)) > 0) {
                r = add_if_matching(globs, unit, units);
                if (r < 0)
                        return r;
        }
        return r;
}

static int expand_files(sd_bus *bus, char *const *globs, char ***units)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = call_list(bus, "ListUnitFilesByPatterns", globs, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ss)", &path, NULL)) > 0) {
                const char *slash = strrchr(path, '/');

                r = add_if_matching(globs, slash ? slash + 1 : path, units);
                if (r < 0)
                        return r;
        }
        return r;
}

int units_expand(sd_bus *bus, char *const *globs, char ***units)
{
        int r;

        r = expand_loaded(bus, globs, units);
        if (r < 0)
                return r;
        return expand_files(bus, globs, units);
}

int units_add_triggers(sd_bus *bus, const char *unit, char ***units)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_strv_ char **triggers = NULL;
        _cleanup_free_ char *id = NULL;
        const char *path;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "LoadUnit", NULL, &reply, "s", unit);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;

        /* polkit is asked with the unit's own name, whatever name the daemon uses */
        r = sd_bus_get_property_string(bus, SYSTEMD_NAME, path, UNIT_INTERFACE, "Id", NULL, &id);
        if (r < 0)
                return r;
        r = strv_extend_unique(units, id);
        if (r < 0)
                return r;
        r = sd_bus_get_property_strv(bus, SYSTEMD_NAME, path, UNIT_INTERFACE, "TriggeredBy", NULL, &triggers);
        if (r < 0)
                return r;
        STRV_FOREACH(t, triggers) {
                r = strv_extend_unique(units, *t);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_state(sd_bus *bus, const char *path, const char *property, const char *state)
{
        _cleanup_free_ char *value = NULL;

        return sd_bus_get_property_string(bus, SYSTEMD_NAME, path, UNIT_INTERFACE, property, NULL, &value) >= 0 &&
               streq(value, state);
}

static bool unit_is_missing(sd_bus *bus, const char *unit)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "LoadUnit", NULL, &reply, "s", unit);
        if (r < 0 || sd_bus_message_read(reply, "o", &path) < 0)
                return false;
        /* one whose file was removed may still have to be stopped */
        return has_state(bus, path, "LoadState", "not-found") &&
               (has_state(bus, path, "ActiveState", "inactive") || has_state(bus, path, "ActiveState", "failed"));
}

int units_split_missing(sd_bus *bus, char *const *units, char ***ret_present, char ***ret_missing)
{
        _cleanup_strv_ char **present = NULL, **missing = NULL;
        int r;

        STRV_FOREACH(u, (char **) units) {
                r = strv_extend(unit_is_missing(bus, *u) ? &missing : &present, *u);
                if (r < 0)
                        return r;
        }
        *ret_present = TAKE_PTR(present);
        *ret_missing = TAKE_PTR(missing);
        return 0;
}
