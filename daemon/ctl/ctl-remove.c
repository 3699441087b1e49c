/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-adopt.h"
#include "ctl/ctl-clock.h"
#include "ctl/ctl-daemon.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-seal.h"
#include "ctl/ctl-token.h"

/* What `add` has made is taken away again: the drop-ins, the bot's file, its token. tgswitchd forgets the bot by itself
 * as soon as nothing depends on its record any more, and not before: a window is not lost with a file. */

#define BOTS_DIRECTORY TOKEN_ROOT "/bots.d"
#define UNCHANGED      " Nothing was changed."

typedef struct Removal {
        const char *name;
        CtlState all, after; /* before and after the token is gone */
        const CtlBot *state; /* in `all`; NULL: tgswitchd does not know the bot */
        Config *config;
        const BotConfig *present; /* in `config`; NULL: it has no file */
        AdoptFile bot_file;
        TokenStore store;
        Adoption *adoptions; /* those of its units that `adopt` has written for */
        size_t n_adoptions;
        char **others;                        /* units whose drop-in somebody else wrote, or that have none */
        char **losses;                        /* a sentence for what is lost */
        bool token_removed, daemon_restarted; /* by this run */
        json_object *json;
} Removal;

static void removal_done(Removal *o)
{
        ctl_state_done(&o->all);
        ctl_state_done(&o->after);
        config_free(o->config);
        adopt_file_done(&o->bot_file);
        token_store_close(&o->store);
        for (size_t i = 0; i < o->n_adoptions; i++)
                adoption_done(o->adoptions + i);
        free(o->adoptions);
        strv_free(o->others);
        strv_free(o->losses);
}

/* ---- what there is ---- */

static CtlExit read_files(Removal *o)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        int r = config_load(config_directories, &o->config, &problems);

        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "The configuration cannot be used: 'tgswitchctl authorize' says why. Correct that "
                                 "first. Nothing was changed.");
        o->present = config_find_bot(o->config, o->name);
        if (o->present && !startswith(o->present->path, BOTS_DIRECTORY "/"))
                return ctl_error(CTL_FAILED,
                                 "%s is set up by %s, which is not the administrator's to change: an empty "
                                 "file in " BOTS_DIRECTORY " of the same name has it ignored. Nothing was changed.",
                                 o->name, o->present->path);
        if (asprintf(&o->bot_file.path, BOTS_DIRECTORY "/%s.conf", o->name) < 0) {
                o->bot_file.path = NULL;
                return ctl_oom();
        }
        o->bot_file.mode = 0644;
        r = adopt_file_read(&o->bot_file);
        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "%s cannot be read (%s): only a regular file can be taken away. Nothing was changed.",
                                 o->bot_file.path, strerror(-r));
        return token_store_open(&o->store, TOKEN_ROOT, o->name);
}

static CtlExit look(Ctl *c, Removal *o)
{
        CtlExit status;

        if ((status = ctl_begin(c, &o->all)) != CTL_OK || (status = read_files(o)) != CTL_OK)
                return status;
        o->state = ctl_state_bot(&o->all, o->name);
        if (!o->state && !o->bot_file.before && o->store.form == TOKEN_NONE && !o->store.unfinished)
                return ctl_error(CTL_NOT_FOUND, "No bot is called '%s'; 'tgswitchctl list' shows all.", o->name);
        return CTL_OK;
}

/* ---- what stands against it ---- */

/* No word of anybody's makes this right: the bot needs its token to arrive. */
static CtlExit judge_phase(const CtlBot *b, const char *then)
{
        if (!b)
                return CTL_OK;
        if (b->job_id > 0)
                return ctl_error(CTL_BUSY,
                                 "%s is on its way and needs its token to arrive: 'tgswitchctl wait %u' first, or "
                                 "'tgswitchctl cancel %u'.%s",
                                 b->name, b->job_id, b->job_id, then);
        if (streq_ptr(b->seat, "none") || streq_ptr(b->seat, "unknown"))
                return ctl_error(CTL_BUSY, "It is not known where %s is logged in: 'tgswitchctl status %s' says why.%s",
                                 b->name, b->name, then);
        return CTL_OK;
}

