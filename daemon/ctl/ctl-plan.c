/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "core/schedule.h"
#include "core/unit-result.h"
#include "core/window.h"
#include "ctl/ctl-clock.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-plan.h"

/* The checks may start the server's login probe and wait for it. */
#define CHECK_TIMEOUT_USEC (5 * USEC_PER_MIN)

CtlExit plan_read_target(const Ctl *c)
{
        if (!streq(c->arguments[0], "local") && !streq(c->arguments[0], "cloud"))
                return ctl_error(CTL_USAGE, "Bots are moved to 'local' or 'cloud'; '%s' is no target.",
                                 c->arguments[0]);
        return CTL_OK;
}

static const char *target_of(const Ctl *c)
{
        return c->arguments[0];
}

static const char *source_of(const Ctl *c)
{
        return streq(target_of(c), "local") ? "cloud" : "local";
}

static int call_check(Ctl *c, const char *bot, const char *target, sd_bus_message **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", bot);
        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, BUS_BOT_INTERFACE, "Check");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", target);
        if (r < 0)
                return r;
        return ctl_call_message(c, m, CHECK_TIMEOUT_USEC, error, ret);
}

static Style verdict_style(const char *verdict)
{
        if (streq(verdict, "pass"))
                return STYLE_GOOD;
        return streq(verdict, "fail") ? STYLE_BAD : STYLE_FAINT;
}

/* What failed. The target's window is no fault of anything: one waits, and it is over. */
typedef struct CheckCounts {
        size_t n_failed;
        bool too_early;
} CheckCounts;

/* Reads the a(ssss) into a table, or into an array of JSON; with `only` what is about such a unit. */
static int read_checks(const Ctl *c, sd_bus_message *m, const char *only, Table *t, json_object *json,
                       CheckCounts *counts)
{
        const char *check, *subject, *verdict, *explanation;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ssss)", &check, &subject, &verdict, &explanation)) > 0) {
                bool failed = streq(verdict, "fail"), early = failed && streq(check, "window");
                json_object *o;

                if (only && !unit_name_matches(only, subject))
                        continue;
                counts->n_failed += failed && !early;
                counts->too_early = counts->too_early || early;
                if (!json) {
                        if ((r = early && c->when_allowed ? table_add(t, STYLE_FAINT, "wait")
                                                          : table_add(t, verdict_style(verdict), verdict)) < 0 ||
                            (r = table_add(t, STYLE_PLAIN, check)) < 0 ||
                            (r = table_add(t, STYLE_PLAIN, subject)) < 0 ||
                            (r = table_add(t, STYLE_PLAIN, explanation)) < 0)
                                return r;
                        continue;
                }
                o = json_object_new_object();
                ctl_json_add(o, "check", json_text(check));
                ctl_json_add(o, "subject", json_text(subject));
                ctl_json_add(o, "verdict", json_text(verdict));
                ctl_json_add(o, "explanation", json_text(explanation));
                if (json_object_array_add(json, o) < 0)
                        abort();
        }
        return r;
}

/* Checks one bot and prints or adds the result. */
static CtlExit check_bot(Ctl *c, const char *bot, const char *target, const char *only, json_object *json)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(table_freep) Table *t = NULL;
        json_object *checks = NULL;
        CheckCounts counts = { 0 };
        int r;

        r = call_check(c, bot, target, &reply, &error);
        if (r < 0)
                return ctl_call_failed(bot, r, &error);
        r = table_new(&t, 4);
        if (r < 0)
                return ctl_oom();
        if (json) {
                checks = json_object_new_array();
                ctl_json_add(json, "checks", checks);
        }
        r = read_checks(c, reply, only, t, checks, &counts);
        if (r < 0)
                return ctl_call_failed(bot, r, NULL);
        if (!json)
                table_print(t, stdout, c->colour, 4);
        if (counts.n_failed > 0)
                return CTL_CHECKS_FAILED;
        return counts.too_early && !c->when_allowed ? CTL_TOO_EARLY : CTL_OK;
}

CtlExit plan_check_worker(Ctl *c, const char *bot, const char *target, const char *worker, json_object *json)
{
        return check_bot(c, bot, target, worker, json);
}

static void print_heading(Ctl *c, const char *name, const char *text)
{
        (void) print_styled(stdout, c->colour, STYLE_BOLD, name);
        printf(": %s\n", text);
}

/* The first failure decides; waiting is milder than what failed checks say, and that than what could not be asked. */
static CtlExit worse(CtlExit a, CtlExit b)
{
        if (a == CTL_OK || (a == CTL_TOO_EARLY && b != CTL_OK) ||
            (a == CTL_CHECKS_FAILED && b != CTL_OK && b != CTL_TOO_EARLY))
                return b;
        return a;
}

