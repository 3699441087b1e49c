/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "core/unit-result.h"
#include "manager/bot.h"

/* Whose worker a unit is. It is asked several times for each start of one, so it is looked up: only who is named by a
 * glob has to be compared with. */

static bool is_before(const Worker *w, const char *unit, const char *bot)
{
        int c = strcmp(w->pattern, unit);

        return c != 0 ? c < 0 : strcmp(w->bot->name, bot) < 0;
}

/* The first of the units that is not before that one of that bot. */
static size_t place(const WorkerList *l, const char *unit, const char *bot)
{
        size_t from = 0, to = l->n;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (is_before(l->items + middle, unit, bot))
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

static int reserve(WorkerList *l, size_t n_more)
{
        Worker *grown = reallocarray(l->items, l->n + n_more + 1, sizeof(Worker));

        if (!grown)
                return -ENOMEM;
        l->items = grown;
        return 0;
}

static WorkerList *list_of(Workers *w, const char *pattern)
{
        return unit_name_is_glob(pattern) ? &w->globs : &w->units;
}

void workers_forget(Workers *w, const Bot *b)
{
        STRV_FOREACH(pattern, b->config ? b->config->workers : NULL) {
                WorkerList *l = list_of(w, *pattern);
                size_t i = place(l, *pattern, b->name);

                assert(i < l->n && l->items[i].bot == b);
                l->n--;
                memmove(l->items + i, l->items + i + 1, (l->n - i) * sizeof(Worker));
        }
}

int workers_replace(Workers *w, Bot *b, const BotConfig *config)
{
        size_t n = strv_length(config->workers);
        int r;

        r = reserve(&w->units, n);
        if (r >= 0)
                r = reserve(&w->globs, n);
        if (r < 0)
                return r;
        workers_forget(w, b);
        STRV_FOREACH(pattern, config->workers) {
                WorkerList *l = list_of(w, *pattern);
                size_t i = place(l, *pattern, b->name);

                memmove(l->items + i + 1, l->items + i, (l->n - i) * sizeof(Worker));
                l->items[i] = (Worker){ *pattern, b };
                l->n++;
        }
        return 0;
}

void workers_done(Workers *w)
{
        free(w->units.items);
        free(w->globs.items);
}

/* Of several the first in the order of names. */
static void consider(Bot **found, const Worker *w, const Bot *except, bool by_present_settings)
{
        if (w->bot == except || by_present_settings != !w->bot->config_error)
                return;
        if (!*found || strcmp(w->bot->name, (*found)->name) < 0)
                *found = w->bot;
}

Bot *workers_find(const Workers *w, const char *unit, const Bot *except, bool by_present_settings)
{
        Bot *found = NULL;

        for (size_t i = place(&w->units, unit, ""); i < w->units.n && streq(w->units.items[i].pattern, unit); i++)
                consider(&found, w->units.items + i, except, by_present_settings);
        for (size_t i = 0; i < w->globs.n; i++)
                if (unit_name_matches(w->globs.items[i].pattern, unit))
                        consider(&found, w->globs.items + i, except, by_present_settings);
        return found;
}
