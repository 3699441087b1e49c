/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <signal.h>
#include <systemd/sd-event.h>

#include "ctl/ctl-clock.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-watch.h"

/* So long after a daemon that is there did not answer it is asked again. */
#define RESUME_AGAIN_USEC USEC_PER_SEC

typedef struct WatchItem {
        CtlJob job; /* kept up to date by PropertiesChanged; `result` once it has ended */
        char *shown_error;
        bool shown_holding;
        bool told; /* its result has been printed */
} WatchItem;

struct Watch {
        Ctl *ctl;
        sd_event *event;
        sd_event_source *timer; /* on a terminal: the line that is written over */
        sd_event_source *again; /* on while a daemon that came back has not told of our jobs */
        WatchItem *items;
        size_t n_items;
        bool line_open; /* the cursor stands at the end of that line */
        bool finished;  /* sd_event_exit() would close the bus, which is needed for the results */
        int signal;     /* that detached us; 0: none */
        bool lost;      /* the bus has gone */
};

/* ---- showing ---- */

static void close_line(Watch *w)
{
        if (w->line_open)
                fputs("\r\033[K", stdout);
        w->line_open = false;
}

static void show_phase_end(Watch *w, const CtlJob *job, const char *phase, usec_t took_usec)
{
        char took[SHOW_SIZE];

        if (w->ctl->json || isempty(phase))
                return;
        close_line(w);
        printf("%-12s %-16s %s\n", job->bot, phase, show_span(took, took_usec));
        fflush(stdout);
}

static void show_waiting(Watch *w, WatchItem *i)
{
        bool news = !isempty(i->job.error) && !streq_ptr(i->job.error, i->shown_error);

        if (w->ctl->json)
                return;
        if (i->job.holding && !i->shown_holding) {
                close_line(w);
                printf("%-12s holds; 'tgswitchctl proceed %" PRIu32 "' lets it go on, 'tgswitchctl cancel %" PRIu32
                       "' puts everything back\n",
                       i->job.bot, i->job.id, i->job.id);
        }
        i->shown_holding = i->job.holding;
        if (news) {
                close_line(w);
                printf("%-12s %-16s ", i->job.bot, i->job.phase ?: "");
                (void) print_styled(stdout, w->ctl->colour, STYLE_BOLD, i->job.error);
                putchar('\n');
                free(i->shown_error);
                i->shown_error = strdup(i->job.error);
        }
        fflush(stdout);
}

static void show_begin(Watch *w, WatchItem *i)
{
        printf("%-12s job %" PRIu32 " to %s\n", i->job.bot, i->job.id, show_place(i->job.target));
        fflush(stdout);
        show_waiting(w, i);
}

static void show_running(const CtlJob *job)
{
        char text[SHOW_SIZE];
        usec_t now_usec = ctl_now_usec();

        if (job->not_before_usec > now_usec && job->not_before_usec != USEC_INFINITY)
                printf("%s %s", job->bot, show_not_before(text, job->not_before_usec, now_usec));
        else
                printf("%s %s %s", job->bot, job->phase ?: "",
                       show_span(text, usec_sub(now_usec, job->phase_started_usec)));
}

/* What is under way now, in one line that the next output takes away again. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Watch *w = userdata;
        size_t shown = 0, running = 0;

        close_line(w);
        for (size_t i = 0; i < w->n_items; i++) {
                const CtlJob *job = &w->items[i].job;

                if (job->result)
                        continue;
                running++;
                if (++shown > 3)
                        continue;
                if (shown > 1)
                        fputs(", ", stdout);
                show_running(job);
        }
        if (running > 3)
                printf(" and %zu more", running - 3);
        w->line_open = running > 0;
        fflush(stdout);
        return sd_event_source_set_time_relative(source, USEC_PER_SEC);
}

/* ---- items ---- */

static void maybe_finish(Watch *w)
{
        for (size_t i = 0; i < w->n_items; i++)
                if (!w->items[i].job.result)
                        return;
        w->finished = true;
}

