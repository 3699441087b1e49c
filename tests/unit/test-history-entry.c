/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/strv.h"
#include "core/history-entry.h"

/* What the history tells of a job is what the record that ended it told, in one line, and a line that is not ours is
 * never believed. */

static Record ended_record(void)
{
        static char reason[] = "maintenance", requester[] = "uid 0, unit session-1.scope";
        static char error[] = "no \"way\"\n\x1b[31m";
        Record r = {
                .bot_id = 123456789,
                .seat = SEAT_LOCAL,
                .job = {
                        .id = 4711,
                        .batch = 4710,
                        .source = SEAT_CLOUD,
                        .wanted = SEAT_LOCAL,
                        .target = SEAT_CLOUD,
                        .result = JOB_RESULT_FAILED,
                        .reason = reason,
                        .requester = requester,
                        .automatic = true,
                        .started_usec = 1000,
                        .ended_usec = 5000,
                        .pending_at_start = 1,
                        .drained = 2,
                        .spooled = 3,
                        .handed_over = UINT64_MAX,
                        .blind_usec = 7,
                        .downtime_usec = 8,
                        .error = error,
                },
        };

        for (size_t i = 0; i < JOB_PHASE_MAX; i++)
                r.job.phase_usec[i] = 100 + i;
        return r;
}

static char *line_of(const Record *r, size_t *ret_size)
{
        _cleanup_(history_entry_done) HistoryEntry e = {};
        char *line = NULL;

        assert_int_equal(history_entry_new(&e, "shop", r), 0);
        assert_int_equal(history_entry_encode(&e, &line, ret_size), 0);
        assert_int_equal(strlen(line), *ret_size);
        return line;
}

static void test_round_trip(void **state)
{
        Record r = ended_record();
        _cleanup_(history_entry_done) HistoryEntry e = {};
        size_t size;
        _cleanup_free_ char *line = line_of(&r, &size), *again = NULL;

        assert_ptr_equal(strchr(line, '\n'), line + size - 1);
        assert_int_equal(history_line_job_id(line, size), 4711);
        assert_int_equal(history_entry_decode(line, size, &e), 0);
        assert_string_equal(e.bot, "shop");
        assert_int_equal(e.bot_id, r.bot_id);
        assert_int_equal(e.seat, SEAT_LOCAL);
        assert_int_equal(e.job.id, 4711);
        assert_int_equal(e.job.source, SEAT_CLOUD);
        /* what was asked for, though the job has turned back */
        assert_int_equal(e.job.wanted, SEAT_LOCAL);
        assert_int_equal(e.job.result, JOB_RESULT_FAILED);
        assert_true(e.job.automatic);
        assert_string_equal(e.job.reason, r.job.reason);
        assert_string_equal(e.job.requester, r.job.requester);
        /* for people, on terminals */
        assert_string_equal(e.job.error, "no \"way\"??[31m");
        assert_int_equal(e.job.started_usec, 1000);
        assert_int_equal(e.job.ended_usec, 5000);
        assert_memory_equal(e.job.phase_usec, r.job.phase_usec, sizeof(r.job.phase_usec));
        assert_int_equal(e.job.pending_at_start, 1);
        assert_int_equal(e.job.drained, 2);
        assert_int_equal(e.job.spooled, 3);
        assert_int_equal(e.job.handed_over, UINT64_MAX);
        assert_int_equal(e.job.blind_usec, 7);
        assert_int_equal(e.job.downtime_usec, 8);
        assert_int_equal(history_entry_encode(&e, &again, &size), 0);
        assert_string_equal(line, again);
}

