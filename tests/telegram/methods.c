/* SPDX-License-Identifier: MIT */
#include "client.h"
#include "clock.h"

#define CLOSE_SEC 600

typedef struct Method {
        const char *name; /* lower case: names compare without case */
        void (*run)(Client *client, Query *query);
} Method;

static void method_get_me(Client *client, Query *query)
{
        json_object *me = json_object_new_object();

        json_set_int(me, "id", client->bot);
        json_set_bool(me, "is_bot", true);
        json_set_text(me, "first_name", client->username);
        json_set_text(me, "username", client->username);
        json_set_bool(me, "can_join_groups", true);
        json_set_bool(me, "can_read_all_group_messages", false);
        json_set_bool(me, "supports_inline_queries", false);
        json_set_bool(me, "can_connect_to_business", false);
        json_set_bool(me, "has_main_web_app", false);
        query_ok(query, me, NULL);
}

/* Refused for the first ten minutes of a bot, except while the server itself is that young. */
static void method_close(Client *client, Query *query)
{
        Engine *engine = client->engine;
        uint64_t young_usec = settings_scaled_usec(engine->options.settings, CLOSE_SEC);
        uint64_t age_usec = settings_now_usec(engine->options.settings) - client->until_usec;

        if (client->until_usec > engine->started_usec + young_usec && age_usec < young_usec) {
                query_flood(query, (int64_t) ((young_usec - age_usec + USEC_PER_SEC - 1) / USEC_PER_SEC));
                return;
        }
        query_ok(query, json_object_new_boolean(true), NULL);
        client_close(client, CLIENT_CLOSED, UINT64_MAX, false);
}

static void method_send_message(Client *client, Query *query)
{
        json_object *message, *chat;

        if (isempty(json_get_text(query->arguments, "text"))) {
                query_error(query, 400, "Bad Request: message text is empty");
                return;
        }
        message = json_object_new_object();
        chat = json_object_new_object();
        json_set_int(message, "message_id", (int64_t) client->engine->n_queries);
        json_set_int(chat, "id", json_get_int(query->arguments, "chat_id", 0));
        json_set_text(chat, "type", "private");
        json_object_object_add(message, "chat", chat);
        json_set_int(message, "date", time(NULL));
        json_set_text(message, "text", json_get_text(query->arguments, "text"));
        query_ok(query, message, NULL);
}

static void method_true(Client *client, Query *query)
{
        query_ok(query, json_object_new_boolean(true), NULL);
}

static void method_empty_list(Client *client, Query *query)
{
        query_ok(query, json_object_new_array(), NULL);
}

static const Method methods[] = {
        { "getme", method_get_me },
        { "getupdates", client_get_updates },
        { "logout", client_begin_logout },
        { "close", method_close },
        { "getfile", client_get_file },
        { "setwebhook", client_set_webhook },
        { "deletewebhook", client_delete_webhook },
        { "getwebhookinfo", client_get_webhook_info },
        { "sendmessage", method_send_message },
        { "sendchataction", method_true },
        { "answercallbackquery", method_true },
        { "setmycommands", method_true },
        { "deletemycommands", method_true },
        { "getmycommands", method_empty_list },
};

void client_run_method(Client *client, Query *query)
{
        FOREACH_ELEMENT(method, methods)
                if (streq(method->name, query->method)) {
                        method->run(client, query);
                        return;
                }
        query_error(query, 404, "Not Found: method not found");
}
