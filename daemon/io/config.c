/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "io/config-parse.h"
#include "io/config-text.h"
#include "io/config-workers.h"
#include "io/config-value.h"

const char *const config_directories[] = {
        "/etc/tgswitch", "/run/tgswitch", "/usr/local/lib/tgswitch", "/usr/lib/tgswitch", NULL,
};

static const char *const manager_sections[] = { "Manager", "BotDefaults", NULL };
static const char *const bot_sections[] = { "Bot", NULL };

BotConfig *bot_config_free(BotConfig *b)
{
        if (!b)
                return NULL;
        free(b->name);
        free(b->path);
        strv_free(b->workers);
        free(b->spool_to);
        strv_free(b->exports);
        free(b->webhook_ip_address);
        free(b);
        return NULL;
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_bots; i++)
                bot_config_free(c->bots[i]);
        free(c->bots);
        free(c->cloud_root);
        free(c->local_root);
        free(c->server_unit);
        free(c->local_files);
        free(c);
        return NULL;
}

static int bot_config_new(const ConfigText *text, const BotConfig *defaults, BotConfig **ret)
{
        _cleanup_(bot_config_freep) BotConfig *b = NULL;
        int r;

        b = malloc(sizeof(BotConfig));
        if (!b)
                return -ENOMEM;
        *b = *defaults;
        /* Nothing of the defaults that hangs on a pointer may be shared. */
        b->workers = b->exports = NULL;
        b->spool_to = b->webhook_ip_address = NULL;
        b->name = strdup(text->bot);
        b->path = strdup(text->path);
        if (defaults->webhook_ip_address)
                b->webhook_ip_address = strdup(defaults->webhook_ip_address);
        if (!b->name || !b->path || (defaults->webhook_ip_address && !b->webhook_ip_address))
                return -ENOMEM;
        r = strv_copy(defaults->exports, &b->exports);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

/* Reads tgswitch.conf and its drop-ins, each over what the ones before have said. */
static int read_manager(const ConfigTexts *texts, Config *c, BotConfig *defaults, ConfigProblems *problems)
{
        for (size_t i = 0; i < texts->n && !texts->items[i].bot; i++) {
                const ConfigText *text = texts->items + i;
                ConfigTarget target = { .config = c, .bot = defaults };
                ConfigFile file = { .path = text->path, .sections = manager_sections, .problems = problems };
                int r;

                r = config_read(&file, text->bytes, text->size, config_assign, &target);
                if (r < 0)
                        return r;
        }
        return config_finish(c);
}

/* *ret stays NULL where the file declares no bot, and where it has a mistake. */
static int read_bot(const ConfigText *text, const BotConfig *defaults, ConfigProblems *problems, BotConfig **ret,
                    unsigned *ret_worker_line)
{
        _cleanup_(bot_config_freep) BotConfig *b = NULL;
        ConfigFile file = { .path = text->path, .bot = text->bot, .sections = bot_sections, .problems = problems };
        ConfigTarget target = {};
        size_t n_before = problems->n;
        int r;

        if (!bot_name_is_valid(text->bot))
                return config_problem_add(problems, text->path, 0, text->bot,
                                          "The file's name is no name of a bot; expected up to 32 of a-z, 0-9 and _, "
                                          "a letter first, and " CONFIG_SUFFIX);
        r = bot_config_new(text, defaults, &b);
        if (r < 0)
                return r;
        target.bot = b;
        r = config_read(&file, text->bytes, text->size, config_assign, &target);
        if (r < 0)
                return r;
        if (problems->n > n_before || r == 0)
                return 0;
        r = bot_config_finish(&file, &target);
        if (r < 0)
                return r;
        if (problems->n > n_before)
                return 0;
        *ret_worker_line = config_line_of(&target, "Worker");
        *ret = TAKE_PTR(b);
        return 0;
}

/* Returns 1 if the bot's workers are its own alone, 0 if not, with a problem added. Without `owners` only the server is
 * looked at. */
static int check_workers(const Config *c, const WorkerOwners *owners, const BotConfig *b, unsigned line,
                         ConfigProblems *problems)
{
        int r;

        STRV_FOREACH(worker, b->workers) {
                const WorkerOwner *other = owners ? worker_owners_find(owners, *worker) : NULL;

                if (unit_name_matches(*worker, c->server_unit))
                        r = config_problem_add(problems, b->path, line, b->name,
                                               "Worker= names %s, which is LocalServerUnit=: the server is no worker",
                                               c->server_unit);
                else if (other)
                        r = config_problem_add(problems, b->path, line, b->name,
                                               "Worker=%s of bot %s is also a worker of bot %s (%s, in %s); a unit "
                                               "belongs to one bot",
                                               *worker, b->name, other->bot->name, other->worker, other->bot->path);
                else
                        continue;
                return r < 0 ? r : 0;
        }
        return 1;
}

static int read_bots(const ConfigTexts *texts, const BotConfig *defaults, Config *c, ConfigProblems *problems)
{
        _cleanup_(worker_owners_done) WorkerOwners owners = { 0 };
        int r;

        c->bots = calloc(texts->n + 1, sizeof(BotConfig *));
        if (!c->bots)
                return -ENOMEM;
        for (size_t i = 0; i < texts->n; i++) {
                _cleanup_(bot_config_freep) BotConfig *b = NULL;
                unsigned line = 0;

                if (!texts->items[i].bot)
                        continue;
                r = read_bot(texts->items + i, defaults, problems, &b, &line);
                if (r < 0)
                        return r;
                if (!b)
                        continue;
                r = check_workers(c, texts->is_copy ? NULL : &owners, b, line, problems);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = worker_owners_add(&owners, b);
                if (r < 0)
                        return r;
                c->bots[c->n_bots++] = TAKE_PTR(b);
        }
        return 0;
}

static bool is_usable(const ConfigProblems *problems)
{
        for (size_t i = 0; i < problems->n; i++)
                if (!problems->items[i].bot)
                        return false;
        return true;
}

int config_from_texts(const ConfigTexts *texts, Config **ret, ConfigProblems *problems)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_(bot_config_freep) BotConfig *defaults = NULL;
        int r;

        c = calloc(1, sizeof(Config));
        defaults = calloc(1, sizeof(BotConfig));
        if (!c || !defaults)
                return -ENOMEM;
        config_set_defaults(c);
        bot_config_set_defaults(defaults);
        r = read_manager(texts, c, defaults, problems);
        if (r < 0)
                return r;
        r = read_bots(texts, defaults, c, problems);
        if (r < 0)
                return r;
        if (!is_usable(problems))
                return -EINVAL;
        *ret = TAKE_PTR(c);
        return 0;
}

int config_load(const char *const *directories, Config **ret, ConfigProblems *ret_problems)
{
        _cleanup_(config_texts_done) ConfigTexts texts = {};
        ConfigProblems problems = {};
        int r;

        r = config_texts_read(directories, &texts, &problems);
        if (r >= 0)
                r = config_from_texts(&texts, ret, &problems);
        *ret_problems = problems;
        return r;
}

const BotConfig *config_find_bot(const Config *c, const char *name)
{
        for (size_t i = 0; i < c->n_bots; i++)
                if (streq(c->bots[i]->name, name))
                        return c->bots[i];
        return NULL;
}
