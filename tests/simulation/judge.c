/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>

#include "daemon.h"
#include "judge-internal.h"
#include "scenario.h"

#define WINDOW_SHORT_TRUE_USEC (600 * USEC_PER_SEC)
#define WINDOW_LONG_TRUE_USEC  (1800 * USEC_PER_SEC)
/* A getUpdates that is older does not make a logOut safe: the daemon's own bound is 5 s, and a record is written in
 * between. */
#define FRESH_USEC (60 * USEC_PER_SEC)
/* So long ago at most something was wrong with a server that is left as dead: the host may have slept meanwhile. */
#define TROUBLE_USEC (4 * USEC_PER_HOUR)

static char verdict[512];

void judge_reset(void)
{
        verdict[0] = '\0';
        judge_history_reset();
}

bool judge_found(void)
{
        return verdict[0] != '\0';
}

const char *judge_verdict(void)
{
        return verdict;
}

void judge_says(const char *law, const SimBot *b, const char *format, ...)
{
        va_list ap;
        int n;

        if (judge_found())
                return;
        n = snprintf(verdict, sizeof(verdict), "%s: %s%s", law, b ? b->name : "", b ? ": " : "");
        va_start(ap, format);
        (void) vsnprintf(verdict + n, sizeof(verdict) - (size_t) n, format, ap);
        va_end(ap);
        trace("!! %s", verdict);
}

static const char *name_of(Side side)
{
        return side == SIDE_CLOUD ? "cloud" : "local server";
}

static Side other(Side side)
{
        return side == SIDE_CLOUD ? SIDE_LOCAL : SIDE_CLOUD;
}

/* ---- requests ---- */

static const Unit *running_worker(const SimBot *b)
{
        for (size_t i = 0; i < b->n_workers; i++)
                if (process_may_send(b->workers[i]))
                        return b->workers[i];
        return NULL;
}

static void at(SimBot *b, Side side)
{
        BotJudge *j = &b->judge;

        j->whereabouts = WHEREABOUTS_AT;
        j->side = side;
        j->unknown = j->told = j->login_sent = j->login_refused = false;
}

static void left(SimBot *b)
{
        b->judge.whereabouts = WHEREABOUTS_LEFT;
        b->judge.told = false;
        b->judge.job_left = true;
}

bool judge_record(const SimBot *b, Record *ret)
{
        const char *why;

        return b->disk.record && record_decode(b->disk.record, b->disk.record_size, b->name, ret, &why) >= 0;
}

static void look_at_freshness(const SimBot *b, Side side)
{
        usec_t age = usec_sub(timeline_now(), b->judge.polled_usec[side]);

        if (age > FRESH_USEC)
                judge_says("L3", b, "logOut is sent, and the last getUpdates is %" PRIu64 " s old", age / USEC_PER_SEC);
}

/* L3: what has to be so whenever a logOut leaves. */
static void look_at_log_out(SimBot *b, const Request *rq)
{
        const Unit *worker = running_worker(b);
        Record record = {};

        if (worker)
                judge_says("L3", b, "logOut is sent while %s runs", worker->name);
        look_at_freshness(b, rq->side);
        if (!judge_record(b, &record)) {
                judge_says("L3", b, "logOut is sent without a record on disk");
                return;
        }
        if (cutover_facts(record.state)->place != CUTOVER_AT_UNKNOWN ||
            !moment_is_set(&record_window(&record, record.seat)->since))
                judge_says("L3", b, "logOut is sent in state %s, as the disk says",
                           cutover_state_to_string(record.state));
        if (record.seat != seat_of_side(rq->side))
                judge_says("L3", b, "logOut is sent to the %s, which is not the seat on disk", name_of(rq->side));
        record_done(&record);
}

/* A session that is to be ended: nothing but what ends it. */
static void look_at_owed(SimBot *b, const Request *rq)
{
        Record record = {};

        if (rq->method != BOTAPI_LOG_OUT && rq->method != BOTAPI_GET_UPDATES && rq->method != BOTAPI_DELETE_WEBHOOK)
                judge_says("L1", b, "%s goes to the local server, whose session is only to be ended",
                           botapi_method_to_string(rq->method));
        if (b->judge.whereabouts != WHEREABOUTS_AT)
                judge_says("L2", b, "%s goes to the local server, and the bot is not yet logged in at the cloud",
                           botapi_method_to_string(rq->method));
        if (!judge_record(b, &record) || !record.stale)
                judge_says("L2", b, "%s goes to the local server, whose session is not on record",
                           botapi_method_to_string(rq->method));
        record_done(&record);
        if (rq->method == BOTAPI_LOG_OUT)
                look_at_freshness(b, rq->side);
}

