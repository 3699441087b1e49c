/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/cutover.h"

/* The world around the table, small enough to be walked to its end: the cloud and a local server that may be dead at
 * any time and come back at any other, workers that start whenever the gate lets them, a disk whose writes may fail
 * either way, a process that may die between any two instructions, and every answer that an operation can get. It knows
 * what really is, which the daemon often does not, and judges by that. */

typedef enum Law {
        LAW_NONE,       /* all are kept */
        LAW_NO_RETURN,  /* L1: nothing but a repeat goes to a server that a logOut may have closed */
        LAW_ONE_SERVER, /* L2: nothing goes to the target before the session at the source is ended, or on record */
        LAW_READY,      /* L3: checked, workers stopped, spooled, intent on disk; then logOut */
        LAW_GATE,       /* L4: workers run where the bot is, and nowhere else */
        LAW_ARRIVES,    /* L5: every operation's end leads on, and always to a settled seat */
        LAW_NO_LOSS,    /* L6: what was spooled is handed over */
        LAW_WINDOW,     /* L8: the window counts from the last moment of a possible logOut */
        LAW_RESTORES,   /* L9: a job that fails before log-out puts everything back */
        LAW_MAX,
        LAW_INVALID = -EINVAL,
} Law;

const char *law_to_string(Law law);

typedef struct Judge {
        const CutoverFacts *facts; /* of CUTOVER_STATE_MAX states */
        Law law;                   /* the first one that was broken */
        const char *what;          /* how; static */
} Judge;

void judge_broken(Judge *j, Law law, const char *what);

/* The two servers. Of the table only two things make a difference between them: the cloud is never declared dead, and
 * nobody falls back to the local one. */
enum { CLOUD, LOCAL, SERVER_MAX };

enum { LEFT_NO, LEFT_MAYBE, LEFT_YES };
enum { IN_NO, IN_MAYBE, IN_YES };
enum { WINDOW_OVER, WINDOW_RUNNING, WINDOW_LONGER };

/* The part of a record that the laws are about. */
typedef struct Saved {
        uint8_t state;
        uint8_t seat; /* CLOUD or LOCAL */
        uint8_t target;
        uint8_t asked; /* the target of the request: a job that turns back has another one */
        uint8_t place; /* what the notes say */
        uint8_t checked;
        uint8_t result;
        uint8_t stale;               /* the local server holds a session that is to be ended */
        uint8_t window[SERVER_MAX];  /* WINDOW_OVER, _RUNNING, or _LONGER than promised */
        uint8_t stamped[SERVER_MAX]; /* it counts from no earlier than the last possible logOut */
} Saved;

/* Bytes without a gap, so that configurations can be compared as a whole. */
typedef struct World {
        uint32_t actions; /* of the last row */
        Saved memory;
        Saved disk;
        uint8_t begun;            /* the actions of the last row */
        uint8_t writes;           /* the last row has something new for the record */
        uint8_t left[SERVER_MAX]; /* logOut was applied there: LEFT_NO, _MAYBE, _YES; forgotten after the window */
        uint8_t left_before;      /* the same, where an attempt is in flight, before it */
        uint8_t in[SERVER_MAX];   /* the bot has a session there: IN_NO, _MAYBE, _YES */
        uint8_t published;        /* bit for each server: its endpoint may be what a worker is given */
        uint8_t workers;          /* bit for each server: a worker may run with its endpoint */
        uint8_t fresh;            /* the queue was emptied a moment ago, and no worker was at it since */
        uint8_t stopped;          /* workers were stopped and not started again */
        uint8_t changed;          /* the source's webhook and queue are not as they were */
        uint8_t touched;          /* a check started the target's unit */
        uint8_t unused;           /* the bot has left the local server for good, and its unit was not let go */
        uint8_t unwell;           /* a worker did not start at the target */
        uint8_t part_left;        /* the worker that takes the spool was not restarted for its next part */
        uint8_t unserved;         /* nor for what a stale session left */
        uint8_t rest[3];          /* always 0 */
} World;

/* Settled in the cloud, its workers running. */
void world_init(World *ret);

/* Somebody wants the bot at a server. False: that is refused before the table is asked, as there is nothing to do. */
bool world_ask(World *w, uint8_t server);

/* Takes the row: what its event tells of the world, then the new state in memory. Its actions come later. */
void world_step(Judge *j, World *w, const CutoverRow *row);

/* Whether the actions of the last row have to wait for the disk. */
bool world_waits_for_disk(const Judge *j, const World *w);

/* The actions of the last row, in their order, as far as their beginning. */
void world_begin(Judge *j, World *w);

/* What can come of them, as a mask of EVENT_BIT(). */
uint64_t world_results(const World *w);

/* Those of them that a local server which is dead, and stays so, cannot bring about. */
uint64_t world_results_of_local(const World *w);

bool world_on_disk(const World *w);

/* The actions that end in an event some time later; each row but those to SETTLED starts exactly one of them. The
 * restart for a further part of the spool is not among them: how it went is seen in the confirmation that follows. */
#define CUTOVER_OPERATIONS                                                                                    \
        (CUTOVER_DO_CHECK | CUTOVER_DO_DRAIN | CUTOVER_DO_HOLD | CUTOVER_DO_STOP_WORKERS | CUTOVER_DO_SPOOL | \
         CUTOVER_DO_LOG_OUT | CUTOVER_DO_REPEAT_LOG_OUT | CUTOVER_DO_LOG_IN | CUTOVER_DO_RESTORE_SOURCE |     \
         CUTOVER_DO_RESTORE_WEBHOOK | CUTOVER_DO_PUBLISH | CUTOVER_DO_START_WORKERS | CUTOVER_DO_CONFIRM |    \
         CUTOVER_DO_RETRY_TIMER | CUTOVER_DO_QUEUE | CUTOVER_DO_TURN)

#define EVENT_BIT(event) (UINT64_C(1) << (event))

/* The events that the operation among `actions`, begun in `state`, can end in. */
uint64_t cutover_results(CutoverState state, unsigned actions);
