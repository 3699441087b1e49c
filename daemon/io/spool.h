/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"
#include "io/disk-queue.h"

/* Updates that were taken from a server and wait for a worker: files spool/NAME/00000001 and on in the state directory,
 * each with a header line (count, size, CRC-32) and then one update a line. What is written is synced with its
 * directory before it counts. Calls of one spool are done in their order. */

typedef struct Store Store;
typedef struct Spool Spool;

/* Of a file, and of the text handed over at once: one credential of a worker (systemd.exec(5): 1 MiB for all of a
 * unit). An update that is larger by itself is alone in its file, and handed over alone. */
#define SPOOL_PART_MAX (512u * 1024u)

/* Opens the spool of one bot and counts what is in it; a file that was being written when the power went is not there,
 * one that is damaged is an error: -EBADMSG or another errno, with *ret_why a new sentence (NULL: no memory).
 * Synchronous, for start-up. */
int spool_open(Spool **ret, Store *s, const char *bot, char **ret_why) _must_check_;
/* Calls in flight are finished on the disk; their callbacks are dropped by freeing their jobs, as always. */
Spool *spool_free(Spool *sp);
DEFINE_CLEANUP(Spool *, spool_free);

/* Puts updates (a JSON array of objects with ascending update_id, else -EINVAL) behind what is there, in files of at
 * most SPOOL_PART_MAX bytes. After a failure none of this call's is counted. After a power cut in the middle the first
 * files of the call may be there: spool_discard_from() with the offset that the server last confirmed removes them. */
int spool_append(Spool *sp, json_object *updates, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* How many whole updates are on disk (appended and done). */
uint64_t spool_count(const Spool *sp);

/* The next part to hand over: whole files from the front, at most SPOOL_PART_MAX bytes of JSON array text. Read into
 * memory on the disk queue by spool_load_part(), with as many updates as the part had that was served before
 * (`n_updates`). Where that is 0, or no whole files make so many, they are chosen: as many as fit.
 *
 * Then spool_part() returns it at once, until anything is appended, dropped or discarded: after that there is none
 * before it has been loaded again. Where the spool is empty it is "[]"; where there is something and no part is loaded,
 * NULL. Borrowed, valid until the next call for this spool has called back. */
int spool_load_part(Spool *sp, uint64_t n_updates, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;
const char *spool_part(const Spool *sp, size_t *ret_size, uint64_t *ret_n_updates);

/* Removes the first `n_updates` updates from the disk, loaded or not: they have been handed over. Only whole files go,
 * so that it is never more than that. After a failure the first few may be gone: spool_n_dropped() tells how many the
 * last call that came back has removed. */
int spool_drop_part(Spool *sp, uint64_t n_updates, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;
uint64_t spool_n_dropped(const Spool *sp);

/* Removes updates with update_id >= `offset`: the server still has them and will give them to the workers itself. Goes
 * from the last one backwards and stops where ids no longer descend: what lies before came from another server, whose
 * ids mean something else. Where the server that `offset` belongs to has given nothing that is in here, that other
 * server's updates are the last ones: the caller knows, and does not call. */
int spool_discard_from(Spool *sp, int64_t offset, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* Removes everything. */
int spool_clear(Spool *sp, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* A new memfd with all of it as one JSON array, sealed; synchronous read of what is on disk. */
int spool_export(Spool *sp, int *ret_fd) _must_check_;
