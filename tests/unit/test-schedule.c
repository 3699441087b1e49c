/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "core/schedule.h"

/* A mistake that hits every bot hits one first; the others wait for its end, and after too many bad ones they stay
 * where they are. And no address ever sends more logins than the cloud takes. */

static uint64_t rng;

static uint64_t below(uint64_t n)
{
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        return rng % n;
}

/* ---- turns ---- */

#define READY      SCHEDULE_READY
#define NOT_READY  SCHEDULE_QUEUED /* there is no question about it yet */
#define PREPARING  SCHEDULE_PREPARING
#define MOVING     SCHEDULE_MOVING
#define STRUGGLING SCHEDULE_STRUGGLING
#define ARRIVED    SCHEDULE_ARRIVED
#define STRANDED   SCHEDULE_STRANDED
#define RETURNED   SCHEDULE_RETURNED

typedef struct Job {
        uint32_t id;
        uint32_t batch;
        ScheduleStage stage;
} Job;

static void become(ScheduleTally *t, Job *job, ScheduleStage stage)
{
        schedule_remove(t, job->batch, job->stage);
        job->stage = stage;
        schedule_add(t, job->batch, job->stage);
}

/* What the verdict means, with a look at every job for every question. The answer that counts is
 * schedule_ask_to_move()'s. */
static ScheduleVerdict look_at_all(const Job *jobs, size_t n_jobs, const Job *job, const ScheduleLimits *limits)
{
        unsigned moving = 0, batch_moving = 0, failures = 0, earlier = 0, arrived = 0;

        for (size_t k = 0; k < n_jobs; k++) {
                moving += jobs[k].stage == MOVING;
                if (jobs[k].batch != job->batch)
                        continue;
                batch_moving += jobs[k].stage == MOVING || jobs[k].stage == STRUGGLING;
                failures += jobs[k].stage == STRANDED || jobs[k].stage == STRUGGLING;
                earlier += (jobs[k].stage == READY || jobs[k].stage == PREPARING) && jobs[k].id < job->id;
                arrived += jobs[k].stage == ARRIVED;
        }
        if (failures >= limits->max_failures)
                return SCHEDULE_CALL_OFF;
        if (arrived == 0 && (batch_moving > 0 || earlier > 0))
                return SCHEDULE_WAIT_FIRST;
        return moving < limits->concurrency ? SCHEDULE_START : SCHEDULE_WAIT_CONCURRENCY;
}

/* Asks, and does what the caller has to do. */
static ScheduleVerdict ask(ScheduleTally *t, const Job *jobs, size_t n_jobs, Job *job, const ScheduleLimits *limits)
{
        ScheduleVerdict verdict = schedule_ask_to_move(t, job->batch, limits);

        assert_int_equal(verdict, look_at_all(jobs, n_jobs, job, limits));
        if (verdict == SCHEDULE_START)
                become(t, job, MOVING);
        else if (verdict == SCHEDULE_CALL_OFF)
                become(t, job, RETURNED);
        return verdict;
}

