/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "core/template.h"
#include "ctl/ctl-adopt-notes.h"

#define OPTION_SET "--set="

/* ---- commands ---- */

/* As an option of a command in a unit file, where '%' begins a specifier. */
static int add_option(char ***options, const char *assignment)
{
        const Replacement table[] = { { "%", "%%" } };
        _cleanup_free_ char *escaped = template_replace(assignment, table, 1), *option = NULL;

        if (!escaped || asprintf(&option, OPTION_SET "%s", escaped) < 0) {
                option = NULL;
                return -ENOMEM;
        }
        return strv_extend(options, option);
}

static bool sets_variable(char *const *options, const char *name)
{
        for (; options && *options; options++) {
                const char *rest = startswith(*options + strlen(OPTION_SET), name);

                if (rest && *rest == '=')
                        return true;
        }
        return false;
}

static int collect_options(const AdoptView *v, char *const *kept, char ***ret)
{
        const AdoptVariables *variables = &v->unit->variables;
        _cleanup_strv_ char **options = NULL;
        int r = strv_copy(kept, &options);

        for (size_t i = 0; r >= 0 && i < variables->n; i++) {
                const AdoptVariable *item = variables->items + i;

                if (item->assignment && !adopt_variable_is_standard(item) && !sets_variable(options, item->name))
                        r = add_option(&options, item->assignment);
        }
        if (r >= 0)
                *ret = TAKE_PTR(options);
        return r;
}

int adopt_kept_options(const char *text, char ***ret)
{
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_strv_ char **options = NULL;
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (char *line; (line = strsep(&rest, "\n"));) {
                if (!startswith(line, "ExecStart="))
                        continue;
                for (char *word; (word = strsep(&line, " "));) {
                        int r = startswith(word, OPTION_SET) ? strv_extend_unique(&options, word) : 0;

                        if (r < 0)
                                return r;
                        /* what follows belongs to the program */
                        if (streq(word, "--"))
                                break;
                }
        }
        *ret = TAKE_PTR(options);
        return 0;
}

int adopt_commands(const AdoptView *v, const char *wrapper, char *const *kept, char ***ret)
{
        _cleanup_strv_ char **commands = NULL, **options = NULL, **wrapped = NULL;
        int r;

        if ((r = unit_settings_list(&v->unit->settings, "Service", "ExecStart", &commands)) < 0 ||
            (r = collect_options(v, kept, &options)) < 0)
                return r;
        if (!commands)
                return -ENOENT;
        STRV_FOREACH(c, commands) {
                _cleanup_free_ char *command = NULL;

                if (text_has_token(*c))
                        return -EUCLEAN;
                if ((r = exec_wrap(*c, wrapper, options, &command)) < 0 || (r = strv_extend(&wrapped, command)) < 0)
                        return r;
        }
        *ret = TAKE_PTR(wrapped);
        return 0;
}

/* ---- files of the local server ---- */

static bool path_covers(const char *directory, const char *path)
{
        const char *rest = startswith(path, directory);
        size_t n = strlen(directory);

        return rest && n > 0 && (*rest == '\0' || *rest == '/' || directory[n - 1] == '/');
}

/* Whether a word of such a list (systemd.exec(5)) is a directory above the path: prefixes and options aside. */
static int list_covers(const UnitSettings *s, const char *key, const char *path, bool *ret)
{
        _cleanup_strv_ char **values = NULL;
        int r = unit_settings_list(s, "Service", key, &values);

        if (r < 0)
                return r;
        *ret = false;
        STRV_FOREACH(value, values) {
                char *rest = *value;

                for (char *word; (word = strsep(&rest, " \t"));) {
                        word += strspn(word, "-+");
                        word[strcspn(word, ":")] = '\0';
                        *ret |= path_covers(word, path);
                }
        }
        return 0;
}

const char *adopt_bind(const AdoptView *v)
{
        const char *path = v->config->local_files;
        const UnitSettings *s = &v->unit->settings;
        bool covered = false;

        if (!path)
                return NULL;
        if (!isempty(unit_settings_last(s, "Service", "RootDirectory")) ||
            !isempty(unit_settings_last(s, "Service", "RootImage")))
                return path;
        if (list_covers(s, "TemporaryFileSystem", path, &covered) < 0)
                return NULL;
        return covered ? path : NULL;
}

