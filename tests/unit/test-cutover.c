/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/cutover.h"
#include "cutover-walk.h"

#define RESULTS  (CUTOVER_DO_JOB_DONE | CUTOVER_DO_JOB_FAILED | CUTOVER_DO_JOB_CANCELED)
#define ROWS_MAX 256

/* A copy that a test may spoil. */
typedef struct Draft {
        CutoverRow rows[ROWS_MAX];
        size_t n_rows;
        CutoverFacts facts[CUTOVER_STATE_MAX];
} Draft;

static Draft draft_of_table(void)
{
        Draft d = {};
        const CutoverRow *rows = cutover_rows(&d.n_rows);

        assert_true(d.n_rows < ROWS_MAX);
        memcpy(d.rows, rows, d.n_rows * sizeof(*rows));
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                d.facts[s] = *cutover_facts(s);
        return d;
}

static CutoverWalk walk(const Draft *d)
{
        CutoverTable table = { d->rows, d->n_rows, d->facts };
        CutoverWalk w;

        cutover_walk(&table, &w);
        return w;
}

static const CutoverRow *find_row(CutoverState state, CutoverEvent event)
{
        size_t n;
        const CutoverRow *rows = cutover_rows(&n);

        for (size_t i = 0; i < n; i++)
                if (rows[i].from == state && rows[i].event == event)
                        return &rows[i];
        return NULL;
}

/* ---- the shape of the table ---- */

static void test_every_pair_has_one_verdict(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                for (CutoverEvent e = 0; e < CUTOVER_EVENT_MAX; e++) {
                        CutoverStep step = cutover_step(s, e);
                        const CutoverRow *row = find_row(s, e);

                        assert_non_null(step.why);
                        assert_true(strlen(step.why) > 0);
                        if (row) {
                                assert_int_equal(step.verdict, CUTOVER_STEP);
                                assert_int_equal(step.state, row->to);
                                assert_int_equal(step.actions, row->actions);
                                assert_int_equal(step.note, row->note);
                                assert_ptr_equal(step.why, row->why);
                                continue;
                        }
                        assert_int_equal(step.verdict, e <= CUTOVER_CANCEL_REQUESTED ? CUTOVER_REFUSED : CUTOVER_STALE);
                        assert_int_equal(step.state, s);
                        assert_int_equal(step.actions, 0);
                        assert_int_equal(step.note, CUTOVER_NOTE_NONE);
                }
}

static void test_no_pair_has_two_rows(void **state)
{
        size_t n;
        const CutoverRow *rows = cutover_rows(&n);

        for (size_t i = 0; i < n; i++) {
                assert_in_range(rows[i].to, 0, CUTOVER_STATE_MAX - 1);
                assert_in_range(rows[i].note, 0, CUTOVER_NOTE_MAX - 1);
                assert_int_equal(rows[i].actions & ~CUTOVER_ACTION_ALL, 0);
                assert_ptr_equal(find_row(rows[i].from, rows[i].event), &rows[i]);
        }
}

/* What an operation can end in is what its state has rows for, neither less, which were a dead end, nor
 * more. */
static void test_operations_end_in_rows(void **state)
{
        uint64_t awaited[CUTOVER_STATE_MAX] = {};
        size_t n;
        const CutoverRow *rows = cutover_rows(&n);

        for (size_t i = 0; i < n; i++) {
                unsigned operations = __builtin_popcount(rows[i].actions & CUTOVER_OPERATIONS);

                assert_int_equal(operations, rows[i].to != CUTOVER_SETTLED);
                assert_true(__builtin_popcount(rows[i].actions & RESULTS) <= 1);
                awaited[rows[i].to] |= cutover_results(rows[i].to, rows[i].actions);
        }
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                for (CutoverEvent e = CUTOVER_WRITE_FAILED + 1; e < CUTOVER_EVENT_MAX; e++)
                        if (!!find_row(s, e) != !!(awaited[s] & EVENT_BIT(e)))
                                fail_msg("%s + %s: %s", cutover_state_to_string(s), cutover_event_to_string(e),
                                         find_row(s, e) ? "nothing can end in it" : "a dead end");
}

