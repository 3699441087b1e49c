/* SPDX-License-Identifier: MIT */
#include "core/schedule.h"
#include "daemon.h"
#include "judge-internal.h"
#include "scenario.h"

/* L9, what a job leaves behind that came to nothing; and L5, where everything has to come to rest. */

void judge_disturbed(SimBot *b)
{
        if (!b)
                world.server_should_rest = false;
        for (size_t i = 0; i < world.n_bots; i++)
                if (!b || b == &world.bots[i])
                        world.bots[i].judge.disturbed = true;
}

static bool server_runs(void)
{
        return unit_active_state_may_run(systemd_server()->state);
}

static bool somebody_needs_server(const SimBot *leaves)
{
        for (size_t i = 0; i < world.n_bots; i++) {
                const SimBot *b = &world.bots[i];
                const Bot *bot = daemon_manager() ? manager_find_bot(daemon_manager(), b->name) : NULL;

                if (!bot || b->judge.owed || b->judge.whereabouts != WHEREABOUTS_AT || b->judge.side == SIDE_LOCAL ||
                    (b != leaves && bot_job_running(bot)))
                        return true;
        }
        return false;
}

/* Nobody but the daemon's own faults could have kept it from putting the server back. */
static bool units_obey(void)
{
        const Faults *f = &world.faults;
        unsigned n = f->bus_fails + f->denied + f->unit_stubborn + f->unit_slow + f->disk_fails;

        FOREACH_ELEMENT(refused, f->refused)
                n += *refused;
        return !world.faults_on || n == 0;
}

static void look_at_server(const SimBot *b, JobResult result)
{
        const BotJudge *j = &b->judge;
        bool moved = result == JOB_RESULT_DONE && j->job_left;

        if (j->disturbed || j->owed || !j->job_units_obey || !units_obey() || world.outage != OUTAGE_NONE)
                return;
        if (result != JOB_RESULT_DONE && !j->job_left && j->job_server_ran && !server_runs() && world.n_bots == 1)
                judge_says("L9", b, "the job ended without a success, and the local server does not run any more");
        if (somebody_needs_server(b))
                return;
        world.server_should_rest = moved ? world.settings.stop_when_unused && world.settings.state == FILE_GOOD
                                         : j->job_server_off && !j->job_left;
}

static bool may_be_reloaded(const Unit *u)
{
        return u->reloads && u->state == UNIT_ACTIVE && u->job_id == 0 && process_runs(u);
}

void judge_job_began(SimBot *b)
{
        BotJudge *j = &b->judge;

        statistics.moves++;
        world.server_should_rest = false;
        j->job_server_ran = systemd_server()->state == UNIT_ACTIVE && systemd_server()->job_id == 0;
        j->job_server_off = !server_runs() && systemd_server()->job_id == 0;
        j->job_units_obey = units_obey();

        j->job = true;
        j->job_left = false;
        j->disturbed = false;
        j->job_webhook = b->sessions[j->side].webhook;
        /* Whether somebody is stopping it or restarting it, nobody can see. */
        for (size_t i = 0; i < b->n_workers; i++)
                if (b->workers[i]->state == UNIT_DEACTIVATING || b->workers[i]->job_id > 0)
                        b->workers[i]->wanted = WANTED_EITHER;
        for (size_t i = 0; i < b->n_workers; i++) {
                j->job_ran[i] = unit_active_state_may_run(b->workers[i]->state) && b->workers[i]->role != ROLE_ONESHOT;
                j->job_pids[i] = may_be_reloaded(b->workers[i]) ? b->workers[i]->main_pid : 0;
        }
}

/* A worker that is reloaded is the same program all the way, unless it is to take what was spooled, by the settings of
 * now or of the moment in which it was started. */
static void look_at_reloaded(const SimBot *b)
{
        const BotSettings *s = &world.settings.bots[b->index];

        if (s->move != MOVE_RELOAD || s->state != FILE_GOOD)
                return;
        for (size_t i = 0; i < b->n_workers; i++) {
                const Unit *u = b->workers[i];

                if (u->wanted == WANTED_YES && b->judge.job_pids[i] > 0 && u->main_pid != b->judge.job_pids[i] &&
                    !(i == 0 && s->spool_to_given))
                        judge_says("L9", b, "%s was to be reloaded, and is another program after the job", u->name);
        }
}

