/* SPDX-License-Identifier: MIT */

/* What root's tools read as text and write again: files of units, of bots, the drop-in of a worker, and the rule for
 * polkit. The first line of the input is a value that is put into a bot's file, the second the bot, mode, and so on of
 * a drop-in; what follows is the text of every kind of file in turn, and its words are names of units. */

#include <inttypes.h>
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "fuzz.h"
#include "io/config.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-bot-file.c"
#undef WHITESPACE
#include "ctl/ctl-drop-in.c"
#include "ctl/ctl-rules.c"
#include "ctl/ctl-unit-file.c"

#define WRAPPER "/usr/libexec/tgswitch/tgswitch-exec"

/* ---- files of units ---- */

static void assert_stripped(const char *s)
{
        size_t n = strlen(s);

        assert(!strchr(s, '\n'));
        assert(n == 0 || (!strchr(WHITESPACE, s[0]) && !strchr(WHITESPACE, s[n - 1])));
}

/* Each setting on a line of its own says the same. */
static void check_settings(const UnitSettings *s)
{
        UnitSettings again = {};

        for (size_t i = 0; i < s->n; i++) {
                const UnitSetting *a = s->items + i, *b;
                _cleanup_free_ char *text = NULL;

                assert_stripped(a->key);
                assert_stripped(a->value);
                assert(!strchr(a->key, '=') && !strpbrk(a->section, "]\n"));
                /* only what stood in front of blanks may end so: in a line by itself it would go on */
                if (goes_on(a->value, strlen(a->value)))
                        break;
                assert(asprintf(&text, "[%s]\n%s=%s\n", a->section, a->key, a->value) > 0);
                assert(unit_settings_add(&again, a->path, text) == 0 && again.n == i + 1);
                b = again.items + i;
                assert(streq(a->section, b->section) && streq(a->key, b->key) && streq(a->value, b->value));
        }
        unit_settings_done(&again);
}

/* Wrapped commands that a drop-in would get. */
static void check_command(const char *value, char ***commands)
{
        char *options[] = { (char *) "--option=x", NULL }, *again = NULL;
        _cleanup_free_ char *wrapped = NULL;
        int r = exec_wrap(value, WRAPPER, options, &wrapped);

        assert((r == 0) == (wrapped != NULL));
        if (r < 0) {
                assert(r == -EINVAL || r == -EOPNOTSUPP || r == -EALREADY);
                return;
        }
        assert(strstr(wrapped, WRAPPER " --option=x") == wrapped + strspn(wrapped, PREFIXES));
        assert(!memchr(wrapped, '@', strspn(wrapped, PREFIXES)) && strstr(wrapped, " -- "));
        assert(exec_wrap(wrapped, WRAPPER, options, &again) == -EALREADY && !again);
        assert(strv_extend(commands, wrapped) == 0);
}

static void check_unit_file(const char *text, char ***commands)
{
        UnitSettings s = {};

        assert(unit_settings_add(&s, "/etc/x", text) == 0);
        check_settings(&s);
        for (size_t i = 0; i < s.n; i++) {
                _cleanup_strv_ char **list = NULL;

                assert(unit_settings_last(&s, s.items[i].section, s.items[i].key));
                assert(unit_settings_list(&s, s.items[i].section, s.items[i].key, &list) == 0);
                assert(strv_length(list) <= s.n);
                check_command(s.items[i].value, commands);
        }
        unit_settings_done(&s);
}

/* ---- files of bots ---- */

static void check_bot_file(const char *text, const char *key, const char *value)
{
        _cleanup_free_ char *line = NULL, *added = NULL, *removed = NULL;
        int r;

        assert(asprintf(&line, "%s=%s", key, value) > 0);
        r = bot_file_add(text, line, &added);
        if (r < 0) {
                assert(r == -ENOENT && !added);
                assert(bot_file_remove(text, line, &removed) == -ENOENT && !removed);
                return;
        }
        assert(strlen(added) == strlen(text) + strlen(line) + 1);
        assert(bot_file_remove(added, line, &removed) == 0);
        assert(streq(removed, text));
}

/* ---- the drop-in ---- */

static void assert_mark(const DropInMark *m)
{
        assert(bot_name_is_valid(m->bot) && adopt_mode_to_string(m->mode));
}

/* It is known again, whoever changes a letter of it is found out, and a reader of units sees the commands in it. */
static void check_drop_in(char *words, char *const *commands)
{
        DropIn d = { .unit = "shop.service" };
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **list = NULL;
        UnitSettings s = {};
        DropInMark m = {};

        d.bot = fuzz_take_word(&words);
        d.bot = bot_name_is_valid(d.bot) ? d.bot : "shop";
        d.mode = adopt_mode_from_string(fuzz_take_word(&words));
        d.mode = MAX(d.mode, ADOPT_CREDENTIALS);
        d.pending = !isempty(fuzz_take_word(&words));
        d.added = (unsigned) strtoul(fuzz_take_word(&words), NULL, 10);
        d.exec_start = commands;

        assert(drop_in_render(&d, &text) == 0);
        assert(drop_in_recognise(text, &m) == 0);
        assert_mark(&m);
        assert(streq(m.bot, d.bot) && m.mode == d.mode && m.pending == d.pending && m.added == d.added && !m.edited);
        drop_in_mark_done(&m);

        assert(unit_settings_add(&s, "/etc/x", text) == 0);
        assert(streq(unit_settings_last(&s, "Service", "TimeoutStartSec"), "infinity"));
        assert(unit_settings_list(&s, "Service", "ExecStart", &list) == 0);
        assert(strv_equal(list, d.mode == ADOPT_EXEC ? commands : NULL));
        unit_settings_done(&s);

        text[strlen(text) - 1] ^= 1;
        assert(drop_in_recognise(text, &m) == 0 && m.edited);
        drop_in_mark_done(&m);
}