static void look_at_window(SimBot *b, const Request *rq)
{
        usec_t left = usec_sub(b->judge.closed_usec[rq->side], timeline_now());

        if (left > 0)
                judge_says("L8", b, "%s goes to the %s %" PRIu64 " ms before its window is over",
                           botapi_method_to_string(rq->method), name_of(rq->side), left / USEC_PER_MSEC);
}

static void look_at_target(SimBot *b, const Request *rq)
{
        const Session *source = &b->sessions[other(rq->side)];

        look_at_window(b, rq);
        /* "Logged out" is said from the beginning of a logOut on: that it was never brought to its end is not to be
         * known. */
        if (source->cut_short && source->state == SESSION_RESTING && !b->judge.strays) {
                trace("%s: was told to be out while the %s was still about it", b->name, name_of(source->side));
                b->judge.strays = true;
        }
        /* One that is being logged out is as good as gone: nothing takes that back. */
        if (session_is_in(source) && source->state != SESSION_LOGGING_OUT && !b->judge.strays && !b->revoked &&
            !b->judge.owed)
                judge_says("L2", b, "%s goes to the %s, and the %s still has the bot",
                           botapi_method_to_string(rq->method), name_of(rq->side), name_of(source->side));
        b->judge.login_sent = b->judge.login_sent || rq->side == SIDE_LOCAL;
}

/* The way to the cloud leaves the local server, or the attempt to get there, without a logOut: then its session is on
 * record, nothing runs that uses it, and the server is not one that was well all the time. */
static void look_at_abandonment(SimBot *b)
{
        BotJudge *j = &b->judge;
        bool left_well = j->side == SIDE_LOCAL && j->whereabouts == WHEREABOUTS_LEFT;
        const Unit *worker = running_worker(b);
        Record record = {};

        if (j->owed && (j->side == SIDE_CLOUD || left_well))
                return;
        if (!judge_record(b, &record) || !record.stale) {
                if (j->login_sent && j->side == SIDE_CLOUD)
                        judge_says("L2", b,
                                   "the cloud is asked, and the session that a login may have begun at the "
                                   "local server is not on record");
        } else {
                if (worker)
                        judge_says("L4", b, "the local server is left as dead while %s runs", worker->name);
                if (!left_well && usec_sub(timeline_now(), world.server_trouble_usec) > TROUBLE_USEC)
                        judge_says("L2", b, "the local server is left as dead, and nothing was wrong with it");
                trace("%s: leaves the local server with a session", b->name);
                j->webhook_lost = b->sessions[SIDE_LOCAL].webhook && isempty(record.webhook.url);
                j->owed = true;
                if (j->side == SIDE_LOCAL)
                        left(b);
        }
        record_done(&record);
}

static void look_at_place(SimBot *b, const Request *rq)
{
        BotJudge *j = &b->judge;
        const char *method = botapi_method_to_string(rq->method);

        switch (j->whereabouts) {
        case WHEREABOUTS_AT:
                if (rq->side != j->side)
                        judge_says("L2", b, "%s goes to the %s, and the bot is at the other server", method,
                                   name_of(rq->side));
                look_at_window(b, rq);
                break;
        case WHEREABOUTS_MAY_LEFT:
                if (rq->side != j->side)
                        judge_says("L2", b, "%s goes to the %s, and nobody knows whether the bot is still logged in",
                                   method, name_of(rq->side));
                else if (rq->method != BOTAPI_LOG_OUT && rq->method != BOTAPI_GET_UPDATES)
                        judge_says("L1", b, "%s goes to the %s after a logOut", method, name_of(rq->side));
                break;
        case WHEREABOUTS_LEFT:
                if (rq->side == j->side && rq->side == SIDE_CLOUD)
                        look_at_window(b, rq);
                else if (rq->side == j->side)
                        judge_says("L1", b, "%s goes to the server that the bot has left", method);
                else
                        look_at_target(b, rq);
                break;
        }
}

static void look_at_daemons(SimBot *b, const Request *rq)
{
        BotJudge *j = &b->judge;

        if (!b->declared)
                judge_says("L2", b, "%s is sent, and nobody has said where the bot is logged in",
                           botapi_method_to_string(rq->method));
        /* Whoever was told that the bot is out need not ask a second time. */
        if (j->told && rq->method != BOTAPI_LOG_OUT && rq->method != BOTAPI_GET_UPDATES)
                left(b);
        if (rq->side == SIDE_CLOUD && (j->whereabouts == WHEREABOUTS_LEFT || j->side == SIDE_LOCAL))
                look_at_abandonment(b);
        if (rq->side == SIDE_LOCAL && j->owed && j->side == SIDE_CLOUD)
                look_at_owed(b, rq);
        else
                look_at_place(b, rq);
        if (rq->method == BOTAPI_GET_UPDATES)
                j->polled_usec[rq->side] = timeline_now();
        if (rq->method == BOTAPI_LOG_OUT && rq->side == j->side && j->whereabouts != WHEREABOUTS_LEFT) {
                j->behind = false;
                look_at_log_out(b, rq);
                j->whereabouts = WHEREABOUTS_MAY_LEFT;
                j->told = false;
                j->login_sent = false;
        }
}

