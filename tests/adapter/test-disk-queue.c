/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "disk-fixture.h"

/* Order, and who is called when: everything that the store relies on. */

typedef struct Work {
        unsigned number;
        unsigned *done_on_disk; /* of the thread: how many ran before */
        unsigned place;
        pthread_t thread;
        bool signals_blocked;
        pthread_mutex_t *gate; /* held by the test: the work waits for it */
} Work;

static struct {
        unsigned n_freed;
        unsigned last_freed;
        unsigned n_called;
        unsigned last_called;
        bool freed_before_called;
        DiskJob *victim; /* freed in the next callback */
} seen;

static int run(void *work)
{
        Work *w = work;
        sigset_t blocked;

        if (w->gate) {
                pthread_mutex_lock(w->gate);
                pthread_mutex_unlock(w->gate);
        }
        w->place = (*w->done_on_disk)++;
        w->thread = pthread_self();
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        w->signals_blocked = sigismember(&blocked, SIGTERM) == 1;
        return w->number % 7 == 3 ? -EIO : 0;
}

static void free_work(void *work)
{
        Work *w = work;

        assert_int_equal(w->place, w->number);
        assert_false(pthread_equal(w->thread, pthread_self()));
        assert_true(w->signals_blocked);
        seen.n_freed++;
        seen.last_freed = w->number;
        free(w);
}

static void done(DiskJob *job, int r, void *userdata)
{
        unsigned number = (unsigned) (uintptr_t) userdata;

        assert_int_equal(r, number % 7 == 3 ? -EIO : 0);
        assert_int_equal(seen.last_freed, number);
        seen.n_called++;
        seen.last_called = number;
        seen.victim = disk_job_free(seen.victim);
        disk_job_free(job);
}

static DiskJob *push(DiskFixture *f, unsigned number, unsigned *counter, pthread_mutex_t *gate, bool keep)
{
        Work *w = calloc(1, sizeof(Work));
        DiskJob *job = NULL;

        assert_non_null(w);
        *w = (Work){ .number = number, .done_on_disk = counter, .gate = gate };
        assert_int_equal(disk_queue_push(f->queue, run, w, free_work, done, (void *) (uintptr_t) number,
                                         keep ? &job : NULL),
                         0);
        return job;
}

static void test_order(void **state)
{
        DiskFixture *f = *state;
        unsigned counter = 0;

        memset(&seen, 0, sizeof(seen));
        for (unsigned i = 0; i < 1000; i++)
                push(f, i, &counter, NULL, true);
        assert_int_equal(disk_queue_pending(f->queue), 1000);
        disk_drain(f);
        assert_int_equal(seen.n_freed, 1000);
        assert_int_equal(seen.n_called, 1000);
        assert_int_equal(seen.last_called, 999);
}

/* Freed jobs: the work is done, the callback is not run, at whatever point the job is freed. */
static void test_free_job(void **state)
{
        DiskFixture *f = *state;
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        unsigned counter = 0;
        DiskJob *running, *queued;

        memset(&seen, 0, sizeof(seen));
        pthread_mutex_lock(&gate);
        running = push(f, 0, &counter, &gate, true);
        queued = push(f, 1, &counter, NULL, true);
        push(f, 2, &counter, NULL, false); /* nobody waits for this one at all */
        push(f, 3, &counter, NULL, true);
        seen.victim = push(f, 4, &counter, NULL, true);
        disk_job_free(running);
        disk_job_free(queued);
        pthread_mutex_unlock(&gate);
        disk_drain(f);
        assert_int_equal(seen.n_freed, 5);
        assert_int_equal(seen.n_called, 1);
        assert_int_equal(seen.last_called, 3);
        assert_null(seen.victim);
}

/* Freeing the queue does all that was said, and calls nobody back. */
static void test_free_queue(void **state)
{
        DiskFixture *f = *state;
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        unsigned counter = 0;
        DiskJob *kept;

        memset(&seen, 0, sizeof(seen));
        pthread_mutex_lock(&gate);
        kept = push(f, 0, &counter, &gate, true);
        for (unsigned i = 1; i < 50; i++)
                disk_job_free(push(f, i, &counter, NULL, true));
        pthread_mutex_unlock(&gate);
        f->queue = disk_queue_free(f->queue);
        assert_int_equal(counter, 50);
        assert_int_equal(seen.n_freed, 50);
        assert_int_equal(seen.n_called, 0);
        disk_job_free(kept);
}

/* The loop goes on while the disk does not. */
static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        pthread_mutex_unlock(userdata);
        return 0;
}

static void test_loop_is_not_held_up(void **state)
{
        DiskFixture *f = *state;
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        unsigned counter = 0;

        memset(&seen, 0, sizeof(seen));
        pthread_mutex_lock(&gate);
        push(f, 0, &counter, &gate, true);
        assert_true(sd_event_add_time_relative(f->event, NULL, CLOCK_MONOTONIC, 1000, 1, on_timer, &gate) >= 0);
        disk_drain(f);
        assert_int_equal(seen.n_called, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_free_job, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_free_queue, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_loop_is_not_held_up, disk_set_up, disk_tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
