/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* The directory in which a Bot API server with --local leaves the files of its bots, and who may read there: the
 * members of the group that the server runs with. It makes a directory for each bot with mode 0750, and files with
 * 0640, whatever its umask would allow besides. */

typedef struct LocalUser {
        char *name;
        uid_t uid;
        gid_t gid;   /* the primary one */
        bool member; /* named as a member of the group in /etc/group */
} LocalUser;

typedef struct LocalFiles {
        int error; /* why the directory could not be looked at: -ENOENT, -EACCES, …; 0: mode holds */
        mode_t mode;

        char *group; /* that the server runs with; NULL: not in /etc/group, or root's, which is for no worker */
        gid_t gid;   /* its number, where `group` is there */

        LocalUser *users; /* of /etc/passwd, in its order */
        size_t n_users;
} LocalFiles;

void local_files_done(LocalFiles *f);

/* Looks at the directory and into the files `passwd` and `group` of `etc`, which is "/etc". `user` and `group` are what
 * the server's unit says, names or numbers, or empty: without a group it is the user's own. To whom the
 * directory belongs is not asked: in a user namespace, as the daemon is in one, every other group looks like nobody's.
 * Blocks: the directory may be on a disk that does not answer. That it cannot be looked at is no error. Returns 0 or a
 * negative errno.
 *
 * Read from the files and not asked of NSS: a directory service may take its time, and the group is a system group,
 * which sysusers.d(5) puts into these files. Users of a directory service are not among ret->users, so that nothing is
 * said about them. */
int local_files_read(const char *etc, const char *directory, const char *user, const char *group,
                     LocalFiles *ret) _must_check_;

/* The user of that name or number; NULL where he is not in /etc/passwd. */
const LocalUser *local_files_find_user(const LocalFiles *f, const char *user);
