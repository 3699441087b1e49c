/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "io/config-reader.h"
#include "io/config.h"

/* Where the assignments of one file go. Of a [Manager] file, `bot` holds [BotDefaults]. */
#define CONFIG_KEYS_MAX 40u
typedef struct ConfigTarget {
        Config *config;
        BotConfig *bot;
        unsigned line_of[CONFIG_KEYS_MAX]; /* of the last assignment in this file; 0: none */
} ConfigTarget;

/* Built-in defaults of all that is no string. */
void config_set_defaults(Config *c);
void bot_config_set_defaults(BotConfig *b);

/* A config_assign_t with a ConfigTarget. */
int config_assign(const ConfigFile *file, const char *section, const char *name, const char *value, unsigned line,
                  void *userdata) _must_check_;

/* Line of the last assignment to a key, 0 if there was none. */
unsigned config_line_of(const ConfigTarget *target, const char *key);

/* Built-in defaults of the strings that nothing was assigned to. */
int config_finish(Config *c) _must_check_;

/* What follows from the bot's other settings, and what must fit together: the rest goes to file->problems. */
int bot_config_finish(const ConfigFile *file, const ConfigTarget *target) _must_check_;
