/* SPDX-License-Identifier: MIT */

/* The client against servers that do everything wrong, over plain HTTP. What must hold throughout: one call
 * is at most one request; NOT_SENT only where nothing can have arrived; the token in no text (L7). */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "botapi-fixture.h"
#include "io/clock.h"

/* One logOut to a server that answers like this. */
static void run_once(void (*answer)(Script *s, HttpPeer *peer), int status, const char *headers, const char *body,
                     Exchange *x)
{
        Script s;

        *x = (Exchange){};
        script_set_up(&s, answer, status, body);
        s.headers = headers;
        exchange_run(x, &s.w, BOTAPI_LOG_OUT);
        assert_int_equal(s.n_requests, 1);
        assert_true(x->sent);
        script_tear_down(&s);
}

static void test_request_line(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_run(&x, &s.w, BOTAPI_LOG_OUT);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        assert_int_equal(x.http_status, 200);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_APPLIED);
        assert_true(x.sent);
        assert_false(x.reused);
        assert_non_null(startswith(s.last_request, "GET /bot" CANARY_TOKEN "/logOut HTTP/1.1\r\n"));
        assert_non_null(strstr(s.last_request, "\r\nUser-Agent: tgswitch/" VERSION "\r\n"));
        assert_null(strcasestr(s.last_request, "accept-encoding"));
        exchange_done(&x);
        script_tear_down(&s);
}

static void test_arguments_are_a_json_body(void **state)
{
        Exchange x = {};
        Script s;
        json_object *arguments = json_object_new_object();

        json_object_object_add(arguments, "url", json_object_new_string("https://bot.test/hook"));
        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_SET_WEBHOOK, arguments, 0);
        json_object_put(arguments);
        world_run_until(&s.w, &x.replied);
        assert_true(x.sent);
        assert_non_null(startswith(s.last_request, "POST /bot" CANARY_TOKEN "/setWebhook HTTP/1.1\r\n"));
        assert_non_null(strstr(s.last_request, "\r\nContent-Type: application/json\r\n"));
        assert_non_null(strstr(s.last_request, "\r\n\r\n{\"url\":\"https://bot.test/hook\"}"));
        assert_null(strcasestr(s.last_request, "expect:"));
        exchange_done(&x);
        script_tear_down(&s);
}

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

/* A field or a file of the form: its header lines, and what it holds. */
static void assert_part(const char *request, const char *headers, const char *content)
{
        _cleanup_free_ char *part = NULL;

        assert_true(asprintf(&part, "%s\r\n\r\n%s\r\n--", headers, content) > 0);
        if (!strstr(request, part))
                fail_msg("no part '%s' in: %s", part, request);
}

static void test_certificate_makes_it_a_form(void **state)
{
        Exchange x = { .certificate = CERTIFICATE };
        Script s;
        json_object *arguments = json_object_new_object(), *list = json_object_new_array();

        json_object_array_add(list, json_object_new_string("message"));
        json_object_object_add(arguments, "url", json_object_new_string("https://bot.test/\"hook\"&x"));
        json_object_object_add(arguments, "max_connections", json_object_new_int(7));
        json_object_object_add(arguments, "allowed_updates", list);
        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_SET_WEBHOOK, arguments, 0);
        json_object_put(arguments);
        world_run_until(&s.w, &x.replied);
        assert_int_equal(s.n_requests, 1);
        assert_true(x.sent);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        assert_non_null(startswith(s.last_request, "POST /bot" CANARY_TOKEN "/setWebhook HTTP/1.1\r\n"));
        assert_non_null(strstr(s.last_request, "\r\nContent-Type: multipart/form-data; boundary="));
        assert_null(strcasestr(s.last_request, "expect:"));
        assert_part(s.last_request, "Content-Disposition: form-data; name=\"url\"", "https://bot.test/\"hook\"&x");
        assert_part(s.last_request, "Content-Disposition: form-data; name=\"max_connections\"", "7");
        assert_part(s.last_request, "Content-Disposition: form-data; name=\"allowed_updates\"", "[\"message\"]");
        assert_part(s.last_request,
                    "Content-Disposition: form-data; name=\"certificate\"; filename=\"certificate.pem\"\r\n"
                    "Content-Type: application/x-pem-file",
                    CERTIFICATE);
        exchange_done(&x);
        script_tear_down(&s);
}

