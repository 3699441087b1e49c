/* SPDX-License-Identifier: MIT */

/* The client that posts updates to a webhook: what it sends, what it takes for an acceptance, and that a server that is
 * slow, broken or not meant for it gets nothing more out of it (L6, L7). */

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "../canary.h"
#include "http-fixture.h"
#include "io/webhook-client.h"
#include "tls-fixture.h"

#define SILENCE_USEC_MAX (60 * USEC_PER_SEC)
#define UPDATE           "{\"update_id\":7,\"message\":{\"text\":\"h\\u00e9\"}}"
#define TOKEN            "4242:" CANARY_SECRET
#define SECRET           "hush_HUSH-0"

typedef struct Site {
        sd_event *event;
        HttpServer *server;
        WebhookClient *client;
        char url[128];
        void (*answer)(struct Site *s, HttpPeer *peer);
        int status;
        const char *headers, *body; /* of the answer; further header lines */
        unsigned n_requests;
        char requests[4][2048];
        HttpPeer *peer; /* of the last request, where a test asks for it */
        bool peer_gone;

        unsigned n_answers;
        WebhookAnswer last; /* with copies of its own */
        char *method, *arguments, *error;
        void (*then)(struct Site *s);
} Site;

/* ---- the web server ---- */

static void on_request(HttpPeer *peer, const char *request, void *userdata)
{
        Site *s = userdata;

        snprintf(s->requests[s->n_requests++ % ELEMENTSOF(s->requests)], sizeof(s->requests[0]), "%s", request);
        s->answer(s, peer);
}

static void on_gone(HttpPeer *peer, void *userdata)
{
        Site *s = userdata;

        s->peer_gone = true;
}

static const HttpServerHandlers handlers = { .requested = on_request, .gone = on_gone };

static void answer_reply(Site *s, HttpPeer *peer)
{
        http_peer_reply(peer, s->status, s->headers ?: "", s->body ?: "");
}

static void answer_nothing(Site *s, HttpPeer *peer)
{
}

static void answer_raw(Site *s, HttpPeer *peer)
{
        http_peer_send_string(peer, s->body);
        http_peer_close(peer);
}

static void answer_reset(Site *s, HttpPeer *peer)
{
        http_peer_reset(peer);
}

/* A whole answer, and then the end of a connection that could have been kept. */
static void answer_and_close(Site *s, HttpPeer *peer)
{
        answer_reply(s, peer);
        http_peer_close(peer);
}

static void answer_endlessly(Site *s, HttpPeer *peer)
{
        static char chunk[64 * 1024];

        memset(chunk, ' ', sizeof(chunk));
        http_peer_send_string(peer, s->body);
        for (size_t i = 0; i < 8; i++)
                http_peer_send(peer, chunk, sizeof(chunk));
}

/* ---- one site and its client ---- */

static void site_set_up(Site *s, SSL_CTX *tls, const char *host)
{
        *s = (Site){ .answer = answer_reply, .status = 200 };
        assert_int_equal(sd_event_new(&s->event), 0);
        assert_int_equal(http_server_new(&s->server, s->event, tls, &handlers, s), 0);
        assert_int_equal(webhook_client_new(&s->client, s->event), 0);
        snprintf(s->url, sizeof(s->url), "%s://%s:%d/hook/" TOKEN "?x=1", tls ? "https" : "http", host,
                 http_server_port(s->server));
}

static void forget_answer(Site *s)
{
        free(s->method);
        free(s->arguments);
        free(s->error);
        s->method = s->arguments = s->error = NULL;
}

static void site_tear_down(Site *s)
{
        forget_answer(s);
        webhook_client_free(s->client);
        http_server_free(s->server);
        sd_event_unref(s->event);
}

static char *copy(const char *text)
{
        return text ? strdup(text) : NULL;
}

static void on_answer(const WebhookAnswer *answer, void *userdata)
{
        Site *s = userdata;

        forget_answer(s);
        s->n_answers++;
        s->last = *answer;
        s->method = copy(answer->method);
        s->error = copy(answer->error);
        s->arguments = copy(json_object_to_json_string_ext(answer->arguments, JSON_C_TO_STRING_PLAIN));
        assert_true(answer->accepted == !answer->error);
        if (answer->error) {
                assert_null(strstr(answer->error, "CANARY"));
                assert_null(strstr(answer->error, "hook"));
        }
        if (s->then)
                s->then(s);
}

static void post(Site *s, const WebhookPost *more)
{
        WebhookPost p = more ? *more : (WebhookPost){};

        p.url = p.url ?: s->url;
        p.update = p.update ?: UPDATE;
        p.update_size = strlen(p.update);
        assert_int_equal(webhook_client_post(s->client, &p, on_answer, s), 0);
}

