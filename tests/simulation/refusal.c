/* SPDX-License-Identifier: MIT */
#include "refusal.h"
#include "daemon.h"
#include "judge.h"
#include "random.h"
#include "systemd.h"
#include "world.h"

static const int errors[REFUSABLE_MAX][3] = {
        [REFUSABLE_JOB] = { -ENOMEM, -ENOBUFS, -ENOTCONN },  [REFUSABLE_QUESTION] = { -ENOMEM, -ENOBUFS, -ENOTCONN },
        [REFUSABLE_REQUEST] = { -ENOMEM, -ENOMEM, -EMFILE }, [REFUSABLE_POST] = { -ENOMEM, -EMFILE, -EINVAL },
        [REFUSABLE_DISK] = { -ENOMEM, -ENOMEM, -EAGAIN },    [REFUSABLE_TIMER] = { -ENOMEM, -ENOMEM, -ENOMEM },
};

static bool is_ours(void)
{
        return world.seed >= SIM_REFUSING_SEEDS;
}

void refusal_choose(void)
{
        static const unsigned rates[] = { 1, 3, 10, 30, 100 };

        if (!is_ours())
                return;
        /* Where all else goes well too, more of them come far enough. */
        if (random_chance(800)) {
                world.faults = (Faults){};
                world.faults.disk_fails = random_chance(300) ? 50 : 0;
                world.faults.bus_fails = random_chance(200) ? 50 : 0;
                world.faults.server_start_fails = random_chance(200) ? 300 : 0;
        }
        world.faults_on = true;
        FOREACH_ELEMENT(rate, world.faults.refused)
                *rate = random_chance(200) ? rates[random_below(ELEMENTSOF(rates))] : 0;
        /* What a process gives up for comes back with the next one. */
        world.faults.refused[REFUSABLE_TIMER] = MIN(world.faults.refused[REFUSABLE_TIMER], 10u);
}

void refusal_choose_bot(SimBot *b)
{
        if (!is_ours() || !b->webhook_bot)
                return;
        b->has_secret = world.settings.bots[b->index].webhook_has_secret = random_chance(500);
        b->has_certificate = b->sends_certificate = random_chance(500);
}

int refusal(Refusable what)
{
        usec_t at = timeline_now();
        bool now = world.faults_on && what == world.refused_now && at >= world.refused_from && at < world.refused_until;

        if (daemon_is_dead() || (!now && !fault(world.faults.refused[what])))
                return 0;
        return errors[what][random_below(ELEMENTSOF(errors[what]))];
}

/* ---- at one certain moment ---- */

static void refuse(Refusable what)
{
        world.refused_now = what;
        /* Not always at once: the record of the state is to be written. */
        world.refused_from = timeline_now() + (random_chance(600) ? random_span(20, 100 * USEC_PER_MSEC) : 0);
        world.refused_until = world.refused_from + random_span(20, 100 * USEC_PER_SEC);
}

static void refuse_here(void)
{
        refuse((Refusable) random_below(REFUSABLE_MAX));
}

static void on_sleep(void *userdata)
{
        if (!world.faults_on || !world.up || world.shutting_down || timeline_is_asleep())
                return;
        trace("-- the host sleeps just now");
        /* Longer than the daemon lets a getUpdates be old. What it has begun to send is sent all the same, and the
         * judge lets it be a minute. */
        timeline_suspend(random_between(6, 50) * USEC_PER_SEC);
        judge_disturbed(NULL);
}

static void sleep_here(void)
{
        (void) timeline_add(random_span(20, USEC_PER_SEC), PLACE_OUTSIDE, on_sleep, NULL);
}

static void on_updates(void *userdata)
{
        SimBot *b = userdata;

        for (uint64_t n = random_between(1, 5); world.faults_on && n > 0; n--)
                world_update_arrives(b);
}

static void updates_here(void)
{
        for (size_t i = 0; i < world.n_bots; i++)
                (void) timeline_add(random_span(100, 40 * USEC_PER_MSEC), PLACE_OUTSIDE, on_updates, &world.bots[i]);
}

/* The next process does not find it. */
static void mislay_credential(void)
{
        bool secret = random_chance(500);

        for (size_t i = 0; i < world.n_bots; i++)
                *(secret ? &world.bots[i].has_secret : &world.bots[i].has_certificate) = false;
        daemon_crash_at((unsigned) random_between(1, 20));
}

static void on_file_gone(void *userdata)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b = userdata;

        if (!world.faults_on || !daemon_manager() || daemon_stops())
                return;
        world.settings.bots[b->index].state = FILE_GONE;
        trace("-- the file of %s is gone: %d", b->name, manager_reload(daemon_manager(), &message));
        daemon_touch();
}

