/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "judge-internal.h"

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
        return logout->open && judge_now(judge) < logout->window_until;
}

/* When the last byte of a request came to the server's port, which a busy server may read much later. */
static int64_t arrived(const Judge *judge, json_object *entry)
{
        return json_get_int(entry, "arrived", 0) ?: judge->t;
}

/* A long poll that was at the server's port before the first logOut was: they went out in this order, however the
 * server came to read them. */
static bool overtaken(const Judge *judge, const JudgeLogout *logout, json_object *entry)
{
        return streq(json_get_text(entry, "method") ?: "", "getupdates") &&
               json_get_int(entry, "conn", 0) != logout->conn && arrived(judge, entry) < logout->arrived_t;
}

/* Whoever knows of the logOut counts the window; the first request shows when it was taken to be over. */
static void check_l8(Judge *judge, JudgeBot *bot, const char *method)
{
        JudgeLogout *logout = bot->logouts + ROLE_CLOUD;
        int64_t now = judge_now(judge);

        if (bot->told_to_wait.until > now && !bot->session[ROLE_CLOUD])
                judge_violation(judge, bot, "L8",
                                "%s went to the cloud %.3f s before the time that its 429 had asked for", method,
                                (double) (bot->told_to_wait.until - now) / 1e6);
        /* A long poll may have been on its way for long. */
        if (!logout->conclusive || streq(method, "logout") || streq(method, "getupdates"))
                return;
        if (window_open(judge, logout) && !logout->early) {
                logout->early = true;
                judge_violation(judge, bot, "L8",
                                "the first request to the cloud after logOut, %s, came %.3f s before the end of its "
                                "window",
                                method, (double) (logout->window_until - now) / 1e6);
        }
        if (logout->applied_at > 0 && !logout->returned) {
                logout->returned = true;
                json_object_array_add(bot->away_times, json_object_new_int64((now - logout->applied_at) / 1000));
        }
}

static void check_l1(Judge *judge, JudgeBot *bot, const char *method, json_object *entry)
{
        const JudgeLogout *logout = bot->logouts + ROLE_CLOUD;
        bool repeat = streq(method, "logout") && !logout->conclusive;
        int64_t conn = json_get_int(entry, "conn", 0);

        if (bot->suspect.set && repeat && bot->suspect.conn == conn)
                bot->suspect.set = false;
        suspect_convict(judge, bot);

        if (repeat || overtaken(judge, logout, entry))
                return;
        check_l8(judge, bot, method);
        if (!window_open(judge, logout)) {
                if (streq(method, "logout") && logout->conclusive)
                        judge_violation(judge, bot, "L1",
                                        "logOut went to the cloud although the bot was known to be logged out there: "
                                        "that logs in, and lengthens the lock");
                return;
        }
        if (streq(method, "getupdates") && !logout->conclusive) {
                bot->suspect.set = true;
                bot->suspect.t = judge->t;
                bot->suspect.seq = judge->seq;
                bot->suspect.conn = conn;
                return;
        }
        judge_violation(judge, bot, "L1", "%s went to the cloud %lld ms before the window after logOut was over%s",
                        method, (long long) (logout->window_until - judge_now(judge)) / 1000,
                        streq(method, "logout") ? ", although an earlier answer had said that it was applied" : "");
}

static void check_l2(Judge *judge, JudgeBot *bot, Role role, const char *method, const JudgeRequest *request)
{
        Role other = role == ROLE_CLOUD ? ROLE_LOCAL : ROLE_CLOUD;
        const JudgeLogout *logout = bot->logouts + other;
        bool known_out = !bot->session[other] && (!logout->open || logout->told);

        if (role == ROLE_LOCAL && judge_settling_request(judge, bot, method, request))
                return;
        /* Only a server of the own host is ever given up. */
        if (role == ROLE_CLOUD && !bot->session[role] && !window_open(judge, bot->logouts + role) &&
            !streq(method, "logout") && judge_may_leave_local(judge, bot))
                judge_left_local(judge, bot, known_out);
        if (known_out || bot->l2_reported[role] || (role == ROLE_CLOUD && bot->debt.owed))
                return;

        bot->l2_reported[role] = true;
        judge_violation(judge, bot, "L2", "%s went to the %s server while %s", method, role_to_string(role),
                        bot->session[other] ? "the bot was still logged in at the other one"
                                            : "nobody could know that the other one had logged the bot out");
}

static void check_l3(Judge *judge, JudgeBot *bot, Role role)
{
        for (const JudgeWorker *worker = bot->workers; worker; worker = worker->next) {
                /* What was left at a dead server is ended while the bot works at the other one. */
                if (role == ROLE_LOCAL && bot->debt.may_settle && worker->role != role)
                        continue;
                judge_violation(judge, bot, "L3", "logOut reached the %s server while worker %s was running",
                                role_to_string(role), worker->unit);
        }
}

static void logout_sent(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        JudgeLogout *logout = bot->logouts + role;

        check_l3(judge, bot, role);
        /* An attempt that nobody knows the end of stays one, however long ago it was. */
        if (!logout->open || (logout->told && !window_open(judge, logout)))
                *logout = (JudgeLogout){
                        .open = true,
                        .arrived_t = arrived(judge, entry),
                        .conn = json_get_int(entry, "conn", 0),
                };
        else if (!logout->conclusive)
                logout->unknown = true;
        logout->said = false;
        judge_copy_req(logout->req, json_get_text(entry, "req"));
        logout->window_until = MAX(logout->window_until,
                                   judge_now(judge) + (int64_t) settings_window_usec(&judge->settings, role, false));
}

