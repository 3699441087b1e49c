/* SPDX-License-Identifier: MIT */
#pragma once

#include "ledger.h"

/* Reads a ledger and says what became of every update and which laws were broken. Knows nothing but the
 * ledger. */

/* The verdict on these entries: see README.md. They are put in the order of their time first, because
 * entries of the local role arrive a little late. NULL where a line is no entry; *ret_bad is its index then.
 */
json_object *judge_lines(const char *const *lines, size_t n_lines, size_t *ret_bad);
json_object *judge_ledger(const Ledger *ledger);
/* The verdict on a file. Returns a negative errno, -EBADMSG where a line is no entry. */
int judge_file(const char *path, json_object **ret);

/* The same for people; to be freed. */
char *judge_table(json_object *verdict);