static void run_until_answers(Site *s, unsigned n)
{
        while (s->n_answers < n)
                assert_true(sd_event_run(s->event, SILENCE_USEC_MAX) > 0);
}

static void post_and_wait(Site *s, const WebhookPost *more)
{
        unsigned n = s->n_answers;

        post(s, more);
        run_until_answers(s, n + 1);
}

static void assert_post(Site *s, bool accepted)
{
        post_and_wait(s, NULL);
        assert_true(s->last.accepted == accepted);
}

/* ---- what is sent ---- */

static void test_request(void **state)
{
        WebhookPost p = { .secret = SECRET };
        char length[32];
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        post_and_wait(&s, &p);
        assert_true(s.last.accepted);
        assert_int_equal(s.last.status, 200);
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(UPDATE));
        assert_non_null(startswith(s.requests[0], "POST /hook/" TOKEN "?x=1 HTTP/1.1\r\n"));
        assert_non_null(strstr(s.requests[0], "\r\nContent-Type: application/json\r\n"));
        assert_non_null(strstr(s.requests[0], "\r\nX-Telegram-Bot-Api-Secret-Token: " SECRET "\r\n"));
        assert_non_null(strstr(s.requests[0], length));
        assert_null(strcasestr(s.requests[0], "user-agent"));
        assert_null(strcasestr(s.requests[0], "expect"));
        assert_string_equal(strstr(s.requests[0], "\r\n\r\n") + 4, UPDATE);

        p.secret = NULL;
        post_and_wait(&s, &p);
        assert_null(strcasestr(s.requests[1], "secret"));
        site_tear_down(&s);
}

static void test_order_on_one_connection(void **state)
{
        static const char *const updates[] = { "{\"update_id\":1}", "{\"update_id\":2}", "{\"update_id\":3}" };
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        for (size_t i = 0; i < ELEMENTSOF(updates); i++)
                post_and_wait(&s, &(WebhookPost){ .update = updates[i] });
        for (size_t i = 0; i < ELEMENTSOF(updates); i++)
                assert_string_equal(strstr(s.requests[i], "\r\n\r\n") + 4, updates[i]);
        assert_int_equal(http_server_n_accepted(s.server), 1);
        site_tear_down(&s);
}

/* Whoever closes a kept connection between two posts has lost nothing. */
static void test_connection_that_was_closed(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.answer = answer_and_close;
        for (unsigned i = 0; i < 3; i++)
                assert_post(&s, true);
        assert_int_equal(s.n_requests, 3);
        site_tear_down(&s);
}

static void answer_and_keep_peer(Site *s, HttpPeer *peer)
{
        s->peer = peer;
        answer_reply(s, peer);
}

/* A server that answers twice has not read the update that comes between. */
static void test_answer_that_is_there_already(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.answer = answer_and_keep_peer;
        assert_post(&s, true);
        http_peer_reply(s.peer, 200, "", "");
        while (sd_event_run(s.event, 0) > 0)
                ;
        assert_post(&s, false);
        assert_string_equal(s.error, "it had answered already, before it was asked");
        assert_int_equal(s.n_requests, 1);
        assert_post(&s, true);
        assert_true(s.n_requests == 2 && http_server_n_accepted(s.server) == 2);
        site_tear_down(&s);
}

static void test_address(void **state)
{
        Site s;

        site_set_up(&s, NULL, "bot.invalid");
        setenv("http_proxy", "http://127.0.0.1:1/", 1);
        post_and_wait(&s, &(WebhookPost){ .ip_address = "127.0.0.1" });
        unsetenv("http_proxy");
        assert_true(s.last.accepted);
        assert_non_null(strstr(s.requests[0], "\r\nHost: bot.invalid:"));
        site_tear_down(&s);
}

static void test_wrong_urls(void **state)
{
        static const char *const urls[] = { "", "ftp://127.0.0.1/", "file:///etc/hostname", "127.0.0.1", "httpx://a/" };
        WebhookPost p = { .update = UPDATE, .update_size = strlen(UPDATE) };
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        FOREACH_ELEMENT(url, urls) {
                p.url = *url;
                assert_int_equal(webhook_client_post(s.client, &p, on_answer, &s), -EINVAL);
        }
        post_and_wait(&s, &(WebhookPost){ .url = "http://[::1/" });
        assert_true(!s.last.accepted && s.last.status == 0);
        site_tear_down(&s);
}

/* ---- what comes back ---- */

