/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/seat.h"

/* The protocol that moves one bot from the server it is logged in at (the source) to the other (the target): one table
 * of states and events, values in and values out. It does not know which server is which, what time it is, or how
 * anything is done; manager/ feeds it and carries out what it says: step, write the record, act.
 *
 * Only a server of this host is ever declared dead (SOURCE_DEAD), and only the cloud is fallen back to. */

typedef enum CutoverState {
        /* no job */
        CUTOVER_SETTLED, /* logged in at the record's seat, or undeclared; workers may run */

        /* a job that waits: for the target's window, for its turn, for the pace of logins */
        CUTOVER_QUEUED,

        /* the local server was left while it was dead, and holds a session that has to be ended (a stale one): done
         * first, while the bot works at the other server */
        CUTOVER_STALE_SPOOL,
        CUTOVER_STALE_LOG_OUT,
        CUTOVER_STALE_HAND_OVER, /* it is ended; what was spooled of it goes to the workers */

        /* reversible: the bot is logged in at the source */
        CUTOVER_CHECK,
        CUTOVER_DRAIN,
        CUTOVER_HOLD_DRAINED, /* hold-at=stop-workers: waits for Proceed() with the workers running */
        CUTOVER_READY,        /* waits with the workers running until it is its turn to stop them */
        CUTOVER_STOP_WORKERS,
        CUTOVER_SPOOL,
        CUTOVER_HOLD_SPOOLED, /* hold-at=log-out: waits for Proceed() with the workers stopped */
        CUTOVER_LOG_OUT_WAIT, /* an attempt that certainly did not arrive: soon another one, spooled anew */
        CUTOVER_ABANDON,      /* the source is dead: its session becomes a stale one as soon as no worker runs */

        /* the way back: the job's result is fixed, its target given up */
        CUTOVER_RESTORE_SOURCE, /* webhook, spool and server unit as they were */
        CUTOVER_RESTART_WORKERS,

        /* forward only */
        CUTOVER_LOG_OUT,         /* first attempt in flight, no other is unknown */
        CUTOVER_LOG_OUT_RECHECK, /* this process found an unknown attempt on record: no worker may run before a repeat
                                  */
        CUTOVER_LOG_OUT_UNKNOWN, /* an attempt may have been applied: soon it is repeated */
        CUTOVER_LOG_OUT_RESPOOL, /* the spool directly before a repeat */
        CUTOVER_LOG_OUT_REPEAT,  /* the repeat in flight */
        CUTOVER_LOG_IN,
        CUTOVER_TURN_BACK,        /* to the cloud, from a target that does not take the bot: no worker may run there */
        CUTOVER_LOG_IN_ABANDONED, /* the same, after a server that may hold a session: first that goes on record */
        CUTOVER_RESTORE_WEBHOOK,
        CUTOVER_PUBLISH,
        CUTOVER_START_WORKERS,
        CUTOVER_CONFIRM,

        CUTOVER_STATE_MAX,
        CUTOVER_STATE_INVALID = -EINVAL,
} CutoverState;

