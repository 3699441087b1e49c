/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/check.h"

/* What callers ask of a bot. Everything that is refused here has changed nothing (L9). */

/* So long nothing begins by itself that somebody has cancelled. Who wants more calls bot_hold(). */
#define CANCELED_USEC (60 * USEC_PER_MIN)

AskResult ask_answer(AskResult result, char **ret_message, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_message, format, ap) < 0)
                *ret_message = NULL;
        va_end(ap);
        return result;
}

/* What is wrong with the bot is the answer: whoever found it out has said it. */
static AskResult answer_error(AskResult result, char **ret_message, const Bot *b)
{
        *ret_message = b->error ? strdup(b->error) : NULL;
        return result;
}

static AskResult answer_oom(char **ret_message)
{
        return ask_answer(ASK_FAILED, ret_message, "There is not enough memory. Free some, then try again.");
}

/* Whether anything at all can be done for the bot. */
AskResult bot_usable(const Bot *b, char **ret_message)
{
        if (!b->record_ok)
                return answer_error(ASK_BAD_RECORD, ret_message, b);
        /* Without any settings there is always a word on why. */
        assert(b->config || b->config_error);
        if (b->config_error) {
                const char *why = b->config_error;
                bool ends = why[0] != '\0' && why[strlen(why) - 1] == '.';

                return ask_answer(ASK_BAD_CONFIG, ret_message,
                                  "The configuration of %s is not valid: %s%s Correct it and run 'systemctl reload "
                                  "tgswitchd'.",
                                  b->name, why, ends ? "" : ".");
        }
        if (!b->token)
                return ask_answer(ASK_NO_TOKEN, ret_message, "There is no usable token for %s. %s", b->name,
                                  b->error ?: "");
        if (b->record.seat == SEAT_UNDECLARED)
                return ask_answer(
                                ASK_UNDECLARED, ret_message,
                                "Nobody has said where %s is logged in, and asking a server would log it in there: set "
                                "InitialSeat=cloud or InitialSeat=local in bots.d/%s.conf and run 'systemctl reload "
                                "tgswitchd', or run 'tgswitchctl set-seat %s cloud'.",
                                b->name, b->name, b->name);
        return ASK_OK;
}

static int job_prepare(Bot *b, Seat target, const SwitchOptions *options, bool automatic)
{
        _cleanup_free_ char *reason = strdup(options->reason ?: "");
        _cleanup_free_ char *requester = strdup(options->requester ?: "");
        _cleanup_free_ char *error = strdup("");
        RecordJob *job = &b->record.job;
        uint32_t id;
        int r;

        if (!reason || !requester || !error)
                return -ENOMEM;
        r = store_next_job_id(b->manager->store, &id);
        if (r < 0)
                return r;

        /* One whose end was not written: its place in the record is taken now. */
        bot_history_append(b);
        free(job->reason);
        free(job->requester);
        free(job->error);
        *job = (RecordJob){
                .id = id,
                .batch = options->batch ?: id,
                .source = b->record.seat,
                .wanted = target,
                .target = target,
                .when_allowed = options->when_allowed || automatic,
                .automatic = automatic,
                .reason = TAKE_PTR(reason),
                .requester = TAKE_PTR(requester),
                .error = TAKE_PTR(error),
                .hold_at = options->hold_at,
                .on_undrained = options->on_undrained == ON_UNDRAINED_INVALID ? b->config->on_undrained
                                                                              : options->on_undrained,
                .started_usec = clock_realtime_usec(),
                .phase_started_usec = clock_realtime_usec(),
        };
        b->record.next_offset = 0;
        b->record.confirmed_offset = 0;
        b->record.logout_attempts = 0;
        b->record.server_started = false;
        b->part_doubtful = false;
        b->undrained_by_default = options->on_undrained == ON_UNDRAINED_INVALID && !b->config->on_undrained_given;
        b->log_out_began_usec = 0;
        b->last_get_updates_usec = 0;
        b->workers_stopped_usec = 0;
        b->login_sent = false;
        b->stale_asked = false;
        return 0;
}

/* Whether the target takes the bot now, or the caller wants to wait for that. */
static AskResult window_allows(const Bot *b, Seat target, const SwitchOptions *options, char **ret_message)
{
        usec_t left = bot_window_left(b, target);
        char when[WHEN_MAX];

        if (left == 0 || (options && options->when_allowed))
                return ASK_OK;
        return ask_answer(
                        ASK_FALLBACK_WINDOW, ret_message,
                        "%s was logged out of the %s server, which does not take it back before %s%s. Try again then, or "
                        "have the cutover wait for it: 'tgswitchctl switch %s %s --when-allowed'.",
                        b->name, seat_to_string(target), format_when(when, left),
                        target == SEAT_LOCAL ? ", or until it is restarted" : "", seat_to_string(target), b->name);
}

