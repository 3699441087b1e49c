/* SPDX-License-Identifier: MIT */
#include "judge.h"
#include "world.h"

/* One bot at one server: its login, its queue, what it is asked. */

#define YOUNG_USEC (1800 * USEC_PER_SEC)
/* The server waits for Telegram when it logs a bot out, and longer when it logs one in. */
#define LOG_OUT_SHORTEST_USEC (30 * USEC_PER_MSEC)
#define LOG_OUT_LONGEST_USEC  (700 * USEC_PER_MSEC)

void session_init(Session *s, SimBot *bot, Side side, bool in, usec_t age_usec)
{
        *s = (Session){ .bot = bot, .side = side };
        s->next_id = (int64_t) random_between(SESSION_FIRST_ID_MIN, 900000000);
        if (!in)
                return;
        s->state = SESSION_IN;
        s->authorized_usec = usec_sub(timeline_now(), age_usec);
}

static Place place_of(const Session *s)
{
        return s->side == SIDE_CLOUD ? PLACE_OUTSIDE : PLACE_HOST;
}

static void release_poller(Session *s)
{
        s->due = timeline_cancel(s->due);
        if (!s->poller)
                return;
        s->poller->session = NULL;
        s->poller = request_unref(s->poller);
}

static void release_waiting(Session *s)
{
        while (s->n_waiting > 0)
                request_unref(s->waiting[--s->n_waiting]);
}

void session_done(Session *s)
{
        timeline_cancel(s->event);
        timeline_cancel(s->delivery);
        release_poller(s);
        release_waiting(s);
        request_unref(s->log_out);
        free(s->queue);
}

bool session_is_in(const Session *s)
{
        return s->state == SESSION_IN || s->state == SESSION_RESTING || s->state == SESSION_LOGGING_OUT;
}

static void enter(Session *s, SessionState state)
{
        static const char *const names[SESSION_STATE_MAX] = {
                [SESSION_OUT] = "out",         [SESSION_LOGGING_IN] = "logging in",   [SESSION_IN] = "in",
                [SESSION_RESTING] = "resting", [SESSION_LOGGING_OUT] = "logging out", [SESSION_LINGERING] = "lingering",
                [SESSION_REFUSED] = "refused",
        };

        s->event = timeline_cancel(s->event);
        s->state = state;
        trace("%s at the %s server: %s", s->bot->name, s->side == SIDE_CLOUD ? "cloud" : "local", names[state]);
}

/* ---- the queue ---- */

static void forget_before(Session *s, int64_t id)
{
        size_t n = 0;

        while (n < s->n_queue && s->queue[n].id < id)
                n++;
        if (n == 0)
                return;
        memmove(s->queue, s->queue + n, (s->n_queue - n) * sizeof(QueueItem));
        s->n_queue -= n;
}

static void answer_updates(Session *s, Request *rq)
{
        Reply reply = { .kind = REPLY_UPDATES, .status = 200 };
        size_t n = MIN(s->n_queue, (size_t) MIN(rq->limit, REPLY_UPDATES_MAX));

        reply.n_updates = (unsigned) n;
        reply.all_updates = n == s->n_queue;
        for (size_t i = 0; i < n; i++)
                reply.updates[i] = s->queue[i].update;
        /* Ids of one session have no gaps here but at the front. */
        reply.first_id = n > 0 ? s->queue[0].id : 0;
        server_reply(rq, &reply);
}

static void answer_poller(Session *s)
{
        Request *rq = request_ref(s->poller);

        release_poller(s);
        answer_updates(s, rq);
        request_unref(rq);
}

static void on_poll_due(void *userdata)
{
        Session *s = userdata;

        s->due = NULL;
        answer_poller(s);
}

void session_add_update(Session *s, uint32_t update)
{
        if (s->n_queue == s->queue_allocated) {
                s->queue_allocated = MAX((size_t) 32, s->queue_allocated * 2);
                s->queue = reallocarray(s->queue, s->queue_allocated, sizeof(QueueItem));
                assert(s->queue);
        }
        s->queue[s->n_queue++] = (QueueItem){ s->next_id++, update };
        if (s->state == SESSION_IN && s->poller)
                answer_poller(s);
        if (s->webhook)
                session_deliver_soon(s);
}

static void get_updates(Session *s, Request *rq)
{
        usec_t since = usec_sub(timeline_now(), s->last_poll_usec);
        bool same = s->last_poll_usec > 0 && rq->offset == s->last_offset;
        unsigned timeout = MIN(rq->timeout_sec, 50u);

        if (s->webhook) {
                server_error(rq, 409,
                             "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to "
                             "delete the webhook first",
                             0);
                return;
        }
        if (s->poller) {
                server_error(s->poller, 409,
                             "Conflict: terminated by other getUpdates request; make sure that only one bot instance "
                             "is running",
                             0);
                release_poller(s);
        }
        rq->limit = rq->limit == 0 ? 100 : rq->limit;
        if (same && since < USEC_PER_SEC / 2)
                rq->limit = 1;
        if (same && since < 3 * USEC_PER_SEC)
                timeout = MAX(timeout, 3u);
        if (same && rq->daemon && s->last_by_worker)
                judge_asked_like_a_worker(s, rq, since);
        s->last_offset = rq->offset;
        s->last_poll_usec = timeline_now();
        s->last_by_worker = !rq->daemon;
        if (rq->offset > 0 && rq->offset <= s->next_id + 10)
                forget_before(s, rq->offset);
        if (s->n_queue > 0 || timeout == 0) {
                answer_updates(s, rq);
                return;
        }
        s->poller = request_ref(rq);
        rq->session = s;
        s->due = timeline_add(timeout * USEC_PER_SEC, place_of(s), on_poll_due, s);
}

