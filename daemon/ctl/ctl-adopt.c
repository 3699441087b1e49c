/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-adopt.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-plan.h"

/* ---- showing ---- */

static json_object *json_strv(char *const *l)
{
        json_object *array = json_object_new_array();

        for (; l && *l; l++)
                if (json_object_array_add(array, json_text(*l)) < 0)
                        abort();
        return array;
}

json_object *adopt_file_json(const AdoptFile *f)
{
        json_object *o = json_object_new_object();

        ctl_json_add(o, "path", json_text(f->path));
        ctl_json_add(o, "before", f->before ? json_text(f->before) : NULL);
        ctl_json_add(o, "after", f->after ? json_text(f->after) : NULL);
        return o;
}

static json_object *json_variables(const AdoptVariables *v)
{
        json_object *array = json_object_new_array();

        for (size_t i = 0; i < v->n; i++) {
                json_object *o = json_object_new_object();

                ctl_json_add(o, "name", json_text(v->items[i].name));
                ctl_json_add(o, "where", json_text(v->items[i].where));
                ctl_json_add(o, "assignment", v->items[i].assignment ? json_text(v->items[i].assignment) : NULL);
                if (json_object_array_add(array, o) < 0)
                        abort();
        }
        return array;
}

/* Text of many lines, each with a mark in front, so that nothing in it drives the terminal. */
static CtlExit print_lines(const Ctl *c, const char *mark, Style style, const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy;

        if (!copy)
                return ctl_oom();
        for (char *line; (line = strsep(&rest, "\n"));) {
                if (!rest && isempty(line))
                        break;
                fputs("    ", stdout);
                (void) print_styled(stdout, c->colour, style, mark);
                (void) print_styled(stdout, c->colour, style, line);
                putchar('\n');
        }
        return CTL_OK;
}

/* Files differ by whole lines that were added or taken out, so what is common at both ends stays out of sight. */
CtlExit adopt_file_print(const Ctl *c, const AdoptFile *f)
{
        const char *before = f->before ?: "", *after = f->after ?: "";
        size_t head = 0, line = 0, before_size = strlen(before), after_size = strlen(after), tail = 0;
        _cleanup_free_ char *gone = NULL, *fresh = NULL;
        CtlExit status;

        if (!adopt_file_changes(f))
                return CTL_OK;
        while (before[head] && before[head] == after[head])
                if (before[head++] == '\n')
                        line = head;
        while (tail < MIN(before_size, after_size) - line &&
               before[before_size - tail - 1] == after[after_size - tail - 1])
                tail++;
        /* back to the beginning of a line */
        while (tail > 0 && before_size > tail + line && before[before_size - tail - 1] != '\n')
                tail--;
        while (tail > 0 && after_size > tail + line && after[after_size - tail - 1] != '\n')
                tail--;
        gone = strndup(before + line, before_size - tail - line);
        fresh = strndup(after + line, after_size - tail - line);
        if (!gone || !fresh)
                return ctl_oom();
        (void) print_styled(stdout, c->colour, STYLE_BOLD, f->path);
        puts(!f->before ? ", a new file:" : !f->after ? ", to be removed:" : ":");
        status = print_lines(c, "- ", STYLE_BAD, gone);
        return status == CTL_OK ? print_lines(c, "+ ", STYLE_GOOD, fresh) : status;
}

static CtlExit print_unit(const Ctl *c, const Adoption *a)
{
        _cleanup_free_ char *running = strv_join(a->unit.running, " ");
        _cleanup_(table_freep) Table *t = NULL;
        const struct {
                const char *what, *value;
        } rows[] = {
                { "file", a->unit.fragment },
                { "type", a->unit.type },
                { "user", a->unit.dynamic_user    ? "DynamicUser=yes"
                          : isempty(a->unit.user) ? "root"
                                                  : a->unit.user },
                { "runs now", running },
                { "bot's seat", a->state.seat ?: "not known to tgswitchd yet" },
                { "way", adopt_mode_to_string(a->mode) },
        };

        (void) print_styled(stdout, c->colour, STYLE_BOLD, a->name);
        printf(": %s by the bot %s\n", c->undo ? "no longer to be adopted" : "to be adopted", a->bot_name);
        if (!running || table_new(&t, 2) < 0)
                return ctl_oom();
        FOREACH_ELEMENT(row, rows)
                if (table_add(t, STYLE_FAINT, row->what) < 0 || table_add(t, STYLE_PLAIN, row->value) < 0)
                        return ctl_oom();
        table_print(t, stdout, c->colour, 4);
        return CTL_OK;
}

CtlExit adoption_print(const Ctl *c, const Adoption *a, json_object *json)
{
        CtlExit status;

        if (json) {
                ctl_json_add(json, "unit", json_text(a->name));
                ctl_json_add(json, "worker", json_text(a->worker));
                ctl_json_add(json, "bot", json_text(a->bot_name));
                ctl_json_add(json, "seat", json_text(a->state.seat));
                ctl_json_add(json, "way", json_text(adopt_mode_to_string(a->mode)));
                ctl_json_add(json, "pending_updates", json_object_new_boolean(a->pending));
                ctl_json_add(json, "drop_in", adopt_file_json(&a->drop_in));
                ctl_json_add(json, "bot_file", a->bot_file.path ? adopt_file_json(&a->bot_file) : NULL);
                ctl_json_add(json, "variables", json_variables(&a->unit.variables));
                ctl_json_add(json, "notes", json_strv(a->notes));
                ctl_json_add(json, "running", json_strv(a->unit.running));
                return CTL_OK;
        }
        if ((status = print_unit(c, a)) != CTL_OK || (status = adopt_file_print(c, &a->drop_in)) != CTL_OK ||
            (status = adopt_file_print(c, &a->bot_file)) != CTL_OK)
                return status;
        STRV_FOREACH(n, a->notes) {
                fputs("  * ", stdout);
                (void) print_styled(stdout, c->colour, STYLE_PLAIN, *n);
                putchar('\n');
        }
        return CTL_OK;
}

