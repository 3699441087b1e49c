/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "clock.h"
#include "truth-line.h"

/* The local Bot API server: options, environment, signals and directory of the real one. See README.md. */

#define BIND_RETRY_SEC 5

static const char *arg_api_id, *arg_api_hash, *arg_dir = ".", *arg_http_ip_address = "0.0.0.0";
static int64_t arg_http_port = 8081;
static bool arg_local;

typedef struct LocalServer {
        sd_event *event;
        Settings settings;
        FaultList faults;
        Store *store;
        TruthLine *line;
        Engine *engine;
        struct sockaddr_in address;
        sd_event_source *bind_retry;
} LocalServer;

static void server_listen(LocalServer *server);

static int on_bind_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        server_listen(userdata);
        return 0;
}

/* A port that is taken is no reason to give up, nor to say so at the default verbosity: as the real server.
 */
static void server_listen(LocalServer *server)
{
        int r = engine_listen(server->engine, &server->address, NULL, NULL);

        server->bind_retry = sd_event_source_disable_unref(server->bind_retry);
        if (r < 0 && sd_event_add_time_relative(server->event, &server->bind_retry, CLOCK_MONOTONIC,
                                                BIND_RETRY_SEC * USEC_PER_SEC, 1, on_bind_retry, server) < 0)
                abort();
}

static int on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        static bool stopping;
        LocalServer *server = userdata;

        if (stopping)
                _Exit(0);
        stopping = true;
        engine_stop(server->engine);
        return sd_event_exit(server->event, 0);
}

static int on_ignored_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        return 0;
}

