/* SPDX-License-Identifier: MIT */
#include "manager/bot.h"

/* What the manager asks of all bots together: how many are where, whose gate is closed, whose job runs. Each bot is
 * counted as it was last seen, and anew when it has changed, so that a step of one costs the same among a thousand.
 * Whatever changes what is counted ends in bot_changed(). */

static BotCounted look(const Bot *b)
{
        const RecordJob *job = &b->record.job;

        return (BotCounted){
                .valid = true,
                .job_running = bot_job_running(b),
                .gate_closed = !cutover_facts(b->record.state)->gate_open,
                .needs_watch = bot_needs_watch(b),
                .uses_server = bot_uses_server(b),
                .reserves_login = bot_reserves_login(b),
                .is_noted = bot_is_noted(b),
                .seat = bot_seat(b),
                .stage = bot_schedule_stage(b),
                .job_id = job->id,
                .batch = job->batch,
        };
}

static bool counted_equal(const BotCounted *a, const BotCounted *b)
{
        return a->valid == b->valid && a->job_running == b->job_running && a->gate_closed == b->gate_closed &&
               a->needs_watch == b->needs_watch && a->uses_server == b->uses_server &&
               a->reserves_login == b->reserves_login && a->is_noted == b->is_noted && a->seat == b->seat &&
               a->stage == b->stage && a->job_id == b->job_id && a->batch == b->batch;
}

/* ---- lists of bots, which have room for all of them ---- */

typedef int (*compare_t)(const Bot *a, const Bot *b);

static int compare_names(const Bot *a, const Bot *b)
{
        return strcmp(a->name, b->name);
}

static int compare_jobs(const Bot *a, const Bot *b)
{
        if (a->counted.job_id != b->counted.job_id)
                return a->counted.job_id < b->counted.job_id ? -1 : 1;
        return compare_names(a, b);
}

static size_t place(const BotList *l, const Bot *b, compare_t compare)
{
        size_t from = 0, to = l->n;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (compare(l->bots[middle], b) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

static void insert(BotList *l, Bot *b, compare_t compare)
{
        size_t i = place(l, b, compare);

        memmove(l->bots + i + 1, l->bots + i, (l->n - i) * sizeof(Bot *));
        l->bots[i] = b;
        l->n++;
}

static void take_out(BotList *l, const Bot *b, compare_t compare)
{
        size_t i = place(l, b, compare);

        assert(i < l->n && l->bots[i] == b);
        l->n--;
        memmove(l->bots + i, l->bots + i + 1, (l->n - i) * sizeof(Bot *));
}

static int reserve(BotList *l, size_t n)
{
        Bot **grown = reallocarray(l->bots, n, sizeof(Bot *));

        if (!grown)
                return -ENOMEM;
        l->bots = grown;
        return 0;
}

int counts_reserve(Counts *c, size_t n_bots)
{
        int r;

        r = reserve(&c->with_job, n_bots);
        if (r >= 0)
                r = reserve(&c->noted, n_bots);
        return r < 0 ? r : schedule_reserve(&c->tally, n_bots);
}

void counts_done(Counts *c)
{
        free(c->with_job.bots);
        free(c->noted.bots);
        schedule_done(&c->tally);
}

Bot *counts_find_job(const Counts *c, uint32_t id)
{
        const BotList *l = &c->with_job;
        size_t from = 0, to = l->n;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (l->bots[middle]->counted.job_id < id)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from < l->n && l->bots[from]->counted.job_id == id ? l->bots[from] : NULL;
}

/* ---- counting ---- */

static void add(Counts *c, Bot *b)
{
        const BotCounted *now = &b->counted;

        c->n_at[now->seat]++;
        c->n_gates_closed += now->gate_closed;
        c->n_need_watch += now->needs_watch;
        c->n_use_server += now->uses_server;
        c->n_reserve_login += now->reserves_login;
        schedule_add(&c->tally, now->batch, now->stage);
        if (now->job_running)
                insert(&c->with_job, b, compare_jobs);
        if (now->is_noted)
                insert(&c->noted, b, compare_names);
}

static void subtract(Counts *c, Bot *b)
{
        const BotCounted *was = &b->counted;

        c->n_at[was->seat]--;
        c->n_gates_closed -= was->gate_closed;
        c->n_need_watch -= was->needs_watch;
        c->n_use_server -= was->uses_server;
        c->n_reserve_login -= was->reserves_login;
        schedule_remove(&c->tally, was->batch, was->stage);
        if (was->job_running)
                take_out(&c->with_job, b, compare_jobs);
        if (was->is_noted)
                take_out(&c->noted, b, compare_names);
}

/* Nobody's turn comes because another bot begins. */
static bool makes_way(const BotCounted *was, const BotCounted *now)
{
        return (now->stage != SCHEDULE_PREPARING && (now->stage != was->stage || now->batch != was->batch)) ||
               (was->reserves_login && !now->reserves_login);
}

void bot_count(Bot *b)
{
        BotCounted was = b->counted, now = look(b);

        if (counted_equal(&was, &now))
                return;
        if (was.valid)
                subtract(&b->manager->counts, b);
        b->counted = now;
        add(&b->manager->counts, b);
        b->makes_way = b->makes_way || makes_way(&was, &now);
}

void bot_uncount(Bot *b)
{
        if (b->counted.valid)
                subtract(&b->manager->counts, b);
        b->counted = (BotCounted){};
}
