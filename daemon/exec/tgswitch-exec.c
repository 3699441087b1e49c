/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/api-root.h"
#include "core/bot-token.h"
#include "core/template.h"

/* tgswitch-exec(1): hands a worker's credentials to a program that reads its environment, and becomes that program. The
 * process stays the same one, so that Type=notify, signals and sockets handed over by systemd go on working. What it
 * reads comes from the gate, which has opened when this runs (systemd.exec(5), LoadCredential=). */

#define EXIT_USAGE       2
#define EXIT_CANNOT_RUN  126 /* as the shell has it */
#define EXIT_NOT_FOUND   127
#define EXIT_CREDENTIALS 243 /* systemd.exec(5), PROCESS EXIT CODES */

/* More than any token or endpoint; a file of this size is none. */
#define CREDENTIAL_SIZE_MAX 4096u

#define ASK_FOR "LoadCredential=%s:/run/tgswitch/credential.sock"

typedef struct Wishes {
        char **set;          /* of --set */
        const char *pending; /* of --pending-updates */
        const char *argv0;   /* of --argv0 */
        bool only;
} Wishes;

enum {
        OPTION_SET = 256,
        OPTION_PENDING,
        OPTION_ARGV0,
        OPTION_ONLY,
        OPTION_VERSION,
};

