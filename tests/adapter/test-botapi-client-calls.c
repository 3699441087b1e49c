/* SPDX-License-Identifier: MIT */

/* The life of calls: deadlines, connections that are kept, cancelling from anywhere. Above all, one call is
 * at most one request, whatever libcurl would do by itself. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "botapi-fixture.h"
#include "io/clock.h"

static int on_trickle(sd_event_source *source, uint64_t usec, void *userdata)
{
        Script *s = userdata;

        if (s->held)
                http_peer_send_string(s->held, " ");
        assert_int_equal(sd_event_source_set_time_relative(source, 10 * USEC_PER_MSEC), 0);
        assert_int_equal(sd_event_source_set_enabled(source, SD_EVENT_ONESHOT), 0);
        return 0;
}

static void answer_trickle(Script *s, HttpPeer *peer)
{
        s->held = peer;
        http_peer_send_string(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        assert_int_equal(sd_event_add_time_relative(s->w.event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_trickle, s), 0);
}

/* Runs a logOut into its deadline. On a busy machine a short one may pass before the request has left: then a longer
 * one, so that what it ends is the wait for the reply. */
static void exchange_run_into_deadline(Exchange *x, World *w, usec_t timeout_usec)
{
        for (;; timeout_usec *= 2) {
                usec_t began_usec = clock_boottime_usec();

                exchange_start(x, w, BOTAPI_LOG_OUT, NULL, timeout_usec);
                world_run_until(w, &x->replied);
                assert_in_range(x->replied_usec - began_usec, timeout_usec * 2 / 3, timeout_usec + 60 * USEC_PER_SEC);
                if (x->sent)
                        return;
                exchange_done(x);
        }
}

/* The deadline is for the whole request: bytes that come in do not move it. */
static void test_deadline_holds_against_a_trickle(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_trickle, 0, NULL);
        exchange_run_into_deadline(&x, &s.w, 300 * USEC_PER_MSEC);
        assert_int_equal(x.transport, BOTAPI_LOST);
        exchange_done(&x);
        script_tear_down(&s);
}

static void test_silence_ends_at_the_deadline(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_hold, 0, NULL);
        exchange_run_into_deadline(&x, &s.w, 50 * USEC_PER_MSEC);
        assert_int_equal(x.transport, BOTAPI_LOST);
        exchange_done(&x);
        script_tear_down(&s);
}

/* Starts them all, and returns whether all had left before the first was over. */
static bool all_sent(World *w, Exchange *x, size_t n, usec_t timeout_usec)
{
        bool all = true;

        for (size_t i = 0; i < n; i++)
                exchange_start(x + i, w, BOTAPI_LOG_OUT, NULL, timeout_usec);
        for (size_t i = 0; i < n; i++)
                while (!x[i].sent && !x[i].replied)
                        assert_true(sd_event_run(w->event, UINT64_MAX) > 0);
        for (size_t i = 0; i < n; i++)
                all = all && x[i].sent && !x[i].replied;
        return all;
}

/* All of them are over in one and the same wake-up, after which none would come for what was left. */
static void test_deadlines_that_pass_together(void **state)
{
        usec_t timeout_usec = 100 * USEC_PER_MSEC;
        Exchange x[5] = {};
        Script s;

        script_set_up(&s, answer_hold, 0, NULL);
        while (!all_sent(&s.w, x, ELEMENTSOF(x), timeout_usec)) {
                FOREACH_ELEMENT(i, x)
                        exchange_done(i);
                timeout_usec *= 2;
        }
        usec_t end = usec_add(clock_boottime_usec(), timeout_usec + USEC_PER_MSEC);
        while (clock_boottime_usec() < end)
                ; /* the loop does not run until all of them have passed */
        FOREACH_ELEMENT(i, x) {
                world_run_until(&s.w, &i->replied);
                assert_int_equal(i->transport, BOTAPI_LOST);
                exchange_done(i);
        }
        script_tear_down(&s);
}

