/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "disk-fixture.h"
#include "io/spool-file.h"
#include "io/spool.h"
#include "io/store.h"
#include "scratch.h"

/* What the files of a spool hold may be anything: a checksum says that nothing fell over, not who wrote it. Only whole
 * updates go on to a worker. */

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

/* A file whose checksum is right, whatever is in it. */
static void write_lines(uint64_t number, const char *bytes, size_t size)
{
        _cleanup_close_ int directory = -EBADF;
        SpoolLines lines = { .bytes = (char *) bytes, .size = size };

        for (size_t i = 0; i < size; i++)
                lines.n += bytes[i] == '\n';
        assert_int_equal(store_open_spool_directory(store, "shop", &directory), 0);
        assert_int_equal(spool_file_write(directory, number, &lines), 0);
}

static void assert_refused(uint64_t number)
{
        _cleanup_free_ char *why = NULL;
        char name[32];
        Spool *sp = NULL;

        assert_int_equal(spool_open(&sp, store, "shop", &why), -EBADMSG);
        assert_null(sp);
        assert_non_null(why);
        snprintf(name, sizeof(name), "The file %08" PRIu64 " ", number);
        assert_non_null(strstr(why, name));
        assert_non_null(strstr(why, "in the spool of bot shop cannot be used: it is damaged. "));
        assert_non_null(strstr(why, "move the file away"));
}

/* It may have updates in it, so it is not taken for an empty one. */
static void test_no_directory(void **state)
{
        DiskFixture *f = *state;
        _cleanup_free_ char *why = NULL;
        Spool *sp = NULL;

        scratch_write(f->directory, "spool/shop", "");
        assert_int_equal(spool_open(&sp, store, "shop", &why), -ENOTDIR);
        assert_null(sp);
        assert_string_equal(why, "The spool of bot shop cannot be read: Not a directory. It may hold updates for its "
                                 "worker: look after spool/shop in the state directory, then run 'systemctl restart "
                                 "tgswitchd'.");
}

static unsigned n_descriptors(void)
{
        unsigned n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* A process has a thousand of them and not as many descriptors. */
static void test_rest(void **state)
{
        DiskFixture *f = *state;
        unsigned before = n_descriptors();
        _cleanup_(spool_freep) Spool *sp = NULL;
        _cleanup_free_ char *why = NULL;
        json_object *updates = json_tokener_parse("[{\"update_id\":1},{\"update_id\":2}]");

        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        assert_int_equal(n_descriptors(), before);
        assert_int_equal(disk_call(f, spool_append, sp, updates), 0);
        json_object_put(updates);
        assert_int_equal(n_descriptors(), before);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), 0);
        assert_int_equal(spool_count(sp), 2);
        assert_int_equal(n_descriptors(), before);
}

static void test_lines_that_are_no_updates(void **state)
{
        static const struct {
                const char *bytes;
                size_t size;
        } files[] = {
#define LINES(text) { text, sizeof(text) - 1 }
                LINES("\n"),
                LINES("[]\n"),
                LINES("{}\n"),
                LINES("{\"update_id\":1\n"),
                LINES("{\"update_id\":\"1\"}\n"),
                LINES("{\"update_id\":1.5}\n"),
                LINES("{\"update_id\":1}x\n"),
                LINES("{\"update_id\":1} {}\n"),
                LINES("{\"update_id\":1},{\"update_id\":2}\n"),
                LINES("{\"update_id\":1}\0{\n"),
                LINES("{\"update_id\":1}\n{\"update_id\":1}\n"),
                LINES("{\"update_id\":2}\n{\"update_id\":1}\n"),
                LINES("{\"update_id\":1}\n\n{\"update_id\":2}\n"),
#undef LINES
        };
        _cleanup_free_ char *why = NULL;
        Spool *sp = NULL;

        FOREACH_ELEMENT(file, files) {
                write_lines(1, file->bytes, file->size);
                assert_refused(1);
        }

        write_lines(1, "{\"update_id\":1}\n{\"update_id\":2}\n", 32);
        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        assert_int_equal(spool_count(sp), 2);
        spool_free(sp);
}