static const struct {
        const char *what;
        Job jobs[6]; /* the first is the one in question; id 0: no more */
        ScheduleLimits limits;
        ScheduleVerdict verdict;
} situations[] = {
        { "alone", { { 5, 5, READY } }, { 1, 1 }, SCHEDULE_START },
        { "somebody else's call moves too", { { 5, 5, READY }, { 1, 1, MOVING } }, { 2, 1 }, SCHEDULE_START },
        { "and that is all that may", { { 5, 5, READY }, { 1, 1, MOVING } }, { 1, 1 }, SCHEDULE_WAIT_CONCURRENCY },
        { "one that struggles is not waited for", { { 5, 5, READY }, { 1, 1, STRUGGLING } }, { 1, 1 }, SCHEDULE_START },
        { "the first of its call", { { 5, 5, READY }, { 6, 5, READY } }, { 4, 1 }, SCHEDULE_START },
        { "the second, before the first", { { 6, 5, READY }, { 5, 5, READY } }, { 4, 1 }, SCHEDULE_WAIT_FIRST },
        { "while the first moves", { { 6, 5, READY }, { 5, 5, MOVING } }, { 4, 1 }, SCHEDULE_WAIT_FIRST },
        { "after it has arrived", { { 6, 5, READY }, { 5, 5, ARRIVED } }, { 4, 1 }, SCHEDULE_START },
        { "after it has arrived, beside others",
          { { 7, 5, READY }, { 5, 5, ARRIVED }, { 6, 5, MOVING } },
          { 4, 1 },
          SCHEDULE_START },
        { "as many as may",
          { { 9, 5, READY }, { 5, 5, ARRIVED }, { 6, 5, MOVING }, { 7, 5, MOVING } },
          { 2, 1 },
          SCHEDULE_WAIT_CONCURRENCY },
        { "the first was put back: this one is the first now",
          { { 6, 5, READY }, { 5, 5, RETURNED } },
          { 4, 1 },
          SCHEDULE_START },
        { "and the next one waits for it",
          { { 7, 5, READY }, { 5, 5, RETURNED }, { 6, 5, MOVING } },
          { 4, 1 },
          SCHEDULE_WAIT_FIRST },
        { "the first waits for its window, in nobody's way",
          { { 6, 5, READY }, { 5, 5, NOT_READY } },
          { 4, 1 },
          SCHEDULE_START },
        { "the first gets ready", { { 6, 5, READY }, { 5, 5, PREPARING } }, { 4, 1 }, SCHEDULE_WAIT_FIRST },
        { "the second gets ready", { { 5, 5, READY }, { 6, 5, PREPARING } }, { 4, 1 }, SCHEDULE_START },
        { "after it has arrived, beside one that gets ready",
          { { 7, 5, READY }, { 5, 5, ARRIVED }, { 6, 5, PREPARING } },
          { 4, 1 },
          SCHEDULE_START },
        { "the first got stuck half-way", { { 6, 5, READY }, { 5, 5, STRANDED } }, { 4, 1 }, SCHEDULE_CALL_OFF },
        { "or is about to", { { 6, 5, READY }, { 5, 5, STRUGGLING } }, { 4, 1 }, SCHEDULE_CALL_OFF },
        { "one failure of two that may be",
          { { 7, 5, READY }, { 5, 5, ARRIVED }, { 6, 5, STRANDED } },
          { 4, 2 },
          SCHEDULE_START },
        { "two of two",
          { { 8, 5, READY }, { 5, 5, ARRIVED }, { 6, 5, STRANDED }, { 7, 5, STRUGGLING } },
          { 4, 2 },
          SCHEDULE_CALL_OFF },
        { "of another call", { { 6, 6, READY }, { 5, 5, STRANDED } }, { 4, 1 }, SCHEDULE_START },
        { "what arrived in another call proves nothing for this one",
          { { 8, 7, READY }, { 7, 7, MOVING }, { 5, 5, ARRIVED } },
          { 4, 1 },
          SCHEDULE_WAIT_FIRST },
};

/* Whoever is before it in the queue is asked about before. */
static ScheduleVerdict ask_up_to(ScheduleTally *t, Job *jobs, size_t n, Job *last, const ScheduleLimits *limits)
{
        schedule_begin_round(t);
        for (uint32_t id = 1; id < last->id; id++)
                for (size_t i = 0; i < n; i++)
                        if (jobs[i].id == id && jobs[i].stage == PREPARING)
                                schedule_pass(t, jobs[i].batch);
                        else if (jobs[i].id == id && jobs[i].stage == READY)
                                (void) ask(t, jobs, n, jobs + i, limits);
        return ask(t, jobs, n, last, limits);
}

static void test_situations(void **state)
{
        FOREACH_ELEMENT(row, situations) {
                size_t n = 0;

                while (n < ELEMENTSOF(row->jobs) && row->jobs[n].id > 0)
                        n++;
                /* In whatever order they were counted. */
                for (size_t first = 0; first < n; first++) {
                        Job jobs[ELEMENTSOF(row->jobs)];
                        ScheduleTally t = {};
                        ScheduleVerdict found;

                        memcpy(jobs, row->jobs, sizeof(jobs));
                        assert_int_equal(schedule_reserve(&t, n), 0);
                        for (size_t i = 0; i < n; i++)
                                schedule_add(&t, jobs[(first + i) % n].batch, jobs[(first + i) % n].stage);
                        found = ask_up_to(&t, jobs, n, jobs, &row->limits);
                        if (found != row->verdict)
                                fail_msg("%s: %d, expected %d", row->what, found, row->verdict);
                        for (size_t i = 0; i < n; i++)
                                schedule_remove(&t, jobs[i].batch, jobs[i].stage);
                        assert_int_equal(t.n_batches, 0);
                        assert_int_equal(t.n_moving, 0);
                        assert_int_equal(t.n_preparing, 0);
                        schedule_done(&t);
                }
        }
}