static void test_connection_is_kept(void **state)
{
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        for (unsigned i = 0; i < 5; i++) {
                Exchange x = {};

                exchange_run(&x, &s.w, BOTAPI_GET_ME);
                assert_int_equal(x.reused, i > 0);
                exchange_done(&x);
        }
        assert_int_equal(http_server_n_accepted(s.w.server), 1);
        script_tear_down(&s);
}

/* From one answer to the next request counts every turn of the loop. Who asked is told later all the same. */
static void test_request_leaves_at_once_on_an_open_connection(void **state)
{
        Exchange first = {}, second = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_run(&first, &s.w, BOTAPI_GET_ME);
        exchange_start(&second, &s.w, BOTAPI_GET_ME, NULL, 0);
        assert_true(botapi_call_sent_usec(second.call) > 0);
        assert_false(second.sent);
        world_run_until(&s.w, &second.replied);
        assert_true(second.sent);
        assert_true(second.reused);
        exchange_done(&first);
        exchange_done(&second);
        script_tear_down(&s);
}

/* No socket can be made until the limit is put back, which is returned. */
static struct rlimit forbid_new_files(void)
{
        struct rlimit before, none;
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){ .rlim_cur = (rlim_t) fd, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        return before;
}

/* What fails while the call is being made has its end from the loop, like any other: the caller has no call yet. */
static void test_failure_at_once_is_told_by_the_loop(void **state)
{
        Exchange x = {}, canceled = {};
        struct rlimit before;
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        before = forbid_new_files();
        exchange_start(&x, &s.w, BOTAPI_GET_ME, NULL, 0);
        exchange_start(&canceled, &s.w, BOTAPI_GET_ME, NULL, 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(botapi_call_replied_usec(x.call) > 0);
        assert_false(x.replied);
        canceled.call = botapi_call_free(canceled.call);
        world_run_until(&s.w, &x.replied);
        assert_int_equal(x.transport, BOTAPI_NOT_SENT);
        assert_false(x.sent);
        assert_false(canceled.replied);
        exchange_done(&x);
        exchange_done(&canceled);
        script_tear_down(&s);
}

/* libcurl repeats a request by itself when a kept connection is closed without a reply. logOut must not go
 * out twice unseen: the first may have been applied, and a late repeat lengthens the lock. */
static void test_kept_connection_closed_in_reply_is_lost_not_repeated(void **state)
{
        void (*const endings[])(Script * s, HttpPeer * peer) = { answer_close, answer_reset };

        FOREACH_ELEMENT(ending, endings) {
                Exchange first = {}, second = {};
                Script s;

                script_set_up(&s, answer_reply, 200, TRUE_REPLY);
                exchange_run(&first, &s.w, BOTAPI_GET_ME);
                s.answer = *ending;
                exchange_run(&second, &s.w, BOTAPI_LOG_OUT);
                assert_true(second.sent);
                assert_true(second.reused);
                assert_int_equal(second.transport, BOTAPI_LOST);
                assert_int_equal(second.outcome, LOGOUT_OUTCOME_UNKNOWN);
                exchange_assert_failed(&second, "the server closed the connection");
                assert_int_equal(s.n_requests, 2);

                /* The client goes on as if nothing had been. */
                Exchange third = {};
                s.answer = answer_reply;
                exchange_run(&third, &s.w, BOTAPI_GET_ME);
                assert_int_equal(third.transport, BOTAPI_REPLIED);
                assert_int_equal(s.n_requests, 3);

                exchange_done(&first);
                exchange_done(&second);
                exchange_done(&third);
                script_tear_down(&s);
        }
}

/* A kept connection that was closed before is found out in time: the request goes out on a fresh one. */
static void answer_and_close(Script *s, HttpPeer *peer)
{
        answer_reply(s, peer);
        http_peer_close(peer);
}

static void test_connection_closed_while_idle(void **state)
{
        Exchange first = {}, second = {};
        Script s;

        script_set_up(&s, answer_and_close, 200, TRUE_REPLY);
        exchange_run(&first, &s.w, BOTAPI_GET_ME);
        exchange_run(&second, &s.w, BOTAPI_LOG_OUT);
        assert_int_equal(second.outcome, LOGOUT_OUTCOME_APPLIED);
        assert_false(second.reused);
        assert_int_equal(s.n_requests, 2);
        exchange_done(&first);
        exchange_done(&second);
        script_tear_down(&s);
}

/* A thousand bots that moved once are not a thousand open connections. */
static void test_connection_that_rests_is_closed(void **state)
{
        Exchange first = {}, second = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        botapi_client_set_rest_max(s.w.client, 10 * USEC_PER_MSEC);
        exchange_run(&first, &s.w, BOTAPI_GET_ME);
        world_run_until(&s.w, &s.peer_gone);
        exchange_run(&second, &s.w, BOTAPI_LOG_OUT);
        assert_int_equal(second.outcome, LOGOUT_OUTCOME_APPLIED);
        assert_false(second.reused);
        assert_int_equal(http_server_n_accepted(s.w.server), 2);
        exchange_done(&first);
        exchange_done(&second);
        script_tear_down(&s);
}

/* A bot that has arrived needs its connections no more: they go at once, or with the answer that is still awaited. */
static void test_connections_that_are_not_needed_are_closed(void **state)
{
        Exchange first = {}, second = {}, third = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        botapi_client_set_rest_max(s.w.client, 3600 * USEC_PER_SEC);
        exchange_run(&first, &s.w, BOTAPI_GET_ME);
        botapi_client_hang_up(s.w.client);
        world_run_until(&s.w, &s.peer_gone);

        s.peer_gone = false;
        exchange_start(&second, &s.w, BOTAPI_GET_ME, NULL, 0);
        botapi_client_hang_up(s.w.client);
        world_run_until(&s.w, &second.replied);
        assert_int_equal(second.transport, BOTAPI_REPLIED);
        exchange_done(&second);
        world_run_until(&s.w, &s.peer_gone);

        /* Who begins anew before that needs them again. */
        exchange_start(&second, &s.w, BOTAPI_GET_ME, NULL, 0);
        botapi_client_hang_up(s.w.client);
        exchange_start(&third, &s.w, BOTAPI_GET_ME, NULL, 0);
        world_run_until(&s.w, &second.replied);
        world_run_until(&s.w, &third.replied);
        exchange_done(&second);
        exchange_done(&third);
        exchange_run(&third, &s.w, BOTAPI_GET_ME);
        assert_true(third.reused);
        exchange_done(&first);
        exchange_done(&third);
        script_tear_down(&s);
}

/* Each bot has its own: one that waits in line for another's, or takes it, would be late for its logOut. */
static void test_clients_beside_each_other(void **state)
{
        BotApiClient *first, *second;
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        first = s.w.client;
        assert_int_equal(botapi_client_new_beside(&second, first), 0);
        for (unsigned i = 0; i < 4; i++) {
                Exchange x = {};

                s.w.client = i % 2 == 0 ? first : second;
                exchange_run(&x, &s.w, BOTAPI_GET_ME);
                assert_int_equal(x.reused, i >= 2);
                exchange_done(&x);
        }
        assert_int_equal(http_server_n_accepted(s.w.server), 2);

        /* The other goes on without the one that was there first. */
        botapi_client_free(first);
        Exchange x = {};
        exchange_run(&x, &s.w, BOTAPI_GET_ME);
        assert_true(x.reused);
        exchange_done(&x);
        script_tear_down(&s);
}

static void free_own_call(Exchange *x)
{
        x->call = botapi_call_free(x->call);
}

static void test_free_in_own_handlers(void **state)
{
        Exchange x = { .on_replied = free_own_call };
        Exchange y = { .on_sent = free_own_call };
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_GET_ME, NULL, 0);
        world_run_until(&s.w, &x.replied);
        exchange_done(&x);

        s.answer = answer_hold;
        exchange_start(&y, &s.w, BOTAPI_LOG_OUT, NULL, 0);
        world_run_until(&s.w, &y.sent);
        world_run_until(&s.w, &s.peer_gone); /* the connection went with the call */
        assert_false(y.replied);
        exchange_done(&y);
        script_tear_down(&s);
}

