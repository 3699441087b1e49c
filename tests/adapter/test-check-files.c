/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/strv.h"
#include "manager/check-files.h"

/* What is said about workers of a server in --local mode is what systemd does with such units: tests/host/scenarios has
 * the same on a host. */

#define DIRECTORY "/var/lib/telegram-bot-api"
#define LIST(...) ((char *[]){ __VA_ARGS__, NULL })
#define S(text)   ((char *) (text))

static LocalUser users[] = {
        { S("root"), 0, 0, false },     { S("telegram-bot-api"), 994, 994, false }, { S("alice"), 1000, 1000, false },
        { S("bob"), 1001, 1001, true }, { S("carol"), 1002, 996, false },
};

static FilesFacts facts_of_the_shipped_unit(void)
{
        return (FilesFacts){
                .directory = S(DIRECTORY),
                .server_unit = S("telegram-bot-api.service"),
                .server_user = S("telegram-bot-api"),
                .server_runs = true,
                .files = {
                        .mode = S_IFDIR | 0710,
                        .group = S("tgswitch-files"),
                        .gid = 996,
                        .users = users,
                        .n_users = ELEMENTSOF(users),
                },
        };
}

/* A service without any setting, which runs as root. */
static UnitInfo plain_unit(const char *name)
{
        return (UnitInfo){
                .name = S(name),
                .load_state = UNIT_LOAD_LOADED,
                .sandbox = {
                        .user = S(""),
                        .group = S(""),
                        .capabilities = UINT64_MAX,
                        .root_directory = S(""),
                        .root_image = S(""),
                        .protect_home = S("no"),
                },
        };
}

static void assert_said(CheckList *l, CheckVerdict verdict, const char *words)
{
        if (l->n != 1)
                fail_msg("%zu verdicts; expected one: %s", l->n, words);
        if (l->items[0].verdict != verdict || !strstr(l->items[0].explanation, words))
                fail_msg("%s: %s; expected %s: %s", check_verdict_to_string(l->items[0].verdict),
                         l->items[0].explanation, check_verdict_to_string(verdict), words);
        assert_string_equal(l->items[0].check, "files");
        check_list_done(l);
}

static void assert_worker(const FilesFacts *facts, const UnitSandbox *sandbox, CheckVerdict verdict, const char *words)
{
        UnitInfo worker = plain_unit("shop.service");
        CheckList l = {};

        worker.sandbox = *sandbox;
        check_files(facts, &worker, &l);
        assert_said(&l, verdict, words);
}

static void test_who(void **state)
{
        static const char no[] = "add SupplementaryGroups=tgswitch-files to a drop-in of it";
        static const char yes[] = "shop.service can read the files";
        static const struct {
                const char *user, *group, *more;
                bool dynamic, private_users;
                uint64_t capabilities;
                CheckVerdict verdict;
                const char *words;
        } rows[] = {
                /* root, as long as that means anything */
                { "", "", NULL, false, false, UINT64_MAX, CHECK_PASS, yes },
                { "root", "", NULL, false, false, 1 << 2, CHECK_PASS, yes },
                { "0", "", NULL, false, false, 1 << 1, CHECK_PASS, yes },
                { "", "", NULL, false, false, 1 << 3, CHECK_FAIL, no },
                { "", "", NULL, false, true, UINT64_MAX, CHECK_FAIL, no },
                { "", "", "tgswitch-files", false, true, 0, CHECK_PASS, yes },
                /* a user of the moment */
                { "", "", NULL, true, false, 0, CHECK_FAIL, no },
                { "shop", "", NULL, true, false, 0, CHECK_FAIL, no },
                { "", "", "tgswitch-files", true, true, 0, CHECK_PASS, yes },
                { "", "", "996", true, false, 0, CHECK_PASS, yes },
                { "", "", "audio", true, false, 0, CHECK_FAIL, no },
                { "bob", "", NULL, true, false, 0, CHECK_PASS, yes },
                /* one of the user database */
                { "alice", "", NULL, false, false, 0, CHECK_FAIL, no },
                { "alice", "tgswitch-files", NULL, false, false, 0, CHECK_PASS, yes },
                { "alice", "996", NULL, false, false, 0, CHECK_PASS, yes },
                { "bob", "", NULL, false, true, 0, CHECK_PASS, yes },
                { "1001", "alice", NULL, false, false, 0, CHECK_PASS, yes },
                { "carol", "", NULL, false, false, 0, CHECK_PASS, yes },
                { "carol", "audio", NULL, false, false, 0, CHECK_FAIL, no },
                { "ldap", "", NULL, false, false, 0, CHECK_SKIPPED, "is not in /etc/passwd" },
                /* the server's own */
                { "telegram-bot-api", "", NULL, false, false, 0, CHECK_PASS, yes },
                { "994", "", NULL, false, false, 0, CHECK_PASS, yes },
        };
        FilesFacts facts = facts_of_the_shipped_unit();

        FOREACH_ELEMENT(row, rows) {
                UnitSandbox s = plain_unit("").sandbox;

                s.user = S(row->user);
                s.group = S(row->group);
                s.supplementary_groups = row->more ? LIST(S(row->more)) : NULL;
                s.dynamic_user = row->dynamic;
                s.private_users = row->private_users;
                s.capabilities = row->capabilities;
                assert_worker(&facts, &s, row->verdict, row->words);
        }
}

