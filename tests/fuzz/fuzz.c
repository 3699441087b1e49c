/* SPDX-License-Identifier: MIT */
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "fuzz.h"

FuzzInput fuzz_input(const uint8_t *data, size_t size)
{
        return (FuzzInput){ (const char *) data, size };
}

char *fuzz_take_line(FuzzInput *in)
{
        const char *newline = in->left > 0 ? memchr(in->next, '\n', in->left) : NULL;
        size_t length = newline ? (size_t) (newline - in->next) : in->left;
        char *line = strndup(in->next ?: "", length);

        assert(line);
        in->next += length + (newline != NULL);
        in->left -= length + (newline != NULL);
        return line;
}

char *fuzz_take_word(char **line)
{
        char *word = *line, *end = word + strcspn(word, " ");

        *line = end + strspn(end, " ");
        *end = '\0';
        return word;
}

void fuzz_assert_text(const char *text, size_t size_max)
{
        size_t size;

        assert(text);
        size = strlen(text);
        assert(size <= size_max);
        assert(utf8_is_valid(text, size));
        for (const unsigned char *p = (const unsigned char *) text; *p; p++) {
                assert(*p >= 0x20 && *p != 0x7f);
                /* U+0080 to U+009F */
                assert(*p != 0xc2 || p[1] >= 0xa0);
        }
}

void fuzz_assert_untouched(const void *now, const void *before, size_t size)
{
        assert(memcmp(now, before, size) == 0);
}

static char *directory;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void remove_directory(void)
{
        (void) nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(directory);
}

const char *fuzz_directory(void)
{
        const char *parent = getenv("TMPDIR");

        if (!directory) {
                assert(asprintf(&directory, "%s/tgswitch-fuzz-XXXXXX", parent ?: "/tmp") > 0);
                assert(mkdtemp(directory));
                assert(atexit(remove_directory) == 0);
        }
        return directory;
}
