/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

#include "base/strv.h"
#include "ctl/ctl-options.h"

#define FIELD(name) offsetof(Ctl, name)

/* In the order in which the help shows them. */
const CtlOptionRow ctl_options[CTL_OPTION_MAX] = {
        [CTL_OPTION_JSON] = { "json", .field = FIELD(json), .help = "JSON instead of text, with \"schema\":1" },
        [CTL_OPTION_ALL] = { "all", .field = FIELD(all), .help = "Every bot that has a seat and is not there yet" },
        [CTL_OPTION_YES] = { "yes", 'y', .field = FIELD(yes), .help = "Do not show what would be done, do not ask" },
        [CTL_OPTION_WAIT] = { "wait", .field = FIELD(no_wait), .off = true,
                              .help = "Follow the jobs to their end (the default)" },
        [CTL_OPTION_NO_WAIT] = { "no-wait", .field = FIELD(no_wait), .help = "Return at once" },
        [CTL_OPTION_WHEN_ALLOWED] = { "when-allowed", .field = FIELD(when_allowed),
                                      .help = "Wait until the server takes the bot, instead of failing" },
        [CTL_OPTION_AUTOMATIC] = { "automatic", .field = FIELD(automatic),
                                   .help = "Nobody's word, so bots on hold are left out" },
        [CTL_OPTION_REASON] = { "reason", .value = "TEXT", .field = FIELD(reason),
                                .help = "Kept with the job or the hold" },
        [CTL_OPTION_ON_UNDRAINED] = { "on-undrained", .value = "WHAT", .field = FIELD(on_undrained),
                                      .help = "fail, spool or wait, instead of what is configured" },
        [CTL_OPTION_HOLD_AT] = { "hold-at", .value = "PHASE", .field = FIELD(hold_at),
                                 .help = "Wait for 'proceed' before stop-workers or log-out" },
        [CTL_OPTION_FOR] = { "for", .value = "SPAN", .field = FIELD(hold_for), .help = "So long, like 24h" },
        [CTL_OPTION_UNTIL] = { "until", .value = "TIME", .field = FIELD(hold_until),
                               .help = "Until then, like 18:30 or \"2030-12-24 18:30\"" },
        [CTL_OPTION_LIMIT] = { "limit", .value = "N", .field = FIELD(limit), .help = "So many, the newest (100)" },
        [CTL_OPTION_SINCE] = { "since", .value = "TIME", .field = FIELD(since),
                               .help = "Since then, like 18:30, \"2030-12-24 18:30\" or 24h" },
        [CTL_OPTION_CLEAR] = { "clear", .field = FIELD(clear), .help = "Drop the updates" },
        [CTL_OPTION_OUTPUT] = { "output", .value = "FILE", .field = FIELD(output), .help = "Write there" },
        [CTL_OPTION_STRICT] = { "strict", .field = FIELD(strict), .help = "Fail where the configuration has errors" },
        [CTL_OPTION_BOT] = { "bot", .value = "NAME", .field = FIELD(bot), .help = "Whose program it is" },
        [CTL_OPTION_TOKEN_FILE] = { "token-file", .value = "FILE", .field = FIELD(token_file),
                                    .help = "Read the token there; '-' is standard input" },
        [CTL_OPTION_INITIAL_SEAT] = { "initial-seat", .value = "SEAT", .field = FIELD(initial_seat),
                                      .help = "Where the bot is logged in now: cloud or local" },
        [CTL_OPTION_WORKER] = { "worker", .value = "UNIT", .list = true, .field = FIELD(workers),
                                .help = "A service that runs the bot; once for each, or 'none'" },
        [CTL_OPTION_ENVIRONMENT] = { "environment", .field = FIELD(environment),
                                     .help = "It reads its token from the environment" },
        [CTL_OPTION_EXEC] = { "exec", .field = FIELD(exec), .help = "The same, by tgswitch-exec(1)" },
        [CTL_OPTION_PENDING_UPDATES] = { "pending-updates", .field = FIELD(pending_updates),
                                         .help = "It handles what is in bot-pending-updates" },
        [CTL_OPTION_UNDO] = { "undo", .field = FIELD(undo), .help = "Take back what it wrote" },
        [CTL_OPTION_FORCE] = { "force", .field = FIELD(force), .help = "Also where there is a reason not to" },
        [CTL_OPTION_RESTART] = { "restart", .field = FIELD(restart), .help = "Restart what runs" },
        [CTL_OPTION_ENCRYPT] = { "encrypt", .field = FIELD(encrypt),
                                 .help = "Store the token encrypted for this host" },
        [CTL_OPTION_PLAIN] = { "plain", .field = FIELD(plain), .help = "Store the token as it is" },
        [CTL_OPTION_WEBHOOK] = { "webhook", .field = FIELD(webhook),
                                 .help = "Set the webhook again that is on record" },
        [CTL_OPTION_QUIET] = { "quiet", 'q', .field = FIELD(quiet), .help = "Print nothing" },
        [CTL_OPTION_NO_ASK_PASSWORD] = { "no-ask-password", .field = FIELD(no_ask_password),
                                         .help = "Do not ask for a password" },
        [CTL_OPTION_HOST] = { "host", 'H', .value = "[USER@]HOST", .field = FIELD(host),
                              .help = "Ask the tgswitchd of another host, by ssh" },
        [CTL_OPTION_HELP] = { "help", 'h', .field = FIELD(help), .help = "This text, or that of a verb" },
        [CTL_OPTION_VERSION] = { "version", .field = FIELD(version), .help = "The version" },
};

