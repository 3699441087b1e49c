/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "manager-fixture.h"
#include "scratch.h"

/* What checks say where the answer is none, or a strange one. Most mistakes of an administrator are made on a host, in
 * tests/host/scenarios/200-checks.sh. */

#define AT_CLOUD "InitialSeat=cloud\nWorker=shop.service\n"
#define USER     "{\"ok\":true,\"result\":{\"id\":4242,\"is_bot\":true,\"first_name\":\"Shop\",\"username\":\"shop_bot\"}}"
#define WEBHOOK  "https://shop.example.org/hook"
#define INFO(url)                                                                        \
        "{\"ok\":true,\"result\":{\"url\":\"" url "\",\"has_custom_certificate\":false," \
        "\"pending_update_count\":0}}"
#define FAILURE "{\"ok\":false,\"error_code\":500,\"description\":\"Internal Server Error\"}"

/* ---- the checks of a move ---- */

typedef struct Checks {
        bool done;
        char text[8192]; /* a line each: CHECK VERDICT EXPLANATION */
} Checks;

static void on_checks(const CheckItem *items, size_t n_items, void *userdata)
{
        Checks *c = userdata;
        size_t at = 0;

        for (size_t i = 0; i < n_items && at < sizeof(c->text); i++)
                at += (size_t) snprintf(c->text + at, sizeof(c->text) - at, "%s %s %s\n", items[i].check,
                                        check_verdict_to_string(items[i].verdict), items[i].explanation);
        c->done = true;
}

static void assert_found(ManagerFixture *f, Bot *b, const char *line)
{
        BotCheck *check = NULL;
        char *message = NULL;
        Checks c = {};

        assert_int_equal(bot_check(b, SEAT_LOCAL, on_checks, &c, &check, &message), ASK_OK);
        manager_run_until(f, &c.done);
        bot_check_free(check);
        if (!strstr(c.text, line))
                manager_fail("found", c.text, line);
}

static void test_no_worker(void **state)
{
        ManagerFixture *f = *state;

        manager_store_bot(f, "shop", "InitialSeat=cloud");
        assert_found(f, manager_begin_with(f, "shop"),
                     "worker fail No worker is configured: name the units that run the bot's code with Worker= in "
                     "bots.d/shop.conf.\n");
}

static void test_no_secret(void **state)
{
        static const CloudReply replies[] = { { "getMe", 200, USER }, { "getWebhookInfo", 200, INFO(WEBHOOK) }, {} };
        ManagerFixture *f = *state;

        f->replies = replies;
        manager_store_bot(f, "shop", AT_CLOUD "WebhookSecret=yes");
        assert_found(f, manager_begin_with(f, "shop"),
                     "webhook fail WebhookSecret=yes, but there is no credential secret_shop: put the secret token into "
                     "/etc/tgswitch/secrets/shop (mode 0600) and run 'systemctl restart tgswitchd'.\n");
}

static bool disk_is_unknown;

/* In place of libc's. */
int fstatvfs(int fd, struct statvfs *ret)
{
        if (disk_is_unknown) {
                errno = EIO;
                return -1;
        }
        *ret = (struct statvfs){ .f_frsize = 1u << 20, .f_bavail = 1000 };
        return 0;
}

static void test_unknown_disk(void **state)
{
        ManagerFixture *f = *state;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        b = manager_begin_with(f, "shop");
        assert_found(f, b, "disk pass 1000 MiB are free.\n");
        disk_is_unknown = true;
        assert_found(f, b,
                     "disk fail Failed to see how much is free in the state directory: Input/output error. Look after its "
                     "file system, then try again.\n");
        disk_is_unknown = false;
}

/* systemd answers something else than what is known of it. */
static void test_odd_systemd(void **state)
{
        ManagerFixture *f = *state;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        b = manager_begin_with(f, "shop");
        f->systemd->odd_types = true;
        assert_found(f, b,
                     "worker fail Failed to ask systemd about shop.service: No such device or address. Try again.\n");
}

