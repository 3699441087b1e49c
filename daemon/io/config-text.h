/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "io/config.h"

/* All files of a configuration that count, read once: what is judged is what is copied, whatever happens to the files
 * in the meantime. */

#define CONFIG_MAIN    "tgswitch.conf"
#define CONFIG_DROPINS "tgswitch.conf.d"
#define CONFIG_BOTS    "bots.d"
#define CONFIG_SUFFIX  ".conf"

/* More than any host has bots. */
#define CONFIG_FILES_MAX 4096u

typedef struct ConfigText {
        char *name; /* below the configuration's directory: "bots.d/shop.conf" */
        char *path; /* where it was found */
        char *bot;  /* "shop", or NULL */
        char *bytes;
        size_t size;
} ConfigText;

typedef struct ConfigTexts {
        ConfigText *items; /* tgswitch.conf, its drop-ins sorted by name, bots sorted by name */
        size_t n, allocated;
        bool is_copy; /* of what was good, by config_save_copy(): a worker may be two bots', of which one is gone or bad
                       */
} ConfigTexts;

/* What cannot be read goes to `problems`: its return value says whether there was memory for that. */
int config_texts_read(const char *const *directories, ConfigTexts *ret, ConfigProblems *problems) _must_check_;
void config_texts_done(ConfigTexts *texts);

/* config_load() without the reading: what is wrong is added to `problems`. */
int config_from_texts(const ConfigTexts *texts, Config **ret, ConfigProblems *problems) _must_check_;
