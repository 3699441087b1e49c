/* SPDX-License-Identifier: MIT */

/* The client against a server that means it ill: every shape of an answer at every request that the daemon makes. What
 * must hold for all of them: one call is one request, nothing is believed that is no whole answer of a Bot API server,
 * the token goes nowhere else and stands in no text (L7), and neither memory nor time goes beyond a bound. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <zlib.h>

#include <cmocka.h>

#include "botapi-fixture.h"
#include "core/json-text.h"
#include "hostile-server.h"

#define MIB ((size_t) 1024 * 1024)

/* The client's own limits, of the body and of the header lines. */
#define BODY_MAX         (MIB / 4)
#define BODY_UPDATES_MAX (8 * MIB)
/* libcurl, OpenSSL, the allocator's way of growing, and that the kernel counts in pages. */
#define SLACK (8 * MIB)

/* For shapes of which only the deadline is the end. What is asked at once has been sent by then, under valgrind too. */
#define DEADLINE_USEC (1500 * USEC_PER_MSEC)

#define HEAD(status, more) "HTTP/1.1 " status "\r\nContent-Type: application/json\r\n" more "\r\n"

/* ---- shapes ---- */

static void answer_text(HostileStream *s, const void *text)
{
        hostile_send_text(s, text);
}

static void answer_text_and_close(HostileStream *s, const void *text)
{
        hostile_send_text(s, text);
        hostile_close(s);
}

static void answer_text_and_hang(HostileStream *s, const void *text)
{
        hostile_send_text(s, text);
        hostile_hang(s);
}

static void answer_slowly(HostileStream *s, const void *text)
{
        hostile_send_slowly(s, text);
}

/* What a flood is made of: first, then again and again, `size` bytes; then the rest. */
typedef struct Flood {
        const char *first, *again, *last;
        size_t size;
} Flood;

static void answer_flood(HostileStream *s, const void *argument)
{
        const Flood *f = argument;

        hostile_send_text(s, f->first);
        hostile_send_much(s, f->again, f->size);
        hostile_send_text(s, f->last ?: "");
        hostile_close(s);
}

/* The same with a Content-Length that is true. */
static void answer_body(HostileStream *s, const void *argument)
{
        const Flood *f = argument;
        char head[128];

        snprintf(head, sizeof(head), HEAD("200 OK", "Content-Length: %zu\r\n"),
                 strlen(f->first) + f->size + strlen(f->last));
        hostile_send_text(s, head);
        hostile_send_text(s, f->first);
        hostile_send_much(s, f->again, f->size);
        hostile_send_text(s, f->last);
}

/* 16 MiB of blanks, as little as deflate makes of it. */
static void answer_compressed(HostileStream *s, const void *head)
{
        static unsigned char blanks[65536], packed[65536];
        z_stream z = { .next_out = packed, .avail_out = sizeof(packed) };

        memset(blanks, ' ', sizeof(blanks));
        hostile_send_text(s, head);
        if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
                hostile_close(s);
        for (unsigned i = 0; i < 256; i++) {
                z.next_in = blanks;
                z.avail_in = sizeof(blanks);
                (void) deflate(&z, i == 255 ? Z_FINISH : Z_NO_FLUSH);
                if (z.avail_out < sizeof(packed) / 2 || i == 255) {
                        char size[16];

                        snprintf(size, sizeof(size), "%zx\r\n", sizeof(packed) - z.avail_out);
                        hostile_send_text(s, size);
                        hostile_send(s, packed, sizeof(packed) - z.avail_out);
                        hostile_send_text(s, "\r\n");
                        z.next_out = packed;
                        z.avail_out = sizeof(packed);
                }
        }
        hostile_send_text(s, "0\r\n\r\n");
        hostile_close(s);
}

#define WHOLE(status, body) HEAD(status, "Connection: close\r\n") body
#define REDIRECT(status) \
        HEAD(status, "Location: http://127.0.0.1:%d/bot" CANARY_TOKEN "/getMe\r\nContent-Length: 0\r\n")

typedef struct Row {
        const char *name;
        void (*answer)(HostileStream *s, const void *argument);
        const void *argument;
        BotApiTransport transport, of_updates; /* of getUpdates, whose answers may be larger */
        bool until_deadline;
} Row;

#define BOTH(t)    .transport = BOTAPI_##t, .of_updates = BOTAPI_##t
#define FLOOD(...) (&(const Flood){ __VA_ARGS__ })
#define RESULT     "{\"ok\":true,\"result\":["

