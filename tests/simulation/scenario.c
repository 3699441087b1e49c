/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "../canary.h"
#include "daemon.h"
#include "judge.h"
#include "scenario.h"
#include "systemd.h"

/* From its end on things have this long to come to rest: a window and what makes it longer, and a cancelled move that
 * begins again by itself after an hour. */
#define REST_USEC (150 * USEC_PER_MIN)
/* Then the workers still have to take what is queued. */
#define LINGER_USEC       (3 * USEC_PER_MIN)
#define LINGER_ROUNDS_MAX 3u
/* Shorter than what lies between two tries. */
#define AFTER_USEC (20 * USEC_PER_SEC)

/* A run that sleeps for hours would be about nothing else. */
#define UPDATES_MAX 4000u

Statistics statistics;

static unsigned choose_rate(void)
{
        static const unsigned rates[] = { 3, 10, 30, 100, 300 };

        return random_chance(300) ? rates[random_below(ELEMENTSOF(rates))] : 0;
}

static void choose_faults(void)
{
        Faults *f = &world.faults;
        unsigned *all[] = { &f->connect_fails, &f->request_lost,       &f->reply_lost,  &f->slow,
                            &f->front_end,     &f->handled_twice,      &f->flood,       &f->server_error,
                            &f->login_fails,   &f->disk_fails,         &f->disk_slow,   &f->unit_fails,
                            &f->unit_slow,     &f->unit_stubborn,      &f->worker_dies, &f->bus_fails,
                            &f->denied,        &f->server_start_fails, &f->server_hangs };

        /* One run in six is a good day. */
        world.faults_on = !random_chance(160);
        FOREACH_ELEMENT(rate, all)
                **rate = choose_rate();
        refusal_choose();
}

static void choose_bot_settings(BotSettings *s, Seat seat)
{
        *s = (BotSettings){
                .initial_seat = seat,
                .glob = random_chance(200),
                .spool_to = random_chance(800),
                /* Not drawn: the seeds of the corpus mean what they meant. */
                .spool_to_given = world.seed % 4 == 0,
                .on_undrained_given = world.seed % 3 == 0,
                .on_undrained = (OnUndrained) random_below(ON_UNDRAINED_MAX),
                .drain_timeout_usec = random_span(USEC_PER_SEC, 60 * USEC_PER_SEC),
                .stop_timeout_usec = random_span(2 * USEC_PER_SEC, 120 * USEC_PER_SEC),
                .start_timeout_usec = random_span(2 * USEC_PER_SEC, 120 * USEC_PER_SEC),
                .spool_timeout_usec = random_span(2 * USEC_PER_SEC, 60 * USEC_PER_SEC),
                .log_out_timeout_usec = random_span(2 * USEC_PER_SEC, 60 * USEC_PER_SEC),
                .log_in_timeout_usec = random_span(2 * USEC_PER_SEC, 60 * USEC_PER_SEC),
                .hold_timeout_usec = random_span(5 * USEC_PER_SEC, 600 * USEC_PER_SEC),
                .settle_usec = random_span(2 * USEC_PER_SEC, 8 * USEC_PER_SEC),
                .webhook_secret_known = true,
                .fallback = random_chance(500) ? FALLBACK_AUTO : FALLBACK_MANUAL,
                .fallback_grace_usec = random_span(5 * USEC_PER_SEC, 120 * USEC_PER_SEC),
                .export_token = world.seed % 5 == 0,
        };
}

/* Apart from the stream of chances, so that a bot whose workers are stopped does what it did before others were
 * reloaded. */
static void choose_move(BotSettings *s, size_t i)
{
        uint64_t n = world.seed + i;

        if (n % 4 != 1)
                return;
        s->move = MOVE_RELOAD;
        s->spool_to_given = n % 8 == 1;
}

static bool is_crowd(void)
{
        return world.n_bots > SIM_BOTS_FEW;
}

