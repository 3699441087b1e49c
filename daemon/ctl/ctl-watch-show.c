/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/ctl-clock.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-watch-show.h"

/* ---- under way ---- */

static void print_name(WatchShow *s, const CtlJob *job)
{
        live_hide(&s->live);
        printf("%-*s ", s->name_width, job->bot);
}

void show_phase_end(WatchShow *s, const CtlJob *job, const char *phase, usec_t took_usec)
{
        char took[SHOW_SIZE];

        if (s->ctl->json || isempty(phase))
                return;
        print_name(s, job);
        printf("%-16s %s\n", phase, show_span(took, took_usec));
        fflush(stdout);
}

void show_waiting(WatchShow *s, WatchItem *i)
{
        bool turn = streq_ptr(i->job.phase, "queued") && i->job.not_before_usec == 0; /* of many: they are counted */
        bool news = !isempty(i->job.error) && !streq_ptr(i->job.error, i->shown_error) && !(turn && s->many);
        const char *program = ctl_program(s->ctl);

        if (s->ctl->json)
                return;
        if (i->job.holding && !i->shown_holding) {
                print_name(s, &i->job);
                printf("holds before %s; '%s proceed %" PRIu32 "' lets it go on, '%s cancel %" PRIu32
                       "' puts everything back\n",
                       ctl_job_holds_before(&i->job), program, i->job.id, program, i->job.id);
        }
        i->shown_holding = i->job.holding;
        if (news) {
                print_name(s, &i->job);
                printf("%-16s ", i->job.phase ?: "");
                (void) print_styled(stdout, s->ctl->colour, STYLE_BOLD, i->job.error);
                putchar('\n');
                free(i->shown_error);
                i->shown_error = strdup(i->job.error);
        }
        fflush(stdout);
}

void show_begin(WatchShow *s, WatchItem *i)
{
        print_name(s, &i->job);
        printf("job %" PRIu32 " to %s\n", i->job.id, show_place(i->job.target));
        fflush(stdout);
        show_waiting(s, i);
}

/* Once the bot is logged out, that is the server that it leaves. */
static usec_t back_usec(const WatchItem *i)
{
        return streq_ptr(i->job.target, "cloud") ? i->local_allowed_usec : i->cloud_allowed_usec;
}

static LiveJob *live_jobs(const WatchItem *items, size_t n_items)
{
        LiveJob *jobs = calloc(n_items, sizeof(*jobs));

        if (!jobs)
                abort();
        for (size_t i = 0; i < n_items; i++)
                jobs[i] = (LiveJob){ .job = &items[i].job, .back_usec = back_usec(items + i) };
        return jobs;
}

void show_now(WatchShow *s, const WatchItem *items, size_t n_items)
{
        _cleanup_free_ LiveJob *jobs = NULL;

        if (!s->live.on || n_items == 0)
                return;
        jobs = live_jobs(items, n_items);
        live_show(&s->live, live_text(jobs, n_items, ctl_program(s->ctl), ctl_now_usec()));
}

/* ---- results ---- */

static void print_done(const CtlJob *job, const CtlBot *b)
{
        const char *source = streq_ptr(job->target, "cloud") ? "local" : "cloud";
        char blind[SHOW_SIZE], down[SHOW_SIZE], window[SHOW_SIZE], left[64] = "";

        if (b->spooled > 0)
                (void) snprintf(left, sizeof(left), ", %" PRIu64 " still to be handed over", b->spooled);
        printf("%s is at %s: %" PRIu64 " updates drained, %" PRIu64 " spooled, %" PRIu64
               " handed over%s; blind for %s, down for %s; %s.\n",
               job->bot, show_place(job->target), job->drained, job->spooled, job->handed_over, left,
               job->blind_usec > 0 ? show_span(blind, job->blind_usec) : "an unknown time",
               job->downtime_usec > 0 ? show_span(down, job->downtime_usec) : "an unknown time",
               b->name ? show_window(window, source, ctl_bot_allowed_usec(b, source), ctl_now_usec())
                       : "its window is not known");
}

void show_result(WatchShow *s, const CtlJob *job, const CtlBot *b)
{
        if (s->ctl->json)
                return;
        live_hide(&s->live);
        if (streq(job->result, "done"))
                print_done(job, b);
        else if (streq(job->result, "canceled"))
                printf("%s was not moved: job %" PRIu32 " was cancelled, and everything is as it was.\n", job->bot,
                       job->id);
        else if (streq(job->result, "failed") && isempty(job->error))
                (void) ctl_error(CTL_FAILED, "%s was not moved: see '%s'.", job->bot,
                                 ctl_command(s->ctl, "journalctl -u tgswitchd"));
        else if (streq(job->result, "failed"))
                (void) ctl_error(CTL_FAILED, "%s was not moved: %s", job->bot, job->error);
        else
                (void) ctl_error(CTL_FAILED,
                                 "tgswitchd came back and does not know job %" PRIu32
                                 " of %s, so how it ended cannot be told. See where the bot is with '%s status %s', "
                                 "and if it is not where it should be, move it again.",
                                 job->id, job->bot, ctl_program(s->ctl), job->bot);
        fflush(stdout);
}

void show_sum(WatchShow *s, const WatchItem *items, size_t n_items, size_t n_refused)
{
        _cleanup_free_ LiveJob *jobs = NULL;
        LiveCounts counts;

        if (s->ctl->json || n_items + n_refused < 2)
                return;
        jobs = live_jobs(items, n_items);
        counts = live_count(jobs, n_items);
        live_hide(&s->live);
        live_print_sum(stdout, &counts, n_refused);
}

/* ---- detached ---- */

static void print_detached(const CtlJob *job, const char *program)
{
        char cancel[400] = "";

        if (job->cancellable)
                (void) snprintf(cancel, sizeof(cancel), ", or take it back with '%s cancel %" PRIu32 "'", program,
                                job->id);
        (void) ctl_error(CTL_OK, "Detached. Job %" PRIu32 " of %s goes on; follow it with '%s wait %" PRIu32 "'%s.",
                         job->id, job->bot, program, job->id, cancel);
}

void show_detached(WatchShow *s, const WatchItem *items, size_t n_items)
{
        const char *program = ctl_program(s->ctl);
        const CtlJob *running = NULL;
        size_t n = 0;

        live_hide(&s->live);
        if (s->ctl->terminal && !s->live.on)
                putchar('\n'); /* behind "^C" */
        for (size_t i = 0; i < n_items; i++)
                if (!items[i].job.result) {
                        running = &items[i].job;
                        n++;
                }
        if (n == 1)
                print_detached(running, program);
        if (n < 2)
                return;
        fflush(stdout);
        fprintf(stderr, "Detached. %zu jobs go on; follow them with '%s wait", n, program);
        for (size_t i = 0; i < n_items; i++)
                if (!items[i].job.result)
                        fprintf(stderr, " %" PRIu32, items[i].job.id);
        fputs("'.\n", stderr);
}
