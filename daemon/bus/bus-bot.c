/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bus/bus-error.h"
#include "bus/bus-internal.h"
#include "bus/bus-options.h"
#include "io/clock.h"

void bus_bot_path(const Bot *b, char path[static 64])
{
        /* NAME is [a-z][a-z0-9_]{0,31}: it is a path element as it stands */
        (void) snprintf(path, 64, BUS_BOT_PREFIX "%s", bot_name(b));
}

/* The bot that a call is for. */
static int find_bot(const BusCall *call, Bot **ret, sd_bus_error *error)
{
        return bus_call_find_bot(call, call->request.bots[0], ret, error);
}

/* Reads a seat that a bot can be moved to or declared at. */
static int read_seat(sd_bus_message *m, Seat *ret, sd_bus_error *error)
{
        const char *s;
        Seat seat;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        seat = seat_from_string(s);
        if (seat != SEAT_CLOUD && seat != SEAT_LOCAL)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "A seat is either cloud or local.");
        *ret = seat;
        return 0;
}

static int check_seat(sd_bus_message *m, const Manager *manager, sd_bus_error *error)
{
        Seat seat;

        return read_seat(m, &seat, error);
}

static int begin(sd_bus_message *m, BusBot *bb, BusAction action, bus_arguments_t check_arguments,
                 bus_call_handler_t handler, sd_bus_error *error)
{
        const BusRequest request = {
                .action = action,
                .bots = (char *[]){ (char *) bot_name(bb->bot), NULL },
                .check_arguments = check_arguments,
                .handler = handler,
                .for_history = action != BUS_ACTION_MANAGE,
        };

        return bus_call_begin(&bb->service->calls, bb->service->manager, m, &request, error);
}

/* ---- methods ---- */

static int switch_bot(BusCall *call, Seat target, sd_bus_error *error)
{
        Bot *b;
        int r;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;
        return bus_switch_begin(call, target, &b, 1, true, error);
}

static int switch_to_local(BusCall *call, sd_bus_error *error)
{
        return switch_bot(call, SEAT_LOCAL, error);
}

static int method_switch_to_local(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_SWITCH_TO_LOCAL, bus_options_check, switch_to_local, error);
}

static int switch_to_cloud(BusCall *call, sd_bus_error *error)
{
        return switch_bot(call, SEAT_CLOUD, error);
}

static int method_switch_to_cloud(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_SWITCH_TO_CLOUD, bus_options_check, switch_to_cloud, error);
}

static int reply_checks(BusCall *call, const CheckItem *items, size_t n_items)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(ssss)");
        if (r < 0)
                return r;
        for (const CheckItem *i = items; i < items + n_items; i++) {
                r = sd_bus_message_open_container(reply, 'r', "ssss");
                if (r < 0)
                        return r;
                r = bus_append_text(reply, i->check);
                if (r < 0)
                        return r;
                r = bus_append_text(reply, i->subject);
                if (r < 0)
                        return r;
                r = sd_bus_message_append(reply, "s", check_verdict_to_string(i->verdict));
                if (r < 0)
                        return r;
                r = bus_append_text(reply, i->explanation);
                if (r < 0)
                        return r;
                r = sd_bus_message_close_container(reply);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static void on_checked(const CheckItem *items, size_t n_items, void *userdata)
{
        BusCall *call = userdata;
        int r;

        r = reply_checks(call, items, n_items);
        if (r < 0)
                bus_call_fail(call, r, NULL);
        else
                bus_call_free(call);
}

static int check(BusCall *call, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        AskResult result;
        Seat target;
        Bot *b;
        int r;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;
        r = read_seat(call->message, &target, error);
        if (r < 0)
                return r;

        result = bot_check(b, target, on_checked, call, &call->check, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        call->checked = b;
        call->waits = true;
        return 0;
}

static int method_check(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, check_seat, check, error);
}

void bus_bot_drop_checks(BusCallList *calls, const Bot *b)
{
        for (BusCall *call = calls->first, *next; call; call = next) {
                next = call->next;
                if (call->checked != b)
                        continue;
                (void) sd_bus_reply_method_errorf(
                                call->message, BUS_ERROR_NO_SUCH_BOT,
                                "The bot %s was removed from the configuration meanwhile; nothing was changed. "
                                "'tgswitchctl list' shows the bots.",
                                bot_name(b));
                bus_call_free(call);
        }
}

static void on_token_checked(TokenVerdict verdict, TokenWebhook webhook, const char *explanation, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        BusCall *call = userdata;
        int r;

        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ss", token_verdict_to_string(verdict),
                                          token_webhook_to_string(webhook));
        if (r >= 0)
                r = bus_append_text(reply, explanation);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                bus_call_fail(call, r, NULL);
        else
                bus_call_free(call);
}

