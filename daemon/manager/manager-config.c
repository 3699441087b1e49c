/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* The configuration in force. The last good one is kept as a copy in the state directory: a file that was broken since
 * then stops new moves, never the bot. */

static char *copy_path(const Manager *m)
{
        char *path;

        return asprintf(&path, "%s/config", m->state_directory) < 0 ? NULL : path;
}

/* Logs all problems and returns them as one text, a line each. */
static char *report(const ConfigProblems *problems)
{
        LogContext context = { .event = LOG_EVENT_CONFIG_BAD };
        _cleanup_strv_ char **lines = NULL;

        for (size_t i = 0; i < problems->n; i++) {
                _cleanup_free_ char *line = config_problem_describe(&problems->items[i]);

                if (!line)
                        return NULL;
                /* A name that may stand for no bot of ours. */
                context.fields[LOG_FIELD_BOT] = problems->items[i].bot;
                (void) log_full(LOG_ERR, 0, &context, "%s", line);
                if (strv_extend(&lines, line) < 0)
                        return NULL;
        }
        return strv_join(lines, "\n");
}

/* The copy of what was good before, for what is not good now: read when it is needed, and let go of with
 * forget_fallback(). */
static int load_fallback(Manager *m)
{
        _cleanup_free_ char *path = copy_path(m);

        if (m->fallback)
                return 0;
        return path ? config_load_copy(path, &m->fallback) : -ENOMEM;
}

static void forget_fallback(Manager *m)
{
        config_free(m->fallback);
        m->fallback = NULL;
}

int manager_load_config(Manager *m)
{
        Config *config = NULL;
        int r;

        r = config_load(m->config_directories, &config, &m->problems);
        free(report(&m->problems));
        if (r >= 0) {
                m->config = config;
                return 0;
        }
        if (load_fallback(m) < 0)
                return log_event_errno(
                                LOG_ERR, LOG_EVENT_CONFIG_BAD, NULL, r,
                                "The configuration cannot be used, and there is no earlier one: correct what is said "
                                "above, then run 'systemctl restart tgswitchd'.");
        log_event(LOG_ERR, LOG_EVENT_CONFIG_BAD, NULL,
                  "The configuration cannot be used; the last good one stays in force. Correct what is said above, "
                  "then run 'systemctl reload tgswitchd'.");
        m->config = TAKE_PTR(m->fallback);
        return 0;
}

static BotConfig *take_bot_config(Config *c, const char *name)
{
        for (size_t i = 0; c && i < c->n_bots; i++) {
                if (!streq(c->bots[i]->name, name))
                        continue;
                BotConfig *taken = c->bots[i];

                memmove(c->bots + i, c->bots + i + 1, (c->n_bots - i - 1) * sizeof(BotConfig *));
                c->n_bots--;
                return taken;
        }
        return NULL;
}

static const ConfigProblem *problem_of(const Manager *m, const char *bot)
{
        for (size_t i = 0; i < m->problems.n; i++)
                if (streq_ptr(m->problems.items[i].bot, bot))
                        return &m->problems.items[i];
        return NULL;
}

/* Settled, its windows over, its session not young (the next window's length depends on that), no session owed a
 * logOut, nothing left to hand over: nothing is lost with the record. Where the disk did not take the last one, it may
 * not let go of the one before either, which tells of a move long over. */
static bool forgettable(const Bot *b)
{
        Moment now;

        return b->record_ok && !bot_job_running(b) && !b->saving && !b->unrecorded && clock_moment(&now) >= 0 &&
               bot_cloud_allowed_usec(b) == 0 && bot_local_allowed_usec(b) == 0 &&
               !window_session_is_young(&b->record.logged_in, &now) && !b->record.stale && bot_spooled_updates(b) == 0;
}

/* Takes the settings, whether it succeeds or not. */
static int use_config(Bot *b, BotConfig *config)
{
        int r;

        r = workers_replace(&b->manager->workers, b, config);
        if (r < 0) {
                bot_config_free(config);
                return r;
        }
        bot_config_free(b->config);
        b->config = config;
        return 0;
}

