/* SPDX-License-Identifier: MIT */
/*
 * Faults inside tgswitchd, for scenarios of the scratch host (points.sh has the shell's side of it). Loaded by
 * LD_PRELOAD, it stands between libc and the daemon ($FAULT_PROGRAM: another program) with its libraries, and does what
 * files in $FAULT_DIRECTORY say:
 *
 *      at      "fsync 7 before", "connect 1 after", "rename 3 after /var/lib": the process stops at that call, as by
 *              SIGSTOP, before or after it is carried out; counted from the moment at which the file is read, and
 *              where a path is named, of those below it; the path of a connect() is "ADDRESS:PORT". A point is met
 *              once, and the file is removed with it.
 *              "step": at each of these calls, before it.
 *      fail    "fsync EIO /var/lib/tgswitch", one a line: calls of this kind (write, fsync, rename, allocate) that
 *              concern a file below that directory fail, as long as the file is there.
 *      delay   "fsync 200", one a line: calls of this kind take so many milliseconds longer.
 *      clock   "SECONDS SECONDS [SECONDS]": CLOCK_REALTIME, CLOCK_BOOTTIME and CLOCK_MONOTONIC show so much more.
 *      report  a FIFO that gets a line for each point at which the process stops, "stopped KIND N WHEN PATH", and
 *              "ready" once a file that was put there or removed is in force, and at the start. A file has to be moved
 *              there.
 *
 * A process that stops instead of killing itself can be looked at, and the judge be told, before somebody else kills
 * it: none of its instructions runs in between.
 *
 * Limits. connect() counts for IPv4 and IPv6 alone. What libc calls by itself, such as for the look-up of names, is not
 * seen. A timerfd follows the offset where it is on CLOCK_BOOTTIME and armed for an absolute time, as sd-event does it;
 * one on CLOCK_REALTIME does not, and is not told of a step. Nobody who sleeps wakes up for CLOCK_MONOTONIC, by which
 * libcurl has its deadlines. The watchdog, systemd and the journal see the real clocks.
 */
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/macro.h"

#define TIMERS_MAX 8
#define TEXT_MAX   512

typedef enum Kind {
        KIND_FSYNC,
        KIND_RENAME,
        KIND_CONNECT,
        KIND_WRITE,
        KIND_ALLOCATE,
        KIND_MAX,
        KIND_NONE = -1,
} Kind;

static const char *const kind_names[KIND_MAX] = { "fsync", "rename", "connect", "write", "allocate" };

static const struct {
        const char *name;
        int error;
} errors[] = { { "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EROFS", EROFS } };

typedef struct Timer {
        int fd;
        struct itimerspec wanted; /* by the clock that is shown */
} Timer;

static struct {
        pthread_mutex_t lock; /* for all below, except where said */
        int directory;        /* constant after the start; -1: the library does nothing */
        int report;           /* so is this */

        Kind point_kind;
        unsigned point_n; /* counts down */
        char point_path[TEXT_MAX];
        bool point_after;
        bool step;
        unsigned n_calls[KIND_MAX];

        struct {
                int error; /* 0: none */
                char path[TEXT_MAX];
        } fail[KIND_MAX];
        unsigned delay_msec[KIND_MAX];

        _Atomic long long realtime_sec; /* offsets; read without the lock */
        _Atomic long long boottime_sec;
        _Atomic long long monotonic_sec;
        Timer timers[TIMERS_MAX];
        size_t n_timers;
} fault = { .lock = PTHREAD_MUTEX_INITIALIZER, .directory = -1, .report = -1, .point_kind = KIND_NONE };

/* ---- what we are told ---- */

static Kind kind_from_string(const char *s)
{
        for (Kind k = 0; k < KIND_MAX; k++)
                if (streq(kind_names[k], s))
                        return k;
        return KIND_NONE;
}

static int error_from_string(const char *s)
{
        FOREACH_ELEMENT(e, errors)
                if (streq(e->name, s))
                        return e->error;
        return 0;
}

