/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "core/template.h"
#include "ctl/ctl-adopt-look.h"

#define DIGITS          "0123456789"
#define BASE64URL       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define SECRET_SIZE_MIN 24 /* core/bot-token.h */

/* The size of the token at `p`; 0: there is none. Right behind other letters and digits an id may not begin, as in
 * "sha256:…", but for the "bot" of a URL. */
static size_t token_size(const char *text, const char *p)
{
        size_t id = strspn(p, DIGITS), secret;
        bool behind_bot = p - text >= 3 && strncmp(p - 3, "bot", 3) == 0;

        if (id == 0 || p[id] != ':' || (p > text && strchr(BASE64URL, p[-1]) && !behind_bot))
                return 0;
        secret = strspn(p + id + 1, BASE64URL);
        return secret >= SECRET_SIZE_MIN ? id + 1 + secret : 0;
}

bool text_has_token(const char *text)
{
        for (const char *p = text; *p; p++)
                if (token_size(text, p) > 0)
                        return true;
        return false;
}

/* The size of the root that the text begins with; what follows has to be its end or a path. */
static size_t root_size(const char *text, const char *const *roots)
{
        for (; *roots; roots++) {
                const char *rest = startswith(text, *roots);

                if (rest && (!*rest || strchr("/ \t\"'", *rest)))
                        return (size_t) (rest - text);
        }
        return 0;
}

bool text_has_root(const char *text, const char *const *roots)
{
        for (; *text; text++)
                if (root_size(text, roots) > 0)
                        return true;
        return false;
}

/* "NAME=VALUE" as a template: the words in the place of what they stand for. Returns which. */
static int make_template(const char *assignment, const char *const *roots, char **ret)
{
        const char *value = strchr(assignment, '=') + 1;
        _cleanup_free_ char *text = NULL;
        int words = 0;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -errno;
        fprintf(f, "%.*s", (int) (value - assignment), assignment);
        for (const char *p = value; *p;) {
                size_t root = root_size(p, roots), token = token_size(value, p);

                words |= (root > 0 ? TEMPLATE_ROOT : 0) | (token > 0 ? TEMPLATE_TOKEN : 0);
                if (root > 0)
                        fputs("{root}", f);
                else if (token > 0)
                        fputs("{token}", f);
                else
                        fputc(*p, f);
                p += root + token > 0 ? root + token : 1;
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return words;
}

static void variable_done(AdoptVariable *v)
{
        free(v->name);
        free(v->where);
        free(v->assignment);
        *v = (AdoptVariable){};
}

static void remove_variable(AdoptVariables *v, const char *name)
{
        for (size_t i = 0; i < v->n; i++) {
                if (!streq(v->items[i].name, name))
                        continue;
                variable_done(v->items + i);
                memmove(v->items + i, v->items + i + 1, (v->n - i - 1) * sizeof(AdoptVariable));
                v->n--;
                return;
        }
}

/* Takes both strings. */
static int add_item(AdoptVariables *v, char *name, const char *where, char *assignment, int words)
{
        AdoptVariable *grown = reallocarray(v->items, v->n + 1, sizeof(AdoptVariable));
        AdoptVariable fresh = { .name = name, .where = strdup(where), .assignment = assignment, .words = words };

        if (grown)
                v->items = grown;
        if (!grown || !fresh.where) {
                variable_done(&fresh);
                return -ENOMEM;
        }
        v->items[v->n++] = fresh;
        return 0;
}

int adopt_variables_add(AdoptVariables *v, const char *where, const char *assignment, const char *const *roots)
{
        const char *equals = strchr(assignment, '=');
        _cleanup_free_ char *name = NULL, *template = NULL;
        int r, words;

        if (!equals || equals == assignment)
                return 0;
        name = strndup(assignment, (size_t) (equals - assignment));
        if (!name)
                return -ENOMEM;
        r = strv_extend_unique(&v->names, name);
        if (r < 0)
                return r;
        remove_variable(v, name);
        words = make_template(assignment, roots, &template);
        if (words <= 0)
                return words;
        if (template_words(template) != words) {
                free(template);
                template = NULL;
        }
        return add_item(v, TAKE_PTR(name), where, TAKE_PTR(template), words);
}

/* Takes the blanks around a line and the quotes around its value away, in place: enough to see what it is. */
static char *tidy(char *line)
{
        char *equals, *value;
        size_t n;

        line += strspn(line, " \t");
        for (n = strlen(line); n > 0 && strchr(" \t\r", line[n - 1]); n--)
                line[n - 1] = '\0';
        equals = strchr(line, '=');
        if (!equals || strchr("#;", line[0]))
                return NULL;
        value = equals + 1;
        n = strlen(value);
        if (n >= 2 && strchr("\"'", value[0]) && value[n - 1] == value[0]) {
                value[n - 1] = '\0';
                memmove(value, value + 1, n - 1);
        }
        return line;
}

int adopt_variables_add_file(AdoptVariables *v, const char *path, const char *text, const char *const *roots)
{
        size_t size = strlen(text);
        char *copy = strdup(text), *rest = copy;
        int r = 0;

        if (!copy)
                return -ENOMEM;
        for (char *line; r >= 0 && (line = strsep(&rest, "\n"));) {
                line = tidy(line);
                if (line)
                        r = adopt_variables_add(v, path, line, roots);
        }
        explicit_bzero(copy, size);
        free(copy);
        return r;
}

void adopt_variables_done(AdoptVariables *v)
{
        for (size_t i = 0; i < v->n; i++)
                variable_done(v->items + i);
        free(v->items);
        strv_free(v->names);
        *v = (AdoptVariables){};
}

bool adopt_variable_is_standard(const AdoptVariable *v)
{
        for (const char *const *s = template_endpoint_variables; *s; s++)
                if (streq_ptr(v->assignment, *s))
                        return true;
        for (const char *const *s = template_token_variables; *s; s++)
                if (streq_ptr(v->assignment, *s))
                        return true;
        return false;
}

const char *adopt_framework(const AdoptVariables *v, const char **ret_endpoint)
{
        /* Those that read variables by themselves, and what their programs call them by habit. */
        static const struct {
                const char *name, *framework, *endpoint;
        } known[] = {
                { "TELOXIDE_TOKEN", "teloxide", "which reads TELOXIDE_API_URL= by itself" },
                { "TELOXIDE_API_URL", "teloxide", "which reads TELOXIDE_API_URL= by itself" },
                { "BOT_DOMAIN", "Telegraf's command line", "which takes no endpoint: a program of its own has to" },
        };

        FOREACH_ELEMENT(k, known)
                if (strv_contains(v->names, k->name)) {
                        *ret_endpoint = k->endpoint;
                        return k->framework;
                }
        return NULL;
}