static WatchItem *find_item(Watch *w, uint32_t id)
{
        for (size_t i = 0; i < w->n_items; i++)
                if (w->items[i].job.id == id && !w->items[i].job.result)
                        return w->items + i;
        return NULL;
}

static void item_end(WatchItem *i, const char *result)
{
        i->job.result = strdup(result);
        if (!i->job.result)
                abort();
}

/* The record of the daemon, where it still has one of this job, tells more than the signals did. */
static void item_take_record(WatchItem *i, CtlBot *b)
{
        char *bot = TAKE_PTR(i->job.bot);

        ctl_job_done(&i->job);
        i->job = b->last_job;
        i->job.bot = bot;
        b->last_job = (CtlJob){ 0 };
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

static void print_result(const CtlJob *job, const CtlBot *b)
{
        if (streq(job->result, "done"))
                print_done(job, b);
        else if (streq(job->result, "canceled"))
                printf("%s was not moved: job %" PRIu32 " was cancelled, and everything is as it was.\n", job->bot,
                       job->id);
        else if (streq(job->result, "failed"))
                (void) ctl_error(CTL_FAILED, "%s was not moved: %s", job->bot,
                                 isempty(job->error) ? "see 'journalctl -u tgswitchd'." : job->error);
        else
                (void) ctl_error(CTL_FAILED,
                                 "tgswitchd came back and does not know job %" PRIu32
                                 " of %s, so how it ended cannot be told. See where the bot is with 'tgswitchctl "
                                 "status %s', and if it is not where it should be, move it again.",
                                 job->id, job->bot, job->bot);
}

/* Once for each job that has ended, as soon as that is known: where many bots move, nobody has to wait for the last.
 * The record is asked for first; without it the result is told as far as it was heard. */
static void tell_result(Watch *w, WatchItem *i)
{
        _cleanup_(ctl_bot_done) CtlBot b = { 0 };

        if (i->told || !i->job.result)
                return;
        i->told = true;
        (void) !ctl_bot_read(w->ctl, i->job.bot, &b);
        if (b.last_job.id == i->job.id)
                item_take_record(i, &b);
        if (w->ctl->json)
                return;
        close_line(w);
        print_result(&i->job, &b);
        fflush(stdout);
}

/* ---- what the daemon tells ---- */

/* Takes over what has changed, and shows a phase that has ended by it. */
static int item_update(Watch *w, WatchItem *i, sd_bus_message *m)
{
        usec_t began_usec = i->job.phase_started_usec, ended_usec;
        _cleanup_free_ char *phase = i->job.phase ? strdup(i->job.phase) : NULL;
        int r;

        r = ctl_job_update(&i->job, m);
        if (r < 0)
                return r;
        if (phase && !streq_ptr(phase, i->job.phase)) {
                ended_usec = i->job.phase_started_usec > began_usec ? i->job.phase_started_usec : ctl_now_usec();
                show_phase_end(w, &i->job, phase, usec_sub(ended_usec, began_usec));
        }
        if (!isempty(i->job.phase))
                show_waiting(w, i);
        return 0;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *number = startswith(sd_bus_message_get_path(m), BUS_JOB_PREFIX), *interface;
        Watch *w = userdata;
        WatchItem *i = number ? find_item(w, (uint32_t) strtoul(number, NULL, 10)) : NULL;
        int r;

        if (!i)
                return 0;
        r = sd_bus_message_read(m, "s", &interface);
        if (r < 0 || !streq(interface, BUS_JOB_INTERFACE))
                return 0;
        if (item_update(w, i, m) == -ENOMEM)
                abort();
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        Watch *w = userdata;
        const char *result;
        WatchItem *i;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, NULL, NULL, &result) < 0)
                return 0;
        i = find_item(w, id);
        if (!i)
                return 0;
        item_end(i, result);
        tell_result(w, i);
        maybe_finish(w);
        return 0;
}

/* Brings one item up to date with what the restarted daemon has read from its records. */
static void item_resume(Watch *w, WatchItem *i, CtlState *s)
{
        CtlBot *b = ctl_state_bot(s, i->job.bot);

        if (ctl_state_job(s, i->job.id))
                (void) !ctl_job_read(w->ctl, &i->job);
        else if (b && b->last_job.id == i->job.id)
                item_take_record(i, b);
        else
                item_end(i, "unknown");
}

