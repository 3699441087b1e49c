/* SPDX-License-Identifier: MIT */
#include "daemon.h"
#include "judge.h"
#include "scenario.h"
#include "systemd.h"

/* What happens by itself: a process is killed, the power goes, the host sleeps, clocks jump, the disk is full, the
 * network is gone, the local server dies. */

static unsigned n_left;

/* ---- the host ---- */

static void on_clock_set(void *userdata)
{
        world.realtime_offset_usec = 0;
        world.synchronised = true;
        trace("-- the clock is right again");
}

static void set_clock(int64_t offset_usec)
{
        world.realtime_offset_usec = offset_usec;
        trace("-- the clock is off by %" PRIi64 " s", offset_usec / (int64_t) USEC_PER_SEC);
}

static int64_t choose_offset(void)
{
        int64_t offset = (int64_t) random_span(USEC_PER_SEC, 400 * 24 * USEC_PER_HOUR);

        return random_chance(500) ? offset : -offset;
}

static void boot(void)
{
        trace("-- the host boots");
        world.up = true;
        world.shutting_down = false;
        world.booted_usec = timeline_now();
        world.sleep_before_usec = timeline_suspended_usec();
        for (size_t i = 0; i < sizeof(world.boot_id); i++)
                world.boot_id[i] = (uint8_t) random_bits();
        if (random_chance(400)) {
                set_clock(random_chance(500) ? 0 : choose_offset());
                world.synchronised = world.realtime_offset_usec == 0 && random_chance(200);
                if (random_chance(700))
                        (void) timeline_add(random_span(USEC_PER_SEC, 600 * USEC_PER_SEC), PLACE_HOST, on_clock_set,
                                            NULL);
        }
        systemd_boot();
        daemon_start();
}

static void on_boot(void *userdata)
{
        if (!world.up)
                boot();
}

static void power_off(void)
{
        trace("-- the power is off");
        statistics.reboots++;
        daemon_crash();
        disk_power_cut();
        systemd_power_off();
        judge_disturbed(NULL);
        world.up = false;
        (void) timeline_add(random_span(5 * USEC_PER_SEC, 1800 * USEC_PER_SEC), PLACE_HOST, on_boot, NULL);
}

static void on_power_off(void *userdata)
{
        if (world.up && world.shutting_down)
                power_off();
}

static void shut_down(void)
{
        trace("-- the host shuts down");
        world.shutting_down = true;
        judge_disturbed(NULL);
        for (size_t i = 0; systemd_unit(i); i++)
                (void) systemd_queue(systemd_unit(i), UNIT_STOP);
        daemon_stop(false);
        (void) timeline_add(random_span(500 * USEC_PER_MSEC, 90 * USEC_PER_SEC), PLACE_HOST, on_power_off, NULL);
}

static void sleep_a_while(void)
{
        usec_t length = random_span(USEC_PER_SEC, 3 * USEC_PER_HOUR);

        trace("-- the host sleeps for %" PRIu64 " s", length / USEC_PER_SEC);
        timeline_suspend(length);
        judge_disturbed(NULL);
}

static void step_clock(void)
{
        /* The kernel counts a clock that somebody sets as not synchronised. */
        world.synchronised = false;
        set_clock(choose_offset());
        if (random_chance(500))
                (void) timeline_add(random_span(USEC_PER_SEC, 600 * USEC_PER_SEC), PLACE_HOST, on_clock_set, NULL);
}

/* ---- the rest ---- */

static void crash(void)
{
        if (random_chance(500))
                daemon_crash();
        else
                daemon_crash_at((unsigned) random_between(1, 60));
}

static void network_goes(void)
{
        world.network_bad_until = timeline_now() + random_span(100 * USEC_PER_MSEC, 900 * USEC_PER_SEC);
        trace("-- the network is gone");
}

static void disk_goes(void)
{
        world.disk_bad_until = timeline_now() + random_span(10 * USEC_PER_MSEC, 300 * USEC_PER_SEC);
        trace("-- the disk is bad");
}

