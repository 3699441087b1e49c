/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "judge-internal.h"

/* How far apart two requests may arrive in the wrong order on a busy machine. */
#define OVERTAKEN_USEC 250000

static void copy_req(char dest[static 48], const char *req)
{
        (void) snprintf(dest, 48, "%s", req ?: "");
}

/* A getUpdates inside the window was not followed by the repeated logOut that would have excused it. */
static void suspect_convict(Judge *judge, JudgeBot *bot)
{
        int64_t t = judge->t, seq = judge->seq;

        if (!bot->suspect.set)
                return;
        judge->t = bot->suspect.t;
        judge->seq = bot->suspect.seq;
        judge_violation(judge, bot, "L1",
                        "getUpdates went to the cloud after a logOut that may have been applied, and no "
                        "repeated logOut followed it on that connection");
        judge->t = t;
        judge->seq = seq;
        bot->suspect.set = false;
}

static bool window_open(const Judge *judge, const JudgeLogout *logout)
{
        return logout->open && judge->t < logout->window_until;
}

/* A long poll that was sent before logOut, on another connection, and was overtaken by it on the way. Sent afterwards
 * it could only have been by somebody who does not wait for the answer to logOut. */
static bool overtaken(const Judge *judge, const JudgeLogout *logout, const char *method, int64_t conn)
{
        return streq(method, "getupdates") && !logout->ended && conn != logout->conn &&
               judge->t - logout->sent_t <= OVERTAKEN_USEC;
}

static void check_l1(Judge *judge, JudgeBot *bot, const char *method, json_object *entry)
{
        const JudgeLogout *logout = bot->logouts + ROLE_CLOUD;
        bool repeat = streq(method, "logout") && !logout->conclusive;
        int64_t conn = json_get_int(entry, "conn", 0);

        if (bot->suspect.set && repeat && bot->suspect.conn == conn)
                bot->suspect.set = false;
        suspect_convict(judge, bot);

        if (!window_open(judge, logout) || repeat || overtaken(judge, logout, method, conn))
                return;
        if (streq(method, "getupdates") && !logout->conclusive) {
                bot->suspect.set = true;
                bot->suspect.t = judge->t;
                bot->suspect.seq = judge->seq;
                bot->suspect.conn = conn;
                return;
        }
        judge_violation(judge, bot, "L1", "%s went to the cloud %lld ms before the window after logOut was over%s",
                        method, (long long) (logout->window_until - judge->t) / 1000,
                        streq(method, "logout") ? ", although an earlier answer had said that it was applied" : "");
}

static void check_l2(Judge *judge, JudgeBot *bot, Role role, const char *method)
{
        Role other = role == ROLE_CLOUD ? ROLE_LOCAL : ROLE_CLOUD;
        const JudgeLogout *logout = bot->logouts + other;
        bool told = !window_open(judge, logout) || logout->told;

        if (bot->l2_reported[role] || judge->dead[other] || bot->stale[other] || bot->stale[role] ||
            (!bot->session[other] && told))
                return;

        bot->l2_reported[role] = true;
        judge_violation(judge, bot, "L2", "%s went to the %s server while %s", method, role_to_string(role),
                        bot->session[other] ? "the bot was still logged in at the other one"
                                            : "nobody could know that the other one had logged the bot out");
}

static void check_l3(Judge *judge, JudgeBot *bot, Role role)
{
        for (const JudgeWorker *worker = bot->workers; worker; worker = worker->next)
                judge_violation(judge, bot, "L3", "logOut reached the %s server while worker %s was running",
                                role_to_string(role), worker->unit);
}

static void logout_sent(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        JudgeLogout *logout = bot->logouts + role;

        check_l3(judge, bot, role);
        if (!window_open(judge, logout))
                *logout = (JudgeLogout){
                        .open = true,
                        .sent_t = judge->t,
                        .conn = json_get_int(entry, "conn", 0),
                };
        else if (!logout->conclusive)
                logout->unknown = true;
        logout->said = false;
        copy_req(logout->req, json_get_text(entry, "req"));
        logout->window_until = MAX(logout->window_until,
                                   judge->t + (int64_t) settings_window_usec(&judge->settings, role, false));
}

