/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"

/* One file of a spool: its bytes, and its name, which is its number. All of it blocks. */

#define SPOOL_HEADER_MAX 64u
/* One update may be as large as a server sends it; whoever reads a file must end somewhere. */
#define SPOOL_FILE_MAX (16u * 1024u * 1024u)
/* Names end here: each number up to this one is found again by its name. */
#define SPOOL_NUMBER_MAX UINT64_C(999999999999999999)

/* The lines of one file, without its header; each ends in a newline. */
typedef struct SpoolLines {
        char *bytes;
        size_t size;
        uint64_t n;
} SpoolLines;

void spool_lines_done(SpoolLines *lines);

/* Sorts updates into files of at most `size_max` bytes, header included. -EINVAL where it is no array of objects with
 * strictly ascending update_id, or one of them could not be read back. The result is an array of *ret_n that
 * spool_files_free() frees. */
int spool_files_from_updates(json_object *updates, size_t size_max, SpoolLines **ret, size_t *ret_n) _must_check_;
void spool_files_free(SpoolLines *files, size_t n);

/* Written, synced, renamed into place; the directory is the caller's to sync. */
int spool_file_write(int directory, uint64_t number, const SpoolLines *lines) _must_check_;

/* -EBADMSG where it is damaged, or its lines are no updates with strictly ascending update_id. */
int spool_file_read(int directory, uint64_t number, SpoolLines *ret) _must_check_;
int spool_file_remove(int directory, uint64_t number);

/* update_id of every line; an array of lines->n. */
int spool_lines_ids(const SpoolLines *lines, int64_t **ret) _must_check_;

/* The first `n` lines, of which there must be as many; a view, nothing to free. */
SpoolLines spool_lines_head(const SpoolLines *lines, uint64_t n);

/* Numbers of all files, ascending. Files of other names are none of ours, but for temporary ones, which a crash left
 * behind: they are removed if `tidy`. */
int spool_file_list(int directory, bool tidy, uint64_t **ret, size_t *ret_n) _must_check_;
