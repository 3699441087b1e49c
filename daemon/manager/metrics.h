/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/histogram.h"
#include "core/record.h"
#include "core/reply-count.h"
#include "io/botapi-client.h"
#include "io/unit-client.h"
#include "manager/manager.h"

/* What is counted while the daemon works, for tgswitch-metrics(7): from zero with each process, as Prometheus expects
 * of counters. Counting is an addition; all text is made when somebody asks for it. */

typedef struct Metrics {
        usec_t started_usec; /* CLOCK_REALTIME */

        /* by the server that was asked and the method */
        ReplyCount cloud_replies[BOTAPI_METHOD_MAX];
        ReplyCount local_replies[BOTAPI_METHOD_MAX];

        /* Jobs that have ended: by where their bot was, where it was to go, and how it went. Only those rows are used
         * that are a server. */
        uint64_t switches[SEAT_MAX][SEAT_MAX][JOB_RESULT_MAX];
        uint64_t drained, spooled, handed_over; /* updates, by these jobs */

        /* Of moves that were made: by where they went. */
        Histogram duration[SEAT_MAX];
        Histogram blind[SEAT_MAX];
        Histogram downtime[SEAT_MAX];
} Metrics;

void metrics_init(Metrics *m);

/* Where the answer to a request is to be counted; `seat` is a server. */
ReplyCount *metrics_replies(Metrics *m, Seat seat, BotApiMethod method);

/* The job has ended, and its record is whole. */
void metrics_note_job(Metrics *m, const RecordJob *job);

/* ---- metrics-compose.c ---- */

/* Everything there is to tell. `rows` are the units that systemd has loaded and that the name or pattern of some worker
 * matches, sorted by name; NULL where systemd did not say. Returns NULL for want of memory. */
char *metrics_compose(const Manager *m, const UnitRow *rows, size_t n_rows) _must_check_;
