/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-plan.h"
#include "ctl/ctl-watch.h"

/* What becomes of the bots that were chosen. */
typedef struct Round {
        const char *target; /* "local" or "cloud" */
        Watch *watch;
        json_object *json, *json_jobs, *json_refused, *json_skipped; /* NULL without --json */
        size_t n_refused;
        CtlExit refusal; /* the status of the refusals, where all have the same */
        uint32_t batch;  /* the first job that was begun: the others belong to it */
} Round;

/* `why` is for programs, `text` goes on behind the bot's name. */
static void round_skip(Round *round, const CtlBot *b, const char *why, const char *text)
{
        _cleanup_free_ char *line = NULL;
        json_object *o;

        if (!round->json) {
                if (asprintf(&line, "%s %s", b->name, text) < 0)
                        abort();
                (void) print_styled(stdout, false, STYLE_PLAIN, line);
                putchar('\n');
                return;
        }
        o = json_object_new_object();
        ctl_json_add(o, "bot", json_text(b->name));
        ctl_json_add(o, "seat", json_text(b->seat));
        ctl_json_add(o, "why", json_text(why));
        ctl_json_add(o, "message", json_text(text));
        if (json_object_array_add(round->json_skipped, o) < 0)
                abort();
}

static void round_skip_there(Round *round, const CtlBot *b)
{
        round_skip(round, b, "already",
                   streq(round->target, "local") ? "is at the local server already." : "is at the cloud already.");
}

/* Takes those out for whom nothing is to be asked. Returns how many are left. */
static size_t round_choose(Round *round, CtlState *s)
{
        size_t n = 0;

        for (size_t i = 0; i < s->n_bots; i++) {
                CtlBot *b = s->bots + i;

                if (!b->selected)
                        continue;
                if (streq_ptr(b->seat, round->target) && b->job_id == 0) {
                        round_skip_there(round, b);
                        b->selected = false;
                } else if (streq_ptr(b->seat, "undeclared") && !b->named) {
                        round_skip(round, b, "undeclared",
                                   "is left out: nobody has said where it is logged in (tgswitchctl set-seat).");
                        b->selected = false;
                }
                n += b->selected;
        }
        return n;
}

static void round_init(Round *round, const Ctl *c)
{
        round->target = c->arguments[0];
        if (!c->json)
                return;

        round->json = ctl_json_new();
        round->json_jobs = json_object_new_array();
        round->json_refused = json_object_new_array();
        round->json_skipped = json_object_new_array();
        ctl_json_add(round->json, "target", json_text(round->target));
        ctl_json_add(round->json, "jobs", round->json_jobs);
        ctl_json_add(round->json, "refused", round->json_refused);
        ctl_json_add(round->json, "skipped", round->json_skipped);
}

static CtlExit round_finish(Round *round, CtlExit status)
{
        if (round->json)
                (void) ctl_print_json(round->json);
        watch_free(round->watch);
        return status;
}

/* ---- asking the administrator ---- */

static CtlExit confirm(Ctl *c, const CtlState *s, size_t n)
{
        CtlExit status;

        if (c->yes)
                return CTL_OK;
        if (c->json || !isatty(STDIN_FILENO) || !c->terminal)
                return ctl_error(CTL_USAGE, "Nothing was changed: without a terminal to ask on, --yes is needed.");

        status = plan_print(c, s, NULL);
        if (status != CTL_OK)
                return status;
        if (!ctl_ask("Move %zu %s to %s? [y/N] ", n, n == 1 ? "bot" : "bots", show_place(c->arguments[0])))
                return ctl_error(CTL_FAILED, "Nothing was changed.");
        return CTL_OK;
}

/* ---- asking the daemon ---- */

static int append_option(sd_bus_message *m, const char *key, const char *value)
{
        return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int append_options(const Round *round, const Ctl *c, sd_bus_message *m)
{
        int r;

        if ((r = append_option(m, "on-undrained", c->on_undrained)) < 0 ||
            (r = append_option(m, "hold-at", c->hold_at)) < 0 || (r = append_option(m, "reason", c->reason)) < 0)
                return r;
        if (c->when_allowed && (r = sd_bus_message_append(m, "{sv}", "when-allowed", "b", 1)) < 0)
                return r;
        if (c->automatic && (r = sd_bus_message_append(m, "{sv}", "automatic", "b", 1)) < 0)
                return r;
        return round->batch > 0 ? sd_bus_message_append(m, "{sv}", "batch", "u", round->batch) : 0;
}

static int call_switch(const Round *round, Ctl *c, const CtlBot *b, sd_bus_message **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", b->name);
        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, BUS_BOT_INTERFACE,
                                           streq(round->target, "local") ? "SwitchToLocal" : "SwitchToCloud");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = append_options(round, c, m);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return ctl_call_message(c, m, 0, error, ret);
}