static void check_any_drop_in(const char *text)
{
        DropInMark m = {};

        if (drop_in_recognise(text, &m) == 0)
                assert_mark(&m);
        else
                assert(!m.bot);
        drop_in_mark_done(&m);
}

/* ---- the rule ---- */

/* One token of JavaScript, as new text: a word, a sign, or a string with its quotes and without its escapes. NULL at
 * the end. What the rule has no need of ends the process: a string that another character than '"' ends, another escape
 * than that of a backslash, a sign that is not listed. */
static char *take_token(const char **p)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
        const char *begin;
        char *token, *to;

        for (;;) {
                *p += strspn(*p, " \n");
                if (!startswith(*p, "//"))
                        break;
                *p += strcspn(*p, "\n");
        }
        begin = *p;
        if (!*begin)
                return NULL;
        if (strspn(begin, letters) > 0)
                *p += strspn(begin, letters);
        else if (*begin != '"') {
                assert(strchr("(){}[],;:.=&", *begin));
                *p += 1;
        }
        if (*begin != '"')
                return strndup(begin, (size_t) (*p - begin));

        token = to = strdup(begin);
        assert(token);
        *to++ = *(*p)++;
        while (**p != '"') {
                assert((unsigned char) **p >= ' ' && **p != 0x7f);
                *p += **p == '\\';
                assert((*p)[-1] != '\\' || **p == '\\' || to[-1] == '\\');
                *to++ = *(*p)++;
        }
        *to++ = *(*p)++;
        *to = '\0';
        return token;
}

static char **tokens_of(const char *text)
{
        char **tokens = NULL;

        for (char *token; (token = take_token(&text)); free(token))
                assert(strv_extend(&tokens, token) == 0);
        return tokens;
}

/* The rule for these units is that for none, with `"NAME": true,` for each behind its first brace but one. */
static void assert_rule(const char *text, char *const *sorted)
{
        static const char *const entry[] = { NULL, ":", "true", "," };
        _cleanup_strv_ char **tokens = tokens_of(text), **rest = NULL;
        _cleanup_free_ char *empty = NULL;
        size_t at = 0, n = strv_length(sorted), braces = 0;

        assert(rules_render(NULL, &empty) == 0);
        rest = tokens_of(empty);
        assert(strv_length(tokens) == strv_length(rest) + n * ELEMENTSOF(entry));
        while (braces < 2)
                braces += streq(rest[at++], "{");
        for (size_t i = 0; tokens[i]; i++) {
                size_t k = i < at ? 0 : i - at;

                if (i < at)
                        assert(streq(tokens[i], rest[i]));
                else if (k >= n * ELEMENTSOF(entry))
                        assert(streq(tokens[i], rest[i - n * ELEMENTSOF(entry)]));
                else if (entry[k % ELEMENTSOF(entry)])
                        assert(streq(tokens[i], entry[k % ELEMENTSOF(entry)]));
                else {
                        const char *name = sorted[k / ELEMENTSOF(entry)];

                        assert(tokens[i][0] == '"' && startswith(tokens[i] + 1, name));
                        assert(streq(tokens[i] + 1 + strlen(name), "\""));
                }
        }
}

static void check_names(char **names)
{
        _cleanup_strv_ char **again = NULL;
        _cleanup_free_ char *text = NULL;

        assert(rules_render(names, &text) == 0);
        assert(rules_parse(text, &again) == 0);
        if (names)
                qsort(names, strv_length(names), sizeof(char *), compare_names);
        assert(strv_equal(names, again));
        assert_rule(text, names);
}

static void check_rule(const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_strv_ char **names = NULL, **parsed = NULL;
        char *position = NULL, *untouched = NULL;

        assert(copy);
        for (char *word = strtok_r(copy, " \n", &position); word; word = strtok_r(NULL, " \n", &position)) {
                char *one[] = { word, NULL };

                if (unit_name_is_valid(word))
                        assert(strv_extend_unique(&names, word) >= 0);
                else
                        assert(rules_render(one, &untouched) == -EINVAL && !untouched);
        }
        check_names(names);
        /* what is no rule may have lines that look like ours: then only such names come of it */
        assert(rules_parse(text, &parsed) == 0);
        STRV_FOREACH(name, parsed)
                assert(unit_name_is_valid(*name));
        check_names(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *value = fuzz_take_line(&in), *words = fuzz_take_line(&in), *text = NULL;
        _cleanup_strv_ char **commands = NULL;

        text = strndup(in.next ?: "", in.left);
        assert(text);
        check_unit_file(text, &commands);
        check_bot_file(text, "Worker", value);
        check_bot_file(text, "ExportToken", "yes");
        check_drop_in(words, commands);
        check_any_drop_in(text);
        check_rule(text);
        return 0;
}
