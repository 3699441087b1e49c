/* SPDX-License-Identifier: MIT */
#include <strings.h>

#include "core/json-text.h"
#include "core/webhook-answer.h"

/* The longest name that the Bot API has is half of it. */
#define METHOD_SIZE_MAX 64

/* Who moves the bot decides about these, and nobody else. */
static const char *const forbidden[] = { "close", "deleteWebhook", "getUpdates", "logOut", "setWebhook" };

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The name becomes a part of a URL, and the server takes it in any case (Query.cpp). */
static bool may_be_called(const char *method, size_t size)
{
        if (size == 0 || size > METHOD_SIZE_MAX)
                return false;
        for (size_t i = 0; i < size; i++)
                if (!is_letter(method[i]))
                        return false;
        FOREACH_ELEMENT(name, forbidden)
                if (strcasecmp(method, *name) == 0)
                        return false;
        return true;
}

int webhook_answer_call(const char *body, size_t size, char **ret_method, json_object **ret_arguments)
{
        json_object *object, *name;
        char *method = NULL;
        int r;

        r = json_text_parse(body, size, &object);
        if (json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, "method", &name) &&
            json_object_is_type(name, json_type_string) &&
            may_be_called(json_object_get_string(name), (size_t) json_object_get_string_len(name))) {
                method = strdup(json_object_get_string(name));
                r = method ? 1 : -ENOMEM;
        }
        if (r <= 0) {
                json_object_put(object);
                return r;
        }
        json_object_object_del(object, "method");
        *ret_method = method;
        *ret_arguments = object;
        return 1;
}
