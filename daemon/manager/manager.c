/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/strv.h"
#include "manager/bot.h"

static int copy_string(char **ret, const char *s)
{
        if (!s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

/* Of probes, which go out with no bot's token. */
static void on_reply(BotApiMethod method, int seat, const BotApiReply *reply, void *userdata)
{
        _cleanup_free_ char *said = NULL;

        if (log_max_level() < LOG_DEBUG)
                return;
        said = botapi_reply_describe(reply);
        log_debug("The %s server answers a probe by %s: %s.", seat_to_string(seat), botapi_method_to_string(method),
                  said ?: "no memory");
}

int manager_new(Manager **ret, sd_event *event, sd_bus *bus, const ManagerPaths *paths, int gate_fd)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        CredentialSocketHandlers handlers = { gate_decide, gate_served, NULL };
        Moment now;
        int r;

        m = calloc(1, sizeof(Manager));
        if (!m)
                return -ENOMEM;
        r = clock_moment(&now);
        if (r < 0)
                return log_error_errno(
                                r,
                                "Failed to read the boot id, without which no window can be counted: %m. "
                                "/proc/sys/kernel/random/boot_id has to be readable in the sandbox of tgswitchd.service.");
        m->event = sd_event_ref(event);
        m->bus = sd_bus_ref(bus);
        m->server_state = UNIT_OTHER; /* until systemd tells */
        metrics_init(&m->metrics);
        m->config_directories = paths->config_directories ?: config_directories;
        r = copy_string(&m->state_directory, paths->state_directory);
        if (r >= 0)
                r = copy_string(&m->runtime_directory, paths->runtime_directory);
        if (r >= 0)
                r = copy_string(&m->credentials_directory, paths->credentials_directory);
        if (r >= 0)
                r = manager_load_config(m);
        if (r < 0)
                return r;
        r = disk_queue_new(&m->disk, event);
        if (r >= 0)
                r = store_open(&m->store, m->disk, m->state_directory);
        if (r >= 0)
                r = history_open(&m->history, m->disk, event, m->state_directory);
        if (r < 0)
                return log_error_errno(r,
                                       "Failed to open the state directory %s: %m. It has to be tgswitchd's own, as "
                                       "StateDirectory= of tgswitchd.service makes it.",
                                       m->state_directory);
        r = botapi_client_new(&m->api, event);
        if (r >= 0)
                botapi_client_observe(m->api, on_reply, m);
        if (r >= 0)
                r = unit_client_new(&m->units, bus);
        if (r >= 0)
                r = clock_watch_synchronised(bus);
        if (r < 0)
                return r;
        handlers.userdata = m;
        r = credential_socket_new(&m->gate, event, gate_fd, m->config->connections_max, &handlers);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->status_source);
        sd_event_source_disable_unref(m->schedule_source);
        clock_timer_free(m->schedule_timer);
        clock_timer_free(m->watch_timer);
        server_call_free(m->watch_call);
        unit_call_free(m->server_look);
        server_call_free(m->server_call);
        unit_call_free(m->server_watch);
        for (size_t i = 0; i < m->n_bots; i++)
                bot_free(m->bots[i]);
        free(m->bots);
        counts_done(&m->counts);
        workers_done(&m->workers);
        credential_socket_free(m->gate);
        inhibitor_free(m->inhibitor);
        disk_job_free(m->copying);
        if (clock_watch_synchronised(NULL) < 0)
                log_debug("Failed to stop watching the clock, ignoring.");
        unit_client_free(m->units);
        botapi_client_free(m->api);
        manager_history_done(m);
        store_free(m->store);
        disk_queue_free(m->disk);
        config_free(m->config);
        config_free(m->fallback);
        config_problems_done(&m->problems);
        sd_bus_unref(m->bus);
        sd_event_unref(m->event);
        free(m->state_directory);
        free(m->runtime_directory);
        free(m->credentials_directory);
        free(m->status);
        free(m->server_complaint);
        free(m);
        return NULL;
}

void manager_set_observer(Manager *m, const ManagerObserver *observer)
{
        m->observer = observer;
}

