/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* What can be told of a program from its environment: where token and endpoint stand now. Pure; values are looked at
 * and not kept, since they may be tokens. */

/* A variable whose value has a token or the root of an API in it. */
typedef struct AdoptVariable {
        char *name;
        char *where;      /* "Environment=", or the path of an environment file */
        char *assignment; /* NAME=TEXT with {root} and {token} in their places, as core/template.h takes it; NULL: it
                           * has characters that those can't have */
        int words;        /* TemplateWord mask, not 0 */
} AdoptVariable;

typedef struct AdoptVariables {
        AdoptVariable *items;
        size_t n;
        char **names; /* of all variables, also of those that are not among the items */
} AdoptVariables;

/* Whether anything in the text looks like the token of a bot. */
bool text_has_token(const char *text) _pure_;

/* Whether one of the roots, NULL-terminated, stands in the text. */
bool text_has_root(const char *text, const char *const *roots) _pure_;

/* One more variable, "NAME=VALUE"; it takes the place of one of the same name. */
int adopt_variables_add(AdoptVariables *v, const char *where, const char *assignment,
                        const char *const *roots) _must_check_;

/* Those of an environment file (systemd.exec(5), EnvironmentFile=). */
int adopt_variables_add_file(AdoptVariables *v, const char *path, const char *text,
                             const char *const *roots) _must_check_;
void adopt_variables_done(AdoptVariables *v);

/* Whether the environment file of a bot, or tgswitch-exec, sets this variable to this by itself. */
bool adopt_variable_is_standard(const AdoptVariable *v) _pure_;

/* The framework whose names these are, with the rest of a sentence about its endpoint; NULL: none that is known. */
const char *adopt_framework(const AdoptVariables *v, const char **ret_endpoint);
