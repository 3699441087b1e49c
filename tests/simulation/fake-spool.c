/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "daemon.h"
#include "fake-disk.h"
#include "io/store.h"
#include "judge.h"

/* io/spool.h on the simulated disk. Updates are numbers here: the text of a part is the array of their numbers, which a
 * worker of the simulation understands. */

struct Spool {
        DiskQueue *queue;
        DiskBot *disk;
        unsigned n_ref; /* the owner and each call in flight */

        /* of the event loop */
        uint64_t count;
        char *text;
        size_t text_size;
        uint64_t text_updates;
        uint64_t n_dropped;

        /* of the calls in flight */
        size_t n_loaded;
};

typedef struct SpoolWork {
        Spool *spool;
        SpoolFile *files;
        size_t n_files;
        int64_t offset;
        uint64_t n_updates;

        uint64_t count;
        bool dropped_valid;
        uint64_t n_dropped;
        bool text_valid;
        char *text;
        size_t text_size;
        uint64_t text_updates;
} SpoolWork;

/* ---- files ---- */

static void file_done(SpoolFile *f)
{
        free(f->ids);
        free(f->updates);
        *f = (SpoolFile){};
}

static void count_copies(const SpoolFile *f, int copies)
{
        for (unsigned i = 0; i < f->n; i++)
                judge_spooled(f->updates[i], copies);
}

static void add_file(DiskBot *d, SpoolFile *f)
{
        d->files = reallocarray(d->files, d->n_files + 1, sizeof(SpoolFile));
        assert(d->files);
        count_copies(f, 1);
        d->files[d->n_files++] = *f;
        *f = (SpoolFile){};
}

static void remove_last(DiskBot *d)
{
        SpoolFile *f = &d->files[--d->n_files];

        count_copies(f, -1);
        file_done(f);
}

static void remove_first(DiskBot *d)
{
        count_copies(&d->files[0], -1);
        file_done(&d->files[0]);
        d->n_files--;
        memmove(d->files, d->files + 1, d->n_files * sizeof(SpoolFile));
}

void spool_files_clear(DiskBot *d)
{
        while (d->n_files > 0)
                remove_last(d);
        free(d->files);
        d->files = NULL;
}

static uint64_t count_updates(const DiskBot *d)
{
        uint64_t n = 0;

        for (size_t i = 0; i < d->n_files; i++)
                n += d->files[i].n;
        return n;
}

/* ---- the spool ---- */

static void spool_unref(Spool *sp)
{
        if (--sp->n_ref > 0)
                return;
        free(sp->text);
        free(sp);
}

int spool_open(Spool **ret, Store *s, const char *bot, char **ret_why)
{
        Spool *sp = calloc(1, sizeof(Spool));

        *ret_why = NULL;
        if (!sp)
                return -ENOMEM;
        sp->queue = store_disk_queue(s);
        sp->disk = &world_find_bot(bot)->disk;
        sp->n_ref = 1;
        sp->count = count_updates(sp->disk);
        *ret = sp;
        return 0;
}

Spool *spool_free(Spool *sp)
{
        if (sp)
                spool_unref(sp);
        return NULL;
}

uint64_t spool_count(const Spool *sp)
{
        return sp->count;
}

const char *spool_part(const Spool *sp, size_t *ret_size, uint64_t *ret_n_updates)
{
        if (!sp->text && sp->count > 0)
                return NULL;
        *ret_size = sp->text ? sp->text_size : strlen("[]");
        *ret_n_updates = sp->text ? sp->text_updates : 0;
        return sp->text ?: "[]";
}

uint64_t spool_n_dropped(const Spool *sp)
{
        return sp->n_dropped;
}

static void work_free(SpoolWork *w)
{
        for (size_t i = 0; i < w->n_files; i++)
                file_done(&w->files[i]);
        free(w->files);
        free(w->text);
        spool_unref(w->spool);
        free(w);
}

static void publish(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;

        sp->count = w->count;
        if (w->dropped_valid)
                sp->n_dropped = w->n_dropped;
        if (w->text_valid) {
                free(sp->text);
                sp->text = TAKE_PTR(w->text);
                sp->text_size = w->text_size;
                sp->text_updates = w->text_updates;
        }
        work_free(w);
}

static SpoolWork *work_new(Spool *sp)
{
        SpoolWork *w = calloc(1, sizeof(SpoolWork));

        assert(w);
        w->spool = sp;
        sp->n_ref++;
        return w;
}

static int push(SpoolWork *w, disk_work_t run, disk_done_t done, void *userdata, DiskJob **ret)
{
        int r = disk_queue_push(w->spool->queue, run, w, publish, done, userdata, ret);

        if (r < 0)
                work_free(w);
        return r;
}

static void unload_part(SpoolWork *w)
{
        w->spool->n_loaded = 0;
        w->text_valid = true;
}

static int append_run(void *work)
{
        SpoolWork *w = work;
        DiskBot *d = w->spool->disk;
        size_t n_before = d->n_files;
        size_t n = disk_is_torn() ? random_below(w->n_files + 1) : w->n_files;
        bool fails = !disk_is_torn() && disk_fails();

        for (size_t i = 0; i < n; i++)
                add_file(d, &w->files[i]);
        if (w->n_files > 0)
                unload_part(w);
        if (fails)
                trace("updates are not spooled");
        while (fails && d->n_files > n_before)
                remove_last(d);
        w->count = count_updates(d);
        return fails ? -ENOSPC : 0;
}

static int number_of(json_object *update, int64_t *ret_id, uint32_t *ret_update)
{
        json_object *id, *message, *number;

        if (!json_object_object_get_ex(update, "update_id", &id) ||
            !json_object_object_get_ex(update, "message", &message) ||
            !json_object_object_get_ex(message, "message_id", &number))
                return -EINVAL;
        *ret_id = json_object_get_int64(id);
        *ret_update = (uint32_t) json_object_get_int64(number);
        return 0;
}