static int check_token(BusCall *call, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        int r, restore_webhook;
        AskResult result;
        Bot *b;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(call->message, "b", &restore_webhook);
        if (r < 0)
                return r;

        result = bot_check_token(b, restore_webhook, on_token_checked, call, &call->token_check, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        call->checked = b;
        call->waits = true;
        return 0;
}

static int method_check_token(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, NULL, check_token, error);
}

static int read_hold(sd_bus_message *m, usec_t *ret_until_usec, const char **ret_reason, sd_bus_error *error)
{
        const char *reason;
        usec_t until_usec;
        int r;

        r = sd_bus_message_read(m, "ts", &until_usec, &reason);
        if (r < 0)
                return r;
        if (until_usec <= clock_realtime_usec())
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "A bot is held until a moment to come, or until Release() with the largest "
                                        "number there is; this one is over.");
        if (!bus_reason_is_valid(reason))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "A reason has at most %d bytes of text without control characters.",
                                         BUS_REASON_MAX);
        *ret_until_usec = until_usec;
        *ret_reason = reason;
        return 0;
}

static int check_hold(sd_bus_message *m, const Manager *manager, sd_bus_error *error)
{
        const char *reason;
        usec_t until_usec;

        return read_hold(m, &until_usec, &reason, error);
}

static int hold(BusCall *call, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        const char *reason = NULL;
        AskResult result;
        usec_t until_usec = 0;
        Bot *b;
        int r;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;
        r = read_hold(call->message, &until_usec, &reason, error);
        if (r < 0)
                return r;

        result = bot_hold(b, until_usec, reason, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        return sd_bus_reply_method_return(call->message, NULL);
}

static int method_hold(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, check_hold, hold, error);
}

/* A wish without arguments, and without an answer but that it is granted. */
static int ask(BusCall *call, AskResult (*wish)(Bot *b, char **ret_message), sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        AskResult result;
        Bot *b;
        int r;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;

        result = wish(b, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        return sd_bus_reply_method_return(call->message, NULL);
}

static int release(BusCall *call, sd_bus_error *error)
{
        return ask(call, bot_release, error);
}

static int method_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, NULL, release, error);
}

static int set_seat(BusCall *call, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        AskResult result;
        Seat seat;
        Bot *b;
        int r;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;
        r = read_seat(call->message, &seat, error);
        if (r < 0)
                return r;

        result = bot_set_seat(b, seat, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        return sd_bus_reply_method_return(call->message, NULL);
}

static int method_set_seat(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, check_seat, set_seat, error);
}

static int read_spool(BusCall *call, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        _cleanup_close_ int fd = -EBADF;
        AskResult result;
        Bot *b;
        int r;

        r = find_bot(call, &b, error);
        if (r < 0)
                return r;

        result = bot_read_spool(b, &fd, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        return sd_bus_reply_method_return(call->message, "h", fd);
}

static int method_read_spool(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, NULL, read_spool, error);
}

static int clear_spool(BusCall *call, sd_bus_error *error)
{
        return ask(call, bot_clear_spool, error);
}

