/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"
#include "ctl/ctl-agent.h"
#include "ctl/ctl-options.h"

#define OPTIONS_SWITCH                                                                                     \
        (CTL_OPTION(ALL) | CTL_OPTION(YES) | CTL_OPTION(WAIT) | CTL_OPTION(NO_WAIT) | CTL_OPTION(REASON) | \
         CTL_OPTION(ON_UNDRAINED) | CTL_OPTION(HOLD_AT) | CTL_OPTION(WHEN_ALLOWED) | CTL_OPTION(AUTOMATIC))

#define OPTIONS_ADOPT                                                                                 \
        (CTL_OPTION(BOT) | CTL_OPTION(ENVIRONMENT) | CTL_OPTION(EXEC) | CTL_OPTION(PENDING_UPDATES) | \
         CTL_OPTION(UNDO) | CTL_OPTION(FORCE) | CTL_OPTION(RESTART) | CTL_OPTION(YES))

#define OPTIONS_ADD                                                                                                   \
        (CTL_OPTION(TOKEN_FILE) | CTL_OPTION(INITIAL_SEAT) | CTL_OPTION(WORKER) | CTL_OPTION(ENVIRONMENT) |           \
         CTL_OPTION(EXEC) | CTL_OPTION(PENDING_UPDATES) | CTL_OPTION(ENCRYPT) | CTL_OPTION(PLAIN) | CTL_OPTION(YES) | \
         CTL_OPTION(RESTART))

#define OPTIONS_REMOVE (CTL_OPTION(FORCE) | CTL_OPTION(RESTART) | CTL_OPTION(YES))

#define OPTIONS_SET_TOKEN                                                                                          \
        (CTL_OPTION(ENCRYPT) | CTL_OPTION(PLAIN) | CTL_OPTION(WEBHOOK) | CTL_OPTION(FORCE) | CTL_OPTION(RESTART) | \
         CTL_OPTION(YES))

/* go with every verb */
#define OPTIONS_COMMON \
        (CTL_OPTION(JSON) | CTL_OPTION(NO_ASK_PASSWORD) | CTL_OPTION(HOST) | CTL_OPTION(HELP) | CTL_OPTION(VERSION))

#define ANY UINT_MAX

typedef struct Verb {
        const char *name, *arguments;
        unsigned n_min, n_max; /* arguments after the verb */
        uint64_t options;      /* beside the common ones */
        CtlExit (*run)(Ctl *c);
        const char *help;
        bool here; /* writes files, so it is of no use with --host */
} Verb;

