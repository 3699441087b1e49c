/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "ctl/ctl-agent.h"

/* The options beside --help and --version; a verb names those it takes. */
typedef enum Option {
        OPTION_ALL = 1 << 0,
        OPTION_YES = 1 << 1,
        OPTION_WAIT = 1 << 2,
        OPTION_NO_WAIT = 1 << 3,
        OPTION_JSON = 1 << 4,
        OPTION_REASON = 1 << 5,
        OPTION_ON_UNDRAINED = 1 << 6,
        OPTION_HOLD_AT = 1 << 7,
        OPTION_CLEAR = 1 << 8,
        OPTION_OUTPUT = 1 << 9,
        OPTION_STRICT = 1 << 10,
        OPTION_WHEN_ALLOWED = 1 << 11,
        OPTION_AUTOMATIC = 1 << 12,
        OPTION_FOR = 1 << 13,
        OPTION_UNTIL = 1 << 14,
        OPTION_HELP = 1 << 15,
        OPTION_VERSION = 1 << 16,
        OPTION_BOT = 1 << 17,
        OPTION_ENVIRONMENT = 1 << 18,
        OPTION_EXEC = 1 << 19,
        OPTION_UNDO = 1 << 20,
        OPTION_FORCE = 1 << 21,
        OPTION_RESTART = 1 << 22,
        OPTION_PENDING_UPDATES = 1 << 23,
        OPTION_ENCRYPT = 1 << 24,
        OPTION_PLAIN = 1 << 25,
        OPTION_WEBHOOK = 1 << 26,
        OPTION_NO_ASK_PASSWORD = 1 << 27, /* goes with every verb */
} Option;

#define OPTIONS_SWITCH                                                                                                \
        (OPTION_ALL | OPTION_YES | OPTION_WAIT | OPTION_NO_WAIT | OPTION_JSON | OPTION_REASON | OPTION_ON_UNDRAINED | \
         OPTION_HOLD_AT | OPTION_WHEN_ALLOWED | OPTION_AUTOMATIC)

#define OPTIONS_ADOPT                                                                                          \
        (OPTION_BOT | OPTION_ENVIRONMENT | OPTION_EXEC | OPTION_PENDING_UPDATES | OPTION_UNDO | OPTION_FORCE | \
         OPTION_RESTART | OPTION_YES | OPTION_JSON)

#define OPTIONS_SET_TOKEN \
        (OPTION_ENCRYPT | OPTION_PLAIN | OPTION_WEBHOOK | OPTION_FORCE | OPTION_RESTART | OPTION_YES | OPTION_JSON)

#define ANY UINT_MAX

static const struct {
        const char *name, *arguments;
        unsigned n_min, n_max; /* arguments after the verb */
        unsigned options;
        CtlExit (*run)(Ctl *c);
        const char *help;
} verbs[] = {
        { "status", "[BOT...]", 0, ANY, OPTION_JSON, verb_status,
          "Where each bot is, what it does, and what to do next" },
        { "list", "", 0, 0, OPTION_JSON, verb_list, "One line a bot" },
        { "plan", "local|cloud [BOT...]", 1, ANY, OPTION_JSON, verb_plan,
          "What a switch would do, with its checks; changes nothing" },
        { "check", "local|cloud [BOT...]", 1, ANY, OPTION_JSON, verb_check,
          "The checks of a switch alone; change nothing" },
        { "switch", "local|cloud BOT...|--all", 1, ANY, OPTIONS_SWITCH, verb_switch, "Move bots to the other server" },
        { "wait", "JOB...", 1, ANY, OPTION_JSON, verb_wait, "Follow jobs to their end" },
        { "cancel", "JOB", 1, 1, OPTION_JSON, verb_cancel, "Take a job back that has not logged its bot out" },
        { "proceed", "JOB", 1, 1, OPTION_JSON, verb_proceed, "Let a job go on that holds" },
        { "hold", "BOT...", 1, ANY, OPTION_FOR | OPTION_UNTIL | OPTION_REASON | OPTION_JSON, verb_hold,
          "No automatic moves of these bots" },
        { "release", "BOT...", 1, ANY, OPTION_JSON, verb_release, "Allow them again" },
        { "set-seat", "BOT cloud|local", 2, 2, OPTION_JSON, verb_set_seat, "Say where a bot is logged in" },
        { "spool", "BOT", 1, 1, OPTION_CLEAR | OPTION_JSON, verb_spool,
          "Print the updates kept for a bot, or drop them" },
        { "reload", "", 0, 0, OPTION_JSON, verb_reload, "Have the configuration read again" },
        { "authorize", "", 0, 0, OPTION_OUTPUT | OPTION_STRICT | OPTION_JSON, verb_authorize,
          "Write the polkit rule for the configured units" },
        { "adopt", "UNIT --bot=NAME|--undo", 1, 1, OPTIONS_ADOPT, verb_adopt,
          "Make a service a worker of a bot, or undo that" },
        { "set-token", "BOT", 1, 1, OPTIONS_SET_TOKEN, verb_set_token, "Store a bot's token, or the new one" },
        { "check-credentials", "", 0, 0, OPTION_JSON, verb_check_credentials,
          "Sort out what this host cannot decrypt" },
};

