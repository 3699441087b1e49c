/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "manager-fixture.h"
#include "scratch.h"

/* Whoever asks for the history gets an answer, in the order of the calls, whatever becomes of those before. */

#define N_QUERIES 4

typedef struct Asker {
        HistoryQuery *query;
        unsigned *n_answered; /* of all */
        unsigned nth;         /* 0: not answered */
        size_t n_entries;
        int result;
        bool done;
} Asker;

static void on_history(int r, const HistoryFilter *filter, const HistoryEntries *entries, void *userdata)
{
        Asker *a = userdata;

        a->result = r;
        a->n_entries = entries->n;
        a->nth = ++*a->n_answered;
        a->done = true;
        a->query = history_query_free(a->query);
}

static void ask(ManagerFixture *f, Asker *a, unsigned *n_answered)
{
        HistoryFilter filter;

        *a = (Asker){ .n_answered = n_answered };
        history_filter_init(&filter);
        assert_int_equal(manager_get_history(f->manager, &filter, on_history, a, &a->query), 0);
}

static void store_history(ManagerFixture *f)
{
        HistoryEntry e = { .bot = (char *) "shop", .seat = SEAT_LOCAL };
        _cleanup_free_ char *line = NULL;
        size_t size;

        e.job = (RecordJob){ .id = 1, .wanted = SEAT_LOCAL, .result = JOB_RESULT_DONE, .ended_usec = 1 };
        assert_int_equal(history_entry_encode(&e, &line, &size), 0);
        scratch_write_bytes(f->directory, "state/" HISTORY_FILE, line, size);
}

static void begin(ManagerFixture *f)
{
        store_history(f);
        assert_int_equal(manager_begin(f), 0);
        manager_drain(f);
}

static void test_in_order(void **state)
{
        ManagerFixture *f = *state;
        Asker askers[N_QUERIES];
        unsigned n = 0;

        begin(f);
        FOREACH_ELEMENT(a, askers)
                ask(f, a, &n);
        manager_run_until(f, &askers[N_QUERIES - 1].done);
        for (unsigned i = 0; i < N_QUERIES; i++) {
                assert_int_equal(askers[i].nth, i + 1);
                assert_int_equal(askers[i].result, 0);
                assert_int_equal(askers[i].n_entries, 1);
        }
}

/* Their callers left the bus: the one whose turn it was, and one who waited for it. */
static void test_who_leaves_holds_up_nobody(void **state)
{
        ManagerFixture *f = *state;
        Asker askers[N_QUERIES], late;
        unsigned n = 0;

        begin(f);
        FOREACH_ELEMENT(a, askers)
                ask(f, a, &n);
        askers[2].query = history_query_free(askers[2].query);
        askers[0].query = history_query_free(askers[0].query);
        manager_run_until(f, &askers[3].done);
        assert_int_equal(askers[1].nth, 1);
        assert_int_equal(askers[3].nth, 2);
        assert_false(askers[0].done || askers[2].done);

        ask(f, &late, &n);
        manager_run_until(f, &late.done);
        assert_int_equal(late.n_entries, 1);
}

static void test_all_leave(void **state)
{
        ManagerFixture *f = *state;
        Asker askers[N_QUERIES], late;
        unsigned n = 0;

        begin(f);
        FOREACH_ELEMENT(a, askers)
                ask(f, a, &n);
        FOREACH_ELEMENT(a, askers)
                a->query = history_query_free(a->query);
        ask(f, &late, &n);
        manager_run_until(f, &late.done);
        assert_int_equal(n, 1);
}

/* Nobody is answered by a manager that goes, which begins no read any more. */
static void test_manager_goes_meanwhile(void **state)
{
        ManagerFixture *f = *state;
        Asker askers[N_QUERIES];
        unsigned n = 0;

        begin(f);
        FOREACH_ELEMENT(a, askers)
                ask(f, a, &n);
        f->manager = manager_free(f->manager);
        assert_int_equal(n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, manager_set_up, manager_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_in_order),
                TEST(test_who_leaves_holds_up_nobody),
                TEST(test_all_leave),
                TEST(test_manager_goes_meanwhile),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
