/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "ctl/ctl-columns.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-live.h"

/* Of a terminal that does not know its own size. */
#define COLUMNS_UNKNOWN 80
/* No terminal has room for more; with a thousand bots the rest would be composed for nothing at each of their steps. */
#define TEXT_MAX 2048

/* ---- the terminal ---- */

bool terminal_size(size_t *ret_columns, size_t *ret_rows)
{
        struct winsize size;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
                return false;
        *ret_columns = size.ws_col;
        *ret_rows = size.ws_row;
        return true;
}

void live_measure(LiveLine *l)
{
        size_t rows;

        if (!l->on)
                return;
        live_hide(l);
        if (!terminal_size(&l->columns, &rows))
                l->columns = COLUMNS_UNKNOWN;
}

void live_open(LiveLine *l, const Ctl *c)
{
        *l = (LiveLine){ .on = c->terminal && !c->dumb && !c->json };
        live_measure(l);
}

void live_close(LiveLine *l)
{
        live_hide(l);
        l->on = false;
}

void live_hide(LiveLine *l)
{
        if (!l->shown)
                return;
        /* back from what Ctrl-C may have left, "^C"; all that is on the screen from here on was ours */
        fputs("\r\033[J", stdout);
        fflush(stdout);
        free(l->shown);
        l->shown = NULL;
}

void live_show(LiveLine *l, char *text)
{
        _cleanup_free_ char *line = text;

        if (!l->on)
                return;
        if (line)
                text_cut(line, l->columns - 1); /* in the last column some terminals wrap already */
        if (streq_ptr(line, l->shown))
                return;
        live_hide(l);
        if (isempty(line))
                return;
        (void) print_styled(stdout, false, STYLE_PLAIN, line);
        putchar('\r');
        fflush(stdout);
        l->shown = TAKE_PTR(line);
}

/* ---- what it says ---- */

static bool is_waiting(const CtlJob *job)
{
        bool expected = job->id == 0 && !job->phase;

        return expected || job->holding || streq_ptr(job->phase, "queued");
}

LiveCounts live_count(const LiveJob *jobs, size_t n_jobs)
{
        LiveCounts counts = { 0 };

        for (size_t i = 0; i < n_jobs; i++) {
                const CtlJob *job = jobs[i].job;

                if (!job->result && is_waiting(job))
                        counts.waiting++;
                else if (!job->result)
                        counts.moving++;
                else if (streq(job->result, "done"))
                        counts.done++;
                else if (streq(job->result, "canceled"))
                        counts.canceled++;
                else
                        counts.failed++;
        }
        return counts;
}

static void print_job(FILE *f, const LiveJob *j, const char *program, usec_t now_usec)
{
        const CtlJob *job = j->job;
        char since[SHOW_SIZE], left[SHOW_SIZE];

        show_minutes(since, usec_sub(now_usec, job->phase_started_usec));
        if (job->holding)
                fprintf(f, "%s: holds %s; '%s proceed %" PRIu32 "' lets it go on", job->bot, since, program, job->id);
        else if (job->not_before_usec > now_usec && job->not_before_usec != USEC_INFINITY)
                fprintf(f, "%s: queued, %s", job->bot, show_not_before(left, job->not_before_usec, now_usec));
        else if (isempty(job->phase)) /* it is new, and nothing else is known of it yet */
                fprintf(f, "%s: begins", job->bot);
        else
                fprintf(f, "%s: %s %s", job->bot, job->phase, since);
        if (j->back_usec > now_usec && j->back_usec != USEC_INFINITY && !streq_ptr(job->phase, "queued"))
                fprintf(f, "; %s takes it back in %s", show_place(streq_ptr(job->target, "cloud") ? "local" : "cloud"),
                        show_minutes(left, usec_add(usec_sub(j->back_usec, now_usec), USEC_PER_SEC - 1)));
}

static void print_counts(FILE *f, const LiveCounts *counts)
{
        fprintf(f, "%zu done, %zu moving, %zu waiting, %zu failed", counts->done, counts->moving, counts->waiting,
                counts->failed);
        if (counts->canceled > 0)
                fprintf(f, ", %zu cancelled", counts->canceled);
}

char *live_text(const LiveJob *jobs, size_t n_jobs, const char *program, usec_t now_usec)
{
        LiveCounts counts = live_count(jobs, n_jobs);
        const char *between = "";
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                abort();
        if (n_jobs > 1 && counts.moving + counts.waiting > 0) {
                print_counts(f, &counts);
                between = "; ";
        }
        /* those that wait may have to go, where there is no room for all */
        for (int waiting = 0; waiting <= 1; waiting++)
                for (size_t i = 0; i < n_jobs && ftell(f) < TEXT_MAX; i++) {
                        if (jobs[i].job->result || is_waiting(jobs[i].job) != waiting)
                                continue;
                        fputs(between, f);
                        print_job(f, jobs + i, program, now_usec);
                        between = "; ";
                }
        if (fclose(f) != 0)
                abort();
        return text;
}

void live_print_sum(FILE *f, const LiveCounts *counts, size_t n_refused)
{
        size_t n = counts->done + counts->moving + counts->waiting + counts->failed + counts->canceled + n_refused;
        const char *between = "; ";

        fprintf(f, "%zu of %zu bots were moved", counts->done, n);
        if (counts->failed > 0) {
                fprintf(f, "%s%zu failed", between, counts->failed);
                between = ", ";
        }
        if (counts->canceled > 0) {
                fprintf(f, "%s%zu cancelled", between, counts->canceled);
                between = ", ";
        }
        if (n_refused > 0)
                fprintf(f, "%s%zu refused", between, n_refused);
        fputs(".\n", f);
}