/* Filled in with the port of a listener to which nothing must come. */
static char redirects[6][256];

static const char *const redirect_formats[] = {
        REDIRECT("301 Moved"),
        REDIRECT("302 Found"),
        REDIRECT("303 See Other"),
        REDIRECT("307 Temporary"),
        REDIRECT("308 Permanent"),
        HEAD("200 OK", "Location: http://127.0.0.1:%d/\r\nRefresh: 0; url=http://127.0.0.1:%d/\r\n"
                       "Alt-Svc: h2=\"127.0.0.1:%d\"\r\nContent-Length: 0\r\n"),
};

static const Row rows[] = {
        { "301 elsewhere", answer_text, redirects[0], BOTH(REPLIED) },
        { "302 elsewhere", answer_text, redirects[1], BOTH(REPLIED) },
        { "303 elsewhere", answer_text, redirects[2], BOTH(REPLIED) },
        { "307 elsewhere", answer_text, redirects[3], BOTH(REPLIED) },
        { "308 elsewhere", answer_text, redirects[4], BOTH(REPLIED) },
        { "200, Location, Refresh, Alt-Svc", answer_text, redirects[5], BOTH(REPLIED) },
        { "302 to a file", answer_text, HEAD("302 Found", "Location: file:///etc/passwd\r\nContent-Length: 0\r\n"),
          BOTH(REPLIED) },
        { "401 asks for a password", answer_text,
          HEAD("401 No", "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n"), BOTH(REPLIED) },
        { "407 asks for a password", answer_text, HEAD("407 No", "Proxy-Authenticate: NTLM\r\nContent-Length: 0\r\n"),
          BOTH(REPLIED) },

        { "10 GiB announced and sent", answer_flood,
          FLOOD(HEAD("200 OK", "Content-Length: 10737418240\r\n"), " ", NULL, SIZE_MAX), BOTH(LOST) },
        { "10 GiB announced, silence", answer_text_and_hang, HEAD("200 OK", "Content-Length: 10737418240\r\n"),
          BOTH(LOST), true },
        { "2^64 - 1 announced", answer_text_and_close,
          HEAD("200 OK", "Content-Length: 18446744073709551615\r\n") "{\"ok\":true", BOTH(REPLIED) },
        { "-1 announced", answer_text_and_close, HEAD("200 OK", "Content-Length: -1\r\n") TRUE_REPLY, BOTH(LOST) },
        { "1 GiB in chunks", answer_flood,
          FLOOD(HEAD("200 OK", "Transfer-Encoding: chunked\r\n"), "10\r\n                \r\n", "0\r\n\r\n",
                1024 * MIB),
          BOTH(LOST) },
        { "a chunk of 2^64 bytes", answer_flood,
          FLOOD(HEAD("200 OK", "Transfer-Encoding: chunked\r\n") "10000000000000000\r\n", " ", NULL, SIZE_MAX),
          BOTH(LOST) },
        { "a body without end", answer_flood, FLOOD(HEAD("200 OK", ""), "{", NULL, SIZE_MAX), BOTH(LOST) },
        { "silence", answer_text_and_hang, "", BOTH(LOST), true },
        { "a body byte now and then", answer_slowly, HEAD("200 OK", "Content-Length: 99999\r\n"), BOTH(LOST), true },
        { "header bytes now and then", answer_slowly, "HTTP/1.1 200 OK\r\nX: ", BOTH(LOST), true },
        { "1xx now and then", answer_slowly, "HTTP/1.1 100 Continue\r\n\r\n", BOTH(LOST), true },

        { "gzip that nobody asked for", answer_compressed,
          HEAD("200 OK", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), BOTH(REPLIED) },
        { "gzip as transfer encoding", answer_compressed, HEAD("200 OK", "Transfer-Encoding: gzip, chunked\r\n"),
          BOTH(LOST) },

        { "100,000 deep", answer_body, FLOOD("{\"ok\":true,\"result\":", "[", "}", 100000), BOTH(REPLIED) },
        { "objects, 8 MiB", answer_body, FLOOD(RESULT, "{},", "{}]}", 8 * MIB - 64), BOTAPI_LOST, BOTAPI_REPLIED },
        { "objects, 250 KiB", answer_body, FLOOD(RESULT, "{},", "{}]}", 249999), BOTH(REPLIED) },
        { "objects in objects, 8 MiB", answer_body, FLOOD(RESULT, "{\"a\":{}},", "{}]}", 932000 * 9), BOTAPI_LOST,
          BOTAPI_REPLIED },
        { "a million numbers", answer_body, FLOOD(RESULT, "0,", "0]}", 2000000), BOTAPI_LOST, BOTAPI_REPLIED },
        { "a number of 10^6 digits", answer_body, FLOOD(RESULT, "9", "]}", 1000000), BOTAPI_LOST, BOTAPI_REPLIED },
        { "a number of 250,000 digits", answer_body, FLOOD(RESULT, "9", "]}", 250000), BOTH(REPLIED) },
        { "a fraction of 250,000 digits", answer_body, FLOOD(RESULT "0.", "9", "]}", 250000), BOTH(REPLIED) },
        { "members of one name", answer_body, FLOOD("{\"ok\":true,", "\"ok\":1,", "\"ok\":2}", 249998), BOTH(REPLIED) },
        { "NUL bytes are cut off", answer_text_and_close, WHOLE("200 OK", "{\"ok\":true,\"result\":"), BOTH(REPLIED) },
        { "no UTF-8", answer_text_and_close,
          WHOLE("400 No", "{\"ok\":false,\"error_code\":400,\"description\":\"\xff\xfe\xc3\x28\xed\xa0\x80\x1b[2J\"}"),
          BOTH(REPLIED) },
        { "the token said back", answer_text_and_close,
          WHOLE("404 No", "{\"ok\":false,\"error_code\":404,\"description\":\"No bot" CANARY_TOKEN ".\"}"),
          BOTH(REPLIED) },
        { "half of it said back", answer_text_and_close,
          WHOLE("404 No", "{\"ok\":false,\"error_code\":404,\"description\":\"No 4242%3A" CANARY_SECRET "\"}"),
          BOTH(REPLIED) },

        { "100,000 header lines", answer_flood,
          FLOOD("HTTP/1.1 200 OK\r\n", "X-Line: 1\r\n", "\r\n" TRUE_REPLY, 100000 * 11), BOTH(LOST) },
        { "a header line of 10 MiB", answer_flood,
          FLOOD("HTTP/1.1 200 OK\r\nX-Line: ", "x", "\r\n\r\n" TRUE_REPLY, 10 * MIB), BOTH(LOST) },
        { "a status line of 10 MiB", answer_flood, FLOOD("HTTP/1.1 200 ", "x", "\r\n\r\n" TRUE_REPLY, 10 * MIB),
          BOTH(LOST) },
        { "1xx without end", answer_flood, FLOOD("", "HTTP/1.1 103 Early Hints\r\n\r\n", NULL, SIZE_MAX), BOTH(LOST) },
        { "trailers without end", answer_flood,
          FLOOD(HEAD("200 OK", "Transfer-Encoding: chunked\r\n") "0\r\n", "X-Line: 1\r\n", NULL, SIZE_MAX),
          BOTH(LOST) },
        { "a chunk's extension without end", answer_flood,
          FLOOD(HEAD("200 OK", "Transfer-Encoding: chunked\r\n") "5;x=", "x", NULL, SIZE_MAX), BOTH(LOST), true },
        { "blank lines without end", answer_flood, FLOOD("", "\r\n", NULL, SIZE_MAX), BOTH(LOST) },
        { "noise without end", answer_flood, FLOOD("", "\x16\x03\x01\x02", NULL, SIZE_MAX), BOTH(LOST) },

        { "chunks cut off", answer_text_and_close,
          HEAD("200 OK", "Transfer-Encoding: chunked\r\n") "19\r\n" TRUE_REPLY "\r\n", BOTH(LOST) },
        { "Content-Length too long", answer_text_and_close, HEAD("200 OK", "Content-Length: 99\r\n") TRUE_REPLY,
          BOTH(LOST) },
        { "Content-Length too short", answer_text_and_close, HEAD("200 OK", "Content-Length: 24\r\n") TRUE_REPLY,
          BOTH(REPLIED) },
        { "two Content-Lengths", answer_text_and_close,
          HEAD("200 OK", "Content-Length: 25\r\nContent-Length: 2\r\n") TRUE_REPLY, BOTH(REPLIED) },
        { "HTTP/0.9", answer_text_and_close, TRUE_REPLY, BOTH(LOST) },
        { "HTTP/2 at once", answer_text_and_close, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BOTH(LOST) },
        { "HTTP/3.1", answer_text_and_close, "HTTP/3.1 200 OK\r\n\r\n" TRUE_REPLY, BOTH(LOST) },
        { "an upgrade that nobody asked for", answer_text_and_hang,
          "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" TRUE_REPLY, BOTH(LOST), true },
        { "nothing", answer_text_and_close, "", BOTH(LOST) },
        { "status 999", answer_text_and_close, WHOLE("999 Odd", TRUE_REPLY), BOTH(REPLIED) },
        { "status 99999", answer_text_and_close, WHOLE("99999 Odd", TRUE_REPLY), BOTH(LOST) },
        { "204 with a body", answer_text_and_close, WHOLE("204 None", TRUE_REPLY), BOTH(REPLIED) },
        { "304", answer_text_and_close, WHOLE("304 As before", TRUE_REPLY), BOTH(REPLIED) },
        { "206", answer_text_and_close, WHOLE("206 Part", TRUE_REPLY), BOTH(REPLIED) },
        { "417", answer_text, HEAD("417 What?", "Content-Length: 0\r\n"), BOTH(REPLIED) },

        { "200 with ok:false", answer_text_and_close,
          WHOLE("200 OK",
                "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized: invalid token specified\"}"),
          BOTH(REPLIED) },
        { "500 with ok:true", answer_text_and_close, WHOLE("500 No", TRUE_REPLY), BOTH(REPLIED) },
        { "ok:true and nothing", answer_text_and_close, WHOLE("200 OK", "{\"ok\":true}"), BOTH(REPLIED) },
        { "result null", answer_text_and_close, WHOLE("200 OK", "{\"ok\":true,\"result\":null}"), BOTH(REPLIED) },
        { "result \"true\"", answer_text_and_close, WHOLE("200 OK", "{\"ok\":true,\"result\":\"true\"}"),
          BOTH(REPLIED) },
        { "result of an id that is a text", answer_text_and_close,
          WHOLE("200 OK", "{\"ok\":true,\"result\":{\"id\":\"4242\",\"is_bot\":true}}"), BOTH(REPLIED) },
        { "pending_update_count -1", answer_text_and_close,
          WHOLE("200 OK", "{\"ok\":true,\"result\":{\"url\":\"\",\"has_custom_certificate\":false,"
                          "\"pending_update_count\":-1}}"),
          BOTH(REPLIED) },
        { "update ids that go back", answer_text_and_close,
          WHOLE("200 OK", "{\"ok\":true,\"result\":[{\"update_id\":2},{\"update_id\":1}]}"), BOTH(REPLIED) },
        { "an update id twice", answer_text_and_close,
          WHOLE("200 OK", "{\"ok\":true,\"result\":[{\"update_id\":2},{\"update_id\":2}]}"), BOTH(REPLIED) },
        { "an update id of 2^64", answer_text_and_close,
          WHOLE("200 OK", "{\"ok\":true,\"result\":[{\"update_id\":18446744073709551616}]}"), BOTH(REPLIED) },
        { "an update id that is a text", answer_text_and_close,
          WHOLE("200 OK", "{\"ok\":true,\"result\":[{\"update_id\":\"7\"}]}"), BOTH(REPLIED) },
};

