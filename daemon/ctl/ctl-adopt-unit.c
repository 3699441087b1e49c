/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <glob.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-adopt-unit.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl-dict.h"
#include "ctl/ctl-drop-in.h"
#include "ctl/ctl-units.h"

#define UNIT_DIRECTORY "/etc/systemd/system"
#define FILE_SIZE_MAX  (1024u * 1024u)
#define SUFFIX         ".service"

/* An instance by which systemd is asked about a template: it is loaded to look at it, and never started. */
#define PROBE_INSTANCE "tgswitch"

#define FIELD(key, type, member)                       \
        {                                              \
                key, type, offsetof(AdoptUnit, member) \
        }

static const DictField unit_fields[] = {
        FIELD("Id", DICT_STRING, name),
        FIELD("LoadState", DICT_STRING, load_state),
        FIELD("ActiveState", DICT_STRING, active_state),
        FIELD("UnitFileState", DICT_STRING, file_state),
        FIELD("FragmentPath", DICT_STRING, fragment),
        FIELD("DropInPaths", DICT_STRV, drop_ins),
        FIELD("Transient", DICT_BOOL, transient),
        FIELD("Triggers", DICT_STRV, triggers),
        FIELD("After", DICT_STRV, after),
        FIELD("Requires", DICT_STRV, requires),
        FIELD("Requisite", DICT_STRV, requisite),
        FIELD("BindsTo", DICT_STRV, binds_to),
        FIELD("PartOf", DICT_STRV, part_of),
        {},
};

static const DictField service_fields[] = {
        FIELD("Type", DICT_STRING, type),
        FIELD("User", DICT_STRING, user),
        FIELD("DynamicUser", DICT_BOOL, dynamic_user),
        {},
};

/* ---- names ---- */

static char *with_instance(const char *template, const char *instance)
{
        const char *at = strchr(template, '@');
        char *name;

        return asprintf(&name, "%.*s%s%s", (int) (at + 1 - template), template, instance, at + 1) < 0 ? NULL : name;
}

static bool is_template(const char *name)
{
        const char *at = strchr(name, '@');

        return at && at[1] == '.';
}

char *adopt_unit_name(const char *given, bool *ret_wrong)
{
        static const char *const types[] = { ".service", ".timer", ".socket", ".path" };
        _cleanup_free_ char *name = NULL, *instance = NULL;
        const char *dot = strrchr(given, '.');
        bool has_type = false;

        *ret_wrong = false;
        FOREACH_ELEMENT(t, types)
                has_type |= dot && streq(dot, *t);
        if (asprintf(&name, "%s%s", given, has_type ? "" : SUFFIX) < 0) {
                name = NULL;
                return NULL;
        }
        instance = is_template(name) ? with_instance(name, PROBE_INSTANCE) : strdup(name);
        if (!instance)
                return NULL;
        *ret_wrong = !unit_name_is_valid(instance);
        return *ret_wrong ? NULL : TAKE_PTR(name);
}

char *adopt_unit_directory(const char *name)
{
        char *path;

        return asprintf(&path, UNIT_DIRECTORY "/%s.d", name) < 0 ? NULL : path;
}

char *adopt_unit_worker(const char *name)
{
        return is_template(name) ? with_instance(name, "*") : strdup(name);
}

/* ---- reading ---- */

static int get_all(sd_bus *bus, const char *path, const char *interface, const DictField *fields, AdoptUnit *u)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD_NAME, path, "org.freedesktop.DBus.Properties", "GetAll", NULL, &reply, "s",
                               interface);
        return r < 0 ? r : dict_read(reply, fields, u);
}

