/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* The local server: its unit, whether it answers, and whether it can log bots in. "active" proves nothing: the real
 * server keeps running when it cannot bind its port. GET /bot0:x/getMe is answered by its heart and logs nobody in. */

/* Well formed, and nobody's: the server has to ask Telegram, and 401 "Unauthorized" shows that it did. */
#define LOGIN_PROBE_TOKEN "1:tgswitch_probe_that_is_no_bots_token"

#define PROBE_FIRST_USEC         (50 * USEC_PER_MSEC)
#define PROBE_LONGEST_USEC       (1 * USEC_PER_SEC)
#define PROBE_LOGIN_TIMEOUT_USEC (20 * USEC_PER_SEC)
/* One that is lost proves nothing, where something hangs on it. */
#define PROBES_MIN 3u

struct ServerCall {
        Manager *manager;
        unsigned flags;
        server_handler_t handler;
        void *userdata;
        bool asked;   /* systemd to start the unit */
        bool was_off; /* before that */
        bool started;
        usec_t deadline_usec; /* CLOCK_BOOTTIME */
        usec_t wait_usec;
        unsigned probes; /* that were not answered */
        uint8_t invocation[16];
        BotToken *token;

        UnitCall *unit_call;
        BotApiCall *api_call;
        ClockTimer *timer;
};

ServerCall *server_call_free(ServerCall *c)
{
        if (!c)
                return NULL;
        unit_call_free(c->unit_call);
        botapi_call_free(c->api_call);
        clock_timer_free(c->timer);
        bot_token_free(c->token);
        free(c);
        return NULL;
}

bool server_call_has_started(const ServerCall *c)
{
        return c->asked && c->was_off;
}

/* The handler may free the call: nothing may be touched afterwards. */
static void finish(ServerCall *c, ServerAnswer answer, const char *why)
{
        c->handler(answer, c->started, why, c->userdata);
}

static void fail_errno(ServerCall *c, int r, const char *what)
{
        char why[256];

        snprintf(why, sizeof(why), "Failed to %s: %s.", what, strerror(-r));
        finish(c, SERVER_UNKNOWN, why);
}

static void on_login_probed(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        ServerCall *c = userdata;
        LogInOutcome outcome = botapi_login_outcome(reply, 1);
        char why[512];

        c->api_call = botapi_call_free(c->api_call);
        switch (outcome) {
        case LOGIN_OUTCOME_REFUSED:
        case LOGIN_OUTCOME_OK:
        case LOGIN_OUTCOME_OTHER_BOT:
                memcpy(c->manager->server_proven, c->invocation, sizeof(c->invocation));
                finish(c, SERVER_READY, NULL);
                return;
        default:
                snprintf(why, sizeof(why), "%s answers, but cannot log bots in (%s): %s",
                         c->manager->config->server_unit, login_outcome_to_string(outcome),
                         login_outcome_advice(outcome));
                finish(c, SERVER_FAILED, why);
        }
}

static bool login_path_is_proven(ServerCall *c)
{
        static const uint8_t none[16];
        Manager *m = c->manager;

        if (!(c->flags & SERVER_LOGIN_PROBE) || !m->config->login_probe)
                return true;
        return memcmp(c->invocation, none, sizeof(none)) != 0 &&
               memcmp(c->invocation, m->server_proven, sizeof(c->invocation)) == 0;
}

static void probe_login(ServerCall *c)
{
        int r;

        if (login_path_is_proven(c)) {
                finish(c, SERVER_READY, NULL);
                return;
        }
        r = c->token ? 0 : bot_token_new(&c->token, LOGIN_PROBE_TOKEN, strlen(LOGIN_PROBE_TOKEN));
        if (r >= 0) {
                BotApiRequest request = {
                        .root = c->manager->config->local_root,
                        .token = c->token,
                        .method = BOTAPI_GET_ME,
                        .timeout_usec = PROBE_LOGIN_TIMEOUT_USEC,
                        .tag = SEAT_LOCAL,
                        .count = metrics_replies(&c->manager->metrics, SEAT_LOCAL, BOTAPI_GET_ME),
                };

                r = botapi_call(c->manager->api, &request, NULL, on_login_probed, c, &c->api_call);
        }
        if (r < 0)
                fail_errno(c, r, "probe the local server's login");
}

