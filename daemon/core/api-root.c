/* SPDX-License-Identifier: MIT */
#include "core/api-root.h"

const char *api_root_complaint(const char *root)
{
        for (const char *p = root; *p; p++)
                if (*p <= ' ' || *p > '~')
                        return "it may not contain spaces, control characters or letters beyond ASCII";
        if (!startswith(root, "https://") && !startswith(root, "http://"))
                return "it begins neither with https:// nor with http://";
        if (strpbrk(root, "?#@%\\"))
                return "it may not contain any of ?, #, @, % and backslash";
        if (root[strlen(root) - 1] == '/')
                return "it may not end with a slash";
        return NULL;
}