static void add_workers(SimBot *b)
{
        size_t n = is_crowd() ? 1 : random_between(1, SIM_WORKERS_MAX);
        char name[40];

        for (size_t i = 0; i < n; i++) {
                UnitRole role = i > 0 ? ROLE_HELPER : b->webhook_bot ? ROLE_RECEIVER : ROLE_POLLER;
                Unit *u;

                if (i > 0 && i == n - 1 && random_chance(500))
                        role = ROLE_ONESHOT;
                snprintf(name, sizeof(name), "%s-w%zu.service", b->name, i);
                u = systemd_add_unit(name, role, b);
                u->simple = random_chance(500);
                u->reloads = role != ROLE_ONESHOT;
                u->restarts = role != ROLE_ONESHOT && random_chance(600);
                u->enabled = role != ROLE_ONESHOT && random_chance(800);
                u->wanted = u->enabled ? WANTED_YES : WANTED_NO;
                b->workers[b->n_workers++] = u;
        }
        if (b->workers[n - 1]->role != ROLE_ONESHOT && !random_chance(100))
                return;
        snprintf(name, sizeof(name), "%s-cron.timer", b->name);
        b->timer = systemd_add_unit(name, ROLE_TIMER, b);
        b->timer->triggers = b->workers[n - 1];
        b->timer->enabled = true;
        b->timer->wanted = WANTED_YES;
        b->workers[n - 1]->triggered_by = b->timer;
        b->workers[n - 1]->wanted = WANTED_EITHER;
}

static void add_bot(size_t i)
{
        SimBot *b = &world.bots[i];
        Side side = random_chance(is_crowd() ? 50 : 600) ? SIDE_CLOUD : SIDE_LOCAL;
        usec_t age = random_span(USEC_PER_SEC, 90000 * USEC_PER_SEC);

        b->index = (unsigned) i;
        b->id = 1000000 + (int64_t) i;
        snprintf(b->name, sizeof(b->name), "bot%zu", i);
        snprintf(b->token, sizeof(b->token), "%" PRIi64 ":" CANARY_SECRET, b->id);
        /* Where they end alike, each webhook seems to have the token of another bot in its URL. */
        if (world.seed >= SIM_REFUSING_SEEDS)
                b->token[strlen(b->token) - 1] = (char) ('A' + i);
        b->has_token = !random_chance(10);
        b->declared = !random_chance(40);
        b->webhook_bot = random_chance(world.seed >= SIM_REFUSING_SEEDS ? 700 : 250);
        b->updates_per_hour = is_crowd() || random_chance(200) ? 0 : (unsigned) random_span(10, 4000);
        b->judge.side = side;
        for (Side s = 0; s < SIDE_MAX; s++)
                session_init(&b->sessions[s], b, s, s == side, age);
        b->sessions[side].webhook = b->webhook_bot;
        choose_bot_settings(&world.settings.bots[i], b->declared ? seat_of_side(side) : SEAT_UNDECLARED);
        choose_move(&world.settings.bots[i], i);
        world.copy.bots[i].state = FILE_GONE;
        add_workers(b);
        refusal_choose_bot(b);
}

static void choose_locks(void)
{
        static const unsigned cloud[] = { 0, 600, 600, 1800 }, local[] = { 0, 0, 1 };

        world.lock_usec[SIDE_CLOUD] = cloud[random_below(ELEMENTSOF(cloud))] * USEC_PER_SEC;
        world.lock_usec[SIDE_LOCAL] = local[random_below(ELEMENTSOF(local))] * USEC_PER_SEC;
}

void scenario_set_up(uint64_t seed)
{
        Unit *server;

        timeline_reset();
        random_seed(seed);
        memset(&world, 0, sizeof(world));
        world.seed = seed;
        world.up = true;
        world.free_bytes = UINT64_C(1) << 33;
        world.next_job = 1;
        world.booted_usec = timeline_now() - random_span(USEC_PER_SEC, 90000 * USEC_PER_SEC);
        world.synchronised = random_chance(800);
        world.part_max = (unsigned) random_between(2, 120);
        for (size_t i = 0; i < sizeof(world.boot_id); i++)
                world.boot_id[i] = (uint8_t) random_bits();
        choose_faults();
        choose_locks();
        world.settings.login_probe = random_chance(850);
        world.settings.connections_max = random_chance(100) ? 2 : 512;
        world.settings.concurrency = (unsigned) random_between(1, 4);
        world.settings.max_failures = (unsigned) random_between(1, 3);
        world.settings.stop_when_unused = random_chance(700);
        world.settings.server_probe_usec = random_span(USEC_PER_SEC, 20 * USEC_PER_SEC);
        world.settings.server_start_timeout_usec = random_span(2 * USEC_PER_SEC, 60 * USEC_PER_SEC);
        telegram_reset();
        judge_reset();
        server = systemd_add_unit(SERVER_UNIT, ROLE_SERVER, NULL);
        server->restarts = random_chance(700);
        server->enabled = random_chance(500);
        world.n_bots = 1 + random_below(SIM_BOTS_FEW);
        if (random_chance(4)) {
                world.n_bots = random_between(SIM_BOTS_FEW + 1, SIM_BOTS_MAX);
                world.settings.concurrency = 64;
                world.faults_on = random_chance(500);
        }
        for (size_t i = 0; i < world.n_bots; i++)
                add_bot(i);
}