/* What has happened. Nobody decides in an event: an adapter's result is turned into one by pure code. */
typedef enum CutoverEvent {
        /* wishes: refused where they cannot be granted */
        CUTOVER_SWITCH_REQUESTED,
        CUTOVER_PROCEED_REQUESTED,
        CUTOVER_CANCEL_REQUESTED,

        CUTOVER_RESTARTED,    /* this process has just read the record; whatever was in flight is gone */
        CUTOVER_WRITE_FAILED, /* the record of this state is not on disk, its actions were not begun */

        /* of a job that waits */
        CUTOVER_ADMITTED,       /* the target's window is over, and it is its turn */
        CUTOVER_ADMITTED_LATE,  /* it is its turn, and so long after the checks that they prove nothing any more */
        CUTOVER_ADMITTED_STALE, /* the server answers again that holds a stale session: that is ended first */
        CUTOVER_ARRIVED,        /* the bot is at the target already: the stale session was all there was to end */
        CUTOVER_CALLED_OFF,     /* the job is not to begin at all */

        /* results of actions */
        CUTOVER_CHECK_PASSED,
        CUTOVER_CHECK_FAILED,
        CUTOVER_SOURCE_DEAD,  /* the server that the bot is to leave cannot be asked and cannot be started */
        CUTOVER_DRAINED,      /* nothing is pending, or on-undrained=spool and the time is up */
        CUTOVER_DRAINED_HOLD, /* the same, and the caller asked to hold here */
        CUTOVER_DRAIN_FAILED,
        CUTOVER_HOLD_TIMED_OUT,
        CUTOVER_WORKERS_STOPPED,
        CUTOVER_WORKERS_NOT_STOPPED,
        CUTOVER_SPOOLED,
        CUTOVER_SPOOLED_HOLD, /* the same, and the caller asked to hold here */
        CUTOVER_SPOOL_FAILED,
        CUTOVER_LOGOUT_APPLIED,
        CUTOVER_LOGOUT_REVOKED,  /* 401: a first attempt was not applied */
        CUTOVER_LOGOUT_REJECTED, /* did not arrive, or 429 with a short wait: certainly not applied by this attempt */
        CUTOVER_LOGOUT_GIVEN_UP, /* the same, but the wait is too long or the time for attempts is up */
        CUTOVER_LOGOUT_LOST,     /* anything else: it may have been applied */
        CUTOVER_LOGGED_IN,
        CUTOVER_LOGIN_FAILED,
        CUTOVER_LOGIN_TOO_EARLY, /* the target still keeps the bot out: its window is longer than promised */
        CUTOVER_SOURCE_RESTORED,
        CUTOVER_SOURCE_NOT_RESTORED,
        CUTOVER_WEBHOOK_RESTORED, /* or there was none */
        CUTOVER_WEBHOOK_NOT_RESTORED,
        CUTOVER_PUBLISHED,
        CUTOVER_NOT_PUBLISHED,
        CUTOVER_WORKERS_STARTED,
        CUTOVER_WORKERS_NOT_STARTED, /* at least one failed to start; the others run */
        CUTOVER_SPOOL_LEFT,          /* well so far, and the next part of the spool is to be handed over */
        CUTOVER_CONFIRMED,
        CUTOVER_NOT_CONFIRMED,

        /* the retry timer */
        CUTOVER_RETRY_DUE,
        CUTOVER_RETRY_DUE_STALE, /* the same, and the last getUpdates was more than 5 s ago */
        CUTOVER_FALL_BACK_DUE,   /* the same, but the cloud would take the bot again, and it is to go there */

        CUTOVER_EVENT_MAX,
        CUTOVER_EVENT_INVALID = -EINVAL,
} CutoverEvent;

/* Carried out in this order; whether the record comes first, the facts of the state say. */
typedef enum CutoverAction {
        CUTOVER_DO_JOB_BEGIN = 1 << 0,
        CUTOVER_DO_CHECK = 1 << 1,
        CUTOVER_DO_DRAIN = 1 << 2,
        CUTOVER_DO_HOLD = 1 << 3, /* until Proceed() or HoldTimeoutSec= */
        CUTOVER_DO_STOP_WORKERS = 1 << 4,
        CUTOVER_DO_SPOOL = 1 << 5,
        CUTOVER_DO_LOG_OUT = 1 << 6,        /* a long poll stays in flight while logOut goes out */
        CUTOVER_DO_REPEAT_LOG_OUT = 1 << 7, /* logOut alone */
        CUTOVER_DO_LOG_IN = 1 << 8,
        CUTOVER_DO_RESTORE_SOURCE = 1 << 9,
        CUTOVER_DO_RESTORE_WEBHOOK = 1 << 10,
        CUTOVER_DO_PUBLISH = 1 << 11,
        CUTOVER_DO_START_WORKERS = 1 << 12,
        CUTOVER_DO_NEXT_SPOOL_PART = 1 << 13, /* restart the worker that takes the spool, where it runs */
        CUTOVER_DO_CONFIRM = 1 << 14,
        CUTOVER_DO_RETRY_TIMER = 1 << 15,
        CUTOVER_DO_RELEASE_SERVER = 1 << 16, /* the local server's unit, where nobody needs it any more */
        CUTOVER_DO_JOB_DONE = 1 << 17,       /* these three fix the job's result unless it is fixed already … */
        CUTOVER_DO_JOB_FAILED = 1 << 18,
        CUTOVER_DO_JOB_CANCELED = 1 << 19,
        CUTOVER_DO_JOB_END = 1 << 20, /* … and this one announces it and lets the job go */
        CUTOVER_DO_QUEUE = 1 << 21,   /* wait until it may begin */
        CUTOVER_DO_TURN = 1 << 22,    /* wait until it may go beyond what nobody notices */
        CUTOVER_ACTION_ALL = (1 << 23) - 1,
} CutoverAction;

