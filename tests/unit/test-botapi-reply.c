/* SPDX-License-Identifier: MIT */

/* What each reply means. The heart is that nothing but the server's own, exact words is taken for knowledge:
 * a logOut about which we are wrong costs the bot both servers (L1, L2). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../canary.h"
#include "core/botapi-reply.h"

#define BOT_ID INT64_C(123456789)

#define SECRET CANARY_SECRET

#define ERROR_REPLY(code, description) "{\"ok\":false,\"error_code\":" code ",\"description\":\"" description "\"}"
#define RESULT_REPLY(result)           "{\"ok\":true,\"result\":" result "}"

static void parse(int status, const char *body, BotApiReply *ret)
{
        assert_int_equal(botapi_reply_parse(status, body, strlen(body), -1, ret), 0);
}

typedef struct OutcomeCase {
        int status;
        const char *body;
        int outcome;
} OutcomeCase;

static const OutcomeCase logout_cases[] = {
        { 200, RESULT_REPLY("true"), LOGOUT_OUTCOME_APPLIED },
        { 200, " " RESULT_REPLY("true") "\r\n", LOGOUT_OUTCOME_APPLIED },
        { 200, "{\"ok\":true,\"result\":true,\"description\":\"x\"}", LOGOUT_OUTCOME_APPLIED },
        { 400, ERROR_REPLY("400", "Logged out"), LOGOUT_OUTCOME_APPLIED_BEFORE },
        { 400, ERROR_REPLY("400", "Bad Request: already logging out"), LOGOUT_OUTCOME_APPLIED_BEFORE },
        { 401, ERROR_REPLY("401", "Unauthorized"), LOGOUT_OUTCOME_REVOKED },
        { 401, ERROR_REPLY("401", "Unauthorized: invalid token specified"), LOGOUT_OUTCOME_REVOKED },
        { 429, ERROR_REPLY("429", "Too Many Requests: retry after 5"), LOGOUT_OUTCOME_FLOOD },

        /* no "true" */
        { 200, RESULT_REPLY("false"), LOGOUT_OUTCOME_UNKNOWN },
        { 200, RESULT_REPLY("1"), LOGOUT_OUTCOME_UNKNOWN },
        { 200, RESULT_REPLY("\"true\""), LOGOUT_OUTCOME_UNKNOWN },
        { 200, RESULT_REPLY("{}"), LOGOUT_OUTCOME_UNKNOWN },
        { 200, RESULT_REPLY("null"), LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"ok\":true}", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"ok\":1,\"result\":true}", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"ok\":\"true\",\"result\":true}", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"result\":true}", LOGOUT_OUTCOME_UNKNOWN },
        { 201, RESULT_REPLY("true"), LOGOUT_OUTCOME_UNKNOWN },
        { 302, RESULT_REPLY("true"), LOGOUT_OUTCOME_UNKNOWN },
        { 500, RESULT_REPLY("true"), LOGOUT_OUTCOME_UNKNOWN },

        /* nearly the words */
        { 400, ERROR_REPLY("400", "Bad Request: Logged out"), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("400", "Logged out "), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("400", "logged out"), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("400", "Logged out of somewhere"), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("400", "Already logging out"), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("400", "Bad Request"), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("400", ""), LOGOUT_OUTCOME_UNKNOWN },

        /* the status is not the envelope's */
        { 200, ERROR_REPLY("400", "Logged out"), LOGOUT_OUTCOME_UNKNOWN },
        { 400, ERROR_REPLY("401", "Unauthorized"), LOGOUT_OUTCOME_UNKNOWN },
        { 401, ERROR_REPLY("400", "Logged out"), LOGOUT_OUTCOME_UNKNOWN },
        { 502, ERROR_REPLY("401", "Unauthorized"), LOGOUT_OUTCOME_UNKNOWN },
        { 429, ERROR_REPLY("\"429\"", "Too Many Requests"), LOGOUT_OUTCOME_UNKNOWN },
        { 401, ERROR_REPLY("401.0", "Unauthorized"), LOGOUT_OUTCOME_UNKNOWN },
        { 401, "{\"ok\":false,\"description\":\"Unauthorized\"}", LOGOUT_OUTCOME_UNKNOWN },
        { 0, "{\"ok\":false}", LOGOUT_OUTCOME_UNKNOWN },

        /* other errors */
        { 403, ERROR_REPLY("403", "Forbidden"), LOGOUT_OUTCOME_UNKNOWN },
        { 404, ERROR_REPLY("404", "Not Found"), LOGOUT_OUTCOME_UNKNOWN },
        { 421, ERROR_REPLY("421", "Misdirected Request"), LOGOUT_OUTCOME_UNKNOWN },
        { 500, ERROR_REPLY("500", "Internal Server Error: restart"), LOGOUT_OUTCOME_UNKNOWN },

        /* no Bot API server at all */
        { 200, "", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "true", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "[]", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "<html>Welcome, please sign in</html>", LOGOUT_OUTCOME_UNKNOWN },
        { 401, "<html>401 Authorization Required</html>", LOGOUT_OUTCOME_UNKNOWN },
        { 401, "{\"error\":\"Unauthorized\"}", LOGOUT_OUTCOME_UNKNOWN },
        { 429, "<html>429 Too Many Requests</html>", LOGOUT_OUTCOME_UNKNOWN },
        { 400, "", LOGOUT_OUTCOME_UNKNOWN },
        { 502, "<html>502 Bad Gateway</html>", LOGOUT_OUTCOME_UNKNOWN },

        /* not exactly one object */
        { 200, RESULT_REPLY("true") "x", LOGOUT_OUTCOME_UNKNOWN },
        { 200, RESULT_REPLY("true") RESULT_REPLY("true"), LOGOUT_OUTCOME_UNKNOWN },
        { 200, "x" RESULT_REPLY("true"), LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"ok\":true,\"result\":true", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"ok\":true,\"result\":true,}", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "{\"ok\":TRUE,\"result\":TRUE}", LOGOUT_OUTCOME_UNKNOWN },
        { 200, "/* */" RESULT_REPLY("true"), LOGOUT_OUTCOME_UNKNOWN },
};