void judge_job_ended(SimBot *b, JobResult result)
{
        BotJudge *j = &b->judge;
        bool known = j->job, whole = !j->disturbed && !world.faults_on;

        j->job = false;
        statistics.moved += result == JOB_RESULT_DONE;
        if (known)
                look_at_server(b, result);
        if (known && whole)
                look_at_reloaded(b);
        if (!known || result == JOB_RESULT_DONE || j->job_left || b->revoked)
                return;
        if (j->whereabouts != WHEREABOUTS_AT) {
                judge_says("L9", b, "the job ended without a success, and the bot is not where it was");
                return;
        }
        if (b->sessions[j->side].webhook != j->job_webhook && !j->strays && !j->webhook_strays)
                judge_says("L9", b, "the job ended without a success, and the webhook is not as it was");
        for (size_t i = 0; whole && i < b->n_workers; i++)
                if (j->job_ran[i] && b->workers[i]->wanted == WANTED_YES &&
                    !unit_active_state_may_run(b->workers[i]->state))
                        judge_says("L9", b, "the job ended without a success, and %s does not run any more",
                                   b->workers[i]->name);
}

static void end_of_units(SimBot *b)
{
        for (size_t i = 0; i < b->n_workers; i++) {
                const Unit *u = b->workers[i];
                bool runs = unit_active_state_may_run(u->state);

                if (u->role == ROLE_ONESHOT || u->wanted == WANTED_EITHER)
                        continue;
                if (process_runs(u) && !process_may_send(u))
                        judge_says("L5", b, "all is over, and %s still holds", u->name);
                if (u->wanted == WANTED_YES && !runs)
                        judge_says("L5", b, "all is over, and %s does not run", u->name);
                if (u->wanted == WANTED_NO && runs)
                        judge_says("L5", b, "all is over, and %s runs, which did not before", u->name);
        }
        if (b->timer && b->timer->wanted == WANTED_YES && b->timer->state != UNIT_ACTIVE)
                judge_says("L5", b, "all is over, and %s does not run", b->timer->name);
}

/* What the manager has counted, counted anew; and that no more have begun than may. */
void judge_counts(void)
{
        const Manager *m = daemon_manager();
        size_t n_at[SEAT_MAX] = {}, n_jobs = 0, n_preparing = 0, n_moving = 0;

        for (size_t i = 0; m && i < manager_n_bots(m); i++) {
                const Bot *bot = manager_bot(m, i);

                n_at[bot_seat(bot)]++;
                n_jobs += bot_job_running(bot);
                n_preparing += bot_state(bot) == CUTOVER_CHECK || bot_state(bot) == CUTOVER_DRAIN;
                n_moving += bot_state(bot) == CUTOVER_STOP_WORKERS || bot_state(bot) == CUTOVER_SPOOL;
        }
        /* Another process may begin once more what has ended, where the end did not come to the disk. */
        if ((n_preparing > world.settings.concurrency * SCHEDULE_PREPARING_PER_MOVE ||
             n_moving > world.settings.concurrency) &&
            daemon_n_starts() == 1)
                judge_says("pace", NULL, "%zu moves prepare and %zu move at once, and Concurrency= is %u", n_preparing,
                           n_moving, world.settings.concurrency);
        for (Seat seat = 0; m && seat < SEAT_MAX; seat++)
                if (n_at[seat] != manager_n_at(m, seat))
                        judge_says("counts", NULL, "%zu bots are at %s, not %zu", n_at[seat], seat_to_string(seat),
                                   manager_n_at(m, seat));
        if (m && n_jobs != manager_n_jobs(m))
                judge_says("counts", NULL, "%zu jobs run, not %zu", n_jobs, manager_n_jobs(m));
}

/* Whether the bot stays where it is although its server is dead: nobody wants it to leave by itself. */
static bool may_stay(const SimBot *b, const Bot *bot)
{
        return world.settings.bots[b->index].fallback != FALLBACK_AUTO || bot_held_until_usec(bot) > 0;
}

/* Told to wait for an empty queue, and nobody empties it. */
static bool waits_for_workers(const Bot *bot)
{
        return bot_state(bot) == CUTOVER_DRAIN && bot_job(bot)->on_undrained == ON_UNDRAINED_WAIT;
}

static bool waits(const Bot *bot)
{
        return bot_state(bot) == CUTOVER_QUEUED || bot_state(bot) == CUTOVER_READY;
}

/* Its turn comes after that of another bot, which waits itself. */
static bool waits_for_turn(const Bot *bot)
{
        const Manager *m = daemon_manager();

        if (!waits(bot) || !*bot_last_error(bot))
                return false;
        for (size_t i = 0; i < manager_n_bots(m); i++)
                if (bot_job_running(manager_bot(m, i)) && !waits(manager_bot(m, i)))
                        return true;
        return false;
}

