/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <systemd/sd-journal.h>

#include "base/log.h"

static int max_level = LOG_INFO;
static int to_journal = -1;

void log_set_max_level(int level)
{
        max_level = level;
}

/* systemd sets JOURNAL_STREAM=DEVICE:INODE of the stream it connected; a program that redirected its standard error
 * since then has another inode there, and its output belongs to whoever redirected it (systemd.exec(5)). */
static bool stderr_is_journal(void)
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

int log_internal(int level, int error, const char *bot, const char *format, ...)
{
        char message[2048];
        va_list ap;

        if (level > max_level)
                return error;

        /* %m reads errno */
        errno = -error;
        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);

        if (to_journal < 0)
                to_journal = stderr_is_journal();

        if (!to_journal)
                fprintf(stderr, "%s%s%s\n", bot ? bot : "", bot ? ": " : "", message);
        else if (bot)
                (void) sd_journal_send("PRIORITY=%i", level, "MESSAGE=%s: %s", bot, message, "TGSWITCH_BOT=%s", bot,
                                       NULL);
        else
                (void) sd_journal_send("PRIORITY=%i", level, "MESSAGE=%s", message, NULL);
        return error;
}
