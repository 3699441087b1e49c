/* SPDX-License-Identifier: MIT */
/*
 * Tries what it is told on standard input, as whoever it runs as, and says on standard output what came of it. One
 * process for all cells of one column of a matrix of rights (matrix.sh); it decides nothing.
 *
 * A line is a number, a kind and its words, with tabs between them; the answer is the number, "ok" or the name of an
 * error, and what else was said:
 *
 *      call DESTINATION PATH INTERFACE METHOD [SIGNATURE VALUE…]   a method call, with values as busctl(1) takes them
 *      ask …                               the same, and the caller may be asked for a password
 *      read PATH                           opens it for reading; a directory, too
 *      write PATH                          whether it may be written
 *      connect PATH [NAME]                 to a socket, from the abstract address NAME; prints what comes from there
 *      ptrace PID                          seizes the process and lets it go again
 *      kill PID                            whether it may be sent a signal
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "base/macro.h"

#define WORDS_MAX 64

/* A call that is held for a password that nobody types, or a bus that does not answer, fails the cell and no more. */
#define CALL_TIMEOUT_USEC (20 * UINT64_C(1000000))

typedef struct Words {
        char *items[WORDS_MAX];
        size_t n, next;
} Words;

static sd_bus *bus;

static const char *word(Words *w)
{
        return w->next < w->n ? w->items[w->next++] : NULL;
}

/* ---- what is answered ---- */

/* Tabs and line breaks belong to the protocol. */
static void print_text(const char *text)
{
        for (const char *p = text ?: ""; *p; p++)
                putchar((unsigned char) *p < ' ' ? ' ' : *p);
}

static void answer(const char *number, const char *result, const char *text)
{
        print_text(number);
        putchar('\t');
        print_text(result);
        putchar('\t');
        print_text(text);
        putchar('\n');
}

static void answer_errno(const char *number, int error)
{
        answer(number, error == 0 ? "ok" : strerrorname_np(error) ?: "E?", error == 0 ? "" : strerror(error));
}

/* ---- method calls ---- */

/* The end of the first complete type of a signature, or NULL where it has none. */
static const char *type_end(const char *t)
{
        char close = *t == '(' ? ')' : '}';

        if (*t == 'a')
                return type_end(t + 1);
        if (*t != '(' && *t != '{')
                return *t ? t + 1 : NULL;
        for (t++; *t && *t != close;) {
                t = type_end(t);
                if (!t)
                        return NULL;
        }
        return *t ? t + 1 : NULL;
}

static int append(sd_bus_message *m, const char *signature, size_t size, Words *w);

static int append_basic(sd_bus_message *m, char type, const char *value)
{
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                return sd_bus_message_append_basic(m, type, streq(value, "\"\"") ? "" : value);
        case 'b':
                return sd_bus_message_append(m, "b", streq(value, "true"));
        case 'i':
                return sd_bus_message_append(m, "i", (int32_t) strtol(value, NULL, 0));
        case 'u':
                return sd_bus_message_append(m, "u", (uint32_t) strtoul(value, NULL, 0));
        case 'x':
                return sd_bus_message_append(m, "x", (int64_t) strtoll(value, NULL, 0));
        case 't':
                return sd_bus_message_append(m, "t", (uint64_t) strtoull(value, NULL, 0));
        default:
                return -EINVAL;
        }
}

