/* SPDX-License-Identifier: MIT */

/* The metrics: what is counted, and that the text is what Prometheus reads, of bots in every kind of state. Defends L7:
 * neither a token nor a word that a server or an error has said is in it. With --print it prints the text for
 * test-prometheus.sh, which has promtool look at it. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "../canary.h"
#include "base/strv.h"
#include "core/metrics-text.h"
#include "manager/bot.h"

/* ---- text ---- */

static void assert_text(MetricsText *t, const char *expected)
{
        _cleanup_free_ char *text = metrics_text_finish(t);

        assert_non_null(text);
        assert_string_equal(text, expected);
}

static void test_families_and_samples(void **state)
{
        MetricsText t = {};

        metrics_text_family(&t, "a_total", METRICS_COUNTER, "Says \"a\\b\",\nand more.");
        metrics_text_number(&t, "a_total", METRICS_NO_LABELS, 0);
        metrics_text_number(&t, "a_total", METRICS_LABELS("unit", "a\\x2d\"b\n.service", "bot", ""), UINT64_MAX);
        metrics_text_family(&t, "b", METRICS_GAUGE, "B.");
        assert_text(&t, "# HELP a_total Says \"a\\\\b\",\\nand more.\n"
                        "# TYPE a_total counter\n"
                        "a_total 0\n"
                        "a_total{unit=\"a\\\\x2d\\\"b\\n.service\",bot=\"\"} 18446744073709551615\n"
                        "# HELP b B.\n"
                        "# TYPE b gauge\n");
}

static void test_seconds(void **state)
{
        static const struct {
                usec_t usec;
                const char *text;
        } rows[] = {
                { 0, "0" },
                { 1, "0.000001" },
                { 250 * USEC_PER_MSEC, "0.25" },
                { 10 * USEC_PER_SEC, "10" },
                { 100 * USEC_PER_SEC + 500, "100.0005" },
                /* with a double's 17 digits it would end in …0000002 */
                { UINT64_C(1700000000100001), "1700000000.100001" },
                { USEC_INFINITY, "+Inf" },
                { USEC_INFINITY - 1, "18446744073709.551614" },
        };

        FOREACH_ELEMENT(row, rows) {
                char expected[64];
                MetricsText t = {};

                metrics_text_seconds(&t, "s", METRICS_NO_LABELS, row->usec);
                (void) snprintf(expected, sizeof(expected), "s %s\n", row->text);
                assert_text(&t, expected);
        }
}

static void test_histogram(void **state)
{
        static const usec_t bounds[] = { 100 * USEC_PER_MSEC, 1 * USEC_PER_SEC };
        Histogram h;
        MetricsText t = {};

        histogram_init(&h, bounds, ELEMENTSOF(bounds));
        assert_int_equal(histogram_count(&h), 0);
        histogram_observe(&h, 0);
        histogram_observe(&h, 100 * USEC_PER_MSEC); /* "le": less or equal */
        histogram_observe(&h, 100 * USEC_PER_MSEC + 1);
        histogram_observe(&h, 5 * USEC_PER_SEC);
        assert_int_equal(histogram_count(&h), 4);

        metrics_text_histogram(&t, "h", METRICS_LABELS("to", "local"), &h);
        metrics_text_histogram(&t, "h", METRICS_NO_LABELS, &h);
        assert_text(&t, "h_bucket{to=\"local\",le=\"0.1\"} 2\n"
                        "h_bucket{to=\"local\",le=\"1\"} 3\n"
                        "h_bucket{to=\"local\",le=\"+Inf\"} 4\n"
                        "h_sum{to=\"local\"} 5.200001\n"
                        "h_count{to=\"local\"} 4\n"
                        "h_bucket{le=\"0.1\"} 2\n"
                        "h_bucket{le=\"1\"} 3\n"
                        "h_bucket{le=\"+Inf\"} 4\n"
                        "h_sum 5.200001\n"
                        "h_count 4\n");
}

/* ---- counting ---- */

/* The one code that has been counted. */
static const char *counted(const BotApiReply *reply)
{
        ReplyCount c = {};
        const char *code = NULL;

        if (reply)
                reply_count_note(&c, reply);
        else
                reply_count_canceled(&c);
        for (size_t i = 0; i < REPLY_CODE_MAX; i++) {
                assert_true(c.n[i] == 0 || (c.n[i] == 1 && !code));
                if (c.n[i] == 1)
                        code = reply_code_to_string(i);
        }
        assert_non_null(code);
        return code;
}

