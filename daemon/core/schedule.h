/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"
#include "core/seat.h"

/* Whose turn it is, among many bots. Pure: everything is computed from what the records say, so that a restart, or a
 * crash, changes nothing. */

/* What one bot's job is up to. */
typedef enum ScheduleStage {
        SCHEDULE_QUEUED,    /* and could begin, were it its turn */
        SCHEDULE_NOT_READY, /* queued, and waits for its window, a server or the pace: in nobody's way */
        SCHEDULE_MOVING,
        SCHEDULE_STRUGGLING, /* past log-out, and what comes next has failed a few times */
        SCHEDULE_ARRIVED,    /* ended well */
        SCHEDULE_STRANDED,   /* ended past log-out, and not well */
        SCHEDULE_RETURNED,   /* ended before log-out: put back, cancelled, called off */
        SCHEDULE_STAGE_MAX,
        SCHEDULE_STAGE_INVALID = -EINVAL,
} ScheduleStage;

typedef struct ScheduleJob {
        uint32_t id;
        uint32_t batch; /* the id of the first job of the same call */
        ScheduleStage stage;
} ScheduleJob;

typedef struct ScheduleLimits {
        unsigned concurrency;  /* Concurrency=: jobs that move at once */
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

/* What becomes of jobs[i], which is SCHEDULE_QUEUED. The caller asks again whenever something has changed, in the order
 * of ids, and tells every job's stage anew: so a START counts as moving in the next question. */
ScheduleVerdict schedule_verdict(const ScheduleJob *jobs, size_t n_jobs, size_t i, const ScheduleLimits *limits) _pure_;

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
