/* SPDX-License-Identifier: MIT */
#include "core/unit-result.h"
#include "io/config-workers.h"

void worker_owners_done(WorkerOwners *o)
{
        free(o->units);
        free(o->globs);
        *o = (WorkerOwners){ 0 };
}

/* Where the unit is, or would have to be. */
static size_t place_of(const WorkerOwners *o, const char *unit)
{
        size_t from = 0, to = o->n_units;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (strcmp(o->units[middle].worker, unit) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

static int insert(WorkerOwner **list, size_t *n, size_t at, WorkerOwner owner)
{
        WorkerOwner *grown = reallocarray(*list, *n + 1, sizeof(WorkerOwner));

        if (!grown)
                return -ENOMEM;
        memmove(grown + at + 1, grown + at, (*n - at) * sizeof(WorkerOwner));
        grown[at] = owner;
        *list = grown;
        (*n)++;
        return 0;
}

int worker_owners_add(WorkerOwners *o, const BotConfig *b)
{
        int r = 0;

        for (char *const *worker = b->workers; worker && *worker && r >= 0; worker++) {
                WorkerOwner owner = { *worker, b };

                if (unit_name_is_glob(*worker))
                        r = insert(&o->globs, &o->n_globs, o->n_globs, owner);
                else
                        r = insert(&o->units, &o->n_units, place_of(o, *worker), owner);
        }
        return r;
}

const WorkerOwner *worker_owners_find(const WorkerOwners *o, const char *worker)
{
        bool glob = unit_name_is_glob(worker);
        size_t i = place_of(o, worker);

        if (i < o->n_units && streq(o->units[i].worker, worker))
                return o->units + i;
        for (i = 0; glob && i < o->n_units; i++)
                if (unit_name_matches(worker, o->units[i].worker))
                        return o->units + i;
        for (i = 0; i < o->n_globs; i++)
                if (glob ? streq(o->globs[i].worker, worker) : unit_name_matches(o->globs[i].worker, worker))
                        return o->globs + i;
        return NULL;
}
