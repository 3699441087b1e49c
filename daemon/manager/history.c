/* SPDX-License-Identifier: MIT */
#include "manager/bot-log.h"
#include "manager/bot.h"

/* What becomes of the jobs that have ended: manager_history_append() is queued when the record that ends the job is on
 * disk, so that the record of a later job is never there without it. Who dies in between has the job in its record,
 * from which the next process makes the line. Nothing waits for the history: what the disk does not take is kept, and
 * tried again with the next entry or by a timer. */

#define HISTORY_FIRST_USEC   (1 * USEC_PER_SEC)
#define HISTORY_LONGEST_USEC (30 * USEC_PER_SEC)

/* Entries on their way to the disk. */
typedef struct HistoryBatch HistoryBatch;
struct HistoryBatch {
        Manager *manager;
        HistoryEntry *entries;
        size_t n;
        DiskJob *job;
        HistoryBatch *next;
};

static HistoryBatch *batch_free(HistoryBatch *batch)
{
        if (!batch)
                return NULL;
        for (size_t i = 0; i < batch->n; i++)
                history_entry_done(batch->entries + i);
        free(batch->entries);
        disk_job_free(batch->job);
        free(batch);
        return NULL;
}

static void batch_unlink(HistoryBatch *batch)
{
        for (HistoryBatch **slot = &batch->manager->history_batches; *slot; slot = &(*slot)->next)
                if (*slot == batch) {
                        *slot = batch->next;
                        return;
                }
}

static int keep(Manager *m, HistoryEntry *e)
{
        HistoryEntry *grown = reallocarray(m->history_kept, m->n_history_kept + 1, sizeof(HistoryEntry));

        if (!grown)
                return -ENOMEM;
        m->history_kept = grown;
        m->history_kept[m->n_history_kept++] = *e;
        *e = (HistoryEntry){};
        return 0;
}

/* Those of a batch that the disk did not take. */
static void keep_all(Manager *m, HistoryBatch *batch)
{
        for (size_t i = 0; i < batch->n; i++)
                if (keep(m, batch->entries + i) < 0) {
                        (void) log_oom();
                        return;
                }
}

static void on_history_timer(void *userdata)
{
        Manager *m = userdata;

        m->history_timer = clock_timer_free(m->history_timer);
        manager_history_write(m);
}

/* Told once, until it has worked again: a full disk tells of itself with every record already. */
static void complain(Manager *m, int r)
{
        usec_t wait = usec_backoff(HISTORY_FIRST_USEC, HISTORY_LONGEST_USEC, m->history_retries++);

        if (!m->history_complained)
                (void) log_warning_errno(r,
                                         "Failed to write the history, %s/" HISTORY_FILE
                                         ", which is tried again: %m. No bot is held up by that. Look after the file "
                                         "system of the state directory; where the file itself is in the way, move it "
                                         "elsewhere.",
                                         m->state_directory);
        m->history_complained = true;
        m->history_timer = clock_timer_free(m->history_timer);
        r = clock_timer_new(&m->history_timer, m->event, wait, on_history_timer, m);
        if (r < 0)
                /* What is kept is in the record of its bot, too, as long as that has no other job. */
                sd_event_exit(m->event, log_error_errno(r, "Failed to arm a timer, giving up: %m"));
}

static void on_appended(DiskJob *job, int r, void *userdata)
{
        HistoryBatch *batch = userdata;
        Manager *m = batch->manager;

        batch_unlink(batch);
        if (r < 0)
                keep_all(m, batch);
        batch_free(batch);
        if (r < 0) {
                complain(m, r);
                return;
        }
        if (m->history_complained)
                log_notice("The history is written again.");
        m->history_complained = false;
        m->history_retries = 0;
}

void manager_history_write(Manager *m)
{
        HistoryBatch *batch;
        int r;

        if (m->n_history_kept == 0)
                return;
        batch = calloc(1, sizeof(HistoryBatch));
        if (!batch) {
                complain(m, -ENOMEM);
                return;
        }
        *batch = (HistoryBatch){
                .manager = m, .entries = m->history_kept, .n = m->n_history_kept, .next = m->history_batches
        };
        m->history_kept = NULL;
        m->n_history_kept = 0;
        m->history_batches = batch;
        m->history_timer = clock_timer_free(m->history_timer);
        r = history_append(m->history, batch->entries, batch->n, on_appended, batch, &batch->job);
        if (r < 0)
                on_appended(NULL, r, batch);
}

