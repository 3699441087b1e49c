/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/local-files.h"
#include "scratch.h"

/* Who may read what a local server stores, out of files that are written here. */

typedef struct Fixture {
        char *root;
        LocalFiles files;
} Fixture;

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "# no user\n"
                             "\n"
                             "telegram-bot-api:x:994:994::/:/usr/sbin/nologin\n"
                             "alice:x:1000:1000::/home/alice:/bin/sh\n"
                             "bob:x:1001:1001::/home/bob:/bin/sh\n"
                             "carol:x:1002:996::/home/carol:/bin/sh\n";
static const char group[] = "root:x:0:\n"
                            "telegram-bot-api:x:994:\n"
                            "tgswitch-files:x:996:bob,ghost\n"
                            "other:x:1000:bob\n";

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        f->root = scratch_new();
        scratch_write(f->root, "passwd", passwd);
        scratch_write(f->root, "group", group);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        local_files_done(&f->files);
        scratch_remove(f->root);
        free(f);
        return 0;
}

static void look(Fixture *f, const char *user, const char *group_name)
{
        local_files_done(&f->files);
        assert_int_equal(local_files_read(f->root, f->root, user, group_name, &f->files), 0);
}

static void test_group_of_the_unit(void **state)
{
        static const struct {
                const char *user, *group, *found;
                gid_t gid;
        } rows[] = {
                { "telegram-bot-api", "tgswitch-files", "tgswitch-files", 996 },
                { "telegram-bot-api", "996", "tgswitch-files", 996 },
                { "telegram-bot-api", "", "telegram-bot-api", 994 },
                { "994", "", "telegram-bot-api", 994 },
                { "ldap", "", NULL, 0 },
                { "", "", NULL, 0 },
                { "root", "", NULL, 0 },
                { "telegram-bot-api", "ldap", NULL, 0 },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT(row, rows) {
                look(f, row->user, row->group);
                assert_true(streq_ptr(f->files.group, row->found));
                if (row->found)
                        assert_int_equal(f->files.gid, row->gid);
                assert_int_equal(f->files.n_users, 5);
        }
}

static void test_users(void **state)
{
        const LocalUser *user;
        Fixture *f = *state;

        look(f, "telegram-bot-api", "tgswitch-files");
        user = local_files_find_user(&f->files, "bob");
        assert_true(user && user->member && user->uid == 1001 && user->gid == 1001);
        assert_ptr_equal(local_files_find_user(&f->files, "1001"), user);
        user = local_files_find_user(&f->files, "alice");
        assert_true(user && !user->member);
        user = local_files_find_user(&f->files, "carol");
        assert_true(user && !user->member && user->gid == 996);
        assert_null(local_files_find_user(&f->files, "ghost"));
        assert_null(local_files_find_user(&f->files, ""));
        assert_null(local_files_find_user(&f->files, "996"));
}

/* Members may be spread over lines with one number, and a line may be longer than any buffer. */
static void test_large_group(void **state)
{
        _cleanup_free_ char *text = malloc(200000);
        Fixture *f = *state;
        char *end;

        assert_non_null(text);
        end = stpcpy(text, "tgswitch-files:x:996:");
        for (unsigned i = 0; i < 10000; i++)
                end += sprintf(end, "member%u,", i);
        (void) stpcpy(end, "bob\nagain:x:996:alice\n");
        scratch_write(f->root, "group", text);
        look(f, "", "tgswitch-files");
        assert_true(local_files_find_user(&f->files, "bob")->member);
        assert_true(local_files_find_user(&f->files, "alice")->member);
        assert_false(local_files_find_user(&f->files, "carol")->member);
}

static void test_directory(void **state)
{
        _cleanup_free_ char *path = NULL;
        Fixture *f = *state;

        assert_true(asprintf(&path, "%s/files", f->root) > 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(chmod(path, 0710), 0);

        assert_int_equal(local_files_read(f->root, path, "", "", &f->files), 0);
        assert_int_equal(f->files.error, 0);
        assert_int_equal(f->files.mode, S_IFDIR | 0710);

        local_files_done(&f->files);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(local_files_read(f->root, path, "", "", &f->files), 0);
        assert_int_equal(f->files.error, -ENOENT);
}

static void test_no_database(void **state)
{
        LocalFiles untouched = { .gid = 42 };

        assert_int_equal(local_files_read("/nonexistent", "/", "", "", &untouched), -ENOENT);
        assert_int_equal(untouched.gid, 42);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_group_of_the_unit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_users, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_large_group, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
                cmocka_unit_test(test_no_database),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
