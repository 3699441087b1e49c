/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <time.h>

#include "base/strv.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl-clock.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-overview.h"

static bool is(const char *value, const char *word)
{
        return streq_ptr(value, word);
}

static Style seat_style(const CtlBot *b)
{
        if (is(b->seat, "cloud") || is(b->seat, "local"))
                return STYLE_GOOD;
        return is(b->seat, "undeclared") ? STYLE_FAINT : STYLE_BAD;
}

/* Since when the bot is where it is, or in its phase; 0: nobody has seen it begin. */
static usec_t since_usec(const CtlState *s, const CtlBot *b)
{
        const CtlJob *job = ctl_state_job(s, b->job_id);

        if (job)
                return job->phase_started_usec;
        return is(b->last_job.result, "done") ? b->last_job.ended_usec : 0;
}

/* The server that the bot is not at; on the way, the one that it has left. */
static const char *way_back(const CtlBot *b)
{
        if (is(b->seat, "cloud") || is(b->seat, "local"))
                return is(b->seat, "cloud") ? "local" : "cloud";
        return is(b->target, "cloud") ? "local" : "cloud";
}

/* "until 14:05:12", "until released"; "" if the bot is not held. */
static const char *show_hold(char buffer[static SHOW_SIZE], const CtlBot *b, usec_t now_usec)
{
        char when[SHOW_SIZE];

        if (b->held_until_usec == USEC_INFINITY)
                return "until released";
        if (b->held_until_usec <= now_usec)
                return "";
        (void) snprintf(buffer, SHOW_SIZE, "until %.32s", show_clock(when, b->held_until_usec, now_usec));
        return buffer;
}

/* ---- list ---- */

/* Columns that say nothing of any bot are left out. */
typedef struct ListShape {
        bool held, stale;
} ListShape;

static int list_titles(Table *t, const ListShape *shape)
{
        static const char *const titles[] = { "BOT", "SEAT", "PHASE", "JOB", "SINCE", "SPOOLED", "WAY BACK" };
        int r;

        FOREACH_ELEMENT(title, titles)
                if ((r = table_add(t, STYLE_FAINT, *title)) < 0)
                        return r;
        if (shape->held && (r = table_add(t, STYLE_FAINT, "HELD")) < 0)
                return r;
        return shape->stale ? table_add(t, STYLE_FAINT, "STALE SESSION") : 0;
}

static int list_row(Table *t, const ListShape *shape, const CtlState *s, const CtlBot *b, usec_t now_usec)
{
        usec_t since = since_usec(s, b), allowed_usec = ctl_bot_allowed_usec(b, way_back(b));
        char text[SHOW_SIZE];
        int r;

        if ((r = table_add(t, STYLE_BOLD, b->name)) < 0 || (r = table_add(t, seat_style(b), b->seat)) < 0 ||
            (r = table_add(t, STYLE_PLAIN, b->phase)) < 0)
                return r;
        r = b->job_id > 0 ? table_addf(t, STYLE_PLAIN, "%" PRIu32, b->job_id) : table_add(t, STYLE_PLAIN, "");
        if (r < 0)
                return r;
        r = table_add(t, STYLE_PLAIN, since > 0 ? show_clock(text, since, now_usec) : "");
        if (r < 0)
                return r;
        r = b->spooled > 0 ? table_addf(t, STYLE_BOLD, "%" PRIu64, b->spooled) : table_add(t, STYLE_PLAIN, "");
        if (r < 0)
                return r;
        r = table_add(t, STYLE_PLAIN,
                      allowed_usec > now_usec ? show_window(text, way_back(b), allowed_usec, now_usec) : "");
        if (r < 0)
                return r;
        if (shape->held && (r = table_add(t, STYLE_BOLD, show_hold(text, b, now_usec))) < 0)
                return r;
        return shape->stale ? table_add(t, STYLE_BAD, b->stale_session ? "at local" : "") : 0;
}

static CtlExit list_json(const CtlState *s)
{
        json_object *o = ctl_json_new(), *bots = json_object_new_array();

        for (size_t i = 0; i < s->n_bots; i++)
                if (json_object_array_add(bots, json_bot(s->bots + i)) < 0)
                        abort();
        ctl_json_add(o, "bots", bots);
        return ctl_print_json(o);
}

CtlExit verb_list(Ctl *c)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        _cleanup_(table_freep) Table *t = NULL;
        usec_t now_usec = ctl_now_usec();
        char text[SHOW_SIZE];
        ListShape shape = { 0 };
        CtlExit status;

        status = ctl_begin(c, &s);
        if (status != CTL_OK)
                return status;
        if (c->json)
                return list_json(&s);

        for (size_t i = 0; i < s.n_bots; i++) {
                shape.held = shape.held || !isempty(show_hold(text, s.bots + i, now_usec));
                shape.stale = shape.stale || s.bots[i].stale_session;
        }
        if (table_new(&t, 7u + shape.held + shape.stale) < 0 || list_titles(t, &shape) < 0)
                return ctl_oom();
        for (size_t i = 0; i < s.n_bots; i++)
                if (list_row(t, &shape, &s, s.bots + i, now_usec) < 0)
                        return ctl_oom();
        table_print(t, stdout, c->colour, 0);
        return CTL_OK;
}

