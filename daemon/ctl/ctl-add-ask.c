/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-add.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-records.h"
#include "ctl/ctl-units.h"

#define ANSWER_SIZE 1024
#define SEPARATORS  " ,\t\n"

/* ---- what there is ---- */

/* Its own file, or one that all depend on. Another bot's is no reason to leave this one alone. */
static CtlExit judge_config(const Addition *a, const ConfigProblems *problems, int r)
{
        for (size_t i = 0; i < problems->n; i++) {
                _cleanup_free_ char *text = NULL;

                if (r >= 0 && !streq_ptr(problems->items[i].bot, a->name))
                        continue;
                text = config_problem_describe(problems->items + i);
                return ctl_error(CTL_FAILED, "%s. Correct that first. Nothing was changed.", text ?: "no memory");
        }
        /* What cannot be used has a problem that says why. */
        assert(r >= 0);
        return CTL_OK;
}

static CtlExit read_config(Addition *a)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        CtlExit status;
        int r = config_texts_read(config_directories, &a->texts, &problems);

        if (r >= 0)
                r = config_from_texts(&a->texts, &a->config, &problems);
        if (r == -ENOMEM)
                return ctl_oom();
        status = judge_config(a, &problems, r);
        if (status != CTL_OK)
                return status;
        a->present = config_find_bot(a->config, a->name);
        if (a->present && !startswith(a->present->path, BOTS_DIRECTORY "/"))
                return ctl_error(CTL_FAILED,
                                 "%s is set up by %s, which is not the administrator's to change: 'tgswitchctl "
                                 "set-token' and 'tgswitchctl adopt' do the rest. Nothing was changed.",
                                 a->name, a->present->path);
        return CTL_OK;
}

static CtlExit judge_job(const Addition *a)
{
        if (!a->state || a->state->job_id == 0)
                return CTL_OK;
        return ctl_error(CTL_BUSY, "%s is there and on its way: 'tgswitchctl wait %u' first. Nothing was changed.",
                         a->name, a->state->job_id);
}

CtlExit addition_look(Ctl *c, Addition *a)
{
        CtlExit status;

        if ((status = ctl_begin(c, &a->all)) != CTL_OK || (status = read_config(a)) != CTL_OK ||
            (status = token_store_open(&a->store, TOKEN_ROOT, a->name)) != CTL_OK)
                return status;
        a->state = ctl_state_bot(&a->all, a->name);
        return judge_job(a);
}

CtlExit addition_look_again(Ctl *c, Addition *a)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = ctl_state_read(c, &a->all, &error);
        CtlExit status;
        Seat seat;

        a->state = r >= 0 ? ctl_state_bot(&a->all, a->name) : NULL;
        if (r < 0)
                return ctl_call_failed(a->name, r, &error);
        if ((status = judge_job(a)) != CTL_OK)
                return status;
        seat = a->state ? seat_from_string(a->state->seat ?: "") : SEAT_UNDECLARED;
        if ((seat == SEAT_CLOUD || seat == SEAT_LOCAL) && seat != a->seat)
                return ctl_error(CTL_BUSY, "%s is at %s by now: give the same command again. Nothing was changed.",
                                 a->name, show_place(seat_to_string(seat)));
        return CTL_OK;
}

/* ---- the token ---- */

static CtlExit judge_token(const Addition *a)
{
        int64_t id = bot_token_id(a->token), known = a->state ? a->state->id : 0;
        int r;

        for (size_t i = 0; i < a->all.n_bots; i++) {
                if (a->all.bots[i].id != id || streq(a->all.bots[i].name, a->name))
                        continue;
                if (!config_find_bot(a->config, a->all.bots[i].name))
                        return ctl_error(CTL_CHECKS_FAILED,
                                         "This is the token of bot %" PRIi64
                                         ", which was called %s here, and tgswitchd still has its record, half an hour "
                                         "at most: add it under that name, or later. Nothing was changed.",
                                         id, a->all.bots[i].name);
                return ctl_error(CTL_CHECKS_FAILED,
                                 "This is the token of bot %" PRIi64
                                 ", which is here already and called %s: one bot has one name. For a new token "
                                 "of it there is 'tgswitchctl set-token %s'. Nothing was changed.",
                                 id, a->all.bots[i].name, a->all.bots[i].name);
        }
        r = known == 0 ? records_bot_id(STATE_DIRECTORY, a->name, &known) : 0;
        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "The record of %s cannot be read (%s): look at " STATE_DIRECTORY
                                 "/bots. Nothing was changed.",
                                 a->name, strerror(-r));
        if (known == 0 && a->store.token)
                known = bot_token_id(a->store.token);
        if (known == 0 || known == id)
                return CTL_OK;
        if (!a->present && a->store.form == TOKEN_NONE)
                return ctl_error(CTL_CHECKS_FAILED,
                                 "The name %s was that of bot %" PRIi64
                                 ", and tgswitchd still has its record, half an hour at most: give another name, or "
                                 "add this one later. Nothing was changed.",
                                 a->name, known);
        return ctl_error(CTL_CHECKS_FAILED,
                         "The name %s is taken: it is bot %" PRIi64 ", and this is the token of bot %" PRIi64
                         ". Give another name, or take that bot away with 'tgswitchctl remove %s'. Nothing was "
                         "changed.",
                         a->name, known, id, a->name);
}

