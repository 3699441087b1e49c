/* SPDX-License-Identifier: MIT */
#include "judge.h"
#include "world.h"

/* What lies between a program of the host and a server: requests and replies take time, get lost on either way, come
 * late, are answered by something in front of the server, or are handed to it twice. */

/* A reply on its way. */
typedef struct Parcel {
        Request *request;
        bool cut; /* the end of the connection instead of a reply */
        Reply reply;
} Parcel;

Request *request_new(SimBot *bot, Side side, BotApiMethod method)
{
        Request *rq = calloc(1, sizeof(Request));

        assert(rq);
        rq->bot = bot;
        rq->side = side;
        rq->method = method;
        rq->refs = 1;
        return rq;
}

Request *request_ref(Request *rq)
{
        rq->refs++;
        return rq;
}

Request *request_unref(Request *rq)
{
        if (rq) {
                assert(rq->refs > 0);
                if (--rq->refs == 0)
                        free(rq);
        }
        return NULL;
}

static Place place_of(Side side)
{
        return side == SIDE_CLOUD ? PLACE_OUTSIDE : PLACE_HOST;
}

static bool network_is_bad(Side side)
{
        return side == SIDE_CLOUD && timeline_now() < world.network_bad_until;
}

/* Whoever asked it can take it for dead. */
static void note_trouble(Side side)
{
        if (side == SIDE_LOCAL)
                world.server_trouble_usec = timeline_now();
}

static usec_t way_usec(Side side)
{
        if (fault(world.faults.slow)) {
                note_trouble(side);
                return random_span(USEC_PER_SEC / 2, 90 * USEC_PER_SEC);
        }
        return side == SIDE_CLOUD ? random_span(8 * USEC_PER_MSEC, 120 * USEC_PER_MSEC) : random_span(50, 3000);
}

usec_t network_connect_usec(Side side, bool reused, bool *ret_refused)
{
        *ret_refused = false;
        if (side == SIDE_LOCAL) {
                if (!local_server.running) {
                        *ret_refused = true;
                        return random_span(50, 500);
                }
                return random_span(20, 400);
        }
        if (network_is_bad(side) || fault(world.faults.connect_fails)) {
                *ret_refused = random_chance(400);
                return *ret_refused ? random_span(5 * USEC_PER_MSEC, 3 * USEC_PER_SEC) : USEC_INFINITY;
        }
        return reused ? random_span(10, 500) : random_span(30 * USEC_PER_MSEC, 250 * USEC_PER_MSEC);
}

static void parcel_free(void *userdata)
{
        Parcel *p = userdata;

        request_unref(p->request);
        free(p);
}

static void release_request(void *userdata)
{
        request_unref(userdata);
}

static void on_delivered(void *userdata)
{
        Parcel *p = userdata;
        Request *rq = p->request;

        if (!rq->abandoned)
                rq->replied(rq, p->cut ? NULL : &p->reply);
        parcel_free(p);
}

static void deliver(Request *rq, const Reply *reply)
{
        Parcel *p;

        if (rq->abandoned)
                return;
        p = malloc(sizeof(Parcel));
        assert(p);
        p->request = request_ref(rq);
        p->cut = !reply;
        if (reply)
                p->reply = *reply;
        timeline_add_owned(way_usec(rq->side), place_of(rq->side), on_delivered, parcel_free, p);
}

/* Nobody hears of it: the client finds out by its own clock, or its kernel tells that the connection was reset. */
static void lose(Request *rq)
{
        if (random_chance(500))
                deliver(rq, NULL);
}

static void front_end_reply(Request *rq)
{
        static const int statuses[] = { 502, 503, 504, 500, 404, 301, 200 };
        Reply reply = { .kind = REPLY_HTML, .status = statuses[random_below(ELEMENTSOF(statuses))] };

        deliver(rq, &reply);
}

void server_reply(Request *rq, const Reply *reply)
{
        Reply stamped;

        if (fault(world.faults.reply_lost) || (network_is_bad(rq->side) && random_chance(700))) {
                trace("the reply to %s is lost", botapi_method_to_string(rq->method));
                note_trouble(rq->side);
                lose(rq);
        } else if (rq->side == SIDE_CLOUD && fault(world.faults.front_end)) {
                trace("the reply to %s is replaced by HTML", botapi_method_to_string(rq->method));
                front_end_reply(rq);
        } else {
                stamped = *reply;
                stamped.made_usec = timeline_now();
                deliver(rq, &stamped);
        }
}

void server_error(Request *rq, int status, const char *description, unsigned retry_after)
{
        Reply reply = { .kind = REPLY_ERROR, .status = status, .description = description, .retry_after = retry_after };

        server_reply(rq, &reply);
}

static void on_arrived(void *userdata)
{
        Request *rq = userdata;

        if (rq->side == SIDE_LOCAL && !local_server.running)
                deliver(rq, NULL);
        else if (rq->side == SIDE_LOCAL && local_server.hangs)
                trace("the local server does not answer");
        else
                server_receive(rq);
        request_unref(rq);
}

static void forget_reply(Request *rq, const Reply *reply)
{
}

/* Something in front of the server took the first answer for lost, and asked again. */
static void arrive_twice(Request *rq, usec_t delay_usec)
{
        Request *first = request_new(rq->bot, rq->side, rq->method);

        *first = *rq;
        first->refs = 1;
        first->abandoned = true;
        first->replied = forget_reply;
        first->sender = NULL;
        rq->twice = true;
        trace("%s is handed to the server twice", botapi_method_to_string(rq->method));
        timeline_add_owned(delay_usec, place_of(rq->side), on_arrived, release_request, first);
}

void request_send(Request *rq)
{
        usec_t delay = way_usec(rq->side);

        rq->sent_usec = timeline_now();
        trace("%s%s %s -> %s", rq->bot ? rq->bot->name : "nobody", rq->daemon ? "" : " (worker)",
              botapi_method_to_string(rq->method), rq->side == SIDE_CLOUD ? "cloud" : "local");
        judge_sent(rq);
        if (fault(world.faults.request_lost) || (network_is_bad(rq->side) && random_chance(700))) {
                trace("it is lost on the way");
                note_trouble(rq->side);
                lose(rq);
                return;
        }
        if (rq->side == SIDE_CLOUD && fault(world.faults.front_end)) {
                trace("it is answered in front of the server");
                front_end_reply(rq);
                return;
        }
        if (rq->side == SIDE_CLOUD && rq->get && fault(world.faults.handled_twice)) {
                arrive_twice(rq, delay);
                delay += random_span(USEC_PER_MSEC, 3 * USEC_PER_SEC);
        }
        timeline_add_owned(delay, place_of(rq->side), on_arrived, release_request, request_ref(rq));
}

static void on_closed(void *userdata)
{
        Request *rq = userdata;
        Session *s = rq->session;

        rq->closed = true;
        if (s && s->poller == rq) {
                s->poller = NULL;
                s->due = timeline_cancel(s->due);
                rq->session = NULL;
                request_unref(rq);
        }
        request_unref(rq);
}

void request_abandon(Request *rq)
{
        rq->abandoned = true;
        rq->sender = NULL;
        if (rq->sent_usec > 0)
                timeline_add_owned(way_usec(rq->side), place_of(rq->side), on_closed, release_request, request_ref(rq));
}
