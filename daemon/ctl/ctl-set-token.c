/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/strv.h"
#include "ctl/ctl-daemon.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-records.h"
#include "ctl/ctl-seal.h"
#include "ctl/ctl-token-workers.h"
#include "ctl/ctl-token.h"
#include "ctl/ctl-units.h"
#include "io/config.h"

/* A new token for a bot: stored, taken up by tgswitchd, accepted by the server, taken up by the workers, in this order.
 * What the server refuses is taken back before any worker is restarted with it. The gate stays open meanwhile: a worker
 * that starts by itself between the two restarts of tgswitchd gets the refused one, and the old one at its next start.
 */

#define BOTS_DIRECTORY TOKEN_ROOT "/bots.d"

typedef struct Rotation {
        const char *bot;
        BotToken *token;
        TokenStore store;
        TokenForm form; /* that it is stored in */
        CtlState all;
        const CtlBot *state; /* in `all`; NULL: tgswitchd does not run, or does not know the bot yet */
        char **workers;      /* names and patterns, as ctl-token-workers.h has them */
        bool configured;     /* the bot has a file that can be used */
        bool running;        /* tgswitchd */
        bool same;           /* the token that is there already: only its form changes */
        TokenAnswer answer;  /* of the server */
        json_object *json;
} Rotation;

static void rotation_done(Rotation *o)
{
        o->token = bot_token_free(o->token);
        token_store_close(&o->store);
        ctl_state_done(&o->all);
        strv_free(o->workers);
        token_answer_done(&o->answer);
}

/* ---- before anything is changed ---- */

static CtlExit look(Ctl *c, Rotation *o)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *file = NULL;
        CtlExit status;
        int r;

        if ((status = ctl_connect(c)) != CTL_OK)
                return status;
        /* Not started for it: it may be stopped because its tokens are not there yet. */
        r = daemon_runs(c, &o->running);
        if (r >= 0 && o->running)
                r = ctl_state_read(c, &o->all, &error);
        if (r < 0)
                return ctl_call_failed(NULL, r, &error);
        r = token_workers_load(o->bot, &o->workers);
        if (r < 0)
                return ctl_oom();
        o->configured = r > 0;
        o->state = ctl_state_bot(&o->all, o->bot);
        if (o->state)
                return CTL_OK;
        if (asprintf(&file, BOTS_DIRECTORY "/%s.conf", o->bot) < 0) {
                file = NULL;
                return ctl_oom();
        }
        if (access(file, F_OK) < 0)
                return ctl_error(
                                CTL_NOT_FOUND,
                                "No bot is called '%s': look for the right name with 'tgswitchctl list', or set up a new "
                                "one with 'tgswitchctl add %s'. Nothing was changed.",
                                o->bot, o->bot);
        return CTL_OK;
}

static CtlExit no_record(const Rotation *o, int error)
{
        return ctl_error(CTL_FAILED,
                         "The record of %s cannot be read (%s): look at " STATE_DIRECTORY "/bots. Nothing was changed.",
                         o->bot, strerror(-error));
}

static CtlExit judge(const Rotation *o)
{
        int64_t id = bot_token_id(o->token), known = o->state ? o->state->id : 0;
        int r = known == 0 ? records_bot_id(STATE_DIRECTORY, o->bot, &known) : 0;

        if (r < 0)
                return no_record(o, r);
        if (known == 0 && o->store.token)
                known = bot_token_id(o->store.token);
        if (known != 0 && known != id)
                return ctl_error(CTL_CHECKS_FAILED,
                                 "This is the token of bot %" PRIi64 ", but %s is bot %" PRIi64
                                 ": ask BotFather for the "
                                 "token of that one, or give the other bot a name of its own. Nothing was changed.",
                                 id, o->bot, known);
        for (size_t i = 0; i < o->all.n_bots; i++)
                if (o->all.bots[i].id == id && !streq(o->all.bots[i].name, o->bot))
                        return ctl_error(CTL_CHECKS_FAILED,
                                         "This is the token of bot %" PRIi64
                                         ", which is called %s here: one bot has one "
                                         "name. Nothing was changed.",
                                         id, o->all.bots[i].name);
        return CTL_OK;
}

/* A logOut without an answer is repeated, and 401 means then that the first one was applied: a token that is mistyped
 * would say so of a bot that is still logged in. Where there is no token nothing is repeated, and one is needed. */