/* The longest that can be: every byte of every text takes two, every number all its digits. */
static void test_bounds(void **state)
{
        _cleanup_free_ char *text = malloc(RECORD_STRING_MAX + 1);
        _cleanup_(history_entry_done) HistoryEntry e = {};
        Record r = ended_record();
        size_t size;

        assert_non_null(text);
        memset(text, '"', RECORD_STRING_MAX);
        text[RECORD_STRING_MAX] = '\0';
        r.job.reason = r.job.requester = r.job.error = text;
        r.bot_id = INT64_MAX;
        r.job.id = UINT32_MAX;
        r.job.started_usec = r.job.ended_usec = r.job.pending_at_start = r.job.drained = r.job.spooled = UINT64_MAX;
        r.job.blind_usec = r.job.downtime_usec = UINT64_MAX;
        memset(r.job.phase_usec, 0xff, sizeof(r.job.phase_usec));

        _cleanup_free_ char *line = line_of(&r, &size);
        assert_true(size <= HISTORY_LINE_MAX);
        assert_int_equal(history_entry_decode(line, size, &e), 0);
        assert_int_equal(strlen(e.job.reason), HISTORY_REASON_MAX);
        assert_int_equal(strlen(e.job.requester), HISTORY_REQUESTER_MAX);
        assert_int_equal(strlen(e.job.error), HISTORY_ERROR_MAX);
}

/* A text is cut between two characters, and what is none becomes a question mark. */
static void test_cut(void **state)
{
        char text[HISTORY_REASON_MAX + 8];
        _cleanup_(history_entry_done) HistoryEntry e = {}, odd = {};
        Record r = ended_record();

        memset(text, 'x', sizeof(text));
        memcpy(text + HISTORY_REASON_MAX - 1, "ä", 3);
        r.job.reason = text;
        assert_int_equal(history_entry_new(&e, "shop", &r), 0);
        assert_int_equal(strlen(e.job.reason), HISTORY_REASON_MAX - 1);

        r.job.reason = (char *) "a\xff\xc2\x9b"
                                "b\x7f";
        r.job.requester = r.job.error = NULL;
        assert_int_equal(history_entry_new(&odd, "shop", &r), 0);
        assert_string_equal(odd.job.reason, "a???b?");
        assert_string_equal(odd.job.error, "");
}

/* Wherever the power went, and whichever bit was turned: none of it is an entry of another job, and nothing is half
 * read. */
static void test_damage(void **state)
{
        Record r = ended_record();
        size_t size;
        _cleanup_free_ char *line = line_of(&r, &size);

        for (size_t n = 0; n < size - 1; n++) {
                _cleanup_free_ char *start = malloc(n + 1);
                HistoryEntry e = {};

                memcpy(start, line, n);
                assert_int_equal(history_entry_decode(start, n, &e), -EBADMSG);
                assert_null(e.bot);
        }
        for (size_t i = 0; i < size - 1; i++) {
                HistoryEntry e = {};

                line[i] ^= 0x40;
                if (history_entry_decode(line, size, &e) >= 0) {
                        assert_int_equal(history_line_job_id(line, size), e.job.id);
                        history_entry_done(&e);
                }
                line[i] ^= 0x40;
        }
}

static char *replace(const char *text, const char *from, const char *to)
{
        const char *at = strstr(text, from);
        char *new;

        assert_non_null(at);
        assert_true(asprintf(&new, "%.*s%s%s", (int) (at - text), text, to, at + strlen(from)) > 0);
        return new;
}

static void test_strict(void **state)
{
        static const struct {
                const char *from, *to;
        } not_ours[] = {
                { "\"id\":4711", "\"id\":0" },
                { "\"id\":4711", "\"id\":4294967296" },
                { "\"id\":4711,", "" },
                { "{\"id\":4711,", "{ \"id\":4711," },
                { "\"id\":4711,\"bot\":\"shop\"", "\"bot\":\"shop\",\"id\":4711" },
                { "\"bot\":\"shop\"", "\"bot\":\"\"" },
                { "\"bot\":\"shop\"", "\"bot\":\"a\\u001bz\"" },
                { "\"bot\":\"shop\"", "\"bot\":7" },
                { "\"bot-id\":", "\"bot-idd\":" },
                { "\"bot-id\":", "\"more\":1,\"bot-id\":" },
                { "\"result\":\"failed\"", "\"result\":\"none\"" },
                { "\"result\":\"failed\"", "\"result\":\"lost\"" },
                { "\"source\":\"cloud\"", "\"source\":\"unknown\"" },
                { "[100,", "[" },
                { "\"drained\":2", "\"drained\":-2" },
                { "\"error\":\"no", "\"error\":\"\xc2\x9bno" },
        };
        Record r = ended_record();
        size_t size;
        _cleanup_free_ char *line = line_of(&r, &size);

        FOREACH_ELEMENT(row, not_ours) {
                _cleanup_free_ char *changed = replace(line, row->from, row->to);
                HistoryEntry e = {};

                if (history_entry_decode(changed, strlen(changed), &e) != -EBADMSG)
                        fail_msg("believed: %s for %s", row->to, row->from);
        }
}