static void test_logout_outcomes(void **state)
{
        FOREACH_ELEMENT(c, logout_cases) {
                BotApiReply reply;

                parse(c->status, c->body, &reply);
                if (botapi_logout_outcome(&reply) != (LogOutOutcome) c->outcome)
                        fail_msg("%d %s: %s", c->status, c->body,
                                 logout_outcome_to_string(botapi_logout_outcome(&reply)));
                botapi_reply_done(&reply);
        }
}

static void test_login_outcomes(void **state)
{
        static const OutcomeCase cases[] = {
                { 200, RESULT_REPLY("{\"id\":123456789,\"is_bot\":true}"), LOGIN_OUTCOME_OK },
                { 200, RESULT_REPLY("{\"id\":123456780}"), LOGIN_OUTCOME_OTHER_BOT },
                { 200, RESULT_REPLY("{\"id\":\"123456789\"}"), LOGIN_OUTCOME_ODD },
                { 200, RESULT_REPLY("{\"id\":99999999999999999999}"), LOGIN_OUTCOME_ODD },
                { 200, RESULT_REPLY("{\"id\":-1}"), LOGIN_OUTCOME_ODD },
                { 200, RESULT_REPLY("{}"), LOGIN_OUTCOME_ODD },
                { 200, RESULT_REPLY("true"), LOGIN_OUTCOME_ODD },
                { 200, "{\"ok\":true}", LOGIN_OUTCOME_ODD },
                { 206, RESULT_REPLY("{\"id\":123456789}"), LOGIN_OUTCOME_ODD },
                { 401, ERROR_REPLY("401", "Unauthorized: invalid api-id/api-hash"), LOGIN_OUTCOME_API_ID },
                { 401, ERROR_REPLY("401", "Unauthorized"), LOGIN_OUTCOME_REFUSED },
                { 401, "<html>401</html>", LOGIN_OUTCOME_ODD },
                { 421, ERROR_REPLY("421", "Misdirected Request: unallowed token specified"),
                  LOGIN_OUTCOME_MISDIRECTED },
                { 429, ERROR_REPLY("429", "Too Many Requests: retry after 3"), LOGIN_OUTCOME_FLOOD },
                { 429, "", LOGIN_OUTCOME_ODD },
                { 400, ERROR_REPLY("400", "Logged out"), LOGIN_OUTCOME_LOGGED_OUT },
                { 400, ERROR_REPLY("400", "Bad Request"), LOGIN_OUTCOME_ODD },
                { 400, "", LOGIN_OUTCOME_ODD },
                { 500, ERROR_REPLY("500", "Internal Server Error: restart"), LOGIN_OUTCOME_RESTARTING },
                { 500, ERROR_REPLY("500", "Internal Server Error"), LOGIN_OUTCOME_ODD },
                { 502, "<html>502</html>", LOGIN_OUTCOME_ODD },
                { 404, ERROR_REPLY("404", "Not Found"), LOGIN_OUTCOME_ODD },
                { 200, "", LOGIN_OUTCOME_ODD },
        };

        FOREACH_ELEMENT(c, cases) {
                BotApiReply reply;

                parse(c->status, c->body, &reply);
                if (botapi_login_outcome(&reply, BOT_ID) != (LogInOutcome) c->outcome)
                        fail_msg("%d %s: %s", c->status, c->body,
                                 login_outcome_to_string(botapi_login_outcome(&reply, BOT_ID)));
                botapi_reply_done(&reply);
        }
}