/* Nothing of systemd's can be looked at. */
static void test_no_bus(void **state)
{
        ManagerFixture *f = *state;
        Bot *b;

        manager_configure(f, "LocalFiles=/var/lib/telegram-bot-api");
        manager_store_bot(f, "shop", AT_CLOUD);
        b = manager_begin_with(f, "shop");
        manager_close_bus(f);
        assert_found(f, b,
                     "files skipped Whether the workers can read the local server's files could not be found out: "
                     "Transport endpoint is not connected. Try again.\n");
        assert_found(f, b,
                     "worker fail Failed to ask systemd about shop.service: Transport endpoint is not connected. Try "
                     "again.\n");
}

static void test_no_bus_for_a_pattern(void **state)
{
        ManagerFixture *f = *state;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD "Worker=shop@*.service");
        b = manager_begin_with(f, "shop");
        manager_close_bus(f);
        assert_found(f, b, "worker fail Failed to list the workers: Transport endpoint is not connected. Try again.\n");
}

/* ---- the check of a token ---- */

typedef struct Judgement {
        bool done;
        TokenVerdict verdict;
        TokenWebhook webhook;
        char explanation[512];
} Judgement;

static void on_judged(TokenVerdict verdict, TokenWebhook webhook, const char *explanation, void *userdata)
{
        Judgement *j = userdata;

        j->verdict = verdict;
        j->webhook = webhook;
        snprintf(j->explanation, sizeof(j->explanation), "%s", explanation);
        j->done = true;
}

static Bot *begin_with(ManagerFixture *f, const CloudReply *replies)
{
        f->replies = replies;
        manager_store_bot(f, "shop", AT_CLOUD "WebhookSecret=no");
        return manager_begin_with(f, "shop");
}

static void assert_judged(ManagerFixture *f, Bot *b, TokenVerdict verdict, TokenWebhook webhook,
                          const char *explanation)
{
        TokenCheck *check = NULL;
        char *message = NULL;
        Judgement j = {};

        assert_int_equal(bot_check_token(b, true, on_judged, &j, &check, &message), ASK_OK);
        manager_run_until(f, &j.done);
        token_check_free(check);
        assert_string_equal(j.explanation, explanation);
        assert_int_equal(j.verdict, verdict);
        assert_int_equal(j.webhook, webhook);
}

static void test_token_without_a_verdict(void **state)
{
        static const CloudReply replies[] = { { "getMe", 500, FAILURE }, {} };
        ManagerFixture *f = *state;

        assert_judged(f, begin_with(f, replies), TOKEN_UNKNOWN, TOKEN_WEBHOOK_UNKNOWN,
                      "The cloud server did not say that it takes the token: 500 Internal Server Error.");
}

/* The new token is taken, and the server does not take the webhook. */
static void test_webhook_is_refused(void **state)
{
        static const CloudReply replies[] = {
                { "getMe", 200, USER },
                { "getWebhookInfo", 200, INFO("") },
                { "setWebhook", 400, "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: bad webhook\"}" },
                {}
        };
        ManagerFixture *f = *state;
        Bot *b = begin_with(f, replies);

        b->record.webhook.url = strdup(WEBHOOK);
        assert_non_null(b->record.webhook.url);
        assert_judged(f, b, TOKEN_ACCEPTED, TOKEN_WEBHOOK_GONE,
                      "The webhook could not be set again at the cloud server: 400 Bad Request: bad webhook.");
}

/* ---- updates that nobody takes ---- */

static void test_untaken_updates(void **state)
{
        ManagerFixture *f = *state;
        char *text;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        b = manager_begin_with(f, "shop");
        b->pending_updates = 3;
        b->record.webhook.url = strdup(WEBHOOK);
        assert_non_null(b->record.webhook.url);
        text = intake_complaint(b);
        assert_string_equal(text, "it delivers nothing to the webhook: 3 updates are pending and do not get fewer. See "
                                  "whether the web server answers.");
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, manager_set_up, manager_tear_down)
                TEST(test_no_worker),          TEST(test_no_secret),       TEST(test_unknown_disk),
                TEST(test_odd_systemd),        TEST(test_no_bus),          TEST(test_token_without_a_verdict),
                TEST(test_webhook_is_refused), TEST(test_untaken_updates), TEST(test_no_bus_for_a_pattern),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
