/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/history-entry.h"
#include "io/disk-queue.h"

/* The file history.jsonl in the state directory: a line for every job that has ended, the newest last. Nothing of it is
 * kept in memory. It is written on the disk queue, in order with the records, and read on a thread of its own, so that
 * no record waits for a reader. That needs no lock: the file is only appended to, or replaced by another of its name. A
 * reader may see a line that is not synced yet; and of a torn one that is being cut off, one line that is damaged.
 *
 * Lines are appended and synced. What a power cut or a full disk left of a line is cut off by the next append; damage
 * further up is read over. At HISTORY_SIZE_MAX the file is replaced in one step by its newest half and, of what is
 * older, the newest line of each bot: so a job that is the last of its bot and is not there was never written. That
 * holds as long as these lines alone fit, which is for some 3,000 bots. */

#define HISTORY_FILE     "history.jsonl"
#define HISTORY_SIZE_MAX (2u * 1024u * 1024u)

typedef struct History History;

/* `q` must live longer; what was said before history_free() is still written, and who still reads hears nothing.
 * `event` is the loop of `q`. Synchronous, for start-up. */
int history_open(History **ret, DiskQueue *q, sd_event *event, const char *directory) _must_check_;
History *history_free(History *h);
DEFINE_CLEANUP(History *, history_free);

/* Encodes now, and appends in the order of the calls those entries whose job has no line yet. After a failure each line
 * is there whole or not at all, so the same may be asked for again. -EFBIG, -ENOTTY, -ELOOP: what has the file's name
 * is none that was written here. */
int history_append(History *h, const HistoryEntry *entries, size_t n_entries, disk_done_t done, void *userdata,
                   DiskJob **ret) _must_check_;

typedef struct HistoryEntries {
        HistoryEntry *items; /* the newest first */
        size_t n;
        size_t n_damaged; /* lines on the way that could not be read */
} HistoryEntries;

void history_entries_done(HistoryEntries *e);

/* `filter` is the one that was handed over, with what it has found. The read may be freed in it, and is not before. */
typedef struct HistoryRead HistoryRead;
typedef void (*history_handler_t)(int r, const HistoryFilter *filter, const HistoryEntries *entries, void *userdata);

/* Takes what is in `filter`, also on failure. Reads from the newest line back until there are enough, and further where
 * a name was not found yet. */
int history_read(History *h, HistoryFilter *filter, history_handler_t handler, void *userdata,
                 HistoryRead **ret) _must_check_;
HistoryRead *history_read_free(HistoryRead *read);
DEFINE_CLEANUP(HistoryRead *, history_read_free);
