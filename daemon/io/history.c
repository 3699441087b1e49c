/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdatomic.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "io/history.h"

/* Twice what is ever written: who has put lines in by hand shall not lose all of it. */
#define FILE_SIZE_MAX (2u * HISTORY_SIZE_MAX)
#define SIZE_KEPT     (HISTORY_SIZE_MAX / 2u)

struct History {
        DiskQueue *queue;
        DiskQueue *readers; /* of our own */
        int directory;
};

int history_open(History **ret, DiskQueue *q, sd_event *event, const char *directory)
{
        _cleanup_(history_freep) History *h = malloc(sizeof(History));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (History){ .queue = q, .directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        if (h->directory < 0)
                return -errno;
        r = disk_queue_new(&h->readers, event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

History *history_free(History *h)
{
        if (!h)
                return NULL;
        disk_queue_free(h->readers);
        closep(&h->directory);
        free(h);
        return NULL;
}

void history_entries_done(HistoryEntries *e)
{
        for (size_t i = 0; i < e->n; i++)
                history_entry_done(e->items + i);
        free(e->items);
        *e = (HistoryEntries){};
}

/* ---- the file, on one of the two threads from here on ---- */

/* All whole lines; what stands behind the last newline is none. No file is an empty one. */
static int read_lines(int directory, char **ret, size_t *ret_size, size_t *ret_torn)
{
        char *bytes = NULL, *newline;
        size_t size = 0, whole;
        int r;

        r = read_file_at(directory, HISTORY_FILE, O_NOFOLLOW, FILE_SIZE_MAX, &bytes, &size);
        if (r < 0 && r != -ENOENT)
                return r;
        newline = size > 0 ? memrchr(bytes, '\n', size) : NULL;
        whole = newline ? (size_t) (newline - bytes) + 1 : 0;
        *ret = bytes;
        *ret_size = whole;
        *ret_torn = size - whole;
        return 0;
}

/* One line, with its newline. */
typedef struct Line {
        char *bytes;
        size_t size;
        uint32_t job_id;
        char *bot;
        bool done; /* of those to be written: it is there; of those that are there: it stays */
} Line;

typedef struct Lines {
        Line *items;
        size_t n;
} Lines;

/* Takes off the first line of what is left. */
static bool next_line(const char **bytes, size_t *size, const char **ret, size_t *ret_size)
{
        const char *newline = *size > 0 ? memchr(*bytes, '\n', *size) : NULL;

        if (!newline)
                return false;
        *ret = *bytes;
        *ret_size = (size_t) (newline - *bytes) + 1;
        *bytes += *ret_size;
        *size -= *ret_size;
        return true;
}

/* A line that only begins like that of a job, and is damaged further on, is not that of the job. */
static bool is_there(const char *line, size_t size)
{
        _cleanup_(history_entry_done) HistoryEntry e = {};

        return history_entry_decode(line, size, &e) >= 0;
}

/* Marks what the file has, and returns the size of the rest. */
static size_t mark_written(Lines *new, const char *bytes, size_t size)
{
        const char *line;
        size_t line_size, missing = 0;

        while (next_line(&bytes, &size, &line, &line_size)) {
                uint32_t id = history_line_job_id(line, line_size);

                for (size_t i = 0; id > 0 && i < new->n; i++)
                        if (new->items[i].job_id == id && !new->items[i].done)
                                new->items[i].done = is_there(line, line_size);
        }
        for (size_t i = 0; i < new->n; i++)
                missing += new->items[i].done ? 0 : new->items[i].size;
        return missing;
}

static int write_new(int fd, const Lines *new)
{
        int r = 0;

        for (size_t i = 0; i < new->n &&r >= 0; i++)
                if (!new->items[i].done)
                        r = write_all(fd, new->items[i].bytes, new->items[i].size);
        return r >= 0 && fsync(fd) < 0 ? -errno : r;
}

/* Behind what is whole. A line that does not come through to the disk is taken back; where not even that can be done,
 * the next append finds it torn. */
static int append(int directory, size_t size, const Lines *new)
{
        _cleanup_close_ int fd = openat(directory, HISTORY_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0 || ftruncate(fd, (off_t) size) < 0 || lseek(fd, (off_t) size, SEEK_SET) < 0)
                return -errno;
        r = write_new(fd, new);
        if (r < 0 && ftruncate(fd, (off_t) size) < 0)
                return r;
        /* The first one: the file is new. */
        return r >= 0 && size == 0 && fsync(directory) < 0 ? -errno : r;
}

static int cut(int directory, size_t size)
{
        _cleanup_close_ int fd = openat(directory, HISTORY_FILE, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 || ftruncate(fd, (off_t) size) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* ---- the bound ---- */

static void lines_done(Lines *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].bot);
        free(l->items);
}

/* Each line, in place; what does not even begin like one is left behind. What is damaged further on stays as long as a
 * good one would. */
static int split(char *bytes, size_t size, Lines *ret)
{
        const char *left = bytes, *line;
        size_t n_left = size, line_size, n = 0;

        while (next_line(&left, &n_left, &line, &line_size))
                n++;
        ret->items = calloc(n + 1, sizeof(Line));
        if (!ret->items)
                return -ENOMEM;
        left = bytes;
        n_left = size;
        while (next_line(&left, &n_left, &line, &line_size)) {
                char *bot = history_line_bot(line, line_size);

                if (bot)
                        ret->items[ret->n++] = (Line){ .bytes = bytes + (line - bytes), .size = line_size, .bot = bot };
        }
        return 0;
}

/* From the newest back: all of them for half of the room, then the first that is seen of each bot. */
static int choose(Lines *old, const Lines *new, size_t *size)
{
        _cleanup_strv_ char **bots = NULL;
        size_t i;
        int r;

        for (i = 0; i < new->n; i++) {
                r = strv_extend_unique(&bots, new->items[i].bot);
                if (r < 0)
                        return r;
        }
        for (i = old->n; i > 0; i--) {
                Line *line = old->items + i - 1;

                r = strv_extend_unique(&bots, line->bot);
                if (r < 0)
                        return r;
                line->done = *size + line->size <= (r > 0 ? HISTORY_SIZE_MAX : SIZE_KEPT);
                *size += line->done ? line->size : 0;
        }
        return 0;
}

static char *join(char *p, const Lines *l, bool done)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].done == done)
                        p = mempcpy(p, l->items[i].bytes, l->items[i].size);
        return p;
}

