/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/botapi-reply.h"

/* How many requests came to which end. There are as many ends as the table in reply-count.c has rows, whatever a server
 * answers: what it makes up does not become a label of a metric. */

#define REPLY_CODE_MAX 18u

typedef struct ReplyCount {
        uint64_t n[REPLY_CODE_MAX];
} ReplyCount;

void reply_count_note(ReplyCount *c, const BotApiReply *reply);

/* A request that may have arrived, and whose answer nobody waited for. */
void reply_count_canceled(ReplyCount *c);

/* "200", "other", "lost", …; the first is that of success. */
const char *reply_code_to_string(size_t i);