static void test_transport_outcomes(void **state)
{
        BotApiReply not_sent = { .transport = BOTAPI_NOT_SENT }, lost = { .transport = BOTAPI_LOST };

        assert_int_equal(botapi_logout_outcome(&not_sent), LOGOUT_OUTCOME_NOT_SENT);
        assert_int_equal(botapi_logout_outcome(&lost), LOGOUT_OUTCOME_UNKNOWN);
        assert_int_equal(botapi_login_outcome(&not_sent, BOT_ID), LOGIN_OUTCOME_SILENT);
        assert_int_equal(botapi_login_outcome(&lost, BOT_ID), LOGIN_OUTCOME_SILENT);
        assert_false(botapi_probe_alive(&not_sent));
        assert_false(botapi_probe_alive(&lost));
}

static void test_every_logout_outcome_has_its_word(void **state)
{
        for (LogOutOutcome o = 0; o < LOGOUT_OUTCOME_MAX; o++)
                assert_non_null(logout_outcome_to_string(o));
        assert_null(logout_outcome_to_string(LOGOUT_OUTCOME_MAX));
}

static void assert_answer(const OutcomeCase *c, bool (*question)(const BotApiReply *reply))
{
        BotApiReply reply;

        parse(c->status, c->body, &reply);
        if (question(&reply) != (bool) c->outcome)
                fail_msg("%d %s", c->status, c->body);
        botapi_reply_done(&reply);
}

/* What proves that the cloud is there: its own words, not those of what stands before it. */
static void test_server_answers(void **state)
{
        static const OutcomeCase cases[] = {
                { 401, ERROR_REPLY("401", "Unauthorized"), true },
                { 404, ERROR_REPLY("404", "Not Found"), true },
                { 429, ERROR_REPLY("429", "Too Many Requests: retry after 5"), true },
                { 200, RESULT_REPLY("{\"id\":1}"), true },
                { 200, ERROR_REPLY("404", "Not Found"), false },
                { 500, ERROR_REPLY("500", "Internal Server Error"), false },
                { 500, RESULT_REPLY("true"), false },
                { 502, "<html>502</html>", false },
                { 302, "", false },
                { 404, "<html>404</html>", false },
                { 200, "<html>Welcome</html>", false },
        };

        FOREACH_ELEMENT(c, cases)
                assert_answer(c, botapi_server_answers);
}

static void test_is_true(void **state)
{
        static const OutcomeCase cases[] = {
                { 200, RESULT_REPLY("true"), true },
                { 200, "{\"ok\":true,\"result\":true,\"description\":\"Webhook was set\"}", true },
                { 200, RESULT_REPLY("false"), false },
                { 200, RESULT_REPLY("\"true\""), false },
                { 200, "{\"ok\":true}", false },
                { 500, RESULT_REPLY("true"), false },
                { 302, RESULT_REPLY("true"), false },
                { 200, "<html>true</html>", false },
        };

        FOREACH_ELEMENT(c, cases)
                assert_answer(c, botapi_is_true);
}

