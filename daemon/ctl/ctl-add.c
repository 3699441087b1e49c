/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "ctl/ctl-add.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-plan.h"
#include "ctl/ctl-seal.h"

/* A bot set up in one go. All that can be known beforehand is looked at first, shown, and asked about once. Then come
 * four steps, each of which can be taken back; a run that was killed in between is gone on with by the next one, since
 * each step finds out by itself what of it is done. */

static void addition_done(Addition *a)
{
        ctl_state_done(&a->all);
        config_texts_done(&a->texts);
        config_free(a->config);
        token_store_close(&a->store);
        a->token = bot_token_free(a->token);
        candidates_done(&a->candidates);
        strv_free(a->units);
        adopt_file_done(&a->bot_file);
        for (size_t i = 0; i < a->n_adoptions; i++)
                adoption_done(a->adoptions + i);
        free(a->adoptions);
        token_answer_done(&a->answer);
}

/* ---- steps ---- */

static CtlExit store_token(Ctl *c, Addition *a)
{
        CtlExit status = a->stored ? CTL_OK : token_store(&a->store, a->token, a->form);

        a->token_written = a->store.touched;
        return status;
}

static bool unstore_token(Ctl *c, Addition *a)
{
        int r = a->token_written ? token_put_back(&a->store) : 0;

        if (r < 0)
                (void) ctl_error(CTL_FAILED,
                                 "The token of %s cannot be taken away again (%s): remove " TOKEN_ROOT
                                 "/tokens*/.%s.* and the token beside it.",
                                 a->name, strerror(-r), a->name);
        return r >= 0;
}

static CtlExit declare(Ctl *c, Addition *a)
{
        return adopt_file_write(&a->bot_file);
}

static bool undeclare(Ctl *c, Addition *a)
{
        return adopt_file_put_back(&a->bot_file) == CTL_OK;
}

/* The one request with the token: getMe at the seat. */
static CtlExit ask_server(Ctl *c, Addition *a)
{
        if (daemon_check_token(c, a->name, false, &a->answer) < 0)
                return ctl_oom();
        if (a->answer.said == TOKEN_SAID_REFUSED)
                return ctl_error(CTL_CHECKS_FAILED,
                                 "%s: %s It was mistyped, or is dead: /mybots in a chat with BotFather shows the one "
                                 "that counts.",
                                 a->name, a->answer.explanation);
        return CTL_OK;
}

/* Whether tgswitchd goes by what the files say: a run that was killed may have written them and no more. */
static bool is_known(const Addition *a)
{
        if (!a->state || a->state->id != bot_token_id(a->token) || !isempty(a->state->last_error))
                return false;
        for (size_t i = 0; i < a->n_adoptions; i++)
                if (!adoption_is_declared(a->adoptions + i, a->state->workers))
                        return false;
        return true;
}

/* tgswitchd reads tokens when it starts, and the polkit rule is written before that. */
static CtlExit take_up(Ctl *c, Addition *a)
{
        _cleanup_(ctl_bot_done) CtlBot b = {};
        CtlExit status;
        int r;

        if (!is_known(a) || a->token_written || a->bot_file.touched || a->store.unfinished) {
                a->daemon_restarted = true;
                status = daemon_restart(c);
                if (status != CTL_OK)
                        return status;
        }
        r = ctl_bot_read(c, a->name, &b);
        if (r < 0)
                return ctl_error(CTL_FAILED, "tgswitchd does not take %s (%s): 'journalctl -u tgswitchd' says why.",
                                 a->name, strerror(-r));
        return ask_server(c, a);
}

/* The drop-ins, after the bot: a start in between would be refused. */
static CtlExit put_gates(Ctl *c, Addition *a)
{
        CtlExit status = CTL_OK;

        for (size_t i = 0; status == CTL_OK && i < a->n_adoptions; i++)
                status = adopt_file_write(&a->adoptions[i].drop_in);
        return status != CTL_OK || a->n_adoptions == 0 ? status : adopt_reload_systemd(c);
}

