/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>

#include "receiver.h"
#include "reload.h"

/* An ordinary bot, as a worker of tgswitch: takes its token, its endpoint and the updates that were kept for
 * it from its credentials, handles those first and then polls, or waits for what is posted to its webhook. What it does
 * it reports to the simulated Telegram, if there is one. Written as a bot without any knowledge of tgswitch would be,
 * except for the credential of pending updates and, with --reload, for what a reload of its unit tells it. */

#define POLL_TIMEOUT_SEC  25
#define RETRY_PAUSE_MSEC  200
#define REPORT_TIMEOUT_MS 5000L

typedef struct Worker {
        char *token, *root, *pending, *unit;
        int64_t bot;
        const char *control; /* "" where nobody wants reports */
        CURL *poll, *report;
        int64_t offset, confirmed_offset;
        int64_t n_handled;
        int reload_fd;
        bool holds;
} Worker;

typedef struct Body {
        char *data;
        size_t size;
} Body;

static const char *arg_unit;
static bool arg_ignore_sigterm, arg_oneshot, arg_die_at_start, arg_pending_only, arg_reload;
static int64_t arg_exit_after, arg_reload_of;
static ReceiverSettings arg_webhook; /* port 0: it polls */

static volatile sig_atomic_t terminated, told;

static void on_signal(int signal_number)
{
        if (signal_number == SIGHUP)
                told = 1;
        else
                terminated = 1;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
        Body *body = userdata;
        char *grown = realloc(body->data, body->size + size * n + 1);

        if (!grown)
                return 0;
        memcpy(grown + body->size, data, size * n);
        body->data = grown;
        body->size += size * n;
        grown[body->size] = '\0';
        return size * n;
}

/* Lets a long poll end as soon as the service manager asks for it. */
static int on_progress(void *userdata, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
        return terminated || told ? 1 : 0;
}

/* The content of a credential or of the environment variable, or NULL. */
static char *read_input(const char *credential, const char *variable)
{
        const char *directory = getenv("CREDENTIALS_DIRECTORY"), *value;
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t allocated = 0;
        ssize_t n = -1;
        FILE *file;

        if (directory) {
                if (asprintf(&path, "%s/%s", directory, credential) < 0)
                        return NULL;
                file = fopen(path, "re");
                if (file) {
                        n = getdelim(&text, &allocated, '\0', file);
                        fclose(file);
                }
                if (n > 0) {
                        text[strcspn(text, "\n")] = '\0';
                        return TAKE_PTR(text);
                }
        }
        value = variable ? getenv(variable) : NULL;
        return value ? strdup(value) : NULL;
}

/* The last part of the control group's path, as systemd names it. */
static char *own_unit(void)
{
        char line[4096], *unit = NULL;
        FILE *file = fopen("/proc/self/cgroup", "re");

        while (file && !unit && fgets(line, sizeof(line), file)) {
                char *name = strrchr(line, '/');

                line[strcspn(line, "\n")] = '\0';
                if (name && strstr(name, ".service"))
                        unit = strdup(name + 1);
        }
        if (file)
                fclose(file);
        return unit ?: strdup("worker");
}

/* Synchronous: a report is in the ledger before the worker goes on. Nothing depends on its success. */
static void report(Worker *worker, json_object *report)
{
        _cleanup_free_ char *url = NULL;
        struct curl_slist *headers = NULL;
        Body body = { 0 };

        json_object_object_add(report, "unit", json_object_new_string(worker->unit));
        json_object_object_add(report, "bot", json_object_new_int64(worker->bot));
        json_object_object_add(report, "root", json_object_new_string(worker->root));
        if (!isempty(worker->control) && asprintf(&url, "http://%s/worker", worker->control) > 0) {
                headers = curl_slist_append(NULL, "Content-Type: application/json");
                curl_easy_setopt(worker->report, CURLOPT_URL, url);
                curl_easy_setopt(worker->report, CURLOPT_PROXY, "");
                curl_easy_setopt(worker->report, CURLOPT_HTTPHEADER, headers);
                curl_easy_setopt(worker->report, CURLOPT_NOSIGNAL, 1L);
                curl_easy_setopt(worker->report, CURLOPT_TIMEOUT_MS, REPORT_TIMEOUT_MS);
                curl_easy_setopt(worker->report, CURLOPT_POSTFIELDS,
                                 json_object_to_json_string_ext(report, JSON_C_TO_STRING_NOSLASHESCAPE));
                curl_easy_setopt(worker->report, CURLOPT_WRITEFUNCTION, on_body);
                curl_easy_setopt(worker->report, CURLOPT_WRITEDATA, &body);
                (void) curl_easy_perform(worker->report);
                curl_slist_free_all(headers);
        }
        free(body.data);
        json_object_put(report);
}