static AskResult hold_allows(const Bot *b, const SwitchOptions *options, char **ret_message)
{
        if (!options || !options->automatic || !bot_is_held(b))
                return ASK_OK;
        return ask_answer(
                        ASK_HELD, ret_message,
                        "%s is held, so it does not move by itself%s%s. Move it with 'tgswitchctl switch', or allow it "
                        "with 'tgswitchctl release %s'.",
                        b->name, isempty(b->record.held_reason) ? "" : ": ", b->record.held_reason ?: "", b->name);
}

AskResult bot_can_switch(const Bot *b, Seat target, const SwitchOptions *options, char **ret_message)
{
        AskResult result = bot_usable(b, ret_message);
        CutoverStep step;

        assert(target == SEAT_CLOUD || target == SEAT_LOCAL);

        if (result != ASK_OK)
                return result;
        if (bot_job_running(b) && b->record.job.target == target && b->record.job.result == JOB_RESULT_NONE)
                return ASK_RUNNING;
        step = cutover_step(b->record.state, CUTOVER_SWITCH_REQUESTED);
        if (step.verdict != CUTOVER_STEP && options && options->automatic)
                return ask_answer(ASK_HELD, ret_message,
                                  "%s is on its way to %s (job %" PRIu32 "), and is left to that.", b->name,
                                  seat_to_string(b->record.job.target), b->record.job.id);
        if (step.verdict != CUTOVER_STEP)
                return ask_answer(ASK_JOB_RUNNING, ret_message,
                                  "%s cannot be moved to %s now: %s (job %" PRIu32
                                  ", to %s). Wait for it with 'tgswitchctl "
                                  "wait %" PRIu32 "'.",
                                  b->name, seat_to_string(target), step.why, b->record.job.id,
                                  seat_to_string(b->record.job.target), b->record.job.id);
        if (b->saving && !bot_job_running(b))
                return ask_answer(ASK_JOB_RUNNING, ret_message, "Job %" PRIu32 " of %s is just ending: try again.",
                                  b->record.job.id, b->name);
        if (b->record.seat == target)
                return ASK_ALREADY;
        result = hold_allows(b, options, ret_message);
        if (result == ASK_OK)
                result = window_allows(b, target, options, ret_message);
        if (result != ASK_OK)
                return result;
        if (b->n_checks > 0)
                /* A request of theirs that is slow to leave could be the one that logs the bot in again (L1). */
                return ask_answer(ASK_JOB_RUNNING, ret_message, "%s is being checked just now: try again in a moment.",
                                  b->name);
        if (b->manager->stopping)
                return ask_answer(ASK_FAILED, ret_message, "tgswitchd is stopping: try again when it runs.");
        return ASK_OK;
}

AskResult bot_switch(Bot *b, Seat target, const SwitchOptions *options, uint32_t *ret_job, char **ret_message)
{
        AskResult result = bot_can_switch(b, target, options, ret_message);
        int r;

        if (result == ASK_RUNNING)
                *ret_job = b->record.job.id;
        if (result != ASK_OK)
                return result;
        r = job_prepare(b, target, options, false);
        if (r < 0)
                return ask_answer(ASK_FAILED, ret_message,
                                  "The cutover of %s could not be begun: %s. Look after the file "
                                  "system of the state directory.",
                                  b->name, strerror(-r));
        *ret_job = b->record.job.id;
        bot_set_error(b, NULL);
        bot_post(b, CUTOVER_SWITCH_REQUESTED);
        /* At once, so that the job exists when the caller hears of it. */
        bot_dispatch(b);
        return ASK_OK;
}

int bot_begin_automatic(Bot *b, Seat target, const char *reason)
{
        /* Where nobody takes the updates any more, waiting for them to be taken would never end. */
        SwitchOptions options = { .on_undrained = ON_UNDRAINED_SPOOL, .reason = reason, .requester = "tgswitchd" };
        int r;

        if (bot_job_running(b) || b->saving || b->asked_job || b->manager->stopping)
                return -EAGAIN;
        r = job_prepare(b, target, &options, true);
        if (r < 0)
                return r;
        bot_set_error(b, NULL);
        bot_post(b, CUTOVER_SWITCH_REQUESTED);
        bot_dispatch(b);
        return 0;
}

/* Whether the running job can be told anything. What has happened already comes first, else a wish would be granted in
 * a state that is over. */
static AskResult job_listens(Bot *b, char **ret_message)
{
        if (!b->record_ok)
                return answer_error(ASK_BAD_RECORD, ret_message, b);
        if (!b->token)
                return answer_error(ASK_NO_TOKEN, ret_message, b);
        bot_dispatch(b);
        return ASK_OK;
}