static void test_statuses(void **state)
{
        static const struct {
                int status;
                const char *headers;
                bool accepted;
                usec_t retry_after_usec;
        } rows[] = {
                { 200, "", true, 0 },
                { 201, "", true, 0 },
                { 204, "", true, 0 },
                { 299, "Retry-After: 5\r\n", true, 0 },
                { 300, "", false, 0 },
                { 400, "", false, 0 },
                { 401, "", false, 0 },
                { 404, "", false, 0 },
                { 410, "", false, 0 },
                { 429, "Retry-After: 7\r\n", false, 7 * USEC_PER_SEC },
                { 500, "", false, 0 },
                { 503, "Retry-After: 100000\r\n", false, USEC_PER_HOUR },
                { 503, "Retry-After: soon\r\n", false, 0 },
        };
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        FOREACH_ELEMENT(row, rows) {
                s.status = row->status;
                s.headers = row->headers;
                s.answer = answer_and_close; /* 204 has no body, and no length of one */
                post_and_wait(&s, NULL);
                assert_int_equal(s.last.accepted, row->accepted);
                assert_int_equal(s.last.status, row->status);
                assert_int_equal(s.last.retry_after_usec, row->retry_after_usec);
        }
        post_and_wait(&s, NULL);
        assert_string_equal(s.error, "it answered HTTP 503");
        site_tear_down(&s);
}

static void test_redirect(void **state)
{
        char location[256];
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        snprintf(location, sizeof(location), "Location: %s\r\n", s.url);
        s.status = 307;
        s.headers = location;
        post_and_wait(&s, &(WebhookPost){ .secret = SECRET });
        assert_false(s.last.accepted);
        assert_int_equal(s.n_requests, 1);
        site_tear_down(&s);
}

static void test_answers_without_end(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.answer = answer_endlessly;
        s.body = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"method\":\"sendMessage\"}";
        assert_post(&s, true);
        assert_null(s.method);

        s.body = "HTTP/1.1 500 No\r\n\r\n";
        post_and_wait(&s, NULL);
        assert_int_equal(s.last.status, 500);
        assert_false(s.last.accepted);

        s.body = "HTTP/1.1 200 OK\r\nX-Padding:";
        assert_post(&s, false);
        assert_string_equal(s.error, "its answer is too large");
        site_tear_down(&s);
}

static void test_answers_that_are_cut_off(void **state)
{
        static const char *const bodies[] = {
                "",
                "HTTP/1.1 200 OK\r\nContent-Le",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
                "nonsense",
                "HTTP/1.1 100 Continue\r\n\r\n",
        };
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.answer = answer_raw;
        FOREACH_ELEMENT(body, bodies) {
                s.body = *body;
                assert_post(&s, false);
                assert_int_equal(s.last.status, 0);
        }
        s.answer = answer_reset;
        assert_post(&s, false);
        site_tear_down(&s);
}

static void test_silence(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.answer = answer_nothing;
        post_and_wait(&s, &(WebhookPost){ .timeout_usec = 50 * USEC_PER_MSEC });
        assert_true(!s.last.accepted && s.last.status == 0);
        while (!s.peer_gone)
                assert_true(sd_event_run(s.event, SILENCE_USEC_MAX) > 0);
        s.answer = answer_reply;
        assert_post(&s, true);
        site_tear_down(&s);
}

static void test_nobody_there(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.server = http_server_free(s.server);
        assert_post(&s, false);
        site_tear_down(&s);
}

/* ---- methods ---- */

static void test_method(void **state)
{
        static const struct {
                const char *headers, *body, *method, *arguments;
        } rows[] = {
                { "Content-Type: application/json\r\n", "{\"method\":\"sendMessage\",\"chat_id\":5}", "sendMessage",
                  "{\"chat_id\":5}" },
                { "Content-Type: Application/JSON; charset=utf-8\r\n", "{\"method\":\"getMe\"}", "getMe", "{}" },
                { "Content-Type: application/json\r\n", "{\"method\":\"logOut\"}", NULL, NULL },
                { "Content-Type: application/json\r\n", "{\"ok\":true}", NULL, NULL },
                { "Content-Type: application/json\r\n", "", NULL, NULL },
                { "Content-Type: application/jsonp\r\n", "{\"method\":\"sendMessage\"}", NULL, NULL },
                { "Content-Type: text/plain\r\n", "{\"method\":\"sendMessage\"}", NULL, NULL },
                { "", "{\"method\":\"sendMessage\"}", NULL, NULL },
        };
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        FOREACH_ELEMENT(row, rows) {
                s.headers = row->headers;
                s.body = row->body;
                assert_post(&s, true);
                assert_true(streq_ptr(s.method, row->method));
                if (row->arguments)
                        assert_string_equal(s.arguments, row->arguments);
        }
        /* What is not accepted asks for nothing. */
        s.status = 500;
        s.headers = rows[0].headers;
        s.body = rows[0].body;
        assert_post(&s, false);
        assert_null(s.method);
        site_tear_down(&s);
}