static void look_at_unit(ServerCall *c);

static void on_probe_timer(void *userdata)
{
        ServerCall *c = userdata;

        c->timer = clock_timer_free(c->timer);
        /* It may have ended meanwhile: then there is nothing to wait for. */
        look_at_unit(c);
}

static void on_probed(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        ServerCall *c = userdata;
        _cleanup_free_ char *said = NULL;
        char why[512];
        int r;

        if (botapi_probe_alive(reply)) {
                c->api_call = botapi_call_free(c->api_call);
                probe_login(c);
                return;
        }

        c->probes++;
        if ((c->flags & SERVER_START) && (c->probes < PROBES_MIN || clock_boottime_usec() < c->deadline_usec)) {
                c->api_call = botapi_call_free(c->api_call);
                r = clock_timer_new(&c->timer, c->manager->event, c->wait_usec, on_probe_timer, c);
                c->wait_usec = MIN(c->wait_usec * 2, PROBE_LONGEST_USEC);
                if (r < 0)
                        fail_errno(c, r, "wait for the local server");
                return;
        }

        said = botapi_reply_describe(reply);
        c->api_call = botapi_call_free(c->api_call);
        snprintf(why, sizeof(why),
                 "%s is running, but nothing that is a Bot API server answers at LocalServer=%s (%s). See 'journalctl "
                 "-u %s', and whether its --http-port and --http-ip-address agree with LocalServer=.",
                 c->manager->config->server_unit, c->manager->config->local_root, said ?: "no memory",
                 c->manager->config->server_unit);
        finish(c, SERVER_FAILED, why);
}

static void probe(ServerCall *c)
{
        BotApiRequest request = {
                .root = c->manager->config->local_root,
                .method = BOTAPI_GET_ME,
                .tag = SEAT_LOCAL,
                .count = metrics_replies(&c->manager->metrics, SEAT_LOCAL, BOTAPI_GET_ME),
        };
        int r;

        r = botapi_call(c->manager->api, &request, NULL, on_probed, c, &c->api_call);
        if (r < 0)
                fail_errno(c, r, "probe the local server");
}

static ServerAnswer answer_of(UnitJobResult result)
{
        switch (result) {
        case UNIT_JOB_SHUTDOWN:
                return SERVER_SHUTDOWN;
        case UNIT_JOB_REFUSED:
        case UNIT_JOB_DENIED:
        case UNIT_JOB_CANCELED:
                return SERVER_UNKNOWN;
        default:
                return SERVER_FAILED;
        }
}

static void on_started(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        ServerCall *c = userdata;
        ServerAnswer answer = answer_of(result);
        char why[512];

        /* Also where it failed: systemd may be trying again by itself (Restart=), which has to be ended, too. */
        c->started = c->was_off && result != UNIT_JOB_REFUSED && result != UNIT_JOB_DENIED;
        if (result == UNIT_JOB_DONE) {
                c->unit_call = unit_call_free(c->unit_call);
                /* Once more, for its new invocation id; a unit that a condition kept from starting shows there too. */
                look_at_unit(c);
                return;
        }
        snprintf(why, sizeof(why), "%s did not start (%s). %s%sSee 'systemctl status %s'.",
                 c->manager->config->server_unit, unit_job_result_to_string(result), error ?: "", error ? ". " : "",
                 c->manager->config->server_unit);
        c->unit_call = unit_call_free(c->unit_call);
        finish(c, answer, why);
}

static void start_unit(ServerCall *c)
{
        Manager *m = c->manager;
        int r;

        c->asked = true;
        r = unit_client_job(m->units, m->config->server_unit, UNIT_START, m->config->server_start_timeout_usec,
                            on_started, c, &c->unit_call);
        if (r < 0)
                fail_errno(c, r, "start the local server");
}

