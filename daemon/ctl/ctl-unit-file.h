/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* What the files of a unit say, as text (systemd.syntax(7)): on the bus specifiers are filled in, and the prefixes of a
 * command and its quotes are gone, so a line that is to be written again is taken from where it stands. Nothing here
 * reads a file or knows the bus. */

typedef struct UnitSetting {
        char *path; /* of the file */
        char *section, *key, *value;
} UnitSetting;

typedef struct UnitSettings {
        UnitSetting *items; /* in the order in which systemd reads them */
        size_t n;
} UnitSettings;

/* Adds the assignments of one more file; lines that end with a backslash go on. What is no assignment is passed over,
 * as systemd does with a warning. -ENOMEM; what was added stays. */
int unit_settings_add(UnitSettings *s, const char *path, const char *text) _must_check_;
void unit_settings_done(UnitSettings *s);

/* The values of a list as they stand after all files, an empty assignment having dropped those before it. */
int unit_settings_list(const UnitSettings *s, const char *section, const char *key, char ***ret) _must_check_;
/* The last value, or NULL. */
const char *unit_settings_last(const UnitSettings *s, const char *section, const char *key) _pure_;

/* The value of an ExecStart= with `wrapper` and its `options` in front of its program: prefixes stay in front, and what
 * '@' says goes to --argv0=. Everything else is the text that was there, so that nothing is quoted anew. -EINVAL: there
 * is no program in it, or it ends in the middle of an escape; -EOPNOTSUPP: it has several commands with ';' between
 * them; -EALREADY: it begins with such a wrapper. */
int exec_wrap(const char *value, const char *wrapper, char *const *options, char **ret) _must_check_;
