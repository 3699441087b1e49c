/* SPDX-License-Identifier: MIT */
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "core/botapi-reply.h"
#include "io/config-reader.h"

/* After so many the rest of a file is not read: it is something else. */
#define PROBLEMS_PER_FILE_MAX 20u

typedef struct Reader {
        const ConfigFile *file;
        const char *next; /* the unread rest */
        const char *end;
        unsigned line;
        bool in_section;      /* any */
        bool in_good_section; /* one whose assignments are looked at */
        size_t n_before;      /* problems before this file */

        config_assign_t assign;
        void *userdata;
        int result; /* of assign(), or -ENOMEM */
} Reader;

int config_problem_add(ConfigProblems *problems, const char *path, unsigned line, const char *bot, const char *format,
                       ...)
{
        ConfigProblem p = { .line = line };
        _cleanup_free_ char *message = NULL;
        ConfigProblem *grown;
        va_list ap;
        int n;

        grown = reallocarray(problems->items, problems->n + 1, sizeof(ConfigProblem));
        if (!grown)
                return -ENOMEM;
        problems->items = grown;
        va_start(ap, format);
        n = vasprintf(&message, format, ap);
        va_end(ap);
        if (n < 0) {
                message = NULL;
                return -ENOMEM;
        }
        /* A file may be called anything, and a unit almost. */
        p.message = botapi_clean_text(message, SIZE_MAX);
        p.path = botapi_clean_text(path, PATH_MAX);
        p.bot = bot ? botapi_clean_text(bot, NAME_MAX) : NULL;
        if (!p.message || !p.path || (bot && !p.bot)) {
                free(p.message);
                free(p.path);
                free(p.bot);
                return -ENOMEM;
        }
        problems->items[problems->n++] = p;
        return 0;
}

void config_problems_done(ConfigProblems *p)
{
        for (size_t i = 0; i < p->n; i++) {
                free(p->items[i].path);
                free(p->items[i].message);
                free(p->items[i].bot);
        }
        free(p->items);
        *p = (ConfigProblems){};
}

char *config_problem_describe(const ConfigProblem *p)
{
        char *text;
        int r;

        if (p->line > 0)
                r = asprintf(&text, "%s:%u: %s", p->path, p->line, p->message);
        else
                r = asprintf(&text, "%s: %s", p->path, p->message);
        return r < 0 ? NULL : text;
}

static void complain(Reader *reader, const char *message)
{
        int r = config_problem_add(reader->file->problems, reader->file->path, reader->line, reader->file->bot, "%s",
                                   message);

        if (r < 0)
                reader->result = r;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_letter(s[i]) && !(i > 0 && s[i] >= '0' && s[i] <= '9'))
                        return false;
        return n > 0;
}

static const char *check_section(Reader *reader, const char *s, size_t n)
{
        reader->in_section = true;
        reader->in_good_section = false;
        if (s[n - 1] != ']')
                return "A section is written [Name], with nothing behind it";
        for (const char *const *name = reader->file->sections; *name; name++)
                if (strlen(*name) == n - 2 && memcmp(*name, s + 1, n - 2) == 0) {
                        reader->in_good_section = true;
                        return NULL;
                }
        return reader->file->bot ? "Unknown section; this file has one, [Bot]"
                                 : "Unknown section; this file has [Manager] and [BotDefaults]";
}

/* What libinih would take otherwise than it is meant, or than systemd would: a ':' for the '=', an inline comment, a
 * line that goes on in the next. Returns what is wrong, or NULL. */
static const char *check_assignment(const Reader *reader, const char *s, size_t n)
{
        const char *equals = memchr(s, '=', n);
        size_t key_size = equals ? (size_t) (equals - s) : 0;

        if (!equals)
                return "Neither a comment, nor [Section], nor Key=Value";
        while (key_size > 0 && is_blank(s[key_size - 1]))
                key_size--;
        if (!is_word(s, key_size))
                return "The key before the '=' is no word of letters";
        if (!reader->in_section)
                return "An assignment must stand below a section, like [Bot]";
        if (s[n - 1] == '\\')
                return "A line does not go on in the next one; for a list, write the key once more";
        for (const char *p = equals + 1; p < s + n; p++)
                if (*p == ';' && is_blank(p[-1]))
                        return "A comment must stand on a line of its own";
        return NULL;
}

/* `s` begins and ends with something that is no blank. */
static const char *check_line(Reader *reader, const char *s, size_t n, size_t size_max)
{
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) s[i] < ' ' && s[i] != '\t')
                        return s[i] == '\r' ? "The line ends in CR LF; lines end in LF alone"
                                            : "There is a control character in this line";
        if (memchr(s, '\x7f', n))
                return "There is a control character in this line";
        if (!utf8_is_valid(s, n))
                return "The line is not UTF-8";
        if (s[0] == '#' || s[0] == ';')
                return NULL;
        if (n > size_max)
                return "The line is too long; for a list, write the key once more";
        return s[0] == '[' ? check_section(reader, s, n) : check_assignment(reader, s, n);
}

/* An ini_reader, like fgets(): one line a call, without indentation, which libinih takes for more of the line before.
 * A line with a mistake is told and left out, so that all mistakes of a file are found at once. */
static char *read_line(char *buffer, int size, void *userdata)
{
        Reader *reader = userdata;

        while (reader->next < reader->end && reader->result >= 0) {
                const char *s = reader->next;
                const char *newline = memchr(s, '\n', (size_t) (reader->end - s));
                const char *end = newline ?: reader->end;
                const char *wrong;

                reader->next = newline ? newline + 1 : reader->end;
                reader->line++;
                while (s < end && is_blank(*s))
                        s++;
                while (end > s && is_blank(end[-1]))
                        end--;
                if (s == end)
                        continue;
                /* Room for newline and NUL, and one more, as libinih counts a CR too. */
                wrong = check_line(reader, s, (size_t) (end - s), (size_t) size - 3);
                if (wrong) {
                        complain(reader, wrong);
                        if (reader->file->problems->n - reader->n_before >= PROBLEMS_PER_FILE_MAX)
                                return NULL;
                        continue;
                }
                if (*s == '#' || *s == ';' || !reader->in_good_section)
                        continue;
                snprintf(buffer, (size_t) size, "%.*s\n", (int) (end - s), s);
                return buffer;
        }
        return NULL;
}

static int on_assignment(void *userdata, const char *section, const char *key, const char *value)
{
        Reader *reader = userdata;

        if (reader->result >= 0)
                reader->result = reader->assign(reader->file, section, key, value, reader->line, reader->userdata);
        return 1;
}

int config_read(const ConfigFile *file, const char *bytes, size_t size, config_assign_t assign, void *userdata)
{
        Reader reader = {
                .file = file,
                .next = bytes,
                .end = bytes + size,
                .n_before = file->problems->n,
                .assign = assign,
                .userdata = userdata,
        };
        int r;

        r = ini_parse_stream(read_line, &reader, on_assignment, &reader);
        if (reader.result < 0)
                return reader.result;
        if (r == -2)
                return -ENOMEM;
        /* It has seen no line that we had not. Which one it was cannot be told: it counts those that it was given. */
        if (r != 0) {
                r = config_problem_add(file->problems, file->path, 0, file->bot,
                                       "The libinih of this host was built with other rules than tgswitchd expects, "
                                       "and does not take a line of this file; install it as the distribution has it");
                if (r < 0)
                        return r;
        }
        return reader.in_section;
}
