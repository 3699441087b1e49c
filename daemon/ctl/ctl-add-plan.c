/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/strv.h"
#include "core/template.h"
#include "ctl/ctl-add.h"
#include "ctl/ctl-bot-file.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"

/* ---- what would be written ---- */

static int replace_text(AdoptFile *f, char *text)
{
        free(f->after);
        f->after = text;
        return text ? 0 : -ENOMEM;
}

static CtlExit add_seat(Addition *a)
{
        _cleanup_free_ char *line = NULL;
        char *text;
        int r;

        if (asprintf(&line, "InitialSeat=%s", seat_to_string(a->seat)) < 0) {
                line = NULL;
                return ctl_oom();
        }
        r = bot_file_add(a->bot_file.after, line, &text);
        if (r < 0)
                return r == -ENOMEM ? ctl_oom() : adopt_file_changed(&a->bot_file);
        (void) replace_text(&a->bot_file, text);
        return CTL_OK;
}

/* The file without its workers, which come with their adoptions. */
static CtlExit plan_bot_file(Addition *a)
{
        AdoptFile *f = &a->bot_file;
        int r;

        if (asprintf(&f->path, BOTS_DIRECTORY "/%s.conf", a->name) < 0) {
                f->path = NULL;
                return ctl_oom();
        }
        f->mode = 0644;
        r = adopt_file_read(f);
        if (r < 0 || (f->before && !a->present))
                return ctl_error(CTL_FAILED,
                                 "%s is there and declares no bot (%s): take it away, or complete it as in "
                                 "tgswitch-bot(5), and give the same command again. Nothing was changed.",
                                 f->path, r < 0 ? strerror(-r) : "it has no [Bot]");
        if (replace_text(f, strdup(f->before ?: "# By 'tgswitchctl add'. All keys are in tgswitch-bot(5).\n[Bot]\n")) <
            0)
                return ctl_oom();
        return a->present && a->present->initial_seat != SEAT_UNDECLARED ? CTL_OK : add_seat(a);
}

/* The configuration as it would be with the file's text, so that a unit is looked at as `adopt` would later. */
static int config_with(Addition *a, const char *text, Config **ret)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        ConfigText *t = NULL, *grown;
        char *bytes = strdup(text);

        assert(a->bot_file.path);
        if (!bytes)
                return -ENOMEM;
        for (size_t i = 0; i < a->texts.n && !t; i++)
                if (streq_ptr(a->texts.items[i].bot, a->name))
                        t = a->texts.items + i;
        if (!t) {
                grown = reallocarray(a->texts.items, a->texts.n + 1, sizeof(ConfigText));
                if (!grown) {
                        free(bytes);
                        return -ENOMEM;
                }
                a->texts.items = grown;
                t = grown + a->texts.n++;
                *t = (ConfigText){ .path = strdup(a->bot_file.path), .bot = strdup(a->name) };
                if (asprintf(&t->name, CONFIG_BOTS "/%s" CONFIG_SUFFIX, a->name) < 0)
                        t->name = NULL;
        }
        free(t->bytes);
        t->bytes = bytes;
        t->size = strlen(bytes);
        return t->path && t->bot && t->name ? config_from_texts(&a->texts, ret, &problems) : -ENOMEM;
}

/* Who reads its token from the environment now is to find it there, unless somebody says otherwise. */
static bool wants_exec(const Ctl *c, const Adoption *adoption)
{
        if (c->exec || c->environment || adoption->mark.bot)
                return c->exec;
        for (size_t i = 0; i < adoption->unit.variables.n; i++)
                if (adoption->unit.variables.items[i].words & TEMPLATE_TOKEN)
                        return true;
        return false;
}