static int configure_bot(Bot *b)
{
        Manager *m = b->manager;
        const ConfigProblem *problem = problem_of(m, b->name);
        BotConfig *config = take_bot_config(m->config, b->name);
        int r;

        free(b->config_error);
        b->config_error = NULL;
        if (config)
                return use_config(b, config);
        if (!b->config && load_fallback(m) >= 0)
                config = take_bot_config(m->fallback, b->name);
        r = config ? use_config(b, config) : 0;
        if (r < 0)
                return r;
        if (problem)
                b->config_error = config_problem_describe(problem);
        else if (asprintf(&b->config_error,
                          "There is no bots.d/%s.conf any more; its last settings count as long as "
                          "the bot is not settled. Put the file back to move the bot.",
                          b->name) < 0)
                b->config_error = NULL;
        return b->config_error ? 0 : -ENOMEM;
}

static int configure_named(Manager *m, const char *name)
{
        Bot *b = manager_find_bot(m, name);
        bool added = !b;
        int r;

        if (added) {
                r = manager_add_bot(m, name, &b);
                if (r < 0)
                        return r;
        }
        r = configure_bot(b);
        if (r >= 0)
                r = added ? bot_load(b) : bot_declare_initial_seat(b);
        if (r < 0)
                return r;
        if (!added && !bot_job_running(b))
                bot_publish_environment(b);
        if (added && m->observer)
                m->observer->bot_added(b, m->observer->userdata);
        bot_changed(b);
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static void sort_and_unify(char **names, size_t n)
{
        size_t kept = 0;

        qsort(names, n, sizeof(char *), compare_names);
        for (size_t i = 0; i < n; i++) {
                if (kept > 0 && streq(names[kept - 1], names[i]))
                        free(names[i]);
                else
                        names[kept++] = names[i];
        }
        names[kept] = NULL;
}

/* Every name that stands for a bot: in the configuration, with a record, or with a file that cannot be read. */
static int collect_names(Manager *m, char ***ret)
{
        _cleanup_strv_ char **stored = NULL, **names = NULL;
        size_t n = 0;
        int r;

        r = store_list(m->store, &stored);
        if (r < 0)
                return r;
        names = calloc(strv_length(stored) + m->config->n_bots + m->problems.n + m->n_bots + 1, sizeof(char *));
        if (!names)
                return -ENOMEM;

        STRV_FOREACH(name, stored)
                names[n++] = TAKE_PTR(*name);
        for (size_t i = 0; i < m->config->n_bots; i++)
                if (!(names[n++] = strdup(m->config->bots[i]->name)))
                        return -ENOMEM;
        for (size_t i = 0; i < m->problems.n; i++) {
                const char *bot = m->problems.items[i].bot;

                /* The name of a file like "shop-old.conf" stands for none: it is told, and that is all. */
                if (bot && bot_name_is_valid(bot) && !(names[n++] = strdup(bot)))
                        return -ENOMEM;
        }
        for (size_t i = 0; i < m->n_bots; i++)
                if (!(names[n++] = strdup(m->bots[i]->name)))
                        return -ENOMEM;

        sort_and_unify(names, n);
        *ret = TAKE_PTR(names);
        return 0;
}

static void forget_removed(Manager *m)
{
        _cleanup_free_ char *copy = copy_path(m);

        for (size_t i = m->n_bots; i > 0; i--) {
                Bot *b = m->bots[i - 1];
                _cleanup_free_ char *name = NULL;
                int r, k;

                if (!b->config_error || problem_of(m, b->name) || !forgettable(b))
                        continue;
                name = strdup(b->name);
                bot_log(b, LOG_NOTICE, "The bot has no file any more and is settled: it is forgotten.");
                manager_remove_bot(m, b);
                if (!name || !copy)
                        continue;
                r = store_forget(m->store, name);
                k = config_copy_forget_bot(copy, name);
                if (r < 0 || k < 0)
                        (void) log_warning_errno(r < 0 ? r : k,
                                                 "Failed to remove all that was stored of bot %s: %m. What is left in "
                                                 "%s is of no use.",
                                                 name, m->state_directory);
        }
}

typedef struct CopyWork {
        const char *const *directories;
        char *path;
} CopyWork;

static int copy_config(void *work)
{
        CopyWork *w = work;

        return config_save_copy(w->directories, w->path);
}

static void copy_work_free(void *work)
{
        CopyWork *w = work;

        free(w->path);
        free(w);
}

static void on_copied(DiskJob *job, int r, void *userdata)
{
        Manager *m = userdata;

        m->copying = disk_job_free(m->copying);
        if (r < 0)
                log_warning_errno(r, "Failed to keep a copy of the configuration, ignoring: %m");
}

static int save_copy(Manager *m)
{
        CopyWork *w = calloc(1, sizeof(CopyWork));
        int r;

        if (!w)
                return -ENOMEM;
        w->directories = m->config_directories;
        w->path = copy_path(m);
        if (!w->path) {
                free(w);
                return -ENOMEM;
        }
        m->copying = disk_job_free(m->copying);
        r = disk_queue_push(m->disk, copy_config, w, copy_work_free, on_copied, m, &m->copying);
        if (r < 0)
                copy_work_free(w);
        return r;
}

int manager_apply_config(Manager *m)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = collect_names(m, &names);
        STRV_FOREACH(name, names)
                if (r >= 0)
                        r = configure_named(m, *name);
        forget_fallback(m);
        if (r < 0)
                return r;
        /* Before anybody begins another job. */
        manager_history_write(m);
        forget_removed(m);
        r = save_copy(m);
        if (r < 0)
                log_warning_errno(r, "Failed to keep a copy of the configuration, ignoring: %m");
        /* Who is whose worker may have changed. */
        gate_reconsider_all(m);
        manager_schedule(m);
        manager_watch(m);
        manager_status_changed(m);
        return 0;
}