/* However many statuses a server thinks up, there are no more series. */
static void test_replies_are_bounded(void **state)
{
        for (int status = -1; status < 2000; status++) {
                BotApiReply reply = { .transport = BOTAPI_REPLIED, .http_status = status };
                const char *code = counted(&reply);
                char own[16];

                (void) snprintf(own, sizeof(own), "%d", status);
                assert_true(streq(code, "other") || streq(code, own));
        }
        assert_string_equal(counted(&(BotApiReply){ .http_status = 200 }), "200");
        assert_string_equal(counted(&(BotApiReply){ .http_status = 429 }), "429");
        assert_string_equal(counted(&(BotApiReply){ .http_status = 418 }), "other");
        assert_string_equal(counted(&(BotApiReply){ .http_status = 0 }), "other");
        assert_string_equal(counted(&(BotApiReply){ .transport = BOTAPI_LOST }), "lost");
        assert_string_equal(counted(&(BotApiReply){ .transport = BOTAPI_NOT_SENT }), "unsent");
        assert_string_equal(counted(NULL), "canceled");
        for (size_t i = 0; i < REPLY_CODE_MAX; i++)
                for (size_t other = 0; other < i; other++)
                        assert_string_not_equal(reply_code_to_string(i), reply_code_to_string(other));
        assert_string_equal(reply_code_to_string(0), "200");
        assert_null(reply_code_to_string(REPLY_CODE_MAX));
}

static void test_jobs_are_counted(void **state)
{
        RecordJob job = {
                .id = 1,
                .source = SEAT_CLOUD,
                .wanted = SEAT_LOCAL,
                .target = SEAT_LOCAL,
                .result = JOB_RESULT_DONE,
                .drained = 5,
                .spooled = 3,
                .handed_over = 2,
                .blind_usec = 70 * USEC_PER_MSEC,
                .downtime_usec = 3 * USEC_PER_SEC,
        };
        Metrics m;

        job.phase_usec[JOB_PHASE_QUEUED] = USEC_PER_HOUR;
        job.phase_usec[JOB_PHASE_CHECK] = 1 * USEC_PER_SEC;
        job.phase_usec[JOB_PHASE_CONFIRM] = 5 * USEC_PER_SEC;
        metrics_init(&m);
        metrics_note_job(&m, &job);
        assert_int_equal(m.switches[SEAT_CLOUD][SEAT_LOCAL][JOB_RESULT_DONE], 1);
        assert_int_equal(m.drained, 5);
        assert_int_equal(m.spooled, 3);
        assert_int_equal(m.handed_over, 2);
        /* Not how long it waited for its turn. */
        assert_int_equal(m.duration[SEAT_LOCAL].sum_usec, 6 * USEC_PER_SEC);
        assert_int_equal(m.blind[SEAT_LOCAL].sum_usec, 70 * USEC_PER_MSEC);
        assert_int_equal(m.downtime[SEAT_LOCAL].sum_usec, 3 * USEC_PER_SEC);

        /* What was not measured is not zero. */
        job.blind_usec = job.downtime_usec = 0;
        metrics_note_job(&m, &job);
        assert_int_equal(histogram_count(&m.duration[SEAT_LOCAL]), 2);
        assert_int_equal(histogram_count(&m.blind[SEAT_LOCAL]), 1);
        assert_int_equal(histogram_count(&m.downtime[SEAT_LOCAL]), 1);

        /* One that turned back was to go elsewhere, and its times say nothing. */
        job.target = SEAT_CLOUD;
        job.result = JOB_RESULT_FAILED;
        metrics_note_job(&m, &job);
        assert_int_equal(m.switches[SEAT_CLOUD][SEAT_LOCAL][JOB_RESULT_FAILED], 1);
        assert_int_equal(histogram_count(&m.duration[SEAT_LOCAL]), 2);
        assert_int_equal(histogram_count(&m.duration[SEAT_CLOUD]), 0);

        /* The end of a stale session is no move. */
        job = (RecordJob){
                .source = SEAT_CLOUD, .wanted = SEAT_CLOUD, .target = SEAT_CLOUD, .result = JOB_RESULT_DONE
        };
        metrics_note_job(&m, &job);
        assert_int_equal(m.switches[SEAT_CLOUD][SEAT_CLOUD][JOB_RESULT_DONE], 1);
        assert_int_equal(histogram_count(&m.duration[SEAT_CLOUD]), 0);

        /* Of a job that an earlier version began. */
        job.source = job.wanted = SEAT_UNDECLARED;
        metrics_note_job(&m, &job);
        assert_int_equal(m.switches[SEAT_LOCAL][SEAT_CLOUD][JOB_RESULT_DONE], 1);
}

