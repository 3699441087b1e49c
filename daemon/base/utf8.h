/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* Length of the well-formed UTF-8 sequence (RFC 3629: shortest form, no surrogates, up to U+10FFFF) that `s` of `n`
 * bytes begins with; 0 where there is none. The 66 noncharacters (U+FFFE, U+FDD0, …) are none either: sd-bus has no
 * string with one in it, so the whole reply would be lost. */
size_t utf8_sequence_length(const char *s, size_t n) _pure_;

bool utf8_is_valid(const char *s, size_t n) _pure_;

/* A copy in which every byte that belongs to no sequence reads '?'. NULL: no memory. */
char *utf8_make_valid(const char *s) _must_check_;
