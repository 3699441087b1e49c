/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "io/disk-queue.h"

/* An event loop, a disk queue on it, and a directory. */
typedef struct DiskFixture {
        sd_event *event;
        DiskQueue *queue;
        char *directory;

        /* of the call that disk_wait() waits for */
        DiskJob *job;
        bool done;
        int result;
} DiskFixture;

/* cmocka set-up and tear-down; *state is the fixture. */
int disk_set_up(void **state);
int disk_tear_down(void **state);

/* Calls FUNCTION(…, done, userdata, &job) and waits for its result; a call that failed at once has that one. */
#define disk_call(f, function, ...) disk_wait((f), function(__VA_ARGS__, disk_done, (f), &(f)->job))

void disk_done(DiskJob *job, int r, void *userdata);
int disk_wait(DiskFixture *f, int r);

/* Runs the loop until nothing is queued. */
void disk_drain(DiskFixture *f);