/* ---- requests ---- */

/* Every request of the daemon; the last is the probe with nobody's token. */
static const BotApiMethod methods[] = {
        BOTAPI_GET_ME,      BOTAPI_GET_WEBHOOK_INFO, BOTAPI_GET_UPDATES, BOTAPI_DELETE_WEBHOOK,
        BOTAPI_SET_WEBHOOK, BOTAPI_LOG_OUT,          BOTAPI_NAMED,       BOTAPI_GET_ME,
};
#define N_METHODS ELEMENTSOF(methods)

typedef struct Attempt {
        const Row *row;
        BotApiMethod method;
        BotApiCall *call;
        bool replied;
} Attempt;

/* None of the answers is a good one, at whichever request: nothing may be taken from it. */
static void assert_proves_nothing(const Row *row, const BotApiReply *reply)
{
        WebhookInfo info;
        json_object *updates;
        int64_t next = 7;
        LogInOutcome in = botapi_login_outcome(reply, CANARY_ID);

        if (botapi_logout_outcome(reply) != LOGOUT_OUTCOME_UNKNOWN)
                fail_msg("%s: taken for logOut's answer", row->name);
        if (in != LOGIN_OUTCOME_SILENT && in != LOGIN_OUTCOME_ODD)
                fail_msg("%s: taken for getMe's answer", row->name);
        assert_false(botapi_is_true(reply));
        assert_false(botapi_probe_alive(reply));
        assert_int_equal(botapi_webhook_info(reply, &info), -EBADMSG);
        assert_int_equal(botapi_updates(reply, &updates, &next), -EBADMSG);
        assert_int_equal(next, 7);
}

