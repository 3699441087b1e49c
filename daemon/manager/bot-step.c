/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* The whole runtime of the protocol: take an event, step the table, write the record, act. In this order, but where
 * the facts of the state say that the record is written beside it. */

/* The waits of a state that tries again: the first, and the longest that doubling leads to. */
static const struct RetryWait {
        usec_t first_usec;
        usec_t longest_usec;
} retry_waits[CUTOVER_STATE_MAX] = {
        [CUTOVER_LOG_OUT_WAIT] = { 500 * USEC_PER_MSEC, 5 * USEC_PER_SEC },
        /* The server keeps a client that logged out for a second at least, and tells a repeat so; later, a repeat logs
         * the bot in again and makes the lock longer. So the first ones come at once. */
        [CUTOVER_LOG_OUT_UNKNOWN] = { 50 * USEC_PER_MSEC, 30 * USEC_PER_SEC },
        [CUTOVER_LOG_OUT_RECHECK] = { 1 * USEC_PER_SEC, 30 * USEC_PER_SEC },
        [CUTOVER_STALE_LOG_OUT] = { 500 * USEC_PER_MSEC, 10 * USEC_PER_SEC },
        [CUTOVER_LOG_IN] = { 100 * USEC_PER_MSEC, 10 * USEC_PER_SEC },
        [CUTOVER_TURN_BACK] = { 1 * USEC_PER_SEC, 30 * USEC_PER_SEC },
        [CUTOVER_LOG_IN_ABANDONED] = { 1 * USEC_PER_SEC, 30 * USEC_PER_SEC },
        [CUTOVER_RESTORE_WEBHOOK] = { 1 * USEC_PER_SEC, 30 * USEC_PER_SEC },
        [CUTOVER_PUBLISH] = { 1 * USEC_PER_SEC, 30 * USEC_PER_SEC },
        [CUTOVER_RESTORE_SOURCE] = { 1 * USEC_PER_SEC, 30 * USEC_PER_SEC },
};

static int on_dispatch(sd_event_source *s, void *userdata)
{
        bot_dispatch(userdata);
        return 0;
}

static void put_event(Bot *b, CutoverEvent event)
{
        /* A wish that is already waiting is the same wish, and so is that a job is called off. */
        if (event <= CUTOVER_CANCEL_REQUESTED || event == CUTOVER_CALLED_OFF)
                for (size_t i = 0; i < b->n_events; i++)
                        if (b->events[i] == event)
                                return;

        /* One of each wish, a result, a timer and a failed write: more cannot be waiting at once. */
        assert(b->n_events < ELEMENTSOF(b->events));
        b->events[b->n_events++] = event;
}

void bot_post(Bot *b, CutoverEvent event)
{
        int r;

        put_event(b, event);
        if (b->dispatch_source)
                r = sd_event_source_set_enabled(b->dispatch_source, SD_EVENT_ONESHOT);
        else
                r = sd_event_add_defer(b->manager->event, &b->dispatch_source, on_dispatch, b);
        if (r < 0)
                /* Without its event the bot would hang for ever; a restart goes on from the record. */
                sd_event_exit(b->manager->event,
                              bot_log_errno(b, LOG_ERR, r, "Failed to queue an event, giving up: %m"));
}

void bot_take(Bot *b, CutoverEvent event)
{
        put_event(b, event);
        bot_dispatch(b);
}

static void on_retry_timer(void *userdata)
{
        Bot *b = userdata;
        usec_t age = usec_sub(clock_boottime_usec(), b->last_get_updates_usec);
        bool stale = b->last_get_updates_usec == 0 || age > GET_UPDATES_FRESH_USEC;

        b->retry_timer = clock_timer_free(b->retry_timer);
        if (bot_falls_back(b))
                bot_post(b, CUTOVER_FALL_BACK_DUE);
        else if (bot_gives_up_source(b))
                bot_post(b, CUTOVER_SOURCE_DEAD);
        else
                bot_post(b, stale ? CUTOVER_RETRY_DUE_STALE : CUTOVER_RETRY_DUE);
}

