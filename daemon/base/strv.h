/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* A NULL-terminated vector of strings that owns them; NULL is the empty vector. */

#define STRV_FOREACH(s, l) for (char **s = (l); s && *s; s++)

size_t strv_length(char *const *l) _pure_;
bool strv_contains(char *const *l, const char *s) _pure_;
bool strv_equal(char *const *a, char *const *b) _pure_;

/* Appends a copy. Returns 0 or -ENOMEM, and leaves the vector as it was on failure. */
int strv_extend(char ***l, const char *s) _must_check_;

/* The same with what a format gives. */
int strv_extendf(char ***l, const char *format, ...) _must_check_ _printf_(2, 3);

/* Appends a copy unless an equal string is there. Returns 1 if it was added, 0 if not, or -ENOMEM. */
int strv_extend_unique(char ***l, const char *s) _must_check_;

int strv_copy(char *const *l, char ***ret) _must_check_;
char *strv_join(char *const *l, const char *separator) _must_check_;
char **strv_free(char **l);
void strv_freep(char ***l);

#define _cleanup_strv_ _cleanup_(strv_freep)