/* ---- one at a time, and the end ---- */

static void test_busy(void **state)
{
        WebhookPost p = { .update = UPDATE, .update_size = strlen(UPDATE) };
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        p.url = s.url;
        post(&s, NULL);
        assert_int_equal(webhook_client_post(s.client, &p, on_answer, &s), -EBUSY);
        run_until_answers(&s, 1);
        assert_int_equal(s.n_requests, 1);
        site_tear_down(&s);
}

static void hold_and_cancel(Site *s, HttpPeer *peer)
{
        s->client = webhook_client_free(s->client);
}

/* As the server sees the request, so in the middle. */
static void test_cancel(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.answer = hold_and_cancel;
        post(&s, NULL);
        while (!s.peer_gone)
                assert_true(sd_event_run(s.event, SILENCE_USEC_MAX) > 0);
        assert_int_equal(s.n_answers, 0);
        site_tear_down(&s);
}

static void free_client(Site *s)
{
        s->client = webhook_client_free(s->client);
}

static void test_free_in_the_handler(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.headers = "Content-Type: application/json\r\n";
        s.body = "{\"method\":\"getMe\"}";
        s.then = free_client;
        post_and_wait(&s, NULL);
        assert_null(s.client);
        site_tear_down(&s);
}

static void post_another(Site *s)
{
        if (s->n_answers < 3)
                post(s, NULL);
}

static void test_post_in_the_handler(void **state)
{
        Site s;

        site_set_up(&s, NULL, "127.0.0.1");
        s.then = post_another;
        post(&s, NULL);
        run_until_answers(&s, 3);
        assert_int_equal(s.n_requests, 3);
        site_tear_down(&s);
}

/* ---- TLS ---- */

static char *pem_of(const TlsAuthority *a, size_t *ret_size)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *bytes, *pem;

        assert_int_equal(PEM_write_bio_X509(bio, a->certificate), 1);
        *ret_size = (size_t) BIO_get_mem_data(bio, &bytes);
        pem = malloc(*ret_size);
        assert_non_null(pem);
        memcpy(pem, bytes, *ret_size);
        BIO_free(bio);
        return pem;
}

static void check_tls(const char *name, const TlsAuthority *signer, const TlsAuthority *system,
                      const TlsAuthority *bots_own, bool good)
{
        SSL_CTX *context = tls_server_context(signer, name, 1);
        WebhookPost p = { .ip_address = "127.0.0.1", .secret = SECRET };
        char *pem = NULL;
        Site s;

        tls_trust(system);
        if (bots_own)
                p.certificate = pem = pem_of(bots_own, &p.certificate_size);
        site_set_up(&s, context, "bot.test");
        post_and_wait(&s, &p);
        assert_int_equal(s.last.accepted, good);
        assert_int_equal(s.n_requests, good);
        site_tear_down(&s);
        free(pem);
        tls_trust(NULL);
        SSL_CTX_free(context);
}

static void test_certificates(void **state)
{
        TlsAuthority a, b;

        tls_authority_set_up(&a);
        tls_authority_set_up(&b);
        check_tls("bot.test", &a, &a, NULL, true);
        check_tls("other.test", &a, &a, NULL, false);
        check_tls("bot.test", &a, &b, NULL, false);
        check_tls("bot.test", &a, &b, &a, true);
        /* The bot's own is the only one then. */
        check_tls("bot.test", &a, &a, &b, false);
        tls_authority_tear_down(&a);
        tls_authority_tear_down(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_order_on_one_connection),
                cmocka_unit_test(test_connection_that_was_closed),
                cmocka_unit_test(test_answer_that_is_there_already),
                cmocka_unit_test(test_address),
                cmocka_unit_test(test_wrong_urls),
                cmocka_unit_test(test_statuses),
                cmocka_unit_test(test_redirect),
                cmocka_unit_test(test_answers_without_end),
                cmocka_unit_test(test_answers_that_are_cut_off),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_nobody_there),
                cmocka_unit_test(test_method),
                cmocka_unit_test(test_busy),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_free_in_the_handler),
                cmocka_unit_test(test_post_in_the_handler),
                cmocka_unit_test(test_certificates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
