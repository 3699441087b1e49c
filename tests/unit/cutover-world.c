/* SPDX-License-Identifier: MIT */
#include "cutover-world.h"

enum { JOB_NONE, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELED };

static_assert(sizeof(World) == sizeof(uint32_t) + 2 * sizeof(Saved) + 20, "nothing undefined between the members");

const char *law_to_string(Law law)
{
        static const char *const names[LAW_MAX] = {
                [LAW_NONE] = "none",  [LAW_NO_RETURN] = "L1", [LAW_ONE_SERVER] = "L2",
                [LAW_READY] = "L3",   [LAW_GATE] = "L4",      [LAW_ARRIVES] = "L5",
                [LAW_NO_LOSS] = "L6", [LAW_WINDOW] = "L8",    [LAW_RESTORES] = "L9",
        };

        return law >= 0 && law < LAW_MAX ? names[law] : NULL;
}

void judge_broken(Judge *j, Law law, const char *what)
{
        if (j->law != LAW_NONE)
                return;
        j->law = law;
        j->what = what;
}

static void require(Judge *j, bool kept, Law law, const char *what)
{
        if (!kept)
                judge_broken(j, law, what);
}

void world_init(World *ret)
{
        *ret = (World){ .begun = true, .in = { IN_YES, IN_NO }, .published = 1 << CLOUD, .workers = 1 << CLOUD };
        ret->memory.stamped[CLOUD] = ret->memory.stamped[LOCAL] = true;
        ret->disk = ret->memory;
}

bool world_ask(World *w, uint8_t server)
{
        w->memory.asked = server;
        return server != w->memory.seat || w->memory.stale;
}

/* ---- what an event tells of the world ---- */

static bool attempt_in_flight(const World *w)
{
        return w->begun && (w->actions & (CUTOVER_DO_LOG_OUT | CUTOVER_DO_REPEAT_LOG_OUT));
}

/* Which server the spool and logOut of this state go to. */
static uint8_t left_server(const Judge *j, const Saved *s)
{
        return j->facts[s->state].ends_stale ? LOCAL : s->seat;
}

static void logout_answered(World *w, uint8_t server, CutoverEvent event)
{
        uint8_t *left = &w->left[server];
        bool repeat = !(w->actions & CUTOVER_DO_LOG_OUT);

        switch (event) {
        case CUTOVER_LOGOUT_APPLIED:
                *left = LEFT_YES;
                break;
        case CUTOVER_LOGOUT_REVOKED:
                *left = repeat ? LEFT_YES : w->left_before;
                break;
        case CUTOVER_LOGOUT_REJECTED:
        case CUTOVER_LOGOUT_GIVEN_UP:
                *left = w->left_before;
                break;
        default: /* lost: what it was set to when the request went out */
                break;
        }
        if (*left == LEFT_YES) {
                w->in[server] = IN_NO;
                w->unused |= server == LOCAL;
        }
        if (*left != w->left_before || event == CUTOVER_LOGOUT_LOST || event == CUTOVER_SOURCE_DEAD)
                w->memory.stamped[server] = w->disk.stamped[server] = false;
        w->left_before = LEFT_NO;
}

static void process_restarted(Judge *j, World *w)
{
        if (attempt_in_flight(w))
                w->disk.stamped[left_server(j, &w->memory)] = false;
        w->left_before = LEFT_NO;
        w->fresh = false;
        w->part_left = false; /* the confirmation begins anew and sees what is left */
        w->memory = w->disk;
}

