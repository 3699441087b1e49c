/* SPDX-License-Identifier: MIT */
/*
 * When tgswitchd reads, writes and waits for its disk, for overhead.sh. Loaded by LD_PRELOAD into the daemon of a
 * scratch host, it stands between libc and the daemon with its libraries and leaves a stamp for each call that matters
 * in $STAMP_FILE, which is mapped: a stamp costs what reading the clock does, and nothing is written while it is
 * measured.
 *
 * The file is an array of stamps, six 64-bit numbers each: CLOCK_MONOTONIC in nanoseconds, thread, kind, descriptor,
 * port of the peer (0: no connection that was made here), bytes. It ends with one of kind 0; where it has no room left
 * the last one has no such end, so that the reader sees it.
 *
 * What goes to the cloud can't be read on its way, so its kind is seen where libcurl hands it to OpenSSL; that works
 * as long as it speaks HTTP/1.1, as it does with the simulator.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/macro.h"

#define STAMPS_MAX      (1U << 18)
#define DESCRIPTORS_MAX 4096

/* overhead.jq has their names. */
typedef enum Kind {
        KIND_NONE,
        KIND_LOOP, /* the event loop has something to do */
        KIND_RECEIVED,
        KIND_SENDS,
        KIND_SENDS_LOG_OUT,
        KIND_SENDS_GET_ME,
        KIND_SYNC,
        KIND_SYNCED,
        KIND_RENAMES,
        KIND_MESSAGE, /* to the bus or to the journal */
        KIND_ENCRYPTS,
        KIND_CONNECTS,
} Kind;

typedef struct Stamp {
        uint64_t nsec, thread, kind, fd, port, size;
} Stamp;

static Stamp *stamps;
static atomic_uint n_stamps;
static _Atomic(in_port_t) ports[DESCRIPTORS_MAX];
static _Thread_local Kind encrypted; /* what OpenSSL sends next on this thread */

static in_port_t port_of(int fd)
{
        return fd >= 0 && fd < DESCRIPTORS_MAX ? ports[fd] : 0;
}

static void stamp(Kind kind, int fd, size_t size)
{
        static _Thread_local pid_t thread;
        struct timespec now;
        unsigned i;

        if (!stamps)
                return;
        i = atomic_fetch_add(&n_stamps, 1);
        if (i >= STAMPS_MAX)
                return;
        if (thread == 0)
                thread = gettid();
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        stamps[i] = (Stamp){
                .nsec = (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec,
                .thread = (uint64_t) thread,
                .kind = kind,
                .fd = (uint64_t) fd,
                .port = port_of(fd),
                .size = size,
        };
}

static ssize_t received(int fd, ssize_t n)
{
        int error = errno;

        /* Most attempts find nothing. */
        if (n > 0 && port_of(fd) != 0)
                stamp(KIND_RECEIVED, fd, (size_t) n);
        errno = error;
        return n;
}

/* The method of a request, which stands in its first line. */
static Kind kind_of(const char *bytes, size_t size)
{
        const char *end = memchr(bytes, '\n', size);
        size_t length = end ? (size_t) (end - bytes) : size;

        if (memmem(bytes, length, "/logOut", strlen("/logOut")))
                return KIND_SENDS_LOG_OUT;
        if (memmem(bytes, length, "/getMe", strlen("/getMe")))
                return KIND_SENDS_GET_ME;
        return KIND_SENDS;
}

/* ---- what is stood in front of ---- */

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
        /* The host has no other than IPv4. */
        if (fd >= 0 && fd < DESCRIPTORS_MAX)
                ports[fd] = address->sa_family == AF_INET ? ntohs(((const struct sockaddr_in *) address)->sin_port) : 0;
        if (port_of(fd) != 0)
                stamp(KIND_CONNECTS, fd, 0);
        return (int) syscall(SYS_connect, fd, address, size);
}

int close(int fd)
{
        if (fd >= 0 && fd < DESCRIPTORS_MAX)
                ports[fd] = 0;
        return (int) syscall(SYS_close, fd);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
        return received(fd, syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL));
}

ssize_t read(int fd, void *bytes, size_t size)
{
        return received(fd, syscall(SYS_read, fd, bytes, size));
}

int SSL_write(SSL *ssl, const void *bytes, int size)
{
        static _Atomic(typeof(SSL_write) *) next;
        int n;

        if (!next)
                next = (typeof(SSL_write) *) dlsym(RTLD_NEXT, "SSL_write");
        encrypted = size > 0 ? kind_of(bytes, (size_t) size) : KIND_SENDS;
        stamp(KIND_ENCRYPTS, -1, (size_t) MAX(size, 0));
        n = next(ssl, bytes, size);
        encrypted = KIND_NONE;
        return n;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
        if (port_of(fd) != 0)
                stamp(encrypted != KIND_NONE ? encrypted : kind_of(bytes, size), fd, size);
        return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
        stamp(KIND_MESSAGE, fd, 0);
        return syscall(SYS_sendmsg, fd, message, flags);
}

int epoll_wait(int fd, struct epoll_event *events, int n_max, int timeout_msec)
{
        int n = (int) syscall(SYS_epoll_pwait, fd, events, n_max, timeout_msec, NULL, 0);

        stamp(KIND_LOOP, -1, (size_t) MAX(n, 0));
        return n;
}

static int synced(int fd, int result)
{
        int error = errno;

        stamp(KIND_SYNCED, fd, 0);
        errno = error;
        return result;
}

int fsync(int fd)
{
        stamp(KIND_SYNC, fd, 0);
        return synced(fd, (int) syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
        stamp(KIND_SYNC, fd, 0);
        return synced(fd, (int) syscall(SYS_fdatasync, fd));
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
        stamp(KIND_RENAMES, to_fd, 0);
        return (int) syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        return renameat2(from_fd, from, to_fd, to, 0);
}

static __attribute__((constructor)) void begin(void)
{
        const char *path = getenv("STAMP_FILE");
        size_t size = STAMPS_MAX * sizeof(Stamp);
        Stamp *map;
        int fd;

        /* What systemd runs before the daemon inherits the environment, too. */
        if (!path || !streq(program_invocation_short_name, "tgswitchd"))
                return;
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, (off_t) size) < 0)
                abort();
        /* Its pages are there before they are used. */
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
        if (map == MAP_FAILED)
                abort();
        (void) close(fd);
        stamps = map;
}
