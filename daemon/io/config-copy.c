/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "io/config-text.h"

static const char *const subdirectories[] = { CONFIG_DROPINS, CONFIG_BOTS };

/* What the copy is to hold: borrowed from the texts that were read. */
typedef struct Selection {
        const ConfigText **items;
        size_t n;
} Selection;

static void selection_done(Selection *s)
{
        free(s->items);
}

static bool has_bot(const ConfigTexts *texts, const char *bot)
{
        for (size_t i = 0; i < texts->n; i++)
                if (streq_ptr(texts->items[i].bot, bot))
                        return true;
        return false;
}

static bool is_bad(const ConfigProblems *problems, const char *bot)
{
        for (size_t i = 0; i < problems->n; i++)
                if (streq_ptr(problems->items[i].bot, bot))
                        return true;
        return false;
}

/* The new files, without those of bad bots; the old ones of bots that are bad now, or gone. */
static int select_texts(const ConfigTexts *texts, const ConfigTexts *old, const ConfigProblems *problems,
                        Selection *ret)
{
        Selection s = {};

        s.items = calloc(texts->n + old->n + 1, sizeof(ConfigText *));
        if (!s.items)
                return -ENOMEM;
        for (size_t i = 0; i < texts->n; i++) {
                const ConfigText *t = texts->items + i;

                if (!t->bot || (bot_name_is_valid(t->bot) && !is_bad(problems, t->bot)))
                        s.items[s.n++] = t;
        }
        for (size_t i = 0; i < old->n; i++) {
                const ConfigText *t = old->items + i;

                if (t->bot && (is_bad(problems, t->bot) || !has_bot(texts, t->bot)))
                        s.items[s.n++] = t;
        }
        *ret = s;
        return 0;
}

/* Looked for from the place on where it nearly always is: both are sorted, but for what is kept of the old copy. */
static const ConfigText *find_text(const ConfigTexts *texts, size_t place, const char *name)
{
        for (size_t i = 0; i < texts->n; i++) {
                const ConfigText *t = texts->items + (place + i) % texts->n;

                if (streq(t->name, name))
                        return t;
        }
        return NULL;
}

static bool is_what_is_there(const Selection *s, const ConfigTexts *old)
{
        if (s->n != old->n)
                return false;
        for (size_t i = 0; i < s->n; i++) {
                const ConfigText *new = s->items[i], *there = find_text(old, i, new->name);

                if (!there || new->size != there->size || memcmp(new->bytes, there->bytes, new->size) != 0)
                        return false;
        }
        return true;
}

static int remove_files(int directory)
{
        _cleanup_strv_ char **files = NULL;
        int r;

        r = list_directory_at(directory, ".", &files);
        if (r < 0)
                return r;
        STRV_FOREACH(file, files) {
                struct stat st;

                if (fstatat(directory, *file, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
                if (!S_ISDIR(st.st_mode) && unlinkat(directory, *file, 0) < 0)
                        return -errno;
        }
        return 0;
}

/* Removes a directory of the form that write_texts() gives it. */
static int remove_copy(const char *path)
{
        _cleanup_close_ int top = -EBADF;
        int r;

        top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (top < 0)
                return errno == ENOENT ? 0 : -errno;
        FOREACH_ELEMENT(name, subdirectories) {
                _cleanup_close_ int directory = openat(top, *name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                if (directory < 0 && errno == ENOENT)
                        continue;
                r = directory < 0 ? -errno : remove_files(directory);
                if (r < 0)
                        return r;
                if (unlinkat(top, *name, AT_REMOVEDIR) < 0)
                        return -errno;
        }
        r = remove_files(top);
        if (r < 0)
                return r;
        return rmdir(path) < 0 ? -errno : 0;
}

static int write_texts(const char *path, const Selection *s)
{
        _cleanup_close_ int top = -EBADF;
        int r;

        r = open_directory_at(AT_FDCWD, path, 0700, &top);
        if (r < 0)
                return r;
        FOREACH_ELEMENT(name, subdirectories)
                if (mkdirat(top, *name, 0700) < 0)
                        return -errno;
        for (size_t i = 0; i < s->n; i++) {
                const ConfigText *t = s->items[i];

                r = write_file_atomic_at(top, t->name, t->bytes, t->size, 0600, WRITE_NO_SYNC);
                if (r < 0)
                        return r;
        }
        /* Once for all of them, before any is seen. */
        return syncfs(top) < 0 ? -errno : 0;
}

static int sync_parent(const char *path)
{
        _cleanup_close_ int top = -EBADF, parent = -EBADF;

        top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (top < 0)
                return -errno;
        parent = openat(top, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return parent < 0 || fsync(parent) < 0 ? -errno : 0;
}

/* The new directory takes the place of the old one in one step. Where the file system has no such step there is a
 * moment without any: then the configuration itself has to be good. */
static int replace_copy(const char *path, const char *new)
{
        int r;

        r = exchange_at(AT_FDCWD, path, new);
        if (r == -EOPNOTSUPP) {
                r = remove_copy(path);
                if (r < 0)
                        return r;
                r = -ENOENT;
        }
        if (r == -ENOENT)
                r = rename(new, path) < 0 ? -errno : 0;
        return r < 0 ? r : sync_parent(path);
}

static int write_copy(const char *path, const Selection *s)
{
        _cleanup_free_ char *new = NULL;
        int r;

        if (asprintf(&new, "%s.new", path) < 0) {
                new = NULL;
                return -ENOMEM;
        }
        r = remove_copy(new);
        if (r < 0)
                return r;
        r = write_texts(new, s);
        if (r < 0)
                return r;
        r = replace_copy(path, new);
        if (r < 0)
                return r;
        return remove_copy(new);
}

int config_save_copy(const char *const *directories, const char *copy)
{
        _cleanup_(config_texts_done) ConfigTexts texts = {}, old = {};
        _cleanup_(config_problems_done) ConfigProblems problems = {}, ignored = {};
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(selection_done) Selection s = {};
        int r;

        r = config_texts_read(directories, &texts, &problems);
        if (r < 0)
                return r;
        r = config_from_texts(&texts, &config, &problems);
        if (r < 0)
                return r;
        /* What cannot be read of the old copy is not kept. */
        r = config_texts_read((const char *const[]){ copy, NULL }, &old, &ignored);
        if (r < 0)
                return r;
        r = select_texts(&texts, &old, &problems, &s);
        if (r < 0)
                return r;
        return is_what_is_there(&s, &old) ? 0 : write_copy(copy, &s);
}

int config_load_copy(const char *copy, Config **ret)
{
        _cleanup_(config_texts_done) ConfigTexts texts = {};
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        int r;

        if (access(copy, F_OK) < 0)
                return -errno;
        r = config_texts_read((const char *const[]){ copy, NULL }, &texts, &problems);
        if (r < 0)
                return r;
        texts.is_copy = true;
        return config_from_texts(&texts, ret, &problems);
}

int config_copy_forget_bot(const char *copy, const char *bot)
{
        _cleanup_free_ char *path = NULL, *name = NULL;
        _cleanup_close_ int directory = -EBADF;
        int r;

        assert(bot_name_is_valid(bot));
        if (asprintf(&path, "%s/" CONFIG_BOTS, copy) < 0)
                path = NULL;
        if (asprintf(&name, "%s" CONFIG_SUFFIX, bot) < 0)
                name = NULL;
        if (!path || !name)
                return -ENOMEM;
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return errno == ENOENT ? 0 : -errno;
        r = unlink_if_exists_at(directory, name);
        if (r <= 0)
                return r;
        return fsync(directory) < 0 ? -errno : 0;
}