/* A sentence for people, and for a bus that disconnects who sends it what is no text. */
static void assert_is_clean(const Row *row, const char *text)
{
        assert_non_null(text);
        if (strlen(text) < 8 || strlen(text) > 600 || strstr(text, CANARY) || strstr(text, "/bot"))
                fail_msg("%s: \"%s\"", row->name, text);
        for (const char *p = text; *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        fail_msg("%s: control characters", row->name);
}

static void on_replied(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Attempt *a = userdata;
        const Row *row = a->row;
        BotApiTransport expected = a->method == BOTAPI_GET_UPDATES ? row->of_updates : row->transport;
        _cleanup_free_ char *text = botapi_reply_describe(reply);

        assert_false(a->replied);
        a->replied = true;
        if (reply->transport != expected)
                fail_msg("%s at %s: transport %d, expected %d (%s)", row->name, botapi_method_to_string(a->method),
                         reply->transport, expected, text);
        assert_is_clean(row, text);
        assert_proves_nothing(row, reply);
        assert_true(reply->retry_after_usec <= USEC_PER_HOUR);
}

static void attempt_start(Attempt *a, World *w, const Row *row, size_t i)
{
        BotApiRequest request = {
                .root = w->root,
                .token = i == N_METHODS - 1 ? NULL : w->token,
                .method = methods[i],
                .name = "sendMessage",
                .timeout_usec = row->until_deadline ? DEADLINE_USEC : 0,
        };

        *a = (Attempt){ .row = row, .method = methods[i] };
        assert_int_equal(botapi_call(w->client, &request, NULL, on_replied, a, &a->call), 0);
}

/* ---- memory ---- */

static size_t status_bytes(const char *key)
{
        char line[256];
        size_t kib = 0;
        FILE *f = fopen("/proc/self/status", "re");

        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                if (startswith(line, key))
                        kib = strtoul(line + strlen(key), NULL, 10);
        fclose(f);
        assert_true(kib > 0);
        return kib * 1024;
}

/* From here on the peak counts anew (proc(5), clear_refs). Returns what is in use. */
static size_t memory_mark(void)
{
        int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

        (void) malloc_trim(0);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "5", 1), 1);
        close(fd);
        return status_bytes("VmRSS:");
}

