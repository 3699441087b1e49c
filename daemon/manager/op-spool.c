/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "manager/bot.h"

/* Takes what no worker is left to take: getUpdates until a reply is short, each batch on disk before the next request
 * confirms it. Also the spool directly before a repeated logOut, of which L1 allows nothing else: no probe, no second
 * request beside it. */

#define BATCH_MAX 100
/* A reply may end for its size instead of its number (4 MiB); one this long is not taken for the last. */
#define SHORT_BYTES_MAX (1024u * 1024u)
#define RETRY_USEC      (250 * USEC_PER_MSEC)
/* However little is left of SpoolTimeoutSec=: after the poll of a worker the server may sit on ours for three seconds.
 */
#define TIMEOUT_MIN_USEC (5 * USEC_PER_SEC)

typedef struct SpoolOperation {
        Operation base;
        bool repeating;       /* before a repeated logOut */
        bool stale;           /* what a server still has that was left while it was dead */
        usec_t deadline_usec; /* CLOCK_BOOTTIME */
        BotApiCall *updates_call;
        BotApiCall *webhook_call;
        BotApiCall *probe_call;
        ServerCall *server_call;
        DiskJob *saving;
        ClockTimer *timer;
        json_object *batch;
        int64_t batch_next_offset;
        bool batch_short;
        bool emptied; /* the last batch was short and is on disk */
        bool polling; /* the webhook is out of the way */
        bool server_ready;
        bool announced; /* the record says that a batch is confirmed, and the request that does it has not left */
        int64_t confirmed_before;
} SpoolOperation;

static void spool_operation_free(Operation *op)
{
        SpoolOperation *o = (SpoolOperation *) op;

        op->bot->warm_waiter = NULL;
        op->bot->late_poll_waiter = NULL;
        if (o->announced)
                op->bot->record.confirmed_offset = o->confirmed_before;
        botapi_call_free(o->updates_call);
        botapi_call_free(o->webhook_call);
        botapi_call_free(o->probe_call);
        server_call_free(o->server_call);
        disk_job_free(o->saving);
        clock_timer_free(o->timer);
        json_object_put(o->batch);
        free(o);
}

static void spool_failed(SpoolOperation *o, const char *what)
{
        bot_set_error(o->base.bot, "The pending updates could not be spooled: %s", what);
        bot_post(o->base.bot, CUTOVER_SPOOL_FAILED);
}

/* What is to be done where this ends the cutover; a repeat goes on by itself. */
#define CURE_CALL "Start the cutover again."
#define CURE_DISK "Look after the file system of the state directory, then start the cutover again."

static void spool_failed_errno(SpoolOperation *o, int r, const char *cure)
{
        char what[256];

        snprintf(what, sizeof(what), "%s. %s", strerror(-r), o->repeating || o->stale ? "It is tried again." : cure);
        spool_failed(o, what);
}

static const char too_long[] =
                "after SpoolTimeoutSec= the queue has not come to its end. Let the workers take more of it "
                "first, or raise SpoolTimeoutSec=.";

/* A sentence for what came back in place of what was asked for; `who` is "the cloud server" or so. NULL: no memory. */
static char *sentence_of(const SpoolOperation *o, const char *who, const char *request, const BotApiReply *reply)
{
        _cleanup_free_ char *said = botapi_reply_describe(reply);
        char *sentence;

        if (asprintf(&sentence, "%s on %s: %s. %s", who, request, said ?: "no memory",
                     o->repeating || o->stale ? "It is asked again."
                                              : "Look after it and what stands in front of it, then start the cutover "
                                                "again.") < 0)
                return NULL;
        return sentence;
}

static const char *source_name(const SpoolOperation *o)
{
        return bot_source(o->base.bot) == SEAT_CLOUD ? "the cloud server" : "the local server";
}

/* Two offsets that stand before every update there is: they confirm nothing, no worker polls with them (frameworks
 * begin with 0, 1 or -1), and they take turns. */
#define BLANK_OFFSET_MIN 2

/* The server answers the offset of the request before with one update only for half a second, and for three seconds it
 * waits (Client.cpp, process_get_updates): so no two requests of ours have the same one, but to ask again for what was
 * not answered. What another process asked a moment ago nobody knows. */
