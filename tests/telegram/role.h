/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* Which of the two Bot API servers. */
typedef enum Role {
        ROLE_CLOUD,
        ROLE_LOCAL,
        _ROLE_MAX,
        _ROLE_INVALID = -EINVAL,
} Role;

static inline const char *role_to_string(Role role)
{
        return role == ROLE_CLOUD ? "cloud" : role == ROLE_LOCAL ? "local" : NULL;
}

static inline Role role_from_string(const char *s)
{
        if (streq_ptr(s, "cloud"))
                return ROLE_CLOUD;
        if (streq_ptr(s, "local"))
                return ROLE_LOCAL;
        return _ROLE_INVALID;
}