/* `contents` is one type for an array, the whole of it for the others; an array has its length as first word. */
static int append_container(sd_bus_message *m, char type, const char *contents, size_t size, Words *w)
{
        _cleanup_free_ char *signature = strndup(contents, size);
        const char *count = type == SD_BUS_TYPE_ARRAY ? word(w) : "1";
        int r;

        if (!signature)
                return -ENOMEM;
        if (!count)
                return -EINVAL;
        r = sd_bus_message_open_container(m, type, signature);
        if (r < 0)
                return r;
        for (unsigned long n = strtoul(count, NULL, 0); n > 0; n--) {
                r = append(m, signature, size, w);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

/* Values for `size` characters of a signature, each taken from the words. */
static int append(sd_bus_message *m, const char *signature, size_t size, Words *w)
{
        const char *t = signature, *stop = signature + size;

        while (t < stop) {
                const char *end = type_end(t), *value;
                int r;

                if (!end || end > stop)
                        return -EINVAL;
                if (*t == 'a')
                        r = append_container(m, SD_BUS_TYPE_ARRAY, t + 1, (size_t) (end - t - 1), w);
                else if (*t == '(')
                        r = append_container(m, SD_BUS_TYPE_STRUCT, t + 1, (size_t) (end - t - 2), w);
                else if (*t == '{')
                        r = append_container(m, SD_BUS_TYPE_DICT_ENTRY, t + 1, (size_t) (end - t - 2), w);
                else {
                        value = word(w);
                        if (!value)
                                return -EINVAL;
                        r = *t == 'v' ? append_container(m, SD_BUS_TYPE_VARIANT, value, strlen(value), w)
                                      : append_basic(m, *t, value);
                }
                if (r < 0)
                        return r;
                t = end;
        }
        return 0;
}

static int make_call(Words *w, bool interactive, sd_bus_message **ret)
{
        const char *destination = word(w), *path = word(w), *interface = word(w), *method = word(w), *signature;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (!method)
                return -EINVAL;
        if (!bus) {
                r = sd_bus_open_system(&bus);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_new_method_call(bus, &m, destination, path, interface, method);
        if (r < 0)
                return r;
        r = sd_bus_message_set_allow_interactive_authorization(m, interactive);
        if (r < 0)
                return r;
        signature = word(w);
        if (signature) {
                r = append(m, signature, strlen(signature), w);
                if (r < 0)
                        return r;
        }
        /* A word that is left over is a mistake in the table, and would make another call than the one it says. */
        if (word(w))
                return -E2BIG;
        *ret = TAKE_PTR(m);
        return 0;
}

/* The first value of a reply, where it is a number or a text. */
static void answer_reply(const char *number, sd_bus_message *reply)
{
        char text[32] = "", type;
        const char *contents;
        union {
                const char *s;
                uint32_t u32;
                uint64_t u64;
        } value;

        if (sd_bus_message_peek_type(reply, &type, &contents) > 0 && strchr("soub", type) &&
            sd_bus_message_read_basic(reply, type, &value) > 0) {
                if (type == 's' || type == 'o') {
                        answer(number, "ok", value.s);
                        return;
                }
                (void) snprintf(text, sizeof(text), "%" PRIu32, value.u32);
        }
        answer(number, "ok", text);
}

static void try_call(const char *number, Words *w, bool interactive)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = make_call(w, interactive, &m);
        if (r < 0) {
                answer(number, "unsent", strerror(-r));
                return;
        }
        r = sd_bus_call(bus, m, CALL_TIMEOUT_USEC, &error, &reply);
        if (r < 0)
                answer(number, error.name ?: strerrorname_np(-r), error.message);
        else
                answer_reply(number, reply);
}

/* ---- files ---- */

static void try_read(const char *number, const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        answer_errno(number, fd < 0 ? errno : 0);
}

static void try_write(const char *number, const char *path)
{
        answer_errno(number, faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? errno : 0);
}

static int open_socket(const char *path, const char *name)
{
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un from = { .sun_family = AF_UNIX }, to = { .sun_family = AF_UNIX };
        struct timeval timeout = { .tv_sec = 20 };
        socklen_t size;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        if (strlen(path) >= sizeof(to.sun_path) || (name && strlen(name) >= sizeof(from.sun_path)))
                return -ENAMETOOLONG;
        strcpy(to.sun_path, path);
        if (name) {
                memcpy(from.sun_path + 1, name, strlen(name));
                size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
                if (bind(fd, (struct sockaddr *) &from, size) < 0)
                        return -errno;
        }
        if (connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static void try_connect(const char *number, Words *w)
{
        const char *path = word(w), *name = word(w);
        _cleanup_close_ int fd = open_socket(path, name);
        char text[256];
        ssize_t n;

        if (fd < 0) {
                answer_errno(number, -fd);
                return;
        }
        n = recv(fd, text, sizeof(text) - 1, MSG_WAITALL);
        text[n > 0 ? n : 0] = '\0';
        answer(number, n < 0 ? strerrorname_np(errno) : "ok", text);
}

/* ---- processes ---- */

static void try_ptrace(const char *number, pid_t pid)
{
        int error = ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ? errno : 0;

        /* Only a stopped process can be let go. */
        if (error == 0 && ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0) {
                (void) waitpid(pid, NULL, __WALL);
                (void) ptrace(PTRACE_DETACH, pid, NULL, NULL);
        }
        answer_errno(number, error);
}

/* ---- one line after the other ---- */

static void try_words(Words *w)
{
        const char *number = word(w), *kind = word(w);

        if (streq_ptr(kind, "call") || streq_ptr(kind, "ask"))
                try_call(number, w, streq(kind, "ask"));
        else if (w->n < 3)
                answer(number ?: "?", "unsent", "a word is missing");
        else if (streq(kind, "read"))
                try_read(number, word(w));
        else if (streq(kind, "write"))
                try_write(number, word(w));
        else if (streq(kind, "connect"))
                try_connect(number, w);
        else if (streq(kind, "ptrace"))
                try_ptrace(number, (pid_t) strtol(word(w), NULL, 10));
        else if (streq(kind, "kill"))
                answer_errno(number, kill((pid_t) strtol(word(w), NULL, 10), 0) < 0 ? errno : 0);
        else
                answer(number, "unsent", "no such kind");
}

int main(void)
{
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        while (getline(&line, &size, stdin) > 0) {
                char *position = line, *item;
                Words w = { 0 };

                line[strcspn(line, "\n")] = '\0';
                while (w.n < WORDS_MAX && (item = strsep(&position, "\t")))
                        w.items[w.n++] = item;
                try_words(&w);
                (void) fflush(stdout);
        }
        sd_bus_flush_close_unref(bus);
        return 0;
}