#define SAME_OFFSET_USEC (3 * USEC_PER_SEC)

json_object *get_updates_arguments(Bot *b, unsigned timeout_sec)
{
        json_object *arguments = json_object_new_object();
        int64_t offset = b->record.next_offset;
        bool blank = offset == 0 || offset == b->answered_offset;
        bool forgotten = usec_sub(clock_boottime_usec(), b->began_usec) > SAME_OFFSET_USEC;

        if (!arguments)
                return NULL;
        if (blank) {
                offset = BLANK_OFFSET_MIN + b->blank_offset;
                b->blank_offset = !b->blank_offset;
        }
        b->single_is_all = b->asked_offset > 0 ? b->asked_offset != offset : blank && forgotten;
        b->asked_offset = offset;
        json_object_object_add(arguments, "offset", json_object_new_int64(offset));
        json_object_object_add(arguments, "limit", json_object_new_int(BATCH_MAX));
        json_object_object_add(arguments, "timeout", json_object_new_int((int) timeout_sec));
        return arguments;
}

static void ask_updates(SpoolOperation *o);
static int delete_webhook(SpoolOperation *o);

static void maybe_finished(SpoolOperation *o);

static void on_warm(Bot *b)
{
        b->warm_waiter = NULL;
        maybe_finished((SpoolOperation *) b->operation);
}

static void maybe_finished(SpoolOperation *o)
{
        Bot *b = o->base.bot;
        bool hold = b->record.job.hold_at == HOLD_AT_LOG_OUT && !b->record.job.proceeded;

        if (!o->emptied || !o->server_ready)
                return;
        if (warm_up_pending(b)) {
                /* Without it, logOut would wait for a handshake while the long poll has long been answered. */
                b->warm_waiter = on_warm;
                return;
        }
        bot_set_error(b, NULL);
        bot_post(b, hold ? CUTOVER_SPOOLED_HOLD : CUTOVER_SPOOLED);
}

/* Only what is on disk counts as taken: else a logOut could follow that wipes what a failed write left to the server.
 */
static void emptied(SpoolOperation *o)
{
        o->base.bot->last_get_updates_usec = bot_get_updates_answered(o->base.bot);
        o->emptied = true;
        maybe_finished(o);
}

static void on_retry(void *userdata)
{
        SpoolOperation *o = userdata;
        int r;

        o->timer = clock_timer_free(o->timer);
        if (o->polling) {
                ask_updates(o);
                return;
        }
        r = delete_webhook(o);
        if (r < 0)
                spool_failed_errno(o, r, CURE_CALL);
}

static void again_or_fail(SpoolOperation *o, usec_t wait_usec, const char *what)
{
        Bot *b = o->base.bot;
        int r;

        if (usec_add(clock_boottime_usec(), wait_usec) >= o->deadline_usec) {
                spool_failed(o, what);
                return;
        }
        r = clock_timer_new(&o->timer, b->manager->event, wait_usec, on_retry, o);
        if (r < 0)
                spool_failed(o, what);
}

static void on_confirmable(DiskJob *job, int r, void *userdata)
{
        SpoolOperation *o = userdata;

        o->saving = disk_job_free(o->saving);
        if (r < 0)
                spool_failed_errno(o, r, CURE_DISK);
        else
                ask_updates(o);
}

static void on_batch_saved(DiskJob *job, int r, void *userdata)
{
        SpoolOperation *o = userdata;
        Bot *b = o->base.bot;

        o->saving = disk_job_free(o->saving);
        if (r < 0) {
                spool_failed_errno(o, r, CURE_DISK);
                return;
        }
        b->record.job.spooled += json_object_array_length(o->batch);
        b->record.next_offset = o->batch_next_offset;
        json_object_put(TAKE_PTR(o->batch));
        bot_changed(b);
        if (o->batch_short) {
                emptied(o);
                return;
        }
        /* A server may go on giving updates for ever. */
        if (clock_boottime_usec() >= o->deadline_usec) {
                spool_failed(o, too_long);
                return;
        }
        /* The next request makes the server forget this batch: a roll-back after a crash has to know. */
        o->announced = true;
        o->confirmed_before = b->record.confirmed_offset;
        b->record.confirmed_offset = b->record.next_offset;
        r = bot_save(b, on_confirmable, o, &o->saving);
        if (r < 0)
                spool_failed_errno(o, r, CURE_DISK);
}

