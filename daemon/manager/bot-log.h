/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/log.h"
#include "manager/manager.h"

/* Lines about one bot: its name stands in front, and the journal gets what is known of it as fields. `event` is one of
 * log-events.h; `unit` is the unit that the line is about, or NULL. An error is a negative errno, becomes %m of the
 * format, and is what the expression comes to. */

int bot_log_internal(int level, const Bot *b, int error, LogEvent event, const char *unit, const char *format, ...)
                _printf_(6, 7);

#define bot_log_full(b, level, error, event, unit, ...)                                                         \
        ({                                                                                                      \
                int _error = (error);                                                                           \
                (level) <= log_max_level() ? bot_log_internal(level, (b), _error, (event), (unit), __VA_ARGS__) \
                                           : _error;                                                            \
        })

#define bot_log(b, level, ...)                       ((void) bot_log_full((b), (level), 0, LOG_EVENT_NONE, NULL, __VA_ARGS__))
#define bot_log_errno(b, level, e, ...)              bot_log_full((b), (level), (e), LOG_EVENT_NONE, NULL, __VA_ARGS__)
#define bot_log_event(b, level, event, ...)          ((void) bot_log_full((b), (level), 0, (event), NULL, __VA_ARGS__))
#define bot_log_event_errno(b, level, event, e, ...) bot_log_full((b), (level), (e), (event), NULL, __VA_ARGS__)
#define bot_log_unit(b, level, event, unit, ...)     ((void) bot_log_full((b), (level), 0, (event), (unit), __VA_ARGS__))

/* What a step means to whoever looks after the bot, apart from the phase that it enters; LOG_EVENT_NONE: nothing. */
LogEvent bot_log_event_of(CutoverState from, CutoverEvent event, CutoverNote note);
/* The line of such an event. */
void bot_log_tell(const Bot *b, LogEvent event);
