/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* One line more or less in [Bot] of bots.d/NAME.conf, as text; everything else stays byte for byte. Pure. */

/* The text with the line "KEY=…" behind the last one of this key in [Bot], or behind the section's head. Taking the
 * line out again gives the text that was there before. -ENOENT: there is no [Bot]. */
int bot_file_add(const char *text, const char *line, char **ret) _must_check_;

/* The text without the last line of [Bot] that is exactly this one. -ENOENT: there is none. */
int bot_file_remove(const char *text, const char *line, char **ret) _must_check_;