/* Else the spool could be filled with one hundred updates, a million times. Where the bot may have been logged in
 * anew meanwhile, or the server is another one, lower ids may be good: there the deadline has to do. */
static bool gives_again(const SpoolOperation *o, json_object *updates)
{
        json_object *id;

        return !o->repeating && !o->stale && o->base.bot->record.next_offset > 0 &&
               json_object_object_get_ex(json_object_array_get_idx(updates, 0), "update_id", &id) &&
               json_object_get_int64(id) < o->base.bot->record.next_offset;
}

static void take_batch(SpoolOperation *o, const BotApiReply *reply)
{
        Bot *b = o->base.bot;
        json_object *updates = NULL;
        size_t n, size = 0;
        int r;

        o->batch_next_offset = b->record.next_offset;
        r = botapi_updates(reply, &updates, &o->batch_next_offset);
        if (r < 0) {
                spool_failed(o, "the server's updates are not well formed, and none of them was confirmed. Look at the "
                                "server, then start the cutover again.");
                return;
        }
        n = json_object_array_length(updates);
        if (n == 0) {
                json_object_put(updates);
                emptied(o);
                return;
        }
        if (gives_again(o, updates)) {
                json_object_put(updates);
                spool_failed(o,
                             "the server gives updates again that it was told to forget, and could do so for ever. Look "
                             "after it and what stands in front of it, then start the cutover again.");
                return;
        }
        (void) json_object_to_json_string_length(updates, JSON_C_TO_STRING_PLAIN, &size);
        o->batch_short = (n > 1 || b->single_is_all || o->repeating) && n < BATCH_MAX && size < SHORT_BYTES_MAX;
        o->batch = updates;
        r = spool_append(b->spool, updates, on_batch_saved, o, &o->saving);
        if (r < 0)
                spool_failed_errno(o, r, CURE_DISK);
}

/* "The bot is out" answers the question of the repeat already, and ends a stale session. Not where the server has lost
 * its own credentials: then it says nothing of the bot. */
static bool says_logged_out(const SpoolOperation *o, const BotApiReply *reply)
{
        LogOutOutcome outcome = botapi_logout_outcome(reply);

        if (!o->repeating && !o->stale)
                return false;
        if (botapi_login_outcome(reply, bot_token_id(o->base.bot->token)) == LOGIN_OUTCOME_API_ID)
                return false;
        return outcome == LOGOUT_OUTCOME_APPLIED_BEFORE || outcome == LOGOUT_OUTCOME_REVOKED;
}

static void found_logged_out(SpoolOperation *o, const BotApiReply *reply)
{
        bool revoked = o->stale && botapi_logout_outcome(reply) == LOGOUT_OUTCOME_REVOKED;

        bot_post(o->base.bot, revoked ? CUTOVER_LOGOUT_REVOKED : CUTOVER_LOGOUT_APPLIED);
}

static void on_source(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        SpoolOperation *o = userdata;
        Bot *b = o->base.bot;

        if (answer == SERVER_READY || answer == SERVER_UNKNOWN) {
                again_or_fail(o, RETRY_USEC, why ?: too_long);
        } else if (!server_waits_for_boot(b, answer)) {
                bot_set_error(b, "The local server died, and its session of the bot with it: %s", why);
                bot_post(b, CUTOVER_SOURCE_DEAD);
        }
        o->server_call = server_call_free(o->server_call);
}

/* Only that server has the updates, and can tell what became of a logOut: where it does not run, it is started. */
static void look_for_source(SpoolOperation *o)
{
        int r;

        r = server_call(o->base.bot->manager, SERVER_START, on_source, o, &o->server_call);
        if (r < 0)
                spool_failed_errno(o, r, CURE_CALL);
}