/* ---- status ---- */

static void print_line(Ctl *c, const char *label, Style style, const char *text)
{
        printf("    %-10s", label);
        (void) print_styled(stdout, c->colour, style, text);
        putchar('\n');
}

static void print_windows(const CtlBot *b, usec_t now_usec)
{
        static const char *const seats[] = { "cloud", "local" };
        char window[SHOW_SIZE];

        FOREACH_ELEMENT(seat, seats) {
                usec_t allowed_usec = ctl_bot_allowed_usec(b, *seat);

                if (allowed_usec > now_usec)
                        printf(", %s", show_window(window, *seat, allowed_usec, now_usec));
        }
}

static void print_hold(Ctl *c, const CtlBot *b, usec_t now_usec)
{
        char until[SHOW_SIZE], text[800];
        const char *shown = show_hold(until, b, now_usec);

        if (isempty(shown))
                return;
        (void) snprintf(text, sizeof(text), "%.64s%s%.300s; '%s release %.32s' allows automatic moves again", shown,
                        isempty(b->held_reason) ? "" : ": ", b->held_reason ?: "", ctl_program(c), b->name);
        print_line(c, "held", STYLE_BOLD, text);
}

/* What a queued job waits for. The end of a window is in the line of the bot, too; the turn and the pace are not. */
static void print_waits(Ctl *c, const CtlJob *job, usec_t now_usec)
{
        char until[SHOW_SIZE], text[512];
        bool known = job->not_before_usec > now_usec && job->not_before_usec != USEC_INFINITY;

        /* That it has said nothing yet is over in a moment. */
        if (!is(job->phase, "queued") || (!known && isempty(job->error)))
                return;
        (void) snprintf(text, sizeof(text), "%s%s%.400s",
                        known ? show_not_before(until, job->not_before_usec, now_usec) : "",
                        known && !isempty(job->error) ? ": " : "", job->error ?: "");
        print_line(c, "waits", STYLE_PLAIN, text);
}

static void print_job(Ctl *c, const CtlJob *job, usec_t now_usec)
{
        char when[SHOW_SIZE], ago[SHOW_SIZE], text[256];

        (void) snprintf(text, sizeof(text), "%" PRIu32 " to %.16s: %.32s%s%s since %.32s (%.32s)", job->id,
                        job->target ?: "", job->phase ?: "", job->holding ? ", holding before " : "",
                        job->holding ? ctl_job_holds_before(job) : "",
                        show_clock(when, job->phase_started_usec, now_usec),
                        show_span(ago, usec_sub(now_usec, job->phase_started_usec)));
        print_line(c, "job", STYLE_BOLD, text);
        print_waits(c, job, now_usec);
        if (!isempty(job->reason))
                print_line(c, "reason", STYLE_PLAIN, job->reason);
}

static void print_last_job(Ctl *c, const CtlJob *job, usec_t now_usec)
{
        char when[SHOW_SIZE], blind[SHOW_SIZE], down[SHOW_SIZE], text[256];
        bool done = is(job->result, "done");
        int n;

        n = snprintf(text, sizeof(text), "job %" PRIu32 " to %.16s %.16s at %.32s", job->id, job->target ?: "",
                     job->result ?: "", show_clock(when, job->ended_usec, now_usec));
        if (done && n > 0)
                (void) snprintf(text + n, sizeof(text) - (size_t) n,
                                "; %" PRIu64 " drained, %" PRIu64 " spooled, %" PRIu64
                                " handed over; blind %.16s, down %.16s",
                                job->drained, job->spooled, job->handed_over, show_span(blind, job->blind_usec),
                                show_span(down, job->downtime_usec));
        print_line(c, "last", done ? STYLE_PLAIN : STYLE_BOLD, text);
}

