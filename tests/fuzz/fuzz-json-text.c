/* SPDX-License-Identifier: MIT */

/* JSON that a stranger has sent; the input is nothing else. How much memory a text takes is known before it is parsed,
 * and what is parsed is what stands there. */

#include <malloc.h>

#include "core/json-text.h"
#include "fuzz.h"

/* What malloc() may hold back of what the parser has freed, and what libc sets up for the first number of a process. */
#define KEPT_SIZE_MAX 32768u

/* Of AddressSanitizer, whose allocator malloc() is where it is linked. */
/* NOLINTNEXTLINE(readability-identifier-naming): its name for it */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
        struct mallinfo2 info;

        if (__sanitizer_get_current_allocated_bytes)
                return __sanitizer_get_current_allocated_bytes();
        info = mallinfo2();
        return info.uordblks + info.hblkhd;
}

static unsigned depth_of(json_object *value)
{
        unsigned deepest = 0, depth;

        if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++) {
                        depth = depth_of(json_object_array_get_idx(value, i));
                        deepest = MAX(deepest, depth);
                }
                return deepest + 1;
        }
        if (json_object_is_type(value, json_type_object)) {
                struct json_object_iterator i = json_object_iter_begin(value), end = json_object_iter_end(value);

                for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
                        depth = depth_of(json_object_iter_peek_value(&i));
                        deepest = MAX(deepest, depth);
                }
                return deepest + 1;
        }
        return 0;
}

/* A value that is written is the same when it is read again, unless that text would take too much. */
static void assert_read_back(json_object *value)
{
        json_object *again = NULL;
        const char *text, *again_text;
        size_t size, again_size;

        text = json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN, &size);
        assert(json_text_parse(text, size, &again) == 0);
        assert(again || json_text_memory(text, size) > JSON_TEXT_MEMORY_RATIO_MAX * size);
        if (!again)
                return;
        again_text = json_object_to_json_string_length(again, JSON_C_TO_STRING_PLAIN, &again_size);
        assert(again_size == size && memcmp(again_text, text, size) == 0);
        json_object_put(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *) data;
        size_t memory = json_text_memory(text, size), before = allocated();
        json_object *value = NULL;

        assert(memory >= size);
        assert(json_text_parse(text, size, &value) == 0);
        if (!value)
                return 0;
        /* nothing is built that was not counted; it may be less than before */
        assert(allocated() <= before + memory + memory / 4 + KEPT_SIZE_MAX);
        assert(memory <= JSON_TEXT_MEMORY_RATIO_MAX * size + 65536);
        assert(!memchr(text, '\0', size));
        assert(depth_of(value) <= JSON_TEXT_DEPTH_MAX);
        /* a number alone ends at what comes behind it, and here nothing does */
        if (depth_of(value) > 0)
                assert_read_back(value);
        json_object_put(value);
        return 0;
}