static void on_updates(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        SpoolOperation *o = userdata;
        Bot *b = o->base.bot;
        _cleanup_free_ char *what = NULL;

        if (reply->transport == BOTAPI_REPLIED && reply->ok) {
                b->answered_offset = b->asked_offset;
                b->round_trip_usec = usec_sub(botapi_call_replied_usec(call), botapi_call_sent_usec(call));
                take_batch(o, reply);
                o->updates_call = botapi_call_free(o->updates_call);
                return;
        }
        if (says_logged_out(o, reply)) {
                found_logged_out(o, reply);
                o->updates_call = botapi_call_free(o->updates_call);
                return;
        }

        what = sentence_of(o, source_name(o), "getUpdates", reply);
        if (reply->envelope && reply->error_code == 409) {
                _cleanup_free_ char *said = botapi_reply_describe(reply);
                char conflict[512];

                o->updates_call = botapi_call_free(o->updates_call);
                snprintf(conflict, sizeof(conflict),
                         "%s. Another program polls this bot, here or on another host: find and stop it.",
                         said ?: "409 Conflict");
                spool_failed(o, conflict);
                return;
        }
        if (!o->stale && reply->transport == BOTAPI_NOT_SENT && bot_source(b) == SEAT_LOCAL) {
                o->updates_call = botapi_call_free(o->updates_call);
                look_for_source(o);
                return;
        }
        if (reply->envelope && (reply->error_code == 401 || reply->error_code == 400)) {
                o->updates_call = botapi_call_free(o->updates_call);
                spool_failed(o, what ?: "no memory");
                return;
        }
        again_or_fail(o, MAX(reply->retry_after_usec, RETRY_USEC), what ?: "no memory");
        o->updates_call = botapi_call_free(o->updates_call);
}

static void ask_updates(SpoolOperation *o)
{
        Bot *b = o->base.bot;
        json_object *arguments = get_updates_arguments(b, 0);
        usec_t left = usec_sub(o->deadline_usec, clock_boottime_usec());
        usec_t timeout = MIN(MAX(left, TIMEOUT_MIN_USEC), botapi_method_timeout_usec(BOTAPI_GET_UPDATES));
        int r = -ENOMEM;

        if (arguments)
                r = bot_call(b, bot_source(b), BOTAPI_GET_UPDATES, arguments, timeout, NULL, on_updates, o,
                             &o->updates_call);
        json_object_put(arguments);
        if (r < 0)
                spool_failed_errno(o, r, CURE_CALL);
        else
                o->announced = false;
}

static void on_server(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        SpoolOperation *o = userdata;

        /* That it had to be started now says nothing of how check found it: a roll-back goes by that. */
        if (answer == SERVER_READY) {
                o->server_ready = true;
                maybe_finished(o);
        } else if (!server_waits_for_boot(o->base.bot, answer)) {
                spool_failed(o, why);
        }
        o->server_call = server_call_free(o->server_call);
}

static void on_cloud(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        SpoolOperation *o = userdata;
        _cleanup_free_ char *what = sentence_of(o, "the cloud, where the bot is to go,", "a probe", reply);

        if (botapi_server_answers(reply)) {
                o->server_ready = true;
                maybe_finished(o);
        } else {
                spool_failed(o, what ?: "no memory");
        }
        o->probe_call = botapi_call_free(o->probe_call);
}

static void begin_polling(SpoolOperation *o)
{
        Bot *b = o->base.bot;
        int r;

        o->polling = true;
        ask_updates(o);
        if (o->repeating || o->stale) {
                o->server_ready = true;
                return;
        }
        warm_up(b);
        if (b->record.job.target == SEAT_CLOUD)
                r = probe_cloud(b->manager, on_cloud, o, &o->probe_call);
        else
                r = server_call(b->manager, SERVER_START | SERVER_LOGIN_PROBE, on_server, o, &o->server_call);
        if (r < 0)
                spool_failed_errno(o, r, CURE_CALL);
}

