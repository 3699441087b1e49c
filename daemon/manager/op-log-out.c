/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "manager/bot-log.h"
#include "manager/bot.h"

/* The irreversible request. While it is under way a long poll is in flight on a second connection: the server answers
 * it with whatever is queued when logOut closes the bot, so that only updates which arrive between the two are lost
 * (the race). The long poll leaves first: its last byte has been written when logOut is sent, a little later, so that
 * it also arrives first; then nothing with the token is behind logOut (L1). */

#define LONG_POLL_SEC 50
/* How much later: far more than two connections to one host differ by, far less than updates are apart. They differ by
 * less where the host is near. */
#define AHEAD_MIN_USEC    (1 * USEC_PER_MSEC)
#define AHEAD_MAX_USEC    (5 * USEC_PER_MSEC)
#define AHEAD_ROUND_TRIPS 8
/* A busy bot answers every long poll at once; after so many the race is taken as it is. */
#define LONG_POLLS_MAX 8
/* The server answers the long poll when it closes the bot, that is before or with its answer to logOut. */
#define LATE_POLL_USEC (2 * USEC_PER_SEC)

typedef struct LogOutOperation {
        Operation base;
        unsigned polls;
        usec_t polled_usec; /* CLOCK_BOOTTIME at which the last long poll left, or its answer was on disk */
        ClockTimer *timer;
        DiskJob *saving;
        BotApiCall *call; /* logOut itself */
        ServerCall *server_call;
} LogOutOperation;

static void log_out_operation_free(Operation *op)
{
        LogOutOperation *o = (LogOutOperation *) op;

        clock_timer_free(o->timer);
        disk_job_free(o->saving);
        botapi_call_free(o->call);
        server_call_free(o->server_call);
        free(o);
}

/* ---- the long poll, which may outlive the operation ---- */

bool log_out_in_flight(const Bot *b)
{
        const LogOutOperation *o = (const LogOutOperation *) b->operation;

        return o && (o->call || o->timer || o->saving || b->late_poll);
}

bool late_poll_pending(const Bot *b)
{
        return b->late_poll || b->late_poll_saving;
}

void late_poll_drop(Bot *b)
{
        b->late_poll = botapi_call_free(b->late_poll);
        b->late_poll_saving = disk_job_free(b->late_poll_saving);
        b->late_poll_timer = clock_timer_free(b->late_poll_timer);
}

static void late_poll_over(Bot *b)
{
        b->late_poll_timer = clock_timer_free(b->late_poll_timer);
        if (b->late_poll_waiter)
                b->late_poll_waiter(b);
        manager_maybe_exit(b->manager);
}

static void on_late_poll_saved(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->late_poll_saving = disk_job_free(b->late_poll_saving);
        if (r < 0) {
                bot_log_errno(b, LOG_ERR, r,
                              "Failed to spool %u updates of the last getUpdates: %m. Look after the file system of "
                              "the state directory.",
                              b->late_poll_updates);
                /* If the bot is still logged in, they are asked for again before a repeat. */
                b->last_get_updates_usec = 0;
        } else {
                b->record.job.spooled += b->late_poll_updates;
                b->record.next_offset = b->late_poll_next_offset;
        }
        bot_changed(b);
        late_poll_over(b);
}

/* Puts the updates of a reply into the spool. Returns how many, or a negative errno; `done` is called unless 0. */
static int keep_updates(Bot *b, const BotApiReply *reply, disk_done_t done, void *userdata, DiskJob **ret)
{
        int64_t next = b->record.next_offset;
        json_object *updates = NULL;
        int r;

        if (reply->transport != BOTAPI_REPLIED || !reply->ok)
                return 0;
        r = botapi_updates(reply, &updates, &next);
        if (r < 0)
                return r;
        b->last_get_updates_usec = bot_get_updates_answered(b);
        b->answered_offset = b->asked_offset;
        r = (int) json_object_array_length(updates);
        if (r > 0) {
                int q = spool_append(b->spool, updates, done, userdata, ret);

                if (q < 0)
                        r = q;
                else
                        b->late_poll_next_offset = next;
        }
        json_object_put(updates);
        return r;
}

