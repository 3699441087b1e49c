/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "ctl/ctl-clock.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-monitor-tell.h"

/* Two readings of when a window ends differ by microseconds: the daemon adds what is left to the time of day. */
#define SAME_MOMENT_USEC USEC_PER_SEC

/* ---- lines ---- */

/* "2030-12-24 18:30:00  shop  …": the columns are the same in all lines, whatever day it is. */
static _printf_(3, 4) void say(const Ctl *c, const char *subject, const char *format, ...)
{
        time_t now = (time_t) (ctl_now_usec() / USEC_PER_SEC);
        _cleanup_free_ char *text = NULL;
        char clock[32] = "";
        struct tm tm;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                abort();
        va_end(ap);
        if (localtime_r(&now, &tm))
                (void) strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &tm);
        (void) print_styled(stdout, c->colour, STYLE_FAINT, clock);
        printf("  ");
        (void) print_styled(stdout, c->colour, STYLE_BOLD, subject);
        printf("%*s  ", (int) (strlen(subject) < 10 ? 10 - strlen(subject) : 0), "");
        (void) print_styled(stdout, false, STYLE_PLAIN, text);
        putchar('\n');
        fflush(stdout);
}

static json_object *event_new(const char *event, const char *bot)
{
        json_object *o = ctl_json_new();

        ctl_json_add(o, "time_usec", json_object_new_uint64(ctl_now_usec()));
        ctl_json_add(o, "event", json_text(event));
        if (bot)
                ctl_json_add(o, "bot", json_text(bot));
        return o;
}

static void event_print(json_object *o)
{
        (void) ctl_print_json(o);
        fflush(stdout);
}

static void set_text(char **told, const char *now)
{
        char *copy = strdup(now ?: "");

        if (!copy)
                abort();
        free(*told);
        *told = copy;
}

/* Whether it differs from what was told, which it is from now on. */
static bool text_changed(char **told, const char *now)
{
        if (streq_ptr(*told ?: "", now ?: ""))
                return false;
        set_text(told, now);
        return true;
}

static bool moment_changed(usec_t *told_usec, usec_t now_usec)
{
        usec_t before_usec = *told_usec;

        *told_usec = now_usec;
        if (before_usec == now_usec)
                return false;
        if (before_usec == 0 || now_usec == 0 || before_usec == USEC_INFINITY || now_usec == USEC_INFINITY)
                return true;
        return MAX(usec_sub(before_usec, now_usec), usec_sub(now_usec, before_usec)) > SAME_MOMENT_USEC;
}

/* ---- bots ---- */

MonitorBot *monitor_bot_free(MonitorBot *b)
{
        if (!b)
                return NULL;
        ctl_bot_done(&b->bot);
        free(b->seat);
        free(b->error);
        free(b);
        return NULL;
}

void monitor_bot_told(MonitorBot *b)
{
        set_text(&b->seat, b->bot.seat);
        set_text(&b->error, b->bot.last_error);
        b->cloud_allowed_usec = b->bot.cloud_allowed_usec;
        b->local_allowed_usec = b->bot.local_allowed_usec;
        b->held_until_usec = b->bot.held_until_usec;
        b->stale_session = b->bot.stale_session;
}

static void tell_seat(const Ctl *c, const MonitorBot *b)
{
        json_object *o;

        if (!c->json) {
                say(c, b->bot.name, "seat: %s", b->bot.seat ?: "");
                return;
        }
        o = event_new("seat", b->bot.name);
        ctl_json_add(o, "seat", json_text(b->bot.seat));
        event_print(o);
}

static void tell_window(const Ctl *c, const MonitorBot *b, const char *server, usec_t allowed_usec)
{
        char text[SHOW_SIZE];
        json_object *o;

        if (!c->json) {
                say(c, b->bot.name, "window: %s", show_window(text, server, allowed_usec, ctl_now_usec()));
                return;
        }
        o = event_new("window", b->bot.name);
        ctl_json_add(o, "server", json_text(server));
        ctl_json_add(o, "allowed", json_object_new_boolean(allowed_usec == 0));
        ctl_json_add(o, "allowed_usec", json_usec(allowed_usec));
        event_print(o);
}

static void tell_error(const Ctl *c, const char *bot, const char *error)
{
        json_object *o;

        if (!c->json) {
                if (isempty(error))
                        say(c, bot, "error: none any more");
                else
                        say(c, bot, "error: %s", error);
                return;
        }
        o = event_new("error", bot);
        ctl_json_add(o, "error", json_text(error));
        event_print(o);
}

static void tell_hold(const Ctl *c, const CtlBot *b)
{
        char when[SHOW_SIZE];
        json_object *o;

        if (c->json) {
                o = event_new("hold", b->name);
                ctl_json_add(o, "held", json_object_new_boolean(b->held_until_usec > 0));
                ctl_json_add(o, "held_until_usec", json_usec(b->held_until_usec));
                ctl_json_add(o, "held_reason", json_text(b->held_reason));
                event_print(o);
        } else if (b->held_until_usec == 0) {
                say(c, b->name, "hold: over, automatic moves are allowed");
        } else {
                say(c, b->name, "hold: no automatic moves until %s%s%s",
                    b->held_until_usec == USEC_INFINITY ? "released"
                                                        : show_clock(when, b->held_until_usec, ctl_now_usec()),
                    isempty(b->held_reason) ? "" : ": ", b->held_reason ?: "");
        }
}

static void tell_stale(const Ctl *c, const CtlBot *b)
{
        json_object *o;

        if (!c->json) {
                say(c, b->name, "stale session: %s", b->stale_session ? "the local server still holds one" : "ended");
                return;
        }
        o = event_new("stale-session", b->name);
        ctl_json_add(o, "stale_session", json_object_new_boolean(b->stale_session));
        event_print(o);
}