static CtlExit judge_phase(const Ctl *c, const Rotation *o)
{
        int r = c->force || !o->store.token ? 0 : records_logs_out(STATE_DIRECTORY, o->bot);

        if (r < 0)
                return no_record(o, r);
        if (r > 0)
                return ctl_error(CTL_BUSY,
                                 "%s is being logged out, and a mistyped token would look like success: wait until "
                                 "'tgswitchctl status %s' shows another phase. If the old token is dead, so that this "
                                 "does not end, look at the new one twice and add --force. Nothing was changed.",
                                 o->bot, o->bot);
        return CTL_OK;
}

/* Who has this token already, has it from a run that got to its end: from then on only --restart says that it did
 * not. */
static bool restarts_workers(const Ctl *c, const Rotation *o)
{
        return !o->same || o->store.unfinished || c->restart;
}

static CtlExit confirm(const Ctl *c, const Rotation *o)
{
        _cleanup_free_ char *workers = restarts_workers(c, o) ? strv_join(o->workers, " ") : NULL;

        /* The first one of a bot replaces nothing. */
        if (c->yes || o->store.form == TOKEN_NONE)
                return CTL_OK;
        if (c->json || !isatty(STDIN_FILENO) || !c->terminal)
                return ctl_error(CTL_USAGE, "Nothing was changed: without a terminal to ask on, --yes is needed.");
        printf("%s is bot %" PRIi64 ". Its token is stored %s%s.\n", o->bot, bot_token_id(o->token),
               o->form == TOKEN_ENCRYPTED ? "encrypted for this host" : "as it is, for root alone",
               o->same ? ", and is the one that is there already" : "");
        if (o->running)
                printf("Then tgswitchd is restarted%s%s%s.\n", isempty(workers) ? "" : ", and what runs of ",
                       workers ?: "", isempty(workers) ? "" : ", once the server has accepted the token");
        return ctl_ask("Store it? [y/N] ") ? CTL_OK : ctl_error(CTL_FAILED, "Nothing was changed.");
}

/* ---- tgswitchd ---- */

/* The old token comes back; what `why` says was the matter with the new one. */
static CtlExit take_back(Ctl *c, Rotation *o, CtlExit status, const char *why)
{
        int r = token_put_back(&o->store);

        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "%s: %s The token before it cannot be put back (%s): it is in " TOKEN_ROOT
                                 "/tokens*/.%s.previous.",
                                 o->bot, why, strerror(-r), o->bot);
        (void) ctl_error(status, "%s: %s %s, and no worker was restarted.", o->bot, why,
                         o->store.form == TOKEN_NONE ? "It was removed again"
                                                     : "The token before it is back in its place");
        return daemon_restart(c) == CTL_OK ? status : CTL_FAILED;
}

static void tell_webhook(const Rotation *o)
{
        const char *why = o->answer.said == TOKEN_SAID_ACCEPTED ? o->answer.explanation : "";

        if (streq_ptr(o->answer.webhook, "set"))
                printf("%s: its webhook, which went with the old token, is set again.\n", o->bot);
        else if (streq_ptr(o->answer.webhook, "gone"))
                (void) ctl_error(
                                CTL_OK,
                                "%s: the webhook that is on record went with the old token%s%s. Where its program does "
                                "not set it when it starts, give this command once more with --webhook.",
                                o->bot, isempty(why) ? "" : ". ", why);
}

static void tell(const Rotation *o)
{
        const char *why = o->answer.explanation;

        switch (o->answer.said) {
        case TOKEN_SAID_NOT_ASKED:
                (void) ctl_error(CTL_OK, "%s: no server was asked about the token. %s", o->bot, why);
                break;
        case TOKEN_SAID_UNKNOWN:
                (void) ctl_error(CTL_OK, "%s: whether the token is good is not known yet. %s", o->bot, why);
                break;
        case TOKEN_SAID_REFUSED:
                (void) ctl_error(CTL_OK, "%s: %s It is kept because of --force.", o->bot, why);
                break;
        default:
                if (!o->json)
                        printf("%s: %s has accepted the token.\n", o->bot,
                               show_place(o->state ? o->state->seat : "cloud"));
        }
        tell_webhook(o);
}

/* ---- doing ---- */

static CtlExit forget_previous(Rotation *o)
{
        int r = token_keep(&o->store);

        return r >= 0 ? CTL_OK
                      : ctl_error(CTL_FAILED,
                                  "The new token of %s is stored, but the one before it cannot be removed (%s): "
                                  "remove " TOKEN_ROOT "/tokens*/.%s.previous.",
                                  o->bot, strerror(-r), o->bot);
}

