/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "clock.h"
#include "control.h"
#include "judge.h"
#include "tally.h"
#include "waiters.h"

/* A fault that ends by itself. */
typedef struct Expiry {
        struct Expiry *next;
        Control *control;
        int64_t fault;
        sd_event_source *timer;
} Expiry;

/* A worker that said it would keep its connection open while it lives. */
typedef struct Presence {
        struct Presence *next;
        uint64_t connection;
        json_object *start;
} Presence;

struct Control {
        sd_event *event;
        HttpServer *server;
        ControlParts parts;
        Tally *tally;
        Waiters *waiters;
        Expiry *expiries;
        Presence *presences;
        bool stopping;
};

static void reply_json(HttpRequest *request, unsigned status, json_object *body)
{
        _cleanup_json_ json_object *owned = body;

        http_request_reply_text(request, status, "application/json", json_plain(owned));
}

static void reply_number(HttpRequest *request, const char *key, int64_t value)
{
        json_object *body = json_object_new_object();

        json_set_int(body, key, value);
        reply_json(request, 200, body);
}

static void reply_nothing(HttpRequest *request)
{
        reply_json(request, 200, json_object_new_object());
}

static void reply_error(HttpRequest *request, const char *text)
{
        json_object *body = json_object_new_object();

        json_set_text(body, "error", text);
        reply_json(request, 400, body);
}

/* Tells both servers that settings or faults have changed. */
static void control_refresh(Control *control)
{
        engine_refresh(control->parts.cloud);
        truth_port_refresh(control->parts.port);
}

static void get_health(Control *control, HttpRequest *request)
{
        json_object *body = json_object_new_object();

        json_set_bool(body, "ok", true);
        reply_json(request, 200, body);
}

static void post_bots(Control *control, HttpRequest *request)
{
        json_object *order = http_request_arguments(request), *entry;
        const char *token = json_get_text(order, "token"), *session = json_get_text(order, "session") ?: "cloud";
        Role role = role_from_string(session);
        int64_t id;

        if (role < 0 && !streq(session, "none")) {
                reply_error(request, "session is cloud, local or none");
                return;
        }
        id = truth_add_bot(control->parts.truth, token, json_get_text(order, "username"), role,
                           json_get_int(order, "age_s", 86400));
        if (id < 0) {
                reply_error(request, id == -EEXIST ? "there is a bot with this id" : "token is ID:SECRET");
                return;
        }

        entry = ledger_entry_for("bot-defined", NULL, id);
        json_set_text(entry, "session", session);
        ledger_add(control->parts.ledger, entry);
        if (role == ROLE_CLOUD) {
                const char *username = json_get_text(order, "username");
                char fallback[32];

                (void) snprintf(fallback, sizeof(fallback), "sim%lld_bot", (long long) id);
                engine_adopt(control->parts.cloud, token, username ?: fallback);
                truth_login(control->parts.truth, ROLE_CLOUD, token, true, NULL, NULL);
        }
        reply_number(request, "bot", id);
}

static void post_bots_revoke(Control *control, HttpRequest *request)
{
        int64_t id = json_get_int(http_request_arguments(request), "bot", 0);

        if (!truth_revoke_bot(control->parts.truth, id)) {
                reply_error(request, "no such bot");
                return;
        }
        ledger_add(control->parts.ledger, ledger_entry_for("bot-revoked", NULL, id));
        reply_nothing(request);
}

static void get_settings(Control *control, HttpRequest *request)
{
        reply_json(request, 200, settings_to_json(control->parts.settings));
}

static void post_settings(Control *control, HttpRequest *request)
{
        json_object *order = http_request_json(request), *entry;
        const char *wrong;

        if (!json_object_is_type(order, json_type_object)) {
                reply_error(request, "expected a JSON object");
                return;
        }
        wrong = settings_apply(control->parts.settings, order);
        if (wrong) {
                reply_error(request, wrong);
                return;
        }
        entry = ledger_entry("setting");
        json_object_object_add(entry, "settings", settings_to_json(control->parts.settings));
        ledger_add(control->parts.ledger, entry);
        control_refresh(control);
        get_settings(control, request);
}

