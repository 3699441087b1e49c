/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-adopt.h"
#include "ctl/ctl-bot-file.h"
#include "ctl/ctl-units.h"

#define FILES_GROUP "tgswitch-files"
#define BOTS_PATH   "/etc/tgswitch/bots.d/"
#define EXEC_BESIDE "/../libexec/tgswitch/tgswitch-exec"

void adoption_done(Adoption *a)
{
        free(a->name);
        free(a->worker);
        free(a->bot_name);
        config_free(a->config);
        ctl_bot_done(&a->state);
        adopt_unit_done(&a->unit);
        adopt_file_done(&a->drop_in);
        adopt_file_done(&a->bot_file);
        drop_in_mark_done(&a->mark);
        strv_free(a->notes);
        *a = (Adoption){};
}

char *adoption_line(const Adoption *a, AdoptAdded added)
{
        char *line;

        if (added == ADDED_EXPORT_TOKEN)
                return strdup("ExportToken=yes");
        return asprintf(&line, "Worker=%s", a->worker) < 0 ? NULL : line;
}

/* ---- what is there ---- */

static CtlExit read_config(Adoption *a)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        int r = config_load(config_directories, &a->config, &problems);

        for (size_t i = 0; i < problems.n; i++) {
                _cleanup_free_ char *text = NULL;

                if (r >= 0 && !streq_ptr(problems.items[i].bot, a->bot_name))
                        continue;
                text = config_problem_describe(problems.items + i);
                return ctl_error(CTL_FAILED, "%s. Correct that first.", text ?: "no memory");
        }
        /* What cannot be used has a problem that says why. */
        assert(r >= 0 || r == -ENOMEM);
        return r >= 0 ? CTL_OK : ctl_oom();
}

static CtlExit read_drop_in(Ctl *c, Adoption *a)
{
        _cleanup_free_ char *directory = adopt_unit_directory(a->name);
        int r;

        if (!directory || asprintf(&a->drop_in.path, "%s/" DROP_IN_NAME, directory) < 0) {
                a->drop_in.path = NULL;
                return ctl_oom();
        }
        a->drop_in.mode = 0644;
        a->drop_in.own_directory = true;
        r = adopt_file_read(&a->drop_in);
        if (r < 0)
                return ctl_error(CTL_FAILED, "%s cannot be read (%s): only a regular file can be adopt's.",
                                 a->drop_in.path, strerror(-r));
        if (!a->drop_in.before)
                return CTL_OK;
        r = drop_in_recognise(a->drop_in.before, &a->mark);
        if (r == -ENOMEM)
                return ctl_oom();
        if (c->force)
                return CTL_OK;
        if (r < 0)
                return ctl_error(
                                CTL_FAILED,
                                "%s is there and was not written by adopt: have a look at it, and take it away or give "
                                "--force.",
                                a->drop_in.path);
        if (a->mark.edited)
                return ctl_error(
                                CTL_FAILED,
                                "%s was changed after adopt had written it: take the changes into a file of their own, "
                                "or give --force and lose them.",
                                a->drop_in.path);
        return CTL_OK;
}

/* Where the bot is. Nothing is known of one whose file is new. */
static CtlExit read_state(Ctl *c, Adoption *a)
{
        _cleanup_(ctl_state_done) CtlState s = {};
        CtlExit status = ctl_begin(c, &s);
        CtlBot *b;

        if (status != CTL_OK)
                return status;
        b = ctl_state_bot(&s, a->bot_name);
        if (b) {
                a->state = *b;
                *b = (CtlBot){};
        }
        /* What its file will say is where a bot is that tgswitchd does not know. */
        if (a->bot_text && !a->state.seat && !(a->state.seat = strdup(seat_to_string(a->bot->initial_seat))))
                return ctl_oom();
        if (a->state.job_id > 0)
                return ctl_error(CTL_BUSY,
                                 "%s is on its way, and its workers are what it was begun with: 'tgswitchctl wait %u' "
                                 "first.",
                                 a->bot_name, a->state.job_id);
        return CTL_OK;
}

