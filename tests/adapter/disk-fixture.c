/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "disk-fixture.h"
#include "scratch.h"

/* A disk that takes longer is a test that hangs. */
#define PATIENCE_USEC (UINT64_C(60) * 1000000)

int disk_set_up(void **state)
{
        DiskFixture *f = calloc(1, sizeof(DiskFixture));

        assert_non_null(f);
        f->directory = scratch_new();
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(disk_queue_new(&f->queue, f->event), 0);
        *state = f;
        return 0;
}

int disk_tear_down(void **state)
{
        DiskFixture *f = *state;

        disk_queue_free(f->queue);
        sd_event_unref(f->event);
        scratch_remove(f->directory);
        free(f);
        return 0;
}

void disk_done(DiskJob *job, int r, void *userdata)
{
        DiskFixture *f = userdata;

        assert_ptr_equal(job, f->job);
        f->job = disk_job_free(job);
        f->done = true;
        f->result = r;
}

static void run_once(DiskFixture *f)
{
        /* Returns 0 only if nothing has happened in all that time. */
        assert_true(sd_event_run(f->event, PATIENCE_USEC) > 0);
}

int disk_wait(DiskFixture *f, int r)
{
        if (r < 0)
                return r;
        while (!f->done)
                run_once(f);
        f->done = false;
        return f->result;
}

void disk_drain(DiskFixture *f)
{
        while (disk_queue_pending(f->queue) > 0)
                run_once(f);
}
