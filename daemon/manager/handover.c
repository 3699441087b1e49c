/* SPDX-License-Identifier: MIT */
#include "manager/bot-log.h"
#include "manager/bot.h"

/* Handing the spool over: one part at a time, as the credential bot-pending-updates of one worker. The part is kept,
 * and served again, until that worker has been up for SettleSec= after it got it: at least once (L6). What goes to a
 * webhook instead is read and dropped here, too, and posted by delivery.c in between.
 *
 * What was served is on record as a number of updates from the front of the spool. Only a drop takes anything from
 * there, and while one is under way nothing is served: so the number means the same updates to the next process. */

/* Between two looks at a worker, where SettleSec= is shorter or where only a request of it is waited for. */
#define LOOK_USEC (250 * USEC_PER_MSEC)
/* Between two tries of what the disk refuses. */
#define RETRY_FIRST_USEC   (1 * USEC_PER_SEC)
#define RETRY_LONGEST_USEC (30 * USEC_PER_SEC)

void handover_cancel(Bot *b)
{
        b->part_job = disk_job_free(b->part_job);
        b->part_saving = disk_job_free(b->part_saving);
        b->part_timer = clock_timer_free(b->part_timer);
        b->part_call = unit_call_free(b->part_call);
        b->part_ready = false;
        b->part_sent_updates = 0;
        b->part_dropping_updates = 0;
}

bool handover_pending(const Bot *b)
{
        return b->record.part_served_updates > 0 || !b->part_ready || b->part_saving;
}

static void tell_waiter(Bot *b, int r)
{
        if (b->part_waiter)
                b->part_waiter(b, r);
}

static void retry_later(Bot *b, clock_timer_handler_t handler)
{
        usec_t wait = usec_backoff(RETRY_FIRST_USEC, RETRY_LONGEST_USEC, b->part_retries++);
        int r;

        b->part_timer = clock_timer_free(b->part_timer);
        r = clock_timer_new(&b->part_timer, b->manager->event, wait, handler, b);
        if (r < 0)
                /* A worker would be held for ever; a restart goes on from the record. */
                sd_event_exit(b->manager->event, bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer, giving up: %m"));
}

/* ---- reading ---- */

static void watch_worker(Bot *b, usec_t delay);
static void drop_later(Bot *b);

static usec_t settle_usec(const Bot *b)
{
        return b->config ? b->config->settle_usec : 5 * USEC_PER_SEC;
}

static void on_load_due(void *userdata);

static void not_loaded(Bot *b, int r)
{
        if (b->part_retries == 0)
                bot_log_errno(b, LOG_ERR, r, "Failed to read the spool, which is tried again: %m");
        retry_later(b, on_load_due);
        tell_waiter(b, r);
}

static void on_load_due(void *userdata)
{
        handover_prepare_until_done(userdata);
}

void handover_prepare_until_done(Bot *b)
{
        int r;

        r = handover_prepare(b);
        if (r < 0)
                not_loaded(b, r);
}

/* What is on record must be what is loaded, or it says nothing. */
static void check_served(Bot *b)
{
        uint64_t served = b->record.part_served_updates, n = 0;
        size_t size;

        b->part_by_webhook = false;
        if (served > 0 && (!spool_part(b->spool, &size, &n) || n != served)) {
                b->record.part_served_updates = 0;
                b->part_doubtful = true;
                bot_record_aside(b);
        }
}

static void note_loaded(Bot *b)
{
        b->part_ready = true;
        if (delivery_applies(b))
                delivery_part_loaded(b);
        else
                check_served(b);
        if (b->record.part_served_updates == 0)
                b->part_settled = false;
        if (!b->part_settled)
                b->part_retries = 0;
}

static void on_part_loaded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_job = disk_job_free(b->part_job);
        if (r < 0) {
                not_loaded(b, r);
                return;
        }
        note_loaded(b);
        if (bot_gate_open(b))
                gate_reconsider(b);
        if (b->part_settled)
                drop_later(b);
        else if (!b->part_by_webhook && b->record.part_served_updates > 0)
                watch_worker(b, settle_usec(b));
        tell_waiter(b, 0);
}

int handover_prepare(Bot *b)
{
        handover_cancel(b);
        if (!delivery_applies(b))
                delivery_cancel(b);
        return spool_load_part(b->spool, b->record.part_served_updates, on_part_loaded, b, &b->part_job);
}

/* What is appended or discarded unloads the part, also while workers may start: with a stale session. */
void handover_wanted(Bot *b)
{
        int r;

        /* It is being read or dropped, or that is tried again: whoever is held is served after it. */
        if (!b->part_ready || b->part_job)
                return;
        r = handover_prepare(b);
        if (r < 0)
                not_loaded(b, r);
}

/* ---- dropping ---- */

static void not_dropped(Bot *b, uint64_t left, int r)
{
        if (b->part_retries == 0)
                bot_log_errno(b, LOG_ERR, r,
                              "Failed to take what was handed over out of the spool, which is tried again: %m");
        b->record.part_served_updates = left;
        bot_record_aside(b);
        tell_waiter(b, r);
}

