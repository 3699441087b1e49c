/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/record.h"

/* How one job ended, as the history keeps it: a line of JSON, which begins with the number of the job. No token is ever
 * in it. The line is made from the record that ends the job, and can be made from it again as long as no other job has
 * begun. */
typedef struct HistoryEntry {
        char *bot;
        int64_t bot_id; /* 0: not known */
        Seat seat;      /* where the bot was logged in when the job had ended */
        RecordJob job;  /* without what was asked for besides the target; its texts are cut */
} HistoryEntry;

/* Texts are cut to these sizes, so that a line is never longer than the last of them, its newline included. */
#define HISTORY_REASON_MAX    256u
#define HISTORY_REQUESTER_MAX 256u
#define HISTORY_ERROR_MAX     1024u
#define HISTORY_LINE_MAX      (8u * 1024u)

/* Of a record whose job has ended. Control characters and what is no UTF-8 become '?'. -ENOMEM. */
int history_entry_new(HistoryEntry *ret, const char *bot, const Record *record) _must_check_;
/* Leaves an entry behind that owns nothing. */
void history_entry_done(HistoryEntry *e);

/* The line with its newline; -ENOMEM. */
int history_entry_encode(const HistoryEntry *e, char **ret, size_t *ret_size) _must_check_;

/* Reads a line, with or without its newline. -EBADMSG: it is none that history_entry_encode() writes; -ENOMEM. Nothing
 * is repaired. */
int history_entry_decode(const char *line, size_t size, HistoryEntry *ret) _must_check_;

/* The number that a line begins with, whatever follows; 0: it does not begin like one. */
uint32_t history_line_job_id(const char *line, size_t size) _pure_;
/* The same of the bot's name: a new string, or NULL, also for want of memory. */
char *history_line_bot(const char *line, size_t size) _must_check_;

/* Which entries somebody asks for. */
typedef struct HistoryFilter {
        char **bots; /* names and globs (fnmatch(3)); none: all bots */
        bool *found; /* one for each of these: there is such a bot. The caller sets those that it knows of itself */
        uint32_t limit;
        usec_t since_usec, until_usec; /* CLOCK_REALTIME of the end of a job, both inclusive */
        Seat target;                   /* where it was to go; SEAT_INVALID: anywhere */
        JobResult result;              /* JOB_RESULT_INVALID: any */
} HistoryFilter;

#define HISTORY_LIMIT_DEFAULT 100u
#define HISTORY_LIMIT_MAX     1000u

/* Chooses everything, up to the default limit. */
void history_filter_init(HistoryFilter *f);
void history_filter_done(HistoryFilter *f);
/* Also notes which of the names and globs the entry's bot has. */
bool history_filter_matches(HistoryFilter *f, const HistoryEntry *e);
/* Whether a line is none of these for certain, for a tenth of what it costs to read it; notes the same. */
bool history_filter_skips(HistoryFilter *f, const char *line, size_t size);
/* Notes the same of a line that is not asked for any more. */
void history_filter_note(HistoryFilter *f, const char *line, size_t size);
/* The first name or glob that no bot was found for; NULL: there is none. */
const char *history_filter_unknown(const HistoryFilter *f) _pure_;
