/* SPDX-License-Identifier: MIT */

/* The client over TLS and by name: what it refuses, that nothing of a refused request went out, that kept
 * connections carry what the protocol wants to send without delay, and that a name look-up which hangs holds
 * up nobody. */

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "botapi-fixture.h"
#include "tls-fixture.h"

/* ---- names: stands before the C library's function, which libcurl calls in a thread of its own ---- */

typedef struct Resolver {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned n_stuck; /* look-ups that wait */
        bool release;
} Resolver;

static Resolver resolver = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void resolver_be_stuck(void)
{
        pthread_mutex_lock(&resolver.lock);
        resolver.n_stuck++;
        pthread_cond_broadcast(&resolver.changed);
        while (!resolver.release)
                pthread_cond_wait(&resolver.changed, &resolver.lock);
        resolver.n_stuck--;
        pthread_cond_broadcast(&resolver.changed);
        pthread_mutex_unlock(&resolver.lock);
}

static void resolver_wait_for(unsigned n_stuck)
{
        pthread_mutex_lock(&resolver.lock);
        while (resolver.n_stuck != n_stuck)
                pthread_cond_wait(&resolver.changed, &resolver.lock);
        pthread_mutex_unlock(&resolver.lock);
}

static void resolver_set_release(bool release)
{
        pthread_mutex_lock(&resolver.lock);
        resolver.release = release;
        pthread_cond_broadcast(&resolver.changed);
        pthread_mutex_unlock(&resolver.lock);
}

int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret)
{
        int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
                        dlsym(RTLD_NEXT, "getaddrinfo");

        if (streq_ptr(node, "bot.test"))
                return next("127.0.0.1", service, hints, ret);
        if (streq_ptr(node, "stuck.test"))
                resolver_be_stuck();
        return EAI_NONAME;
}

/* ---- server ---- */

#define PEERS_MAX 4

typedef struct Site {
        World w;
        TlsAuthority authority;
        SSL_CTX *context;
        unsigned n_requests;
        HttpPeer *waiting[PEERS_MAX]; /* connections whose request has not been answered, by number from 0 on
                                       */
        unsigned n_waiting;
        unsigned n_gone;
} Site;

static void on_request(HttpPeer *peer, const char *request, void *userdata)
{
        Site *s = userdata;

        s->n_requests++;
        assert_in_range(http_peer_number(peer), 1, PEERS_MAX);
        assert_null(s->waiting[http_peer_number(peer) - 1]);
        s->waiting[http_peer_number(peer) - 1] = peer;
        s->n_waiting++;
}

static void on_gone(HttpPeer *peer, void *userdata)
{
        Site *s = userdata;

        s->n_gone++;
        if (http_peer_number(peer) <= PEERS_MAX)
                s->waiting[http_peer_number(peer) - 1] = NULL;
}

static const HttpServerHandlers handlers = { .requested = on_request, .gone = on_gone };

static void answer_all(Site *s)
{
        FOREACH_ELEMENT(peer, s->waiting) {
                if (*peer)
                        http_peer_reply(*peer, 200, "", TRUE_REPLY);
                *peer = NULL;
        }
        s->n_waiting = 0;
}

static void run_until_waiting(Site *s, unsigned n)
{
        while (s->n_waiting < n)
                assert_true(sd_event_run(s->w.event, 20 * USEC_PER_SEC) > 0);
}

static void site_set_up(Site *s, const char *certificate_name, int days_left)
{
        *s = (Site){};
        tls_authority_set_up(&s->authority);
        tls_trust(&s->authority);
        s->context = tls_server_context(&s->authority, certificate_name, days_left);
        world_set_up(&s->w, s->context, "bot.test", &handlers, s);
}

static void site_tear_down(Site *s)
{
        world_tear_down(&s->w);
        SSL_CTX_free(s->context);
        tls_trust(NULL);
        tls_authority_tear_down(&s->authority);
}

/* logOut, answered as soon as it is there. */
static void run_log_out(Site *s, Exchange *x)
{
        exchange_start(x, &s->w, BOTAPI_LOG_OUT, NULL, 0);
        while (!x->replied) {
                assert_true(sd_event_run(s->w.event, 20 * USEC_PER_SEC) > 0);
                answer_all(s);
        }
}

