/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/log.h"
#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* Moves that nobody asks for: away from a local server that stays dead (Fallback=auto), and the end of the session that
 * such a server still holds, once it is back. The server is only asked where a bot depends on the answer. */

/* So long at most a server that was bad has to be good without a break. */
#define STABLE_USEC (30 * USEC_PER_SEC)
/* So long an automatic move that did not come about is not begun again. */
#define AGAIN_USEC (60 * USEC_PER_SEC)
/* So often a webhook bot's deliveries are looked at. */
#define WEBHOOK_USEC (30 * USEC_PER_SEC)
/* A delivery that fails may be the fault of the web server, whom a move would not help: it is given more time. */
#define WEBHOOK_GRACES 5
#define FALLBACK       "fallback: "
#define FOR_WEBHOOK    "the local server cannot deliver to the webhook"

static bool is_idle(const Bot *b)
{
        return b->record_ok && b->token && b->config && b->record.state == CUTOVER_SETTLED && !b->saving &&
               b->n_events == 0 && b->n_checks == 0;
}

bool bot_may_fall_back(const Bot *b)
{
        return b->config && b->config->fallback == FALLBACK_AUTO && !bot_is_held(b);
}

/* The job takes the bot back since the server is dead, and has not begun. */
static bool waits_to_fall_back(const Bot *b)
{
        return b->record.state == CUTOVER_QUEUED && b->record.job.automatic && b->record.seat == SEAT_LOCAL &&
               b->record.job.target == SEAT_CLOUD;
}

/* Since its webhook gets nothing, of which nothing is seen while the job waits: that the server is well proves nothing.
 * The record has the reason, and so has the process after this one. */
static bool waits_for_webhook(const Bot *b)
{
        return waits_to_fall_back(b) && streq_ptr(b->record.job.reason, FALLBACK FOR_WEBHOOK);
}

bool bot_needs_watch(const Bot *b)
{
        if (!b->record_ok || !b->token)
                return false;
        if (b->record.stale || waits_to_fall_back(b))
                return true;
        /* Also while it is held for a time: nobody tells when that is over. */
        return b->record.seat == SEAT_LOCAL && b->config && b->config->fallback == FALLBACK_AUTO &&
               b->record.held_until_usec != USEC_INFINITY &&
               (b->record.state == CUTOVER_SETTLED || b->record.state == CUTOVER_RESTORE_WEBHOOK ||
                cutover_facts(b->record.state)->place == CUTOVER_AT_UNKNOWN);
}

bool bot_gives_up_source(const Bot *b)
{
        return b->record.state == CUTOVER_LOG_OUT_UNKNOWN && b->record.seat == SEAT_LOCAL && bot_may_fall_back(b) &&
               health_is_dead(&b->manager->health, clock_boottime_usec(), b->config->fallback_grace_usec);
}

bool bot_falls_back(const Bot *b)
{
        const Record *r = &b->record;

        if (r->job.target != SEAT_LOCAL || !bot_may_fall_back(b) || bot_window_left(b, SEAT_CLOUD) > 0 ||
            manager_pace_left(b->manager) > 0)
                return false;
        if (r->state == CUTOVER_LOG_IN)
                return r->seat == SEAT_CLOUD;
        /* Logged in there by now: a server that lives has to be asked to log the bot out. */
        return r->state == CUTOVER_RESTORE_WEBHOOK &&
               health_is_dead(&b->manager->health, clock_boottime_usec(), b->config->fallback_grace_usec);
}

/* ---- a webhook that gets nothing ---- */

static void on_webhook_info(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Bot *b = userdata;
        WebhookInfo info = {};
        bool failed_since;

        if (botapi_webhook_info(reply, &info) >= 0) {
                failed_since = info.last_error_usec > b->webhook_error_usec &&
                               info.last_error_usec > b->record.logged_in.realtime_usec;
                health_note(&b->webhook_health, !(failed_since && info.pending_update_count > 0), clock_boottime_usec(),
                            2 * WEBHOOK_USEC);
                b->webhook_error_usec = MAX(b->webhook_error_usec, info.last_error_usec);
                b->pending_updates = info.pending_update_count;
                b->pending_updates_usec = clock_realtime_usec();
                /* If the server dies, nobody is left who could tell. */
                if (bot_remember_webhook(b, &info.settings) > 0) {
                        bot_record_aside(b);
                        delivery_go_on(b);
                }
                webhook_info_done(&info);
        }
        b->webhook_call = botapi_call_free(b->webhook_call);
}

static void look_at_webhook(Bot *b)
{
        usec_t now = clock_boottime_usec();
        int r;

        if (b->webhook_call || now < b->webhook_due_usec || (b->webhook_seen && isempty(b->record.webhook.url)))
                return;
        b->webhook_due_usec = usec_add(now, WEBHOOK_USEC);
        r = bot_call(b, SEAT_LOCAL, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_webhook_info, b, &b->webhook_call);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to look at the webhook, ignoring: %m");
}

void bot_watch_cancel(Bot *b)
{
        intake_watch_cancel(b);
        b->webhook_call = botapi_call_free(b->webhook_call);
        /* What was seen before a move says nothing of after it. */
        b->webhook_health = (Health){};
        b->webhook_blamed = false;
}

/* ---- what follows from an answer ---- */

