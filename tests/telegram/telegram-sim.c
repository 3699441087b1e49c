/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "control.h"
#include "judge.h"

/* Telegram and its cloud Bot API server in one process. See README.md. */

static struct sockaddr_in arg_cloud, arg_control, arg_truth;
static const char *arg_certificate, *arg_key, *arg_ledger, *arg_judge;
static bool arg_table;

typedef struct Simulation {
        sd_event *event;
        Settings settings;
        FaultList faults;
        Ledger *ledger;
        Truth *truth;
        TruthPort *port;
        Engine *cloud;
        Control *control;
} Simulation;

static void cloud_record(void *userdata, json_object *entry)
{
        Simulation *sim = userdata;
        const char *event = json_get_text(entry, "event");

        if (streq(event, "update-queued") || streq(event, "update-dropped"))
                truth_acknowledge(sim->truth, ROLE_CLOUD, json_get_int(entry, "bot", 0), json_get_int(entry, "uid", 0));
        ledger_add(sim->ledger, entry);
}

static void cloud_login(void *userdata, const char *token, bool again)
{
        Simulation *sim = userdata;

        truth_login(sim->truth, ROLE_CLOUD, token, again, NULL, NULL);
}

static void cloud_logout(void *userdata, const char *token)
{
        Simulation *sim = userdata;

        truth_logout(sim->truth, ROLE_CLOUD, token);
}

static void cloud_login_done(void *userdata, const char *token, LoginResult result, const char *username,
                             int64_t retry_after_sec)
{
        Simulation *sim = userdata;

        engine_login_done(sim->cloud, token, result, username, retry_after_sec);
}

static void cloud_logout_done(void *userdata, const char *token, bool young)
{
        Simulation *sim = userdata;

        engine_logout_done(sim->cloud, token, young);
}

static void cloud_session_lost(void *userdata, const char *token)
{
        Simulation *sim = userdata;

        engine_session_lost(sim->cloud, token);
}

static void cloud_update(void *userdata, const char *token, int64_t uid, const char *body)
{
        Simulation *sim = userdata;

        engine_add_update(sim->cloud, token, uid, body);
}

static int cloud_start(Simulation *sim)
{
        EngineOptions options = { .role = ROLE_CLOUD, .settings = &sim->settings, .faults = &sim->faults };
        EngineHandlers handlers = {
                .record = cloud_record, .login = cloud_login, .logout = cloud_logout, .userdata = sim
        };
        TruthServer server = {
                .login_done = cloud_login_done,
                .logout_done = cloud_logout_done,
                .session_lost = cloud_session_lost,
                .update = cloud_update,
                .userdata = sim,
        };
        _cleanup_free_ char *certificate = NULL, *key = NULL;
        int r;

        r = read_text_file(arg_certificate, &certificate);
        if (r >= 0)
                r = read_text_file(arg_key, &key);
        if (r < 0)
                return r;

        r = engine_new(&sim->cloud, sim->event, &options, &handlers);
        if (r < 0)
                return r;
        truth_attach(sim->truth, ROLE_CLOUD, &server);
        return engine_listen(sim->cloud, &arg_cloud, certificate, key);
}

static int simulation_start(Simulation *sim)
{
        ControlParts parts;
        json_object *entry;
        int r;

        r = ledger_new(&sim->ledger, arg_ledger);
        if (r < 0)
                return r;
        r = truth_new(&sim->truth, sim->event, sim->ledger, &sim->settings);
        if (r < 0)
                return r;
        r = cloud_start(sim);
        if (r < 0)
                return r;
        r = truth_port_new(&sim->port, sim->event, &arg_truth, sim->truth, sim->ledger, &sim->settings, &sim->faults);
        if (r < 0)
                return r;
        parts = (ControlParts){
                .ledger = sim->ledger,
                .settings = &sim->settings,
                .faults = &sim->faults,
                .truth = sim->truth,
                .port = sim->port,
                .cloud = sim->cloud,
        };
        r = control_new(&sim->control, sim->event, &arg_control, &parts);
        if (r < 0)
                return r;

        entry = ledger_entry("setting");
        json_object_object_add(entry, "settings", settings_to_json(&sim->settings));
        ledger_add(sim->ledger, entry);
        return 0;
}

static void simulation_done(Simulation *sim)
{
        /* The servers first: they still have something to write. */
        engine_free(sim->cloud);
        control_free(sim->control);
        truth_port_free(sim->port);
        truth_free(sim->truth);
        ledger_free(sim->ledger);
        fault_list_done(&sim->faults);
        settings_done(&sim->settings);
        sd_event_unref(sim->event);
}

static int run(Simulation *sim)
{
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGPIPE);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);

        r = sd_event_new(&sim->event);
        if (r < 0)
                return r;
        r = sd_event_add_signal(sim->event, NULL, SIGTERM, NULL, NULL);
        if (r < 0)
                return r;
        r = sd_event_add_signal(sim->event, NULL, SIGINT, NULL, NULL);
        if (r < 0)
                return r;
        r = simulation_start(sim);
        if (r < 0)
                return r;

        printf("{\"cloud\":%u,\"control\":%u,\"truth\":%u}\n", engine_port(sim->cloud), control_port(sim->control),
               truth_port_number(sim->port));
        fflush(stdout);
        return sd_event_loop(sim->event);
}