static const struct option long_options[] = {
        { "all", no_argument, NULL, OPTION_ALL },
        { "yes", no_argument, NULL, OPTION_YES },
        { "wait", no_argument, NULL, OPTION_WAIT },
        { "no-wait", no_argument, NULL, OPTION_NO_WAIT },
        { "json", no_argument, NULL, OPTION_JSON },
        { "reason", required_argument, NULL, OPTION_REASON },
        { "on-undrained", required_argument, NULL, OPTION_ON_UNDRAINED },
        { "hold-at", required_argument, NULL, OPTION_HOLD_AT },
        { "when-allowed", no_argument, NULL, OPTION_WHEN_ALLOWED },
        { "automatic", no_argument, NULL, OPTION_AUTOMATIC },
        { "for", required_argument, NULL, OPTION_FOR },
        { "until", required_argument, NULL, OPTION_UNTIL },
        { "clear", no_argument, NULL, OPTION_CLEAR },
        { "output", required_argument, NULL, OPTION_OUTPUT },
        { "strict", no_argument, NULL, OPTION_STRICT },
        { "bot", required_argument, NULL, OPTION_BOT },
        { "environment", no_argument, NULL, OPTION_ENVIRONMENT },
        { "exec", no_argument, NULL, OPTION_EXEC },
        { "pending-updates", no_argument, NULL, OPTION_PENDING_UPDATES },
        { "undo", no_argument, NULL, OPTION_UNDO },
        { "force", no_argument, NULL, OPTION_FORCE },
        { "restart", no_argument, NULL, OPTION_RESTART },
        { "encrypt", no_argument, NULL, OPTION_ENCRYPT },
        { "plain", no_argument, NULL, OPTION_PLAIN },
        { "webhook", no_argument, NULL, OPTION_WEBHOOK },
        { "no-ask-password", no_argument, NULL, OPTION_NO_ASK_PASSWORD },
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

CtlExit ctl_error(CtlExit status, const char *format, ...)
{
        va_list ap;

        fflush(stdout);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        return status;
}

CtlExit ctl_oom(void)
{
        return ctl_error(CTL_FAILED, "Out of memory.");
}

bool ctl_ask(const char *format, ...)
{
        char answer[16] = "";
        va_list ap;

        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        fflush(stdout);
        return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

void ctl_json_add(json_object *object, const char *key, json_object *value)
{
        if (json_object_object_add(object, key, value) < 0)
                abort();
}

json_object *ctl_json_new(void)
{
        json_object *object = json_object_new_object();

        if (!object)
                abort();
        ctl_json_add(object, "schema", json_object_new_int(CTL_JSON_SCHEMA));
        return object;
}

CtlExit ctl_print_json(json_object *object)
{
        puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(object);
        return CTL_OK;
}

static void print_help(void)
{
        puts("tgswitchctl [OPTION...] VERB [ARGUMENT...]\n\n"
             "Moves Telegram bots between the cloud and the local Bot API server.\n\nVerbs:");
        FOREACH_ELEMENT(v, verbs)
                printf("  %-17s %-24s %s\n", v->name, v->arguments, v->help);
        puts("\nOptions:\n"
             "      --json                JSON instead of text, with \"schema\":1\n"
             "      --all                 Every bot that has a seat and is not there yet\n"
             "  -y, --yes                 Do not show the plan, do not ask\n"
             "      --wait, --no-wait     Follow the jobs to their end (the default), or return at once\n"
             "      --when-allowed        Of switch: wait until the server takes the bot, instead of failing\n"
             "      --automatic           Of switch: nobody's word, so bots on hold are left out\n"
             "      --reason=TEXT         Kept with the job or the hold\n"
             "      --on-undrained=WHAT   fail, spool or wait, instead of what is configured\n"
             "      --hold-at=PHASE       Wait for `proceed` before stop-workers or log-out\n"
             "      --for=SPAN            Of hold: so long, like 24h\n"
             "      --until=TIME          Of hold: until then, like 18:30 or \"2030-12-24 18:30\"\n"
             "      --clear               Of spool: drop the updates\n"
             "      --output=FILE         Of authorize: write there\n"
             "      --strict              Of authorize: fail where the configuration has errors\n"
             "      --bot=NAME            Of adopt: whose program it is\n"
             "      --environment, --exec Of adopt: it reads its token from the environment\n"
             "      --pending-updates     Of adopt: it handles what is in bot-pending-updates\n"
             "      --undo                Of adopt: take back what it wrote\n"
             "      --force               Of adopt: also where somebody has changed that, or the bot is elsewhere\n"
             "      --restart             Of adopt: restart what runs\n"
             "      --encrypt, --plain    Of set-token: store it encrypted for this host, or as it is\n"
             "      --webhook             Of set-token: set the webhook again that is on record\n"
             "      --no-ask-password     Do not ask for a password\n"
             "  -h, --help                This text\n"
             "      --version             The version\n\n"
             "See tgswitchctl(1).");
}

static void option_set(Ctl *c, Option option, const char *value)
{
        c->all |= option == OPTION_ALL;
        c->yes |= option == OPTION_YES;
        c->no_wait = option == OPTION_NO_WAIT || (c->no_wait && option != OPTION_WAIT);
        c->json |= option == OPTION_JSON;
        c->clear |= option == OPTION_CLEAR;
        c->strict |= option == OPTION_STRICT;
        c->when_allowed |= option == OPTION_WHEN_ALLOWED;
        c->automatic |= option == OPTION_AUTOMATIC;
        c->environment |= option == OPTION_ENVIRONMENT;
        c->exec |= option == OPTION_EXEC;
        c->pending_updates |= option == OPTION_PENDING_UPDATES;
        c->undo |= option == OPTION_UNDO;
        c->force |= option == OPTION_FORCE;
        c->restart |= option == OPTION_RESTART;
        c->encrypt |= option == OPTION_ENCRYPT;
        c->plain |= option == OPTION_PLAIN;
        c->webhook |= option == OPTION_WEBHOOK;
        c->no_ask_password |= option == OPTION_NO_ASK_PASSWORD;
        if (option == OPTION_BOT)
                c->bot = value;
        if (option == OPTION_REASON)
                c->reason = value;
        if (option == OPTION_ON_UNDRAINED)
                c->on_undrained = value;
        if (option == OPTION_HOLD_AT)
                c->hold_at = value;
        if (option == OPTION_FOR)
                c->hold_for = value;
        if (option == OPTION_UNTIL)
                c->hold_until = value;
        if (option == OPTION_OUTPUT)
                c->output = value;
}

static const char *option_name(unsigned option)
{
        for (const struct option *o = long_options; o->name; o++)
                if ((unsigned) o->val & option)
                        return o->name;
        return "?";
}

/* Runs the verb with what was collected. `given` are all options on the command line. */
static CtlExit run_verb(Ctl *c, const char *name, unsigned n_arguments, unsigned given)
{
        FOREACH_ELEMENT(v, verbs) {
                unsigned foreign = given & ~(v->options | OPTION_NO_ASK_PASSWORD);

                if (!streq(v->name, name))
                        continue;
                if (foreign)
                        return ctl_error(CTL_USAGE, "--%s does not go with '%s'.", option_name(foreign & -foreign),
                                         name);
                if (n_arguments < v->n_min || n_arguments > v->n_max)
                        return ctl_error(CTL_USAGE, "Usage: tgswitchctl %s %s", v->name, v->arguments);
                return v->run(c);
        }
        return ctl_error(CTL_USAGE, "There is no verb '%s'; see 'tgswitchctl --help'.", name);
}

int main(int argc, char *argv[])
{
        Ctl c = { 0 };
        unsigned given = 0;
        CtlExit status;
        int option;

        c.terminal = isatty(STDOUT_FILENO);
        c.colour = c.terminal && isempty(getenv("NO_COLOR")) && !streq(getenv("TERM") ?: "dumb", "dumb");

        while ((option = getopt_long(argc, argv, "hy", long_options, NULL)) >= 0) {
                if (option == '?')
                        return CTL_USAGE;
                if (option == 'h' || option == OPTION_HELP) {
                        print_help();
                        return CTL_OK;
                }
                if (option == OPTION_VERSION) {
                        puts("tgswitch " VERSION);
                        return CTL_OK;
                }
                if (option == 'y')
                        option = OPTION_YES;
                given |= (unsigned) option;
                option_set(&c, (Option) option, optarg);
        }

        if (optind < argc) {
                c.arguments = argv + optind + 1;
                status = run_verb(&c, argv[optind], (unsigned) (argc - optind - 1), given);
        } else {
                c.arguments = argv + argc;
                status = run_verb(&c, "status", 0, given);
        }

        agent_close(&c);
        sd_bus_flush_close_unref(c.bus);
        if (fflush(stdout) != 0 && status == CTL_OK)
                status = CTL_FAILED;
        return status;
}
