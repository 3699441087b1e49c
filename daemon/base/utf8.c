/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

size_t utf8_sequence_length(const char *s, size_t n)
{
        const unsigned char *u = (const unsigned char *) s;
        uint32_t code, smallest;
        size_t length;

        if (n == 0)
                return 0;
        if (u[0] < 0x80)
                return 1;
        if ((u[0] & 0xe0) == 0xc0)
                length = 2, code = u[0] & 0x1f, smallest = 0x80;
        else if ((u[0] & 0xf0) == 0xe0)
                length = 3, code = u[0] & 0x0f, smallest = 0x800;
        else if ((u[0] & 0xf8) == 0xf0)
                length = 4, code = u[0] & 0x07, smallest = 0x10000;
        else
                return 0;
        if (n < length)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((u[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (u[i] & 0x3f);
        }
        if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return 0;
        /* noncharacters */
        if ((code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe)
                return 0;
        return length;
}

bool utf8_is_valid(const char *s, size_t n)
{
        while (n > 0) {
                size_t length = utf8_sequence_length(s, n);

                if (length == 0)
                        return false;
                s += length;
                n -= length;
        }
        return true;
}

char *utf8_make_valid(const char *s)
{
        char *copy = strdup(s);
        size_t n = strlen(s), length;

        if (!copy)
                return NULL;
        for (size_t i = 0; i < n; i += MAX(length, 1u)) {
                length = utf8_sequence_length(copy + i, n - i);
                if (length == 0)
                        copy[i] = '?';
        }
        return copy;
}