/* Asks a daemon that came back what became of our jobs. */
static void resume(Watch *w)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(ctl_state_done) CtlState s = { 0 };

        if (ctl_state_read(w->ctl, &s, &error) < 0) {
                /* It has gone once more, or is too busy: nobody else would tell us of a job that ended meanwhile. */
                if (sd_event_source_set_time_relative(w->again, RESUME_AGAIN_USEC) < 0 ||
                    sd_event_source_set_enabled(w->again, SD_EVENT_ONESHOT) < 0)
                        abort();
                return;
        }
        for (size_t i = 0; i < w->n_items; i++)
                if (!w->items[i].job.result) {
                        item_resume(w, w->items + i, &s);
                        tell_result(w, w->items + i);
                }
        maybe_finish(w);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        resume(userdata);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *new_owner;
        Watch *w = userdata;

        if (sd_bus_message_read(m, "sss", NULL, NULL, &new_owner) < 0)
                return 0;
        if (isempty(new_owner)) {
                (void) sd_event_source_set_enabled(w->again, SD_EVENT_OFF);
                close_line(w);
                (void) ctl_error(CTL_OK,
                                 "tgswitchd has gone; waiting for it to come back. Its jobs go on by themselves.");
                return 0;
        }
        resume(w);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        Watch *w = userdata;

        w->lost = w->finished = true;
        return 0;
}

static int on_detach(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        Watch *w = userdata;

        w->signal = (int) si->ssi_signo;
        w->finished = true;
        return 0;
}

/* ---- watching ---- */

static int watch_listen(Watch *w)
{
        sd_bus *bus = w->ctl->bus;
        int r;

        r = sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local", NULL, "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, w);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(bus, NULL, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE, "JobRemoved", on_job_removed, w);
        if (r < 0)
                return r;
        r = sd_bus_add_match(bus, NULL,
                             "type='signal',sender='" BUS_NAME "',path_namespace='" BUS_PATH "/job',"
                             "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
                             on_properties, w);
        if (r < 0)
                return r;
        return sd_bus_add_match(bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                                "member='NameOwnerChanged',arg0='" BUS_NAME "'",
                                on_owner, w);
}

static int watch_set_up(Watch *w)
{
        sigset_t signals;
        int r;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;

        if ((r = sd_event_new(&w->event)) < 0 || (r = sd_event_add_signal(w->event, NULL, SIGINT, on_detach, w)) < 0 ||
            (r = sd_event_add_signal(w->event, NULL, SIGTERM, on_detach, w)) < 0 ||
            (r = sd_event_add_time(w->event, &w->again, CLOCK_MONOTONIC, 0, 0, on_again, w)) < 0 ||
            (r = sd_event_source_set_enabled(w->again, SD_EVENT_OFF)) < 0 ||
            (r = sd_bus_attach_event(w->ctl->bus, w->event, SD_EVENT_PRIORITY_NORMAL)) < 0)
                return r;
        if (w->ctl->terminal && !w->ctl->json) {
                if ((r = sd_event_add_time_relative(w->event, &w->timer, CLOCK_MONOTONIC, USEC_PER_SEC, 0, on_timer,
                                                    w)) < 0 ||
                    (r = sd_event_source_set_enabled(w->timer, SD_EVENT_ON)) < 0)
                        return r;
        }
        return watch_listen(w);
}

CtlExit watch_new(Watch **ret, Ctl *c)
{
        _cleanup_(watch_freep) Watch *w = calloc(1, sizeof(*w));
        CtlExit status;
        int r;

        if (!w)
                return ctl_oom();
        w->ctl = c;
        status = ctl_connect(c);
        if (status != CTL_OK)
                return status;
        r = watch_set_up(w);
        if (r < 0)
                return ctl_call_failed(NULL, r, NULL);
        *ret = TAKE_PTR(w);
        return CTL_OK;
}

