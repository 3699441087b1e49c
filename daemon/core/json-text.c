/* SPDX-License-Identifier: MIT */

#include <limits.h>

#include "core/json-text.h"

/* What json-c 0.16 takes on a 64-bit machine with glibc's malloc(): an object has a table for 16 members, an array
 * room for one value and more, a member a copy of its name. A value is behind each comma, and first in each array. */
#define OBJECT_MEMORY 800u
#define ARRAY_MEMORY  230u
#define MEMBER_MEMORY 32u
#define VALUE_MEMORY  96u

/* Little texts are all right, whatever is in them. */
#define MEMORY_FREE ((size_t) 64 * 1024)

/* The quotation mark that ends the string which begins at `p`, or the last byte of a text that is cut off. NULL where a
 * control character comes first, or half of a character of UTF-16, which json-c takes for UTF-8. */
static const char *string_end(const char *p, const char *end)
{
        for (p++; p < end && *p != '"'; p++) {
                unsigned char c = (unsigned char) *p;

                if (c < 0x20 || (c == 0xed && p + 1 < end && (unsigned char) p[1] >= 0xa0))
                        return NULL;
                if (c == '\\')
                        p++;
        }
        return p < end ? p : end - 1;
}

size_t json_text_memory(const char *text, size_t size)
{
        const char *end = text + size, *string;
        size_t memory = size;

        for (const char *p = text; p < end; p++)
                switch (*p) {
                case '"':
                        string = string_end(p, end);
                        if (string)
                                p = string; /* what is in it takes about its own size */
                        break;
                case '{':
                        memory += OBJECT_MEMORY;
                        break;
                case '[':
                        memory += ARRAY_MEMORY;
                        break;
                case ':':
                        memory += MEMBER_MEMORY;
                        break;
                case ',':
                        memory += VALUE_MEMORY;
                        break;
                default:
                        break;
                }
        return memory;
}

static bool is_too_large(const char *text, size_t size)
{
        size_t memory;

        if (size > INT_MAX)
                return true;
        memory = json_text_memory(text, size);
        return memory > JSON_TEXT_MEMORY_MAX || memory > JSON_TEXT_MEMORY_RATIO_MAX * size + MEMORY_FREE;
}

/* What json-c takes beyond JSON (RFC 8259) even when it is strict: NaN, Infinity, single quotes, control characters in
 * strings, a number that ends in its point. It prints them as they came, and the reader of a worker would refuse all
 * updates for the one with them. */
static bool is_lax(const char *text, size_t size)
{
        const char *end = text + size;

        for (const char *p = text; p < end; p++)
                switch (*p) {
                case '"':
                        p = string_end(p, end);
                        if (!p)
                                return true;
                        break;
                case '.':
                        if (p + 1 == end || p[1] < '0' || p[1] > '9')
                                return true;
                        break;
                case 'N':
                case 'I':
                case '\'':
                        return true;
                default:
                        break;
                }
        return false;
}

int json_text_parse(const char *text, size_t size, json_object **ret)
{
        json_tokener *tokener;

        *ret = NULL;
        /* json-c stops at a NUL, whatever comes behind it; JSON text has none. */
        if (size == 0 || memchr(text, '\0', size) || is_lax(text, size) || is_too_large(text, size))
                return 0;

        tokener = json_tokener_new_ex(JSON_TEXT_DEPTH_MAX);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        *ret = json_tokener_parse_ex(tokener, text, (int) size);
        /* json-c 0.16 has no error of its own for memory: what it returns then is no value either, and the caller takes
         * the text for one that is not understood, which is the safe reading. */
        json_tokener_free(tokener);
        return 0;
}
