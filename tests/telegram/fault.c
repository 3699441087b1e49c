/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>

#include "fault.h"

#define ERROR_BODY(code, description) "{\"ok\":false,\"error_code\":" #code ",\"description\":\"" description "\"}"
#define HTML_BODY(title)                                                                  \
        "<html>\r\n<head><title>" title "</title></head>\r\n<body>\r\n<center><h1>" title \
        "</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"

#define VAST_LENGTH (INT64_C(10) << 30)

typedef struct KindInfo {
        const char *name;
        FaultAction action;
        bool apply;
        unsigned status;
        const char *body;
        const char *content_type; /* NULL: JSON where there is a body */
        const char *location;
        int64_t retry_after_sec;
} KindInfo;

static const KindInfo kinds[] = {
        { "drop-before", FAULT_RESET },
        { "drop-after", FAULT_RESET, .apply = true },
        { "hang", FAULT_HANG },
        { "hang-after", FAULT_HANG, .apply = true },
        { "status", FAULT_ANSWER, .status = 500, .body = "" },
        { "truncate", FAULT_TRUNCATE, .apply = true },
        { "trickle", FAULT_TRICKLE, .apply = true },
        { "huge", FAULT_HUGE, .status = 200, .body = " " },
        { "vast", FAULT_VAST, .status = 200, .body = " " },
        { "logged-out", FAULT_ANSWER, .status = 400, .body = ERROR_BODY(400, "Logged out") },
        { "already-logging-out", FAULT_ANSWER, .status = 400,
          .body = ERROR_BODY(400, "Bad Request: already logging out") },
        { "unauthorized", FAULT_ANSWER, .status = 401, .body = ERROR_BODY(401, "Unauthorized") },
        { "bad-api", FAULT_ANSWER, .status = 401, .body = ERROR_BODY(401, "Unauthorized: invalid api-id/api-hash") },
        { "restart", FAULT_ANSWER, .status = 500, .body = ERROR_BODY(500, "Internal Server Error: restart") },
        { "misdirected", FAULT_ANSWER, .status = 421,
          .body = ERROR_BODY(421, "Misdirected Request: unallowed token specified") },
        { "not-found", FAULT_ANSWER, .status = 404, .body = ERROR_BODY(404, "Not Found") },
        { "flood", FAULT_ANSWER, .status = 429, .retry_after_sec = 5 },
        { "bad-gateway", FAULT_ANSWER, .status = 502, .body = HTML_BODY("502 Bad Gateway"),
          .content_type = "text/html" },
        { "redirect", FAULT_ANSWER, .status = 302, .body = HTML_BODY("302 Found"), .content_type = "text/html",
          .location = "https://example.invalid/" },
        { "not-json", FAULT_ANSWER, .status = 200, .body = HTML_BODY("Welcome"), .content_type = "text/html" },
        { "not-true", FAULT_ANSWER, .status = 200, .body = "{\"ok\":true,\"result\":false}" },
        { "empty-400", FAULT_ANSWER, .status = 400, .body = "" },
        { "delay", FAULT_DELAY, .apply = true },
        { "refuse", FAULT_REFUSE },
        { "silent", FAULT_SILENT },
        { "unreachable", FAULT_UNREACHABLE },
        { "reset-at-accept", FAULT_RESET_AT_ACCEPT },
        { "tls-fail", FAULT_TLS_ALERT },
};

static char *duplicate(const char *s)
{
        char *copy = s ? strdup(s) : NULL;

        assert(copy || !s);
        return copy;
}

static const KindInfo *kind_find(const char *name)
{
        FOREACH_ELEMENT(kind, kinds)
                if (streq_ptr(kind->name, name))
                        return kind;
        return NULL;
}

static Fault *fault_ref(Fault *fault)
{
        fault->n_refs++;
        return fault;
}

Fault *fault_unref(Fault *fault)
{
        if (!fault || --fault->n_refs > 0)
                return NULL;

        free(fault->method);
        free(fault->kind);
        free(fault->body);
        free(fault->content_type);
        free(fault->location);
        free(fault->filler);
        free(fault->tail);
        free(fault);
        return NULL;
}

