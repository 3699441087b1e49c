/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/record.h"
#include "io/disk-queue.h"

/* The state directory: one record a bot, the spool, the number of the next job.
 *
 *   bots/NAME.state    the record, and NAME.spare, the space for the next one
 *   spool/NAME/N       updates taken from a server, in order, at most SPOOL_PART_MAX bytes each
 *   next-job           ids of jobs go on over restarts
 *
 * A record is written into NAME.spare, which was allocated beforehand, synced, exchanged with NAME.state
 * (renameat2(RENAME_EXCHANGE)), and the directory synced: after a power cut either the old or the new record is there,
 * and a full disk does not stop a bot half-way. Where the file system cannot exchange, a plain rename() is used.
 * What cannot be read is an error, never an empty record. */

typedef struct Store Store;

/* Opens and creates what is missing; `q` must live longer. Synchronous: for start-up. */
int store_open(Store **ret, DiskQueue *q, const char *directory) _must_check_;
Store *store_free(Store *s);
DEFINE_CLEANUP(Store *, store_free);

/* Synchronous, for start-up and reload. 0; -ENOENT: there is no record and none was ever written; -EBADMSG,
 * -EPROTONOSUPPORT or another errno with *ret_why a new sentence that names the file and what to do. A NAME.spare
 * without NAME.state is not "no record": it is damage. */
int store_load(Store *s, const char *bot, Record *ret, char **ret_why) _must_check_;

/* Names of all bots that have a record, sorted. */
int store_list(Store *s, char ***ret) _must_check_;

/* Encodes now, writes on the disk queue. */
int store_save(Store *s, const char *bot, const Record *record, disk_done_t done, void *userdata,
               DiskJob **ret) _must_check_;

/* Removes record and spool of a bot. Asynchronous, result dropped. */
int store_forget(Store *s, const char *bot) _must_check_;

/* Synchronous: takes a new number, written before it is returned. */
int store_next_job_id(Store *s, uint32_t *ret) _must_check_;

/* Bytes free for us in the state directory (statvfs); asks the file system at once. */
int store_free_bytes(Store *s, uint64_t *ret) _must_check_;

/* ---- spool: io/spool.c, same directory ---- */

#define SPOOL_PART_MAX (512u * 1024u) /* one credential of a worker (systemd.exec(5): 1 MiB for all of a unit) */

typedef struct Spool Spool;

/* Opens the spool of one bot and counts what is in it; a file that was being written when the power went is not there,
 * one that is damaged is an error. Synchronous, for start-up. */
int spool_open(Spool **ret, Store *s, const char *bot, char **ret_why) _must_check_;
Spool *spool_free(Spool *sp);
DEFINE_CLEANUP(Spool *, spool_free);

/* Puts updates (a JSON array of objects with ascending update_id) behind what is there, in files of at most
 * SPOOL_PART_MAX bytes, synced with their directory. All or nothing: after a failure none of this call's is counted. */
int spool_append(Spool *sp, json_object *updates, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* How many whole updates are on disk (appended and done). */
uint64_t spool_count(const Spool *sp);

/* The next part to hand over: whole files from the front, at most SPOOL_PART_MAX bytes of JSON array text. Read into
 * memory on the disk queue by spool_load_part(); then spool_part() returns it at once, "[]" where the spool is empty.
 * The same part until it is dropped. Borrowed, valid until the next spool call. */
int spool_load_part(Spool *sp, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;
const char *spool_part(const Spool *sp, size_t *ret_size, uint64_t *ret_n_updates);

/* Removes the loaded part from the disk: it has been handed over. */
int spool_drop_part(Spool *sp, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* Removes updates with update_id >= `offset`: the server still has them and will give them to the workers itself. */
int spool_discard_from(Spool *sp, int64_t offset, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* Removes everything. */
int spool_clear(Spool *sp, disk_done_t done, void *userdata, DiskJob **ret) _must_check_;

/* A new memfd with all of it as one JSON array, sealed; synchronous read of what is on disk. */
int spool_export(Spool *sp, int *ret_fd) _must_check_;
