/* SPDX-License-Identifier: MIT */
#include "core/cutover.h"

#define ROW(from, event, to, actions, note, why)                                                     \
        {                                                                                            \
                CUTOVER_##from, CUTOVER_##event, CUTOVER_##to, (actions), CUTOVER_NOTE_##note, (why) \
        }

/* Short names, so that a row stays one line. */
#define CHECK          CUTOVER_DO_CHECK
#define DRAIN          CUTOVER_DO_DRAIN
#define HOLD           CUTOVER_DO_HOLD
#define STOP           CUTOVER_DO_STOP_WORKERS
#define SPOOL          CUTOVER_DO_SPOOL
#define LOG_OUT        CUTOVER_DO_LOG_OUT
#define REPEAT         CUTOVER_DO_REPEAT_LOG_OUT
#define LOG_IN         CUTOVER_DO_LOG_IN
#define RESTORE_SOURCE CUTOVER_DO_RESTORE_SOURCE
#define WEBHOOK        CUTOVER_DO_RESTORE_WEBHOOK
#define PUBLISH        CUTOVER_DO_PUBLISH
#define START          CUTOVER_DO_START_WORKERS
#define NEXT_PART      CUTOVER_DO_NEXT_SPOOL_PART
#define CONFIRM        CUTOVER_DO_CONFIRM
#define TIMER          CUTOVER_DO_RETRY_TIMER
#define BEGIN          CUTOVER_DO_JOB_BEGIN
#define DONE           (CUTOVER_DO_JOB_DONE | CUTOVER_DO_JOB_END)
#define FAILED         CUTOVER_DO_JOB_FAILED
#define CANCELED       CUTOVER_DO_JOB_CANCELED
#define END            CUTOVER_DO_JOB_END
#define RELEASE        CUTOVER_DO_RELEASE_SERVER
#define QUEUE          CUTOVER_DO_QUEUE
#define TURN           CUTOVER_DO_TURN

/* Laws that hold over these rows (tests/unit/test-cutover.c walks all sequences):
 *
 *   - LOG_OUT is entered from SPOOL alone, and SPOOL from STOP_WORKERS or from an attempt that followed it: so no
 *     logOut goes out before the checks, the stop of the workers and the spool (L3).
 *   - From LOG_OUT on a row leads back only where this attempt, the first, was certainly not applied; once one attempt
 *     is unknown, nothing leads back (L1).
 *   - LOG_IN, the first request to the target, is entered with LOGGED_OUT noted, or after LOG_IN_ABANDONED, which no
 *     request leaves before it is on record what session is owed a logOut (L2).
 *   - CHECK is entered from QUEUED, which is left for it when the target's window is over (L1), and again from what
 *     follows it.
 *   - The gate is open only in states whose place is known (L4). */