/* ---- doing ---- */

static CtlExit confirm(const Ctl *c)
{
        if (c->yes)
                return CTL_OK;
        if (c->json || !isatty(STDIN_FILENO) || !c->terminal)
                return ctl_error(CTL_USAGE, "Nothing was changed: without a terminal to ask on, --yes is needed.");
        puts("After it come 'systemctl daemon-reload' and 'systemctl reload tgswitchd'.");
        if (!ctl_ask("%s? [y/N] ", c->undo ? "Take this back" : "Write this"))
                return ctl_error(CTL_FAILED, "Nothing was changed.");
        return CTL_OK;
}

/* The same with before and after exchanged; the strings stay where they are. */
static AdoptFile reversed(const AdoptFile *f)
{
        return (AdoptFile){ .path = f->path,
                            .before = f->after,
                            .after = f->before,
                            .mode = f->mode,
                            .own_directory = f->own_directory };
}

bool adoption_is_declared(const Adoption *a, char *const *workers)
{
        STRV_FOREACH(w, (char **) workers)
                if (streq(*w, a->worker) || unit_name_matches(*w, a->worker))
                        return true;
        return false;
}

/* Whether tgswitchd has really got the worker: something else in the bot's file may stand in the way. */
static CtlExit verify(Ctl *c, const Adoption *a)
{
        AdoptFile drop_in = reversed(&a->drop_in), bot_file = reversed(&a->bot_file);
        _cleanup_(ctl_bot_done) CtlBot b = {};
        int r = ctl_bot_read(c, a->bot_name, &b);
        CtlExit status;

        if (r < 0)
                return ctl_call_failed(a->bot_name, r, NULL);
        if (adoption_is_declared(a, b.workers))
                return CTL_OK;
        (void) ctl_error(CTL_FAILED,
                         "tgswitchd does not take %s as a worker of %s and goes on with what it read before: "
                         "'journalctl -u tgswitchd' says why. Everything is put back.",
                         a->worker, a->bot_name);
        status = adopt_apply(c, &drop_in, &bot_file, true);
        return status == CTL_OK ? CTL_FAILED : status;
}

/* What runs keeps the wiring that it was started with. */
CtlExit adoption_restart(Ctl *c, const Adoption *a, json_object *json)
{
        CtlExit status = CTL_OK;

        STRV_FOREACH(u, a->unit.running) {
                if (c->restart && status == CTL_OK)
                        status = adopt_restart(c, *u);
                else if (!json)
                        printf("%s runs and keeps the wiring that it was started with: 'systemctl restart %s' gives it "
                               "the new one%s.\n",
                               *u, *u, c->undo ? "" : ", and so does the bot's next move");
        }
        if (json)
                ctl_json_add(json, "restarted",
                             json_object_new_boolean(c->restart && a->unit.running && status == CTL_OK));
        return status;
}

static CtlExit finish(Ctl *c, const Adoption *a, json_object *json)
{
        CtlExit status;

        if (!json)
                printf("%s is %s.\n", a->name, c->undo ? "as it was before it was adopted" : "adopted");
        status = adoption_restart(c, a, json);
        if (c->undo || status != CTL_OK)
                return status;
        return plan_check_worker(c, a->bot_name, streq_ptr(a->state.seat, "local") ? "cloud" : "local", a->worker,
                                 json);
}

static CtlExit run(Ctl *c, Adoption *a, json_object *json)
{
        CtlExit status;
        bool changed;

        if ((status = adoption_begin(c, a)) != CTL_OK ||
            (status = c->undo ? adoption_plan_undo(c, a) : adoption_plan(c, a)) != CTL_OK)
                return status;
        changed = adopt_file_changes(&a->drop_in) || adopt_file_changes(&a->bot_file);
        if (json)
                ctl_json_add(json, "changes", json_object_new_boolean(changed));
        if (json || changed)
                status = adoption_print(c, a, json);
        if (status != CTL_OK)
                return status;
        if (!changed) {
                if (!json)
                        printf("%s is adopted by the bot %s already; there is nothing to do.\n", a->name, a->bot_name);
                return CTL_OK;
        }
        if ((status = confirm(c)) != CTL_OK ||
            (status = adopt_apply(c, &a->drop_in, &a->bot_file, c->undo)) != CTL_OK ||
            (!c->undo && (status = verify(c, a)) != CTL_OK))
                return status;
        return finish(c, a, json);
}

CtlExit verb_adopt(Ctl *c)
{
        _cleanup_(adoption_done) Adoption a = {};
        json_object *json = NULL;
        CtlExit status;

        if (geteuid() != 0)
                return ctl_error(CTL_DENIED, "adopt writes below /etc and reads what only root may: run it as root.");
        if (c->exec && c->environment)
                return ctl_error(CTL_USAGE, "Give either --environment or --exec, not both.");
        if (c->undo && (c->exec || c->environment || c->pending_updates))
                return ctl_error(CTL_USAGE, "--undo takes back whatever was written: leave --%s out.",
                                 c->exec          ? "exec"
                                 : c->environment ? "environment"
                                                  : "pending-updates");
        if (!c->undo && !c->bot)
                return ctl_error(CTL_USAGE,
                                 "Say with --bot=NAME whose program it is; 'tgswitchctl list' shows the bots.");
        if (c->json)
                json = ctl_json_new();
        status = run(c, &a, json);
        if (json && status != CTL_OK && !json_object_object_get(json, "unit"))
                json_object_put(json);
        else if (json)
                (void) ctl_print_json(json);
        return status;
}
