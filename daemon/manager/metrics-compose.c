/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "core/metrics-text.h"
#include "manager/bot.h"

/* The text of tgswitch-metrics(7). Names of bots and units, which the administrator has chosen, are all that is in it
 * of words that are not ours: no error text, no URL, nothing that a server has said. */

static const Seat servers[] = { SEAT_CLOUD, SEAT_LOCAL };

/* ---- this process ---- */

static void put_process(MetricsText *t, const Manager *m)
{
        metrics_text_family(t, "tgswitch_up", METRICS_GAUGE, "Whether tgswitchd answered.");
        metrics_text_number(t, "tgswitch_up", METRICS_NO_LABELS, 1);
        metrics_text_family(t, "tgswitch_build_info", METRICS_GAUGE, "The version of tgswitchd; always 1.");
        metrics_text_number(t, "tgswitch_build_info", METRICS_LABELS("version", VERSION), 1);
        metrics_text_family(t, "tgswitch_start_time_seconds", METRICS_GAUGE,
                            "When this process began, and with it all counters.");
        metrics_text_seconds(t, "tgswitch_start_time_seconds", METRICS_NO_LABELS, m->metrics.started_usec);
}

static void put_jobs(MetricsText *t, const Manager *m)
{
        size_t n_queued = 0, n_moving = 0;

        for (size_t i = 0; i < m->n_bots; i++) {
                n_queued += m->bots[i]->record.state == CUTOVER_QUEUED;
                n_moving += bot_job_running(m->bots[i]) && m->bots[i]->record.state != CUTOVER_QUEUED;
        }
        metrics_text_family(t, "tgswitch_jobs", METRICS_GAUGE, "Jobs under way, by whether they have begun to move.");
        metrics_text_number(t, "tgswitch_jobs", METRICS_LABELS("state", "queued"), n_queued);
        metrics_text_number(t, "tgswitch_jobs", METRICS_LABELS("state", "moving"), n_moving);
}

static void put_server(MetricsText *t, const Manager *m)
{
        metrics_text_family(t, "tgswitch_local_server_active", METRICS_GAUGE,
                            "Whether the unit of the local server is active.");
        metrics_text_number(t, "tgswitch_local_server_active", METRICS_NO_LABELS,
                            m->server_state == UNIT_ACTIVE || m->server_state == UNIT_RELOADING);
        /* What was seen when somebody still looked says nothing of now. */
        if (!m->watch_timer && !m->watch_call)
                return;
        metrics_text_family(t, "tgswitch_local_server_answering", METRICS_GAUGE,
                            "Whether the local server answered when it was last asked; absent while no bot depends on "
                            "it.");
        metrics_text_number(t, "tgswitch_local_server_answering", METRICS_NO_LABELS, m->health.bad_since_usec == 0);
}

/* ---- what was counted ---- */

/* Those that there are, and of each method the number of successes: a rate needs a zero to begin with. */
static void put_replies(MetricsText *t, const Manager *m)
{
        const char *name = "tgswitch_api_requests_total";

        metrics_text_family(t, name, METRICS_COUNTER, "Requests to Bot API servers, by how they ended.");
        FOREACH_ELEMENT(server, servers)
                for (BotApiMethod method = 0; method < BOTAPI_METHOD_MAX; method++)
                        for (size_t i = 0; i < REPLY_CODE_MAX; i++) {
                                const ReplyCount *c = *server == SEAT_CLOUD ? m->metrics.cloud_replies
                                                                            : m->metrics.local_replies;
                                /* Which others there are, a web server says. */
                                const char *called = method == BOTAPI_NAMED ? "other" : botapi_method_to_string(method);

                                if (i > 0 && c[method].n[i] == 0)
                                        continue;
                                metrics_text_number(t, name,
                                                    METRICS_LABELS("endpoint", seat_to_string(*server), "method",
                                                                   called, "code", reply_code_to_string(i)),
                                                    c[method].n[i]);
                        }
}