/* clang-format off */
static const CutoverRow table[] = {
        /*  from             event                to               actions                  note            why */
        ROW(SETTLED,         SWITCH_REQUESTED,    QUEUED,          BEGIN | QUEUE,           NONE,           "one after the other, and not before the window is over"),
        ROW(SETTLED,         RESTARTED,           SETTLED,         0,                       NONE,           "nothing was under way"),

        ROW(QUEUED,          ADMITTED,            CHECK,           CHECK,                   WINDOW_OVER,    "reversible work comes first"),
        ROW(QUEUED,          ADMITTED_STALE,      STALE_SPOOL,     SPOOL,                   NONE,           "two sessions of one bot take updates from each other"),
        ROW(QUEUED,          ARRIVED,             SETTLED,         RELEASE | DONE,          NONE,           "the bot is where it should be"),
        ROW(QUEUED,          CALLED_OFF,          SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing was begun"),
        ROW(QUEUED,          CANCEL_REQUESTED,    SETTLED,         RELEASE | CANCELED | END, NONE,          "nothing was begun"),
        ROW(QUEUED,          WRITE_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing irreversible without a record"),
        ROW(QUEUED,          RESTARTED,           QUEUED,          QUEUE,                   NONE,           "it waits on"),

        ROW(STALE_SPOOL,     SPOOLED,             STALE_LOG_OUT,   REPEAT,                  NONE,           "what that server still had is safe"),
        ROW(STALE_SPOOL,     SPOOLED_HOLD,        STALE_LOG_OUT,   REPEAT,                  NONE,           "the hold is for the move that follows"),
        ROW(STALE_SPOOL,     LOGOUT_APPLIED,      STALE_HAND_OVER, NEXT_PART | CONFIRM,     STALE_ENDED,    "the server says that the bot is out"),
        ROW(STALE_SPOOL,     LOGOUT_REVOKED,      STALE_HAND_OVER, NEXT_PART | CONFIRM,     STALE_ENDED,    "there is no session that could be ended"),
        ROW(STALE_SPOOL,     SPOOL_FAILED,        SETTLED,         FAILED | END,            NONE,           "it stays on record and is tried again"),
        ROW(STALE_SPOOL,     CANCEL_REQUESTED,    SETTLED,         CANCELED | END,          NONE,           "it stays on record and is tried again"),
        ROW(STALE_SPOOL,     WRITE_FAILED,        SETTLED,         FAILED | END,            NONE,           "nothing irreversible without a record"),
        ROW(STALE_SPOOL,     RESTARTED,           QUEUED,          QUEUE,                   NONE,           "the server may be gone again"),

        ROW(STALE_LOG_OUT,   LOGOUT_APPLIED,      STALE_HAND_OVER, NEXT_PART | CONFIRM,     STALE_ENDED,    "the bot has one session again"),
        ROW(STALE_LOG_OUT,   LOGOUT_REVOKED,      STALE_HAND_OVER, NEXT_PART | CONFIRM,     STALE_ENDED,    "there is no session that could be ended"),
        ROW(STALE_LOG_OUT,   LOGOUT_REJECTED,     STALE_LOG_OUT,   TIMER,                   NONE,           "the request was not carried out"),
        ROW(STALE_LOG_OUT,   LOGOUT_LOST,         STALE_LOG_OUT,   TIMER,                   NONE,           "only a repeat tells"),
        ROW(STALE_LOG_OUT,   RETRY_DUE,           STALE_LOG_OUT,   REPEAT,                  NONE,           "tried again"),
        ROW(STALE_LOG_OUT,   RETRY_DUE_STALE,     STALE_SPOOL,     SPOOL,                   NONE,           "what came in while waiting is taken too"),
        ROW(STALE_LOG_OUT,   CANCEL_REQUESTED,    SETTLED,         CANCELED | END,          NONE,           "it stays on record and is tried again"),
        ROW(STALE_LOG_OUT,   LOGOUT_GIVEN_UP,     SETTLED,         FAILED | END,            NONE,           "it stays on record and is tried again"),
        ROW(STALE_LOG_OUT,   WRITE_FAILED,        SETTLED,         FAILED | END,            NONE,           "nothing irreversible without a record"),
        ROW(STALE_LOG_OUT,   RESTARTED,           QUEUED,          QUEUE,                   NONE,           "the server may be gone again"),

        ROW(STALE_HAND_OVER, CONFIRMED,           QUEUED,          QUEUE,                   NONE,           "now the job can have its turn"),
        ROW(STALE_HAND_OVER, NOT_CONFIRMED,       SETTLED,         RELEASE | FAILED | END,  NONE,           "what was not taken is kept"),
        ROW(STALE_HAND_OVER, SPOOL_LEFT,          STALE_HAND_OVER, NEXT_PART | CONFIRM,     NONE,           "a worker takes one part at each start"),
        ROW(STALE_HAND_OVER, CANCEL_REQUESTED,    SETTLED,         RELEASE | CANCELED | END, NONE,          "what was not taken is kept"),
        ROW(STALE_HAND_OVER, RESTARTED,           STALE_HAND_OVER, NEXT_PART | CONFIRM,     NONE,           "handed over twice is better than never"),

        ROW(CHECK,           CHECK_PASSED,        DRAIN,           DRAIN,                   NONE,           "the workers take what is pending"),
        ROW(CHECK,           CHECK_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing was changed"),
        ROW(CHECK,           CANCEL_REQUESTED,    SETTLED,         RELEASE | CANCELED | END, NONE,          "nothing was changed"),
        ROW(CHECK,           WRITE_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing irreversible without a record"),
        ROW(CHECK,           SOURCE_DEAD,         ABANDON,         STOP,                    NONE,           "a dead server is not waited for"),
        ROW(CHECK,           RESTARTED,           CHECK,           CHECK,                   NONE,           "checks of another process prove nothing"),

        ROW(DRAIN,           DRAINED,             READY,           TURN,                    NONE,           "so many bots at a time are between two servers"),
        ROW(DRAIN,           DRAINED_HOLD,        HOLD_DRAINED,    HOLD,                    NONE,           "the caller wants to say when"),
        ROW(DRAIN,           SOURCE_DEAD,         ABANDON,         STOP,                    NONE,           "a dead server is not waited for"),
        ROW(DRAIN,           DRAIN_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "the workers never stopped"),
        ROW(DRAIN,           CANCEL_REQUESTED,    SETTLED,         RELEASE | CANCELED | END, NONE,          "the workers never stopped"),
        ROW(DRAIN,           WRITE_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing irreversible without a record"),
        ROW(DRAIN,           RESTARTED,           CHECK,           CHECK,                   NONE,           "checks of another process prove nothing"),

        ROW(HOLD_DRAINED,    PROCEED_REQUESTED,   READY,           TURN,                    NONE,           "the caller says so"),
        ROW(HOLD_DRAINED,    HOLD_TIMED_OUT,      SETTLED,         RELEASE | FAILED | END,  NONE,           "nobody said go in time"),
        ROW(HOLD_DRAINED,    CANCEL_REQUESTED,    SETTLED,         RELEASE | CANCELED | END, NONE,          "the workers never stopped"),
        ROW(HOLD_DRAINED,    WRITE_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing irreversible without a record"),
        ROW(HOLD_DRAINED,    RESTARTED,           CHECK,           CHECK,                   NONE,           "checks of another process prove nothing"),

        ROW(READY,           ADMITTED,            STOP_WORKERS,    STOP,                    NONE,           "no worker may log the bot in again"),
        ROW(READY,           ADMITTED_LATE,       CHECK,           CHECK,                   NONE,           "what was checked so long ago proves nothing"),
        ROW(READY,           CALLED_OFF,          SETTLED,         RELEASE | FAILED | END,  NONE,           "the workers never stopped"),
        ROW(READY,           CANCEL_REQUESTED,    SETTLED,         RELEASE | CANCELED | END, NONE,          "the workers never stopped"),
        ROW(READY,           WRITE_FAILED,        SETTLED,         RELEASE | FAILED | END,  NONE,           "nothing irreversible without a record"),
        ROW(READY,           RESTARTED,           CHECK,           CHECK,                   NONE,           "checks of another process prove nothing"),

        ROW(STOP_WORKERS,    WORKERS_STOPPED,     SPOOL,           SPOOL,                   NONE,           "what no worker took is taken by us"),
        ROW(STOP_WORKERS,    WORKERS_NOT_STOPPED, RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "a running worker would log the bot in again"),
        ROW(STOP_WORKERS,    CANCEL_REQUESTED,    RESTORE_SOURCE,  CANCELED | RESTORE_SOURCE, NONE,         "all of it can be put back"),
        ROW(STOP_WORKERS,    WRITE_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "nothing irreversible without a record"),
        ROW(STOP_WORKERS,    RESTARTED,           STOP_WORKERS,    STOP,                    NONE,           "some may have been stopped"),

        ROW(SPOOL,           SPOOLED,             LOG_OUT,         LOG_OUT,                 MAY_BE_LOGGED_OUT, "the intent is on disk before the request"),
        ROW(SPOOL,           SPOOLED_HOLD,        HOLD_SPOOLED,    HOLD,                    NONE,           "the caller wants to say when"),
        ROW(SPOOL,           SOURCE_DEAD,         ABANDON,         STOP,                    NONE,           "a dead server is not waited for"),
        ROW(SPOOL,           SPOOL_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "a logOut would wipe what is pending"),
        ROW(SPOOL,           CANCEL_REQUESTED,    RESTORE_SOURCE,  CANCELED | RESTORE_SOURCE, NONE,         "all of it can be put back"),
        ROW(SPOOL,           WRITE_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "nothing irreversible without a record"),
        ROW(SPOOL,           RESTARTED,           STOP_WORKERS,    STOP,                    NONE,           "workers may have been started meanwhile"),

        ROW(HOLD_SPOOLED,    PROCEED_REQUESTED,   SPOOL,           SPOOL,                   NONE,           "what came in while holding is taken too"),
        ROW(HOLD_SPOOLED,    HOLD_TIMED_OUT,      RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "nobody said go in time"),
        ROW(HOLD_SPOOLED,    CANCEL_REQUESTED,    RESTORE_SOURCE,  CANCELED | RESTORE_SOURCE, NONE,         "all of it can be put back"),
        ROW(HOLD_SPOOLED,    WRITE_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "nothing irreversible without a record"),
        ROW(HOLD_SPOOLED,    RESTARTED,           STOP_WORKERS,    STOP,                    NONE,           "workers may have been started meanwhile"),

        ROW(LOG_OUT,         LOGOUT_APPLIED,      LOG_IN,          LOG_IN,                  LOGGED_OUT,     "the bot is out: the target may have it"),
        ROW(LOG_OUT,         LOGOUT_REVOKED,      RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NOT_LOGGED_OUT, "a revoked token was logged out of nothing"),
        ROW(LOG_OUT,         LOGOUT_REJECTED,     LOG_OUT_WAIT,    TIMER,                   NOT_LOGGED_OUT, "the request was not carried out"),
        ROW(LOG_OUT,         LOGOUT_GIVEN_UP,     RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NOT_LOGGED_OUT, "the request was not carried out, and time is up"),
        ROW(LOG_OUT,         LOGOUT_LOST,         LOG_OUT_UNKNOWN, TIMER,                   MAY_BE_LOGGED_OUT, "a lost answer may have been a yes"),
        ROW(LOG_OUT,         WRITE_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NOT_LOGGED_OUT, "nothing irreversible without a record"),
        ROW(LOG_OUT,         RESTARTED,           LOG_OUT_RECHECK, STOP,                    MAY_BE_LOGGED_OUT, "the intent is on record, the answer is not"),

        ROW(LOG_OUT_WAIT,    RETRY_DUE,           SPOOL,           SPOOL,                   NONE,           "what came in while waiting is taken too"),
        ROW(LOG_OUT_WAIT,    RETRY_DUE_STALE,     SPOOL,           SPOOL,                   NONE,           "what came in while waiting is taken too"),
        ROW(LOG_OUT_WAIT,    CANCEL_REQUESTED,    RESTORE_SOURCE,  CANCELED | RESTORE_SOURCE, NONE,         "no attempt was carried out"),
        ROW(LOG_OUT_WAIT,    WRITE_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "nothing irreversible without a record"),
        ROW(LOG_OUT_WAIT,    RESTARTED,           STOP_WORKERS,    STOP,                    NONE,           "workers may have been started meanwhile"),

        ROW(ABANDON,         WORKERS_STOPPED,     LOG_IN_ABANDONED, LOG_IN,                 ABANDONED,      "the session is on record before another is begun"),
        ROW(ABANDON,         WORKERS_NOT_STOPPED, RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "a running worker would use two servers"),
        ROW(ABANDON,         CANCEL_REQUESTED,    RESTORE_SOURCE,  CANCELED | RESTORE_SOURCE, NONE,         "all of it can be put back"),
        ROW(ABANDON,         WRITE_FAILED,        RESTORE_SOURCE,  FAILED | RESTORE_SOURCE, NONE,           "nothing irreversible without a record"),
        ROW(ABANDON,         RESTARTED,           ABANDON,         STOP,                    NONE,           "some may have been stopped"),

        ROW(LOG_OUT_RECHECK, WORKERS_STOPPED,     LOG_OUT_UNKNOWN, TIMER,                   NONE,           "nothing runs that could log the bot in"),
        ROW(LOG_OUT_RECHECK, WORKERS_NOT_STOPPED, LOG_OUT_RECHECK, TIMER,                   NONE,           "a running worker would log the bot in again"),
        ROW(LOG_OUT_RECHECK, RETRY_DUE,           LOG_OUT_RECHECK, STOP,                    NONE,           "asked again"),
        ROW(LOG_OUT_RECHECK, RETRY_DUE_STALE,     LOG_OUT_RECHECK, STOP,                    NONE,           "asked again"),
        ROW(LOG_OUT_RECHECK, RESTARTED,           LOG_OUT_RECHECK, STOP,                    MAY_BE_LOGGED_OUT, "a repeat may have gone out unrecorded"),

        ROW(LOG_OUT_UNKNOWN, RETRY_DUE,           LOG_OUT_REPEAT,  REPEAT,                  MAY_BE_LOGGED_OUT, "only a repeat tells"),
        ROW(LOG_OUT_UNKNOWN, RETRY_DUE_STALE,     LOG_OUT_RESPOOL, SPOOL,                   MAY_BE_LOGGED_OUT, "if the bot is still in, its queue has grown"),
        ROW(LOG_OUT_UNKNOWN, SOURCE_DEAD,         LOG_IN_ABANDONED, LOG_IN,                 ABANDONED,      "nobody is left who could tell"),
        ROW(LOG_OUT_UNKNOWN, RESTARTED,           LOG_OUT_RECHECK, STOP,                    MAY_BE_LOGGED_OUT, "the intent is on record, the answer is not"),

        ROW(LOG_OUT_RESPOOL, SPOOLED,             LOG_OUT_REPEAT,  REPEAT,                  MAY_BE_LOGGED_OUT, "only a repeat tells"),
        ROW(LOG_OUT_RESPOOL, SPOOLED_HOLD,        LOG_OUT_REPEAT,  REPEAT,                  MAY_BE_LOGGED_OUT, "too late to hold"),
        ROW(LOG_OUT_RESPOOL, SPOOL_FAILED,        LOG_OUT_UNKNOWN, TIMER,                   NONE,           "a logOut would wipe what is pending"),
        ROW(LOG_OUT_RESPOOL, LOGOUT_APPLIED,      LOG_IN,          LOG_IN,                  LOGGED_OUT,     "the server says that the bot is out"),
        ROW(LOG_OUT_RESPOOL, SOURCE_DEAD,         LOG_IN_ABANDONED, LOG_IN,                 ABANDONED,      "nobody is left who could tell"),
        ROW(LOG_OUT_RESPOOL, RESTARTED,           LOG_OUT_RECHECK, STOP,                    MAY_BE_LOGGED_OUT, "the intent is on record, the answer is not"),

        ROW(LOG_OUT_REPEAT,  LOGOUT_APPLIED,      LOG_IN,          LOG_IN,                  LOGGED_OUT,     "the bot is out: the target may have it"),
        ROW(LOG_OUT_REPEAT,  LOGOUT_REVOKED,      LOG_IN,          LOG_IN,                  LOGGED_OUT,     "after an unknown attempt, 401 means that it was applied"),
        ROW(LOG_OUT_REPEAT,  LOGOUT_REJECTED,     LOG_OUT_UNKNOWN, TIMER,                   NONE,           "this attempt tells nothing of the earlier one"),
        ROW(LOG_OUT_REPEAT,  LOGOUT_GIVEN_UP,     LOG_OUT_UNKNOWN, TIMER,                   NONE,           "there is no giving up any more"),
        ROW(LOG_OUT_REPEAT,  LOGOUT_LOST,         LOG_OUT_UNKNOWN, TIMER,                   MAY_BE_LOGGED_OUT, "a lost answer may have been a yes"),
        ROW(LOG_OUT_REPEAT,  SOURCE_DEAD,         LOG_IN_ABANDONED, LOG_IN,                 ABANDONED,      "nobody is left who could tell"),
        ROW(LOG_OUT_REPEAT,  RESTARTED,           LOG_OUT_RECHECK, STOP,                    MAY_BE_LOGGED_OUT, "the intent is on record, the answer is not"),

        ROW(LOG_IN,          LOGGED_IN,           RESTORE_WEBHOOK, WEBHOOK,                 LOGGED_IN,      "the target has the bot"),
        ROW(LOG_IN,          LOGIN_FAILED,        LOG_IN,          TIMER,                   NONE,           "forward only: tried again"),
        ROW(LOG_IN,          LOGIN_TOO_EARLY,     LOG_IN,          TIMER,                   WINDOW_LONGER,  "a second logOut would lengthen it further"),
        ROW(LOG_IN,          FALL_BACK_DUE,       TURN_BACK,       FAILED | STOP,           TURNED_BACK,    "the cloud takes the bot again, and the target does not"),
        ROW(LOG_IN,          RETRY_DUE,           LOG_IN,          LOG_IN,                  NONE,           "tried again"),
        ROW(LOG_IN,          RETRY_DUE_STALE,     LOG_IN,          LOG_IN,                  NONE,           "tried again"),
        ROW(LOG_IN,          RESTARTED,           LOG_IN,          LOG_IN,                  NONE,           "logging in twice does no harm"),

        ROW(TURN_BACK,       WORKERS_STOPPED,     LOG_IN_ABANDONED, LOG_IN,                 NONE,           "the session is on record before another is begun"),
        ROW(TURN_BACK,       WORKERS_NOT_STOPPED, TURN_BACK,       TIMER,                   NONE,           "a running worker would use two servers"),
        ROW(TURN_BACK,       RETRY_DUE,           TURN_BACK,       STOP,                    NONE,           "asked again"),
        ROW(TURN_BACK,       RETRY_DUE_STALE,     TURN_BACK,       STOP,                    NONE,           "asked again"),
        ROW(TURN_BACK,       RESTARTED,           TURN_BACK,       STOP,                    NONE,           "workers may have been started meanwhile"),

        ROW(LOG_IN_ABANDONED, LOGGED_IN,          RESTORE_WEBHOOK, WEBHOOK,                 LOGGED_IN,      "the target has the bot"),
        ROW(LOG_IN_ABANDONED, LOGIN_FAILED,       LOG_IN,          TIMER,                   NONE,           "forward only: tried again"),
        ROW(LOG_IN_ABANDONED, LOGIN_TOO_EARLY,    LOG_IN,          TIMER,                   WINDOW_LONGER,  "a second logOut would lengthen it further"),
        ROW(LOG_IN_ABANDONED, WRITE_FAILED,       LOG_IN_ABANDONED, TIMER,                  NONE,           "a session that is not on record would be forgotten"),
        ROW(LOG_IN_ABANDONED, RETRY_DUE,          LOG_IN_ABANDONED, LOG_IN,                 AGAIN,          "tried again"),
        ROW(LOG_IN_ABANDONED, RETRY_DUE_STALE,    LOG_IN_ABANDONED, LOG_IN,                 AGAIN,          "tried again"),
        ROW(LOG_IN_ABANDONED, RESTARTED,          LOG_IN,          LOG_IN,                  NONE,           "logging in twice does no harm"),

        ROW(RESTORE_WEBHOOK, WEBHOOK_RESTORED,    PUBLISH,         PUBLISH,                 NONE,           "the workers get the new endpoint"),
        ROW(RESTORE_WEBHOOK, WEBHOOK_NOT_RESTORED, RESTORE_WEBHOOK, TIMER,                  NONE,           "forward only: tried again"),
        ROW(RESTORE_WEBHOOK, RETRY_DUE,           RESTORE_WEBHOOK, WEBHOOK,                 NONE,           "tried again"),
        ROW(RESTORE_WEBHOOK, RETRY_DUE_STALE,     RESTORE_WEBHOOK, WEBHOOK,                 NONE,           "tried again"),
        ROW(RESTORE_WEBHOOK, FALL_BACK_DUE,       TURN_BACK,       FAILED | STOP,           ABANDONED,      "the target died, and the cloud takes the bot again"),
        ROW(RESTORE_WEBHOOK, RESTARTED,           RESTORE_WEBHOOK, WEBHOOK,                 NONE,           "setting it twice does no harm"),

        ROW(PUBLISH,         PUBLISHED,           START_WORKERS,   START,                   NONE,           "the seat is settled"),
        ROW(PUBLISH,         NOT_PUBLISHED,       PUBLISH,         TIMER,                   NONE,           "forward only: tried again"),
        ROW(PUBLISH,         RETRY_DUE,           PUBLISH,         PUBLISH,                 NONE,           "tried again"),
        ROW(PUBLISH,         RETRY_DUE_STALE,     PUBLISH,         PUBLISH,                 NONE,           "tried again"),
        ROW(PUBLISH,         RESTARTED,           PUBLISH,         PUBLISH,                 NONE,           "publishing twice does no harm"),

        ROW(START_WORKERS,   WORKERS_STARTED,     CONFIRM,         CONFIRM,                 NONE,           "started is not yet well"),
        ROW(START_WORKERS,   WORKERS_NOT_STARTED, CONFIRM,         FAILED | CONFIRM,        NONE,           "the others are still to be watched"),
        ROW(START_WORKERS,   RESTARTED,           START_WORKERS,   START,                   NONE,           "starting what runs does nothing"),

        ROW(CONFIRM,         CONFIRMED,           SETTLED,         RELEASE | DONE,          NONE,           "the workers run at the target"),
        ROW(CONFIRM,         SPOOL_LEFT,          CONFIRM,         NEXT_PART | CONFIRM,     NONE,           "a worker takes one part at each start"),
        ROW(CONFIRM,         NOT_CONFIRMED,       SETTLED,         RELEASE | FAILED | END,  NONE,           "the bot is at the target, its workers are not well"),
        ROW(CONFIRM,         RESTARTED,           START_WORKERS,   START,                   NONE,           "after a boot they are still being started"),

        ROW(RESTORE_SOURCE,  SOURCE_RESTORED,     RESTART_WORKERS, START,                   NONE,           "the same workers at the same endpoint"),
        ROW(RESTORE_SOURCE,  SOURCE_NOT_RESTORED, RESTORE_SOURCE,  TIMER,                   NONE,           "the workers would find a changed bot"),
        ROW(RESTORE_SOURCE,  RETRY_DUE,           RESTORE_SOURCE,  RESTORE_SOURCE,          NONE,           "tried again"),
        ROW(RESTORE_SOURCE,  RETRY_DUE_STALE,     RESTORE_SOURCE,  RESTORE_SOURCE,          NONE,           "tried again"),
        ROW(RESTORE_SOURCE,  SOURCE_DEAD,         ABANDON,         STOP,                    NONE,           "a dead server cannot be put back"),
        ROW(RESTORE_SOURCE,  RESTARTED,           RESTORE_SOURCE,  RESTORE_SOURCE,          NONE,           "restoring twice does no harm"),

        ROW(RESTART_WORKERS, WORKERS_STARTED,     SETTLED,         END,                     NONE,           "all is as it was"),
        ROW(RESTART_WORKERS, WORKERS_NOT_STARTED, SETTLED,         END,                     NONE,           "all is as it was but for a worker that does not start"),
        ROW(RESTART_WORKERS, RESTARTED,           RESTART_WORKERS, START,                   NONE,           "starting what runs does nothing"),
};

/* clang-format on */

#undef CHECK
#undef DRAIN
#undef HOLD
#undef STOP
#undef SPOOL
#undef LOG_OUT
#undef REPEAT
#undef LOG_IN
#undef RESTORE_SOURCE
#undef WEBHOOK
#undef PUBLISH
#undef START
#undef NEXT_PART
#undef CONFIRM
#undef TIMER
#undef BEGIN
#undef DONE
#undef FAILED
#undef CANCELED
#undef END
#undef RELEASE
#undef QUEUE
#undef TURN

#define FACTS(state, name, phase, place, gate, cancel, stale, recording) \
        [CUTOVER_##state] = { name, phase, CUTOVER_AT_##place, gate, cancel, stale, CUTOVER_RECORD_##recording }

/* clang-format off */
static const CutoverFacts facts[CUTOVER_STATE_MAX] = {
        /*    state             name                phase              place    gate   cancel stale  record */
        FACTS(SETTLED,          "settled",          "",                SEAT,    true,  false, false, FIRST),
        FACTS(QUEUED,           "queued",           "queued",          SEAT,    true,  true,  false, NEEDED),
        FACTS(STALE_SPOOL,      "stale-spool",      "stale-session",   SEAT,    true,  true,  true,  NEEDED),
        FACTS(STALE_LOG_OUT,    "stale-log-out",    "stale-session",   SEAT,    true,  true,  true,  NEEDED),
        FACTS(STALE_HAND_OVER,  "stale-hand-over",  "stale-session",   SEAT,    true,  true,  false, FIRST),
        FACTS(CHECK,            "check",            "check",           SEAT,    true,  true,  false, NEEDED),
        FACTS(DRAIN,            "drain",            "drain",           SEAT,    true,  true,  false, NEEDED),
        FACTS(HOLD_DRAINED,     "hold-drained",     "drain",           SEAT,    true,  true,  false, NEEDED),
        FACTS(READY,            "ready",            "drain",           SEAT,    true,  true,  false, NEEDED),
        FACTS(STOP_WORKERS,     "stop-workers",     "stop-workers",    SEAT,    false, true,  false, NEEDED),
        FACTS(SPOOL,            "spool",            "spool",           SEAT,    false, true,  false, NEEDED),
        FACTS(HOLD_SPOOLED,     "hold-spooled",     "spool",           SEAT,    false, true,  false, NEEDED),
        FACTS(LOG_OUT_WAIT,     "log-out-wait",     "log-out",         SEAT,    false, true,  false, NEEDED),
        FACTS(ABANDON,          "abandon",          "stop-workers",    SEAT,    false, true,  false, NEEDED),
        FACTS(LOG_OUT,          "log-out",          "log-out",         UNKNOWN, false, false, false, NEEDED),
        FACTS(LOG_OUT_RECHECK,  "log-out-recheck",  "log-out",         UNKNOWN, false, false, false, FIRST),
        FACTS(LOG_OUT_UNKNOWN,  "log-out-unknown",  "log-out",         UNKNOWN, false, false, false, FIRST),
        FACTS(LOG_OUT_RESPOOL,  "log-out-respool",  "log-out",         UNKNOWN, false, false, false, FIRST),
        FACTS(LOG_OUT_REPEAT,   "log-out-repeat",   "log-out",         UNKNOWN, false, false, false, FIRST),
        FACTS(LOG_IN,           "log-in",           "log-in",          NONE,    false, false, false, FIRST),
        FACTS(TURN_BACK,        "turn-back",        "log-in",          NONE,    false, false, false, FIRST),
        FACTS(LOG_IN_ABANDONED, "log-in-abandoned", "log-in",          NONE,    false, false, false, NEEDED),
        FACTS(RESTORE_WEBHOOK,  "restore-webhook",  "restore-webhook", TARGET,  false, false, false, BESIDE),
        FACTS(PUBLISH,          "publish",          "publish",         TARGET,  false, false, false, BESIDE),
        FACTS(START_WORKERS,    "start-workers",    "start-workers",   TARGET,  true,  false, false, FIRST),
        FACTS(CONFIRM,          "confirm",          "confirm",         TARGET,  true,  false, false, FIRST),
        FACTS(RESTORE_SOURCE,   "restore-source",   "roll-back",       SEAT,    false, false, false, FIRST),
        FACTS(RESTART_WORKERS,  "restart-workers",  "roll-back",       SEAT,    true,  false, false, FIRST),
};

/* clang-format on */

#undef FACTS
#undef ROW

const CutoverRow *cutover_rows(size_t *ret_n)
{
        *ret_n = ELEMENTSOF(table);
        return table;
}

const CutoverFacts *cutover_facts(CutoverState state)
{
        assert(state >= 0 && state < CUTOVER_STATE_MAX);

        return &facts[state];
}

static CutoverStep refuse(CutoverState state, CutoverEvent event)
{
        CutoverStep step = { CUTOVER_REFUSED, state, 0, CUTOVER_NOTE_NONE, NULL };

        if (event == CUTOVER_PROCEED_REQUESTED)
                step.why = "the cutover is not waiting for anybody's go";
        else if (state == CUTOVER_SETTLED)
                step.why = "no cutover is under way";
        else if (event == CUTOVER_SWITCH_REQUESTED)
                step.why = "a cutover is under way";
        else if (state == CUTOVER_RESTORE_SOURCE || state == CUTOVER_RESTART_WORKERS)
                step.why = "the cutover is already being rolled back";
        else
                step.why = "logOut may have been applied: from here the cutover only goes forward";
        return step;
}

CutoverStep cutover_step(CutoverState state, CutoverEvent event)
{
        assert(state >= 0 && state < CUTOVER_STATE_MAX);
        assert(event >= 0 && event < CUTOVER_EVENT_MAX);

        FOREACH_ELEMENT(row, table)
                if (row->from == state && row->event == event)
                        return (CutoverStep){ CUTOVER_STEP, row->to, row->actions, row->note, row->why };

        if (event <= CUTOVER_CANCEL_REQUESTED)
                return refuse(state, event);
        return (CutoverStep){ CUTOVER_STALE, state, 0, CUTOVER_NOTE_NONE, "nobody waits for it" };
}

Seat cutover_seat(CutoverState state, Seat seat, Seat target)
{
        switch (cutover_facts(state)->place) {
        case CUTOVER_AT_TARGET:
                return target;
        case CUTOVER_AT_NONE:
                return SEAT_NONE;
        case CUTOVER_AT_UNKNOWN:
                return SEAT_UNKNOWN;
        default:
                return seat;
        }
}

const char *cutover_state_to_string(CutoverState state)
{
        return state >= 0 && state < CUTOVER_STATE_MAX ? facts[state].name : NULL;
}

CutoverState cutover_state_from_string(const char *s)
{
        for (CutoverState state = 0; state < CUTOVER_STATE_MAX; state++)
                if (streq(facts[state].name, s))
                        return state;
        return CUTOVER_STATE_INVALID;
}

const char *cutover_event_to_string(CutoverEvent event)
{
        static const char *const names[CUTOVER_EVENT_MAX] = {
                [CUTOVER_SWITCH_REQUESTED] = "switch-requested",
                [CUTOVER_PROCEED_REQUESTED] = "proceed-requested",
                [CUTOVER_CANCEL_REQUESTED] = "cancel-requested",
                [CUTOVER_RESTARTED] = "restarted",
                [CUTOVER_WRITE_FAILED] = "write-failed",
                [CUTOVER_ADMITTED] = "admitted",
                [CUTOVER_ADMITTED_LATE] = "admitted-late",
                [CUTOVER_ADMITTED_STALE] = "admitted-stale",
                [CUTOVER_ARRIVED] = "arrived",
                [CUTOVER_CALLED_OFF] = "called-off",
                [CUTOVER_CHECK_PASSED] = "check-passed",
                [CUTOVER_CHECK_FAILED] = "check-failed",
                [CUTOVER_SOURCE_DEAD] = "source-dead",
                [CUTOVER_DRAINED] = "drained",
                [CUTOVER_DRAINED_HOLD] = "drained-hold",
                [CUTOVER_DRAIN_FAILED] = "drain-failed",
                [CUTOVER_HOLD_TIMED_OUT] = "hold-timed-out",
                [CUTOVER_WORKERS_STOPPED] = "workers-stopped",
                [CUTOVER_WORKERS_NOT_STOPPED] = "workers-not-stopped",
                [CUTOVER_SPOOLED] = "spooled",
                [CUTOVER_SPOOLED_HOLD] = "spooled-hold",
                [CUTOVER_SPOOL_FAILED] = "spool-failed",
                [CUTOVER_LOGOUT_APPLIED] = "logout-applied",
                [CUTOVER_LOGOUT_REVOKED] = "logout-revoked",
                [CUTOVER_LOGOUT_REJECTED] = "logout-rejected",
                [CUTOVER_LOGOUT_GIVEN_UP] = "logout-given-up",
                [CUTOVER_LOGOUT_LOST] = "logout-lost",
                [CUTOVER_LOGGED_IN] = "logged-in",
                [CUTOVER_LOGIN_FAILED] = "login-failed",
                [CUTOVER_LOGIN_TOO_EARLY] = "login-too-early",
                [CUTOVER_SOURCE_RESTORED] = "source-restored",
                [CUTOVER_SOURCE_NOT_RESTORED] = "source-not-restored",
                [CUTOVER_WEBHOOK_RESTORED] = "webhook-restored",
                [CUTOVER_WEBHOOK_NOT_RESTORED] = "webhook-not-restored",
                [CUTOVER_PUBLISHED] = "published",
                [CUTOVER_NOT_PUBLISHED] = "not-published",
                [CUTOVER_WORKERS_STARTED] = "workers-started",
                [CUTOVER_WORKERS_NOT_STARTED] = "workers-not-started",
                [CUTOVER_SPOOL_LEFT] = "spool-left",
                [CUTOVER_CONFIRMED] = "confirmed",
                [CUTOVER_NOT_CONFIRMED] = "not-confirmed",
                [CUTOVER_RETRY_DUE] = "retry-due",
                [CUTOVER_RETRY_DUE_STALE] = "retry-due-stale",
                [CUTOVER_FALL_BACK_DUE] = "fall-back-due",
        };

        return event >= 0 && event < CUTOVER_EVENT_MAX ? names[event] : NULL;
}

const char *cutover_action_to_string(CutoverAction action)
{
        static const char *const names[] = {
                "job-begin",
                "check",
                "drain",
                "hold",
                "stop-workers",
                "spool",
                "log-out",
                "repeat-log-out",
                "log-in",
                "restore-source",
                "restore-webhook",
                "publish",
                "start-workers",
                "next-spool-part",
                "confirm",
                "retry-timer",
                "release-server",
                "job-done",
                "job-failed",
                "job-canceled",
                "job-end",
                "queue",
                "turn",
        };

        static_assert(CUTOVER_ACTION_ALL == (1 << ELEMENTSOF(names)) - 1, "every action has a name");
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if ((unsigned) action == 1u << i)
                        return names[i];
        return NULL;
}

const char *cutover_note_to_string(CutoverNote note)
{
        static const char *const names[CUTOVER_NOTE_MAX] = {
                [CUTOVER_NOTE_NONE] = "",
                [CUTOVER_NOTE_MAY_BE_LOGGED_OUT] = "may-be-logged-out",
                [CUTOVER_NOTE_LOGGED_OUT] = "logged-out",
                [CUTOVER_NOTE_NOT_LOGGED_OUT] = "not-logged-out",
                [CUTOVER_NOTE_LOGGED_IN] = "logged-in",
                [CUTOVER_NOTE_WINDOW_OVER] = "window-over",
                [CUTOVER_NOTE_WINDOW_LONGER] = "window-longer",
                [CUTOVER_NOTE_ABANDONED] = "abandoned",
                [CUTOVER_NOTE_TURNED_BACK] = "turned-back",
                [CUTOVER_NOTE_AGAIN] = "again",
                [CUTOVER_NOTE_STALE_ENDED] = "stale-ended",
        };

        return note >= 0 && note < CUTOVER_NOTE_MAX ? names[note] : NULL;
}

const char *cutover_place_to_string(CutoverPlace place)
{
        static const char *const names[CUTOVER_PLACE_MAX] = {
                [CUTOVER_AT_SEAT] = "source",
                [CUTOVER_AT_TARGET] = "target",
                [CUTOVER_AT_NONE] = "none",
                [CUTOVER_AT_UNKNOWN] = "unknown",
        };

        return place >= 0 && place < CUTOVER_PLACE_MAX ? names[place] : NULL;
}
