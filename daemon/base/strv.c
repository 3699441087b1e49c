/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"

size_t strv_length(char *const *l)
{
        size_t n = 0;

        while (l && l[n])
                n++;
        return n;
}

bool strv_contains(char *const *l, const char *s)
{
        for (; l && *l; l++)
                if (streq(*l, s))
                        return true;
        return false;
}

bool strv_equal(char *const *a, char *const *b)
{
        size_t n = strv_length(a);

        if (n != strv_length(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!streq(a[i], b[i]))
                        return false;
        return true;
}

int strv_extend(char ***l, const char *s)
{
        _cleanup_free_ char *copy = strdup(s);
        size_t n = strv_length(*l), room = 2;
        char **grown;

        if (!copy)
                return -ENOMEM;
        /* By doubling, so that a thousand names are not copied a thousand times: in between realloc() has nothing to
         * do. */
        while (room < n + 2)
                room *= 2;
        grown = reallocarray(*l, room, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        grown[n] = TAKE_PTR(copy);
        grown[n + 1] = NULL;
        *l = grown;
        return 0;
}

int strv_extendf(char ***l, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return strv_extend(l, text);
}

int strv_extend_unique(char ***l, const char *s)
{
        int r;

        if (strv_contains(*l, s))
                return 0;
        r = strv_extend(l, s);
        return r < 0 ? r : 1;
}

int strv_copy(char *const *l, char ***ret)
{
        _cleanup_strv_ char **copy = NULL;
        int r;

        for (; l && *l; l++) {
                r = strv_extend(&copy, *l);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

char *strv_join(char *const *l, const char *separator)
{
        _cleanup_free_ char *joined = NULL;
        size_t size;
        FILE *f = open_memstream(&joined, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; l && l[i]; i++)
                fprintf(f, "%s%s", i > 0 ? separator : "", l[i]);
        if (fclose(f) != 0)
                return NULL;
        return TAKE_PTR(joined);
}

char **strv_free(char **l)
{
        STRV_FOREACH(s, l)
                free(*s);
        free(l);
        return NULL;
}

void strv_freep(char ***l)
{
        strv_free(*l);
}