static void put_switches(MetricsText *t, const Manager *m)
{
        const char *name = "tgswitch_switches_total";

        metrics_text_family(t, name, METRICS_COUNTER,
                            "Jobs that have ended; from and to are the same where only a stale session was to be "
                            "ended.");
        FOREACH_ELEMENT(from, servers)
                FOREACH_ELEMENT(to, servers)
                        for (JobResult result = JOB_RESULT_DONE; result < JOB_RESULT_MAX; result++) {
                                /* The cloud leaves no stale session behind. */
                                if (*from == SEAT_LOCAL && *to == SEAT_LOCAL &&
                                    m->metrics.switches[*from][*to][result] == 0)
                                        continue;
                                metrics_text_number(t, name,
                                                    METRICS_LABELS("from", seat_to_string(*from), "to",
                                                                   seat_to_string(*to), "result",
                                                                   job_result_to_string(result)),
                                                    m->metrics.switches[*from][*to][result]);
                        }

        name = "tgswitch_switched_updates_total";
        metrics_text_family(t, name, METRICS_COUNTER,
                            "Updates that were pending when a bot was moved, by what became of them.");
        metrics_text_number(t, name, METRICS_LABELS("way", "drained"), m->metrics.drained);
        metrics_text_number(t, name, METRICS_LABELS("way", "spooled"), m->metrics.spooled);
        metrics_text_number(t, name, METRICS_LABELS("way", "handed-over"), m->metrics.handed_over);
}

static void put_histogram(MetricsText *t, const char *name, const char *help, const Histogram *by_target)
{
        metrics_text_family(t, name, METRICS_HISTOGRAM, help);
        FOREACH_ELEMENT(to, servers)
                metrics_text_histogram(t, name, METRICS_LABELS("to", seat_to_string(*to)), &by_target[*to]);
}

static void put_counted(MetricsText *t, const Manager *m)
{
        put_replies(t, m);
        put_switches(t, m);
        put_histogram(t, "tgswitch_switch_duration_seconds",
                      "How long bots that were moved took from the first check to the end.", m->metrics.duration);
        put_histogram(t, "tgswitch_blind_seconds",
                      "How long they were logged in nowhere, so that an update was lost if it came.", m->metrics.blind);
        put_histogram(t, "tgswitch_downtime_seconds", "How long their workers were stopped.", m->metrics.downtime);
}

/* ---- each bot ---- */

typedef enum ValueKind {
        VALUE_NUMBER,
        VALUE_SECONDS,
} ValueKind;

static uint64_t is_ready(const Bot *b)
{
        return b->record_ok && b->token && !b->config_error;
}

static uint64_t has_error(const Bot *b)
{
        return !isempty(bot_last_error(b));
}

static uint64_t has_stale_session(const Bot *b)
{
        return bot_stale_session(b);
}

static uint64_t is_untaken(const Bot *b)
{
        return b->intake_blamed || b->intake_failed;
}

static uint64_t is_held(const Bot *b)
{
        return bot_is_held(b);
}

/* The end of a window is computed of two clocks each time, and differs by a microsecond now and then: a value that
 * changes costs Prometheus more than one that stays. Up, since it is not before. */
static usec_t whole_seconds(usec_t usec)
{
        if (usec > USEC_INFINITY - USEC_PER_SEC)
                return usec;
        return (usec + USEC_PER_SEC - 1) / USEC_PER_SEC * USEC_PER_SEC;
}

static uint64_t cloud_return(const Bot *b)
{
        return whole_seconds(bot_cloud_allowed_usec(b));
}

static uint64_t local_return(const Bot *b)
{
        return whole_seconds(bot_local_allowed_usec(b));
}

static uint64_t job_started(const Bot *b)
{
        return bot_job_running(b) ? b->record.job.started_usec : 0;
}

static uint64_t phase_started(const Bot *b)
{
        return bot_job_running(b) ? b->record.job.phase_started_usec : 0;
}

static uint64_t last_switch(const Bot *b)
{
        return b->record.job.result == JOB_RESULT_NONE ? 0 : b->record.job.ended_usec;
}

static uint64_t last_blind(const Bot *b)
{
        return b->record.job.blind_usec;
}

static uint64_t last_downtime(const Bot *b)
{
        return b->record.job.downtime_usec;
}