static char *long_text(size_t size)
{
        char *text = malloc(size + 1);

        assert_non_null(text);
        memset(text, 'a', size);
        text[size] = '\0';
        return text;
}

/* "sent" means the last byte, also where the size of the body is libcurl's own affair. */
static void test_large_form_is_sent_once_whole(void **state)
{
        _cleanup_free_ char *certificate = long_text(60000);
        Exchange x = { .certificate = certificate };
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_SET_WEBHOOK, NULL, 0);
        world_run_until(&s.w, &x.replied);
        assert_int_equal(s.n_requests, 1);
        assert_true(x.sent);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        exchange_done(&x);
        script_tear_down(&s);
}

/* "sent" means the last byte, also where the kernel takes a request in pieces. */
static void test_large_request_is_sent_once_whole(void **state)
{
        Exchange x = {};
        Script s;
        char *text = malloc(60000);
        json_object *arguments = json_object_new_object();

        assert_non_null(text);
        memset(text, 'a', 59999);
        text[59999] = '\0';
        json_object_object_add(arguments, "url", json_object_new_string(text));
        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_SET_WEBHOOK, arguments, 0);
        world_run_until(&s.w, &x.replied);
        assert_true(x.sent);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        exchange_done(&x);
        json_object_put(arguments);
        free(text);
        script_tear_down(&s);
}

static void stop_reading(HttpPeer *peer, void *userdata)
{
        http_peer_stop_reading(peer);
}

/* And not before: of a form that the server does not read to its end, nothing is ever told but that it is lost. */
static void test_form_cut_off_is_not_sent(void **state)
{
        static const HttpServerHandlers deaf = { .accepted = stop_reading };
        _cleanup_free_ char *certificate = long_text((size_t) 16 * 1024 * 1024);
        Exchange x = {};
        World w;

        world_set_up(&w, NULL, "127.0.0.1", &deaf, NULL);
        /* On a busy machine the deadline may pass before there is a connection: then a longer one. */
        for (usec_t timeout_usec = 500 * USEC_PER_MSEC; x.transport != BOTAPI_LOST; timeout_usec *= 2) {
                exchange_done(&x);
                x.certificate = certificate;
                exchange_start(&x, &w, BOTAPI_SET_WEBHOOK, NULL, timeout_usec);
                world_run_until(&w, &x.replied);
                assert_int_not_equal(x.transport, BOTAPI_REPLIED);
        }
        assert_false(x.sent);
        exchange_done(&x);
        world_tear_down(&w);
}

/* Not sent whole is not the same as not sent: what has arrived is not ours to know. */
static void test_request_cut_off_is_lost(void **state)
{
        static const HttpServerHandlers deaf = { .accepted = stop_reading };
        size_t size = 16 * 1024 * 1024;
        char *text = malloc(size);
        json_object *arguments = json_object_new_object();
        Exchange x = {};
        World w;

        assert_non_null(text);
        memset(text, 'a', size);
        json_object_object_add(arguments, "url", json_object_new_string_len(text, (int) size));
        world_set_up(&w, NULL, "127.0.0.1", &deaf, NULL);
        /* On a busy machine the deadline may pass before there is a connection: then a longer one. */
        for (usec_t timeout_usec = 500 * USEC_PER_MSEC; x.transport != BOTAPI_LOST; timeout_usec *= 2) {
                exchange_done(&x);
                exchange_start(&x, &w, BOTAPI_SET_WEBHOOK, arguments, timeout_usec);
                world_run_until(&w, &x.replied);
                assert_int_not_equal(x.transport, BOTAPI_REPLIED);
        }
        assert_false(x.sent);
        assert_int_equal(x.transport, BOTAPI_LOST);
        exchange_done(&x);
        json_object_put(arguments);
        free(text);
        world_tear_down(&w);
}

