/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "base/macro.h"

/* How wide text is on a terminal. The C library says it of a character, by LC_CTYPE, which main() sets; what it does
 * not know, and bytes that are no UTF-8, count as one column each: that is what a terminal shows for them. */

/* Of the character that `s`, which is not empty, begins with; sets how many bytes it has. */
size_t char_columns(const char *s, size_t *ret_size);

size_t text_columns(const char *text);

/* Shortens `text` so that it takes at most `columns`, with "..." at its end where there is room for that. No character
 * is cut in two. Returns `text`. */
char *text_cut(char *text, size_t columns);