/* ---- logging out ---- */

static void linger_over(void *userdata)
{
        Session *s = userdata;

        s->event = NULL;
        enter(s, SESSION_OUT);
}

static usec_t linger_usec(const Session *s)
{
        if (world.lock_usec[s->side] > 0)
                return world.lock_usec[s->side];
        return usec_sub(timeline_now(), s->authorized_usec) < YOUNG_USEC ? YOUNG_USEC : USEC_PER_SEC;
}

static void on_log_out_applied(void *userdata)
{
        Session *s = userdata;
        Reply reply = { .kind = REPLY_TRUE, .status = 200 };
        Request *rq = s->log_out;
        usec_t linger = linger_usec(s);

        s->event = NULL;
        s->log_out = NULL;
        if (s->poller)
                answer_poller(s);
        judge_logged_out(s, rq);
        s->n_queue = 0;
        s->webhook = false;
        s->delivery = timeline_cancel(s->delivery);
        s->next_id = (int64_t) random_between(SESSION_FIRST_ID_MIN, 900000000);
        s->last_poll_usec = 0;
        server_reply(rq, &reply);
        request_unref(rq);
        enter(s, SESSION_LINGERING);
        s->event = timeline_add(linger, place_of(s), linger_over, s);
}

static void log_out(Session *s, Request *rq)
{
        enter(s, SESSION_LOGGING_OUT);
        s->log_out = request_ref(rq);
        s->event = timeline_add(random_span(LOG_OUT_SHORTEST_USEC, LOG_OUT_LONGEST_USEC), place_of(s),
                                on_log_out_applied, s);
}

/* ---- what a bot that is logged in is asked ---- */

static void webhook_info(Session *s, Request *rq)
{
        Reply reply = {
                .kind = REPLY_WEBHOOK_INFO,
                .status = 200,
                .webhook = s->webhook,
                .pending = (unsigned) s->n_queue,
                .last_error_usec = s->webhook ? s->last_error_usec : 0,
        };

        server_reply(rq, &reply);
}

static void set_webhook(Session *s, Request *rq, bool on)
{
        Reply reply = { .kind = REPLY_TRUE, .status = 200 };

        if (rq->daemon && rq->abandoned)
                s->bot->judge.webhook_strays = true;
        s->webhook = on;
        s->last_error_usec = 0;
        if (!on)
                s->delivery = timeline_cancel(s->delivery);
        else if (s->poller) {
                server_error(s->poller, 409, "Conflict: terminated by setWebhook request", 0);
                release_poller(s);
        }
        if (on && s->n_queue > 0)
                session_deliver_soon(s);
        server_reply(rq, &reply);
}

static void handle(Session *s, Request *rq)
{
        Reply me = { .kind = REPLY_ME, .status = 200 };

        if (s->bot->revoked) {
                server_error(rq, 401, "Unauthorized", 0);
                return;
        }
        if (rq->method != BOTAPI_GET_UPDATES && fault(world.faults.server_error)) {
                server_error(rq, 500, "Internal Server Error: restart", 0);
                return;
        }
        switch (rq->method) {
        case BOTAPI_GET_UPDATES:
                get_updates(s, rq);
                break;
        case BOTAPI_GET_WEBHOOK_INFO:
                webhook_info(s, rq);
                break;
        case BOTAPI_DELETE_WEBHOOK:
                set_webhook(s, rq, false);
                break;
        case BOTAPI_SET_WEBHOOK:
                set_webhook(s, rq, true);
                break;
        case BOTAPI_LOG_OUT:
                log_out(s, rq);
                break;
        default:
                server_reply(rq, &me);
        }
}

/* ---- logging in ---- */

static void refuse_waiting(Session *s, int status, const char *description, unsigned retry_after)
{
        for (size_t i = 0; i < s->n_waiting; i++)
                server_error(s->waiting[i], status, description, retry_after);
        release_waiting(s);
}

static void serve_waiting(Session *s)
{
        size_t n = s->n_waiting;
        Request *waiting[SESSION_WAITING_MAX];

        memcpy(waiting, s->waiting, sizeof(waiting));
        s->n_waiting = 0;
        for (size_t i = 0; i < n; i++) {
                session_receive(s, waiting[i]);
                request_unref(waiting[i]);
        }
}