static void on_webhook_deleted(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        SpoolOperation *o = userdata;
        _cleanup_free_ char *what = NULL;

        if (botapi_is_true(reply)) {
                o->webhook_call = botapi_call_free(o->webhook_call);
                begin_polling(o);
                return;
        }
        if (!o->stale && reply->transport == BOTAPI_NOT_SENT && bot_source(o->base.bot) == SEAT_LOCAL) {
                o->webhook_call = botapi_call_free(o->webhook_call);
                look_for_source(o);
                return;
        }
        what = sentence_of(o, source_name(o), "deleteWebhook", reply);
        if (says_logged_out(o, reply))
                found_logged_out(o, reply);
        else
                spool_failed(o, what ?: "no memory");
        o->webhook_call = botapi_call_free(o->webhook_call);
}

/* drop_pending_updates is not set: what is pending is what we are here for. */
static int delete_webhook(SpoolOperation *o)
{
        Bot *b = o->base.bot;

        return bot_call(b, bot_source(b), BOTAPI_DELETE_WEBHOOK, NULL, 0, NULL, on_webhook_deleted, o,
                        &o->webhook_call);
}

static void on_deletion_recorded(DiskJob *job, int r, void *userdata)
{
        SpoolOperation *o = userdata;

        o->saving = disk_job_free(o->saving);
        if (r >= 0)
                r = delete_webhook(o);
        if (r < 0)
                spool_failed_errno(o, r, CURE_DISK);
}

static void on_discarded(DiskJob *job, int r, void *userdata)
{
        SpoolOperation *o = userdata;
        Bot *b = o->base.bot;

        o->saving = disk_job_free(o->saving);
        b->record.next_offset = b->record.confirmed_offset;
        b->record.job.spooled = spool_count(b->spool);
        if (r >= 0 && isempty(b->record.webhook.url)) {
                begin_polling(o);
                return;
        }
        /* On record first: a roll-back has to set the webhook again even if this process does not live to see it. One
         * that did not may not have come to delete it. */
        if (r >= 0 && b->record.webhook_deleted) {
                r = delete_webhook(o);
        } else if (r >= 0) {
                b->record.webhook_deleted = true;
                r = bot_save(b, on_deletion_recorded, o, &o->saving);
        }
        if (r < 0)
                spool_failed_errno(o, r, CURE_DISK);
}

static void on_late_poll_over(Bot *b)
{
        b->late_poll_waiter = NULL;
        begin_polling((SpoolOperation *) b->operation);
}

int op_spool_start(Bot *b, Operation **ret)
{
        SpoolOperation *o;
        usec_t timeout = b->config ? b->config->spool_timeout_usec : 30 * USEC_PER_SEC;
        int r;

        o = calloc(1, sizeof(SpoolOperation));
        if (!o)
                return -ENOMEM;
        o->base = (Operation){ spool_operation_free, b };
        o->repeating = b->record.state == CUTOVER_LOG_OUT_RESPOOL;
        o->stale = b->record.state == CUTOVER_STALE_SPOOL;
        o->deadline_usec = usec_add(clock_boottime_usec(), timeout);
        *ret = &o->base;
        b->last_get_updates_usec = 0;
        b->asked_offset = 0;
        b->answered_offset = 0;
        b->round_trip_usec = 0;

        if (o->repeating) {
                /* What an unknown logOut may have wiped at the server is in the spool alone: it stays. The long poll
                 * comes first: its answer, too, may hold what the server has no more; and ours would end it and free
                 * its connection, which the repeat would then take instead of the one that we have used (L1). */
                if (late_poll_pending(b))
                        b->late_poll_waiter = on_late_poll_over;
                else
                        begin_polling(o);
                return 0;
        }
        if (o->stale) {
                /* A webhook that we do not know of may have come back with the server. What is in the spool may be of
                 * another server, whose ids mean something else: nothing of it is thrown away. */
                r = delete_webhook(o);
                if (r < 0)
                        spool_operation_free(TAKE_PTR(*ret));
                return r;
        }
        /* What the server has not been told to forget, it gives once more: after a crash or an attempt that was not
         * carried out, the spool begins again from there and has nothing twice. */
        return spool_discard_from(b->spool, b->record.confirmed_offset, on_discarded, o, &o->saving);
}
