/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/strv.h"
#include "disk-fixture.h"
#include "fault-fs.h"
#include "io/store.h"
#include "scratch.h"

/* L5: whatever the disk does, the old record is there or the new one, and a caller who was told that the new one is
 * there finds it. */

static Store *open_store(DiskFixture *f)
{
        Store *s = NULL;

        assert_int_equal(store_open(&s, f->queue, f->directory), 0);
        return s;
}

/* A record that tells by a number which one it is, and is as long as wanted. */
static int save(DiskFixture *f, Store *s, const char *bot, int64_t number, size_t length)
{
        _cleanup_(record_done) Record r;

        record_init(&r);
        r.bot_id = number;
        r.job.error = malloc(length + 1);
        assert_non_null(r.job.error);
        memset(r.job.error, 'x', length);
        r.job.error[length] = '\0';
        return disk_call(f, store_save, s, bot, &r);
}

/* The number of the record that is there; a negative errno where it cannot be read. */
static int64_t load(Store *s, const char *bot)
{
        _cleanup_(record_done) Record r;
        _cleanup_free_ char *why = NULL;
        int k;

        record_init(&r);
        k = store_load(s, bot, &r, &why);
        assert_true((k < 0 && k != -ENOENT) == (why != NULL));
        return k < 0 ? k : r.bot_id;
}

static off_t file_size(DiskFixture *f, const char *name)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;

        assert_true(asprintf(&path, "%s/%s", f->directory, name) > 0);
        return stat(path, &st) == 0 ? st.st_size : -1;
}

static void test_save_and_load(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);
        _cleanup_strv_ char **bots = NULL;

        assert_int_equal(load(s, "shop"), -ENOENT);
        for (int64_t i = 1; i < 20; i++) {
                assert_int_equal(save(f, s, "shop", i, 10), 0);
                assert_int_equal(load(s, "shop"), i);
        }
        assert_int_equal(save(f, s, "a1", 77, 0), 0);
        assert_int_equal(save(f, s, "a", 78, 0), 0);
        assert_int_equal(file_size(f, "bots/shop.state"), STORE_STEP);
        assert_int_equal(file_size(f, "bots/shop.spare"), STORE_STEP);
        scratch_write(f->directory, "bots/README", "not ours");
        scratch_write(f->directory, "bots/Shop.state", "not ours");
        assert_int_equal(store_list(s, &bots), 0);
        assert_true(strv_equal(bots, (char *[]){ (char *) "a", (char *) "a1", (char *) "shop", NULL }));

        s = store_free(s);
        s = open_store(f);
        assert_int_equal(load(s, "shop"), 19);
}

/* Saves that are queued together land in their order, and a store that is freed meanwhile changes nothing. */
static void test_order(void **state)
{
        DiskFixture *f = *state;
        Store *s = open_store(f);

        for (int64_t i = 1; i <= 50; i++) {
                Record r = { .bot_id = i };

                assert_int_equal(store_save(s, "shop", &r, NULL, NULL, NULL), 0);
        }
        store_free(s);
        disk_drain(f);
        s = open_store(f);
        assert_int_equal(load(s, "shop"), 50);
        store_free(s);
}

static void test_sizes(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);

        assert_int_equal(save(f, s, "shop", 1, 10), 0);
        assert_int_equal(save(f, s, "shop", 2, RECORD_STRING_MAX), 0);
        assert_int_equal(load(s, "shop"), 2);
        assert_int_equal(file_size(f, "bots/shop.state"), 2 * STORE_STEP);
        assert_int_equal(file_size(f, "bots/shop.spare"), 2 * STORE_STEP);
        /* What the larger one left behind is padding again. */
        assert_int_equal(save(f, s, "shop", 3, 10), 0);
        assert_int_equal(save(f, s, "shop", 4, 11), 0);
        assert_int_equal(load(s, "shop"), 4);
        assert_int_equal(file_size(f, "bots/shop.state"), 2 * STORE_STEP);
        assert_int_equal(save(f, s, "shop", 5, RECORD_STRING_MAX + 1), -E2BIG);
        assert_int_equal(load(s, "shop"), 4);
}

static void test_one_owner(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);
        Store *second = NULL;

        assert_non_null(s);
        assert_int_equal(store_open(&second, f->queue, f->directory), -EBUSY);
        assert_null(second);
}

static void test_damage(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);
        _cleanup_free_ char *path = NULL;
        _cleanup_strv_ char **bots = NULL;

        assert_int_equal(save(f, s, "shop", 1, 10), 0);
        assert_int_equal(save(f, s, "news", 1, 10), 0);

        /* A record of another bot, or none at all where there was one. */
        assert_true(asprintf(&path, "%s/bots/shop.state", f->directory) > 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(load(s, "shop"), -EBADMSG);
        assert_int_equal(store_list(s, &bots), 0);
        assert_true(strv_contains(bots, "shop"));
        assert_int_equal(symlink("news.state", path), 0);
        assert_int_equal(load(s, "shop"), -EBADMSG);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(load(s, "shop"), -EBADMSG);

        scratch_write(f->directory, "bots/news.state", "");
        assert_int_equal(load(s, "news"), -EBADMSG);
        scratch_write(f->directory, "bots/news.state", "tgswitch-record 999 0 00000000\n");
        assert_int_equal(load(s, "news"), -EPROTONOSUPPORT);
}