void tell_bot(const Ctl *c, MonitorBot *b)
{
        const CtlBot *bot = &b->bot;

        if (text_changed(&b->seat, bot->seat))
                tell_seat(c, b);
        if (moment_changed(&b->cloud_allowed_usec, bot->cloud_allowed_usec))
                tell_window(c, b, "cloud", bot->cloud_allowed_usec);
        if (moment_changed(&b->local_allowed_usec, bot->local_allowed_usec))
                tell_window(c, b, "local", bot->local_allowed_usec);
        if (moment_changed(&b->held_until_usec, bot->held_until_usec))
                tell_hold(c, bot);
        if (b->stale_session != bot->stale_session) {
                b->stale_session = bot->stale_session;
                tell_stale(c, bot);
        }
        if (text_changed(&b->error, bot->last_error))
                tell_error(c, bot->name, bot->last_error);
}

void tell_bot_gone(const Ctl *c, const MonitorBot *b)
{
        if (c->json)
                event_print(event_new("bot-removed", b->bot.name));
        else
                say(c, b->bot.name, "bot: not configured any more");
}

/* ---- jobs ---- */

MonitorJob *monitor_job_free(MonitorJob *j)
{
        if (!j)
                return NULL;
        ctl_job_done(&j->job);
        free(j->phase);
        free(j->error);
        free(j);
        return NULL;
}

static void tell_job_new(const Ctl *c, const CtlJob *job)
{
        json_object *o;

        if (!c->json) {
                say(c, job->bot, "job %" PRIu32 " to %s%s%s", job->id, show_place(job->target),
                    isempty(job->reason) ? "" : ": ", job->reason ?: "");
                return;
        }
        o = event_new("job-new", job->bot);
        ctl_json_add(o, "job", json_object_new_uint64(job->id));
        ctl_json_add(o, "target", json_text(job->target));
        ctl_json_add(o, "reason", json_text(job->reason));
        event_print(o);
}

static void tell_phase(const Ctl *c, const MonitorJob *j)
{
        usec_t took_usec = usec_sub(j->job.phase_started_usec, j->phase_started_usec);
        bool first = isempty(j->phase);
        char took[SHOW_SIZE];
        json_object *o;

        if (c->json) {
                o = event_new("phase", j->job.bot);
                ctl_json_add(o, "job", json_object_new_uint64(j->job.id));
                ctl_json_add(o, "phase", json_text(j->job.phase));
                ctl_json_add(o, "before", first ? NULL : json_text(j->phase));
                ctl_json_add(o, "before_took_usec", first ? NULL : json_object_new_uint64(took_usec));
                event_print(o);
        } else if (first) {
                say(c, j->job.bot, "phase: %s", j->job.phase);
        } else {
                say(c, j->job.bot, "phase: %s, after %s in %s", j->job.phase, j->phase, show_span(took, took_usec));
        }
}

static void tell_holding(const Ctl *c, const CtlJob *job)
{
        json_object *o;

        if (c->json) {
                o = event_new("holding", job->bot);
                ctl_json_add(o, "job", json_object_new_uint64(job->id));
                ctl_json_add(o, "holding", json_object_new_boolean(job->holding));
                event_print(o);
        } else if (job->holding) {
                say(c, job->bot, "holds before %s: '%s proceed %" PRIu32 "' lets it go on", ctl_job_holds_before(job),
                    ctl_program(c), job->id);
        } else {
                say(c, job->bot, "holds: no longer");
        }
}

void tell_job(const Ctl *c, MonitorJob *j)
{
        const CtlJob *job = &j->job;

        if (!j->phase)
                tell_job_new(c, job);
        if (!j->phase || (!isempty(job->phase) && !streq(j->phase, job->phase))) {
                if (!isempty(job->phase))
                        tell_phase(c, j);
                set_text(&j->phase, job->phase);
                j->phase_started_usec = job->phase_started_usec;
        }
        if (j->holding != job->holding) {
                j->holding = job->holding;
                tell_holding(c, job);
        }
}

void tell_job_end(const Ctl *c, const CtlJob *job, const char *result, const CtlJob *record)
{
        char took[SHOW_SIZE];
        json_object *o;

        if (c->json) {
                o = event_new("job-end", job->bot);
                ctl_json_add(o, "job", json_object_new_uint64(job->id));
                ctl_json_add(o, "result", json_text(result));
                ctl_json_add(o, "record", record ? json_job(record) : NULL);
                event_print(o);
        } else if (record && streq(result, "failed")) {
                say(c, job->bot, "job %" PRIu32 " failed: %s", job->id, record->error ?: "");
        } else {
                say(c, job->bot, "job %" PRIu32 " %s%s%s", job->id, result, record ? ", after " : "",
                    record ? show_span(took, usec_sub(record->ended_usec, record->started_usec)) : "");
        }
}

/* ---- the rest ---- */

void tell_begin(const Ctl *c, size_t n_bots)
{
        if (c->json)
                return;
        say(c, "-", "watching %zu %s; Ctrl-C ends it", n_bots, n_bots == 1 ? "bot" : "bots");
}

void tell_server(const Ctl *c, const char *state)
{
        json_object *o;

        if (!c->json) {
                say(c, "-", "local server: %s", show_server(state));
                return;
        }
        o = event_new("local-server", NULL);
        ctl_json_add(o, "state", json_text(state));
        event_print(o);
}

void tell_daemon(const Ctl *c, bool is_there)
{
        if (c->json)
                event_print(event_new(is_there ? "tgswitchd-back" : "tgswitchd-gone", NULL));
        else
                say(c, "-", "tgswitchd: %s",
                    is_there ? "is back" : "has gone, its jobs go on when it is back, and so does this");
}