static bool take_gates(Ctl *c, Addition *a)
{
        bool good = true, any = false;

        for (size_t i = 0; i < a->n_adoptions; i++) {
                any |= a->adoptions[i].drop_in.touched;
                good = adopt_file_put_back(&a->adoptions[i].drop_in) == CTL_OK && good;
        }
        return !any || (adopt_reload_systemd(c) == CTL_OK && good);
}

typedef struct Step {
        CtlExit (*take)(Ctl *c, Addition *a);
        bool (*take_back)(Ctl *c, Addition *a);
} Step;

static const Step steps[] = {
        { store_token, unstore_token },
        { declare, undeclare },
        { take_up, NULL },
        { put_gates, take_gates },
};

static CtlExit take_back(Ctl *c, Addition *a, CtlExit status)
{
        bool good = true;

        for (size_t i = ELEMENTSOF(steps); i-- > 0;)
                if (steps[i].take_back)
                        good = steps[i].take_back(c, a) && good;
        if (a->daemon_restarted && (a->token_written || a->bot_file.touched))
                good = daemon_restart(c) == CTL_OK && good;
        return ctl_error(status, "%s",
                         good ? "Everything was put back as it was."
                              : "The rest was put back. Give the same command again, or 'tgswitchctl remove'.");
}

static CtlExit take_steps(Ctl *c, Addition *a)
{
        CtlExit status = CTL_OK;
        int r;

        FOREACH_ELEMENT(s, steps)
                if (status == CTL_OK)
                        status = s->take(c, a);
        if (status != CTL_OK)
                return take_back(c, a, status);
        r = token_keep(&a->store);
        return r >= 0 ? CTL_OK
                      : ctl_error(CTL_FAILED,
                                  "%s is set up, but what is left beside its token cannot be removed (%s): "
                                  "remove " TOKEN_ROOT "/tokens*/.%s.*, then give the same command again.",
                                  a->name, strerror(-r), a->name);
}

/* ---- the end ---- */

static void tell_server(const Addition *a)
{
        switch (a->answer.said) {
        case TOKEN_SAID_ACCEPTED:
                if (!a->json)
                        printf("%s: %s has accepted the token.\n", a->name, show_place(seat_to_string(a->seat)));
                break;
        default:
                (void) ctl_error(CTL_OK,
                                 "%s: whether the token is good is not known yet. %s The bot is set up all the same; "
                                 "give the same command again when the server can be reached, and it is asked.",
                                 a->name, a->answer.explanation);
        }
}

static int next_unit(const Ctl *c, const Addition *a, char ***next)
{
        int r = 0;

        if (a->n_adoptions == 0 && (!a->present || !a->present->workers)) {
                _cleanup_free_ char *line = NULL;

                if (asprintf(&line, "tgswitchctl adopt %s --bot=%s",
                             a->candidates.n > 0 ? a->candidates.items[0].unit : "UNIT", a->name) < 0) {
                        line = NULL;
                        return -ENOMEM;
                }
                return strv_extend(next, line);
        }
        for (size_t i = 0; i < a->n_adoptions; i++)
                STRV_FOREACH(u, c->restart ? NULL : a->adoptions[i].unit.running) {
                        _cleanup_free_ char *line = NULL;

                        if (asprintf(&line, "systemctl restart %s", *u) < 0) {
                                line = NULL;
                                return -ENOMEM;
                        }
                        if (r >= 0)
                                r = strv_extend(next, line);
                }
        return r;
}

/* What is to be typed next, a command each. */
static int next_commands(const Ctl *c, const Addition *a, CtlExit checks, char ***next)
{
        _cleanup_free_ char *line = NULL;
        const char *target = a->seat == SEAT_LOCAL ? "cloud" : "local";
        int r = next_unit(c, a, next);

        if (r < 0)
                return r;
        if (asprintf(&line, "tgswitchctl %s %s %s", checks == CTL_OK ? "switch" : "check", target, a->name) < 0) {
                line = NULL;
                return -ENOMEM;
        }
        return strv_extend(next, line);
}

