/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* The queue of pending updates of one bot on one server, with the numbering and the offsets of getUpdates.
 */

typedef struct Update {
        int64_t id;
        int64_t uid; /* of the simulation: the same on every server */
        char *body;  /* `"message":{…}` */
        size_t size;
        bool returned; /* was part of an answer of getUpdates */
} Update;

typedef struct UpdateQueue {
        Update *updates;
        size_t n_updates, n_allocated;
        size_t bytes;
        int64_t next_id;
} UpdateQueue;

#define UPDATE_QUEUE_MAX       100000
#define UPDATE_QUEUE_BYTES_MAX (128 * 1024 * 1024)
#define UPDATE_SIZE_MAX        (512 * 1024)

void update_queue_done(UpdateQueue *queue);

/* Appends under the next number, or under `id` where that isn't 0. NULL where the queue or the update is too
 * big; the server drops it then without a word. */
Update *update_queue_add(UpdateQueue *queue, int64_t id, int64_t uid, const char *body);

/* Where an answer for this offset begins, as an index. *ret_forget tells how many updates from the front the
 * offset confirms. A positive offset far from the queue's numbers comes from another server: it confirms
 * nothing and means the front. */
size_t update_queue_seek(const UpdateQueue *queue, int64_t offset, size_t *ret_forget);

/* Removes the first n. */
void update_queue_forget(UpdateQueue *queue, size_t n);
