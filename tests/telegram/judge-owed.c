/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "judge-internal.h"

/* A local server can die, or never answer. The bot may then go to the cloud all the same, and what it may have left at
 * the local server is owed: spooled and logged out there before anything else happens with its token. */

/* A daemon that decided while the server was dead still has to stop the workers (StopTimeoutSec=100s) before it sends
 * anything; systemd may have started the server again by then. */
#define DECIDED_USEC (120 * 1000 * (int64_t) 1000)

static bool is_dead(const Judge *judge)
{
        return judge->local.stopped || judge->local.declared || json_object_object_length(judge->local.ports_shut) > 0;
}

static bool shuts_port(const char *kind)
{
        return streq_ptr(kind, "silent") || streq_ptr(kind, "refuse") || streq_ptr(kind, "unreachable");
}

static bool is_cloud(json_object *entry)
{
        return streq_ptr(json_get_text(entry, "role"), "cloud");
}

static void local_started(Judge *judge)
{
        judge->local.stopped = false;
        /* Locks are in the server's memory alone. */
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next)
                bot->logouts[ROLE_LOCAL].window_until = MIN(bot->logouts[ROLE_LOCAL].window_until, judge_now(judge));
}

void judge_server(Judge *judge, const char *event, json_object *entry)
{
        const char *name = json_get_text(entry, "name"), *fault = json_get_text(entry, "fault");
        bool dead = is_dead(judge);

        if (streq(event, "fault-deleted"))
                json_object_object_del(judge->local.ports_shut, fault ?: "");
        else if (is_cloud(entry))
                return;
        else if (streq(event, "fault-set") && shuts_port(json_get_text(entry, "kind")))
                json_object_object_add(judge->local.ports_shut, fault, NULL);
        else if (streq(event, "server-stop"))
                judge->local.stopped = true;
        else if (streq(event, "server-start"))
                local_started(judge);
        else if (streq(event, "mark") && (streq_ptr(name, "server-dead") || streq_ptr(name, "server-alive")))
                judge->local.declared = streq(name, "server-dead");

        if (dead && !is_dead(judge))
                judge->local.alive_t = judge->t;
}

bool judge_is_with_dead(const Judge *judge, const JudgeBot *bot)
{
        return bot->debt.owed || is_dead(judge);
}

bool judge_may_leave_local(const Judge *judge, const JudgeBot *bot)
{
        if (is_dead(judge) || !bot->debt.served)
                return true;
        return judge->local.alive_t > 0 && judge->t - judge->local.alive_t < DECIDED_USEC &&
               bot->debt.answered_t < judge->local.alive_t;
}

void judge_left_local(Judge *judge, JudgeBot *bot, bool known_out)
{
        /* What its record says is the daemon's to know: a login that it sent may have arrived or not. */
        bot->debt.may_settle = true;
        bot->debt.owed = bot->debt.owed || !known_out;
        bot->debt.left_t = judge->t;
}

static bool settles(const char *method)
{
        return streq(method, "logout") || streq(method, "getupdates") || streq(method, "deletewebhook") ||
               streq(method, "getwebhookinfo");
}

bool judge_settling_request(Judge *judge, JudgeBot *bot, const char *method, const JudgeRequest *request)
{
        JudgeDebt *debt = &bot->debt;

        if (!debt->may_settle)
                return false;
        if (request->by_daemon && settles(method))
                return true;
        /* It had been waiting at the dead server's port since before. */
        if (request->t <= debt->left_t)
                return true;

        debt->may_settle = false;
        if (!debt->owed)
                return false;
        /* Once: from here on it is used as if it were the seat, or not at all. */
        debt->owed = false;
        judge_violation(judge, bot, "L2",
                        "%s of %s went to the local server, where a session was left while it was dead: before anything "
                        "else that has to be spooled and logged out",
                        method, request->by_daemon ? "the daemon" : "a worker");
        return true;
}

void judge_settled(JudgeBot *bot, const char *req)
{
        JudgeDebt *debt = &bot->debt;

        if (!debt->may_settle)
                return;
        debt->owed = debt->may_settle = false;
        judge_copy_req(debt->settled_by, req);
}

void judge_local_answer(Judge *judge, JudgeBot *bot, json_object *entry)
{
        const char *req = json_get_text(entry, "req"), *method = json_get_text(entry, "method") ?: "";
        const char *description = json_get_text(entry, "description") ?: "";
        const JudgeRequest *request = judge_request_find(bot, req);
        int64_t code = json_get_int(entry, "code", 0);

        if (code == 200 && !bot->debt.served) {
                bot->debt.served = true;
                judge_copy_req(bot->debt.served_by, req);
        }
        if (!request || !request->by_daemon || judge_request_is_dead(judge, bot, req))
                return;

        bot->debt.answered_t = judge->t;
        if (judge_says_logged_out(code, description) || code == 401 ||
            (streq(method, "logout") && code == 200 && streq(description, "true")))
                judge_settled(bot, req);
}

void judge_local_undelivered(JudgeBot *bot, const char *req)
{
        JudgeDebt *debt = &bot->debt;

        if (debt->settled_by[0] != '\0' && streq(debt->settled_by, req)) {
                debt->owed = debt->may_settle = true;
                debt->settled_by[0] = '\0';
        }
        if (debt->served_by[0] != '\0' && streq(debt->served_by, req))
                debt->served = false;
}

void judge_debt_after_kill(JudgeBot *bot)
{
        /* That it was settled may not be on its disk: it may do so once more. */
        if (bot->debt.settled_by[0] != '\0')
                bot->debt.may_settle = true;
}

void judge_debt_move_begins(JudgeBot *bot)
{
        bot->debt.may_settle = bot->debt.owed;
        bot->debt.served = false;
        bot->debt.settled_by[0] = '\0';
}
