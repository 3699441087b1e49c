/* SPDX-License-Identifier: MIT */
#include "update-queue.h"

#define OFFSET_AHEAD_MAX 10

void update_queue_done(UpdateQueue *queue)
{
        update_queue_forget(queue, queue->n_updates);
        free(queue->updates);
        *queue = (UpdateQueue){ 0 };
}

Update *update_queue_add(UpdateQueue *queue, int64_t id, int64_t uid, const char *body)
{
        size_t size = strlen(body);
        Update *update;

        if (queue->n_updates >= UPDATE_QUEUE_MAX || size > UPDATE_SIZE_MAX ||
            queue->bytes + size > UPDATE_QUEUE_BYTES_MAX)
                return NULL;

        if (queue->n_updates == queue->n_allocated) {
                size_t n = MAX(queue->n_allocated * 2, (size_t) 64);
                Update *updates = reallocarray(queue->updates, n, sizeof(*updates));

                assert(updates);
                queue->updates = updates;
                queue->n_allocated = n;
        }

        if (id == 0)
                id = queue->next_id;
        update = queue->updates + queue->n_updates++;
        *update = (Update){ .id = id, .uid = uid, .body = strdup(body), .size = size };
        assert(update->body);
        queue->bytes += size;
        queue->next_id = id + 1;
        return update;
}

size_t update_queue_seek(const UpdateQueue *queue, int64_t offset, size_t *ret_forget)
{
        int64_t head = queue->n_updates > 0 ? queue->updates[0].id : queue->next_id;
        size_t start = 0;

        *ret_forget = 0;
        if (offset == 0)
                return 0;

        if (offset < 0) {
                start = (uint64_t) -offset < queue->n_updates ? queue->n_updates - (size_t) -offset : 0;
                *ret_forget = start;
                return start;
        }

        if (offset > queue->next_id + OFFSET_AHEAD_MAX || offset < head - UPDATE_QUEUE_MAX)
                return 0;

        while (start < queue->n_updates && queue->updates[start].id < offset)
                start++;
        *ret_forget = start;
        return start;
}

void update_queue_forget(UpdateQueue *queue, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                queue->bytes -= queue->updates[i].size;
                free(queue->updates[i].body);
        }
        if (n > 0)
                memmove(queue->updates, queue->updates + n, (queue->n_updates - n) * sizeof(*queue->updates));
        queue->n_updates -= n;
}
