/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/record.h"
#include "io/disk-queue.h"
#include "io/spool.h"

/* The state directory: one record a bot, the spool, the number of the next job.
 *
 *   bots/NAME.state    the record, padded with newlines to a multiple of STORE_STEP
 *   bots/NAME.spare    the space for the next one, of the same size
 *   spool/NAME/N       see spool.h
 *   next-job           ids of jobs go on over restarts
 *
 * A record is written over NAME.spare, which was allocated beforehand, synced, exchanged with NAME.state
 * (renameat2(RENAME_EXCHANGE)), and the directory synced: after a power cut either the old or the new record is there,
 * and a full disk does not stop a bot half-way. Where the file system cannot exchange, a plain rename() is used.
 * What cannot be read is an error, never an empty record. */

#define STORE_STEP (16u * 1024u)

/* Opens and creates what is missing; `q` must live longer than what is made from it. -EBUSY: another process has it
 * open. Synchronous: for start-up. */
int store_open(Store **ret, DiskQueue *q, const char *directory) _must_check_;
/* Waits for nothing: what was said before is still written. Its spools must be gone. */
Store *store_free(Store *s);
DEFINE_CLEANUP(Store *, store_free);

/* Synchronous, for start-up and reload. 0; -ENOENT: there is no record and none was ever written; -EBADMSG,
 * -EPROTONOSUPPORT or another errno with *ret_why a new sentence that names the file and what to do (NULL: no memory).
 * A NAME.spare without NAME.state is not "no record": it is damage. */
int store_load(Store *s, const char *bot, Record *ret, char **ret_why) _must_check_;

/* Names of all bots that have a record, or the damage that store_load() tells; sorted. */
int store_list(Store *s, char ***ret) _must_check_;

/* Encodes now, writes on the disk queue, in the order of the calls. After a failure the old record is in place, as far
 * as the file system still obeys. */
int store_save(Store *s, const char *bot, const Record *record, disk_done_t done, void *userdata,
               DiskJob **ret) _must_check_;

/* Removes record and spool of a bot, whose Spool must be gone. Asynchronous, result dropped. */
int store_forget(Store *s, const char *bot) _must_check_;

/* Takes a new number. Synchronous: numbers are reserved on disk, STORE_JOB_IDS at once, before the first of them is
 * given out; those that a crash leaves unused are skipped. -ERANGE: there is no number left; -EBADMSG: the file is
 * damaged. */
#define STORE_JOB_IDS 64u
int store_next_job_id(Store *s, uint32_t *ret) _must_check_;

/* Bytes free for us in the state directory (statvfs); asks the file system at once. */
int store_free_bytes(Store *s, uint64_t *ret) _must_check_;

/* For spool.c: opens the directory of one bot's spool. */
int store_open_spool_directory(Store *s, const char *bot, int *ret_fd) _must_check_;
DiskQueue *store_disk_queue(Store *s);
