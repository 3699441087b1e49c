/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "ctl/ctl-bot-file.h"

#define WHITESPACE " \t\r"

typedef struct Line {
        const char *begin;
        size_t size; /* without its newline */
} Line;

static bool next_line(const char **p, Line *ret)
{
        if (!**p)
                return false;
        *ret = (Line){ .begin = *p, .size = strcspn(*p, "\n") };
        *p += ret->size + ((*p)[ret->size] == '\n');
        return true;
}

/* What stands in the line without the blanks around it. */
static Line stripped(Line l)
{
        while (l.size > 0 && strchr(WHITESPACE, l.begin[0])) {
                l.begin++;
                l.size--;
        }
        while (l.size > 0 && strchr(WHITESPACE, l.begin[l.size - 1]))
                l.size--;
        return l;
}

static bool line_is(Line l, const char *text)
{
        return l.size == strlen(text) && strncmp(l.begin, text, l.size) == 0;
}

static bool line_has_key(Line l, const char *key, size_t key_size)
{
        Line name = { .begin = l.begin, .size = l.size };
        const char *equals = memchr(l.begin, '=', l.size);

        if (!equals)
                return false;
        name.size = (size_t) (equals - l.begin);
        name = stripped(name);
        return name.size == key_size && strncmp(name.begin, key, key_size) == 0;
}

int bot_file_add(const char *text, const char *line, char **ret)
{
        const char *p = text, *at = NULL;
        bool in_section = false;
        size_t key_size = strcspn(line, "=");
        Line l;
        char *out;
        int r;

        while (next_line(&p, &l)) {
                Line s = stripped(l);

                if (s.size > 0 && s.begin[0] == '[') {
                        in_section = line_is(s, "[Bot]");
                        if (in_section && !at)
                                at = p;
                } else if (in_section && line_has_key(s, line, key_size)) {
                        at = p;
                }
        }
        if (!at)
                return -ENOENT;
        /* Behind a last line without a newline ours has none either, so that it can be taken out without a trace. */
        if (at[-1] == '\n')
                r = asprintf(&out, "%.*s%s\n%s", (int) (at - text), text, line, at);
        else
                r = asprintf(&out, "%s\n%s", text, line);
        if (r < 0)
                return -ENOMEM;
        *ret = out;
        return 0;
}

int bot_file_remove(const char *text, const char *line, char **ret)
{
        const char *p = text, *from = NULL, *to = NULL;
        bool in_section = false;
        char *out;
        Line l;

        while (next_line(&p, &l)) {
                Line s = stripped(l);

                if (s.size > 0 && s.begin[0] == '[')
                        in_section = line_is(s, "[Bot]");
                else if (in_section && line_is(l, line)) {
                        from = l.begin;
                        to = p;
                }
        }
        if (!from)
                return -ENOENT;
        if (!*to && to > from && to[-1] != '\n' && from > text)
                from--;
        if (asprintf(&out, "%.*s%s", (int) (from - text), text, to) < 0)
                return -ENOMEM;
        *ret = out;
        return 0;
}