static const char *how_to_get(const char *program)
{
        if (streq(strrchr(program, '/'), "/telegram-bot-api"))
                return "It is in no package of Debian: build it as https://github.com/tdlib/telegram-bot-api says and put it "
                       "there, see THE LOCAL SERVER in tgswitch(7).";
        return "Install what it belongs to, or correct ExecStart= of the unit.";
}

static void on_unit(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        ServerCall *c = userdata;
        const char *unit = c->manager->config->server_unit;
        _cleanup_free_ char *missing = NULL;
        UnitActiveState state;
        UnitLoadState load;
        char why[512];

        if (r >= 0 && info->missing_program && !(missing = strdup(info->missing_program)))
                r = -ENOMEM;
        if (r < 0) {
                c->unit_call = unit_call_free(c->unit_call);
                fail_errno(c, r, "look at the local server's unit");
                return;
        }
        state = info->active_state;
        load = info->load_state;
        memcpy(c->invocation, info->invocation_id, sizeof(c->invocation));
        memcpy(c->manager->server_invocation, info->invocation_id, sizeof(c->invocation));
        c->unit_call = unit_call_free(c->unit_call);

        if (load == UNIT_LOAD_MASKED) {
                snprintf(why, sizeof(why), "%s is masked: run 'systemctl unmask %s'.", unit, unit);
                finish(c, SERVER_FAILED, why);
        } else if (load != UNIT_LOAD_LOADED) {
                snprintf(why, sizeof(why),
                         "There is no usable unit %s (LocalServerUnit=). Install the local Bot API server and its unit, "
                         "see 'systemctl status %s'.",
                         unit, unit);
                finish(c, SERVER_FAILED, why);
        } else if (state == UNIT_ACTIVE || state == UNIT_RELOADING) {
                probe(c);
        } else if (missing && c->flags && c != c->manager->server_call) {
                snprintf(why, sizeof(why), "%s cannot run: its program %s is not there. %s", unit, missing,
                         how_to_get(missing));
                finish(c, SERVER_FAILED, why);
        } else if (!(c->flags & SERVER_START) ||
                   (c == c->manager->server_call && c->manager->counts.n_use_server == 0)) {
                snprintf(why, sizeof(why), "%s is not running; a cutover starts it.", unit);
                finish(c, SERVER_NOT_RUNNING, why);
        } else if (c->asked) {
                snprintf(why, sizeof(why),
                         "%s was started and is not running: a condition of the unit is not met (is its program "
                         "installed?), or it exited at once. See 'systemctl status %s'.",
                         unit, unit);
                finish(c, SERVER_FAILED, why);
        } else {
                c->was_off = !unit_active_state_may_run(state);
                start_unit(c);
        }
}

static void look_at_unit(ServerCall *c)
{
        int r;

        r = unit_client_get(c->manager->units, c->manager->config->server_unit, on_unit, c, &c->unit_call);
        if (r < 0)
                fail_errno(c, r, "look at the local server's unit");
}

/* By what systemd has told us unasked, which saves the largest of all questions. Not where a bot is to leave the
 * server: which process locks it out is to be known for sure. Nor where it is only asked how the server is. */
static bool runs_as_far_as_known(const ServerCall *c)
{
        static const uint8_t unknown[16];
        const Manager *m = c->manager;

        return (c->flags & SERVER_START) && (c->flags & SERVER_LOGIN_PROBE) && server_is_up(m) && !m->server_look &&
               memcmp(m->server_invocation, unknown, sizeof(unknown)) != 0;
}

static void on_begin(void *userdata)
{
        ServerCall *c = userdata;

        c->timer = clock_timer_free(c->timer);
        if (!runs_as_far_as_known(c)) {
                look_at_unit(c);
                return;
        }
        /* Where nobody answers, the unit is looked at after all. */
        memcpy(c->invocation, c->manager->server_invocation, sizeof(c->invocation));
        probe(c);
}