AskResult bot_cancel(Bot *b, char **ret_message)
{
        AskResult result = job_listens(b, ret_message);
        CutoverStep step;

        if (result != ASK_OK)
                return result;
        step = cutover_step(b->record.state, CUTOVER_CANCEL_REQUESTED);
        if (step.verdict != CUTOVER_STEP)
                return ask_answer(ASK_NOT_CANCELLABLE, ret_message, "The cutover of %s cannot be cancelled: %s.",
                                  b->name, step.why);
        if (b->record.job.automatic)
                b->automatic_due_usec = b->stale_due_usec = usec_add(clock_boottime_usec(), CANCELED_USEC);
        bot_post(b, CUTOVER_CANCEL_REQUESTED);
        bot_dispatch(b);
        return ASK_OK;
}

AskResult bot_proceed(Bot *b, char **ret_message)
{
        AskResult result = job_listens(b, ret_message);
        CutoverStep step;

        if (result != ASK_OK)
                return result;
        step = cutover_step(b->record.state, CUTOVER_PROCEED_REQUESTED);
        if (step.verdict != CUTOVER_STEP) {
                if (!bot_job_running(b) || b->record.job.hold_at == HOLD_AT_NONE || b->record.job.proceeded)
                        return ask_answer(ASK_NOT_HOLDING, ret_message, "The cutover of %s does not hold: %s.", b->name,
                                          step.why);
                return ask_answer(ASK_NOT_HOLDING, ret_message,
                                  "The cutover of %s has not reached '%s' yet, where it is to hold: wait for it.",
                                  b->name, hold_at_to_string(b->record.job.hold_at));
        }
        b->record.job.proceeded = true;
        bot_post(b, CUTOVER_PROCEED_REQUESTED);
        bot_dispatch(b);
        return ASK_OK;
}

static void on_seat_saved(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->asked_job = disk_job_free(b->asked_job);
        if (r < 0)
                bot_record_aside(b);
        if (bot_gate_open(b))
                gate_reconsider(b);
}

static AskResult nothing_under_way(const Bot *b, char **ret_message)
{
        if (!b->record_ok)
                return answer_error(ASK_BAD_RECORD, ret_message, b);
        if (bot_job_running(b))
                return ask_answer(ASK_NOT_SETTLED, ret_message,
                                  "%s is being moved (job %" PRIu32 "): wait for the end of it.", b->name,
                                  b->record.job.id);
        if (b->saving || b->asked_job)
                return ask_answer(ASK_NOT_SETTLED, ret_message, "Something else is being written for %s: try again.",
                                  b->name);
        return ASK_OK;
}

AskResult bot_set_seat(Bot *b, Seat seat, char **ret_message)
{
        AskResult result = nothing_under_way(b, ret_message);
        Seat before = b->record.seat;
        int64_t id_before = b->record.bot_id;
        int r;

        assert(seat == SEAT_CLOUD || seat == SEAT_LOCAL);

        if (result != ASK_OK)
                return result;
        if (before == seat)
                return ASK_ALREADY;
        if (seat == SEAT_CLOUD && bot_cloud_allowed_usec(b) > 0)
                return ask_answer(
                                ASK_FALLBACK_WINDOW, ret_message,
                                "%s was logged out of the cloud, and no request may go there before the window is over: "
                                "see 'tgswitchctl status %s' for the time, and try again then.",
                                b->name, b->name);
        b->record.seat = seat;
        /* What the local server holds is the session that counts, then. */
        b->record.stale = b->record.stale && seat == SEAT_CLOUD;
        b->record.logged_in = (Moment){};
        if (b->token)
                b->record.bot_id = bot_token_id(b->token);
        r = bot_save(b, on_seat_saved, b, &b->asked_job);
        if (r < 0) {
                b->record.seat = before;
                b->record.bot_id = id_before;
                return ask_answer(ASK_FAILED, ret_message,
                                  "The seat of %s could not be recorded: %s. Nothing was changed; try again.", b->name,
                                  strerror(-r));
        }
        bot_publish_environment(b);
        bot_log_event(b, LOG_NOTICE, LOG_EVENT_SEAT_DECLARED, "An administrator says that the bot is logged in at %s.",
                      seat_to_string(seat));
        bot_changed(b);
        return ASK_OK;
}

static AskResult set_hold(Bot *b, usec_t until_usec, const char *reason, char **ret_message)
{
        char *copy;

        if (!b->record_ok)
                return answer_error(ASK_BAD_RECORD, ret_message, b);
        copy = strdup(reason ?: "");
        if (!copy)
                return answer_oom(ret_message);
        free(b->record.held_reason);
        b->record.held_reason = copy;
        b->record.held_until_usec = until_usec;
        bot_record_aside(b);
        bot_changed(b);
        manager_watch(b->manager);
        return ASK_OK;
}

