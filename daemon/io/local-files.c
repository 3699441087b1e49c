/* SPDX-License-Identifier: MIT */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/parse-util.h"
#include "io/local-files.h"

/* No host comes near these. */
#define USERS_MAX     (64 * 1024)
#define LINE_SIZE_MAX (16 * 1024 * 1024)
#define LINE_FIRST    4096

void local_files_done(LocalFiles *f)
{
        free(f->group);
        for (size_t i = 0; i < f->n_users; i++)
                free(f->users[i].name);
        free(f->users);
        *f = (LocalFiles){};
}

/* A file like /etc/passwd, and memory for one line of it. */
typedef struct Database {
        FILE *file;
        char *line;
        size_t size;
} Database;

static void database_done(Database *d)
{
        if (d->file)
                fclose(d->file);
        free(d->line);
}

static int database_open(Database *d, const char *etc, const char *name)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", etc, name) < 0)
                return -ENOMEM;
        d->file = fopen(path, "re");
        return d->file ? 0 : -errno;
}

/* Makes room for a line that was too long, and goes back to its beginning. */
static int database_grow(Database *d, off_t line_begin)
{
        size_t size = d->size > 0 ? d->size * 2 : LINE_FIRST;
        char *grown;

        if (size > LINE_SIZE_MAX)
                return -E2BIG;
        grown = realloc(d->line, size);
        if (!grown)
                return -ENOMEM;
        d->line = grown;
        d->size = size;
        return fseeko(d->file, line_begin, SEEK_SET) < 0 ? -errno : 0;
}

/* Returns 1 with the next entry, which lives until the next call, or 0 at the end. */
static int next_user(Database *d, struct passwd *ret)
{
        for (;;) {
                off_t begin = ftello(d->file);
                struct passwd *found;
                int r;

                r = d->size > 0 ? fgetpwent_r(d->file, ret, d->line, d->size, &found) : ERANGE;
                if (r == 0 || r == ENOENT)
                        return r == 0;
                r = r == ERANGE ? database_grow(d, begin) : -r;
                if (r < 0)
                        return r;
        }
}

static int next_group(Database *d, struct group *ret)
{
        for (;;) {
                off_t begin = ftello(d->file);
                struct group *found;
                int r;

                r = d->size > 0 ? fgetgrent_r(d->file, ret, d->line, d->size, &found) : ERANGE;
                if (r == 0 || r == ENOENT)
                        return r == 0;
                r = r == ERANGE ? database_grow(d, begin) : -r;
                if (r < 0)
                        return r;
        }
}

static int read_users(const char *etc, LocalFiles *f)
{
        _cleanup_(database_done) Database d = {};
        struct passwd entry;
        int r;

        r = database_open(&d, etc, "passwd");
        if (r < 0)
                return r;
        while ((r = next_user(&d, &entry)) > 0) {
                LocalUser *grown;
                char *name;

                if (f->n_users >= USERS_MAX)
                        return -E2BIG;
                grown = reallocarray(f->users, f->n_users + 1, sizeof(LocalUser));
                if (!grown)
                        return -ENOMEM;
                f->users = grown;
                name = strdup(entry.pw_name);
                if (!name)
                        return -ENOMEM;
                f->users[f->n_users++] = (LocalUser){ .name = name, .uid = entry.pw_uid, .gid = entry.pw_gid };
        }
        return r;
}

static bool is_number(const char *s, uint64_t number)
{
        uint64_t n;

        return parse_unsigned(s, &n) == 0 && n == number;
}

const LocalUser *local_files_find_user(const LocalFiles *f, const char *user)
{
        for (size_t i = 0; i < f->n_users; i++)
                if (streq(f->users[i].name, user) || is_number(user, f->users[i].uid))
                        return f->users + i;
        return NULL;
}

static void mark_members(LocalFiles *f, const struct group *entry)
{
        for (char **member = entry->gr_mem; *member; member++)
                for (size_t i = 0; i < f->n_users; i++)
                        if (streq(f->users[i].name, *member))
                                f->users[i].member = true;
}

/* The group's name and number, from the first line that has either. */
static int find_group(const char *etc, const char *group, LocalFiles *f)
{
        _cleanup_(database_done) Database d = {};
        struct group entry;
        int r;

        r = database_open(&d, etc, "group");
        if (r < 0)
                return r;
        while ((r = next_group(&d, &entry)) > 0) {
                if (entry.gr_gid == 0 || (!streq(entry.gr_name, group) && !is_number(group, entry.gr_gid)))
                        continue;
                f->group = strdup(entry.gr_name);
                f->gid = entry.gr_gid;
                return f->group ? 0 : -ENOMEM;
        }
        return r;
}

/* A group may stand in several lines, each with members of its own. */
static int read_members(const char *etc, LocalFiles *f)
{
        _cleanup_(database_done) Database d = {};
        struct group entry;
        int r;

        r = database_open(&d, etc, "group");
        if (r < 0)
                return r;
        while ((r = next_group(&d, &entry)) > 0)
                if (entry.gr_gid == f->gid)
                        mark_members(f, &entry);
        return r;
}

static int read_group(const char *etc, const char *user, const char *group, LocalFiles *f)
{
        const LocalUser *u = local_files_find_user(f, user);
        char number[16] = "";
        int r;

        if (isempty(group) && u)
                snprintf(number, sizeof(number), "%u", (unsigned) u->gid);
        r = find_group(etc, isempty(group) ? number : group, f);
        return r < 0 || !f->group ? r : read_members(etc, f);
}

int local_files_read(const char *etc, const char *directory, const char *user, const char *group, LocalFiles *ret)
{
        LocalFiles f = {};
        struct stat st;
        int r;

        if (stat(directory, &st) < 0)
                f.error = -errno;
        else
                f.mode = st.st_mode;
        r = read_users(etc, &f);
        if (r >= 0)
                r = read_group(etc, user, group, &f);
        if (r < 0) {
                local_files_done(&f);
                return r;
        }
        *ret = f;
        return 0;
}