int server_call(Manager *m, unsigned flags, server_handler_t handler, void *userdata, ServerCall **ret)
{
        ServerCall *c;
        int r;

        c = calloc(1, sizeof(ServerCall));
        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->flags = flags;
        c->handler = handler;
        c->userdata = userdata;
        c->wait_usec = PROBE_FIRST_USEC;
        c->deadline_usec = usec_add(clock_boottime_usec(), m->config->server_start_timeout_usec);

        /* From the loop, so that the handler is never called from within this function. */
        r = clock_timer_new(&c->timer, m->event, 0, on_begin, c);
        if (r < 0) {
                server_call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

bool server_waits_for_boot(Bot *b, ServerAnswer answer)
{
        if (answer != SERVER_SHUTDOWN)
                return false;
        bot_set_error(b, "The host is shutting down: the cutover goes on at the next boot.");
        return true;
}

/* Whether anything answers there at all: nobody's token, so nobody is logged in. */
int probe_cloud(Manager *m, botapi_reply_handler_t handler, void *userdata, BotApiCall **ret)
{
        BotApiRequest request = {
                .root = m->config->cloud_root,
                .method = BOTAPI_GET_ME,
                .tag = SEAT_CLOUD,
                .count = metrics_replies(&m->metrics, SEAT_CLOUD, BOTAPI_GET_ME),
        };

        return botapi_call(m->api, &request, NULL, handler, userdata, ret);
}

static void on_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Manager *m = userdata;

        if (r >= 0)
                memcpy(m->server_invocation, info->invocation_id, sizeof(m->server_invocation));
        m->server_look = unit_call_free(m->server_look);
        /* A lock of the process before this one may be gone. */
        for (size_t i = 0; i < m->n_bots; i++)
                bot_window_watch(m->bots[i]);
        manager_schedule(m);
}

/* For the bots that are logged in there: with Fallback=manual nobody else will say it. */
static void complain_of_server(Manager *m)
{
        free(m->server_complaint);
        m->server_complaint = NULL;
        if ((m->server_state == UNIT_FAILED || m->server_state == UNIT_INACTIVE) &&
            asprintf(&m->server_complaint,
                     "The bot is logged in at the local server, and %s does not run (%s): see 'systemctl status %s' and "
                     "start it, or move the bot with 'tgswitchctl switch cloud'.",
                     m->config->server_unit, unit_active_state_to_string(m->server_state), m->config->server_unit) < 0)
                m->server_complaint = NULL;
        for (size_t i = 0; i < m->n_bots; i++)
                if (m->bots[i]->record.seat == SEAT_LOCAL)
                        bot_changed(m->bots[i]);
}

static void on_watch(UnitCall *call, UnitActiveState active, const char *sub_state, void *userdata)
{
        Manager *m = userdata;

        if (m->server_state == active)
                return;
        m->server_state = active;
        complain_of_server(m);
        m->server_look = unit_call_free(m->server_look);
        if (unit_client_get(m->units, m->config->server_unit, on_looked, m, &m->server_look) < 0)
                log_warning("Failed to look at %s, ignoring: 'systemctl status %s' shows how it is.",
                            m->config->server_unit, m->config->server_unit);
        manager_watch_soon(m);
        manager_status_changed(m);
        if (m->observer)
                m->observer->manager_changed(m, m->observer->userdata);
}

int server_watch(Manager *m)
{
        m->server_watch = unit_call_free(m->server_watch);
        return unit_client_watch(m->units, m->config->server_unit, on_watch, m, &m->server_watch);
}

bool server_is_up(const Manager *m)
{
        return m->server_state == UNIT_ACTIVE;
}

const char *manager_local_server_state(const Manager *m)
{
        return unit_active_state_to_string(m->server_state);
}

bool server_has_forgotten(const Bot *b)
{
        const Manager *m = b->manager;
        static const uint8_t unknown[16];

        if (m->server_state == UNIT_INACTIVE || m->server_state == UNIT_FAILED)
                return true;
        return memcmp(m->server_invocation, unknown, sizeof(unknown)) != 0 &&
               memcmp(m->server_invocation, b->record.local_window_server, sizeof(unknown)) != 0;
}

bool bot_uses_server(const Bot *b)
{
        return b->record.seat == SEAT_LOCAL || b->record.stale ||
               (bot_job_running(b) && b->record.state != CUTOVER_QUEUED && b->record.job.target == SEAT_LOCAL &&
                b->record.job.result == JOB_RESULT_NONE);
}

/* What is on record is stopped once more by the next process, which somebody may have started it for by then. A job
 * that has begun meanwhile writes its own steps. */
static void released(Bot *b)
{
        if (!bot_job_running(b))
                bot_record_aside(b);
}

static void on_done_with(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        Bot *b = userdata;

        if (result != UNIT_JOB_DONE)
                bot_log(b, LOG_WARNING, "Failed to stop %s, which no bot needs any more (%s), ignoring.%s%s",
                        b->manager->config->server_unit, unit_job_result_to_string(result), error ? " " : "",
                        error ?: "");
        b->release_call = unit_call_free(b->release_call);
        released(b);
}

/* Where this bot's job had started the unit and is over without having moved there, or the bot has just left it. */
void server_note_release(Bot *b)
{
        if (b->manager->config->stop_when_unused && b->record.seat == SEAT_CLOUD && b->record.job.target == SEAT_CLOUD)
                b->record.server_started = true;
}

/* Whoever is on the way there has to put it back then. */
static void hand_over_stop(Bot *b)
{
        const BotList *l = &b->manager->counts.with_job;

        for (size_t i = 0; i < l->n; i++) {
                Bot *other = l->bots[i];

                if (other == b || other->record.server_started || !bot_uses_server(other))
                        continue;
                other->record.server_started = true;
                bot_record_aside(other);
        }
}

/* A unit that does not run is left alone: the stop of it would stop those that require it. */
static void on_release_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Bot *b = userdata;
        Manager *m = b->manager;
        bool runs = r < 0 || unit_active_state_may_run(info->active_state) || info->job_id != 0;

        b->release_call = unit_call_free(b->release_call);
        /* Somebody may have begun to use it meanwhile. */
        if (runs && m->counts.n_use_server > 0) {
                hand_over_stop(b);
                runs = false;
        }
        if (!runs) {
                released(b);
                return;
        }
        r = unit_client_job(m->units, m->config->server_unit, UNIT_STOP, 90 * USEC_PER_SEC, on_done_with, b,
                            &b->release_call);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to stop %s, ignoring: %m", m->config->server_unit);
}