static void expiry_free(Expiry *expiry)
{
        for (Expiry **slot = &expiry->control->expiries; *slot; slot = &(*slot)->next)
                if (*slot == expiry) {
                        *slot = expiry->next;
                        break;
                }
        sd_event_source_disable_unref(expiry->timer);
        free(expiry);
}

static void fault_delete(Control *control, int64_t id)
{
        const Fault *fault, *next;

        for (fault = control->parts.faults->first; fault; fault = next) {
                json_object *entry;

                next = fault->next;
                if (id > 0 && fault->id != id)
                        continue;
                entry = ledger_entry_for("fault-deleted", NULL, 0);
                json_set_int(entry, "fault", fault->id);
                ledger_add(control->parts.ledger, entry);
        }
        (void) fault_list_delete(control->parts.faults, id);
        control_refresh(control);
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Expiry *expiry = userdata;
        Control *control = expiry->control;
        int64_t id = expiry->fault;

        expiry_free(expiry);
        if (fault_list_find(control->parts.faults, id))
                fault_delete(control, id);
        return 0;
}

static void post_faults(Control *control, HttpRequest *request)
{
        const char *reason = NULL;
        json_object *order = http_request_arguments(request), *entry;
        Fault *fault;

        json_object_object_del(order, "fault");
        fault = fault_list_add(control->parts.faults, order, &reason);
        if (!fault) {
                reply_error(request, reason);
                return;
        }

        entry = ledger_entry_for("fault-set", role_to_string(fault->role) ?: "*", fault->bot);
        json_set_int(entry, "fault", fault->id);
        json_set_text(entry, "kind", fault->kind);
        json_set_text(entry, "method", fault->method);
        ledger_add(control->parts.ledger, entry);
        control_refresh(control);

        if (fault_shuts_port(fault) && fault->duration_msec > 0) {
                Expiry *expiry = calloc(1, sizeof(*expiry));

                assert(expiry);
                *expiry = (Expiry){ .next = control->expiries, .control = control, .fault = fault->id };
                control->expiries = expiry;
                if (sd_event_add_time_relative(control->event, &expiry->timer, CLOCK_MONOTONIC,
                                               (uint64_t) fault->duration_msec * USEC_PER_MSEC, 1, on_expiry,
                                               expiry) < 0)
                        abort();
        }
        reply_number(request, "fault", fault->id);
}

static void get_faults(Control *control, HttpRequest *request)
{
        reply_json(request, 200, fault_list_to_json(control->parts.faults));
}

static void delete_faults(Control *control, HttpRequest *request)
{
        int64_t id = json_get_int(http_request_arguments(request), "fault", 0);

        if (id > 0 && !fault_list_find(control->parts.faults, id)) {
                reply_error(request, "no such fault");
                return;
        }
        fault_delete(control, id);
        reply_nothing(request);
}

static void post_inject(Control *control, HttpRequest *request)
{
        json_object *order = http_request_arguments(request);
        const char *rate = json_get_text(order, "rate");
        bool all = streq_ptr(json_get_text(order, "bot"), "*");
        InjectionOrder injection = {
                .bot = json_get_int(order, "bot", 0),
                .count = json_get_int(order, "count", 1),
                .rate = rate ? strtod(rate, NULL) : 0,
                .size = json_get_int(order, "size", 0),
        };
        int64_t id;

        if (injection.bot <= 0 && !all) {
                reply_error(request, "bot is an id or *");
                return;
        }
        if (injection.count < 0 || injection.rate < 0 || (injection.count == 0 && injection.rate <= 0) ||
            injection.size < 0 || injection.size > 1024 * 1024) {
                reply_error(request, "count, rate or size out of range; without end needs a rate");
                return;
        }
        id = truth_inject(control->parts.truth, &injection);
        if (id < 0) {
                reply_error(request, "no such bot");
                return;
        }
        reply_number(request, "inject", id);
}

static void delete_inject(Control *control, HttpRequest *request)
{
        truth_inject_stop(control->parts.truth, json_get_int(http_request_arguments(request), "bot", 0));
        reply_nothing(request);
        waiters_look_at_quiet(control->waiters);
}

static void post_webhook_settings(Control *control, HttpRequest *request)
{
        json_object *order = http_request_arguments(request);
        const char *token = truth_bot_token(control->parts.truth, json_get_int(order, "bot", 0));

        if (!token) {
                reply_error(request, "no such bot");
                return;
        }
        engine_set_webhook(control->parts.cloud, token, order);
        reply_nothing(request);
}

