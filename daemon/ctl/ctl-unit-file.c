/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "ctl/ctl-unit-file.h"

#define WHITESPACE " \t\r\f\v"
#define PREFIXES   "@-:+!|" /* systemd.service(5), SPECIAL EXECUTABLE PREFIXES */

void unit_settings_done(UnitSettings *s)
{
        for (size_t i = 0; i < s->n; i++) {
                free(s->items[i].path);
                free(s->items[i].section);
                free(s->items[i].key);
                free(s->items[i].value);
        }
        free(s->items);
        *s = (UnitSettings){};
}

static int add_setting(UnitSettings *s, const char *path, const char *section, const char *key, const char *value)
{
        UnitSetting fresh = {
                .path = strdup(path), .section = strdup(section), .key = strdup(key), .value = strdup(value)
        };
        UnitSetting *grown = reallocarray(s->items, s->n + 1, sizeof(UnitSetting));

        if (grown)
                s->items = grown;
        if (!grown || !fresh.path || !fresh.section || !fresh.key || !fresh.value) {
                free(fresh.path);
                free(fresh.section);
                free(fresh.key);
                free(fresh.value);
                return -ENOMEM;
        }
        s->items[s->n++] = fresh;
        return 0;
}

/* Cuts blanks off both ends, in place. */
static char *strip(char *s)
{
        size_t n;

        s += strspn(s, WHITESPACE);
        for (n = strlen(s); n > 0 && strchr(WHITESPACE, s[n - 1]); n--)
                s[n - 1] = '\0';
        return s;
}

static int add_line(UnitSettings *s, const char *path, char *line, char **section)
{
        char *equals, *end;

        line = strip(line);
        if (line[0] == '[') {
                end = strchr(line, ']');
                if (!end)
                        return 0;
                *end = '\0';
                free(*section);
                *section = strdup(line + 1);
                return *section ? 0 : -ENOMEM;
        }
        equals = strchr(line, '=');
        if (!equals || !*section)
                return 0;
        *equals = '\0';
        return add_setting(s, path, *section, strip(line), strip(equals + 1));
}

static bool is_comment(const char *line)
{
        line += strspn(line, WHITESPACE);
        return *line == '#' || *line == ';';
}

/* Whether the line ends in a backslash that is not itself escaped. */
static bool goes_on(const char *line, size_t n)
{
        size_t backslashes = 0;

        while (backslashes < n && line[n - 1 - backslashes] == '\\')
                backslashes++;
        return backslashes % 2 > 0;
}

int unit_settings_add(UnitSettings *s, const char *path, const char *text)
{
        _cleanup_free_ char *copy = strdup(text), *section = NULL, *joined = calloc(1, strlen(text) + 1);
        char *rest = copy, *end = joined;
        int r;

        if (!copy || !joined)
                return -ENOMEM;
        for (char *line; (line = strsep(&rest, "\n"));) {
                size_t n = strlen(line);
                bool more = goes_on(line, n);

                /* also between the lines of a long one */
                if (is_comment(line))
                        continue;
                if (more)
                        line[n - 1] = ' ';
                end = stpcpy(end, line);
                if (more && rest)
                        continue;
                r = add_line(s, path, joined, &section);
                if (r < 0)
                        return r;
                end = joined;
                *end = '\0';
        }
        return 0;
}

static bool is_setting(const UnitSetting *s, const char *section, const char *key)
{
        return streq(s->section, section) && streq(s->key, key);
}

int unit_settings_list(const UnitSettings *s, const char *section, const char *key, char ***ret)
{
        _cleanup_strv_ char **list = NULL;

        for (size_t i = 0; i < s->n; i++) {
                int r = 0;

                if (!is_setting(s->items + i, section, key))
                        continue;
                if (isempty(s->items[i].value))
                        list = strv_free(list);
                else
                        r = strv_extend(&list, s->items[i].value);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

const char *unit_settings_last(const UnitSettings *s, const char *section, const char *key)
{
        const char *value = NULL;

        for (size_t i = 0; i < s->n; i++)
                if (is_setting(s->items + i, section, key))
                        value = s->items[i].value;
        return value;
}

/* ---- commands ---- */

/* The end of the word that begins here: blanks end it, outside of quotes (systemd.service(5), COMMAND LINES). */
static const char *word_end(const char *p)
{
        char quote = '\0';

        for (; *p && (quote || !strchr(WHITESPACE, *p)); p++) {
                if (*p == '\\' && p[1])
                        p++;
                else if (*p == quote)
                        quote = '\0';
                else if (!quote && (*p == '"' || *p == '\''))
                        quote = *p;
        }
        return p;
}

static const char *next_word(const char *p)
{
        p = word_end(p);
        return p + strspn(p, WHITESPACE);
}

static bool has_several_commands(const char *p)
{
        for (; *p; p = next_word(p))
                if (word_end(p) == p + 1 && *p == ';')
                        return true;
        return false;
}

static bool word_ends_with(const char *word, const char *suffix)
{
        size_t size = (size_t) (word_end(word) - word), n = strlen(suffix);

        return size >= n && strncmp(word + size - n, suffix, n) == 0;
}

int exec_wrap(const char *value, const char *wrapper, char *const *options, char **ret)
{
        size_t n_prefixes = strspn(value, PREFIXES), size;
        const char *program = value + n_prefixes, *rest = next_word(program), *argv0 = NULL;
        _cleanup_free_ char *text = NULL;
        FILE *f;

        /* A last backslash had blanks behind it in its file; without them it would take the next line along. */
        if (word_end(program) == program || goes_on(value, strlen(value)))
                return -EINVAL;
        if (has_several_commands(program))
                return -EOPNOTSUPP;
        if (word_ends_with(program, "/tgswitch-exec"))
                return -EALREADY;
        if (memchr(value, '@', n_prefixes)) {
                argv0 = rest;
                rest = next_word(argv0);
                if (!*argv0)
                        return -EINVAL;
        }

        f = open_memstream(&text, &size);
        if (!f)
                return -errno;
        for (size_t i = 0; i < n_prefixes; i++)
                if (value[i] != '@')
                        fputc(value[i], f);
        fputs(wrapper, f);
        for (char *const *o = options; o && *o; o++)
                fprintf(f, " %s", *o);
        if (argv0)
                fprintf(f, " --argv0 %.*s", (int) (word_end(argv0) - argv0), argv0);
        fprintf(f, " -- %.*s%s%s", (int) (word_end(program) - program), program, *rest ? " " : "", rest);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
