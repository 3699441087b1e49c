/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/macro.h"

/* The least that any program must do to move a bot, and nothing else: stop the worker's unit, one getUpdates, logOut, a
 * getMe to the other server, the new endpoint, start the unit. No checks, no record, no second try, no pace: what
 * tgswitchd takes beyond this is its own.
 *
 *      floor CONCURRENCY [cloud] <<<"UNIT ENVIRONMENT-FILE TOKEN"     one line a bot; to the local server by itself
 *
 * Each of the CONCURRENCY movers has one connection to either server, which is open before its first bot is touched and
 * serves all of its bots, as a careful program would have it. Prints the CPU that it took, in microseconds. Ends with 1
 * where anything fails. */

#define CLOUD "https://api.telegram.org"
#define LOCAL "http://127.0.0.1:8081"

typedef struct Bot {
        char unit[256], environment[256], token[128];
} Bot;

static const char *source_root = CLOUD, *target_root = LOCAL;
static Bot *bots;
static size_t n_bots, next_bot;
static bool failed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct Mover {
        sd_bus *bus;
        CURL *source, *target;
        bool connected;
        char *job; /* that is waited for */
        bool done;
} Mover;

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
        return size * n;
}

static int request(CURL *easy, const char *root, const char *token, const char *method)
{
        char url[512];
        long status = 0;

        (void) snprintf(url, sizeof(url), "%s/bot%s/%s", root, token, method);
        if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK || curl_easy_perform(easy) != CURLE_OK ||
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
                return -EIO;
        return (int) status;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Mover *mover = userdata;
        const char *job;

        if (sd_bus_message_read(m, "uo", NULL, &job) >= 0 && streq_ptr(job, mover->job))
                mover->done = true;
        return 0;
}

static int unit_job(Mover *mover, const char *method, const char *unit)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *job;
        int r;

        r = sd_bus_call_method(mover->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", method, NULL, &reply, "ss", unit, "replace");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &job);
        if (r < 0)
                return r;
        mover->job = strdup(job);
        mover->done = false;
        while (r >= 0 && !mover->done) {
                r = sd_bus_process(mover->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(mover->bus, UINT64_MAX);
        }
        free(TAKE_PTR(mover->job));
        return r < 0 ? r : 0;
}

static int write_environment(const Bot *b)
{
        char path[300];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s.new", b->environment);
        f = fopen(path, "we");
        if (!f)
                return -errno;
        fprintf(f, "BOT_TOKEN=%s\nBOT_API_ROOT=%s\n", b->token, target_root);
        if (fclose(f) != 0)
                return -EIO;
        return rename(path, b->environment) < 0 ? -errno : 0;
}

/* Nothing with the token goes to the server that the bot is not at: that one is asked for nobody's bot. */
static int connect_both(Mover *m, const Bot *b)
{
        if (m->connected)
                return 0;
        if (request(m->source, source_root, b->token, "getWebhookInfo") != 200 ||
            request(m->target, target_root, "0:x", "getMe") != 401)
                return -EIO;
        m->connected = true;
        return 0;
}

static int move(Mover *m, const Bot *b)
{
        int r;

        r = connect_both(m, b);
        if (r < 0)
                return r;
        r = unit_job(m, "StopUnit", b->unit);
        if (r < 0)
                return r;
        /* A worker that never had an update asks with offset 0, and a server that is asked with the same again within
         * three seconds takes three. */
        if (request(m->source, source_root, b->token, "getUpdates?offset=1") != 200 ||
            request(m->source, source_root, b->token, "logOut") != 200 ||
            request(m->target, target_root, b->token, "getMe") != 200)
                return -EIO;
        r = write_environment(b);
        if (r < 0)
                return r;
        return unit_job(m, "StartUnit", b->unit);
}

static CURL *new_handle(void)
{
        CURL *easy = curl_easy_init();

        if (!easy || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK)
                abort();
        return easy;
}

static int subscribe(Mover *m)
{
        int r;

        r = sd_bus_open_system(&m->bus);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(m->bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager", "JobRemoved", on_job_removed, m);
        if (r < 0)
                return r;
        return sd_bus_call_method(m->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                  "org.freedesktop.systemd1.Manager", "Subscribe", NULL, NULL, "");
}

static void *run(void *unused)
{
        Mover m = { .source = new_handle(), .target = new_handle() };
        int r = subscribe(&m);

        for (;;) {
                const Bot *b;

                pthread_mutex_lock(&lock);
                b = r >= 0 && !failed && next_bot < n_bots ? bots + next_bot++ : NULL;
                failed = failed || r < 0;
                pthread_mutex_unlock(&lock);
                if (!b)
                        break;
                r = move(&m, b);
                if (r < 0)
                        fprintf(stderr, "%s: %s\n", b->unit, strerror(-r));
        }
        curl_easy_cleanup(m.source);
        curl_easy_cleanup(m.target);
        sd_bus_flush_close_unref(m.bus);
        return NULL;
}

static int read_bots(void)
{
        Bot b;

        while (scanf("%255s %255s %127s", b.unit, b.environment, b.token) == 3) {
                Bot *grown = reallocarray(bots, n_bots + 1, sizeof(Bot));

                if (!grown)
                        return -ENOMEM;
                bots = grown;
                bots[n_bots++] = b;
        }
        return n_bots > 0 ? 0 : -EINVAL;
}

static void print_cpu(void)
{
        struct rusage usage;

        if (getrusage(RUSAGE_SELF, &usage) == 0)
                printf("%lld\n", (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
                                                 usage.ru_stime.tv_usec);
}

int main(int argc, char *argv[])
{
        size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
        pthread_t threads[64];

        if (argc == 3 && streq(argv[2], "cloud")) {
                source_root = LOCAL;
                target_root = CLOUD;
        }
        if (n == 0 || n > ELEMENTSOF(threads) || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || read_bots() < 0)
                return EXIT_FAILURE;
        for (size_t i = 0; i < n; i++)
                if (pthread_create(threads + i, NULL, run, NULL) != 0)
                        return EXIT_FAILURE;
        for (size_t i = 0; i < n; i++)
                (void) pthread_join(threads[i], NULL);
        print_cpu();
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
