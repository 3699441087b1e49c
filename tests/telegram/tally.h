/* SPDX-License-Identifier: MIT */
#pragma once

#include "json-util.h"

/* Running sums over the ledger: how many updates nobody has accounted for yet, and what each server's queue
 * holds. */
typedef struct Tally Tally;

Tally *tally_new(void);
Tally *tally_free(Tally *tally);

void tally_count(Tally *tally, json_object *entry);
/* Updates that are neither handled, nor lost, nor wiped before anybody got them; or only those of them that are not
 * with the local server alone, in its queue or on their way to it. */
size_t tally_open(const Tally *tally, bool without_local);
/* Of one role: an array of { bot, queue, lock_left_ms }; now_usec is Telegram's. */
json_object *tally_queues(const Tally *tally, const char *role, uint64_t now_usec);