static void note_dropped(Bot *b, uint64_t n)
{
        const char *to = b->config && b->config->spool_to ? b->config->spool_to : "the worker";

        /* delivery.c has counted each as it was accepted. */
        if (!b->part_by_webhook)
                b->record.job.handed_over += n;
        b->part_dropped = true;
        /* In a move it is in the line of its end. */
        bot_log(b, bot_job_running(b) ? LOG_DEBUG : LOG_NOTICE, "%" PRIu64 " spooled updates were handed over to %s.",
                n, b->part_by_webhook ? "the webhook" : to);
}

static void on_part_dropped(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;
        /* Without a job the record of it failed, and the spool was not touched. */
        uint64_t dropped = job ? spool_n_dropped(b->spool) : 0, left = b->part_dropping_updates - dropped;

        b->part_job = disk_job_free(b->part_job);
        if (dropped > 0)
                note_dropped(b, dropped);
        if (r < 0 && left > 0) {
                not_dropped(b, left, r);
        } else {
                b->part_settled = false;
                if (r < 0)
                        bot_log_errno(b, LOG_WARNING, r,
                                      "Failed to sync the spool; after a power cut that may be handed over again: %m");
        }
        /* Also after a failure: without a part in memory the worker that takes it could not start again. */
        r = handover_prepare(b);
        if (r < 0)
                not_loaded(b, r);
        bot_changed(b);
}

static void on_drop_recorded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        if (r >= 0)
                r = spool_drop_part(b->spool, b->part_dropping_updates, on_part_dropped, b, &b->part_job);
        if (r < 0)
                on_part_dropped(NULL, r, b);
}

static void part_is_unserved(Bot *b, disk_done_t done)
{
        int r;

        b->record.part_served_updates = 0;
        b->part_saving = disk_job_free(b->part_saving);
        r = bot_save(b, done, b, &b->part_saving);
        if (r < 0)
                done(NULL, r, b);
}

/* First the record, then the spool: the other way round, a crash in between would have the part behind this one taken
 * for served. */
void handover_drop(Bot *b)
{
        b->part_settled = true;
        b->part_ready = false;
        b->part_dropping_updates = b->record.part_served_updates;
        part_is_unserved(b, on_drop_recorded);
}

static bool worker_asks(const Bot *b)
{
        return b->config && b->config->spool_to && credential_socket_is_asked_by(b->manager->gate, b->config->spool_to);
}

static void on_drop_due(void *userdata)
{
        Bot *b = userdata;

        b->part_timer = clock_timer_free(b->part_timer);
        /* It is being started again and gets the part once more. */
        if (!b->part_by_webhook && worker_asks(b))
                drop_later(b);
        else
                handover_drop(b);
}

static void drop_later(Bot *b)
{
        retry_later(b, on_drop_due);
}

/* ---- the worker that got it ---- */

static void on_kept(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        tell_waiter(b, -ESRCH);
}

/* A program that has been there for so long has asked, unless it is held or still to be accepted: worker_asks().
 * systemd may take the time of its start a moment later than the forked child asks, so that the comparison alone could
 * hold for ever. */
#define UNREAD_USEC (5 * USEC_PER_SEC)

static void on_worker(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Bot *b = userdata;
        usec_t age = r >= 0 ? usec_sub(clock_monotonic_usec(), info->main_start_usec) : 0;
        bool well = r >= 0 && (info->active_state == UNIT_ACTIVE ||
                               (streq(info->type, "oneshot") && streq(info->result, "success") &&
                                info->active_state == UNIT_INACTIVE));
        /* systemd asks for the credentials anew before each command of a unit: the last time was for an ExecStartPre=,
         * and the main program, which has been forked since, is still to ask. */
        bool unread = r >= 0 && info->main_start_usec > b->part_served_usec && age < UNREAD_USEC;
        /* Its program runs and systemd does not call it started yet, as with Type=notify. */
        bool starting = r >= 0 && info->active_state == UNIT_ACTIVATING && info->main_pid > 0 && b->config &&
                        age < b->config->start_timeout_usec;

        b->part_call = unit_call_free(b->part_call);
        if (worker_asks(b))
                watch_worker(b, LOOK_USEC);
        else if (starting || (well && unread))
                watch_worker(b, MAX(settle_usec(b), LOOK_USEC));
        else if (well)
                handover_drop(b);
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

static void watch_worker(Bot *b, usec_t delay)
{
        int r;

        b->part_call = unit_call_free(b->part_call);
        b->part_timer = clock_timer_free(b->part_timer);
        r = clock_timer_new(&b->part_timer, b->manager->event, delay, on_settled, b);
        if (r < 0) {
                bot_log_errno(b, LOG_ERR, r, "Failed to watch over what was handed over; it is kept: %m");
                part_is_unserved(b, on_kept);
        }
}

static void on_served_recorded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to record that the spool was served, ignoring: %m");
}

void handover_served(Bot *b)
{
        int r;

        if (b->part_sent_updates == 0)
                return;
        b->record.part_served_updates = b->part_sent_updates;
        b->part_served_usec = clock_monotonic_usec();
        b->part_settled = false;
        b->part_doubtful = false;
        b->part_saving = disk_job_free(b->part_saving);
        r = bot_save(b, on_served_recorded, b, &b->part_saving);
        if (r < 0)
                on_served_recorded(NULL, r, b);
        watch_worker(b, settle_usec(b));
}
