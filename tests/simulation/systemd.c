/* SPDX-License-Identifier: MIT */
#include "daemon.h"
#include "judge.h"
#include "systemd.h"

#define UNITS_MAX (1u + SIM_BOTS_MAX * 2u)

static struct {
        Unit units[UNITS_MAX];
        size_t n;
        uint32_t last_job;
        uint32_t last_pid;
        uint64_t last_invocation;
} manager;

void (*systemd_job_ended)(uint32_t job, UnitJobResult result);
void (*systemd_unit_changed)(Unit *u);

static void start_begin(Unit *u);

void systemd_reset(void)
{
        for (size_t i = 0; i < manager.n; i++) {
                process_kill(&manager.units[i]);
                connection_close(manager.units[i].connection);
                free(manager.units[i].part);
        }
        memset(&manager, 0, sizeof(manager));
}

Unit *systemd_add_unit(const char *name, UnitRole role, SimBot *bot)
{
        Unit *u = &manager.units[manager.n++];

        assert(manager.n <= UNITS_MAX);
        snprintf(u->name, sizeof(u->name), "%s", name);
        u->role = role;
        u->bot = bot;
        u->state = UNIT_INACTIVE;
        u->sub_state = "dead";
        u->result = "success";
        return u;
}

Unit *systemd_unit(size_t i)
{
        return i < manager.n ? &manager.units[i] : NULL;
}

Unit *systemd_find(const char *name)
{
        for (size_t i = 0; i < manager.n; i++)
                if (streq(manager.units[i].name, name))
                        return &manager.units[i];
        return NULL;
}

Unit *systemd_server(void)
{
        return &manager.units[0];
}

static bool is_worker(const Unit *u)
{
        return u->role != ROLE_SERVER && u->role != ROLE_TIMER;
}

static void enter(Unit *u, UnitActiveState state, const char *sub_state)
{
        u->event = timeline_cancel(u->event);
        u->state = state;
        u->sub_state = sub_state;
        trace("%s: %s (%s)", u->name, unit_active_state_to_string(state), sub_state);
        if (systemd_unit_changed)
                systemd_unit_changed(u);
}

static void job_end(Unit *u, UnitJobResult result)
{
        uint32_t id = u->job_id;

        if (id == 0)
                return;
        u->job_id = 0;
        trace("%s: job %u %s", u->name, id, unit_job_result_to_string(result));
        if (systemd_job_ended)
                systemd_job_ended(id, result);
}

/* ---- starting ---- */

/* systemd takes the credentials of a command one after the other, in no order that one could rely on. */
static void ask_next(Unit *u)
{
        static const char *const ids[] = { "bot-token", "bot-endpoint", "bot-pending-updates" };

        u->connection = connection_new(u, ids[u->order[u->n_asked]]);
        gate_connected();
}

static void ask_credentials(Unit *u)
{
        u->n_asked = 0;
        u->has_token = false;
        u->has_endpoint = true;
        u->n_part = 0;
        for (uint8_t i = 0; i < 3; i++)
                u->order[i] = i;
        for (size_t i = 2; i > 0; i--) {
                size_t j = random_below(i + 1);
                uint8_t x = u->order[i];

                u->order[i] = u->order[j];
                u->order[j] = x;
        }
        ask_next(u);
}

static void failed(Unit *u, const char *result)
{
        u->result = result;
        u->main_pid = 0;
        /* A stop that comes at the moment in which the program dies is in vain where the unit restarts. */
        if (u->wanted == WANTED_YES || (u->job_id != 0 && u->job_verb == UNIT_STOP))
                u->wanted = WANTED_EITHER;
        if (u->restarts && ++u->n_restarts <= 5 && !world.shutting_down) {
                enter(u, UNIT_ACTIVATING, "auto-restart");
                job_end(u, UNIT_JOB_FAILED);
                return;
        }
        enter(u, UNIT_FAILED, "failed");
        job_end(u, UNIT_JOB_FAILED);
}

static void on_restart(void *userdata)
{
        Unit *u = userdata;

        u->event = NULL;
        start_begin(u);
}

static void end_in_failure(Unit *u, const char *result)
{
        failed(u, result);
        if (u->state == UNIT_ACTIVATING)
                u->event = timeline_add(random_span(100 * USEC_PER_MSEC, 5 * USEC_PER_SEC), PLACE_HOST, on_restart, u);
}