static _printf_(1, 2) void report(const char *format, ...)
{
        char line[TEXT_MAX + 64];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        /* Nobody may be listening, and that is nothing to wait for. */
        if (n > 0)
                (void) !syscall(SYS_write, fault.report, line, MIN((size_t) n, sizeof(line) - 1));
}

/* The text of a file of the directory; empty where there is none. */
static void read_command(const char *name, char ret[static TEXT_MAX])
{
        _cleanup_close_ int fd = openat(fault.directory, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, ret, TEXT_MAX - 1);

        ret[MAX(n, 0)] = '\0';
}

static void read_point(void)
{
        char text[TEXT_MAX], kind[16], when[16];
        unsigned n;

        read_command("at", text);
        fault.step = startswith(text, "step");
        fault.point_kind = KIND_NONE;
        memset(fault.n_calls, 0, sizeof(fault.n_calls));
        fault.point_path[0] = '\0';
        if (sscanf(text, "%15s %u %15s %511s", kind, &n, when, fault.point_path) < 3)
                return;
        fault.point_kind = kind_from_string(kind);
        fault.point_n = n;
        fault.point_after = streq(when, "after");
}

static void read_fail(void)
{
        char text[TEXT_MAX], kind[16], error[16], path[TEXT_MAX];
        int n;

        read_command("fail", text);
        memset(fault.fail, 0, sizeof(fault.fail));
        for (const char *p = text; sscanf(p, "%15s %15s %511s%n", kind, error, path, &n) == 3; p += n) {
                Kind k = kind_from_string(kind);

                if (k == KIND_NONE)
                        continue;
                fault.fail[k].error = error_from_string(error);
                memcpy(fault.fail[k].path, path, sizeof(path));
        }
}

static void read_delay(void)
{
        char text[TEXT_MAX], kind[16];
        unsigned msec;
        int n;

        read_command("delay", text);
        memset(fault.delay_msec, 0, sizeof(fault.delay_msec));
        for (const char *p = text; sscanf(p, "%15s %u%n", kind, &msec, &n) == 2; p += n) {
                Kind k = kind_from_string(kind);

                if (k != KIND_NONE)
                        fault.delay_msec[k] = msec;
        }
}

/* ---- clocks ---- */

static long long clock_offset(clockid_t id)
{
        switch (id) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
                return fault.realtime_sec;
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM:
                return fault.boottime_sec;
        case CLOCK_MONOTONIC:
                return fault.monotonic_sec;
        default:
                return 0;
        }
}

/* Arms the timer for the moment at which the clock that is shown will show what is wanted. */
static int timer_arm(const Timer *t, struct itimerspec *ret_old)
{
        struct itimerspec real = t->wanted;

        if (real.it_value.tv_sec != 0 || real.it_value.tv_nsec != 0) {
                real.it_value.tv_sec -= fault.boottime_sec;
                /* Long ago is now; all zero would be never. */
                if (real.it_value.tv_sec < 0)
                        real.it_value = (struct timespec){ .tv_nsec = 1 };
                if (real.it_value.tv_sec == 0 && real.it_value.tv_nsec == 0)
                        real.it_value.tv_nsec = 1;
        }
        return (int) syscall(SYS_timerfd_settime, t->fd, TFD_TIMER_ABSTIME, &real, ret_old);
}

static void read_clock(void)
{
        char text[TEXT_MAX];
        long long realtime = 0, boottime = 0, monotonic = 0;

        read_command("clock", text);
        (void) sscanf(text, "%lld %lld %lld", &realtime, &boottime, &monotonic);
        fault.realtime_sec = realtime;
        fault.boottime_sec = boottime;
        fault.monotonic_sec = monotonic;
        for (size_t i = 0; i < fault.n_timers; i++)
                (void) timer_arm(fault.timers + i, NULL);
}

static Timer *find_timer(int fd)
{
        for (size_t i = 0; i < fault.n_timers; i++)
                if (fault.timers[i].fd == fd)
                        return fault.timers + i;
        return NULL;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
        int r = (int) syscall(SYS_clock_gettime, id, ret);

        if (r == 0)
                ret->tv_sec += clock_offset(id);
        return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
        struct timespec ts;
        int r = clock_gettime(CLOCK_REALTIME, &ts);

        if (r == 0)
                *ret = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
        return r;
}