/* A wish, a death, the time: what changes without an operation's doing. */
static void came_about(Judge *j, World *w, CutoverEvent event)
{
        Saved *s = &w->memory;

        switch (event) {
        case CUTOVER_SWITCH_REQUESTED:
                s->target = s->asked;
                s->checked = false;
                w->fresh = w->unwell = false;
                break;
        case CUTOVER_RESTARTED:
                process_restarted(j, w);
                break;
        case CUTOVER_ADMITTED: /* only when the target's window is over */
                w->left[s->target] = LEFT_NO;
                break;
        case CUTOVER_FALL_BACK_DUE: /* only when the cloud's is */
                w->left[CLOUD] = LEFT_NO;
                break;
        case CUTOVER_SOURCE_DEAD:
                /* Of all checks only those that need an answer of the source may be missing. */
                s->checked |= (w->actions & CUTOVER_DO_CHECK) != 0;
                if (attempt_in_flight(w))
                        logout_answered(w, left_server(j, s), event);
                break;
        case CUTOVER_LOGIN_TOO_EARLY: /* what is on disk only leads to the same question again */
                s->stamped[s->target] = false;
                break;
        case CUTOVER_PROCEED_REQUESTED:
        case CUTOVER_HOLD_TIMED_OUT:
        case CUTOVER_RETRY_DUE_STALE:
                w->fresh = false;
                break;
        default:
                break;
        }
}

static void operation_ended(Judge *j, World *w, CutoverEvent event)
{
        const CutoverFacts *facts = &j->facts[w->memory.state];

        switch (event) {
        case CUTOVER_CHECK_PASSED:
                w->memory.checked = true;
                break;
        case CUTOVER_WORKERS_STOPPED:
                /* Through an open gate the next one starts behind the back of this answer. */
                if (!facts->gate_open)
                        w->workers = 0;
                break;
        case CUTOVER_SPOOLED:
        case CUTOVER_SPOOLED_HOLD:
                w->fresh = true;
                w->unserved |= facts->ends_stale;
                break;
        case CUTOVER_SPOOL_FAILED:
                w->fresh = false;
                break;
        case CUTOVER_LOGOUT_APPLIED ... CUTOVER_LOGOUT_LOST:
                logout_answered(w, left_server(j, &w->memory), event);
                break;
        case CUTOVER_LOGGED_IN:
                w->in[w->memory.target] = IN_YES;
                w->changed = w->touched = false; /* the source has nothing any more, the unit is in use */
                break;
        case CUTOVER_SOURCE_RESTORED:
                w->changed = w->touched = w->unused = false;
                break;
        case CUTOVER_PUBLISHED:
                w->published = 1u << w->memory.target;
                break;
        case CUTOVER_WORKERS_STARTED:
        case CUTOVER_WORKERS_NOT_STARTED:
                w->stopped = false;
                w->unwell = event == CUTOVER_WORKERS_NOT_STARTED;
                break;
        case CUTOVER_SPOOL_LEFT:
                w->part_left = true;
                break;
        default:
                break;
        }
}

/* ---- the step: new state, notes, the job's result ---- */

/* The bot goes from the one server, which may keep its session, to the other. */
static void leave_session(Judge *j, Saved *s, uint8_t server)
{
        require(j, server == LOCAL, LAW_ONE_SERVER, "a session in the cloud is left behind");
        s->stale = true;
        s->target = !server;
        s->window[s->target] = WINDOW_OVER;
        s->place = CUTOVER_AT_NONE;
}

static void take_note(Judge *j, Saved *s, CutoverNote note)
{
        switch (note) {
        case CUTOVER_NOTE_MAY_BE_LOGGED_OUT:
        case CUTOVER_NOTE_LOGGED_OUT:
                s->place = note == CUTOVER_NOTE_LOGGED_OUT ? CUTOVER_AT_NONE : CUTOVER_AT_UNKNOWN;
                s->window[s->seat] = WINDOW_RUNNING;
                s->stamped[s->seat] = true;
                break;
        case CUTOVER_NOTE_NOT_LOGGED_OUT:
                s->place = CUTOVER_AT_SEAT;
                s->window[s->seat] = WINDOW_OVER;
                s->stamped[s->seat] = true;
                break;
        case CUTOVER_NOTE_LOGGED_IN:
                s->place = CUTOVER_AT_TARGET;
                break;
        case CUTOVER_NOTE_WINDOW_OVER:
                s->window[s->target] = WINDOW_OVER;
                break;
        case CUTOVER_NOTE_WINDOW_LONGER:
                s->window[s->target] = WINDOW_LONGER;
                s->stamped[s->target] = true;
                break;
        case CUTOVER_NOTE_ABANDONED:
                if (s->place == CUTOVER_AT_TARGET)
                        s->seat = s->target;
                leave_session(j, s, s->seat);
                break;
        case CUTOVER_NOTE_TURNED_BACK:
                leave_session(j, s, s->target);
                break;
        case CUTOVER_NOTE_STALE_ENDED:
                s->stale = false;
                s->window[LOCAL] = WINDOW_RUNNING;
                s->stamped[LOCAL] = true;
                break;
        default:
                break;
        }
}

