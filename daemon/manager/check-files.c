/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/stat.h>

#include "base/strv.h"
#include "manager/check-files.h"

#define CAPABILITIES_TO_READ (UINT64_C(1) << 1 | UINT64_C(1) << 2) /* CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH */

void files_facts_done(FilesFacts *f)
{
        free(f->directory);
        free(f->server_unit);
        free(f->server_user);
        local_files_done(&f->files);
        *f = (FilesFacts){};
}

/* ---- what a worker sees of the file system ---- */

typedef enum Sight {
        SIGHT_CLEAR,
        SIGHT_HIDDEN,          /* a bind mount shows it again */
        SIGHT_HIDDEN_FOR_GOOD, /* no bind mount does */
        SIGHT_OTHER,           /* something is mounted in its place, perhaps the same */
} Sight;

typedef struct View {
        Sight sight;
        const char *setting; /* "TemporaryFileSystem" */
        const char *value;   /* "/var" */
        const char *source;  /* of a bind mount */
        int depth;           /* how long the path is that it concerns; -1: nothing does */
} View;

/* How long `above` is where `path` is that directory or in it; else -1. The root's length is 0. */
static int depth_above(const char *above, const char *path)
{
        size_t n;

        above += strspn(above, "-+");
        n = strlen(above);
        while (n > 0 && above[n - 1] == '/')
                n--;
        return strncmp(above, path, n) == 0 && (path[n] == '/' || path[n] == '\0') ? (int) n : -1;
}

static void deepen(View *v, const char *above, const char *path, Sight sight, const char *setting, const char *value)
{
        int depth = depth_above(above, path);

        if (depth > v->depth)
                *v = (View){ .sight = sight, .setting = setting, .value = value, .depth = depth };
}

static const char *const home_directories[] = { "/home", "/root", "/run/user" };
static const char *const temporary_directories[] = { "/tmp", "/var/tmp" };

/* systemd drops every other mount below one of these. */
static View find_inaccessible(const UnitSandbox *s, const char *path)
{
        View v = { .depth = -1 };

        STRV_FOREACH(above, s->inaccessible_paths)
                deepen(&v, *above, path, SIGHT_HIDDEN_FOR_GOOD, "InaccessiblePaths", *above);
        FOREACH_ELEMENT(home, home_directories)
                if (streq(s->protect_home, "yes"))
                        deepen(&v, *home, path, SIGHT_HIDDEN_FOR_GOOD, "ProtectHome", s->protect_home);
        return v;
}

static View find_hidden(const UnitSandbox *s, const char *path)
{
        View v = { .depth = -1 };

        if (!isempty(s->root_directory) && !streq(s->root_directory, "/"))
                deepen(&v, "/", path, SIGHT_HIDDEN, "RootDirectory", s->root_directory);
        if (!isempty(s->root_image))
                deepen(&v, "/", path, SIGHT_HIDDEN, "RootImage", s->root_image);
        STRV_FOREACH(above, s->temporary_file_systems)
                deepen(&v, *above, path, SIGHT_HIDDEN, "TemporaryFileSystem", *above);
        FOREACH_ELEMENT(home, home_directories)
                if (streq(s->protect_home, "tmpfs"))
                        deepen(&v, *home, path, SIGHT_HIDDEN, "ProtectHome", s->protect_home);
        FOREACH_ELEMENT(temporary, temporary_directories)
                if (s->private_tmp)
                        deepen(&v, *temporary, path, SIGHT_HIDDEN, "PrivateTmp", "yes");
        return v;
}

static View find_bind(const UnitSandbox *s, const char *path)
{
        View v = { .depth = -1 };

        for (size_t i = 0; i < s->n_binds; i++) {
                const UnitBind *bind = &s->binds[i];
                bool same = streq(bind->source, bind->destination);
                int depth = depth_above(bind->destination, path);

                if (depth > v.depth)
                        v = (View){ same ? SIGHT_CLEAR : SIGHT_OTHER, "BindPaths", bind->destination, bind->source,
                                    depth };
        }
        return v;
}

/* The mount that is deepest decides, and at the same place a bind mount goes before an empty file system: in this order
 * systemd 252 mounts them. */
static View find_view(const UnitSandbox *s, const char *path)
{
        View inaccessible = find_inaccessible(s, path), hidden = find_hidden(s, path), bind = find_bind(s, path);

        if (inaccessible.depth >= 0)
                return inaccessible;
        if (bind.depth >= 0 && bind.depth >= hidden.depth)
                return bind;
        return hidden;
}

