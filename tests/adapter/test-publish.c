/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../canary.h"
#include "base/strv.h"
#include "manager/bot.h"
#include "scratch.h"

/* The environment file of a bot's workers: every shape of the endpoint, the token only where it is asked for (L7), and
 * nothing that anybody could send a request to while they hold (L4). */

#define TOKEN "7100000001:" CANARY_SECRET

typedef struct Fixture {
        char *directory;
        Config config;
        Manager manager;
        BotConfig bot_config;
        Bot bot;
} Fixture;

static int set_up(void **state)
{
        static char *exports[] = { (char *) "API_BASE={root}/bot#a;b&c", NULL };
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        f->directory = scratch_new();
        f->config.cloud_root = (char *) "https://api.telegram.org";
        f->config.local_root = (char *) "http://127.0.0.1:8081";
        f->manager.config = &f->config;
        f->manager.runtime_directory = f->directory;
        f->bot_config.exports = exports;
        f->bot.manager = &f->manager;
        f->bot.name = (char *) "shop";
        f->bot.config = &f->bot_config;
        assert_int_equal(bot_token_new(&f->bot.token, TOKEN, strlen(TOKEN)), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        bot_token_free(f->bot.token);
        scratch_remove(f->directory);
        free(f);
        return 0;
}

/* The file without its first line, which is a comment. */
static char *published(Fixture *f, Seat seat)
{
        _cleanup_free_ char *text = NULL;
        char *line_end;

        assert_int_equal(publish_environment(&f->bot, seat), 0);
        text = scratch_read(f->directory, "shop.env");
        assert_non_null(text);
        assert_int_equal(text[0], '#');
        line_end = strchr(text, '\n');
        assert_non_null(line_end);
        return strdup(line_end + 1);
}

static void test_endpoint(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *local = published(f, SEAT_LOCAL), *cloud = NULL;

        assert_string_equal(local, "TGSWITCH_BOT=shop\n"
                                   "TGSWITCH_ENDPOINT=local\n"
                                   "TELEGRAM_API_ROOT=http://127.0.0.1:8081\n"
                                   "TELEGRAM_BASE_URL=http://127.0.0.1:8081/bot\n"
                                   "TELEGRAM_BASE_FILE_URL=http://127.0.0.1:8081/file/bot\n"
                                   "TELEGRAM_API_URL_TEMPLATE=http://127.0.0.1:8081/bot{0}/{1}\n"
                                   "TELEGRAM_FILE_URL_TEMPLATE=http://127.0.0.1:8081/file/bot{0}/{1}\n"
                                   "TELEGRAM_API_ENDPOINT_FORMAT=http://127.0.0.1:8081/bot%s/%s\n"
                                   "TELOXIDE_API_URL=http://127.0.0.1:8081\n"
                                   "API_BASE=http://127.0.0.1:8081/bot#a;b&c\n");
        cloud = published(f, SEAT_CLOUD);
        assert_non_null(strstr(cloud, "TGSWITCH_ENDPOINT=cloud\n"));
        assert_non_null(strstr(cloud, "TELEGRAM_API_ROOT=https://api.telegram.org\n"));
        assert_null(strstr(cloud, "127.0.0.1"));
}

static void test_token(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *without = published(f, SEAT_LOCAL), *with = NULL, *path = NULL;
        struct stat st;

        assert_null(strstr(without, TOKEN));
        f->bot_config.export_token = true;
        with = published(f, SEAT_LOCAL);
        assert_non_null(strstr(with, "\nBOT_TOKEN=" TOKEN "\n"));
        assert_non_null(strstr(with, "\nTELOXIDE_TOKEN=" TOKEN "\n"));
        assert_true(asprintf(&path, "%s/shop.env", f->directory) > 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

/* A thousand of them are not written anew at each start of the daemon. */
static void test_unchanged(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *before = published(f, SEAT_LOCAL), *path = NULL, *again = NULL, *other = NULL;
        struct stat first, second;

        assert_true(asprintf(&path, "%s/shop.env", f->directory) > 0);
        assert_int_equal(stat(path, &first), 0);
        again = published(f, SEAT_LOCAL);
        assert_int_equal(stat(path, &second), 0);
        assert_string_equal(again, before);
        assert_int_equal(first.st_ino, second.st_ino);
        assert_int_equal(first.st_ctim.tv_sec, second.st_ctim.tv_sec);
        assert_int_equal(first.st_ctim.tv_nsec, second.st_ctim.tv_nsec);

        /* As long as the one before, and yet another. */
        f->config.local_root = (char *) "http://127.0.0.1:8082";
        other = published(f, SEAT_LOCAL);
        assert_int_equal(strlen(other), strlen(before));
        assert_non_null(strstr(other, "127.0.0.1:8082"));
        assert_null(strstr(other, "127.0.0.1:8081"));
}

/* A name with nothing behind it takes the place of what Environment= of the unit may say. */
static void test_hold(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *hold = NULL;

        f->bot_config.export_token = true;
        hold = published(f, SEAT_NONE);
        assert_string_equal(hold, "TGSWITCH_BOT=shop\n"
                                  "TGSWITCH_ENDPOINT=none\n"
                                  "TELEGRAM_API_ROOT=\n"
                                  "TELEGRAM_BASE_URL=\n"
                                  "TELEGRAM_BASE_FILE_URL=\n"
                                  "TELEGRAM_API_URL_TEMPLATE=\n"
                                  "TELEGRAM_FILE_URL_TEMPLATE=\n"
                                  "TELEGRAM_API_ENDPOINT_FORMAT=\n"
                                  "TELOXIDE_API_URL=\n"
                                  "API_BASE=\n"
                                  "BOT_TOKEN=\n"
                                  "TELOXIDE_TOKEN=\n");
}

static void test_settings_are_gone(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *text = NULL;

        f->bot.config = NULL;
        text = published(f, SEAT_CLOUD);
        assert_non_null(strstr(text, "TELOXIDE_API_URL=https://api.telegram.org\n"));
        assert_null(strstr(text, "API_BASE"));
        assert_null(strstr(text, TOKEN));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_endpoint, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unchanged, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hold, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_settings_are_gone, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