/* The record of "shop" cannot be used, for this reason: the sentence names the file and tells the way out. */
static void assert_said(const DiskFixture *f, Store *s, int error, const char *reason)
{
        _cleanup_free_ char *why = NULL, *said = NULL, *begin = NULL;
        const char *rest;
        Record r;

        record_init(&r);
        assert_int_equal(store_load(s, "shop", &r, &why), error);
        assert_non_null(why);
        assert_true(asprintf(&begin, "The record %s/bots/shop.state cannot be used: ", f->directory) > 0);
        rest = startswith(why, begin);
        assert_non_null(rest);
        said = strndup(rest, strcspn(rest, "."));
        assert_non_null(said);
        assert_string_equal(said, reason);
        assert_string_equal(rest + strlen(said),
                            ". Nothing is sent for this bot. Put a good copy there, or, where it is certain at which "
                            "server the bot is logged in and that no fallback window is open, move shop.state and "
                            "shop.spare away and set InitialSeat=. Then run 'systemctl restart tgswitchd'.");
}

static void test_damage_is_told(void **state)
{
        static const struct {
                const char *bytes;
                int error;
                const char *reason;
        } rows[] = {
                { "", -EBADMSG, "it does not begin like a record of tgswitchd" },
                { "tgswitch-record 3\n", -EBADMSG, "its first line is damaged" },
                { "tgswitch-record 3 2 00000000", -EBADMSG, "its first line is damaged" },
                { "tgswitch-record 999 2 00000000\n{}\n", -EPROTONOSUPPORT,
                  "it was written by another version of tgswitchd" },
                { "tgswitch-record 3 2 00000000\n{}\n", -EBADMSG, "its content does not match its checksum" },
        };
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);
        _cleanup_free_ char *path = NULL;

        assert_int_equal(save(f, s, "shop", 1, 10), 0);
        FOREACH_ELEMENT(row, rows) {
                scratch_write(f->directory, "bots/shop.state", row->bytes);
                assert_said(f, s, row->error, row->reason);
        }
        assert_true(asprintf(&path, "%s/bots/shop.state", f->directory) > 0);
        assert_int_equal(unlink(path), 0);
        assert_said(f, s, -EBADMSG, "it is gone, though there was one");
        assert_int_equal(symlink("shop.spare", path), 0);
        assert_said(f, s, -EBADMSG, "it is no file that tgswitchd has written");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_said(f, s, -EBADMSG, "it is no file that tgswitchd has written");
}

static void test_forget(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);

        assert_int_equal(save(f, s, "shop", 1, 10), 0);
        scratch_write(f->directory, "spool/shop/00000001", "whatever");
        assert_int_equal(store_forget(s, "shop"), 0);
        assert_int_equal(store_forget(s, "never"), 0);
        disk_drain(f);
        assert_int_equal(load(s, "shop"), -ENOENT);
        assert_int_equal(file_size(f, "spool/shop"), -1);
        assert_int_equal(file_size(f, "bots/shop.spare"), -1);
}

static void test_job_ids(void **state)
{
        DiskFixture *f = *state;
        Store *s = open_store(f);
        uint32_t id, last = 0;

        fault_fs_begin();
        for (unsigned i = 0; i < 5 * STORE_JOB_IDS / 2; i++) {
                assert_int_equal(store_next_job_id(s, &id), 0);
                assert_int_equal(id, last + 1);
                assert_int_equal(fault_fs_n_unsynced(), 0);
                last = id;
        }
        fault_fs_end();
        /* As after a crash: what was reserved and not used is skipped, nothing is given twice. */
        store_free(s);
        s = open_store(f);
        assert_int_equal(store_next_job_id(s, &id), 0);
        assert_int_equal(id, 3 * STORE_JOB_IDS + 1);
        store_free(s);

        scratch_write(f->directory, "next-job", "tgswitch-next-job 1 4294967290\n");
        s = open_store(f);
        assert_int_equal(store_next_job_id(s, &id), -ERANGE);
        store_free(s);
        scratch_write(f->directory, "next-job", "tgswitch-next-job 1 12 \n");
        s = open_store(f);
        assert_int_equal(store_next_job_id(s, &id), -EBADMSG);
        store_free(s);
}

static void test_free_bytes(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);
        uint64_t bytes = 0;

        assert_int_equal(store_free_bytes(s, &bytes), 0);
        assert_true(bytes > 0);
}