static const struct {
        const char *name, *help;
        ValueKind kind;
        uint64_t (*get)(const Bot *b);
} bot_values[] = {
        { "tgswitch_bot_ready", "Whether the bot has a token, a record that can be read, and a valid configuration.",
          VALUE_NUMBER, is_ready },
        { "tgswitch_bot_error", "Whether something is wrong with the bot; tgswitchctl status says what.", VALUE_NUMBER,
          has_error },
        { "tgswitch_bot_job_start_timestamp_seconds", "When the job that is under way was asked for; 0 without one.",
          VALUE_SECONDS, job_started },
        { "tgswitch_bot_phase_start_timestamp_seconds", "When the present phase of that job began; 0 without one.",
          VALUE_SECONDS, phase_started },
        { "tgswitch_bot_logged_out_timestamp_seconds", "When the bot was last logged out of the cloud; 0: never.",
          VALUE_SECONDS, bot_logged_out_usec },
        { "tgswitch_bot_cloud_return_timestamp_seconds",
          "When the cloud takes the bot again; 0: now, +Inf: that is not known.", VALUE_SECONDS, cloud_return },
        { "tgswitch_bot_local_return_timestamp_seconds", "The same for the local server.", VALUE_SECONDS,
          local_return },
        { "tgswitch_bot_stale_session", "Whether the local server was left without a logOut and holds a session.",
          VALUE_NUMBER, has_stale_session },
        { "tgswitch_bot_pending_updates", "Updates that were pending at the bot's server when it was last asked.",
          VALUE_NUMBER, bot_pending_updates },
        { "tgswitch_bot_pending_updates_timestamp_seconds", "When that was; 0: never.", VALUE_SECONDS,
          bot_pending_updates_usec },
        { "tgswitch_bot_updates_untaken", "Whether updates are pending and nobody takes them.", VALUE_NUMBER,
          is_untaken },
        { "tgswitch_bot_spooled_updates", "Updates that tgswitchd keeps for the bot's workers.", VALUE_NUMBER,
          bot_spooled_updates },
        { "tgswitch_held", "Whether the bot is kept from moving by itself.", VALUE_NUMBER, is_held },
        { "tgswitch_held_until_timestamp_seconds", "Until when; 0: it is not held, +Inf: until it is released.",
          VALUE_SECONDS, bot_held_until_usec },
        { "tgswitch_last_switch_timestamp_seconds", "When the bot's last job ended; 0: never yet, or one is under way.",
          VALUE_SECONDS, last_switch },
        { "tgswitch_last_switch_blind_seconds",
          "How long the bot was logged in nowhere in its last job, or in the one under way; 0: not known.",
          VALUE_SECONDS, last_blind },
        { "tgswitch_last_switch_downtime_seconds", "How long its workers were stopped in that job; 0: not known.",
          VALUE_SECONDS, last_downtime },
};

static void put_bot_values(MetricsText *t, const Manager *m)
{
        FOREACH_ELEMENT(v, bot_values) {
                metrics_text_family(t, v->name, METRICS_GAUGE, v->help);
                for (size_t i = 0; i < m->n_bots; i++) {
                        const Bot *b = m->bots[i];

                        if (v->kind == VALUE_SECONDS)
                                metrics_text_seconds(t, v->name, METRICS_LABELS("bot", b->name), v->get(b));
                        else
                                metrics_text_number(t, v->name, METRICS_LABELS("bot", b->name), v->get(b));
                }
        }
}

static void put_bot_info(MetricsText *t, const Manager *m)
{
        metrics_text_family(t, "tgswitch_bot_info", METRICS_GAUGE,
                            "The bot's id at Telegram, empty where it is not known; always 1.");
        for (size_t i = 0; i < m->n_bots; i++) {
                const Bot *b = m->bots[i];
                char id[24] = "";

                if (bot_id(b) != 0)
                        (void) snprintf(id, sizeof(id), "%" PRId64, bot_id(b));
                metrics_text_number(t, "tgswitch_bot_info", METRICS_LABELS("bot", b->name, "id", id), 1);
        }
}

