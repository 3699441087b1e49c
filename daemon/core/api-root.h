/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* Whether a text has the shape of an API's root, like "https://api.telegram.org": then requests can be made by putting
 * "/bot…" behind it. Returns NULL where it has, else the rest of a sentence that says why not. What its host is, is not
 * looked at: see botapi_root_check(). */
const char *api_root_complaint(const char *root);
