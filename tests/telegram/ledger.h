/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

#include "json-util.h"

/* What was seen, in the order of arrival: JSON lines, kept in memory as text and, where asked for, in a
 * file. */
typedef struct Ledger Ledger;

typedef void (*ledger_handler)(void *userdata, json_object *entry);

/* path may be NULL: memory only. An existing file is started anew. */
int ledger_new(Ledger **ret, const char *path);
Ledger *ledger_free(Ledger *ledger);
DEFINE_CLEANUP(Ledger *, ledger_free);

/* Called for every entry after it was written; the entry is only lent. */
void ledger_subscribe(Ledger *ledger, ledger_handler handler, void *userdata);

/* An entry to fill in: seq (still 0), t, event. */
json_object *ledger_entry(const char *event);
/* The same with role and bot; role may be NULL, bot 0: left out. */
json_object *ledger_entry_for(const char *event, const char *role, int64_t bot);

/* Numbers the entry, writes it and consumes it. Returns its number. */
uint64_t ledger_add(Ledger *ledger, json_object *entry);

size_t ledger_size(const Ledger *ledger);
/* The line with number i + 1, without a line feed; owned by the ledger. */
const char *ledger_line(const Ledger *ledger, size_t i);