/* A bot that is complete gets its new token elsewhere, where the old one comes back if it is wrong. */
static CtlExit judge_replacement(const Addition *a)
{
        if (!a->present || !a->store.token || bot_token_equal(a->store.token, a->token))
                return CTL_OK;
        return ctl_error(CTL_CHECKS_FAILED,
                         "%s is set up, with another token: 'tgswitchctl set-token %s' puts the new one in its place. "
                         "Nothing was changed.",
                         a->name, a->name);
}

static TokenForm choose_form(const Ctl *c, const Addition *a)
{
        if (c->encrypt || c->plain)
                return c->encrypt ? TOKEN_ENCRYPTED : TOKEN_PLAIN;
        return a->store.form != TOKEN_NONE ? a->store.form : token_form_best(a->name);
}

static CtlExit ask_token(Ctl *c, Addition *a)
{
        CtlExit status;
        int r = 0;

        /* Somebody who was interrupted need not look for it again. */
        if (!c->token_file && a->store.token && isatty(STDIN_FILENO)) {
                r = bot_token_new(&a->token, bot_token_reveal(a->store.token),
                                  strlen(bot_token_reveal(a->store.token)));
                if (r < 0)
                        return ctl_oom();
                if (!a->json)
                        printf("%s has a token already: it is used as it is.\n", a->name);
        } else if ((status = token_read(a->name, c->token_file, &a->token)) != CTL_OK) {
                return status;
        }
        if ((status = judge_token(a)) != CTL_OK || (status = judge_replacement(a)) != CTL_OK)
                return status;
        a->form = choose_form(c, a);
        a->stored = a->store.token && a->store.form == a->form && bot_token_equal(a->store.token, a->token);
        return CTL_OK;
}

/* ---- the seat ---- */

/* One line; false where there is none. Blanks at its end are taken off. */
static bool read_answer(char answer[static ANSWER_SIZE])
{
        size_t n;

        fflush(stdout);
        if (!fgets(answer, ANSWER_SIZE, stdin))
                return false;
        for (n = strlen(answer); n > 0 && isspace((unsigned char) answer[n - 1]); n--)
                answer[n - 1] = '\0';
        return true;
}

static CtlExit no_answer(void)
{
        putchar('\n');
        return ctl_error(CTL_FAILED, "Nothing was changed.");
}

/* What tgswitchd knows, or what its file says, which tgswitchd believes; else nothing. */
static Seat known_seat(const Addition *a)
{
        Seat seat = a->state ? seat_from_string(a->state->seat ?: "") : SEAT_UNDECLARED;

        if (seat == SEAT_CLOUD || seat == SEAT_LOCAL)
                return seat;
        return a->present ? a->present->initial_seat : SEAT_UNDECLARED;
}

static CtlExit ask_seat_on_terminal(Addition *a)
{
        char answer[ANSWER_SIZE];

        puts("\nWhere is the bot logged in now? At the cloud, unless somebody has called logOut for it and its\n"
             "program speaks to a Bot API server on this host, at an address like http://127.0.0.1:8081. Don't try\n"
             "it out: each request logs the bot in where it is sent.");
        for (size_t i = 0; i < a->candidates.n; i++)
                if (a->candidates.items[i].local_root && a->candidates.items[i].rank >= CANDIDATE_ID)
                        printf("%s has the address of the local server in its settings.\n",
                               a->candidates.items[i].unit);
        for (;;) {
                printf("cloud or local? [cloud] ");
                if (!read_answer(answer))
                        return no_answer();
                a->seat = isempty(answer) ? SEAT_CLOUD : seat_from_string(answer);
                if (a->seat == SEAT_CLOUD || a->seat == SEAT_LOCAL)
                        return CTL_OK;
        }
}

static CtlExit ask_seat(Ctl *c, Addition *a)
{
        Seat known = known_seat(a), given = c->initial_seat ? seat_from_string(c->initial_seat) : SEAT_UNDECLARED;

        if (c->initial_seat && given != SEAT_CLOUD && given != SEAT_LOCAL)
                return ctl_error(CTL_USAGE, "A bot is logged in at 'cloud' or 'local'; '%s' is no such place.",
                                 c->initial_seat);
        if (known != SEAT_UNDECLARED && given != SEAT_UNDECLARED && known != given)
                return ctl_error(CTL_CHECKS_FAILED,
                                 "%s is at %s, as %s: where that is wrong, 'tgswitchctl set-seat %s %s' corrects it. "
                                 "Nothing was changed.",
                                 a->name, show_place(seat_to_string(known)),
                                 a->state ? "tgswitchd has it on record" : "its file says", a->name,
                                 seat_to_string(given));
        a->seat = known != SEAT_UNDECLARED ? known : given;
        if (a->seat != SEAT_UNDECLARED)
                return CTL_OK;
        if (a->asks)
                return ask_seat_on_terminal(a);
        a->seat = SEAT_CLOUD;
        return CTL_OK;
}

