/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "clock.h"

#define SECRET_SIZE_MAX       256
#define CONNECTIONS_DEFAULT   40
#define CONNECTIONS_MAX       100
#define CONNECTIONS_MAX_LOCAL 100000
#define SET_PAUSE_USEC        USEC_PER_SEC
#define DELIVERY_TIMEOUT_MSEC 30000
#define RETRY_FIRST_USEC      (100 * USEC_PER_MSEC)
#define RETRY_DOUBLINGS_MAX   6

static void text_set(char **slot, const char *value)
{
        char *copy = isempty(value) ? NULL : strdup(value);

        assert(copy || isempty(value));
        free(*slot);
        *slot = copy;
}

void client_webhook_done(Client *client)
{
        Webhook *webhook = &client->webhook;

        curl_call_free(webhook->call);
        sd_event_source_disable_unref(webhook->retry);
        free(webhook->url);
        free(webhook->secret_token);
        free(webhook->ip_address);
        free(webhook->allowed_updates);
        free(webhook->last_error);
        *webhook = (Webhook){ .set_usec = webhook->set_usec };
}

json_object *client_webhook_to_json(const Client *client)
{
        const Webhook *webhook = &client->webhook;
        json_object *object;

        if (isempty(webhook->url))
                return NULL;
        object = json_object_new_object();
        json_set_text(object, "url", webhook->url);
        json_set_text(object, "secret_token", webhook->secret_token);
        json_set_text(object, "ip_address", webhook->ip_address);
        json_set_text(object, "allowed_updates", webhook->allowed_updates);
        json_set_int(object, "max_connections", webhook->max_connections);
        if (webhook->has_certificate)
                json_set_text(object, "certificate", "custom");
        return object;
}

static int64_t connections(const Client *client, json_object *arguments)
{
        bool local = client->engine->options.local_mode;
        int64_t n = json_get_int(arguments, "max_connections", 0);

        if (n <= 0)
                return local ? CONNECTIONS_MAX : CONNECTIONS_DEFAULT;
        return MIN(n, local ? CONNECTIONS_MAX_LOCAL : CONNECTIONS_MAX);
}

static void client_save_webhook(Client *client)
{
        _cleanup_json_ json_object *saved = client_webhook_to_json(client);

        if (client->engine->options.store)
                store_set_webhook(client->engine->options.store, client->token, saved);
}

void client_apply_webhook(Client *client, json_object *arguments, const char *by)
{
        Engine *engine = client->engine;
        Webhook *webhook = &client->webhook;
        bool set = !isempty(json_get_text(arguments, "url"));
        json_object *entry;

        client_webhook_done(client);
        if (set) {
                text_set(&webhook->url, json_get_text(arguments, "url"));
                text_set(&webhook->secret_token, json_get_text(arguments, "secret_token"));
                text_set(&webhook->ip_address, json_get_text(arguments, "ip_address"));
                text_set(&webhook->allowed_updates, json_get_text(arguments, "allowed_updates"));
                webhook->has_certificate = !isempty(json_get_text(arguments, "certificate"));
                webhook->max_connections = connections(client, arguments);
        }
        client_save_webhook(client);

        entry = engine_entry(engine, set ? "webhook-set" : "webhook-deleted", client->bot);
        json_set_text(entry, "by", by);
        engine_record(engine, entry);
        client_webhook_deliver(client);
}

/* Why the settings are refused, or NULL. */
static const char *webhook_refusal(const Client *client, json_object *arguments)
{
        const char *url = json_get_text(arguments, "url"), *secret = json_get_text(arguments, "secret_token");
        const char *host = startswith(url, "https://");
        bool https_only = client->engine->options.role == ROLE_LOCAL && !client->engine->options.local_mode;

        if (!host && !https_only)
                host = startswith(url, "http://");
        if (!host && startswith(url, "http://"))
                return "Bad Request: bad webhook: An HTTPS URL must be provided for webhook";
        if (!host || !isalnum((unsigned char) host[0]))
                return "Bad Request: invalid webhook URL specified";
        if (secret && strlen(secret) > SECRET_SIZE_MAX)
                return "Bad Request: secret token is too long";
        for (const char *c = secret; c && *c; c++)
                if (!isalnum((unsigned char) *c) && *c != '_' && *c != '-')
                        return "Bad Request: secret token contains unallowed characters";
        return NULL;
}

static bool webhook_same(const Client *client, json_object *arguments)
{
        const Webhook *webhook = &client->webhook;

        return streq_ptr(webhook->url, json_get_text(arguments, "url")) && !webhook->has_certificate &&
               isempty(json_get_text(arguments, "certificate")) &&
               streq(webhook->secret_token ?: "", json_get_text(arguments, "secret_token") ?: "") &&
               streq(webhook->ip_address ?: "", json_get_text(arguments, "ip_address") ?: "") &&
               (!json_get_text(arguments, "allowed_updates") ||
                streq(webhook->allowed_updates ?: "", json_get_text(arguments, "allowed_updates"))) &&
               webhook->max_connections == connections(client, arguments);
}

static void drop_pending(Client *client, Query *query)
{
        if (json_get_bool(query->arguments, "drop_pending_updates", false))
                client_forget_updates(client, client->mailbox->queue.n_updates, "update-confirmed");
}

