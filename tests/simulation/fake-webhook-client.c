/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "core/webhook-answer.h"
#include "daemon.h"
#include "io/webhook-client.h"
#include "judge.h"
#include "systemd.h"

/* io/webhook-client.h: the bot's program behind its web server, which gets updates as worker_takes_delivery() says. */

struct WebhookClient {
        Event *event; /* of the post that is under way, or NULL */
        SimBot *bot;
        uint32_t update;
        int status; /* of the answer; 0: there will be none */
        unsigned retry_after;
        usec_t timeout_usec;
        webhook_handler_t handler;
        void *userdata;
};

static void take_method(WebhookAnswer *answer)
{
        static const char *const bodies[] = {
                "{\"method\":\"sendMessage\",\"chat_id\":1,\"text\":\"hello\"}",
                "{\"method\":\"logout\"}",
                "{\"ok\":true}",
        };
        const char *body = bodies[random_below(ELEMENTSOF(bodies))];

        if (webhook_answer_call(body, strlen(body), &answer->method, &answer->arguments) < 0)
                abort();
}

/* Programs like to say what they were asked for. */
static char *complaint(const WebhookClient *c)
{
        char *text;

        if (c->status == 0)
                return strdup("nobody answers");
        if (asprintf(&text, "HTTP %d, \"there is no /%s\"", c->status, c->bot->token) < 0)
                abort();
        return text;
}

static void on_answered(void *userdata)
{
        WebhookClient *c = userdata;
        WebhookAnswer answer = { .status = c->status, .accepted = c->status == 200 };

        c->event = NULL;
        trace("%s: the webhook says %d to update %" PRIu32, c->bot->name, c->status, c->update);
        daemon_touch();
        if (daemon_dies_here("the answer of a webhook"))
                return;
        if (!answer.accepted) {
                answer.error = complaint(c);
                answer.retry_after_usec = c->retry_after * USEC_PER_SEC;
        } else if (random_chance(150)) {
                take_method(&answer);
        }
        c->handler(&answer, c->userdata);
        free(answer.error);
        free(answer.method);
        json_object_put(answer.arguments);
}

static void answer_in(WebhookClient *c, usec_t delay_usec, int status)
{
        c->status = status;
        c->event = timeline_add(delay_usec, PLACE_HOST, on_answered, c);
}

static void on_arrived(void *userdata)
{
        WebhookClient *c = userdata;

        c->event = NULL;
        c->retry_after = 0;
        if (fault(world.faults.request_lost)) {
                answer_in(c, c->timeout_usec, 0);
        } else if (fault(world.faults.server_error)) {
                c->retry_after = (unsigned) random_below(100);
                answer_in(c, random_span(USEC_PER_MSEC, USEC_PER_SEC), 503);
        } else if (!worker_takes_delivery(c->bot, c->update)) {
                answer_in(c, random_span(100, 100 * USEC_PER_MSEC), random_chance(500) ? 502 : 0);
        } else if (fault(world.faults.reply_lost)) {
                answer_in(c, c->timeout_usec, 0);
        } else {
                answer_in(c, random_span(100, fault(world.faults.slow) ? c->timeout_usec : 50 * USEC_PER_MSEC), 200);
        }
}

/* ---- io/webhook-client.h ---- */

int webhook_client_new(WebhookClient **ret, sd_event *event)
{
        *ret = calloc(1, sizeof(WebhookClient));
        return *ret ? 0 : -ENOMEM;
}

WebhookClient *webhook_client_free(WebhookClient *c)
{
        if (!c)
                return NULL;
        timeline_cancel(c->event);
        free(c);
        return NULL;
}

/* The bot's program has its token in the URL. */
static SimBot *bot_of_url(const char *url)
{
        for (size_t i = 0; i < world.n_bots; i++)
                if (strstr(url, world.bots[i].token))
                        return &world.bots[i];
        return NULL;
}

int webhook_client_post(WebhookClient *c, const WebhookPost *post, webhook_handler_t handler, void *userdata)
{
        bool outside_is_gone = timeline_now() < world.network_bad_until;
        int r = refusal(REFUSABLE_POST);

        if (c->event)
                return -EBUSY;
        if (r < 0)
                return r;
        c->bot = bot_of_url(post->url);
        assert(c->bot);
        judge_text(c->bot, "the URL of a post", post->url);
        judge_text(NULL, "the secret of a post", post->secret);
        judge_bytes(NULL, "a post", post->update, post->update_size);
        c->update = (uint32_t) strtoul(post->update, NULL, 10);
        c->timeout_usec = post->timeout_usec ?: WEBHOOK_TIMEOUT_USEC;
        c->handler = handler;
        c->userdata = userdata;
        if (daemon_dies_here("a post to a webhook"))
                return 0;
        trace("%s: update %" PRIu32 " is posted", c->bot->name, c->update);
        judge_posted(c->bot, c->update);
        if (outside_is_gone || fault(world.faults.connect_fails))
                answer_in(c, random_span(USEC_PER_MSEC, 10 * USEC_PER_SEC), 0);
        else
                c->event = timeline_add(random_span(100, 100 * USEC_PER_MSEC), PLACE_HOST, on_arrived, c);
        return 0;
}
