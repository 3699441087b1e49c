/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs-util.h"
#include "base/strv.h"

int write_all(int fd, const void *bytes, size_t size)
{
        const char *p = bytes;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int open_directory_at(int fd, const char *name, mode_t mode, int *ret_fd)
{
        _cleanup_close_ int parent = -EBADF, directory = -EBADF;

        if (mkdirat(fd, name, mode) < 0 && errno != EEXIST)
                return -errno;
        directory = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        /* Also where it was there: who made it may have died before this line. */
        parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || fsync(parent) < 0)
                return -errno;
        *ret_fd = TAKE_FD(directory);
        return 0;
}

int read_file_at(int fd, const char *name, int flags, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int file = -EBADF;
        _cleanup_free_ char *bytes = NULL;
        struct stat st;
        size_t size = 0;

        file = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
        if (file < 0)
                return -errno;
        if (fstat(file, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOTTY;
        if (st.st_size > (off_t) size_max)
                return -EFBIG;
        /* One byte more than there is: at the end of the file read() says so. */
        bytes = malloc((size_t) st.st_size + 1);
        if (!bytes)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(file, bytes + size, (size_t) st.st_size + 1 - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > (size_t) st.st_size)
                        return -EAGAIN;
        }
        bytes[size] = '\0';
        *ret = TAKE_PTR(bytes);
        *ret_size = size;
        return 0;
}

static int write_new_file(int fd, const char *name, const void *bytes, size_t size, mode_t mode, WriteSync sync)
{
        _cleanup_close_ int file = -EBADF;
        int r;

        file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (file < 0)
                return -errno;
        /* The mode that the caller asks for, whatever umask it was started with (UMask= in systemd.exec(5)). */
        if (fchmod(file, mode) < 0)
                return -errno;
        r = write_all(file, bytes, size);
        if (r < 0)
                return r;
        return sync == WRITE_SYNC && fsync(file) < 0 ? -errno : 0;
}

int write_file_atomic_at(int fd, const char *name, const void *bytes, size_t size, mode_t mode, WriteSync sync)
{
        _cleanup_free_ char *temporary = NULL;
        int r;

        if (asprintf(&temporary, "%s.tmp", name) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        /* One that a crash left behind: whose mode and content it has does not matter, so it is not reused. */
        r = unlink_if_exists_at(fd, temporary);
        if (r < 0)
                return r;
        r = write_new_file(fd, temporary, bytes, size, mode, sync);
        if (r >= 0 && renameat(fd, temporary, fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(fd, temporary, 0);
                return r;
        }
        return sync == WRITE_SYNC && fsync(fd) < 0 ? -errno : 0;
}

int exchange_at(int fd, const char *a, const char *b)
{
        if (renameat2(fd, a, fd, b, RENAME_EXCHANGE) == 0)
                return 0;
        /* EINVAL is a file system that does not know the flag; the names themselves are ours and fine. */
        return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int unlink_if_exists_at(int fd, const char *name)
{
        if (unlinkat(fd, name, 0) == 0)
                return 1;
        return errno == ENOENT ? 0 : -errno;
}

static void closedirp(DIR **d)
{
        if (*d)
                closedir(*d);
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int list_directory_at(int fd, const char *name, char ***ret)
{
        _cleanup_(closedirp) DIR *d = NULL;
        _cleanup_strv_ char **names = NULL;
        struct dirent *entry;
        int file, r;

        file = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (file < 0)
                return -errno;
        d = fdopendir(file);
        if (!d) {
                r = -errno;
                close(file);
                return r;
        }
        while (errno = 0, (entry = readdir(d))) {
                if (entry->d_name[0] == '.')
                        continue;
                r = strv_extend(&names, entry->d_name);
                if (r < 0)
                        return r;
        }
        if (errno != 0)
                return -errno;
        if (names)
                qsort(names, strv_length(names), sizeof(char *), compare_strings);
        *ret = TAKE_PTR(names);
        return 0;
}
