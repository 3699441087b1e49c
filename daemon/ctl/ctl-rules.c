/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-rules.h"

static const char head[] =
                "// Written by \"tgswitchctl authorize\" from /etc/tgswitch, whenever tgswitchd.service is started or reloaded.\n"
                "// Changes made here are lost.\n"
                "polkit.addRule(function(action, subject) {\n"
                "        var units = {\n";

static const char foot[] =
                "        };\n"
                "        var verbs = {\n"
                "                \"start\": true, \"stop\": true, \"restart\": true, \"try-restart\": true, \"reload\": true,\n"
                "                \"reset-failed\": true\n"
                "        };\n"
                "\n"
                "        if (action.id == \"org.freedesktop.systemd1.manage-units\" && subject.user == \"tgswitch\" &&\n"
                "            units[action.lookup(\"unit\")] === true && verbs[action.lookup(\"verb\")] === true)\n"
                "                return polkit.Result.YES;\n"
                "        return polkit.Result.NOT_HANDLED;\n"
                "});\n";

#define ENTRY_BEGIN "                \""
#define ENTRY_END   "\": true,"

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Inside a string of JavaScript a backslash would begin an escape, and systemd writes them into names ("\x2d"). Quotes
 * and control characters are in no valid name. */
static void print_name(FILE *f, const char *name)
{
        for (; *name; name++) {
                if (*name == '\\')
                        fputc('\\', f);
                fputc(*name, f);
        }
}

int rules_render(char *const *units, char **ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **sorted = NULL;
        size_t size;
        FILE *f;
        int r;

        STRV_FOREACH(u, (char **) units)
                if (!unit_name_is_valid(*u))
                        return -EINVAL;
        r = strv_copy(units, &sorted);
        if (r < 0)
                return r;
        if (sorted)
                qsort(sorted, strv_length(sorted), sizeof(char *), compare_names);

        f = open_memstream(&text, &size);
        if (!f)
                return -errno;
        fputs(head, f);
        STRV_FOREACH(u, sorted) {
                fputs(ENTRY_BEGIN, f);
                print_name(f, *u);
                fputs(ENTRY_END "\n", f);
        }
        fputs(foot, f);
        if (fclose(f) != 0)
                return -ENOMEM;

        *ret = TAKE_PTR(text);
        return 0;
}

/* Takes the name out of one line, or returns 0 where the line has none. */
static int parse_entry(char *line, char ***units)
{
        char *name = (char *) startswith(line, ENTRY_BEGIN), *end = name ? strstr(name, ENTRY_END) : NULL, *to;
        int r;

        if (!end || !streq(end, ENTRY_END))
                return 0;
        *end = '\0';
        to = name;
        for (const char *from = name; *from; from++) {
                if (*from == '\\' && from[1] == '\\')
                        from++;
                *to++ = *from;
        }
        *to = '\0';
        if (!unit_name_is_valid(name))
                return 0;
        r = strv_extend_unique(units, name);
        return r < 0 ? r : 0;
}

int rules_parse(const char *text, char ***ret)
{
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_strv_ char **units = NULL;
        char *position = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &position); line; line = strtok_r(NULL, "\n", &position)) {
                int r = parse_entry(line, &units);

                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(units);
        return 0;
}