static int method_clear_spool(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, BUS_ACTION_MANAGE, NULL, clear_spool, error);
}

/* ---- properties ---- */

#define DEFINE_BOT_PROPERTY(name, append)                                                                      \
        static int property_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                                   sd_bus_message *reply, void *userdata, sd_bus_error *error)                 \
        {                                                                                                      \
                const Bot *b = ((const BusBot *) userdata)->bot;                                               \
                                                                                                               \
                return append;                                                                                 \
        }                                                                                                      \
        struct _swallow_semicolon_

static const char *target_name(const Bot *b)
{
        return bot_job_running(b) ? seat_to_string(bot_target(b)) : "";
}

static const char *last_result(const Bot *b)
{
        const RecordJob *job = bot_job(b);

        return job->result == JOB_RESULT_NONE ? "" : job_result_to_string(job->result);
}

static int append_job(sd_bus_message *reply, const Bot *b)
{
        uint32_t id = bot_job(b)->id;
        char path[BUS_JOB_PATH_SIZE];

        if (!bot_job_running(b))
                return sd_bus_message_append(reply, "(uo)", (uint32_t) 0, BUS_NO_JOB);
        bus_job_path(id, path);
        return sd_bus_message_append(reply, "(uo)", id, path);
}

static int append_entry_text(sd_bus_message *reply, const char *key, const char *text)
{
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "s", key);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'v', "s");
        if (r < 0)
                return r;
        r = bus_append_text(reply, text);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

static int append_last_job_entries(sd_bus_message *reply, const RecordJob *job)
{
        int r;

        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "id", "u", job->id, "target", "s",
                                  seat_to_string(job->target), "result", "s", job_result_to_string(job->result),
                                  "started-usec", "t", job->started_usec, "ended-usec", "t", job->ended_usec, "drained",
                                  "t", job->drained, "spooled", "t", job->spooled, "handed-over", "t", job->handed_over,
                                  "blind-usec", "t", job->blind_usec, "downtime-usec", "t", job->downtime_usec);
        if (r < 0)
                return r;
        r = append_entry_text(reply, "reason", job->reason);
        if (r < 0)
                return r;
        r = append_entry_text(reply, "requester", job->requester);
        if (r < 0)
                return r;
        return append_entry_text(reply, "error", job->error);
}

/* The object of a job goes with it. Who comes too late for JobRemoved, or was away while the daemon restarted, finds
 * here how it ended. */
