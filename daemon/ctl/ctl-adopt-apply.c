/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs-util.h"
#include "ctl/ctl-adopt-apply.h"
#include "ctl/ctl-units.h"

#define FILE_SIZE_MAX      (1024u * 1024u)
#define RELOAD_TIMEOUT_SEC 90

/* ---- files ---- */

int adopt_file_read(AdoptFile *f)
{
        struct stat st;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, f->path, O_NOFOLLOW, FILE_SIZE_MAX, &f->before, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (strlen(f->before) != size)
                return -EBADMSG;
        if (stat(f->path, &st) < 0)
                return -errno;
        f->mode = st.st_mode & 07777;
        return 0;
}

void adopt_file_done(AdoptFile *f)
{
        free(f->path);
        free(f->before);
        free(f->after);
        *f = (AdoptFile){};
}

bool adopt_file_changes(const AdoptFile *f)
{
        return !streq_ptr(f->before, f->after);
}

/* The directory has gone, or has got its file, for good: also after a power cut. */
static int sync_parent(int directory)
{
        _cleanup_close_ int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return parent < 0 || fsync(parent) < 0 ? -errno : 0;
}

static int remove_file(const AdoptFile *f, int directory, const char *name, const char *path)
{
        int r = unlink_if_exists_at(directory, name);

        if (r < 0)
                return r;
        if (fsync(directory) < 0)
                return -errno;
        /* Only where nothing else is in it. */
        return f->own_directory && rmdir(path) == 0 ? sync_parent(directory) : 0;
}

static int bring_file(const AdoptFile *f, const char *text)
{
        _cleanup_free_ char *for_directory = strdup(f->path), *for_name = strdup(f->path);
        _cleanup_close_ int directory = -EBADF;
        const char *path, *name;
        int r;

        if (!for_directory || !for_name)
                return -ENOMEM;
        path = dirname(for_directory);
        name = basename(for_name);
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = directory < 0 ? -errno : 0;
        if (r == -ENOENT && text)
                r = open_directory_at(AT_FDCWD, path, 0755, &directory);
        if (r < 0)
                return r;
        return !text ? remove_file(f, directory, name, path)
                     : write_file_atomic_at(directory, name, text, strlen(text), f->mode, WRITE_SYNC);
}

/* Whether the file has this text now: who changed it while we asked must not lose that. 1, 0 or -errno. */
static int has_text(const AdoptFile *f, const char *text)
{
        _cleanup_free_ char *present = NULL;
        size_t size;
        int r = read_file_at(AT_FDCWD, f->path, O_NOFOLLOW, FILE_SIZE_MAX, &present, &size);

        return r < 0 && r != -ENOENT ? r : streq_ptr(present, text);
}

CtlExit adopt_file_changed(const AdoptFile *f)
{
        return ctl_error(CTL_FAILED, "%s has changed since it was read; give the same command again.", f->path);
}

CtlExit adopt_file_write(AdoptFile *f)
{
        int r;

        if (!adopt_file_changes(f))
                return CTL_OK;
        r = has_text(f, f->before);
        if (r == 0)
                return adopt_file_changed(f);
        if (r > 0) {
                /* What fails last, at the directory's fsync(), fails when the change can be seen. */
                f->touched = true;
                r = bring_file(f, f->after);
        }
        if (r < 0)
                return ctl_error(
                                CTL_FAILED,
                                "%s cannot be written: %s. Look after its directory, then give the same command again.",
                                f->path, strerror(-r));
        return CTL_OK;
}

CtlExit adopt_file_put_back(const AdoptFile *f)
{
        int r;

        if (!f->touched || (r = has_text(f, f->before)) > 0)
                return CTL_OK;
        if (r >= 0 && (r = has_text(f, f->after)) >= 0)
                r = r > 0 ? bring_file(f, f->before) : -EBUSY;
        return r >= 0 ? CTL_OK
                      : ctl_error(CTL_FAILED, "%s cannot be put back (%s): look at it yourself.", f->path,
                                  r == -EBUSY ? "somebody has changed it meanwhile" : strerror(-r));
}

/* ---- systemd ---- */

static int daemon_reload(sd_bus *bus, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "Reload");
        return r < 0 ? r : sd_bus_call(bus, m, RELOAD_TIMEOUT_SEC * USEC_PER_SEC, error, NULL);
}

/* ---- steps ---- */

typedef struct Step {
        AdoptFile *file;
        CtlExit (*take_effect)(Ctl *c);
} Step;

CtlExit adopt_reload_systemd(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = daemon_reload(c->bus, &error);

        return r >= 0 ? CTL_OK
                      : ctl_error(CTL_FAILED,
                                  "systemd does not read its units again (%s); try 'systemctl daemon-reload'.",
                                  error.message ?: strerror(-r));
}

static CtlExit reload_daemon(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        /* `authorize` comes with it, and a daemon that does not run starts. */
        int r = units_job(c->bus, "ReloadOrRestartUnit", DAEMON_UNIT, JOB_TIMEOUT_USEC, &error);

        if (r > 0)
                return CTL_OK;
        return ctl_error(CTL_FAILED,
                         "tgswitchd does not read its configuration again (%s): 'journalctl -u tgswitchd' says why.",
                         r == 0 ? "the reload has failed" : error.message ?: strerror(-r));
}

static CtlExit take_step(Ctl *c, const Step *s)
{
        CtlExit status;

        if (!adopt_file_changes(s->file))
                return CTL_OK;
        status = adopt_file_write(s->file);
        return status == CTL_OK ? s->take_effect(c) : status;
}

static bool step_back(Ctl *c, const Step *s)
{
        return !s->file->touched || (adopt_file_put_back(s->file) == CTL_OK && s->take_effect(c) == CTL_OK);
}

static CtlExit take_both(Ctl *c, const Step *first, const Step *second)
{
        CtlExit status;
        bool good;

        if ((status = take_step(c, first)) == CTL_OK && (status = take_step(c, second)) == CTL_OK)
                return CTL_OK;
        good = step_back(c, second);
        good = step_back(c, first) && good;
        return ctl_error(status, "%s",
                         !first->file->touched && !second->file->touched ? "Nothing was changed."
                         : good                                          ? "Everything was put back as it was."
                                : "Not all could be put back. Give the same command again.");
}

CtlExit adopt_apply(Ctl *c, AdoptFile *drop_in, AdoptFile *bot_file, bool undo)
{
        const Step gate = { .file = drop_in, .take_effect = adopt_reload_systemd };
        const Step declaration = { .file = bot_file, .take_effect = reload_daemon };
        sigset_t before;
        CtlExit status;

        ctl_block_signals(&before);
        status = undo ? take_both(c, &gate, &declaration) : take_both(c, &declaration, &gate);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return status;
}

CtlExit adopt_restart(Ctl *c, const char *unit)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = units_job(c->bus, "TryRestartUnit", unit, JOB_TIMEOUT_USEC, &error);

        if (r > 0)
                return CTL_OK;
        if (r == -ETIMEDOUT)
                return ctl_error(CTL_FAILED,
                                 "%s still waits for its restart: 'tgswitchctl status' says what for. It goes on by "
                                 "itself.",
                                 unit);
        return ctl_error(CTL_FAILED, "%s is adopted, but its restart failed (%s): see 'systemctl status %s'.", unit,
                         r == 0 ? "it did not start" : error.message ?: strerror(-r), unit);
}
