/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* The only type that holds a token. Its memory is on a page with other tokens and nothing else, which is locked as far
 * as RLIMIT_MEMLOCK goes and kept out of core dumps, and it is wiped when freed. Any other copy is for a moment: it is
 * made for one request, credential or file, and wiped after it. Tokens are made and freed by one thread. */

#define BOT_TOKEN_SIZE_MAX 80

typedef struct BotToken BotToken;

/* Takes the bytes of a credential; one trailing newline is allowed. The rules are the server's own
 * (ClientManager.cpp): at most 80 characters, a numeric id (0 < id < 2^54, first digit not 0), ':', then a
 * secret of at least 24 characters of base64url. Returns -EINVAL for anything else; the bytes are never part
 * of an error. */
int bot_token_new(BotToken **ret, const char *bytes, size_t size) _must_check_;
BotToken *bot_token_free(BotToken *t);
DEFINE_CLEANUP(BotToken *, bot_token_free);

/* Whether mlock(2) was allowed to keep the token out of swap. */
bool bot_token_is_locked(const BotToken *t) _pure_;

/* The bot's user id, the part before the colon: not a secret. */
int64_t bot_token_id(const BotToken *t) _pure_;

/* The token itself, valid as long as the object. For the request line and the credential of a worker only
 * (L7). */
const char *bot_token_reveal(const BotToken *t) _pure_;
bool bot_token_equal(const BotToken *a, const BotToken *b) _pure_;

/* How long the word is that begins at text[at], if it may be the secret half of a token: 24 characters of base64url or
 * more with both small and capital letters among them; else, and within a word, 0. Nothing that people write looks like
 * that, and of what servers say only the names of files. */
size_t bot_token_secret_length(const char *text, size_t at) _pure_;

/* Returns a copy of `text` in which every occurrence of the token reads "{token}", and every one of its
 * secret part without the id in front, as in a URL with "%3A" for the colon, reads "{secret}".
 * bot_token_expand() is the reverse; what it returns holds a secret again and is the caller's to wipe. NULL:
 * no memory. */
char *bot_token_redact(const BotToken *t, const char *text) _must_check_;
char *bot_token_expand(const BotToken *t, const char *text) _must_check_;