static int append_last_job(sd_bus_message *reply, const Bot *b)
{
        const RecordJob *job = bot_job(b);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        if (job->id > 0 && !bot_job_running(b)) {
                r = append_last_job_entries(reply, job);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

DEFINE_BOT_PROPERTY(name, sd_bus_message_append(reply, "s", bot_name(b)));
DEFINE_BOT_PROPERTY(id, sd_bus_message_append(reply, "x", bot_id(b)));
DEFINE_BOT_PROPERTY(seat, sd_bus_message_append(reply, "s", seat_to_string(bot_seat(b))));
DEFINE_BOT_PROPERTY(phase, sd_bus_message_append(reply, "s", bot_phase(b)));
DEFINE_BOT_PROPERTY(target, sd_bus_message_append(reply, "s", target_name(b)));
DEFINE_BOT_PROPERTY(endpoint, bus_append_text(reply, bot_endpoint(b)));
DEFINE_BOT_PROPERTY(workers, sd_bus_message_append_strv(reply, (char **) bot_workers(b)));
DEFINE_BOT_PROPERTY(logged_out, sd_bus_message_append(reply, "t", bot_logged_out_usec(b)));
DEFINE_BOT_PROPERTY(cloud_allowed, sd_bus_message_append(reply, "t", bot_cloud_allowed_usec(b)));
DEFINE_BOT_PROPERTY(local_allowed, sd_bus_message_append(reply, "t", bot_local_allowed_usec(b)));
DEFINE_BOT_PROPERTY(stale_session, sd_bus_message_append(reply, "b", bot_stale_session(b)));
DEFINE_BOT_PROPERTY(held_until, sd_bus_message_append(reply, "t", bot_held_until_usec(b)));
DEFINE_BOT_PROPERTY(held_reason, bus_append_text(reply, bot_held_reason(b)));
DEFINE_BOT_PROPERTY(pending, sd_bus_message_append(reply, "t", bot_pending_updates(b)));
DEFINE_BOT_PROPERTY(pending_usec, sd_bus_message_append(reply, "t", bot_pending_updates_usec(b)));
DEFINE_BOT_PROPERTY(spooled, sd_bus_message_append(reply, "t", bot_spooled_updates(b)));
DEFINE_BOT_PROPERTY(job, append_job(reply, b));
DEFINE_BOT_PROPERTY(last_job, append_last_job(reply, b));
DEFINE_BOT_PROPERTY(last_result, sd_bus_message_append(reply, "s", last_result(b)));
DEFINE_BOT_PROPERTY(last_error, bus_append_text(reply, bot_last_error(b)));

#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

const sd_bus_vtable bus_bot_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_METHOD_WITH_ARGS("SwitchToLocal", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job),
                                method_switch_to_local, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SwitchToCloud", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job),
                                method_switch_to_cloud, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_ARGS("s", target), SD_BUS_RESULT("a(ssss)", checks), method_check,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CheckToken", SD_BUS_ARGS("b", restore_webhook),
                                SD_BUS_RESULT("s", verdict, "s", webhook, "s", explanation), method_check_token,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Hold", SD_BUS_ARGS("t", until, "s", reason), SD_BUS_NO_RESULT, method_hold,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_release,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetSeat", SD_BUS_ARGS("s", seat), SD_BUS_NO_RESULT, method_set_seat,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReadSpool", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", updates), method_read_spool,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ClearSpool", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_clear_spool,
                                SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_PROPERTY("Name", "s", property_name, 0, CONSTANT),
        SD_BUS_PROPERTY("Id", "x", property_id, 0, CHANGES),
        SD_BUS_PROPERTY("Seat", "s", property_seat, 0, CHANGES),
        SD_BUS_PROPERTY("Phase", "s", property_phase, 0, CHANGES),
        SD_BUS_PROPERTY("Target", "s", property_target, 0, CHANGES),
        SD_BUS_PROPERTY("Endpoint", "s", property_endpoint, 0, CHANGES),
        SD_BUS_PROPERTY("Workers", "as", property_workers, 0, CHANGES),
        SD_BUS_PROPERTY("LoggedOutUSec", "t", property_logged_out, 0, CHANGES),
        SD_BUS_PROPERTY("CloudAllowedUSec", "t", property_cloud_allowed, 0, CHANGES),
        SD_BUS_PROPERTY("LocalAllowedUSec", "t", property_local_allowed, 0, CHANGES),
        SD_BUS_PROPERTY("StaleSession", "b", property_stale_session, 0, CHANGES),
        SD_BUS_PROPERTY("HeldUntilUSec", "t", property_held_until, 0, CHANGES),
        SD_BUS_PROPERTY("HeldReason", "s", property_held_reason, 0, CHANGES),
        SD_BUS_PROPERTY("PendingUpdates", "t", property_pending, 0, CHANGES),
        SD_BUS_PROPERTY("PendingUpdatesUSec", "t", property_pending_usec, 0, CHANGES),
        SD_BUS_PROPERTY("SpooledUpdates", "t", property_spooled, 0, CHANGES),
        SD_BUS_PROPERTY("Job", "(uo)", property_job, 0, CHANGES),
        SD_BUS_PROPERTY("LastJob", "a{sv}", property_last_job, 0, CHANGES),
        SD_BUS_PROPERTY("LastResult", "s", property_last_result, 0, CHANGES),
        SD_BUS_PROPERTY("LastError", "s", property_last_error, 0, CHANGES),

        SD_BUS_VTABLE_END
};
