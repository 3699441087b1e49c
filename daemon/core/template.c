/* SPDX-License-Identifier: MIT */
#include "core/template.h"

const char *const template_endpoint_variables[] = {
        "TELEGRAM_API_ROOT={root}",
        "TELEGRAM_BASE_URL={root}/bot",
        "TELEGRAM_BASE_FILE_URL={root}/file/bot",
        "TELEGRAM_API_URL_TEMPLATE={root}/bot{0}/{1}",
        "TELEGRAM_FILE_URL_TEMPLATE={root}/file/bot{0}/{1}",
        "TELEGRAM_API_ENDPOINT_FORMAT={root}/bot%s/%s",
        "TELOXIDE_API_URL={root}",
        NULL,
};

const char *const template_token_variables[] = {
        "BOT_TOKEN={token}",
        "TELOXIDE_TOKEN={token}",
        NULL,
};

static const Replacement *replacement_at(const char *p, const Replacement *table, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (startswith(p, table[i].from))
                        return table + i;
        return NULL;
}

/* Writes the result to `out`, or only counts where that is NULL. Returns its length. */
static size_t replace_into(char *out, const char *text, const Replacement *table, size_t n)
{
        size_t length = 0;

        for (const char *p = text; *p;) {
                const Replacement *r = replacement_at(p, table, n);
                const char *piece = r ? r->to : p;
                size_t piece_size = r ? strlen(r->to) : 1;

                if (out)
                        memcpy(out + length, piece, piece_size);
                length += piece_size;
                p += r ? strlen(r->from) : 1;
        }
        return length;
}

char *template_replace(const char *text, const Replacement *table, size_t n)
{
        size_t length = replace_into(NULL, text, table, n);
        char *out = malloc(length + 1);

        if (!out)
                return NULL;
        replace_into(out, text, table, n);
        out[length] = '\0';
        return out;
}

static bool is_name_character(char c, bool first)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

int template_words(const char *assignment)
{
        const char *p = assignment;
        int words = 0;

        for (; *p && *p != '='; p++)
                if (!is_name_character(*p, p == assignment))
                        return -EINVAL;
        if (*p != '=' || p == assignment)
                return -EINVAL;
        while (*++p) {
                if (*p <= ' ' || *p >= 0x7f || strchr("\"'`\\$", *p))
                        return -EINVAL;
                words |= startswith(p, "{root}") ? TEMPLATE_ROOT : startswith(p, "{token}") ? TEMPLATE_TOKEN : 0;
        }
        return words;
}

char *template_fill(const char *assignment, const char *root, const char *token)
{
        const Replacement table[] = { { "{root}", root }, { "{token}", token } };

        return template_replace(assignment, table, token ? 2 : 1);
}
