/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "io/config.h"

/* A strict reader of systemd's syntax. libinih takes the lines apart; this sees to it that it gets only lines of which
 * there is nothing to guess: see check_line(). */

#define CONFIG_FILE_MAX (64u * 1024u)

/* Values are never part of a message: somebody may have pasted a token where none belongs. */
int config_problem_add(ConfigProblems *problems, const char *path, unsigned line, const char *bot, const char *format,
                       ...) _must_check_ _printf_(5, 6);

typedef struct ConfigFile {
        const char *path;
        const char *bot;             /* whose file it is, or NULL */
        const char *const *sections; /* that may be in it; NULL-terminated */
        ConfigProblems *problems;
} ConfigFile;

/* One assignment, in the order of the file. Returns 0, or a negative errno that ends the reading. What is wrong with it
 * goes to file->problems. */
typedef int (*config_assign_t)(const ConfigFile *file, const char *section, const char *key, const char *value,
                               unsigned line, void *userdata);

/* Reads `bytes`, the content of the file. Whatever is wrong goes to file->problems, with its line. Returns 1, or 0
 * where the file is comments alone; -ENOMEM, or what `assign` returned. */
int config_read(const ConfigFile *file, const char *bytes, size_t size, config_assign_t assign,
                void *userdata) _must_check_;