static void test_good_certificate(void **state)
{
        Exchange x = {};
        Site s;

        site_set_up(&s, "bot.test", 1);
        run_log_out(&s, &x);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_APPLIED);
        assert_true(x.sent);
        exchange_done(&x);
        site_tear_down(&s);
}

static void expect_refused(Site *s)
{
        Exchange x = {};

        run_log_out(s, &x);
        assert_int_equal(x.transport, BOTAPI_NOT_SENT);
        assert_int_equal(x.outcome, LOGOUT_OUTCOME_NOT_SENT);
        assert_false(x.sent);
        assert_int_equal(s->n_requests, 0);
        exchange_done(&x);
        site_tear_down(s);
}

/* L7: the token goes to nobody who can't prove to be the server. */
static void test_bad_certificates(void **state)
{
        TlsAuthority other;
        Site s;

        site_set_up(&s, "bot.test", -1); /* expired */
        expect_refused(&s);

        site_set_up(&s, "evil.test", 1);
        expect_refused(&s);

        site_set_up(&s, "bot.test", 1);
        tls_authority_set_up(&other);
        tls_trust(&other);
        expect_refused(&s);
        tls_authority_tear_down(&other);

        site_set_up(&s, "bot.test", 1);
        tls_trust(NULL);
        expect_refused(&s);
}

static void test_old_tls_is_refused(void **state)
{
        Site s;

        site_set_up(&s, "bot.test", 1);
        SSL_CTX_set_security_level(s.context, 0);
        assert_int_equal(SSL_CTX_set_max_proto_version(s.context, TLS1_1_VERSION), 1);
        expect_refused(&s);
}

static void reset_at_once(HttpPeer *peer, void *userdata)
{
        http_peer_reset(peer);
}

static void close_at_once(HttpPeer *peer, void *userdata)
{
        http_peer_close(peer);
}

/* A connection that breaks in the handshake has carried nothing: the one case in which an accepted
 * connection without a reply is not an unknown outcome. */
static void test_broken_handshake_is_not_sent(void **state)
{
        static const HttpServerHandlers broken[] = {
                { .accepted = reset_at_once, .requested = on_request },
                { .accepted = close_at_once, .requested = on_request },
        };

        FOREACH_ELEMENT(b, broken) {
                Site s;

                site_set_up(&s, "bot.test", 1);
                http_server_free(s.w.server);
                assert_int_equal(http_server_new(&s.w.server, s.w.event, s.context, b, &s), 0);
                snprintf(s.w.root, sizeof(s.w.root), "https://bot.test:%d", http_server_port(s.w.server));
                expect_refused(&s);
        }
}

static void test_plain_server_is_not_sent(void **state)
{
        Site s;

        site_set_up(&s, "bot.test", 1);
        http_server_free(s.w.server);
        assert_int_equal(http_server_new(&s.w.server, s.w.event, NULL, &handlers, &s), 0);
        snprintf(s.w.root, sizeof(s.w.root), "https://bot.test:%d", http_server_port(s.w.server));

        Exchange x = {};
        exchange_start(&x, &s.w, BOTAPI_LOG_OUT, NULL, 200 * USEC_PER_MSEC); /* it waits for the rest of our hello */
        world_run_until(&s.w, &x.replied);
        assert_int_equal(x.transport, BOTAPI_NOT_SENT);
        exchange_done(&x);
        site_tear_down(&s);
}

/* The move of one bot: two requests side by side leave two connections behind; the last long poll takes one,
 * logOut, 5 ms after it, the other. No handshake stands between the last answer of the queue and logOut
 * (L6). */
typedef struct LastMove {
        Site *site;
        Exchange poll, log_out;
        sd_event_source *timer;
} LastMove;

static int on_five_msec(sd_event_source *source, uint64_t usec, void *userdata)
{
        LastMove *m = userdata;

        exchange_start(&m->log_out, &m->site->w, BOTAPI_LOG_OUT, NULL, 0);
        return 0;
}

static void on_poll_sent(Exchange *x)
{
        LastMove *m = x->userdata;

        assert_int_equal(sd_event_add_time_relative(m->site->w.event, &m->timer, CLOCK_MONOTONIC, 5 * USEC_PER_MSEC,
                                                    USEC_PER_MSEC, on_five_msec, m),
                         0);
}