/* A cutover has proven the servers that it began with; no other may take their place before it has ended. */
static int may_replace(Manager *m, const Config *config, char **message)
{
        const Bot *moving = NULL;

        for (size_t i = 0; i < m->n_bots && !moving; i++)
                moving = bot_job_running(m->bots[i]) ? m->bots[i] : NULL;
        if (!moving ||
            (streq(config->cloud_root, m->config->cloud_root) && streq(config->local_root, m->config->local_root) &&
             streq(config->server_unit, m->config->server_unit)))
                return 0;
        free(*message);
        if (asprintf(message,
                     "CloudServer=, LocalServer= and LocalServerUnit= cannot change while a bot is moved (%s, job %" PRIu32
                     "): wait for it with 'tgswitchctl wait %" PRIu32 "', then reload again.",
                     moving->name, moving->record.job.id, moving->record.job.id) < 0)
                *message = NULL;
        log_error("%s", *message ?: "no memory");
        return -EBUSY;
}

int manager_reload(Manager *m, char **ret_message)
{
        ConfigProblems problems = {};
        Config *config = NULL;
        bool other_unit;
        int r;

        r = config_load(m->config_directories, &config, &problems);
        *ret_message = report(&problems);
        if (r < 0) {
                config_problems_done(&problems);
                log_event(LOG_ERR, LOG_EVENT_CONFIG_BAD, NULL,
                          "The configuration cannot be used; the last good one stays in force. Correct what is said "
                          "above, then run 'systemctl reload tgswitchd'.");
                return r;
        }
        r = may_replace(m, config, ret_message);
        if (r < 0) {
                config_problems_done(&problems);
                config_free(config);
                return r;
        }
        config_problems_done(&m->problems);
        m->problems = problems;
        other_unit = !streq(m->config->server_unit, config->server_unit);
        config_free(m->config);
        m->config = config;
        (void) clock_refresh_synchronised();
        r = manager_apply_config(m);
        if (r >= 0 && other_unit)
                r = server_watch(m);
        log_info("The configuration has been read again: %zu bot%s.", m->n_bots, m->n_bots == 1 ? "" : "s");
        return r;
}
