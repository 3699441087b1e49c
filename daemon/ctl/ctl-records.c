/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/record.h"
#include "ctl/ctl-records.h"
#include "io/config.h"

#define RECORDS_DIRECTORY "bots"
#define RECORD_SUFFIX     ".state"

/* The daemon may be writing: a record that was replaced becomes the space for the next one, also under a reader. */
#define READ_ATTEMPTS 3

static int open_records(const char *state_directory)
{
        _cleanup_close_ int directory = -EBADF;
        int fd;

        directory = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        fd = openat(directory, RECORDS_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* As record_decode(); where the file itself cannot be read, with errno's text for *ret_why. */
static int read_record(int directory, const char *file, const char *bot, Record *ret, const char **ret_why)
{
        int r = -EBADMSG;

        for (int i = 0; r == -EBADMSG && i < READ_ATTEMPTS; i++) {
                _cleanup_free_ char *bytes = NULL;
                size_t size;

                r = read_file_at(directory, file, O_NOFOLLOW, RECORD_SIZE_MAX, &bytes, &size);
                if (r < 0) {
                        *ret_why = strerror(-r);
                        return r;
                }
                r = record_decode(bytes, size, bot, ret, ret_why);
        }
        return r;
}

static int complain(const char *state_directory, const char *file, const char *why, char ***complaints)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text,
                     "%s/" RECORDS_DIRECTORY "/%s cannot be used (%s), so that the rule takes no account of this bot; "
                     "'tgswitchctl status' says what to do.",
                     state_directory, file, why) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return strv_extend(complaints, text);
}

/* The name in "NAME.state", or NULL: of anything else that may lie there, nothing is read or printed. */
static char *bot_of(const char *file)
{
        const char *dot = strrchr(file, '.');
        _cleanup_free_ char *bot = NULL;

        if (!dot || !streq(dot, RECORD_SUFFIX))
                return NULL;
        bot = strndup(file, (size_t) (dot - file));
        return bot && bot_name_is_valid(bot) ? TAKE_PTR(bot) : NULL;
}

static int look_at(const char *state_directory, int directory, const char *file, char ***bots, char ***complaints)
{
        _cleanup_(record_done) Record record = {};
        _cleanup_free_ char *bot = bot_of(file);
        const char *why;
        int r;

        if (!bot)
                return 0;
        r = read_record(directory, file, bot, &record, &why);
        /* gone in between: that bot was forgotten */
        if (r == -ENOENT)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return complain(state_directory, file, why, complaints);
        return record.state != CUTOVER_SETTLED || record.stale ? strv_extend(bots, bot) : 0;
}

int records_on_their_way(const char *state_directory, char ***ret_bots, char ***ret_complaints)
{
        _cleanup_strv_ char **files = NULL, **bots = NULL, **complaints = NULL;
        _cleanup_close_ int directory = open_records(state_directory);
        int r;

        r = directory < 0 ? directory : list_directory_at(directory, ".", &files);
        if (r < 0 && r != -ENOENT)
                return r;
        STRV_FOREACH(file, files) {
                r = look_at(state_directory, directory, *file, &bots, &complaints);
                if (r < 0)
                        return r;
        }
        *ret_bots = TAKE_PTR(bots);
        *ret_complaints = TAKE_PTR(complaints);
        return 0;
}

/* 0 where there is none, or none that can be used, which is told elsewhere. */
static int read_record_of(const char *state_directory, const char *bot, Record *ret)
{
        _cleanup_close_ int directory = open_records(state_directory);
        _cleanup_free_ char *file = NULL;
        const char *why;
        int r;

        if (directory < 0 && directory != -ENOENT)
                return directory;
        if (asprintf(&file, "%s" RECORD_SUFFIX, bot) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        r = directory < 0 ? -ENOENT : read_record(directory, file, bot, ret, &why);
        return r == -ENOMEM ? r : r >= 0;
}

int records_bot_id(const char *state_directory, const char *bot, int64_t *ret)
{
        _cleanup_(record_done) Record record = {};
        int r = read_record_of(state_directory, bot, &record);

        if (r < 0)
                return r;
        *ret = r > 0 ? record.bot_id : 0;
        return 0;
}

int records_logs_out(const char *state_directory, const char *bot)
{
        _cleanup_(record_done) Record record = {};
        int r = read_record_of(state_directory, bot, &record);

        return r <= 0 ? r : streq(cutover_facts(record.state)->phase, "log-out");
}