static int server_watch_signals(LocalServer *server)
{
        static const int stop_signals[] = { SIGTERM, SIGINT, SIGQUIT };
        static const int ignored_signals[] = { SIGHUP, SIGUSR1, SIGUSR2 };
        sigset_t signals;
        int r;

        sigfillset(&signals);
        sigdelset(&signals, SIGSEGV);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        FOREACH_ELEMENT(signal_number, stop_signals) {
                r = sd_event_add_signal(server->event, NULL, *signal_number, on_stop_signal, server);
                if (r < 0)
                        return r;
        }
        FOREACH_ELEMENT(signal_number, ignored_signals) {
                r = sd_event_add_signal(server->event, NULL, *signal_number, on_ignored_signal, server);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int server_start(LocalServer *server)
{
        const char *truth_text = getenv("TELEGRAM_SIM_TRUTH") ?: "127.0.0.1:8901";
        struct sockaddr_in truth;
        EngineOptions options = {
                .role = ROLE_LOCAL,
                .local_mode = arg_local,
                .settings = &server->settings,
                .faults = &server->faults,
        };
        EngineHandlers handlers;
        int r;

        if (!front_parse_address(truth_text, &truth))
                return -EINVAL;

        r = truth_line_new(&server->line, server->event, &truth, arg_api_id, arg_api_hash, &server->settings,
                           &server->faults);
        if (r < 0)
                return r;
        options.store = server->store;
        handlers = truth_line_handlers(server->line);
        r = engine_new(&server->engine, server->event, &options, &handlers);
        if (r < 0)
                return r;
        server_listen(server);
        truth_line_start(server->line, server->engine);
        engine_restore_webhooks(server->engine);
        return 0;
}

static void server_done(LocalServer *server)
{
        sd_event_source_disable_unref(server->bind_retry);
        engine_free(server->engine);
        truth_line_free(server->line);
        store_close(server->store);
        fault_list_done(&server->faults);
        settings_done(&server->settings);
        sd_event_unref(server->event);
}

static int run(LocalServer *server)
{
        int r;

        r = store_open(&server->store, arg_dir);
        if (r == -EBUSY)
                fprintf(stderr,
                        "Can't lock file \"%s/tqueue.binlog\", because it is already in use; check for another program "
                        "instance running\n",
                        arg_dir);
        if (r < 0)
                return r;
        r = sd_event_new(&server->event);
        if (r < 0)
                return r;
        r = server_watch_signals(server);
        if (r < 0)
                return r;
        r = server_start(server);
        if (r < 0)
                return r;
        return sd_event_loop(server->event);
}

enum {
        ARG_LOCAL = 256,
        ARG_API_ID,
        ARG_API_HASH,
        ARG_HTTP_IP_ADDRESS,
        ARG_IGNORED,
        ARG_VERSION,
};

static const struct option options[] = {
        { "local", no_argument, NULL, ARG_LOCAL },
        { "api-id", required_argument, NULL, ARG_API_ID },
        { "api-hash", required_argument, NULL, ARG_API_HASH },
        { "http-port", required_argument, NULL, 'p' },
        { "http-stat-port", required_argument, NULL, 's' },
        { "dir", required_argument, NULL, 'd' },
        { "temp-dir", required_argument, NULL, 't' },
        { "filter", required_argument, NULL, ARG_IGNORED },
        { "max-webhook-connections", required_argument, NULL, ARG_IGNORED },
        { "http-ip-address", required_argument, NULL, ARG_HTTP_IP_ADDRESS },
        { "http-stat-ip-address", required_argument, NULL, ARG_IGNORED },
        { "log", required_argument, NULL, 'l' },
        { "verbosity", required_argument, NULL, 'v' },
        { "memory-verbosity", required_argument, NULL, ARG_IGNORED },
        { "log-max-file-size", required_argument, NULL, ARG_IGNORED },
        { "username", required_argument, NULL, 'u' },
        { "groupname", required_argument, NULL, 'g' },
        { "max-connections", required_argument, NULL, 'c' },
        { "cpu-affinity", required_argument, NULL, ARG_IGNORED },
        { "main-thread-affinity", required_argument, NULL, ARG_IGNORED },
        { "proxy", required_argument, NULL, ARG_IGNORED },
        { "version", no_argument, NULL, ARG_VERSION },
        { "help", no_argument, NULL, 'h' },
        { 0 },
};

/* Returns the exit status where the program ends with the options, else -1. */
static int take_options(int argc, char *argv[])
{
        int option;

        while ((option = getopt_long(argc, argv, "hp:s:d:t:l:v:u:g:c:", options, NULL)) >= 0)
                switch (option) {

                case ARG_LOCAL:
                        arg_local = true;
                        break;

                case ARG_API_ID:
                        arg_api_id = optarg;
                        break;

                case ARG_API_HASH:
                        arg_api_hash = optarg;
                        break;

                case ARG_HTTP_IP_ADDRESS:
                        arg_http_ip_address = optarg;
                        break;

                case 'p':
                        if (!parse_int(optarg, 0, UINT16_MAX, &arg_http_port)) {
                                fprintf(stderr, "Can't parse option \"%s\" as a port number\n", optarg);
                                return 1;
                        }
                        break;

                case 'd':
                        arg_dir = optarg;
                        break;

                case 'u':
                case 'g':
                        if (geteuid() != 0) {
                                fprintf(stderr, "Can't change effective user: %s\n", strerror(EPERM));
                                return 1;
                        }
                        break;

                case ARG_VERSION:
                        puts("Bot API 10.0");
                        return 0;

                case 'h':
                        puts("Usage: telegram-bot-api --api-id=<arg> --api-hash=<arg> [--local] [OPTION]...");
                        return 0;

                case '?':
                        return 1;

                default:
                        break;
                }
        return -1;
}

int main(int argc, char *argv[])
{
        LocalServer server = { 0 };
        char address[64];
        int64_t api_id;
        int r;

        arg_api_id = getenv("TELEGRAM_API_ID");
        arg_api_hash = getenv("TELEGRAM_API_HASH");
        r = take_options(argc, argv);
        if (r >= 0)
                return r;
        if (optind < argc || !parse_int(arg_api_id, 1, INT32_MAX, &api_id) || isempty(arg_api_hash)) {
                fprintf(stderr, "%s\n",
                        optind < argc ? "Unexpected non-option arguments"
                                      : "You must provide valid api-id and api-hash obtained at https://my.telegram.org");
                return 1;
        }
        (void) snprintf(address, sizeof(address), "%s:%lld", arg_http_ip_address, (long long) arg_http_port);
        if (!front_parse_address(address, &server.address)) {
                fprintf(stderr, "Wrong HTTP IP address %s\n", arg_http_ip_address);
                return 1;
        }

        settings_init(&server.settings);
        r = run(&server);
        if (r < 0)
                fprintf(stderr, "Failed to run: %s\n", strerror(-r));
        server_done(&server);
        return r < 0 ? 1 : 0;
}