static void post_mark(Control *control, HttpRequest *request)
{
        json_object *order = http_request_json(request), *entry = ledger_entry("mark");

        if (json_object_is_type(order, json_type_object)) {
                json_object_object_foreach(order, key, value)
                {
                        /* What the caller calls an event is the name of the mark. */
                        if (!streq(key, "seq") && !streq(key, "t"))
                                json_object_object_add(entry, streq(key, "event") ? "name" : key,
                                                       json_object_get(value));
                }
        }
        reply_number(request, "seq", (int64_t) ledger_add(control->parts.ledger, entry));
}

static Presence **presence_find(Control *control, int64_t bot, const char *unit)
{
        Presence **slot;

        for (slot = &control->presences; *slot; slot = &(*slot)->next)
                if (json_get_int((*slot)->start, "bot", 0) == bot &&
                    streq_ptr(json_get_text((*slot)->start, "unit"), unit))
                        break;
        return slot;
}

static void presence_drop(Presence **slot)
{
        Presence *presence = *slot;

        if (!presence)
                return;
        *slot = presence->next;
        json_object_put(presence->start);
        free(presence);
}

static void presence_track(Control *control, HttpRequest *request, const char *event, json_object *entry)
{
        const char *unit = json_get_text(entry, "unit");
        Presence *presence;

        if (!streq(event, "start") && !streq(event, "stop"))
                return;
        presence_drop(presence_find(control, json_get_int(entry, "bot", 0), unit));
        if (!streq(event, "start") || !json_get_bool(entry, "presence", false))
                return;

        presence = calloc(1, sizeof(*presence));
        assert(presence);
        presence->connection = http_request_connection(request);
        presence->start = json_object_get(entry);
        presence->next = control->presences;
        control->presences = presence;
}

static void on_connection_closed(void *userdata, uint64_t connection)
{
        Control *control = userdata;

        for (Presence **slot = &control->presences; *slot;) {
                Presence *presence = *slot;
                json_object *entry;

                if (presence->connection != connection || control->stopping) {
                        slot = &presence->next;
                        continue;
                }
                entry = ledger_entry_for("worker-stop", NULL, json_get_int(presence->start, "bot", 0));
                json_set_text(entry, "unit", json_get_text(presence->start, "unit"));
                json_set_text(entry, "root", json_get_text(presence->start, "root"));
                json_set_text(entry, "reason", "gone");
                presence_drop(slot);
                ledger_add(control->parts.ledger, entry);
        }
}

static bool is_worker_event(const char *event)
{
        static const char *const events[] = { "start", "stop", "held", "released", "handled" };

        FOREACH_ELEMENT(e, events)
                if (streq(event, *e))
                        return true;
        return false;
}

static void post_worker(Control *control, HttpRequest *request)
{
        static const char *const texts[] = { "unit", "root", "from", "reason" };
        json_object *report = http_request_arguments(request), *entry;
        const char *event = json_get_text(report, "event") ?: "";
        int64_t bot = json_get_int(report, "bot", 0), uid = json_get_int(report, "uid", 0);
        char name[32];

        if (bot <= 0 || !is_worker_event(event)) {
                reply_error(request, "event is start, stop, held, released or handled, bot an id");
                return;
        }

        (void) snprintf(name, sizeof(name), "worker-%s", event);
        entry = ledger_entry_for(name, NULL, bot);
        FOREACH_ELEMENT(text, texts)
                json_set_text(entry, *text, json_get_text(report, *text));
        if (uid > 0)
                json_set_int(entry, "uid", uid);
        if (json_get_bool(report, "presence", false))
                json_set_bool(entry, "presence", true);
        presence_track(control, request, event, entry);
        reply_number(request, "seq", (int64_t) ledger_add(control->parts.ledger, entry));
}

static void get_state(Control *control, HttpRequest *request)
{
        json_object *body = json_object_new_object(), *servers = json_object_new_object();

        json_object_object_add(body, "bots", truth_state(control->parts.truth));
        json_object_object_add(servers, "cloud", engine_state(control->parts.cloud));
        json_object_object_add(servers, "local",
                               tally_queues(control->tally, "local", settings_now_usec(control->parts.settings)));
        json_set_bool(servers, "local_connected", truth_port_connected(control->parts.port));
        json_object_object_add(body, "servers", servers);
        json_set_int(body, "injections", (int64_t) truth_injections(control->parts.truth));
        json_set_int(body, "open_updates", (int64_t) tally_open(control->tally, false));
        json_set_int(body, "seq", (int64_t) ledger_size(control->parts.ledger));
        reply_json(request, 200, body);
}

