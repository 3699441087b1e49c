/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"
#include "ctl/ctl-columns.h"

#define DOTS "..."

size_t char_columns(const char *s, size_t *ret_size)
{
        size_t size = utf8_sequence_length(s, strnlen(s, 4));
        mbstate_t state = { 0 };
        int columns = 1;
        wchar_t c;

        if (size > 0 && mbrtowc(&c, s, size, &state) == size)
                columns = wcwidth(c);
        *ret_size = MAX(size, (size_t) 1);
        return columns < 0 ? 1 : (size_t) columns;
}

/* Where the text ends that takes at most `columns`. */
static size_t bytes_within(const char *text, size_t columns)
{
        size_t i = 0, size, taken = 0;

        while (text[i]) {
                taken += char_columns(text + i, &size);
                if (taken > columns)
                        break;
                i += size;
        }
        return i;
}

size_t text_columns(const char *text)
{
        size_t columns = 0, size;

        for (; *text; text += size)
                columns += char_columns(text, &size);
        return columns;
}

char *text_cut(char *text, size_t columns)
{
        size_t n_dots = strlen(DOTS);

        if (text_columns(text) <= columns)
                return text;
        /* What is cut off is more than `n_dots` columns wide, so it has the bytes for the dots: no character is wider
         * than it is long. */
        if (columns > n_dots)
                memcpy(text + bytes_within(text, columns - n_dots), DOTS, n_dots + 1);
        else
                text[bytes_within(text, columns)] = '\0';
        return text;
}