static void on_late_poll_timeout(void *userdata)
{
        Bot *b = userdata;

        b->late_poll_timer = clock_timer_free(b->late_poll_timer);
        if (!b->late_poll)
                return;
        b->late_poll = botapi_call_free(b->late_poll);
        bot_log(b, LOG_WARNING, "The last getUpdates was not answered; what arrived during logOut may be lost.");
        late_poll_over(b);
}

/* From now on the long poll belongs to the bot alone and has little time left. */
static void late_poll_let_go(Bot *b)
{
        if (!b->late_poll || b->late_poll_timer)
                return;
        if (clock_timer_new(&b->late_poll_timer, b->manager->event, LATE_POLL_USEC, on_late_poll_timeout, b) < 0)
                on_late_poll_timeout(b);
}

/* Nothing was carried out: worth another try after `wait_usec`, or not any more. */
static CutoverEvent again_or_given_up(Bot *b, usec_t wait_usec)
{
        usec_t now = clock_boottime_usec();
        usec_t limit = b->config ? b->config->log_out_timeout_usec : 30 * USEC_PER_SEC;

        b->retry_after_usec = wait_usec;
        if (usec_add(usec_sub(now, b->log_out_began_usec), wait_usec) > limit)
                return CUTOVER_LOGOUT_GIVEN_UP;
        return CUTOVER_LOGOUT_REJECTED;
}

static CutoverEvent rejected_or_given_up(Bot *b, const BotApiReply *reply)
{
        return again_or_given_up(b, reply->retry_after_usec);
}

static void send_log_out(LogOutOperation *o);
static void send_long_poll(LogOutOperation *o);

static void on_polled_batch_saved(DiskJob *job, int r, void *userdata)
{
        LogOutOperation *o = userdata;
        Bot *b = o->base.bot;

        o->saving = disk_job_free(o->saving);
        if (r < 0) {
                bot_set_error(b, "Updates could not be spooled: %s. Nothing was sent; look after the state directory.",
                              strerror(-r));
                bot_post(b, CUTOVER_LOGOUT_GIVEN_UP);
                return;
        }
        b->record.job.spooled += b->late_poll_updates;
        b->record.next_offset = b->late_poll_next_offset;
        o->polled_usec = bot_get_updates_answered(b);
        if (o->polls < LONG_POLLS_MAX)
                send_long_poll(o);
        else
                send_log_out(o);
}

static void on_long_poll(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Bot *b = userdata;
        /* Only while logOut is not sent is there an operation that still counts on this poll. */
        LogOutOperation *o = b->record.state == CUTOVER_LOG_OUT ? (LogOutOperation *) b->operation : NULL;
        bool ahead = o && !o->call, answered = reply->transport == BOTAPI_REPLIED && reply->ok;
        _cleanup_free_ char *said = botapi_reply_describe(reply);
        CutoverEvent event = CUTOVER_LOGOUT_REJECTED;
        int r;

        if (ahead) {
                event = rejected_or_given_up(b, reply);
                if (!answered)
                        bot_set_error(b,
                                      "The last getUpdates before logOut failed (%s). The bot was not logged out; "
                                      "start the cutover again.",
                                      said ?: "no memory");
                o->timer = clock_timer_free(o->timer);
                r = keep_updates(b, reply, on_polled_batch_saved, o, &o->saving);
        } else {
                r = keep_updates(b, reply, on_late_poll_saved, b, &b->late_poll_saving);
        }
        b->late_poll = botapi_call_free(b->late_poll);
        b->late_poll_updates = r > 0 ? (unsigned) r : 0;
        if (r > 0)
                return;
        if (r < 0) {
                bot_log_errno(b, LOG_ERR, r,
                              "Failed to keep the answer of the last getUpdates: %m. Look after the file system of "
                              "the state directory.");
                bot_set_error(b,
                              "The answer to the last getUpdates could not be kept: %s. Look after the file system of "
                              "the state directory.%s",
                              strerror(-r), ahead ? " The bot was not logged out." : "");
        }
        if (!ahead)
                late_poll_over(b);
        else if (answered && r == 0)
                send_log_out(o);
        else
                /* What the server meant to give us is still in its queue, which a logOut would wipe. */
                bot_post(b, event);
}

static void on_ahead(void *userdata)
{
        LogOutOperation *o = userdata;

        o->timer = clock_timer_free(o->timer);
        send_log_out(o);
}

