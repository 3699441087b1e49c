/* SPDX-License-Identifier: MIT */
#include "cutover-world.h"

enum { LEFT_NO, LEFT_MAYBE, LEFT_YES };
enum { JOB_NONE, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELED };

static_assert(sizeof(World) == sizeof(uint32_t) + 2 * sizeof(Saved) + 14, "nothing undefined between the members");

const char *law_to_string(Law law)
{
        static const char *const names[LAW_MAX] = {
                [LAW_NONE] = "none",  [LAW_NO_RETURN] = "L1", [LAW_ONE_SERVER] = "L2",
                [LAW_READY] = "L3",   [LAW_GATE] = "L4",      [LAW_ARRIVES] = "L5",
                [LAW_NO_LOSS] = "L6", [LAW_WINDOW] = "L8",    [LAW_RESTORES] = "L9",
        };

        return law >= 0 && law < LAW_MAX ? names[law] : NULL;
}

uint64_t cutover_results(unsigned actions, CutoverPlace place)
{
#define TWO(a, b)      (EVENT_BIT(CUTOVER_##a) | EVENT_BIT(CUTOVER_##b))
#define THREE(a, b, c) (TWO(a, b) | EVENT_BIT(CUTOVER_##c))
        switch (actions & CUTOVER_OPERATIONS) {
        case CUTOVER_DO_CHECK:
                return TWO(CHECK_PASSED, CHECK_FAILED);
        case CUTOVER_DO_DRAIN:
                return THREE(DRAINED, DRAINED_HOLD, DRAIN_FAILED);
        case CUTOVER_DO_HOLD:
                return EVENT_BIT(CUTOVER_HOLD_TIMED_OUT);
        case CUTOVER_DO_STOP_WORKERS:
                return TWO(WORKERS_STOPPED, WORKERS_NOT_STOPPED);
        case CUTOVER_DO_SPOOL:
                /* A server that the bot has left may say so instead of handing out updates. */
                return THREE(SPOOLED, SPOOLED_HOLD, SPOOL_FAILED) |
                       (place == CUTOVER_AT_UNKNOWN ? EVENT_BIT(CUTOVER_LOGOUT_APPLIED) : 0);
        case CUTOVER_DO_LOG_OUT:
        case CUTOVER_DO_REPEAT_LOG_OUT:
                return THREE(LOGOUT_APPLIED, LOGOUT_REVOKED, LOGOUT_LOST) | TWO(LOGOUT_REJECTED, LOGOUT_GIVEN_UP);
        case CUTOVER_DO_LOG_IN:
                return TWO(LOGGED_IN, LOGIN_FAILED);
        case CUTOVER_DO_RESTORE_SOURCE:
                return TWO(SOURCE_RESTORED, SOURCE_NOT_RESTORED);
        case CUTOVER_DO_RESTORE_WEBHOOK:
                return TWO(WEBHOOK_RESTORED, WEBHOOK_NOT_RESTORED);
        case CUTOVER_DO_PUBLISH:
                return TWO(PUBLISHED, NOT_PUBLISHED);
        case CUTOVER_DO_START_WORKERS:
                return TWO(WORKERS_STARTED, WORKERS_NOT_STARTED);
        case CUTOVER_DO_CONFIRM:
                return THREE(CONFIRMED, SPOOL_LEFT, NOT_CONFIRMED);
        case CUTOVER_DO_RETRY_TIMER:
                return TWO(RETRY_DUE, RETRY_DUE_STALE);
        default:
                return 0;
        }
#undef TWO
#undef THREE
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
        *ret = (World){ .begun = true, .in = { true, false }, .published = 1, .workers = 1 };
        ret->memory.stamped = true;
        ret->disk = ret->memory;
}

/* ---- what an event tells of the world ---- */

static bool attempt_in_flight(const World *w)
{
        return w->begun && (w->actions & (CUTOVER_DO_LOG_OUT | CUTOVER_DO_REPEAT_LOG_OUT));
}

static void logout_answered(World *w, CutoverEvent event)
{
        uint8_t *left = &w->left[w->memory.seat];
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
        if (*left == LEFT_YES)
                w->in[w->memory.seat] = false;
        if (*left != w->left_before || event == CUTOVER_LOGOUT_LOST)
                w->memory.stamped = w->disk.stamped = false;
        w->left_before = LEFT_NO;
}

static void process_restarted(World *w)
{
        if (attempt_in_flight(w))
                w->disk.stamped = false;
        w->left_before = LEFT_NO;
        w->fresh = false;
        w->part_left = false; /* the confirmation begins anew and sees what is left */
        w->memory = w->disk;
}