/* As many get ready as may move, whoever goes first; and nobody any more where too many have failed. */
static void test_preparing(void **state)
{
        const ScheduleLimits limits = { .concurrency = 2, .max_failures = 1 };
        ScheduleTally t = {};

        assert_int_equal(schedule_reserve(&t, 8), 0);
        for (unsigned i = 0; i < 3; i++)
                schedule_add(&t, 1, SCHEDULE_QUEUED);
        schedule_add(&t, 1, SCHEDULE_MOVING);
        assert_int_equal(schedule_ask_to_prepare(&t, 1, &limits), SCHEDULE_START);
        for (unsigned i = 1; i < 2 * SCHEDULE_PREPARING_PER_MOVE; i++)
                schedule_add(&t, 7, SCHEDULE_PREPARING);
        assert_int_equal(schedule_ask_to_prepare(&t, 1, &limits), SCHEDULE_START);
        schedule_add(&t, 1, SCHEDULE_READY);
        assert_int_equal(schedule_ask_to_prepare(&t, 1, &limits), SCHEDULE_WAIT_CONCURRENCY);
        /* Of the call of which one has no room another is ready: it goes. */
        schedule_begin_round(&t);
        schedule_add(&t, 3, SCHEDULE_QUEUED);
        assert_int_equal(schedule_ask_to_prepare(&t, 3, &limits), SCHEDULE_WAIT_CONCURRENCY);
        schedule_add(&t, 3, SCHEDULE_READY);
        assert_int_equal(schedule_ask_to_move(&t, 3, &limits), SCHEDULE_START);
        schedule_remove(&t, 3, SCHEDULE_READY);
        schedule_remove(&t, 3, SCHEDULE_QUEUED);
        /* One that is on its way needs no room among those that get ready. */
        schedule_remove(&t, 1, SCHEDULE_READY);
        schedule_add(&t, 1, SCHEDULE_MOVING);
        assert_int_equal(schedule_ask_to_prepare(&t, 1, &limits), SCHEDULE_START);
        schedule_add(&t, 1, SCHEDULE_STRANDED);
        assert_int_equal(schedule_ask_to_prepare(&t, 1, &limits), SCHEDULE_CALL_OFF);
        schedule_done(&t);
}

#define JOBS 40

typedef struct Fleet {
        ScheduleTally tally;
        Job jobs[JOBS];
        ScheduleLimits limits;
        ScheduleVerdict verdicts[JOBS]; /* of the last round */
} Fleet;

static unsigned count(const Fleet *f, uint32_t batch, unsigned stages)
{
        unsigned n = 0;

        for (size_t i = 0; i < JOBS; i++)
                n += (batch == 0 || f->jobs[i].batch == batch) && (stages & 1u << f->jobs[i].stage);
        return n;
}

static void check_start(const Fleet *f, size_t i)
{
        const unsigned moves = 1u << MOVING | 1u << STRUGGLING, fails = 1u << STRUGGLING | 1u << STRANDED;
        uint32_t batch = f->jobs[i].batch;

        /* It is one of those that move by now. */
        assert_true(count(f, 0, 1u << MOVING) <= f->limits.concurrency);
        assert_true(count(f, batch, fails) < f->limits.max_failures);
        if (count(f, batch, 1u << ARRIVED) == 0)
                assert_int_equal(count(f, batch, moves), 1);
        /* First come, first served: whoever came before and is still here has to wait for its own kind. */
        for (size_t k = 0; k < i; k++)
                if (f->jobs[k].stage == READY)
                        assert_int_equal(f->verdicts[k], SCHEDULE_WAIT_FIRST);
}

/* One question about each that waits, in the order of ids. */
static void ask_all(Fleet *f)
{
        schedule_begin_round(&f->tally);
        for (size_t i = 0; i < JOBS; i++) {
                if (f->jobs[i].stage == PREPARING)
                        schedule_pass(&f->tally, f->jobs[i].batch);
                if (f->jobs[i].stage != READY)
                        continue;
                f->verdicts[i] = ask(&f->tally, f->jobs, JOBS, f->jobs + i, &f->limits);
                if (f->verdicts[i] == SCHEDULE_START)
                        check_start(f, i);
        }
}

