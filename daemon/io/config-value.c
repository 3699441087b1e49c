/* SPDX-License-Identifier: MIT */
#include <limits.h>

#include "core/template.h"
#include "io/config-value.h"

bool export_is_valid(const char *s)
{
        return template_words(s) == TEMPLATE_ROOT;
}

bool directory_is_valid(const char *s)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+@";

        if (s[0] != '/' || strlen(s) >= PATH_MAX)
                return false;
        while (*s) {
                const char *component = s + 1;
                size_t n = strspn(component, letters);

                if (n == 0 || (n == 1 && component[0] == '.') || (n == 2 && memcmp(component, "..", 2) == 0) ||
                    (component[n] != '/' && component[n] != '\0'))
                        return false;
                s = component + n;
        }
        return true;
}

bool bot_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        return n >= 1 && n <= BOT_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
               strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}