static const struct option long_options[] = {
        { "set", required_argument, NULL, OPTION_SET },
        { "pending-updates", required_argument, NULL, OPTION_PENDING },
        { "argv0", required_argument, NULL, OPTION_ARGV0 },
        { "only", no_argument, NULL, OPTION_ONLY },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

static int _printf_(2, 3) fail(int status, const char *format, ...)
{
        va_list ap;

        fputs("tgswitch-exec: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        return status;
}

static int fail_oom(void)
{
        return fail(EXIT_CREDENTIALS, "Out of memory.");
}

static void print_help(void)
{
        puts("tgswitch-exec [OPTION...] [--] PROGRAM [ARGUMENT...]\n\n"
             "For ExecStart= of a worker of tgswitch: puts the bot's token and endpoint into the\n"
             "environment and becomes the program.\n\n"
             "      --set=NAME=TEXT           Set NAME too; {root} and {token} in TEXT are filled in\n"
             "      --pending-updates=NAME    Set NAME to the path of the updates to be handled first\n"
             "      --only                    Set nothing but what these two say\n"
             "      --argv0=NAME              What the program is told its own name is\n"
             "  -h, --help                    This text\n"
             "      --version                 The version\n\n"
             "See tgswitch-exec(1).");
}

/* ---- the command line ---- */

static bool is_variable(const char *name)
{
        _cleanup_free_ char *assignment = NULL;

        if (asprintf(&assignment, "%s=", name) < 0)
                assignment = NULL;
        return assignment && !strchr(name, '=') && template_words(assignment) >= 0;
}

/* Returns -1 where the program is to be run, else an exit status. */
static int take_option(Wishes *w, int option)
{
        switch (option) {
        case OPTION_SET:
                if (template_words(optarg) <= 0)
                        return fail(EXIT_USAGE,
                                    "--set takes NAME=TEXT with {root} or {token} in the text, without blanks and "
                                    "quotes, like --set=API_BASE={root}/bot; anything else belongs into Environment= "
                                    "of the unit.");
                return strv_extend(&w->set, optarg) < 0 ? fail_oom() : -1;
        case OPTION_PENDING:
                w->pending = optarg;
                return is_variable(optarg) ? -1
                                           : fail(EXIT_USAGE, "--pending-updates takes the name of a variable, like "
                                                              "--pending-updates=PENDING_UPDATES.");
        case OPTION_ARGV0:
                w->argv0 = optarg;
                return -1;
        case OPTION_ONLY:
                w->only = true;
                return -1;
        case OPTION_VERSION:
                puts("tgswitch " VERSION);
                return EXIT_SUCCESS;
        case 'h':
                print_help();
                return EXIT_SUCCESS;
        default:
                return EXIT_USAGE; /* getopt has said why */
        }
}

static int parse_arguments(Wishes *w, int argc, char *argv[])
{
        int option, status;

        /* '+': what follows the program belongs to it */
        while ((option = getopt_long(argc, argv, "+h", long_options, NULL)) >= 0) {
                status = take_option(w, option);
                if (status >= 0)
                        return status;
        }
        if (optind >= argc)
                return fail(EXIT_USAGE, "Name the program to run, as in ExecStart=/usr/libexec/tgswitch/tgswitch-exec "
                                        "-- /usr/bin/my-bot.");
        if (w->only && !w->set && !w->pending)
                return fail(EXIT_USAGE, "--only without --set or --pending-updates would set nothing.");
        return -1;
}

/* ---- the credentials ---- */

/* Returns -1, or an exit status where there is no such credential or nothing in it. */
static int read_credential(int directory, const char *name, char **ret, size_t *ret_size)
{
        int r = read_file_at(directory, name, 0, CREDENTIAL_SIZE_MAX, ret, ret_size);

        if (r == -ENOENT)
                return fail(EXIT_CREDENTIALS, "The unit has no credential %s: add " ASK_FOR " to a drop-in of it.",
                            name, name);
        if (r == -EFBIG)
                return fail(EXIT_CREDENTIALS,
                            "The credential %s has more than %u bytes, so it is not what tgswitchd hands out: it has "
                            "to come from " ASK_FOR ".",
                            name, CREDENTIAL_SIZE_MAX, name);
        if (r < 0)
                return fail(EXIT_CREDENTIALS,
                            "The credential %s cannot be read (%s): run this as the user of the unit, from ExecStart=.",
                            name, strerror(-r));
        if (*ret_size == 0)
                return fail(EXIT_CREDENTIALS,
                            "The credential %s is empty: tgswitchd refused it, and its journal says why. A unit gets "
                            "it when a bot names it with Worker= in its file in bots.d.",
                            name);
        return -1;
}

static int read_token(int directory, BotToken **ret)
{
        _cleanup_wipe_ char *text = NULL;
        size_t size;
        int status = read_credential(directory, "bot-token", &text, &size), r;

        if (status >= 0)
                return status;
        r = bot_token_new(ret, text, size);
        explicit_bzero(text, size);
        if (r == -EINVAL)
                return fail(EXIT_CREDENTIALS,
                            "The credential bot-token is no token of a bot: it has to come from " ASK_FOR ".",
                            "bot-token");
        return r < 0 ? fail_oom() : -1;
}

static int read_root(int directory, char **ret)
{
        _cleanup_free_ char *text = NULL;
        const char *why;
        size_t size;
        int status = read_credential(directory, "bot-endpoint", &text, &size);

        if (status >= 0)
                return status;
        text[strcspn(text, "\n")] = '\0';
        why = api_root_complaint(text);
        /* Not the text itself: it may be anything, a token too. */
        if (why)
                return fail(EXIT_CREDENTIALS,
                            "The credential bot-endpoint is no address of a Bot API server (%s): it has to come "
                            "from " ASK_FOR ".",
                            why, "bot-endpoint");
        *ret = TAKE_PTR(text);
        return -1;
}

/* ---- the environment ---- */

/* The copy that setenv() makes is the one that was asked for; it is gone with this program's memory, and the next
 * program's environment has it. */
static int set_variable(const char *assignment, const char *root, const char *token)
{
        _cleanup_wipe_ char *filled = template_fill(assignment, root, token);
        char *equals = filled ? strchr(filled, '=') : NULL;
        int r;

        if (!equals)
                return -ENOMEM;
        *equals = '\0';
        r = setenv(filled, equals + 1, 1) < 0 ? -errno : 0;
        *equals = '=';
        return r;
}

static int set_variables(const char *const *assignments, const char *root, const char *token)
{
        for (const char *const *a = assignments; a && *a; a++) {
                int r = set_variable(*a, root, token);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int set_pending(const char *variable, const char *directory)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/bot-pending-updates", directory) < 0) {
                path = NULL;
                return fail_oom();
        }
        if (access(path, R_OK) < 0)
                return fail(EXIT_CREDENTIALS,
                            "The unit has no credential bot-pending-updates that can be read (%s): add " ASK_FOR
                            " to a drop-in of it, or leave --pending-updates out.",
                            strerror(errno), "bot-pending-updates");
        return setenv(variable, path, 1) < 0 ? fail_oom() : -1;
}

static int set_environment(const Wishes *w, const char *path, int directory)
{
        _cleanup_(bot_token_freep) BotToken *token = NULL;
        _cleanup_free_ char *root = NULL;
        int status;

        if ((status = read_token(directory, &token)) >= 0 || (status = read_root(directory, &root)) >= 0)
                return status;
        if (!w->only && (set_variables(template_endpoint_variables, root, NULL) < 0 ||
                         set_variables(template_token_variables, root, bot_token_reveal(token)) < 0))
                return fail_oom();
        if (set_variables((const char *const *) w->set, root, bot_token_reveal(token)) < 0)
                return fail_oom();
        return w->pending ? set_pending(w->pending, path) : -1;
}

static int run(const Wishes *w, char *argv[])
{
        const char *path = getenv("CREDENTIALS_DIRECTORY"), *program = argv[0];
        _cleanup_close_ int directory = -EBADF;
        int status;

        if (isempty(path))
                return fail(EXIT_CREDENTIALS,
                            "There are no credentials ($CREDENTIALS_DIRECTORY is not set): this is for ExecStart= of a "
                            "unit with " ASK_FOR "; 'tgswitchctl adopt' writes all that it needs.",
                            "bot-token");
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return fail(EXIT_CREDENTIALS,
                            "The credentials of the unit cannot be read (%s): run this as the user of the unit, from "
                            "ExecStart=.",
                            strerror(errno));
        status = set_environment(w, path, directory);
        if (status >= 0)
                return status;

        if (w->argv0)
                argv[0] = (char *) w->argv0;
        (void) execvp(program, argv);
        status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
        return fail(status,
                    "The program '%s' cannot be run (%s): correct ExecStart= of the unit. The name of a script's "
                    "interpreter may be wrong, too.",
                    program, strerror(errno));
}

int main(int argc, char *argv[])
{
        Wishes w = {};
        int status;

        status = parse_arguments(&w, argc, argv);
        if (status < 0)
                status = run(&w, argv + optind);
        strv_free(w.set);
        return status;
}
