/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "base/macro.h"

/* What calls on the system bus take, of one service and of others, in turns, so that what else the machine does falls
 * on all of them alike.
 *
 *      bus ROUNDS <<<"LABEL DESTINATION PATH INTERFACE METHOD [ARGUMENT]"     one line a call
 *
 * Prints a line for each: label, bytes of the reply, median and 90th percentile of the microseconds from the call to
 * the reply, and the microseconds of processor time that the service had for it. Ends with 1 where anything fails. */

#define CALLS_MAX 32

typedef struct Service {
        char name[128];
        pid_t pid;
        struct Call *last; /* whose processor time is not known yet */
        uint64_t cpu_nsec; /* when that began */
} Service;

typedef struct Call {
        char label[64], path[256], interface[128], method[64], argument[128];
        Service *service;
        uint64_t *nsec;    /* of each round */
        uint64_t cpu_nsec; /* of all of them */
        size_t size;
} Call;

static Call calls[CALLS_MAX];
static Service services[CALLS_MAX];
static size_t n_calls, n_services;
static size_t n_received;

/* sd-bus does not tell the size of a message; this is how it reads one. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
        ssize_t n = syscall(SYS_recvmsg, fd, message, flags);

        n_received += (size_t) MAX(n, (ssize_t) 0);
        return n;
}

static uint64_t now_nsec(void)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* Of the main thread, where a service has its bus; all are single-threaded there. */
static int cpu_nsec(pid_t pid, uint64_t *ret)
{
        char path[64];
        FILE *f;
        int n;

        (void) snprintf(path, sizeof(path), "/proc/%d/schedstat", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        n = fscanf(f, "%" SCNu64, ret);
        (void) fclose(f);
        return n == 1 ? 0 : -EIO;
}

static int service_find(sd_bus *bus, const char *name, Service **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t pid;
        Service *s;
        int r;

        for (size_t i = 0; i < n_services; i++)
                if (streq(services[i].name, name)) {
                        *ret = services + i;
                        return 0;
                }
        s = services + n_services;
        (void) snprintf(s->name, sizeof(s->name), "%s", name);
        r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                               "GetConnectionUnixProcessID", NULL, &reply, "s", name);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", &pid);
        if (r < 0)
                return r;
        s->pid = (pid_t) pid;
        n_services++;
        *ret = s;
        return 0;
}

/* What a service does after its reply, such as freeing it, is part of the call: its time ends where the next begins. */
static int charge(Service *s, Call *next)
{
        uint64_t now = 0;
        int r = cpu_nsec(s->pid, &now);

        if (r < 0)
                return r;
        if (s->last)
                s->last->cpu_nsec += now - s->cpu_nsec;
        s->last = next;
        s->cpu_nsec = now;
        return 0;
}

static int call(sd_bus *bus, const char *destination, Call *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, destination, c->path, c->interface, c->method);
        if (r >= 0 && *c->argument)
                r = sd_bus_message_append(m, "s", c->argument);
        if (r < 0)
                return r;
        n_received = 0;
        r = sd_bus_call(bus, m, 0, &error, &reply);
        if (r < 0)
                fprintf(stderr, "%s: %s\n", c->label, error.message ?: strerror(-r));
        c->size = n_received;
        return r;
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static int read_calls(sd_bus *bus, size_t n_rounds)
{
        char line[1024], destination[128];

        while (n_calls < CALLS_MAX && fgets(line, sizeof(line), stdin)) {
                Call *c = calls + n_calls;
                int r;

                if (sscanf(line, "%63s %127s %255s %127s %63s %127s", c->label, destination, c->path, c->interface,
                           c->method, c->argument) < 5)
                        return -EINVAL;
                c->nsec = calloc(n_rounds, sizeof(uint64_t));
                if (!c->nsec)
                        return -ENOMEM;
                /* Starts a service that is started on demand. */
                r = call(bus, destination, c);
                if (r < 0)
                        return r;
                r = service_find(bus, destination, &c->service);
                if (r < 0)
                        return r;
                n_calls++;
        }
        return n_calls > 0 ? 0 : -EINVAL;
}

static int measure(sd_bus *bus, size_t n_rounds)
{
        for (size_t round = 0; round < n_rounds; round++)
                for (Call *c = calls; c < calls + n_calls; c++) {
                        uint64_t began;
                        int r;

                        r = charge(c->service, c);
                        if (r < 0)
                                return r;
                        began = now_nsec();
                        r = call(bus, c->service->name, c);
                        if (r < 0)
                                return r;
                        c->nsec[round] = now_nsec() - began;
                }
        for (Service *s = services; s < services + n_services; s++)
                if (charge(s, NULL) < 0)
                        return -EIO;
        return 0;
}

int main(int argc, char *argv[])
{
        size_t n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;

        if (n == 0 || sd_bus_open_system(&bus) < 0 || read_calls(bus, n) < 0 || measure(bus, n) < 0)
                return EXIT_FAILURE;
        for (Call *c = calls; c < calls + n_calls; c++) {
                size_t median = n / 2, late = n * 9 / 10;

                qsort(c->nsec, n, sizeof(uint64_t), compare);
                printf("%s\t%zu\t%.1f\t%.1f\t%.1f\n", c->label, c->size, (double) c->nsec[median] / 1000,
                       (double) c->nsec[late] / 1000, (double) c->cpu_nsec / (double) n / 1000);
                free(c->nsec);
        }
        return EXIT_SUCCESS;
}