time_t time(time_t *ret)
{
        struct timespec ts;

        if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
                return -1;
        if (ret)
                *ret = ts.tv_sec;
        return ts.tv_sec;
}

int timerfd_create(clockid_t id, int flags)
{
        int fd = (int) syscall(SYS_timerfd_create, id, flags);

        if (fd < 0 || fault.directory < 0 || (id != CLOCK_BOOTTIME && id != CLOCK_BOOTTIME_ALARM))
                return fd;
        pthread_mutex_lock(&fault.lock);
        /* A number that comes again belonged to one that was closed. */
        if (!find_timer(fd)) {
                assert(fault.n_timers < ELEMENTSOF(fault.timers));
                fault.timers[fault.n_timers++] = (Timer){ .fd = fd };
        }
        pthread_mutex_unlock(&fault.lock);
        return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *ret_old)
{
        Timer *t;
        int r;

        pthread_mutex_lock(&fault.lock);
        t = flags & TFD_TIMER_ABSTIME ? find_timer(fd) : NULL;
        if (t) {
                t->wanted = *value;
                r = timer_arm(t, ret_old);
        } else {
                r = (int) syscall(SYS_timerfd_settime, fd, flags, value, ret_old);
        }
        pthread_mutex_unlock(&fault.lock);
        return r;
}

/* ---- points and failures ---- */

/* The path of what a descriptor is open for, with a name below it. */
static void path_of(int fd, const char *name, char ret[static TEXT_MAX])
{
        char link[32];
        ssize_t n = 0;

        if (fd != AT_FDCWD) {
                snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
                n = MAX(readlink(link, ret, TEXT_MAX - 1), 0);
        }
        ret[n] = '\0';
        if (name)
                snprintf(ret + n, TEXT_MAX - (size_t) n, "%s%s", n > 0 ? "/" : "", name);
}

/* One thread at a time: a second one that comes to a point before the stop has reached it waits for the first to go on.
 * To this thread, so that it certainly has stopped before its next instruction. */
static void stop_here(Kind kind, unsigned n, const char *when, const char *path)
{
        static pthread_mutex_t stopping = PTHREAD_MUTEX_INITIALIZER;

        pthread_mutex_lock(&stopping);
        report("stopped %s %u %s %s\n", kind_names[kind], n, when, path);
        (void) tgkill(getpid(), gettid(), SIGSTOP);
        pthread_mutex_unlock(&stopping);
}

typedef struct Call {
        Kind kind;
        unsigned n;
        bool stop_after;
        char path[TEXT_MAX];
} Call;

/* Before a call: counts it, stops at it if it is the point. Returns the error with which it has to fail, or 0. */
static int call_enter(Call *c, Kind kind, int fd, const char *name)
{
        struct timespec delay;
        bool here, stop;
        int error;

        *c = (Call){ .kind = kind };
        if (fault.directory < 0)
                return 0;
        path_of(fd, name, c->path);
        pthread_mutex_lock(&fault.lock);
        c->n = ++fault.n_calls[kind];
        here = kind == fault.point_kind && startswith(c->path, fault.point_path) && --fault.point_n == 0;
        c->stop_after = here && fault.point_after;
        stop = (here && !fault.point_after) || (fault.step && kind <= KIND_CONNECT);
        if (here) {
                fault.point_kind = KIND_NONE;
                (void) unlinkat(fault.directory, "at", 0);
        }
        error = startswith(c->path, fault.fail[kind].path) ? fault.fail[kind].error : 0;
        delay.tv_sec = fault.delay_msec[kind] / 1000;
        delay.tv_nsec = (long) (fault.delay_msec[kind] % 1000) * 1000000;
        pthread_mutex_unlock(&fault.lock);

        if (stop)
                stop_here(kind, c->n, "before", c->path);
        if (delay.tv_sec > 0 || delay.tv_nsec > 0)
                nanosleep(&delay, NULL);
        return error;
}

/* After it: gives its result back. */
static int call_leave(const Call *c, int result)
{
        int error = errno;

        if (c->stop_after)
                stop_here(c->kind, c->n, "after", c->path);
        errno = error;
        return result;
}