static void on_logged_in(void *userdata)
{
        Session *s = userdata;
        Request *first = s->waiting[0];

        s->event = NULL;
        if (s->bot->revoked) {
                refuse_waiting(s, 401, "Unauthorized", 0);
                enter(s, SESSION_REFUSED);
                s->event = timeline_add(1800 * USEC_PER_SEC, place_of(s), linger_over, s);
                return;
        }
        if (fault(world.faults.login_fails)) {
                refuse_waiting(s, 429, "Too Many Requests: retry after", (unsigned) random_span(1, 120));
                enter(s, SESSION_OUT);
                return;
        }
        s->authorized_usec = timeline_now();
        s->by_us = first->daemon;
        judge_logged_in(s, first);
        enter(s, SESSION_IN);
        serve_waiting(s);
}

static void on_taken_up(void *userdata)
{
        Session *s = userdata;

        s->event = NULL;
        s->cut_short = false;
        enter(s, SESSION_IN);
        if (s->webhook && s->n_queue > 0)
                session_deliver_soon(s);
        serve_waiting(s);
}

void session_take_up(Session *s)
{
        if (s->state == SESSION_RESTING && !s->event)
                s->event = timeline_add(random_span(5 * USEC_PER_MSEC, 300 * USEC_PER_MSEC), place_of(s), on_taken_up,
                                        s);
}

static void let_wait(Session *s, Request *rq)
{
        if (s->n_waiting == SESSION_WAITING_MAX)
                server_error(rq, 429, "Too Many Requests: retry after 5", 5);
        else
                s->waiting[s->n_waiting++] = request_ref(rq);
}

/* The cloud takes so many new clients of one address in a minute (ClientManager.cpp); an hour's limit is never met. */
static bool is_flooded(const Session *s)
{
        usec_t *oldest = &world.cloud_logins[world.n_cloud_logins % ELEMENTSOF(world.cloud_logins)];

        if (s->side != SIDE_CLOUD)
                return false;
        if (*oldest > 0 && usec_sub(timeline_now(), *oldest) < USEC_PER_MIN)
                return true;
        *oldest = timeline_now();
        world.n_cloud_logins++;
        return false;
}

static void begin_login(Session *s, Request *rq)
{
        usec_t takes;

        if (is_flooded(s)) {
                judge_flooded(s->bot);
                server_error(rq, 429, "Too Many Requests: retry after", 30);
                return;
        }
        takes = random_span(50 * USEC_PER_MSEC, 900 * USEC_PER_MSEC);
        let_wait(s, rq);
        enter(s, SESSION_LOGGING_IN);
        if (s->side == SIDE_LOCAL && local_server.no_login)
                return;
        if (fault(world.faults.slow))
                takes = random_span(USEC_PER_SEC, 400 * USEC_PER_SEC);
        s->event = timeline_add(takes, place_of(s), on_logged_in, s);
}

void session_receive(Session *s, Request *rq)
{
        switch (s->state) {
        case SESSION_OUT:
                begin_login(s, rq);
                break;
        case SESSION_RESTING:
                let_wait(s, rq);
                session_take_up(s);
                break;
        case SESSION_LOGGING_IN:
                let_wait(s, rq);
                break;
        case SESSION_IN:
                handle(s, rq);
                break;
        case SESSION_LOGGING_OUT:
                if (rq->method == BOTAPI_LOG_OUT)
                        server_error(rq, 400, "Bad Request: already logging out", 0);
                else
                        server_error(rq, 400, "Logged out", 0);
                break;
        case SESSION_LINGERING:
                if (rq->method == BOTAPI_LOG_OUT && !rq->twice && random_chance(20))
                        server_error(rq, 401, "Unauthorized", 0);
                else
                        server_error(rq, 400, "Logged out", 0);
                break;
        default:
                server_error(rq, 401, "Unauthorized", 0);
        }
}

/* ---- a server that goes ---- */

static void cut(Request *rq)
{
        server_error(rq, 500, "Internal Server Error: restart", 0);
}

/* The server is gone, and with it all that it had only in memory. `kill`: nobody got an answer. */
void session_stop(Session *s, bool kill)
{
        if (s->poller && !kill)
                answer_poller(s);
        for (size_t i = 0; i < s->n_waiting && !kill; i++)
                cut(s->waiting[i]);
        if (s->log_out && !kill)
                cut(s->log_out);
        release_poller(s);
        release_waiting(s);
        s->log_out = request_unref(s->log_out);
        s->delivery = timeline_cancel(s->delivery);
        s->last_poll_usec = 0;

        switch (s->state) {
        case SESSION_IN:
        case SESSION_RESTING:
                enter(s, SESSION_RESTING);
                break;
        case SESSION_LOGGING_OUT:
                /* Telegram may have heard of it. The queue is left, and so is the question who will ever ask for it. */
                s->cut_short = random_chance(500);
                enter(s, s->cut_short ? SESSION_RESTING : SESSION_OUT);
                if (!s->cut_short)
                        judge_logged_out(s, NULL);
                break;
        default:
                enter(s, SESSION_OUT);
        }
}