static int compact(int directory, char *bytes, size_t size, const Lines *new, size_t new_size)
{
        _cleanup_(lines_done) Lines old = {};
        _cleanup_free_ char *kept = NULL;
        size_t kept_size = new_size;
        char *end;
        int r;

        r = split(bytes, size, &old);
        if (r >= 0)
                r = choose(&old, new, &kept_size);
        if (r < 0)
                return r;
        kept = malloc(kept_size + 1);
        if (!kept)
                return -ENOMEM;
        end = join(join(kept, &old, true), new, false);
        assert(end == kept + kept_size);
        return write_file_atomic_at(directory, HISTORY_FILE, kept, kept_size, 0600, WRITE_SYNC);
}

/* ---- append ---- */

typedef struct AppendWork {
        int directory;
        Lines new;
} AppendWork;

static void append_work_free(void *work)
{
        AppendWork *w = work;

        for (size_t i = 0; i < w->new.n; i++)
                free(w->new.items[i].bytes);
        lines_done(&w->new);
        closep(&w->directory);
        free(w);
}

static int append_run(void *work)
{
        AppendWork *w = work;
        _cleanup_free_ char *bytes = NULL;
        size_t size, torn, missing;
        int r;

        r = read_lines(w->directory, &bytes, &size, &torn);
        if (r < 0)
                return r;
        missing = mark_written(&w->new, bytes, size);
        if (missing == 0)
                return torn > 0 ? cut(w->directory, size) : 0;
        if (size + missing > HISTORY_SIZE_MAX)
                return compact(w->directory, bytes, size, &w->new, missing);
        return append(w->directory, size, &w->new);
}