static const Verb verbs[] = {
        { "status", "[BOT...]", 0, ANY, 0, verb_status, "Where each bot is, what it does, and what to do next" },
        { "list", "", 0, 0, 0, verb_list, "One line a bot" },
        { "plan", "local|cloud [BOT...]", 1, ANY, 0, verb_plan,
          "What a switch would do, with its checks; changes nothing" },
        { "check", "local|cloud [BOT...]", 1, ANY, 0, verb_check, "The checks of a switch alone; change nothing" },
        { "switch", "local|cloud BOT...|--all", 1, ANY, OPTIONS_SWITCH, verb_switch, "Move bots to the other server" },
        { "is-local", "BOT...", 1, ANY, CTL_OPTION(QUIET), verb_is_local, "Whether bots are at the local server" },
        { "monitor", "[BOT...]", 0, ANY, 0, verb_monitor, "Tell what happens, as it happens" },
        { "wait", "JOB...", 1, ANY, 0, verb_wait, "Follow jobs to their end" },
        { "cancel", "JOB", 1, 1, 0, verb_cancel, "Take a job back that has not logged its bot out" },
        { "proceed", "JOB", 1, 1, 0, verb_proceed, "Let a job go on that holds" },
        { "hold", "BOT...", 1, ANY, CTL_OPTION(FOR) | CTL_OPTION(UNTIL) | CTL_OPTION(REASON), verb_hold,
          "No automatic moves of these bots" },
        { "release", "BOT...", 1, ANY, 0, verb_release, "Allow them again" },
        { "set-seat", "BOT cloud|local", 2, 2, 0, verb_set_seat, "Say where a bot is logged in" },
        { "spool", "BOT", 1, 1, CTL_OPTION(CLEAR), verb_spool, "Print the updates kept for a bot, or drop them" },
        { "history", "[BOT...]", 0, ANY, CTL_OPTION(LIMIT) | CTL_OPTION(SINCE), verb_history,
          "The moves that have ended, the newest last" },
        { "metrics", "", 0, 0, CTL_OPTION(OUTPUT), verb_metrics, "Print the metrics for Prometheus, or write them" },
        { "reload", "", 0, 0, 0, verb_reload, "Have the configuration read again" },
        { "authorize", "", 0, 0, CTL_OPTION(OUTPUT) | CTL_OPTION(STRICT), verb_authorize,
          "Write the polkit rule for the configured units", true },
        { "add", "NAME", 1, 1, OPTIONS_ADD, verb_add, "Set up a bot: its token, its file and its services", true },
        { "remove", "BOT", 1, 1, OPTIONS_REMOVE, verb_remove, "Take all that back, and the token away", true },
        { "adopt", "UNIT --bot=NAME|--undo", 1, 1, OPTIONS_ADOPT, verb_adopt,
          "Make a service a worker of a bot, or undo that", true },
        { "set-token", "BOT", 1, 1, OPTIONS_SET_TOKEN, verb_set_token, "Store a bot's token, or the new one", true },
        { "check-credentials", "", 0, 0, 0, verb_check_credentials, "Sort out what this host cannot decrypt", true },
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

/* The verb that alone takes the option; NULL: several do, or all. */
static const char *only_verb(CtlOption option)
{
        const char *name = NULL;

        FOREACH_ELEMENT(v, verbs) {
                if (!(v->options & UINT64_C(1) << option))
                        continue;
                if (name)
                        return NULL;
                name = v->name;
        }
        return name;
}

static void print_help(void)
{
        puts("tgswitchctl [OPTION...] VERB [ARGUMENT...]\n\n"
             "Moves Telegram bots between the cloud and the local Bot API server.\n\nVerbs:");
        FOREACH_ELEMENT(v, verbs)
                printf("  %-17s %-24s %s\n", v->name, v->arguments, v->help);
        puts("\nOptions:");
        for (CtlOption option = 0; option < CTL_OPTION_MAX; option++)
                ctl_option_print(option, only_verb(option));
        puts("\n'tgswitchctl VERB --help' shows those of one verb. See tgswitchctl(1).");
}

static CtlExit print_verb_help(const Verb *v)
{
        printf("tgswitchctl %s [OPTION...]%s%s\n\n%s.\n\nOptions:\n", v->name, isempty(v->arguments) ? "" : " ",
               v->arguments, v->help);
        for (CtlOption option = 0; option < CTL_OPTION_MAX; option++)
                if ((v->options | OPTIONS_COMMON) & UINT64_C(1) << option)
                        ctl_option_print(option, NULL);
        return CTL_OK;
}

static const Verb *find_verb(const char *name)
{
        FOREACH_ELEMENT(v, verbs)
                if (streq(v->name, name))
                        return v;
        return NULL;
}

/* What ssh has to carry: what writes files there, or gets one (spool). */
static bool acts_here(const char *arguments)
{
        char name[32];
        const Verb *v;

        (void) snprintf(name, sizeof(name), "%.*s", (int) strcspn(arguments, " "), arguments);
        v = find_verb(name);
        return v && (v->here || v->run == verb_spool);
}

const char *ctl_command(const Ctl *c, const char *command)
{
        const char *arguments = startswith(command, "tgswitchctl ");
        static char text[1024];

        if (!c->host)
                return command;
        if (arguments && !acts_here(arguments))
                (void) snprintf(text, sizeof(text), "%s %s", ctl_program(c), arguments);
        else
                (void) snprintf(text, sizeof(text), "ssh -t %.280s %s%s", c->host,
                                startswith(c->host, "root@") ? "" : "sudo ", command);
        return text;
}

/* Runs the verb with what was collected. `given` are all options on the command line. */
static CtlExit run_verb(Ctl *c, const char *name, uint64_t given)
{
        const Verb *v = find_verb(name);
        size_t n = strv_length(c->arguments);

        if (!v)
                return ctl_error(CTL_USAGE, "There is no verb '%s'; see 'tgswitchctl --help'.", name);
        if (c->help)
                return print_verb_help(v);
        for (CtlOption option = 0; option < CTL_OPTION_MAX; option++)
                if (given & ~(v->options | OPTIONS_COMMON) & UINT64_C(1) << option)
                        return ctl_error(CTL_USAGE, "--%s does not go with '%s'; see 'tgswitchctl %s --help'.",
                                         ctl_options[option].name, name, name);
        if (n < v->n_min || n > v->n_max)
                return ctl_error(CTL_USAGE, "Usage: tgswitchctl %s %s", v->name, v->arguments);
        if (v->here && c->host)
                return ctl_error(CTL_USAGE,
                                 "'%s' writes files, and does so on this host alone: log in on %s, and give the "
                                 "command there without --host.",
                                 name, c->host);
        return v->run(c);
}

int main(int argc, char *argv[])
{
        const char *verb = "status"; /* what somebody wants to know who gives none */
        Ctl c = { 0 };
        uint64_t given;
        CtlExit status;

        (void) setlocale(LC_CTYPE,
                         "C.UTF-8"); /* how wide a character is; text on the bus is UTF-8 whatever $LANG says */
        c.terminal = isatty(STDOUT_FILENO);
        c.dumb = streq(getenv("TERM") ?: "dumb", "dumb");
        c.colour = c.terminal && !c.dumb && isempty(getenv("NO_COLOR"));
        if (ctl_options_parse(&c, argc, argv, &given) < 0)
                return CTL_USAGE;
        if (c.version) {
                puts("tgswitch " VERSION);
                return CTL_OK;
        }
        if (c.help && !c.arguments[0]) {
                print_help();
                return CTL_OK;
        }
        if (c.arguments[0])
                verb = *c.arguments++;
        else
                c.brief = true;
        status = run_verb(&c, verb, given);

        agent_close(&c);
        strv_free(c.workers);
        sd_bus_flush_close_unref(c.bus);
        if (fflush(stdout) != 0 && status == CTL_OK)
                status = ctl_error(CTL_FAILED, "The output could not be written (%s): try again where there is room.",
                                   strerror(errno));
        return status;
}