static void on_executed(void *userdata)
{
        Unit *u = userdata;

        u->event = NULL;
        if (u->role != ROLE_ONESHOT && u->state == UNIT_ACTIVATING) {
                enter(u, UNIT_ACTIVE, "running");
                job_end(u, UNIT_JOB_DONE);
        }
        process_start(u);
}

static void fork_main(Unit *u)
{
        u->main_is_next = true;
        u->main_pid = ++manager.last_pid;
        u->main_start_usec = world_monotonic_usec();
        if (u->simple && u->role != ROLE_ONESHOT) {
                enter(u, UNIT_ACTIVE, "running");
                job_end(u, UNIT_JOB_DONE);
        } else {
                enter(u, UNIT_ACTIVATING, "start");
        }
        ask_credentials(u);
}

static void on_pre_done(void *userdata)
{
        Unit *u = userdata;

        u->event = NULL;
        if (!u->has_token || fault(world.faults.unit_fails))
                end_in_failure(u, "exit-code");
        else
                fork_main(u);
}

static bool take_part(Unit *u, const char *data, size_t size)
{
        const char *end = data + size;

        u->n_part = 0;
        u->part = reallocarray(u->part, size / 2 + 1, sizeof(uint32_t));
        assert(u->part);
        for (const char *p = data; p < end; p++) {
                char *after;

                if (*p < '0' || *p > '9')
                        continue;
                u->part[u->n_part++] = (uint32_t) strtoul(p, &after, 10);
                p = after - 1;
        }
        return size > 0;
}

void unit_credential(Unit *u, const char *id, const char *data, size_t size)
{
        trace("%s: %s is %zu bytes%s", u->name, id, size, u->main_is_next ? ", of the main program" : "");
        if (streq(id, "bot-token"))
                u->has_token = size > 0;
        else if (streq(id, "bot-endpoint") && size == 0)
                u->has_endpoint = false;
        else if (streq(id, "bot-endpoint"))
                u->side = size == strlen(CLOUD_ROOT) && memcmp(data, CLOUD_ROOT, size) == 0 ? SIDE_CLOUD : SIDE_LOCAL;
        else
                (void) take_part(u, data, size);
        if (++u->n_asked < 3)
                ask_next(u);
        else
                u->event = timeline_add(random_span(USEC_PER_MSEC, 20 * USEC_PER_MSEC), PLACE_HOST,
                                        u->main_is_next ? on_executed : on_pre_done, u);
}

static void on_timer(void *userdata);

static void on_server_started(void *userdata)
{
        Unit *u = userdata;
        bool outage = timeline_now() < world.outage_until;

        u->event = NULL;
        if (outage && world.outage == OUTAGE_CONDITION) {
                enter(u, UNIT_INACTIVE, "dead");
                job_end(u, UNIT_JOB_DONE);
                return;
        }
        if ((outage && world.outage == OUTAGE_FAILS) || fault(world.faults.server_start_fails)) {
                end_in_failure(u, "exit-code");
                return;
        }
        u->main_pid = ++manager.last_pid;
        u->main_start_usec = world_monotonic_usec();
        enter(u, UNIT_ACTIVE, "running");
        job_end(u, UNIT_JOB_DONE);
        local_server_start();
}

static usec_t start_takes_usec(void)
{
        if (fault(world.faults.unit_slow))
                return random_span(USEC_PER_SEC, 120 * USEC_PER_SEC);
        return random_span(3 * USEC_PER_MSEC, 80 * USEC_PER_MSEC);
}

static void start_timer(Unit *u)
{
        enter(u, UNIT_ACTIVE, "waiting");
        job_end(u, UNIT_JOB_DONE);
        u->timer_event = timeline_add(random_span(USEC_PER_SEC, 40 * USEC_PER_SEC), PLACE_HOST, on_timer, u);
}

static void on_begun(void *userdata)
{
        Unit *u = userdata;

        u->event = NULL;
        u->main_is_next = false;
        ask_credentials(u);
}