void judge_request(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        const char *method = json_get_text(entry, "method") ?: "";
        JudgeRequest *request = bot->requests + bot->n_requests++ % JUDGE_ANSWERS;

        copy_req(request->req, json_get_text(entry, "req"));
        request->t = judge->t;
        if (streq(method, "getupdates"))
                bot->polled_by_daemon = startswith(json_get_text(entry, "agent") ?: "", "tgswitch/");
        if (role == ROLE_CLOUD)
                check_l1(judge, bot, method, entry);
        check_l2(judge, bot, role, method);
        if (streq(method, "logout"))
                logout_sent(judge, bot, role, entry);
}

static bool says_logged_out(int64_t code, const char *description)
{
        return code == 400 &&
               (streq(description, "Logged out") || streq(description, "logged-out") ||
                streq(description, "Bad Request: already logging out") || streq(description, "already-logging-out"));
}

static void logout_told(JudgeLogout *logout, const char *req)
{
        logout->conclusive = logout->told = true;
        copy_req(logout->told_by, req);
}

/* A getUpdates that may stand before a repeated logOut, and is answered by what the repeat would have been: it has
 * taken its place. */
void judge_spool_answer(JudgeBot *bot, Role role, json_object *entry)
{
        JudgeLogout *logout = bot->logouts + role;
        const char *description = json_get_text(entry, "description") ?: "";
        int64_t code = json_get_int(entry, "code", 0);

        if (role != ROLE_CLOUD || !bot->suspect.set || !logout->open || logout->conclusive)
                return;
        if (!says_logged_out(code, description) && code != 401)
                return;
        bot->suspect.set = false;
        logout_told(logout, json_get_text(entry, "req"));
}

void judge_logout_answer(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        JudgeLogout *logout = bot->logouts + role;
        const char *description = json_get_text(entry, "description") ?: "", *req = json_get_text(entry, "req");
        int64_t code = json_get_int(entry, "code", 0);
        bool applied, refused;

        if (!logout->open)
                return;

        logout->ended = true;
        applied = (code == 200 && streq(description, "true")) || says_logged_out(code, description);
        refused = code == 401 || code == 429;

        if (judge_request_is_dead(judge, bot, req)) {
                logout->unknown = true;
        } else if (applied || (code == 401 && logout->unknown)) {
                logout_told(logout, req);
        } else if (refused && !logout->unknown) {
                /* Not applied: as if it had not been sent, if this answer arrives. */
                logout->open = false;
                logout->withdrawn = true;
                copy_req(logout->told_by, req);
        } else {
                logout->unknown = true;
        }
}

/* Whatever the fault is, the attempt is over with it. */
void judge_logout_fault(JudgeBot *bot, Role role, json_object *entry)
{
        JudgeLogout *logout = bot->logouts + role;
        const char *kind = json_get_text(entry, "kind") ?: "", *req = json_get_text(entry, "req") ?: "";

        judge_logout_undelivered(bot, req);
        if (streq(logout->req, req) && (streq(kind, "logged-out") || streq(kind, "already-logging-out"))) {
                logout->said = true;
                logout_told(logout, req);
        }
}

void judge_logout_undelivered(JudgeBot *bot, const char *req)
{
        for (Role role = 0; role < _ROLE_MAX; role++) {
                JudgeLogout *logout = bot->logouts + role;

                if (streq(logout->req, req))
                        logout->ended = true;
                if (logout->said || logout->told_by[0] == '\0' || !streq(logout->told_by, req))
                        continue;
                logout->open = true;
                logout->unknown = true;
                logout->conclusive = logout->told = logout->withdrawn = false;
                logout->told_by[0] = '\0';
        }
}

/* The mark is set before the kill; the next process comes RestartSec=100ms after it at the earliest. */
#define DYING_USEC 100000

/* Whether the daemon that sent this request has been killed since then. What was on its way to the server at that
 * moment counts, too. */
bool judge_request_is_dead(const Judge *judge, const JudgeBot *bot, const char *req)
{
        int64_t on_its_way_usec = (int64_t) judge->settings.latency_msec * 1000;

        if (judge->killed_t == 0 || !req)
                return false;
        for (size_t i = 0; i < JUDGE_ANSWERS; i++)
                if (streq(bot->requests[i].req, req))
                        return bot->requests[i].t <= judge->killed_t + DYING_USEC + on_its_way_usec;
        return false;
}

