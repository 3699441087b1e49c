/* SPDX-License-Identifier: MIT */
#include "manager/check-files.h"

/* Two looks at the server's side, one after the other: its unit tells the group, which is looked up on the disk
 * together with the directory. */

/* Belongs to the thread of the disk until that is done with it; it goes on where nobody waits any more. */
typedef struct DiskLook {
        FilesLook *look; /* NULL: nobody waits */
        char *directory, *user, *group;
        LocalFiles files;
} DiskLook;

struct FilesLook {
        Manager *manager;
        CheckList *list;
        files_look_handler_t handler;
        void *userdata;

        FilesFacts facts;
        UnitCall *unit_call;
        DiskLook *disk_look;
        DiskJob *disk_job;
};

FilesLook *files_look_free(FilesLook *look)
{
        if (!look)
                return NULL;
        unit_call_free(look->unit_call);
        if (look->disk_look)
                look->disk_look->look = NULL;
        disk_job_free(look->disk_job);
        files_facts_done(&look->facts);
        free(look);
        return NULL;
}

void files_look_judge(const FilesLook *look, const UnitInfo *worker, CheckList *l)
{
        check_files(&look->facts, worker, l);
}

/* Without the facts nothing is said about the workers, and this is why. */
static void give_up(FilesLook *look, int r)
{
        FilesFacts *facts = &look->facts;

        if (facts->directory)
                check_list_add(look->list, "files", facts->directory, CHECK_SKIPPED,
                               "Whether the workers can read the local server's files could not be found out: %s. Try "
                               "again.",
                               strerror(-r));
        free(facts->directory);
        facts->directory = NULL;
}

static int disk_look_run(void *work)
{
        DiskLook *d = work;

        return local_files_read("/etc", d->directory, d->user, d->group, &d->files);
}

static void disk_look_free(void *work)
{
        DiskLook *d = work;

        if (d->look) {
                d->look->facts.files = d->files;
                d->look->disk_look = NULL;
                d->files = (LocalFiles){};
        }
        local_files_done(&d->files);
        free(d->directory);
        free(d->user);
        free(d->group);
        free(d);
}

static void on_disk(DiskJob *job, int r, void *userdata)
{
        FilesLook *look = userdata;

        look->disk_job = disk_job_free(look->disk_job);
        if (r < 0)
                give_up(look, r);
        else
                check_files_directory(&look->facts, look->list);
        look->handler(look, look->userdata);
}

static int look_at_disk(FilesLook *look, const UnitSandbox *server)
{
        DiskLook *d = calloc(1, sizeof(DiskLook));
        int r;

        if (!d)
                return -ENOMEM;
        d->directory = strdup(look->facts.directory);
        d->user = strdup(server->user);
        d->group = strdup(server->group);
        look->facts.server_user = strdup(server->user);
        if (d->directory && d->user && d->group && look->facts.server_user)
                r = disk_queue_push(look->manager->disk, disk_look_run, d, disk_look_free, on_disk, look,
                                    &look->disk_job);
        else
                r = -ENOMEM;
        if (r < 0) {
                disk_look_free(d);
                return r;
        }
        d->look = look;
        look->disk_look = d;
        return 0;
}

static void on_server(UnitCall *call, int r, const UnitInfo *server, void *userdata)
{
        FilesLook *look = userdata;
        FilesFacts *facts = &look->facts;

        if (r >= 0) {
                check_files_server(facts, server, look->list);
                facts->server_is_dynamic = server->sandbox.dynamic_user;
                facts->server_runs = server->active_state == UNIT_ACTIVE;
                if (facts->directory)
                        r = look_at_disk(look, &server->sandbox);
        }
        look->unit_call = unit_call_free(look->unit_call);
        if (r < 0)
                give_up(look, r);
        if (!facts->directory)
                look->handler(look, look->userdata);
}

int files_look_start(Manager *m, CheckList *l, files_look_handler_t handler, void *userdata, FilesLook **ret)
{
        _cleanup_(files_look_freep) FilesLook *look = NULL;
        int r;

        look = calloc(1, sizeof(FilesLook));
        if (!look)
                return -ENOMEM;
        look->manager = m;
        look->list = l;
        look->handler = handler;
        look->userdata = userdata;
        look->facts.server_unit = strdup(m->config->server_unit);
        if (m->config->local_files)
                look->facts.directory = strdup(m->config->local_files);
        if (!look->facts.server_unit || (m->config->local_files && !look->facts.directory))
                return -ENOMEM;
        r = unit_client_get(m->units, look->facts.server_unit, on_server, look, &look->unit_call);
        if (r < 0) {
                give_up(look, r);
                return r;
        }
        *ret = TAKE_PTR(look);
        return 0;
}