void judge_sent(const Request *rq)
{
        SimBot *b = rq->bot;

        statistics.requests += rq->daemon;
        if (!b)
                return;
        if (rq->daemon)
                look_at_daemons(b, rq);
        else if (b->judge.behind)
                return;
        else if (b->judge.whereabouts != WHEREABOUTS_AT || b->judge.side != rq->side)
                judge_says("L1", b, "a worker's %s goes to the %s, where the bot must not be spoken to",
                           botapi_method_to_string(rq->method), name_of(rq->side));
        else
                look_at_window(b, rq);
}

/* ---- what the daemon was told ---- */

static bool says_out(const Reply *reply)
{
        return reply && reply->kind == REPLY_ERROR && reply->status == 400 &&
               (streq(reply->description, "Logged out") ||
                streq(reply->description, "Bad Request: already logging out"));
}

static void log_out_replied(SimBot *b, const Request *rq, const Reply *reply, bool sent)
{
        BotJudge *j = &b->judge;
        int status = reply && reply->kind == REPLY_ERROR ? reply->status : 0;

        if (j->whereabouts != WHEREABOUTS_MAY_LEFT || rq->side != j->side)
                return;
        if ((reply && reply->kind == REPLY_TRUE) || says_out(reply) || (status == 401 && j->unknown))
                left(b);
        else if (status != 401 && status != 429 && sent)
                j->unknown = true;
        else if (!j->unknown)
                at(b, j->side);
}

/* Whether this ends what is owed to the local server. */
static void owed_replied(SimBot *b, const Request *rq, const Reply *reply)
{
        bool refused = reply && reply->kind == REPLY_ERROR && reply->status == 401;

        /* Nobody waits for what these say: they were sent before, to open connections. */
        if (rq->method == BOTAPI_GET_WEBHOOK_INFO)
                return;
        if (says_out(reply) || refused || (rq->method == BOTAPI_LOG_OUT && reply && reply->kind == REPLY_TRUE))
                b->judge.owed = false;
}

void judge_replied(const Request *rq, const Reply *reply, bool sent)
{
        SimBot *b = rq->bot;
        BotJudge *j;

        if (!b || !rq->daemon)
                return;
        j = &b->judge;
        if (j->owed && rq->side == SIDE_LOCAL && j->side == SIDE_CLOUD)
                owed_replied(b, rq, reply);
        else if (rq->method == BOTAPI_LOG_OUT)
                log_out_replied(b, rq, reply, sent);
        if (rq->method == BOTAPI_LOG_OUT)
                return;
        if (rq->method == BOTAPI_GET_UPDATES && reply && reply->kind == REPLY_UPDATES)
                judge_batch(b, rq->side, reply);
        else if (rq->method == BOTAPI_GET_UPDATES && j->whereabouts == WHEREABOUTS_MAY_LEFT && rq->side == j->side &&
                 (says_out(reply) || (reply && reply->kind == REPLY_ERROR && reply->status == 401)))
                j->told = true;
        else if (rq->method == BOTAPI_GET_ME && reply && reply->kind == REPLY_ME)
                at(b, rq->side);
        else if (rq->method == BOTAPI_GET_ME && rq->side == SIDE_CLOUD)
                j->login_refused = true;
}

/* Then the server waits for three seconds, or gives one update out of many: downtime. Where there is something to
 * confirm the offset is what it is. */
void judge_asked_like_a_worker(const Session *s, const Request *rq, usec_t since_usec)
{
        bool confirms = s->n_queue > 0 ? rq->offset >= s->queue[0].id : rq->offset >= SESSION_FIRST_ID_MIN;

        if (!confirms && since_usec < 3 * USEC_PER_SEC)
                judge_says("pace", s->bot, "asked for updates with a worker's offset, %" PRIi64, rq->offset);
}

void judge_abandoned(const Request *rq)
{
        SimBot *b = rq->bot;

        if (b && rq->method == BOTAPI_LOG_OUT && b->judge.whereabouts == WHEREABOUTS_MAY_LEFT &&
            rq->side == b->judge.side)
                b->judge.unknown = true;
}