static int read_environment(sd_bus *bus, const char *path, const char *const *roots, AdoptVariables *v)
{
        _cleanup_strv_ char **environment = NULL;
        int r;

        r = sd_bus_get_property_strv(bus, SYSTEMD_NAME, path, SYSTEMD_NAME ".Service", "Environment", NULL,
                                     &environment);
        if (r < 0)
                return r;
        STRV_FOREACH(e, environment) {
                r = adopt_variables_add(v, "Environment=", *e, roots);
                explicit_bzero(*e, strlen(*e));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_environment_file(const char *path, const char *const *roots, AdoptVariables *v)
{
        char *text;
        size_t size;
        int r;

        /* A bot's own file has what this is about. */
        if (startswith(path, "/run/tgswitch/bots/"))
                return 0;
        r = read_file_at(AT_FDCWD, path, 0, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = adopt_variables_add_file(v, path, text, roots);
        explicit_bzero(text, size);
        free(text);
        return r;
}

/* One EnvironmentFile=, which may be a pattern. */
static int expand_pattern(const char *pattern, char ***files)
{
        glob_t paths = {};
        int r = 0;

        if (glob(pattern, GLOB_NOCHECK, NULL, &paths) != 0)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < paths.gl_pathc; i++)
                r = strv_extend(files, paths.gl_pathv[i]);
        globfree(&paths);
        return r;
}

int adopt_unit_environment_files(sd_bus *bus, const char *path, char ***files)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *file;
        int r;

        r = sd_bus_get_property(bus, SYSTEMD_NAME, path, SYSTEMD_NAME ".Service", "EnvironmentFiles", NULL, &reply,
                                "a(sb)");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sb)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(sb)", &file, NULL)) > 0) {
                r = expand_pattern(file, files);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_environment_files(sd_bus *bus, const char *path, const char *const *roots, AdoptVariables *v)
{
        _cleanup_strv_ char **files = NULL;
        int r = adopt_unit_environment_files(bus, path, &files);

        STRV_FOREACH(file, files)
                if (r >= 0)
                        r = read_environment_file(*file, roots, v);
        return r;
}

static int read_settings_of(const char *path, UnitSettings *s)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, 0, FILE_SIZE_MAX, &text, &size);
        return r < 0 ? r : unit_settings_add(s, path, text);
}

/* Of all files but the drop-in that we would write, in systemd's order. */
static int read_settings(AdoptUnit *u)
{
        _cleanup_free_ char *directory = adopt_unit_directory(u->name), *ours = NULL;
        int r;

        if (!directory || asprintf(&ours, "%s/" DROP_IN_NAME, directory) < 0) {
                ours = NULL;
                return -ENOMEM;
        }
        r = read_settings_of(u->fragment, &u->settings);
        STRV_FOREACH(d, u->drop_ins)
                if (r >= 0 && !streq(*d, ours))
                        r = read_settings_of(*d, &u->settings);
        return r;
}

/* What runs under this name. A template has no state of its own. */
static int read_running(sd_bus *bus, AdoptUnit *u)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *pattern = adopt_unit_worker(u->name);
        const char *name, *active;
        int r;

        if (!pattern)
                return -ENOMEM;
        r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "ListUnitsByPatterns", NULL, &reply,
                               "asas", 0, 1, pattern);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &active, NULL, NULL, NULL, NULL, NULL,
                                        NULL)) > 0) {
                if (!unit_active_state_may_run(unit_active_state_from_string(active)))
                        continue;
                r = strv_extend(&u->running, name);
                if (r < 0)
                        return r;
        }
        return r;
}

static int keep_name(const char *name, AdoptUnit *u)
{
        char *copy = strdup(name);

        if (!copy)
                return -ENOMEM;
        free(u->name);
        u->name = copy;
        return 0;
}

