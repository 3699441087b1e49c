/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "manager/bot.h"

/* Handing the spool over: one part at a time, as the credential bot-pending-updates of one worker. The part is kept,
 * and served again, until that worker has been up for SettleSec= after it got it: at least once (L6). */

void handover_cancel(Bot *b)
{
        b->part_job = disk_job_free(b->part_job);
        b->part_saving = disk_job_free(b->part_saving);
        b->part_timer = clock_timer_free(b->part_timer);
        b->part_call = unit_call_free(b->part_call);
        b->part_ready = false;
}

static void tell_waiter(Bot *b, int r)
{
        if (b->part_waiter)
                b->part_waiter(b, r);
}

static void watch_worker(Bot *b);

static void on_part_loaded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_job = disk_job_free(b->part_job);
        if (r < 0)
                log_bot_errno(LOG_ERR, b->name, r, "Failed to read the spool: %m");
        b->part_ready = r >= 0;
        if (bot_gate_open(b))
                credential_socket_reconsider(b->manager->gate);
        /* An earlier process served it and did not live to see what became of it. */
        if (r >= 0 && b->record.part_served)
                watch_worker(b);
        tell_waiter(b, r);
}

int handover_prepare(Bot *b)
{
        handover_cancel(b);
        return spool_load_part(b->spool, on_part_loaded, b, &b->part_job);
}

static void on_part_dropped(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_job = disk_job_free(b->part_job);
        if (r < 0) {
                log_bot_errno(LOG_ERR, b->name, r, "Failed to take what was handed over out of the spool: %m");
                tell_waiter(b, r);
        } else {
                b->record.job.handed_over += b->part_updates;
                b->part_dropped = true;
                log_bot(LOG_INFO, b->name, "%" PRIu64 " spooled updates were handed over to %s.", b->part_updates,
                        b->config && b->config->spool_to ? b->config->spool_to : "the worker");
        }
        /* Also after a failure: without a part in memory the worker that takes it could not start again. */
        r = handover_prepare(b);
        if (r < 0) {
                log_bot_errno(LOG_ERR, b->name, r, "Failed to read the spool: %m");
                tell_waiter(b, r);
        }
        bot_changed(b);
}

static void on_drop_recorded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        if (r >= 0)
                r = spool_drop_part(b->spool, on_part_dropped, b, &b->part_job);
        if (r < 0)
                on_part_dropped(NULL, r, b);
}

static void part_is_unserved(Bot *b, disk_done_t done)
{
        int r;

        b->record.part_served = false;
        b->part_saving = disk_job_free(b->part_saving);
        r = bot_save(b, done, b, &b->part_saving);
        if (r < 0)
                done(NULL, r, b);
}

/* First the record, then the spool: the other way round, a crash in between would have the part behind this one taken
 * for served. */
static void drop_part(Bot *b)
{
        size_t size;

        if (!spool_part(b->spool, &size, &b->part_updates))
                b->part_updates = 0;
        part_is_unserved(b, on_drop_recorded);
}

static void on_kept(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        tell_waiter(b, -ESRCH);
}

/* A program that has been there for so long has asked. systemd may take the time of its start a moment later than the
 * forked child asks, so that the comparison alone could hold for ever. */
#define UNREAD_USEC (5 * USEC_PER_SEC)

static void on_worker(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Bot *b = userdata;
        bool well = r >= 0 && (info->active_state == UNIT_ACTIVE ||
                               (streq(info->type, "oneshot") && streq(info->result, "success") &&
                                info->active_state == UNIT_INACTIVE));
        /* systemd asks for the credentials anew before each command of a unit: the last time was for an ExecStartPre=,
         * and the main program, which has been forked since, is still to ask. */
        bool unread = r >= 0 && b->part_served_usec > 0 && info->main_start_usec > b->part_served_usec &&
                      usec_sub(clock_monotonic_usec(), info->main_start_usec) < UNREAD_USEC;

        /* Its program runs and systemd does not call it started yet, as with Type=notify. */
        bool starting = r >= 0 && info->active_state == UNIT_ACTIVATING && info->main_pid > 0 && b->config &&
                        usec_sub(clock_monotonic_usec(), info->main_start_usec) < b->config->start_timeout_usec;

        b->part_call = unit_call_free(b->part_call);
        if (starting || (well && unread))
                watch_worker(b);
        else if (well)
                drop_part(b);
        else
                /* It gets the same part again at its next start. */
                part_is_unserved(b, on_kept);
}

static void on_settled(void *userdata)
{
        Bot *b = userdata;
        int r = -ENOENT;

        b->part_timer = clock_timer_free(b->part_timer);
        if (b->config && b->config->spool_to)
                r = unit_client_get(b->manager->units, b->config->spool_to, on_worker, b, &b->part_call);
        if (r < 0)
                part_is_unserved(b, on_kept);
}

static void watch_worker(Bot *b)
{
        usec_t settle = b->config ? b->config->settle_usec : 5 * USEC_PER_SEC;
        int r;

        b->part_call = unit_call_free(b->part_call);
        b->part_timer = clock_timer_free(b->part_timer);
        r = clock_timer_new(&b->part_timer, b->manager->event, settle, on_settled, b);
        if (r < 0) {
                log_bot_errno(LOG_ERR, b->name, r, "Failed to watch over what was handed over; it is kept: %m");
                part_is_unserved(b, on_kept);
        }
}

static void on_served_recorded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        if (r < 0)
                log_bot_errno(LOG_WARNING, b->name, r, "Failed to record that the spool was served, ignoring: %m");
}

void handover_served(Bot *b)
{
        uint64_t n;
        size_t size;
        int r;

        if (!b->part_ready || !spool_part(b->spool, &size, &n) || n == 0)
                return;
        b->record.part_served = true;
        b->part_served_usec = clock_monotonic_usec();
        b->part_saving = disk_job_free(b->part_saving);
        r = bot_save(b, on_served_recorded, b, &b->part_saving);
        if (r < 0)
                on_served_recorded(NULL, r, b);
        watch_worker(b);
}