/* What a row says about the logOut, for the record: written with the state. */
typedef enum CutoverNote {
        CUTOVER_NOTE_NONE,
        CUTOVER_NOTE_MAY_BE_LOGGED_OUT, /* a logOut may be applied from now on: the window counts from here at least */
        CUTOVER_NOTE_LOGGED_OUT,     /* it is applied: the window counts from now, the last moment it can have been */
        CUTOVER_NOTE_NOT_LOGGED_OUT, /* takes MAY_BE_LOGGED_OUT back */
        CUTOVER_NOTE_LOGGED_IN,      /* the seat is the target from now on */
        CUTOVER_NOTE_WINDOW_OVER,    /* the target's window is over for good, whatever a clock says later */
        CUTOVER_NOTE_WINDOW_LONGER,  /* it was not: the target's window counts from now once more */
        CUTOVER_NOTE_ABANDONED,      /* the seat's server holds a stale session; the target is the other one */
        CUTOVER_NOTE_TURNED_BACK, /* the target may hold one, if a login could arrive there; the target is the seat */
        CUTOVER_NOTE_AGAIN,       /* nothing new: what could not be written is written now */
        CUTOVER_NOTE_STALE_ENDED, /* the stale session is gone: its server's window counts from now */
        CUTOVER_NOTE_MAX,
        CUTOVER_NOTE_INVALID = -EINVAL,
} CutoverNote;

typedef enum CutoverVerdict {
        CUTOVER_STEP,    /* a row of the table was taken */
        CUTOVER_STALE,   /* a result that nobody waits for any more: ignored */
        CUTOVER_REFUSED, /* a wish that cannot be granted in this state */
        CUTOVER_VERDICT_MAX,
        CUTOVER_VERDICT_INVALID = -EINVAL,
} CutoverVerdict;

typedef struct CutoverStep {
        CutoverVerdict verdict;
        CutoverState state; /* the new one; on STALE and REFUSED the old one */
        unsigned actions;   /* CutoverAction mask */
        CutoverNote note;
        const char *why; /* one clause for log and docs; static. On REFUSED: what stands against it */
} CutoverStep;

CutoverStep cutover_step(CutoverState state, CutoverEvent event);

/* Facts of a state that do not depend on how it was entered. */
typedef enum CutoverPlace {
        CUTOVER_AT_SEAT, /* where the record says: the source, while a job runs */
        CUTOVER_AT_TARGET,
        CUTOVER_AT_NONE,    /* logged out of the source, not yet in at the target */
        CUTOVER_AT_UNKNOWN, /* a logOut without an answer */
        CUTOVER_PLACE_MAX,
        CUTOVER_PLACE_INVALID = -EINVAL,
} CutoverPlace;

/* What becomes of the actions of a state while its record is on its way to the disk. */
typedef enum CutoverRecording {
        CUTOVER_RECORD_NEEDED, /* they wait for a record that is safely there, and do not begin without it */
        CUTOVER_RECORD_FIRST,  /* they wait for the write; where it fails, that is reported and the way goes on */
        CUTOVER_RECORD_BESIDE, /* the same, and they do not wait: a process that dies meanwhile goes on from the state
                                * before, and does again what may be done twice */
} CutoverRecording;

typedef struct CutoverFacts {
        const char *name;  /* in the record and in the log */
        const char *phase; /* what the bus shows, in the words of the protocol; "" without a job */
        CutoverPlace place;
        bool gate_open;   /* workers may be given the token and the endpoint of that place */
        bool cancellable; /* Cancel() puts everything back */
        bool ends_stale;  /* requests go to the server that holds the stale session, besides those of the seat */
        CutoverRecording recording;
} CutoverFacts;

const CutoverFacts *cutover_facts(CutoverState state);

/* The seat that people see, of the record's seat and the job's target. */
Seat cutover_seat(CutoverState state, Seat seat, Seat target);

const char *cutover_state_to_string(CutoverState state);
CutoverState cutover_state_from_string(const char *s);
const char *cutover_event_to_string(CutoverEvent event);
const char *cutover_action_to_string(CutoverAction action);
const char *cutover_note_to_string(CutoverNote note);
const char *cutover_place_to_string(CutoverPlace place);

/* The table itself, for the generated diagram and the tests. */
typedef struct CutoverRow {
        CutoverState from;
        CutoverEvent event;
        CutoverState to;
        unsigned actions;
        CutoverNote note;
        const char *why;
} CutoverRow;

const CutoverRow *cutover_rows(size_t *ret_n);