static uint8_t server_at(const Saved *s)
{
        return s->place == CUTOVER_AT_TARGET ? s->target : s->seat;
}

static bool in_between(const Saved *s)
{
        return s->place == CUTOVER_AT_NONE || s->place == CUTOVER_AT_UNKNOWN;
}

/* Whether where the bot is, and where it goes, fits this result. */
static bool result_fits(const Saved *s, uint8_t result)
{
        switch (result) {
        case JOB_DONE:
                return !in_between(s) && server_at(s) == s->asked;
        case JOB_CANCELED:
                return s->place == CUTOVER_AT_SEAT;
        default:
                return !in_between(s) || s->target != s->asked;
        }
}

static void job_ends(Judge *j, World *w)
{
        bool released = w->actions & CUTOVER_DO_RELEASE_SERVER;
        Saved *s = &w->memory;

        require(j, s->result > JOB_RUNNING, LAW_RESTORES, "a job ends without a result");
        require(j, s->result != JOB_DONE || !w->unwell, LAW_RESTORES, "a job is done and a worker did not start");
        require(j, !w->stopped, LAW_RESTORES, "a job ends and the workers stay stopped");
        require(j, !w->changed, LAW_RESTORES, "a job ends and the source is not as it was");
        require(j, !w->touched || released, LAW_RESTORES, "a job fails and the target's unit is not as it was");
        require(j, !w->unused || s->stale || released, LAW_RESTORES,
                "a job ends and nobody lets the local server's unit go");
        require(j, !w->unserved || s->stale, LAW_NO_LOSS, "what a stale session left is handed to nobody");
        s->result = JOB_NONE;
}

static void job_step(Judge *j, World *w, unsigned actions)
{
        uint8_t *result = &w->memory.result;

        if (actions & CUTOVER_DO_JOB_BEGIN) {
                require(j, *result == JOB_NONE, LAW_RESTORES, "a job begins while another one runs");
                *result = JOB_RUNNING;
        }
        if (*result == JOB_RUNNING) { /* the first result stays */
                *result = actions & CUTOVER_DO_JOB_FAILED     ? JOB_FAILED
                          : actions & CUTOVER_DO_JOB_CANCELED ? JOB_CANCELED
                          : actions & CUTOVER_DO_JOB_DONE     ? JOB_DONE
                                                              : JOB_RUNNING;
                require(j, *result == JOB_RUNNING || result_fits(&w->memory, *result), LAW_RESTORES,
                        "a job is given a result that does not fit where the bot is");
        }
        require(j, !(actions & CUTOVER_DO_RELEASE_SERVER) || (actions & CUTOVER_DO_JOB_END), LAW_RESTORES,
                "the local server's unit is let go while the job runs");
        if (actions & CUTOVER_DO_JOB_END)
                job_ends(j, w);
}

static void check_workers(Judge *j, World *w)
{
        const CutoverFacts *facts = &j->facts[w->memory.state];
        const Saved *s = &w->memory;

        if (facts->gate_open) {
                require(j, !in_between(s), LAW_GATE, "the gate is open and nobody knows where the bot is");
                w->workers |= w->published;
                /* These workers are at another server's queue. */
                if (!facts->ends_stale)
                        w->fresh = false;
                require(j, !(w->workers & ~(1u << server_at(s))), LAW_GATE, "workers run with an old endpoint");
        }
        for (unsigned i = 0; i < SERVER_MAX; i++)
                require(j, !(w->workers & (1u << i)) || (w->in[i] == IN_YES && w->left[i] == LEFT_NO), LAW_GATE,
                        "a worker may run at a server where the bot is not logged in");
}