/* The events that come from outside have rows exactly where the facts of a state say so. */
static void test_rows_agree_with_facts(void **state)
{
        bool holds[CUTOVER_STATE_MAX] = {};
        size_t n, n_beside = 0;
        const CutoverRow *rows = cutover_rows(&n);

        for (size_t i = 0; i < n; i++)
                if (rows[i].actions & CUTOVER_DO_HOLD)
                        holds[rows[i].to] = true;
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                const CutoverFacts *facts = cutover_facts(s);

                assert_non_null(find_row(s, CUTOVER_RESTARTED));
                assert_int_equal(!!find_row(s, CUTOVER_WRITE_FAILED), facts->recording == CUTOVER_RECORD_NEEDED);
                assert_int_equal(!!find_row(s, CUTOVER_CANCEL_REQUESTED), facts->cancellable);
                assert_int_equal(!!find_row(s, CUTOVER_PROCEED_REQUESTED), holds[s]);
                assert_int_equal(!!find_row(s, CUTOVER_SWITCH_REQUESTED), s == CUTOVER_SETTLED);
                assert_int_equal(isempty(facts->phase), s == CUTOVER_SETTLED);
                if (facts->recording != CUTOVER_RECORD_BESIDE)
                        continue;
                /* A process that finds the record of before does it again: nothing that has to be known afterwards. */
                assert_int_equal(find_row(s, CUTOVER_RESTARTED)->to, s);
                assert_false(facts->cancellable || facts->ends_stale || facts->place == CUTOVER_AT_UNKNOWN);
                n_beside++;
        }
        /* after the login and before the start of the workers, where a write would be downtime */
        assert_int_equal(n_beside, 2);
}

static void test_everything_is_used(void **state)
{
        uint64_t events = 0;
        unsigned actions = 0, notes = 0, places = 0;
        size_t n;
        const CutoverRow *rows = cutover_rows(&n);

        for (size_t i = 0; i < n; i++) {
                events |= EVENT_BIT(rows[i].event);
                actions |= rows[i].actions;
                notes |= 1u << rows[i].note;
        }
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                places |= 1u << cutover_facts(s)->place;
        assert_int_equal(events, EVENT_BIT(CUTOVER_EVENT_MAX) - 1);
        assert_int_equal(actions, CUTOVER_ACTION_ALL);
        assert_int_equal(notes, (1u << CUTOVER_NOTE_MAX) - 1);
        assert_int_equal(places, (1u << CUTOVER_PLACE_MAX) - 1);
}

/* Forward from the settled seat, or backward to it. */
static size_t count_connected(bool backward)
{
        bool connected[CUTOVER_STATE_MAX] = { [CUTOVER_SETTLED] = true };
        size_t n, count = 1;
        const CutoverRow *rows = cutover_rows(&n);

        for (bool progress = true; progress;) {
                progress = false;
                for (size_t i = 0; i < n; i++) {
                        CutoverState a = backward ? rows[i].to : rows[i].from;
                        CutoverState b = backward ? rows[i].from : rows[i].to;

                        if (!connected[a] || connected[b])
                                continue;
                        connected[b] = progress = true;
                        count++;
                }
        }
        return count;
}

static void test_every_state_lies_between_two_settled_seats(void **state)
{
        assert_int_equal(count_connected(false), CUTOVER_STATE_MAX);
        assert_int_equal(count_connected(true), CUTOVER_STATE_MAX);
}

/* ---- names ---- */

typedef const char *(*name_function_t)(unsigned value);

static const char *event_name(unsigned value)
{
        return cutover_event_to_string(value);
}

static const char *action_name(unsigned value)
{
        return cutover_action_to_string(1u << value);
}

static const char *note_name(unsigned value)
{
        return cutover_note_to_string(value);
}

static const char *place_name(unsigned value)
{
        return cutover_place_to_string(value);
}

static const char *state_name(unsigned value)
{
        return cutover_state_to_string(value);
}

static void assert_names(name_function_t name, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                assert_non_null(name(i));
                for (unsigned j = 0; j < i; j++)
                        assert_string_not_equal(name(i), name(j));
        }
        assert_null(name(n));
}