static void report_event(Worker *worker, const char *event)
{
        json_object *object = json_object_new_object();

        json_object_object_add(object, "event", json_object_new_string(event));
        if (streq(event, "start"))
                json_object_object_add(object, "presence", json_object_new_boolean(true));
        report(worker, object);
}

static void report_handled(Worker *worker, int64_t uid, const char *from)
{
        json_object *object = json_object_new_object();

        json_object_object_add(object, "event", json_object_new_string("handled"));
        json_object_object_add(object, "uid", json_object_new_int64(uid));
        json_object_object_add(object, "from", json_object_new_string(from));
        report(worker, object);
}

/* What a real bot would do its work on. Returns the update's id. */
static int64_t handle_update(Worker *worker, json_object *update, const char *from)
{
        json_object *message = NULL, *text = NULL, *id = NULL;
        long long uid = 0;

        if (json_object_object_get_ex(update, "message", &message) &&
            json_object_object_get_ex(message, "text", &text) &&
            sscanf(json_object_get_string(text), "uid=%lld", &uid) == 1)
                report_handled(worker, uid, from);
        worker->n_handled++;
        return json_object_object_get_ex(update, "update_id", &id) ? json_object_get_int64(id) : 0;
}

static bool enough(const Worker *worker)
{
        return arg_exit_after > 0 && worker->n_handled >= arg_exit_after;
}

/* Answers the exit status, or -1 to go on. */
static int handle_pending(Worker *worker)
{
        json_object *updates = isempty(worker->pending) ? NULL : json_tokener_parse(worker->pending);

        if (!isempty(worker->pending) && !json_object_is_type(updates, json_type_array)) {
                fprintf(stderr, "bot-pending-updates is not a JSON array.\n");
                json_object_put(updates);
                return 1;
        }
        for (size_t i = 0; updates && i < json_object_array_length(updates); i++) {
                (void) handle_update(worker, json_object_array_get_idx(updates, i), "pending");
                if (enough(worker))
                        break;
        }
        json_object_put(updates);
        return enough(worker) ? 0 : -1;
}

/* The whole batch: one that was begun is finished, SIGTERM or not. */
static int handle_batch(Worker *worker, json_object *updates)
{
        for (size_t i = 0; i < json_object_array_length(updates); i++) {
                worker->offset = handle_update(worker, json_object_array_get_idx(updates, i), "poll") + 1;
                if (enough(worker))
                        return 0;
        }
        return -1;
}

static int handle_answer(Worker *worker, long status, json_object *answer)
{
        json_object *result = NULL, *description = NULL;
        const char *text = "";

        if (status == 200 && json_object_object_get_ex(answer, "result", &result) &&
            json_object_is_type(result, json_type_array)) {
                int r = handle_batch(worker, result);

                /* The poll that finds nothing more has confirmed what came before it. */
                return r < 0 && arg_oneshot && json_object_array_length(result) == 0 ? 0 : r;
        }
        if (json_object_object_get_ex(answer, "description", &description))
                text = json_object_get_string(description);

        /* What no retry heals ends the program, as it does with the frameworks. */
        if (status == 401 || status == 404 || streq(text, "Logged out")) {
                fprintf(stderr, "The server refused the bot: %ld %s\n", status, text);
                return 1;
        }
        return -1;
}

static void pause_before_retry(void)
{
        struct timespec pause = { .tv_nsec = RETRY_PAUSE_MSEC * 1000000L };

        if (!terminated)
                (void) nanosleep(&pause, NULL);
}