/* ---- everything ---- */

#define HEARSAY "said by a server"

typedef struct World {
        Manager manager;
        Bot bots[4];
        BotConfig configs[4];
        Bot *pointers[4];
} World;

static char *copy(const char *s)
{
        char *c = strdup(s);

        assert_non_null(c);
        return c;
}

static void add_bot(World *w, size_t i, const char *name, Seat seat, const char *workers[])
{
        Bot *b = w->bots + i;

        w->pointers[i] = b;
        b->manager = &w->manager;
        b->name = copy(name);
        b->config = w->configs + i;
        w->configs[i] = (BotConfig){ .workers = (char **) workers };
        record_init(&b->record);
        b->record_ok = true;
        b->record.seat = seat;
        b->record.bot_id = 1000 + (int64_t) i;
        b->record.webhook.url = copy("https://example.org/{token}/" HEARSAY);
        assert_int_equal(bot_token_new(&b->token, "1000:" CANARY_SECRET, strlen("1000:" CANARY_SECRET)), 0);
}

static World *world_new(void)
{
        static const char *shop[] = { "shop\\x2dbot.service", "shop*.service", NULL },
                          *news[] = { "news.service", NULL };
        static const char *crowd[] = { "crowd@*.service", NULL }, *none[] = { NULL };
        World *w = calloc(1, sizeof(*w));
        Bot *b;

        assert_non_null(w);
        w->manager.bots = w->pointers;
        w->manager.n_bots = ELEMENTSOF(w->bots);
        metrics_init(&w->manager.metrics);
        w->manager.server_state = UNIT_ACTIVE;
        w->manager.watch_timer = (ClockTimer *) w; /* only that there is one is looked at */
        add_bot(w, 0, "crowd", SEAT_CLOUD, crowd);
        add_bot(w, 1, "lost", SEAT_UNDECLARED, none);
        add_bot(w, 2, "news", SEAT_LOCAL, news);
        add_bot(w, 3, "shop", SEAT_LOCAL, shop);

        w->bots[0].record.held_until_usec = USEC_INFINITY;
        w->bots[0].record.held_reason = copy(HEARSAY);
        w->bots[0].record.stale = true;

        b = w->bots + 1;
        b->record_ok = false;
        b->token = bot_token_free(b->token);
        b->record.bot_id = 0;
        b->error = copy(HEARSAY);

        b = w->bots + 2;
        b->record.state = CUTOVER_LOG_IN;
        b->record.job = (RecordJob){ .id = 7,
                                     .source = SEAT_LOCAL,
                                     .wanted = SEAT_CLOUD,
                                     .target = SEAT_CLOUD,
                                     .reason = copy(HEARSAY),
                                     .started_usec = UINT64_C(1700000000500000),
                                     .phase_started_usec = UINT64_C(1700000001000000) };
        b->error = copy(HEARSAY);

        b = w->bots + 3;
        b->record.job = (RecordJob){ .id = 6,
                                     .source = SEAT_CLOUD,
                                     .wanted = SEAT_LOCAL,
                                     .target = SEAT_LOCAL,
                                     .result = JOB_RESULT_DONE,
                                     .ended_usec = UINT64_C(1700000002000000),
                                     .blind_usec = 70 * USEC_PER_MSEC,
                                     .downtime_usec = 1900 * USEC_PER_MSEC };
        b->pending_updates = 12;
        b->pending_updates_usec = UINT64_C(1700000003000000);
        b->intake_blamed = true;
        metrics_note_job(&w->manager.metrics, &b->record.job);
        metrics_replies(&w->manager.metrics, SEAT_CLOUD, BOTAPI_LOG_OUT)->n[0] = 1;
        reply_count_canceled(metrics_replies(&w->manager.metrics, SEAT_LOCAL, BOTAPI_NAMED));
        return w;
}

static void world_free(World *w)
{
        FOREACH_ELEMENT(b, w->bots) {
                record_done(&b->record);
                bot_token_free(b->token);
                free(b->error);
                free(b->name);
        }
        free(w);
}

#define ROW(name, load, active)                                                  \
        {                                                                        \
                (char *) (name), UNIT_LOAD_##load, UNIT_##active, (char *) "", 0 \
        }

static const UnitRow rows[] = {
        ROW("crowd@1.service", LOADED, ACTIVE),      ROW("crowd@2.service", LOADED, FAILED),
        ROW("crowd@3.service", NOT_FOUND, INACTIVE), ROW("news.service", LOADED, RELOADING),
        ROW("shop-two.service", LOADED, ACTIVATING), ROW("shop\\x2dbot.service", LOADED, ACTIVE),
};