static int retry_timer_start(Bot *b)
{
        const struct RetryWait *wait = &retry_waits[b->record.state];
        usec_t delay = usec_backoff(wait->first_usec, wait->longest_usec, b->retries);

        assert(wait->first_usec > 0);
        /* The server knows better than our guess, in both directions. */
        if (b->retry_after_usec > 0)
                delay = b->retry_after_usec;
        b->retries++;
        return clock_timer_new(&b->retry_timer, b->manager->event, delay, on_retry_timer, b);
}

static void job_begin(Bot *b)
{
        const ManagerObserver *o = b->manager->observer;

        bot_log_event(b, LOG_INFO, LOG_EVENT_JOB_BEGUN, "Cutover to %s begins (job %" PRIu32 "%s%s).",
                      seat_to_string(b->record.job.target), b->record.job.id, isempty(b->record.job.reason) ? "" : ": ",
                      isempty(b->record.job.reason) ? "" : b->record.job.reason);
        if (o)
                o->job_new(b, b->record.job.id, o->userdata);
}

static void job_end(Bot *b)
{
        const ManagerObserver *o = b->manager->observer;
        const RecordJob *job = &b->record.job;
        static const struct {
                int level;
                LogEvent event;
        } ends[JOB_RESULT_MAX] = {
                [JOB_RESULT_NONE] = { LOG_WARNING, LOG_EVENT_JOB_FAILED },
                [JOB_RESULT_DONE] = { LOG_INFO, LOG_EVENT_JOB_DONE },
                [JOB_RESULT_FAILED] = { LOG_WARNING, LOG_EVENT_JOB_FAILED },
                [JOB_RESULT_CANCELED] = { LOG_NOTICE, LOG_EVENT_JOB_CANCELED },
        };

        bot_log_event(b, ends[job->result].level, ends[job->result].event,
                      "Cutover to %s %s; the bot is at %s. %" PRIu64 " updates drained, %" PRIu64 " spooled, %" PRIu64
                      " handed over, blind for %" PRIu64 " ms.%s%s",
                      seat_to_string(job->target), job_result_to_string(job->result), seat_to_string(b->record.seat),
                      job->drained, job->spooled, job->handed_over, job->blind_usec / USEC_PER_MSEC,
                      isempty(job->error) ? "" : " ", isempty(job->error) ? "" : job->error);
        metrics_note_job(&b->manager->metrics, job);
        if (o)
                o->job_removed(b, job->id, job->result, o->userdata);
        /* Of a thousand bots that move one after the other, only those on their way have connections. */
        botapi_client_hang_up(b->api);
        manager_inhibit(b->manager);
}

/* An action that begins an operation, and the event that stands for "it could not even begin". */
static const struct {
        CutoverAction action;
        int (*start)(Bot *b, Operation **ret);
        CutoverEvent failed;
} operations[] = {
        { CUTOVER_DO_QUEUE, op_queue_start, CUTOVER_CALLED_OFF },
        { CUTOVER_DO_TURN, op_queue_start, CUTOVER_CALLED_OFF },
        { CUTOVER_DO_CHECK, op_check_start, CUTOVER_CHECK_FAILED },
        { CUTOVER_DO_DRAIN, op_drain_start, CUTOVER_DRAIN_FAILED },
        { CUTOVER_DO_HOLD, op_hold_start, CUTOVER_HOLD_TIMED_OUT },
        { CUTOVER_DO_STOP_WORKERS, op_stop_workers_start, CUTOVER_WORKERS_NOT_STOPPED },
        { CUTOVER_DO_SPOOL, op_spool_start, CUTOVER_SPOOL_FAILED },
        { CUTOVER_DO_LOG_OUT, op_log_out_start, CUTOVER_LOGOUT_REJECTED },
        { CUTOVER_DO_REPEAT_LOG_OUT, op_repeat_log_out_start, CUTOVER_LOGOUT_REJECTED },
        { CUTOVER_DO_LOG_IN, op_log_in_start, CUTOVER_LOGIN_FAILED },
        { CUTOVER_DO_RESTORE_SOURCE, op_restore_source_start, CUTOVER_SOURCE_NOT_RESTORED },
        { CUTOVER_DO_RESTORE_WEBHOOK, op_restore_webhook_start, CUTOVER_WEBHOOK_NOT_RESTORED },
        { CUTOVER_DO_PUBLISH, op_publish_start, CUTOVER_NOT_PUBLISHED },
        { CUTOVER_DO_START_WORKERS, op_start_workers_start, CUTOVER_WORKERS_NOT_STARTED },
        { CUTOVER_DO_NEXT_SPOOL_PART, op_next_part_start, CUTOVER_NOT_CONFIRMED },
        { CUTOVER_DO_CONFIRM, op_confirm_start, CUTOVER_NOT_CONFIRMED },
};

