/* SPDX-License-Identifier: MIT */

/* What an answer of a webhook may ask for: any method of the bot's own, and none that would move the bot (L1, L2). */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/webhook-answer.h"

/* Exactly as many bytes as there are, so that a sanitizer sees who reads on. */
static int ask(const char *body, size_t size, char **ret_method, json_object **ret_arguments)
{
        char *bytes = malloc(size > 0 ? size : 1);
        int r;

        assert_non_null(bytes);
        memcpy(bytes, body, size);
        *ret_method = NULL;
        *ret_arguments = NULL;
        r = webhook_answer_call(bytes, size, ret_method, ret_arguments);
        free(bytes);
        return r;
}

static void test_a_call(void **state)
{
        static const char body[] = "{\"chat_id\":-1001234567890,\"method\":\"sendMessage\",\"text\":\"a\\u0000b\","
                                   "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"x\"}]]}}";
        json_object *arguments;
        char *method;

        assert_int_equal(ask(body, strlen(body), &method, &arguments), 1);
        assert_string_equal(method, "sendMessage");
        assert_string_equal(json_object_to_json_string_ext(arguments, JSON_C_TO_STRING_PLAIN),
                            "{\"chat_id\":-1001234567890,\"text\":\"a\\u0000b\","
                            "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"x\"}]]}}");
        free(method);
        json_object_put(arguments);
}

static void test_a_call_without_arguments(void **state)
{
        json_object *arguments;
        char *method;

        assert_int_equal(ask("{\"method\":\"getMe\"}", 18, &method, &arguments), 1);
        assert_string_equal(method, "getMe");
        assert_int_equal(json_object_object_length(arguments), 0);
        free(method);
        json_object_put(arguments);
}

static void test_no_call(void **state)
{
        static const char *const bodies[] = {
                "",
                "OK",
                "true",
                "null",
                "[]",
                "{}",
                "{\"ok\":true}",
                "[{\"method\":\"sendMessage\"}]",
                "{\"method\":null}",
                "{\"method\":7}",
                "{\"method\":[\"sendMessage\"]}",
                "{\"method\":\"\"}",
                /* what would become another path, or another request line */
                "{\"method\":\"sendMessage/../logOut\"}",
                "{\"method\":\"sendMessage?x=1\"}",
                "{\"method\":\"send Message\"}",
                "{\"method\":\"sendMessage\\r\\nX: y\"}",
                "{\"method\":\"sendMessage\\u0000\"}",
                "{\"method\":\"test%2FlogOut\"}",
                "{\"method\":\"s\\u00e9nd\"}",
                "{\"method\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
                /* not whole, or more than one */
                "{\"method\":\"sendMessage\"",
                "{\"method\":\"sendMessage\"}x",
                "{\"method\":\"sendMessage\"}{}",
        };
        json_object *arguments;
        char *method;

        FOREACH_ELEMENT(body, bodies) {
                assert_int_equal(ask(*body, strlen(*body), &method, &arguments), 0);
                assert_null(method);
                assert_null(arguments);
        }
        assert_int_equal(ask("{\"method\":\"getMe\"}\0", 19, &method, &arguments), 0);
}

/* In whatever case: the server does not mind either. */
static void test_methods_that_move_the_bot(void **state)
{
        static const char *const bodies[] = {
                "{\"method\":\"logOut\"}",        "{\"method\":\"LOGOUT\"}",
                "{\"method\":\"close\"}",         "{\"method\":\"Close\"}",
                "{\"method\":\"setWebhook\"}",    "{\"method\":\"setwebhook\",\"url\":\"https://other.example/\"}",
                "{\"method\":\"deleteWebhook\"}", "{\"method\":\"deletewebhook\"}",
                "{\"method\":\"getUpdates\"}",    "{\"method\":\"GETUPDATES\"}",
        };
        json_object *arguments;
        char *method;

        FOREACH_ELEMENT(body, bodies)
                assert_int_equal(ask(*body, strlen(*body), &method, &arguments), 0);
}

/* However deep: a bound, and no stack that runs over. */
static void test_depth(void **state)
{
        static char body[20000];
        json_object *arguments;
        char *method;
        size_t n = (size_t) snprintf(body, sizeof(body), "{\"method\":\"sendMessage\",\"x\":");

        memset(body + n, '[', 9000);
        memset(body + n + 9000, ']', 9000);
        body[n + 18000] = '}';
        assert_int_equal(ask(body, n + 18001, &method, &arguments), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_call),  cmocka_unit_test(test_a_call_without_arguments),
                cmocka_unit_test(test_no_call), cmocka_unit_test(test_methods_that_move_the_bot),
                cmocka_unit_test(test_depth),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
