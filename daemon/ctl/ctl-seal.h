/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "base/macro.h"

/* Credentials at rest: what systemd-creds(1) encrypts for this host, and for one name. It is run as a program because
 * libsystemd has no call for it. Plain and encrypted bytes go by pipes, never by arguments, environment or files. */

/* More than any credential of tgswitchd has, encrypted and in base64; less than a pipe takes without a reader. */
#define SEALED_SIZE_MAX (32u * 1024u)
#define SEAL_NAME_SIZE  64

/* From here on neither this process nor one that it starts leaves a core dump. */
void seal_memory(void);

/* The name that is encrypted with the bytes, so that nobody takes them for another bot's: that of the credential which
 * systemd makes of the file, units/tgswitchd.service. `kind` is "token" or "secret". Returns `buffer`. */
char *seal_name(char buffer[static SEAL_NAME_SIZE], const char *kind, const char *bot);

/* Both return 0, with bytes that are the caller's to wipe and free and have a NUL behind them; -ENOMEM; or another
 * negative errno with *ret_why, what systemd-creds said: a sentence fragment, one line, to be freed. */
int seal(const char *name, const char *bytes, size_t size, char **ret, size_t *ret_size, char **ret_why) _must_check_;
int unseal(const char *name, const char *bytes, size_t size, char **ret, size_t *ret_size, char **ret_why) _must_check_;
