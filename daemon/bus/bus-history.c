/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/strv.h"
#include "bus/bus-error.h"
#include "bus/bus-internal.h"
#include "bus/bus-keys.h"
#include "bus/bus-options.h"

/* GetHistory(): read from the disk, so answered later. */

typedef enum FilterKey {
        FILTER_BOTS,
        FILTER_LIMIT,
        FILTER_SINCE,
        FILTER_UNTIL,
        FILTER_TARGET,
        FILTER_RESULT,
        FILTER_MAX,
} FilterKey;

#define NAMES_MAX BUS_PATTERNS_MAX /* each is compared with each entry */

static const BusKey filters[FILTER_MAX] = {
        [FILTER_BOTS] = { "bots", "as", "names and patterns (type as)" },
        [FILTER_LIMIT] = { "limit", "u", "a number (type u)" },
        [FILTER_SINCE] = { "since", "t", "microseconds since 1970 (type t)" },
        [FILTER_UNTIL] = { "until", "t", "microseconds since 1970 (type t)" },
        [FILTER_TARGET] = { "target", "s", "a string" },
        [FILTER_RESULT] = { "result", "s", "a string" },
};

static int read_bots(sd_bus_message *message, const Manager *m, HistoryFilter *f, sd_bus_error *error)
{
        size_t n;
        int r;

        r = sd_bus_message_read_strv(message, &f->bots);
        if (r < 0)
                return r;
        n = strv_length(f->bots);
        if (n > NAMES_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The filter 'bots' takes at most %u names and patterns. Ask several times, or "
                                         "for all bots.",
                                         NAMES_MAX);
        f->found = calloc(n + 1, sizeof(bool));
        if (!f->found)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = bus_pattern_check(f->bots[i], error);
                if (r < 0)
                        return r;
                /* Or it was configured once: the history will tell. */
                f->found[i] = bus_pattern_select(m, f->bots[i], NULL);
        }
        if (n == 0)
                f->bots = strv_free(f->bots);
        return 0;
}

static int read_word(sd_bus_message *message, FilterKey key, HistoryFilter *f, sd_bus_error *error)
{
        const char *word;
        int r;

        r = sd_bus_message_read(message, "s", &word);
        if (r < 0)
                return r;
        if (key == FILTER_TARGET) {
                f->target = seat_from_string(word);
                if (f->target != SEAT_CLOUD && f->target != SEAT_LOCAL)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                                "The filter 'target' takes cloud or local.");
                return 0;
        }
        f->result = job_result_from_string(word);
        if (f->result <= JOB_RESULT_NONE)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "The filter 'result' takes done, failed or canceled.");
        return 0;
}

static int read_limit(sd_bus_message *message, HistoryFilter *f, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_read(message, "u", &f->limit);
        if (r < 0)
                return r;
        if (f->limit == 0 || f->limit > HISTORY_LIMIT_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The filter 'limit' takes 1 to %u.",
                                         HISTORY_LIMIT_MAX);
        return 0;
}

typedef struct FilterReader {
        const Manager *manager;
        HistoryFilter *filter;
} FilterReader;

static int read_value(sd_bus_message *message, size_t key, void *userdata, sd_bus_error *error)
{
        const FilterReader *reader = userdata;
        HistoryFilter *f = reader->filter;

        switch (key) {
        case FILTER_BOTS:
                return read_bots(message, reader->manager, f, error);
        case FILTER_LIMIT:
                return read_limit(message, f, error);
        case FILTER_SINCE:
                return sd_bus_message_read(message, "t", &f->since_usec);
        case FILTER_UNTIL:
                return sd_bus_message_read(message, "t", &f->until_usec);
        default:
                return read_word(message, (FilterKey) key, f, error);
        }
}

static int read_filter(sd_bus_message *message, const Manager *m, HistoryFilter *ret, sd_bus_error *error)
{
        static const BusKeys keys = {
                .what = "filter",
                .known = "bots, limit, since, until, target and result",
                .keys = filters,
                .n_keys = FILTER_MAX,
                .read_value = read_value,
        };
        _cleanup_(history_filter_done) HistoryFilter f;
        int r;

        history_filter_init(&f);
        r = bus_keys_read(message, &keys, &(FilterReader){ m, &f }, error);
        if (r < 0)
                return r;
        *ret = f;
        f = (HistoryFilter){};
        return 0;
}

static int check_filter(sd_bus_message *message, const Manager *m, sd_bus_error *error)
{
        _cleanup_(history_filter_done) HistoryFilter ignored = {};

        return read_filter(message, m, &ignored, error);
}

/* ---- the answer ---- */

static int append_phases(sd_bus_message *reply, const RecordJob *job)
{
        int r;

        r = sd_bus_message_append(reply, "s", "phases");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{st}");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{st}");
        for (JobPhase p = 0; p < JOB_PHASE_MAX && r >= 0; p++)
                if (job->phase_usec[p] > 0)
                        r = sd_bus_message_append(reply, "{st}", job_phase_to_string(p), job->phase_usec[p]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_entry(sd_bus_message *reply, const HistoryEntry *e)
{
        const RecordJob *job = &e->job;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "id", "u", job->id, "bot", "s",
                                  e->bot, "bot-id", "x", e->bot_id, "source", "s", seat_to_string(job->source),
                                  "target", "s", seat_to_string(job->wanted), "seat", "s", seat_to_string(e->seat),
                                  "result", "s", job_result_to_string(job->result), "automatic", "b",
                                  (int) job->automatic, "requester", "s", job->requester, "reason", "s", job->reason,
                                  "error", "s", job->error);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "started-usec", "t", job->started_usec,
                                  "ended-usec", "t", job->ended_usec, "pending-at-start", "t", job->pending_at_start,
                                  "drained", "t", job->drained, "spooled", "t", job->spooled, "handed-over", "t",
                                  job->handed_over, "blind-usec", "t", job->blind_usec, "downtime-usec", "t",
                                  job->downtime_usec);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = append_phases(reply, job);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int send_entries(sd_bus_message *message, const HistoryEntries *entries)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < entries->n && r >= 0; i++)
                r = append_entry(reply, entries->items + i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void on_history(int r, const HistoryFilter *filter, const HistoryEntries *entries, void *userdata)
{
        BusCall *call = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *unknown = r < 0 ? NULL : history_filter_unknown(filter);

        if (r < 0)
                r = sd_bus_error_setf(&error, BUS_ERROR_FAILED,
                                      "The history cannot be read: %s. Look after history.jsonl in the daemon's state "
                                      "directory; moves do not depend on it.",
                                      strerror(-r));
        else if (unknown)
                r = sd_bus_error_setf(&error, BUS_ERROR_NO_SUCH_BOT,
                                      "No bot is called or matches '%s', nor is one in the history; see 'tgswitchctl "
                                      "list'.",
                                      bus_word_show(unknown));
        else
                r = send_entries(call->message, entries);
        if (r < 0)
                bus_call_fail(call, r, &error);
        else
                bus_call_free(call);
}

static int get_history(BusCall *call, sd_bus_error *error)
{
        HistoryFilter filter;
        int r;

        r = read_filter(call->message, call->manager, &filter, error);
        if (r < 0)
                return r;
        r = manager_get_history(call->manager, &filter, on_history, call, &call->query);
        if (r < 0)
                return r;
        call->waits = true;
        return 0;
}

int bus_history_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const BusRequest request = {
                .check_arguments = check_filter,
                .handler = get_history,
                .for_everyone = true,
                .user_max = BUS_READS_USER_MAX,
        };
        BusService *s = userdata;

        return bus_call_begin(&s->calls, s->manager, m, &request, error);
}
