/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "daemon.h"
#include "fake-disk.h"
#include "io/store.h"
#include "judge.h"

/* io/disk-queue.h and io/store.h on a simulated disk: slow, full or broken at times, cut off in the middle of a write.
 * What the real store promises, this one keeps: a record is there as it was before or as it is after, whole. */

struct DiskJob {
        DiskJob *next;
        DiskQueue *queue;
        disk_work_t run;
        void *work;
        void (*free_work)(void *);
        disk_done_t done;
        void *userdata;
        int result;
        Event *event; /* its end, then its way back to the loop */
        bool begun, ran, released, finished;
};

struct DiskQueue {
        DiskJob *first;
        unsigned n_pending;
};

static DiskQueue *queue;
static bool torn;

bool disk_fails(void)
{
        return (world.faults_on && timeline_now() < world.disk_bad_until) || fault(world.faults.disk_fails);
}

bool disk_is_torn(void)
{
        return torn;
}

static void begin_next(DiskQueue *q);

static void unlink_job(DiskJob *job)
{
        for (DiskJob **slot = &job->queue->first; *slot; slot = &(*slot)->next)
                if (*slot == job) {
                        *slot = job->next;
                        break;
                }
}

static void finish(DiskJob *job, bool call_back)
{
        unlink_job(job);
        job->queue->n_pending--;
        job->free_work(job->work);
        job->finished = true;
        if (job->released)
                free(job);
        else if (call_back && job->done)
                job->done(job, job->result, job->userdata);
}

static void on_returned(void *userdata)
{
        DiskJob *job = userdata;
        DiskQueue *q = job->queue;

        job->event = NULL;
        daemon_touch();
        /* In the order in which they were queued: one whose way back was shorter waits. */
        while ((job = q->first) && job->ran && !job->event && !daemon_is_dead())
                finish(job, true);
}

static void on_ran(void *userdata)
{
        DiskJob *job = userdata;

        job->event = NULL;
        job->result = job->run(job->work);
        job->ran = true;
        job->event = timeline_add(random_span(10, 2000), PLACE_HOST, on_returned, job);
        begin_next(job->queue);
}

static void begin_next(DiskQueue *q)
{
        usec_t takes = random_span(100, 20 * USEC_PER_MSEC);
        DiskJob *job = q->first;

        while (job && job->ran)
                job = job->next;
        if (!job || job->begun)
                return;
        if (fault(world.faults.disk_slow))
                takes = random_span(100 * USEC_PER_MSEC, 30 * USEC_PER_SEC);
        job->begun = true;
        job->event = timeline_add(takes, PLACE_HOST, on_ran, job);
}

int disk_queue_new(DiskQueue **ret, sd_event *event)
{
        DiskQueue *q = calloc(1, sizeof(DiskQueue));

        if (!q)
                return -ENOMEM;
        *ret = queue = q;
        return 0;
}

/* A process that ends in good order waits for the disk. One that dies leaves what was being done half done. */
DiskQueue *disk_queue_free(DiskQueue *q)
{
        if (!q)
                return NULL;
        while (q->first) {
                DiskJob *job = q->first;

                job->event = timeline_cancel(job->event);
                if (!job->ran && !daemon_is_dead())
                        (void) job->run(job->work);
                finish(job, false);
        }
        free(q);
        queue = NULL;
        return NULL;
}

void disk_process_died(void)
{
        for (DiskJob *job = queue ? queue->first : NULL; job; job = job->next)
                if (job->begun && !job->ran && random_chance(500)) {
                        torn = true;
                        (void) job->run(job->work);
                        torn = false;
                }
}

