/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"

/* Work that waits for the disk, done in order on one thread of its own, so that a slow fsync() holds up neither a timer
 * nor another bot. Jobs of one queue never overlap and finish in the order they were queued. */

typedef struct DiskQueue DiskQueue;
typedef struct DiskJob DiskJob;

/* Runs on the thread: touches nothing but `work`. Returns 0 or a negative errno. */
typedef int (*disk_work_t)(void *work);

/* Runs on the event loop afterwards. Freeing the job before that drops the callback, not the work: what was queued is
 * always done. */
typedef void (*disk_done_t)(DiskJob *job, int r, void *userdata);

int disk_queue_new(DiskQueue **ret, sd_event *event) _must_check_;
DiskQueue *disk_queue_free(DiskQueue *q); /* finishes what is queued, joins the thread */
DEFINE_CLEANUP(DiskQueue *, disk_queue_free);

/* `free_work` is called once the work is done, wherever its result goes. */
int disk_queue_push(DiskQueue *q, disk_work_t run, void *work, void (*free_work)(void *), disk_done_t done,
                    void *userdata, DiskJob **ret) _must_check_;
DiskJob *disk_job_free(DiskJob *job);
DEFINE_CLEANUP(DiskJob *, disk_job_free);

/* How many jobs are queued or running; 0 means that everything said is on disk. */
unsigned disk_queue_pending(const DiskQueue *q);
