/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <syslog.h>

#include "base/log-events.h"
#include "base/macro.h"

/* Lines go to the journal where standard error is connected to it (JOURNAL_STREAM=, systemd.exec(5)), with the fields
 * below; else to standard error, as text. Only manager/ and the main() files call this, manager/ by way of bot-log.h
 * where a line is about one bot.
 *
 * A line above the level costs a comparison: its arguments are not even computed. */

typedef enum LogTarget {
        LOG_TARGET_AUTO, /* whichever standard error is connected to */
        LOG_TARGET_JOURNAL,
        LOG_TARGET_CONSOLE, /* standard error, whatever that is */
        LOG_TARGET_MAX,
        LOG_TARGET_INVALID = -EINVAL,
} LogTarget;

const char *log_target_to_string(LogTarget target);
LogTarget log_target_from_string(const char *s);
void log_set_target(LogTarget target);
/* The one that is in use: JOURNAL or CONSOLE. */
LogTarget log_target(void);

/* "emerg" to "debug", as systemd's own services call them; also read as their numbers. -EINVAL: there is no such. */
const char *log_level_to_string(int level);
int log_level_from_string(const char *s);
void log_set_max_level(int level);
int log_max_level(void);

/* Fields of a line, in the journal's names: TGSWITCH_BOT=, …. */
typedef enum LogField {
        LOG_FIELD_BOT, /* also stands in front of the text */
        LOG_FIELD_JOB,
        LOG_FIELD_TARGET,
        LOG_FIELD_PHASE,
        LOG_FIELD_SEAT,
        LOG_FIELD_UNIT,
        LOG_FIELD_MAX,
        LOG_FIELD_INVALID = -EINVAL,
} LogField;

typedef struct LogContext {
        LogEvent event;
        const char *fields[LOG_FIELD_MAX]; /* NULL or "": not known, and left out */
} LogContext;

/* `error` is a negative errno, or 0; it becomes %m of the format. `context` may be NULL. Returns `error`. */
int log_internal(int level, int error, const LogContext *context, const char *format, ...) _printf_(4, 5);

#define log_full(level, error, context, ...)                                                               \
        ({                                                                                                 \
                int _error = (error);                                                                      \
                (level) <= log_max_level() ? log_internal(level, _error, (context), __VA_ARGS__) : _error; \
        })

#define log_debug(...)            ((void) log_full(LOG_DEBUG, 0, NULL, __VA_ARGS__))
#define log_info(...)             ((void) log_full(LOG_INFO, 0, NULL, __VA_ARGS__))
#define log_notice(...)           ((void) log_full(LOG_NOTICE, 0, NULL, __VA_ARGS__))
#define log_warning(...)          ((void) log_full(LOG_WARNING, 0, NULL, __VA_ARGS__))
#define log_error(...)            ((void) log_full(LOG_ERR, 0, NULL, __VA_ARGS__))
#define log_warning_errno(e, ...) log_full(LOG_WARNING, (e), NULL, __VA_ARGS__)
#define log_error_errno(e, ...)   log_full(LOG_ERR, (e), NULL, __VA_ARGS__)
#define log_oom()                 log_error_errno(-ENOMEM, "Out of memory.")

/* With an event, and the unit that it is about, or NULL. */
#define LOG_ABOUT_UNIT(e, unit)                     (&(LogContext){ .event = (e), .fields = { [LOG_FIELD_UNIT] = (unit) } })
#define log_event(level, event, unit, ...)          ((void) log_full((level), 0, LOG_ABOUT_UNIT(event, unit), __VA_ARGS__))
#define log_event_errno(level, event, unit, e, ...) log_full((level), (e), LOG_ABOUT_UNIT(event, unit), __VA_ARGS__)
