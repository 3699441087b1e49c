/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../adapter/scratch.h"
#include "base/strv.h"
#include "io/config.h"

/* A configuration is what its author meant, or an error that tells him the line. */

typedef struct Fixture {
        char *root;
        char *high, *middle, *low;
        const char *directories[4];
        Config *config;
        ConfigProblems problems;
} Fixture;

static char *join(const char *a, const char *b)
{
        char *path;

        assert_true(asprintf(&path, "%s/%s", a, b) > 0);
        return path;
}

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        f->root = scratch_new();
        f->high = join(f->root, "etc");
        f->middle = join(f->root, "run");
        f->low = join(f->root, "lib");
        f->directories[0] = f->high;
        f->directories[1] = f->middle;
        f->directories[2] = f->low;
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        config_free(f->config);
        config_problems_done(&f->problems);
        free(f->high);
        free(f->middle);
        free(f->low);
        scratch_remove(f->root);
        free(f);
        return 0;
}

static int load_from(Fixture *f, const char *const *directories)
{
        f->config = config_free(f->config);
        config_problems_done(&f->problems);
        return config_load(directories, &f->config, &f->problems);
}

static int load(Fixture *f)
{
        return load_from(f, f->directories);
}

static void load_good(Fixture *f)
{
        int r = load(f);

        if (f->problems.n > 0)
                fail_msg("%s:%u: %s", f->problems.items[0].path, f->problems.items[0].line,
                         f->problems.items[0].message);
        assert_int_equal(r, 0);
}

/* Exactly one problem, in this file and line, whose message contains the words. */
static void assert_problem(const Fixture *f, const char *path, unsigned line, const char *bot, const char *words)
{
        const ConfigProblem *p = f->problems.items;

        if (f->problems.n != 1)
                fail_msg("%zu problems; expected one: %s", f->problems.n, words);
        if (!strstr(p->message, words) || p->line != line || !strstr(p->path, path) || !streq_ptr(p->bot, bot))
                fail_msg("%s:%u (%s): %s; expected in line %u: %s", p->path, p->line, p->bot, p->message, line, words);
}

static void test_nothing_is_all_defaults(void **state)
{
        Fixture *f = *state;

        load_good(f);
        assert_string_equal(f->config->cloud_root, "https://api.telegram.org");
        assert_string_equal(f->config->local_root, "http://127.0.0.1:8081");
        assert_string_equal(f->config->server_unit, "telegram-bot-api.service");
        assert_null(f->config->local_files);
        assert_int_equal(f->config->server_start_timeout_usec, 30 * USEC_PER_SEC);
        assert_true(f->config->login_probe);
        assert_int_equal(f->config->state_free_min, 64 << 20);
        assert_int_equal(f->config->connections_max, 512);
        assert_int_equal(f->config->concurrency, 4);
        assert_int_equal(f->config->max_failures, 1);
        assert_true(f->config->stop_when_unused);
        assert_int_equal(f->config->server_probe_usec, 5 * USEC_PER_SEC);
        assert_int_equal(f->config->n_bots, 0);

        scratch_write(f->high, "bots.d/shop.conf", "[Bot]\n");
        load_good(f);
        assert_int_equal(f->config->n_bots, 1);
        const BotConfig *b = config_find_bot(f->config, "shop");
        assert_int_equal(b->initial_seat, SEAT_UNDECLARED);
        assert_null(b->workers);
        assert_null(b->spool_to);
        assert_int_equal(b->on_undrained, ON_UNDRAINED_FAIL);
        assert_int_equal(b->drain_timeout_usec, 30 * USEC_PER_SEC);
        assert_int_equal(b->stop_timeout_usec, 100 * USEC_PER_SEC);
        assert_int_equal(b->start_timeout_usec, 90 * USEC_PER_SEC);
        assert_int_equal(b->spool_timeout_usec, 30 * USEC_PER_SEC);
        assert_int_equal(b->log_out_timeout_usec, 30 * USEC_PER_SEC);
        assert_int_equal(b->log_in_timeout_usec, 20 * USEC_PER_SEC);
        assert_int_equal(b->hold_timeout_usec, 15 * USEC_PER_MIN);
        assert_int_equal(b->settle_usec, 5 * USEC_PER_SEC);
        assert_false(b->export_token);
        assert_false(b->webhook_secret_known);
        assert_int_equal(b->fallback, FALLBACK_MANUAL);
        assert_int_equal(b->fallback_grace_usec, USEC_PER_MIN);
}

