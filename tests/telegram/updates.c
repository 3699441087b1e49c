/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "clock.h"

#define LIMIT_MAX               100
#define TIMEOUT_MAX_SEC         50
#define REPLY_SIZE_MAX          (4 * 1024 * 1024)
#define SAME_OFFSET_SEC         3.0
#define SAME_OFFSET_AT_ONCE_SEC 0.5
#define CONFLICT_SEC            3.0
/* What arrives together is answered together. */
#define WAKEUP_USEC 1000

void client_poll_done(Client *client)
{
        client->poll_end = sd_event_source_disable_unref(client->poll_end);
        client->poll_wakeup = sd_event_source_disable_unref(client->poll_wakeup);
}

void client_forget_updates(Client *client, size_t n, const char *event)
{
        Engine *engine = client->engine;
        UpdateQueue *queue = &client->mailbox->queue;
        json_object *entry, *returned;

        if (n == 0)
                return;

        entry = engine_entry(engine, event, client->bot);
        returned = json_object_new_array();
        for (size_t i = 0; i < n; i++)
                if (queue->updates[i].returned)
                        json_object_array_add(returned, json_object_new_int64(queue->updates[i].uid));
        json_object_object_add(entry, "uids", engine_uids(queue, n));
        json_object_object_add(entry, "returned", returned);
        engine_record(engine, entry);

        if (engine->options.store)
                store_forget(engine->options.store, client->bot, queue->updates[n - 1].id + 1);
        update_queue_forget(queue, n);
}

static int64_t clamp_argument(Query *query, const char *name, int64_t fallback, int64_t min, int64_t max)
{
        int64_t value = json_get_int(query->arguments, name, fallback);

        return value < min ? min : value > max ? max : value;
}

/* At least one update, then as many as the limit and the size of an answer allow. */
static size_t count_updates(const UpdateQueue *queue, size_t start, int64_t limit)
{
        size_t n = 0, size = 0;

        while (start + n < queue->n_updates && (int64_t) n < limit) {
                size += queue->updates[start + n].size + 32;
                if (n > 0 && size > REPLY_SIZE_MAX)
                        break;
                n++;
        }
        return n;
}

static void answer_updates(Client *client, Query *query, size_t start, int64_t limit)
{
        UpdateQueue *queue = &client->mailbox->queue;
        size_t n = count_updates(queue, start, limit);
        json_object *uids = json_object_new_array();
        _cleanup_free_ char *body = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&body, &size);

        assert(stream);
        fputc('[', stream);
        for (size_t i = start; i < start + n; i++) {
                Update *update = queue->updates + i;

                fprintf(stream, "%s{\"update_id\":%" PRIi64 ",%s}", i > start ? "," : "", update->id, update->body);
                json_object_array_add(uids, json_object_new_int64(update->uid));
                update->returned = true;
        }
        fputc(']', stream);
        fclose(stream);
        query_ok_updates(query, body, uids);
}

void client_answer_poll(Client *client)
{
        size_t forget;

        client_poll_done(client);
        if (client->poll)
                answer_updates(client, TAKE_PTR(client->poll),
                               update_queue_seek(&client->mailbox->queue, client->poll_offset, &forget),
                               client->poll_limit);
}

static int on_poll_end(sd_event_source *source, uint64_t usec, void *userdata)
{
        client_answer_poll(userdata);
        return 0;
}

void client_updates_arrived(Client *client)
{
        if (!isempty(client->webhook.url)) {
                client_webhook_deliver(client);
                return;
        }
        if (!client->poll || client->poll_wakeup)
                return;
        if (sd_event_add_time_relative(client->engine->event, &client->poll_wakeup, CLOCK_MONOTONIC, WAKEUP_USEC, 1,
                                       on_poll_end, client) < 0)
                abort();
}

static int on_conflict_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        Query *query = userdata;

        query_awake(query);
        query_error(query, 409, query->delayed_body);
        return 0;
}

void client_conflict(Client *client, Query *query, const char *description)
{
        uint64_t now = clock_now_usec(), pause_usec = (uint64_t) (CONFLICT_SEC * (double) USEC_PER_SEC);

        if (now >= client->conflict_usec) {
                client->conflict_usec = now + pause_usec;
                query_error(query, 409, description);
                return;
        }

        query->delayed_body = strdup(description);
        assert(query->delayed_body);
        query_sleep(query, pause_usec, on_conflict_due);
}

static void client_save_poll(Client *client, Query *query, int64_t offset, int64_t limit, int64_t timeout_sec)
{
        client->poll = query;
        client->poll_offset = offset;
        client->poll_limit = limit;
        if (sd_event_add_time_relative(client->engine->event, &client->poll_end, CLOCK_MONOTONIC,
                                       (uint64_t) timeout_sec * USEC_PER_SEC, 1, on_poll_end, client) < 0)
                abort();
}

void client_get_updates(Client *client, Query *query)
{
        UpdateQueue *queue = &client->mailbox->queue;
        int64_t offset = json_get_int(query->arguments, "offset", 0);
        int64_t limit = clamp_argument(query, "limit", LIMIT_MAX, 1, LIMIT_MAX);
        int64_t timeout_sec = clamp_argument(query, "timeout", 0, 0, TIMEOUT_MAX_SEC);
        uint64_t now = clock_now_usec(), age_usec = now - client->previous_usec;
        size_t start, forget;

        if (!isempty(client->webhook.url)) {
                client_conflict(client, query,
                                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to "
                                "delete the webhook first");
                return;
        }

        /* A client that asks the same again and again is slowed down: it does not confirm what it gets. */
        if (client->previous_usec > 0 && offset == client->previous_offset) {
                if (age_usec < (uint64_t) (SAME_OFFSET_SEC * (double) USEC_PER_SEC))
                        timeout_sec = MAX(timeout_sec, (int64_t) SAME_OFFSET_SEC);
                if (age_usec < (uint64_t) (SAME_OFFSET_AT_ONCE_SEC * (double) USEC_PER_SEC))
                        limit = 1;
        }
        client->previous_offset = offset;
        client->previous_usec = now;

        if (client->poll) {
                client_poll_done(client);
                client_conflict(client, TAKE_PTR(client->poll),
                                "Conflict: terminated by other getUpdates request; make sure that only one bot "
                                "instance is running");
        }

        start = update_queue_seek(queue, offset, &forget);
        client_forget_updates(client, forget, "update-confirmed");
        start -= forget;
        if (start < queue->n_updates || timeout_sec == 0)
                answer_updates(client, query, start, limit);
        else
                client_save_poll(client, query, offset, limit, timeout_sec);
}
