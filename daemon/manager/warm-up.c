/* SPDX-License-Identifier: MIT */
#include "manager/bot-log.h"
#include "manager/bot.h"
#include "manager/metrics.h"

/* From the stop of the workers to logOut every round trip is downtime, and from logOut to the login at the target it is
 * blind time. The connections that this takes, one for getUpdates and then logOut, one for the long poll beside it, one
 * to the target, are opened while the workers drain, or at the latest while systemd stops them: two requests at once,
 * and one without a token (L2), whose answers do not matter. */

/* The client does not use a connection again that was idle for half a minute (botapi-client.c). */
#define WARM_USEC (20 * USEC_PER_SEC)

bool warm_up_pending(const Bot *b)
{
        return b->warm_calls[0] || b->warm_calls[1];
}

static void on_target_answer(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Bot *b = userdata;

        b->warm_target = botapi_call_free(b->warm_target);
}

/* Nobody waits for this one: without it the login comes a handshake later. */
static int open_target(Bot *b)
{
        Seat target = b->record.job.target;
        BotApiRequest request = {
                .root = bot_root(b, target),
                .method = BOTAPI_GET_ME,
                .tag = target,
                .count = metrics_replies(&b->manager->metrics, target, BOTAPI_GET_ME),
        };

        return botapi_call(b->api, &request, NULL, on_target_answer, b, &b->warm_target);
}

static void on_answer(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Bot *b = userdata;

        b->warm = b->warm && reply->transport == BOTAPI_REPLIED;
        FOREACH_ELEMENT(c, b->warm_calls)
                if (*c == call)
                        *c = botapi_call_free(*c);
        if (!warm_up_pending(b) && b->warm_waiter)
                b->warm_waiter(b);
}

void warm_up_cancel(Bot *b)
{
        FOREACH_ELEMENT(c, b->warm_calls)
                *c = botapi_call_free(*c);
        b->warm_target = botapi_call_free(b->warm_target);
        b->warm = false;
}

static void open_connections(Bot *b, size_t n)
{
        int r;

        if (b->warm && usec_sub(clock_boottime_usec(), b->warm_usec) < WARM_USEC)
                return;
        warm_up_cancel(b);
        /* In doubt whether the bot is logged in, nothing is sent that need not be (L1). */
        if (cutover_facts(b->record.state)->place != CUTOVER_AT_SEAT)
                return;
        b->warm = true;
        b->warm_usec = clock_boottime_usec();
        for (size_t i = 0; i < n; i++) {
                r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_answer, b,
                             &b->warm_calls[i]);
                if (r < 0)
                        bot_log_errno(b, LOG_DEBUG, r, "Failed to open a connection early, ignoring: %m");
        }
        r = open_target(b);
        if (r < 0)
                bot_log_errno(b, LOG_DEBUG, r, "Failed to open a connection early, ignoring: %m");
}

void warm_up(Bot *b)
{
        open_connections(b, ELEMENTSOF(b->warm_calls));
}

void warm_up_beside(Bot *b)
{
        open_connections(b, ELEMENTSOF(b->warm_calls) - 1);
}