/* The files that are installed: they say nothing, and what they show is right when the # is taken away. */
static char *uncomment(const char *text)
{
        char *copy = strdup(text), *out = copy;

        assert_non_null(copy);
        for (const char *p = text; *p; p++)
                if (!(*p == '#' && (p == text || p[-1] == '\n') && ((p[1] >= 'A' && p[1] <= 'Z') || p[1] == '[')))
                        *out++ = *p;
        *out = '\0';
        return copy;
}

static void test_installed_files(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *manager = scratch_read("conf", "tgswitch.conf");
        _cleanup_free_ char *bot = scratch_read("conf", "bots.d/example.conf");
        _cleanup_free_ char *manager_on = NULL, *bot_on = NULL;

        if (!manager || !bot)
                skip(); /* not run from the top of the tree */
        scratch_write(f->high, "tgswitch.conf", manager);
        scratch_write(f->high, "bots.d/example.conf", bot);
        load_good(f);
        assert_int_equal(f->config->n_bots, 0);

        manager_on = uncomment(manager);
        bot_on = uncomment(bot);
        scratch_write(f->high, "tgswitch.conf", manager_on);
        scratch_write(f->high, "bots.d/example.conf", bot_on);
        load_good(f);
        assert_int_equal(f->config->n_bots, 1);
        assert_string_equal(f->config->bots[0]->spool_to, "shop.service");
        assert_int_equal(f->config->connections_max, 512);
        assert_int_equal(f->config->bots[0]->hold_timeout_usec, 15 * USEC_PER_MIN);
        assert_int_equal(f->config->concurrency, 4);
        assert_string_equal(f->config->local_files, "/var/lib/telegram-bot-api");
        assert_int_equal(f->config->bots[0]->fallback_grace_usec, USEC_PER_MIN);
}

static void test_bot(void **state)
{
        Fixture *f = *state;

        scratch_write(f->high, "tgswitch.conf",
                      "[BotDefaults]\nStopTimeoutSec=10\nSettleSec=1\nExport=A={root} B={root}/b\n"
                      "WebhookIPAddress=8.8.8.8\n");
        scratch_write(f->high, "bots.d/shop.conf",
                      "; comment\n# comment\n\n  [Bot]  \n"
                      "\tWorker = shop@*.service  one.service\n"
                      "Worker=two.service\n"
                      "InitialSeat=local\n"
                      "SpoolTo=shop@3.service\n"
                      "DrainTimeoutSec=infinity\n"
                      "SettleSec=2min 30s\n"
                      "Export=B={root}/bot%s/%s\n"
                      "ExportToken=YES\n"
                      "WebhookIPAddress=dns\n"
                      "WebhookSecret=off");
        scratch_write(f->high, "bots.d/news.conf", "[Bot]\nWorker=news.service\nExport=\nOnUndrained=wait\n");
        scratch_write(f->high, "bots.d/notes.txt", "nothing of ours");
        load_good(f);
        assert_int_equal(f->config->n_bots, 2);
        assert_string_equal(f->config->bots[0]->name, "news");
        const BotConfig *b = config_find_bot(f->config, "shop"), *news = config_find_bot(f->config, "news");
        assert_non_null(strstr(b->path, "etc/bots.d/shop.conf"));
        assert_true(strv_equal(b->workers, (char *[]){ (char *) "shop@*.service", (char *) "one.service",
                                                       (char *) "two.service", NULL }));
        assert_int_equal(b->initial_seat, SEAT_LOCAL);
        assert_string_equal(b->spool_to, "shop@3.service");
        assert_int_equal(b->on_undrained, ON_UNDRAINED_SPOOL);
        assert_int_equal(b->drain_timeout_usec, USEC_INFINITY);
        assert_int_equal(b->stop_timeout_usec, 10 * USEC_PER_SEC);
        assert_int_equal(b->settle_usec, 150 * USEC_PER_SEC);
        assert_true(strv_equal(b->exports, (char *[]){ (char *) "A={root}", (char *) "B={root}/bot%s/%s", NULL }));
        assert_true(b->export_token);
        assert_true(b->webhook_secret_known && !b->webhook_has_secret);
        assert_string_equal(b->webhook_ip_address, "dns");
        assert_string_equal(news->webhook_ip_address, "8.8.8.8");
        assert_string_equal(news->spool_to, "news.service");
        assert_int_equal(news->on_undrained, ON_UNDRAINED_WAIT);
        assert_null(news->exports);
        assert_null(config_find_bot(f->config, "notes"));
}