static int judge(void)
{
        _cleanup_json_ json_object *verdict = NULL;
        _cleanup_free_ char *table = NULL;
        int r = judge_file(arg_judge, &verdict);

        if (r < 0) {
                fprintf(stderr, "Failed to read ledger %s: %s\n", arg_judge, strerror(-r));
                return 2;
        }
        if (arg_table)
                table = judge_table(verdict);
        puts(table
                             ?: json_object_to_json_string_ext(
                                                verdict, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        return json_get_bool(verdict, "ok", false) ? 0 : 1;
}

enum {
        ARG_CLOUD = 256,
        ARG_CONTROL,
        ARG_TRUTH,
        ARG_CERTIFICATE,
        ARG_KEY,
        ARG_LEDGER,
        ARG_JUDGE,
        ARG_TABLE,
        ARG_SETTING,
};

static const struct option options[] = {
        { "cloud-listen", required_argument, NULL, ARG_CLOUD },
        { "control", required_argument, NULL, ARG_CONTROL },
        { "truth", required_argument, NULL, ARG_TRUTH },
        { "cert", required_argument, NULL, ARG_CERTIFICATE },
        { "key", required_argument, NULL, ARG_KEY },
        { "ledger", required_argument, NULL, ARG_LEDGER },
        { "judge", required_argument, NULL, ARG_JUDGE },
        { "verdict-table", required_argument, NULL, ARG_TABLE },
        /* Settings that are known from the beginning: each has the name it has in the control API. */
        { "scale", required_argument, NULL, ARG_SETTING },
        { "latency-ms", required_argument, NULL, ARG_SETTING },
        { "login-ms", required_argument, NULL, ARG_SETTING },
        { "logout-ms", required_argument, NULL, ARG_SETTING },
        { "close-ms", required_argument, NULL, ARG_SETTING },
        { "lock", required_argument, NULL, ARG_SETTING },
        { "lock-s", required_argument, NULL, ARG_SETTING },
        { "lock-young-s", required_argument, NULL, ARG_SETTING },
        { "local-lock-s", required_argument, NULL, ARG_SETTING },
        { "local-lock-young-s", required_argument, NULL, ARG_SETTING },
        { "young-s", required_argument, NULL, ARG_SETTING },
        { "window-s", required_argument, NULL, ARG_SETTING },
        { "window-young-s", required_argument, NULL, ARG_SETTING },
        { "ahead-ms", required_argument, NULL, ARG_SETTING },
        { "login-flood-s", required_argument, NULL, ARG_SETTING },
        { "flood-per-minute", required_argument, NULL, ARG_SETTING },
        { "flood-per-hour", required_argument, NULL, ARG_SETTING },
        { "strict-webhooks", required_argument, NULL, ARG_SETTING },
        { "cloud-root", required_argument, NULL, ARG_SETTING },
        { "gateway-root", required_argument, NULL, ARG_SETTING },
        { "api-id", required_argument, NULL, ARG_SETTING },
        { "api-hash", required_argument, NULL, ARG_SETTING },
        { 0 },
};

static bool take_setting(Settings *settings, const char *option, const char *value)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        json_object *parsed = json_parse(value, strlen(value));
        bool text = streq(option, "api-id") || streq(option, "api-hash") || !parsed;
        char name[32];

        (void) snprintf(name, sizeof(name), "%s", option);
        for (char *c = name; *c; c++)
                if (*c == '-')
                        *c = '_';
        json_object_object_add(object, name, text ? json_object_new_string(value) : json_object_get(parsed));
        json_object_put(parsed);
        return !settings_apply(settings, object);
}

static bool take_option(Simulation *sim, int option, const char *name)
{
        switch (option) {

        case ARG_CLOUD:
                return front_parse_address(optarg, &arg_cloud);

        case ARG_CONTROL:
                return front_parse_address(optarg, &arg_control);

        case ARG_TRUTH:
                return front_parse_address(optarg, &arg_truth);

        case ARG_CERTIFICATE:
                arg_certificate = optarg;
                return true;

        case ARG_KEY:
                arg_key = optarg;
                return true;

        case ARG_LEDGER:
                arg_ledger = optarg;
                return true;

        case ARG_JUDGE:
        case ARG_TABLE:
                arg_judge = optarg;
                arg_table = option == ARG_TABLE;
                return true;

        case ARG_SETTING:
                return take_setting(&sim->settings, name, optarg);

        default:
                return false;
        }
}

int main(int argc, char *argv[])
{
        Simulation sim = { 0 };
        int option, i, r;

        settings_init(&sim.settings);
        (void) front_parse_address("127.0.0.1:443", &arg_cloud);
        (void) front_parse_address("127.0.0.1:8900", &arg_control);
        (void) front_parse_address("127.0.0.1:8901", &arg_truth);

        while ((option = getopt_long(argc, argv, "", options, &i)) >= 0)
                if (!take_option(&sim, option, option == '?' ? "" : options[i].name)) {
                        if (option != '?')
                                fprintf(stderr, "Bad value for --%s: %s\n", options[i].name, optarg);
                        settings_done(&sim.settings);
                        return 1;
                }
        if (!arg_certificate != !arg_key) {
                fprintf(stderr, "--cert and --key belong together.\n");
                settings_done(&sim.settings);
                return 1;
        }
        if (arg_judge) {
                settings_done(&sim.settings);
                return judge();
        }

        r = run(&sim);
        if (r < 0)
                fprintf(stderr, "Failed to run the simulation: %s\n", strerror(-r));
        simulation_done(&sim);
        return r < 0 ? 1 : 0;
}