static void free_other_call(Exchange *x)
{
        Exchange *other = x->userdata;

        if (!other->replied)
                other->call = botapi_call_free(other->call);
}

/* Both are over when the first callback runs: the other's is not run any more. */
static void test_free_in_anothers_handler(void **state)
{
        Exchange x = { .on_replied = free_other_call }, y = { .on_replied = free_other_call };
        Script s;

        x.userdata = &y;
        y.userdata = &x;
        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        s.w.server = http_server_free(s.w.server); /* both are refused in one and the same wake-up */
        exchange_start(&x, &s.w, BOTAPI_GET_ME, NULL, 0);
        exchange_start(&y, &s.w, BOTAPI_GET_ME, NULL, 0);
        while (!x.replied && !y.replied)
                assert_true(sd_event_run(s.w.event, 20 * USEC_PER_SEC) > 0);
        while (sd_event_run(s.w.event, 0) > 0)
                ;
        assert_true(x.replied != y.replied);
        exchange_done(&x);
        exchange_done(&y);
        script_tear_down(&s);
}

static void free_all(Exchange *x)
{
        x->call = botapi_call_free(x->call);
        x->world->client = botapi_client_free(x->world->client);
}

static void test_free_the_client_in_a_handler(void **state)
{
        Exchange x = { .on_replied = free_all };
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_GET_ME, NULL, 0);
        world_run_until(&s.w, &x.replied);
        while (sd_event_run(s.w.event, 0) > 0)
                ;
        exchange_done(&x);
        script_tear_down(&s);
}