/* ---- the units ---- */

static int add_unit(Addition *a, const char *name)
{
        bool wrong;
        _cleanup_free_ char *unit = adopt_unit_name(name, &wrong);

        if (!unit)
                return wrong ? -EINVAL : -ENOMEM;
        return strv_extend_unique(&a->units, unit);
}

static CtlExit add_named(Addition *a, const char *name)
{
        int r = add_unit(a, name);

        return r >= 0         ? CTL_OK
               : r == -EINVAL ? ctl_error(CTL_USAGE,
                                          "'%s' is no name of a unit, like shop.service. Nothing was changed.", name)
                              : ctl_oom();
}

/* Those of its file, which an interrupted run may not have come to. A pattern is nothing that could be adopted. */
static CtlExit add_present(Addition *a)
{
        CtlExit status = CTL_OK;

        STRV_FOREACH(w, a->present ? a->present->workers : NULL)
                if (status == CTL_OK && unit_name_is_valid(*w))
                        status = add_named(a, *w);
        return status;
}

static size_t n_likely(const Addition *a)
{
        size_t n = 0;

        while (n < a->candidates.n && a->candidates.items[n].rank >= CANDIDATE_ID)
                n++;
        return n;
}

static void print_candidates(const Ctl *c, const Addition *a)
{
        _cleanup_(table_freep) Table *t = NULL;

        if (a->candidates.n == 0) {
                puts("\nNo service of this host has this token, its number or the name of a framework in its files.\n"
                     "Where one runs the bot, give its name. Where none does as yet, write a unit for its program, as\n"
                     "in tgswitch-workers(7), and adopt that later: the bot is not moved before.");
                return;
        }
        puts("\nThese services may run the bot:");
        if (table_new(&t, 3) < 0)
                return;
        for (size_t i = 0; i < a->candidates.n; i++) {
                const Candidate *candidate = a->candidates.items + i;

                if (table_addf(t, STYLE_PLAIN, "%zu", i + 1) < 0 || table_add(t, STYLE_BOLD, candidate->unit) < 0 ||
                    table_add(t, STYLE_PLAIN, candidate->why) < 0)
                        return;
        }
        table_print(t, stdout, c->colour, 4);
}

/* A number of the list, or a name. */
static int add_answer(Addition *a, const char *word)
{
        char *end;
        unsigned long number = strtoul(word, &end, 10);

        if (*end)
                return add_unit(a, word);
        return number >= 1 && number <= a->candidates.n ? add_unit(a, a->candidates.items[number - 1].unit) : -EINVAL;
}

/* Whether all of it was understood; else the question comes once more. */
static bool add_answers(Addition *a, char *answer)
{
        char *save = NULL;

        for (char *word = strtok_r(answer, SEPARATORS, &save); word; word = strtok_r(NULL, SEPARATORS, &save))
                if (add_answer(a, word) < 0) {
                        printf("'%s' is neither a number of the list nor the name of a unit.\n", word);
                        a->units = strv_free(a->units);
                        return false;
                }
        return true;
}

static CtlExit ask_units_on_terminal(const Ctl *c, Addition *a)
{
        size_t n = n_likely(a);
        char answer[ANSWER_SIZE];

        print_candidates(c, a);
        for (;;) {
                printf("Which of them, by number or name? [");
                for (size_t i = 0; i < n; i++)
                        printf("%s%zu", i > 0 ? " " : "", i + 1);
                printf("%s] ", n > 0 ? ", or none" : "none");
                if (!read_answer(answer))
                        return no_answer();
                if (streq(answer, "none"))
                        return CTL_OK;
                for (size_t i = 0; isempty(answer) && i < n; i++)
                        if (add_unit(a, a->candidates.items[i].unit) < 0)
                                return ctl_oom();
                if (add_answers(a, answer))
                        return CTL_OK;
        }
}

static CtlExit ask_units(Ctl *c, Addition *a)
{
        CtlExit status = add_present(a);

        STRV_FOREACH(w, c->workers)
                if (status == CTL_OK && !streq(*w, "none"))
                        status = add_named(a, *w);
        if (status != CTL_OK || c->workers || a->present || !a->asks)
                return status;
        return ask_units_on_terminal(c, a);
}

CtlExit addition_ask(Ctl *c, Addition *a)
{
        CtlExit status = ask_token(c, a);
        int r = 0;

        if (status != CTL_OK)
                return status;
        if (!c->workers && !a->present)
                r = candidates_find(c, a->config, a->name, a->token, &a->candidates);
        if (r < 0)
                return r == -ENOMEM ? ctl_oom()
                                    : ctl_error(CTL_FAILED,
                                                "systemd does not tell which services there are (%s): name them with "
                                                "--worker=. Nothing was changed.",
                                                strerror(-r));
        if ((status = ask_seat(c, a)) != CTL_OK)
                return status;
        return ask_units(c, a);
}
