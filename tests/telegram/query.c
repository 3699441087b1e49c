/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "clock.h"

Query *query_new(Engine *engine, HttpRequest *http, const char *token, int64_t bot, const char *method)
{
        Query *query = calloc(1, sizeof(*query));

        assert(query);
        query->engine = engine;
        query->token = strdup(token);
        query->method = strdup(method);
        assert(query->token && query->method);
        query->bot = bot;
        query->http = http;
        query->arguments = json_object_get(http_request_arguments(http));
        query->files = json_object_get(http_request_files(http));
        /* Unique over restarts of the server, too. */
        (void) snprintf(query->id, sizeof(query->id), "%c%" PRIx64 "-%" PRIu64, role_to_string(engine->options.role)[0],
                        engine->started_usec, ++engine->n_queries);
        http_request_set_userdata(http, query);
        http_request_set_tag(http, query->id);
        return query;
}

Query *query_free(Query *query)
{
        if (!query)
                return NULL;

        if (query->http)
                http_request_set_userdata(query->http, NULL);
        sd_event_source_disable_unref(query->timer);
        json_object_put(query->arguments);
        json_object_put(query->files);
        fault_unref(query->fault);
        free(query->token);
        free(query->method);
        free(query->delayed_body);
        free(query);
        return NULL;
}

void query_record(Query *query)
{
        json_object *entry = engine_entry(query->engine, "request", query->bot);
        const char *agent = http_request_header(query->http, "User-Agent");

        json_set_text(entry, "method", query->method);
        json_set_text(entry, "req", query->id);
        json_set_int(entry, "conn", (int64_t) http_request_connection(query->http));
        json_set_int(entry, "arrived", (int64_t) http_request_arrived_usec(query->http));
        json_set_text(entry, "agent", agent);
        if (streq(query->method, "getupdates"))
                for (size_t i = 0; i < 3; i++) {
                        static const char *const numbers[] = { "offset", "limit", "timeout" };

                        if (json_get_text(query->arguments, numbers[i]))
                                json_set_int(entry, numbers[i], json_get_int(query->arguments, numbers[i], 0));
                }
        engine_record(query->engine, entry);
}

static json_object *query_entry(Query *query, const char *event)
{
        json_object *entry = engine_entry(query->engine, event, query->bot);

        json_set_text(entry, "method", query->method);
        json_set_text(entry, "req", query->id);
        return entry;
}

static void query_record_answer(Query *query, unsigned status, const char *description, int64_t retry_after_sec,
                                json_object *uids)
{
        json_object *entry = query_entry(query, "answer");

        json_set_int(entry, "code", status);
        json_set_text(entry, "description", description);
        if (retry_after_sec > 0)
                json_set_int(entry, "retry_after", retry_after_sec);
        if (uids)
                json_object_object_add(entry, "uids", uids);
        if (query->fault)
                json_set_int(entry, "fault", query->fault->id);
        engine_record(query->engine, entry);
}

/* Hands the answer to HTTP and frees the query. */
static void query_send(Query *query, const HttpReply *reply)
{
        if (query->http)
                http_request_reply(query->http, reply);
        else
                engine_record(query->engine, query_entry(query, "undelivered"));
        query_free(query);
}

void query_sleep(Query *query, uint64_t pause_usec, sd_event_time_handler_t handler)
{
        Engine *engine = query->engine;

        query->next = engine->sleeping;
        engine->sleeping = query;
        if (sd_event_add_time_relative(engine->event, &query->timer, CLOCK_MONOTONIC, pause_usec, 1, handler, query) <
            0)
                abort();
}

void query_awake(Query *query)
{
        for (Query **slot = &query->engine->sleeping; *slot; slot = &(*slot)->next)
                if (*slot == query) {
                        *slot = query->next;
                        return;
                }
}

static int on_delay_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        Query *query = userdata;

        query_awake(query);
        query_send(query, &query->delayed);
        return 0;
}

static void query_send_later(Query *query, const HttpReply *reply, uint64_t delay_usec)
{
        query->delayed = *reply;
        query->delayed_body = malloc(reply->size + 1);
        assert(query->delayed_body);
        memcpy(query->delayed_body, reply->body, reply->size);
        query->delayed.body = query->delayed_body;
        query_sleep(query, delay_usec, on_delay_over);
}

static HttpManner manner_of(const Fault *fault)
{
        return fault->action == FAULT_HUGE ? HTTP_ENDLESS : fault->action == FAULT_VAST ? HTTP_VAST : HTTP_WHOLE;
}

/* Sends the fault's answer in place of the true one. */
static void query_send_other(Query *query)
{
        const Fault *fault = query->fault;
        HttpReply reply = {
                .status = fault->status,
                .content_type = fault->content_type,
                .location = fault->location,
                .retry_after_sec = fault->retry_after_sec,
                .manner = manner_of(fault),
                .length = (uint64_t) fault->length,
        };
        _cleanup_free_ char *body = fault_make_body(fault, &reply.size);

        reply.body = body;
        query_send(query, &reply);
}