static void test_probe_carries_nobodys_token(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_reply, 401,
                      "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized: invalid token specified\"}");
        bot_token_free(TAKE_PTR(s.w.token));
        exchange_run(&x, &s.w, BOTAPI_GET_ME);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        assert_string_equal(x.text, "401 Unauthorized: invalid token specified");
        assert_non_null(startswith(s.last_request, "GET /bot0:x/getMe HTTP/1.1\r\n"));
        exchange_done(&x);
        script_tear_down(&s);
}

static void test_refused_connection_is_not_sent(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        s.w.server = http_server_free(s.w.server);
        exchange_run(&x, &s.w, BOTAPI_LOG_OUT);
        assert_int_equal(x.transport, BOTAPI_NOT_SENT);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_NOT_SENT);
        assert_false(x.sent);
        exchange_done(&x);
        script_tear_down(&s);
}

static void accept_and_reset(HttpPeer *peer, void *userdata)
{
        http_peer_reset(peer);
}

/* Whether the client hears of the reset before it has written is up to the kernel; what it says has to
 * agree. */
static void test_accept_and_reset(void **state)
{
        static const HttpServerHandlers resetting = { .accepted = accept_and_reset };
        Exchange x = {};
        World w;

        world_set_up(&w, NULL, "127.0.0.1", &resetting, NULL);
        exchange_run(&x, &w, BOTAPI_LOG_OUT);
        assert_int_equal(x.transport, x.sent ? BOTAPI_LOST : BOTAPI_NOT_SENT);
        exchange_done(&x);
        world_tear_down(&w);
}

static void test_no_whole_reply_is_lost(void **state)
{
        static const char *const replies[] = {
                "",
                "HTTP/1.1 200",
                "HTTP/1.1 200 OK\r\nContent-Le",
                "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" TRUE_REPLY,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n{\"ok\":true,\"result\"",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n" TRUE_REPLY "\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" TRUE_REPLY "\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 25\r\nContent-Length: 24\r\n\r\n",
                TRUE_REPLY,
                "SSH-2.0-OpenSSH_9.2\r\n",
        };
        Exchange x;

        FOREACH_ELEMENT(reply, replies) {
                run_once(answer_raw, 0, NULL, *reply, &x);
                assert_int_equal(x.transport, BOTAPI_LOST);
                assert_int_equal(x.outcome, LOGOUT_OUTCOME_UNKNOWN);
                assert_non_null(startswith(x.text, "no reply: "));
                exchange_done(&x);
        }
        run_once(answer_close, 0, NULL, NULL, &x);
        assert_int_equal(x.transport, BOTAPI_LOST);
        exchange_done(&x);
        run_once(answer_reset, 0, NULL, NULL, &x);
        assert_int_equal(x.transport, BOTAPI_LOST);
        exchange_done(&x);
}

static void test_replies_of_others(void **state)
{
        static const struct {
                int status;
                const char *headers, *body, *text;
        } cases[] = {
                { 502, "Content-Type: text/html\r\n", "<html>Bad Gateway</html>", "HTTP 502 and no Bot API reply" },
                { 302, "Location: http://127.0.0.1:1/\r\n", "", "HTTP 302 and no Bot API reply" },
                { 400, "", "", "HTTP 400 and no Bot API reply" },
                { 401, "WWW-Authenticate: Basic\r\n", "<html>401</html>", "HTTP 401 and no Bot API reply" },
                { 421, "", "no", "HTTP 421 and no Bot API reply" },
                { 200, "Content-Encoding: gzip\r\n", "\x1f\x8b\x08", "HTTP 200 and no Bot API reply" },
        };
        Exchange x;

        FOREACH_ELEMENT(c, cases) {
                run_once(answer_reply, c->status, c->headers, c->body, &x);
                assert_int_equal(x.transport, BOTAPI_REPLIED);
                assert_int_equal(x.http_status, c->status);
                assert_int_equal(x.outcome, LOGOUT_OUTCOME_UNKNOWN);
                assert_string_equal(x.text, c->text);
                exchange_done(&x);
        }
}

static void test_chunked(void **state)
{
        Exchange x;

        run_once(answer_raw, 0, NULL,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"ok\":true,\r\n"
                 "e\r\n\"result\":true}\r\n0\r\n\r\n",
                 &x);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_APPLIED);
        exchange_done(&x);
}

