/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <syslog.h>

#include "base/macro.h"

/* Lines go to the journal where standard error is connected to it (JOURNAL_STREAM=, systemd.exec(5)), with the bot in
 * the field TGSWITCH_BOT=; else to standard error. Only manager/ and the main() files call this. */

void log_set_max_level(int level);

/* `error` is a negative errno, or 0; it becomes %m of the format. `bot` may be NULL. Returns `error`. */
int log_internal(int level, int error, const char *bot, const char *format, ...) _printf_(4, 5);

#define log_debug(...)                    ((void) log_internal(LOG_DEBUG, 0, NULL, __VA_ARGS__))
#define log_info(...)                     ((void) log_internal(LOG_INFO, 0, NULL, __VA_ARGS__))
#define log_notice(...)                   ((void) log_internal(LOG_NOTICE, 0, NULL, __VA_ARGS__))
#define log_warning(...)                  ((void) log_internal(LOG_WARNING, 0, NULL, __VA_ARGS__))
#define log_error(...)                    ((void) log_internal(LOG_ERR, 0, NULL, __VA_ARGS__))
#define log_warning_errno(e, ...)         log_internal(LOG_WARNING, (e), NULL, __VA_ARGS__)
#define log_error_errno(e, ...)           log_internal(LOG_ERR, (e), NULL, __VA_ARGS__)
#define log_oom()                         log_internal(LOG_ERR, -ENOMEM, NULL, "Out of memory.")
#define log_bot(level, bot, ...)          ((void) log_internal((level), 0, (bot), __VA_ARGS__))
#define log_bot_errno(level, bot, e, ...) log_internal((level), (e), (bot), __VA_ARGS__)
