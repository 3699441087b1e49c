/* SPDX-License-Identifier: MIT */
#pragma once

#include "json-util.h"

/* Running sums over the ledger: how many updates nobody has accounted for yet, and what each server's queue
 * holds. */
typedef struct Tally Tally;

Tally *tally_new(void);
Tally *tally_free(Tally *tally);

void tally_count(Tally *tally, json_object *entry);
/* Updates that are neither handled, nor lost, nor wiped before anybody got them. */
size_t tally_open(const Tally *tally);
/* Of one role: an array of { bot, queue, lock_left_ms }. */
json_object *tally_queues(const Tally *tally, const char *role);
