/* SPDX-License-Identifier: MIT */
#include "judge.h"
#include "systemd.h"

/* The bot's own programs. They know nothing of a move: they use the token and the endpoint that they were started with,
 * or that a reload has told them, until they are stopped. */

struct Process {
        Unit *unit;
        Side side;
        bool has_token;
        bool stopping;
        bool holds; /* told by a reload; what is at hand stays where it is */
        int64_t offset;
        Request *request;
        Event *event;
        uint32_t *part; /* of the spool, not handled yet */
        size_t n_part;
};

static void work(void *userdata);

bool process_runs(const Unit *u)
{
        return u->process;
}

Side process_side(const Unit *u)
{
        return u->process->side;
}

bool process_may_send(const Unit *u)
{
        return u->process && !u->process->holds;
}

static void drop_request(Process *p)
{
        if (!p->request)
                return;
        request_abandon(p->request);
        p->request = request_unref(p->request);
}

void process_kill(Unit *u)
{
        Process *p = u->process;

        if (!p)
                return;
        u->process = NULL;
        drop_request(p);
        timeline_cancel(p->event);
        free(p->part);
        free(p);
}

/* It has heard of SIGTERM: what it is at it finishes, and begins nothing new. */
void process_stop(Unit *u)
{
        u->process->stopping = true;
}

static void go_on(Process *p, usec_t delay_usec)
{
        p->event = timeline_cancel(p->event);
        p->event = timeline_add(delay_usec, PLACE_HOST, work, p);
}

void process_tell(Unit *u, Seat endpoint)
{
        Process *p = u->process;
        bool held = p->holds;

        trace("%s is told %s", u->name, seat_to_string(endpoint));
        if (endpoint == SEAT_NONE) {
                p->holds = true;
                p->event = timeline_cancel(p->event);
                drop_request(p);
                return;
        }
        /* There is no file, or never was. */
        if (endpoint != SEAT_CLOUD && endpoint != SEAT_LOCAL)
                return;
        p->holds = false;
        if (p->side != side_of_seat(endpoint)) {
                p->side = side_of_seat(endpoint);
                p->offset = 0;
                drop_request(p);
        } else if (!held) {
                return;
        }
        if (p->has_token)
                judge_process_started(u);
        go_on(p, random_span(USEC_PER_MSEC, 100 * USEC_PER_MSEC));
}

static void leave(Process *p, bool success)
{
        Unit *u = p->unit;

        process_kill(u);
        unit_process_exited(u, success);
}

static void handle_updates(Process *p, const Reply *reply)
{
        for (unsigned i = 0; i < reply->n_updates; i++)
                judge_handled(reply->updates[i]);
        if (reply->n_updates > 0)
                p->offset = reply->first_id + reply->n_updates;
}

static void on_replied(Request *rq, const Reply *reply)
{
        Process *p = rq->sender;

        p->event = timeline_cancel(p->event);
        if (reply && reply->kind == REPLY_UPDATES)
                handle_updates(p, reply);
        p->request = request_unref(p->request);
        if (p->unit->role == ROLE_ONESHOT)
                go_on(p, random_span(USEC_PER_MSEC, USEC_PER_SEC));
        else if (p->unit->role == ROLE_POLLER && reply && reply->kind == REPLY_UPDATES)
                go_on(p, random_span(100, 30 * USEC_PER_MSEC));
        else
                go_on(p, random_span(USEC_PER_SEC, 20 * USEC_PER_SEC));
}

/* The program's own deadline. */
static void on_deadline(void *userdata)
{
        Process *p = userdata;

        p->event = NULL;
        drop_request(p);
        go_on(p, random_span(100 * USEC_PER_MSEC, 3 * USEC_PER_SEC));
}

static void on_connected(void *userdata)
{
        Process *p = userdata;

        p->event = timeline_add(70 * USEC_PER_SEC, PLACE_HOST, on_deadline, p);
        request_send(p->request);
}

static void ask(Process *p, BotApiMethod method)
{
        bool refused;
        usec_t delay = network_connect_usec(p->side, true, &refused);

        if (refused || delay == USEC_INFINITY) {
                go_on(p, random_span(500 * USEC_PER_MSEC, 10 * USEC_PER_SEC));
                return;
        }
        p->request = request_new(p->unit->bot, p->side, method);
        p->request->sender = p;
        p->request->replied = on_replied;
        p->request->get = random_chance(500);
        if (method == BOTAPI_GET_UPDATES) {
                p->request->offset = p->offset;
                p->request->timeout_sec = 50;
        }
        p->event = timeline_add(delay, PLACE_HOST, on_connected, p);
}

static void work(void *userdata)
{
        Process *p = userdata;
        Unit *u = p->unit;

        p->event = NULL;
        if (p->holds)
                return;
        if (p->n_part > 0) {
                for (size_t i = 0; i < p->n_part; i++)
                        judge_handled(p->part[i]);
                p->n_part = 0;
                go_on(p, random_span(USEC_PER_MSEC, 100 * USEC_PER_MSEC));
                return;
        }
        if (p->stopping)
                return; /* systemd waits for it: unit_stop() knows for how long */
        if (!p->has_token || (u->role == ROLE_ONESHOT && p->offset == 1)) {
                leave(p, p->has_token);
                return;
        }
        if (fault(world.faults.worker_dies)) {
                leave(p, false);
                return;
        }
        switch (u->role) {
        case ROLE_POLLER:
                ask(p, BOTAPI_GET_UPDATES);
                break;
        case ROLE_ONESHOT:
                p->offset = 1;
                ask(p, BOTAPI_GET_ME);
                break;
        default:
                if (u->role == ROLE_HELPER && random_chance(400))
                        ask(p, BOTAPI_GET_ME);
                else
                        go_on(p, random_span(10 * USEC_PER_SEC, 300 * USEC_PER_SEC));
        }
}

void process_start(Unit *u)
{
        Process *p = calloc(1, sizeof(Process));

        assert(p && !u->process);
        p->unit = u;
        p->side = u->side;
        /* Programs without an endpoint of their own do not fall back on one. */
        p->has_token = u->has_token = u->has_token && u->has_endpoint;
        p->n_part = u->n_part;
        p->part = u->part;
        u->part = NULL;
        u->n_part = 0;
        u->process = p;
        trace("%s runs%s", u->name, p->has_token ? "" : " without a token");
        if (p->has_token)
                judge_process_started(u);
        go_on(p, random_span(USEC_PER_MSEC, 900 * USEC_PER_MSEC));
}

bool worker_takes_delivery(SimBot *b, uint32_t update)
{
        for (size_t i = 0; i < b->n_workers; i++) {
                Unit *u = b->workers[i];

                if (u->role == ROLE_RECEIVER && process_may_send(u) && !u->process->stopping && u->process->has_token) {
                        judge_handled(update);
                        return true;
                }
        }
        return false;
}