static void test_what_it_sees(void **state)
{
        static const struct {
                const char *inaccessible, *temporary, *root, *image;
                UnitBind bind;
                CheckVerdict verdict;
                const char *words;
        } rows[] = {
                { NULL, "/srv", "/", NULL, { 0 }, CHECK_PASS, "can read" },
                { NULL, "/var/lib/telegram", NULL, NULL, { 0 }, CHECK_PASS, "can read" },
                { NULL,
                  "/var",
                  NULL,
                  NULL,
                  { 0 },
                  CHECK_FAIL,
                  "because of TemporaryFileSystem=/var: add BindReadOnlyPaths=" DIRECTORY " to a drop-in" },
                { NULL, "/", NULL, NULL, { 0 }, CHECK_FAIL, "TemporaryFileSystem=/:" },
                { NULL, DIRECTORY "/", NULL, NULL, { 0 }, CHECK_FAIL, "TemporaryFileSystem=" DIRECTORY "/:" },
                { NULL, "/var", NULL, NULL, { S("/var/lib"), S("/var/lib") }, CHECK_PASS, "can read" },
                { NULL, DIRECTORY, NULL, NULL, { S(DIRECTORY), S(DIRECTORY) }, CHECK_PASS, "can read" },
                { NULL, DIRECTORY, NULL, NULL, { S("/var"), S("/var") }, CHECK_FAIL, "TemporaryFileSystem=" },
                { NULL, "/var", NULL, NULL, { S("/mnt"), S(DIRECTORY) }, CHECK_SKIPPED, "sees /mnt in the place of" },
                { NULL, NULL, NULL, NULL, { S("/mnt"), S("/var") }, CHECK_SKIPPED, "sees /mnt in the place of /var" },
                { NULL, NULL, NULL, NULL, { S("/mnt"), S("/mnt") }, CHECK_PASS, "can read" },
                { "/etc", NULL, NULL, NULL, { 0 }, CHECK_PASS, "can read" },
                { DIRECTORY "/x", NULL, NULL, NULL, { 0 }, CHECK_PASS, "can read" },
                { "-/var/lib",
                  NULL,
                  NULL,
                  NULL,
                  { S(DIRECTORY), S(DIRECTORY) },
                  CHECK_FAIL,
                  "InaccessiblePaths=-/var/lib keeps shop.service out of " DIRECTORY },
                { "-+/var", NULL, NULL, NULL, { 0 }, CHECK_FAIL, "no bind mount helps" },
                { NULL, NULL, "/srv/root", NULL, { 0 }, CHECK_FAIL, "because of RootDirectory=/srv/root: add Bind" },
                { NULL, NULL, NULL, "/srv/image.raw", { 0 }, CHECK_FAIL, "because of RootImage=/srv/image.raw: add" },
                { NULL, NULL, NULL, "/srv/image.raw", { S("/var/lib"), S("/var/lib") }, CHECK_PASS, "can read" },
        };
        FilesFacts facts = facts_of_the_shipped_unit();

        FOREACH_ELEMENT(row, rows) {
                UnitSandbox s = plain_unit("").sandbox;
                UnitBind bind = row->bind;

                s.inaccessible_paths = row->inaccessible ? LIST(S(row->inaccessible)) : NULL;
                s.temporary_file_systems = row->temporary ? LIST(S(row->temporary)) : NULL;
                s.root_directory = S(row->root ?: "");
                s.root_image = S(row->image ?: "");
                s.binds = &bind;
                s.n_binds = bind.source ? 1 : 0;
                assert_worker(&facts, &s, row->verdict, row->words);
        }
}

