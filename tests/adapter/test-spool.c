/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "disk-fixture.h"
#include "fault-fs.h"
#include "io/spool.h"
#include "io/store.h"
#include "scratch.h"

/* L6: an update that was taken from a server is there until somebody took it from us, byte for byte. */

static Store *store;

static int set_up(void **state)
{
        DiskFixture *f;

        disk_set_up(state);
        f = *state;
        assert_int_equal(store_open(&store, f->queue, f->directory), 0);
        return 0;
}

static int tear_down(void **state)
{
        store = store_free(store);
        return disk_tear_down(state);
}

static Spool *open_spool(void)
{
        _cleanup_free_ char *why = NULL;
        Spool *sp = NULL;

        if (spool_open(&sp, store, "shop", &why) < 0)
                fail_msg("%s", why);
        return sp;
}

/* Updates with the ids from first to last, each about `size` bytes long. */
static json_object *make_updates(int64_t first, int64_t last, size_t size)
{
        json_object *array = json_object_new_array();
        _cleanup_free_ char *text = malloc(size + 1);

        assert_non_null(text);
        memset(text, 'x', size);
        text[size] = '\0';
        for (int64_t id = first; id <= last; id++) {
                json_object *update = json_object_new_object();

                json_object_object_add(update, "update_id", json_object_new_int64(id));
                json_object_object_add(update, "text", json_object_new_string(text));
                json_object_array_add(array, update);
        }
        return array;
}

static int append(DiskFixture *f, Spool *sp, int64_t first, int64_t last, size_t size)
{
        json_object *updates = make_updates(first, last, size);
        int r = disk_call(f, spool_append, sp, updates);

        json_object_put(updates);
        return r;
}

/* Checks that an array holds the ids from first to last, in order. */
static void assert_ids(const char *text, int64_t first, int64_t last)
{
        json_object *array = json_tokener_parse(text), *id;

        assert_true(json_object_is_type(array, json_type_array));
        assert_int_equal(json_object_array_length(array), last - first + 1);
        for (int64_t i = first; i <= last; i++) {
                assert_true(json_object_object_get_ex(json_object_array_get_idx(array, (size_t) (i - first)),
                                                      "update_id", &id));
                assert_int_equal(json_object_get_int64(id), i);
        }
        json_object_put(array);
}

static char *export(Spool *sp)
{
        char *text = calloc(1, 4u << 20);
        ssize_t n;
        int fd;

        assert_non_null(text);
        assert_int_equal(spool_export(sp, &fd), 0);
        n = read(fd, text, (4u << 20) - 1);
        assert_true(n >= 2);
        /* Sealed: nobody who gets it can change it for the others. */
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(errno, EPERM);
        close(fd);
        return text;
}

/* Takes everything, part by part, and checks that it is the ids from first to last. */
static unsigned hand_over(DiskFixture *f, Spool *sp, int64_t first, int64_t last)
{
        unsigned n_parts = 0;
        uint64_t n;
        size_t size;

        while (spool_count(sp) > 0) {
                const char *text;

                assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
                text = spool_part(sp, &size, &n);
                assert_non_null(text);
                assert_int_equal(strlen(text), size);
                assert_true(size <= SPOOL_PART_MAX || n == 1);
                assert_ids(text, first, first + (int64_t) n - 1);
                first += (int64_t) n;
                n_parts++;
                assert_int_equal(disk_call(f, spool_drop_part, sp, n), 0);
                assert_int_equal(spool_n_dropped(sp), n);
        }
        assert_int_equal(first, last + 1);
        return n_parts;
}