/* From the first change on until the token is taken up, or the old one is back. */
static CtlExit take_up(Ctl *c, Rotation *o)
{
        CtlExit status;

        status = token_store(&o->store, o->token, o->form);
        if (status != CTL_OK)
                return status;
        if (!o->running)
                return forget_previous(o);
        if (daemon_restart(c) != CTL_OK)
                return take_back(c, o, CTL_FAILED, "The token was not taken up.");
        if (daemon_check_token(c, o->bot, c->webhook, &o->answer) < 0)
                return take_back(c, o, ctl_oom(), "The token was not taken up.");
        if (o->answer.said == TOKEN_SAID_REFUSED && !c->force)
                return take_back(c, o, CTL_CHECKS_FAILED, o->answer.explanation);
        tell(o);
        return forget_previous(o);
}

static json_object *json_known(const char *s)
{
        return s ? json_text(s) : NULL;
}

static CtlExit finish(Ctl *c, Rotation *o)
{
        json_object *workers = NULL;

        if (o->json) {
                workers = json_object_new_array();
                ctl_json_add(o->json, "id", json_object_new_int64(bot_token_id(o->token)));
                ctl_json_add(o->json, "form", json_text(token_form_to_string(o->form)));
                ctl_json_add(o->json, "running", json_object_new_boolean(o->running));
                ctl_json_add(o->json, "server", json_known(token_said_to_string(o->answer.said)));
                ctl_json_add(o->json, "webhook", json_known(o->answer.webhook));
                ctl_json_add(o->json, "workers", workers);
        }
        if (!o->running) {
                if (!o->json)
                        printf("%s: the token is stored. tgswitchd, which does not run, takes it up when it starts.\n",
                               o->bot);
                return CTL_OK;
        }
        if (!restarts_workers(c, o))
                return CTL_OK;
        if (!o->configured)
                return ctl_error(CTL_FAILED,
                                 "The token is stored, but " BOTS_DIRECTORY
                                 "/%s.conf cannot be used to find the workers: "
                                 "restart them yourself.",
                                 o->bot);
        return token_workers_restart(c, o->bot, o->workers, workers);
}

/* Ctrl-C in between would leave a token that was not asked about, or workers with one that is dead. */
static CtlExit change(Ctl *c, Rotation *o)
{
        sigset_t before;
        CtlExit status;

        ctl_block_signals(&before);
        if ((status = take_up(c, o)) == CTL_OK)
                status = finish(c, o);
        fflush(stdout);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return status;
}

static CtlExit run(Ctl *c, Rotation *o)
{
        CtlExit status;

        if ((status = look(c, o)) != CTL_OK || (status = token_store_open(&o->store, TOKEN_ROOT, o->bot)) != CTL_OK ||
            (status = judge_phase(c, o)) != CTL_OK || (status = token_read(o->bot, NULL, &o->token)) != CTL_OK ||
            (status = judge(o)) != CTL_OK)
                return status;
        o->same = o->store.token && bot_token_equal(o->store.token, o->token);
        o->form = c->encrypt                    ? TOKEN_ENCRYPTED
                  : c->plain                    ? TOKEN_PLAIN
                  : o->store.form == TOKEN_NONE ? TOKEN_PLAIN
                                                : o->store.form;
        /* Once more: the bot may have moved on while somebody typed. */
        if ((status = confirm(c, o)) != CTL_OK || (status = judge_phase(c, o)) != CTL_OK)
                return status;
        return change(c, o);
}

CtlExit verb_set_token(Ctl *c)
{
        _cleanup_(rotation_done)
                        Rotation o = { .bot = c->arguments[0], .store.directories = { -EBADF, -EBADF, -EBADF } };
        CtlExit status;

        if (geteuid() != 0)
                return ctl_error(CTL_DENIED, "set-token writes below /etc what only root may read: run it as root.");
        seal_memory();
        if (c->encrypt && c->plain)
                return ctl_error(CTL_USAGE, "Give either --encrypt or --plain, not both.");
        if (!bot_name_is_valid(o.bot))
                return ctl_error(CTL_NOT_FOUND, "'%s' is no name of a bot; 'tgswitchctl list' shows all.", o.bot);
        if (c->json) {
                o.json = ctl_json_new();
                ctl_json_add(o.json, "bot", json_text(o.bot));
        }
        status = run(c, &o);
        if (o.json && json_object_object_get(o.json, "id"))
                (void) ctl_print_json(o.json);
        else
                json_object_put(o.json);
        return status;
}
