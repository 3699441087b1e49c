/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "io/config-reader.h"
#include "io/config-text.h"

static void config_text_done(ConfigText *t)
{
        free(t->name);
        free(t->path);
        free(t->bot);
        free(t->bytes);
        *t = (ConfigText){};
}

void config_texts_done(ConfigTexts *texts)
{
        for (size_t i = 0; i < texts->n; i++)
                config_text_done(texts->items + i);
        free(texts->items);
        *texts = (ConfigTexts){};
}

static bool has_name(const ConfigTexts *texts, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (streq(texts->items[i].name, name))
                        return true;
        return false;
}

/* A name that a higher directory has already is left out, what it masks with it: the first `n_higher` are of those. */
static int add_name(ConfigTexts *texts, size_t n_higher, const char *directory, const char *name)
{
        _cleanup_(config_text_done) ConfigText t = {};
        const char *file = startswith(name, CONFIG_BOTS "/");
        ConfigText *grown;

        if (has_name(texts, n_higher, name))
                return 0;
        t.name = strdup(name);
        if (asprintf(&t.path, "%s/%s", directory, name) < 0)
                t.path = NULL;
        t.bot = file ? strndup(file, strlen(file) - strlen(CONFIG_SUFFIX)) : NULL;
        if (!t.name || !t.path || (file && !t.bot))
                return -ENOMEM;
        if (texts->n == texts->allocated) {
                size_t allocated = MAX(2 * texts->allocated, 16u);

                grown = reallocarray(texts->items, allocated, sizeof(ConfigText));
                if (!grown)
                        return -ENOMEM;
                texts->items = grown;
                texts->allocated = allocated;
        }
        texts->items[texts->n++] = t;
        t = (ConfigText){};
        return 0;
}

static int add_main(ConfigTexts *texts, const char *const *directories)
{
        for (; *directories; directories++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;

                if (asprintf(&path, "%s/" CONFIG_MAIN, *directories) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                /* What can't be looked at is there: reading it will tell why not. */
                if (lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
                        return add_name(texts, texts->n, *directories, CONFIG_MAIN);
        }
        return 0;
}

static bool has_suffix(const char *name)
{
        size_t n = strlen(name), suffix = strlen(CONFIG_SUFFIX);

        return n > suffix && streq(name + n - suffix, CONFIG_SUFFIX);
}

static int add_directory(ConfigTexts *texts, const char *directory, const char *subdirectory, ConfigProblems *problems)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_strv_ char **files = NULL;
        size_t n_higher = texts->n;
        int r;

        if (asprintf(&path, "%s/%s", directory, subdirectory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = list_directory_at(AT_FDCWD, path, &files);
        if (r == -ENOENT || r == -ENOMEM)
                return r == -ENOMEM ? r : 0;
        if (r < 0)
                return config_problem_add(problems, path, 0, NULL, "The directory cannot be read: %s", strerror(-r));
        STRV_FOREACH(file, files) {
                _cleanup_free_ char *name = NULL;

                if (!has_suffix(*file))
                        continue;
                if (texts->n >= CONFIG_FILES_MAX)
                        return config_problem_add(problems, path, 0, NULL,
                                                  "The configuration has more than %u files; move elsewhere what does "
                                                  "not belong to it",
                                                  CONFIG_FILES_MAX);
                if (asprintf(&name, "%s/%s", subdirectory, *file) < 0) {
                        name = NULL;
                        return -ENOMEM;
                }
                r = add_name(texts, n_higher, directory, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const ConfigText *) a)->name, ((const ConfigText *) b)->name);
}

static int add_directories(ConfigTexts *texts, const char *const *directories, const char *subdirectory,
                           ConfigProblems *problems)
{
        size_t first = texts->n;
        int r;

        for (; *directories; directories++) {
                r = add_directory(texts, *directories, subdirectory, problems);
                if (r < 0)
                        return r;
        }
        if (texts->n > first)
                qsort(texts->items + first, texts->n - first, sizeof(ConfigText), compare_names);
        return 0;
}

static bool is_null_device(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Returns 1 if the file counts, 0 if it masks or cannot be read. */
static int read_text(ConfigText *t, ConfigProblems *problems)
{
        const char *why;
        int r;

        if (is_null_device(t->path))
                return 0;
        r = read_file_at(AT_FDCWD, t->path, 0, CONFIG_FILE_MAX, &t->bytes, &t->size);
        if (r >= 0)
                return t->size > 0;
        if (r == -ENOMEM)
                return r;
        why = r == -ENOTTY   ? "it is neither a regular file nor a symbolic link to one, or to /dev/null"
              : r == -EFBIG  ? "it has more than 64 KiB"
              : r == -ENOENT ? "it is a symbolic link to nothing"
                             : strerror(-r);
        return config_problem_add(problems, t->path, 0, t->bot, "The file cannot be read: %s", why);
}

int config_texts_read(const char *const *directories, ConfigTexts *ret, ConfigProblems *problems)
{
        _cleanup_(config_texts_done) ConfigTexts texts = {};
        size_t n = 0;
        int r;

        r = add_main(&texts, directories);
        if (r >= 0)
                r = add_directories(&texts, directories, CONFIG_DROPINS, problems);
        if (r >= 0)
                r = add_directories(&texts, directories, CONFIG_BOTS, problems);
        if (r < 0)
                return r;
        for (size_t i = 0; i < texts.n; i++) {
                r = read_text(texts.items + i, problems);
                if (r < 0)
                        return r;
                if (r == 0)
                        config_text_done(texts.items + i);
                else if (n++ < i) {
                        texts.items[n - 1] = texts.items[i];
                        texts.items[i] = (ConfigText){};
                }
        }
        texts.n = n;
        *ret = texts;
        texts = (ConfigTexts){};
        return 0;
}