static void test_free_before_start(void **state)
{
        Exchange x = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        exchange_start(&x, &s.w, BOTAPI_LOG_OUT, NULL, 0);
        exchange_done(&x);
        while (sd_event_run(s.w.event, 0) > 0)
                ;
        assert_int_equal(s.n_requests, 0);
        script_tear_down(&s);
}

/* Bots move side by side, and every wake-up may end several of their calls. */
static void test_many_at_once(void **state)
{
        Exchange x[100] = {};
        Script s;

        script_set_up(&s, answer_reply, 200, TRUE_REPLY);
        FOREACH_ELEMENT(i, x)
                exchange_start(i, &s.w, BOTAPI_GET_ME, NULL, 0);
        FOREACH_ELEMENT(i, x) {
                world_run_until(&s.w, &i->replied);
                assert_int_equal(i->transport, BOTAPI_REPLIED);
        }
        assert_int_equal(s.n_requests, ELEMENTSOF(x));
        FOREACH_ELEMENT(i, x)
                exchange_done(i);
        script_tear_down(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deadline_holds_against_a_trickle),
                cmocka_unit_test(test_silence_ends_at_the_deadline),
                cmocka_unit_test(test_deadlines_that_pass_together),
                cmocka_unit_test(test_connection_is_kept),
                cmocka_unit_test(test_request_leaves_at_once_on_an_open_connection),
                cmocka_unit_test(test_failure_at_once_is_told_by_the_loop),
                cmocka_unit_test(test_kept_connection_closed_in_reply_is_lost_not_repeated),
                cmocka_unit_test(test_connection_closed_while_idle),
                cmocka_unit_test(test_connection_that_rests_is_closed),
                cmocka_unit_test(test_connections_that_are_not_needed_are_closed),
                cmocka_unit_test(test_clients_beside_each_other),
                cmocka_unit_test(test_free_in_own_handlers),
                cmocka_unit_test(test_free_in_anothers_handler),
                cmocka_unit_test(test_free_the_client_in_a_handler),
                cmocka_unit_test(test_free_before_start),
                cmocka_unit_test(test_many_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
