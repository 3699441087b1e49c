/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"

/* Work that waits for the disk, done in order on one thread of its own, so that a slow fsync() holds up neither a timer
 * nor another bot. Jobs of one queue never overlap and finish in the order they were queued. All functions belong to
 * the thread of the event loop. */

typedef struct DiskQueue DiskQueue;
typedef struct DiskJob DiskJob;

/* Runs on the thread: touches nothing but `work`. Returns 0 or a negative errno. */
typedef int (*disk_work_t)(void *work);

/* Runs on the event loop afterwards, where the job may be freed. Freeing the job before that drops the callback, not
 * the work: what was queued is always done. */
typedef void (*disk_done_t)(DiskJob *job, int r, void *userdata);

int disk_queue_new(DiskQueue **ret, sd_event *event) _must_check_;
/* Finishes what is queued and joins the thread; callbacks that have not run are dropped. Jobs may be freed after it.
 * Not to be called from a callback. */
DiskQueue *disk_queue_free(DiskQueue *q);
DEFINE_CLEANUP(DiskQueue *, disk_queue_free);

/* `free_work` is called on the event loop once the work is done, whoever still waits for it, and before `done`: so it
 * is also the place to publish what the work has found out. On failure it has not been called and `work` is still the
 * caller's. `done` may be NULL; where `ret` is NULL nobody waits, and `done` is not called. */
int disk_queue_push(DiskQueue *q, disk_work_t run, void *work, void (*free_work)(void *), disk_done_t done,
                    void *userdata, DiskJob **ret) _must_check_;
DiskJob *disk_job_free(DiskJob *job);
DEFINE_CLEANUP(DiskJob *, disk_job_free);

/* How many jobs are queued, running, or done without their callback; 0 means that everything said is on disk. */
unsigned disk_queue_pending(const DiskQueue *q);
