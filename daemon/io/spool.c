/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/fs-util.h"
#include "io/spool-file.h"
#include "io/spool.h"
#include "io/store.h"

typedef struct Part {
        uint64_t number;
        uint64_t n_updates;
        size_t size; /* of its lines */
} Part;

struct Spool {
        /* of the event loop: what the last call that came back has left */
        Store *store;
        char *bot;
        unsigned n_ref; /* the owner and each call in flight */
        uint64_t count;
        char *text; /* of the loaded part, or NULL */
        size_t text_size;
        uint64_t text_updates;
        uint64_t n_dropped;

        /* of the calls in flight, which the disk queue runs one after the other */
        Part *parts;
        size_t n_parts;
        size_t n_loaded; /* so many from the front are the loaded part */
        uint64_t next_number;
};

/* One call: what it is given, and what it leaves for the loop. */
typedef struct SpoolWork {
        Spool *spool;
        int directory; /* of this call alone: of a thousand spools nearly all are empty and at rest */
        SpoolLines *files;
        size_t n_files;
        int64_t offset;
        uint64_t n_updates;

        uint64_t count;
        bool dropped_valid;
        uint64_t n_dropped;
        bool text_valid; /* the three below take the place of the spool's */
        char *text;
        size_t text_size;
        uint64_t text_updates;
} SpoolWork;

static void spool_unref(Spool *sp)
{
        if (--sp->n_ref > 0)
                return;
        free(sp->text);
        free(sp->parts);
        free(sp->bot);
        free(sp);
}

Spool *spool_free(Spool *sp)
{
        if (sp)
                spool_unref(sp);
        return NULL;
}

static int add_part(Spool *sp, uint64_t number, const SpoolLines *lines)
{
        Part *grown = reallocarray(sp->parts, sp->n_parts + 1, sizeof(Part));

        if (!grown)
                return -ENOMEM;
        sp->parts = grown;
        sp->parts[sp->n_parts++] = (Part){ .number = number, .n_updates = lines->n, .size = lines->size };
        return 0;
}

static uint64_t count_updates(const Spool *sp)
{
        uint64_t n = 0;

        for (size_t i = 0; i < sp->n_parts; i++)
                n += sp->parts[i].n_updates;
        return n;
}

static int read_parts(Spool *sp, int directory, uint64_t *ret_bad)
{
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n;
        int r;

        r = spool_file_list(directory, true, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                _cleanup_(spool_lines_done) SpoolLines lines = {};

                r = spool_file_read(directory, numbers[i], &lines);
                /* None that is ours; it could never be handed over. */
                if (r >= 0 && lines.n > 1 && lines.size > SPOOL_PART_MAX - SPOOL_HEADER_MAX)
                        r = -EBADMSG;
                if (r < 0) {
                        *ret_bad = numbers[i];
                        return r;
                }
                r = add_part(sp, numbers[i], &lines);
                if (r < 0)
                        return r;
        }
        sp->next_number = n > 0 ? numbers[n - 1] + 1 : 1;
        sp->count = count_updates(sp);
        return 0;
}