void judge_request(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        const char *method = json_get_text(entry, "method") ?: "";
        JudgeRequest *request = bot->requests + bot->n_requests++ % JUDGE_ANSWERS;

        judge_copy_req(request->req, json_get_text(entry, "req"));
        request->t = arrived(judge, entry);
        request->by_daemon = startswith(json_get_text(entry, "agent") ?: "", "tgswitch/");
        if (streq(method, "getupdates"))
                bot->polled_by_daemon = request->by_daemon;
        if (role == ROLE_CLOUD)
                check_l1(judge, bot, method, entry);
        check_l2(judge, bot, role, method, request);
        if (streq(method, "logout"))
                logout_sent(judge, bot, role, entry);
}

bool judge_says_logged_out(int64_t code, const char *description)
{
        return code == 400 &&
               (streq(description, "Logged out") || streq(description, "logged-out") ||
                streq(description, "Bad Request: already logging out") || streq(description, "already-logging-out"));
}

static void logout_told(JudgeLogout *logout, const char *req)
{
        logout->conclusive = logout->told = true;
        judge_copy_req(logout->told_by, req);
}

void judge_cloud_answer(Judge *judge, JudgeBot *bot, json_object *entry)
{
        int64_t retry_after_sec = json_get_int(entry, "retry_after", 0);
        const char *req = json_get_text(entry, "req"), *method = json_get_text(entry, "method") ?: "";

        if (json_get_int(entry, "code", 0) != 429 || streq(method, "logout") || judge_request_is_dead(judge, bot, req))
                return;
        bot->told_to_wait.until = judge_now(judge) + retry_after_sec * (int64_t) USEC_PER_SEC;
        judge_copy_req(bot->told_to_wait.req, req);
}

/* A bot that is logged in nowhere hangs in mid-air when the limit on logins meets it: who counts the logins of the last
 * minute and hour beforehand, waits before logOut. */
void judge_login_refused(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        bot->n_refused++;
        if (role == ROLE_CLOUD && bot->seat < 0)
                judge_violation(judge, bot, "pace",
                                "the limit on new logins kept the bot out of the cloud for %lld s more while it was "
                                "logged in nowhere",
                                (long long) json_get_int(entry, "retry_after", 0));
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
        if (!judge_says_logged_out(code, description) && code != 401)
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

        applied = (code == 200 && streq(description, "true")) || judge_says_logged_out(code, description);
        refused = code == 401 || code == 429;

        if (judge_request_is_dead(judge, bot, req)) {
                logout->unknown = true;
        } else if (applied || (code == 401 && logout->unknown)) {
                logout_told(logout, req);
        } else if (refused && !logout->unknown) {
                /* Not applied: as if it had not been sent, if this answer arrives. */
                logout->open = false;
                logout->withdrawn = true;
                judge_copy_req(logout->told_by, req);
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
        if (bot->told_to_wait.until > 0 && streq(bot->told_to_wait.req, req))
                bot->told_to_wait.until = 0;
        for (Role role = 0; role < _ROLE_MAX; role++) {
                JudgeLogout *logout = bot->logouts + role;

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

/* Whether the daemon that sent this request has been killed since then. */
bool judge_request_is_dead(const Judge *judge, const JudgeBot *bot, const char *req)
{
        const JudgeRequest *request;

        if (judge->killed_t == 0)
                return false;
        request = judge_request_find(bot, req);
        return request && request->t <= judge->killed_t + DYING_USEC;
}

/* A daemon that was killed may not have read, or not have kept, what it was told. */
void judge_daemon_killed(Judge *judge)
{
        judge->killed_t = judge->t;
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next) {
                judge_debt_after_kill(bot);
                bot->told_to_wait.until = 0;
                for (Role role = 0; role < _ROLE_MAX; role++) {
                        JudgeLogout *logout = bot->logouts + role;

                        /* Who logged in elsewhere has known it, and has it on record. */
                        if (!logout->open || bot->session[role == ROLE_CLOUD ? ROLE_LOCAL : ROLE_CLOUD])
                                continue;
                        logout->unknown = true;
                        logout->conclusive = false;
                        if (!bot->session[ROLE_CLOUD] && !bot->session[ROLE_LOCAL])
                                judge_updates_forgotten(judge, bot, role);
                }
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
        logout->applied_at = judge_now(judge);
        logout->returned = false;
        bot->session[role] = false;
        if (role == ROLE_CLOUD)
                judge_debt_move_begins(bot);
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
        JudgeLogout *logout = bot->logouts + role;

        bot->session[role] = true;
        if ((role == ROLE_LOCAL || !window_open(judge, logout)) && (!logout->open || logout->told))
                *logout = (JudgeLogout){ 0 };
        if (role == ROLE_LOCAL && bot->debt.may_settle) {
                /* What ends a session begins one first where there was none: no move. */
                bot->debt.owed = true;
                return;
        }
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
        check_endpoint(judge, bot, entry,
                       streq_ptr(json_get_text(entry, "event"), "worker-released") ? "went on" : "started");
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
