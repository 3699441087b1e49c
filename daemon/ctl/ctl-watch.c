/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <signal.h>
#include <systemd/sd-event.h>

#include "ctl/ctl-clock.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-listen.h"
#include "ctl/ctl-watch-show.h"
#include "ctl/ctl-watch.h"

/* So long after a daemon that is there did not answer it is asked again. */
#define RESUME_AGAIN_USEC USEC_PER_SEC
/* For an answer that comes when all jobs of a call are on record. */
#define BEGIN_TIMEOUT_USEC (5 * USEC_PER_MIN)

/* A job that ended before it was added: its bot's call was still to be answered. */
typedef struct WatchEnd {
        uint32_t id;
        char *result;
} WatchEnd;

struct Watch {
        Ctl *ctl;
        sd_event *event;
        sd_event_source *timer; /* on a terminal: the line that is written over counts */
        sd_event_source *again; /* on while a daemon that came back has not told of our jobs */
        WatchItem *items;
        size_t n_items;
        WatchEnd *ends;
        size_t n_ends;
        WatchShow show;
        bool asking;   /* for jobs: what is missing is no job that has gone */
        bool finished; /* sd_event_exit() would close the bus, which is needed for the results */
        int signal;    /* that detached us; 0: none */
        bool lost;     /* the bus has gone */
};

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
        for (size_t i = 0; i < w->n_items && id > 0; i++)
                if (w->items[i].job.id == id && !w->items[i].job.result)
                        return w->items + i;
        return NULL;
}

/* One that was asked for, and has no number yet. */
static WatchItem *find_expected(Watch *w, const char *bot)
{
        for (size_t i = 0; i < w->n_items; i++)
                if (w->items[i].job.id == 0 && streq(w->items[i].job.bot, bot))
                        return w->items + i;
        return NULL;
}

static void item_end(WatchItem *i, const char *result)
{
        i->job.result = strdup(result);
        if (!i->job.result)
                abort();
}

static void item_take_windows(WatchItem *i, const CtlBot *b)
{
        i->cloud_allowed_usec = b->cloud_allowed_usec;
        i->local_allowed_usec = b->local_allowed_usec;
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
        show_result(&w->show, &i->job, &b);
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
                show_phase_end(&w->show, &i->job, phase, usec_sub(ended_usec, began_usec));
        }
        if (!isempty(i->job.phase))
                show_waiting(&w->show, i);
        return 0;
}

static int on_bot_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *name = startswith(sd_bus_message_get_path(m), BUS_BOT_PREFIX), *interface;
        Watch *w = userdata;

        if (!name || sd_bus_message_read(m, "s", &interface) < 0 || !streq(interface, BUS_BOT_INTERFACE))
                return 0;
        for (size_t i = 0; i < w->n_items; i++) {
                WatchItem *item = w->items + i;
                _cleanup_(ctl_bot_done) CtlBot b = { .cloud_allowed_usec = item->cloud_allowed_usec,
                                                     .local_allowed_usec = item->local_allowed_usec };

                if (!streq(item->job.bot, name))
                        continue;
                if (ctl_bot_update(&b, m) >= 0)
                        item_take_windows(item, &b);
                break;
        }
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

static void note_end(Watch *w, uint32_t id, const char *result)
{
        WatchEnd *grown = reallocarray(w->ends, w->n_ends + 1, sizeof(*grown));

        if (!grown)
                abort();
        w->ends = grown;
        grown[w->n_ends] = (WatchEnd){ .id = id, .result = strdup(result) };
        if (!grown[w->n_ends++].result)
                abort();
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
        if (!i) {
                note_end(w, id, result);
                return 0;
        }
        item_end(i, result);
        tell_result(w, i);
        maybe_finish(w);
        return 0;
}

/* Moves a running job out of what was read. False: there is none of this number. */
static bool take_job(CtlState *s, uint32_t id, CtlJob *ret)
{
        for (size_t i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].id == id) {
                        *ret = s->jobs[i];
                        s->jobs[i] = (CtlJob){ 0 };
                        return true;
                }
        return false;
}

