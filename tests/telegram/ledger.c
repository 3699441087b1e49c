/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "ledger.h"

#define LEDGER_HANDLERS_MAX 4

struct Ledger {
        FILE *file;
        char **lines;
        size_t n_lines, n_allocated;
        struct {
                ledger_handler handler;
                void *userdata;
        } handlers[LEDGER_HANDLERS_MAX];
        size_t n_handlers;
};

int ledger_new(Ledger **ret, const char *path)
{
        _cleanup_(ledger_freep) Ledger *ledger = NULL;

        ledger = calloc(1, sizeof(*ledger));
        if (!ledger)
                return -ENOMEM;

        if (path) {
                ledger->file = fopen(path, "we");
                if (!ledger->file)
                        return -errno;
                /* By lines: whoever follows the file sees each entry at once, and a crash loses none. */
                setvbuf(ledger->file, NULL, _IOLBF, 0);
        }

        *ret = TAKE_PTR(ledger);
        return 0;
}

Ledger *ledger_free(Ledger *ledger)
{
        if (!ledger)
                return NULL;

        for (size_t i = 0; i < ledger->n_lines; i++)
                free(ledger->lines[i]);
        free(ledger->lines);
        if (ledger->file)
                fclose(ledger->file);
        free(ledger);
        return NULL;
}

void ledger_subscribe(Ledger *ledger, ledger_handler handler, void *userdata)
{
        assert(ledger->n_handlers < LEDGER_HANDLERS_MAX);
        ledger->handlers[ledger->n_handlers].handler = handler;
        ledger->handlers[ledger->n_handlers++].userdata = userdata;
}

json_object *ledger_entry(const char *event)
{
        json_object *entry = json_object_new_object();

        json_set_int(entry, "seq", 0);
        json_set_int(entry, "t", (int64_t) clock_now_usec());
        json_set_text(entry, "event", event);
        return entry;
}

json_object *ledger_entry_for(const char *event, const char *role, int64_t bot)
{
        json_object *entry = ledger_entry(event);

        json_set_text(entry, "role", role);
        if (bot > 0)
                json_set_int(entry, "bot", bot);
        return entry;
}

uint64_t ledger_add(Ledger *ledger, json_object *entry)
{
        _cleanup_json_ json_object *owned = entry;
        uint64_t seq = ledger->n_lines + 1;
        char *line;

        if (ledger->n_lines == ledger->n_allocated) {
                size_t n = MAX(ledger->n_allocated * 2, (size_t) 1024);
                char **lines = reallocarray(ledger->lines, n, sizeof(*lines));

                assert(lines);
                ledger->lines = lines;
                ledger->n_allocated = n;
        }

        json_set_int(owned, "seq", (int64_t) seq);
        line = strdup(json_plain(owned));
        assert(line);
        ledger->lines[ledger->n_lines++] = line;
        if (ledger->file)
                fprintf(ledger->file, "%s\n", line);

        for (size_t i = 0; i < ledger->n_handlers; i++)
                ledger->handlers[i].handler(ledger->handlers[i].userdata, owned);
        return seq;
}

size_t ledger_size(const Ledger *ledger)
{
        return ledger->n_lines;
}

const char *ledger_line(const Ledger *ledger, size_t i)
{
        assert(i < ledger->n_lines);
        return ledger->lines[i];
}
