/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>
#include <inttypes.h>
#include <signal.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "base/strv.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl-clock.h"
#include "ctl/ctl-listen.h"
#include "ctl/ctl-monitor-tell.h"

/* Every change, as it comes. The daemon's objects are kept as they are, and beside each what was told of it last: what
 * differs is told. So a signal and a look at a daemon that has come back are one thing, and nothing is told twice. */

#define AGAIN_USEC USEC_PER_SEC

typedef struct Monitor {
        Ctl *ctl;
        sd_event *event;
        sd_event_source *again; /* on while a daemon that is there has not answered */
        MonitorBot **bots;
        size_t n_bots;
        MonitorJob **jobs;
        size_t n_jobs;
        char *server_state;
        int signal; /* that ended it; 0: none */
        bool finished, lost;
} Monitor;

static bool is_wanted(const Monitor *m, const char *bot)
{
        bool any = false;

        for (char **p = m->ctl->arguments; *p; p++)
                any = any || fnmatch(*p, bot, 0) == 0;
        return any || !m->ctl->arguments[0];
}

/* ---- bots and jobs ---- */

static void *grow(void *array, size_t n)
{
        void *grown = reallocarray(array, n + 1, sizeof(void *));

        if (!grown)
                abort();
        return grown;
}

static MonitorBot *find_bot(Monitor *m, const char *name)
{
        for (size_t i = 0; i < m->n_bots; i++)
                if (streq_ptr(m->bots[i]->bot.name, name))
                        return m->bots[i];
        return NULL;
}

static MonitorJob *find_job(Monitor *m, uint32_t id)
{
        for (size_t i = 0; i < m->n_jobs; i++)
                if (m->jobs[i]->job.id == id)
                        return m->jobs[i];
        return NULL;
}

static MonitorJob *add_job(Monitor *m, uint32_t id)
{
        MonitorJob *j = calloc(1, sizeof(*j));

        if (!j)
                abort();
        j->job.id = id;
        m->jobs = grow(m->jobs, m->n_jobs);
        return m->jobs[m->n_jobs++] = j;
}

static void drop_job(Monitor *m, MonitorJob *job)
{
        size_t i = 0;

        while (m->jobs[i] != job)
                i++;
        m->jobs[i] = m->jobs[--m->n_jobs];
        monitor_job_free(job);
}

static void end_job(Monitor *m, MonitorJob *job, const char *result, CtlJob *record)
{
        tell_job_end(m->ctl, &job->job, result, record);
        drop_job(m, job);
}

/* ---- a look at everything ---- */

static void take_bots(Monitor *m, CtlState *s)
{
        for (size_t i = 0; i < s->n_bots; i++) {
                MonitorBot *b = find_bot(m, s->bots[i].name);

                if (!is_wanted(m, s->bots[i].name))
                        continue;
                if (!b) {
                        b = calloc(1, sizeof(*b));
                        if (!b)
                                abort();
                        m->bots = grow(m->bots, m->n_bots);
                        m->bots[m->n_bots++] = b;
                }
                ctl_bot_done(&b->bot);
                b->bot = s->bots[i];
                s->bots[i] = (CtlBot){ .name = strdup(b->bot.name) }; /* by which ctl_state_bot() finds it */
                if (!s->bots[i].name)
                        abort();
        }
        for (size_t i = 0; i < m->n_bots;)
                if (ctl_state_bot(s, m->bots[i]->bot.name)) {
                        i++;
                } else {
                        tell_bot_gone(m->ctl, m->bots[i]);
                        monitor_bot_free(m->bots[i]);
                        m->bots[i] = m->bots[--m->n_bots];
                }
}

static void take_jobs(Monitor *m, CtlState *s)
{
        for (size_t i = m->n_jobs; i-- > 0;) {
                MonitorJob *job = m->jobs[i];
                MonitorBot *b = find_bot(m, job->job.bot ?: "");

                if (ctl_state_job(s, job->job.id))
                        continue;
                if (b && b->bot.last_job.id == job->job.id)
                        end_job(m, job, b->bot.last_job.result ?: "unknown", &b->bot.last_job);
                else
                        end_job(m, job, "unknown", NULL);
        }
        for (size_t i = 0; i < s->n_jobs; i++) {
                MonitorJob *job = find_job(m, s->jobs[i].id);

                if (!is_wanted(m, s->jobs[i].bot ?: ""))
                        continue;
                if (!job)
                        job = add_job(m, s->jobs[i].id);
                ctl_job_done(&job->job);
                job->job = s->jobs[i];
                s->jobs[i] = (CtlJob){ 0 };
        }
}