/* Returns whether it was begun. */
static bool begin(Bot *b, usec_t *due_usec, const char *reason)
{
        int r;

        if (clock_boottime_usec() < *due_usec)
                return false;
        *due_usec = usec_add(clock_boottime_usec(), AGAIN_USEC);
        r = bot_begin_automatic(b, SEAT_CLOUD, reason);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r, "Failed to begin a move by itself, it is tried again: %m");
        return r >= 0;
}

static void fall_back(Bot *b, const char *why)
{
        char reason[64];

        snprintf(reason, sizeof(reason), FALLBACK "%s", why);
        if (begin(b, &b->automatic_due_usec, reason))
                bot_log_event(b, LOG_WARNING, LOG_EVENT_FALLBACK_BEGUN, "Goes back to the cloud by itself: %s.", why);
}

/* The web server may be back before the cloud takes the bot: until then it is looked at, and no job waits. */
static void wait_for_webhook(Bot *b, usec_t left)
{
        char when[WHEN_MAX];

        if (!b->webhook_blamed)
                bot_log(b, LOG_WARNING,
                        "The local server cannot deliver to the webhook; see whether the bot's web server is up. Where "
                        "that lasts, the bot goes back to the cloud by itself, which does not take it before %s.",
                        format_clock(when, left));
        b->webhook_blamed = true;
        look_at_webhook(b);
}

static void consider_fallback(Bot *b)
{
        usec_t now = clock_boottime_usec(), grace = b->config->fallback_grace_usec;
        usec_t left = bot_window_left(b, SEAT_CLOUD);

        if (health_is_dead(&b->manager->health, now, grace))
                fall_back(b, "the local server is dead");
        else if (!health_is_dead(&b->webhook_health, now, WEBHOOK_GRACES * grace)) {
                b->webhook_blamed = b->webhook_blamed && !health_is_well(&b->webhook_health);
                look_at_webhook(b);
        } else if (left > 0)
                wait_for_webhook(b, left);
        else
                fall_back(b, FOR_WEBHOOK);
}

static void consider(Bot *b, bool good)
{
        if (waits_to_fall_back(b) && health_is_well(&b->manager->health) && !waits_for_webhook(b)) {
                bot_set_error(b, "The local server is well again, so the bot stays there.");
                bot_post(b, CUTOVER_CALLED_OFF);
        }
        if (!is_idle(b))
                return;
        if (b->record.stale && good)
                (void) begin(b, &b->stale_due_usec, "the local server still holds a session of the bot");
        else if (b->record.seat == SEAT_LOCAL && bot_may_fall_back(b) && !b->config_error)
                consider_fallback(b);
}

/* Less than any bot's grace, or two short breaks within it would pass for one long one. */
static usec_t stable_usec(const Manager *m)
{
        usec_t stable = STABLE_USEC;

        for (size_t i = 0; i < m->n_bots; i++)
                if (m->bots[i]->config && m->bots[i]->config->fallback == FALLBACK_AUTO)
                        stable = MIN(stable, m->bots[i]->config->fallback_grace_usec / 2);
        return stable;
}

static void on_answer(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        Manager *m = userdata;
        usec_t now = clock_boottime_usec();
        bool good = answer == SERVER_READY, was_bad = !health_is_well(&m->health);

        if (answer == SERVER_UNKNOWN || answer == SERVER_SHUTDOWN) {
                m->watch_call = server_call_free(m->watch_call);
                manager_watch(m);
                return;
        }
        health_note(&m->health, good, now, stable_usec(m));
        if (!good && !was_bad)
                log_event(LOG_WARNING, LOG_EVENT_SERVER_DEAD, m->config->server_unit,
                          "The local server does not answer. %s", why);
        else if (was_bad && health_is_well(&m->health))
                log_event(LOG_NOTICE, LOG_EVENT_SERVER_WELL, m->config->server_unit, "The local server is well again.");
        m->watch_call = server_call_free(m->watch_call);
        for (size_t i = 0; i < m->n_bots; i++)
                consider(m->bots[i], good);
        manager_watch(m);
}

static void on_timer(void *userdata)
{
        Manager *m = userdata;
        int r;

        m->watch_timer = clock_timer_free(m->watch_timer);
        r = server_call(m, 0, on_answer, m, &m->watch_call);
        if (r < 0) {
                log_error_errno(r, "Failed to ask the local server, it is tried again: %m");
                manager_watch(m);
        }
}

void manager_watch(Manager *m)
{
        int r;

        if (m->counts.n_need_watch == 0 || m->stopping) {
                m->watch_timer = clock_timer_free(m->watch_timer);
                /* What was seen before nobody looked says nothing of later. */
                m->health = (Health){};
                return;
        }
        if (m->watch_timer || m->watch_call)
                return;
        r = clock_timer_new(&m->watch_timer, m->event, m->config->server_probe_usec, on_timer, m);
        if (r < 0)
                /* Nobody would notice that it is dead; a restart watches it. */
                sd_event_exit(m->event, log_error_errno(r, "Failed to arm a timer, giving up: %m"));
}

void manager_watch_soon(Manager *m)
{
        m->watch_timer = clock_timer_free(m->watch_timer);
        manager_watch(m);
        if (!m->watch_timer)
                return;
        m->watch_timer = clock_timer_free(m->watch_timer);
        on_timer(m);
}
