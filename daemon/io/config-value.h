/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "io/config.h"

/* As core/template.h has it, with {root} in it and without {token}: that is for ExportToken= to say. */
bool export_is_valid(const char *s);

/* An absolute path that is the only way to write it, but for symlinks: no empty, "." or ".." component. Nothing in it
 * that would need a quote in a unit file, because such paths are put into lines for one. "/" is none. */
bool directory_is_valid(const char *s);