/* Directories that other settings hide. */
static void test_home_and_tmp(void **state)
{
        static const struct {
                const char *directory, *protect_home;
                bool private_tmp;
                CheckVerdict verdict;
                const char *words;
        } rows[] = {
                { "/home/bots", "no", true, CHECK_PASS, "can read" },
                { "/home/bots", "read-only", true, CHECK_PASS, "can read" },
                { "/home/bots", "yes", false, CHECK_FAIL, "ProtectHome=yes keeps" },
                { "/home/bots", "tmpfs", false, CHECK_FAIL,
                  "because of ProtectHome=tmpfs: add BindReadOnlyPaths=/home/bots" },
                { "/homeless/bots", "yes", false, CHECK_PASS, "can read" },
                { "/var/tmp/bots", "yes", false, CHECK_PASS, "can read" },
                { "/var/tmp/bots", "yes", true, CHECK_FAIL, "because of PrivateTmp=yes: add" },
        };
        FilesFacts facts = facts_of_the_shipped_unit();

        FOREACH_ELEMENT(row, rows) {
                UnitSandbox s = plain_unit("").sandbox;

                facts.directory = S(row->directory);
                s.protect_home = S(row->protect_home);
                s.private_tmp = row->private_tmp;
                assert_worker(&facts, &s, row->verdict, row->words);
        }
}

static void test_both_are_said(void **state)
{
        UnitInfo worker = plain_unit("shop.service");
        FilesFacts facts = facts_of_the_shipped_unit();
        _cleanup_free_ char *complaint = NULL;
        CheckList l = {};

        worker.sandbox.dynamic_user = true;
        worker.sandbox.temporary_file_systems = LIST(S("/var"));
        check_files(&facts, &worker, &l);
        assert_int_equal(l.n, 2);
        complaint = check_list_complaint(&l);
        assert_non_null(strstr(complaint, "BindReadOnlyPaths="));
        assert_non_null(strstr(complaint, "SupplementaryGroups="));
        check_list_done(&l);
}

static void test_server_that_gives_no_way_in(void **state)
{
        UnitSandbox s = plain_unit("").sandbox;
        FilesFacts facts = facts_of_the_shipped_unit();

        s.user = S("bob");
        facts.server_is_dynamic = true;
        assert_worker(&facts, &s, CHECK_FAIL, "give the server User=telegram-bot-api and Group=tgswitch-files");
        facts.server_is_dynamic = false;
        facts.files.group = NULL;
        assert_worker(&facts, &s, CHECK_SKIPPED, "names no group that is in /etc/group. Give it User=");
}

/* Nothing is said where nothing is known, or asked. */
static void test_silence(void **state)
{
        UnitInfo worker = plain_unit("shop.service");
        FilesFacts facts = facts_of_the_shipped_unit();
        CheckList l = {};

        worker.load_state = UNIT_LOAD_NOT_FOUND;
        check_files(&facts, &worker, &l);
        worker.load_state = UNIT_LOAD_LOADED;
        facts.directory = NULL;
        check_files(&facts, &worker, &l);
        assert_int_equal(l.n, 0);
}