static void test_retry_after_header(void **state)
{
        Exchange x;

        run_once(answer_reply, 429, "Retry-After: 17\r\n",
                 "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 17\"}", &x);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_FLOOD);
        assert_int_equal(x.retry_after_usec, 17 * USEC_PER_SEC);
        exchange_done(&x);

        run_once(answer_reply, 429, "Retry-After: 17\r\n", "<html>slow down</html>", &x);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_UNKNOWN);
        assert_int_equal(x.retry_after_usec, 17 * USEC_PER_SEC);
        exchange_done(&x);
}

static void answer_endlessly(Script *s, HttpPeer *peer)
{
        size_t size = 9 * 1024 * 1024;
        char *bytes = malloc(size);

        assert_non_null(bytes);
        memset(bytes, ' ', size);
        http_peer_send_string(peer, s->body);
        http_peer_send(peer, bytes, size);
        free(bytes);
}

static void test_too_large_is_lost(void **state)
{
        static const char *const heads[] = {
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX: ",
        };
        Exchange x = {};

        FOREACH_ELEMENT(head, heads) {
                Script s;

                script_set_up(&s, answer_endlessly, 0, *head);
                exchange_run(&x, &s.w, BOTAPI_GET_UPDATES);
                assert_int_equal(x.transport, BOTAPI_LOST);
                exchange_assert_failed(&x, "the reply is too large");
                exchange_done(&x);
                script_tear_down(&s);
        }
        run_once(answer_endlessly, 0, NULL, heads[0], &x);
        assert_int_equal(x.transport, BOTAPI_LOST);
        exchange_assert_failed(&x, "the reply is too large");
        exchange_done(&x);
}

static void answer_many_headers(Script *s, HttpPeer *peer)
{
        http_peer_send_string(peer, "HTTP/1.1 200 OK\r\n");
        for (unsigned i = 0; i < 10000; i++)
                http_peer_send_string(peer, "X-Line: again\r\n");
        http_peer_send_string(peer, "\r\n" TRUE_REPLY);
        http_peer_close(peer);
}

static void answer_many_interim_replies(Script *s, HttpPeer *peer)
{
        for (unsigned i = 0; i < 5000; i++)
                http_peer_send_string(peer, "HTTP/1.1 103 Early Hints\r\n\r\n");
        http_peer_reply(peer, 200, "", TRUE_REPLY);
}

static void test_header_lines_are_bounded(void **state)
{
        Exchange x;

        run_once(answer_many_headers, 0, NULL, NULL, &x);
        exchange_assert_failed(&x, "the reply is too large");
        exchange_done(&x);
        run_once(answer_many_interim_replies, 0, NULL, NULL, &x);
        exchange_assert_failed(&x, "the reply is too large");
        exchange_done(&x);
}

/* A reply of the size that the server's own cap allows does come through. */
static void answer_four_mebibytes(Script *s, HttpPeer *peer)
{
        size_t size = 4 * 1024 * 1024;
        char *body = malloc(size + 1);

        assert_non_null(body);
        memset(body, ' ', size);
        body[size] = '\0';
        memcpy(body, TRUE_REPLY, strlen(TRUE_REPLY));
        http_peer_reply(peer, 200, "", body);
        free(body);
}

static void test_large_reply(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_four_mebibytes, 0, NULL);
        exchange_run(&x, &s.w, BOTAPI_GET_UPDATES);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_APPLIED);
        exchange_done(&x);
        script_tear_down(&s);
}

static void test_environment_names_no_proxy(void **state)
{
        static const char *const names[] = { "http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY" };
        Exchange x;

        FOREACH_ELEMENT(name, names)
                assert_int_equal(setenv(*name, "http://127.0.0.1:1", 1), 0);
        run_once(answer_reply, 200, NULL, TRUE_REPLY, &x);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_APPLIED);
        exchange_done(&x);
        FOREACH_ELEMENT(name, names)
                assert_int_equal(unsetenv(*name), 0);
}