/* Brings one item up to date with what the daemon has told of everything. One that it does not know has ended and may
 * be about to be told; where the daemon is another one, nobody will. */
static void item_catch_up(WatchItem *i, CtlState *s, bool another)
{
        CtlBot *b = ctl_state_bot(s, i->job.bot);
        CtlJob job;

        if (b)
                item_take_windows(i, b);
        if (take_job(s, i->job.id, &job)) {
                ctl_job_done(&i->job);
                i->job = job;
        } else if (b && b->last_job.id == i->job.id)
                item_take_record(i, b);
        else if (another)
                item_end(i, "unknown");
}

/* Asks the daemon what has become of our jobs so far. */
static void catch_up(Watch *w, bool another)
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
        for (size_t i = 0; i < w->n_items; i++) {
                if (!w->items[i].job.result)
                        item_catch_up(w->items + i, &s, another);
                tell_result(w, w->items + i);
        }
        maybe_finish(w);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        catch_up(userdata, true);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *new_owner;
        Watch *w = userdata;

        if (sd_bus_message_read(m, "sss", NULL, NULL, &new_owner) < 0 || w->asking)
                return 0;
        if (isempty(new_owner)) {
                (void) sd_event_source_set_enabled(w->again, SD_EVENT_OFF);
                live_hide(&w->show.live);
                (void) ctl_error(CTL_OK,
                                 "tgswitchd has gone; waiting for it to come back. Its jobs go on by themselves.");
                return 0;
        }
        catch_up(w, true);
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

/* Shown anew when the event is over, as after each. */
static int on_resized(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        Watch *w = userdata;

        live_measure(&w->show.live);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        return sd_event_source_set_time_relative(source, USEC_PER_SEC);
}

/* ---- watching ---- */

static int watch_listen(Watch *w)
{
        static const CtlMatch matches[] = {
                { MATCH_DISCONNECTED, on_disconnected },
                { MATCH_MANAGER("JobRemoved"), on_job_removed },
                { MATCH_PROPERTIES(BUS_PATH "/job"), on_properties },
                { MATCH_PROPERTIES(BUS_PATH "/bot"), on_bot_properties },
                { MATCH_OWNER, on_owner },
        };

        return ctl_listen(w->ctl->bus, matches, ELEMENTSOF(matches), w);
}

