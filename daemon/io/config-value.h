/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "io/config.h"

/* "NAME=TEXT": NAME of an environment variable, TEXT printable, without blanks and quotes, and with {root} in it. */
bool export_is_valid(const char *s);