void scenario_tear_down(void)
{
        daemon_reset();
        systemd_reset();
        for (size_t i = 0; i < world.n_bots; i++) {
                SimBot *b = &world.bots[i];

                for (Side s = 0; s < SIDE_MAX; s++)
                        session_done(&b->sessions[s]);
                while (b->disk.n_files > 0) {
                        SpoolFile *f = &b->disk.files[--b->disk.n_files];

                        free(f->ids);
                        free(f->updates);
                }
                free(b->disk.files);
                free(b->disk.record);
                free(b->disk.ghost);
        }
        timeline_reset();
        free(world.updates);
        world.updates = NULL;
        free(world.history);
        world.history = NULL;
}

/* ---- a run ---- */

static bool step(usec_t limit)
{
        if (!timeline_step(limit))
                return false;
        daemon_settle();
        judge_look();
        trace_fingerprint(timeline_now() ^ timeline_n_events() << 40);
        return !judge_found();
}

static void on_update(void *userdata)
{
        SimBot *b = userdata;

        if (b->updates_per_hour == 0 || world.n_updates > UPDATES_MAX)
                return;
        world_update_arrives(b);
        (void) timeline_add(random_span(USEC_PER_MSEC, 2 * USEC_PER_HOUR / (b->updates_per_hour + 1)), PLACE_OUTSIDE,
                            on_update, b);
}

/* Workers take what is left, and what has begun by itself comes to its end; then there is more to take. */
static void linger(void)
{
        for (unsigned round = 0; round < LINGER_ROUNDS_MAX && !judge_found(); round++) {
                usec_t until = timeline_now() + LINGER_USEC;
                uint64_t n_begun = statistics.moves + daemon_n_crashes();

                while (step(until))
                        ;
                if (judge_found() ||
                    (statistics.moves + daemon_n_crashes() == n_begun && judge_all_rest() && judge_disk_rests()))
                        return;
                while (!(judge_all_rest() && judge_disk_rests()) && step(until + REST_USEC))
                        ;
        }
        /* Somebody who never came to rest for long: what the end of the last job has begun is still to be done. */
        for (usec_t until = timeline_now() + LINGER_USEC; !judge_found() && step(until);)
                ;
        /* Nor is it to be judged in the middle of what it tries again and again, or while that is being put away. */
        if (judge_all_rest() && judge_disk_rests())
                return;
        for (usec_t until = timeline_now() + REST_USEC;
             !judge_found() && !(judge_all_rest() && judge_disk_rests()) && step(until);)
                ;
        for (usec_t until = timeline_now() + AFTER_USEC; !judge_found() && step(until);)
                ;
}

static void run(void)
{
        usec_t rest_until;

        systemd_boot();
        daemon_start();
        daemon_settle();
        for (size_t i = 0; i < world.n_bots; i++)
                if (world.bots[i].updates_per_hour > 0)
                        (void) timeline_add(random_below(10 * USEC_PER_SEC), PLACE_OUTSIDE, on_update, &world.bots[i]);
        accidents_begin();
        admin_begin();

        world.busy_until = timeline_now() + random_span(20 * USEC_PER_SEC, 4000 * USEC_PER_SEC);
        while (step(world.busy_until))
                ;
        if (judge_found())
                return;
        while (timeline_is_asleep() && step(USEC_INFINITY))
                ;
        scenario_calm_down();
        rest_until = timeline_now() + REST_USEC;
        while (!judge_all_rest() && step(rest_until))
                ;
        /* A bot without a worker that polls, told to wait for an empty queue, waits as long as it is let. */
        admin_give_up();
        while (!judge_found() && !judge_all_rest() && step(rest_until + REST_USEC))
                ;
        for (size_t i = 0; i < world.n_bots; i++)
                world.bots[i].updates_per_hour = 0;
        linger();
        if (!judge_found())
                judge_end();
}

bool scenario_run(uint64_t seed)
{
        usec_t began;

        scenario_set_up(seed);
        began = timeline_now();
        trace("seed %" PRIu64, seed);
        run();
        trace_fingerprint(random_bits());
        statistics.seeds++;
        statistics.virtual_usec += timeline_now() - began;
        statistics.crashes += daemon_n_crashes();
        scenario_tear_down();
        return !judge_found();
}
