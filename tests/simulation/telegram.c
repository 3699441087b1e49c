/* SPDX-License-Identifier: MIT */
#include "judge.h"
#include "systemd.h"
#include "world.h"

/* The two servers as such: who is asked, what a token that is nobody's gets, and the local one's comings and goings. */

LocalServer local_server;

void telegram_reset(void)
{
        local_server = (LocalServer){};
}

static void answer_nobody(Request *rq)
{
        if (!rq->unknown_token)
                server_error(rq, 401, "Unauthorized: invalid token specified", 0);
        else if (rq->side == SIDE_LOCAL && local_server.no_login)
                trace("the local server cannot reach Telegram");
        else if (fault(world.faults.login_fails))
                server_error(rq, 429, "Too Many Requests: retry after 3", 3);
        else
                server_error(rq, 401, "Unauthorized", 0);
}

/* One that is being closed has its own answer to everything. */
static bool takes_load(const Session *s)
{
        return s->state != SESSION_LOGGING_OUT && s->state != SESSION_LINGERING && s->state != SESSION_REFUSED;
}

void server_receive(Request *rq)
{
        if (!rq->bot)
                answer_nobody(rq);
        else if (takes_load(&rq->bot->sessions[rq->side]) && fault(world.faults.flood))
                server_error(rq, 429, "Too Many Requests: retry after", (unsigned) random_span(1, 60));
        else
                session_receive(&rq->bot->sessions[rq->side], rq);
}

bool local_server_answers(void)
{
        return local_server.running && !local_server.hangs;
}

bool local_server_is_well(void)
{
        return local_server_answers() && !local_server.no_login;
}

void local_server_start(void)
{
        bool outage = timeline_now() < world.outage_until;

        local_server.running = true;
        local_server.hangs = fault(world.faults.server_hangs) || (outage && world.outage == OUTAGE_HANGS);
        local_server.no_login = !local_server.hangs &&
                                (fault(world.faults.server_hangs) || (outage && world.outage == OUTAGE_NO_LOGIN));
        trace("the local server runs%s%s", local_server.hangs ? " and hangs" : "",
              local_server.no_login ? " and cannot reach Telegram" : "");
        /* Bots with a webhook are taken up at once, the others when they are asked for. */
        for (size_t i = 0; i < world.n_bots; i++)
                if (world.bots[i].sessions[SIDE_LOCAL].webhook)
                        session_take_up(&world.bots[i].sessions[SIDE_LOCAL]);
}

void local_server_stop(bool kill)
{
        trace("the local server %s", kill ? "dies" : "stops");
        for (size_t i = 0; i < world.n_bots; i++)
                session_stop(&world.bots[i].sessions[SIDE_LOCAL], kill);
        local_server = (LocalServer){};
        judge_server_stopped();
}

/* ---- webhooks ---- */

/* Connections to the bot at once. */
#define DELIVERIES_MAX 40u

static void on_delivery(void *userdata)
{
        Session *s = userdata;
        size_t n = 0;
        usec_t again = random_span(5 * USEC_PER_SEC, 60 * USEC_PER_SEC);

        s->delivery = NULL;
        if (!s->webhook || s->state != SESSION_IN || s->n_queue == 0)
                return;
        while (n < MIN(s->n_queue, (size_t) DELIVERIES_MAX) && worker_takes_delivery(s->bot, s->queue[n].update))
                n++;
        if (n > 0) {
                s->n_queue -= n;
                memmove(s->queue, s->queue + n, s->n_queue * sizeof(QueueItem));
                again = random_span(USEC_PER_MSEC, 200 * USEC_PER_MSEC);
        } else {
                s->last_error_usec = timeline_now();
        }
        s->delivery = timeline_add(again, s->side == SIDE_CLOUD ? PLACE_OUTSIDE : PLACE_HOST, on_delivery, s);
}

void session_deliver_soon(Session *s)
{
        if (s->delivery || s->state != SESSION_IN)
                return;
        s->delivery = timeline_add(random_span(5 * USEC_PER_MSEC, 300 * USEC_PER_MSEC),
                                   s->side == SIDE_CLOUD ? PLACE_OUTSIDE : PLACE_HOST, on_delivery, s);
}