/* One sample for each state that there could be, so that none comes or goes when it changes. */
static void put_bot_states(MetricsText *t, const Manager *m)
{
        const char *name = "tgswitch_bot_endpoint";

        metrics_text_family(t, name, METRICS_GAUGE, "Whether the bot is logged in there.");
        for (size_t i = 0; i < m->n_bots; i++)
                for (Seat seat = 0; seat < SEAT_MAX; seat++)
                        metrics_text_number(t, name,
                                            METRICS_LABELS("bot", m->bots[i]->name, "endpoint", seat_to_string(seat)),
                                            bot_seat(m->bots[i]) == seat);

        name = "tgswitch_bot_target";
        metrics_text_family(t, name, METRICS_GAUGE, "Whether a job is under way that takes the bot there.");
        for (size_t i = 0; i < m->n_bots; i++)
                FOREACH_ELEMENT(to, servers)
                        metrics_text_number(t, name,
                                            METRICS_LABELS("bot", m->bots[i]->name, "endpoint", seat_to_string(*to)),
                                            bot_target(m->bots[i]) == *to);

        name = "tgswitch_last_switch_result";
        metrics_text_family(t, name, METRICS_GAUGE, "Whether the bot's last job ended like this; none while one runs.");
        for (size_t i = 0; i < m->n_bots; i++)
                for (JobResult result = JOB_RESULT_DONE; result < JOB_RESULT_MAX; result++)
                        metrics_text_number(
                                        t, name,
                                        METRICS_LABELS("bot", m->bots[i]->name, "result", job_result_to_string(result)),
                                        m->bots[i]->record.job.result == result);
}

/* ---- workers ---- */

static const UnitRow *find_row(const UnitRow *rows, size_t n_rows, const char *name)
{
        for (size_t low = 0, high = n_rows; low < high;) {
                size_t middle = low + (high - low) / 2;
                int c = strcmp(name, rows[middle].name);

                if (c == 0)
                        return rows + middle;
                if (c < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

static void put_worker(MetricsText *t, const Bot *b, const char *unit, const UnitRow *row)
{
        bool active = row && (row->active_state == UNIT_ACTIVE || row->active_state == UNIT_RELOADING);

        metrics_text_number(t, "tgswitch_worker_active", METRICS_LABELS("bot", b->name, "unit", unit), active);
}

/* Of a unit that two of a bot's patterns match there is one sample. */
static bool is_told_already(const Bot *b, char *const *pattern, const char *unit)
{
        for (char *const *before = b->config->workers; before < pattern; before++)
                if (unit_name_matches(*before, unit))
                        return true;
        return false;
}

static void put_matching(MetricsText *t, const Bot *b, char *const *pattern, const UnitRow *rows, size_t n_rows)
{
        /* What differs before the first asterisk need not be looked at as a pattern, which takes its time. */
        size_t n_literal = strcspn(*pattern, "*?[");

        for (size_t i = 0; i < n_rows; i++)
                if (strncmp(rows[i].name, *pattern, n_literal) == 0 && rows[i].load_state != UNIT_LOAD_NOT_FOUND &&
                    unit_name_matches(*pattern, rows[i].name) && !is_told_already(b, pattern, rows[i].name))
                        put_worker(t, b, rows[i].name, rows + i);
}

static void put_workers_of(MetricsText *t, const Bot *b, const UnitRow *rows, size_t n_rows)
{
        for (char *const *worker = bot_workers(b); worker && *worker; worker++)
                if (unit_name_is_glob(*worker))
                        put_matching(t, b, worker, rows, n_rows);
                else if (!is_told_already(b, worker, *worker))
                        put_worker(t, b, *worker, find_row(rows, n_rows, *worker));
}

static void put_workers(MetricsText *t, const Manager *m, const UnitRow *rows, size_t n_rows)
{
        if (!rows)
                return;
        metrics_text_family(t, "tgswitch_worker_active", METRICS_GAUGE,
                            "Whether systemd has the worker active; of patterns, those units that are loaded.");
        for (size_t i = 0; i < m->n_bots; i++)
                put_workers_of(t, m->bots[i], rows, n_rows);
}

char *metrics_compose(const Manager *m, const UnitRow *rows, size_t n_rows)
{
        MetricsText t = {};

        put_process(&t, m);
        put_jobs(&t, m);
        put_server(&t, m);
        put_counted(&t, m);
        put_bot_info(&t, m);
        put_bot_values(&t, m);
        put_bot_states(&t, m);
        put_workers(&t, m, rows, n_rows);
        return metrics_text_finish(&t);
}
