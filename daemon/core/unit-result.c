/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>

#include "core/unit-result.h"

#define UNIT_NAME_LENGTH_MAX 255

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define UNIT_CHARS         LETTERS_AND_DIGITS ":-_.\\@"
#define GLOB_ONLY_CHARS    "*?[]!"

/* What may stand as the last part of a unit's name (systemd.unit(5)). */
static const char *const unit_types[] = {
        "service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope",
};

UnitLoadState unit_load_state_from_string(const char *s)
{
        static const char *const names[] = {
                [UNIT_LOAD_LOADED] = "loaded",           [UNIT_LOAD_NOT_FOUND] = "not-found",
                [UNIT_LOAD_BAD_SETTING] = "bad-setting", [UNIT_LOAD_ERROR] = "error",
                [UNIT_LOAD_MASKED] = "masked",
        };

        if (!s)
                return UNIT_LOAD_INVALID;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return (UnitLoadState) i;
        return UNIT_LOAD_OTHER;
}

static const char *const active_state_names[UNIT_ACTIVE_STATE_MAX] = {
        [UNIT_INACTIVE] = "inactive",   [UNIT_FAILED] = "failed",         [UNIT_ACTIVE] = "active",
        [UNIT_RELOADING] = "reloading", [UNIT_ACTIVATING] = "activating", [UNIT_DEACTIVATING] = "deactivating",
        [UNIT_OTHER] = "other",
};

UnitActiveState unit_active_state_from_string(const char *s)
{
        if (!s)
                return UNIT_ACTIVE_STATE_INVALID;
        for (size_t i = 0; i < UNIT_ACTIVE_STATE_MAX; i++)
                if (streq(s, active_state_names[i]))
                        return (UnitActiveState) i;
        return UNIT_OTHER;
}

const char *unit_active_state_to_string(UnitActiveState s)
{
        assert(s >= 0 && s < UNIT_ACTIVE_STATE_MAX);
        return active_state_names[s];
}

static const char *const job_result_names[UNIT_JOB_RESULT_MAX] = {
        [UNIT_JOB_DONE] = "done",       [UNIT_JOB_CANCELED] = "canceled",     [UNIT_JOB_TIMEOUT] = "timeout",
        [UNIT_JOB_FAILED] = "failed",   [UNIT_JOB_DEPENDENCY] = "dependency", [UNIT_JOB_SKIPPED] = "skipped",
        [UNIT_JOB_REFUSED] = "refused", [UNIT_JOB_DENIED] = "denied",         [UNIT_JOB_SHUTDOWN] = "shutdown",
};

UnitJobResult unit_job_result_from_string(const char *s)
{
        if (!s)
                return UNIT_JOB_RESULT_INVALID;
        for (size_t i = 0; i < UNIT_JOB_RESULT_MAX; i++)
                if (streq(s, job_result_names[i]))
                        return (UnitJobResult) i;
        /* The job did not apply to the state that the unit had when its turn came; nobody needed it any
         * longer. */
        if (streq(s, "invalid"))
                return UNIT_JOB_SKIPPED;
        if (streq(s, "collected"))
                return UNIT_JOB_CANCELED;
        /* "assert", "unsupported", "once", and the words of a newer systemd: whatever it is, it is not
         * "done". */
        return UNIT_JOB_FAILED;
}

const char *unit_job_result_to_string(UnitJobResult r)
{
        assert(r >= 0 && r < UNIT_JOB_RESULT_MAX);
        return job_result_names[r];
}

const char *unit_job_result_explain(UnitJobResult r)
{
        static const char *const sentences[UNIT_JOB_RESULT_MAX] = {
                [UNIT_JOB_CANCELED] = "something else was asked of it meanwhile",
                [UNIT_JOB_TIMEOUT] = "that took longer than it may, and systemd goes on with it",
                [UNIT_JOB_FAILED] = "that failed",
                [UNIT_JOB_DEPENDENCY] = "a unit that it requires did not start",
                [UNIT_JOB_SKIPPED] = "a condition of the unit is not met",
                [UNIT_JOB_REFUSED] = "systemd did not take the request",
                [UNIT_JOB_DENIED] = "tgswitchd may not do that",
        };

        assert(r >= 0 && r < UNIT_JOB_RESULT_MAX && sentences[r]);
        return sentences[r];
}

bool unit_active_state_may_run(UnitActiveState s)
{
        return s != UNIT_INACTIVE && s != UNIT_FAILED;
}

/* Checks what names and globs have in common: length, characters, and a known type behind the last dot. On
 * success *ret_dot is where that dot stands. */
static bool has_unit_form(const char *name, const char *chars, const char **ret_dot)
{
        const char *dot;
        size_t length;

        if (!name)
                return false;
        length = strnlen(name, UNIT_NAME_LENGTH_MAX + 1);
        if (length > UNIT_NAME_LENGTH_MAX || strspn(name, chars) != length)
                return false;

        dot = strrchr(name, '.');
        if (!dot || dot == name || name[0] == '@')
                return false;
        FOREACH_ELEMENT(type, unit_types)
                if (streq(dot + 1, *type)) {
                        *ret_dot = dot;
                        return true;
                }
        return false;
}

bool unit_name_is_valid(const char *name)
{
        const char *at, *dot;

        if (!has_unit_form(name, UNIT_CHARS, &dot))
                return false;
        /* "name@.type" is a template: it can't be started, and no running unit has this name. */
        at = strchr(name, '@');
        return !at || at + 1 != dot;
}

/* A bracket that is never closed, or closed before it has something in it, matches only itself (glob(7)): no
 * unit has that character in its name. */
static bool brackets_are_closed(const char *pattern)
{
        for (const char *p = pattern; *p; p++) {
                if (*p == ']')
                        return false;
                if (*p != '[')
                        continue;
                p += p[1] == '!' ? 2 : 1;
                if (*p == '\0' || !(p = strchr(p + 1, ']')))
                        return false;
        }
        return true;
}

bool unit_name_is_glob(const char *name)
{
        const char *dot;

        return has_unit_form(name, UNIT_CHARS GLOB_ONLY_CHARS, &dot) && name[strcspn(name, "*?[")] != '\0' &&
               brackets_are_closed(name);
}

bool unit_names_have_glob(char *const *names)
{
        for (; names && *names; names++)
                if (unit_name_is_glob(*names))
                        return true;
        return false;
}

bool unit_name_matches(const char *pattern, const char *unit)
{
        if (streq(pattern, unit))
                return true;
        /* A backslash is part of an escaped name, not of the pattern language. So does systemd itself
         * compare. */
        return unit_name_is_glob(pattern) && fnmatch(pattern, unit, FNM_NOESCAPE) == 0;
}