/* What an administrator said of it was lost with a disk that took nothing: as undeclared as it was before. */
static bool is_undeclared_again(const SimBot *b, const Bot *bot)
{
        _cleanup_(record_done) Record record = {};

        return bot_seat(bot) == SEAT_UNDECLARED &&
               (!judge_record(b, &record) || (record.seat == SEAT_UNDECLARED && record.job.id == 0));
}

static bool has_rest(const SimBot *b, const Bot *bot)
{
        if (is_undeclared_again(b, bot) || b->revoked || !b->declared || !b->has_token || waits_for_workers(bot) ||
            waits_for_turn(bot))
                return true;
        if (bot_job_running(bot))
                return *bot_last_error(bot) && !local_server_is_well() &&
                       (may_stay(b, bot) || b->judge.whereabouts == WHEREABOUTS_MAY_LEFT);
        if (b->judge.owed && local_server_is_well())
                return false;
        return b->judge.side == SIDE_CLOUD || local_server_answers() || may_stay(b, bot);
}

bool judge_all_rest(void)
{
        for (size_t i = 0; i < world.n_bots; i++) {
                const Bot *bot = daemon_manager() ? manager_find_bot(daemon_manager(), world.bots[i].name) : NULL;

                if (!bot || !has_rest(&world.bots[i], bot))
                        return false;
        }
        return true;
}

/* What the next process would go on from. Without a record, the bot is where its file says. */
static const char *wrong_on_disk(const SimBot *b)
{
        _cleanup_(record_done) Record record = {};

        if (!judge_record(b, &record))
                return NULL;
        if (record.state != CUTOVER_SETTLED)
                return "the disk says that a move is under way";
        /* What an administrator said of it may have been lost with the power, and is to be said again. */
        if (record.seat == SEAT_UNDECLARED && record.job.id == 0)
                return NULL;
        if (record.seat != seat_of_side(b->judge.side))
                return "the disk says that the bot is at the other server";
        if (record.stale != b->judge.owed)
                return "the disk is wrong about a session at the local server";
        return NULL;
}

bool judge_disk_is_behind(const SimBot *b)
{
        return b && wrong_on_disk(b);
}

bool judge_disk_rests(void)
{
        for (size_t i = 0; i < world.n_bots; i++) {
                const Bot *bot = manager_find_bot(daemon_manager(), world.bots[i].name);

                if (!bot_job_running(bot) && !world.bots[i].revoked &&
                    (wrong_on_disk(&world.bots[i]) || judge_history_is_behind(&world.bots[i])))
                        return false;
        }
        return true;
}

static void end_of_bot(SimBot *b, const Bot *bot)
{
        if (!has_rest(b, bot)) {
                judge_says("L5", b, "all is quiet, and the bot is still in '%s'%s: %s",
                           cutover_state_to_string(bot_state(bot)),
                           b->judge.owed ? ", with a session at the local server" : "", bot_last_error(bot));
                return;
        }
        if (bot_job_running(bot))
                return;
        if (b->judge.whereabouts != WHEREABOUTS_AT)
                judge_says("L5", b, "the job is over, and the bot is not at a server");
        end_of_units(b);
        if (wrong_on_disk(b))
                judge_says("L5", b, "all is over, and %s", wrong_on_disk(b));
        /* It may never have been written, but then it is not wrong. */
        if (b->disk.published == seat_of_side(b->judge.side == SIDE_CLOUD ? SIDE_LOCAL : SIDE_CLOUD))
                judge_says("L4", b, "all is over, and the environment file has the endpoint of %s",
                           seat_to_string(b->disk.published));
        if (b->disk.published == SEAT_NONE)
                judge_says("L4", b, "all is over, and the environment file says that there is no endpoint");
        judge_end_updates(b);
        judge_end_history(b);
}

void judge_end(void)
{
        if (world.server_should_rest && server_runs() && !somebody_needs_server(NULL))
                judge_says("L9", NULL, "all is over, and the local server runs, which nobody needs");
        for (size_t i = 0; i < world.n_bots; i++) {
                SimBot *b = &world.bots[i];
                const Bot *bot = daemon_manager() ? manager_find_bot(daemon_manager(), b->name) : NULL;

                if (!bot)
                        judge_says("L5", b, "all is over, and tgswitchd does not know the bot");
                else if (!b->revoked && b->declared && b->has_token)
                        end_of_bot(b, bot);
        }
}