static void start_operation(Bot *b, unsigned actions)
{
        int r;

        FOREACH_ELEMENT(o, operations) {
                if (!(actions & o->action))
                        continue;
                r = o->start(b, &b->operation);
                if (r < 0) {
                        errno = -r;
                        bot_set_error(b,
                                      "Failed to begin %s: %m. If this lasts, restart tgswitchd, which goes on from "
                                      "here.",
                                      cutover_action_to_string(o->action));
                        bot_log_errno(b, LOG_ERR, r,
                                      "Failed to begin %s: %m. If this lasts, restart tgswitchd, which goes on from "
                                      "here.",
                                      cutover_action_to_string(o->action));
                        bot_post(b, o->failed);
                }
                /* A confirmation that follows a restart of the worker is begun by that operation. */
                return;
        }
}

static void tell(Bot *b)
{
        bot_log_tell(b, b->telling);
        b->telling = LOG_EVENT_NONE;
        if (b->entered && !b->manager->stopping)
                bot_log_event(b, LOG_INFO, LOG_EVENT_PHASE_ENTERED, "%s: %s.", bot_phase(b), b->entered);
        b->entered = NULL;
}

/* The record is on disk, or is being written and need not be there. */
static void bot_act(Bot *b)
{
        unsigned actions = b->actions;
        int r;

        b->actions = 0;
        if (b->manager->stopping) {
                /* The record says where the next process goes on. */
                tell(b);
                manager_maybe_exit(b->manager);
                return;
        }

        if (actions & CUTOVER_DO_JOB_BEGIN)
                job_begin(b);
        if (bot_gate_open(b))
                gate_reconsider(b);
        start_operation(b, actions);
        /* The request first: while the bot is blind, a line in the journal can wait. */
        tell(b);
        if (actions & CUTOVER_DO_RETRY_TIMER) {
                r = retry_timer_start(b);
                if (r < 0)
                        sd_event_exit(b->manager->event,
                                      bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer, giving up: %m"));
        }
        b->retry_after_usec = 0;
        if (actions & CUTOVER_DO_RELEASE_SERVER)
                server_release(b);
        if (actions & CUTOVER_DO_JOB_END) {
                job_end(b);
                intake_watch(b);
        }
        bot_changed(b);
        bot_make_way(b);
        manager_watch(b->manager);
}

/* ---- a record that could not be written ---- */

#define RECORD_FIRST_USEC   (1 * USEC_PER_SEC)
#define RECORD_LONGEST_USEC (30 * USEC_PER_SEC)

static void on_record_timer(void *userdata)
{
        Bot *b = userdata;

        b->record_timer = clock_timer_free(b->record_timer);
        bot_record_aside(b);
}

/* What is on disk is an earlier state, which the next process would go on from, however long ago that was: it is
 * written again until it is there, above all once the bot is settled. */
static void record_written(Bot *b, int r)
{
        usec_t wait;

        b->record_timer = clock_timer_free(b->record_timer);
        if (r >= 0) {
                if (b->unrecorded)
                        bot_log(b, LOG_NOTICE, "The record is written again.");
                b->unrecorded = false;
                b->record_retries = 0;
                return;
        }
        /* One that is still on its way is no newer: that it arrives says nothing of what has failed. */
        b->aside_job = disk_job_free(b->aside_job);
        if (!b->unrecorded)
                bot_set_error(b, "The record cannot be written: %s. Look after the file system of the state directory.",
                              strerror(-r));
        b->unrecorded = true;
        wait = usec_backoff(RECORD_FIRST_USEC, RECORD_LONGEST_USEC, b->record_retries++);
        r = clock_timer_new(&b->record_timer, b->manager->event, wait, on_record_timer, b);
        if (r < 0)
                /* A settled bot may have no next step for months. */
                sd_event_exit(b->manager->event, bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer, giving up: %m"));
}

static void on_saved(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;
        CutoverRecording recording = cutover_facts(b->record.state)->recording;

        b->saving = disk_job_free(b->saving);
        if (r >= 0 || recording != CUTOVER_RECORD_NEEDED)
                record_written(b, r);
        if (r < 0) {
                bot_log_event_errno(
                                b, LOG_ERR, LOG_EVENT_RECORD_UNWRITTEN, r,
                                "Failed to write the record of state %s: %m. Look after the file system of the state "
                                "directory.",
                                cutover_state_to_string(b->record.state));
                if (recording == CUTOVER_RECORD_NEEDED) {
                        bot_set_error(b,
                                      "The record could not be written: %s. Look after the file system of the "
                                      "state directory, then start the cutover again.",
                                      strerror(-r));
                        b->actions = 0;
                        /* What else has been posted meanwhile was meant for a state that is not reached. */
                        b->n_events = 0;
                        bot_post(b, CUTOVER_WRITE_FAILED);
                        manager_maybe_exit(b->manager);
                        return;
                }
        }
        if (r >= 0)
                bot_history_append(b);
        if (recording != CUTOVER_RECORD_BESIDE || b->manager->stopping)
                bot_act(b);
        bot_dispatch(b);
}

int bot_save(Bot *b, disk_done_t done, void *userdata, DiskJob **ret)
{
        return store_save(b->manager->store, b->name, &b->record, done, userdata, ret);
}

static void on_recorded_aside(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->aside_job = disk_job_free(b->aside_job);
        if (r < 0 && !b->unrecorded)
                bot_log_event_errno(b, LOG_WARNING, LOG_EVENT_RECORD_UNWRITTEN, r,
                                    "Failed to write the record, which is tried again: %m");
        record_written(b, r);
        /* A write of a step that is still under way came later: what is on disk now is of before. */
        if (r >= 0 && !b->saving)
                bot_history_append(b);
        bot_changed(b);
        manager_maybe_exit(b->manager);
}

void bot_record_aside(Bot *b)
{
        int r;

        b->aside_job = disk_job_free(b->aside_job);
        r = bot_save(b, on_recorded_aside, b, &b->aside_job);
        if (r < 0)
                on_recorded_aside(NULL, r, b);
}

static void fix_result(Bot *b, unsigned actions)
{
        RecordJob *job = &b->record.job;
        JobResult result = JOB_RESULT_NONE;

        if (actions & CUTOVER_DO_JOB_FAILED)
                result = JOB_RESULT_FAILED;
        else if (actions & CUTOVER_DO_JOB_CANCELED)
                result = JOB_RESULT_CANCELED;
        else if (actions & CUTOVER_DO_JOB_DONE)
                result = JOB_RESULT_DONE;

        /* The first word stands: a worker that did not start is not healed by the others' being well. */
        if (result != JOB_RESULT_NONE && job->result == JOB_RESULT_NONE) {
                job->result = result;
                free(job->error);
                job->error = strdup(result == JOB_RESULT_FAILED && b->error ? b->error : "");
        }
        if (actions & CUTOVER_DO_JOB_END) {
                job->ended_usec = clock_realtime_usec();
                early_start_cancel(b);
                b->record.workers = strv_free(b->record.workers);
                b->record.triggers = strv_free(b->record.triggers);
                b->record.webhook_deleted = false;
                b->history_due = true;
                bot_set_error(b, NULL);
        }
}

static void begin_window(Bot *b, Seat server, usec_t length_usec, const Moment *now)
{
        window_begin(record_window(&b->record, server), now, length_usec);
        if (server == SEAT_LOCAL)
                memcpy(b->record.local_window_server, b->manager->server_invocation,
                       sizeof(b->record.local_window_server));
}

static void note_log_out(Bot *b, CutoverState from, CutoverNote note, const Moment *now)
{
        const Record *r = &b->record;
        usec_t length = record_window(&b->record, r->seat)->length_usec;
        /* A repeat may have logged the bot in first. Of one that was answered we know. */
        bool repeated = from == CUTOVER_LOG_OUT_REPEAT &&
                        (note == CUTOVER_NOTE_MAY_BE_LOGGED_OUT || b->log_out_lengthens);

        if (repeated || length == 0 || from == CUTOVER_SPOOL)
                length = window_length(r->seat, &r->logged_in, repeated, now);
        begin_window(b, r->seat, length, now);
}

static void note_logged_in(Bot *b, const Moment *now)
{
        Record *r = &b->record;
        const Moment *left = &record_window(r, r->seat)->since;

        if (r->logout_attempts > 0 && moment_same_boot(left, now))
                r->job.blind_usec = usec_sub(now->boottime_usec, left->boottime_usec);
        r->seat = r->job.target;
        r->logged_in = *now;
}

/* Only the local server is ever left like this, and only for the cloud. A session that nobody saw began at a moment of
 * no boot that anybody knows: nothing proves that it is not young. Nor where a logOut may have ended the one that was
 * seen: then whatever is sent to find out begins another. */
static void note_stale(Bot *b, bool seen)
{
        b->record.stale = true;
        b->record.stale_logged_in = seen ? b->record.logged_in : (Moment){ .boottime_usec = 1 };
}

static void note_stale_ended(Bot *b, CutoverState from, const Moment *now)
{
        Record *r = &b->record;
        /* The request that ended it may have logged in first, unless it was the only one, and not overtaken by what the
         * server says of its own accord. */
        bool only_one = from == CUTOVER_STALE_LOG_OUT && !b->stale_asked;

        begin_window(b, SEAT_LOCAL, window_length(SEAT_LOCAL, &r->stale_logged_in, !only_one, now), now);
        r->stale = false;
        /* Ids of the next server mean something else. */
        r->next_offset = 0;
        r->confirmed_offset = 0;
        b->last_get_updates_usec = 0;
        b->log_out_began_usec = 0;
        b->stale_asked = false;
}

static void take_note(Bot *b, CutoverState from, CutoverNote note)
{
        Record *r = &b->record;
        Moment now;

        if (note == CUTOVER_NOTE_NONE || note == CUTOVER_NOTE_AGAIN)
                return;
        /* Has worked at start-up (manager_new()), and the boot id is remembered from then on. */
        if (clock_moment(&now) < 0)
                abort();

        switch (note) {
        case CUTOVER_NOTE_LOGGED_OUT:
        case CUTOVER_NOTE_MAY_BE_LOGGED_OUT:
                note_log_out(b, from, note, &now);
                break;
        case CUTOVER_NOTE_NOT_LOGGED_OUT:
                *record_window(r, r->seat) = (Window){};
                break;
        case CUTOVER_NOTE_LOGGED_IN:
                note_logged_in(b, &now);
                break;
        case CUTOVER_NOTE_WINDOW_OVER:
                window_close(record_window(r, r->job.target));
                break;
        case CUTOVER_NOTE_WINDOW_LONGER:
                begin_window(b, r->job.target, b->retry_after_usec, &now);
                b->retry_after_usec = window_left(record_window(r, r->job.target), &now);
                break;
        case CUTOVER_NOTE_ABANDONED:
                assert(r->seat == SEAT_LOCAL);
                note_stale(b, cutover_facts(from)->place != CUTOVER_AT_UNKNOWN);
                r->job.target = SEAT_CLOUD;
                window_close(&r->cloud_window);
                break;
        case CUTOVER_NOTE_TURNED_BACK:
                assert(r->seat == SEAT_CLOUD);
                if (b->login_sent)
                        note_stale(b, false);
                r->job.target = SEAT_CLOUD;
                window_close(&r->cloud_window);
                break;
        case CUTOVER_NOTE_STALE_ENDED:
                note_stale_ended(b, from, &now);
                break;
        default:
                assert(false);
        }
        bot_window_watch(b);
}

/* These states follow one another until an attempt succeeds or is given up: the waits between grow over all of them. */
static bool in_log_out_loop(CutoverState state)
{
        const char *phase = cutover_facts(state)->phase;

        return streq(phase, "spool") || streq(phase, "log-out") || cutover_facts(state)->ends_stale;
}

/* Takes the row: everything but the record and the actions. */
static void bot_apply(Bot *b, CutoverEvent event, const CutoverStep *step)
{
        CutoverState from = b->record.state;
        const char *phase = cutover_facts(step->state)->phase;

        b->operation = operation_free(b->operation);
        b->retry_timer = clock_timer_free(b->retry_timer);
        bot_watch_cancel(b);
        if (!cutover_facts(step->state)->gate_open)
                delivery_cancel(b);
        if (step->state != from && !in_log_out_loop(step->state))
                b->retries = 0;
        if (!streq(phase, cutover_facts(from)->phase)) {
                bot_history_phase(b, cutover_facts(from)->phase);
                b->record.job.phase_started_usec = clock_realtime_usec();
                b->entered = *phase ? step->why : NULL;
        }
        /* What is in the spool may be of an earlier move, whose server gives nothing twice: a roll-back from here
         * throws nothing away. */
        if (step->state == CUTOVER_ABANDON)
                b->record.confirmed_offset = INT64_MAX;
        bot_log(b, LOG_DEBUG, "%s + %s -> %s: %s", cutover_state_to_string(from), cutover_event_to_string(event),
                cutover_state_to_string(step->state), step->why);

        b->record.state = step->state;
        take_note(b, from, step->note);
        if (bot_log_event_of(from, event, step->note) != LOG_EVENT_NONE)
                b->telling = bot_log_event_of(from, event, step->note);
        if (step->actions & CUTOVER_DO_RELEASE_SERVER)
                server_note_release(b);
        fix_result(b, step->actions);
        b->actions = step->actions;
        bot_changed(b);
        manager_inhibit(b->manager);
}

static bool step_needs_writing(CutoverState from, const CutoverStep *step)
{
        return step->state != from || step->note != CUTOVER_NOTE_NONE ||
               (step->actions &
                (CUTOVER_DO_JOB_DONE | CUTOVER_DO_JOB_FAILED | CUTOVER_DO_JOB_CANCELED | CUTOVER_DO_JOB_END));
}

/* Who stops finishes what cannot be undone, and begins nothing of the kind. A logOut in flight is cut off by nobody. */
static bool may_be_left(CutoverState state)
{
        return cutover_facts(state)->cancellable && state != CUTOVER_STALE_LOG_OUT;
}

void bot_dispatch(Bot *b)
{
        while (b->n_events > 0 && !b->saving && !(b->manager->stopping && may_be_left(b->record.state))) {
                CutoverEvent event = b->events[0];
                CutoverState from = b->record.state;
                CutoverStep step = cutover_step(from, event);
                int r;

                b->n_events--;
                memmove(b->events, b->events + 1, b->n_events * sizeof(b->events[0]));
                if (step.verdict != CUTOVER_STEP) {
                        bot_log(b, LOG_DEBUG, "%s + %s: nobody waits for it.", cutover_state_to_string(from),
                                cutover_event_to_string(event));
                        continue;
                }

                bot_apply(b, event, &step);
                if (!step_needs_writing(from, &step)) {
                        bot_act(b);
                        continue;
                }
                if (cutover_facts(b->record.state)->recording == CUTOVER_RECORD_BESIDE && !b->manager->stopping)
                        bot_act(b);
                r = bot_save(b, on_saved, b, &b->saving);
                if (r < 0)
                        on_saved(NULL, r, b);
        }
}

bool bot_busy(const Bot *b)
{
        if (b->saving || late_poll_pending(b) || (b->unrecorded && b->aside_job))
                return true;
        switch (b->record.state) {
        case CUTOVER_LOG_OUT:
        case CUTOVER_LOG_OUT_REPEAT:
        case CUTOVER_STALE_LOG_OUT:
                /* An answer that nobody waits for would be an unknown outcome. Its deadline ends the wait. */
                return log_out_in_flight(b);
        default:
                return false;
        }
}
