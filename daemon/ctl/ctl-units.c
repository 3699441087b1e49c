/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <time.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-units.h"

#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

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

/* The path belongs to the reply. */
static int load_unit(sd_bus *bus, const char *unit, sd_bus_message **ret_reply, const char **ret_path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "LoadUnit", NULL, &reply, "s", unit);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", ret_path);
        if (r < 0)
                return r;
        *ret_reply = TAKE_PTR(reply);
        return 0;
}

int units_add_triggers(sd_bus *bus, const char *unit, char ***units)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_strv_ char **triggers = NULL;
        _cleanup_free_ char *id = NULL;
        const char *path;
        int r;

        r = load_unit(bus, unit, &reply, &path);
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

static int has_state(sd_bus *bus, const char *path, const char *property, const char *state)
{
        _cleanup_free_ char *value = NULL;
        int r;

        r = sd_bus_get_property_string(bus, SYSTEMD_NAME, path, UNIT_INTERFACE, property, NULL, &value);
        return r < 0 ? r : streq(value, state);
}

static int unit_is_missing(sd_bus *bus, const char *unit)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = load_unit(bus, unit, &reply, &path);
        if (r < 0)
                return r;
        r = has_state(bus, path, "LoadState", "not-found");
        if (r <= 0)
                return r;
        /* one whose file was removed may still have to be stopped */
        r = has_state(bus, path, "ActiveState", "inactive");
        return r != 0 ? r : has_state(bus, path, "ActiveState", "failed");
}

int units_split_missing(sd_bus *bus, char *const *units, char ***ret_present, char ***ret_missing)
{
        _cleanup_strv_ char **present = NULL, **missing = NULL;
        int r;

        STRV_FOREACH(u, (char **) units) {
                r = unit_is_missing(bus, *u);
                if (r >= 0)
                        r = strv_extend(r > 0 ? &missing : &present, *u);
                if (r < 0)
                        return r;
        }
        *ret_present = TAKE_PTR(present);
        *ret_missing = TAKE_PTR(missing);
        return 0;
}

/* ---- jobs ---- */

typedef struct Job {
        const char *path;
        char result[32]; /* empty as long as it goes on */
} Job;

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *path, *result;
        Job *job = userdata;

        if (job->path && sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) >= 0 && streq(path, job->path))
                (void) snprintf(job->result, sizeof(job->result), "%s", result);
        return 0;
}

static usec_t monotonic_usec(void)
{
        struct timespec t;

        if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
                abort();
        return (usec_t) t.tv_sec * USEC_PER_SEC + (usec_t) t.tv_nsec / 1000;
}

static int wait_for_job(sd_bus *bus, const Job *job, usec_t timeout_usec)
{
        usec_t until_usec = usec_add(monotonic_usec(), timeout_usec);

        while (isempty(job->result)) {
                usec_t now_usec = monotonic_usec();
                int r = sd_bus_process(bus, NULL);

                if (r == 0)
                        r = now_usec < until_usec ? sd_bus_wait(bus, until_usec - now_usec) : -ETIMEDOUT;
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

/* Else systemd tells nobody about the end of jobs. */
static int subscribe(sd_bus *bus)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "Subscribe", &error, NULL, "");

        return r < 0 && !sd_bus_error_has_name(&error, SYSTEMD_NAME ".AlreadySubscribed") ? r : 0;
}

int units_job(sd_bus *bus, const char *method, const char *unit, usec_t timeout_usec, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Job job = {};
        int r;

        /* Before the call: the end of a short job comes right behind its answer. */
        r = subscribe(bus);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(bus, &slot, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "JobRemoved", on_job_removed,
                                &job);
        if (r < 0)
                return r;
        r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, method, error, &reply, "ss", unit,
                               "replace");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &job.path);
        if (r < 0)
                return r;
        r = wait_for_job(bus, &job, timeout_usec);
        return r < 0 ? r : streq(job.result, "done");
}