static int note_files(const AdoptView *v, char ***notes)
{
        bool covered;
        int r;

        if (!v->config->local_files)
                return 0;
        r = list_covers(&v->unit->settings, "InaccessiblePaths", v->config->local_files, &covered);
        if (r < 0 || !covered)
                return r;
        return strv_extendf(
                        notes,
                        "InaccessiblePaths= of %s hides %s, where the local server stores files, and no other setting can "
                        "bring it back: take that path out of the list.",
                        v->unit->name, v->config->local_files);
}

/* ---- token and endpoint ---- */

static int note_token(const AdoptView *v, const AdoptVariable *item, char ***notes)
{
        const char *name = item->name, *where = item->where, *bot = v->bot->name;
        bool standard = adopt_variable_is_standard(item);

        if (v->mode == ADOPT_EXEC && item->assignment)
                return strv_extendf(
                                notes,
                                "%s= in %s carries the token now. tgswitch-exec sets it from the credential; take the old "
                                "one out of there.",
                                name, where);
        if (v->mode == ADOPT_ENVIRONMENT && standard)
                return strv_extendf(
                                notes,
                                "%s= in %s carries the token now. The environment file takes its place; take the old one "
                                "out of there.",
                                name, where);
        return strv_extendf(
                        notes,
                        "%s= in %s carries a token now, and nothing that is written here sets that variable: the program "
                        "has to read the credential bot-token instead%s, or be adopted with --exec. Take the old token out "
                        "of there when it does. (The bot is '%s'.)",
                        name, where, standard ? ", or be adopted with --environment" : "", bot);
}

static int note_endpoint(const AdoptView *v, const AdoptVariable *item, char ***notes)
{
        if (v->mode == ADOPT_EXEC && item->assignment)
                return strv_extendf(
                                notes,
                                "%s= in %s carries the endpoint now; tgswitch-exec sets it to that of the bot's server.",
                                item->name, item->where);
        if (adopt_variable_is_standard(item))
                return strv_extendf(notes, "%s= in %s carries the endpoint now; the environment file takes its place.",
                                    item->name, item->where);
        if (!item->assignment)
                return strv_extendf(
                                notes,
                                "%s= in %s has the address of a server in it, in a way that cannot be taken over: the "
                                "program would stay with that server. Have it read TELEGRAM_API_ROOT= instead.",
                                item->name, item->where);
        STRV_FOREACH(e, v->bot->exports)
                if (streq(*e, item->assignment))
                        return strv_extendf(notes, "%s= in %s carries the endpoint now; Export= takes its place.",
                                            item->name, item->where);
        return strv_extendf(
                        notes,
                        "%s= in %s carries the endpoint now, and the environment file does not have it: the program would "
                        "stay with that server. Add Export=%s to %s, or adopt with --exec.",
                        item->name, item->where, item->assignment, v->bot->path);
}

static int note_variables(const AdoptView *v, char ***notes)
{
        const AdoptVariables *variables = &v->unit->variables;
        const char *endpoint, *framework = adopt_framework(variables, &endpoint);
        bool has_endpoint = framework;
        int r = 0;

        if (framework)
                r = strv_extendf(notes, "The names of its variables are those of %s, %s.", framework, endpoint);
        for (size_t i = 0; r >= 0 && i < variables->n; i++) {
                const AdoptVariable *item = variables->items + i;

                has_endpoint |= (item->words & TEMPLATE_ROOT) != 0;
                r = item->words & TEMPLATE_TOKEN ? note_token(v, item, notes) : note_endpoint(v, item, notes);
        }
        if (r < 0 || has_endpoint)
                return r;
        return strv_extendf(
                        notes,
                        "No variable of %s carries an endpoint. Have the program read TELEGRAM_API_ROOT= or the credential "
                        "bot-endpoint: one that has the cloud's address built in does not follow a move. The lines for "
                        "each framework are in tgswitch-workers(7).",
                        v->unit->name);
}