/* As `adopt UNIT --bot=NAME`, on what the bot's file will be by then. */
static CtlExit plan_unit(const Ctl *c, Addition *a, char *unit)
{
        Adoption *adoption = a->adoptions + a->n_adoptions;
        Ctl one = *c;
        CtlExit status;
        int r;

        a->n_adoptions++;
        one.arguments = (char *[]){ unit, NULL };
        one.bot = a->name;
        one.undo = one.force = false;
        r = config_with(a, a->bot_file.after, &adoption->config);
        /* A bot's file makes no configuration unusable, whatever is in it. */
        assert(r >= 0 || r == -ENOMEM);
        if (r < 0)
                return ctl_oom();
        adoption->bot_text = a->bot_file.after;
        if ((status = adoption_begin(&one, adoption)) != CTL_OK)
                return status;
        one.exec = wants_exec(&one, adoption);
        if ((status = adoption_plan(&one, adoption)) != CTL_OK)
                return status;
        (void) replace_text(&a->bot_file, TAKE_PTR(adoption->bot_file.after));
        adoption->bot_text = NULL;
        adopt_file_done(&adoption->bot_file);
        return CTL_OK;
}

CtlExit addition_plan(Ctl *c, Addition *a)
{
        CtlExit status = plan_bot_file(a);

        if (status != CTL_OK)
                return status;
        a->adoptions = calloc(strv_length(a->units) + 1, sizeof(Adoption));
        if (!a->adoptions)
                return ctl_oom();
        STRV_FOREACH(u, a->units) {
                status = plan_unit(c, a, *u);
                if (status != CTL_OK)
                        return ctl_error(status, "Nothing was changed.");
        }
        return CTL_OK;
}

bool addition_changes(const Addition *a)
{
        bool changes = !a->stored || adopt_file_changes(&a->bot_file);

        for (size_t i = 0; i < a->n_adoptions; i++)
                changes |= adopt_file_changes(&a->adoptions[i].drop_in);
        return changes;
}

/* ---- showing it ---- */

static CtlExit print_json(const Ctl *c, const Addition *a, const char *token_file)
{
        CtlExit status = CTL_OK;
        json_object *adoptions = json_object_new_array(), *candidates = json_object_new_array();

        ctl_json_add(a->json, "id", json_object_new_int64(bot_token_id(a->token)));
        ctl_json_add(a->json, "seat", json_text(seat_to_string(a->seat)));
        ctl_json_add(a->json, "changes", json_object_new_boolean(addition_changes(a)));
        ctl_json_add(a->json, "form", json_text(token_form_to_string(a->form)));
        ctl_json_add(a->json, "token_file", json_text(token_file));
        ctl_json_add(a->json, "bot_file", adopt_file_json(&a->bot_file));
        for (size_t i = 0; status == CTL_OK && i < a->n_adoptions; i++) {
                json_object *o = json_object_new_object();

                status = adoption_print(c, a->adoptions + i, o);
                if (json_object_array_add(adoptions, o) < 0)
                        abort();
        }
        ctl_json_add(a->json, "adoptions", adoptions);
        for (size_t i = 0; i < a->candidates.n; i++) {
                const Candidate *candidate = a->candidates.items + i;
                json_object *o = json_object_new_object();

                ctl_json_add(o, "unit", json_text(candidate->unit));
                ctl_json_add(o, "rank", json_text(candidate_rank_to_string(candidate->rank)));
                ctl_json_add(o, "why", json_text(candidate->why));
                if (json_object_array_add(candidates, o) < 0)
                        abort();
        }
        ctl_json_add(a->json, "candidates", candidates);
        return status;
}

CtlExit addition_print(const Ctl *c, const Addition *a)
{
        _cleanup_free_ char *token_file = token_path(a->form, a->name);
        CtlExit status;

        if (!token_file)
                return ctl_oom();
        if (a->json)
                return print_json(c, a, token_file);
        printf("%s is bot %" PRIi64 ", at %s. %s\n", a->name, bot_token_id(a->token),
               show_place(seat_to_string(a->seat)),
               addition_changes(a) ? "This is what will be written:" : "It is set up already.");
        if (!a->stored) {
                (void) print_styled(stdout, c->colour, STYLE_BOLD, token_file);
                printf("%s: the token, %s\n", a->store.form == TOKEN_NONE ? ", a new file" : "",
                       a->form == TOKEN_ENCRYPTED ? "encrypted for this host" : "as it is, for root alone");
        }
        status = adopt_file_print(c, &a->bot_file);
        for (size_t i = 0; status == CTL_OK && i < a->n_adoptions; i++)
                if (adopt_file_changes(&a->adoptions[i].drop_in))
                        status = adoption_print(c, a->adoptions + i, NULL);
        return status;
}