Watch *watch_free(Watch *w)
{
        if (!w)
                return NULL;

        for (size_t i = 0; i < w->n_items; i++) {
                ctl_job_done(&w->items[i].job);
                free(w->items[i].shown_error);
        }
        free(w->items);
        /* the matches live as long as the connection: it is closed here, before what they point to goes */
        w->ctl->bus = sd_bus_flush_close_unref(w->ctl->bus);
        sd_event_source_disable_unref(w->timer);
        sd_event_source_disable_unref(w->again);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}

static WatchItem *add_item(Watch *w, uint32_t id, const char *bot)
{
        WatchItem *grown = reallocarray(w->items, w->n_items + 1, sizeof(*grown)), *i;

        if (!grown)
                return NULL;
        w->items = grown;
        i = w->items + w->n_items;
        *i = (WatchItem){ .job = { .id = id, .bot = strdup(bot) } };
        if (!i->job.bot)
                return NULL;
        w->n_items++;
        return i;
}

CtlExit watch_add(Watch *w, uint32_t id, const char *bot)
{
        WatchItem *i = add_item(w, id, bot);
        int r;

        if (!i)
                return ctl_oom();
        /* Gone already: then JobRemoved, which we listen for since before it began, is waiting in the queue. The same
         * goes for what tells that the daemon is gone: the next one will be asked for the job. */
        r = ctl_job_read(w->ctl, &i->job);
        if (r < 0 && r != -ENOENT && r != -EHOSTUNREACH)
                return ctl_call_failed(bot, r, NULL);
        return CTL_OK;
}

CtlExit watch_add_ended(Watch *w, CtlBot *b)
{
        WatchItem *i = add_item(w, b->last_job.id, b->name);

        if (!i)
                return ctl_oom();
        item_take_record(i, b);
        return CTL_OK;
}

static void print_detached(Watch *w)
{
        for (size_t i = 0; i < w->n_items; i++) {
                const CtlJob *job = &w->items[i].job;

                if (!job->result)
                        (void) ctl_error(CTL_OK,
                                         "Detached. Job %" PRIu32 " of %s goes on; follow it with 'tgswitchctl "
                                         "wait %" PRIu32 "'%s.",
                                         job->id, job->bot, job->id,
                                         job->cancellable ? ", or take it back with 'tgswitchctl cancel'" : "");
        }
}

CtlExit watch_run(Watch *w, int *ret_detached)
{
        int r = 0;

        for (size_t i = 0; i < w->n_items && !w->ctl->json; i++)
                if (!w->items[i].job.result)
                        show_begin(w, w->items + i);
        maybe_finish(w); /* all of them may have ended before we came */
        while (!w->finished && r >= 0)
                r = sd_event_run(w->event, UINT64_MAX);
        close_line(w);
        if (r < 0)
                return ctl_call_failed(NULL, r, NULL);
        if (w->lost)
                return ctl_error(CTL_UNREACHABLE,
                                 "The system bus has gone. The jobs go on; 'tgswitchctl status' tells more.");
        if (w->signal)
                print_detached(w);
        *ret_detached = w->signal;
        return CTL_OK;
}

/* ---- the end ---- */

void watch_print_jobs(const Watch *w)
{
        for (size_t i = 0; i < w->n_items; i++)
                printf("Job %" PRIu32 " moves %s; follow it with 'tgswitchctl wait %" PRIu32 "'.\n", w->items[i].job.id,
                       w->items[i].job.bot, w->items[i].job.id);
}

CtlExit watch_report(Watch *w, size_t n_refused, json_object *json)
{
        size_t n_done = 0;

        for (size_t i = 0; i < w->n_items; i++) {
                WatchItem *item = w->items + i;

                tell_result(w, item);
                n_done += streq_ptr(item->job.result, "done");
                if (json && json_object_array_add(json, json_job(&item->job)) < 0)
                        abort();
        }

        if (n_done == w->n_items && n_refused == 0)
                return CTL_OK;
        return n_done > 0 ? CTL_SOME_FAILED : CTL_FAILED;
}
