/* SPDX-License-Identifier: MIT */
#include "fake-disk.h"
#include "io/history.h"
#include "judge.h"

/* io/history.h on the simulated disk: whole lines, each job once, and what a write that fails or is cut off leaves of
 * them. Nobody asks for it here but the judge. */

struct History {
        DiskQueue *queue;
};

int history_open(History **ret, DiskQueue *q, sd_event *event, const char *directory)
{
        History *h = calloc(1, sizeof(History));

        if (!h)
                return -ENOMEM;
        h->queue = q;
        *ret = h;
        return 0;
}

History *history_free(History *h)
{
        free(h);
        return NULL;
}

typedef struct AppendWork {
        size_t n;
        struct {
                SimBot *bot;
                uint32_t job_id;
        } lines[];
} AppendWork;

static bool is_there(uint32_t job_id)
{
        for (size_t i = 0; i < world.n_history; i++)
                if (world.history[i] == job_id)
                        return true;
        return false;
}

static void add_line(const SimBot *b, uint32_t job_id)
{
        uint32_t *grown = reallocarray(world.history, world.n_history + 1, sizeof(uint32_t));

        if (!grown)
                abort();
        world.history = grown;
        world.history[world.n_history++] = job_id;
        judge_line_written(b, job_id);
}

static int append_run(void *work)
{
        AppendWork *w = work;
        bool fails = disk_fails() || disk_is_torn();
        size_t n = fails ? random_below(w->n + 1) : w->n;

        if (fails)
                trace("the history is not written, or not all of it");
        for (size_t i = 0; i < w->n; i++)
                if (is_there(w->lines[i].job_id))
                        continue;
                else if (i < n)
                        add_line(w->lines[i].bot, w->lines[i].job_id);
                else if (!disk_is_torn())
                        judge_line_failed(w->lines[i].bot, w->lines[i].job_id);
        return fails ? -EIO : 0;
}

int history_append(History *h, const HistoryEntry *entries, size_t n_entries, disk_done_t done, void *userdata,
                   DiskJob **ret)
{
        AppendWork *w = calloc(1, sizeof(AppendWork) + n_entries * sizeof(w->lines[0]));
        int r;

        if (!w)
                return -ENOMEM;
        for (size_t i = 0; i < n_entries; i++) {
                char *line;
                size_t size;

                r = history_entry_encode(entries + i, &line, &size);
                assert(r >= 0 && size <= HISTORY_LINE_MAX);
                judge_bytes(NULL, "the history", line, size);
                free(line);
                w->lines[w->n].bot = world_find_bot(entries[i].bot);
                w->lines[w->n++].job_id = entries[i].job.id;
        }
        r = disk_queue_push(h->queue, append_run, w, free, done, userdata, ret);
        if (r >= 0)
                return r;
        for (size_t i = 0; i < w->n; i++)
                judge_line_failed(w->lines[i].bot, w->lines[i].job_id);
        free(w);
        return r;
}

int history_read(History *h, HistoryFilter *filter, history_handler_t handler, void *userdata, HistoryRead **ret)
{
        history_filter_done(filter);
        return -EOPNOTSUPP;
}

HistoryRead *history_read_free(HistoryRead *read)
{
        return NULL;
}
