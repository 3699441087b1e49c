/* SPDX-License-Identifier: MIT */
/*
 * Tells which of its own texts a program brings out, for tests/messages/report: loaded by LD_PRELOAD or
 * /etc/ld.so.preload, it stands between the project's programs and the functions of libc that make text of a format.
 * Each format, and each string that is put in for a %s, counts where it is a literal, which is where it lies in the
 * program's own file; so the program that is tested is the one that is shipped.
 *
 * A text is told once in a process, as a line that is written as one: its own words with newline, tab, quote and
 * backslash escaped as in C. It goes to the file that $MESSAGES_RECORD names, or to the FIFO of a scratch host, which
 * takes it from any sandbox that leaves the path in place. Where there is neither, nothing is told.
 *
 * What a program says that is linked statically is not seen, nor what the compiler has made another call of. Where a
 * test has the same literal as the code, as a fake's message, either counts.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <printf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"

#define FIFO     "/var/lib/messages"
#define SEEN_MAX 4096

/* Of one format; what comes after is not looked at. */
#define ARGUMENTS_MAX 32

static struct {
        pthread_once_t once;
        const char *path; /* NULL: not one of our programs */
        uintptr_t from, to;
        _Atomic(const char *) seen[SEEN_MAX];
} recorder = { .once = PTHREAD_ONCE_INIT };

/* ---- what is ours ---- */

static bool program_is_ours(void)
{
        static const char *const names[] = { "tgswitchd", "tgswitchctl", "tgswitch-exec", "simulate" };

        FOREACH_ELEMENT(name, names)
                if (streq(program_invocation_short_name, *name))
                        return true;
        return startswith(program_invocation_short_name, "test-") || startswith(program_invocation_short_name, "fuzz-");
}

/* The first is the program itself, dl_iterate_phdr(3). */
static int note_program(struct dl_phdr_info *info, size_t size, void *userdata)
{
        recorder.from = UINTPTR_MAX;
        for (unsigned i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *p = &info->dlpi_phdr[i];

                /* What can be written is no literal. */
                if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
                        continue;
                recorder.from = MIN(recorder.from, (uintptr_t) (info->dlpi_addr + p->p_vaddr));
                recorder.to = MAX(recorder.to, (uintptr_t) (info->dlpi_addr + p->p_vaddr + p->p_memsz));
        }
        return 1;
}

static void look_around(void)
{
        const char *path = getenv("MESSAGES_RECORD");

        if (!program_is_ours())
                return;
        dl_iterate_phdr(note_program, NULL);
        recorder.path = path ?: FIFO;
}

/* ---- telling ---- */

/* True for the first time that this is seen; also where there is no more room to know. */
static bool is_new(const char *text)
{
        for (size_t i = 0; i < SEEN_MAX; i++) {
                size_t slot = (((uintptr_t) text * 2654435761U >> 7) + i) % SEEN_MAX;
                const char *there = NULL;

                if (atomic_compare_exchange_strong(&recorder.seen[slot], &there, text))
                        return true;
                if (there == text)
                        return false;
        }
        return true;
}