void fault_list_done(FaultList *list)
{
        (void) fault_list_delete(list, 0);
}

static void fault_fill_answer(Fault *fault, const KindInfo *kind, json_object *order)
{
        const char *body = json_get_text(order, "body") ?: kind->body;

        fault->status = (unsigned) json_get_int(order, "status", kind->status);
        fault->retry_after_sec = json_get_int(order, "retry_after", kind->retry_after_sec);
        fault->location = duplicate(json_get_text(order, "location") ?: kind->location);
        fault->content_type = duplicate(json_get_text(order, "content_type") ?: kind->content_type);
        fault->filler = duplicate(json_get_text(order, "filler"));
        fault->tail = duplicate(json_get_text(order, "tail"));
        fault->repeat = json_get_int(order, "repeat", 0);
        fault->length = json_get_int(order, "length", VAST_LENGTH);

        if (!body && fault->status == 429) {
                if (asprintf(&fault->body,
                             "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after %lld\","
                             "\"parameters\":{\"retry_after\":%lld}}",
                             (long long) fault->retry_after_sec, (long long) fault->retry_after_sec) < 0)
                        abort();
        } else {
                fault->body = duplicate(body);
        }
        if (!fault->content_type && !isempty(fault->body))
                fault->content_type = duplicate("application/json");
}

char *fault_make_body(const Fault *fault, size_t *ret_size)
{
        const char *head = fault->body ?: "", *filler = fault->filler ?: "", *tail = fault->tail ?: "";
        size_t filler_size = strlen(filler), repeat = fault->repeat > 0 ? (size_t) fault->repeat : 0;
        char *body = malloc(strlen(head) + filler_size * repeat + strlen(tail) + 1), *p;

        assert(body);
        p = stpcpy(body, head);
        for (size_t i = 0; i < repeat; i++)
                p = mempcpy(p, filler, filler_size);
        p = stpcpy(p, tail);
        *ret_size = (size_t) (p - body);
        return body;
}

/* "*" and nothing mean any. */
static const char *order_text(json_object *order, const char *key)
{
        const char *text = json_get_text(order, key);

        return streq_ptr(text, "*") ? NULL : text;
}

Fault *fault_list_add(FaultList *list, json_object *order, const char **ret_reason)
{
        const KindInfo *kind = kind_find(json_get_text(order, "kind"));
        const char *role = order_text(order, "role"), *bot = order_text(order, "bot"),
                   *method = order_text(order, "method");
        Fault *fault, **slot;

        if (!kind || (role && role_from_string(role) < 0)) {
                *ret_reason = kind ? "role is cloud, local or *" : "unknown kind";
                return NULL;
        }
        if (bot && json_get_int(order, "bot", 0) <= 0) {
                *ret_reason = "bot is an id or *";
                return NULL;
        }

        fault = calloc(1, sizeof(*fault));
        assert(fault);
        fault->n_refs = 1;
        fault->id = json_get_int(order, "fault", list->last_id + 1);
        list->last_id = MAX(list->last_id, fault->id);
        fault->role = role_from_string(role);
        fault->bot = bot ? json_get_int(order, "bot", 0) : 0;
        fault->method = duplicate(method);
        for (char *c = fault->method; c && *c; c++)
                *c = (char) tolower(*c);
        fault->after = json_get_int(order, "after", 0);
        fault->times = json_get_int(order, "times", 1);
        fault->matched = json_get_int(order, "matched", 0);
        fault->fired = json_get_int(order, "fired", 0);
        fault->kind = duplicate(kind->name);
        fault->action = kind->action;
        fault->apply = json_get_bool(order, "apply", kind->apply);
        fault->interval_msec = json_get_int(order, "interval_ms", 100);
        fault->duration_msec = json_get_int(order, "ms", 0);
        fault_fill_answer(fault, kind, order);

        for (slot = &list->first; *slot; slot = &(*slot)->next)
                ;
        *slot = fault;
        return fault;
}

bool fault_list_delete(FaultList *list, int64_t id)
{
        bool found = id == 0;

        for (Fault **slot = &list->first; *slot;) {
                Fault *fault = *slot;

                if (id != 0 && fault->id != id) {
                        slot = &fault->next;
                        continue;
                }
                *slot = fault->next;
                fault_unref(fault);
                found = true;
        }
        return found;
}