static void check_configuration(Judge *j, World *w)
{
        const CutoverFacts *facts = &j->facts[w->memory.state];
        const Saved *s = &w->memory;
        unsigned operations = __builtin_popcount(w->actions & CUTOVER_OPERATIONS);

        require(j, operations == (s->state != CUTOVER_SETTLED), LAW_ARRIVES,
                "a state waits for nothing, or for two things at once");
        require(j, s->state != CUTOVER_SETTLED || s->result == JOB_NONE, LAW_RESTORES,
                "the seat is settled and the job has not ended");
        require(j, facts->place == s->place, LAW_GATE, "the place that people see is not the one on record");
        /* While a session is to be ended there, nobody logs in at the local server, whatever its window. */
        for (unsigned i = 0; i < SERVER_MAX; i++)
                require(j, s->stamped[i] || (i == LOCAL && s->stale), LAW_WINDOW,
                        "the window counts from before the last moment at which logOut may have been applied");
        require(j, s->place != CUTOVER_AT_SEAT || w->in[!s->seat] == IN_NO || s->stale, LAW_ONE_SERVER,
                "a session is forgotten");
        check_workers(j, w);
}

/* The record is written where it says something new. */
static bool is_news(const CutoverRow *row)
{
        return row->to != row->from || row->note != CUTOVER_NOTE_NONE ||
               (row->actions &
                (CUTOVER_DO_JOB_DONE | CUTOVER_DO_JOB_FAILED | CUTOVER_DO_JOB_CANCELED | CUTOVER_DO_JOB_END));
}

void world_step(Judge *j, World *w, const CutoverRow *row)
{
        bool respooled = w->begun && (w->actions & CUTOVER_DO_SPOOL) && w->memory.place == CUTOVER_AT_UNKNOWN &&
                         (row->event == CUTOVER_SPOOLED || row->event == CUTOVER_SPOOLED_HOLD);
        bool paid = j->facts[w->memory.state].ends_stale &&
                    (row->event == CUTOVER_LOGOUT_APPLIED || row->event == CUTOVER_LOGOUT_REVOKED);

        require(j, !respooled || (row->actions & CUTOVER_DO_REPEAT_LOG_OUT), LAW_NO_RETURN,
                "the spool logged the bot in again and no logOut follows");
        came_about(j, w, row->event);
        operation_ended(j, w, row->event);
        w->memory.state = row->to;
        w->actions = row->actions;
        w->begun = false;
        w->writes = is_news(row);
        take_note(j, &w->memory, row->note);
        require(j, !paid || !w->memory.stale, LAW_ARRIVES, "a stale session is ended and stays on record for ever");
        job_step(j, w, row->actions);
        if (row->to == CUTOVER_SETTLED && w->memory.place == CUTOVER_AT_TARGET) {
                w->memory.seat = w->memory.target;
                w->memory.place = CUTOVER_AT_SEAT;
        }
        check_configuration(j, w);
}

bool world_waits_for_disk(const Judge *j, const World *w)
{
        return w->writes && j->facts[w->memory.state].recording == CUTOVER_RECORD_NEEDED;
}

/* ---- the actions ---- */

/* A request that carries the token. While a logOut may be applied only its repeat may go there, and the spool before
 * it; once it is known to be applied, nothing. A stale session is asked for nothing else either. */
static void send_token(Judge *j, const World *w, uint8_t server, unsigned action)
{
        const Saved *s = &w->memory;
        bool ends = action & (CUTOVER_DO_REPEAT_LOG_OUT | CUTOVER_DO_SPOOL);

        if (ends && server == LOCAL && s->stale)
                return;
        if (ends && server == s->seat && s->place == CUTOVER_AT_UNKNOWN)
                return;
        require(j, w->left[server] == LEFT_NO, LAW_NO_RETURN,
                "the token goes to a server that a logOut may have closed");
        require(j, w->in[server] == IN_YES, LAW_ONE_SERVER,
                "the token goes to a server where the bot is not logged in");
}

/* Every request logs the bot in where it is not, logOut itself too. */
static void log_in_again(World *w, uint8_t server)
{
        w->in[server] = MAX(w->in[server], IN_MAYBE);
        w->unused &= server != LOCAL;
}

