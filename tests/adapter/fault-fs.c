/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fault-fs.h"

typedef struct Dirty {
        dev_t device;
        ino_t inode;
        int fd;       /* to spoil it; a directory's is -1 */
        off_t offset; /* of the first byte that was written */
} Dirty;

static struct {
        bool active;
        FsCall fail_call;
        unsigned fail_n; /* counts down */
        int fail_error;
        bool no_exchange;
        bool power_off;   /* asked for */
        unsigned power_n; /* counts down */
        bool power_is_off;
        bool happened;
        Dirty dirty[64];
        unsigned n_dirty;
} fault;

const char *fs_call_to_string(FsCall call)
{
        static const char *const names[] = { "write", "fsync", "rename", "fallocate", "unlink" };

        return names[call];
}

static void forget_dirty(void)
{
        for (unsigned i = 0; i < fault.n_dirty; i++)
                closep(&fault.dirty[i].fd);
        fault.n_dirty = 0;
}

void fault_fs_begin(void)
{
        fault_fs_end();
        fault.active = true;
}

void fault_fs_end(void)
{
        forget_dirty();
        memset(&fault, 0, sizeof(fault));
}

void fault_fs_fail(FsCall call, unsigned n, int error)
{
        fault.fail_call = call;
        fault.fail_n = n;
        fault.fail_error = error;
}

void fault_fs_no_exchange(void)
{
        fault.no_exchange = true;
}

void fault_fs_power_off_after(unsigned n)
{
        fault.power_off = true;
        fault.power_n = n;
}

bool fault_fs_happened(void)
{
        return fault.happened;
}

unsigned fault_fs_n_unsynced(void)
{
        return fault.n_dirty;
}

static Dirty *find_dirty(const struct stat *st)
{
        for (unsigned i = 0; i < fault.n_dirty; i++)
                if (fault.dirty[i].device == st->st_dev && fault.dirty[i].inode == st->st_ino)
                        return fault.dirty + i;
        return NULL;
}

static void mark_dirty(int fd)
{
        struct stat st;
        int r;

        if (!fault.active)
                return;
        r = fstat(fd, &st);
        assert(r == 0);
        if ((!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || find_dirty(&st))
                return;
        assert(fault.n_dirty < ELEMENTSOF(fault.dirty));
        fault.dirty[fault.n_dirty++] = (Dirty){
                .device = st.st_dev,
                .inode = st.st_ino,
                .fd = S_ISREG(st.st_mode) ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1,
                .offset = S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : 0,
        };
}

static void mark_clean(int fd)
{
        struct stat st;
        Dirty *d;
        int r = fstat(fd, &st);

        assert(r == 0);
        d = find_dirty(&st);
        if (!d)
                return;
        closep(&d->fd);
        *d = fault.dirty[--fault.n_dirty];
}

/* The kernel may have written all of it back, or nothing: the worst is what never was. */
static void spoil(void)
{
        for (unsigned i = 0; i < fault.n_dirty; i++) {
                static const char garbage[64] = "garbage";
                ssize_t n;

                if (fault.dirty[i].fd < 0)
                        continue;
                n = pwrite(fault.dirty[i].fd, garbage, sizeof(garbage), fault.dirty[i].offset);
                assert(n == sizeof(garbage));
        }
        forget_dirty();
}

/* Returns the error that this call is to have, or 0. */
static int enter(FsCall call)
{
        if (!fault.active)
                return 0;
        if (fault.power_off && !fault.power_is_off && fault.power_n-- == 0) {
                spoil();
                fault.power_is_off = fault.happened = true;
        }
        if (fault.power_is_off)
                return EIO;
        if (call == fault.fail_call && fault.fail_n > 0 && --fault.fail_n == 0) {
                fault.happened = true;
                return fault.fail_error;
        }
        return 0;
}

static int refuse(int error)
{
        errno = error;
        return -1;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
        struct stat st;
        bool disk = fault.active && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
        int error = disk ? enter(FS_WRITE) : 0;

        if (error != 0)
                return refuse(error);
        if (disk) {
                mark_dirty(fd);
                /* Short, as the kernel may do it. */
                size = size > 1 ? size / 2 + 1 : size;
        }
        return syscall(SYS_write, fd, bytes, size);
}

int fsync(int fd)
{
        int error = enter(FS_FSYNC);

        if (error != 0)
                return refuse(error);
        mark_clean(fd);
        return (int) syscall(SYS_fsync, fd);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
        int error = enter(FS_RENAME);

        if (error == 0 && fault.no_exchange && (flags & RENAME_EXCHANGE))
                error = EINVAL;
        if (error != 0)
                return refuse(error);
        mark_dirty(to_fd);
        return (int) syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        return renameat2(from_fd, from, to_fd, to, 0);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
        int error = enter(FS_FALLOCATE);

        if (error != 0)
                return error;
        return syscall(SYS_fallocate, fd, 0, offset, size) < 0 ? errno : 0;
}

int unlinkat(int fd, const char *name, int flags)
{
        int error = enter(FS_UNLINK), r;

        if (error != 0)
                return refuse(error);
        r = (int) syscall(SYS_unlinkat, fd, name, flags);
        if (r == 0)
                mark_dirty(fd);
        return r;
}
