/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/ctl-clock.h"
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

/* As far as we know: the daemon has the last word. */
static bool seems_free(const Round *round, const Ctl *c, const CtlState *s, const CtlBot *b)
{
        const CtlJob *job = ctl_state_job(s, b->job_id);
        usec_t now_usec = ctl_now_usec();

        if (!b->selected || streq_ptr(b->seat, "undeclared") || (c->automatic && b->held_until_usec > now_usec))
                return false;
        if (job)
                return streq_ptr(job->target, round->target);
        return c->when_allowed || ctl_bot_allowed_usec(b, round->target) <= now_usec;
}

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

/* Finishes the call of this interface that moves one bot, or those whose names are in it already. */
static int call_switch(Round *round, Ctl *c, sd_bus_message *m, sd_bus_message **ret, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = append_options(round, c, m);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return watch_call(round->watch, m, error, ret);
}

static int new_switch(const Round *round, Ctl *c, const char *path, const char *interface, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(c->bus, ret, BUS_NAME, path, interface,
                                              streq(round->target, "local") ? "SwitchToLocal" : "SwitchToCloud");
}

static int call_bot(Round *round, Ctl *c, const CtlBot *b, sd_bus_message **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", b->name);
        r = new_switch(round, c, path, BUS_BOT_INTERFACE, &m);
        return r < 0 ? r : call_switch(round, c, m, ret, error);
}

static int call_manager(Round *round, Ctl *c, const CtlState *s, sd_bus_message **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_switch(round, c, BUS_PATH, BUS_MANAGER_INTERFACE, &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < s->n_bots && r >= 0; i++)
                if (seems_free(round, c, s, s->bots + i))
                        r = sd_bus_message_append(m, "s", s->bots[i].name);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : call_switch(round, c, m, ret, error);
}

/* The daemon had the call and went before it answered. */
static bool answer_is_lost(const sd_bus_error *error)
{
        return sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED);
}

/* Says why, of one bot or (NULL) of all that are still to be asked about. */
static CtlExit say_refusal(const CtlBot *b, int r, const sd_bus_error *error)
{
        if (!answer_is_lost(error))
                return ctl_call_failed(b ? b->name : NULL, r, error);
        if (b)
                return ctl_error(CTL_UNREACHABLE,
                                 "%s: tgswitchd went away before it answered, so whether the bot is being moved "
                                 "is not known. Give the same command again: it finds the job if there is one.",
                                 b->name);
        return ctl_error(CTL_UNREACHABLE,
                         "tgswitchd went away before it answered, so whether the bots are being moved is not known. "
                         "Give the same command again: it finds the jobs if there are any.");
}

/* Of each bot, which has no job. */
static void round_note_refusal(Round *round, CtlBot *b, CtlExit status, const sd_bus_error *error)
{
        json_object *o;

        watch_drop(round->watch, b->name);
        b->selected = false;
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

/* The daemon's answer about one bot. */
static CtlExit round_take(Round *round, CtlBot *b, const char *path)
{
        const char *number = startswith(path, BUS_JOB_PREFIX);
        uint32_t id;

        b->selected = false;
        if (!number) {
                watch_drop(round->watch, b->name);
                watch_hide(round->watch);
                round_skip_there(round, b);
                return CTL_OK;
        }
        id = (uint32_t) strtoul(number, NULL, 10);
        if (round->batch == 0 && id != b->job_id)
                round->batch = id;
        return watch_add(round->watch, id, b->name, round->target);
}

static CtlExit round_take_all(Round *round, CtlState *s, sd_bus_message *reply)
{
        const char *name, *path;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(so)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(so)", &name, &path)) > 0) {
                CtlBot *b = ctl_state_bot(s, name);
                CtlExit status = b && b->selected ? round_take(round, b, path) : CTL_OK;

                if (status != CTL_OK)
                        return status;
        }
        return r < 0 ? ctl_call_failed(NULL, r, NULL) : CTL_OK;
}

/* It would not be said otherwise of any bot. */
static bool is_about_all(int r, const sd_bus_error *error)
{
        return answer_is_lost(error) || ctl_exit_of(r, error) == CTL_UNREACHABLE ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_INVALID_ARGS);
}

/* One call for all of whom nothing is known that would have it refused. It is all or nothing: where one of them is
 * refused nothing has changed, and each is asked about by itself. */
static CtlExit round_ask_together(Round *round, Ctl *c, CtlState *s)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        CtlExit status;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < s->n_bots; i++)
                n += seems_free(round, c, s, s->bots + i);
        if (n < 2)
                return CTL_OK;
        r = call_manager(round, c, s, &reply, &error);
        if (r >= 0)
                return round_take_all(round, s, reply);
        if (watch_is_detached(round->watch) || !is_about_all(r, &error))
                return CTL_OK;
        watch_hide(round->watch);
        status = say_refusal(NULL, r, &error);
        for (size_t i = 0; i < s->n_bots; i++)
                if (s->bots[i].selected)
                        round_note_refusal(round, s->bots + i, status, &error);
        return CTL_OK;
}

static CtlExit round_ask(Round *round, Ctl *c, CtlBot *b)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = call_bot(round, c, b, &reply, &error);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r >= 0)
                return round_take(round, b, path);
        if (watch_is_detached(round->watch))
                return CTL_OK;
        watch_hide(round->watch);
        if (c->automatic && sd_bus_error_has_name(&error, "org.tgswitch1.Error.Held")) {
                watch_drop(round->watch, b->name);
                b->selected = false;
                round_skip_held(round, b, &error);
        } else
                round_note_refusal(round, b, say_refusal(b, r, &error), &error);
        return CTL_OK;
}

/* Detached while jobs were being asked for: those that have one are named by the watch. */
static void round_say_unasked(Round *round, const CtlState *s)
{
        size_t n = 0;

        watch_hide(round->watch);
        for (size_t i = 0; i < s->n_bots; i++)
                if (s->bots[i].selected) {
                        watch_drop(round->watch, s->bots[i].name);
                        n++;
                }
        if (n > 0)
                (void) ctl_error(CTL_OK,
                                 "Detached before tgswitchd had answered for %zu %s: 'tgswitchctl status' tells which "
                                 "of them are being moved.",
                                 n, n == 1 ? "bot" : "bots");
}

/* Where one is refused the others are moved all the same, and the jobs of all calls are one batch. */
static CtlExit round_begin(Round *round, Ctl *c, CtlState *s)
{
        CtlExit status = CTL_OK;

        for (size_t i = 0; i < s->n_bots && status == CTL_OK; i++)
                if (s->bots[i].selected)
                        status = watch_expect(round->watch, s->bots[i].name);
        if (status == CTL_OK)
                status = round_ask_together(round, c, s);
        for (size_t i = 0; i < s->n_bots && status == CTL_OK && !watch_is_detached(round->watch); i++)
                if (s->bots[i].selected)
                        status = round_ask(round, c, s->bots + i);
        if (watch_is_detached(round->watch))
                round_say_unasked(round, s);
        return status;
}

static CtlExit round_run(Round *round, Ctl *c, CtlState *s)
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
                if (round->json) {
                        watch_catch_up(round->watch);
                        (void) watch_report(round->watch, 0, round->json_jobs);
                } else
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