static bool check_sight(const FilesFacts *facts, const UnitInfo *worker, CheckList *l)
{
        const char *directory = facts->directory;
        View v = find_view(&worker->sandbox, directory);

        switch (v.sight) {
        case SIGHT_CLEAR:
                return true;
        case SIGHT_HIDDEN:
                check_list_add(l, "files", worker->name, CHECK_FAIL,
                               "%s does not see %s, where the local server stores files, because of %s=%s: add "
                               "BindReadOnlyPaths=%s to a drop-in of it, then 'systemctl daemon-reload'.",
                               worker->name, directory, v.setting, v.value, directory);
                return false;
        case SIGHT_HIDDEN_FOR_GOOD:
                check_list_add(l, "files", worker->name, CHECK_FAIL,
                               "%s=%s keeps %s out of %s, where the local server stores files, and no bind mount "
                               "helps against it: use TemporaryFileSystem= (or ProtectHome=tmpfs) in its place, with "
                               "BindReadOnlyPaths=%s, then 'systemctl daemon-reload'.",
                               v.setting, v.value, worker->name, directory, directory);
                return false;
        case SIGHT_OTHER:
                check_list_add(l, "files", worker->name, CHECK_SKIPPED,
                               "%s sees %s in the place of %s (BindPaths= or BindReadOnlyPaths=), and whether the "
                               "local server's files are there cannot be told: BindReadOnlyPaths=%s would show them.",
                               worker->name, v.source, v.value, directory);
                return false;
        }
        return false;
}

/* ---- as whom a worker runs ---- */

typedef enum Membership {
        MEMBER_YES,
        MEMBER_NO,
        MEMBER_UNKNOWN,
} Membership;

static bool is_root(const UnitSandbox *s)
{
        return streq(s->user, "root") || streq(s->user, "0") || (isempty(s->user) && !s->dynamic_user);
}

/* In a user namespace of its own root has rights over nobody's files but its own and its unit's. */
static bool reads_as_root(const UnitSandbox *s)
{
        return is_root(s) && !s->private_users && (s->capabilities & CAPABILITIES_TO_READ);
}

static bool is_server_user(const FilesFacts *facts, const char *user)
{
        const LocalUser *a = local_files_find_user(&facts->files, user);
        const LocalUser *b = local_files_find_user(&facts->files, facts->server_user);

        return !isempty(user) && (streq(user, facts->server_user) || (a && a == b));
}

static bool names_group(const LocalFiles *files, const char *group)
{
        char number[16];

        snprintf(number, sizeof(number), "%u", (unsigned) files->gid);
        return streq(group, files->group) || streq(group, number);
}

/* PrivateUsers= shows the group as "nogroup", but does not take it away: the kernel compares the numbers outside. */
static Membership find_membership(const FilesFacts *facts, const UnitSandbox *s)
{
        const LocalFiles *files = &facts->files;
        const LocalUser *user;

        if (reads_as_root(s) || is_server_user(facts, s->user))
                return MEMBER_YES;
        if (facts->server_is_dynamic)
                return MEMBER_NO;
        if (!files->group)
                return MEMBER_UNKNOWN;
        STRV_FOREACH(group, s->supplementary_groups)
                if (names_group(files, *group))
                        return MEMBER_YES;
        if (names_group(files, s->group))
                return MEMBER_YES;
        /* For root systemd does not look into the user database. */
        if (is_root(s) || (s->dynamic_user && isempty(s->user)))
                return MEMBER_NO;
        user = local_files_find_user(files, s->user);
        if (!user)
                return s->dynamic_user ? MEMBER_NO : MEMBER_UNKNOWN;
        return user->member || (isempty(s->group) && user->gid == files->gid) ? MEMBER_YES : MEMBER_NO;
}

static bool check_membership(const FilesFacts *facts, const UnitInfo *worker, CheckList *l)
{
        const char *group = facts->files.group;

        switch (find_membership(facts, &worker->sandbox)) {
        case MEMBER_YES:
                return true;
        case MEMBER_NO:
                if (facts->server_is_dynamic)
                        check_list_add(l, "files", worker->name, CHECK_FAIL,
                                       "%s runs with DynamicUser=yes, so that nobody else gets to its files, and %s "
                                       "has to: give the server User=telegram-bot-api and Group=tgswitch-files, as the "
                                       "unit that comes with tgswitch has them.",
                                       facts->server_unit, worker->name);
                else
                        check_list_add(l, "files", worker->name, CHECK_FAIL,
                                       "%s is not in the group %s, which alone may read what the local server stores in "
                                       "%s: add SupplementaryGroups=%s to a drop-in of it, then 'systemctl "
                                       "daemon-reload'.",
                                       worker->name, group, facts->directory, group);
                return false;
        case MEMBER_UNKNOWN:
                if (group)
                        check_list_add(l, "files", worker->name, CHECK_SKIPPED,
                                       "Whether the user %s of %s is in the group %s, which alone may read in %s, cannot "
                                       "be told, because he is not in /etc/passwd: SupplementaryGroups=%s in a drop-in "
                                       "of it makes sure of that.",
                                       worker->sandbox.user, worker->name, group, facts->directory, group);
                else
                        check_list_add(l, "files", worker->name, CHECK_SKIPPED,
                                       "Whether %s may read in %s cannot be told: %s names no group that is in "
                                       "/etc/group. Give it User=telegram-bot-api and Group=tgswitch-files, as the "
                                       "unit that comes with tgswitch has them.",
                                       worker->name, facts->directory, facts->server_unit);
                return false;
        }
        return false;
}