static void get_ledger(Control *control, HttpRequest *request)
{
        waiters_reply_ledger(control->waiters, request);
}

static void get_wait(Control *control, HttpRequest *request)
{
        waiters_add(control->waiters, request);
}

static void get_quiet(Control *control, HttpRequest *request)
{
        waiters_add_quiet(control->waiters, request);
}

static void get_verdict(Control *control, HttpRequest *request)
{
        _cleanup_json_ json_object *verdict = judge_ledger(control->parts.ledger);
        _cleanup_free_ char *table = NULL;

        if (!streq_ptr(json_get_text(http_request_arguments(request), "format"), "table")) {
                http_request_reply_text(request, 200, "application/json", json_plain(verdict));
                return;
        }
        table = judge_table(verdict);
        http_request_reply_text(request, 200, "text/plain", table);
}

typedef struct Endpoint {
        const char *verb, *path;
        void (*run)(Control *control, HttpRequest *request);
} Endpoint;

static const Endpoint endpoints[] = {
        { "GET", "/health", get_health },
        { "POST", "/bots", post_bots },
        { "POST", "/bots/revoke", post_bots_revoke },
        { "GET", "/settings", get_settings },
        { "POST", "/settings", post_settings },
        { "GET", "/faults", get_faults },
        { "POST", "/faults", post_faults },
        { "DELETE", "/faults", delete_faults },
        { "POST", "/inject", post_inject },
        { "DELETE", "/inject", delete_inject },
        { "POST", "/webhook-settings", post_webhook_settings },
        { "POST", "/mark", post_mark },
        { "POST", "/worker", post_worker },
        { "GET", "/state", get_state },
        { "GET", "/ledger", get_ledger },
        { "GET", "/wait", get_wait },
        { "GET", "/quiet", get_quiet },
        { "GET", "/verdict", get_verdict },
};

static void on_request(void *userdata, HttpRequest *request)
{
        Control *control = userdata;

        FOREACH_ELEMENT(endpoint, endpoints)
                if (streq(endpoint->verb, http_request_verb(request)) &&
                    streq(endpoint->path, http_request_path(request))) {
                        endpoint->run(control, request);
                        return;
                }
        reply_error(request, "no such request: see README.md");
}

static void on_done(void *userdata, HttpRequest *request, bool delivered)
{
        waiters_forget(request);
}

static void on_entry(void *userdata, json_object *entry)
{
        Control *control = userdata;

        tally_count(control->tally, entry);
        waiters_offer(control->waiters, entry);
        waiters_look_at_quiet(control->waiters);
}

int control_new(Control **ret, sd_event *event, const struct sockaddr_in *address, const ControlParts *parts)
{
        _cleanup_(control_freep) Control *control = calloc(1, sizeof(*control));
        HttpHandlers handlers = {
                .on_request = on_request, .on_done = on_done, .on_closed = on_connection_closed, .userdata = control
        };
        int r;

        if (!control)
                return -ENOMEM;
        control->event = sd_event_ref(event);
        control->parts = *parts;
        control->tally = tally_new();
        if (!control->tally)
                return -ENOMEM;
        control->waiters = waiters_new(event, parts->ledger, control->tally, parts->truth);
        if (!control->waiters)
                return -ENOMEM;
        ledger_subscribe(parts->ledger, on_entry, control);
        r = http_server_new(&control->server, event, address, NULL, NULL, &handlers);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(control);
        return 0;
}

Control *control_free(Control *control)
{
        if (!control)
                return NULL;

        control->stopping = true;
        waiters_free(control->waiters);
        while (control->expiries)
                expiry_free(control->expiries);
        http_server_free(control->server);
        while (control->presences)
                presence_drop(&control->presences);
        tally_free(control->tally);
        sd_event_unref(control->event);
        free(control);
        return NULL;
}

uint16_t control_port(const Control *control)
{
        return front_port(http_server_front(control->server));
}
