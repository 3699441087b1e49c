/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "io/config.h"

/* "NAME=TEXT": NAME of an environment variable, TEXT printable, without blanks and quotes, and with {root} in it. */
bool export_is_valid(const char *s);

/* An absolute path that is the only way to write it, but for symlinks: no empty, "." or ".." component. Nothing in it
 * that would need a quote in a unit file, because such paths are put into lines for one. "/" is none. */
bool directory_is_valid(const char *s);