static void test_names_are_unique(void **state)
{
        assert_names(state_name, CUTOVER_STATE_MAX);
        assert_names(event_name, CUTOVER_EVENT_MAX);
        assert_names(action_name, __builtin_popcount(CUTOVER_ACTION_ALL));
        assert_names(note_name, CUTOVER_NOTE_MAX);
        assert_names(place_name, CUTOVER_PLACE_MAX);
        assert_null(cutover_state_to_string(CUTOVER_STATE_INVALID));
        assert_null(cutover_event_to_string(CUTOVER_EVENT_INVALID));
        assert_null(cutover_action_to_string(CUTOVER_DO_CHECK | CUTOVER_DO_DRAIN));
}

static void test_names_of_states_come_back(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                assert_int_equal(cutover_state_from_string(cutover_state_to_string(s)), s);
        assert_int_equal(cutover_state_from_string(""), CUTOVER_STATE_INVALID);
        assert_int_equal(cutover_state_from_string("LOG-OUT"), CUTOVER_STATE_INVALID);
}

static void test_seat_that_people_see(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                Seat expected[CUTOVER_PLACE_MAX] = {
                        [CUTOVER_AT_SEAT] = SEAT_CLOUD,
                        [CUTOVER_AT_TARGET] = SEAT_LOCAL,
                        [CUTOVER_AT_NONE] = SEAT_NONE,
                        [CUTOVER_AT_UNKNOWN] = SEAT_UNKNOWN,
                };

                assert_int_equal(cutover_seat(s, SEAT_CLOUD, SEAT_LOCAL), expected[cutover_facts(s)->place]);
        }
        assert_int_equal(cutover_seat(CUTOVER_SETTLED, SEAT_UNDECLARED, SEAT_UNDECLARED), SEAT_UNDECLARED);
}

/* ---- the laws ---- */

static void test_laws_hold_in_all_sequences(void **state)
{
        Draft d = draft_of_table();
        CutoverWalk w = walk(&d);

        if (w.law != LAW_NONE)
                fail_msg("%s is broken: %s\n%s", law_to_string(w.law), w.what, w.path);
        print_message("%zu configurations, %zu moves between them, %llu sequences of up to %d events\n",
                      w.n_configurations, w.n_moves, (unsigned long long) w.n_sequences, MODEL_DEPTH);
        for (size_t i = 0; i < d.n_rows; i++) {
                /* A process that has just started has no recent getUpdates to speak of. */
                bool never = d.rows[i].from == CUTOVER_LOG_OUT_RECHECK && d.rows[i].event == CUTOVER_RETRY_DUE;

                if (w.taken[i] == never)
                        fail_msg("%s + %s is %s", cutover_state_to_string(d.rows[i].from),
                                 cutover_event_to_string(d.rows[i].event), never ? "taken" : "never taken");
        }
        cutover_walk_done(&w);
}

#define ROW(from, event, to, actions, note)                                                              \
        {                                                                                                \
                CUTOVER_##from, CUTOVER_##event, CUTOVER_##to, (actions), CUTOVER_NOTE_##note, "planted" \
        }
#define DO(action) CUTOVER_DO_##action

/* Mistakes that somebody could make with the table. Each takes the place of the row for the same pair, or is
 * added. */