void server_release(Bot *b)
{
        Manager *m = b->manager;
        int r;

        if (!b->record.server_started)
                return;
        b->record.server_started = false;
        if (m->counts.n_use_server > 0) {
                hand_over_stop(b);
                released(b);
                return;
        }
        b->release_call = unit_call_free(b->release_call);
        r = unit_client_get(m->units, m->config->server_unit, on_release_looked, b, &b->release_call);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to look at %s, ignoring: %m", m->config->server_unit);
}

static void on_used(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        Manager *m = userdata;

        if (answer != SERVER_READY && answer != SERVER_NOT_RUNNING)
                log_event(LOG_ERR, LOG_EVENT_SERVER_DEAD, m->config->server_unit,
                          "Bots live at the local server, but it cannot be used. %s", why);
        m->server_call = server_call_free(m->server_call);
        /* Also where it is dead: a worker that finds nobody there says so in its own words, and the bot's seat is
         * settled all the same. */
        gate_reconsider_all(m);
}

void server_start_if_used(Manager *m)
{
        bool used = false;
        int r;

        for (size_t i = 0; i < m->n_bots; i++) {
                Bot *b = m->bots[i];
                Seat seat = bot_seat(b);

                used = used || seat == SEAT_LOCAL || (seat == SEAT_NONE && b->record.job.target == SEAT_LOCAL);
                if (b->record_ok && b->record.state == CUTOVER_SETTLED && b->record.server_started)
                        server_release(b);
        }
        if (!used)
                return;
        r = server_call(m, SERVER_START, on_used, m, &m->server_call);
        if (r < 0)
                log_warning_errno(r, "Failed to look after the local server, ignoring: %m");
}