static usec_t ahead_usec(const Bot *b)
{
        usec_t usec = b->round_trip_usec > 0 ? b->round_trip_usec / AHEAD_ROUND_TRIPS : AHEAD_MAX_USEC;

        return MIN(MAX(usec, AHEAD_MIN_USEC), AHEAD_MAX_USEC);
}

static void on_long_poll_sent(BotApiCall *call, void *userdata)
{
        Bot *b = userdata;
        LogOutOperation *o = (LogOutOperation *) b->operation;

        if (b->record.state != CUTOVER_LOG_OUT || !o || o->call || o->timer)
                return;
        o->polled_usec = clock_boottime_usec();
        if (clock_timer_new(&o->timer, b->manager->event, ahead_usec(b), on_ahead, o) < 0)
                send_log_out(o);
}

static void send_long_poll(LogOutOperation *o)
{
        Bot *b = o->base.bot;
        json_object *arguments = get_updates_arguments(b, LONG_POLL_SEC);
        int r = -ENOMEM;

        o->polls++;
        /* The server may forget what is below the offset as soon as this is sent. */
        b->record.confirmed_offset = b->record.next_offset;
        if (arguments)
                r = bot_call(b, b->record.seat, BOTAPI_GET_UPDATES, arguments, (LONG_POLL_SEC + 15) * USEC_PER_SEC,
                             on_long_poll_sent, on_long_poll, b, &b->late_poll);
        json_object_put(arguments);
        if (r < 0) {
                errno = -r;
                bot_set_error(b, "The last getUpdates before logOut could not be sent: %m. Start the cutover again.");
                bot_post(b, CUTOVER_LOGOUT_GIVEN_UP);
        }
}

/* ---- logOut ---- */

static CutoverEvent event_of(Bot *b, LogOutOutcome outcome, const BotApiReply *reply)
{
        /* A server that has lost its own credentials says nothing of the bot. */
        if (botapi_login_outcome(reply, bot_token_id(b->token)) == LOGIN_OUTCOME_API_ID)
                return rejected_or_given_up(b, reply);
        /* What is not known of a stale session is found out at the next attempt: it stays on record. */
        if (b->record.state == CUTOVER_STALE_LOG_OUT && outcome == LOGOUT_OUTCOME_UNKNOWN)
                return rejected_or_given_up(b, reply);
        switch (outcome) {
        case LOGOUT_OUTCOME_APPLIED:
                b->log_out_lengthens = true;
                return CUTOVER_LOGOUT_APPLIED;
        case LOGOUT_OUTCOME_APPLIED_BEFORE:
                b->log_out_lengthens = false;
                return CUTOVER_LOGOUT_APPLIED;
        case LOGOUT_OUTCOME_REVOKED:
                b->log_out_lengthens = false;
                return CUTOVER_LOGOUT_REVOKED;
        case LOGOUT_OUTCOME_NOT_SENT:
        case LOGOUT_OUTCOME_FLOOD:
                return rejected_or_given_up(b, reply);
        default:
                return CUTOVER_LOGOUT_LOST;
        }
}

static const char *what_follows(const Bot *b, CutoverEvent event)
{
        if (event == CUTOVER_LOGOUT_LOST)
                return "It may have been applied, so it is repeated.";
        if (event != CUTOVER_LOGOUT_REVOKED)
                return "The bot was not logged out by that.";
        if (b->record.state == CUTOVER_LOG_OUT_REPEAT)
                return "After an attempt without an answer, that means that it was applied.";
        return "The token is revoked: put the new one in place.";
}

static void on_server(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        LogOutOperation *o = userdata;
        Bot *b = o->base.bot;

        o->server_call = server_call_free(o->server_call);
        if (server_waits_for_boot(b, answer)) {
                manager_maybe_exit(b->manager);
                return;
        }
        if (answer == SERVER_UNKNOWN)
                answer = SERVER_READY;
        if (answer != SERVER_READY)
                bot_set_error(b, "The local server died, and its session of the bot with it: %s", why);
        bot_post(b, answer == SERVER_READY ? CUTOVER_LOGOUT_REJECTED : CUTOVER_SOURCE_DEAD);
}

/* Only the server that got the attempt can tell what became of it: where it does not run, it is started for that. */
static int look_for_server(LogOutOperation *o)
{
        return server_call(o->base.bot->manager, SERVER_START, on_server, o, &o->server_call);
}