/* Whoever looks after the host sees to it that the server is started again. */
static void on_outage_over(void *userdata)
{
        if (timeline_now() < world.outage_until || world.outage == OUTAGE_NONE)
                return;
        trace("-- the local server is mended");
        world.outage = OUTAGE_NONE;
        if (!world.up || world.shutting_down)
                return;
        judge_disturbed(NULL);
        if (local_server.running && !local_server_is_well())
                unit_server_dies();
        if (random_chance(700))
                (void) systemd_queue(systemd_server(), UNIT_START);
}

static void begin_outage(usec_t shortest_usec)
{
        usec_t length = random_span(shortest_usec, USEC_PER_HOUR);

        if (world.outage != OUTAGE_NONE)
                return;
        world.outage = (Outage) random_between(OUTAGE_NONE + 1, OUTAGE_MAX - 1);
        world.outage_until = random_chance(250) ? USEC_INFINITY : timeline_now() + length;
        trace("-- the local server does not come up again (%d) for %" PRIu64 " s", (int) world.outage,
              (world.outage_until - timeline_now()) / USEC_PER_SEC);
        if (world.outage_until != USEC_INFINITY)
                (void) timeline_add(length, PLACE_HOST, on_outage_over, NULL);
}

static void server_goes(void)
{
        judge_disturbed(NULL);
        if (random_chance(400))
                begin_outage(10 * USEC_PER_SEC);
        unit_server_dies();
}

static void on_server_goes(void *userdata)
{
        if (world.faults_on && world.up && !world.shutting_down)
                server_goes();
}

static void on_cancel(void *userdata)
{
        if (world.faults_on)
                admin_cancel();
}

static void stop_daemon(void)
{
        daemon_stop(random_chance(700));
}

static void revoke_token(void)
{
        SimBot *b = &world.bots[random_below(world.n_bots)];

        if (!random_chance(100))
                return;
        b->revoked = true;
        trace("-- the token of %s is revoked", b->name);
}

/* The next process does not find it. */
static void lose_token(void)
{
        SimBot *b = &world.bots[random_below(world.n_bots)];

        if (!random_chance(200))
                return;
        b->has_token = false;
        trace("-- the token of %s is mislaid", b->name);
}

static void lose_sync(void)
{
        world.synchronised = !world.synchronised && world.realtime_offset_usec == 0;
}

static void happen(void)
{
        static void (*const accidents[])(void) = {
                crash,         crash,      crash,        stop_daemon,  power_off,   shut_down,
                sleep_a_while, step_clock, network_goes, disk_goes,    server_goes, server_goes,
                revoke_token,  lose_sync,  crash,        network_goes, lose_token,
        };

        accidents[random_below(ELEMENTSOF(accidents))]();
}

static void on_accident(void *userdata)
{
        if (!world.faults_on || n_left == 0)
                return;
        n_left--;
        if (world.up && !world.shutting_down && !timeline_is_asleep())
                happen();
        (void) timeline_add(random_span(5 * USEC_PER_MSEC, 200 * USEC_PER_SEC), PLACE_OUTSIDE, on_accident, NULL);
}

void accidents_begin(void)
{
        n_left = (unsigned) random_below(8);
        if (n_left > 0)
                (void) timeline_add(random_span(USEC_PER_SEC, 60 * USEC_PER_SEC), PLACE_OUTSIDE, on_accident, NULL);
}

static void on_soon(void *userdata)
{
        if (world.faults_on && world.up && !world.shutting_down && !timeline_is_asleep())
                happen();
}

/* A move begins: what is rare would otherwise hardly ever fall into it. */
void accidents_soon(void)
{
        if (!world.faults_on)
                return;
        if (random_chance(400))
                daemon_crash_at((unsigned) random_between(1, 90));
        while (random_chance(300))
                (void) timeline_add(random_span(USEC_PER_MSEC, 30 * USEC_PER_SEC), PLACE_OUTSIDE, on_soon, NULL);
}

/* Half of these are over as fast as a state may be. */
static usec_t moment_usec(void)
{
        return random_chance(500) ? random_span(20, 20 * USEC_PER_MSEC) : random_span(USEC_PER_MSEC, 40 * USEC_PER_SEC);
}

