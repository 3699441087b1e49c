/* SPDX-License-Identifier: MIT */
#pragma once

/* A directory of the test's own. */

/* New and empty, below $TMPDIR or /tmp. scratch_remove() removes it with all that is in it. */
char *scratch_new(void);
void scratch_remove(char *path);

/* Writes a file below a directory, which is made, with those on the way. */
void scratch_write(const char *directory, const char *name, const char *text);
void scratch_write_bytes(const char *directory, const char *name, const void *bytes, unsigned long size);

/* A new string with all of the file; NULL where it is not there. */
char *scratch_read(const char *directory, const char *name);
