/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "fault-fs.h"
#include "manager-fixture.h"
#include "scratch.h"

/* A loop in which nothing happens for so long hangs. */
#define PATIENCE_USEC (60 * USEC_PER_SEC)

/* ---- the cloud ---- */

static void on_request(HttpPeer *peer, const char *request, void *userdata)
{
        ManagerFixture *f = userdata;
        char path[256] = "";
        const char *method;

        (void) sscanf(request, "%*s %255s", path);
        method = strrchr(path, '/');
        f->n_bot_requests += strstr(path, CANARY) != NULL;
        for (const CloudReply *r = f->replies; method && r && r->method; r++)
                if (streq(r->method, method + 1)) {
                        http_peer_reply(peer, r->status, "", r->body);
                        return;
                }
        http_peer_reply(peer, 404, "", "{\"ok\":false,\"error_code\":404,\"description\":\"Not Found\"}");
}

/* ---- the log ---- */

/* A file, so that it is still there where the test does not come to its end. */
static void keep_log(ManagerFixture *f)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;

        assert_true(asprintf(&path, "%s/log", f->directory) > 0);
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        f->saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        assert_true(f->saved_stderr >= 0);
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
}

void manager_fail(const char *what, const char *found, const char *expected)
{
        /* Standard error is the log. */
        printf("# %s:\n# %s\n# expected:\n# %s\n", what, found, expected);
        fail();
}

void manager_assert_logged(ManagerFixture *f, const char *words)
{
        _cleanup_free_ char *log = scratch_read(f->directory, "log");

        if (!strstr(log, words))
                manager_fail("logged", log, words);
}

void manager_forget_log(ManagerFixture *f)
{
        assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
}

void manager_assert_answer(AskResult answer, AskResult expected, char **message, const char *words)
{
        if (!*message || !strstr(*message, words))
                manager_fail("answered", *message ?: "", words);
        assert_int_equal(answer, expected);
        free(*message);
        *message = NULL;
}

/* ---- what is there before ---- */

void manager_configure(ManagerFixture *f, const char *lines)
{
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text, "[Manager]\nCloudServer=http://127.0.0.1:%d\nLocalServer=http://localhost:%d\n%s\n",
                             http_server_port(f->cloud), http_server_port(f->cloud), lines) > 0);
        scratch_write(f->directory, "etc/tgswitch.conf", text);
}

void manager_store_bot(ManagerFixture *f, const char *name, const char *lines)
{
        _cleanup_free_ char *file = NULL, *credential = NULL, *text = NULL;

        assert_true(asprintf(&file, "etc/bots.d/%s.conf", name) > 0);
        assert_true(asprintf(&credential, "credentials/token_%s", name) > 0);
        assert_true(asprintf(&text, "[Bot]\n%s\n", lines) > 0);
        scratch_write(f->directory, file, text);
        scratch_write(f->directory, credential, FIXTURE_TOKEN "\n");
}

void manager_store_record(ManagerFixture *f, const char *name, const Record *record)
{
        _cleanup_(disk_queue_freep) DiskQueue *queue = NULL;
        _cleanup_(store_freep) Store *store = NULL;
        _cleanup_free_ char *state = NULL;

        assert_true(asprintf(&state, "%s/state", f->directory) > 0);
        assert_int_equal(disk_queue_new(&queue, f->event), 0);
        assert_int_equal(store_open(&store, queue, state), 0);
        assert_int_equal(store_save(store, name, record, NULL, NULL, NULL), 0);
}

int manager_set_up(void **state)
{
        static const char *const directories[] = { "etc", "credentials", "state", "run" };
        static const HttpServerHandlers handlers = { .requested = on_request };
        ManagerFixture *f = calloc(1, sizeof(ManagerFixture));

        assert_non_null(f);
        f->directory = scratch_new();
        FOREACH_ELEMENT(d, directories) {
                _cleanup_free_ char *path = NULL;

                assert_true(asprintf(&path, "%s/%s", f->directory, *d) > 0);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        assert_true(sd_event_new(&f->event) >= 0);
        f->systemd = fake_systemd_new(f->event, true, &f->bus);
        assert_int_equal(http_server_new(&f->cloud, f->event, NULL, &handlers, f), 0);
        manager_configure(f, "");
        keep_log(f);
        *state = f;
        return 0;
}

int manager_tear_down(void **state)
{
        ManagerFixture *f = *state;

        /* Also after a test that has failed. */
        fault_fs_end();
        manager_free(f->manager);
        assert_true(dup2(f->saved_stderr, STDERR_FILENO) >= 0);
        close(f->saved_stderr);
        http_server_free(f->cloud);
        sd_bus_close_unref(f->bus);
        fake_systemd_free(f->systemd);
        sd_event_unref(f->event);
        scratch_remove(f->directory);
        free(f);
        return 0;
}

/* ---- what runs ---- */

/* As systemd passes it; at an address that the kernel chooses. */
static int listen_for_workers(void)
{
        static const struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof(sa_family_t)), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

int manager_begin(ManagerFixture *f)
{
        static char paths[4][PATH_MAX];
        static const char *configuration[2] = { paths[0], NULL };
        static const char *const names[] = { "etc", "state", "run", "credentials" };
        _cleanup_close_ int fd = listen_for_workers();
        int r;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                snprintf(paths[i], sizeof(paths[i]), "%s/%s", f->directory, names[i]);
        r = manager_new(&f->manager, f->event, f->bus,
                        &(ManagerPaths){ .config_directories = configuration,
                                         .state_directory = paths[1],
                                         .runtime_directory = paths[2],
                                         .credentials_directory = paths[3] },
                        fd);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        return manager_start(f->manager);
}

static void run_once(ManagerFixture *f)
{
        assert_true(sd_event_run(f->event, PATIENCE_USEC) > 0);
}

void manager_drain(ManagerFixture *f)
{
        while (disk_queue_pending(f->manager->disk) > 0)
                run_once(f);
}

void manager_run_until(ManagerFixture *f, const bool *flag)
{
        while (!*flag)
                run_once(f);
}

void manager_close_bus(ManagerFixture *f)
{
        int r;

        /* The fake systemd wants to be rid of its answers first. */
        do {
                r = sd_event_run(f->event, 0);
                assert_true(r >= 0);
        } while (r > 0);
        sd_bus_close(f->bus);
}

Bot *manager_begin_with(ManagerFixture *f, const char *name)
{
        Bot *b;

        assert_int_equal(manager_begin(f), 0);
        manager_drain(f);
        b = manager_find_bot(f->manager, name);
        assert_non_null(b);
        return b;
}
