/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "daemon.h"
#include "judge.h"
#include "systemd.h"

static struct {
        Manager *manager;
        sd_event *event;
        sd_bus *bus; /* never connected: the manager only hands it on */
        bool dead;   /* but not buried */
        bool touched;
        bool stopping;
        unsigned places_left; /* until it dies; 0: it does not */
        Event *restart;
        unsigned n_crashes, n_starts;
        BotCheck *check;
} process;

void daemon_reset(void)
{
        process.dead = true;
        daemon_settle();
        process.restart = timeline_cancel(process.restart);
        memset(&process, 0, sizeof(process));
}

Manager *daemon_manager(void)
{
        return process.dead ? NULL : process.manager;
}

unsigned daemon_n_crashes(void)
{
        return process.n_crashes;
}

unsigned daemon_n_starts(void)
{
        return process.n_starts;
}

bool daemon_is_dead(void)
{
        return process.dead;
}

void daemon_touch(void)
{
        process.touched = true;
}

static void die(const char *where)
{
        process.dead = true;
        process.touched = true;
        process.places_left = 0;
        process.n_crashes++;
        trace("== tgswitchd dies (%s)", where);
        disk_process_died();
        gate_process_died();
}

bool daemon_dies_here(const char *where)
{
        if (!process.dead && process.places_left > 0 && --process.places_left == 0)
                die(where);
        return process.dead;
}

void daemon_crash(void)
{
        if (process.manager && !process.dead)
                die("killed");
}

void daemon_crash_at(unsigned n_places)
{
        process.places_left = n_places;
}

/* ---- the observer ---- */

static void on_bot_changed(Bot *bot, void *userdata)
{
        if (process.dead)
                return;
        judge_published(bot);
        judge_counts();
}

static void on_job_changed(Bot *bot, uint32_t id, void *userdata)
{
        on_bot_changed(bot, userdata);
}

static void ignore_manager(Manager *m, void *userdata)
{
}

/* As the bus does: a check is gone before its bot. */
static void on_bot_removed(Bot *bot, void *userdata)
{
        process.check = bot_check_free(process.check);
}

static void on_job_new(Bot *bot, uint32_t id, void *userdata)
{
        if (!process.dead)
                judge_job_began(world_find_bot(bot_name(bot)));
}

static void on_job_removed(Bot *bot, uint32_t id, JobResult result, void *userdata)
{
        if (!process.dead)
                judge_job_ended(world_find_bot(bot_name(bot)), result);
}

static const ManagerObserver observer = {
        .bot_added = on_bot_changed,
        .bot_removed = on_bot_removed,
        .bot_changed = on_bot_changed,
        .job_new = on_job_new,
        .job_changed = on_job_changed,
        .job_removed = on_job_removed,
        .manager_changed = ignore_manager,
};

/* ---- life ---- */

static void on_restart(void *userdata)
{
        process.restart = NULL;
        daemon_start();
}

static void restart_soon(void)
{
        if (!process.restart && world.up && !world.shutting_down)
                process.restart = timeline_add(random_span(50 * USEC_PER_MSEC, 3 * USEC_PER_SEC), PLACE_HOST,
                                               on_restart, NULL);
}

static void on_checked(const CheckItem *items, size_t n_items, void *userdata)
{
        judge_checked(items, n_items);
        process.check = bot_check_free(process.check);
}

void daemon_check(SimBot *b)
{
        _cleanup_free_ char *message = NULL;
        Bot *bot = manager_find_bot(process.manager, b->name);

        if (bot && !process.check)
                (void) bot_check(bot, random_chance(500) ? SEAT_LOCAL : SEAT_CLOUD, on_checked, NULL, &process.check,
                                 &message);
}

static void bury(void)
{
        process.check = bot_check_free(process.check);
        process.manager = manager_free(process.manager);
        process.bus = sd_bus_unref(process.bus);
        process.event = sd_event_unref(process.event);
        process.dead = process.stopping = false;
        process.places_left = 0;
}

static void adopt_connections(void)
{
        for (Connection *c = gate_connections; c; c = c->next) {
                char name[40];

                if (!c->held)
                        continue;
                snprintf(name, sizeof(name), "credential-%016" PRIx64, c->number);
                (void) manager_adopt_fd(process.manager, -1, name);
        }
}

void daemon_start(void)
{
        static const char *const directories[] = { "etc", NULL };
        ManagerPaths paths = {
                .config_directories = directories,
                .state_directory = "/state",
                .runtime_directory = "/",
                .credentials_directory = "/",
        };
        int r;

        process.restart = timeline_cancel(process.restart);
        if (process.manager || !world.up)
                return;
        trace("== tgswitchd starts");
        process.n_starts++;
        judge_daemon_starts();
        r = sd_event_new(&process.event);
        if (r >= 0)
                r = sd_bus_new(&process.bus);
        assert(r >= 0);
        r = manager_new(&process.manager, process.event, process.bus, &paths, -1);
        if (r >= 0) {
                manager_set_observer(process.manager, &observer);
                r = manager_start(process.manager);
        }
        if (r < 0) {
                trace("== tgswitchd does not start: %s", strerror(-r));
                process.dead = true;
                bury();
                restart_soon();
                return;
        }
        if (!process.dead)
                adopt_connections();
        daemon_touch();
}

void daemon_stop(bool keep_fds)
{
        if (!daemon_manager() || process.stopping)
                return;
        trace("== tgswitchd is stopped");
        process.stopping = true;
        manager_stop(process.manager);
        daemon_touch();
        if (keep_fds)
                return;
        /* The FD store is emptied, and what was in it ended. */
        for (Connection *c = gate_connections, *next; c; c = next) {
                next = c->next;
                if (c->held)
                        connection_answer(c, NULL, 0);
        }
}

bool daemon_stops(void)
{
        return process.stopping;
}

static bool loop_is_over(void)
{
        return sd_event_get_state(process.event) == SD_EVENT_FINISHED;
}

void daemon_settle(void)
{
        int r;

        while (process.touched && process.manager && !process.dead && !loop_is_over()) {
                r = sd_event_run(process.event, 0);
                assert(r >= 0);
                if (r == 0)
                        break;
        }
        process.touched = false;
        if (!process.manager)
                return;
        if (process.dead) {
                bury();
                restart_soon();
        } else if (loop_is_over()) {
                trace("== tgswitchd ends");
                bury();
                gate_process_died();
                restart_soon();
        }
}
