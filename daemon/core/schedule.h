/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"
#include "core/seat.h"

/* Whose turn it is, among many bots. Pure: everything is computed from what the records say, so that a restart, or a
 * crash, changes nothing. */

/* To check a bot and to drain it takes longer than to move it, and disturbs nobody. */
#define SCHEDULE_PREPARING_PER_MOVE 3u

/* What one bot's job is up to. */
typedef enum ScheduleStage {
        SCHEDULE_QUEUED,    /* waits: for its turn, for its window, for a server or for the pace */
        SCHEDULE_PREPARING, /* does what can be put back and what nobody notices */
        SCHEDULE_READY,     /* waits for its turn to go beyond that */
        SCHEDULE_MOVING,
        SCHEDULE_STRUGGLING, /* past log-out, and what comes next has failed a few times */
        SCHEDULE_ARRIVED,    /* ended well */
        SCHEDULE_STRANDED,   /* ended past log-out, and not well */
        SCHEDULE_RETURNED,   /* ended before log-out: put back, cancelled, called off */
        SCHEDULE_STAGE_MAX,
        SCHEDULE_STAGE_INVALID = -EINVAL,
} ScheduleStage;

typedef struct ScheduleLimits {
        unsigned concurrency;  /* Concurrency=: jobs that move at once; three times as many may get ready meanwhile */
        unsigned max_failures; /* MaxFailures=: of one batch, past log-out */
} ScheduleLimits;

typedef enum ScheduleVerdict {
        SCHEDULE_START,
        SCHEDULE_WAIT_CONCURRENCY, /* as many as may are moving */
        SCHEDULE_WAIT_FIRST,       /* the first of its batch goes alone until it is confirmed */
        SCHEDULE_CALL_OFF,         /* too many of its batch have failed past log-out */
        SCHEDULE_VERDICT_MAX,
        SCHEDULE_VERDICT_INVALID = -EINVAL,
} ScheduleVerdict;

/* The jobs of one call. */
typedef struct ScheduleBatch {
        uint32_t id;
        unsigned n_jobs[SCHEDULE_STAGE_MAX];
        uint64_t waited_round; /* the last in which one of them was told to wait */
} ScheduleBatch;

/* All jobs, counted as they change their stage: whose turn it is depends on nothing else, so that nobody has to look at
 * a thousand bots for the sake of one. */
typedef struct ScheduleTally {
        unsigned n_moving;
        unsigned n_preparing; /* and ready */
        uint64_t round;
        ScheduleBatch *batches; /* those with a job, in the order of ids */
        size_t n_batches, n_allocated;
} ScheduleTally;

/* Has room for so many jobs, which may all be of different batches: with it the two below cannot fail. */
int schedule_reserve(ScheduleTally *t, size_t n_jobs) _must_check_;
void schedule_done(ScheduleTally *t);

void schedule_add(ScheduleTally *t, uint32_t batch, ScheduleStage stage);
void schedule_remove(ScheduleTally *t, uint32_t batch, ScheduleStage stage);

/* A round begins over the jobs that run, in the order of ids: a question about each that could go on if it were its
 * turn, and a word of each that gets ready, so that the first of a call stays the first. */
void schedule_begin_round(ScheduleTally *t);
void schedule_pass(ScheduleTally *t, uint32_t batch);

/* What becomes of a job that is counted as SCHEDULE_QUEUED, and may prepare where it starts; and of one that is counted
 * as SCHEDULE_READY, and moves then. Where it may start or is called off, the caller counts it as that before the next
 * question. */
ScheduleVerdict schedule_ask_to_prepare(ScheduleTally *t, uint32_t batch, const ScheduleLimits *limits);
ScheduleVerdict schedule_ask_to_move(ScheduleTally *t, uint32_t batch, const ScheduleLimits *limits);

/* ---- the pace of logins to the cloud ---- */

/* The server takes so many new logins from one address (ClientManager.cpp). */
#define PACE_MINUTE_MAX 20u
#define PACE_HOUR_MAX   600u
/* … counted from when they arrive, not from when they are sent: what is sent first may arrive later. */
#define PACE_MARGIN_USEC (5 * USEC_PER_SEC)
#define PACE_MINUTE_USEC (USEC_PER_MIN + PACE_MARGIN_USEC)
#define PACE_HOUR_USEC   (USEC_PER_HOUR + PACE_MARGIN_USEC)

/* When logins went out; oldest first. CLOCK_BOOTTIME, or negative values before this boot: signed, therefore. */
typedef struct Pace {
        int64_t logins_usec[PACE_HOUR_MAX];
        size_t n;
} Pace;

/* A login is sent, or may have been. In any order. */
void pace_add(Pace *p, int64_t at_usec);

/* How long until one more may be begun, if `reserved` that were let begin before have not been sent yet: they count as
 * if sent this moment, so that whenever each of them is sent, no minute and no hour ever has too many. USEC_INFINITY
 * where the reserved ones alone are too many. */
usec_t pace_left(const Pace *p, unsigned reserved, int64_t now_usec) _pure_;
