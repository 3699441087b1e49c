/* SPDX-License-Identifier: MIT */
#include "manager/held.h"

static HeldWorker *find(const HeldWorkers *h, const char *unit)
{
        for (size_t i = 0; i < h->n; i++)
                if (streq(h->items[i].unit, unit))
                        return &h->items[i];
        return NULL;
}

int held_workers_add(HeldWorkers *h, const char *unit, const uint8_t invocation_id[static 16])
{
        HeldWorker *worker = find(h, unit), *grown;
        char *name;

        if (!worker) {
                name = strdup(unit);
                grown = name ? reallocarray(h->items, h->n + 1, sizeof(HeldWorker)) : NULL;
                if (!grown) {
                        free(name);
                        return -ENOMEM;
                }
                h->items = grown;
                worker = &grown[h->n++];
                worker->unit = name;
        }
        memcpy(worker->invocation_id, invocation_id, sizeof(worker->invocation_id));
        return 0;
}

const HeldWorker *held_workers_find(const HeldWorkers *h, const char *unit)
{
        return find(h, unit);
}

bool held_workers_has(const HeldWorkers *h, const char *unit, const uint8_t invocation_id[static 16])
{
        const HeldWorker *worker = find(h, unit);

        return worker && memcmp(worker->invocation_id, invocation_id, sizeof(worker->invocation_id)) == 0;
}

void held_workers_clear(HeldWorkers *h)
{
        for (size_t i = 0; i < h->n; i++)
                free(h->items[i].unit);
        free(h->items);
        *h = (HeldWorkers){};
}