static void test_log_out_behind_a_long_poll_on_kept_connections(void **state)
{
        Exchange updates = {}, info = {};
        LastMove m = { .poll = { .on_sent = on_poll_sent, .userdata = &m } };
        Site s;

        m.site = &s;
        site_set_up(&s, "bot.test", 1);
        exchange_start(&updates, &s.w, BOTAPI_GET_UPDATES, NULL, 0);
        exchange_start(&info, &s.w, BOTAPI_GET_WEBHOOK_INFO, NULL, 0);
        run_until_waiting(&s, 2); /* both are there before one is answered: two connections */
        answer_all(&s);
        world_run_until(&s.w, &updates.replied);
        world_run_until(&s.w, &info.replied);
        assert_int_equal(http_server_n_accepted(s.w.server), 2);

        exchange_start(&m.poll, &s.w, BOTAPI_GET_UPDATES, NULL, 50 * USEC_PER_SEC);
        run_until_waiting(&s, 2); /* the poll is not answered before logOut is there */
        assert_true(m.log_out.sent_usec == 0 || m.log_out.sent_usec >= m.poll.sent_usec + 5 * USEC_PER_MSEC);
        answer_all(&s);
        world_run_until(&s.w, &m.poll.replied);
        world_run_until(&s.w, &m.log_out.replied);
        assert_int_equal(m.log_out.outcome, LOGOUT_OUTCOME_APPLIED);
        assert_true(m.poll.reused);
        assert_true(m.log_out.reused);
        assert_int_equal(http_server_n_accepted(s.w.server), 2);
        assert_int_equal(s.n_requests, 4);

        sd_event_source_disable_unref(m.timer);
        exchange_done(&updates);
        exchange_done(&info);
        exchange_done(&m.poll);
        exchange_done(&m.log_out);
        site_tear_down(&s);
}

/* As over plain HTTP: a kept connection that ends without a reply is an unknown outcome, and no reason to
 * repeat. */
static void test_kept_connection_closed_in_reply_is_lost(void **state)
{
        void (*const endings[])(HttpPeer * peer) = { http_peer_close, http_peer_reset };

        FOREACH_ELEMENT(ending, endings) {
                Exchange first = {}, second = {};
                Site s;

                site_set_up(&s, "bot.test", 1);
                run_log_out(&s, &first);
                exchange_start(&second, &s.w, BOTAPI_LOG_OUT, NULL, 0);
                run_until_waiting(&s, 1);
                (*ending)(s.waiting[0]);
                s.waiting[0] = NULL;
                world_run_until(&s.w, &second.replied);
                assert_true(second.reused);
                assert_true(second.sent);
                assert_int_equal(second.transport, BOTAPI_LOST);
                assert_int_equal(s.n_requests, 2);
                exchange_done(&first);
                exchange_done(&second);
                site_tear_down(&s);
        }
}

static void run_get_me(Site *s)
{
        Exchange x = {};

        exchange_start(&x, &s->w, BOTAPI_GET_ME, NULL, 0);
        run_until_waiting(s, 1);
        answer_all(s);
        world_run_until(&s->w, &x.replied);
        assert_int_equal(x.transport, BOTAPI_REPLIED);
        exchange_done(&x);
}

static void run_until_gone(Site *s, unsigned n)
{
        while (s->n_gone < n)
                assert_true(sd_event_run(s->w.event, 20 * USEC_PER_SEC) > 0);
}

/* The system's authorities take 2 MiB of memory, and to read them 30 ms of CPU time: that is done once for all bots
 * that move together, and what was read goes with the last of their connections, also where the local server is asked
 * all the time. */