static void test_probe(void **state)
{
        static const OutcomeCase cases[] = {
                { 401, ERROR_REPLY("401", "Unauthorized: invalid token specified"), true },
                { 401, ERROR_REPLY("401", "Unauthorized"), false },
                { 401, "<html>401</html>", false },
                { 404, ERROR_REPLY("404", "Not Found"), false },
                { 429, ERROR_REPLY("429", "Too Many Requests: retry after 5"), false },
                { 200, RESULT_REPLY("{\"id\":1}"), false },
        };

        FOREACH_ELEMENT(c, cases)
                assert_answer(c, botapi_probe_alive);
}

static void test_retry_after(void **state)
{
        static const struct {
                const char *body;
                int64_t header;
                unsigned sec;
        } cases[] = {
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":35}}", -1, 35 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":35}}", 7, 35 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":0}}", -1, 1 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":-5}}", -1, 1 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":\"5\"}}", 7, 7 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":[]}", 7, 7 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":99999}}", -1, 3600 },
                { "{\"ok\":false,\"error_code\":429,\"parameters\":{\"retry_after\":99999999999999999999}}", -1, 3600 },
                { "{\"ok\":false,\"error_code\":429}", -1, 1 },
                { "{\"ok\":false,\"error_code\":429}", 0, 1 },
                { "{\"ok\":false,\"error_code\":429}", INT64_MAX, 3600 },
                { "{\"ok\":false,\"error_code\":400}", -1, 0 },
                { "<html>429</html>", -1, 0 },
                { "<html>429</html>", 12, 12 },
        };

        FOREACH_ELEMENT(c, cases) {
                BotApiReply reply;

                assert_int_equal(botapi_reply_parse(429, c->body, strlen(c->body), c->header, &reply), 0);
                assert_int_equal(reply.retry_after_usec, c->sec * USEC_PER_SEC);
                botapi_reply_done(&reply);
        }
}

static void test_depth_is_bounded(void **state)
{
        char body[4096] = "{\"ok\":true,\"result\":";
        size_t n = strlen(body);
        BotApiReply reply;

        memset(body + n, '[', 1000);
        memset(body + n + 1000, ']', 1000);
        body[n + 2000] = '}';
        parse(200, body, &reply);
        assert_false(reply.envelope);
        botapi_reply_done(&reply);
}

static void test_body_with_nul(void **state)
{
        static const char body[] = "{\"ok\":true,\"result\":true}\0{\"ok\":false}";
        static const char inside[] = "{\"ok\":true,\"result\":\0true}";
        BotApiReply reply;

        assert_int_equal(botapi_reply_parse(200, inside, sizeof(inside) - 1, -1, &reply), 0);
        assert_int_equal(botapi_logout_outcome(&reply), LOGOUT_OUTCOME_UNKNOWN);
        botapi_reply_done(&reply);
        assert_int_equal(botapi_reply_parse(200, body, sizeof(body) - 1, -1, &reply), 0);
        assert_int_equal(botapi_logout_outcome(&reply), LOGOUT_OUTCOME_UNKNOWN);
        botapi_reply_done(&reply);
}