static void on_logged_out(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        LogOutOperation *o = userdata;
        Bot *b = o->base.bot;
        LogOutOutcome outcome = botapi_logout_outcome(reply);
        CutoverEvent event = event_of(b, outcome, reply);
        bool nobody_there = reply->transport == BOTAPI_NOT_SENT && bot_source(b) == SEAT_LOCAL;
        _cleanup_free_ char *said = botapi_reply_describe(reply);

        o->call = botapi_call_free(o->call);
        if (b->record.state == CUTOVER_STALE_LOG_OUT && event != CUTOVER_LOGOUT_APPLIED)
                b->stale_asked = true;
        if (event == CUTOVER_LOGOUT_APPLIED)
                bot_set_error(b, NULL);
        else
                bot_set_error(b, "logOut was answered by: %s. %s", said ?: "no memory", what_follows(b, event));
        if (event != CUTOVER_LOGOUT_APPLIED && b->retries == 0)
                bot_log(b, LOG_WARNING, "%s", b->error ?: "no memory");
        /* Only where this attempt was the first and certainly not applied will the server give the updates again. */
        if (b->record.state == CUTOVER_LOG_OUT && event != CUTOVER_LOGOUT_APPLIED && event != CUTOVER_LOGOUT_LOST)
                late_poll_drop(b);
        else
                late_poll_let_go(b);
        if (nobody_there && b->record.state == CUTOVER_LOG_OUT_REPEAT && look_for_server(o) >= 0) {
                manager_maybe_exit(b->manager);
                return;
        }
        bot_post(b, event);
}

static void send_log_out(LogOutOperation *o)
{
        Bot *b = o->base.bot;
        /* With arguments it is a POST, which no proxy in front of the server repeats of its own accord. */
        json_object *arguments = NULL;
        int r = -ENOMEM;

        if (o->polled_usec > 0 && usec_sub(clock_boottime_usec(), o->polled_usec) > GET_UPDATES_FRESH_USEC) {
                /* The host slept: what the long poll brought is lost on the way, and still in the server's queue. */
                late_poll_drop(b);
                bot_set_error(b,
                              "logOut was held up for too long after the last getUpdates, and was not sent. Does the "
                              "host sleep, or is the disk of the state directory slow?");
                bot_post(b, again_or_given_up(b, 0));
                return;
        }
        arguments = json_object_new_object();
        if (arguments)
                r = bot_call(b, bot_source(b), BOTAPI_LOG_OUT, arguments, 0, NULL, on_logged_out, o, &o->call);
        json_object_put(arguments);
        if (r < 0) {
                errno = -r;
                bot_set_error(b, "logOut could not be sent: %m. %s",
                              b->record.state == CUTOVER_LOG_OUT
                                              ? "The bot was not logged out; start the cutover again."
                                              : "It is tried again.");
                bot_post(b, CUTOVER_LOGOUT_GIVEN_UP);
        }
}

static int begin(Bot *b, void (*first)(LogOutOperation *), Operation **ret)
{
        LogOutOperation *o;

        o = calloc(1, sizeof(LogOutOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ log_out_operation_free, b };
        *ret = &o->base;
        b->record.logout_attempts++;
        if (b->log_out_began_usec == 0)
                b->log_out_began_usec = clock_boottime_usec();
        first(o);
        return 0;
}

int op_log_out_start(Bot *b, Operation **ret)
{
        late_poll_drop(b);
        /* Nothing else of ours may still be on its way; and whatever comes of this, the connections are used up. */
        warm_up_cancel(b);
        return begin(b, send_long_poll, ret);
}

/* A host that slept, or a slow disk, may have put the time between the spool and this: then the spool is repeated, too,
 * but not for ever, for the sake of a disk that is always that slow. */
#define RESPOOLS_MAX 3u

int op_repeat_log_out_start(Bot *b, Operation **ret)
{
        usec_t age = usec_sub(clock_boottime_usec(), b->last_get_updates_usec);

        if (b->last_get_updates_usec > 0 && age > GET_UPDATES_FRESH_USEC && b->respools++ < RESPOOLS_MAX) {
                b->last_get_updates_usec = 0;
                bot_post(b, CUTOVER_LOGOUT_REJECTED);
                return 0;
        }
        b->respools = 0;
        return begin(b, send_log_out, ret);
}