static void happen(ScheduleTally *t, Job *job)
{
        static const ScheduleStage from_moving[] = { ARRIVED, ARRIVED, ARRIVED, RETURNED, STRUGGLING, STRANDED };

        if (job->stage == NOT_READY)
                become(t, job, PREPARING);
        else if (job->stage == PREPARING)
                become(t, job, READY);
        else if (job->stage == READY && below(8) == 0)
                become(t, job, below(2) ? NOT_READY : RETURNED);
        else if (job->stage == MOVING)
                become(t, job, from_moving[below(ELEMENTSOF(from_moving))]);
        else if (job->stage == STRUGGLING)
                become(t, job, below(2) ? ARRIVED : STRANDED);
}

static void test_random_fleets(void **state)
{
        const unsigned under_way = 1u << READY | 1u << NOT_READY | 1u << PREPARING | 1u << MOVING | 1u << STRUGGLING;

        for (unsigned k = 0; k < 500; k++) {
                Fleet f = { .limits = { .concurrency = 1 + below(6), .max_failures = 1 + below(4) } };
                uint32_t batch = 1;

                assert_int_equal(schedule_reserve(&f.tally, JOBS), 0);
                for (uint32_t i = 0; i < JOBS; i++) {
                        if (below(8) == 0)
                                batch = i + 1;
                        f.jobs[i] = (Job){ i + 1, batch, READY };
                        schedule_add(&f.tally, batch, READY);
                }
                for (unsigned rounds = 0; count(&f, 0, under_way) > 0; rounds++) {
                        assert_true(rounds < 10000);
                        ask_all(&f);
                        /* Somebody is always on the way, or about to be ready: nobody waits for nothing. */
                        assert_true(count(&f, 0, 1u << READY) == 0 || count(&f, 0, under_way & ~(1u << READY)) > 0);
                        happen(&f.tally, &f.jobs[below(JOBS)]);
                }
                schedule_done(&f.tally);
        }
}

/* ---- the pace ---- */

static void test_pace_in_numbers(void **state)
{
        const int64_t sec = (int64_t) USEC_PER_SEC, after = (int64_t) PACE_MINUTE_USEC;
        Pace p = {};

        assert_int_equal(pace_left(&p, 0, 0), 0);
        assert_int_equal(pace_left(&p, PACE_MINUTE_MAX - 1, 0), 0);
        assert_int_equal(pace_left(&p, PACE_MINUTE_MAX, 0), USEC_INFINITY);

        for (unsigned i = 0; i < PACE_MINUTE_MAX; i++)
                pace_add(&p, (int64_t) (i * USEC_PER_SEC));
        assert_int_equal(pace_left(&p, 0, after - 46 * sec), 46 * sec);
        assert_int_equal(pace_left(&p, 0, after - 1), 1);
        assert_int_equal(pace_left(&p, 0, after), 0);
        assert_int_equal(pace_left(&p, 1, after), sec);
        assert_int_equal(pace_left(&p, PACE_MINUTE_MAX - 1, after), 19 * sec);
        assert_int_equal(pace_left(&p, PACE_MINUTE_MAX - 1, after + 19 * sec), 0);
}

/* The hour counts too, over the boundary of a boot, and in whatever order the logins become known. */
static void test_pace_of_an_hour(void **state)
{
        const int64_t gap = 5 * (int64_t) USEC_PER_SEC;
        Pace p = {};

        for (unsigned i = 0; i < PACE_HOUR_MAX; i++)
                pace_add(&p, -gap * (int64_t) (i * 7 % PACE_HOUR_MAX));
        assert_int_equal(p.n, PACE_HOUR_MAX);
        for (size_t i = 1; i < p.n; i++)
                assert_int_equal(p.logins_usec[i] - p.logins_usec[i - 1], gap);
        assert_int_equal(pace_left(&p, 0, gap), PACE_HOUR_USEC - PACE_HOUR_MAX * (usec_t) gap);

        /* One that is older than all that count changes nothing; a newer one takes the place of the oldest. */
        pace_add(&p, -(int64_t) USEC_PER_HOUR);
        assert_int_equal(p.logins_usec[0], -gap * (PACE_HOUR_MAX - 1));
        pace_add(&p, gap);
        assert_int_equal(p.n, PACE_HOUR_MAX);
        assert_int_equal(p.logins_usec[0], -gap * (PACE_HOUR_MAX - 2));
        assert_int_equal(p.logins_usec[p.n - 1], gap);
}