static void test_many_bots(void **state)
{
        Fixture *f = *state;

        scratch_write(f->high, "tgswitch.conf",
                      "[Manager]\nConcurrency=64\nMaxFailures=1000\nStopWhenUnused=no\nServerProbeSec=5min\n"
                      "[BotDefaults]\nFallback=auto\nFallbackGraceSec=1h\n");
        scratch_write(f->high, "bots.d/news.conf", "[Bot]\n");
        scratch_write(f->high, "bots.d/shop.conf", "[Bot]\nFallback=manual\nFallbackGraceSec=5\n");
        load_good(f);
        assert_int_equal(f->config->concurrency, 64);
        assert_int_equal(f->config->max_failures, 1000);
        assert_false(f->config->stop_when_unused);
        assert_int_equal(f->config->server_probe_usec, 5 * USEC_PER_MIN);
        assert_int_equal(config_find_bot(f->config, "news")->fallback, FALLBACK_AUTO);
        assert_int_equal(config_find_bot(f->config, "news")->fallback_grace_usec, USEC_PER_HOUR);
        assert_int_equal(config_find_bot(f->config, "shop")->fallback, FALLBACK_MANUAL);
        assert_int_equal(config_find_bot(f->config, "shop")->fallback_grace_usec, 5 * USEC_PER_SEC);

        for (Fallback i = 0; i < FALLBACK_MAX; i++)
                assert_int_equal(fallback_from_string(fallback_to_string(i)), i);
        assert_int_equal(fallback_from_string("Auto"), FALLBACK_INVALID);
}

/* One worker that is a glob, two workers, or SpoolTo=none: nobody is chosen. */
static void test_spool_to(void **state)
{
        Fixture *f = *state;

        scratch_write(f->high, "bots.d/a.conf", "[Bot]\nWorker=a@*.service\n");
        scratch_write(f->high, "bots.d/b.conf", "[Bot]\nWorker=b.service bb.service\n");
        scratch_write(f->high, "bots.d/c.conf", "[Bot]\nWorker=c.service\nSpoolTo=none\n");
        scratch_write(f->high, "bots.d/d.conf", "[Bot]\nWorker=x.service\nWorker=\nWorker=d.service\n");
        load_good(f);
        for (size_t i = 0; i < 3; i++) {
                assert_null(f->config->bots[i]->spool_to);
                assert_int_equal(f->config->bots[i]->on_undrained, ON_UNDRAINED_FAIL);
        }
        assert_string_equal(f->config->bots[3]->spool_to, "d.service");
        assert_false(f->config->bots[3]->spool_to_given || f->config->bots[3]->on_undrained_given);
        scratch_write(f->high, "bots.d/a.conf", "[Bot]\nWorker=a@*.service\nSpoolTo=a@1.service\nOnUndrained=spool\n");
        load_good(f);
        assert_true(f->config->bots[0]->spool_to_given && f->config->bots[0]->on_undrained_given);
        scratch_write(f->high, "bots.d/e.conf", "[Bot]\nWorker=e@*.service\nSpoolTo=f@1.service\n");
        assert_int_equal(load(f), 0);
        assert_problem(f, "bots.d/e.conf", 3, "e", "SpoolTo= names no worker");
}

/* Everything that libinih would let pass, or understand in its own way; and everything else. Text with the mistake in
 * the line given. */