CtlExit adoption_begin(Ctl *c, Adoption *a)
{
        bool wrong;
        char *name = adopt_unit_name(c->arguments[0], &wrong);
        CtlExit status;

        if (!name)
                return wrong ? ctl_error(CTL_USAGE, "'%s' is no name of a unit, like shop.service.", c->arguments[0])
                             : ctl_oom();
        a->name = name;
        if (c->bot && !bot_name_is_valid(c->bot))
                return ctl_error(CTL_NOT_FOUND, "No bot is called '%s'; 'tgswitchctl list' shows all.", c->bot);
        if (c->bot && !(a->bot_name = strdup(c->bot)))
                return ctl_oom();
        if ((status = ctl_connect(c)) != CTL_OK || (!a->config && (status = read_config(a)) != CTL_OK))
                return status;

        const char *roots[] = { a->config->cloud_root, a->config->local_root, NULL };
        status = adopt_unit_read(c, name, roots, c->undo, &a->unit);
        if (status != CTL_OK)
                return status;
        if (!streq(a->unit.name, a->name)) {
                free(a->name);
                a->name = strdup(a->unit.name);
        }
        a->worker = a->name ? adopt_unit_worker(a->name) : NULL;
        if (!a->worker)
                return ctl_oom();
        status = read_drop_in(c, a);
        if (status != CTL_OK)
                return status;
        if (!a->bot_name && a->mark.bot && !(a->bot_name = strdup(a->mark.bot)))
                return ctl_oom();
        return CTL_OK;
}

static CtlExit read_bot_file(Adoption *a)
{
        int r = 0;

        if (!a->bot)
                return CTL_OK;
        a->bot_file.path = strdup(a->bot->path);
        if (a->bot_text)
                a->bot_file.before = strdup(a->bot_text);
        if (!a->bot_file.path || (a->bot_text && !a->bot_file.before))
                return ctl_oom();
        if (!a->bot_text)
                r = adopt_file_read(&a->bot_file);
        if (r >= 0 && !a->bot_file.before)
                r = -ENOENT;
        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 "%s cannot be read (%s): only a regular file can be changed. Set Worker=%s there "
                                 "yourself, then give the same command again.",
                                 a->bot_file.path, strerror(-r), a->worker);
        a->bot_file.after = strdup(a->bot_file.before);
        return a->bot_file.after ? CTL_OK : ctl_oom();
}

/* ---- adopt ---- */

static bool covers(const BotConfig *bot, const char *worker)
{
        STRV_FOREACH(w, bot->workers)
                if (streq(*w, worker) || (unit_name_is_valid(worker) && unit_name_matches(*w, worker)))
                        return true;
        return false;
}

static CtlExit check_owner(const Adoption *a)
{
        if (streq(a->name, a->config->server_unit) || streq(a->name, DAEMON_UNIT) ||
            (startswith(a->name, "tgswitch") && startswith(a->unit.fragment, "/usr/lib/systemd/system/tgswitch")))
                return ctl_error(CTL_USAGE,
                                 "%s is part of tgswitch and no bot's program: name the service that runs the bot.",
                                 a->name);
        for (size_t i = 0; i < a->config->n_bots; i++) {
                const BotConfig *other = a->config->bots[i];

                if (other != a->bot && covers(other, a->worker))
                        return ctl_error(CTL_FAILED,
                                         "%s is a worker of the bot %s already (%s), and a service belongs to one bot. "
                                         "Take it out of there first.",
                                         a->name, other->name, other->path);
        }
        if (a->mark.bot && !streq(a->mark.bot, a->bot_name))
                return ctl_error(CTL_FAILED,
                                 "%s was adopted by the bot %s: 'tgswitchctl adopt %s --undo' takes it back first.",
                                 a->name, a->mark.bot, a->name);
        return CTL_OK;
}

static CtlExit add_line(Adoption *a, AdoptAdded added)
{
        _cleanup_free_ char *line = adoption_line(a, added);
        char *text;
        int r = line ? bot_file_add(a->bot_file.after, line, &text) : -ENOMEM;

        if (r < 0)
                return r == -ENOMEM ? ctl_oom() : adopt_file_changed(&a->bot_file);
        free(a->bot_file.after);
        a->bot_file.after = text;
        a->mark.added |= added;
        return CTL_OK;
}