static int watch_set_up(Watch *w)
{
        sigset_t signals;
        int r;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGWINCH);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;

        if ((r = sd_event_new(&w->event)) < 0 || (r = ctl_add_signal(w->event, SIGINT, on_detach, w)) < 0 ||
            (r = ctl_add_signal(w->event, SIGTERM, on_detach, w)) < 0 ||
            (r = ctl_add_signal(w->event, SIGWINCH, on_resized, w)) < 0 ||
            (r = sd_event_add_time(w->event, &w->again, CLOCK_MONOTONIC, 0, 0, on_again, w)) < 0 ||
            (r = sd_event_source_set_enabled(w->again, SD_EVENT_OFF)) < 0 ||
            (r = sd_bus_attach_event(w->ctl->bus, w->event, SD_EVENT_PRIORITY_NORMAL)) < 0)
                return r;
        live_open(&w->show.live, w->ctl);
        if (w->show.live.on) {
                if ((r = sd_event_add_time_relative(w->event, &w->timer, CLOCK_MONOTONIC, USEC_PER_SEC, USEC_PER_MSEC,
                                                    on_timer, w)) < 0 ||
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
        w->show.ctl = c;
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
        for (size_t i = 0; i < w->n_ends; i++)
                free(w->ends[i].result);
        free(w->items);
        free(w->ends);
        live_close(&w->show.live);
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
        w->show.many = w->n_items > 1;
        w->show.name_width = MAX(w->show.name_width, (int) strlen(bot));
        return i;
}

CtlExit watch_expect(Watch *w, const char *bot)
{
        return add_item(w, 0, bot) ? CTL_OK : ctl_oom();
}

void watch_drop(Watch *w, const char *bot)
{
        WatchItem *i = find_expected(w, bot), *end = w->items + w->n_items;

        if (!i)
                return;
        ctl_job_done(&i->job);
        memmove(i, i + 1, (size_t) (end - i - 1) * sizeof(*i));
        w->n_items--;
}

CtlExit watch_add(Watch *w, uint32_t id, const char *bot, const char *target)
{
        WatchItem *i = find_expected(w, bot) ?: add_item(w, id, bot);

        if (!i || !(i->job.target = strdup(target)))
                return ctl_oom();
        i->job.id = id;
        if (!w->ctl->json && !w->ctl->no_wait)
                show_begin(&w->show, i);
        /* Gone already: then JobRemoved, which we listen for since before it began, was dispatched during its call, or
         * is waiting in the queue. */
        for (size_t e = 0; e < w->n_ends && !i->job.result; e++)
                if (w->ends[e].id == id)
                        item_end(i, w->ends[e].result);
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

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        *(sd_bus_message **) userdata = sd_bus_message_ref(m);
        return 1;
}

static int call_in_loop(Watch *w, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        int r;

        r = sd_bus_call_async(w->ctl->bus, &slot, m, on_answer, &answer, BEGIN_TIMEOUT_USEC);
        while (r >= 0 && !answer && !w->signal && !w->lost) {
                show_now(&w->show, w->items, w->n_items);
                r = sd_event_run(w->event, UINT64_MAX);
        }
        if (r >= 0 && !answer)
                r = w->signal ? -ECANCELED : -ENOTCONN;
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        if (sd_bus_message_is_method_error(answer, NULL)) {
                (void) sd_bus_error_copy(error, sd_bus_message_get_error(answer));
                return -sd_bus_message_get_errno(answer);
        }
        *ret = TAKE_PTR(answer);
        return 0;
}

int watch_call(Watch *w, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret)
{
        int r;

        /* The line would be written over the question. */
        if (ctl_may_be_asked(w->ctl)) {
                watch_hide(w);
                return ctl_call_message(w->ctl, m, BEGIN_TIMEOUT_USEC, error, ret);
        }
        w->asking = true;
        r = call_in_loop(w, m, error, ret);
        w->asking = false;
        return r;
}

void watch_catch_up(Watch *w)
{
        catch_up(w, false);
}

void watch_hide(Watch *w)
{
        live_hide(&w->show.live);
}

bool watch_is_detached(const Watch *w)
{
        return w->signal != 0;
}

CtlExit watch_run(Watch *w, int *ret_detached)
{
        int r = 0;

        w->finished = w->lost || w->signal;
        if (!w->finished) {
                catch_up(w, false);
                for (size_t i = 0; i < w->n_items; i++)
                        show_waiting(&w->show, w->items + i);
                maybe_finish(w); /* all of them may have ended before we came */
        }
        while (!w->finished && r >= 0) {
                show_now(&w->show, w->items, w->n_items);
                r = sd_event_run(w->event, UINT64_MAX);
        }
        live_hide(&w->show.live);
        if (r < 0)
                return ctl_call_failed(NULL, r, NULL);
        if (w->signal)
                show_detached(&w->show, w->items, w->n_items);
        else if (w->lost)
                return ctl_error(CTL_UNREACHABLE, "%s%s has gone. The jobs go on; '%s status' tells more.",
                                 w->ctl->host ? "The connection to " : "The system bus", w->ctl->host ?: "",
                                 ctl_program(w->ctl));
        *ret_detached = w->signal;
        return CTL_OK;
}

/* ---- the end ---- */

void watch_print_jobs(const Watch *w)
{
        for (size_t i = 0; i < w->n_items; i++)
                printf("Job %" PRIu32 " moves %s; follow it with '%s wait %" PRIu32 "'.\n", w->items[i].job.id,
                       w->items[i].job.bot, ctl_program(w->ctl), w->items[i].job.id);
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

        if (!w->signal)
                show_sum(&w->show, w->items, w->n_items, n_refused);
        if (n_done == w->n_items && n_refused == 0)
                return CTL_OK;
        return n_done > 0 ? CTL_SOME_FAILED : CTL_FAILED;
}