/* The daemon had the call and went before it answered. */
static bool answer_is_lost(const sd_bus_error *error)
{
        return sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED);
}

static void round_refuse(Round *round, const CtlBot *b, int r, const sd_bus_error *error)
{
        CtlExit status;
        json_object *o;

        if (answer_is_lost(error))
                status = ctl_error(CTL_UNREACHABLE,
                                   "%s: tgswitchd went away before it answered, so whether the bot is being moved "
                                   "is not known. Give the same command again: it finds the job if there is one.",
                                   b->name);
        else
                status = ctl_call_failed(b->name, r, error);

        round->refusal = round->n_refused == 0 || round->refusal == status ? status : CTL_FAILED;
        round->n_refused++;
        if (!round->json)
                return;
        o = json_object_new_object();
        ctl_json_add(o, "bot", json_text(b->name));
        ctl_json_add(o, "error", json_text(error->name));
        ctl_json_add(o, "message", json_text(error->message));
        if (json_object_array_add(round->json_refused, o) < 0)
                abort();
}

/* Nobody asked for this bot in particular, and it is to stay where it is: that is no failure. */
static void round_skip_held(Round *round, const CtlBot *b, const sd_bus_error *error)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "is left out: %s", error->message) < 0) {
                text = NULL;
                abort();
        }
        round_skip(round, b, "held", text);
}

/* One call a bot: where one is refused the others are moved all the same. The jobs are one batch nevertheless. */
static CtlExit round_begin(Round *round, Ctl *c, const CtlState *s)
{
        for (size_t i = 0; i < s->n_bots; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                const CtlBot *b = s->bots + i;
                const char *path, *number;
                CtlExit status;
                uint32_t id;
                int r;

                if (!b->selected)
                        continue;
                r = call_switch(round, c, b, &reply, &error);
                if (r >= 0)
                        r = sd_bus_message_read(reply, "o", &path);
                if (r < 0 && c->automatic && sd_bus_error_has_name(&error, "org.tgswitch1.Error.Held")) {
                        round_skip_held(round, b, &error);
                        continue;
                }
                if (r < 0) {
                        round_refuse(round, b, r, &error);
                        continue;
                }
                number = startswith(path, BUS_JOB_PREFIX);
                if (!number) {
                        round_skip_there(round, b);
                        continue;
                }
                id = (uint32_t) strtoul(number, NULL, 10);
                if (round->batch == 0 && id != b->job_id)
                        round->batch = id;
                status = watch_add(round->watch, id, b->name);
                if (status != CTL_OK)
                        return status;
        }
        return CTL_OK;
}

static CtlExit round_run(Round *round, Ctl *c, const CtlState *s)
{
        CtlExit status;
        int detached = 0;

        /* before anything begins, so that the end of no job is missed */
        status = watch_new(&round->watch, c);
        if (status != CTL_OK)
                return status;
        status = round_begin(round, c, s);
        if (status != CTL_OK)
                return status;

        if (c->no_wait) {
                if (round->json)
                        (void) watch_report(round->watch, 0, round->json_jobs);
                else
                        watch_print_jobs(round->watch);
                return round->n_refused > 0 ? round->refusal : CTL_OK;
        }

        status = watch_run(round->watch, &detached);
        if (status != CTL_OK)
                return status;
        status = watch_report(round->watch, round->n_refused, round->json_jobs);
        if (detached)
                return (CtlExit) (128 + detached);
        return status == CTL_FAILED && round->n_refused > 0 ? round->refusal : status;
}

CtlExit verb_switch(Ctl *c)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        bool named = c->arguments[1];
        Round round = { 0 };
        CtlExit status;
        size_t n;

        status = plan_read_target(c);
        if (status != CTL_OK)
                return status;
        if (named == c->all)
                return ctl_error(CTL_USAGE, named ? "Give either names or --all, not both."
                                                  : "Name the bots to move, or give --all.");

        if ((status = ctl_begin(c, &s)) != CTL_OK || (status = ctl_state_select(&s, c->arguments + 1)) != CTL_OK)
                return status;
        round_init(&round, c);
        n = round_choose(&round, &s);
        if (n == 0) {
                if (!c->json)
                        puts("Nothing to do.");
                return round_finish(&round, CTL_OK);
        }
        status = confirm(c, &s, n);
        if (status == CTL_OK)
                status = round_run(&round, c, &s);
        return round_finish(&round, status);
}
