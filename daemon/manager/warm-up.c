/* SPDX-License-Identifier: MIT */
#include "manager/bot-log.h"
#include "manager/bot.h"

/* From the stop of the workers to logOut every round trip is downtime. The two connections that this takes, one for
 * getUpdates and then logOut, one for the long poll beside it, are opened while the workers drain, or at the latest
 * while systemd stops them: two requests at once, whose answers do not matter. */

/* The client does not use a connection again that was idle for half a minute (botapi-client.c). */
#define WARM_USEC (20 * USEC_PER_SEC)

bool warm_up_pending(const Bot *b)
{
        return b->warm_calls[0] || b->warm_calls[1];
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
        b->warm = false;
}

void warm_up(Bot *b)
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
        FOREACH_ELEMENT(c, b->warm_calls) {
                r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_answer, b, c);
                if (r < 0)
                        bot_log_errno(b, LOG_DEBUG, r, "Failed to open a connection early, ignoring: %m");
        }
}
