/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-token-workers.h"
#include "ctl/ctl-units.h"
#include "io/config.h"

typedef struct Unit {
        char *name;
        bool failed;
} Unit;

typedef struct Units {
        Unit *items;
        size_t n;
} Units;

static void units_done(Units *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].name);
        free(l->items);
}

static int units_add(Units *l, const char *name, bool failed)
{
        Unit *grown = reallocarray(l->items, l->n + 1, sizeof(Unit));

        if (!grown)
                return -ENOMEM;
        l->items = grown;
        grown[l->n] = (Unit){ .name = strdup(name), .failed = failed };
        return grown[l->n].name ? (int) ++l->n : -ENOMEM;
}

int token_workers_load(const char *bot, char ***ret)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        _cleanup_(config_freep) Config *config = NULL;
        const BotConfig *b;
        int r;

        r = config_load(config_directories, &config, &problems);
        if (r == -ENOMEM)
                return r;
        b = r >= 0 ? config_find_bot(config, bot) : NULL;
        if (!b)
                return 0;
        r = strv_copy(b->workers, ret);
        return r < 0 ? r : 1;
}

/* Names as they are, patterns as `authorize` takes them. */
static int expand(Ctl *c, char *const *workers, char ***units)
{
        _cleanup_strv_ char **globs = NULL;
        int r = 0;

        STRV_FOREACH(w, (char **) workers) {
                r = strv_extend_unique(unit_name_is_valid(*w) ? units : &globs, *w);
                if (r < 0)
                        return r;
        }
        return globs ? units_expand(c->bus, globs, units) : 0;
}

/* Those that run, that wait for being started again, and that have failed. */
static int list(Ctl *c, char *const *workers, Units *l, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        static const char *const states[] = { "active", "reloading", "activating", "failed", NULL };
        const char *name, *state, *sub_state;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE,
                                           "ListUnitsByPatterns");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) states);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) workers);
        if (r >= 0)
                r = sd_bus_call(c->bus, m, 0, error, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &state, &sub_state, NULL, NULL, NULL,
                                        NULL, NULL)) > 0) {
                /* At the gate, or a oneshot at work, which has what it needs or comes again. */
                if (streq(state, "activating") && !streq(sub_state, "auto-restart"))
                        continue;
                r = units_add(l, name, streq(state, "failed"));
                if (r < 0)
                        return r;
        }
        return r;
}

/* Nobody waits for it; what stands against it, a stop of the move's own, goes before. */
static int restart_in_move(Ctl *c, const char *unit)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        return sd_bus_call_method(c->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "TryRestartUnit", &error, NULL,
                                  "ss", unit, "fail");
}

static int restart(Ctl *c, const Unit *u, usec_t timeout_usec, sd_bus_error *error)
{
        int r;

        if (!u->failed)
                return units_job(c->bus, "TryRestartUnit", u->name, timeout_usec, error);
        r = sd_bus_call_method(c->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "ResetFailedUnit", error, NULL,
                               "s", u->name);
        return r < 0 ? r : units_job(c->bus, "RestartUnit", u->name, timeout_usec, error);
}

static void add_result(json_object *json, const char *unit, const char *result)
{
        json_object *o = json_object_new_object();

        ctl_json_add(o, "unit", json_text(unit));
        ctl_json_add(o, "result", json_text(result));
        if (json_object_array_add(json, o) < 0)
                abort();
}

/* Once one has not come up in *timeout_usec, the others are asked for and not waited for: it is the gate that keeps
 * them, most likely, and somebody looks on. */
static CtlExit restart_one(Ctl *c, const CtlBot *b, const Unit *u, usec_t *timeout_usec, json_object *json)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        bool queued = streq_ptr(b->phase, "queued"), moves = b->job_id > 0 && !queued;
        const char *result = u->failed ? "started" : "restarted";
        int r;

        if (moves && u->failed)
                return CTL_OK;
        if (moves) {
                result = restart_in_move(c, u->name) < 0 ? "left-to-the-move" : "asked";
                r = 1;
        } else {
                r = restart(c, u, *timeout_usec, &error);
                if (r == -ETIMEDOUT)
                        *timeout_usec = 0;
        }
        if (r > 0 && !json && !moves)
                printf("%s is %s with the new token.\n", u->name, result);
        if (r <= 0)
                result = r == -ETIMEDOUT ? "waits" : "failed";
        if (json)
                add_result(json, u->name, result);
        if (r > 0)
                return CTL_OK;
        if (r == -ETIMEDOUT)
                return ctl_error(
                                CTL_FAILED,
                                "%s still waits for its restart: 'tgswitchctl status' says what for. It goes on by itself.",
                                u->name);
        return ctl_error(CTL_FAILED, "The token is stored, but %s cannot be restarted with it (%s): see 'systemctl status %s'.",
                         u->name, r == 0 ? "it did not start" : error.message ?: strerror(-r), u->name);
}

CtlExit token_workers_restart(Ctl *c, const char *bot, char *const *workers, json_object *json)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(ctl_bot_done) CtlBot b = {};
        _cleanup_(units_done) Units units = {};
        _cleanup_strv_ char **names = NULL;
        usec_t timeout_usec = JOB_TIMEOUT_USEC;
        CtlExit status = CTL_OK;
        int r;

        r = ctl_bot_read(c, bot, &b);
        if (r >= 0)
                r = expand(c, workers, &names);
        /* No names at all would stand for every unit of the host. */
        if (r >= 0 && strv_length(names) > 0)
                r = list(c, names, &units, &error);
        if (r < 0)
                return ctl_error(
                                CTL_FAILED,
                                "The token is stored, but the workers of %s cannot be found out (%s): restart them yourself.",
                                bot, error.message ?: strerror(-r));
        for (size_t i = 0; i < units.n; i++) {
                CtlExit one = restart_one(c, &b, units.items + i, &timeout_usec, json);

                if (one != CTL_OK)
                        status = one;
        }
        if (b.job_id > 0 && !streq_ptr(b.phase, "queued") && !json)
                printf("%s: its move (job %u) goes on with the new token, and so do its workers.\n", bot, b.job_id);
        return status;
}