/* After the first save the next ones need no room: here no file can grow, and no block is to be had. */
static void test_full_disk(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(store_freep) Store *s = open_store(f);
        struct rlimit before, none;

        /* Not killed by the signal, but told EFBIG. */
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(save(f, s, "shop", 1, 10), 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        none = (struct rlimit){ .rlim_cur = STORE_STEP, .rlim_max = before.rlim_max };
        fault_fs_begin();
        fault_fs_fail(FS_FALLOCATE, 1, ENOSPC);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        for (int64_t i = 2; i < 10; i++)
                assert_int_equal(save(f, s, "shop", i, 12000), 0);
        assert_false(fault_fs_happened());
        /* A record that needs more is refused while there is still the old one. */
        assert_int_equal(save(f, s, "shop", 10, RECORD_STRING_MAX), -ENOSPC);
        assert_int_equal(load(s, "shop"), 9);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        fault_fs_end();
        assert_int_equal(save(f, s, "shop", 11, RECORD_STRING_MAX), 0);
        assert_int_equal(load(s, "shop"), 11);
}

/* Each call that a save makes fails once: the caller hears of it and the old record is there, or the save has done
 * without. Afterwards all goes on. */
static void test_each_failure(void **state)
{
        DiskFixture *f = *state;
        Store *s = open_store(f);

        assert_int_equal(save(f, s, "shop", 1, 10), 0);
        store_free(s);
        for (FsCall call = 0; call < FS_CALL_MAX; call++)
                for (unsigned n = 1; n < 20; n++) {
                        int64_t before, number = 1000 + call * 20 + n;
                        bool happened;
                        int r;

                        s = open_store(f);
                        before = load(s, "shop");
                        fault_fs_begin();
                        fault_fs_fail(call, n, EIO);
                        r = save(f, s, "shop", number, n % 2 ? 10 : RECORD_STRING_MAX);
                        happened = fault_fs_happened();
                        fault_fs_end();
                        assert_true(r == 0 || (r == -EIO && happened));
                        if (load(s, "shop") != (r < 0 ? before : number))
                                fail_msg("%s %u: save returned %d, and there is %lld", fs_call_to_string(call), n, r,
                                         (long long) load(s, "shop"));
                        store_free(s);
                        if (!happened)
                                break;
                }
}

/* The first save, after which there was nothing before. */
static void test_each_failure_of_the_first(void **state)
{
        DiskFixture *f = *state;

        for (FsCall call = 0; call < FS_CALL_MAX; call++)
                for (unsigned n = 1; n < 10; n++) {
                        _cleanup_(store_freep) Store *s = open_store(f);
                        bool happened;
                        int r;

                        fault_fs_begin();
                        fault_fs_fail(call, n, EIO);
                        r = save(f, s, "shop", 5, 10);
                        happened = fault_fs_happened();
                        fault_fs_end();
                        assert_true(r == 0 || (r == -EIO && happened));
                        /* If it was renamed and then the directory not synced, it is there for now. */
                        assert_true(load(s, "shop") == 5 || (r < 0 && load(s, "shop") == -ENOENT));
                        assert_int_equal(save(f, s, "shop", 6, 10), 0);
                        assert_int_equal(load(s, "shop"), 6);
                        assert_int_equal(store_forget(s, "shop"), 0);
                        disk_drain(f);
                        if (!happened)
                                break;
                }
}

/* The power goes at each call of a save, be it the first or a later one. What was not synced is lost. */
static void check_power_cut(DiskFixture *f, bool first, bool exchange)
{
        bool happened = true;

        for (unsigned n = 0; happened; n++) {
                Store *s = open_store(f);
                int64_t found;
                int r;

                assert_true(n < 100);
                if (!first) {
                        assert_int_equal(save(f, s, "shop", 1, 10), 0);
                        assert_int_equal(save(f, s, "shop", 2, n % 2 ? 10 : RECORD_STRING_MAX), 0);
                }
                fault_fs_begin();
                if (!exchange)
                        fault_fs_no_exchange();
                fault_fs_power_off_after(n);
                r = save(f, s, "shop", 3, 20);
                happened = fault_fs_happened();
                /* Told to be on disk: then nothing of it waits for a sync. */
                if (r == 0 && !happened)
                        assert_int_equal(fault_fs_n_unsynced(), 0);
                fault_fs_end();
                store_free(s);

                s = open_store(f);
                found = load(s, "shop");
                if (r == 0)
                        assert_int_equal(found, 3);
                else if (found != 3 && found != (first ? -ENOENT : 2))
                        fail_msg("power off after %u calls: %lld", n, (long long) found);
                assert_int_equal(save(f, s, "shop", 4, 20), 0);
                assert_int_equal(load(s, "shop"), 4);
                assert_int_equal(store_forget(s, "shop"), 0);
                disk_drain(f);
                store_free(s);
        }
}

static void test_power_cut(void **state)
{
        check_power_cut(*state, false, true);
        check_power_cut(*state, true, true);
}

static void test_without_exchange(void **state)
{
        check_power_cut(*state, false, false);
        check_power_cut(*state, true, false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_save_and_load, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_order, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_sizes, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_one_owner, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_damage, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_damage_is_told, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_forget, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_job_ids, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_free_bytes, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_full_disk, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_each_failure, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_each_failure_of_the_first, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_power_cut, disk_set_up, disk_tear_down),
                cmocka_unit_test_setup_teardown(test_without_exchange, disk_set_up, disk_tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