static CtlExit plan_bot_file(Adoption *a)
{
        _cleanup_free_ char *same = NULL;
        CtlExit status = read_bot_file(a);
        bool declared = covers(a->bot, a->worker), exported = a->bot->export_token;

        if (status != CTL_OK || (declared && (exported || a->mode != ADOPT_ENVIRONMENT)))
                return status;
        if (!startswith(a->bot_file.path, BOTS_PATH))
                return ctl_error(CTL_FAILED,
                                 "%s is not the administrator's to change: copy it to " BOTS_PATH
                                 "%s.conf, which takes "
                                 "its place, and give the same command again.",
                                 a->bot_file.path, a->bot->name);
        if (!declared)
                status = add_line(a, ADDED_WORKER);
        if (status == CTL_OK && !exported && a->mode == ADOPT_ENVIRONMENT) {
                if (bot_file_remove(a->bot_file.after, "ExportToken=no", &same) >= 0)
                        return ctl_error(CTL_FAILED,
                                         "%s says ExportToken=no, so that the environment file has no token: take that "
                                         "line out, or adopt with --exec.",
                                         a->bot_file.path);
                status = add_line(a, ADDED_EXPORT_TOKEN);
        }
        return status;
}

/* Beside this program, wherever both were installed. */
static char *exec_path(void)
{
        _cleanup_free_ char *beside = NULL;
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n < 0)
                return NULL;
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (!slash)
                return NULL;
        *slash = '\0';
        if (asprintf(&beside, "%s" EXEC_BESIDE, self) < 0) {
                beside = NULL;
                return NULL;
        }
        return realpath(beside, NULL);
}

static CtlExit plan_commands(const Adoption *a, const AdoptView *view, char ***ret)
{
        _cleanup_free_ char *wrapper = exec_path();
        _cleanup_strv_ char **kept = NULL;
        int r;

        if (!wrapper)
                return ctl_error(CTL_FAILED,
                                 "tgswitch-exec, which --exec needs, is not installed with this tgswitchctl: install "
                                 "tgswitch again, or leave --exec out.");
        r = a->mark.bot ? adopt_kept_options(a->drop_in.before, &kept) : 0;
        if (r >= 0)
                r = adopt_commands(view, wrapper, kept, ret);
        switch (r) {
        case -ENOMEM:
                return ctl_oom();
        case -EUCLEAN:
                return ctl_error(CTL_FAILED,
                                 "ExecStart= of %s has a token in it, and would have it in another file then: take it "
                                 "out of the command first. tgswitch-exec sets BOT_TOKEN=, and what --set= says.",
                                 a->name);
        case -EOPNOTSUPP:
                return ctl_error(
                                CTL_FAILED,
                                "ExecStart= of %s has several commands in one line: give each a line of its own first.",
                                a->name);
        case -EALREADY:
                return ctl_error(CTL_FAILED, "%s runs its program with tgswitch-exec already: leave --exec out.",
                                 a->name);
        default:
                return r >= 0 ? CTL_OK
                              : ctl_error(CTL_FAILED,
                                          "%s has no ExecStart= that could be taken over: write one in its unit file "
                                          "first, or leave --exec out.",
                                          a->name);
        }
}

static CtlExit plan_drop_in(Adoption *a, const AdoptView *view)
{
        _cleanup_strv_ char **commands = NULL;
        DropIn d = {
                .unit = a->name, .bot = a->bot_name, .mode = a->mode, .pending = a->pending, .added = a->mark.added
        };
        CtlExit status = a->mode == ADOPT_EXEC ? plan_commands(a, view, &commands) : CTL_OK;

        if (status != CTL_OK)
                return status;
        d.exec_start = commands;
        d.group = a->config->local_files ? FILES_GROUP : NULL;
        d.bind = adopt_bind(view);
        return drop_in_render(&d, &a->drop_in.after) < 0 ? ctl_oom() : CTL_OK;
}

/* What the command line says, else what was chosen before. A program that reads its credentials is written for them. */
static void choose(const Ctl *c, Adoption *a)
{
        bool same;

        a->mode = c->exec          ? ADOPT_EXEC
                  : c->environment ? ADOPT_ENVIRONMENT
                  : a->mark.bot    ? a->mark.mode
                                   : ADOPT_CREDENTIALS;
        same = a->mark.bot && a->mode == a->mark.mode;
        a->pending = c->pending_updates || (same ? a->mark.pending : a->mode == ADOPT_CREDENTIALS);
}