static int append_work_new(const History *h, const HistoryEntry *entries, size_t n_entries, AppendWork **ret)
{
        AppendWork *w = calloc(1, sizeof(AppendWork));
        int r = 0;

        if (!w)
                return -ENOMEM;
        w->directory = fcntl(h->directory, F_DUPFD_CLOEXEC, 3);
        if (w->directory < 0)
                r = -errno;
        w->new.items = calloc(n_entries + 1, sizeof(Line));
        if (!w->new.items)
                r = -ENOMEM;
        for (size_t i = 0; i < n_entries && r >= 0; i++) {
                Line *line = w->new.items + i;

                line->job_id = entries[i].job.id;
                r = history_entry_encode(entries + i, &line->bytes, &line->size);
                line->bot = strdup(entries[i].bot);
                w->new.n++;
                if (!line->bot)
                        r = -ENOMEM;
        }
        if (r < 0) {
                append_work_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int history_append(History *h, const HistoryEntry *entries, size_t n_entries, disk_done_t done, void *userdata,
                   DiskJob **ret)
{
        AppendWork *w;
        int r;

        r = append_work_new(h, entries, n_entries, &w);
        if (r < 0)
                return r;
        r = disk_queue_push(h->queue, append_run, w, append_work_free, done, userdata, ret);
        if (r < 0)
                append_work_free(w);
        return r;
}

/* ---- read ---- */

typedef struct ReadWork {
        HistoryRead *owner;   /* for the loop alone; NULL: nobody waits for it any more */
        atomic_bool unwanted; /* tells the thread of that */
        int directory;
        HistoryFilter filter;
        HistoryEntries entries;
} ReadWork;

struct HistoryRead {
        ReadWork *work; /* as long as it is under way; then the two below have what it has found */
        DiskJob *job;
        HistoryFilter filter;
        HistoryEntries entries;
        history_handler_t handler;
        void *userdata;
};

/* Back on the event loop: whoever waits gets what was found. */
static void read_work_free(void *work)
{
        ReadWork *w = work;

        if (w->owner) {
                w->owner->filter = w->filter;
                w->owner->entries = w->entries;
                w->owner->work = NULL;
        } else {
                history_filter_done(&w->filter);
                history_entries_done(&w->entries);
        }
        closep(&w->directory);
        free(w);
}

static int add_entry(HistoryEntries *entries, HistoryEntry *e)
{
        HistoryEntry *grown;

        /* in steps of doubled size */
        if ((entries->n & (entries->n - 1)) == 0) {
                grown = reallocarray(entries->items, MAX(2 * entries->n, 1u), sizeof(HistoryEntry));
                if (!grown)
                        return -ENOMEM;
                entries->items = grown;
        }
        entries->items[entries->n++] = *e;
        *e = (HistoryEntry){};
        return 0;
}

static int look_at(ReadWork *w, const char *line, size_t size)
{
        _cleanup_(history_entry_done) HistoryEntry e = {};
        int r;

        /* Only the names that were not found yet matter, and they need no parsing. */
        if (w->entries.n >= w->filter.limit) {
                history_filter_note(&w->filter, line, size);
                return 0;
        }
        if (history_filter_skips(&w->filter, line, size))
                return 0;
        r = history_entry_decode(line, size, &e);
        if (r == -EBADMSG) {
                w->entries.n_damaged++;
                return 0;
        }
        if (r < 0 || !history_filter_matches(&w->filter, &e))
                return r;
        return add_entry(&w->entries, &e);
}

static bool wants_more(const ReadWork *w)
{
        return !atomic_load_explicit(&w->unwanted, memory_order_relaxed) &&
               (w->entries.n < w->filter.limit || history_filter_unknown(&w->filter));
}

static int read_run(void *work)
{
        ReadWork *w = work;
        _cleanup_free_ char *bytes = NULL;
        size_t size = 0, torn;
        int r = 0;

        /* Again where a line was appended meanwhile: the next one is an fsync() later. */
        if (wants_more(w))
                do
                        r = read_lines(w->directory, &bytes, &size, &torn);
                while (r == -EAGAIN);
        while (r >= 0 && size > 0 && wants_more(w)) {
                const char *before = size > 1 ? memrchr(bytes, '\n', size - 1) : NULL;
                const char *line = before ? before + 1 : bytes;

                r = look_at(w, line, (size_t) (bytes + size - line));
                size = (size_t) (line - bytes);
        }
        return r;
}

static void on_read(DiskJob *job, int r, void *userdata)
{
        HistoryRead *read = userdata;

        read->handler(r, &read->filter, &read->entries, read->userdata);
}

HistoryRead *history_read_free(HistoryRead *read)
{
        if (!read)
                return NULL;
        if (read->work) {
                read->work->owner = NULL;
                atomic_store_explicit(&read->work->unwanted, true, memory_order_relaxed);
        }
        disk_job_free(read->job);
        history_filter_done(&read->filter);
        history_entries_done(&read->entries);
        free(read);
        return NULL;
}

int history_read(History *h, HistoryFilter *filter, history_handler_t handler, void *userdata, HistoryRead **ret)
{
        _cleanup_(history_read_freep) HistoryRead *read = calloc(1, sizeof(HistoryRead));
        ReadWork *w = calloc(1, sizeof(ReadWork));
        int r;

        if (!read || !w) {
                free(w);
                history_filter_done(filter);
                return -ENOMEM;
        }
        read->handler = handler;
        read->userdata = userdata;
        w->filter = *filter;
        *filter = (HistoryFilter){};
        w->directory = fcntl(h->directory, F_DUPFD_CLOEXEC, 3);
        r = w->directory < 0 ? -errno
                             : disk_queue_push(h->readers, read_run, w, read_work_free, on_read, read, &read->job);
        if (r < 0) {
                read_work_free(w);
                return r;
        }
        w->owner = read;
        read->work = w;
        *ret = TAKE_PTR(read);
        return 0;
}