int spool_open(Spool **ret, Store *s, const char *bot, char **ret_why)
{
        _cleanup_(spool_freep) Spool *sp = NULL;
        _cleanup_close_ int directory = -EBADF;
        uint64_t bad = 0;
        int r;

        *ret_why = NULL;
        sp = malloc(sizeof(Spool));
        if (!sp)
                return -ENOMEM;
        *sp = (Spool){ .store = s, .n_ref = 1 };
        sp->bot = strdup(bot);
        if (!sp->bot)
                return -ENOMEM;
        r = store_open_spool_directory(s, bot, &directory);
        if (r >= 0)
                r = read_parts(sp, directory, &bad);
        if (r >= 0) {
                *ret = TAKE_PTR(sp);
                return 0;
        }
        if (bad == 0 &&
            asprintf(ret_why,
                     "The spool of bot %s cannot be read: %s. It may hold updates for its worker: look after "
                     "spool/%s in the state directory, then run 'systemctl restart tgswitchd'.",
                     bot, strerror(-r), bot) < 0)
                *ret_why = NULL;
        if (bad > 0 && asprintf(ret_why,
                                "The file %08" PRIu64
                                " in the spool of bot %s cannot be used: %s. It holds updates for its worker, "
                                "one a line: hand over by hand what can be read, move the file away, then run "
                                "'systemctl restart tgswitchd'.",
                                bad, bot, r == -EBADMSG ? "it is damaged" : strerror(-r)) < 0)
                *ret_why = NULL;
        return r;
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

/* ---- calls ---- */

static void spool_work_free(void *work)
{
        SpoolWork *w = work;

        spool_files_free(w->files, w->n_files);
        free(w->text);
        closep(&w->directory);
        spool_unref(w->spool);
        free(w);
}

/* Back on the event loop: the caller's callback, which comes next, sees what the call has done. */
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
        spool_work_free(w);
}

static SpoolWork *spool_work_new(Spool *sp)
{
        SpoolWork *w = malloc(sizeof(SpoolWork));

        if (w) {
                *w = (SpoolWork){ .spool = sp, .directory = -EBADF };
                sp->n_ref++;
        }
        return w;
}

static int push(SpoolWork *w, disk_work_t run, disk_done_t done, void *userdata, DiskJob **ret)
{
        Spool *sp = w->spool;
        int r;

        /* Here, because the store may be gone when it is the call's turn. */
        r = store_open_spool_directory(sp->store, sp->bot, &w->directory);
        if (r >= 0)
                r = disk_queue_push(store_disk_queue(sp->store), run, w, publish, done, userdata, ret);
        if (r < 0)
                spool_work_free(w);
        return r;
}

static int sync_directory(const SpoolWork *w)
{
        return fsync(w->directory) < 0 ? -errno : 0;
}

/* The files are not those any more from which the part was chosen: text and count of it go together. */
static void unload_part(SpoolWork *w)
{
        w->spool->n_loaded = 0;
        w->text_valid = true;
}

static int write_files(SpoolWork *w)
{
        Spool *sp = w->spool;
        int r;

        for (size_t i = 0; i < w->n_files; i++) {
                r = sp->next_number > SPOOL_NUMBER_MAX ? -EOVERFLOW : add_part(sp, sp->next_number, w->files + i);
                if (r < 0)
                        return r;
                r = spool_file_write(w->directory, sp->next_number, w->files + i);
                if (r < 0)
                        return r;
                sp->next_number++;
        }
        return sync_directory(w);
}

static int append_run(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;
        size_t n_before = sp->n_parts;
        uint64_t number_before = sp->next_number;
        int r;

        if (w->n_files > 0)
                unload_part(w);
        r = w->n_files > 0 ? write_files(w) : 0;
        if (r < 0) {
                /* Last first: should one stay, no gap is before it, and the next append writes over it. */
                while (sp->n_parts > n_before)
                        (void) spool_file_remove(w->directory, sp->parts[--sp->n_parts].number);
                sp->next_number = number_before;
                (void) sync_directory(w);
        }
        w->count = count_updates(sp);
        return r;
}

int spool_append(Spool *sp, json_object *updates, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = spool_work_new(sp);
        int r;

        if (!w)
                return -ENOMEM;
        /* Here, because json-c objects must not be seen by two threads. */
        r = spool_files_from_updates(updates, SPOOL_PART_MAX, &w->files, &w->n_files);
        if (r < 0) {
                spool_work_free(w);
                return r;
        }
        return push(w, append_run, done, userdata, ret);
}

/* Turns lines into elements of a JSON array. What is written behind the last one takes the place of its comma. */
static void lines_to_elements(SpoolLines *lines)
{
        for (size_t i = 0; i < lines->size; i++)
                if (lines->bytes[i] == '\n')
                        lines->bytes[i] = ',';
}

