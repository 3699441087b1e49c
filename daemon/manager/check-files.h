/* SPDX-License-Identifier: MIT */
#pragma once

#include "io/local-files.h"
#include "manager/check.h"

/* Whether the workers can read what a local server with --local stores. Such a server answers getFile with an absolute
 * path in its own directory, where each bot has a directory that is named by its token: so the server's group may go
 * through the outer one, and read where it knows the name. */

/* ---- check-files.c: pure of everything but its arguments ---- */

/* What is known of the server's side. */
typedef struct FilesFacts {
        char *directory; /* LocalFiles=; NULL: the server is not in --local mode, and the rest is not filled in */
        char *server_unit;
        char *server_user;
        bool server_is_dynamic; /* DynamicUser=: the user, the group and the way in are nobody else's */
        bool server_runs;       /* so the directory is as it will be: systemd sets owner and mode at its start */
        LocalFiles files;
} FilesFacts;

void files_facts_done(FilesFacts *f);

/* Judges one worker: whether its sandbox shows it the directory, and whether it is in the group. What is said is
 * certain for the systemd that runs here; where it cannot be, the verdict is CHECK_SKIPPED. */
void check_files(const FilesFacts *facts, const UnitInfo *worker, CheckList *l);

/* Whether LocalFiles= fits the --local and --dir= of the server's unit, as far as that shows them: what an
 * EnvironmentFile= adds is root's alone and not seen. */
void check_files_server(const FilesFacts *facts, const UnitInfo *server, CheckList *l);

/* Whether the group gets into the directory. */
void check_files_directory(const FilesFacts *facts, CheckList *l);

/* ---- files-look.c ---- */

typedef struct FilesLook FilesLook;
typedef void (*files_look_handler_t)(FilesLook *look, void *userdata);

/* Asks systemd about the server's unit and the disk about its directory, and adds to the list what is wrong there. The
 * list has to outlive the call. One callback, from the event loop; the call may be freed in it, or kept for
 * files_look_judge(). On failure the list has the reason, but for -ENOMEM. */
int files_look_start(Manager *m, CheckList *l, files_look_handler_t handler, void *userdata,
                     FilesLook **ret) _must_check_;
FilesLook *files_look_free(FilesLook *look);
DEFINE_CLEANUP(FilesLook *, files_look_free);

/* check_files() with what was found; after the callback. */
void files_look_judge(const FilesLook *look, const UnitInfo *worker, CheckList *l);