/* What people read comes from a stranger: no terminal sequences, and good UTF-8, which D-Bus insists on. */
static void test_clean_text(void **state)
{
        static const struct {
                const char *in;
                size_t size_max;
                const char *out;
        } cases[] = {
                { "", 10, "" },
                { "plain", 10, "plain" },
                { "plain", 3, "pla" },
                { "a\x1b[31mb\nc\x7f", 20, "a?[31mb?c?" },
                { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 20, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
                { "\xc3\xa4\xc3\xa4", 3, "\xc3\xa4" },
                { "\xc2\x9b", 10, "??" },           /* a control character of two bytes */
                { "\xc0\xaf", 10, "??" },           /* longer than need be */
                { "\xe0\x80\xaf", 10, "???" },      /* likewise */
                { "\xed\xa0\x80", 10, "???" },      /* half of a surrogate pair */
                { "\xf4\x90\x80\x80", 10, "????" }, /* beyond Unicode */
                { "\xff\xfe", 10, "??" },
                { "x\xe2\x82", 10, "x??" }, /* cut off */
                { SECRET, 35, "{secret}" },
                { "for 4242:" SECRET "!", 35, "for 4242:{secret}!" },
                { "4242%3A" SECRET, 35, "4242%{secret}" },
                { "x/" SECRET, 9, "x/" }, /* nor half of it */
                { "four-and-twenty-small-letters", 35, "four-and-twenty-small-letters" },
                { "FOUR_AND_TWENTY_CAPITALS_INVALID", 35, "FOUR_AND_TWENTY_CAPITALS_INVALID" },
                { "Sixteen-and-7-are-less.", 35, "Sixteen-and-7-are-less." },
        };

        FOREACH_ELEMENT(c, cases) {
                _cleanup_free_ char *out = botapi_clean_text(c->in, c->size_max);

                assert_string_equal(out, c->out);
        }
}

static void test_description(void **state)
{
        char body[1024] = "{\"ok\":false,\"error_code\":400,\"description\":\"";
        BotApiReply reply;

        memset(body + strlen(body), 'x', 500);
        strcat(body, "\"}");
        parse(400, body, &reply);
        assert_int_equal(strlen(reply.description), 256);
        botapi_reply_done(&reply);

        parse(400, "{\"ok\":false,\"error_code\":400,\"description\":[1]}", &reply);
        assert_string_equal(reply.description, "");
        botapi_reply_done(&reply);

        /* L7: what the server says of a token is not said on. */
        parse(400, ERROR_REPLY("400", "No bot 4242:" SECRET), &reply);
        assert_string_equal(reply.description, "No bot 4242:{secret}");
        botapi_reply_done(&reply);

        parse(400, ERROR_REPLY("400", "a\\u001b[0m\\nb"), &reply);
        assert_string_equal(reply.description, "a?[0m?b");
        botapi_reply_done(&reply);
}

static void test_describe(void **state)
{
        static const struct {
                int status;
                const char *body, *text;
        } cases[] = {
                { 502, "<html>", "HTTP 502 and no Bot API reply" },
                { 400, ERROR_REPLY("400", "Logged out"), "400 Logged out" },
                { 200, ERROR_REPLY("400", "Logged out"), "HTTP 200 with error code 400 Logged out" },
                { 200, RESULT_REPLY("false"), "HTTP 200 with \"ok\"" },
        };

        FOREACH_ELEMENT(c, cases) {
                BotApiReply reply;

                parse(c->status, c->body, &reply);
                _cleanup_free_ char *text = botapi_reply_describe(&reply);
                assert_string_equal(text, c->text);
                botapi_reply_done(&reply);
        }

        BotApiReply lost = { .transport = BOTAPI_LOST, .transport_error = strdup("it broke") };
        BotApiReply not_sent = { .transport = BOTAPI_NOT_SENT };
        _cleanup_free_ char *a = botapi_reply_describe(&lost), *b = botapi_reply_describe(&not_sent);
        assert_string_equal(a, "no reply: it broke");
        assert_string_equal(b, "not sent: out of memory");
        botapi_reply_done(&lost);
}

static void test_webhook_info(void **state)
{
        BotApiReply reply;
        WebhookInfo info;
        WebhookSettings copy;

        parse(200,
              RESULT_REPLY("{\"url\":\"https://bot.test/hook\",\"has_custom_certificate\":true,"
                           "\"pending_update_count\":7,\"last_error_date\":1700000000,"
                           "\"last_error_message\":\"Wrong response\\u0007\",\"max_connections\":40,"
                           "\"ip_address\":\"192.0.2.1\",\"allowed_updates\":[\"message\",\"poll\"]}"),
              &reply);
        assert_int_equal(botapi_webhook_info(&reply, &info), 0);
        botapi_reply_done(&reply);
        assert_int_equal(info.pending_update_count, 7);
        assert_int_equal(info.last_error_usec, 1700000000 * USEC_PER_SEC);
        assert_string_equal(info.last_error_message, "Wrong response?");

        assert_int_equal(webhook_settings_copy(&info.settings, &copy), 0);
        webhook_info_done(&info);
        assert_string_equal(copy.url, "https://bot.test/hook");
        assert_string_equal(copy.ip_address, "192.0.2.1");
        assert_true(copy.has_custom_certificate);
        assert_int_equal(copy.max_connections, 40);
        assert_int_equal(json_object_array_length(copy.allowed_updates), 2);
        webhook_settings_done(&copy);

        parse(200, RESULT_REPLY("{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0}"), &reply);
        assert_int_equal(botapi_webhook_info(&reply, &info), 0);
        botapi_reply_done(&reply);
        assert_string_equal(info.settings.url, "");
        assert_null(info.settings.ip_address);
        assert_null(info.settings.allowed_updates);
        assert_null(info.last_error_message);
        assert_int_equal(info.last_error_usec, 0);
        assert_int_equal(webhook_settings_copy(&info.settings, &copy), 0);
        webhook_settings_done(&copy);
        webhook_info_done(&info);
}

/* Settings that are not understood can't be restored, so nothing may be built on them. */
static void test_webhook_info_that_is_off(void **state)
{
        static const char *const results[] = {
                "true",
                "{}",
                "[]",
                "{\"has_custom_certificate\":false,\"pending_update_count\":0}",
                "{\"url\":\"\",\"pending_update_count\":0}",
                "{\"url\":\"\",\"has_custom_certificate\":false}",
                "{\"url\":1,\"has_custom_certificate\":false,\"pending_update_count\":0}",
                "{\"url\":\"a\\u0000b\",\"has_custom_certificate\":false,\"pending_update_count\":0}",
                "{\"url\":\"\",\"has_custom_certificate\":0,\"pending_update_count\":0}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":-1}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":1.5}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":99999999999999999999}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"max_connections\":0}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"max_connections\":\"4\"}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"ip_address\":4}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"allowed_updates\":{}}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"allowed_updates\":[1]}",
                "{\"url\":\"\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"last_error_date\":\"x\"}",
        };

        FOREACH_ELEMENT(result, results) {
                char body[512] = "{\"ok\":true,\"result\":";
                WebhookInfo info;
                BotApiReply reply;

                strcat(strcat(body, *result), "}");
                parse(200, body, &reply);
                assert_true(reply.ok);
                assert_int_equal(botapi_webhook_info(&reply, &info), -EBADMSG);
                botapi_reply_done(&reply);
        }

        BotApiReply lost = { .transport = BOTAPI_LOST };
        WebhookInfo info;
        assert_int_equal(botapi_webhook_info(&lost, &info), -EBADMSG);
}