void bot_history_keep(Bot *b)
{
        _cleanup_(history_entry_done) HistoryEntry e = {};
        int r;

        b->history_due = false;
        r = history_entry_new(&e, b->name, &b->record);
        if (r >= 0)
                r = keep(b->manager, &e);
        if (r < 0)
                (void) log_oom();
}

void bot_history_append(Bot *b)
{
        if (!b->history_due)
                return;
        bot_history_keep(b);
        manager_history_write(b->manager);
}

/* Of this process the time without what a clock was set by meanwhile; of one before, all that its record tells. */
void bot_history_phase(Bot *b, const char *phase)
{
        RecordJob *job = &b->record.job;
        JobPhase left = job_phase_from_string(phase);
        usec_t now = clock_boottime_usec();

        if (left >= 0)
                job->phase_usec[left] = usec_add(
                                job->phase_usec[left],
                                b->phase_began_usec > 0 ? usec_sub(now, b->phase_began_usec)
                                                        : usec_sub(clock_realtime_usec(), job->phase_started_usec));
        b->phase_began_usec = now;
}

/* ---- reading ---- */

/* One at a time, in the order of the calls, so that all of them cost no more memory than one. */
struct HistoryQuery {
        Manager *manager;
        HistoryFilter filter; /* until it is its turn */
        bool begun;           /* it is its turn */
        HistoryRead *read;
        manager_history_handler_t handler;
        void *userdata;
        HistoryQuery *next;
};

static void query_free(HistoryQuery *q)
{
        history_read_free(q->read);
        history_filter_done(&q->filter);
        free(q);
}

static void on_read(int r, const HistoryFilter *filter, const HistoryEntries *entries, void *userdata)
{
        HistoryQuery *q = userdata;
        Manager *m = q->manager;

        if (entries->n_damaged > 0 && !m->history_damage_told)
                log_warning("%zu lines of the history, %s/" HISTORY_FILE
                            ", cannot be read and are left out. Nothing else depends on them.",
                            entries->n_damaged, m->state_directory);
        m->history_damage_told = m->history_damage_told || entries->n_damaged > 0;
        q->handler(r, filter, entries, q->userdata);
}

static void read_next(Manager *m)
{
        static const HistoryEntries none = {};
        HistoryQuery *q = m->history_queries;
        int r;

        if (!q)
                return;
        q->begun = true;
        r = history_read(m->history, &q->filter, on_read, q, &q->read);
        if (r < 0)
                on_read(r, &q->filter, &none, q);
}

int manager_get_history(Manager *m, HistoryFilter *filter, manager_history_handler_t handler, void *userdata,
                        HistoryQuery **ret)
{
        HistoryQuery *q = calloc(1, sizeof(HistoryQuery)), **last = &m->history_queries;
        bool first = !m->history_queries;
        int r;

        if (!q) {
                history_filter_done(filter);
                return -ENOMEM;
        }
        *q = (HistoryQuery){ .manager = m, .filter = *filter, .handler = handler, .userdata = userdata };
        *filter = (HistoryFilter){};
        while (*last)
                last = &(*last)->next;
        *last = q;
        q->begun = first;
        r = first ? history_read(m->history, &q->filter, on_read, q, &q->read) : 0;
        if (r < 0) {
                history_query_free(q);
                return r;
        }
        *ret = q;
        return 0;
}

HistoryQuery *history_query_free(HistoryQuery *q)
{
        Manager *m;
        bool begun;

        if (!q)
                return NULL;
        m = q->manager;
        begun = q->begun;
        for (HistoryQuery **slot = &m->history_queries; *slot; slot = &(*slot)->next)
                if (*slot == q) {
                        *slot = q->next;
                        break;
                }
        query_free(q);
        /* Also where it was not answered because its caller has left: the others wait for their turn. */
        if (begun)
                read_next(m);
        return NULL;
}

/* ---- the end ---- */

void manager_history_done(Manager *m)
{
        while (m->history_queries) {
                HistoryQuery *q = m->history_queries;

                m->history_queries = q->next;
                query_free(q);
        }
        while (m->history_batches) {
                HistoryBatch *batch = m->history_batches;

                m->history_batches = batch->next;
                batch_free(batch);
        }
        for (size_t i = 0; i < m->n_history_kept; i++)
                history_entry_done(m->history_kept + i);
        free(m->history_kept);
        clock_timer_free(m->history_timer);
        history_free(m->history);
}