static void assert_line(const char *text, const char *line)
{
        size_t size = strlen(line);

        for (const char *found = text; (found = strstr(found, line)); found++)
                if ((found == text || found[-1] == '\n') && found[size] == '\n')
                        return;
        fail_msg("No line '%s' in:\n%s", line, text);
}

static void test_everything(void **state)
{
        static const char *const lines[] = {
                "tgswitch_up 1",
                "tgswitch_build_info{version=\"" VERSION "\"} 1",
                "tgswitch_jobs{state=\"queued\"} 0",
                "tgswitch_jobs{state=\"moving\"} 1",
                "tgswitch_local_server_active 1",
                "tgswitch_local_server_answering 1",
                "tgswitch_api_requests_total{endpoint=\"cloud\",method=\"logOut\",code=\"200\"} 1",
                "tgswitch_api_requests_total{endpoint=\"local\",method=\"logOut\",code=\"200\"} 0",
                "tgswitch_api_requests_total{endpoint=\"local\",method=\"other\",code=\"canceled\"} 1",
                "tgswitch_switches_total{from=\"cloud\",to=\"local\",result=\"done\"} 1",
                "tgswitch_switches_total{from=\"local\",to=\"cloud\",result=\"canceled\"} 0",
                "tgswitch_blind_seconds_bucket{to=\"local\",le=\"0.05\"} 0",
                "tgswitch_blind_seconds_bucket{to=\"local\",le=\"0.1\"} 1",
                "tgswitch_downtime_seconds_sum{to=\"local\"} 1.9",
                "tgswitch_bot_info{bot=\"shop\",id=\"1003\"} 1",
                "tgswitch_bot_info{bot=\"lost\",id=\"\"} 1",
                "tgswitch_bot_ready{bot=\"lost\"} 0",
                "tgswitch_bot_ready{bot=\"shop\"} 1",
                "tgswitch_bot_error{bot=\"lost\"} 1",
                "tgswitch_bot_error{bot=\"shop\"} 0",
                "tgswitch_bot_endpoint{bot=\"shop\",endpoint=\"local\"} 1",
                "tgswitch_bot_endpoint{bot=\"shop\",endpoint=\"cloud\"} 0",
                "tgswitch_bot_endpoint{bot=\"news\",endpoint=\"none\"} 1",
                "tgswitch_bot_endpoint{bot=\"lost\",endpoint=\"unknown\"} 1",
                "tgswitch_bot_target{bot=\"news\",endpoint=\"cloud\"} 1",
                "tgswitch_bot_target{bot=\"shop\",endpoint=\"local\"} 0",
                "tgswitch_bot_job_start_timestamp_seconds{bot=\"news\"} 1700000000.5",
                "tgswitch_bot_phase_start_timestamp_seconds{bot=\"news\"} 1700000001",
                "tgswitch_bot_job_start_timestamp_seconds{bot=\"shop\"} 0",
                "tgswitch_bot_cloud_return_timestamp_seconds{bot=\"lost\"} +Inf",
                "tgswitch_bot_cloud_return_timestamp_seconds{bot=\"shop\"} 0",
                "tgswitch_bot_stale_session{bot=\"crowd\"} 1",
                "tgswitch_bot_pending_updates{bot=\"shop\"} 12",
                "tgswitch_bot_pending_updates_timestamp_seconds{bot=\"shop\"} 1700000003",
                "tgswitch_bot_updates_untaken{bot=\"shop\"} 1",
                "tgswitch_bot_spooled_updates{bot=\"shop\"} 0",
                "tgswitch_held{bot=\"crowd\"} 1",
                "tgswitch_held_until_timestamp_seconds{bot=\"crowd\"} +Inf",
                "tgswitch_last_switch_timestamp_seconds{bot=\"shop\"} 1700000002",
                "tgswitch_last_switch_timestamp_seconds{bot=\"news\"} 0",
                "tgswitch_last_switch_result{bot=\"shop\",result=\"done\"} 1",
                "tgswitch_last_switch_result{bot=\"shop\",result=\"failed\"} 0",
                "tgswitch_last_switch_blind_seconds{bot=\"shop\"} 0.07",
                "tgswitch_worker_active{bot=\"crowd\",unit=\"crowd@1.service\"} 1",
                "tgswitch_worker_active{bot=\"crowd\",unit=\"crowd@2.service\"} 0",
                "tgswitch_worker_active{bot=\"news\",unit=\"news.service\"} 1",
                "tgswitch_worker_active{bot=\"shop\",unit=\"shop\\\\x2dbot.service\"} 1",
                "tgswitch_worker_active{bot=\"shop\",unit=\"shop-two.service\"} 0",
        };
        World *w = world_new();
        _cleanup_free_ char *text = metrics_compose(&w->manager, rows, ELEMENTSOF(rows));

        assert_non_null(text);
        FOREACH_ELEMENT(line, lines)
                assert_line(text, *line);
        assert_null(strstr(text, "crowd@3.service"));
        assert_null(strstr(text, CANARY));
        assert_null(strstr(text, "said by"));
        assert_null(strstr(text, "example.org"));
        assert_true(text[strlen(text) - 1] == '\n');
        world_free(w);
}