static int collect_losses(Removal *o)
{
        static const char *const seats[] = { "cloud", "local" };
        usec_t now_usec = ctl_now_usec();
        const CtlBot *b = o->state;
        char window[SHOW_SIZE];
        int r = 0;

        if (!b)
                return 0;
        if (b->spooled > 0)
                r = strv_extendf(&o->losses,
                                 "%" PRIu64
                                 " updates are kept for its workers, and would be dropped: 'tgswitchctl spool %s' "
                                 "shows them, the start of a worker hands them over.",
                                 b->spooled, o->name);
        if (r >= 0 && b->stale_session)
                r = strv_extendf(
                                &o->losses,
                                "The local server still holds a session of it, which nobody could end without the token: "
                                "start that server, and it is ended.");
        FOREACH_ELEMENT(seat, seats) {
                usec_t allowed_usec = ctl_bot_allowed_usec(b, *seat);

                if (r >= 0 && allowed_usec > now_usec)
                        r = strv_extendf(
                                        &o->losses,
                                        "%s: nothing would keep a program with the token from asking there before, which "
                                        "makes the lock longer.",
                                        show_window(window, *seat, allowed_usec, now_usec));
        }
        return r;
}

static CtlExit judge_losses(const Ctl *c, Removal *o)
{
        bool early = o->state && (ctl_bot_allowed_usec(o->state, "cloud") > ctl_now_usec() ||
                                  ctl_bot_allowed_usec(o->state, "local") > ctl_now_usec());

        if (collect_losses(o) < 0)
                return ctl_oom();
        if (!o->losses || c->force)
                return CTL_OK;
        STRV_FOREACH(l, o->losses)
                (void) ctl_error(CTL_OK, "%s: %s", o->name, *l);
        return ctl_error(early && strv_length(o->losses) == 1 ? CTL_TOO_EARLY : CTL_CHECKS_FAILED,
                         "Nothing was changed. Wait until nothing of this is so any more, or give --force.");
}

/* ---- its units ---- */

/* Also of bots whose file is gone, by a run that was killed: what the drop-in says counts. */
static CtlExit plan_unit(const Ctl *c, Removal *o, char *unit)
{
        Adoption *adoption = o->adoptions + o->n_adoptions;
        Ctl one = *c;
        CtlExit status;

        one.arguments = (char *[]){ unit, NULL };
        one.bot = o->name;
        one.undo = true;
        o->n_adoptions++;
        if ((status = adoption_begin(&one, adoption)) != CTL_OK)
                return status;
        if (!adoption->mark.bot || !streq(adoption->mark.bot, o->name)) {
                if (strv_extend(&o->others, unit) < 0)
                        return ctl_oom();
                adoption_done(adoption);
                o->n_adoptions--;
                return CTL_OK;
        }
        if ((status = adoption_plan_undo(&one, adoption)) != CTL_OK)
                return status;
        adopt_file_done(&adoption->bot_file);
        return CTL_OK;
}

/* "bot@*.service" is what a template was adopted as: "bot@.service". NULL: no memory, or another pattern. */
static char *unit_of(const char *worker)
{
        const char *star = strstr(worker, "@*.");
        char *unit;

        if (unit_name_is_valid(worker))
                return strdup(worker);
        if (!star || asprintf(&unit, "%.*s@%s", (int) (star - worker), worker, star + 2) < 0)
                return NULL;
        return unit;
}

static CtlExit plan(const Ctl *c, Removal *o)
{
        char *const *workers = o->present ? o->present->workers : o->state ? o->state->workers : NULL;
        CtlExit status = CTL_OK;

        o->adoptions = calloc(strv_length(workers) + 1, sizeof(Adoption));
        if (!o->adoptions)
                return ctl_oom();
        STRV_FOREACH(w, (char **) workers) {
                _cleanup_free_ char *unit = unit_of(*w);

                if (unit)
                        status = plan_unit(c, o, unit);
                else if (strv_extend(&o->others, *w) < 0)
                        return ctl_oom();
                if (status != CTL_OK)
                        return ctl_error(status, "Nothing was changed.");
        }
        return CTL_OK;
}

/* A record that nothing stands behind any more goes by itself. Where tgswitchd has nothing to complain about, it has
 * not looked yet: a run that was killed did not come to that. */
static CtlExit judge_rest(const Removal *o)
{
        if (o->bot_file.before || o->store.form != TOKEN_NONE || o->store.unfinished || o->n_adoptions > 0 ||
            isempty(o->state->last_error) || o->state->spooled > 0)
                return CTL_OK;
        return ctl_error(
                        CTL_NOT_FOUND,
                        "%s is removed already: tgswitchd keeps its record alone, half an hour at most, and forgets it "
                        "with the next restart or reload after that." UNCHANGED,
                        o->name);
}

/* ---- showing it ---- */

static json_object *json_strings(char *const *l)
{
        json_object *array = json_object_new_array();

        STRV_FOREACH(s, (char **) l)
                if (json_object_array_add(array, json_text(*s)) < 0)
                        abort();
        return array;
}

