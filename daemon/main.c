/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/strv.h"
#include "bus/bus-service.h"
#include "manager/manager.h"

#define LISTEN_NAME "credential"

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Finishing the step in flight.");
        manager_stop(userdata);
        return 0;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        _cleanup_free_ char *message = NULL;

        /* Problems have been logged one by one. */
        if (manager_reload(userdata, &message) < 0)
                log_error("SIGHUP changed nothing: correct the configuration as said above, then send it again.");
        return 0;
}

static int block_signals(sd_event *event)
{
        sigset_t set;
        int r;

        if (sigemptyset(&set) < 0 || sigaddset(&set, SIGTERM) < 0 || sigaddset(&set, SIGINT) < 0 ||
            sigaddset(&set, SIGHUP) < 0)
                return -errno;
        /* Before any thread is made: sd-event takes them from its own descriptor. */
        r = sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
        if (r >= 0 && signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                r = -errno;
        return r;
}

static int handle_signals(sd_event *event, Manager *m)
{
        int r;

        r = sd_event_add_signal(event, NULL, SIGTERM, on_terminate, m);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, on_terminate, m);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, m);
        return r;
}

/* systemd passes the listening socket and whatever the FD store kept of an earlier process. The former is returned, the
 * latter stay where they are until the manager can take them. */
static int find_listening_socket(char **names, int n)
{
        for (int i = 0; i < n; i++)
                if (streq(names[i], LISTEN_NAME))
                        return SD_LISTEN_FDS_START + i;
        return -ENOENT;
}

static void adopt_stored_fds(Manager *m, char **names, int n)
{
        for (int i = 0; i < n; i++) {
                if (streq(names[i], LISTEN_NAME))
                        continue;
                if (manager_adopt_fd(m, SD_LISTEN_FDS_START + i, names[i]))
                        continue;
                log_warning("systemd passed a file descriptor '%s' that nobody here knows, closing it.", names[i]);
                close(SD_LISTEN_FDS_START + i);
        }
}

static void on_name(BusService *s, int r, void *userdata)
{
        if (r < 0) {
                log_error_errno(r, "Failed to own org.tgswitch1 on the system bus: %m. Its policy has to be in "
                                   "/usr/share/dbus-1/system.d/org.tgswitch1.conf, and no other tgswitchd may run.");
                sd_event_exit(userdata, r);
                return;
        }
        (void) sd_notify(false, "READY=1");
}

static int parse_arguments(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { "debug", no_argument, NULL, 'd' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "hd", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        puts("tgswitchd [OPTION...]\n\n"
                             "Moves Telegram bots between the cloud and a local Bot API server. Started by systemd.\n\n"
                             "  -d, --debug     Log every step of every bot\n"
                             "  -h, --help      This text\n"
                             "      --version   The version\n\n"
                             "See tgswitchd(8).");
                        return 0;
                case 'V':
                        printf("tgswitchd %s\n", VERSION);
                        return 0;
                case 'd':
                        log_set_max_level(LOG_DEBUG);
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc)
                return log_error_errno(-EINVAL, "tgswitchd takes no arguments; see tgswitchd(8).");
        return 1;
}

/* The first of what systemd lists with colons between: ours; a drop-in may name more (systemd.exec(5)). */
static const char *first_directory(const char *variable)
{
        char *list = getenv(variable);

        if (list)
                list[strcspn(list, ":")] = '\0';
        return list;
}

/* Whoever ends the loop with an error has said what is wrong; the bus says nothing and ends it with EXIT_FAILURE
 * (sd_bus_set_exit_on_disconnect(3)). */
static int serve(sd_event *event)
{
        int r = sd_event_loop(event);

        if (r > 0)
                return log_error_errno(-ECONNRESET, "The system bus has gone; see 'systemctl status dbus'. systemd "
                                                    "starts tgswitchd again, which goes on from its records.");
        if (r < 0)
                return log_error_errno(r, "tgswitchd ends (%m); systemd starts it again, and it goes on from its "
                                          "records.");
        return 0;
}

static int run(char **names, int n_fds)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_(bus_service_freep) BusService *service = NULL;
        ManagerPaths paths = {
                .state_directory = first_directory("STATE_DIRECTORY"),
                .runtime_directory = first_directory("RUNTIME_DIRECTORY"),
                .credentials_directory = getenv("CREDENTIALS_DIRECTORY"),
        };
        int r, gate_fd;

        gate_fd = find_listening_socket(names, n_fds);
        if (gate_fd < 0 || !paths.state_directory || !paths.runtime_directory)
                return log_error_errno(-EINVAL, "tgswitchd is started by systemd, with its socket and directories: run "
                                                "'systemctl start tgswitchd'.");
        r = sd_event_default(&event);
        if (r >= 0)
                r = block_signals(event);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r < 0)
                return log_error_errno(r, "Failed to set up the event loop: %m; systemd starts tgswitchd again.");
        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                /* Without the bus there are no units: systemd restarts us into the stored state. */
                r = sd_bus_set_exit_on_disconnect(bus, true);
        if (r < 0)
                return log_error_errno(r, "Failed to connect to the system bus: %m; see 'systemctl status dbus'.");

        r = manager_new(&m, event, bus, &paths, gate_fd);
        if (r >= 0)
                r = bus_service_new(&service, bus, m);
        if (r >= 0)
                r = handle_signals(event, m);
        if (r >= 0)
                r = manager_start(m);
        if (r >= 0) {
                adopt_stored_fds(m, names, n_fds);
                r = bus_service_request_name(service, on_name, event);
        }
        if (r < 0)
                return log_error_errno(r, "Failed to set up: %m; systemd starts tgswitchd again.");
        return serve(event);
}

int main(int argc, char *argv[])
{
        _cleanup_strv_ char **names = NULL;
        int r, n;

        r = parse_arguments(argc, argv);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        /* Tokens are in this memory: no core, no ptrace by others of our user. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        n = sd_listen_fds_with_names(true, &names);
        if (n < 0) {
                (void) log_error_errno(n, "Failed to take the sockets that systemd passes: %m; see 'systemctl status "
                                          "tgswitchd-credential.socket'.");
                return EXIT_FAILURE;
        }
        return run(names, n) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