static int poll_once(Worker *worker)
{
        _cleanup_free_ char *url = NULL;
        Body body = { 0 };
        json_object *answer;
        long status = 0;
        CURLcode result;
        int r;

        if (asprintf(&url, "%s/bot%s/getUpdates?offset=%" PRIi64 "&timeout=%d", worker->root, worker->token,
                     worker->offset, arg_oneshot ? 0 : POLL_TIMEOUT_SEC) < 0)
                return 1;
        worker->confirmed_offset = worker->offset;
        curl_easy_setopt(worker->poll, CURLOPT_URL, url);
        curl_easy_setopt(worker->poll, CURLOPT_PROXY, "");
        curl_easy_setopt(worker->poll, CURLOPT_USERAGENT, "worker");
        curl_easy_setopt(worker->poll, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(worker->poll, CURLOPT_TIMEOUT, POLL_TIMEOUT_SEC + 10L);
        curl_easy_setopt(worker->poll, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(worker->poll, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(worker->poll, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(worker->poll, CURLOPT_WRITEDATA, &body);
        if (getenv("BOT_CAFILE"))
                curl_easy_setopt(worker->poll, CURLOPT_CAINFO, getenv("BOT_CAFILE"));

        result = curl_easy_perform(worker->poll);
        if (result != CURLE_OK) {
                free(body.data);
                if (terminated)
                        return 0;
                if (told)
                        return -1;
                fprintf(stderr, "getUpdates failed: %s\n", curl_easy_strerror(result));
                pause_before_retry();
                return -1;
        }
        curl_easy_getinfo(worker->poll, CURLINFO_RESPONSE_CODE, &status);
        answer = body.data ? json_tokener_parse(body.data) : NULL;
        r = handle_answer(worker, status, answer);
        json_object_put(answer);
        free(body.data);
        if (r < 0 && status != 200)
                pause_before_retry();
        return r;
}

/* In the thread of the receiver, while the first one waits. */
static void handle_posted(json_object *update, void *userdata)
{
        (void) handle_update(userdata, update, "webhook");
}

static int receive(Worker *worker)
{
        Receiver *receiver;
        sigset_t blocked, before;

        arg_webhook.handle = handle_posted;
        arg_webhook.userdata = worker;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &blocked, &before);
        receiver = receiver_new(&arg_webhook);
        while (receiver && !terminated)
                (void) sigsuspend(&before);
        if (!receiver)
                fprintf(stderr, "Cannot listen on port %u.\n", arg_webhook.port);
        receiver_free(receiver);
        return terminated ? 0 : 1;
}

/* What has been handled and not confirmed would be kept by tgswitchd, and handled twice. The last thing that is sent.
 */
static void confirm_handled(Worker *worker)
{
        _cleanup_free_ char *url = NULL;
        Body body = { 0 };

        if (worker->offset == worker->confirmed_offset ||
            asprintf(&url, "%s/bot%s/getUpdates?offset=%" PRIi64 "&timeout=0&limit=1", worker->root, worker->token,
                     worker->offset) < 0)
                return;
        curl_easy_setopt(worker->poll, CURLOPT_URL, url);
        curl_easy_setopt(worker->poll, CURLOPT_WRITEDATA, &body);
        if (curl_easy_perform(worker->poll) == CURLE_OK)
                worker->confirmed_offset = worker->offset;
        free(body.data);
}

/* Does as a reload of the unit tells: holds, or goes on with the root that it says. */
static void obey(Worker *worker, const char *root)
{
        if (isempty(root) && !worker->holds) {
                confirm_handled(worker);
                report_event(worker, "held");
        } else if (!isempty(root) && (worker->holds || !streq(root, worker->root))) {
                /* Another server counts from another number. */
                if (!streq(root, worker->root))
                        worker->offset = worker->confirmed_offset = 0;
                free(worker->root);
                worker->root = strdup(root);
                report_event(worker, "released");
        }
        worker->holds = isempty(root);
}

/* Several may have spoken before the signal was looked at. */
static void listen_to_reloads(Worker *worker)
{
        char *root;
        int fd;

        told = 0;
        while ((fd = reload_take(worker->reload_fd, &root)) >= 0) {
                obey(worker, root);
                free(root);
                reload_done(fd);
        }
}

static void wait_for_signal(void)
{
        sigset_t blocked, before;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        sigaddset(&blocked, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &blocked, &before);
        if (!terminated && !told)
                (void) sigsuspend(&before);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
}

static int work_once(Worker *worker)
{
        if (terminated)
                return 0;
        if (told)
                listen_to_reloads(worker);
        if (!worker->holds)
                return poll_once(worker);
        wait_for_signal();
        return -1;
}

static int worker_run(Worker *worker)
{
        int r;

        report_event(worker, "start");
        r = handle_pending(worker);
        if (r < 0 && arg_pending_only)
                r = 0;
        if (r < 0 && arg_webhook.port > 0)
                r = receive(worker);
        while (r < 0)
                r = work_once(worker);
        report_event(worker, "stop");
        return r;
}

static int worker_init(Worker *worker)
{
        worker->token = read_input("bot-token", "BOT_TOKEN");
        worker->root = read_input("bot-endpoint", "BOT_API_ROOT");
        worker->pending = read_input("bot-pending-updates", NULL);
        worker->unit = arg_unit ? strdup(arg_unit) : own_unit();
        worker->control = getenv("TELEGRAM_SIM_CONTROL") ?: "127.0.0.1:8900";
        if (isempty(worker->token) || isempty(worker->root) || !worker->unit) {
                fprintf(stderr, "No bot-token or no bot-endpoint.\n");
                return 1;
        }
        worker->reload_fd = arg_reload ? reload_listen() : -EBADF;
        if (arg_reload && worker->reload_fd < 0) {
                fprintf(stderr, "Nobody can tell anything by a reload: %s\n", strerror(-worker->reload_fd));
                return 1;
        }
        worker->bot = strtoll(worker->token, NULL, 10);
        worker->poll = curl_easy_init();
        worker->report = curl_easy_init();
        return worker->poll && worker->report ? 0 : 1;
}

static void worker_done(Worker *worker)
{
        curl_easy_cleanup(worker->poll);
        curl_easy_cleanup(worker->report);
        if (worker->reload_fd >= 0)
                close(worker->reload_fd);
        free(worker->token);
        free(worker->root);
        free(worker->pending);
        free(worker->unit);
}

static int take_options(int argc, char *argv[])
{
        static const struct option options[] = {
                { "unit", required_argument, NULL, 'u' },       { "ignore-sigterm", no_argument, NULL, 'i' },
                { "exit-after", required_argument, NULL, 'n' }, { "oneshot", no_argument, NULL, 'o' },
                { "die-at-start", no_argument, NULL, 'd' },     { "webhook", required_argument, NULL, 'w' },
                { "secret", required_argument, NULL, 's' },     { "answer", required_argument, NULL, 'a' },
                { "pending-only", no_argument, NULL, 'p' },     { "reload", no_argument, NULL, 'r' },
                { "reload-of", required_argument, NULL, 'R' },  { 0 },
        };
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {

                case 'u':
                        arg_unit = optarg;
                        break;

                case 'i':
                        arg_ignore_sigterm = true;
                        break;

                case 'n':
                        arg_exit_after = strtoll(optarg, NULL, 10);
                        break;

                case 'o':
                        arg_oneshot = true;
                        break;

                case 'd':
                        arg_die_at_start = true;
                        break;

                case 'p':
                        arg_pending_only = true;
                        break;

                case 'r':
                        arg_reload = true;
                        break;

                case 'R':
                        arg_reload_of = strtoll(optarg, NULL, 10);
                        if (arg_reload_of <= 0)
                                return 1;
                        break;

                case 'w':
                        arg_webhook.port = (uint16_t) strtoul(optarg, NULL, 10);
                        break;

                case 's':
                        arg_webhook.secret = optarg;
                        break;

                case 'a':
                        arg_webhook.answer_file = optarg;
                        break;

                default:
                        return 1;
                }
        return 0;
}

int main(int argc, char *argv[])
{
        struct sigaction action = { .sa_handler = on_signal };
        Worker worker = { .control = "", .reload_fd = -EBADF };
        int r;

        if (take_options(argc, argv) != 0)
                return 2;
        if (arg_die_at_start)
                return 1;
        if (arg_reload_of > 0) {
                r = reload_tell((pid_t) arg_reload_of, getenv("TELEGRAM_API_ROOT") ?: "");
                if (r < 0)
                        fprintf(stderr, "The worker could not be told: %s\n", strerror(-r));
                return r < 0 ? 1 : 0;
        }
        if (arg_reload)
                (void) sigaction(SIGHUP, &action, NULL);
        if (arg_ignore_sigterm)
                action.sa_handler = SIG_IGN;
        (void) sigaction(SIGTERM, &action, NULL);
        curl_global_init(CURL_GLOBAL_DEFAULT);

        r = worker_init(&worker);
        if (r == 0)
                r = worker_run(&worker);
        worker_done(&worker);
        curl_global_cleanup();
        return r;
}
