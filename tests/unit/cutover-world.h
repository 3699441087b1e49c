/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/cutover.h"

/* The world around the table, small enough to be walked to its end: two servers, workers that start whenever
 * the gate lets them, a disk whose writes may fail either way, a process that may die between any two
 * instructions, and every answer that an operation can get. It knows what really is, which the daemon often
 * does not, and judges by that. */

typedef enum Law {
        LAW_NONE,       /* all are kept */
        LAW_NO_RETURN,  /* L1: nothing but a repeat goes to a server that a logOut may have closed */
        LAW_ONE_SERVER, /* L2: nothing goes to the target before the logOut at the source is known */
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

/* The part of a record that the laws are about. */
typedef struct Saved {
        uint8_t state;
        uint8_t seat; /* 0 or 1: there are two servers, and the table does not know which is which */
        uint8_t target;
        uint8_t place;   /* what the notes say */
        uint8_t stamped; /* the window counts from no earlier than the last possible logOut */
        uint8_t checked;
        uint8_t result;
} Saved;

/* Bytes without a gap, so that configurations can be compared as a whole. */
typedef struct World {
        uint32_t actions; /* of the last row */
        Saved memory;
        Saved disk;
        uint8_t begun;       /* the actions of the last row */
        uint8_t left[2];     /* logOut was applied there: LEFT_NO, _MAYBE, _YES; forgotten after the window */
        uint8_t left_before; /* the same, of the source, before the attempt in flight */
        uint8_t in[2];       /* the bot has a session there */
        uint8_t published;   /* bit for each server: its endpoint may be what a worker is given */
        uint8_t workers;     /* bit for each server: a worker may run with its endpoint */
        uint8_t fresh;       /* the source's queue was emptied a moment ago, and no worker ran since */
        uint8_t stopped;     /* workers were stopped and not started again */
        uint8_t changed;     /* the source's webhook and queue are not as they were */
        uint8_t touched;     /* a check started the target's unit */
        uint8_t unwell;      /* a worker did not start at the target */
        uint8_t part_left;   /* the worker that takes the spool was not restarted for its next part */
} World;

/* Settled at the first server, its workers running. */
void world_init(World *ret);

/* Takes the row: what its event tells of the world, then the new state in memory. Its actions come later. */
void world_step(Judge *j, World *w, const CutoverRow *row);

/* The actions of the last row, in their order, as far as their beginning. */
void world_begin(Judge *j, World *w);

/* What can come of them, as a mask of EVENT_BIT(). */
uint64_t world_results(const World *w);

bool world_on_disk(const World *w);

/* The actions that end in an event some time later; each row but those to SETTLED starts exactly one of
 * them. The restart for a further part of the spool is not among them: how it went is seen in the
 * confirmation that follows. */
#define CUTOVER_OPERATIONS                                                                                    \
        (CUTOVER_DO_CHECK | CUTOVER_DO_DRAIN | CUTOVER_DO_HOLD | CUTOVER_DO_STOP_WORKERS | CUTOVER_DO_SPOOL | \
         CUTOVER_DO_LOG_OUT | CUTOVER_DO_REPEAT_LOG_OUT | CUTOVER_DO_LOG_IN | CUTOVER_DO_RESTORE_SOURCE |     \
         CUTOVER_DO_RESTORE_WEBHOOK | CUTOVER_DO_PUBLISH | CUTOVER_DO_START_WORKERS | CUTOVER_DO_CONFIRM |    \
         CUTOVER_DO_RETRY_TIMER)

#define EVENT_BIT(event) (UINT64_C(1) << (event))

/* The events that the operation among `actions` can end in, begun where the bot is at `place`. */
uint64_t cutover_results(unsigned actions, CutoverPlace place);