/* Why nothing would be asked for this bot; NULL: it would be moved. */
static const char *why_not(const Ctl *c, const CtlBot *b)
{
        if (streq_ptr(b->seat, target_of(c)) && b->job_id == 0)
                return streq(target_of(c), "local") ? "at the local server already; nothing would be done."
                                                    : "at the cloud already; nothing would be done.";
        if (streq_ptr(b->seat, "undeclared") && !b->named)
                return "nobody has said where it is logged in; it would be left out.";
        return NULL;
}

static CtlExit check_selected(Ctl *c, const CtlState *s, json_object *json_bots,
                              CtlExit (*one)(Ctl *c, const CtlBot *b, json_object *json))
{
        CtlExit status = CTL_OK;

        for (size_t i = 0; i < s->n_bots; i++) {
                const CtlBot *b = s->bots + i;
                const char *why = why_not(c, b);
                json_object *json = NULL;

                if (!b->selected)
                        continue;
                if (json_bots) {
                        json = json_object_new_object();
                        ctl_json_add(json, "name", json_text(b->name));
                        ctl_json_add(json, "seat", json_text(b->seat));
                        ctl_json_add(json, "skipped", json_object_new_boolean(why != NULL));
                        if (json_object_array_add(json_bots, json) < 0)
                                abort();
                }
                if (!why)
                        status = worse(status, one(c, b, json));
                else if (!json)
                        print_heading(c, b->name, why);
        }
        return status;
}

/* ---- check ---- */

static CtlExit check_one(Ctl *c, const CtlBot *b, json_object *json)
{
        if (!json) {
                (void) print_styled(stdout, c->colour, STYLE_BOLD, b->name);
                printf(": checks of a move to %s\n", show_place(target_of(c)));
        }
        return check_bot(c, b->name, target_of(c), NULL, json);
}

CtlExit verb_check(Ctl *c)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        json_object *json = NULL, *bots = NULL;
        CtlExit status;

        if ((status = plan_read_target(c)) != CTL_OK || (status = ctl_begin(c, &s)) != CTL_OK ||
            (status = ctl_state_select(&s, c->arguments + 1)) != CTL_OK)
                return status;

        if (c->json) {
                json = ctl_json_new();
                bots = json_object_new_array();
                ctl_json_add(json, "bots", bots);
        }
        status = check_selected(c, &s, bots, check_one);
        if (json)
                (void) ctl_print_json(json);
        return status;
}

/* ---- plan ---- */

static int before_after(Table *t, const char *what, const char *before, const char *after)
{
        int r;

        if ((r = table_add(t, STYLE_FAINT, what)) < 0 || (r = table_add(t, STYLE_PLAIN, before)) < 0)
                return r;
        return table_add(t, STYLE_PLAIN, after);
}

static int print_before_after(Ctl *c, const CtlBot *b)
{
        _cleanup_free_ char *workers = strv_join(b->workers, " ");
        _cleanup_(table_freep) Table *t = NULL;
        char after[SHOW_SIZE];
        int r;

        (void) snprintf(after, sizeof(after), "%s", strv_length(b->workers) > 0 ? "stopped, then started again" : "");
        if ((r = table_new(&t, 3)) < 0 || (r = before_after(t, " ", "now", "after")) < 0 ||
            (r = before_after(t, "seat", b->seat, target_of(c))) < 0 ||
            (r = before_after(t, "endpoint", b->endpoint,
                              streq(target_of(c), "local") ? "the local server's" : "the cloud's")) < 0 ||
            (r = before_after(t, "workers", workers, after)) < 0 ||
            (r = before_after(t, "updates", streq(source_of(c), "local") ? "at the local server" : "at the cloud",
                              "taken by the workers, or kept and handed over")) < 0)
                return r;
        table_print(t, stdout, c->colour, 4);
        return 0;
}

/* How long the bot's present server keeps it out after a logOut that would be sent now. Longer where the bot is known
 * to have come there less than half an hour ago. */
static usec_t way_back_span_usec(const Ctl *c, const CtlBot *b, usec_t now_usec)
{
        const CtlJob *last = &b->last_job;
        bool young = streq_ptr(last->result, "done") && streq_ptr(last->target, source_of(c)) &&
                     usec_sub(now_usec, last->ended_usec) < WINDOW_LONG_USEC;

        if (young)
                return WINDOW_LONG_USEC + WINDOW_MARGIN_USEC;
        return (streq(source_of(c), "cloud") ? WINDOW_CLOUD_USEC : WINDOW_LOCAL_USEC) + WINDOW_MARGIN_USEC;
}