int disk_queue_push(DiskQueue *q, disk_work_t run, void *work, void (*free_work)(void *), disk_done_t done,
                    void *userdata, DiskJob **ret)
{
        DiskJob *job, **last = &q->first;
        bool dead = daemon_dies_here("before the disk");
        int r = refusal(REFUSABLE_DISK);

        if (r < 0)
                return r;
        job = malloc(sizeof(DiskJob));
        if (!job)
                return -ENOMEM;
        *job = (DiskJob){
                .queue = q,
                .run = run,
                .work = work,
                .free_work = free_work,
                .done = done,
                .userdata = userdata,
                .released = !ret,
        };
        q->n_pending++;
        while (*last)
                last = &(*last)->next;
        *last = job;
        if (ret)
                *ret = job;
        if (dead)
                return 0;
        begin_next(q);
        (void) daemon_dies_here("behind the disk");
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

/* ---- the store ---- */

struct Store {
        DiskQueue *queue;
        uint32_t job_id, job_id_beyond;
};

int store_open(Store **ret, DiskQueue *q, const char *directory)
{
        Store *s = calloc(1, sizeof(Store));

        if (!s)
                return -ENOMEM;
        s->queue = q;
        *ret = s;
        return 0;
}

Store *store_free(Store *s)
{
        free(s);
        return NULL;
}

DiskQueue *store_disk_queue(Store *s)
{
        return s->queue;
}

int store_load(Store *s, const char *bot, Record *ret, char **ret_why)
{
        const DiskBot *d = &world_find_bot(bot)->disk;
        const char *why;
        int r;

        *ret_why = NULL;
        if (!d->record)
                return -ENOENT;
        r = record_decode(d->record, d->record_size, bot, ret, &why);
        assert(r >= 0);
        return 0;
}

int store_list(Store *s, char ***ret)
{
        _cleanup_strv_ char **bots = NULL;

        for (size_t i = 0; i < world.n_bots; i++)
                if (world.bots[i].disk.record && strv_extend(&bots, world.bots[i].name) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(bots);
        return 0;
}

typedef struct SaveWork {
        SimBot *bot;
        DiskBot *disk;
        char *bytes;
        size_t size;
        uint32_t job;
        bool job_ended;
} SaveWork;

static void save_work_free(void *work)
{
        SaveWork *w = work;

        free(w->bytes);
        free(w);
}

static int save_run(void *work)
{
        SaveWork *w = work;

        free(w->disk->ghost);
        w->disk->ghost = NULL;
        if (disk_fails()) {
                trace("a record is not written");
                /* The directory alone was not synced: nobody knows which one is on disk. */
                if (random_chance(200)) {
                        w->disk->ghost = TAKE_PTR(w->bytes);
                        w->disk->ghost_size = w->size;
                        w->disk->ghost_job = w->job;
                        w->disk->ghost_job_ended = w->job_ended;
                }
                return random_chance(500) ? -ENOSPC : -EIO;
        }
        free(w->disk->record);
        w->disk->record = TAKE_PTR(w->bytes);
        w->disk->record_size = w->size;
        judge_recorded(w->bot, w->job, w->job_ended);
        return 0;
}

int store_save(Store *s, const char *bot, const Record *record, disk_done_t done, void *userdata, DiskJob **ret)
{
        SaveWork *w = calloc(1, sizeof(SaveWork));
        int r;

        if (!w)
                return -ENOMEM;
        w->bot = world_find_bot(bot);
        w->disk = &w->bot->disk;
        w->job = record->job.id;
        w->job_ended = record->state == CUTOVER_SETTLED;
        r = record_encode(record, bot, &w->bytes, &w->size);
        if (r >= 0)
                judge_bytes(NULL, "a record", w->bytes, w->size);
        if (r >= 0)
                r = disk_queue_push(s->queue, save_run, w, save_work_free, done, userdata, ret);
        if (r < 0)
                save_work_free(w);
        return r;
}

void disk_power_cut(void)
{
        for (size_t i = 0; i < world.n_bots; i++) {
                DiskBot *d = &world.bots[i].disk;

                if (!d->ghost)
                        continue;
                if (random_chance(500)) {
                        free(d->record);
                        d->record = TAKE_PTR(d->ghost);
                        d->record_size = d->ghost_size;
                        judge_recorded(&world.bots[i], d->ghost_job, d->ghost_job_ended);
                }
                free(d->ghost);
                d->ghost = NULL;
        }
}

static void forget_free(void *work)
{
}

static int forget_run(void *work)
{
        DiskBot *d = work;

        if (disk_fails())
                return -EIO;
        spool_files_clear(d);
        free(d->record);
        d->record = NULL;
        return 0;
}

int store_forget(Store *s, const char *bot)
{
        SimBot *b = world_find_bot(bot);

        /* Whoever writes the file anew knows where the bot is by then. */
        world.settings.bots[b->index].initial_seat = seat_of_side(b->judge.side);
        b->declared = true;
        return disk_queue_push(s->queue, forget_run, &b->disk, forget_free, NULL, NULL, NULL);
}

int store_next_job_id(Store *s, uint32_t *ret)
{
        if (s->job_id == s->job_id_beyond) {
                if (disk_fails())
                        return -ENOSPC;
                s->job_id = world.next_job;
                s->job_id_beyond = world.next_job += STORE_JOB_IDS;
        }
        *ret = s->job_id++;
        return 0;
}

int store_free_bytes(Store *s, uint64_t *ret)
{
        *ret = disk_fails() ? UINT64_C(1) << 20 : world.free_bytes;
        return 0;
}