/* Such a file could never be handed over: a unit gets no more than 1 MiB of credentials (systemd.exec(5)). One update
 * that is as large by itself cannot be made smaller. */
static void test_file_with_too_many_updates(void **state)
{
        static const char update[] = "{\"update_id\":%u,\"text\":\"%0*u\"}\n";
        _cleanup_free_ char *bytes = malloc(2 * SPOOL_PART_MAX), *why = NULL;
        Spool *sp = NULL;
        int n, k;

        assert_non_null(bytes);
        n = sprintf(bytes, update, 1u, (int) SPOOL_PART_MAX, 0u);
        write_lines(1, bytes, (size_t) n);
        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        assert_int_equal(spool_count(sp), 1);
        spool_free(sp);

        k = sprintf(bytes + n, update, 2u, 1, 0u);
        write_lines(1, bytes, (size_t) n + (size_t) k);
        assert_refused(1);
}

/* 1 MiB of "{}" would be 400 MiB of memory while it is looked at. What is appended is held to the same, so that nothing
 * is written that is then taken for damaged. */
static void test_line_that_takes_too_much_memory(void **state)
{
        static const char head[] = "{\"update_id\":1,\"a\":[{}", tail[] = "]}";
        DiskFixture *f = *state;
        size_t n = 100 * 1024, size = sizeof(head) - 1 + 3 * n + sizeof(tail) - 1;
        _cleanup_free_ char *line = malloc(size + 2), *why = NULL;
        json_object *update, *updates = json_object_new_array();
        Spool *sp = NULL;
        char *p;

        assert_non_null(line);
        p = stpcpy(line, head);
        for (size_t i = 0; i < n; i++)
                p = stpcpy(p, ",{}");
        p = stpcpy(p, tail);
        update = json_tokener_parse(line);
        assert_non_null(update);
        json_object_array_add(updates, update);
        stpcpy(p, "\n");

        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        assert_int_equal(disk_call(f, spool_append, sp, updates), -EINVAL);
        assert_int_equal(spool_count(sp), 0);
        spool_free(sp);
        json_object_put(updates);

        write_lines(1, line, size + 1);
        assert_refused(1);
}

/* A file that is replaced while we run is seen when it is read again. */
static void test_file_changes_later(void **state)
{
        DiskFixture *f = *state;
        _cleanup_free_ char *why = NULL;
        Spool *sp = NULL;
        int fd = -EBADF;

        write_lines(1, "{\"update_id\":1}\n{\"update_id\":2}\n", 32);
        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        write_lines(1, "{\"update_id\":1,\"some\":\"thing\"}  \n", 33);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), -EBADMSG);
        /* as long, with another number of updates */
        write_lines(1, "{\"update_id\":1,\"some\":\"thing\"} \n", 32);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), -EBADMSG);
        write_lines(1, "{\"update_id\":1}\n{\"update_id\":2]\n", 32);
        assert_int_equal(disk_call(f, spool_load_part, sp, 0), -EBADMSG);
        assert_int_equal(spool_export(sp, &fd), -EBADMSG);
        assert_int_equal(fd, -EBADF);
        spool_free(sp);
}

/* What is written under a name that is not found again would be lost. */
static void test_last_number(void **state)
{
        DiskFixture *f = *state;
        json_object *updates = json_tokener_parse("[{\"update_id\":7}]");
        _cleanup_free_ char *why = NULL;
        Spool *sp = NULL;

        write_lines(SPOOL_NUMBER_MAX - 1, "{\"update_id\":1}\n", 16);
        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        assert_int_equal(disk_call(f, spool_append, sp, updates), 0);
        assert_int_equal(disk_call(f, spool_append, sp, updates), -EOVERFLOW);
        assert_int_equal(spool_count(sp), 2);
        spool_free(sp);

        assert_int_equal(spool_open(&sp, store, "shop", &why), 0);
        assert_int_equal(spool_count(sp), 2);
        spool_free(sp);
        json_object_put(updates);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_rest, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_lines_that_are_no_updates, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_file_with_too_many_updates, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_line_that_takes_too_much_memory, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_file_changes_later, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_last_number, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