/* How many parts from the front make at most SPOOL_PART_MAX bytes together; one at least. */
static size_t choose_parts(const Spool *sp, size_t *ret_size)
{
        size_t n = 0, size = 1;

        for (; n < sp->n_parts; n++) {
                if (n > 0 && size + sp->parts[n].size > SPOOL_PART_MAX)
                        break;
                size += sp->parts[n].size;
        }
        *ret_size = size;
        return n;
}

/* How many parts from the front hold `n_updates` together. Returns false where none do. */
static bool find_parts(const Spool *sp, uint64_t n_updates, size_t *ret_n, size_t *ret_size)
{
        size_t n = 0, size = 1;
        uint64_t sum = 0;

        for (; n < sp->n_parts && sum < n_updates; n++) {
                sum += sp->parts[n].n_updates;
                size += sp->parts[n].size;
        }
        if (n_updates == 0 || sum != n_updates || (n > 1 && size > SPOOL_PART_MAX))
                return false;
        *ret_n = n;
        *ret_size = size;
        return true;
}

static int read_text(SpoolWork *w, size_t n_parts, size_t size)
{
        _cleanup_free_ char *text = malloc(size + 1);
        uint64_t n_updates = 0;
        char *p = text;
        int r;

        if (!text)
                return -ENOMEM;
        *p++ = '[';
        for (size_t i = 0; i < n_parts; i++) {
                _cleanup_(spool_lines_done) SpoolLines lines = {};

                r = spool_file_read(w->directory, w->spool->parts[i].number, &lines);
                if (r < 0)
                        return r;
                if (lines.size != w->spool->parts[i].size || lines.n != w->spool->parts[i].n_updates)
                        return -EBADMSG;
                lines_to_elements(&lines);
                p = (char *) memcpy(p, lines.bytes, lines.size) + lines.size;
                n_updates += lines.n;
        }
        p[-1] = ']';
        *p = '\0';
        w->text = TAKE_PTR(text);
        w->text_size = size;
        w->text_updates = n_updates;
        w->text_valid = true;
        return 0;
}

static int load_part_run(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;
        size_t n, size;
        int r = 0;

        if (!find_parts(sp, w->n_updates, &n, &size))
                n = choose_parts(sp, &size);
        if (n != sp->n_loaded) {
                unload_part(w);
                r = read_text(w, n, size);
                if (r >= 0)
                        sp->n_loaded = n;
        }
        w->count = count_updates(sp);
        return r;
}

int spool_load_part(Spool *sp, uint64_t n_updates, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = spool_work_new(sp);

        if (!w)
                return -ENOMEM;
        w->n_updates = n_updates;
        return push(w, load_part_run, done, userdata, ret);
}

static int drop_part_run(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;
        size_t n = 0;
        int r = 0;

        w->dropped_valid = true;
        while (n < sp->n_parts && sp->parts[n].n_updates <= w->n_updates - w->n_dropped) {
                r = spool_file_remove(w->directory, sp->parts[n].number);
                if (r < 0)
                        break;
                w->n_dropped += sp->parts[n++].n_updates;
        }
        if (n > 0) {
                /* Also where only some could be removed: those are not to be handed over again, the rest is. */
                memmove(sp->parts, sp->parts + n, (sp->n_parts - n) * sizeof(Part));
                sp->n_parts -= n;
                unload_part(w);
                if (r >= 0)
                        r = sync_directory(w);
        }
        w->count = count_updates(sp);
        return r;
}

int spool_drop_part(Spool *sp, uint64_t n_updates, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = spool_work_new(sp);

        if (!w)
                return -ENOMEM;
        w->n_updates = n_updates;
        return push(w, drop_part_run, done, userdata, ret);
}