static void print_no_return(const Ctl *c, usec_t span_usec, usec_t now_usec)
{
        const char *span = span_usec >= WINDOW_LONG_USEC    ? "30 minutes"
                           : span_usec >= WINDOW_CLOUD_USEC ? "10 minutes"
                                                            : "a second";
        bool to_local = streq(source_of(c), "cloud");
        char when[SHOW_SIZE];

        printf("    The point of no return is logOut; everything before it is put back on failure. The way back to %s\n"
               "    opens %s after it, begun now not before %s%s.\n",
               show_place(source_of(c)), span, show_clock(when, usec_add(now_usec, span_usec), now_usec),
               to_local ? "; the cloud may take longer" : ", or when that server is restarted");
}

/* Whether the switch would have to wait for the target; says so. */
static bool too_early(Ctl *c, const CtlBot *b, usec_t now_usec, bool silent)
{
        usec_t allowed_usec = ctl_bot_allowed_usec(b, target_of(c));
        char window[SHOW_SIZE];

        if (allowed_usec <= now_usec)
                return false;
        if (!silent && c->when_allowed)
                printf("    It would wait: %s.\n", show_window(window, target_of(c), allowed_usec, now_usec));
        else if (!silent)
                printf("    A switch would be refused: %s. With --when-allowed it waits until then.\n",
                       show_window(window, target_of(c), allowed_usec, now_usec));
        return !c->when_allowed;
}

static CtlExit plan_one(Ctl *c, const CtlBot *b, json_object *json)
{
        usec_t now_usec = ctl_now_usec(), span_usec = way_back_span_usec(c, b, now_usec);
        CtlExit status;
        bool early;

        if (json) {
                ctl_json_add(json, streq(target_of(c), "local") ? "cloud_not_before_usec" : "local_not_before_usec",
                             json_usec(now_usec + span_usec));
                ctl_json_add(json, "allowed_usec", json_usec(ctl_bot_allowed_usec(b, target_of(c))));
        } else {
                (void) print_styled(stdout, c->colour, STYLE_BOLD, b->name);
                printf(": from %s to %s\n", show_place(source_of(c)), show_place(target_of(c)));
                if (print_before_after(c, b) < 0)
                        return ctl_oom();
                print_no_return(c, span_usec, now_usec);
        }
        status = check_bot(c, b->name, target_of(c), NULL, json);
        early = too_early(c, b, now_usec, json);
        if (!json && status == CTL_CHECKS_FAILED)
                puts("    A switch would fail its checks and change nothing.");
        return worse(status, early ? CTL_TOO_EARLY : CTL_OK);
}

/* Logins to the cloud are counted by its address, so many bots take their time. */
static void print_pace(const Ctl *c, const CtlState *s)
{
        char span[SHOW_SIZE];
        size_t n = 0;
        usec_t usec;

        for (size_t i = 0; i < s->n_bots; i++)
                n += s->bots[i].selected && !why_not(c, s->bots + i);
        if (!streq(target_of(c), "cloud") || n <= PACE_MINUTE_MAX)
                return;
        usec = MAX((n - 1) / PACE_MINUTE_MAX * USEC_PER_MIN, (n - 1) / PACE_HOUR_MAX * USEC_PER_HOUR);
        printf("The cloud takes %u logins a minute and %u an hour from one address: %zu bots need at least %s.\n",
               PACE_MINUTE_MAX, PACE_HOUR_MAX, n, show_span(span, usec));
}

CtlExit plan_print(Ctl *c, const CtlState *s, json_object *json)
{
        CtlExit status = check_selected(c, s, json, plan_one);

        if (!json)
                print_pace(c, s);
        return status;
}

CtlExit verb_plan(Ctl *c)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        json_object *json = NULL, *bots = NULL;
        CtlExit status;

        if ((status = plan_read_target(c)) != CTL_OK || (status = ctl_begin(c, &s)) != CTL_OK ||
            (status = ctl_state_select(&s, c->arguments + 1)) != CTL_OK)
                return status;

        if (c->json) {
                json = ctl_json_new();
                bots = json_object_new_array();
                ctl_json_add(json, "target", json_text(target_of(c)));
                ctl_json_add(json, "bots", bots);
        }
        status = plan_print(c, &s, bots);
        if (json)
                return ctl_print_json(json), status;
        puts("Nothing was changed.");
        return status;
}