/* A new process knows what is on disk, and the one before may not have come to write what it was told. */
static void remember_as_on_disk(SimBot *b, const Record *record)
{
        BotJudge *j = &b->judge;

        j->owed = record->stale;
        if (cutover_facts(record->state)->place != CUTOVER_AT_UNKNOWN)
                return;
        /* Writing failed: workers may even have been started since. They are stopped first. */
        j->behind = j->behind || (j->whereabouts == WHEREABOUTS_AT && j->side != side_of_seat(record->seat));
        j->whereabouts = WHEREABOUTS_MAY_LEFT;
        j->side = side_of_seat(record->seat);
        j->unknown = true;
        j->told = false;
}

void judge_daemon_starts(void)
{
        for (size_t i = 0; i < world.n_bots; i++) {
                Record record = {};

                if (judge_record(&world.bots[i], &record)) {
                        remember_as_on_disk(&world.bots[i], &record);
                        judge_history_process_starts(&world.bots[i], record.job.id);
                        record_done(&record);
                }
        }
}

/* ---- what really happened ---- */

/* The length that the daemon can know: it has logged the bot in itself, or its repeat came so late that the server had
 * to do that first. */
static usec_t window_usec(const Session *s)
{
        bool young = usec_sub(timeline_now(), s->authorized_usec) < WINDOW_LONG_TRUE_USEC;

        if (young && s->by_us)
                return WINDOW_LONG_TRUE_USEC;
        return s->side == SIDE_CLOUD ? WINDOW_SHORT_TRUE_USEC : USEC_PER_SEC;
}

static bool is_owed(const Session *s)
{
        return s->side == SIDE_LOCAL && s->bot->judge.owed;
}

void judge_logged_out(Session *s, const Request *rq)
{
        SimBot *b = s->bot;
        BotJudge *j = &b->judge;

        /* A logOut that nobody waits for and that comes when all is over: it was on its way for too long. */
        if (rq && !is_owed(s) && (j->whereabouts != WHEREABOUTS_MAY_LEFT || s->side != j->side)) {
                trace("%s: a logOut comes too late to be known of", b->name);
                j->strays = true;
                judge_wiped(s, true);
                return;
        }
        /* A local server that dies has forgotten its lock, too. */
        if (s->side == SIDE_CLOUD || rq)
                j->closed_usec[s->side] = timeline_now() + window_usec(s);
        judge_wiped(s, j->strays);
}

void judge_flooded(SimBot *b)
{
        trace("%s: the cloud has had too many logins", b->name);
        /* A process that was killed may not have come to write of one. */
        if (!world.faults_on && b->judge.whereabouts != WHEREABOUTS_AT && !b->judge.login_refused)
                judge_says("L5", b, "waits in mid-air: it was not kept back for the pace of logins");
}

void judge_server_stopped(void)
{
        for (size_t i = 0; i < world.n_bots; i++)
                world.bots[i].judge.closed_usec[SIDE_LOCAL] = 0;
}

void judge_logged_in(Session *s, const Request *rq)
{
        BotJudge *j = &s->bot->judge;
        /* One that nobody waits for any more may also log the bot in and fail. */
        bool logs_out = rq->method == BOTAPI_LOG_OUT && !(rq->abandoned && j->whereabouts != WHEREABOUTS_MAY_LEFT);

        if (logs_out || is_owed(s) || (j->whereabouts == WHEREABOUTS_AT && j->side == s->side))
                return;
        if (j->whereabouts != WHEREABOUTS_AT && s->side != j->side)
                return;
        if (s->side == SIDE_CLOUD && j->whereabouts == WHEREABOUTS_LEFT && timeline_now() >= j->closed_usec[SIDE_CLOUD])
                return;
        trace("%s: a request that was on its way for too long logs the bot in", s->bot->name);
        j->strays = true;
}

/* ---- workers ---- */

static void look_at_worker(const Unit *u)
{
        SimBot *b = u->bot;
        const BotJudge *j = &b->judge;

        if (j->behind)
                return;
        if (j->whereabouts != WHEREABOUTS_AT)
                judge_says("L4", b, "%s runs, and the bot has no settled seat", u->name);
        else if (process_side(u) != j->side)
                judge_says("L4", b, "%s runs with the endpoint of the %s", u->name, name_of(process_side(u)));
}

void judge_process_started(const Unit *u)
{
        look_at_worker(u);
}

void judge_look(void)
{
        if (!local_server_is_well())
                world.server_trouble_usec = timeline_now();
        for (size_t i = 0; i < world.n_bots; i++) {
                SimBot *b = &world.bots[i];

                judge_look_at_batch(b);
                for (size_t k = 0; k < b->n_workers; k++)
                        if (process_may_send(b->workers[k]) && b->workers[k]->has_token)
                                look_at_worker(b->workers[k]);
        }
}