static void send_logout(Judge *j, World *w, unsigned action)
{
        const Saved *s = &w->memory;
        uint8_t server = left_server(j, s);

        if (j->facts[s->state].ends_stale) {
                require(j, w->disk.stale, LAW_READY, "logOut and the stale session is not on disk");
                require(j, !(w->workers & (1u << server)), LAW_READY, "logOut while a worker may run there");
        } else {
                require(j, !s->stale, LAW_ONE_SERVER, "the bot goes to where it has a stale session");
                require(j, s->checked, LAW_READY, "logOut without passed checks");
                require(j, w->workers == 0, LAW_READY, "logOut while a worker may run");
                require(j, w->disk.place == CUTOVER_AT_UNKNOWN, LAW_READY, "logOut and the intent is not on disk");
        }
        require(j, s->result == JOB_RUNNING, LAW_RESTORES, "logOut and the job has its result already");
        require(j, w->fresh, LAW_READY, "logOut with updates that nobody spooled");
        send_token(j, w, server, action);
        w->left_before = w->left[server];
        w->left[server] = MAX(w->left[server], LEFT_MAYBE);
        log_in_again(w, server);
}

static void send_login(Judge *j, World *w)
{
        const Saved *s = &w->memory;
        uint8_t target = s->target;

        require(j, s->checked, LAW_READY, "a login without passed checks");
        require(j, w->left[target] == LEFT_NO, LAW_NO_RETURN, "a login before the window is over");
        require(j, s->window[target] != WINDOW_RUNNING, LAW_WINDOW, "a login and the window is not over on record");
        require(j, s->place == CUTOVER_AT_NONE, LAW_ONE_SERVER, "a login before the logOut is known to be applied");
        require(j, w->in[!target] == IN_NO || w->disk.stale, LAW_ONE_SERVER,
                "a login and the session at the other server is not on record");
        require(j, !(w->workers & ~(1u << target)), LAW_GATE, "a login while a worker may run at the other server");
        log_in_again(w, target);
}

static void act(Judge *j, World *w, unsigned action)
{
        const Saved *s = &w->memory;

        switch (action) {
        case CUTOVER_DO_CHECK:
                w->touched = s->target == LOCAL;
                send_token(j, w, s->seat, action);
                break;
        case CUTOVER_DO_STOP_WORKERS:
                w->stopped = true;
                break;
        case CUTOVER_DO_SPOOL:
                w->changed |= !j->facts[s->state].ends_stale;
                send_token(j, w, left_server(j, s), action);
                log_in_again(w, left_server(j, s));
                break;
        case CUTOVER_DO_DRAIN:
        case CUTOVER_DO_RESTORE_SOURCE:
                send_token(j, w, s->seat, action);
                break;
        case CUTOVER_DO_LOG_OUT:
        case CUTOVER_DO_REPEAT_LOG_OUT:
                send_logout(j, w, action);
                break;
        case CUTOVER_DO_LOG_IN:
                send_login(j, w);
                break;
        case CUTOVER_DO_RESTORE_WEBHOOK:
                send_token(j, w, s->target, action);
                break;
        case CUTOVER_DO_PUBLISH:
                w->published |= 1u << s->target;
                break;
        case CUTOVER_DO_START_WORKERS:
        case CUTOVER_DO_NEXT_SPOOL_PART:
                require(j, j->facts[s->state].gate_open, LAW_GATE, "workers are started and the gate is closed");
                require(j, !w->changed, LAW_RESTORES, "workers are started and the source is not as it was");
                send_token(j, w, server_at(s), action);
                w->part_left = w->unserved = false;
                break;
        case CUTOVER_DO_CONFIRM:
                require(j, !w->part_left && !w->unserved, LAW_NO_LOSS, "the rest of the spool is handed to nobody");
                send_token(j, w, server_at(s), action);
                break;
        case CUTOVER_DO_RELEASE_SERVER:
                w->touched = w->unused = false;
                break;
        default:
                break;
        }
}

void world_begin(Judge *j, World *w)
{
        w->begun = true;
        for (unsigned action = 1; action < CUTOVER_ACTION_ALL; action <<= 1)
                if (w->actions & action)
                        act(j, w, action);
}

bool world_on_disk(const World *w)
{
        return memcmp(&w->memory, &w->disk, sizeof(w->memory)) == 0;
}
