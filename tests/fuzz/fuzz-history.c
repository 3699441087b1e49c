/* SPDX-License-Identifier: MIT */

/* The history is read back from the disk by the daemon, whatever stands in the file by then. The first line of the
 * input asks: names or globs of bots, and behind a bar the target, the result, and two times, "-" for any of them. All
 * that follows are lines of the file. Each of them is one job, whole and fit to be printed, or nothing. */

#include <stdio.h>

#include "base/strv.h"
#include "core/history-entry.h"
#include "fuzz.h"

#define BOTS_MAX 4

static void take_filter(char *line, HistoryFilter *f)
{
        const char *target, *result, *since, *until;

        history_filter_init(f);
        f->found = calloc(BOTS_MAX, sizeof(bool));
        assert(f->found);
        for (size_t i = 0; i < BOTS_MAX && *line && *line != '|'; i++)
                assert(strv_extend(&f->bots, fuzz_take_word(&line)) == 0);
        (void) fuzz_take_word(&line);
        target = fuzz_take_word(&line);
        result = fuzz_take_word(&line);
        since = fuzz_take_word(&line);
        until = fuzz_take_word(&line);
        f->target = streq(target, "cloud") ? SEAT_CLOUD : streq(target, "local") ? SEAT_LOCAL : SEAT_INVALID;
        f->result = job_result_from_string(result);
        if (f->result == JOB_RESULT_NONE)
                f->result = JOB_RESULT_INVALID;
        if (*since && !streq(since, "-"))
                f->since_usec = strtoull(since, NULL, 10);
        if (*until && !streq(until, "-"))
                f->until_usec = strtoull(until, NULL, 10);
}

static void assert_texts(const HistoryEntry *e)
{
        assert(!isempty(e->bot));
        fuzz_assert_text(e->bot, HISTORY_REASON_MAX);
        fuzz_assert_text(e->job.reason, HISTORY_REASON_MAX);
        fuzz_assert_text(e->job.requester, HISTORY_REQUESTER_MAX);
        fuzz_assert_text(e->job.error, HISTORY_ERROR_MAX);
}

/* What was read is written as a line, which is read as the same. */
static void assert_kept(const HistoryEntry *e)
{
        _cleanup_(history_entry_done) HistoryEntry again = {};
        _cleanup_free_ char *line = NULL, *second = NULL, *bot = NULL;
        size_t size = 0, second_size = 0;

        assert(history_entry_encode(e, &line, &size) == 0);
        assert(size <= HISTORY_LINE_MAX && memchr(line, '\n', size) == line + size - 1);
        assert(history_line_job_id(line, size) == e->job.id);
        bot = history_line_bot(line, size);
        assert(bot);
        assert(history_entry_decode(line, size, &again) == 0);
        assert(streq(again.bot, e->bot) && again.job.id == e->job.id && again.job.result == e->job.result);
        assert(history_entry_encode(&again, &second, &second_size) == 0);
        assert(second_size == size && memcmp(line, second, size) == 0);
}

/* Of a line as it is written, what is passed over unread is what would not have been chosen. */
static void assert_skips(HistoryFilter *f, const HistoryEntry *e)
{
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        assert(history_entry_encode(e, &line, &size) == 0);
        /* A name with a character that JSON writes in another way is no bot's. */
        if (strpbrk(e->bot, "\"\\"))
                return;
        assert(history_filter_skips(f, line, size) == !history_filter_matches(f, e));
}

static void try_line(HistoryFilter *f, const char *bytes, size_t size)
{
        _cleanup_free_ char *line = malloc(size + 1); /* of this very size, so that who reads beyond it is seen */
        HistoryEntry e, before;
        int r;

        assert(line);
        memcpy(line, bytes, size);
        memset(&e, 0xa5, sizeof(e));
        memcpy(&before, &e, sizeof(e));
        (void) history_filter_skips(f, line, size);
        r = history_entry_decode(line, size, &e);
        if (r < 0) {
                assert(r == -EBADMSG);
                fuzz_assert_untouched(&e, &before, sizeof(e));
                return;
        }
        assert(size <= HISTORY_LINE_MAX);
        assert(e.job.id > 0 && history_line_job_id(line, size) == e.job.id);
        assert(e.job.result > JOB_RESULT_NONE && e.job.result < JOB_RESULT_MAX);
        assert_texts(&e);
        assert_kept(&e);
        assert_skips(f, &e);
        history_entry_done(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *first = fuzz_take_line(&in);
        _cleanup_(history_filter_done) HistoryFilter filter;

        take_filter(first, &filter);
        while (in.left > 0) {
                const char *newline = memchr(in.next, '\n', in.left);
                size_t n = newline ? (size_t) (newline - in.next) + 1 : in.left;

                try_line(&filter, in.next, n);
                in.next += n;
                in.left -= n;
        }
        return 0;
}