void client_set_webhook(Client *client, Query *query)
{
        Webhook *webhook = &client->webhook;
        uint64_t now = clock_now_usec();
        const char *refusal;

        if (isempty(json_get_text(query->arguments, "url"))) {
                client_delete_webhook(client, query);
                return;
        }
        refusal = webhook_refusal(client, query->arguments);
        if (refusal) {
                query_error(query, 400, refusal);
                return;
        }
        if (webhook->set_usec > 0 && now - webhook->set_usec < SET_PAUSE_USEC) {
                query_flood(query, 1);
                return;
        }
        webhook->set_usec = now;

        drop_pending(client, query);
        if (webhook_same(client, query->arguments)) {
                query_ok(query, json_object_new_boolean(true), "Webhook is already set");
                return;
        }
        if (client->poll) {
                client_poll_done(client);
                client_conflict(client, TAKE_PTR(client->poll), "Conflict: terminated by setWebhook request");
        }
        client_apply_webhook(client, query->arguments, "setWebhook");
        query_ok(query, json_object_new_boolean(true), "Webhook was set");
}

void client_delete_webhook(Client *client, Query *query)
{
        bool was_set = !isempty(client->webhook.url);

        drop_pending(client, query);
        if (was_set)
                client_apply_webhook(client, NULL, "deleteWebhook");
        query_ok(query, json_object_new_boolean(true), was_set ? "Webhook was deleted" : "Webhook is already deleted");
}

void client_get_webhook_info(Client *client, Query *query)
{
        const Webhook *webhook = &client->webhook;
        json_object *info = json_object_new_object();

        json_set_text(info, "url", webhook->url ?: "");
        json_set_bool(info, "has_custom_certificate", webhook->has_certificate);
        json_set_int(info, "pending_update_count", (int64_t) client->mailbox->queue.n_updates);
        if (webhook->last_error) {
                json_set_int(info, "last_error_date", webhook->last_error_date);
                json_set_text(info, "last_error_message", webhook->last_error);
        }
        if (webhook->url) {
                json_set_int(info, "max_connections", webhook->max_connections);
                json_set_text(info, "ip_address", webhook->ip_address);
        }
        if (webhook->allowed_updates) {
                json_object *list = json_parse(webhook->allowed_updates, strlen(webhook->allowed_updates));

                if (list)
                        json_object_object_add(info, "allowed_updates", list);
        }
        query_ok(query, info, NULL);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Client *client = userdata;

        client->webhook.retry = sd_event_source_disable_unref(client->webhook.retry);
        client_webhook_deliver(client);
        return 0;
}

static void webhook_failed(Client *client, CURLcode result, long status)
{
        Webhook *webhook = &client->webhook;
        uint64_t pause_usec = RETRY_FIRST_USEC << MIN(webhook->n_failures, (unsigned) RETRY_DOUBLINGS_MAX);

        free(TAKE_PTR(webhook->last_error));
        if (result == CURLE_OK) {
                if (asprintf(&webhook->last_error, "Wrong response from the webhook: %ld", status) < 0)
                        abort();
        } else {
                text_set(&webhook->last_error,
                         result == CURLE_COULDNT_CONNECT ? "Connection refused" : curl_easy_strerror(result));
        }
        webhook->last_error_date = time(NULL);
        webhook->n_failures++;
        if (sd_event_add_time_relative(client->engine->event, &webhook->retry, CLOCK_MONOTONIC, pause_usec, 1, on_retry,
                                       client) < 0)
                abort();
}

static void on_delivered(void *userdata, CURLcode result, long status)
{
        Client *client = userdata;
        Webhook *webhook = &client->webhook;
        UpdateQueue *queue = &client->mailbox->queue;
        json_object *entry = engine_entry(client->engine, "update-delivered", client->bot);

        webhook->call = NULL; /* freed by its loop after this */
        json_set_int(entry, "uid", webhook->sending_uid);
        json_set_int(entry, "code", status);
        engine_record(client->engine, entry);

        if (result != CURLE_OK || status < 200 || status > 299) {
                webhook->sending_id = 0;
                webhook_failed(client, result, status);
                return;
        }
        webhook->n_failures = 0;
        if (queue->n_updates > 0 && queue->updates[0].id == webhook->sending_id)
                client_forget_updates(client, 1, "update-confirmed");
        webhook->sending_id = 0;
        client_webhook_deliver(client);
}

/* One at a time, in order. */
void client_webhook_deliver(Client *client)
{
        Webhook *webhook = &client->webhook;
        UpdateQueue *queue = &client->mailbox->queue;
        struct curl_slist *headers;
        _cleanup_free_ char *body = NULL, *secret = NULL;

        if (!webhook->url || webhook->call || webhook->retry || queue->n_updates == 0 || client->state != CLIENT_READY)
                return;

        webhook->sending_id = queue->updates[0].id;
        webhook->sending_uid = queue->updates[0].uid;
        if (asprintf(&body, "{\"update_id\":%" PRIi64 ",%s}", queue->updates[0].id, queue->updates[0].body) < 0)
                abort();
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        if (webhook->secret_token) {
                if (asprintf(&secret, "X-Telegram-Bot-Api-Secret-Token: %s", webhook->secret_token) < 0)
                        abort();
                headers = curl_slist_append(headers, secret);
        }
        if (curl_loop_post(client->engine->curl, &webhook->call, webhook->url, headers, body, DELIVERY_TIMEOUT_MSEC,
                           on_delivered, client) < 0)
                webhook_failed(client, CURLE_FAILED_INIT, 0);
}
