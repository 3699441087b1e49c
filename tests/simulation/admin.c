/* SPDX-License-Identifier: MIT */
#include "daemon.h"
#include "judge.h"
#include "scenario.h"
#include "systemd.h"

/* What people do: they ask the daemon over the bus, edit its configuration, and use systemctl beside it. */

static unsigned n_left;

static Bot *some_bot(SimBot **ret)
{
        SimBot *b = &world.bots[random_below(world.n_bots)];

        *ret = b;
        return manager_find_bot(daemon_manager(), b->name);
}

static uint32_t ask_switch(Bot *bot, Seat target, uint32_t batch)
{
        SwitchOptions options = {
                .batch = batch,
                .on_undrained = random_chance(500) ? ON_UNDRAINED_INVALID
                                                   : (OnUndrained) random_below(ON_UNDRAINED_MAX),
                .hold_at = random_chance(750) ? HOLD_AT_NONE : (HoldAt) random_below(HOLD_AT_MAX),
                .when_allowed = random_chance(600),
                .automatic = random_chance(150),
                .reason = "because",
                .requester = "somebody",
        };
        _cleanup_free_ char *message = NULL;
        uint32_t job = 0;
        AskResult result = bot_switch(bot, target, &options, &job, &message);

        trace("++ switch %s to %s: %d %s", bot_name(bot), seat_to_string(target), result, message ?: "");
        if (result != ASK_OK)
                return batch;
        accidents_soon();
        return batch ?: job;
}

static Seat some_target(void)
{
        return random_chance(550) ? SEAT_LOCAL : SEAT_CLOUD;
}

static void switch_one(void)
{
        SimBot *b;
        Bot *bot = some_bot(&b);

        if (bot)
                (void) ask_switch(bot, some_target(), 0);
}

static void switch_all(void)
{
        Seat target = some_target();
        uint32_t batch = 0;

        for (size_t i = 0; i < world.n_bots; i++) {
                Bot *bot = daemon_manager() ? manager_find_bot(daemon_manager(), world.bots[i].name) : NULL;

                if (bot)
                        batch = ask_switch(bot, target, batch);
        }
}

static void hold(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b;
        Bot *bot = some_bot(&b);
        usec_t until = usec_add(world_realtime_usec(), random_span(USEC_PER_SEC, USEC_PER_HOUR));

        if (bot)
                trace("++ hold %s: %d", b->name,
                      bot_hold(bot, random_chance(300) ? USEC_INFINITY : until, "a reason", &message));
}

static void release(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b;
        Bot *bot = some_bot(&b);

        if (bot)
                trace("++ release %s: %d", b->name, bot_release(bot, &message));
}

static void cancel(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b;
        Bot *bot = some_bot(&b);

        if (bot)
                trace("++ cancel %s: %d", b->name, bot_cancel(bot, &message));
}

void admin_cancel(void)
{
        Manager *m = daemon_manager();

        for (size_t i = 0; m && !daemon_stops() && i < manager_n_bots(m); i++) {
                _cleanup_free_ char *message = NULL;
                Bot *bot = manager_bot(m, i);

                if (bot_job_running(bot) && cutover_facts(bot_state(bot))->cancellable && random_chance(700))
                        trace("++ cancel %s in %s: %d", bot_name(bot), cutover_state_to_string(bot_state(bot)),
                              bot_cancel(bot, &message));
        }
        daemon_touch();
}

static void proceed(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b;
        Bot *bot = some_bot(&b);

        if (bot)
                trace("++ proceed %s: %d", b->name, bot_proceed(bot, &message));
}

static void check(void)
{
        SimBot *b;

        if (!some_bot(&b))
                return;
        trace("++ check %s", b->name);
        daemon_check(b);
}

static void clear_spool(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b;
        Bot *bot = some_bot(&b);

        if (!bot || !random_chance(200))
                return;
        /* Beforehand: the process may die over it, and some of the files be gone. Refused while a job runs. */
        if (!bot_job_running(bot))
                judge_cleared(b);
        (void) bot_clear_spool(bot, &message);
}

static void set_seat(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b;
        Bot *bot = some_bot(&b);
        AskResult result;

        /* Only what is true: else it is the administrator who breaks the laws. */
        if (!bot || b->judge.whereabouts != WHEREABOUTS_AT)
                return;
        result = bot_set_seat(bot, seat_of_side(b->judge.side), &message);
        b->declared = b->declared || result == ASK_OK;
        trace("++ set-seat %s %s: %d", b->name, seat_to_string(seat_of_side(b->judge.side)), result);
}