void check_files(const FilesFacts *facts, const UnitInfo *worker, CheckList *l)
{
        bool sees, may;

        if (!facts->directory || worker->load_state != UNIT_LOAD_LOADED)
                return;
        sees = check_sight(facts, worker, l);
        may = check_membership(facts, worker, l);
        if (sees && may)
                check_list_add(l, "files", worker->name, CHECK_PASS,
                               "%s can read the files that the local server stores.", worker->name);
}

/* ---- the server ---- */

/* Where the word stands in the text, as a whole or, where it ends with '=', as the beginning of one; else NULL. */
static const char *find_word(const char *text, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
                if ((p == text || strchr(" =\"'", p[-1])) && (word[n - 1] == '=' || strchr(" \"'", p[n])))
                        return p;
        return NULL;
}

/* Environment= may hold options that ExecStart= expands. What follows the word that is found last, or NULL. */
static const char *find_option(const UnitInfo *server, const char *word)
{
        char **const texts[] = { server->exec_start, server->environment };
        const char *found = NULL;

        FOREACH_ELEMENT(list, texts)
                STRV_FOREACH(text, *list) {
                        const char *p = find_word(*text, word);

                        found = p ? p + strlen(word) : found;
                }
        return found;
}

void check_files_server(const FilesFacts *facts, const UnitInfo *server, CheckList *l)
{
        bool local = find_option(server, "--local");
        const char *dir = find_option(server, "--dir=");
        size_t n = dir ? strcspn(dir, " \"'") : 0;

        /* What else is wrong with it is said where the server is looked at. */
        if (server->load_state != UNIT_LOAD_LOADED)
                return;
        while (n > 1 && dir[n - 1] == '/')
                n--;
        if (!facts->directory) {
                if (local)
                        check_list_add(l, "files", server->name, CHECK_SKIPPED,
                                       "%s runs with --local, so that it tells a bot where a file is instead of sending "
                                       "it; whether the workers can read there is not looked at before LocalFiles= in "
                                       "tgswitch.conf says the same as the server's --dir=.",
                                       server->name);
                return;
        }
        if (!local && strv_length(server->environment_files) == 0)
                check_list_add(l, "files", server->name, CHECK_SKIPPED,
                               "LocalFiles=%s is set, but %s has no --local in ExecStart= or Environment=: without it the "
                               "server tells no paths there. Add the option, or take LocalFiles= out.",
                               facts->directory, server->name);
        if (dir && (n != strlen(facts->directory) || strncmp(dir, facts->directory, n) != 0))
                check_list_add(l, "files", server->name, CHECK_SKIPPED,
                               "%s stores its files in --dir=%.*s, while LocalFiles= says %s, and the workers are looked "
                               "at for that one: correct LocalFiles= in tgswitch.conf unless it is the same place.",
                               server->name, (int) n, dir, facts->directory);
}

/* What is wrong with a directory that could be looked at, as the end of a sentence; NULL where nothing is. */
static const char *find_fault(const LocalFiles *f)
{
        if ((f->mode & S_IFMT) != S_IFDIR)
                return "is no directory";
        return f->mode & (S_IXGRP | S_IXOTH) ? NULL : "lets nobody but its owner through";
}

void check_files_directory(const FilesFacts *facts, CheckList *l)
{
        const char *server = facts->server_unit;
        const LocalFiles *f = &facts->files;
        const char *fault = f->error == -ENOENT ? "does not exist" : f->error < 0 ? NULL : find_fault(f);

        if (f->error < 0 && f->error != -ENOENT)
                check_list_add(l, "files", server, CHECK_SKIPPED,
                               "tgswitchd cannot look at %s (%s), so whether the workers get in is not known.",
                               facts->directory, strerror(-f->error));
        else if (fault && !facts->server_runs)
                check_list_add(l, "files", server, CHECK_SKIPPED, "%s %s now; the start of %s may change that.",
                               facts->directory, fault, server);
        else if (fault)
                check_list_add(l, "files", server, CHECK_FAIL,
                               "%s %s, so no worker can read files of %s there: correct LocalFiles= in tgswitch.conf, or "
                               "let StateDirectory= and StateDirectoryMode=0710 of that unit make it.",
                               facts->directory, fault, server);
        else
                check_list_add(l, "files", server, CHECK_PASS, "%s lets the workers through to their files.",
                               facts->directory);
}
