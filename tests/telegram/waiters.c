/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "clock.h"
#include "waiters.h"

#define WAIT_DEFAULT_MSEC 30000

struct Waiters {
        sd_event *event;
        Ledger *ledger;
        const Tally *tally;
        const Truth *truth;
        struct Waiter *first;
};

/* A GET /wait or GET /quiet that is not answered yet. */
typedef struct Waiter {
        struct Waiter *next;
        Waiters *home;
        HttpRequest *request;
        bool quiet, without_local;
        json_object *filter;
        int64_t n_left;
        sd_event_source *timer;
} Waiter;

static bool entry_matches(json_object *entry, json_object *filter)
{
        static const char *const keys[] = { "event", "role", "bot",  "method", "name", "unit",       "root",
                                            "from",  "kind", "code", "uid",    "req",  "description" };

        FOREACH_ELEMENT(key, keys) {
                const char *wanted = json_get_text(filter, *key), *value = json_get_text(entry, *key);

                if (wanted && (!value || strcasecmp(wanted, value) != 0))
                        return false;
        }
        return true;
}

void waiters_reply_ledger(Waiters *waiters, HttpRequest *request)
{
        json_object *filter = http_request_arguments(request);
        int64_t since = json_get_int(filter, "since", 0);
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);

        assert(stream);
        for (size_t i = since > 0 ? (size_t) since : 0; i < ledger_size(waiters->ledger); i++) {
                const char *line = ledger_line(waiters->ledger, i);
                _cleanup_json_ json_object *entry = json_parse(line, strlen(line));

                if (entry_matches(entry, filter))
                        fprintf(stream, "%s\n", line);
        }
        fclose(stream);
        http_request_reply_text(request, 200, "application/x-ndjson", text);
}

static void waiter_free(Waiter *waiter)
{
        for (Waiter **slot = &waiter->home->first; *slot; slot = &(*slot)->next)
                if (*slot == waiter) {
                        *slot = waiter->next;
                        break;
                }
        if (waiter->request)
                http_request_set_userdata(waiter->request, NULL);
        sd_event_source_disable_unref(waiter->timer);
        json_object_put(waiter->filter);
        free(waiter);
}

/* Returns true where the waiter was answered and freed. */
static bool waiter_offer(Waiter *waiter, json_object *entry)
{
        if (!entry_matches(entry, waiter->filter) || --waiter->n_left > 0)
                return false;
        http_request_reply_text(waiter->request, 200, "application/json", json_plain(entry));
        waiter_free(waiter);
        return true;
}

static int on_wait_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        Waiter *waiter = userdata;
        _cleanup_json_ json_object *body = json_object_new_object();

        if (waiter->quiet)
                json_set_int(body, "open", (int64_t) tally_open(waiter->home->tally, waiter->without_local));
        http_request_reply_text(waiter->request, 408, "application/json", json_plain(body));
        waiter_free(waiter);
        return 0;
}

static Waiter *waiter_new(Waiters *waiters, HttpRequest *request)
{
        json_object *arguments = http_request_arguments(request);
        int64_t timeout_msec = json_get_int(arguments, "timeout_ms", WAIT_DEFAULT_MSEC);
        Waiter *waiter = calloc(1, sizeof(*waiter));

        assert(waiter);
        *waiter = (Waiter){
                .next = waiters->first,
                .home = waiters,
                .request = request,
                .filter = json_object_get(arguments),
                .n_left = json_get_int(arguments, "count", 1),
        };
        waiters->first = waiter;
        http_request_set_userdata(request, waiter);
        if (sd_event_add_time_relative(waiters->event, &waiter->timer, CLOCK_MONOTONIC,
                                       (uint64_t) MAX(timeout_msec, INT64_C(0)) * USEC_PER_MSEC, 1, on_wait_over,
                                       waiter) < 0)
                abort();
        return waiter;
}

void waiters_add(Waiters *waiters, HttpRequest *request)
{
        Waiter *waiter = waiter_new(waiters, request);
        int64_t since = json_get_int(waiter->filter, "since", 0);

        for (size_t i = since > 0 ? (size_t) since : 0; i < ledger_size(waiters->ledger); i++) {
                const char *line = ledger_line(waiters->ledger, i);
                _cleanup_json_ json_object *entry = json_parse(line, strlen(line));

                if (waiter_offer(waiter, entry))
                        return;
        }
}

static bool is_quiet(const Waiters *waiters, bool without_local)
{
        return truth_injections(waiters->truth) == 0 && tally_open(waiters->tally, without_local) == 0;
}

void waiters_look_at_quiet(Waiters *waiters)
{
        for (Waiter *waiter = waiters->first, *next; waiter; waiter = next) {
                next = waiter->next;
                if (!waiter->quiet || !is_quiet(waiters, waiter->without_local))
                        continue;
                http_request_reply_text(waiter->request, 200, "application/json", "{}");
                waiter_free(waiter);
        }
}

void waiters_add_quiet(Waiters *waiters, HttpRequest *request)
{
        bool without_local = streq_ptr(json_get_text(http_request_arguments(request), "without"), "local");
        Waiter *waiter;

        if (is_quiet(waiters, without_local)) {
                http_request_reply_text(request, 200, "application/json", "{}");
                return;
        }
        waiter = waiter_new(waiters, request);
        waiter->quiet = true;
        waiter->without_local = without_local;
}

void waiters_offer(Waiters *waiters, json_object *entry)
{
        for (Waiter *waiter = waiters->first, *next; waiter; waiter = next) {
                next = waiter->next;
                if (!waiter->quiet)
                        (void) waiter_offer(waiter, entry);
        }
}

void waiters_forget(HttpRequest *request)
{
        Waiter *waiter = http_request_userdata(request);

        if (!waiter)
                return;
        waiter->request = NULL;
        waiter_free(waiter);
}

Waiters *waiters_new(sd_event *event, Ledger *ledger, const Tally *tally, const Truth *truth)
{
        Waiters *waiters = calloc(1, sizeof(*waiters));

        if (!waiters)
                return NULL;
        *waiters = (Waiters){ .event = sd_event_ref(event), .ledger = ledger, .tally = tally, .truth = truth };
        return waiters;
}

Waiters *waiters_free(Waiters *waiters)
{
        if (!waiters)
                return NULL;

        while (waiters->first)
                waiter_free(waiters->first);
        sd_event_unref(waiters->event);
        free(waiters);
        return NULL;
}