/* Blocks until there is room in a FIFO, which somebody reads as long as it can be opened. */
static void write_line(const char *line, size_t n)
{
        int fd = open(recorder.path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return;
        (void) fcntl(fd, F_SETFL, O_WRONLY | O_APPEND);
        /* A call of write() would be one of the daemon's for fault-preload.c. */
        (void) !syscall(SYS_write, fd, line, n);
        close(fd);
}

static bool is_ours(const char *text)
{
        (void) pthread_once(&recorder.once, look_around);
        return recorder.path && (uintptr_t) text >= recorder.from && (uintptr_t) text < recorder.to;
}

static void tell(const char *text)
{
        char line[PIPE_BUF];
        size_t n = 0;
        int error = errno;

        /* One word is no message. */
        if (!is_ours(text) || !strchr(text, ' ') || !is_new(text))
                return;
        for (const char *p = text; *p != '\0' && n + 3 < sizeof(line); p++) {
                static const char from[] = "\n\t\"\\", to[] = "nt\"\\";
                const char *escape = strchr(from, *p);

                if (escape) {
                        line[n++] = '\\';
                        line[n++] = to[escape - from];
                } else {
                        line[n++] = *p;
                }
        }
        line[n++] = '\n';
        write_line(line, n);
        errno = error;
}

/* The format, and the strings among what it is given. */
static void tell_format(const char *format, va_list ap)
{
        int types[ARGUMENTS_MAX];
        va_list copy;
        size_t n;

        if (!is_ours(format))
                return;
        tell(format);
        n = parse_printf_format(format, ELEMENTSOF(types), types);
        va_copy(copy, ap);
        for (size_t i = 0; i < MIN(n, ELEMENTSOF(types)); i++)
                if (types[i] == PA_STRING)
                        tell(va_arg(copy, const char *));
                else if (types[i] == PA_DOUBLE)
                        (void) va_arg(copy, double);
                else if (types[i] == PA_INT || types[i] == PA_CHAR)
                        (void) va_arg(copy, int);
                else if (types[i] == (PA_INT | PA_FLAG_LONG) || types[i] == (PA_INT | PA_FLAG_LONG_LONG) ||
                         types[i] == PA_POINTER)
                        (void) va_arg(copy, long long);
                else if (types[i] == (PA_INT | PA_FLAG_SHORT))
                        (void) va_arg(copy, int);
                else
                        break; /* nobody here has such a one */
        va_end(copy);
}

/* ---- what is called instead of libc ---- */

#define REAL(function)                                                   \
        ({                                                               \
                static typeof(&(function)) _real;                        \
                if (!_real)                                              \
                        *(void **) &_real = dlsym(RTLD_NEXT, #function); \
                _real;                                                   \
        })

/* What a function does that takes a format and arguments, by one that takes a va_list. */
#define FORWARD(format, call)            \
        do {                             \
                va_list ap;              \
                int r;                   \
                va_start(ap, format);    \
                tell_format(format, ap); \
                r = (call);              \
                va_end(ap);              \
                return r;                \
        } while (false)

/* With _FORTIFY_SOURCE the compiler calls these, which no header declares. */
int __vsnprintf_chk(char *s, size_t size, int flag, size_t real_size, const char *format, va_list ap);
int __vasprintf_chk(char **ret, int flag, const char *format, va_list ap);
int __vfprintf_chk(FILE *f, int flag, const char *format, va_list ap);
int __snprintf_chk(char *s, size_t size, int flag, size_t real_size, const char *format, ...);
int __asprintf_chk(char **ret, int flag, const char *format, ...);
int __fprintf_chk(FILE *f, int flag, const char *format, ...);
int __printf_chk(int flag, const char *format, ...);

int vsnprintf(char *s, size_t size, const char *format, va_list ap)
{
        tell_format(format, ap);
        return REAL(vsnprintf)(s, size, format, ap);
}

int __vsnprintf_chk(char *s, size_t size, int flag, size_t real_size, const char *format, va_list ap)
{
        tell_format(format, ap);
        return REAL(__vsnprintf_chk)(s, size, flag, real_size, format, ap);
}

int vasprintf(char **ret, const char *format, va_list ap)
{
        tell_format(format, ap);
        return REAL(vasprintf)(ret, format, ap);
}

int __vasprintf_chk(char **ret, int flag, const char *format, va_list ap)
{
        tell_format(format, ap);
        return REAL(__vasprintf_chk)(ret, flag, format, ap);
}

int vfprintf(FILE *f, const char *format, va_list ap)
{
        tell_format(format, ap);
        return REAL(vfprintf)(f, format, ap);
}

int __vfprintf_chk(FILE *f, int flag, const char *format, va_list ap)
{
        tell_format(format, ap);
        return REAL(__vfprintf_chk)(f, flag, format, ap);
}

int snprintf(char *s, size_t size, const char *format, ...)
{
        FORWARD(format, REAL(vsnprintf)(s, size, format, ap));
}

int __snprintf_chk(char *s, size_t size, int flag, size_t real_size, const char *format, ...)
{
        FORWARD(format, REAL(__vsnprintf_chk)(s, size, flag, real_size, format, ap));
}

int asprintf(char **ret, const char *format, ...)
{
        FORWARD(format, REAL(vasprintf)(ret, format, ap));
}

int __asprintf_chk(char **ret, int flag, const char *format, ...)
{
        FORWARD(format, REAL(__vasprintf_chk)(ret, flag, format, ap));
}

int fprintf(FILE *f, const char *format, ...)
{
        FORWARD(format, REAL(vfprintf)(f, format, ap));
}

int __fprintf_chk(FILE *f, int flag, const char *format, ...)
{
        FORWARD(format, REAL(__vfprintf_chk)(f, flag, format, ap));
}

int printf(const char *format, ...)
{
        FORWARD(format, REAL(vfprintf)(stdout, format, ap));
}

int __printf_chk(int flag, const char *format, ...)
{
        FORWARD(format, REAL(__vfprintf_chk)(stdout, flag, format, ap));
}

/* Where a text is kept, or goes out, as it is. */

int fputs(const char *s, FILE *f)
{
        tell(s);
        return REAL(fputs)(s, f);
}

int puts(const char *s)
{
        tell(s);
        return REAL(puts)(s);
}

char *strdup(const char *s)
{
        tell(s);
        return REAL(strdup)(s);
}

int sd_bus_error_set(sd_bus_error *error, const char *name, const char *message)
{
        tell(message);
        return REAL(sd_bus_error_set)(error, name, message);
}

/* What a test compares is there where it is equal; where not, the test fails. */
void _assert_string_equal(const char *a, const char *b, const char *file, int line);

void _assert_string_equal(const char *a, const char *b, const char *file, int line)
{
        tell(a);
        tell(b);
        REAL(_assert_string_equal)(a, b, file, line);
}