static void test_filter(void **state)
{
        _cleanup_(history_filter_done) HistoryFilter f;
        _cleanup_(history_entry_done) HistoryEntry e = {};
        Record r = ended_record();

        assert_int_equal(history_entry_new(&e, "shop", &r), 0);
        history_filter_init(&f);
        assert_true(history_filter_matches(&f, &e));
        assert_int_equal(f.limit, HISTORY_LIMIT_DEFAULT);
        assert_null(history_filter_unknown(&f));

        f.since_usec = f.until_usec = 5000;
        assert_true(history_filter_matches(&f, &e));
        f.since_usec = 5001;
        assert_false(history_filter_matches(&f, &e));
        f.since_usec = 0;
        f.until_usec = 4999;
        assert_false(history_filter_matches(&f, &e));
        f.until_usec = USEC_INFINITY;
        f.target = SEAT_CLOUD;
        assert_false(history_filter_matches(&f, &e));
        f.target = SEAT_LOCAL;
        f.result = JOB_RESULT_DONE;
        assert_false(history_filter_matches(&f, &e));
        f.result = JOB_RESULT_FAILED;
        assert_true(history_filter_matches(&f, &e));

        assert_int_equal(strv_copy((char *[]){ (char *) "news", (char *) "sh*", (char *) "shop", NULL }, &f.bots), 0);
        f.found = calloc(3, sizeof(bool));
        assert_non_null(f.found);
        assert_string_equal(history_filter_unknown(&f), "news");
        /* the bot was found, though the entry is not wanted */
        f.result = JOB_RESULT_DONE;
        assert_false(history_filter_matches(&f, &e));
        assert_true(!f.found[0] && f.found[1] && f.found[2]);
        f.result = JOB_RESULT_INVALID;
        assert_true(history_filter_matches(&f, &e));
        f.found[0] = true;
        assert_null(history_filter_unknown(&f));
}

/* What is passed over without being read is nothing that would have been wanted, and nothing else is read. */
static void test_skip(void **state)
{
        static const usec_t times[] = { 0, 4999, 5000, 5001, USEC_INFINITY };
        Record r = ended_record();
        size_t size, n_skipped = 0;
        _cleanup_(history_entry_done) HistoryEntry e = {};

        /* texts that look like members */
        r.job.reason = (char *) "\"result\":\"done\",\"target\":\"cloud\",\"ended-usec\":1,";
        r.job.requester = (char *) ",\"bot\":\"news\"";
        _cleanup_free_ char *line = line_of(&r, &size), *bot = history_line_bot(line, size);

        assert_string_equal(bot, "shop");
        assert_null(history_line_bot(line, 15));
        assert_null(history_line_bot("{\"bot\":\"shop\"}", 14));
        assert_int_equal(history_entry_decode(line, size, &e), 0);
        for (Seat target = SEAT_UNDECLARED; target <= SEAT_LOCAL; target++)
                for (JobResult result = JOB_RESULT_NONE; result < JOB_RESULT_MAX; result++)
                        FOREACH_ELEMENT(since, times)
                                FOREACH_ELEMENT(until, times) {
                                        HistoryFilter f;

                                        history_filter_init(&f);
                                        f.target = target == SEAT_UNDECLARED ? SEAT_INVALID : target;
                                        f.result = result == JOB_RESULT_NONE ? JOB_RESULT_INVALID : result;
                                        f.since_usec = *since;
                                        f.until_usec = *until;
                                        assert_int_equal(history_filter_skips(&f, line, size),
                                                         !history_filter_matches(&f, &e));
                                        n_skipped += history_filter_skips(&f, line, size);
                                }
        assert_true(n_skipped > 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bounds), cmocka_unit_test(test_cut),
                cmocka_unit_test(test_damage),     cmocka_unit_test(test_strict), cmocka_unit_test(test_filter),
                cmocka_unit_test(test_skip),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
