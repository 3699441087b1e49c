/* SPDX-License-Identifier: MIT */
#pragma once

#include "world.h"

/* A write or a removal that is under way does not succeed. */
bool disk_fails(void);
/* What runs now is cut off somewhere in the middle. */
bool disk_is_torn(void);
void spool_files_clear(DiskBot *d);
