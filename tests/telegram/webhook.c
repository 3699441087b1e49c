/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "clock.h"

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
        free(webhook->address);
        free(webhook->certificate);
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
        json_set_text(object, "address", webhook->address);
        json_set_text(object, "certificate", webhook->certificate);
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

/* The text with the secret half of the token as "{secret}", wherever it stands in it. */
static char *without_secret(const char *text, const char *secret)
{
        char *clean = strdup("");

        for (const char *found; clean; text = found + strlen(secret)) {
                char *longer;

                found = strstr(text, secret);
                if (asprintf(&longer, found ? "%s%.*s{secret}" : "%s%.*s", clean,
                             found ? (int) (found - text) : (int) strlen(text), text) < 0)
                        longer = NULL;
                free(clean);
                clean = longer;
                if (!found)
                        break;
        }
        assert(clean);
        return clean;
}

/* What a test compares before and after. */
static json_object *webhook_entry(const Client *client, const char *by)
{
        json_object *settings = client_webhook_to_json(client);
        json_object *entry = engine_entry(client->engine, settings ? "webhook-set" : "webhook-deleted", client->bot);

        json_set_text(entry, "by", by);
        if (settings) {
                _cleanup_free_ char *url = without_secret(client->webhook.url, strchr(client->token, ':') + 1);

                json_set_text(settings, "url", url);
                json_object_object_add(entry, "settings", settings);
        }
        return entry;
}

/* As long as nothing is said of them, allowed_updates stay as they are, also without a webhook. An empty list is the
 * default. */
static void take_allowed_updates(Webhook *webhook, json_object *arguments, char *before)
{
        const char *list = json_get_text(arguments, "allowed_updates");

        if (list)
                text_set(&webhook->allowed_updates, streq(list, "[]") ? NULL : list);
        else
                webhook->allowed_updates = TAKE_PTR(before);
        free(before);
}

void client_apply_webhook(Client *client, json_object *arguments, const char *by)
{
        Webhook *webhook = &client->webhook;
        char *allowed_updates = TAKE_PTR(webhook->allowed_updates);

        client_webhook_done(client);
        take_allowed_updates(webhook, arguments, allowed_updates);
        if (!isempty(json_get_text(arguments, "url"))) {
                text_set(&webhook->url, json_get_text(arguments, "url"));
                text_set(&webhook->secret_token, json_get_text(arguments, "secret_token"));
                text_set(&webhook->ip_address, json_get_text(arguments, "ip_address"));
                text_set(&webhook->address, json_get_text(arguments, "address") ?: webhook->ip_address);
                text_set(&webhook->certificate, json_get_text(arguments, "certificate"));
                webhook->max_connections = connections(client, arguments);
        }
        client_save_webhook(client);
        engine_record(client->engine, webhook_entry(client, by));
        client_webhook_deliver(client);
}

static bool webhook_same(const Client *client, json_object *arguments)
{
        const Webhook *webhook = &client->webhook;

        return streq_ptr(webhook->url, json_get_text(arguments, "url")) && !webhook->certificate &&
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
        _cleanup_free_ char *refusal = NULL, *address = NULL;

        if (isempty(json_get_text(query->arguments, "url"))) {
                client_delete_webhook(client, query);
                return;
        }
        refusal = webhook_check(client, query->arguments, &address);
        if (refusal) {
                /* The old one has gone by then. */
                if (webhook->url)
                        client_apply_webhook(client, NULL, "setWebhook");
                query_error(query, 400, refusal);
                return;
        }
        /* It can only be a file, and the address is the server's own finding. */
        json_object_object_del(query->arguments, "certificate");
        json_set_text(query->arguments, "certificate", json_get_text(query->files, "certificate"));
        json_object_object_del(query->arguments, "address");
        json_set_text(query->arguments, "address", address);
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
        json_set_bool(info, "has_custom_certificate", webhook->certificate);
        json_set_int(info, "pending_update_count", (int64_t) client->mailbox->queue.n_updates);
        if (webhook->last_error) {
                json_set_int(info, "last_error_date", webhook->last_error_date);
                json_set_text(info, "last_error_message", webhook->last_error);
        }
        if (webhook->url) {
                json_set_int(info, "max_connections", webhook->max_connections);
                json_set_text(info, "ip_address", webhook->address);
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
        CurlPost post = {
                .url = webhook->url,
                .address = webhook->address,
                .unchecked = !webhook->certificate && !webhook_is_strict(client),
                .certificate = webhook->certificate,
                .timeout_msec = DELIVERY_TIMEOUT_MSEC,
        };

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
        post.body = body;
        if (curl_loop_post(client->engine->curl, &webhook->call, &post, headers, on_delivered, client) < 0)
                webhook_failed(client, CURLE_FAILED_INIT, 0);
}
