/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* All of these block; where a file is synced they block for as long as the disk likes. Results are 0 or -errno. */

/* Writes everything, whatever a single write() takes. */
int write_all(int fd, const void *bytes, size_t size) _must_check_;

/* Opens a directory below `fd` (or AT_FDCWD), created with `mode` if it is not there, and syncs its entry in the
 * parent. A symbolic link in its place is refused. */
int open_directory_at(int fd, const char *name, mode_t mode, int *ret_fd) _must_check_;

/* Reads a whole regular file and adds a NUL that is not counted. `flags` is ORed to those of openat(), O_NOFOLLOW say.
 * -EFBIG: it has more than `size_max` bytes; -ENOTTY: it is not a regular file (and nothing waits for a FIFO); -EAGAIN:
 * it grew while it was read. */
int read_file_at(int fd, const char *name, int flags, size_t size_max, char **ret, size_t *ret_size) _must_check_;

typedef enum WriteSync {
        WRITE_NO_SYNC, /* for /run: gone with the boot anyway */
        WRITE_SYNC,    /* the file before it is renamed, then the directory: after a power cut old or new is there */
} WriteSync;

/* Replaces the file `name` in the directory `fd` in one step: readers see the old content or the new, never a part. The
 * new one is written as "NAME.tmp", which is gone when this returns, also on failure. */
int write_file_atomic_at(int fd, const char *name, const void *bytes, size_t size, mode_t mode,
                         WriteSync sync) _must_check_;

/* Swaps two names (renameat2(RENAME_EXCHANGE)). -EOPNOTSUPP where the file system cannot do that. */
int exchange_at(int fd, const char *a, const char *b);

/* Removes the file if it is there. Returns 1 if it was, 0 if not. */
int unlink_if_exists_at(int fd, const char *name) _must_check_;

/* Sorted names of a directory without the hidden ones; -ENOENT where the directory is not there. */
int list_directory_at(int fd, const char *name, char ***ret) _must_check_;