static void crash_here(void)
{
        daemon_crash_at((unsigned) random_between(1, 12));
}

static void disk_goes_here(void)
{
        world.disk_bad_until = timeline_now() + moment_usec();
}

static void network_goes_here(void)
{
        world.network_bad_until = timeline_now() + moment_usec();
}

static void server_goes_here(void)
{
        (void) timeline_add(moment_usec(), PLACE_OUTSIDE, on_server_goes, NULL);
}

/* For longer than the cloud keeps a bot out. */
static void outage_here(void)
{
        usec_t enough = random_between(700, 2500) * USEC_PER_SEC;

        judge_disturbed(NULL);
        begin_outage(1000 * USEC_PER_SEC);
        unit_server_dies();
        world.busy_until = MAX(world.busy_until, usec_add(timeline_now(), enough));
}

static void cancel_here(void)
{
        (void) timeline_add(moment_usec(), PLACE_HOST, on_cancel, NULL);
}

static void revoke_here(void)
{
        SimBot *b = &world.bots[random_below(world.n_bots)];

        if (!random_chance(200))
                return;
        b->revoked = true;
        trace("-- the token of %s is revoked", b->name);
}

/* How often something happens there, in a thousand. */
static unsigned chance_at(CutoverState state)
{
        switch (state) {
        case CUTOVER_SETTLED:
        case CUTOVER_QUEUED:
        case CUTOVER_CHECK:
        case CUTOVER_DRAIN:
                return 10;
        case CUTOVER_STOP_WORKERS:
        case CUTOVER_SPOOL:
        case CUTOVER_PUBLISH:
        case CUTOVER_START_WORKERS:
        case CUTOVER_CONFIRM:
        case CUTOVER_RESTART_WORKERS:
                return 20;
        case CUTOVER_LOG_OUT:
        case CUTOVER_LOG_IN:
        case CUTOVER_RESTORE_WEBHOOK:
                return 60;
        default:
                return 150;
        }
}

void accidents_at(CutoverState state)
{
        static void (*const accidents[])(void) = {
                crash_here,  crash_here,       disk_goes_here,   network_goes_here, server_goes_here,
                cancel_here, server_goes_here, server_goes_here, revoke_here,       outage_here,
        };

        if (world.faults_on && world.up && random_chance(chance_at(state)))
                accidents[random_below(ELEMENTSOF(accidents))]();
        refusal_at(state);
}

static void find_credentials(void)
{
        bool found = false;

        for (size_t i = 0; i < world.n_bots; i++) {
                SimBot *b = &world.bots[i];
                bool has_secret = world.settings.bots[i].webhook_has_secret;

                found = found || !b->has_token || b->has_secret != has_secret ||
                        b->has_certificate != b->sends_certificate;
                b->has_token = true;
                b->has_secret = has_secret;
                b->has_certificate = b->sends_certificate;
        }
        if (found)
                daemon_stop(true);
}

void scenario_calm_down(void)
{
        _cleanup_free_ char *message = NULL;

        trace("-- calm from here");
        judge_disturbed(NULL);
        admin_end();
        world.faults_on = false;
        world.network_bad_until = world.disk_bad_until = 0;
        world.settings.state = FILE_GOOD;
        for (size_t i = 0; i < world.n_bots; i++) {
                const SimBot *b = &world.bots[i];

                world.settings.bots[i].state = FILE_GOOD;
                /* What was said on the bus may never have been written. */
                if (b->declared && !b->disk.record)
                        world.settings.bots[i].initial_seat = seat_of_side(b->judge.side);
        }
        if (world.outage_until != USEC_INFINITY) {
                world.outage = OUTAGE_NONE;
                world.outage_until = 0;
        }
        if (world.shutting_down)
                power_off();
        if (!world.up)
                boot();
        else if (local_server.running && !local_server_is_well())
                unit_server_dies();
        if (daemon_manager())
                trace("-- reload: %d", manager_reload(daemon_manager(), &message));
        find_credentials();
        refusal_ends();
        daemon_touch();
        daemon_settle();
}