/* Removes from the last part the updates of which ids are not below the offset. *first is the smallest id of the part
 * behind it, and then of this one. Returns 1 if the whole part went and the one before is next, 0 if that was all. */
static int discard_from_last(SpoolWork *w, int64_t *first)
{
        Spool *sp = w->spool;
        Part *part = sp->parts + sp->n_parts - 1;
        _cleanup_(spool_lines_done) SpoolLines lines = {};
        _cleanup_free_ int64_t *ids = NULL;
        SpoolLines head;
        uint64_t n_keep = 0;
        int r;

        r = spool_file_read(w->directory, part->number, &lines);
        if (r < 0)
                return r;
        r = spool_lines_ids(&lines, &ids);
        if (r < 0)
                return r;
        if (ids[lines.n - 1] >= *first)
                return 0;
        *first = ids[0];
        while (n_keep < lines.n && ids[n_keep] < w->offset)
                n_keep++;
        if (n_keep == lines.n)
                return 0;
        if (n_keep == 0) {
                r = spool_file_remove(w->directory, part->number);
                if (r < 0)
                        return r;
                sp->n_parts--;
                unload_part(w);
                return 1;
        }
        head = spool_lines_head(&lines, n_keep);
        r = spool_file_write(w->directory, part->number, &head);
        if (r < 0)
                return r;
        part->size = head.size;
        part->n_updates = head.n;
        unload_part(w);
        return 0;
}

static int discard_run(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;
        int64_t first = INT64_MAX;
        int r = 1, k;

        while (r > 0 && sp->n_parts > 0)
                r = discard_from_last(w, &first);
        k = sync_directory(w);
        w->count = count_updates(sp);
        return r < 0 ? r : k;
}

int spool_discard_from(Spool *sp, int64_t offset, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = spool_work_new(sp);

        if (!w)
                return -ENOMEM;
        w->offset = offset;
        return push(w, discard_run, done, userdata, ret);
}

static int clear_run(void *work)
{
        SpoolWork *w = work;
        Spool *sp = w->spool;
        int r = 0, k;

        while (sp->n_parts > 0) {
                r = spool_file_remove(w->directory, sp->parts[sp->n_parts - 1].number);
                if (r < 0)
                        break;
                sp->n_parts--;
                unload_part(w);
        }
        k = sync_directory(w);
        w->count = count_updates(sp);
        return r < 0 ? r : k;
}

int spool_clear(Spool *sp, disk_done_t done, void *userdata, DiskJob **ret)
{
        SpoolWork *w = spool_work_new(sp);

        return w ? push(w, clear_run, done, userdata, ret) : -ENOMEM;
}

/* ---- export ---- */

/* Does not look at the parts, which may be at work on the disk queue: files come and go whole, and one that goes in
 * between was handed over. */
static int export_files(const Spool *sp, int fd)
{
        _cleanup_free_ uint64_t *numbers = NULL;
        _cleanup_close_ int directory = -EBADF;
        size_t n;
        int r;

        r = store_open_spool_directory(sp->store, sp->bot, &directory);
        if (r >= 0)
                r = spool_file_list(directory, false, &numbers, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_(spool_lines_done) SpoolLines lines = {};

                r = spool_file_read(directory, numbers[i], &lines);
                if (r == -ENOENT) {
                        r = 0;
                        continue;
                }
                lines_to_elements(&lines);
                if (r >= 0)
                        r = write_all(fd, lines.bytes, lines.size);
        }
        return r;
}

int spool_export(Spool *sp, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        off_t end;
        int r;

        fd = memfd_create("spool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        r = write_all(fd, "[", 1);
        if (r >= 0)
                r = export_files(sp, fd);
        if (r < 0)
                return r;
        end = lseek(fd, 0, SEEK_CUR);
        /* The comma behind the last one is the place of the bracket. */
        if (end > 1 && lseek(fd, -1, SEEK_CUR) < 0)
                return -errno;
        r = write_all(fd, "]", 1);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
