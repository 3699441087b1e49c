/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"
#include "core/botapi-reply.h"
#include "core/cutover.h"
#include "core/seat.h"
#include "core/window.h"

/* What the daemon must know of a bot after a crash, and its form on disk: one header line with version, size and
 * checksum, then JSON. No token is ever in it: a webhook URL that contains it holds "{token}" instead. */

typedef enum OnUndrained {
        ON_UNDRAINED_FAIL,
        ON_UNDRAINED_SPOOL,
        ON_UNDRAINED_WAIT,
        ON_UNDRAINED_MAX,
        ON_UNDRAINED_INVALID = -EINVAL,
} OnUndrained;

const char *on_undrained_to_string(OnUndrained value);
OnUndrained on_undrained_from_string(const char *s);

typedef enum JobResult {
        JOB_RESULT_NONE, /* no job yet */
        JOB_RESULT_DONE,
        JOB_RESULT_FAILED,
        JOB_RESULT_CANCELED,
        JOB_RESULT_MAX,
        JOB_RESULT_INVALID = -EINVAL,
} JobResult;

const char *job_result_to_string(JobResult value);
JobResult job_result_from_string(const char *s);

/* hold-at= names a phase */
typedef enum HoldAt {
        HOLD_AT_NONE,
        HOLD_AT_STOP_WORKERS,
        HOLD_AT_LOG_OUT,
        HOLD_AT_MAX,
        HOLD_AT_INVALID = -EINVAL,
} HoldAt;

const char *hold_at_to_string(HoldAt value);
HoldAt hold_at_from_string(const char *s);

/* The phases of a job as CutoverFacts names them, for how long each took. Their order is that on disk: new ones come
 * last. */
typedef enum JobPhase {
        JOB_PHASE_QUEUED,
        JOB_PHASE_STALE_SESSION,
        JOB_PHASE_CHECK,
        JOB_PHASE_DRAIN,
        JOB_PHASE_STOP_WORKERS,
        JOB_PHASE_SPOOL,
        JOB_PHASE_LOG_OUT,
        JOB_PHASE_LOG_IN,
        JOB_PHASE_RESTORE_WEBHOOK,
        JOB_PHASE_PUBLISH,
        JOB_PHASE_START_WORKERS,
        JOB_PHASE_CONFIRM,
        JOB_PHASE_ROLL_BACK,
        JOB_PHASE_MAX,
        JOB_PHASE_INVALID = -EINVAL,
} JobPhase;

const char *job_phase_to_string(JobPhase value);
JobPhase job_phase_from_string(const char *s);

/* One cutover: running, or the last one that ended. Kept whole in the record, so that a restart goes on with it and
 * the bus still tells its result. */
typedef struct RecordJob {
        uint32_t id;      /* 0: there was none yet */
        uint32_t batch;   /* id of the first job of the same call: its own, where it came alone */
        Seat source;      /* where the bot was when it began; SEAT_UNDECLARED: an earlier version did not say */
        Seat wanted;      /* where it was to go: the target, unless the job has turned back */
        Seat target;      /* SEAT_CLOUD or SEAT_LOCAL; the seat itself where only a stale session is to be ended */
        JobResult result; /* NONE while it runs */
        char *reason;     /* the caller's; "" or NULL if none, so are the two below */
        char *requester;  /* who asked, for the history: "uid 0, unit session-1.scope" */
        OnUndrained on_undrained;
        HoldAt hold_at;
        bool proceeded;      /* Proceed() was called: hold-at is spent */
        bool when_allowed;   /* waits for the target's window instead of failing */
        bool automatic;      /* nobody asked: called off when there is no reason any more */
        usec_t started_usec; /* CLOCK_REALTIME, like all below */
        usec_t phase_started_usec;
        usec_t ended_usec;
        usec_t phase_usec[JOB_PHASE_MAX]; /* how long it was in each that it has left */
        uint64_t pending_at_start;        /* getWebhookInfo in check */
        uint64_t drained;                 /* taken by the workers while they drained */
        uint64_t spooled;
        uint64_t handed_over;
        usec_t blind_usec;    /* from the logOut's answer to the login's; 0: not known */
        usec_t downtime_usec; /* workers stopped to workers started */
        char *error;          /* why it failed or what it waits for */
} RecordJob;

typedef struct Record {
        int64_t bot_id; /* 0: not known yet */
        Seat seat;      /* where the bot is logged in when no job moves it; UNDECLARED, CLOUD or LOCAL */
        CutoverState state;
        RecordJob job;

        /* put back by start-workers and by a roll-back, in this order */
        char **workers;
        char **triggers;
        bool server_started; /* the local server's unit is to be stopped once nobody needs it: the job has started it,
                              * or the bot has left it for good */

        /* the queue at the source */
        int64_t next_offset;      /* for the next getUpdates: last update_id + 1; 0: none taken yet */
        int64_t confirmed_offset; /* the last offset that the source answered: it has forgotten all below */

        WebhookSettings webhook; /* of the source; url is NULL for a polling bot */
        bool webhook_deleted;    /* by us: a roll-back sets it again */

        /* So many from the front of the spool were served to the worker that takes it, and are dropped once it has
         * stayed up; 0: none that we know of. A number, so that the next process drops what was served, not what it
         * would choose. */
        uint64_t part_served_updates;

        /* what keeps the bot out of the servers */
        Window cloud_window;
        Window local_window;
        uint8_t local_window_server[16]; /* invocation of its unit then: a restarted server has forgotten the lock */
        uint32_t logout_attempts;        /* of the present job */
        Moment logged_in;                /* when we saw the login at the seat; not set: not by us */

        /* The local server was left without a logOut and holds a session that is to be ended (a stale one). */
        bool stale;
        Moment stale_logged_in; /* of that session, as far as known */

        /* No automatic moves before this CLOCK_REALTIME; 0: they are allowed, USEC_INFINITY: until Release(). */
        usec_t held_until_usec;
        char *held_reason; /* "" or NULL if none */
} Record;

/* A record without history: not logged in anywhere we know of. All pointers are NULL; a string of the job that is NULL
 * means "", as which it is written and read back. */
void record_init(Record *r);
Window *record_window(Record *r, Seat server);
void record_done(Record *r); /* leaves a record that only record_init() may use again */
int record_copy(const Record *r, Record *ret) _must_check_;

/* The bytes for the disk; at most RECORD_SIZE_MAX. `bot` is the bot's name, checked again on reading, so that a file
 * under another name is not believed. What is encoded can always be decoded: a byte that is not UTF-8 becomes '?'.
 * Returns 0; -ENOMEM; -E2BIG: more text, workers or triggers than the bounds below allow; -EINVAL: a unit without a
 * name, or allowed_updates that is no array of strings. */
#define RECORD_SIZE_MAX   (256u * 1024u)
#define RECORD_STRING_MAX (16u * 1024u)
#define RECORD_UNITS_MAX  1024u /* workers, and triggers */
int record_encode(const Record *r, const char *bot, char **ret, size_t *ret_size) _must_check_;

/* Trailing padding (newlines) is allowed. What an earlier version did not write is as it was then: not known. Returns
 * 0; -ENOMEM; -EPROTONOSUPPORT for a version that this program does not know; -EBADMSG for everything else, with
 * *ret_why a static sentence fragment. Nothing is repaired: a field that is missing, unknown, or of another type or
 * range than it was written with makes all of it bad. */
int record_decode(const char *bytes, size_t size, const char *bot, Record *ret, const char **ret_why) _must_check_;
