/* SPDX-License-Identifier: MIT */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "botapi-fixture.h"

#define SILENCE_USEC_MAX (60 * USEC_PER_SEC)

void world_set_up(World *w, SSL_CTX *tls, const char *host, const HttpServerHandlers *handlers, void *userdata)
{
        *w = (World){};
        assert_int_equal(sd_event_new(&w->event), 0);
        assert_int_equal(botapi_client_new(&w->client, w->event), 0);
        assert_int_equal(bot_token_new(&w->token, CANARY_TOKEN, strlen(CANARY_TOKEN)), 0);
        assert_int_equal(http_server_new(&w->server, w->event, tls, handlers, userdata), 0);
        snprintf(w->root, sizeof(w->root), "%s://%s:%d", tls ? "https" : "http", host, http_server_port(w->server));
}

void world_tear_down(World *w)
{
        botapi_client_free(w->client);
        http_server_free(w->server);
        bot_token_free(w->token);
        sd_event_unref(w->event);
        *w = (World){};
}

static void on_sent(BotApiCall *call, void *userdata)
{
        Exchange *x = userdata;

        assert_ptr_equal(call, x->call);
        assert_false(x->sent);
        assert_false(x->replied);
        x->sent = true;
        x->sent_usec = botapi_call_sent_usec(call);
        x->reused = botapi_call_reused_connection(call);
        assert_true(x->sent_usec > 0);
        if (x->on_sent)
                x->on_sent(x);
}

static void on_replied(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Exchange *x = userdata;

        assert_ptr_equal(call, x->call);
        assert_false(x->replied);
        x->replied = true;
        x->transport = reply->transport;
        x->http_status = reply->http_status;
        x->retry_after_usec = reply->retry_after_usec;
        x->outcome = botapi_logout_outcome(reply);
        x->replied_usec = botapi_call_replied_usec(call);
        assert_true(x->replied_usec >= x->sent_usec);

        x->text = botapi_reply_describe(reply);
        assert_non_null(x->text);
        assert_null(strstr(x->text, "CANARY"));
        assert_null(strstr(x->text, "/bot"));
        if (x->on_replied)
                x->on_replied(x);
}

void exchange_start(Exchange *x, World *w, BotApiMethod method, json_object *arguments, usec_t timeout_usec)
{
        BotApiRequest request = {
                .root = w->root,
                .token = w->token,
                .method = method,
                .arguments = arguments,
                .certificate = x->certificate,
                .certificate_size = x->certificate ? strlen(x->certificate) : 0,
                .timeout_usec = timeout_usec,
        };

        x->world = w;
        assert_int_equal(botapi_call(w->client, &request, on_sent, on_replied, x, &x->call), 0);
        assert_false(x->sent);
        assert_false(x->replied);
}

void world_run_until(World *w, const bool *flag)
{
        while (!*flag)
                assert_true(sd_event_run(w->event, SILENCE_USEC_MAX) > 0);
}

void exchange_run(Exchange *x, World *w, BotApiMethod method)
{
        exchange_start(x, w, method, NULL, 0);
        world_run_until(w, &x->replied);
        x->call = botapi_call_free(x->call);
}

void exchange_done(Exchange *x)
{
        botapi_call_free(x->call);
        free(x->text);
        *x = (Exchange){};
}

void exchange_assert_failed(const Exchange *x, const char *why)
{
        const char *said = startswith(x->text, x->transport == BOTAPI_NOT_SENT ? "not sent: " : "no reply: ");

        assert_int_not_equal(x->transport, BOTAPI_REPLIED);
        assert_non_null(said);
        assert_string_equal(said, why);
}

static void on_request(HttpPeer *peer, const char *request, void *userdata)
{
        Script *s = userdata;

        s->n_requests++;
        snprintf(s->last_request, sizeof(s->last_request), "%s", request);
        s->answer(s, peer);
}

static void on_gone(HttpPeer *peer, void *userdata)
{
        Script *s = userdata;

        s->peer_gone = true;
        if (s->held == peer)
                s->held = NULL;
}

static const HttpServerHandlers handlers = { .requested = on_request, .gone = on_gone };

void answer_reply(Script *s, HttpPeer *peer)
{
        http_peer_reply(peer, s->status, s->headers ?: "", s->body);
}

void answer_hold(Script *s, HttpPeer *peer)
{
        s->held = peer;
}

void answer_raw(Script *s, HttpPeer *peer)
{
        http_peer_send_string(peer, s->body);
        http_peer_close(peer);
}

void answer_close(Script *s, HttpPeer *peer)
{
        http_peer_close(peer);
}

void answer_reset(Script *s, HttpPeer *peer)
{
        http_peer_reset(peer);
}

void script_set_up(Script *s, void (*answer)(Script *s, HttpPeer *peer), int status, const char *body)
{
        *s = (Script){ .answer = answer, .status = status, .body = body };
        world_set_up(&s->w, NULL, "127.0.0.1", &handlers, s);
}

void script_tear_down(Script *s)
{
        sd_event_source_disable_unref(s->timer);
        world_tear_down(&s->w);
}