Fault *fault_list_find(const FaultList *list, int64_t id)
{
        for (Fault *fault = list->first; fault; fault = fault->next)
                if (fault->id == id)
                        return fault;
        return NULL;
}

json_object *fault_list_to_json(const FaultList *list)
{
        json_object *array = json_object_new_array();

        for (const Fault *fault = list->first; fault; fault = fault->next) {
                json_object *object = json_object_new_object();

                json_set_int(object, "fault", fault->id);
                json_set_text(object, "kind", fault->kind);
                json_set_text(object, "role", role_to_string(fault->role) ?: "*");
                if (fault->bot > 0)
                        json_set_int(object, "bot", fault->bot);
                json_set_text(object, "method", fault->method);
                json_set_int(object, "after", fault->after);
                json_set_int(object, "times", fault->times);
                json_set_int(object, "matched", fault->matched);
                json_set_int(object, "fired", fault->fired);
                json_set_bool(object, "apply", fault->apply);
                json_set_int(object, "status", fault->status);
                json_set_text(object, "body", fault->body);
                json_set_text(object, "content_type", fault->content_type);
                json_set_text(object, "location", fault->location);
                json_set_text(object, "filler", fault->filler);
                json_set_text(object, "tail", fault->tail);
                json_set_int(object, "repeat", fault->repeat);
                json_set_int(object, "length", fault->length);
                json_set_int(object, "retry_after", fault->retry_after_sec);
                json_set_int(object, "interval_ms", fault->interval_msec);
                json_set_int(object, "ms", fault->duration_msec);
                json_object_array_add(array, object);
        }
        return array;
}

void fault_list_replace(FaultList *list, json_object *array)
{
        FaultList old = *list;

        list->first = NULL;
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                const char *reason = NULL;
                Fault *fault = fault_list_add(list, json_object_array_get_idx(array, i), &reason);
                const Fault *before = fault ? fault_list_find(&old, fault->id) : NULL;

                if (before) {
                        fault->matched = MAX(fault->matched, before->matched);
                        fault->fired = MAX(fault->fired, before->fired);
                }
        }
        fault_list_done(&old);
}

static bool at_connection(const Fault *fault)
{
        return fault->action >= FAULT_REFUSE;
}

static bool fault_spent(const Fault *fault)
{
        return fault->times > 0 && fault->fired >= fault->times;
}

static Fault *fault_count(FaultList *list, Fault *fault)
{
        bool fires = ++fault->matched > fault->after;

        if (fires)
                fault->fired++;
        if (list->on_match)
                list->on_match(list->userdata, fault);
        return fires ? fault_ref(fault) : NULL;
}

Fault *fault_list_match_request(FaultList *list, Role role, int64_t bot, const char *method)
{
        for (Fault *fault = list->first; fault; fault = fault->next) {
                Fault *hit;

                if (at_connection(fault) || fault_spent(fault) || (fault->role >= 0 && fault->role != role) ||
                    (fault->bot > 0 && fault->bot != bot) || (fault->method && !streq(fault->method, method)))
                        continue;
                hit = fault_count(list, fault);
                if (hit)
                        return hit;
        }
        return NULL;
}

Fault *fault_list_match_connection(FaultList *list, Role role)
{
        for (Fault *fault = list->first; fault; fault = fault->next) {
                Fault *hit;

                if ((fault->action != FAULT_RESET_AT_ACCEPT && fault->action != FAULT_TLS_ALERT) ||
                    fault_spent(fault) || (fault->role >= 0 && fault->role != role))
                        continue;
                hit = fault_count(list, fault);
                if (hit)
                        return hit;
        }
        return NULL;
}

bool fault_shuts_port(const Fault *fault)
{
        return fault->action == FAULT_REFUSE || fault->action == FAULT_SILENT || fault->action == FAULT_UNREACHABLE;
}

const Fault *fault_list_port(const FaultList *list, Role role)
{
        for (const Fault *fault = list->first; fault; fault = fault->next)
                if (fault_shuts_port(fault) && (fault->role < 0 || fault->role == role))
                        return fault;
        return NULL;
}