AskResult bot_hold(Bot *b, usec_t until_usec, const char *reason, char **ret_message)
{
        AskResult result = set_hold(b, until_usec, reason, ret_message);

        if (result != ASK_OK)
                return result;
        bot_log_event(b, LOG_NOTICE, LOG_EVENT_BOT_HELD, "Held: it does not move by itself%s%s.",
                      isempty(reason) ? "" : ": ", reason ?: "");
        if (b->record.state == CUTOVER_QUEUED && b->record.job.automatic && !b->record.stale) {
                bot_set_error(b,
                              "The bot is held, so its move was called off: it does not move by itself before "
                              "'tgswitchctl release %s'.",
                              b->name);
                bot_post(b, CUTOVER_CALLED_OFF);
        }
        return ASK_OK;
}

AskResult bot_release(Bot *b, char **ret_message)
{
        AskResult result;

        if (b->record_ok && b->record.held_until_usec == 0)
                return ASK_ALREADY;
        result = set_hold(b, 0, NULL, ret_message);
        if (result == ASK_OK)
                bot_log_event(b, LOG_NOTICE, LOG_EVENT_BOT_RELEASED,
                              "Released: it moves by itself again where it is configured to.");
        return result;
}

static void on_cleared(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->asked_job = disk_job_free(b->asked_job);
        if (r < 0)
                bot_log_errno(b, LOG_ERR, r,
                              "Failed to clear the spool: %m. Look after the file system of the state directory, then "
                              "try again.");
        /* Whatever is there now: without a part in memory the worker that takes it could not start. */
        handover_prepare_until_done(b);
        if (bot_gate_open(b))
                gate_reconsider(b);
        bot_changed(b);
}

AskResult bot_clear_spool(Bot *b, char **ret_message)
{
        AskResult result = nothing_under_way(b, ret_message);
        uint64_t n = bot_spooled_updates(b);
        int r;

        if (result != ASK_OK)
                return result;
        if (n == 0)
                return ASK_ALREADY;
        r = spool_clear(b->spool, on_cleared, b, &b->asked_job);
        if (r < 0)
                return answer_oom(ret_message);
        handover_cancel(b);
        delivery_cancel(b);
        b->record.part_served_updates = 0;
        bot_log(b, LOG_NOTICE, "%" PRIu64 " spooled updates are thrown away, as asked for.", n);
        return ASK_OK;
}

AskResult bot_read_spool(Bot *b, int *ret_fd, char **ret_message)
{
        int r;

        if (!b->spool)
                return answer_error(ASK_BAD_RECORD, ret_message, b);
        r = spool_export(b->spool, ret_fd);
        if (r < 0)
                return ask_answer(ASK_FAILED, ret_message,
                                  "The spool of %s could not be read: %s. Look after the file system of the state "
                                  "directory, then try again.",
                                  b->name, strerror(-r));
        return ASK_OK;
}

/* ---- Check() ---- */

struct BotCheck {
        Bot *bot;
        Check *check;
        bot_check_handler_t handler;
        void *userdata;
};

static void on_checked(Check *c, const CheckList *list, const CheckFindings *findings, void *userdata)
{
        BotCheck *bc = userdata;

        bc->handler(list->items, list->n, bc->userdata);
}

AskResult bot_check(Bot *b, Seat target, bot_check_handler_t handler, void *userdata, BotCheck **ret,
                    char **ret_message)
{
        AskResult result = bot_usable(b, ret_message);
        BotCheck *bc;
        int r;

        if (result != ASK_OK && result != ASK_NO_TOKEN)
                return result;
        if (result == ASK_NO_TOKEN) {
                /* That is one of the checks, and its words are better placed there. */
                free(*ret_message);
                *ret_message = NULL;
        }
        if (bot_job_running(b))
                return ask_answer(ASK_NOT_SETTLED, ret_message,
                                  "%s is being moved (job %" PRIu32 "), and the move has its own "
                                  "checks: see 'tgswitchctl status %s'.",
                                  b->name, b->record.job.id, b->name);
        bc = calloc(1, sizeof(BotCheck));
        if (!bc)
                return answer_oom(ret_message);
        bc->bot = b;
        bc->handler = handler;
        bc->userdata = userdata;
        r = check_start(b, target, false, on_checked, bc, &bc->check);
        if (r < 0) {
                free(bc);
                return answer_oom(ret_message);
        }
        b->n_checks++;
        *ret = bc;
        return ASK_OK;
}

BotCheck *bot_check_free(BotCheck *c)
{
        if (!c)
                return NULL;
        c->bot->n_checks--;
        check_free(c->check);
        free(c);
        return NULL;
}
