/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs-util.h"
#include "scratch.h"

char *scratch_new(void)
{
        const char *parent = getenv("TMPDIR");
        char *path;

        assert_true(asprintf(&path, "%s/tgswitch-test-XXXXXX", parent ?: "/tmp") > 0);
        assert_non_null(mkdtemp(path));
        return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void scratch_remove(char *path)
{
        if (path)
                assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(path);
}

static char *join(const char *directory, const char *name)
{
        char *path;

        assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
        return path;
}

void scratch_write_bytes(const char *directory, const char *name, const void *bytes, unsigned long size)
{
        _cleanup_free_ char *path = join(directory, name);
        _cleanup_close_ int fd = -EBADF;

        for (char *slash = path + strlen(directory); (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
                *slash++ = '/';
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, bytes, size), 0);
}

void scratch_write(const char *directory, const char *name, const char *text)
{
        scratch_write_bytes(directory, name, text, strlen(text));
}

char *scratch_read(const char *directory, const char *name)
{
        _cleanup_free_ char *path = join(directory, name);
        char *bytes;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, 0, 1u << 30, &bytes, &size);
        assert_true(r == 0 || r == -ENOENT);
        return r == 0 ? bytes : NULL;
}