/* What is remembered has to fit into the bot's record, which has to be written whatever a server says. */
static void test_webhook_info_that_is_too_long(void **state)
{
        static const struct {
                const char *before, *after;
                size_t good, bad;
        } cases[] = {
                { "{\"has_custom_certificate\":false,\"pending_update_count\":0,\"url\":\"", "\"}", 8192, 8193 },
                { "{\"has_custom_certificate\":false,\"pending_update_count\":0,\"url\":\"\",\"ip_address\":\"", "\"}",
                  8192, 8193 },
                { "{\"has_custom_certificate\":false,\"pending_update_count\":0,\"url\":\"\",\"allowed_updates\":[\"",
                  "\"]}", 64, 65 },
                { "{\"has_custom_certificate\":false,\"pending_update_count\":0,\"url\":\"\",\"allowed_updates\":[\"x\"",
                  "]}", 255 * 4, 256 * 4 },
        };

        FOREACH_ELEMENT(c, cases) {
                static const char unit[] = ",\"y\"";
                bool list = c->after[0] == ']';

                for (int bad = 0; bad <= 1; bad++) {
                        char body[9000] = "{\"ok\":true,\"result\":";
                        size_t size = bad ? c->bad : c->good;
                        BotApiReply reply;
                        WebhookInfo info;
                        char *p = stpcpy(body + strlen(body), c->before);

                        for (size_t i = 0; i < size; i++)
                                *p++ = (char) (list ? unit[i % 4] : 'x');
                        strcpy(stpcpy(p, c->after), "}");
                        parse(200, body, &reply);
                        assert_int_equal(botapi_webhook_info(&reply, &info), bad ? -EBADMSG : 0);
                        if (!bad)
                                webhook_info_done(&info);
                        botapi_reply_done(&reply);
                }
        }
}

