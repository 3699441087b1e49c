/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/fs-util.h"
#include "base/log.h"
#include "daemon.h"
#include "io/config.h"
#include "io/inhibitor.h"
#include "io/local-files.h"
#include "judge.h"
#include "systemd.h"

/* The rest of io/ and base/ that reaches outside: the few files that the manager touches itself, the configuration,
 * logind, the log. */

/* ---- base/fs-util.h: credentials, and the environment files of workers ---- */

int read_file_at(int fd, const char *name, int flags, size_t size_max, char **ret, size_t *ret_size)
{
        static const char certificate[] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        const char *bot = strchr(name, '_'), *text = NULL;
        const SimBot *b = bot ? world_find_bot(bot + 1) : NULL;

        if (b && startswith(name, "token_") && b->has_token)
                text = b->token;
        else if (b && startswith(name, "secret_") && b->has_secret)
                text = "a_webhooks_secret";
        else if (b && startswith(name, "certificate_") && b->has_certificate)
                text = certificate;
        if (!text)
                return -ENOENT;
        *ret = strdup(text);
        if (!*ret)
                return -ENOMEM;
        *ret_size = strlen(*ret);
        return 0;
}

/* By the settings of now, or those that the daemon still goes by: whatever is broken in /etc, the copy has. */
static bool may_export(const SimBot *b)
{
        return world.settings.bots[b->index].export_token || world.copy.bots[b->index].export_token;
}

int write_file_atomic_at(int fd, const char *name, const void *bytes, size_t size, mode_t mode, WriteSync sync)
{
        static const char cloud[] = "TGSWITCH_ENDPOINT=cloud\n", none[] = "TGSWITCH_ENDPOINT=none\n";
        char bot[sizeof(world.bots[0].name)];
        SimBot *b;

        int r = refusal(REFUSABLE_DISK);

        if (daemon_dies_here("an environment file"))
                return 0;
        if (r < 0 || fault(world.faults.disk_fails))
                return -ENOSPC;
        snprintf(bot, sizeof(bot), "%.*s", (int) strcspn(name, "."), name);
        b = world_find_bot(bot);
        judge_bytes(may_export(b) && mode == 0600 ? b : NULL, "an environment file", bytes, size);
        if (memmem(bytes, size, none, strlen(none)))
                b->disk.published = SEAT_NONE;
        else
                b->disk.published = memmem(bytes, size, cloud, strlen(cloud)) ? SEAT_CLOUD : SEAT_LOCAL;
        return 0;
}

/* ---- io/local-files.h: no server here is in --local mode, so nobody looks ---- */

int local_files_read(const char *etc, const char *directory, const char *user, const char *group, LocalFiles *ret)
{
        return -ENOENT;
}

const LocalUser *local_files_find_user(const LocalFiles *f, const char *user)
{
        return NULL;
}

void local_files_done(LocalFiles *f)
{
}

/* ---- io/config.h ---- */

const char *const config_directories[] = { "etc", NULL };

static char **names_of_workers(const SimBot *b, const BotSettings *s)
{
        char **workers = calloc(b->n_workers + 1, sizeof(char *)), *glob;

        assert(workers);
        if (s->glob) {
                if (asprintf(&glob, "%s-w*.service", b->name) < 0)
                        abort();
                workers[0] = glob;
                return workers;
        }
        for (size_t i = 0; i < b->n_workers; i++) {
                workers[i] = strdup(b->workers[i]->name);
                assert(workers[i]);
        }
        return workers;
}

static BotConfig *bot_config_new(const SimBot *b, const BotSettings *s)
{
        BotConfig *c = calloc(1, sizeof(BotConfig));

        assert(c);
        *c = (BotConfig){
                .name = strdup(b->name),
                .path = strdup("a file in bots.d"),
                .initial_seat = s->initial_seat,
                .workers = names_of_workers(b, s),
                .spool_to = s->spool_to ? strdup(b->workers[0]->name) : NULL,
                .spool_to_given = s->spool_to && s->spool_to_given,
                .move = s->move,
                .on_undrained = s->on_undrained,
                .on_undrained_given = s->on_undrained_given,
                .drain_timeout_usec = s->drain_timeout_usec,
                .stop_timeout_usec = s->stop_timeout_usec,
                .start_timeout_usec = s->start_timeout_usec,
                .spool_timeout_usec = s->spool_timeout_usec,
                .log_out_timeout_usec = s->log_out_timeout_usec,
                .log_in_timeout_usec = s->log_in_timeout_usec,
                .hold_timeout_usec = s->hold_timeout_usec,
                .settle_usec = s->settle_usec,
                .webhook_secret_known = s->webhook_secret_known,
                .webhook_has_secret = s->webhook_has_secret,
                .fallback = s->fallback,
                .fallback_grace_usec = s->fallback_grace_usec,
                .export_token = s->export_token,
        };
        return c;
}

