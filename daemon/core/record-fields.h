/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/record.h"

/* The one description of a record that writing, reading, copying and freeing share: FIELD(name on disk, kind, member).
 * Order is the order on disk. */

#define RECORD_MOMENT(FIELD, name, member)                         \
        FIELD(name ".boottime-usec", UINT64, member.boottime_usec) \
        FIELD(name ".realtime-usec", UINT64, member.realtime_usec) \
        FIELD(name ".boot-id", ID128, member.boot_id)              \
        FIELD(name ".synchronised", BOOL, member.synchronised)

#define RECORD_WINDOW(FIELD, name, member)                \
        RECORD_MOMENT(FIELD, name ".since", member.since) \
        RECORD_MOMENT(FIELD, name ".seen", member.seen)   \
        FIELD(name ".length-usec", UINT64, member.length_usec)

#define RECORD_FIELDS(FIELD)                                                          \
        FIELD("bot-id", INT64, bot_id)                                                \
        FIELD("seat", SETTLED_SEAT, seat)                                             \
        FIELD("state", STATE, state)                                                  \
        FIELD("job.id", UINT32, job.id)                                               \
        FIELD("job.batch", UINT32, job.batch)                                         \
        FIELD("job.source", SETTLED_SEAT, job.source)                                 \
        FIELD("job.wanted", SETTLED_SEAT, job.wanted)                                 \
        FIELD("job.target", SETTLED_SEAT, job.target)                                 \
        FIELD("job.result", JOB_RESULT, job.result)                                   \
        FIELD("job.reason", STRING, job.reason)                                       \
        FIELD("job.requester", STRING, job.requester)                                 \
        FIELD("job.on-undrained", ON_UNDRAINED, job.on_undrained)                     \
        FIELD("job.hold-at", HOLD_AT, job.hold_at)                                    \
        FIELD("job.proceeded", BOOL, job.proceeded)                                   \
        FIELD("job.when-allowed", BOOL, job.when_allowed)                             \
        FIELD("job.automatic", BOOL, job.automatic)                                   \
        FIELD("job.started-usec", UINT64, job.started_usec)                           \
        FIELD("job.phase-started-usec", UINT64, job.phase_started_usec)               \
        FIELD("job.ended-usec", UINT64, job.ended_usec)                               \
        FIELD("job.phase-usec", PHASES, job.phase_usec)                               \
        FIELD("job.pending-at-start", UINT64, job.pending_at_start)                   \
        FIELD("job.drained", UINT64, job.drained)                                     \
        FIELD("job.spooled", UINT64, job.spooled)                                     \
        FIELD("job.handed-over", UINT64, job.handed_over)                             \
        FIELD("job.blind-usec", UINT64, job.blind_usec)                               \
        FIELD("job.downtime-usec", UINT64, job.downtime_usec)                         \
        FIELD("job.error", STRING, job.error)                                         \
        FIELD("workers", UNITS, workers)                                              \
        FIELD("triggers", UNITS, triggers)                                            \
        FIELD("server-started", BOOL, server_started)                                 \
        FIELD("next-offset", INT64, next_offset)                                      \
        FIELD("confirmed-offset", INT64, confirmed_offset)                            \
        FIELD("webhook.url", OPTIONAL_STRING, webhook.url)                            \
        FIELD("webhook.ip-address", OPTIONAL_STRING, webhook.ip_address)              \
        FIELD("webhook.has-custom-certificate", BOOL, webhook.has_custom_certificate) \
        FIELD("webhook.max-connections", COUNT, webhook.max_connections)              \
        FIELD("webhook.allowed-updates", STRING_ARRAY, webhook.allowed_updates)       \
        FIELD("webhook-deleted", BOOL, webhook_deleted)                               \
        FIELD("part-served-updates", UINT64, part_served_updates)                     \
        RECORD_WINDOW(FIELD, "cloud-window", cloud_window)                            \
        RECORD_WINDOW(FIELD, "local-window", local_window)                            \
        FIELD("local-window.server", ID128, local_window_server)                      \
        FIELD("logout-attempts", UINT32, logout_attempts)                             \
        RECORD_MOMENT(FIELD, "logged-in", logged_in)                                  \
        FIELD("stale", BOOL, stale)                                                   \
        RECORD_MOMENT(FIELD, "stale-logged-in", stale_logged_in)                      \
        FIELD("held-until-usec", UINT64, held_until_usec)                             \
        FIELD("held-reason", STRING, held_reason)

typedef enum FieldKind {
        FIELD_BOOL,
        FIELD_COUNT, /* int, not negative */
        FIELD_UINT32,
        FIELD_INT64, /* not negative either: ids and offsets */
        FIELD_UINT64,
        FIELD_STRING,          /* NULL is written as "" */
        FIELD_OPTIONAL_STRING, /* NULL is null */
        FIELD_UNITS,           /* char ** */
        FIELD_STRING_ARRAY,    /* json_object *, an array of strings, or NULL */
        FIELD_ID128,           /* uint8_t[16], as hexadecimal digits */
        FIELD_PHASES,          /* usec_t[JOB_PHASE_MAX], an array of numbers */
        FIELD_SETTLED_SEAT,    /* Seat, and from here on words of an enum */
        FIELD_STATE,
        FIELD_JOB_RESULT,
        FIELD_ON_UNDRAINED,
        FIELD_HOLD_AT,
} FieldKind;

typedef struct RecordField {
        const char *name;
        FieldKind kind;
        size_t offset; /* in the structure that is handed over as `base`: a Record, or an entry of the history */
} RecordField;

/* The value of one field as JSON; NULL stands for null. -E2BIG: longer than its bound. -EINVAL: an empty unit name, or
 * an allowed_updates that is no array of strings. Aborts on a value that no caller may have put there, such as an enum
 * out of range. */
int record_field_encode(const RecordField *field, const void *base, json_object **ret) _must_check_;

/* Reads into `base`, whose pointers must be NULL. -EBADMSG: not what record_field_encode() gives for any value. */
int record_field_decode(const RecordField *field, json_object *value, void *base) _must_check_;

/* Replaces the value in `to`, whose pointers must be NULL, by a copy of that in `from`. */
int record_field_copy(const RecordField *field, const void *from, void *to) _must_check_;

void record_field_done(const RecordField *field, void *base);
