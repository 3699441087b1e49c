/* SPDX-License-Identifier: MIT */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "hostile-server.h"

#define REQUEST_SIZE_MAX 65536
#define PIECE_SIZE       65536

typedef struct Counts {
        atomic_uint requests, notes;
} Counts;

struct HostileServer {
        pid_t pid;
        int port;
        Counts *counts; /* shared with the process */
};

struct HostileStream {
        int fd;
        const HostileShape *shape;
        Counts *counts;
};

/* ---- in the process of the server: a thread for each connection ---- */

static _noreturn_ void stream_end(HostileStream *s)
{
        close(s->fd);
        free(s);
        pthread_exit(NULL);
}

void hostile_send(HostileStream *s, const void *bytes, size_t size)
{
        const char *p = bytes;

        while (size > 0) {
                ssize_t n = send(s->fd, p, size, MSG_NOSIGNAL);

                if (n <= 0)
                        stream_end(s);
                p += n;
                size -= (size_t) n;
        }
}

void hostile_send_text(HostileStream *s, const char *text)
{
        hostile_send(s, text, strlen(text));
}

void hostile_send_much(HostileStream *s, const char *text, size_t size)
{
        size_t unit = strlen(text), piece_size = MAX(PIECE_SIZE / unit, 1u) * unit;
        char piece[PIECE_SIZE];

        assert(unit <= PIECE_SIZE);
        for (size_t i = 0; i < piece_size; i++)
                piece[i] = text[i % unit];
        while (size > 0) {
                size_t n = MIN(size, piece_size);

                hostile_send(s, piece, n);
                if (size != SIZE_MAX)
                        size -= n;
        }
}

/* The pace is what is tested, and here time passes: but only until the client is gone. */
static void wait_a_little(HostileStream *s, int msec)
{
        struct pollfd pollfd = { .fd = s->fd, .events = POLLRDHUP };

        if (poll(&pollfd, 1, msec) != 0)
                stream_end(s);
}

void hostile_send_slowly(HostileStream *s, const char *text)
{
        for (;;)
                for (const char *p = text; *p; p++) {
                        hostile_send(s, p, 1);
                        wait_a_little(s, 1);
                }
}

void hostile_hang(HostileStream *s)
{
        wait_a_little(s, -1);
}

void hostile_note(HostileStream *s)
{
        atomic_fetch_add(&s->counts->notes, 1);
}

void hostile_close(HostileStream *s)
{
        stream_end(s);
}

/* The whole request, or the end of the connection. */
static void read_request(HostileStream *s)
{
        char request[REQUEST_SIZE_MAX + 1] = "";
        size_t size = 0, wanted = SIZE_MAX;

        while (size < wanted) {
                ssize_t n = read(s->fd, request + size, REQUEST_SIZE_MAX - size);
                const char *end, *length;

                if (n <= 0)
                        stream_end(s);
                size += (size_t) n;
                request[size] = '\0';
                end = strstr(request, "\r\n\r\n");
                length = strcasestr(request, "\r\ncontent-length:");
                if (end)
                        wanted = (size_t) (end - request) + 4 +
                                 (length && length < end ? strtoul(strchr(length, ':') + 1, NULL, 10) : 0);
        }
}

static void *run_stream(void *userdata)
{
        HostileStream *s = userdata;

        for (;;) {
                read_request(s);
                atomic_fetch_add(&s->counts->requests, 1);
                s->shape->answer(s, s->shape->argument);
        }
        return NULL;
}

static _noreturn_ void run_server(int fd, const HostileShape *shape, Counts *counts)
{
        for (;;) {
                HostileStream *s = malloc(sizeof(*s));
                pthread_t thread;
                int r;

                assert(s);
                *s = (HostileStream){ .fd = accept(fd, NULL, NULL), .shape = shape, .counts = counts };
                assert(s->fd >= 0);
                r = pthread_create(&thread, NULL, run_stream, s);
                assert(r == 0);
                pthread_detach(thread);
        }
}

/* ---- in the process of the test ---- */

static int listen_somewhere(int *ret_fd, int *ret_port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *) &address, size) < 0 || listen(fd, 128) < 0 ||
            getsockname(fd, (struct sockaddr *) &address, &size) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        *ret_fd = fd;
        *ret_port = ntohs(address.sin_port);
        return 0;
}

int hostile_server_new(HostileServer **ret, const HostileShape *shape)
{
        _cleanup_(hostile_server_freep) HostileServer *s = calloc(1, sizeof(*s));
        pid_t parent = getpid();
        int fd = -EBADF, r;

        if (!s)
                return -ENOMEM;
        s->counts = mmap(NULL, sizeof(*s->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (s->counts == MAP_FAILED) {
                s->counts = NULL;
                return -errno;
        }
        r = listen_somewhere(&fd, &s->port);
        if (r < 0)
                return r;

        s->pid = fork();
        if (s->pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(1);
                run_server(fd, shape, s->counts);
        }
        r = s->pid < 0 ? -errno : 0;
        close(fd);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(s);
        return 0;
}

HostileServer *hostile_server_free(HostileServer *s)
{
        if (!s)
                return NULL;

        if (s->pid > 0) {
                (void) kill(s->pid, SIGKILL);
                (void) waitpid(s->pid, NULL, 0);
        }
        if (s->counts)
                (void) munmap(s->counts, sizeof(*s->counts));
        free(s);
        return NULL;
}

int hostile_server_port(const HostileServer *s)
{
        return s->port;
}

unsigned hostile_server_n_requests(const HostileServer *s)
{
        return atomic_load(&s->counts->requests);
}

unsigned hostile_server_n_notes(const HostileServer *s)
{
        return atomic_load(&s->counts->notes);
}