bool manager_adopt_fd(Manager *m, int fd, const char *name)
{
        int r;

        if (!credential_socket_owns_name(name))
                return false;
        r = credential_socket_adopt(m->gate, fd, name);
        if (r < 0)
                log_warning_errno(r, "Failed to take over the connection of a worker that waits at the gate: %m. Its "
                                     "start fails: find it with 'systemctl --failed' and start it again.");
        return true;
}

size_t manager_bot_place(const Manager *m, const char *name)
{
        size_t from = 0, to = m->n_bots;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (strcmp(m->bots[middle]->name, name) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

int manager_add_bot(Manager *m, const char *name, Bot **ret)
{
        _cleanup_(bot_freep) Bot *b = NULL;
        Bot **grown;
        size_t i;
        int r;

        r = bot_new(&b, m, name);
        if (r < 0)
                return r;
        grown = reallocarray(m->bots, m->n_bots + 1, sizeof(Bot *));
        if (!grown)
                return -ENOMEM;
        m->bots = grown;
        r = counts_reserve(&m->counts, m->n_bots + 1);
        if (r < 0)
                return r;
        i = manager_bot_place(m, name);
        memmove(m->bots + i + 1, m->bots + i, (m->n_bots - i) * sizeof(Bot *));
        m->bots[i] = b;
        m->n_bots++;
        *ret = TAKE_PTR(b);
        return 0;
}

void manager_remove_bot(Manager *m, Bot *b)
{
        size_t i = manager_bot_place(m, b->name);

        assert(m->bots[i] == b);
        /* While it can still be found: the bus tells what interfaces have gone. */
        if (m->observer)
                m->observer->bot_removed(b, m->observer->userdata);
        bot_uncount(b);
        workers_forget(&m->workers, b);
        memmove(m->bots + i, m->bots + i + 1, (m->n_bots - i - 1) * sizeof(Bot *));
        m->n_bots--;
        bot_free(b);
}

int manager_start(Manager *m)
{
        int r;

        r = manager_apply_config(m);
        if (r < 0)
                return r;
        r = server_watch(m);
        if (r < 0)
                return r;
        server_start_if_used(m);
        manager_watch(m);
        manager_status_changed(m);
        return 0;
}

void manager_maybe_exit(Manager *m)
{
        if (!m->stopping)
                return;
        for (size_t i = 0; i < m->n_bots; i++)
                if (bot_busy(m->bots[i]))
                        return;
        sd_event_exit(m->event, 0);
}

void manager_stop(Manager *m)
{
        m->stopping = true;
        /* The next process goes by what is on disk: it is tried once more, whenever the next try would have been. */
        for (size_t i = 0; i < m->n_bots; i++)
                if (m->bots[i]->unrecorded)
                        bot_record_aside(m->bots[i]);
        manager_maybe_exit(m);
}

/* From well before the request that leaves, so that logind's answer is there in time, until the workers may be served
 * again: a host that goes down in between leaves a bot nowhere. */
void manager_inhibit(Manager *m)
{
        int r;

        if (m->counts.n_gates_closed == 0) {
                m->inhibitor = inhibitor_free(m->inhibitor);
        } else if (!m->inhibitor) {
                r = inhibitor_take(&m->inhibitor, m->bus, "A Telegram bot is between two servers");
                if (r < 0)
                        log_warning_errno(r, "Failed to ask logind for a delay of shutdown and sleep, ignoring: %m");
        }
}

size_t manager_n_bots(const Manager *m)
{
        return m->n_bots;
}

Bot *manager_bot(const Manager *m, size_t i)
{
        assert(i < m->n_bots);

        return m->bots[i];
}

Bot *manager_find_bot(const Manager *m, const char *name)
{
        size_t i = manager_bot_place(m, name);

        return i < m->n_bots && streq(m->bots[i]->name, name) ? m->bots[i] : NULL;
}

Bot *manager_find_job(const Manager *m, uint32_t job_id)
{
        return counts_find_job(&m->counts, job_id);
}

size_t manager_n_at(const Manager *m, Seat seat)
{
        return m->counts.n_at[seat];
}

size_t manager_n_jobs(const Manager *m)
{
        return m->counts.with_job.n;
}

sd_event *manager_event(const Manager *m)
{
        return m->event;
}