static void take_server_state(Monitor *m, const char *state)
{
        if (streq_ptr(m->server_state, state))
                return;
        if (m->server_state)
                tell_server(m->ctl, state);
        free(m->server_state);
        m->server_state = strdup(state);
        if (!m->server_state)
                abort();
}

static void tell_changes(Monitor *m)
{
        for (size_t i = 0; i < m->n_jobs; i++)
                tell_job(m->ctl, m->jobs[i]);
        for (size_t i = 0; i < m->n_bots; i++)
                tell_bot(m->ctl, m->bots[i]);
}

/* Of the first look nothing but running jobs is told: it is how things are, and no change. */
static int look(Monitor *m, bool first, sd_bus_error *error)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        int r;

        r = ctl_state_read(m->ctl, &s, error);
        if (r < 0)
                return r;
        take_server_state(m, s.server_state ?: "");
        take_bots(m, &s);
        take_jobs(m, &s);
        for (size_t i = 0; first && i < m->n_bots; i++)
                monitor_bot_told(m->bots[i]);
        tell_changes(m);
        return 0;
}

static void look_again(Monitor *m)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (look(m, false, &error) >= 0)
                return;
        if (sd_event_source_set_time_relative(m->again, AGAIN_USEC) < 0 ||
            sd_event_source_set_enabled(m->again, SD_EVENT_ONESHOT) < 0)
                abort();
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        look_again(userdata);
        return 0;
}

/* ---- what the daemon tells ---- */

static void take_job_properties(Monitor *m, uint32_t id, sd_bus_message *message)
{
        MonitorJob *job = find_job(m, id);

        if (!job)
                return;
        if (ctl_job_update(&job->job, message) >= 0)
                tell_job(m->ctl, job);
}

static void take_bot_properties(Monitor *m, const char *name, sd_bus_message *message)
{
        MonitorBot *b = find_bot(m, name);

        if (!b)
                return;
        if (ctl_bot_update(&b->bot, message) >= 0)
                tell_bot(m->ctl, b);
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        const char *path = sd_bus_message_get_path(message), *interface, *rest, *state;
        Monitor *m = userdata;

        if (sd_bus_message_read(message, "s", &interface) < 0)
                return 0;
        if (streq(interface, BUS_JOB_INTERFACE) && (rest = startswith(path, BUS_JOB_PREFIX)))
                take_job_properties(m, (uint32_t) strtoul(rest, NULL, 10), message);
        else if (streq(interface, BUS_BOT_INTERFACE) && (rest = startswith(path, BUS_BOT_PREFIX)))
                take_bot_properties(m, rest, message);
        else if (streq(interface, BUS_MANAGER_INTERFACE)) {
                _cleanup_(ctl_state_done) CtlState s = { 0 };

                if (ctl_state_update(&s, message) >= 0 && (state = s.server_state))
                        take_server_state(m, state);
        }
        return 0;
}

static int on_job_new(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        Monitor *m = userdata;
        MonitorJob *job;
        const char *bot;
        uint32_t id;

        if (sd_bus_message_read(message, "uos", &id, NULL, &bot) < 0 || !is_wanted(m, bot) || find_job(m, id))
                return 0;
        job = add_job(m, id);
        job->job.bot = strdup(bot);
        if (!job->job.bot)
                abort();
        (void) !ctl_job_read(m->ctl, &job->job); /* ended already: JobRemoved comes next */
        tell_job(m->ctl, job);
        return 0;
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(ctl_bot_done) CtlBot b = { 0 };
        Monitor *m = userdata;
        const char *result;
        MonitorJob *job;
        uint32_t id;

        if (sd_bus_message_read(message, "uoss", &id, NULL, NULL, &result) < 0)
                return 0;
        job = find_job(m, id);
        if (!job)
                return 0;
        (void) !ctl_bot_read(m->ctl, job->job.bot, &b);
        end_job(m, job, result, b.last_job.id == id ? &b.last_job : NULL);
        return 0;
}