/* One sample for each set of labels, and all of a family together: what promtool calls duplicate and Prometheus
 * refuses a file for. */
static void test_no_series_twice(void **state)
{
        World *w = world_new();
        _cleanup_free_ char *text = metrics_compose(&w->manager, rows, ELEMENTSOF(rows));
        char *rest = text, *line;
        char **seen = NULL;

        assert_non_null(text);
        while ((line = strsep(&rest, "\n"))) {
                char *value = strrchr(line, ' ');

                if (line[0] == '#' || isempty(line))
                        continue;
                assert_non_null(value);
                *value = '\0';
                if (strv_extend_unique(&seen, line) != 1)
                        fail_msg("Twice: %s", line);
        }
        assert_true(strv_length(seen) > 100);
        strv_free(seen);
        world_free(w);
}

/* What is not known is left out, and not told as zero. */
static void test_what_nobody_knows(void **state)
{
        World *w = world_new();
        char *text;

        w->manager.watch_timer = NULL;
        w->manager.server_state = UNIT_FAILED;
        text = metrics_compose(&w->manager, NULL, 0);
        assert_non_null(text);
        assert_null(strstr(text, "tgswitch_local_server_answering"));
        assert_null(strstr(text, "tgswitch_worker_active"));
        assert_line(text, "tgswitch_local_server_active 0");
        free(text);

        /* No bot at all: the families stay. */
        w->manager.n_bots = 0;
        text = metrics_compose(&w->manager, rows, 0);
        assert_non_null(text);
        assert_line(text, "# TYPE tgswitch_bot_endpoint gauge");
        assert_line(text, "tgswitch_jobs{state=\"moving\"} 0");
        free(text);
        world_free(w);
}

/* The end of a window is told in whole seconds, and never earlier than it is. */
static void test_a_window_does_not_flicker(void **state)
{
        World *w = world_new();
        Bot *shop = w->bots + 3;
        _cleanup_free_ char *text = NULL;
        usec_t end_usec;
        char line[128];
        Moment now;

        assert_int_equal(clock_moment(&now), 0);
        window_begin(&shop->record.cloud_window, &now, WINDOW_CLOUD_USEC);
        /* In the middle of a second, far from where the clocks' differences could show. */
        end_usec = bot_cloud_allowed_usec(shop);
        shop->record.cloud_window.length_usec += 3 * USEC_PER_SEC / 2 - end_usec % USEC_PER_SEC;
        end_usec = bot_cloud_allowed_usec(shop);
        assert_in_range(end_usec % USEC_PER_SEC, 400000, 600000);

        text = metrics_compose(&w->manager, NULL, 0);
        assert_non_null(text);
        (void) snprintf(line, sizeof(line), "tgswitch_bot_cloud_return_timestamp_seconds{bot=\"shop\"} %" PRIu64,
                        end_usec / USEC_PER_SEC + 1);
        assert_line(text, line);
        world_free(w);
}

static int print(void)
{
        World *w = world_new();
        _cleanup_free_ char *text = metrics_compose(&w->manager, rows, ELEMENTSOF(rows));

        world_free(w);
        return text && fputs(text, stdout) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_families_and_samples),
                cmocka_unit_test(test_seconds),
                cmocka_unit_test(test_histogram),
                cmocka_unit_test(test_replies_are_bounded),
                cmocka_unit_test(test_jobs_are_counted),
                cmocka_unit_test(test_everything),
                cmocka_unit_test(test_no_series_twice),
                cmocka_unit_test(test_what_nobody_knows),
                cmocka_unit_test(test_a_window_does_not_flicker),
        };

        if (argc > 1 && streq(argv[1], "--print"))
                return print();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