/* A body, which grows by doubling and may be copied once, and what is made of it as JSON. Where memory is not given
 * back at once by design, as with a sanitizer, there is nothing to compare. */
static void assert_memory(const Row *row, const char *what, size_t before, size_t body_max)
{
        size_t peak = status_bytes("VmHWM:"), json = MIN(JSON_TEXT_MEMORY_RATIO_MAX * body_max, JSON_TEXT_MEMORY_MAX);
        size_t taken = peak > before ? peak - before : 0, bound = 2 * body_max + json + SLACK;

#ifdef __SANITIZE_ADDRESS__
        bound = SIZE_MAX;
#endif
        if (taken > bound)
                fail_msg("%s at %s: %zu KiB of memory, at most %zu were expected", row->name, what, taken / 1024,
                         bound / 1024);
}

/* ---- tests ---- */

static void world_begin(World *w, const HostileServer *server)
{
        static const HttpServerHandlers nobody = {};

        world_set_up(w, NULL, "127.0.0.1", &nobody, NULL);
        snprintf(w->root, sizeof(w->root), "http://127.0.0.1:%d", hostile_server_port(server));
}

/* A listener to which nobody may come. */
static int listen_in_vain(int *ret_port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, size), 0);
        assert_int_equal(listen(fd, 8), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &size), 0);
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static void run_one_by_one(const Row *row, HostileServer *server)
{
        for (size_t i = 0; i < N_METHODS; i++) {
                bool updates = methods[i] == BOTAPI_GET_UPDATES;
                size_t before = memory_mark();
                Attempt a;
                World w;

                world_begin(&w, server);
                attempt_start(&a, &w, row, i);
                world_run_until(&w, &a.replied);
                assert_memory(row, botapi_method_to_string(methods[i]), before, updates ? BODY_UPDATES_MAX : BODY_MAX);
                botapi_call_free(a.call);
                world_tear_down(&w);
                assert_int_equal(hostile_server_n_requests(server), i + 1);
        }
}

/* A request that has been sent may be counted only after its deadline has passed here. The test fails where it does not
 * come in half a minute. */
