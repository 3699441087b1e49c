/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* The polkit rule that lets the unprivileged daemon start and stop exactly the units of the configuration (polkit(8)).
 * Exact names and a list of verbs: newer versions of systemd ask polkit with a unit name for transient units too, so a
 * glob would let whoever took the daemon over run anything as root. */

#define RULES_FILE     "/etc/polkit-1/rules.d/50-tgswitch.rules"
#define RULES_SIZE_MAX (1024u * 1024u)

/* The text of the rule for these units, sorted; the names must be valid. */
int rules_render(char *const *units, char **ret) _must_check_;

/* The names in a text that rules_render() wrote; lines that are not of its making are passed over. */
int rules_parse(const char *text, char ***ret) _must_check_;