static void test_authorities_are_read_once_and_forgotten(void **state)
{
        Exchange first = {}, second = {}, poll = {};
        World other, plain;
        Site s, local = {};
        unsigned n_before;

        site_set_up(&s, "bot.test", 1);
        botapi_client_set_rest_max(s.w.client, 10 * USEC_PER_MSEC);
        other = plain = s.w;
        assert_int_equal(botapi_client_new_beside(&other.client, s.w.client), 0);
        assert_int_equal(botapi_client_new_beside(&plain.client, s.w.client), 0);
        assert_int_equal(http_server_new(&local.w.server, s.w.event, NULL, &handlers, &local), 0);
        local.w.event = s.w.event;
        snprintf(plain.root, sizeof(plain.root), "http://127.0.0.1:%d", http_server_port(local.w.server));

        n_before = tls_n_loads();
        exchange_start(&first, &s.w, BOTAPI_GET_ME, NULL, 0);
        exchange_start(&second, &other, BOTAPI_GET_ME, NULL, 0);
        run_until_waiting(&s, 2);
        assert_int_equal(tls_n_loads() - n_before, 1);

        /* The last goes while another transfer is under way, which nothing may happen to. */
        exchange_start(&poll, &plain, BOTAPI_GET_UPDATES, NULL, 50 * USEC_PER_SEC);
        run_until_waiting(&local, 1);
        answer_all(&s);
        world_run_until(&s.w, &first.replied);
        world_run_until(&s.w, &second.replied);
        exchange_done(&first);
        exchange_done(&second);
        run_until_gone(&s, 2);
        answer_all(&local);
        world_run_until(&s.w, &poll.replied);
        assert_int_equal(poll.transport, BOTAPI_REPLIED);
        exchange_done(&poll);
        run_get_me(&s);
        assert_int_equal(tls_n_loads() - n_before, 2);

        /* And while there is none. */
        run_until_gone(&s, 3);
        run_get_me(&s);
        assert_int_equal(tls_n_loads() - n_before, 3);

        botapi_client_free(other.client);
        botapi_client_free(plain.client);
        http_server_free(local.w.server);
        site_tear_down(&s);
}

/* A name that does not exist, and a look-up that hangs past the deadline. */
static void test_name_is_not_found(void **state)
{
        Exchange x = {};
        Site s;

        site_set_up(&s, "bot.test", 1);
        snprintf(s.w.root, sizeof(s.w.root), "https://nowhere.test");
        exchange_run(&x, &s.w, BOTAPI_LOG_OUT);
        assert_int_equal(x.transport, BOTAPI_NOT_SENT);
        exchange_done(&x);
        site_tear_down(&s);
}

/* The thread can't be stopped, and waiting for it would stop everything else of the daemon, its watchdog
 * too. So all of this has to come to its end while the look-ups are still stuck. */
static void test_stuck_look_up_holds_up_nobody(void **state)
{
        Exchange late = {}, cancelled = {}, other = {};
        char good[sizeof(((World *) NULL)->root)];
        Site s;

        site_set_up(&s, "bot.test", 1);
        memcpy(good, s.w.root, sizeof(good));
        snprintf(s.w.root, sizeof(s.w.root), "https://stuck.test");

        exchange_start(&late, &s.w, BOTAPI_LOG_OUT, NULL, 50 * USEC_PER_MSEC);
        world_run_until(&s.w, &late.replied);
        assert_int_equal(late.transport, BOTAPI_NOT_SENT);
        resolver_wait_for(1);

        exchange_start(&cancelled, &s.w, BOTAPI_LOG_OUT, NULL, 0);
        memcpy(s.w.root, good, sizeof(good));
        run_log_out(&s, &other);
        assert_int_equal(other.outcome, LOGOUT_OUTCOME_APPLIED);
        resolver_wait_for(2);
        assert_false(cancelled.replied);

        exchange_done(&late);
        exchange_done(&cancelled);
        exchange_done(&other);
        site_tear_down(&s);

        resolver_set_release(true);
        resolver_wait_for(0);
        resolver_set_release(false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good_certificate),
                cmocka_unit_test(test_bad_certificates),
                cmocka_unit_test(test_old_tls_is_refused),
                cmocka_unit_test(test_broken_handshake_is_not_sent),
                cmocka_unit_test(test_plain_server_is_not_sent),
                cmocka_unit_test(test_log_out_behind_a_long_poll_on_kept_connections),
                cmocka_unit_test(test_kept_connection_closed_in_reply_is_lost),
                cmocka_unit_test(test_authorities_are_read_once_and_forgotten),
                cmocka_unit_test(test_name_is_not_found),
                cmocka_unit_test(test_stuck_look_up_holds_up_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