/* OpenSSL's writes would end the process. */
static void test_sigpipe_is_ignored(void **state)
{
        struct sigaction sa;
        Script s;

        assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        assert_int_equal(sigaction(SIGPIPE, NULL, &sa), 0);
        assert_ptr_equal(sa.sa_handler, SIG_IGN);
        script_tear_down(&s);
}

#define SCHEME    "it begins neither with https:// nor with http://"
#define SLASH     "it may not end with a slash"
#define CHARACTER "it may not contain any of ?, #, @, % and backslash"
#define BEYOND    "it may not contain spaces, control characters or letters beyond ASCII"
#define PLAIN \
        "http is for this host alone (127.0.0.1, [::1], localhost): over a network only https keeps the token secret"

static void test_root_check(void **state)
{
        static const char *const good[] = {
                "https://api.telegram.org", "https://bot.test:8443/prefix",
                "https://192.0.2.1",        "http://127.0.0.1:8081",
                "http://127.8.9.1",         "http://[::1]:8081",
                "http://localhost:8081",
        };
        static const struct {
                const char *root, *why;
        } bad[] = {
                { "", SCHEME },
                { "api.telegram.org", SCHEME },
                { "ftp://127.0.0.1", SCHEME },
                { "https://", SLASH },
                { "http://", SLASH },
                { "https://api.telegram.org/", SLASH },
                { "https://user@api.telegram.org", CHARACTER },
                { "https://user:pw@api.telegram.org", CHARACTER },
                { "https://api.telegram.org?x", CHARACTER },
                { "https://api.telegram.org#x", CHARACTER },
                { "https://api.telegram.org\\@evil.test", CHARACTER },
                { "https://api.telegram.org:99999", "it is not a valid address" },
                { "https://[::1", "it is not a valid address" },
                { "https://api.telegram.org ", BEYOND },
                { "https://api.tele\ngram.org", BEYOND },
                { "https://b\xc3\xbc.test", BEYOND },
                { "http://api.telegram.org", PLAIN },
                { "http://192.168.0.1:8081", PLAIN },
                { "http://127.0.0.1.evil.test", PLAIN },
                { "http://127.0.0.1%2eevil.test", CHARACTER },
                { "http://localhost.evil.test", PLAIN },
                { "http://[::ffff:192.168.0.1]", PLAIN },
        };
        const char *why;

        FOREACH_ELEMENT(root, good)
                assert_int_equal(botapi_root_check(*root, &why), 0);
        FOREACH_ELEMENT(row, bad) {
                assert_int_equal(botapi_root_check(row->root, &why), -EINVAL);
                assert_string_equal(why, row->why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request_line),
                cmocka_unit_test(test_arguments_are_a_json_body),
                cmocka_unit_test(test_certificate_makes_it_a_form),
                cmocka_unit_test(test_large_form_is_sent_once_whole),
                cmocka_unit_test(test_form_cut_off_is_not_sent),
                cmocka_unit_test(test_large_request_is_sent_once_whole),
                cmocka_unit_test(test_request_cut_off_is_lost),
                cmocka_unit_test(test_probe_carries_nobodys_token),
                cmocka_unit_test(test_refused_connection_is_not_sent),
                cmocka_unit_test(test_accept_and_reset),
                cmocka_unit_test(test_no_whole_reply_is_lost),
                cmocka_unit_test(test_replies_of_others),
                cmocka_unit_test(test_chunked),
                cmocka_unit_test(test_retry_after_header),
                cmocka_unit_test(test_too_large_is_lost),
                cmocka_unit_test(test_header_lines_are_bounded),
                cmocka_unit_test(test_large_reply),
                cmocka_unit_test(test_environment_names_no_proxy),
                cmocka_unit_test(test_sigpipe_is_ignored),
                cmocka_unit_test(test_root_check),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