static int refuse(int error)
{
        errno = error;
        return -1;
}

int fsync(int fd)
{
        Call c;
        int error = call_enter(&c, KIND_FSYNC, fd, NULL);

        return call_leave(&c, error != 0 ? refuse(error) : (int) syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
        Call c;
        int error = call_enter(&c, KIND_FSYNC, fd, NULL);

        return call_leave(&c, error != 0 ? refuse(error) : (int) syscall(SYS_fdatasync, fd));
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
        Call c;
        int error = call_enter(&c, KIND_RENAME, to_fd, to);

        if (error != 0)
                return call_leave(&c, refuse(error));
        return call_leave(&c, (int) syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
        return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
        char host[NI_MAXHOST], port[NI_MAXSERV], peer[NI_MAXHOST + NI_MAXSERV];
        Call c;

        if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
                return (int) syscall(SYS_connect, fd, address, size);
        if (getnameinfo(address, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
                host[0] = port[0] = '\0';
        snprintf(peer, sizeof(peer), "%s:%s", host, port);
        (void) call_enter(&c, KIND_CONNECT, AT_FDCWD, peer);
        return call_leave(&c, (int) syscall(SYS_connect, fd, address, size));
}

ssize_t write(int fd, const void *bytes, size_t size)
{
        struct stat st;
        int error = 0;
        Call c;

        /* Disks alone get full. */
        if (fault.directory >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
                error = call_enter(&c, KIND_WRITE, fd, NULL);
        return error != 0 ? refuse(error) : syscall(SYS_write, fd, bytes, size);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
        Call c;
        int error = call_enter(&c, KIND_ALLOCATE, fd, NULL);

        if (error == 0 && syscall(SYS_fallocate, fd, 0, offset, size) < 0)
                error = errno;
        return error;
}

/* ---- the thread that reads ---- */

static void read_all(void)
{
        pthread_mutex_lock(&fault.lock);
        read_point();
        read_fail();
        read_delay();
        read_clock();
        pthread_mutex_unlock(&fault.lock);
}

static void read_changed(const struct inotify_event *e)
{
        pthread_mutex_lock(&fault.lock);
        if (streq(e->name, "at"))
                read_point();
        else if (streq(e->name, "fail"))
                read_fail();
        else if (streq(e->name, "delay"))
                read_delay();
        else if (streq(e->name, "clock"))
                read_clock();
        pthread_mutex_unlock(&fault.lock);
}

static void *watch_directory(void *userdata)
{
        int fd = (int) (intptr_t) userdata;
        _Alignas(struct inotify_event) char buffer[4096];

        for (;;) {
                ssize_t size = read(fd, buffer, sizeof(buffer));

                for (char *p = buffer; p < buffer + size;) {
                        const struct inotify_event *e = (const struct inotify_event *) p;

                        p += sizeof(*e) + e->len;
                        /* What we remove ourselves is no news. */
                        if (e->len == 0 || ((e->mask & IN_DELETE) && streq(e->name, "at")))
                                continue;
                        read_changed(e);
                        report("ready\n");
                }
        }
        return NULL;
}

static __attribute__((constructor)) void begin(void)
{
        const char *path = getenv("FAULT_DIRECTORY"), *program = getenv("FAULT_PROGRAM") ?: "tgswitchd";
        sigset_t all, before;
        pthread_t thread;
        int fd, r;

        /* What systemd runs before the daemon inherits the environment, too. */
        if (!path || !streq(program_invocation_short_name, program))
                return;
        fd = inotify_init1(IN_CLOEXEC);
        r = inotify_add_watch(fd, path, IN_MOVED_TO | IN_DELETE);
        assert(r >= 0);
        /* Both ways, so that a reader need not be there. */
        fault.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fault.report = openat(fault.directory, "report", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        assert(fault.directory >= 0 && fault.report >= 0);
        read_all();

        /* The daemon reads its signals from a descriptor: none may end up here. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, NULL, watch_directory, (void *) (intptr_t) fd);
        assert(r == 0);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        report("ready\n");
}
