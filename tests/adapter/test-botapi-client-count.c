/* SPDX-License-Identifier: MIT */

/* Each request is counted once, by how it ended; one that nobody waited for too, and one that never left as such. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "botapi-fixture.h"

typedef struct Counting {
        Script script;
        ReplyCount count;
        bool sent, replied;
        BotApiCall *call;
} Counting;

static void on_sent(BotApiCall *call, void *userdata)
{
        ((Counting *) userdata)->sent = true;
}

static void on_replied(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        ((Counting *) userdata)->replied = true;
}

static void start(Counting *c)
{
        const BotApiRequest request = {
                .root = c->script.w.root,
                .token = c->script.w.token,
                .method = BOTAPI_GET_ME,
                .count = &c->count,
        };

        c->sent = c->replied = false;
        assert_int_equal(botapi_call(c->script.w.client, &request, on_sent, on_replied, c, &c->call), 0);
}

static void assert_counted(const Counting *c, const char *code, uint64_t n)
{
        for (size_t i = 0; i < REPLY_CODE_MAX; i++)
                if (streq(reply_code_to_string(i), code))
                        assert_int_equal(c->count.n[i], n);
}

static uint64_t counted(const Counting *c)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < REPLY_CODE_MAX; i++)
                sum += c->count.n[i];
        return sum;
}

static void run(Counting *c)
{
        start(c);
        world_run_until(&c->script.w, &c->replied);
        c->call = botapi_call_free(c->call);
}

static void test_answers(void **state)
{
        Counting c = {};

        script_set_up(&c.script, answer_reply, 200, TRUE_REPLY);
        run(&c);
        run(&c);
        assert_counted(&c, "200", 2);

        c.script.status = 429;
        run(&c);
        assert_counted(&c, "429", 1);

        /* Not by what stands in it. */
        c.script.status = 299;
        run(&c);
        assert_counted(&c, "other", 1);

        c.script.answer = answer_close;
        run(&c);
        assert_counted(&c, "lost", 1);
        assert_int_equal(counted(&c), 5);
        script_tear_down(&c.script);
}

static void test_nobody_listens(void **state)
{
        Counting c = {};

        script_set_up(&c.script, answer_reply, 200, TRUE_REPLY);
        c.script.w.server = http_server_free(c.script.w.server);
        run(&c);
        assert_counted(&c, "unsent", 1);
        assert_int_equal(counted(&c), 1);
        script_tear_down(&c.script);
}

static void test_nobody_waits(void **state)
{
        Counting c = {};

        script_set_up(&c.script, answer_hold, 0, NULL);
        start(&c);
        world_run_until(&c.script.w, &c.sent);
        c.call = botapi_call_free(c.call);
        assert_counted(&c, "canceled", 1);

        /* One that has not been given to a connection has gone nowhere. */
        start(&c);
        c.call = botapi_call_free(c.call);
        assert_int_equal(counted(&c), 1);
        script_tear_down(&c.script);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_nobody_listens),
                cmocka_unit_test(test_nobody_waits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
