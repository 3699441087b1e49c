/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* A disk that fails. The calls below are defined here and go on to the kernel, so that whoever is linked with this file
 * and calls one of these functions meets them. Nothing is counted or failed before fault_fs_begin(). */

typedef enum FsCall {
        FS_WRITE,
        FS_FSYNC,
        FS_RENAME, /* renameat() and renameat2() */
        FS_FALLOCATE,
        FS_UNLINK,
        FS_CALL_MAX,
} FsCall;

const char *fs_call_to_string(FsCall call);

/* From now on calls are counted. */
void fault_fs_begin(void);
void fault_fs_end(void);

/* The n-th call of a kind from now on fails, once; n begins with 1. */
void fault_fs_fail(FsCall call, unsigned n, int error);

/* renameat2() knows no RENAME_EXCHANGE, like some file systems. */
void fault_fs_no_exchange(void);

/* The power goes after so many calls of any kind: all later ones fail, and what was written into a file and not synced
 * by then is garbage. */
void fault_fs_power_off_after(unsigned n);

/* Whether the fault that was asked for has happened. */
bool fault_fs_happened(void);

/* Files that were written to, and directories in which something was renamed or unlinked, without fsync() since. */
unsigned fault_fs_n_unsynced(void);