static void remove_file(void)
{
        SimBot *b = &world.bots[random_below(world.n_bots)];

        (void) timeline_add(random_span(20, USEC_PER_SEC), PLACE_HOST, on_file_gone, b);
}

static void on_server_gone(void *userdata)
{
        if (!world.faults_on || !world.up || world.shutting_down)
                return;
        judge_disturbed(NULL);
        unit_server_dies();
}

static void server_goes_here(void)
{
        (void) timeline_add(random_span(20, USEC_PER_SEC), PLACE_OUTSIDE, on_server_gone, NULL);
}

static void on_disk(void *userdata)
{
        world.disk_bad_until = timeline_now() + random_span(20, 60 * USEC_PER_SEC);
}

static void disk_goes_here(void)
{
        (void) timeline_add(random_span(20, 200 * USEC_PER_MSEC), PLACE_HOST, on_disk, NULL);
}

static void on_worker_fails(void *userdata)
{
        Unit *u = userdata;

        if (!world.faults_on || !process_runs(u) || u->state != UNIT_ACTIVE)
                return;
        process_kill(u);
        unit_process_exited(u, false);
}

/* It does not come to take what is handed over to it. */
static void worker_fails_here(void)
{
        Unit *u = world.bots[random_below(world.n_bots)].workers[0];

        for (usec_t at = 0; at < 40 * USEC_PER_SEC; at += random_between(300, 6000) * USEC_PER_MSEC)
                (void) timeline_add(at + 1, PLACE_HOST, on_worker_fails, u);
}

static unsigned chance_at(CutoverState state)
{
        switch (state) {
        case CUTOVER_SETTLED:
                return 10;
        case CUTOVER_QUEUED:
        case CUTOVER_CHECK:
        case CUTOVER_DRAIN:
        case CUTOVER_STOP_WORKERS:
                return 50;
        default:
                return 250;
        }
}

static void refuse_disk(void)
{
        refuse(REFUSABLE_DISK);
}

static void refuse_post(void)
{
        refuse(REFUSABLE_POST);
}

static void refuse_job(void)
{
        refuse(REFUSABLE_JOB);
}

static void refuse_timer(void)
{
        refuse(REFUSABLE_TIMER);
}

/* What tells of itself in this state alone, and hardly ever would. */
static const struct {
        CutoverState state;
        unsigned chance;
        void (*moment)(void);
} fitting[] = {
        { CUTOVER_QUEUED, 100, remove_file },
        { CUTOVER_QUEUED, 150, refuse_timer },
        { CUTOVER_CHECK, 100, refuse_timer },
        { CUTOVER_DRAIN, 100, server_goes_here },
        { CUTOVER_SPOOL, 1000, updates_here },
        { CUTOVER_SPOOL, 100, server_goes_here },
        { CUTOVER_LOG_OUT, 1000, updates_here },
        { CUTOVER_LOG_OUT, 150, refuse_disk },
        { CUTOVER_LOG_OUT, 100, sleep_here },
        { CUTOVER_LOG_OUT, 100, server_goes_here },
        { CUTOVER_LOG_OUT_UNKNOWN, 300, server_goes_here },
        { CUTOVER_ABANDON, 300, refuse_disk },
        { CUTOVER_START_WORKERS, 200, mislay_credential },
        { CUTOVER_START_WORKERS, 200, refuse_post },
        { CUTOVER_CONFIRM, 400, worker_fails_here },
        { CUTOVER_CONFIRM, 150, refuse_disk },
        { CUTOVER_CONFIRM, 250, refuse_job },
};

void refusal_at(CutoverState state)
{
        static void (*const moments[])(void) = {
                refuse_here,       refuse_here,       refuse_here,    refuse_here, refuse_here,
                disk_goes_here,    updates_here,      disk_goes_here, sleep_here,  server_goes_here,
                mislay_credential, worker_fails_here, remove_file,
        };

        if (!is_ours() || !world.faults_on || !world.up)
                return;
        for (size_t i = 0; i < ELEMENTSOF(fitting); i++)
                if (fitting[i].state == state && random_chance(fitting[i].chance))
                        fitting[i].moment();
        if (!random_chance(chance_at(state)))
                return;
        for (uint64_t n = random_between(1, 2); n > 0; n--)
                moments[random_below(ELEMENTSOF(moments))]();
}

/* As its message says. */
static void start_refused(Unit *u)
{
        bool holds = process_runs(u) && !process_may_send(u);

        if (holds && u->refused)
                (void) systemd_queue(u, UNIT_RESTART);
        else if (u->wanted == WANTED_EITHER && (u->state == UNIT_INACTIVE || u->state == UNIT_FAILED))
                (void) systemd_queue(u, UNIT_START);
}

void refusal_ends(void)
{
        for (size_t i = 0; is_ours() && i < world.n_bots; i++)
                start_refused(world.bots[i].workers[0]);
}