static void start_begin(Unit *u)
{
        u->invocation = ++manager.last_invocation;
        u->killed = false;
        u->result = "success";
        if (u->role == ROLE_TIMER) {
                start_timer(u);
                return;
        }
        enter(u, UNIT_ACTIVATING, u->role == ROLE_SERVER ? "start" : "start-pre");
        u->event = timeline_add(start_takes_usec(), PLACE_HOST, u->role == ROLE_SERVER ? on_server_started : on_begun,
                                u);
}

static void on_timer(void *userdata)
{
        Unit *u = userdata;

        u->timer_event = timeline_add(random_span(5 * USEC_PER_SEC, 60 * USEC_PER_SEC), PLACE_HOST, on_timer, u);
        trace("%s triggers %s", u->name, u->triggers->name);
        if (!unit_active_state_may_run(u->triggers->state) && !world.shutting_down)
                (void) systemd_queue(u->triggers, UNIT_START);
}

/* ---- stopping ---- */

static void stopped(Unit *u)
{
        u->main_pid = 0;
        u->n_part = 0;
        enter(u, u->killed ? UNIT_FAILED : UNIT_INACTIVE, u->killed ? "failed" : "dead");
        if (u->job_id == 0)
                return;
        if (u->job_verb == UNIT_STOP)
                job_end(u, UNIT_JOB_DONE);
        else if (u->job_verb == UNIT_RELOAD)
                job_end(u, UNIT_JOB_SKIPPED);
        else
                start_begin(u);
}

static void on_stopped(void *userdata)
{
        Unit *u = userdata;

        u->event = NULL;
        if (u->role == ROLE_SERVER)
                local_server_stop(false);
        else
                process_kill(u);
        stopped(u);
}

static usec_t stop_takes_usec(Unit *u)
{
        /* Deaf to SIGTERM: TimeoutStopSec=, then SIGKILL. */
        if (fault(world.faults.unit_stubborn)) {
                u->killed = true;
                return random_between(20, 120) * USEC_PER_SEC;
        }
        if (fault(world.faults.unit_slow))
                return random_span(USEC_PER_SEC, 100 * USEC_PER_SEC);
        return random_span(USEC_PER_MSEC, 400 * USEC_PER_MSEC);
}

static void stop_begin(Unit *u)
{
        u->connection = connection_close(u->connection);
        u->timer_event = timeline_cancel(u->timer_event);
        if (u->role == ROLE_TIMER) {
                stopped(u);
                return;
        }
        enter(u, UNIT_DEACTIVATING, "stop-sigterm");
        if (process_runs(u))
                process_stop(u);
        u->event = timeline_add(process_runs(u) || u->role == ROLE_SERVER ? stop_takes_usec(u)
                                                                          : random_span(200, 3 * USEC_PER_MSEC),
                                PLACE_HOST, on_stopped, u);
}

void unit_process_exited(Unit *u, bool success)
{
        if (u->state == UNIT_DEACTIVATING) {
                stopped(u);
                return;
        }
        u->main_pid = 0;
        if (u->wanted == WANTED_YES)
                u->wanted = WANTED_EITHER;
        if (u->role == ROLE_ONESHOT && success) {
                enter(u, UNIT_INACTIVE, "dead");
                job_end(u, UNIT_JOB_DONE);
                return;
        }
        end_in_failure(u, success ? "success" : "exit-code");
}

void unit_server_dies(void)
{
        Unit *u = systemd_server();

        if (u->state != UNIT_ACTIVE)
                return;
        local_server_stop(true);
        end_in_failure(u, "signal");
}

/* ---- reloading ---- */

static void reload_begin(Unit *u);

/* A command that fails may have told the program before. */
static void on_reloaded(void *userdata)
{
        Unit *u = userdata;
        bool fails = fault(world.faults.unit_fails);

        u->event = NULL;
        if (!fails || random_chance(500))
                process_tell(u, u->told);
        if (u->reload_again) {
                reload_begin(u);
                return;
        }
        enter(u, UNIT_ACTIVE, "running");
        if (u->job_verb == UNIT_RELOAD)
                job_end(u, fails ? UNIT_JOB_FAILED : UNIT_JOB_DONE);
}