int spool_append(Spool *sp, json_object *updates, disk_done_t done, void *userdata, DiskJob **ret)
{
        size_t n = json_object_array_length(updates), per_file = MAX(world.part_max / 2, 1u);
        SpoolWork *w = work_new(sp);

        w->files = calloc(n / per_file + 1, sizeof(SpoolFile));
        assert(w->files);
        for (size_t i = 0; i < n; i++) {
                SpoolFile *f = &w->files[i / per_file];

                if (!f->ids) {
                        f->ids = calloc(per_file, sizeof(int64_t));
                        f->updates = calloc(per_file, sizeof(uint32_t));
                        assert(f->ids && f->updates);
                        w->n_files++;
                }
                if (number_of(json_object_array_get_idx(updates, i), &f->ids[f->n], &f->updates[f->n]) < 0)
                        assert(false);
                f->n++;
        }
        return push(w, append_run, done, userdata, ret);
}

/* ---- parts ---- */

static size_t choose_files(const DiskBot *d, uint64_t *ret_updates)
{
        uint64_t updates = 0;
        size_t n = 0;

        for (; n < d->n_files; n++) {
                if (n > 0 && updates + d->files[n].n > world.part_max)
                        break;
                updates += d->files[n].n;
        }
        *ret_updates = updates;
        return n;
}

/* How many files from the front hold so many together. */
static bool find_files(const DiskBot *d, uint64_t n_updates, size_t *ret_n)
{
        uint64_t sum = 0;
        size_t n = 0;

        while (n < d->n_files && sum < n_updates)
                sum += d->files[n++].n;
        *ret_n = n;
        return n_updates > 0 && sum == n_updates && (n == 1 || sum <= world.part_max);
}

static int load_part_run(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;
        DiskBot *d = sp->disk;
        uint64_t n_updates;
        size_t n;
        FILE *f;

        w->count = count_updates(d);
        if (!find_files(d, w->n_updates, &n))
                n = choose_files(d, &n_updates);
        if (n == sp->n_loaded)
                return 0;
        unload_part(w);
        if (disk_fails() && random_chance(200))
                return -EIO;
        sp->n_loaded = n;
        f = open_memstream(&w->text, &w->text_size);
        assert(f);
        for (size_t i = 0; i < n; i++) {
                w->text_updates += d->files[i].n;
                for (unsigned k = 0; k < d->files[i].n; k++)
                        fprintf(f, "%c%" PRIu32, i + k == 0 ? '[' : ',', d->files[i].updates[k]);
        }
        fputc(']', f);
        fclose(f);
        return 0;
}

int spool_load_part(Spool *sp, uint64_t n_updates, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = work_new(sp);

        w->n_updates = n_updates;
        return push(w, load_part_run, done, userdata, ret);
}

static int drop_part_run(void *work)
{
        SpoolWork *w = work;
        DiskBot *d = w->spool->disk;
        bool fails = !disk_is_torn() && disk_fails();
        bool stops = fails || disk_is_torn();

        w->dropped_valid = true;
        while (d->n_files > 0 && d->files[0].n <= w->n_updates - w->n_dropped && !(stops && random_chance(300))) {
                w->n_dropped += d->files[0].n;
                remove_first(d);
        }
        if (w->n_dropped > 0)
                unload_part(w);
        w->count = count_updates(d);
        return fails ? -EIO : 0;
}

int spool_drop_part(Spool *sp, uint64_t n_updates, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = work_new(sp);

        w->n_updates = n_updates;
        return push(w, drop_part_run, done, userdata, ret);
}

/* ---- discarding ---- */

/* The last file without what is not below the offset; true if all of it went and the one before is next. */
static bool discard_from_last(SpoolWork *w, int64_t *first)
{
        DiskBot *d = w->spool->disk;
        SpoolFile *f = &d->files[d->n_files - 1];
        unsigned n_keep = 0;

        if (f->ids[f->n - 1] >= *first)
                return false;
        *first = f->ids[0];
        while (n_keep < f->n && f->ids[n_keep] < w->offset)
                n_keep++;
        if (n_keep == f->n)
                return false;
        unload_part(w);
        if (n_keep == 0) {
                remove_last(d);
                return true;
        }
        for (unsigned i = n_keep; i < f->n; i++)
                judge_spooled(f->updates[i], -1);
        f->n = n_keep;
        return false;
}

static int discard_run(void *work)
{
        SpoolWork *w = work;
        DiskBot *d = w->spool->disk;
        bool fails = !disk_is_torn() && disk_fails();
        bool stops = fails || disk_is_torn();
        int64_t first = INT64_MAX;

        while (d->n_files > 0 && !(stops && random_chance(500)) && discard_from_last(w, &first))
                ;
        w->count = count_updates(d);
        return fails ? -EIO : 0;
}

int spool_discard_from(Spool *sp, int64_t offset, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = work_new(sp);

        w->offset = offset;
        return push(w, discard_run, done, userdata, ret);
}

static int clear_run(void *work)
{
        SpoolWork *w = work;
        DiskBot *d = w->spool->disk;
        bool fails = !disk_is_torn() && disk_fails();

        while (d->n_files > 0 && !(fails && random_chance(500))) {
                unload_part(w);
                remove_last(d);
        }
        w->count = count_updates(d);
        return fails ? -EIO : 0;
}

int spool_clear(Spool *sp, disk_done_t done, void *userdata, DiskJob **ret)
{
        return push(work_new(sp), clear_run, done, userdata, ret);
}

int spool_export(Spool *sp, int *ret_fd)
{
        return -EOPNOTSUPP;
}