static void test_bad_lines(void **state)
{
        static const struct {
                unsigned line;
                const char *text, *words;
        } rows[] = {
                { 2, "[Bot]\nWroker=a.service\n", "Unknown key Wroker= in [Bot]; did you mean Worker=?" },
                { 2, "[Bot]\nworker=a.service\n", "did you mean Worker=?" },
                { 2, "[Bot]\nColour=red\n", "expected one of InitialSeat=, Worker=, SpoolTo=, Move=, OnUndrained=" },
                { 2, "[Bot]\nCloudServer=https://x\n", "CloudServer= cannot stand in [Bot], only in [Manager]" },
                { 3, "[Bot]\nSettleSec=1\nSettleSec=2\n", "for the second time, first in line 2" },
                { 1, "Worker=a.service\n", "below a section" },
                { 1, "[Bots]\n", "Unknown section" },
                { 1, "[bot]\n[Bot]\n", "Unknown section" },
                { 2, "[Bot]\n[Manager]\nCloudServer=x\n", "Unknown section; this file has one, [Bot]" },
                { 1, "[Bot] # why\n", "nothing behind it" },
                { 1, "[Bot\n", "nothing behind it" },
                { 1, "[]\n", "Unknown section" },
                { 1, "[AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]\n", "Unknown section" },
                { 2, "[Bot]\nWorker\n", "nor Key=Value" },
                { 2, "[Bot]\nWorker: a.service\n", "nor Key=Value" },
                { 2, "[Bot]\nWorker: a.service=b\n", "no word of letters" },
                { 2, "[Bot]\n=a.service\n", "no word of letters" },
                { 2, "[Bot]\nWorker a=b.service\n", "no word of letters" },
                { 3, "[Bot]\nWorker=a.service\n b.service\n", "nor Key=Value" },
                { 2, "[Bot]\nWorker=a.service ; mine\n", "on a line of its own" },
                { 2, "[Bot]\nWorker= ;\n", "on a line of its own" },
                { 2, "[Bot]\nWorker=a.service \\\nWorker=b.service\n", "does not go on in the next" },
                { 2, "[Bot]\nWorker=a.service\r\n", "CR LF" },
                { 2, "[Bot]\nWorker=a\x1b.service\n", "control character" },
                { 2, "[Bot]\n# \x7f\n", "control character" },
                { 2, "[Bot]\n# \xff\n", "not UTF-8" },
                { 2, "[Bot]\nWorker=\xc3.service\n", "not UTF-8" },
                { 1, "\xef\xbb\xbf[Bot]\n", "nor Key=Value" },
                { 2, "[Bot]\nWorker=a.timer\n", "expected names of services" },
                { 2, "[Bot]\nWorker=a\n", "expected names of services" },
                { 2, "[Bot]\nWorker=\"a.service\"\n", "expected names of services" },
                { 2, "[Bot]\nWorker=a@.service\n", "expected names of services" },
                { 2, "[Bot]\nSpoolTo=a@*.service\n", "expected the name of one worker" },
                { 2, "[Bot]\nSpoolTo=\n", "expected the name of one worker" },
                { 2, "[Bot]\nSettleSec=\n", "a span of time from 0 to 10min" },
                { 2, "[Bot]\nSettleSec=11min\n", "a span of time from 0 to 10min" },
                { 2, "[Bot]\nSettleSec=-1\n", "a span of time" },
                { 2, "[Bot]\nHoldTimeoutSec=infinity\n", "from 1s to 24h" },
                { 2, "[Bot]\nStopTimeoutSec=0\n", "from 1s to 1h" },
                { 2, "[Bot]\nDrainTimeoutSec=soon\n", "from 0 to infinity" },
                { 2, "[Bot]\nExportToken=maybe\n", "expected yes or no" },
                { 2, "[Bot]\nInitialSeat=none\n", "expected cloud or local" },
                { 2, "[Bot]\nOnUndrained=drop\n", "expected fail, spool or wait" },
                { 2, "[Bot]\nWebhookIPAddress=bots.example.org\n", "expected an IP address" },
                { 2, "[Bot]\nFallback=always\n", "expected manual or auto" },
                { 2, "[Bot]\nFallbackGraceSec=4\n", "a span of time from 5s to 1h" },
                { 2, "[Bot]\nConcurrency=2\n", "Concurrency= cannot stand in [Bot], only in [Manager]" },
                { 2, "[Bot]\nExport=A=no-root\n", "expected NAME=TEXT with {root}" },
                { 2, "[Bot]\nExport=1A={root}\n", "expected NAME=TEXT with {root}" },
                { 2, "[Bot]\nExport=A=\"{root}\"\n", "expected NAME=TEXT with {root}" },
                { 2, "[Bot]\nWorker=telegram-bot-api.service\n", "the server is no worker" },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT(row, rows) {
                scratch_write(f->high, "bots.d/shop.conf", row->text);
                assert_int_equal(load(f), 0);
                assert_int_equal(f->config->n_bots, 0);
                assert_problem(f, "bots.d/shop.conf", row->line, "shop", row->words);
        }
}

static void test_bad_manager(void **state)
{
        static const struct {
                unsigned line;
                const char *text, *words;
        } rows[] = {
                { 2, "[Manager]\nCloudServer=http://api.telegram.org\n", "CloudServer= has a wrong value" },
                { 2, "[Manager]\nCloudServer=https://api.telegram.org/\n", "slash" },
                { 2, "[Manager]\nLocalServerUnit=a.socket\n", "expected the name of one service" },
                { 2, "[Manager]\nStateFreeMin=64MB\n", "expected a number of bytes up to 1T, like 64M" },
                { 2, "[Manager]\nStateFreeMin=2T\n", "up to 1T" },
                { 2, "[Manager]\nCredentialConnectionsMax=0\n", "expected a number from 1 to 1000" },
                { 2, "[Manager]\nCredentialConnectionsMax=99999999999999999999\n", "expected a number from 1 to 1000" },
                { 2, "[Manager]\nConcurrency=65\n", "expected a number from 1 to 64" },
                { 2, "[Manager]\nMaxFailures=0\n", "expected a number from 1 to 1000" },
                { 2, "[Manager]\nStopWhenUnused=later\n", "expected yes or no" },
                { 2, "[Manager]\nServerProbeSec=500ms\n", "a span of time from 1s to 5min" },
                { 2, "[Manager]\nFallback=auto\n", "or [BotDefaults]" },
                { 2, "[Manager]\nWorker=a.service\n", "only in [Bot] of a file in bots.d" },
                { 2, "[BotDefaults]\nInitialSeat=cloud\n", "only in [Bot] of a file in bots.d" },
                { 2, "[Manager]\nSettleSec=1\n", "or [BotDefaults]" },
                { 1, "[Bot]\nWorker=a.service\n", "this file has [Manager] and [BotDefaults]" },
                { 2, "[Manager]\nLoginprobe=no\n", "did you mean LoginProbe=?" },
        };
        Fixture *f = *state;

        scratch_write(f->high, "bots.d/shop.conf", "[Bot]\n");
        FOREACH_ELEMENT(row, rows) {
                Config *untouched = NULL;
                ConfigProblems problems;

                scratch_write(f->high, "tgswitch.conf", row->text);
                assert_int_equal(load(f), -EINVAL);
                assert_problem(f, "tgswitch.conf", row->line, NULL, row->words);
                assert_int_equal(config_load(f->directories, &untouched, &problems), -EINVAL);
                assert_null(untouched);
                config_problems_done(&problems);
        }
}

/* All mistakes at once, but not without end; and none tells a value, which may be a token in the wrong place. */
static void test_many_mistakes(void **state)
{
        Fixture *f = *state;
        char text[20000] = "[Bot]\nWorker=a\nSettleSec=b\n";

        scratch_write(f->high, "bots.d/shop.conf", text);
        assert_int_equal(load(f), 0);
        assert_int_equal(f->problems.n, 2);
        assert_int_equal(f->problems.items[0].line, 2);
        assert_int_equal(f->problems.items[1].line, 3);

        for (unsigned i = 0; i < 500; i++)
                strcat(text, "nonsense\n");
        scratch_write(f->high, "bots.d/shop.conf", text);
        assert_int_equal(load(f), 0);
        assert_in_range(f->problems.n, 10, 30);

        scratch_write(f->high, "bots.d/shop.conf",
                      "[Bot]\nToken=1234567:CANARY\n1234567:CANARY\nSettleSec=1234567:CANARY\nExport=1234567:CANARY\n"
                      "Worker=1234567:CANARY\nInitialSeat=1234567:CANARY\n");
        assert_int_equal(load(f), 0);
        assert_int_equal(f->problems.n, 6);
        for (size_t i = 0; i < f->problems.n; i++)
                assert_null(strstr(f->problems.items[i].message, "CANARY"));
}

static void test_long_lines(void **state)
{
        Fixture *f = *state;
        char text[1000];

        /* As long as libinih takes it, and one more. */
        snprintf(text, sizeof(text), "[Bot]\nExport=A={root}%0175d\nWorker=a.service\n", 7);
        scratch_write(f->high, "bots.d/shop.conf", text);
        load_good(f);
        assert_int_equal(strlen(f->config->bots[0]->exports[0]), 8 + 175);
        assert_string_equal(f->config->bots[0]->workers[0], "a.service");
        snprintf(text, sizeof(text), "[Bot]\nExport=A={root}%0600d\nWorker=a.service\n", 7);
        scratch_write(f->high, "bots.d/shop.conf", text);
        assert_int_equal(load(f), 0);
        assert_problem(f, "shop.conf", 2, "shop", "too long");
        /* Comments have no such bound. */
        snprintf(text, sizeof(text), "# %0900d\n[Bot]\n", 7);
        scratch_write(f->high, "bots.d/shop.conf", text);
        load_good(f);
}

static void test_bytes(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *large = malloc(65537);

        scratch_write_bytes(f->high, "bots.d/shop.conf", "[Bot]\nWorker=a\0.service\n", 24);
        assert_int_equal(load(f), 0);
        assert_problem(f, "shop.conf", 2, "shop", "control character");
        memset(large, '\n', 65537);
        scratch_write_bytes(f->high, "bots.d/shop.conf", large, 65536);
        load_good(f);
        scratch_write_bytes(f->high, "bots.d/shop.conf", large, 65537);
        assert_int_equal(load(f), 0);
        assert_problem(f, "shop.conf", 0, "shop", "more than 64 KiB");
}

static void test_shared_workers(void **state)
{
        static const char *const rows[][2] = {
                { "z.service a.service m.service", "b.service a.service" },
                { "a@*.service", "a@7.service" },
                { "a@7.service", "a@?.service" },
                { "a@*.service", "a@*.service" },
                { "x.service a@*.service b@*.service", "c.service b@1.service" },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT(row, rows) {
                _cleanup_free_ char *first = NULL, *second = NULL;

                assert_true(asprintf(&first, "[Bot]\nWorker=%s\n", (*row)[0]) > 0);
                assert_true(asprintf(&second, "[Bot]\nSettleSec=1\nWorker=%s\n", (*row)[1]) > 0);
                scratch_write(f->high, "bots.d/news.conf", first);
                scratch_write(f->high, "bots.d/shop.conf", second);
                assert_int_equal(load(f), 0);
                assert_int_equal(f->config->n_bots, 1);
                assert_problem(f, "bots.d/shop.conf", 3, "shop", "of bot shop is also a worker of bot news");
        }
}

static void test_precedence(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *link = join(f->high, "tgswitch.conf.d/40-x.conf");

        scratch_write(f->low, "tgswitch.conf", "[Manager]\nLoginProbe=no\nCredentialConnectionsMax=10\n");
        scratch_write(f->low, "tgswitch.conf.d/50-a.conf", "[Manager]\nLocalServerUnit=low.service\n");
        scratch_write(f->low, "tgswitch.conf.d/10-b.conf", "[Manager]\nServerStartTimeoutSec=7\n");
        scratch_write(f->low, "bots.d/shop.conf", "[Bot]\nSettleSec=1\n");
        load_good(f);
        assert_false(f->config->login_probe);
        assert_string_equal(f->config->server_unit, "low.service");
        assert_int_equal(f->config->server_start_timeout_usec, 7 * USEC_PER_SEC);

        /* Of the main file only the highest counts, drop-ins mask by name and are sorted over all directories. */
        scratch_write(f->middle, "tgswitch.conf", "[Manager]\nCredentialConnectionsMax=20\n");
        scratch_write(f->middle, "tgswitch.conf.d/50-a.conf", "[Manager]\nServerStartTimeoutSec=8\n");
        scratch_write(f->high, "tgswitch.conf.d/05-c.conf", "[Manager]\nServerStartTimeoutSec=9\n");
        scratch_write(f->middle, "bots.d/shop.conf", "[Bot]\nSettleSec=2\n");
        load_good(f);
        assert_true(f->config->login_probe);
        assert_int_equal(f->config->connections_max, 20);
        assert_string_equal(f->config->server_unit, "telegram-bot-api.service");
        assert_int_equal(f->config->server_start_timeout_usec, 8 * USEC_PER_SEC);
        assert_int_equal(f->config->n_bots, 1);
        assert_int_equal(f->config->bots[0]->settle_usec, 2 * USEC_PER_SEC);

        /* Masked: by an empty file, or a link to /dev/null. */
        scratch_write(f->high, "tgswitch.conf", "");
        scratch_write(f->high, "bots.d/shop.conf", "");
        scratch_write(f->low, "tgswitch.conf.d/40-x.conf", "[Manager]\nLoginProbe=no\n");
        assert_int_equal(symlink("/dev/null", link), 0);
        load_good(f);
        assert_int_equal(f->config->connections_max, 512);
        assert_true(f->config->login_probe);
        assert_int_equal(f->config->n_bots, 0);
}

static void test_odd_files(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *path = NULL;

        scratch_write(f->high, "bots.d/Shop.conf", "[Bot]\n");
        assert_int_equal(load(f), 0);
        assert_problem(f, "bots.d/Shop.conf", 0, "Shop", "no name of a bot");
        scratch_write(f->high, "bots.d/Shop.conf", "");

        path = join(f->high, "bots.d/shop.conf");
        assert_int_equal(symlink("nowhere", path), 0);
        assert_int_equal(load(f), 0);
        assert_problem(f, "bots.d/shop.conf", 0, "shop", "a symbolic link to nothing");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(load(f), 0);
        assert_problem(f, "bots.d/shop.conf", 0, "shop", "neither a regular file");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(load(f), 0);
        assert_problem(f, "bots.d/shop.conf", 0, "shop", "neither a regular file");
        assert_int_equal(rmdir(path), 0);

        scratch_write(f->middle, "bots.d", "a file");
        assert_int_equal(load(f), -EINVAL);
        assert_problem(f, "run/bots.d", 0, NULL, "The directory cannot be read");
}

static void test_copy(void **state)
{
        Fixture *f = *state;
        _cleanup_free_ char *copy = join(f->root, "state-config"), *left = NULL;
        const char *const from_copy[] = { copy, NULL };

        scratch_write(f->low, "tgswitch.conf", "[Manager]\nCredentialConnectionsMax=10\n");
        scratch_write(f->high, "tgswitch.conf.d/a.conf", "[Manager]\nLoginProbe=no\n");
        scratch_write(f->high, "bots.d/shop.conf", "[Bot]\nSettleSec=1\n");
        scratch_write(f->high, "bots.d/news.conf", "[Bot]\nSettleSec=2\n");
        assert_int_equal(config_save_copy(f->directories, copy), 0);
        assert_int_equal(load_from(f, from_copy), 0);
        assert_int_equal(f->config->connections_max, 10);
        assert_false(f->config->login_probe);
        assert_int_equal(f->config->n_bots, 2);

        /* A bad file and one that is gone stay as they were, what is good is new. */
        scratch_write(f->high, "bots.d/shop.conf", "[Bot]\nSettleSec=1\nNonsense\n");
        scratch_write(f->high, "bots.d/news.conf", "");
        scratch_write(f->high, "bots.d/more.conf", "[Bot]\nSettleSec=3\n");
        scratch_write(f->high, "tgswitch.conf.d/a.conf", "");
        for (unsigned again = 0; again < 2; again++) {
                assert_int_equal(config_save_copy(f->directories, copy), 0);
                assert_int_equal(load_from(f, from_copy), 0);
                assert_int_equal(f->problems.n, 0);
                assert_true(f->config->login_probe);
                assert_int_equal(f->config->n_bots, 3);
                assert_int_equal(config_find_bot(f->config, "shop")->settle_usec, USEC_PER_SEC);
                assert_int_equal(config_find_bot(f->config, "news")->settle_usec, 2 * USEC_PER_SEC);
                assert_int_equal(config_find_bot(f->config, "more")->settle_usec, 3 * USEC_PER_SEC);
        }
        assert_int_equal(config_copy_forget_bot(copy, "news"), 0);
        assert_int_equal(config_copy_forget_bot(copy, "never"), 0);
        assert_int_equal(load_from(f, from_copy), 0);
        assert_null(config_find_bot(f->config, "news"));

        /* A bad tgswitch.conf changes nothing. */
        scratch_write(f->high, "tgswitch.conf", "[Manager]\nNonsense\n");
        assert_int_equal(config_save_copy(f->directories, copy), -EINVAL);
        assert_int_equal(load_from(f, from_copy), 0);
        assert_int_equal(f->config->n_bots, 2);
        left = join(f->root, "state-config.new");
        assert_int_equal(access(left, F_OK), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_is_all_defaults, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_installed_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bot, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many_bots, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spool_to, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_lines, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_manager, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many_mistakes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_long_lines, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_shared_workers, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_precedence, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_odd_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_copy, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
