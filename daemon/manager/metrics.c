/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "manager/bot.h"

/* Counting, and the one question that has to be asked for the metrics of now: which workers run. It goes to systemd,
 * and nothing goes to any server. */

#define MS USEC_PER_MSEC
#define S  USEC_PER_SEC

static const usec_t duration_bounds[] = { 1 * S,  2 * S,   5 * S,   10 * S,  20 * S,   30 * S,
                                          60 * S, 120 * S, 300 * S, 900 * S, 1800 * S, 3600 * S };
static const usec_t blind_bounds[] = { 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S,
                                       2 * S,   5 * S,   10 * S,   30 * S,   60 * S,   600 * S };
static const usec_t downtime_bounds[] = { 250 * MS, 500 * MS, 1 * S,  2 * S,   5 * S,   10 * S,
                                          20 * S,   30 * S,   60 * S, 120 * S, 300 * S, 1800 * S };

void metrics_init(Metrics *m)
{
        *m = (Metrics){ .started_usec = clock_realtime_usec() };
        for (Seat seat = SEAT_CLOUD; seat <= SEAT_LOCAL; seat++) {
                histogram_init(&m->duration[seat], duration_bounds, ELEMENTSOF(duration_bounds));
                histogram_init(&m->blind[seat], blind_bounds, ELEMENTSOF(blind_bounds));
                histogram_init(&m->downtime[seat], downtime_bounds, ELEMENTSOF(downtime_bounds));
        }
}

ReplyCount *metrics_replies(Metrics *m, Seat seat, BotApiMethod method)
{
        assert(seat == SEAT_CLOUD || seat == SEAT_LOCAL);
        assert(method >= 0 && method < BOTAPI_METHOD_MAX);

        return seat == SEAT_CLOUD ? &m->cloud_replies[method] : &m->local_replies[method];
}

/* From the first check on: how long it waited for its turn or for a window says nothing of the move. */
static usec_t moving_usec(const RecordJob *job)
{
        usec_t sum = 0;

        for (JobPhase phase = 0; phase < JOB_PHASE_MAX; phase++)
                if (phase != JOB_PHASE_QUEUED)
                        sum = usec_add(sum, job->phase_usec[phase]);
        return sum;
}

static bool is_server(Seat seat)
{
        return seat == SEAT_CLOUD || seat == SEAT_LOCAL;
}

void metrics_note_job(Metrics *m, const RecordJob *job)
{
        Seat to = is_server(job->wanted) ? job->wanted : job->target, from = job->source;

        assert(is_server(to));
        assert(job->result >= 0 && job->result < JOB_RESULT_MAX);

        /* An earlier version did not say where it began. */
        if (!is_server(from))
                from = to == SEAT_CLOUD ? SEAT_LOCAL : SEAT_CLOUD;
        m->switches[from][to][job->result]++;
        m->drained += job->drained;
        m->spooled += job->spooled;
        m->handed_over += job->handed_over;
        if (job->result != JOB_RESULT_DONE || from == to)
                return;
        histogram_observe(&m->duration[to], moving_usec(job));
        if (job->blind_usec > 0)
                histogram_observe(&m->blind[to], job->blind_usec);
        if (job->downtime_usec > 0)
                histogram_observe(&m->downtime[to], job->downtime_usec);
}

/* ---- which workers run ---- */

struct ManagerMetrics {
        Manager *manager;
        UnitCall *list_call;
        ClockTimer *timer; /* where there is nothing to ask */
        manager_metrics_handler_t handler;
        void *userdata;
};

ManagerMetrics *manager_metrics_free(ManagerMetrics *c)
{
        if (!c)
                return NULL;

        unit_call_free(c->list_call);
        clock_timer_free(c->timer);
        free(c);
        return NULL;
}

static int compare_rows(const void *a, const void *b)
{
        return strcmp(((const UnitRow *) a)->name, ((const UnitRow *) b)->name);
}

/* The handler may free the call: nobody touches it after this. */
static void finish(ManagerMetrics *c, const UnitRow *rows, size_t n_rows)
{
        _cleanup_free_ char *text = metrics_compose(c->manager, rows, n_rows);

        c->handler(text, c->userdata);
}

static void on_listed(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        _cleanup_free_ UnitRow *sorted = r < 0 ? NULL : calloc(n_rows + 1, sizeof(UnitRow));

        if (sorted && n_rows > 0) {
                memcpy(sorted, rows, n_rows * sizeof(UnitRow));
                qsort(sorted, n_rows, sizeof(UnitRow), compare_rows);
        }
        finish(userdata, sorted, sorted ? n_rows : 0);
}

static void on_nothing_to_ask(void *userdata)
{
        static const UnitRow none = {};

        finish(userdata, &none, 0);
}

int manager_get_metrics(Manager *m, manager_metrics_handler_t handler, void *userdata, ManagerMetrics **ret)
{
        _cleanup_(manager_metrics_freep) ManagerMetrics *c = NULL;
        _cleanup_strv_ char **patterns = NULL;
        int r = 0;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (ManagerMetrics){ .manager = m, .handler = handler, .userdata = userdata };

        for (size_t i = 0; i < m->n_bots; i++)
                STRV_FOREACH(worker, (char **) bot_workers(m->bots[i]))
                        if (r >= 0)
                                r = strv_extend(&patterns, *worker);
        if (r < 0)
                return r;
        if (patterns)
                r = unit_client_list(m->units, patterns, on_listed, c, &c->list_call);
        else
                r = clock_timer_new(&c->timer, m->event, 0, on_nothing_to_ask, c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}