static void test_updates(void **state)
{
        json_object *updates = NULL;
        int64_t next = 55;
        BotApiReply reply;

        parse(200, RESULT_REPLY("[]"), &reply);
        assert_int_equal(botapi_updates(&reply, &updates, &next), 0);
        assert_int_equal(json_object_array_length(updates), 0);
        assert_int_equal(next, 55);
        json_object_put(updates);
        botapi_reply_done(&reply);

        parse(200, RESULT_REPLY("[{\"update_id\":7,\"x\":1.50},{\"update_id\":9}]"), &reply);
        assert_int_equal(botapi_updates(&reply, &updates, &next), 0);
        botapi_reply_done(&reply);
        assert_int_equal(next, 10);
        /* Handed on as it came, numbers too. */
        assert_string_equal(json_object_to_json_string_ext(updates, JSON_C_TO_STRING_PLAIN),
                            "[{\"update_id\":7,\"x\":1.50},{\"update_id\":9}]");
        json_object_put(updates);
}

/* The next offset confirms, and what is confirmed is gone (L6). */
static void test_updates_that_are_off(void **state)
{
        static const struct {
                int status;
                const char *body;
        } cases[] = {
                { 200, RESULT_REPLY("true") },
                { 200, RESULT_REPLY("{}") },
                { 200, RESULT_REPLY("[1]") },
                { 200, RESULT_REPLY("[{}]") },
                { 200, RESULT_REPLY("[{\"update_id\":\"7\"}]") },
                { 200, RESULT_REPLY("[{\"update_id\":0}]") },
                { 200, RESULT_REPLY("[{\"update_id\":-7}]") },
                { 200, RESULT_REPLY("[{\"update_id\":7.0}]") },
                { 200, RESULT_REPLY("[{\"update_id\":9007199254740992}]") },
                { 200, RESULT_REPLY("[{\"update_id\":99999999999999999999}]") },
                { 200, RESULT_REPLY("[{\"update_id\":7},{\"update_id\":7}]") },
                { 200, RESULT_REPLY("[{\"update_id\":8},{\"update_id\":7}]") },
                { 200, RESULT_REPLY("[{\"update_id\":7},null]") },
                { 202, RESULT_REPLY("[{\"update_id\":7}]") },
                { 409, ERROR_REPLY("409", "Conflict: terminated by other getUpdates request") },
                { 200, "<html>" },
        };

        FOREACH_ELEMENT(c, cases) {
                json_object *updates = NULL;
                int64_t next = 55;
                BotApiReply reply;

                parse(c->status, c->body, &reply);
                assert_int_equal(botapi_updates(&reply, &updates, &next), -EBADMSG);
                assert_null(updates);
                assert_int_equal(next, 55);
                botapi_reply_done(&reply);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_logout_outcomes),
                cmocka_unit_test(test_login_outcomes),
                cmocka_unit_test(test_transport_outcomes),
                cmocka_unit_test(test_every_logout_outcome_has_its_word),
                cmocka_unit_test(test_probe),
                cmocka_unit_test(test_retry_after),
                cmocka_unit_test(test_depth_is_bounded),
                cmocka_unit_test(test_server_answers),
                cmocka_unit_test(test_is_true),
                cmocka_unit_test(test_body_with_nul),
                cmocka_unit_test(test_clean_text),
                cmocka_unit_test(test_description),
                cmocka_unit_test(test_describe),
                cmocka_unit_test(test_webhook_info),
                cmocka_unit_test(test_webhook_info_that_is_off),
                cmocka_unit_test(test_webhook_info_that_is_too_long),
                cmocka_unit_test(test_updates),
                cmocka_unit_test(test_updates_that_are_off),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