/* Sends the true answer, as far as a fault lets it. */
static void query_answer(Query *query, HttpReply *reply)
{
        const Fault *fault = query->fault;

        if (!fault) {
                query_send(query, reply);
                return;
        }

        if (fault->action != FAULT_DELAY && fault->action != FAULT_TRICKLE)
                engine_record(query->engine, query_entry(query, "undelivered"));

        switch (fault->action) {

        case FAULT_RESET:
                if (query->http)
                        http_request_reset(query->http);
                query_free(query);
                return;

        case FAULT_HANG:
                query_free(query);
                return;

        case FAULT_DELAY:
                query_send_later(query, reply, (uint64_t) fault->duration_msec * USEC_PER_MSEC);
                return;

        case FAULT_TRUNCATE:
                reply->manner = HTTP_TRUNCATED;
                break;

        case FAULT_TRICKLE:
                reply->manner = HTTP_TRICKLED;
                reply->interval_usec = (uint64_t) fault->interval_msec * USEC_PER_MSEC;
                break;

        default:
                query_send_other(query);
                return;
        }
        query_send(query, reply);
}

static void query_answer_fault(Query *query)
{
        const Fault *fault = query->fault;

        query_record_answer(query, fault->status, fault->kind, fault->retry_after_sec, NULL);
        if (manner_of(fault) != HTTP_WHOLE)
                engine_record(query->engine, query_entry(query, "undelivered"));
        query_send_other(query);
}

bool query_take_fault(Query *query)
{
        Engine *engine = query->engine;
        const Fault *fault;
        json_object *entry;

        fault = query->fault = fault_list_match_request(engine->options.faults, engine->options.role, query->bot,
                                                        query->method);
        if (!fault)
                return false;

        entry = query_entry(query, "fault");
        json_set_int(entry, "fault", fault->id);
        json_set_text(entry, "kind", fault->kind);
        engine_record(engine, entry);
        if (fault->apply)
                return false;

        switch (fault->action) {

        case FAULT_RESET:
                http_request_reset(query->http);
                query_free(query);
                return true;

        case FAULT_HANG:
                query_free(query);
                return true;

        case FAULT_ANSWER:
        case FAULT_HUGE:
        case FAULT_VAST:
                query_answer_fault(query);
                return true;

        default:
                /* Without applying there is no true answer to truncate or to delay. */
                http_request_close(query->http);
                query_free(query);
                return true;
        }
}

static void query_answer_json(Query *query, unsigned status, const char *body, int64_t retry_after_sec)
{
        HttpReply reply = {
                .status = status,
                .content_type = "application/json",
                .body = body,
                .size = strlen(body),
                .retry_after_sec = retry_after_sec,
        };

        query_answer(query, &reply);
}

void query_ok(Query *query, json_object *result, const char *description)
{
        _cleanup_json_ json_object *envelope = json_object_new_object();
        bool is_true = json_object_is_type(result, json_type_boolean) && json_object_get_boolean(result);

        json_set_bool(envelope, "ok", true);
        json_object_object_add(envelope, "result", result);
        json_set_text(envelope, "description", description);
        query_record_answer(query, 200, description ?: is_true ? "true" : NULL, 0, NULL);
        query_answer_json(query, 200, json_plain(envelope), 0);
}

void query_ok_updates(Query *query, const char *body, json_object *uids)
{
        _cleanup_free_ char *envelope = NULL;

        if (asprintf(&envelope, "{\"ok\":true,\"result\":%s}", body) < 0)
                abort();
        query_record_answer(query, 200, NULL, 0, uids);
        query_answer_json(query, 200, envelope, 0);
}

static void query_fail(Query *query, unsigned code, const char *description, int64_t retry_after_sec)
{
        _cleanup_json_ json_object *envelope = json_object_new_object();

        json_set_bool(envelope, "ok", false);
        json_set_int(envelope, "error_code", code);
        json_set_text(envelope, "description", description);
        if (retry_after_sec > 0) {
                json_object *parameters = json_object_new_object();

                json_set_int(parameters, "retry_after", retry_after_sec);
                json_object_object_add(envelope, "parameters", parameters);
        }
        query_record_answer(query, code, description, retry_after_sec, NULL);
        query_answer_json(query, code, json_plain(envelope), retry_after_sec);
}

void query_error(Query *query, unsigned code, const char *description)
{
        query_fail(query, code, description, 0);
}

void query_flood(Query *query, int64_t retry_after_sec)
{
        char description[64];

        (void) snprintf(description, sizeof(description), "Too Many Requests: retry after %" PRIi64, retry_after_sec);
        query_fail(query, 429, description, retry_after_sec);
}
