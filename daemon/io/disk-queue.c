/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "io/disk-queue.h"

/* On the way from the loop to the thread and back a job belongs to whoever took it from a list; the lock hands it over.
 * What is only for the loop needs none. */
struct DiskJob {
        DiskJob *next;
        disk_work_t run;
        void *work;
        int result;

        /* for the loop alone */
        void (*free_work)(void *);
        disk_done_t done;
        void *userdata;
        bool released; /* by its owner: frees itself when it comes back */
        bool finished; /* came back: its owner frees it */
};

typedef struct JobList {
        DiskJob *first;
        DiskJob **tail;
} JobList;

struct DiskQueue {
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake_thread;
        JobList queued; /* under the lock, like the two below */
        JobList returned;
        bool stopping;

        int wake_loop; /* eventfd */
        sd_event_source *source;
        unsigned n_pending; /* for the loop alone */
};

static void job_list_init(JobList *l)
{
        *l = (JobList){ .tail = &l->first };
}

static void job_list_append(JobList *l, DiskJob *job)
{
        job->next = NULL;
        *l->tail = job;
        l->tail = &job->next;
}

static DiskJob *job_list_pop(JobList *l)
{
        DiskJob *job = l->first;

        if (job) {
                l->first = job->next;
                if (!l->first)
                        l->tail = &l->first;
        }
        return job;
}

static void lock(DiskQueue *q)
{
        int r = pthread_mutex_lock(&q->lock);

        assert(r == 0);
}

static void unlock(DiskQueue *q)
{
        int r = pthread_mutex_unlock(&q->lock);

        assert(r == 0);
}

static void *disk_thread(void *userdata)
{
        DiskQueue *q = userdata;
        DiskJob *job;

        lock(q);
        for (;;) {
                job = job_list_pop(&q->queued);
                if (!job) {
                        if (q->stopping)
                                break;
                        pthread_cond_wait(&q->wake_thread, &q->lock);
                        continue;
                }
                unlock(q);
                job->result = job->run(job->work);
                lock(q);
                job_list_append(&q->returned, job);
                /* Fails only if 2^64 - 2 wake-ups were left unread. */
                (void) eventfd_write(q->wake_loop, 1);
        }
        unlock(q);
        return NULL;
}

static void finish(DiskQueue *q, DiskJob *job, bool call_back)
{
        q->n_pending--;
        job->free_work(job->work);
        job->finished = true;
        if (job->released)
                free(job);
        else if (call_back && job->done)
                job->done(job, job->result, job->userdata);
}

static DiskJob *take_returned(DiskQueue *q)
{
        DiskJob *job;

        lock(q);
        job = job_list_pop(&q->returned);
        unlock(q);
        return job;
}

static int on_returned(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        DiskQueue *q = userdata;
        eventfd_t count;
        DiskJob *job;

        /* Before the list is read: what returns after that wakes us again. */
        (void) eventfd_read(fd, &count);
        while ((job = take_returned(q)))
                finish(q, job, true);
        return 0;
}

static int start_thread(DiskQueue *q)
{
        sigset_t all, before;
        int r;

        /* Signals are for the loop, which reads them from a signalfd. */
        sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &before);
        if (r != 0)
                return -r;
        r = pthread_create(&q->thread, NULL, disk_thread, q);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return -r;
        (void) pthread_setname_np(q->thread, "disk-queue");
        return 0;
}

int disk_queue_new(DiskQueue **ret, sd_event *event)
{
        DiskQueue *q;
        int r;

        q = calloc(1, sizeof(DiskQueue));
        if (!q)
                return -ENOMEM;
        job_list_init(&q->queued);
        job_list_init(&q->returned);
        pthread_mutex_init(&q->lock, NULL);
        pthread_cond_init(&q->wake_thread, NULL);
        q->wake_loop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = q->wake_loop < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(event, &q->source, q->wake_loop, EPOLLIN, on_returned, q);
        if (r >= 0)
                r = start_thread(q);
        if (r < 0) {
                sd_event_source_unref(q->source);
                closep(&q->wake_loop);
                pthread_cond_destroy(&q->wake_thread);
                pthread_mutex_destroy(&q->lock);
                free(q);
                return r;
        }
        (void) sd_event_source_set_description(q->source, "disk-queue");
        *ret = q;
        return 0;
}

DiskQueue *disk_queue_free(DiskQueue *q)
{
        DiskJob *job;
        int r;

        if (!q)
                return NULL;
        lock(q);
        q->stopping = true;
        pthread_cond_signal(&q->wake_thread);
        unlock(q);
        r = pthread_join(q->thread, NULL);
        assert(r == 0);
        while ((job = take_returned(q)))
                finish(q, job, false);
        sd_event_source_disable_unref(q->source);
        close(q->wake_loop);
        pthread_cond_destroy(&q->wake_thread);
        pthread_mutex_destroy(&q->lock);
        free(q);
        return NULL;
}

int disk_queue_push(DiskQueue *q, disk_work_t run, void *work, void (*free_work)(void *), disk_done_t done,
                    void *userdata, DiskJob **ret)
{
        DiskJob *job;

        job = malloc(sizeof(DiskJob));
        if (!job)
                return -ENOMEM;
        *job = (DiskJob){
                .run = run,
                .work = work,
                .free_work = free_work,
                .done = done,
                .userdata = userdata,
                .released = !ret,
        };
        q->n_pending++;
        if (ret)
                *ret = job;
        lock(q);
        job_list_append(&q->queued, job);
        pthread_cond_signal(&q->wake_thread);
        unlock(q);
        return 0;
}

DiskJob *disk_job_free(DiskJob *job)
{
        if (!job)
                return NULL;
        if (job->finished)
                free(job);
        else
                job->released = true;
        return NULL;
}

unsigned disk_queue_pending(const DiskQueue *q)
{
        return q->n_pending;
}