/* What the administrator may do next, in one line. */
static void print_next(Ctl *c, const CtlState *s, const CtlBot *b)
{
        const CtlJob *job = ctl_state_job(s, b->job_id);
        const char *program = ctl_program(c);
        char text[800], spool[64];

        (void) snprintf(spool, sizeof(spool), "tgswitchctl spool %.32s", b->name);
        if (job && job->holding)
                (void) snprintf(text, sizeof(text),
                                "it waits for '%s proceed %" PRIu32 "'; '%s cancel %" PRIu32 "' puts everything back",
                                program, b->job_id, program, b->job_id);
        else if (b->job_id > 0)
                (void) snprintf(text, sizeof(text), "follow it with '%s wait %" PRIu32 "'", program, b->job_id);
        else if (is(b->seat, "undeclared"))
                (void) snprintf(text, sizeof(text), "say where it is logged in: '%s set-seat %.32s cloud'", program,
                                b->name);
        else if (b->spooled > 0)
                (void) snprintf(text, sizeof(text), "see the spooled updates with '%s'", ctl_command(c, spool));
        else if (is(b->seat, "cloud"))
                (void) snprintf(text, sizeof(text), "'%s plan local %.32s' shows what a move would do", program,
                                b->name);
        else
                (void) snprintf(text, sizeof(text),
                                "nothing to do; '%s plan cloud %.32s' shows what the way back would do", program,
                                b->name);
        print_line(c, "next", STYLE_FAINT, text);
}

static void print_bot(Ctl *c, const CtlState *s, const CtlBot *b, usec_t now_usec)
{
        const CtlJob *job = ctl_state_job(s, b->job_id);
        _cleanup_free_ char *workers = strv_join(b->workers, " ");
        char text[SHOW_SIZE * 2], when[SHOW_SIZE];
        usec_t since = since_usec(s, b);

        (void) print_styled(stdout, c->colour, STYLE_BOLD, b->name);
        fputs("  ", stdout);
        (void) print_styled(stdout, c->colour, seat_style(b), b->seat ?: "");
        if (!job && since > 0)
                printf(" since %s", show_clock(when, since, now_usec));
        print_windows(b, now_usec);
        putchar('\n');

        if (job)
                print_job(c, job, now_usec);
        print_hold(c, b, now_usec);
        if (b->stale_session)
                print_line(c, "stale", STYLE_BAD,
                           "the local server still holds a session of this bot; it is ended when that server answers "
                           "again");
        if (!isempty(b->endpoint))
                print_line(c, "endpoint", STYLE_PLAIN, b->endpoint);
        print_line(c, "workers", STYLE_PLAIN, isempty(workers) ? "none configured" : workers);
        if (b->pending_usec > 0) {
                (void) snprintf(text, sizeof(text), "%" PRIu64 " updates at %.32s", b->pending,
                                show_clock(when, b->pending_usec, now_usec));
                print_line(c, "pending", STYLE_PLAIN, text);
        }
        if (b->spooled > 0) {
                (void) snprintf(text, sizeof(text), "%" PRIu64 " updates are still to be handed over", b->spooled);
                print_line(c, "spool", STYLE_BOLD, text);
        }
        if (b->last_job.id > 0)
                print_last_job(c, &b->last_job, now_usec);
        if (!isempty(b->last_error) && !(job && is(job->phase, "queued") && streq_ptr(job->error, b->last_error)))
                print_line(c, "error", STYLE_BAD, b->last_error);
        print_next(c, s, b);
}

static CtlExit print_status_json(const CtlState *s)
{
        json_object *o = ctl_json_new(), *bots = json_object_new_array(), *jobs = json_object_new_array();

        for (size_t i = 0; i < s->n_bots; i++)
                if (s->bots[i].selected && json_object_array_add(bots, json_bot(s->bots + i)) < 0)
                        abort();
        for (size_t i = 0; i < s->n_jobs; i++)
                if (json_object_array_add(jobs, json_job(s->jobs + i)) < 0)
                        abort();
        ctl_json_add(o, "version", json_text(s->version));
        ctl_json_add(o, "local_server_state", json_text(s->server_state));
        ctl_json_add(o, "bots", bots);
        ctl_json_add(o, "jobs", jobs);
        return ctl_print_json(o);
}

CtlExit verb_status(Ctl *c)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        size_t n_cloud = 0, n_local = 0;
        CtlExit status;

        status = ctl_begin(c, &s);
        if (status != CTL_OK)
                return status;
        status = ctl_state_select(&s, c->arguments);
        if (status != CTL_OK)
                return status;
        if (c->json)
                return print_status_json(&s);

        for (size_t i = 0; i < s.n_bots; i++) {
                n_cloud += is(s.bots[i].seat, "cloud");
                n_local += is(s.bots[i].seat, "local");
        }
        printf("Local server: %s. Bots: %zu on the cloud, %zu local, %zu elsewhere. Jobs: %zu.\n",
               show_server(s.server_state), n_cloud, n_local, s.n_bots - n_cloud - n_local, s.n_jobs);
        if (c->brief) {
                overview_print(c, &s);
                return CTL_OK;
        }
        if (s.n_bots == 0)
                printf("No bot is configured: '%s' sets one up.\n", ctl_command(c, "tgswitchctl add NAME"));
        for (size_t i = 0; i < s.n_bots; i++)
                if (s.bots[i].selected) {
                        putchar('\n');
                        print_bot(c, &s, s.bots + i, ctl_now_usec());
                }
        return CTL_OK;
}
