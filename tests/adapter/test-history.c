/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/strv.h"
#include "disk-fixture.h"
#include "fault-fs.h"
#include "io/history.h"
#include "scratch.h"

/* Each job that has ended is in the history once, whatever the disk does, and what the disk did is never read as a job.
 */

static History *open_history(DiskFixture *f)
{
        History *h = NULL;

        assert_int_equal(history_open(&h, f->queue, f->event, f->directory), 0);
        return h;
}

static HistoryEntry entry(const char *bot, uint32_t id)
{
        HistoryEntry e = { .bot_id = 7, .seat = SEAT_LOCAL };

        e.bot = strdup(bot);
        e.job = (RecordJob){ .id = id, .wanted = SEAT_LOCAL, .result = JOB_RESULT_DONE, .ended_usec = 1000u * id };
        assert_non_null(e.bot);
        return e;
}

static int append_one(DiskFixture *f, const char *bot, uint32_t id)
{
        _cleanup_(history_entry_done) HistoryEntry e = entry(bot, id);
        _cleanup_(history_freep) History *h = open_history(f);

        return disk_call(f, history_append, h, &e, 1);
}

/* ---- reading ---- */

typedef struct Found {
        bool done;
        int result;
        size_t n_damaged;
        char text[4096]; /* numbers of the jobs, the newest first, and what no bot was found for */
} Found;

static void on_read(int r, const HistoryFilter *filter, const HistoryEntries *entries, void *userdata)
{
        Found *found = userdata;
        const char *unknown = history_filter_unknown(filter);
        size_t n = 0;

        found->done = true;
        found->result = r;
        found->n_damaged = entries->n_damaged;
        for (size_t i = 0; i < entries->n && n < sizeof(found->text) - 64; i++)
                n += (size_t) sprintf(found->text + n, "%s%" PRIu32, i > 0 ? " " : "", entries->items[i].job.id);
        if (unknown)
                (void) sprintf(found->text + n, " without %.32s", unknown);
}

static Found read_with(DiskFixture *f, HistoryFilter *filter)
{
        _cleanup_(history_freep) History *h = open_history(f);
        _cleanup_(history_read_freep) HistoryRead *read = NULL;
        Found found = {};

        assert_int_equal(history_read(h, filter, on_read, &found, &read), 0);
        while (!found.done)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        return found;
}

static Found read_all(DiskFixture *f)
{
        HistoryFilter filter;

        history_filter_init(&filter);
        filter.limit = HISTORY_LIMIT_MAX;
        return read_with(f, &filter);
}

static void assert_history(DiskFixture *f, const char *jobs, size_t n_damaged)
{
        Found found = read_all(f);

        assert_int_equal(found.result, 0);
        assert_string_equal(found.text, jobs);
        assert_int_equal(found.n_damaged, n_damaged);
}

/* ---- the tests ---- */