/* A reload has brought a bot, or taken one. Jobs have signals of their own. */
static int on_objects(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        const char *path;

        if (sd_bus_message_read(message, "o", &path) >= 0 && startswith(path, BUS_BOT_PREFIX))
                look_again(userdata);
        return 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        const char *new_owner;
        Monitor *m = userdata;

        if (sd_bus_message_read(message, "sss", NULL, NULL, &new_owner) < 0)
                return 0;
        tell_daemon(m->ctl, !isempty(new_owner));
        if (isempty(new_owner))
                (void) sd_event_source_set_enabled(m->again, SD_EVENT_OFF);
        else
                look_again(m);
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        Monitor *m = userdata;

        m->lost = m->finished = true;
        return 0;
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        Monitor *m = userdata;

        m->signal = (int) si->ssi_signo;
        m->finished = true;
        return 0;
}

/* ---- monitoring ---- */

static int listen_to_bus(Monitor *m)
{
        static const CtlMatch matches[] = {
                { MATCH_DISCONNECTED, on_disconnected },
                { MATCH_MANAGER("JobNew"), on_job_new },
                { MATCH_MANAGER("JobRemoved"), on_job_removed },
                { MATCH_PROPERTIES(BUS_PATH), on_properties },
                { MATCH_OBJECTS, on_objects },
                { MATCH_OWNER, on_owner },
        };

        return ctl_listen(m->ctl->bus, matches, ELEMENTSOF(matches), m);
}

static int set_up(Monitor *m)
{
        sigset_t signals;
        int r;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        if ((r = sd_event_new(&m->event)) < 0 || (r = ctl_add_signal(m->event, SIGINT, on_end, m)) < 0 ||
            (r = ctl_add_signal(m->event, SIGTERM, on_end, m)) < 0 ||
            (r = sd_event_add_time(m->event, &m->again, CLOCK_MONOTONIC, 0, 0, on_again, m)) < 0 ||
            (r = sd_event_source_set_enabled(m->again, SD_EVENT_OFF)) < 0 ||
            (r = sd_bus_attach_event(m->ctl->bus, m->event, SD_EVENT_PRIORITY_NORMAL)) < 0)
                return r;
        return listen_to_bus(m);
}

static CtlExit begin(Monitor *m)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        CtlExit status;
        int r;

        /* a name that is none now is a mistake of the one who typed it */
        if ((status = ctl_begin(m->ctl, &s)) != CTL_OK || (status = ctl_state_select(&s, m->ctl->arguments)) != CTL_OK)
                return status;
        r = set_up(m);
        if (r >= 0)
                r = look(m, true, &error);
        if (r < 0)
                return ctl_call_failed(NULL, r, &error);
        tell_begin(m->ctl, m->n_bots);
        return CTL_OK;
}

static void monitor_done(Monitor *m)
{
        /* before what its callbacks point to goes */
        m->ctl->bus = sd_bus_flush_close_unref(m->ctl->bus);
        for (size_t i = 0; i < m->n_bots; i++)
                monitor_bot_free(m->bots[i]);
        for (size_t i = 0; i < m->n_jobs; i++)
                monitor_job_free(m->jobs[i]);
        free(m->bots);
        free(m->jobs);
        free(m->server_state);
        sd_event_source_disable_unref(m->again);
        sd_event_unref(m->event);
}

CtlExit verb_monitor(Ctl *c)
{
        _cleanup_(monitor_done) Monitor m = { .ctl = c };
        CtlExit status;
        int r = 0;

        status = begin(&m);
        if (status != CTL_OK)
                return status;
        while (!m.finished && r >= 0)
                r = sd_event_run(m.event, UINT64_MAX);
        if (r < 0)
                return ctl_call_failed(NULL, r, NULL);
        if (m.signal == SIGINT && c->terminal)
                putchar('\n'); /* behind "^C" */
        if (m.lost && !m.signal)
                return ctl_error(CTL_UNREACHABLE, "%s%s has gone, and with it what would tell of changes.",
                                 c->host ? "The connection to " : "The system bus", c->host ?: "");
        return CTL_OK;
}