static int note_commands(const AdoptView *v, char ***notes)
{
        const char *roots[] = { v->config->cloud_root, v->config->local_root, NULL };
        _cleanup_strv_ char **commands = NULL;
        int r = unit_settings_list(&v->unit->settings, "Service", "ExecStart", &commands);

        STRV_FOREACH(c, commands) {
                if (r >= 0 && text_has_token(*c))
                        r = strv_extendf(
                                        notes,
                                        "ExecStart= has a token in it, where every user of the host sees it in the list of "
                                        "processes. Have the program read it from its environment or from the credential.");
                if (r >= 0 && text_has_root(*c, roots))
                        r = strv_extendf(
                                        notes,
                                        "ExecStart= has the address of a server in it, so that the program would stay there. "
                                        "Write ${TELEGRAM_API_ROOT} in its place: systemd fills in what the environment file "
                                        "has.");
        }
        return r;
}

/* ---- ties ---- */

static int note_ties(const AdoptView *v, char ***notes)
{
        const struct {
                char *const *units;
                const char *key;
        } ties[] = {
                { v->unit->requires, "Requires=" },
                { v->unit->requisite, "Requisite=" },
                { v->unit->binds_to, "BindsTo=" },
                { v->unit->part_of, "PartOf=" },
        };
        int r = 0;

        FOREACH_ELEMENT(t, ties)
                if (r >= 0 && strv_contains(t->units, v->config->server_unit))
                        r = strv_extendf(
                                        notes,
                                        "%s has %s%s, so that systemd would start and stop the one with the other, at the "
                                        "wrong time. No drop-in can take that out: edit the unit file.",
                                        v->unit->name, t->key, v->config->server_unit);
        if (r >= 0 && strv_contains(v->unit->after, "tgswitch-local.service"))
                r = strv_extendf(
                                notes,
                                "%s is ordered after tgswitch-local.service, which waits for this worker: neither would ever "
                                "end. Take that After= out of the unit file; the drop-in orders it after tgswitchd.service.",
                                v->unit->name);
        return r;
}

/* Drop-ins whose name sorts behind ours have the last word. */
static int note_later_files(const AdoptView *v, char ***notes)
{
        static const char *const keys[] = { "ExecStart",      "ExecStartPre",    "EnvironmentFile",
                                            "LoadCredential", "TimeoutStartSec", "TimeoutSec" };
        const UnitSettings *s = &v->unit->settings;

        for (size_t i = 0; i < s->n; i++) {
                const UnitSetting *setting = s->items + i;
                const char *name = strrchr(setting->path, '/');
                bool ours = false;
                int r;

                if (streq(setting->path, v->unit->fragment) || !name || strcmp(name + 1, DROP_IN_NAME) < 0)
                        continue;
                FOREACH_ELEMENT(k, keys)
                        ours |= streq(setting->key, *k) && (!streq(*k, "ExecStart") || v->mode == ADOPT_EXEC);
                /* adding is fine, taking away is not */
                if (!ours || (!isempty(setting->value) && !startswith(setting->key, "Timeout") &&
                              !streq(setting->key, "ExecStart")))
                        continue;
                r = strv_extendf(notes,
                                 "%s comes after " DROP_IN_NAME
                                 " and sets %s= again: rename it, so that it begins with a "
                                 "smaller number.",
                                 setting->path, setting->key);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Who gets what tgswitchd had to take itself (SpoolTo= in tgswitch-bot(5)). */
static int note_spool(const AdoptView *v, char ***notes)
{
        if (!v->pending)
                return strv_extendf(
                                notes,
                                "What a program that polls could not take before a move is kept, and 'tgswitchctl spool "
                                "%s' shows it. If the program handles the updates in the credential bot-pending-updates "
                                "before all others, adopt it with --pending-updates, and it gets them.",
                                v->bot->name);
        if (v->unit->template && !v->bot->spool_to)
                return strv_extendf(
                                notes,
                                "%s is a template, and of several workers none gets the updates that tgswitchd had to "
                                "keep, unless SpoolTo= in %s names one.",
                                v->unit->name, v->bot->path);
        return strv_extendf(
                        notes,
                        "The program has to handle the updates in the credential bot-pending-updates before all others: "
                        "what it got counts as handled.");
}

int adopt_notes(const AdoptView *v, char ***ret)
{
        _cleanup_strv_ char **notes = NULL;
        int r;

        if ((r = note_variables(v, &notes)) < 0 || (r = note_commands(v, &notes)) < 0 ||
            (r = note_ties(v, &notes)) < 0 || (r = note_spool(v, &notes)) < 0 || (r = note_files(v, &notes)) < 0 ||
            (r = note_later_files(v, &notes)) < 0)
                return r;
        *ret = TAKE_PTR(notes);
        return 0;
}
