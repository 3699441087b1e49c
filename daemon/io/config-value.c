/* SPDX-License-Identifier: MIT */
#include "io/config-value.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

bool export_is_valid(const char *s)
{
        const char *equals = strchr(s, '=');

        if (!equals || equals == s || is_digit(s[0]))
                return false;
        for (const char *p = s; p < equals; p++)
                if (!is_digit(*p) && !(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && *p != '_')
                        return false;
        for (const char *p = equals + 1; *p; p++)
                if (*p <= ' ' || *p >= 0x7f || strchr("\"'`\\$", *p))
                        return false;
        return strstr(equals + 1, "{root}");
}

bool bot_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        return n >= 1 && n <= BOT_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
               strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}
