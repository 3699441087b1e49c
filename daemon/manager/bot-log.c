/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "manager/bot-log.h"
#include "manager/bot.h"

/* What the journal is told of a bot. At info a move has a line for its begin, for each phase and for its end. */

/* The line of its end is written when no job runs any more. */
static bool concerns_job(const Bot *b, LogEvent event)
{
        return bot_job_running(b) || event == LOG_EVENT_JOB_DONE || event == LOG_EVENT_JOB_FAILED ||
               event == LOG_EVENT_JOB_CANCELED;
}

int bot_log_internal(int level, const Bot *b, int error, LogEvent event, const char *unit, const char *format, ...)
{
        LogContext context = {
                .event = event,
                .fields = {
                        [LOG_FIELD_BOT] = b->name,
                        [LOG_FIELD_PHASE] = bot_phase(b),
                        [LOG_FIELD_SEAT] = seat_to_string(bot_seat(b)),
                        [LOG_FIELD_UNIT] = unit,
                },
        };
        char text[2048], job[sizeof("4294967295")];
        va_list ap;

        if (concerns_job(b, event)) {
                snprintf(job, sizeof(job), "%" PRIu32, b->record.job.id);
                context.fields[LOG_FIELD_JOB] = job;
                context.fields[LOG_FIELD_TARGET] = seat_to_string(b->record.job.target);
        }
        /* %m reads errno */
        errno = -error;
        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        return log_internal(level, error, &context, "%s", text);
}

LogEvent bot_log_event_of(CutoverState from, CutoverEvent event, CutoverNote note)
{
        if (event == CUTOVER_FALL_BACK_DUE)
                return LOG_EVENT_FALLBACK_BEGUN;
        switch (note) {
        case CUTOVER_NOTE_LOGGED_OUT:
                return LOG_EVENT_LOGGED_OUT;
        case CUTOVER_NOTE_MAY_BE_LOGGED_OUT:
                /* Once: the repeats that find it out say nothing new. */
                return from == CUTOVER_LOG_OUT ? LOG_EVENT_LOGOUT_UNKNOWN : LOG_EVENT_NONE;
        case CUTOVER_NOTE_ABANDONED:
                return LOG_EVENT_STALE_SESSION;
        case CUTOVER_NOTE_STALE_ENDED:
                return LOG_EVENT_STALE_SESSION_ENDED;
        default:
                return LOG_EVENT_NONE;
        }
}

static void tell_logged_out(const Bot *b)
{
        const char *source = seat_to_string(b->record.seat);
        usec_t left = bot_window_left(b, b->record.seat);
        char when[WHEN_MAX];

        if (left > 0)
                bot_log_event(b, LOG_NOTICE, LOG_EVENT_LOGGED_OUT,
                              "Logged out of the %s server: from here on there is only the way forward. That server does "
                              "not take the bot back before %s.",
                              source, format_when(when, left));
        else
                bot_log_event(b, LOG_NOTICE, LOG_EVENT_LOGGED_OUT,
                              "Logged out of the %s server: from here on there is only the way forward.", source);
}

void bot_log_tell(const Bot *b, LogEvent event)
{
        switch (event) {
        case LOG_EVENT_LOGGED_OUT:
                tell_logged_out(b);
                return;
        case LOG_EVENT_LOGOUT_UNKNOWN:
                bot_log_event(b, LOG_WARNING, event,
                              "Whether logOut was applied at the %s server is not known: it is repeated until an answer "
                              "tells, and no worker runs until then.",
                              seat_to_string(b->record.seat));
                return;
        case LOG_EVENT_FALLBACK_BEGUN:
                bot_log_event(b, LOG_WARNING, event,
                              "The local server does not take the bot, and the cloud does again: it goes back there.%s",
                              b->record.stale ? " What session that server may hold is ended when it answers." : "");
                return;
        case LOG_EVENT_STALE_SESSION:
                bot_log_event(b, LOG_WARNING, event,
                              "The local server is left without a logOut, since it cannot be asked: the session that it "
                              "may hold is on record and is ended when it answers again.");
                return;
        case LOG_EVENT_STALE_SESSION_ENDED:
                bot_log_event(b, LOG_NOTICE, event,
                              "The session that the local server still held is ended: the bot has one again.");
                return;
        default:
                return;
        }
}
