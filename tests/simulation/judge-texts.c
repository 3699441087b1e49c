/* SPDX-License-Identifier: MIT */
#include <ctype.h>

#include "judge-internal.h"

/* What people read is text that was made as it was meant: nothing of a format is left in it, nothing is missing, and
 * what tells of a mistake is a sentence, whatever it was put together from. */

static const char *fault_of_text(const char *text)
{
        if (strchr(text, '%'))
                return "a part of a format is left";
        if (strstr(text, "(null)") || strstr(text, "Success"))
                return "something was not filled in";
        if (strstr(text, "  ") || strstr(text, " ."))
                return "there is a blank too many";
        if (strstr(text, "..") && !strstr(text, "..."))
                return "it ends twice";
        return NULL;
}

static const char *fault_of_sentence(const char *text)
{
        size_t n = strlen(text);
        /* Some names are written small wherever they stand. */
        bool named = startswith(text, "tgswitchd") || startswith(text, "logOut") || text[0] == '/' ||
                     strcspn(text, " .") < strcspn(text, " ");

        if (fault_of_text(text))
                return fault_of_text(text);
        if (!isupper((unsigned char) text[0]) && !isdigit((unsigned char) text[0]) && !named)
                return "it begins in the middle";
        return text[n - 1] == '.' || text[n - 1] == '?' ? NULL : "it has no end";
}

void judge_line(const char *text)
{
        const char *fault = fault_of_text(text);

        if (fault)
                judge_says("text", NULL, "%s in the line \"%s\"", fault, text);
}

void judge_sentence(const SimBot *b, const char *text)
{
        const char *fault = isempty(text) ? NULL : fault_of_sentence(text);

        if (fault)
                judge_says("text", b, "%s: \"%s\"", fault, text);
}