static void edit_configuration(void)
{
        _cleanup_free_ char *message = NULL;
        SimBot *b = &world.bots[random_below(world.n_bots)];
        BotSettings *s = &world.settings.bots[b->index];

        switch (random_below(7)) {
        case 0:
                world.settings.state = world.settings.state == FILE_GOOD ? FILE_BROKEN : FILE_GOOD;
                break;
        case 1:
                s->state = (FileState) random_below(3);
                break;
        case 2:
                s->state = FILE_GOOD;
                s->spool_to = !s->spool_to;
                break;
        case 3:
                s->stop_timeout_usec = random_span(USEC_PER_SEC, 100 * USEC_PER_SEC);
                s->drain_timeout_usec = random_span(USEC_PER_SEC, 100 * USEC_PER_SEC);
                break;
        case 4:
                s->fallback = s->fallback == FALLBACK_AUTO ? FALLBACK_MANUAL : FALLBACK_AUTO;
                world.settings.stop_when_unused = random_chance(700);
                break;
        case 5:
                b->declared = true;
                s->initial_seat = seat_of_side(b->judge.side);
                break;
        default:
                world.settings.state = FILE_GOOD;
                for (size_t i = 0; i < world.n_bots; i++)
                        world.settings.bots[i].state = FILE_GOOD;
        }
        trace("++ reload: %d", manager_reload(daemon_manager(), &message));
}

static bool is_moved(const SimBot *b)
{
        const Bot *bot = b ? manager_find_bot(daemon_manager(), b->name) : NULL;

        return bot && bot_job_running(bot);
}

/* systemctl */
static void use_unit(void)
{
        static const UnitVerb verbs[] = { UNIT_START, UNIT_STOP, UNIT_RESTART };
        UnitVerb verb = verbs[random_below(ELEMENTSOF(verbs))];
        size_t n = 0;
        Unit *u;

        while (systemd_unit(n))
                n++;
        u = systemd_unit(random_below(n));
        trace("++ systemctl %s %s", verb == UNIT_START ? "start" : verb == UNIT_STOP ? "stop" : "restart", u->name);
        if (u->triggered_by || is_moved(u->bot) || judge_disk_is_behind(u->bot))
                u->wanted = WANTED_EITHER;
        else
                u->wanted = verb == UNIT_STOP ? WANTED_NO : WANTED_YES;
        judge_disturbed(u->bot);
        (void) systemd_queue(u, verb);
}

static void act(void)
{
        static void (*const actions[])(void) = {
                switch_one, switch_one, switch_one,  switch_all, cancel,   proceed,  proceed,
                check,      check,      clear_spool, set_seat,   use_unit, use_unit, edit_configuration,
                hold,       release,    switch_one,  switch_one,
        };

        actions[random_below(ELEMENTSOF(actions))]();
        daemon_touch();
}

static void on_action(void *userdata)
{
        if (n_left == 0)
                return;
        n_left--;
        if (daemon_manager() && !daemon_stops())
                act();
        (void) timeline_add(random_span(10 * USEC_PER_MSEC, 120 * USEC_PER_SEC), PLACE_HOST, on_action, NULL);
}

static void on_first(void *userdata)
{
        if (daemon_manager() && n_left > 0)
                switch_all();
        daemon_touch();
        on_action(NULL);
}

void admin_begin(void)
{
        n_left = (unsigned) random_span(1, 24);
        (void) timeline_add(random_span(USEC_PER_SEC, 30 * USEC_PER_SEC), PLACE_HOST, on_first, NULL);
}

void admin_end(void)
{
        n_left = 0;
}

void admin_give_up(void)
{
        Manager *m = daemon_manager();

        for (size_t i = 0; m && i < manager_n_bots(m); i++) {
                _cleanup_free_ char *message = NULL;
                Bot *bot = manager_bot(m, i);

                if (bot_state(bot) == CUTOVER_DRAIN && bot_job(bot)->on_undrained == ON_UNDRAINED_WAIT)
                        trace("++ cancel %s at last: %d", bot_name(bot), bot_cancel(bot, &message));
        }
        daemon_touch();
        daemon_settle();
}