static CtlExit show(const Ctl *c, const Removal *o)
{
        json_object *units = o->json ? json_object_new_array() : NULL;
        CtlExit status = CTL_OK;

        if (!o->json)
                printf("%s will be removed. This goes:\n", o->name);
        for (size_t i = 0; status == CTL_OK && i < o->n_adoptions; i++) {
                json_object *one = o->json ? json_object_new_object() : NULL;

                status = one ? adoption_print(c, o->adoptions + i, one) : adopt_file_print(c, &o->adoptions[i].drop_in);
                if (one && json_object_array_add(units, one) < 0)
                        abort();
        }
        if (o->json) {
                ctl_json_add(o->json, "adoptions", units);
                ctl_json_add(o->json, "others", json_strings(o->others));
                ctl_json_add(o->json, "lost", json_strings(o->losses));
                ctl_json_add(o->json, "form", json_text(token_form_to_string(o->store.form)));
                return status;
        }
        if (status == CTL_OK)
                status = adopt_file_print(c, &o->bot_file);
        for (TokenForm f = TOKEN_PLAIN; f < TOKEN_FORM_MAX; f++) {
                _cleanup_free_ char *path = token_path(f, o->name);

                if (path && f <= o->store.form && access(path, F_OK) == 0)
                        printf("%s, the token\n", path);
        }
        STRV_FOREACH(u, o->others)
                printf("  * %s has no drop-in that 'adopt' wrote, so it is left alone: take out what has it ask "
                       "tgswitchd "
                       "for a token, else it won't start any more.\n",
                       *u);
        STRV_FOREACH(l, o->losses)
                printf("  * Lost: %s\n", *l);
        return status;
}

static CtlExit confirm(const Ctl *c)
{
        if (c->yes)
                return CTL_OK;
        if (c->json || !isatty(STDIN_FILENO) || !c->terminal)
                return ctl_error(CTL_USAGE, "Nothing was changed: without a terminal to ask on, --yes is needed.");
        puts("Then tgswitchd is restarted, which is safe at any moment.");
        return ctl_ask("Take all this away? [y/N] ") ? CTL_OK : ctl_error(CTL_FAILED, "Nothing was changed.");
}

/* ---- doing it ---- */

static CtlExit read_state(Ctl *c, const char *name, CtlState *s)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = ctl_state_read(c, s, &error);

        return r < 0 ? ctl_call_failed(name, r, &error) : CTL_OK;
}

/* Once more: the bot may have moved on while somebody read what will go. */
static CtlExit judge_again(Ctl *c, Removal *o)
{
        CtlExit status;

        o->state = NULL;
        o->losses = strv_free(o->losses);
        status = read_state(c, o->name, &o->all);
        if (status != CTL_OK)
                return status;
        o->state = ctl_state_bot(&o->all, o->name);
        if ((status = judge_phase(o->state, UNCHANGED)) != CTL_OK || (status = judge_losses(c, o)) != CTL_OK)
                return status;
        for (size_t i = 0; i < o->n_adoptions; i++)
                if ((status = adoption_check_seat(c, o->adoptions + i, o->state)) != CTL_OK)
                        return ctl_error(status, "Nothing was changed.");
        return CTL_OK;
}

/* The gates first: no unit is to wait at one whose bot is gone. */
static CtlExit take_gates(Ctl *c, Removal *o)
{
        CtlExit status = CTL_OK;

        for (size_t i = 0; status == CTL_OK && i < o->n_adoptions; i++)
                status = adopt_file_write(&o->adoptions[i].drop_in);
        /* Also where none is left: a run that was killed may not have come to it. */
        return status == CTL_OK ? adopt_reload_systemd(c) : status;
}

static CtlExit drop_spool(Ctl *c, const Removal *o)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char path[64];
        int r;

        if (!o->state || o->state->spooled == 0)
                return CTL_OK;
        (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", o->name);
        r = ctl_call(c, path, BUS_BOT_INTERFACE, "ClearSpool", &error, NULL, "");
        return r < 0 ? ctl_call_failed(o->name, r, &error) : CTL_OK;
}

static CtlExit take_files(Ctl *c, Removal *o)
{
        CtlExit status = adopt_file_write(&o->bot_file);
        int r;

        if (status != CTL_OK)
                return status;
        o->token_removed = true;
        r = token_remove(&o->store);
        if (r < 0)
                return ctl_error(CTL_FAILED, "The token of %s cannot be removed: %s. Look at " TOKEN_ROOT "/tokens*.",
                                 o->name, strerror(-r));
        o->daemon_restarted = true;
        return daemon_restart(c);
}

/* A move that began in the last moment has its phase on disk, and goes on when the token is back. */
static CtlExit judge_last(Ctl *c, Removal *o)
{
        CtlExit status = read_state(c, o->name, &o->after);

        return status == CTL_OK ? judge_phase(ctl_state_bot(&o->after, o->name), "") : status;
}