static void test_append_and_read(void **state)
{
        DiskFixture *f = *state;
        struct stat st;
        _cleanup_free_ char *path = NULL;

        assert_history(f, "", 0);
        for (uint32_t id = 1; id <= 5; id++)
                assert_int_equal(append_one(f, id % 2 ? "shop" : "news", id), 0);
        assert_history(f, "5 4 3 2 1", 0);
        /* asked for again, as after a crash */
        assert_int_equal(append_one(f, "shop", 3), 0);
        assert_int_equal(append_one(f, "shop", 5), 0);
        assert_history(f, "5 4 3 2 1", 0);
        assert_true(asprintf(&path, "%s/" HISTORY_FILE, f->directory) > 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

/* Several at once, of which some are there; and in the order of the calls though nobody waits for them. */
static void test_batches(void **state)
{
        DiskFixture *f = *state;
        HistoryEntry entries[] = { entry("shop", 1), entry("news", 2), entry("a", 3) };
        History *h = open_history(f);

        assert_int_equal(disk_call(f, history_append, h, entries + 1, 1), 0);
        assert_int_equal(history_append(h, entries, 3, NULL, NULL, NULL), 0);
        entries[0].job.id = 4;
        assert_int_equal(history_append(h, entries, 3, NULL, NULL, NULL), 0);
        history_free(h);
        disk_drain(f);
        assert_history(f, "4 3 1 2", 0);
        FOREACH_ELEMENT(e, entries)
                history_entry_done(e);
}

static void test_filter(void **state)
{
        DiskFixture *f = *state;
        HistoryFilter filter;

        for (uint32_t id = 1; id <= 6; id++)
                assert_int_equal(append_one(f, id % 3 ? "shop" : "news", id), 0);
        history_filter_init(&filter);
        filter.limit = 2;
        assert_string_equal(read_with(f, &filter).text, "6 5");

        history_filter_init(&filter);
        filter.since_usec = 2000;
        filter.until_usec = 4000;
        assert_string_equal(read_with(f, &filter).text, "4 3 2");

        /* what was asked for beyond the limit is still looked for */
        history_filter_init(&filter);
        filter.limit = 1;
        assert_int_equal(strv_extend(&filter.bots, "shop"), 0);
        assert_int_equal(strv_extend(&filter.bots, "n?ws"), 0);
        assert_int_equal(strv_extend(&filter.bots, "old"), 0);
        filter.found = calloc(4, sizeof(bool));
        assert_non_null(filter.found);
        assert_string_equal(read_with(f, &filter).text, "6 without old");
        history_filter_done(&filter);
}

static void append_text(DiskFixture *f, const char *text)
{
        _cleanup_free_ char *now = scratch_read(f->directory, HISTORY_FILE), *all = NULL;

        assert_true(asprintf(&all, "%s%s", now ?: "", text) >= 0);
        scratch_write(f->directory, HISTORY_FILE, all);
}

static void test_torn_line(void **state)
{
        DiskFixture *f = *state;
        _cleanup_free_ char *whole = NULL, *last = NULL, *now = NULL;
        size_t first;

        assert_int_equal(append_one(f, "shop", 1), 0);
        first = strlen(whole = scratch_read(f->directory, HISTORY_FILE));
        assert_int_equal(append_one(f, "shop", 2), 0);
        last = scratch_read(f->directory, HISTORY_FILE);

        for (size_t n = first; n < strlen(last); n += 7) {
                _cleanup_free_ char *torn = strndup(last, n);

                scratch_write(f->directory, HISTORY_FILE, torn);
                assert_history(f, "1", 0);
                assert_int_equal(append_one(f, "shop", 2), 0);
                assert_history(f, "2 1", 0);
        }
        /* also where there is nothing to be written */
        append_text(f, "{\"id\":3,\"bot\":\"sh");
        assert_int_equal(append_one(f, "shop", 2), 0);
        now = scratch_read(f->directory, HISTORY_FILE);
        assert_string_equal(now, last);
}

/* A line that begins like a job's and was never written to its end is not that job's. */
static void test_damaged_lines(void **state)
{
        DiskFixture *f = *state;

        assert_int_equal(append_one(f, "shop", 1), 0);
        append_text(f, "{\"id\":2,\"bot\":\"shop\",\"bot-id\":7}\n\n");
        append_text(f, "\x01\x02 not JSON at all\n[]\n");
        assert_int_equal(append_one(f, "shop", 2), 0);
        assert_int_equal(append_one(f, "shop", 3), 0);
        assert_history(f, "3 2 1", 4);
}

/* A write that fails: nothing of it is there, or all of it is, and it can be asked for again. */
static void test_disk_fails(void **state)
{
        static const struct {
                FsCall call;
                unsigned n;
                int error;
        } faults[] = { { FS_WRITE, 1, ENOSPC }, { FS_FSYNC, 1, EIO }, { FS_WRITE, 1, EIO } };
        DiskFixture *f = *state;
        uint32_t id = 1;

        assert_int_equal(append_one(f, "shop", id), 0);
        FOREACH_ELEMENT(fault, faults) {
                _cleanup_free_ char *before = scratch_read(f->directory, HISTORY_FILE), *after = NULL;

                id++;
                fault_fs_begin();
                fault_fs_fail(fault->call, fault->n, fault->error);
                assert_int_equal(append_one(f, "shop", id), -fault->error);
                assert_true(fault_fs_happened());
                fault_fs_end();
                after = scratch_read(f->directory, HISTORY_FILE);
                assert_string_equal(before, after);
                assert_int_equal(append_one(f, "shop", id), 0);
        }
        assert_history(f, "4 3 2 1", 0);
}

/* What is said to be on disk is on disk: a line and, once, the name of the file. */
static void test_synced(void **state)
{
        DiskFixture *f = *state;

        fault_fs_begin();
        assert_int_equal(append_one(f, "shop", 1), 0);
        assert_int_equal(append_one(f, "shop", 2), 0);
        assert_int_equal(fault_fs_n_unsynced(), 0);
        fault_fs_end();
}

static void test_power_cut(void **state)
{
        DiskFixture *f = *state;
        bool happened = true;

        for (unsigned n = 0; happened; n++) {
                Found found;

                scratch_write(f->directory, HISTORY_FILE, "");
                assert_int_equal(append_one(f, "shop", 1), 0);
                fault_fs_begin();
                fault_fs_power_off_after(n);
                (void) append_one(f, "news", 2);
                happened = fault_fs_happened();
                fault_fs_end();
                found = read_all(f);
                assert_int_equal(found.result, 0);
                /* The file was there before, so a directory that is not synced has its name all the same. */
                assert_true(streq(found.text, "1") || streq(found.text, "2 1"));
                /* the next process makes it from the record */
                assert_int_equal(append_one(f, "news", 2), 0);
                assert_string_equal(read_all(f).text, "2 1");
                assert_true(n < 50);
        }
}

/* ---- the bound ---- */

/* A history as full as it gets, whose first two lines are all there is of two bots; returns the last number. */
static uint32_t fill(DiskFixture *f)
{
        _cleanup_free_ char *all = malloc(HISTORY_SIZE_MAX + HISTORY_LINE_MAX);
        size_t size = 0;
        uint32_t id = 0;

        assert_non_null(all);
        for (;;) {
                const char *bot = id == 0 ? "early" : id == 1 ? "gone" : "shop";
                _cleanup_(history_entry_done) HistoryEntry e = entry(bot, id + 1);
                _cleanup_free_ char *line = NULL;
                size_t line_size;

                assert_int_equal(history_entry_encode(&e, &line, &line_size), 0);
                if (size + line_size > HISTORY_SIZE_MAX)
                        break;
                memcpy(all + size, line, line_size);
                size += line_size;
                id++;
        }
        scratch_write_bytes(f->directory, HISTORY_FILE, all, size);
        return id;
}

static size_t history_size(DiskFixture *f)
{
        _cleanup_free_ char *text = scratch_read(f->directory, HISTORY_FILE);

        assert_non_null(text);
        return strlen(text);
}

static void assert_ends_of(DiskFixture *f, uint32_t last)
{
        _cleanup_free_ char *text = scratch_read(f->directory, HISTORY_FILE);
        uint32_t before = 0;

        assert_non_null(text);
        /* what only old lines tell is kept, and so is the order */
        assert_int_equal(history_line_job_id(text, strlen(text)), 1);
        for (char *line = text, *next; (next = strchr(line, '\n')); line = next + 1) {
                uint32_t id = history_line_job_id(line, strlen(line));

                assert_true(id > before);
                before = id;
        }
        assert_int_equal(before, last);
}

static void test_bound(void **state)
{
        DiskFixture *f = *state;
        uint32_t last = fill(f) + 1;

        fault_fs_begin();
        assert_int_equal(append_one(f, "shop", last), 0);
        assert_int_equal(fault_fs_n_unsynced(), 0);
        fault_fs_end();
        assert_true(history_size(f) <= HISTORY_SIZE_MAX / 2 + 2 * HISTORY_LINE_MAX);
        assert_true(history_size(f) > HISTORY_SIZE_MAX / 2 - HISTORY_LINE_MAX);
        assert_ends_of(f, last);
        /* so the last job of each bot is not taken for one that was never written */
        assert_int_equal(append_one(f, "early", 1), 0);
        assert_int_equal(append_one(f, "gone", 2), 0);
        assert_ends_of(f, last);
}

static void test_bound_and_disk(void **state)
{
        DiskFixture *f = *state;
        uint32_t last = fill(f) + 1;
        _cleanup_free_ char *full = scratch_read(f->directory, HISTORY_FILE);
        bool happened = true;

        for (unsigned n = 0; happened; n++) {
                scratch_write(f->directory, HISTORY_FILE, full);
                fault_fs_begin();
                fault_fs_power_off_after(n);
                (void) append_one(f, "shop", last);
                happened = fault_fs_happened();
                fault_fs_end();
                assert_true(history_size(f) == strlen(full) ||
                            history_size(f) < HISTORY_SIZE_MAX / 2 + HISTORY_LINE_MAX);
                assert_int_equal(append_one(f, "shop", last), 0);
                assert_ends_of(f, last);
                assert_true(n < 50);
        }
        /* One that cannot be made smaller stays as it is. */
        scratch_write(f->directory, HISTORY_FILE, full);
        fault_fs_begin();
        fault_fs_fail(FS_WRITE, 1, ENOSPC);
        assert_int_equal(append_one(f, "shop", last), -ENOSPC);
        fault_fs_end();
        assert_int_equal(history_size(f), strlen(full));
}

static void test_not_ours(void **state)
{
        DiskFixture *f = *state;
        _cleanup_free_ char *path = NULL, *big = NULL;

        assert_true(asprintf(&path, "%s/" HISTORY_FILE, f->directory) > 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(append_one(f, "shop", 1), -ENOTTY);
        assert_int_equal(read_all(f).result, -ENOTTY);
        assert_int_equal(rmdir(path), 0);

        assert_int_equal(symlink("elsewhere", path), 0);
        assert_int_equal(append_one(f, "shop", 1), -ELOOP);
        assert_int_equal(unlink(path), 0);

        big = malloc(2 * HISTORY_SIZE_MAX + 1);
        assert_non_null(big);
        memset(big, '\n', 2 * HISTORY_SIZE_MAX + 1);
        scratch_write_bytes(f->directory, HISTORY_FILE, big, 2 * HISTORY_SIZE_MAX + 1);
        assert_int_equal(append_one(f, "shop", 1), -EFBIG);
        assert_int_equal(read_all(f).result, -EFBIG);
}

/* Who does not wait any more hears nothing. */
static void test_read_freed(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(history_freep) History *h = open_history(f);
        HistoryRead *read = NULL;
        HistoryFilter filter;
        Found found = {};

        assert_int_equal(append_one(f, "shop", 1), 0);
        history_filter_init(&filter);
        assert_int_equal(history_read(h, &filter, on_read, &found, &read), 0);
        history_read_free(read);
        h = history_free(h);
        assert_false(found.done);
}

/* ---- reading beside writing ---- */

/* On the disk queue until the other end of the pipe is closed. */
static int wait_for_end(void *work)
{
        const int *fd = work;
        char byte;

        return read(*fd, &byte, 1) == 0 ? 0 : -EIO;
}

static void nothing(void *work)
{
}

/* A record never waits for a reader, nor a reader for a record: they have a thread each. */
static void test_read_beside_records(void **state)
{
        DiskFixture *f = *state;
        int fds[2];

        assert_int_equal(append_one(f, "shop", 1), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(disk_queue_push(f->queue, wait_for_end, fds, nothing, NULL, NULL, NULL), 0);
        assert_history(f, "1", 0);
        assert_int_equal(disk_queue_pending(f->queue), 1);
        close(fds[1]);
        disk_drain(f);
        close(fds[0]);
}

/* Whole lines of one moment, whatever is appended or cut meanwhile. */
static void test_read_while_written(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(history_freep) History *h = open_history(f);
        uint32_t last = fill(f);

        for (uint32_t id = last + 1; id <= last + 50; id++) {
                _cleanup_(history_entry_done) HistoryEntry e = entry("shop", id);
                _cleanup_(history_read_freep) HistoryRead *read = NULL;
                HistoryFilter filter;
                Found found = {};
                char *end;

                history_filter_init(&filter);
                filter.limit = 1;
                assert_int_equal(history_append(h, &e, 1, NULL, NULL, NULL), 0);
                assert_int_equal(history_read(h, &filter, on_read, &found, &read), 0);
                while (!found.done)
                        assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
                assert_int_equal(found.result, 0);
                assert_int_equal(found.n_damaged, 0);
                assert_in_range(strtoul(found.text, &end, 10), last, id);
                assert_string_equal(end, "");
        }
        disk_drain(f);
}

/* Names that were not found are looked for in all of it, but nothing is parsed for that: damage there is not seen. */
static void test_enough_is_not_parsed(void **state)
{
        DiskFixture *f = *state;
        HistoryFilter filter;
        Found found;

        scratch_write(f->directory, HISTORY_FILE, "{\"id\":1,\"bot\":\"gone\",damaged\n{\"id\":2,damaged\n");
        assert_int_equal(append_one(f, "shop", 3), 0);
        history_filter_init(&filter);
        filter.limit = 1;
        assert_int_equal(strv_extend(&filter.bots, "shop"), 0);
        assert_int_equal(strv_extend(&filter.bots, "g?ne"), 0);
        assert_int_equal(strv_extend(&filter.bots, "nobody"), 0);
        filter.found = calloc(4, sizeof(bool));
        assert_non_null(filter.found);
        found = read_with(f, &filter);
        assert_string_equal(found.text, "3 without nobody");
        assert_int_equal(found.n_damaged, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, disk_set_up, disk_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_append_and_read),
                TEST(test_batches),
                TEST(test_filter),
                TEST(test_torn_line),
                TEST(test_damaged_lines),
                TEST(test_disk_fails),
                TEST(test_synced),
                TEST(test_power_cut),
                TEST(test_bound),
                TEST(test_not_ours),
                TEST(test_read_freed),
                TEST(test_bound_and_disk),
                TEST(test_read_beside_records),
                TEST(test_read_while_written),
                TEST(test_enough_is_not_parsed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