static int read_all(sd_bus *bus, const char *name, const char *const *roots, AdoptUnit *u)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *instance = is_template(name) ? with_instance(name, PROBE_INSTANCE) : strdup(name);
        const char *path;
        int r;

        if (!instance)
                return -ENOMEM;
        r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "LoadUnit", NULL, &reply, "s",
                               instance);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        r = get_all(bus, path, SYSTEMD_NAME ".Unit", unit_fields, u);
        if (r >= 0 && !u->name)
                r = -EBADMSG;
        if (r < 0 || !streq_ptr(strrchr(u->name, '.'), SUFFIX) || !streq_ptr(u->load_state, "loaded") ||
            isempty(u->fragment))
                return r;
        u->template = is_template(name);
        if (u->template && (r = keep_name(strrchr(u->fragment, '/') + 1, u)) < 0)
                return r;
        if ((r = get_all(bus, path, SYSTEMD_NAME ".Service", service_fields, u)) < 0 ||
            (r = read_environment(bus, path, roots, &u->variables)) < 0 ||
            (r = read_environment_files(bus, path, roots, &u->variables)) < 0 || (r = read_settings(u)) < 0)
                return r;
        return read_running(bus, u);
}

/* ---- what cannot be a worker ---- */

static CtlExit check_kind(const AdoptUnit *u, const char *name)
{
        if (streq_ptr(u->load_state, "not-found"))
                return ctl_error(CTL_NOT_FOUND,
                                 "There is no unit %s; 'systemctl list-unit-files --type=service' shows all of the "
                                 "system. (Services of a user's own manager cannot be workers.)",
                                 name);
        if (!streq_ptr(strrchr(u->name, '.'), SUFFIX)) {
                if (u->triggers && streq_ptr(strrchr(u->triggers[0], '.'), SUFFIX))
                        return ctl_error(CTL_USAGE,
                                         "%s starts %s: adopt that one. tgswitchd stops and starts what triggers a "
                                         "worker by itself.",
                                         u->name, u->triggers[0]);
                return ctl_error(CTL_USAGE, "%s is no service, and only a service runs a bot's program.", name);
        }
        if (streq_ptr(u->load_state, "masked"))
                return ctl_error(CTL_FAILED, "%s is masked, so that it cannot run: 'systemctl unmask %s' first.", name,
                                 name);
        if (!streq_ptr(u->load_state, "loaded"))
                return ctl_error(CTL_FAILED, "systemd cannot load %s: 'systemctl status %s' says why; mend that first.",
                                 name, name);
        if (u->transient)
                return ctl_error(CTL_FAILED,
                                 "%s is transient: it was made by a call, like systemd-run, and is gone when it ends. "
                                 "Write a unit file for the program, below " UNIT_DIRECTORY ".",
                                 name);
        if (isempty(u->fragment) || streq_ptr(u->file_state, "generated") ||
            startswith(u->fragment, "/run/systemd/generator"))
                return ctl_error(CTL_FAILED,
                                 "%s is made by a generator out of something else, like a script in /etc/init.d. Write "
                                 "a unit file for the program, below " UNIT_DIRECTORY ".",
                                 name);
        return CTL_OK;
}

CtlExit adopt_unit_read(Ctl *c, const char *name, const char *const *roots, bool any, AdoptUnit *u)
{
        int r = read_all(c->bus, name, roots, u);

        if (r >= 0 && !streq_ptr(u->load_state, "loaded"))
                r = keep_name(name, u);

        if (r == -ENOMEM)
                return ctl_oom();
        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "systemd does not tell about %s, or its files cannot be read: %s. 'systemctl cat %s' "
                                 "has to work first.",
                                 name, strerror(-r), name);
        return any && !streq(u->load_state, "loaded") ? CTL_OK : check_kind(u, name);
}

void adopt_unit_done(AdoptUnit *u)
{
        free(u->name);
        free(u->load_state);
        free(u->active_state);
        free(u->file_state);
        free(u->fragment);
        free(u->type);
        free(u->user);
        strv_free(u->drop_ins);
        strv_free(u->triggers);
        strv_free(u->after);
        strv_free(u->requires);
        strv_free(u->requisite);
        strv_free(u->binds_to);
        strv_free(u->part_of);
        strv_free(u->running);
        unit_settings_done(&u->settings);
        adopt_variables_done(&u->variables);
        *u = (AdoptUnit){};
}
