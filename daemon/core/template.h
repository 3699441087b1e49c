/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* Environment variables made of a bot's endpoint and token: "NAME=TEXT", where {root} in the text is the root of the
 * API and {token} the token. Everything else stands for itself, other braces too: "API_URL={root}/bot{0}/{1}" is what
 * pyTelegramBotAPI takes. Used by Export= (tgswitch-bot(5)) and by tgswitch-exec(1). */

/* Texts to replace; the first one in the table that fits counts. */
typedef struct Replacement {
        const char *from;
        const char *to;
} Replacement;

/* A copy with every `from` replaced, in one piece of memory of exactly the size that it takes: realloc() would leave
 * copies of a token behind. Where a `to` is secret, the caller wipes the result. NULL: no memory. */
char *template_replace(const char *text, const Replacement *table, size_t n) _must_check_;

typedef enum TemplateWord {
        TEMPLATE_ROOT = 1 << 0,
        TEMPLATE_TOKEN = 1 << 1,
} TemplateWord;

/* Which of the words stand in an assignment, as a mask. -EINVAL: it is none. The name is one of a variable in the
 * shell; the text is printable ASCII without blanks, quotes, '$' and backslashes, so that systemd's EnvironmentFile=
 * takes it as it stands. */
int template_words(const char *assignment) _must_check_;

/* The assignment with both filled in, to be wiped if it has the token. `token` may be NULL where {token} is not in it.
 * NULL: no memory. */
char *template_fill(const char *assignment, const char *root, const char *token) _must_check_;

/* Under these names programs and frameworks look for them; NULL-terminated. */
extern const char *const template_endpoint_variables[];
extern const char *const template_token_variables[];
