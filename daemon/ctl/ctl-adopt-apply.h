/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

#include "ctl/ctl.h"

/* Writing what was shown, and putting it back. All of it waits: for the disk, for systemd, for tgswitchd. */

/* A file before and after; NULL: it is not there. */
typedef struct AdoptFile {
        char *path, *before, *after;
        mode_t mode;
        bool own_directory; /* the directory is made for it, and goes with it where nothing else is in it */
        bool touched;       /* by adopt_file_write(): it may be as `after` has it, also where that failed */
} AdoptFile;

/* What there is now. -ELOOP: the file is a symbolic link, which would be replaced instead of what it points to. */
int adopt_file_read(AdoptFile *f) _must_check_;
void adopt_file_done(AdoptFile *f);
bool adopt_file_changes(const AdoptFile *f) _pure_;

/* Says that somebody has changed it since it was read. */
CtlExit adopt_file_changed(const AdoptFile *f);

/* Brings it to `after`, or back to `before` where it was touched; where somebody has changed it in between it stays as
 * it is. For good: also after a power cut. Says why it can't. */
CtlExit adopt_file_write(AdoptFile *f) _must_check_;
CtlExit adopt_file_put_back(const AdoptFile *f) _must_check_;

/* Has systemd read its units again. */
CtlExit adopt_reload_systemd(Ctl *c) _must_check_;

/* Brings both files to `after`, each followed by what has it take effect: systemd's daemon-reload for the drop-in, a
 * reload of tgswitchd for the bot's file. A worker is declared before it stands behind the gate and stands behind it
 * until it is no longer declared, since a start in between would get nothing. Where anything fails, all is as it was,
 * and it has been said why. */
CtlExit adopt_apply(Ctl *c, AdoptFile *drop_in, AdoptFile *bot_file, bool undo) _must_check_;

/* Restarts a unit and waits for that. */
CtlExit adopt_restart(Ctl *c, const char *unit) _must_check_;