static CtlExit put_back(Ctl *c, Removal *o, CtlExit status)
{
        bool good = !o->token_removed || token_put_back(&o->store) >= 0, gates = false;

        good = adopt_file_put_back(&o->bot_file) == CTL_OK && good;
        if (o->daemon_restarted)
                good = daemon_restart(c) == CTL_OK && good;
        for (size_t i = 0; i < o->n_adoptions; i++) {
                gates |= o->adoptions[i].drop_in.touched;
                good = adopt_file_put_back(&o->adoptions[i].drop_in) == CTL_OK && good;
        }
        if (gates)
                good = adopt_reload_systemd(c) == CTL_OK && good;
        return ctl_error(status, "%s",
                         good ? "Everything was put back as it was."
                              : "Not all could be put back. Give the same command again.");
}

/* ---- the end ---- */

/* What is still there of the bot, and where. */
static void tell_rest(const Removal *o)
{
        const char *seat = o->state ? o->state->seat : NULL;
        bool kept = ctl_state_bot(&o->after, o->name);

        if (o->json) {
                ctl_json_add(o->json, "record_kept", json_object_new_boolean(kept));
                return;
        }
        printf("%s is removed.\n", o->name);
        if (kept)
                puts("tgswitchd keeps its record, without a token, for as long as a session that it began may be "
                     "young or "
                     "a\nwindow is open, half an hour at most; after that the next restart or reload forgets it.");
        if (streq_ptr(seat, "cloud") || streq_ptr(seat, "local"))
                printf("The bot is still logged in at %s, and its token is good for whoever has it: /revoke in a chat "
                       "with\nBotFather ends that.\n",
                       show_place(seat));
}

/* What cannot be put back comes last: the updates that are dropped. */
static CtlExit take_all(Ctl *c, Removal *o)
{
        CtlExit status;

        if ((status = take_gates(c, o)) != CTL_OK || (status = take_files(c, o)) != CTL_OK ||
            (status = judge_last(c, o)) != CTL_OK)
                return status;
        return drop_spool(c, o);
}

static CtlExit change(Ctl *c, Removal *o)
{
        CtlExit status;
        sigset_t before;
        int r;

        ctl_block_signals(&before);
        status = judge_again(c, o);
        if (status == CTL_OK && (status = take_all(c, o)) != CTL_OK)
                status = put_back(c, o, status);
        else if (status == CTL_OK && (r = token_keep(&o->store)) < 0)
                status = ctl_error(CTL_FAILED,
                                   "%s is removed, but its token cannot be wiped out (%s): remove " TOKEN_ROOT
                                   "/tokens*/.%s.*.",
                                   o->name, strerror(-r), o->name);
        fflush(stdout);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return status;
}

static CtlExit run(Ctl *c, Removal *o)
{
        CtlExit status, one;

        if ((status = look(c, o)) != CTL_OK || (status = judge_phase(o->state, UNCHANGED)) != CTL_OK ||
            (status = judge_losses(c, o)) != CTL_OK || (status = plan(c, o)) != CTL_OK ||
            (status = judge_rest(o)) != CTL_OK || (status = show(c, o)) != CTL_OK || (status = confirm(c)) != CTL_OK ||
            (status = change(c, o)) != CTL_OK)
                return status;
        for (size_t i = 0; i < o->n_adoptions; i++) {
                Ctl undone = *c;

                undone.undo = true;
                one = adoption_restart(
                                &undone, o->adoptions + i,
                                o->json ? json_object_array_get_idx(json_object_object_get(o->json, "adoptions"), i)
                                        : NULL);
                status = one != CTL_OK ? one : status;
        }
        tell_rest(o);
        return status;
}

CtlExit verb_remove(Ctl *c)
{
        _cleanup_(removal_done)
                        Removal o = { .name = c->arguments[0], .store.directories = { -EBADF, -EBADF, -EBADF } };
        CtlExit status;

        if (geteuid() != 0)
                return ctl_error(CTL_DENIED, "remove takes files away below /etc: run it as root.");
        seal_memory();
        if (!bot_name_is_valid(o.name))
                return ctl_error(CTL_NOT_FOUND, "'%s' is no name of a bot; 'tgswitchctl list' shows all.", o.name);
        if (c->json) {
                o.json = ctl_json_new();
                ctl_json_add(o.json, "bot", json_text(o.name));
        }
        status = run(c, &o);
        if (o.json && json_object_object_get(o.json, "adoptions"))
                (void) ctl_print_json(o.json);
        else
                json_object_put(o.json);
        return status;
}