/* What getopt_long() needs, made of the table. It gives back the number in the table, beyond the letters. */
enum { FIRST_NUMBER = 256 };

static void make_getopt(struct option options[static CTL_OPTION_MAX + 1], char letters[static 2 * CTL_OPTION_MAX + 1])
{
        for (size_t i = 0; i < CTL_OPTION_MAX; i++) {
                const CtlOptionRow *row = ctl_options + i;

                options[i] = (struct option){ row->name, row->value ? required_argument : no_argument, NULL,
                                              FIRST_NUMBER + (int) i };
                if (!row->letter)
                        continue;
                *letters++ = row->letter;
                if (row->value)
                        *letters++ = ':';
        }
        options[CTL_OPTION_MAX] = (struct option){ 0 };
        *letters = '\0';
}

static CtlOption which_option(int found)
{
        size_t i = 0;

        while (i < CTL_OPTION_MAX && found != FIRST_NUMBER + (int) i && found != ctl_options[i].letter)
                i++;
        assert(i < CTL_OPTION_MAX); /* getopt_long() gives what it was given */
        return (CtlOption) i;
}

static void take(Ctl *c, const CtlOptionRow *row, const char *value)
{
        void *field = (char *) c + row->field;

        if (row->list && strv_extend((char ***) field, value) < 0)
                abort();
        if (row->list)
                return;
        if (row->value)
                *(const char **) field = value;
        else
                *(bool *) field = !row->off;
}

int ctl_options_parse(Ctl *c, int argc, char *argv[], uint64_t *ret_given)
{
        struct option options[CTL_OPTION_MAX + 1];
        char letters[2 * CTL_OPTION_MAX + 1];
        uint64_t given = 0;
        int found;

        make_getopt(options, letters);
        while ((found = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
                CtlOption option;

                if (found == '?')
                        return -EINVAL;
                option = which_option(found);
                take(c, ctl_options + option, optarg);
                given |= UINT64_C(1) << option;
        }
        c->arguments = argv + optind;
        *ret_given = given;
        return 0;
}

void ctl_option_print(CtlOption option, const char *verb)
{
        const CtlOptionRow *row = ctl_options + option;
        char letter[8] = "", text[64];

        if (row->letter)
                (void) snprintf(letter, sizeof(letter), "-%c,", row->letter);
        (void) snprintf(text, sizeof(text), "--%s%s%s", row->name, row->value ? "=" : "", row->value ?: "");
        printf("  %-3s %-22s %s%s%s%s\n", letter, text, row->help, verb ? " (" : "", verb ?: "", verb ? ")" : "");
}