#define LOGINS       1500
#define RESERVED_MAX 64

typedef struct Traffic {
        Pace pace;
        int64_t now_usec;
        int64_t due_usec[RESERVED_MAX]; /* when each that was let begin will send its login */
        unsigned n_reserved;
        int64_t sent_usec[LOGINS];
        size_t n_sent;
} Traffic;

static void forget_reserved(Traffic *t, unsigned i)
{
        t->due_usec[i] = t->due_usec[--t->n_reserved];
}

static void send_due(Traffic *t)
{
        for (unsigned i = t->n_reserved; i-- > 0 && t->n_sent < LOGINS;) {
                if (t->due_usec[i] > t->now_usec)
                        continue;
                forget_reserved(t, i);
                pace_add(&t->pace, t->now_usec);
                t->sent_usec[t->n_sent++] = t->now_usec;
        }
}

static void check_spans(const Traffic *t)
{
        for (size_t i = PACE_MINUTE_MAX; i < t->n_sent; i++)
                assert_true(t->sent_usec[i] - t->sent_usec[i - PACE_MINUTE_MAX] >= (int64_t) PACE_MINUTE_USEC);
        for (size_t i = PACE_HOUR_MAX; i < t->n_sent; i++)
                assert_true(t->sent_usec[i] - t->sent_usec[i - PACE_HOUR_MAX] >= (int64_t) PACE_HOUR_USEC);
}

/* Whatever lies between a bot's being let begin and its login, and whether it comes to that at all. */
static void test_pace_is_kept(void **state)
{
        static const usec_t delays[] = { 1, USEC_PER_SEC, USEC_PER_MIN, 20 * USEC_PER_MIN };

        for (unsigned k = 0; k < 40; k++) {
                usec_t delay = delays[below(ELEMENTSOF(delays))];
                Traffic t = { .now_usec = -(int64_t) below(USEC_PER_HOUR) };

                while (t.n_sent < LOGINS) {
                        usec_t left = pace_left(&t.pace, t.n_reserved, t.now_usec);

                        if (left == 0) {
                                assert_true(t.n_reserved < RESERVED_MAX);
                                t.due_usec[t.n_reserved++] = t.now_usec + (int64_t) below(delay);
                        }
                        if (t.n_reserved > 0 && below(20) == 0)
                                forget_reserved(&t, below(t.n_reserved));
                        t.now_usec += (int64_t) below(left == 0 ? USEC_PER_SEC : 5 * USEC_PER_SEC);
                        send_due(&t);
                }
                check_spans(&t);
        }
}

/* It is not slower than it has to be: what the estimate says is enough, to the microsecond. */
static void test_pace_is_the_fastest(void **state)
{
        Traffic t = {};

        while (t.n_sent < LOGINS) {
                t.now_usec += (int64_t) pace_left(&t.pace, 0, t.now_usec);
                t.due_usec[t.n_reserved++] = t.now_usec;
                send_due(&t);
        }
        check_spans(&t);
        for (size_t i = PACE_MINUTE_MAX; i < PACE_HOUR_MAX; i++)
                assert_int_equal(t.sent_usec[i] - t.sent_usec[i - PACE_MINUTE_MAX], PACE_MINUTE_USEC);
        for (size_t i = PACE_HOUR_MAX; i < LOGINS; i++)
                assert_int_equal(t.sent_usec[i] - t.sent_usec[i - PACE_HOUR_MAX], PACE_HOUR_USEC);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_situations),          cmocka_unit_test(test_preparing),
                cmocka_unit_test(test_random_fleets),       cmocka_unit_test(test_pace_in_numbers),
                cmocka_unit_test(test_pace_of_an_hour),     cmocka_unit_test(test_pace_is_kept),
                cmocka_unit_test(test_pace_is_the_fastest),
        };
        const char *given = getenv("SEED");

        rng = given ? strtoull(given, NULL, 10) : (uint64_t) time(NULL) * 2654435761u | 1;
        print_message("SEED=%" PRIu64 "\n", rng);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
