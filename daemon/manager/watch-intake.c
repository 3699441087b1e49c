/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>

#include "manager/bot-log.h"
#include "manager/bot.h"

/* A worker with the other server's address built in starts, stays up, and never asks for an update at the server where
 * its bot is now. All that shows from here is a queue that nobody takes anything out of; and with a bot that nobody
 * writes to, not even that. So the queue is looked at for some minutes after the move, once a minute as long as nothing
 * is in it; and on, ever more rarely, for as long as the published error says that nobody takes it. None of this is on
 * record: after a restart of the daemon nobody looks any more. */

#define LOOKS_MAX     10
#define QUIET_USEC    (1 * USEC_PER_MIN)
#define RARE_USEC     (1 * USEC_PER_HOUR)
#define INTEREST_USEC (1 * USEC_PER_SEC)

bool intake_was_untaken(const Bot *b)
{
        const RecordJob *job = &b->record.job;

        return job->pending_at_start > 0 && job->drained == 0 && job->spooled >= job->pending_at_start;
}

char *intake_complaint(const Bot *b)
{
        const char *other = seat_to_string(b->record.seat == SEAT_LOCAL ? SEAT_CLOUD : SEAT_LOCAL);
        char *text;
        int r;

        if (!isempty(b->record.webhook.url))
                r = asprintf(&text,
                             "it delivers nothing to the webhook: %" PRIu64
                             " updates are pending and do not get fewer. "
                             "See whether the web server answers.",
                             b->pending_updates);
        else
                r = asprintf(&text,
                             "nobody asks that server for its updates: %" PRIu64 " are pending and do not get fewer. "
                             "Does a worker have the address of the %s server built in? It has to take the one that "
                             "tgswitchd gives it; see \"When something is wrong\" in tgswitch(7).",
                             b->pending_updates, other);
        return r < 0 ? NULL : text;
}

static void look_later(Bot *b, usec_t delay);

static void blame(Bot *b)
{
        _cleanup_free_ char *complaint = intake_complaint(b);

        bot_set_error(b, "The bot is at the %s server, but %s", seat_to_string(b->record.seat),
                      complaint ?: "its updates are not taken.");
        b->intake_blamed = true;
        b->intake_looks = 0;
        bot_log_event(b, LOG_WARNING, LOG_EVENT_UPDATES_UNTAKEN, "%s", b->error ?: "no memory");
}

/* A job that has failed stays failed. Its error is taken back, since it is shown as long as there is no other. */
static void absolve(Bot *b)
{
        if (b->intake_failed) {
                free(b->record.job.error);
                b->record.job.error = NULL;
                bot_record_aside(b);
        }
        if (b->intake_failed || b->intake_blamed)
                bot_log(b, LOG_NOTICE, "The bot's updates are taken now.");
        if (b->intake_blamed)
                bot_set_error(b, NULL);
        b->intake_failed = false;
        bot_changed(b);
}

/* Nothing new is known. */
static void look_on(Bot *b)
{
        if (b->intake_failed || b->intake_blamed)
                look_later(b, usec_backoff(QUIET_USEC, RARE_USEC, b->intake_looks++));
        else if (++b->intake_looks < LOOKS_MAX)
                look_later(b, QUIET_USEC);
}

static void consider(Bot *b)
{
        switch (intake_judge(&b->intake, b->record.job.spooled)) {

        case INTAKE_TAKEN:
                absolve(b);
                return;

        case INTAKE_WAITING:
                look_later(b, INTEREST_USEC);
                return;

        case INTAKE_NOBODY:
                if (!b->intake_failed && !b->intake_blamed)
                        blame(b);
                look_on(b);
                return;

        default:
                look_on(b);
        }
}

static void on_webhook_info(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Bot *b = userdata;
        WebhookInfo info = {};
        int r;

        r = botapi_webhook_info(reply, &info);
        if (r >= 0) {
                b->pending_updates = info.pending_update_count;
                b->pending_updates_usec = clock_realtime_usec();
                intake_note(&b->intake, info.pending_update_count);
                webhook_info_done(&info);
        }
        b->intake_call = botapi_call_free(b->intake_call);
        if (r >= 0)
                consider(b);
        else
                look_on(b);
}

static void on_timer(void *userdata)
{
        Bot *b = userdata;
        int r;

        b->intake_timer = clock_timer_free(b->intake_timer);
        r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_webhook_info, b, &b->intake_call);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to look at what is pending, ignoring: %m");
}

static void look_later(Bot *b, usec_t delay)
{
        int r;

        r = clock_timer_new(&b->intake_timer, b->manager->event, delay, on_timer, b);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to watch what is pending, ignoring: %m");
}

void intake_watch_cancel(Bot *b)
{
        b->intake_timer = clock_timer_free(b->intake_timer);
        b->intake_call = botapi_call_free(b->intake_call);
}

void intake_watch(Bot *b)
{
        intake_watch_cancel(b);
        /* Fewer than at the end of a job that failed for it say that it is mended. */
        b->intake = b->intake_failed ? (Intake){ b->pending_updates, UINT_MAX, false } : (Intake){};
        b->intake_looks = 0;
        if (b->intake_expected && b->record.state == CUTOVER_SETTLED && b->record.seat == b->record.job.target)
                look_later(b, QUIET_USEC);
}
