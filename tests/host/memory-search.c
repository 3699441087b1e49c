/* SPDX-License-Identifier: MIT */

/* Where in the memory of a process given texts are, freed memory, stacks and mapped files included.
 *
 *      memory-search PID       NAME SECRET on each line of standard input
 *
 * Prints a line for each place: NAME, whole or part, which of the flags "lo" (locked) and "dd" (not dumped) the memory
 * has there (proc(5), VmFlags of smaps), the address, and what it is. A part is one of the halves of a secret alone:
 * what free() leaves of a text begins with pointers of its own. The process stands still while it is read. */

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/macro.h"

#define SECRETS_MAX      64
#define STOP_TIMEOUT_SEC 60

typedef struct Secret {
        char name[64], text[128];
        size_t size;
} Secret;

typedef struct Region {
        uint64_t from, to;
        char place[512], flags[512];
        uint64_t kb; /* in memory or swap: what was never touched has nothing to read */
} Region;

static _noreturn_ void die(const char *what)
{
        perror(what);
        exit(2);
}

static size_t read_secrets(Secret *secrets)
{
        size_t n = 0;

        while (n < SECRETS_MAX && scanf("%63s %127s", secrets[n].name, secrets[n].text) == 2) {
                secrets[n].size = strlen(secrets[n].text);
                n++;
        }
        return n;
}

static bool has_flag(const Region *r, const char *flag)
{
        const char *found = strstr(r->flags, flag);

        return found && isspace((unsigned char) found[strlen(flag)]);
}

static void tell(const Secret *s, const Region *r, const char *how, uint64_t address)
{
        printf("%s %s %s,%s 0x%" PRIx64 " %s\n", s->name, how, has_flag(r, " lo") ? "lo" : "-",
               has_flag(r, " dd") ? "dd" : "-", address, r->place);
}

/* Each half that is found, both as one where they stand side by side. */
static void search(const Secret *s, const Region *r, const char *bytes, size_t size)
{
        size_t half = s->size / 2;
        const char *end = bytes + size, *at;

        for (const char *p = bytes; (at = memmem(p, (size_t) (end - p), s->text, half)); p = at + half) {
                bool whole = (size_t) (end - at) >= s->size && memcmp(at, s->text, s->size) == 0;

                tell(s, r, whole ? "whole" : "part", r->from + (uint64_t) (at - bytes));
        }
        for (const char *p = bytes; (at = memmem(p, (size_t) (end - p), s->text + half, s->size - half)); p = at + 1)
                if ((size_t) (at - bytes) < half || memcmp(at - half, s->text, half) != 0)
                        tell(s, r, "part", r->from + (uint64_t) (at - bytes));
}

/* Page by page where a read of all fails: the kernel has pages of its own in between. */
static void look_at(int memory, const Region *r, const Secret *secrets, size_t n_secrets)
{
        size_t size = r->to - r->from, page = (size_t) sysconf(_SC_PAGESIZE), n_read = 0;
        _cleanup_free_ char *bytes = calloc(1, size);

        if (!bytes)
                die("calloc");
        while (n_read < size) {
                ssize_t n = pread(memory, bytes + n_read, size - n_read, (off_t) (r->from + n_read));

                n_read += n > 0 ? (size_t) n : page - n_read % page;
        }
        for (size_t i = 0; i < n_secrets; i++)
                search(secrets + i, r, bytes, size);
}

/* Of a region's entry in smaps the first line and the last, VmFlags, are looked at, and whether there is anything. */
static bool next_region(FILE *smaps, Region *ret)
{
        char line[512];
        bool any = false;

        while (fgets(line, sizeof(line), smaps)) {
                unsigned long from, to;
                int at = 0;

                if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &at) == 2 && at > 0) {
                        *ret = (Region){ .from = from, .to = to };
                        line[strcspn(line, "\n")] = '\0';
                        snprintf(ret->place, sizeof(ret->place), "%s", line[at] ? line + at : "[anonymous]");
                        any = true;
                } else if (startswith(line, "Rss:") || startswith(line, "Swap:"))
                        ret->kb += strtoull(strchr(line, ':') + 1, NULL, 10);
                else if (any && startswith(line, "VmFlags:")) {
                        snprintf(ret->flags, sizeof(ret->flags), "%s", line + strlen("VmFlags:"));
                        return true;
                }
        }
        return false;
}

static time_t monotonic_sec(void)
{
        struct timespec now;

        if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
                die("clock_gettime");
        return now.tv_sec;
}

/* Returns when none of its threads runs any more: the state of the first is told when all have stopped. One that has
 * ended has no memory, and one that never stops goes on. */
static void stop(pid_t pid)
{
        time_t deadline = monotonic_sec() + STOP_TIMEOUT_SEC;
        char path[64], state = 0;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        if (kill(pid, SIGSTOP) < 0)
                die("kill");
        while (state != 'T') {
                FILE *f = fopen(path, "re");

                if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1 || state == 'Z')
                        die(path);
                fclose(f);
                if (state != 'T' && monotonic_sec() > deadline) {
                        (void) kill(pid, SIGCONT);
                        errno = ETIMEDOUT;
                        die(path);
                }
                (void) sched_yield();
        }
}

int main(int argc, char *argv[])
{
        static Secret secrets[SECRETS_MAX];
        pid_t pid = argc == 2 ? atoi(argv[1]) : 0;
        char path[64];
        Region r = {};

        size_t n = read_secrets(secrets);
        if (pid <= 0 || n == 0) {
                fprintf(stderr, "usage: memory-search PID <SECRETS\n");
                return 2;
        }
        snprintf(path, sizeof(path), "/proc/%d/smaps", (int) pid);
        FILE *smaps = fopen(path, "re");
        snprintf(path, sizeof(path), "/proc/%d/mem", (int) pid);
        int memory = open(path, O_RDONLY | O_CLOEXEC);
        if (!smaps || memory < 0)
                die(path);

        stop(pid);
        while (next_region(smaps, &r))
                if (r.kb > 0)
                        look_at(memory, &r, secrets, n);
        if (kill(pid, SIGCONT) < 0)
                die("kill");
        fclose(smaps);
        close(memory);
        return 0;
}