static void test_options(void **state)
{
        static const struct {
                bool configured, environment_file;
                const char *exec_start, *environment, *words; /* NULL: nothing is said */
        } rows[] = {
                { false, false, "bot-api --local", NULL, "before LocalFiles= in tgswitch.conf says the same" },
                { false, false, "bot-api $O", "O=--verbosity=1 --local", "runs with --local" },
                { false, false, "bot-api $O", "O=--local", "runs with --local" },
                { false, false, "bot-api --localhost --http-port=1", "LOCAL=1", NULL },
                { false, true, "bot-api $O", NULL, NULL },
                { true, false, "bot-api --local", NULL, NULL },
                { true, true, "bot-api $O", NULL, NULL },
                { true, false, "bot-api --local --dir=" DIRECTORY "/ --x", NULL, NULL },
                { true, false, "bot-api $O", "O=1", "has no --local in ExecStart= or Environment=" },
                { true, false, "bot-api --local --dir=/srv/x", NULL, "stores its files in --dir=/srv/x, while" },
                { true, false, "bot-api --local --dir=" DIRECTORY "2", NULL, "--dir=" DIRECTORY "2, while" },
                { true, false, "bot-api --local --dir=/a $O", "O=--dir=" DIRECTORY, NULL },
        };
        UnitInfo server = plain_unit("telegram-bot-api.service");
        CheckList l = {};

        FOREACH_ELEMENT(row, rows) {
                FilesFacts facts = facts_of_the_shipped_unit();

                facts.directory = row->configured ? facts.directory : NULL;
                server.exec_start = LIST(S(row->exec_start));
                server.environment = row->environment ? LIST(S(row->environment)) : NULL;
                server.environment_files = row->environment_file ? LIST(S("/etc/x.env")) : NULL;
                check_files_server(&facts, &server, &l);
                if (row->words)
                        assert_said(&l, CHECK_SKIPPED, row->words);
                else
                        assert_int_equal(l.n, 0);
        }
        server = plain_unit("telegram-bot-api.service");
        server.load_state = UNIT_LOAD_MASKED;
        check_files_server(&(FilesFacts){}, &server, &l);
        assert_int_equal(l.n, 0);
}

/* A server that is still to be started has a start that makes the directory right; one that runs has had it. */
static void test_the_directory(void **state)
{
        static const struct {
                int error;
                mode_t mode;
                CheckVerdict running;
                const char *words;
        } rows[] = {
                { 0, S_IFDIR | 0710, CHECK_PASS, "lets the workers through" },
                { 0, S_IFDIR | 0711, CHECK_PASS, "lets the workers through" },
                { 0, S_IFDIR | 0701, CHECK_PASS, "lets the workers through" },
                { 0, S_IFDIR | 0766, CHECK_FAIL, "lets nobody but its owner through" },
                { 0, S_IFREG | 0755, CHECK_FAIL, "is no directory" },
                { -ENOENT, 0, CHECK_FAIL, "does not exist" },
                { -EACCES, 0, CHECK_SKIPPED, "tgswitchd cannot look at " DIRECTORY " (Permission denied)" },
        };
        CheckList l = {};

        FOREACH_ELEMENT(row, rows) {
                FilesFacts facts = facts_of_the_shipped_unit();

                facts.files.error = row->error;
                facts.files.mode = row->mode;
                check_files_directory(&facts, &l);
                assert_said(&l, row->running, row->words);
                facts.server_runs = false;
                check_files_directory(&facts, &l);
                assert_said(&l, row->running == CHECK_FAIL ? CHECK_SKIPPED : row->running, row->words);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_who),
                cmocka_unit_test(test_what_it_sees),
                cmocka_unit_test(test_home_and_tmp),
                cmocka_unit_test(test_both_are_said),
                cmocka_unit_test(test_server_that_gives_no_way_in),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_the_directory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