/* A daemon that was killed may not have read, or not have kept, what it was told. */
void judge_daemon_killed(Judge *judge)
{
        judge->killed_t = judge->t;
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next)
                for (Role role = 0; role < _ROLE_MAX; role++) {
                        JudgeLogout *logout = bot->logouts + role;

                        /* Who logged in elsewhere has known it, and has it on record. */
                        if (!window_open(judge, logout) || bot->session[role == ROLE_CLOUD ? ROLE_LOCAL : ROLE_CLOUD])
                                continue;
                        logout->unknown = true;
                        logout->conclusive = false;
                        if (!bot->session[ROLE_CLOUD] && !bot->session[ROLE_LOCAL])
                                judge_updates_forgotten(judge, bot, role);
                }
}

static void check_running(Judge *judge, JudgeBot *bot)
{
        for (const JudgeWorker *worker = bot->workers; worker; worker = worker->next) {
                if (bot->seat < 0)
                        judge_violation(judge, bot, "L4", "worker %s ran on while the bot was logged in nowhere",
                                        worker->unit);
                else if (worker->role >= 0 && worker->role != bot->seat)
                        judge_violation(judge, bot, "L4",
                                        "worker %s ran on with the %s endpoint after the bot had moved", worker->unit,
                                        role_to_string(worker->role));
        }
}

void judge_logout_applied(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        Role other = role == ROLE_CLOUD ? ROLE_LOCAL : ROLE_CLOUD;
        JudgeLogout *logout = bot->logouts + role;

        logout->window_until = MAX(logout->window_until, json_get_int(entry, "window_until", 0));
        bot->session[role] = bot->stale[role] = false;
        bot->l2_reported[ROLE_CLOUD] = bot->l2_reported[ROLE_LOCAL] = false;
        if (bot->seat == role) {
                bot->seat = bot->session[other] ? other : _ROLE_INVALID;
                if (bot->seat < 0)
                        bot->blind_since = judge->t;
                check_running(judge, bot);
        }
}

void judge_login(Judge *judge, JudgeBot *bot, Role role)
{
        Role other = role == ROLE_CLOUD ? ROLE_LOCAL : ROLE_CLOUD;

        bot->session[role] = true;
        bot->stale[role] = false;
        if (bot->session[other] && judge->dead[other])
                bot->stale[other] = true;
        if (!window_open(judge, bot->logouts + role))
                bot->logouts[role] = (JudgeLogout){ 0 };
        if (bot->blind_since > 0) {
                int64_t floor_msec = judge->settings.latency_msec / 2 + judge->settings.login_msec;

                json_object_array_add(bot->blind_times, json_object_new_int64((judge->t - bot->blind_since) / 1000));
                json_object_array_add(bot->blind_floors, json_object_new_int64(floor_msec));
                bot->blind_since = 0;
        }
        bot->seat = role;
        check_running(judge, bot);
}

static void check_endpoint(Judge *judge, JudgeBot *bot, json_object *entry, const char *what)
{
        Role role = judge_root(judge, json_get_text(entry, "root"));
        const char *unit = json_get_text(entry, "unit") ?: "?";

        if (bot->seat < 0)
                judge_violation(judge, bot, "L4", "worker %s %s while the bot was logged in nowhere", unit, what);
        else if (role >= 0 && role != bot->seat)
                judge_violation(judge, bot, "L4", "worker %s %s with the %s endpoint while the seat was %s", unit, what,
                                role_to_string(role), role_to_string(bot->seat));
}

void judge_worker_start(Judge *judge, JudgeBot *bot, json_object *entry)
{
        JudgeWorker *worker = calloc(1, sizeof(*worker));
        const char *unit = json_get_text(entry, "unit") ?: "?";

        assert(worker);
        check_endpoint(judge, bot, entry, "started");
        judge_worker_stop(bot, unit);
        worker->unit = strdup(unit);
        assert(worker->unit);
        worker->role = judge_root(judge, json_get_text(entry, "root"));
        worker->next = bot->workers;
        bot->workers = worker;
}

void judge_worker_stop(JudgeBot *bot, const char *unit)
{
        for (JudgeWorker **slot = &bot->workers; *slot; slot = &(*slot)->next)
                if (streq((*slot)->unit, unit)) {
                        JudgeWorker *worker = *slot;

                        *slot = worker->next;
                        free(worker->unit);
                        free(worker);
                        return;
                }
}

void judge_seat_used(Judge *judge, JudgeBot *bot, json_object *entry)
{
        check_endpoint(judge, bot, entry, "handled an update");
}

void judge_end_of_laws(Judge *judge)
{
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next)
                suspect_convict(judge, bot);
}