static usec_t reload_takes_usec(void)
{
        if (fault(world.faults.unit_stubborn))
                return random_between(20, 120) * USEC_PER_SEC;
        if (fault(world.faults.unit_slow))
                return random_span(USEC_PER_SEC, 100 * USEC_PER_SEC);
        return random_span(USEC_PER_MSEC, 100 * USEC_PER_MSEC);
}

static void reload_begin(Unit *u)
{
        u->reload_again = false;
        u->told = u->bot->disk.published;
        enter(u, UNIT_RELOADING, "reload");
        u->event = timeline_add(reload_takes_usec(), PLACE_HOST, on_reloaded, u);
}

/* ---- jobs ---- */

static void on_job(void *userdata);

static void job_run(Unit *u)
{
        switch (u->state) {
        case UNIT_INACTIVE:
        case UNIT_FAILED:
                if (u->job_verb == UNIT_STOP)
                        job_end(u, UNIT_JOB_DONE);
                else if (u->job_verb == UNIT_RELOAD)
                        job_end(u, UNIT_JOB_SKIPPED);
                else
                        start_begin(u);
                break;
        case UNIT_ACTIVE:
                if (u->job_verb == UNIT_START)
                        job_end(u, UNIT_JOB_DONE);
                else if (u->job_verb == UNIT_RELOAD && !process_runs(u))
                        job_end(u, UNIT_JOB_FAILED); /* there is nobody yet to be told */
                else if (u->job_verb == UNIT_RELOAD)
                        reload_begin(u);
                else
                        stop_begin(u);
                break;
        case UNIT_RELOADING:
                if (u->job_verb == UNIT_START)
                        job_end(u, UNIT_JOB_DONE);
                else if (u->job_verb == UNIT_RELOAD)
                        u->reload_again = true;
                else
                        stop_begin(u);
                break;
        case UNIT_ACTIVATING:
                if (u->job_verb == UNIT_RELOAD)
                        job_end(u, UNIT_JOB_SKIPPED);
                else if (u->job_verb != UNIT_START)
                        stop_begin(u);
                else if (streq(u->sub_state, "auto-restart"))
                        start_begin(u);
                break;
        default:
                break; /* once it has stopped */
        }
}

static void on_job(void *userdata)
{
        Unit *u = userdata;

        if (u->job_id > 0)
                job_run(u);
}

uint32_t systemd_queue(Unit *u, UnitVerb verb)
{
        if (verb == UNIT_TRY_RESTART)
                verb = unit_active_state_may_run(u->state) ? UNIT_RESTART : UNIT_STOP;
        if (u->job_id > 0 && u->job_verb == verb) {
                /* One that runs may have read too early: it is run once more before it is done. */
                u->reload_again = verb == UNIT_RELOAD && u->state == UNIT_RELOADING;
                return u->job_id;
        }
        job_end(u, UNIT_JOB_CANCELED);
        u->job_id = ++manager.last_job;
        u->job_verb = verb;
        if (verb == UNIT_START)
                u->n_restarts = 0;
        /* Not in here: who asks learns the number first. */
        (void) timeline_add(0, PLACE_HOST, on_job, u);
        return u->job_id;
}

/* ---- the host ---- */

void systemd_boot(void)
{
        for (size_t i = 0; i < manager.n; i++) {
                Unit *u = &manager.units[i];

                if (!u->enabled)
                        continue;
                if (u->wanted == WANTED_NO)
                        u->wanted = WANTED_EITHER;
                (void) systemd_queue(u, UNIT_START);
        }
}

void systemd_power_off(void)
{
        local_server_stop(true);
        for (size_t i = 0; i < manager.n; i++) {
                Unit *u = &manager.units[i];

                process_kill(u);
                u->event = timeline_cancel(u->event);
                u->timer_event = timeline_cancel(u->timer_event);
                u->connection = connection_close(u->connection);
                u->job_id = 0;
                u->state = UNIT_INACTIVE;
                u->sub_state = "dead";
                u->result = "success";
                u->main_pid = 0;
                u->main_start_usec = 0;
                u->n_restarts = 0;
                u->n_part = 0;
                if (is_worker(u) && !u->enabled && u->wanted == WANTED_YES)
                        u->wanted = WANTED_EITHER;
                if (u->role == ROLE_TIMER && !u->enabled && u->wanted == WANTED_YES)
                        u->wanted = WANTED_EITHER;
        }
}
