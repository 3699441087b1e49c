/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/log.h"

static int max_level = LOG_INFO;
static LogTarget target = LOG_TARGET_AUTO;

const char *log_event_id(LogEvent event)
{
        static const char *const ids[LOG_EVENT_MAX] = {
#define LOG_EVENT(name, id) [LOG_EVENT_##name] = (id),
                LOG_EVENTS(LOG_EVENT)
#undef LOG_EVENT
        };

        return event >= 0 && event < LOG_EVENT_MAX ? ids[event] : NULL;
}

const char *log_target_to_string(LogTarget t)
{
        static const char *const names[LOG_TARGET_MAX] = {
                [LOG_TARGET_AUTO] = "auto",
                [LOG_TARGET_JOURNAL] = "journal",
                [LOG_TARGET_CONSOLE] = "console",
        };

        return t >= 0 && t < LOG_TARGET_MAX ? names[t] : NULL;
}

LogTarget log_target_from_string(const char *s)
{
        for (LogTarget t = 0; t < LOG_TARGET_MAX; t++)
                if (streq(s, log_target_to_string(t)))
                        return t;
        return LOG_TARGET_INVALID;
}

/* systemd sets JOURNAL_STREAM=DEVICE:INODE of the stream it connected; a program that redirected its standard error
 * since then has another inode there, and its output belongs to whoever redirected it (systemd.exec(5)). */
static bool compare_stream(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
                return false;
        if (fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == device && st.st_ino == inode;
}

static bool stderr_is_journal(void)
{
        static int is = -1;

        if (is < 0)
                is = compare_stream();
        return is;
}

void log_set_target(LogTarget t)
{
        assert(t >= 0 && t < LOG_TARGET_MAX);

        target = t;
}

LogTarget log_target(void)
{
        if (target != LOG_TARGET_AUTO)
                return target;
        return stderr_is_journal() ? LOG_TARGET_JOURNAL : LOG_TARGET_CONSOLE;
}

static const char *const level_names[] = {
        [LOG_EMERG] = "emerg",     [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "err",
        [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

const char *log_level_to_string(int level)
{
        return level >= LOG_EMERG && level <= LOG_DEBUG ? level_names[level] : NULL;
}

int log_level_from_string(const char *s)
{
        for (int level = LOG_EMERG; level <= LOG_DEBUG; level++)
                if (streq(s, level_names[level]) || (s[0] == '0' + level && s[1] == '\0'))
                        return level;
        return -EINVAL;
}

void log_set_max_level(int level)
{
        max_level = level;
}

int log_max_level(void)
{
        return max_level;
}

/* ---- one line ---- */

/* A line's fields as the journal takes them. What does not fit any more is left out, the text comes first. */
typedef struct JournalEntry {
        struct iovec fields[LOG_FIELD_MAX + 4];
        int n;
        char text[4096];
        size_t size;
} JournalEntry;

static void _printf_(2, 3) entry_add(JournalEntry *e, const char *format, ...)
{
        size_t left = sizeof(e->text) - e->size;
        va_list ap;
        int n;

        assert((size_t) e->n < ELEMENTSOF(e->fields));

        va_start(ap, format);
        n = vsnprintf(e->text + e->size, left, format, ap);
        va_end(ap);
        if (n < 0 || (size_t) n >= left)
                return;
        e->fields[e->n++] = (struct iovec){ e->text + e->size, (size_t) n };
        e->size += (size_t) n;
}

static void send_to_journal(int level, int error, const LogContext *context, const char *prefix, const char *message)
{
        static const char *const names[LOG_FIELD_MAX] = {
                [LOG_FIELD_BOT] = "TGSWITCH_BOT",       [LOG_FIELD_JOB] = "TGSWITCH_JOB",
                [LOG_FIELD_TARGET] = "TGSWITCH_TARGET", [LOG_FIELD_PHASE] = "TGSWITCH_PHASE",
                [LOG_FIELD_SEAT] = "TGSWITCH_SEAT",     [LOG_FIELD_UNIT] = "TGSWITCH_UNIT",
        };
        const char *id = context ? log_event_id(context->event) : NULL;
        JournalEntry e = {};

        entry_add(&e, "MESSAGE=%s%s%s", prefix, *prefix ? ": " : "", message);
        entry_add(&e, "PRIORITY=%i", level);
        if (id)
                entry_add(&e, "MESSAGE_ID=%s", id);
        if (error < 0)
                entry_add(&e, "ERRNO=%i", -error);
        for (LogField f = 0; context && f < LOG_FIELD_MAX; f++)
                if (!isempty(context->fields[f]))
                        entry_add(&e, "%s=%s", names[f], context->fields[f]);
        (void) sd_journal_sendv(e.fields, e.n);
}

int log_internal(int level, int error, const LogContext *context, const char *format, ...)
{
        const char *bot = context ? context->fields[LOG_FIELD_BOT] : NULL;
        const char *prefix = bot ?: "";
        char message[2048];
        va_list ap;

        /* %m reads errno */
        errno = -error;
        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);

        if (log_target() == LOG_TARGET_JOURNAL) {
                send_to_journal(level, error, context, prefix, message);
                return error;
        }
        if (stderr_is_journal())
                fprintf(stderr, "<%i>", level); /* sd-daemon(3) */
        fprintf(stderr, "%s%s%s\n", prefix, *prefix ? ": " : "", message);
        return error;
}