static CtlExit tell_next(const Ctl *c, const Addition *a, CtlExit checks)
{
        _cleanup_strv_ char **next = NULL;
        json_object *array;

        if (next_commands(c, a, checks, &next) < 0)
                return ctl_oom();
        if (!a->json) {
                puts(checks == CTL_OK ? "What to do next:" : "Correct what fails, then go on with this:");
                STRV_FOREACH(n, next)
                        printf("    %s\n", *n);
                return checks;
        }
        array = json_object_new_array();
        STRV_FOREACH(n, next)
                if (json_object_array_add(array, json_text(*n)) < 0)
                        abort();
        ctl_json_add(a->json, "next", array);
        return checks;
}

static CtlExit finish(Ctl *c, Addition *a)
{
        const char *target = a->seat == SEAT_LOCAL ? "cloud" : "local", *said = token_said_to_string(a->answer.said);
        json_object *adoptions = a->json ? json_object_object_get(a->json, "adoptions") : NULL;
        CtlExit status = CTL_OK, checks;

        tell_server(a);
        if (a->json)
                ctl_json_add(a->json, "server", said ? json_text(said) : NULL);
        else
                printf("%s is set up%s.\n", a->name, a->n_adoptions == 0 ? ", as yet without a service" : "");
        for (size_t i = 0; i < a->n_adoptions; i++) {
                CtlExit one = adoption_restart(c, a->adoptions + i,
                                               adoptions ? json_object_array_get_idx(adoptions, i) : NULL);

                status = one != CTL_OK ? one : status;
        }
        if (!a->json)
                printf("These are the checks of a move to %s, which was not begun:\n", show_place(target));
        checks = plan_check_worker(c, a->name, target, NULL, a->json);
        checks = tell_next(c, a,
                           checks == CTL_OK && a->answer.said != TOKEN_SAID_ACCEPTED ? CTL_CHECKS_FAILED : checks);
        return status != CTL_OK ? status : checks;
}

/* ---- the verb ---- */

static CtlExit confirm(const Ctl *c, const Addition *a)
{
        if (c->yes || !addition_changes(a))
                return CTL_OK;
        if (!a->asks)
                return ctl_error(CTL_USAGE, "Nothing was changed: without a terminal to ask on, --yes is needed.");
        printf("Then tgswitchd is restarted, which is safe at any moment, and asks %s whether the token is good.\n",
               show_place(seat_to_string(a->seat)));
        return ctl_ask("Write this? [y/N] ") ? CTL_OK : ctl_error(CTL_FAILED, "Nothing was changed.");
}

static CtlExit run(Ctl *c, Addition *a)
{
        sigset_t before;
        CtlExit status;

        if ((status = addition_look(c, a)) != CTL_OK || (status = addition_ask(c, a)) != CTL_OK ||
            (status = addition_plan(c, a)) != CTL_OK || (status = addition_print(c, a)) != CTL_OK ||
            (status = confirm(c, a)) != CTL_OK)
                return status;
        ctl_block_signals(&before);
        status = addition_look_again(c, a);
        if (status == CTL_OK)
                status = take_steps(c, a);
        fflush(stdout);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return status == CTL_OK ? finish(c, a) : status;
}

CtlExit verb_add(Ctl *c)
{
        _cleanup_(addition_done)
                        Addition a = { .name = c->arguments[0], .store.directories = { -EBADF, -EBADF, -EBADF } };
        CtlExit status;

        if (geteuid() != 0)
                return ctl_error(CTL_DENIED, "add writes below /etc what only root may read: run it as root.");
        seal_memory();
        if (c->encrypt && c->plain)
                return ctl_error(CTL_USAGE, "Give either --encrypt or --plain, not both.");
        if (c->exec && c->environment)
                return ctl_error(CTL_USAGE, "Give either --environment or --exec, not both.");
        if (!bot_name_is_valid(a.name))
                return ctl_error(CTL_USAGE,
                                 "'%s' is no name for a bot: it has to begin with a small letter, and to have small "
                                 "letters, digits and _ alone, 32 at most.",
                                 a.name);
        a.asks = !c->yes && !c->json && c->terminal && isatty(STDIN_FILENO);
        if (c->json) {
                a.json = ctl_json_new();
                ctl_json_add(a.json, "bot", json_text(a.name));
        }
        status = run(c, &a);
        if (a.json && json_object_object_get(a.json, "id"))
                (void) ctl_print_json(a.json);
        else
                json_object_put(a.json);
        return status;
}