static void wait_for_requests(World *w, const HostileServer *server, unsigned n_requests)
{
        usec_t now_usec, end_usec;

        assert_true(sd_event_now(w->event, CLOCK_MONOTONIC, &now_usec) >= 0);
        end_usec = now_usec + 30 * USEC_PER_SEC;
        while (hostile_server_n_requests(server) < n_requests && now_usec < end_usec) {
                assert_true(sd_event_run(w->event, USEC_PER_MSEC) >= 0);
                assert_true(sd_event_now(w->event, CLOCK_MONOTONIC, &now_usec) >= 0);
        }
        assert_int_equal(hostile_server_n_requests(server), n_requests);
}

static void run_together(const Row *row, HostileServer *server)
{
        size_t before = memory_mark();
        Attempt attempts[N_METHODS];
        World w;

        world_begin(&w, server);
        for (size_t i = 0; i < N_METHODS; i++)
                attempt_start(&attempts[i], &w, row, i);
        for (size_t i = 0; i < N_METHODS; i++)
                world_run_until(&w, &attempts[i].replied);
        assert_memory(row, "all requests", before, N_METHODS * BODY_MAX);
        FOREACH_ELEMENT(a, attempts)
                botapi_call_free(a->call);
        wait_for_requests(&w, server, N_METHODS);
        world_tear_down(&w);
}

static void test_every_shape_at_every_request(void **state)
{
        int port, listener = listen_in_vain(&port);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        for (size_t i = 0; i < ELEMENTSOF(redirects); i++)
                snprintf(redirects[i], sizeof(redirects[i]), redirect_formats[i], port, port, port);
#pragma GCC diagnostic pop

        FOREACH_ELEMENT(row, rows) {
                HostileShape shape = { row->answer, row->argument };
                HostileServer *server;

                assert_int_equal(hostile_server_new(&server, &shape), 0);
                if (row->until_deadline)
                        run_together(row, server);
                else
                        run_one_by_one(row, server);
                hostile_server_free(server);
                if (accept(listener, NULL, NULL) >= 0 || errno != EAGAIN)
                        fail_msg("%s: somebody went there", row->name);
        }
        close(listener);
}

/* What comes behind an answer is not the answer to what is asked next: a "true" that is there before logOut is sent
 * would be a bot that is logged in at both servers (L2). The server answers all that it is asked with something else.
 */
static void answer_twice(HostileStream *s, const void *extra)
{
        hostile_send_text(s, "HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{\"ok\":true,\"result\":[\"one\"]}");
        hostile_send_text(s, extra);
        hostile_note(s);
}

/* Two notes for each request: it was read, and all that there is to say has been said, whether or not the client is
 * still there to hear it. */
static void wait_for_the_rest(World *w, const HostileServer *server, unsigned n_requests)
{
        while (hostile_server_n_notes(server) < n_requests)
                assert_true(sd_event_run(w->event, USEC_PER_MSEC) >= 0);
}

static void test_answer_that_is_there_already(void **state)
{
        static const char *const extras[] = {
                "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" TRUE_REPLY,
                "HTTP/1.1 200 OK\r\nContent-Length: 25\r\nConnection: keep-alive\r\n\r\n" TRUE_REPLY
                "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" TRUE_REPLY,
                "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" TRUE_REPLY,
                "HTTP/1.1 408 Too late\r\nContent-Length: 0\r\n\r\n",
        };

        FOREACH_ELEMENT(extra, extras) {
                HostileShape shape = { answer_twice, *extra };
                HostileServer *server;
                World w;

                assert_int_equal(hostile_server_new(&server, &shape), 0);
                world_begin(&w, server);
                for (unsigned i = 0; i < 8; i++) {
                        Exchange x = {};

                        exchange_run(&x, &w, i == 0 ? BOTAPI_GET_ME : BOTAPI_LOG_OUT);
                        if (x.transport == BOTAPI_NOT_SENT) {
                                exchange_assert_failed(&x, "the server had answered already, before it was asked");
                                assert_false(x.sent);
                        } else {
                                assert_int_equal(x.outcome, LOGOUT_OUTCOME_UNKNOWN);
                                assert_int_equal(x.http_status, 200);
                                wait_for_the_rest(&w, server, hostile_server_n_requests(server));
                        }
                        exchange_done(&x);
                }
                assert_true(hostile_server_n_requests(server) >= 4);
                world_tear_down(&w);
                hostile_server_free(server);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_shape_at_every_request),
                cmocka_unit_test(test_answer_that_is_there_already),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
