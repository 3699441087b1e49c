/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "io/config.h"
#include "io/store.h"

#define STATE_SUFFIX   ".state"
#define SPARE_SUFFIX   ".spare"
#define FILE_NAME_SIZE (BOT_NAME_MAX + sizeof(STATE_SUFFIX))
#define NEXT_JOB_FILE  "next-job"
#define NEXT_JOB_TEXT  "tgswitch-next-job 1 %" PRIu32 "\n"

struct Store {
        DiskQueue *queue;
        char *path;
        int directory;
        int bots; /* locked against a second process; saves in flight hold the lock with their copy of it */
        int spool;
        uint32_t job_id;        /* the next to give out; 0: the file was not read yet */
        uint32_t job_id_beyond; /* the first that the file does not cover */
};

int store_open(Store **ret, DiskQueue *q, const char *directory)
{
        _cleanup_(store_freep) Store *s = NULL;
        int r;

        s = malloc(sizeof(Store));
        if (!s)
                return -ENOMEM;
        *s = (Store){ .queue = q, .directory = -EBADF, .bots = -EBADF, .spool = -EBADF };
        s->path = strdup(directory);
        if (!s->path)
                return -ENOMEM;
        r = open_directory_at(AT_FDCWD, directory, 0700, &s->directory);
        if (r < 0)
                return r;
        r = open_directory_at(s->directory, "bots", 0700, &s->bots);
        if (r < 0)
                return r;
        if (flock(s->bots, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        r = open_directory_at(s->directory, "spool", 0700, &s->spool);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Store *store_free(Store *s)
{
        if (!s)
                return NULL;
        closep(&s->directory);
        closep(&s->bots);
        closep(&s->spool);
        free(s->path);
        free(s);
        return NULL;
}

DiskQueue *store_disk_queue(Store *s)
{
        return s->queue;
}

int store_open_spool_directory(Store *s, const char *bot, int *ret_fd)
{
        assert(bot_name_is_valid(bot));
        return open_directory_at(s->spool, bot, 0700, ret_fd);
}

/* ---- reading ---- */

static void file_name(char name[static FILE_NAME_SIZE], const char *bot, const char *suffix)
{
        assert(bot_name_is_valid(bot));
        snprintf(name, FILE_NAME_SIZE, "%.*s%s", (int) BOT_NAME_MAX, bot, suffix);
}

static bool file_exists(int directory, const char *name)
{
        struct stat st;

        /* Only a clear "no" is one. */
        return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static int damaged(Store *s, const char *bot, const char *name, const char *what, int error, char **ret_why)
{
        if (asprintf(ret_why,
                     "The record %s/bots/%s cannot be used: %s. Nothing is sent for this bot. Put a good copy there, or, "
                     "where it is certain at which server the bot is logged in and that no fallback window is open, "
                     "move %s" STATE_SUFFIX " and %s" SPARE_SUFFIX " away and set InitialSeat=. Then run 'systemctl "
                     "restart tgswitchd'.",
                     s->path, name, what, bot, bot) < 0)
                *ret_why = NULL;
        return error;
}

int store_load(Store *s, const char *bot, Record *ret, char **ret_why)
{
        char state[FILE_NAME_SIZE], spare[FILE_NAME_SIZE];
        _cleanup_free_ char *bytes = NULL;
        const char *why = "there is no memory for it";
        size_t size;
        int r;

        file_name(state, bot, STATE_SUFFIX);
        file_name(spare, bot, SPARE_SUFFIX);
        r = read_file_at(s->bots, state, O_NOFOLLOW, RECORD_SIZE_MAX, &bytes, &size);
        if (r == -ENOENT) {
                if (!file_exists(s->bots, spare))
                        return -ENOENT;
                return damaged(s, bot, state, "it is gone, though there was one", -EBADMSG, ret_why);
        }
        if (r == -EFBIG || r == -ENOTTY || r == -ELOOP)
                return damaged(s, bot, state, "it is no file that tgswitchd has written", -EBADMSG, ret_why);
        if (r < 0)
                return damaged(s, bot, state, strerror(-r), r, ret_why);
        r = record_decode(bytes, size, bot, ret, &why);
        return r < 0 ? damaged(s, bot, state, why, r, ret_why) : 0;
}

int store_list(Store *s, char ***ret)
{
        _cleanup_strv_ char **files = NULL, **bots = NULL;
        const char *last = NULL;
        int r;

        r = list_directory_at(s->bots, ".", &files);
        if (r < 0)
                return r;
        /* They are sorted, and a dot comes before all that a name has: the two of a bot stand side by side. */
        STRV_FOREACH(file, files) {
                char *dot = strrchr(*file, '.');

                if (!dot || (!streq(dot, STATE_SUFFIX) && !streq(dot, SPARE_SUFFIX)))
                        continue;
                *dot = '\0';
                if (!bot_name_is_valid(*file) || streq_ptr(*file, last))
                        continue;
                last = *file;
                r = strv_extend(&bots, *file);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(bots);
        return 0;
}

/* ---- writing: all of it on the disk queue ---- */

typedef struct SaveWork {
        int bots;
        char *bytes; /* padded once it is its turn: a thousand may wait */
        size_t size;
        char state[FILE_NAME_SIZE];
        char spare[FILE_NAME_SIZE];
} SaveWork;

static void save_work_free(void *work)
{
        SaveWork *w = work;

        closep(&w->bots);
        free(w->bytes);
        free(w);
}

/* Opens the spare file with at least the record's size, set aside by the file system. Returns 1 if it had to be asked
 * for room, 0 if all of it was there. */
static int open_spare(const SaveWork *w, int *ret_fd, size_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        bool grow;
        int k;

        fd = openat(w->bots, w->spare, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size > RECORD_SIZE_MAX)
                return -EBADMSG;
        grow = st.st_size < (off_t) w->size;
        k = grow ? posix_fallocate(fd, 0, (off_t) w->size) : 0;
        if (k != 0)
                return -k;
        *ret_size = MAX((size_t) st.st_size, w->size);
        *ret_fd = TAKE_FD(fd);
        return grow;
}

/* The spare file never shrinks: what it had and the record does not need becomes padding again. */
static int write_padding(int fd, size_t size)
{
        _cleanup_free_ char *padding = NULL;

        if (size == 0)
                return 0;
        padding = malloc(size);
        if (!padding)
                return -ENOMEM;
        memset(padding, '\n', size);
        return write_all(fd, padding, size);
}

static int write_spare(const SaveWork *w)
{
        _cleanup_close_ int fd = -EBADF;
        size_t size;
        int r;

        r = open_spare(w, &fd, &size);
        if (r < 0)
                return r;
        r = write_all(fd, w->bytes, w->size);
        if (r < 0)
                return r;
        r = write_padding(fd, size - w->size);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

/* Brings the spare file to the size of the record, for the next save. If that fails the record is no less safe, and the
 * next save tries again and tells. */
static void provide_spare(const SaveWork *w)
{
        _cleanup_close_ int fd = -EBADF;
        size_t size;

        if (open_spare(w, &fd, &size) > 0)
                (void) fsync(w->bots);
}

static int exchange_spare(const SaveWork *w)
{
        int r = exchange_at(w->bots, w->state, w->spare);

        if (r < 0)
                return r;
        if (fsync(w->bots) == 0)
                return 0;
        r = -errno;
        /* Nobody knows which of the two the disk has. The caller is told that nothing changed: so it shall be for
         * whoever reads next, unless the power goes first. */
        (void) exchange_at(w->bots, w->state, w->spare);
        return r;
}

static int pad(char **bytes, size_t *size)
{
        size_t padded_size = (*size + STORE_STEP - 1) / STORE_STEP * STORE_STEP;
        char *padded;

        static_assert(RECORD_SIZE_MAX % STORE_STEP == 0, "the largest record is a whole number of steps");
        padded = realloc(*bytes, padded_size);
        if (!padded)
                return -ENOMEM;
        memset(padded + *size, '\n', padded_size - *size);
        *bytes = padded;
        *size = padded_size;
        return 0;
}

static int save_padded(const SaveWork *w)
{
        int r;

        if (!file_exists(w->bots, w->state)) {
                /* The first one: a spare file must not be there before, it would speak of a lost record. */
                r = write_file_atomic_at(w->bots, w->state, w->bytes, w->size, 0600, WRITE_SYNC);
                if (r >= 0)
                        provide_spare(w);
                return r;
        }
        r = write_spare(w);
        if (r < 0)
                return r;
        r = exchange_spare(w);
        if (r == -EOPNOTSUPP)
                r = renameat(w->bots, w->spare, w->bots, w->state) < 0 || fsync(w->bots) < 0 ? -errno : 0;
        if (r >= 0)
                provide_spare(w);
        return r;
}

static int save_run(void *work)
{
        SaveWork *w = work;
        int r;

        r = pad(&w->bytes, &w->size);
        if (r >= 0)
                r = save_padded(w);
        free(TAKE_PTR(w->bytes)); /* the rest of the work may have to wait for the event loop */
        return r;
}

/* Takes `bytes`, whether it succeeds or not. */
static int save_work_new(Store *s, const char *bot, char *bytes, size_t size, SaveWork **ret)
{
        SaveWork *w;
        int r;

        w = calloc(1, sizeof(SaveWork));
        if (!w) {
                free(bytes);
                return -ENOMEM;
        }
        w->bytes = bytes;
        w->size = size;
        file_name(w->state, bot, STATE_SUFFIX);
        file_name(w->spare, bot, SPARE_SUFFIX);
        w->bots = fcntl(s->bots, F_DUPFD_CLOEXEC, 3);
        if (w->bots < 0) {
                r = -errno;
                assert(r < 0);
                save_work_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int store_save(Store *s, const char *bot, const Record *record, disk_done_t done, void *userdata, DiskJob **ret)
{
        SaveWork *w = NULL;
        char *bytes;
        size_t size;
        int r;

        r = record_encode(record, bot, &bytes, &size);
        if (r < 0)
                return r;
        r = save_work_new(s, bot, bytes, size, &w);
        if (r < 0)
                return r;
        r = disk_queue_push(s->queue, save_run, w, save_work_free, done, userdata, ret);
        if (r < 0)
                save_work_free(w);
        return r;
}

typedef struct ForgetWork {
        int bots;
        int spool;
        char bot[FILE_NAME_SIZE];
} ForgetWork;

static void forget_work_free(void *work)
{
        ForgetWork *w = work;

        closep(&w->bots);
        closep(&w->spool);
        free(w);
}

static int remove_spool(int spool, const char *bot)
{
        _cleanup_close_ int directory = -EBADF;
        _cleanup_strv_ char **files = NULL;
        int r;

        r = list_directory_at(spool, bot, &files);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        directory = openat(spool, bot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        STRV_FOREACH(file, files) {
                r = unlink_if_exists_at(directory, *file);
                if (r < 0)
                        return r;
        }
        return unlinkat(spool, bot, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int forget_run(void *work)
{
        ForgetWork *w = work;
        char name[FILE_NAME_SIZE];
        int r;

        r = remove_spool(w->spool, w->bot);
        if (r < 0)
                return r;
        /* The spare first, and on disk: left behind alone it would speak of a lost record. */
        file_name(name, w->bot, SPARE_SUFFIX);
        r = unlink_if_exists_at(w->bots, name);
        if (r < 0)
                return r;
        if (fsync(w->bots) < 0)
                return -errno;
        file_name(name, w->bot, STATE_SUFFIX);
        r = unlink_if_exists_at(w->bots, name);
        if (r < 0)
                return r;
        return fsync(w->bots) < 0 ? -errno : 0;
}

int store_forget(Store *s, const char *bot)
{
        ForgetWork *w;
        int r;

        w = calloc(1, sizeof(ForgetWork));
        if (!w)
                return -ENOMEM;
        file_name(w->bot, bot, "");
        w->bots = fcntl(s->bots, F_DUPFD_CLOEXEC, 3);
        w->spool = fcntl(s->spool, F_DUPFD_CLOEXEC, 3);
        r = w->bots < 0 || w->spool < 0 ? -errno : 0;
        if (r >= 0)
                r = disk_queue_push(s->queue, forget_run, w, forget_work_free, NULL, NULL, NULL);
        if (r < 0)
                forget_work_free(w);
        return r;
}

/* ---- the rest ---- */

static int read_next_job_id(Store *s)
{
        _cleanup_free_ char *text = NULL;
        char expected[64];
        size_t size;
        uint32_t id;
        int r;

        r = read_file_at(s->directory, NEXT_JOB_FILE, O_NOFOLLOW, sizeof(expected) - 1, &text, &size);
        if (r == -ENOENT) {
                s->job_id = s->job_id_beyond = 1;
                return 0;
        }
        if (r < 0)
                return r == -EFBIG || r == -ENOTTY ? -EBADMSG : r;
        if (sscanf(text, "tgswitch-next-job 1 %" SCNu32, &id) != 1 || id == 0)
                return -EBADMSG;
        snprintf(expected, sizeof(expected), NEXT_JOB_TEXT, id);
        if (!streq(text, expected))
                return -EBADMSG;
        s->job_id = s->job_id_beyond = id;
        return 0;
}

static int reserve_job_ids(Store *s)
{
        char text[64];
        int n, r;

        if (s->job_id_beyond > UINT32_MAX - STORE_JOB_IDS)
                return -ERANGE;
        n = snprintf(text, sizeof(text), NEXT_JOB_TEXT, s->job_id_beyond + STORE_JOB_IDS);
        r = write_file_atomic_at(s->directory, NEXT_JOB_FILE, text, (size_t) n, 0600, WRITE_SYNC);
        if (r < 0)
                return r;
        s->job_id_beyond += STORE_JOB_IDS;
        return 0;
}

int store_next_job_id(Store *s, uint32_t *ret)
{
        int r;

        if (s->job_id == 0) {
                r = read_next_job_id(s);
                if (r < 0)
                        return r;
        }
        if (s->job_id == s->job_id_beyond) {
                r = reserve_job_ids(s);
                if (r < 0)
                        return r;
        }
        *ret = s->job_id++;
        return 0;
}

int store_free_bytes(Store *s, uint64_t *ret)
{
        struct statvfs st;

        if (fstatvfs(s->directory, &st) < 0)
                return -errno;
        *ret = (uint64_t) st.f_bavail * st.f_frsize;
        return 0;
}