static void add_problem(ConfigProblems *p, const char *bot)
{
        p->items = reallocarray(p->items, p->n + 1, sizeof(ConfigProblem));
        assert(p->items);
        p->items[p->n++] = (ConfigProblem){
                .path = strdup("/etc/tgswitch/a.conf"),
                .line = 1,
                .message = strdup("There is a mistake."),
                .bot = bot ? strdup(bot) : NULL,
        };
}

int config_load(const char *const *directories, Config **ret, ConfigProblems *ret_problems)
{
        bool copy = !streq(directories[0], "etc");
        const Settings *s = copy ? &world.copy : &world.settings;
        Config *c;

        *ret_problems = (ConfigProblems){};
        if ((copy && !world.has_copy) || s->state == FILE_BROKEN) {
                add_problem(ret_problems, NULL);
                return -EINVAL;
        }
        c = calloc(1, sizeof(Config));
        assert(c);
        *c = (Config){
                .cloud_root = strdup(CLOUD_ROOT),
                .local_root = strdup(LOCAL_ROOT),
                .server_unit = strdup(SERVER_UNIT),
                .server_start_timeout_usec = s->server_start_timeout_usec,
                .login_probe = s->login_probe,
                .state_free_min = 64u << 20,
                .connections_max = s->connections_max,
                .concurrency = s->concurrency,
                .max_failures = s->max_failures,
                .stop_when_unused = s->stop_when_unused,
                .server_probe_usec = s->server_probe_usec,
                .bots = calloc(SIM_BOTS_MAX + 1, sizeof(BotConfig *)),
        };
        assert(c->bots);
        for (size_t i = 0; i < world.n_bots; i++)
                if (s->bots[i].state == FILE_GOOD)
                        c->bots[c->n_bots++] = bot_config_new(&world.bots[i], &s->bots[i]);
                else if (s->bots[i].state == FILE_BROKEN)
                        add_problem(ret_problems, world.bots[i].name);
        *ret = c;
        return 0;
}

BotConfig *bot_config_free(BotConfig *b)
{
        if (!b)
                return NULL;
        for (char **w = b->workers; w && *w; w++)
                free(*w);
        free(b->workers);
        free(b->spool_to);
        free(b->name);
        free(b->path);
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
        free(c);
        return NULL;
}

void config_problems_done(ConfigProblems *p)
{
        for (size_t i = 0; i < p->n; i++) {
                free(p->items[i].path);
                free(p->items[i].message);
                free(p->items[i].bot);
        }
        free(p->items);
        *p = (ConfigProblems){};
}

char *config_problem_describe(const ConfigProblem *p)
{
        char *text;
        int r;

        if (p->line > 0)
                r = asprintf(&text, "%s:%u: %s", p->path, p->line, p->message);
        else
                r = asprintf(&text, "%s: %s", p->path, p->message);
        return r < 0 ? NULL : text;
}

int config_save_copy(const char *const *directories, const char *copy)
{
        const Settings *s = &world.settings;
        Settings merged = *s;

        if (s->state == FILE_BROKEN)
                return -EINVAL;
        if (fault(world.faults.disk_fails))
                return -EIO;
        for (size_t i = 0; i < world.n_bots; i++)
                if (s->bots[i].state != FILE_GOOD)
                        merged.bots[i] = world.copy.bots[i];
        world.copy = merged;
        world.has_copy = true;
        return 0;
}

int config_load_copy(const char *copy, Config **ret)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};

        return config_load((const char *const[]){ copy, NULL }, ret, &problems);
}

int config_copy_forget_bot(const char *copy, const char *bot)
{
        world.copy.bots[world_find_bot(bot)->index].state = FILE_GONE;
        return 0;
}

/* The world has no file that is called otherwise. */
bool bot_name_is_valid(const char *name)
{
        return true;
}

/* ---- io/inhibitor.h ---- */

struct Inhibitor {
        InhibitorState state;
};

int inhibitor_take(Inhibitor **ret, sd_bus *bus, const char *why)
{
        Inhibitor *i = calloc(1, sizeof(Inhibitor));

        if (!i)
                return -ENOMEM;
        *ret = i;
        return 0;
}

Inhibitor *inhibitor_free(Inhibitor *i)
{
        free(i);
        return NULL;
}

InhibitorState inhibitor_state(const Inhibitor *i)
{
        return i->state;
}

/* ---- base/log.h ---- */

int log_max_level(void)
{
        /* All of it, for the judge. */
        return LOG_DEBUG;
}

int log_internal(int level, int error, const LogContext *context, const char *format, ...)
{
        const char *bot = context ? context->fields[LOG_FIELD_BOT] : NULL;
        char text[1024];
        va_list ap;

        errno = -error;
        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        judge_text(NULL, "the log", text);
        judge_line(text);
        for (LogField f = 0; context && f < LOG_FIELD_MAX; f++)
                if (context->fields[f])
                        judge_text(NULL, "a field of the log", context->fields[f]);
        trace("    %s: %s", bot ?: "tgswitchd", text);
        return error;
}

/* ---- libsystemd: the line that systemctl status shows ---- */

int sd_notifyf(int unset_environment, const char *format, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        judge_text(NULL, "STATUS=", text);
        return 0;
}