static void test_hand_over(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        uint64_t n = 7;
        size_t size;

        assert_int_equal(spool_count(sp), 0);
        assert_string_equal(spool_part(sp, &size, &n), "[]");
        assert_int_equal(n, 0);
        assert_int_equal(append(f, sp, 1, 0, 0), 0);
        assert_int_equal(append(f, sp, 1, 100, 50), 0);
        assert_null(spool_part(sp, &size, &n));
        assert_int_equal(append(f, sp, 101, 150, 20000), 0); /* 1 MB: three files */
        assert_int_equal(append(f, sp, 151, 151, SPOOL_PART_MAX + 5), 0);
        assert_int_equal(append(f, sp, 152, 160, 10), 0);
        assert_int_equal(spool_count(sp), 160);

        /* All of it is found again by the next process. */
        spool_free(sp);
        sp = open_spool();
        assert_int_equal(spool_count(sp), 160);
        assert_true(hand_over(f, sp, 1, 160) >= 4);
        assert_string_equal(spool_part(sp, &size, &n), "[]");
        spool_free(sp);
        sp = open_spool();
        assert_int_equal(spool_count(sp), 0);
}

/* Small files are handed over together, up to the bound and not a byte more. */
static void test_part_size(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        /* So that one update with its comma is a quarter of a part. */
        const size_t quarter = SPOOL_PART_MAX / 4 - strlen("{'update_id':1,'text':''},");
        size_t size;
        uint64_t n;

        /* The fourth would fit but for the bracket. */
        for (int64_t id = 1; id <= 8; id++)
                assert_int_equal(append(f, sp, id, id, quarter), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_non_null(spool_part(sp, &size, &n));
        assert_int_equal(n, 3);
        assert_int_equal(size, SPOOL_PART_MAX / 4 * 3 + 1);
        assert_int_equal(disk_call(f, spool_clear, sp), 0);
        for (int64_t id = 1; id <= 8; id++)
                assert_int_equal(append(f, sp, id, id, quarter - 1), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_non_null(spool_part(sp, &size, &n));
        assert_int_equal(n, 4);
        assert_true(size <= SPOOL_PART_MAX);
}

static void assert_part(Spool *sp, int64_t first, int64_t last)
{
        uint64_t n;
        size_t size;
        const char *text = spool_part(sp, &size, &n);

        assert_non_null(text);
        assert_int_equal(n, last - first + 1);
        assert_int_equal(strlen(text), size);
        assert_ids(text, first, last);
}

/* The part that was served is the part that is loaded again, and the one that is dropped: whatever was put behind it
 * since, and whoever was killed in between. */
static void test_served_part_stays(void **state)
{
        DiskFixture *f = *state;
        Spool *sp = open_spool();
        uint64_t n;
        size_t size;

        assert_int_equal(disk_call(f, spool_drop_part, sp, 5), 0);
        assert_int_equal(spool_n_dropped(sp), 0);
        assert_int_equal(append(f, sp, 1, 3, 10), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_part(sp, 1, 3);
        assert_int_equal(append(f, sp, 4, 9, 10), 0);
        assert_int_equal(append(f, sp, 10, 10, 10), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 3), 0);
        assert_part(sp, 1, 3);
        spool_free(sp);

        sp = open_spool();
        assert_int_equal(disk_call(f, spool_load_part, sp, 3), 0);
        assert_part(sp, 1, 3);
        assert_int_equal(disk_call(f, spool_load_part, sp, 9), 0);
        assert_part(sp, 1, 9);
        /* Dropped is what is asked for, not what is loaded, and what is loaded went with it. */
        assert_int_equal(disk_call(f, spool_drop_part, sp, 3), 0);
        assert_int_equal(spool_n_dropped(sp), 3);
        assert_null(spool_part(sp, &size, &n));
        assert_int_equal(spool_count(sp), 7);
        assert_int_equal(disk_call(f, spool_load_part, sp, 6), 0);
        assert_part(sp, 4, 9);
        spool_free(sp);

        /* Without the part in memory, too. */
        sp = open_spool();
        assert_int_equal(disk_call(f, spool_drop_part, sp, 6), 0);
        hand_over(f, sp, 10, 10);
        spool_free(sp);
}

/* A number that no whole files make was of other files: the part is chosen anew. Never is more dropped than that. */
static void test_served_number_without_part(void **state)
{
        static const uint64_t numbers[] = { 1, 2, 4, 7, 9, UINT64_MAX };
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();

        assert_int_equal(append(f, sp, 1, 3, 10), 0);
        assert_int_equal(append(f, sp, 4, 8, 10), 0);
        FOREACH_ELEMENT(number, numbers) {
                assert_int_equal(disk_call(f, spool_load_part, sp, *number), 0);
                assert_part(sp, 1, 8);
        }
        assert_int_equal(disk_call(f, spool_drop_part, sp, 2), 0);
        assert_int_equal(spool_count(sp), 8);
        assert_part(sp, 1, 8);
        assert_int_equal(disk_call(f, spool_drop_part, sp, 7), 0);
        assert_int_equal(spool_n_dropped(sp), 3);
        hand_over(f, sp, 4, 8);
}

/* As many as a part never has are not handed over at once, even if whole files make that number. */
static void test_served_number_too_large(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        size_t size;
        uint64_t n;

        for (int64_t id = 1; id <= 4; id++)
                assert_int_equal(append(f, sp, id, id, SPOOL_PART_MAX / 2 - 1000), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 4), 0);
        assert_non_null(spool_part(sp, &size, &n));
        assert_int_equal(n, 2);
        assert_true(size <= SPOOL_PART_MAX);
}

/* What is appended is part of the choice, unless a part was served: no smaller part than there could be. */
static void test_append_unloads(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        uint64_t n;
        size_t size;

        assert_int_equal(append(f, sp, 1, 3, 10), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_int_equal(append(f, sp, 4, 3, 10), 0);
        assert_part(sp, 1, 3);
        assert_int_equal(append(f, sp, 4, 9, 10), 0);
        assert_null(spool_part(sp, &size, &n));
        assert_int_equal(spool_count(sp), 9);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_part(sp, 1, 9);
        hand_over(f, sp, 1, 9);
}

/* An append that fails leaves the files as they were; the part is loaded anew all the same. */
static void test_append_fails_unloads(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();

        assert_int_equal(append(f, sp, 1, 3, 10), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        fault_fs_begin();
        fault_fs_fail(FS_WRITE, 1, ENOSPC);
        assert_int_equal(append(f, sp, 4, 9, 10), -ENOSPC);
        fault_fs_end();
        assert_int_equal(disk_call(f, spool_load_part, sp, 3), 0);
        assert_part(sp, 1, 3);
        hand_over(f, sp, 1, 3);
}

/* What Telegram sends comes out as it went in. */
static void test_content(void **state)
{
        static const char given[] =
                        "[{\"update_id\":9007199254740993,\"big\":9223372036854775807,\"least\":-9223372036854775808,"
                        "\"url\":\"https://t.me/x\",\"text\":\"line\\nnext \\u0001 \\\" \\\\ ä \\ud83d\\ude00\","
                        "\"deep\":[[[[[[[[[[[[[[[[[[[[{\"a\":{\"b\":[null,true,1.5]}}]]]]]]]]]]]]]]]]]]]]}]";
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        _cleanup_free_ char *exported = NULL, *file = NULL;
        json_object *updates = json_tokener_parse(given), *back;
        size_t size;
        uint64_t n;

        assert_non_null(updates);
        assert_int_equal(disk_call(f, spool_append, sp, updates), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        back = json_tokener_parse(spool_part(sp, &size, &n));
        assert_true(json_object_equal(updates, back));
        exported = export(sp);
        assert_string_equal(exported, spool_part(sp, &size, &n));
        file = scratch_read(f->directory, "spool/shop/00000001");
        assert_non_null(strstr(file, "https://t.me/x"));
        json_object_put(updates);
        json_object_put(back);
}

static void test_refused(void **state)
{
        static const char *const rows[] = {
                "{}",
                "[1]",
                "[{}]",
                "[{\"update_id\":\"1\"}]",
                "[{\"update_id\":2},{\"update_id\":2}]",
                "[{\"update_id\":2},{\"update_id\":1}]",
                "[null]",
                "\"x\"",
        };
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();

        FOREACH_ELEMENT(row, rows) {
                json_object *updates = json_tokener_parse(*row);

                assert_int_equal(disk_call(f, spool_append, sp, updates), -EINVAL);
                json_object_put(updates);
        }
        assert_int_equal(spool_count(sp), 0);
}

static void test_discard(void **state)
{
        DiskFixture *f = *state;
        Spool *sp = open_spool();

        /* From another server, with ids above all others: they stay. */
        assert_int_equal(append(f, sp, 5000, 5010, 10), 0);
        assert_int_equal(append(f, sp, 100, 199, 10), 0);
        assert_int_equal(append(f, sp, 200, 299, 10), 0);
        assert_int_equal(append(f, sp, 300, 300, 10), 0);
        assert_int_equal(disk_call(f, spool_discard_from, sp, 301), 0);
        assert_int_equal(spool_count(sp), 212);
        assert_int_equal(disk_call(f, spool_discard_from, sp, 250), 0);
        assert_int_equal(spool_count(sp), 161);
        spool_free(sp);
        sp = open_spool();
        assert_int_equal(spool_count(sp), 161);
        assert_int_equal(disk_call(f, spool_discard_from, sp, 100), 0);
        assert_int_equal(spool_count(sp), 11);
        hand_over(f, sp, 5000, 5010);
        assert_int_equal(disk_call(f, spool_discard_from, sp, 1), 0);
        spool_free(sp);
}

/* What is loaded is not handed over if something in it was discarded. */
static void test_discard_loaded(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        uint64_t n;
        size_t size;

        assert_int_equal(append(f, sp, 1, 10, 10), 0);
        assert_int_equal(append(f, sp, 11, 20, 10), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_int_equal(disk_call(f, spool_discard_from, sp, 15), 0);
        assert_null(spool_part(sp, &size, &n));
        /* The part of 20 is no more, and so it is not the next one either. */
        assert_int_equal(disk_call(f, spool_load_part, sp, 20), 0);
        assert_ids(spool_part(sp, &size, &n), 1, 14);
        assert_int_equal(disk_call(f, spool_discard_from, sp, 5), 0);
        hand_over(f, sp, 1, 4);
}

static void test_clear_and_export(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();
        char *text = export(sp);

        assert_string_equal(text, "[]");
        free(text);
        assert_int_equal(append(f, sp, 1, 60, 20000), 0);
        text = export(sp);
        assert_ids(text, 1, 60);
        free(text);
        assert_int_equal(disk_call(f, spool_clear, sp), 0);
        assert_int_equal(spool_count(sp), 0);
        text = export(sp);
        assert_string_equal(text, "[]");
        free(text);
}

static void test_damage(void **state)
{
        DiskFixture *f = *state;
        Spool *sp = open_spool();
        _cleanup_free_ char *file = NULL;
        size_t size;

        scratch_write(f->directory, "spool/shop/00000009.tmp", "half");
        scratch_write(f->directory, "spool/shop/1", "not ours");
        assert_int_equal(append(f, sp, 1, 3, 10), 0);
        spool_free(sp);
        sp = open_spool();
        assert_int_equal(spool_count(sp), 3);
        assert_null(scratch_read(f->directory, "spool/shop/00000009.tmp"));
        spool_free(sp);

        file = scratch_read(f->directory, "spool/shop/00000001");
        size = strlen(file);
        for (size_t i = 0; i < size; i++) {
                char *why = NULL;

                file[i] = (char) (file[i] ^ 1);
                scratch_write_bytes(f->directory, "spool/shop/00000001", file, size);
                file[i] = (char) (file[i] ^ 1);
                assert_int_equal(spool_open(&sp, store, "shop", &why), -EBADMSG);
                assert_non_null(strstr(why, "00000001"));
                assert_non_null(strstr(why, "shop"));
                free(why);
                scratch_write_bytes(f->directory, "spool/shop/00000001", file, i);
                assert_int_equal(spool_open(&sp, store, "shop", &why), -EBADMSG);
                free(why);
        }
}

/* Calls in flight when the spool is freed are finished, and bother nobody. */
static void test_free_in_flight(void **state)
{
        DiskFixture *f = *state;
        Spool *sp = open_spool();
        json_object *updates = make_updates(1, 10, 10);

        assert_int_equal(spool_append(sp, updates, NULL, NULL, NULL), 0);
        assert_int_equal(spool_load_part(sp, 0, NULL, NULL, NULL), 0);
        spool_free(sp);
        json_object_put(updates);
        disk_drain(f);
        sp = open_spool();
        hand_over(f, sp, 1, 10);
        spool_free(sp);
}

/* Each call that an append makes fails once: all of it is there, or nothing, also for the next process. */
static void test_append_fails(void **state)
{
        DiskFixture *f = *state;

        for (FsCall call = 0; call < FS_CALL_MAX; call++)
                for (unsigned n = 1; n < 200; n++) {
                        Spool *sp = open_spool();
                        bool happened;
                        int r;

                        assert_int_equal(append(f, sp, 1, 2, 10), 0);
                        fault_fs_begin();
                        fault_fs_fail(call, n, EIO);
                        r = append(f, sp, 3, 40, 40000);
                        happened = fault_fs_happened();
                        if (r == 0)
                                assert_int_equal(fault_fs_n_unsynced(), 0);
                        fault_fs_end();
                        assert_int_equal(r, happened ? -EIO : 0);
                        assert_int_equal(spool_count(sp), r < 0 ? 2 : 40);
                        spool_free(sp);
                        sp = open_spool();
                        assert_int_equal(spool_count(sp), r < 0 ? 2 : 40);
                        /* And what comes next stands where it should. */
                        assert_int_equal(append(f, sp, r < 0 ? 3 : 41, 41, 10), 0);
                        hand_over(f, sp, 1, 41);
                        spool_free(sp);
                        if (!happened)
                                break;
                }
}

/* The power goes at each call: what was there before is there, in order, and of the new ones the first few at most. */
static void test_power_cut(void **state)
{
        DiskFixture *f = *state;
        bool happened = true;

        for (unsigned n = 0; happened; n++) {
                Spool *sp = open_spool();
                int r;

                assert_true(n < 500);
                assert_int_equal(append(f, sp, 1, 2, 10), 0);
                fault_fs_begin();
                fault_fs_power_off_after(n);
                r = append(f, sp, 3, 40, 40000);
                happened = fault_fs_happened();
                fault_fs_end();
                spool_free(sp);

                sp = open_spool();
                assert_true(r < 0 ? spool_count(sp) >= 2 : spool_count(sp) == 40);
                /* As the manager does it: the server has all from 3 on, since nothing was confirmed. */
                assert_int_equal(disk_call(f, spool_discard_from, sp, 3), 0);
                assert_int_equal(spool_count(sp), 2);
                hand_over(f, sp, 1, 2);
                spool_free(sp);
        }
}

/* A part whose removal fails half-way is not handed over as if nothing had happened, nor is anything lost. */
static void test_drop_fails(void **state)
{
        DiskFixture *f = *state;
        _cleanup_(spool_freep) Spool *sp = open_spool();

        for (int64_t id = 1; id <= 6; id++)
                assert_int_equal(append(f, sp, id, id, 10), 0);
        assert_int_equal(append(f, sp, 7, 9, 10), 0);
        assert_int_equal(disk_call(f, spool_load_part, sp, 6), 0);
        fault_fs_begin();
        fault_fs_fail(FS_UNLINK, 4, EROFS);
        assert_int_equal(disk_call(f, spool_drop_part, sp, 6), -EROFS);
        fault_fs_end();
        assert_int_equal(spool_n_dropped(sp), 3);
        assert_int_equal(spool_count(sp), 6);
        /* The rest of the part is what a worker gets meanwhile, and what the next try drops. */
        assert_int_equal(disk_call(f, spool_load_part, sp, 3), 0);
        assert_part(sp, 4, 6);
        fault_fs_begin();
        fault_fs_fail(FS_UNLINK, 1, EROFS);
        assert_int_equal(disk_call(f, spool_drop_part, sp, 3), -EROFS);
        fault_fs_end();
        assert_int_equal(spool_n_dropped(sp), 0);
        assert_part(sp, 4, 6);
        assert_int_equal(disk_call(f, spool_drop_part, sp, 3), 0);
        hand_over(f, sp, 7, 9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_hand_over, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_part_size, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_served_part_stays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_served_number_without_part, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_served_number_too_large, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_append_unloads, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_append_fails_unloads, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_content, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_discard, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_discard_loaded, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_clear_and_export, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_free_in_flight, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_append_fails, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_power_cut, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_drop_fails, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