static const struct {
        CutoverRow row;
        Law law;
} planted[] = {
        /* back, although a logOut may have been applied */
        { ROW(LOG_OUT, RESTARTED, RESTORE_SOURCE, DO(JOB_FAILED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT), LAW_NO_RETURN },
        { ROW(LOG_OUT, LOGOUT_LOST, RESTORE_SOURCE, DO(JOB_FAILED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT),
          LAW_NO_RETURN },
        { ROW(LOG_OUT, LOGOUT_LOST, LOG_OUT_WAIT, DO(RETRY_TIMER), NOT_LOGGED_OUT), LAW_NO_RETURN },
        { ROW(LOG_OUT, CANCEL_REQUESTED, RESTORE_SOURCE, DO(JOB_CANCELED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT),
          LAW_NO_RETURN },
        { ROW(LOG_OUT_UNKNOWN, CANCEL_REQUESTED, RESTORE_SOURCE, DO(JOB_CANCELED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT),
          LAW_NO_RETURN },
        { ROW(LOG_OUT_REPEAT, LOGOUT_REVOKED, RESTORE_SOURCE, DO(JOB_FAILED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT),
          LAW_NO_RETURN },
        { ROW(LOG_OUT_REPEAT, LOGOUT_REJECTED, LOG_OUT_WAIT, DO(RETRY_TIMER), NOT_LOGGED_OUT), LAW_NO_RETURN },
        { ROW(LOG_OUT_RESPOOL, SPOOLED, LOG_OUT_UNKNOWN, DO(RETRY_TIMER), NONE), LAW_NO_RETURN },
        { ROW(LOG_IN, RESTARTED, RESTORE_SOURCE, DO(JOB_FAILED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT), LAW_NO_RETURN },

        /* into a window */
        { ROW(SETTLED, SWITCH_REQUESTED, CHECK, DO(JOB_BEGIN) | DO(CHECK), NONE), LAW_NO_RETURN },
        { ROW(QUEUED, RESTARTED, CHECK, DO(CHECK), WINDOW_OVER), LAW_NO_RETURN },
        { ROW(STALE_HAND_OVER, CONFIRMED, CHECK, DO(CHECK), WINDOW_OVER), LAW_NO_RETURN },

        /* at the target too early */
        { ROW(LOG_OUT, LOGOUT_LOST, LOG_IN, DO(LOG_IN), LOGGED_OUT), LAW_ONE_SERVER },
        { ROW(LOG_OUT_RECHECK, WORKERS_STOPPED, LOG_IN, DO(LOG_IN), LOGGED_OUT), LAW_ONE_SERVER },
        { ROW(LOG_IN, RESTARTED, RESTORE_WEBHOOK, DO(RESTORE_WEBHOOK), LOGGED_IN), LAW_ONE_SERVER },

        /* a session that nobody remembers */
        { ROW(LOG_IN, LOGIN_FAILED, RESTORE_SOURCE, DO(JOB_FAILED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT),
          LAW_ONE_SERVER },
        { ROW(LOG_OUT_REPEAT, SOURCE_DEAD, LOG_IN, DO(LOG_IN), LOGGED_OUT), LAW_ONE_SERVER },
        { ROW(LOG_OUT_REPEAT, SOURCE_DEAD, LOG_IN, DO(LOG_IN), ABANDONED), LAW_ONE_SERVER },
        { ROW(LOG_OUT_RESPOOL, SOURCE_DEAD, LOG_IN_ABANDONED, DO(LOG_IN), LOGGED_OUT), LAW_ONE_SERVER },
        { ROW(ABANDON, WORKERS_STOPPED, LOG_IN, DO(LOG_IN), ABANDONED), LAW_ONE_SERVER },
        { ROW(ABANDON, WORKERS_STOPPED, LOG_IN_ABANDONED, DO(LOG_IN), LOGGED_OUT), LAW_ONE_SERVER },
        { ROW(LOG_IN, FALL_BACK_DUE, RESTORE_SOURCE, DO(JOB_FAILED) | DO(RESTORE_SOURCE), NOT_LOGGED_OUT),
          LAW_ONE_SERVER },
        { ROW(TURN_BACK, WORKERS_STOPPED, LOG_IN, DO(LOG_IN), NONE), LAW_ONE_SERVER },
        { ROW(LOG_IN_ABANDONED, WRITE_FAILED, LOG_IN, DO(RETRY_TIMER), NONE), LAW_ONE_SERVER },
        { ROW(LOG_IN_ABANDONED, WRITE_FAILED, LOG_IN_ABANDONED, DO(LOG_IN), NONE), LAW_ONE_SERVER },
        { ROW(LOG_IN_ABANDONED, RETRY_DUE, LOG_IN_ABANDONED, DO(LOG_IN), NONE), LAW_ONE_SERVER },
        { ROW(LOG_IN_ABANDONED, RETRY_DUE_STALE, LOG_IN_ABANDONED, DO(LOG_IN), NONE), LAW_ONE_SERVER },
        { ROW(STALE_SPOOL, SPOOLED, STALE_HAND_OVER, DO(NEXT_SPOOL_PART) | DO(CONFIRM), STALE_ENDED), LAW_ONE_SERVER },
        { ROW(STALE_LOG_OUT, LOGOUT_LOST, STALE_HAND_OVER, DO(NEXT_SPOOL_PART) | DO(CONFIRM), STALE_ENDED),
          LAW_ONE_SERVER },
        { ROW(STALE_SPOOL, SPOOL_FAILED, SETTLED, DO(JOB_FAILED) | DO(JOB_END), STALE_ENDED), LAW_ONE_SERVER },
        { ROW(QUEUED, ADMITTED_STALE, STALE_HAND_OVER, DO(NEXT_SPOOL_PART) | DO(CONFIRM), STALE_ENDED),
          LAW_ONE_SERVER },
        { ROW(QUEUED, ADMITTED_STALE, CHECK, DO(CHECK), WINDOW_OVER), LAW_ONE_SERVER },

        /* one that nobody may leave behind: the cloud's */
        { ROW(LOG_OUT, LOGOUT_LOST, LOG_IN_ABANDONED, DO(LOG_IN), ABANDONED), LAW_ONE_SERVER },

        /* logOut with something left undone */
        { ROW(SETTLED, SWITCH_REQUESTED, DRAIN, DO(JOB_BEGIN) | DO(DRAIN), NONE), LAW_READY },
        { ROW(DRAIN, DRAINED, SPOOL, DO(SPOOL), NONE), LAW_READY },
        { ROW(STOP_WORKERS, WORKERS_NOT_STOPPED, SPOOL, DO(SPOOL), NONE), LAW_READY },
        { ROW(STOP_WORKERS, RESTARTED, SPOOL, DO(SPOOL), NONE), LAW_READY },
        { ROW(STOP_WORKERS, WORKERS_STOPPED, LOG_OUT, DO(LOG_OUT), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(SPOOL, SPOOL_FAILED, LOG_OUT, DO(LOG_OUT), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(HOLD_SPOOLED, PROCEED_REQUESTED, LOG_OUT, DO(LOG_OUT), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(LOG_OUT_WAIT, RETRY_DUE_STALE, LOG_OUT, DO(LOG_OUT), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(LOG_OUT, WRITE_FAILED, LOG_OUT_UNKNOWN, DO(RETRY_TIMER), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(LOG_OUT, RESTARTED, LOG_OUT_UNKNOWN, DO(RETRY_TIMER), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(LOG_OUT_RECHECK, WORKERS_NOT_STOPPED, LOG_OUT_UNKNOWN, DO(RETRY_TIMER), NONE), LAW_READY },
        { ROW(LOG_OUT_UNKNOWN, RETRY_DUE_STALE, LOG_OUT_REPEAT, DO(REPEAT_LOG_OUT), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(LOG_OUT_RESPOOL, SPOOL_FAILED, LOG_OUT_REPEAT, DO(REPEAT_LOG_OUT), MAY_BE_LOGGED_OUT), LAW_READY },
        { ROW(QUEUED, ADMITTED, DRAIN, DO(DRAIN), WINDOW_OVER), LAW_READY },
        { ROW(QUEUED, ADMITTED_STALE, STALE_LOG_OUT, DO(REPEAT_LOG_OUT), NONE), LAW_READY },
        { ROW(STALE_SPOOL, SPOOL_FAILED, STALE_LOG_OUT, DO(REPEAT_LOG_OUT), NONE), LAW_READY },
        { ROW(STALE_LOG_OUT, RETRY_DUE_STALE, STALE_LOG_OUT, DO(REPEAT_LOG_OUT), NONE), LAW_READY },
        { ROW(STALE_LOG_OUT, RESTARTED, STALE_LOG_OUT, DO(REPEAT_LOG_OUT), NONE), LAW_READY },

        /* workers at the wrong door, or people told the wrong place */
        { ROW(SPOOL, SPOOLED, LOG_OUT, DO(LOG_OUT), NONE), LAW_GATE },
        { ROW(LOG_IN, LOGGED_IN, RESTORE_WEBHOOK, DO(RESTORE_WEBHOOK), NONE), LAW_GATE },
        { ROW(RESTORE_WEBHOOK, WEBHOOK_RESTORED, START_WORKERS, DO(START_WORKERS), NONE), LAW_GATE },
        { ROW(PUBLISH, PUBLISHED, PUBLISH, DO(START_WORKERS), NONE), LAW_GATE },
        { ROW(LOG_OUT, LOGOUT_APPLIED, START_WORKERS, DO(START_WORKERS), LOGGED_OUT), LAW_GATE },
        { ROW(CHECK, SOURCE_DEAD, LOG_IN_ABANDONED, DO(LOG_IN), ABANDONED), LAW_GATE },
        { ROW(ABANDON, WORKERS_NOT_STOPPED, LOG_IN_ABANDONED, DO(LOG_IN), ABANDONED), LAW_GATE },
        { ROW(ABANDON, RESTARTED, LOG_IN_ABANDONED, DO(LOG_IN), ABANDONED), LAW_GATE },
        { ROW(LOG_IN, FALL_BACK_DUE, LOG_IN_ABANDONED, DO(JOB_FAILED) | DO(LOG_IN), TURNED_BACK), LAW_GATE },
        { ROW(RESTORE_WEBHOOK, FALL_BACK_DUE, LOG_IN_ABANDONED, DO(JOB_FAILED) | DO(LOG_IN), ABANDONED), LAW_GATE },
        { ROW(TURN_BACK, WORKERS_NOT_STOPPED, LOG_IN_ABANDONED, DO(LOG_IN), NONE), LAW_GATE },

        /* no way on */
        { ROW(LOG_IN, LOGIN_FAILED, LOG_IN, 0, NONE), LAW_ARRIVES },
        { ROW(LOG_IN, LOGGED_IN, LOG_IN, DO(LOG_IN), NONE), LAW_ARRIVES },
        { ROW(LOG_OUT_UNKNOWN, RETRY_DUE_STALE, LOG_OUT_RECHECK, DO(STOP_WORKERS), NONE), LAW_ARRIVES },
        { ROW(QUEUED, ADMITTED, QUEUED, DO(QUEUE), NONE), LAW_ARRIVES },
        { ROW(STALE_LOG_OUT, LOGOUT_APPLIED, STALE_HAND_OVER, DO(NEXT_SPOOL_PART) | DO(CONFIRM), NONE), LAW_ARRIVES },

        /* waiting for a server that is dead */
        { ROW(RESTORE_SOURCE, SOURCE_DEAD, RESTORE_SOURCE, DO(RETRY_TIMER), NONE), LAW_ARRIVES },
        { ROW(LOG_IN, FALL_BACK_DUE, LOG_IN, DO(RETRY_TIMER), NONE), LAW_ARRIVES },
        { ROW(RESTORE_WEBHOOK, FALL_BACK_DUE, RESTORE_WEBHOOK, DO(RETRY_TIMER), NONE), LAW_ARRIVES },

        /* spooled, and handed to nobody */
        { ROW(CONFIRM, SPOOL_LEFT, CONFIRM, DO(CONFIRM), NONE), LAW_NO_LOSS },
        { ROW(STALE_HAND_OVER, SPOOL_LEFT, STALE_HAND_OVER, DO(CONFIRM), NONE), LAW_NO_LOSS },
        { ROW(STALE_LOG_OUT, LOGOUT_APPLIED, QUEUED, DO(QUEUE), STALE_ENDED), LAW_NO_LOSS },
        { ROW(STALE_HAND_OVER, RESTARTED, STALE_HAND_OVER, DO(CONFIRM), NONE), LAW_NO_LOSS },

        /* a window that begins too early */
        { ROW(LOG_OUT, LOGOUT_LOST, LOG_OUT_UNKNOWN, DO(RETRY_TIMER), NONE), LAW_WINDOW },
        { ROW(LOG_OUT_REPEAT, LOGOUT_LOST, LOG_OUT_UNKNOWN, DO(RETRY_TIMER), NONE), LAW_WINDOW },
        { ROW(LOG_OUT, RESTARTED, LOG_OUT_RECHECK, DO(STOP_WORKERS), NONE), LAW_WINDOW },
        { ROW(LOG_OUT, LOGOUT_APPLIED, RESTORE_WEBHOOK, DO(RESTORE_WEBHOOK), LOGGED_IN), LAW_WINDOW },
        { ROW(LOG_IN, LOGIN_TOO_EARLY, LOG_IN, DO(RETRY_TIMER), NONE), LAW_WINDOW },
        { ROW(LOG_IN_ABANDONED, LOGIN_TOO_EARLY, LOG_IN, DO(RETRY_TIMER), NONE), LAW_WINDOW },
        /* and one that a clock could open again */
        { ROW(QUEUED, ADMITTED, CHECK, DO(CHECK), NONE), LAW_WINDOW },

        /* something not put back, or a result that is not true */
        { ROW(CHECK, CHECK_FAILED, SETTLED, DO(JOB_FAILED) | DO(JOB_END), NONE), LAW_RESTORES },
        { ROW(STOP_WORKERS, CANCEL_REQUESTED, SETTLED, DO(RELEASE_SERVER) | DO(JOB_CANCELED) | DO(JOB_END), NONE),
          LAW_RESTORES },
        { ROW(SPOOL, CANCEL_REQUESTED, RESTART_WORKERS, DO(JOB_CANCELED) | DO(START_WORKERS), NONE), LAW_RESTORES },
        { ROW(RESTORE_SOURCE, SOURCE_RESTORED, SETTLED, DO(JOB_END), NONE), LAW_RESTORES },
        { ROW(START_WORKERS, WORKERS_NOT_STARTED, CONFIRM, DO(CONFIRM), NONE), LAW_RESTORES },
        { ROW(CONFIRM, CONFIRMED, SETTLED, DO(JOB_DONE) | DO(JOB_END), NONE), LAW_RESTORES },
        { ROW(START_WORKERS, WORKERS_STARTED, CONFIRM, DO(RELEASE_SERVER) | DO(CONFIRM), NONE), LAW_RESTORES },
        { ROW(QUEUED, ARRIVED, SETTLED, DO(JOB_DONE) | DO(JOB_END), NONE), LAW_RESTORES },
        { ROW(QUEUED, CALLED_OFF, SETTLED, DO(RELEASE_SERVER) | DO(JOB_DONE) | DO(JOB_END), NONE), LAW_RESTORES },
        { ROW(ABANDON, CANCEL_REQUESTED, SETTLED, DO(JOB_CANCELED) | DO(JOB_END), NONE), LAW_RESTORES },
        { ROW(LOG_IN, FALL_BACK_DUE, TURN_BACK, DO(STOP_WORKERS), TURNED_BACK), LAW_RESTORES },
        { ROW(LOG_IN, LOGIN_FAILED, LOG_IN, DO(JOB_FAILED) | DO(RETRY_TIMER), NONE), LAW_RESTORES },
};

#undef ROW
#undef DO

static CutoverRow *draft_row(Draft *d, CutoverState state, CutoverEvent event)
{
        for (size_t i = 0; i < d->n_rows; i++)
                if (d->rows[i].from == state && d->rows[i].event == event)
                        return &d->rows[i];
        assert_true(d->n_rows < ROWS_MAX);
        return &d->rows[d->n_rows++];
}

static void test_planted_rows_are_caught(void **state)
{
        FOREACH_ELEMENT(p, planted) {
                Draft d = draft_of_table();
                CutoverWalk w;

                *draft_row(&d, p->row.from, p->row.event) = p->row;
                w = walk(&d);
                if (w.law != p->law)
                        fail_msg("%s + %s -> %s: expected %s, found %s: %s\n%s", cutover_state_to_string(p->row.from),
                                 cutover_event_to_string(p->row.event), cutover_state_to_string(p->row.to),
                                 law_to_string(p->law), law_to_string(w.law), w.what ?: "all is well", w.path ?: "");
                cutover_walk_done(&w);
        }
}

/* The gate may be closed where it could be open: then a worker waits in vain, which no law forbids. Where
 * the workers are at the source and all is as it was, it may also be open; anywhere else it lets somebody
 * in. */
static void test_planted_open_gates_are_caught(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                Draft d = draft_of_table();
                CutoverWalk w;

                if (d.facts[s].gate_open || s == CUTOVER_RESTORE_SOURCE)
                        continue;
                d.facts[s].gate_open = true;
                w = walk(&d);
                if (w.law != LAW_GATE && w.law != LAW_READY)
                        fail_msg("the gate open in %s is not caught: %s", cutover_state_to_string(s),
                                 law_to_string(w.law));
                cutover_walk_done(&w);
        }
}

static void test_planted_wrong_places_are_caught(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                for (CutoverPlace p = 0; p < CUTOVER_PLACE_MAX; p++) {
                        Draft d = draft_of_table();
                        CutoverWalk w;

                        if (d.facts[s].place == p)
                                continue;
                        d.facts[s].place = p;
                        w = walk(&d);
                        assert_int_equal(w.law, LAW_GATE);
                        cutover_walk_done(&w);
                }
}

static void assert_record_is_needed(CutoverState state, Law law)
{
        Draft d = draft_of_table();
        CutoverWalk w;

        d.facts[state].recording = CUTOVER_RECORD_BESIDE;
        w = walk(&d);
        assert_int_equal(w.law, law);
        cutover_walk_done(&w);
}

static void test_planted_actions_without_record_are_caught(void **state)
{
        assert_record_is_needed(CUTOVER_LOG_OUT, LAW_READY);
        assert_record_is_needed(CUTOVER_LOG_IN_ABANDONED, LAW_ONE_SERVER);
}

/* A state in which requests go to the server that holds a stale session says so. */
static void test_planted_wrong_debts_are_caught(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                Draft d = draft_of_table();
                CutoverWalk w;

                if (!d.facts[s].ends_stale)
                        continue;
                d.facts[s].ends_stale = false;
                w = walk(&d);
                assert_int_not_equal(w.law, LAW_NONE);
                cutover_walk_done(&w);
        }
}

/* There is nothing in the table that the laws do not ask for: without any one action, some law is broken. */
static void test_no_action_is_superfluous(void **state)
{
        Draft d = draft_of_table();

        for (size_t i = 0; i < d.n_rows; i++)
                for (unsigned action = 1; action < CUTOVER_ACTION_ALL; action <<= 1) {
                        CutoverRow *row = &d.rows[i];
                        CutoverWalk w;

                        if (!(row->actions & action) ||
                            (row->from == CUTOVER_LOG_OUT_RECHECK && row->event == CUTOVER_RETRY_DUE))
                                continue;
                        row->actions &= ~action;
                        w = walk(&d);
                        row->actions |= action;
                        if (w.law == LAW_NONE)
                                fail_msg("%s + %s does not need %s", cutover_state_to_string(row->from),
                                         cutover_event_to_string(row->event), cutover_action_to_string(action));
                        cutover_walk_done(&w);
                }
}

/* And nothing is noted in vain. A repeat of logOut is on record before it goes out, for people to read; the window is
 * safe without that, since the next process notes it, too. */
static void test_no_note_is_superfluous(void **state)
{
        Draft d = draft_of_table();

        for (size_t i = 0; i < d.n_rows; i++) {
                CutoverRow *row = &d.rows[i];
                CutoverNote note = row->note;
                CutoverWalk w;

                if (note == CUTOVER_NOTE_NONE || (row->actions & CUTOVER_DO_REPEAT_LOG_OUT) ||
                    row->to == CUTOVER_LOG_OUT_RESPOOL)
                        continue;
                row->note = CUTOVER_NOTE_NONE;
                w = walk(&d);
                row->note = note;
                if (w.law == LAW_NONE)
                        fail_msg("%s + %s does not need its note", cutover_state_to_string(row->from),
                                 cutover_event_to_string(row->event));
                cutover_walk_done(&w);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_pair_has_one_verdict),
                cmocka_unit_test(test_no_pair_has_two_rows),
                cmocka_unit_test(test_operations_end_in_rows),
                cmocka_unit_test(test_rows_agree_with_facts),
                cmocka_unit_test(test_everything_is_used),
                cmocka_unit_test(test_every_state_lies_between_two_settled_seats),
                cmocka_unit_test(test_names_are_unique),
                cmocka_unit_test(test_names_of_states_come_back),
                cmocka_unit_test(test_seat_that_people_see),
                cmocka_unit_test(test_laws_hold_in_all_sequences),
                cmocka_unit_test(test_planted_rows_are_caught),
                cmocka_unit_test(test_planted_open_gates_are_caught),
                cmocka_unit_test(test_planted_wrong_places_are_caught),
                cmocka_unit_test(test_planted_actions_without_record_are_caught),
                cmocka_unit_test(test_planted_wrong_debts_are_caught),
                cmocka_unit_test(test_no_action_is_superfluous),
                cmocka_unit_test(test_no_note_is_superfluous),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