/* What runs with its old wiring may be where the bot is not. */
static CtlExit note_seat(const Ctl *c, Adoption *a)
{
        if (!a->unit.running || c->restart || !a->state.seat || streq(a->state.seat, "cloud"))
                return CTL_OK;
        return strv_extend(&a->notes,
                           "The bot is not at the cloud. If the program that runs asks the cloud, it logs the bot "
                           "in there: give --restart, or stop it.") < 0
                               ? ctl_oom()
                               : CTL_OK;
}

CtlExit adoption_plan(Ctl *c, Adoption *a)
{
        AdoptView view;
        CtlExit status;

        a->bot = config_find_bot(a->config, a->bot_name);
        if (!a->bot)
                return ctl_error(CTL_NOT_FOUND,
                                 "No bot is called '%s'; 'tgswitchctl list' shows all, and 'tgswitchctl add %s "
                                 "--worker=%s' sets up a new one with this service.",
                                 a->bot_name, a->bot_name, a->name);
        if ((status = check_owner(a)) != CTL_OK || (status = read_state(c, a)) != CTL_OK)
                return status;
        choose(c, a);
        view = (AdoptView){
                .unit = &a->unit, .config = a->config, .bot = a->bot, .mode = a->mode, .pending = a->pending
        };
        if ((status = plan_bot_file(a)) != CTL_OK || (status = plan_drop_in(a, &view)) != CTL_OK)
                return status;
        if (adopt_notes(&view, &a->notes) < 0)
                return ctl_oom();
        return note_seat(c, a);
}

/* ---- undo ---- */

/* A program with its old wiring would log the bot in where that points. */
CtlExit adoption_check_seat(const Ctl *c, const Adoption *a, const CtlBot *b)
{
        if (c->force || !b || streq_ptr(b->seat, "cloud") || streq_ptr(b->seat, "undeclared"))
                return CTL_OK;
        return ctl_error(CTL_CHECKS_FAILED,
                         "%s is not at the cloud (its seat is %s). Without the drop-in %s would go to the server that "
                         "it went to before, and log the bot in there: 'tgswitchctl switch cloud %s' first, or give "
                         "--force where it goes to the right one.",
                         a->bot_name, b->seat, a->name, a->bot_name);
}

static CtlExit remove_line(Adoption *a, AdoptAdded added)
{
        _cleanup_free_ char *line = adoption_line(a, added);
        char *text;
        int r;

        if (!(a->mark.added & added))
                return CTL_OK;
        r = line ? bot_file_remove(a->bot_file.after, line, &text) : -ENOMEM;
        if (r == -ENOMEM)
                return ctl_oom();
        /* somebody else took it out */
        if (r < 0)
                return CTL_OK;
        free(a->bot_file.after);
        a->bot_file.after = text;
        return CTL_OK;
}

CtlExit adoption_plan_undo(Ctl *c, Adoption *a)
{
        CtlExit status;

        if (!a->drop_in.before)
                return ctl_error(CTL_NOT_FOUND, "%s is not adopted: there is no %s, and nothing to take back.", a->name,
                                 a->drop_in.path);
        if (!a->mark.bot)
                return ctl_error(CTL_FAILED,
                                 "%s was not written by adopt, so there is nothing that it could take back: remove it "
                                 "yourself if it is not wanted.",
                                 a->drop_in.path);
        if (!streq(a->mark.bot, a->bot_name))
                return ctl_error(CTL_FAILED,
                                 "%s was adopted by the bot %s, not by %s: correct --bot=, or leave it out.", a->name,
                                 a->mark.bot, a->bot_name);
        a->mode = a->mark.mode;
        a->bot = config_find_bot(a->config, a->bot_name);
        if ((status = read_state(c, a)) != CTL_OK ||
            (status = adoption_check_seat(c, a, a->state.name ? &a->state : NULL)) != CTL_OK ||
            (status = read_bot_file(a)) != CTL_OK || (status = remove_line(a, ADDED_WORKER)) != CTL_OK)
                return status;
        /* Other workers of the bot may read the token there by now. */
        if ((a->mark.added & ADDED_EXPORT_TOKEN) && a->bot && strv_length(a->bot->workers) > 1)
                return strv_extend(&a->notes,
                                   "ExportToken=yes stays in the bot's file, which has other workers. Take it "
                                   "out if they read the token elsewhere.") < 0
                                       ? ctl_oom()
                                       : CTL_OK;
        return remove_line(a, ADDED_EXPORT_TOKEN);
}