static void happened(Judge *j, World *w, CutoverEvent event)
{
        switch (event) {
        case CUTOVER_SWITCH_REQUESTED: /* granted only when the target's window is over */
                w->memory.target = !w->memory.seat;
                w->memory.checked = false;
                w->left[w->memory.target] = LEFT_NO;
                w->in[w->memory.target] = false;
                w->fresh = w->unwell = false;
                break;
        case CUTOVER_RESTARTED:
                process_restarted(w);
                break;
        case CUTOVER_CHECK_PASSED:
                w->memory.checked = true;
                break;
        case CUTOVER_WORKERS_STOPPED:
                /* Through an open gate the next one starts behind the back of this answer. */
                if (!j->facts[w->memory.state].gate_open)
                        w->workers = 0;
                break;
        case CUTOVER_SPOOLED:
        case CUTOVER_SPOOLED_HOLD:
                w->fresh = true;
                break;
        case CUTOVER_SPOOL_FAILED:
        case CUTOVER_PROCEED_REQUESTED:
        case CUTOVER_HOLD_TIMED_OUT:
        case CUTOVER_RETRY_DUE_STALE:
                w->fresh = false;
                break;
        case CUTOVER_LOGOUT_APPLIED ... CUTOVER_LOGOUT_LOST:
                logout_answered(w, event);
                break;
        case CUTOVER_LOGGED_IN:
                w->in[w->memory.target] = true;
                w->changed = w->touched = false; /* the source has nothing any more, the unit is in use */
                break;
        case CUTOVER_SOURCE_RESTORED:
                w->changed = w->touched = false;
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

static void take_note(Saved *s, CutoverNote note)
{
        switch (note) {
        case CUTOVER_NOTE_MAY_BE_LOGGED_OUT:
                s->place = CUTOVER_AT_UNKNOWN;
                s->stamped = true;
                break;
        case CUTOVER_NOTE_LOGGED_OUT:
                s->place = CUTOVER_AT_NONE;
                s->stamped = true;
                break;
        case CUTOVER_NOTE_NOT_LOGGED_OUT:
                s->place = CUTOVER_AT_SEAT;
                s->stamped = true;
                break;
        case CUTOVER_NOTE_LOGGED_IN:
                s->place = CUTOVER_AT_TARGET;
                break;
        default:
                break;
        }
}

/* Where the bot has to be when a job is given this result. */
static uint8_t result_place(uint8_t result, uint8_t place)
{
        switch (result) {
        case JOB_DONE:
                return CUTOVER_AT_TARGET;
        case JOB_CANCELED:
                return CUTOVER_AT_SEAT;
        default:
                return place == CUTOVER_AT_TARGET ? CUTOVER_AT_TARGET : CUTOVER_AT_SEAT;
        }
}

static void job_step(Judge *j, World *w, unsigned actions)
{
        uint8_t *result = &w->memory.result;
        uint8_t place = w->memory.place;

        if (actions & CUTOVER_DO_JOB_BEGIN) {
                require(j, *result == JOB_NONE, LAW_RESTORES, "a job begins while another one runs");
                *result = JOB_RUNNING;
        }
        if (*result == JOB_RUNNING) { /* the first result stays */
                *result = actions & CUTOVER_DO_JOB_FAILED     ? JOB_FAILED
                          : actions & CUTOVER_DO_JOB_CANCELED ? JOB_CANCELED
                          : actions & CUTOVER_DO_JOB_DONE     ? JOB_DONE
                                                              : JOB_RUNNING;
                require(j, *result == JOB_RUNNING || place == result_place(*result, place), LAW_RESTORES,
                        "a job is given a result that does not fit where the bot is");
        }
        if (actions & CUTOVER_DO_RELEASE_SERVER)
                require(j, (actions & CUTOVER_DO_JOB_END) && place == CUTOVER_AT_SEAT, LAW_RESTORES,
                        "the target's unit is let go and somebody still needs it");
        if (!(actions & CUTOVER_DO_JOB_END))
                return;

        require(j, *result > JOB_RUNNING, LAW_RESTORES, "a job ends without a result");
        require(j, *result != JOB_DONE || !w->unwell, LAW_RESTORES, "a job is done and a worker did not start");
        require(j, !w->stopped, LAW_RESTORES, "a job ends and the workers stay stopped");
        require(j, !w->changed, LAW_RESTORES, "a job ends and the source is not as it was");
        require(j, !w->touched || (actions & CUTOVER_DO_RELEASE_SERVER), LAW_RESTORES,
                "a job fails and the target's unit is not as it was");
        *result = JOB_NONE;
}

static uint8_t server_at(const Saved *s)
{
        return s->place == CUTOVER_AT_TARGET ? s->target : s->seat;
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
        require(j, s->stamped, LAW_WINDOW,
                "the window counts from before the last moment at which logOut may have been applied");
        if (facts->gate_open) {
                require(j, s->place == CUTOVER_AT_SEAT || s->place == CUTOVER_AT_TARGET, LAW_GATE,
                        "the gate is open and nobody knows where the bot is");
                w->workers |= w->published;
                w->fresh = false;
        }
        for (unsigned i = 0; i < 2; i++)
                require(j, !(w->workers & (1u << i)) || (w->in[i] && w->left[i] == LEFT_NO), LAW_GATE,
                        "a worker may run at a server where the bot is not logged in");
}

void world_step(Judge *j, World *w, const CutoverRow *row)
{
        bool respooled = w->begun && (w->actions & CUTOVER_DO_SPOOL) && w->memory.place == CUTOVER_AT_UNKNOWN &&
                         (row->event == CUTOVER_SPOOLED || row->event == CUTOVER_SPOOLED_HOLD);

        require(j, !respooled || (row->actions & CUTOVER_DO_REPEAT_LOG_OUT), LAW_NO_RETURN,
                "the spool logged the bot in again and no logOut follows");
        happened(j, w, row->event);
        w->memory.state = row->to;
        w->actions = row->actions;
        w->begun = false;
        take_note(&w->memory, row->note);
        job_step(j, w, row->actions);
        if (row->to == CUTOVER_SETTLED && w->memory.place == CUTOVER_AT_TARGET) {
                w->memory.seat = w->memory.target;
                w->memory.place = CUTOVER_AT_SEAT;
        }
        check_configuration(j, w);
}

/* ---- the actions ---- */

/* A request that carries the token. While a logOut may be applied only its repeat may go there, and the
 * spool before it; once it is known to be applied, nothing. */
static void send_token(Judge *j, const World *w, uint8_t server, unsigned action)
{
        bool repeats = (action & (CUTOVER_DO_REPEAT_LOG_OUT | CUTOVER_DO_SPOOL)) && server == w->memory.seat &&
                       w->memory.place == CUTOVER_AT_UNKNOWN;

        if (repeats)
                return;
        require(j, w->left[server] == LEFT_NO, LAW_NO_RETURN,
                "the token goes to a server that a logOut may have closed");
        require(j, w->in[server], LAW_ONE_SERVER, "the token goes to a server where the bot is not logged in");
}

static void send_logout(Judge *j, World *w, unsigned action)
{
        uint8_t source = w->memory.seat;

        require(j, w->memory.checked, LAW_READY, "logOut without passed checks");
        require(j, w->memory.result == JOB_RUNNING, LAW_RESTORES, "logOut and the job has its result already");
        require(j, w->workers == 0, LAW_READY, "logOut while a worker may run");
        require(j, w->fresh, LAW_READY, "logOut with updates that nobody spooled");
        require(j, w->disk.place == CUTOVER_AT_UNKNOWN, LAW_READY, "logOut and the intent is not on disk");
        send_token(j, w, source, action);
        w->left_before = w->left[source];
        w->left[source] = MAX(w->left[source], LEFT_MAYBE);
}

static void act(Judge *j, World *w, unsigned action)
{
        const CutoverFacts *facts = &j->facts[w->memory.state];

        switch (action) {
        case CUTOVER_DO_CHECK:
                w->touched = true;
                send_token(j, w, w->memory.seat, action);
                break;
        case CUTOVER_DO_STOP_WORKERS:
                w->stopped = true;
                break;
        case CUTOVER_DO_SPOOL:
                w->changed = true;
                send_token(j, w, w->memory.seat, action);
                break;
        case CUTOVER_DO_DRAIN:
        case CUTOVER_DO_RESTORE_SOURCE:
                send_token(j, w, w->memory.seat, action);
                break;
        case CUTOVER_DO_LOG_OUT:
        case CUTOVER_DO_REPEAT_LOG_OUT:
                send_logout(j, w, action);
                break;
        case CUTOVER_DO_LOG_IN:
                require(j, !w->in[w->memory.seat] && w->memory.place == CUTOVER_AT_NONE, LAW_ONE_SERVER,
                        "a login before the logOut is known to be applied");
                break;
        case CUTOVER_DO_RESTORE_WEBHOOK:
                send_token(j, w, w->memory.target, action);
                break;
        case CUTOVER_DO_PUBLISH:
                w->published |= 1u << w->memory.target;
                break;
        case CUTOVER_DO_START_WORKERS:
        case CUTOVER_DO_NEXT_SPOOL_PART:
                require(j, facts->gate_open, LAW_GATE, "workers are started and the gate is closed");
                require(j, !w->changed, LAW_RESTORES, "workers are started and the source is not as it was");
                send_token(j, w, server_at(&w->memory), action);
                w->part_left = false;
                break;
        case CUTOVER_DO_CONFIRM:
                require(j, !w->part_left, LAW_NO_LOSS, "the rest of the spool is handed to nobody");
                send_token(j, w, server_at(&w->memory), action);
                break;
        case CUTOVER_DO_RELEASE_SERVER:
                w->touched = false;
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

uint64_t world_results(const World *w)
{
        uint64_t results = cutover_results(w->actions, w->memory.place);

        if (!w->fresh)
                results &= ~EVENT_BIT(CUTOVER_RETRY_DUE);
        if ((w->actions & CUTOVER_DO_SPOOL) && w->left[w->memory.seat] == LEFT_NO)
                results &= ~EVENT_BIT(CUTOVER_LOGOUT_APPLIED);
        return results;
}

bool world_on_disk(const World *w)
{
        return memcmp(&w->memory, &w->disk, sizeof(w->memory)) == 0;
}
