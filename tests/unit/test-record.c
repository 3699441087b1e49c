/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/strv.h"
#include "core/record.h"

/* L5: what was written is what is read, after any crash; and what is not what was written is never believed. */

static uint64_t rng;

static uint64_t next_random(void)
{
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        return rng;
}

static uint64_t below(uint64_t n)
{
        return next_random() % n;
}

/* Small numbers and the ends of the range, more often than chance would have them. */
static uint64_t random_number(uint64_t max)
{
        switch (below(4)) {
        case 0:
                return below(10);
        case 1:
                return max - below(2);
        default:
                return next_random() & max;
        }
}

static char *random_string(void)
{
        static const char *const pieces[] = { "a", "\"",         "\\",      "/", "\n",  "\x01",
                                              "ä", "\U0001f600", "{token}", " ", "\x7f" };
        char text[256] = "";
        char *copy;

        for (uint64_t n = below(20); n > 0; n--)
                strcat(text, pieces[below(ELEMENTSOF(pieces))]);
        copy = strdup(text);
        assert_non_null(copy);
        return copy;
}

static char **random_units(void)
{
        char **units = NULL, name[64];

        for (uint64_t n = below(5); n > 0; n--) {
                snprintf(name, sizeof(name), "shop@%" PRIu64 ".service", next_random());
                assert_int_equal(strv_extend(&units, name), 0);
        }
        return units;
}

static Moment random_moment(void)
{
        Moment m = {
                .boottime_usec = random_number(UINT64_MAX),
                .realtime_usec = random_number(UINT64_MAX),
                .synchronised = below(2),
        };

        for (size_t i = 0; i < sizeof(m.boot_id); i++)
                m.boot_id[i] = (uint8_t) next_random();
        return m;
}

static Window random_window(void)
{
        return (Window){
                .since = random_moment(),
                .seen = random_moment(),
                .length_usec = random_number(UINT64_MAX),
        };
}

static json_object *random_strings(void)
{
        json_object *array = json_object_new_array();

        for (uint64_t n = below(5); n > 0; n--) {
                _cleanup_free_ char *s = random_string();

                json_object_array_add(array, json_object_new_string(s));
        }
        return array;
}

static RecordJob random_job(void)
{
        RecordJob job = {
                .id = (uint32_t) random_number(UINT32_MAX),
                .batch = (uint32_t) random_number(UINT32_MAX),
                .source = (Seat) below(SEAT_LOCAL + 1),
                .wanted = below(2) ? SEAT_CLOUD : SEAT_LOCAL,
                .target = below(2) ? SEAT_CLOUD : SEAT_LOCAL,
                .result = (JobResult) below(JOB_RESULT_MAX),
                .reason = random_string(),
                .requester = random_string(),
                .on_undrained = (OnUndrained) below(ON_UNDRAINED_MAX),
                .hold_at = (HoldAt) below(HOLD_AT_MAX),
                .proceeded = below(2),
                .when_allowed = below(2),
                .automatic = below(2),
                .started_usec = random_number(UINT64_MAX),
                .phase_started_usec = random_number(UINT64_MAX),
                .ended_usec = random_number(UINT64_MAX),
                .pending_at_start = random_number(UINT64_MAX),
                .drained = random_number(UINT64_MAX),
                .spooled = random_number(UINT64_MAX),
                .handed_over = random_number(UINT64_MAX),
                .blind_usec = random_number(UINT64_MAX),
                .downtime_usec = random_number(UINT64_MAX),
                .error = random_string(),
        };

        FOREACH_ELEMENT(phase, job.phase_usec)
                *phase = random_number(UINT64_MAX);
        return job;
}

static Record random_record(void)
{
        Record r = {
                .bot_id = (int64_t) random_number(INT64_MAX),
                .seat = (Seat) below(SEAT_LOCAL + 1),
                .state = (CutoverState) below(CUTOVER_STATE_MAX),
                .job = random_job(),
                .workers = random_units(),
                .triggers = random_units(),
                .server_started = below(2),
                .next_offset = (int64_t) random_number(INT64_MAX),
                .confirmed_offset = (int64_t) random_number(INT64_MAX),
                .webhook = {
                        .url = below(2) ? random_string() : NULL,
                        .ip_address = below(2) ? random_string() : NULL,
                        .has_custom_certificate = below(2),
                        .max_connections = (int) random_number(INT32_MAX),
                        .allowed_updates = below(2) ? random_strings() : NULL,
                },
                .webhook_deleted = below(2),
                .part_served_updates = random_number(UINT64_MAX),
                .cloud_window = random_window(),
                .local_window = random_window(),
                .logout_attempts = (uint32_t) random_number(UINT32_MAX),
                .logged_in = random_moment(),
                .stale = below(2),
                .stale_logged_in = random_moment(),
                .held_until_usec = random_number(UINT64_MAX),
                .held_reason = random_string(),
        };

        for (size_t i = 0; i < sizeof(r.local_window_server); i++)
                r.local_window_server[i] = (uint8_t) next_random();
        return r;
}

static void assert_same_moment(const Moment *a, const Moment *b)
{
        assert_int_equal(a->boottime_usec, b->boottime_usec);
        assert_int_equal(a->realtime_usec, b->realtime_usec);
        assert_memory_equal(a->boot_id, b->boot_id, sizeof(a->boot_id));
        assert_int_equal(a->synchronised, b->synchronised);
}

static void assert_same_window(const Window *a, const Window *b)
{
        assert_same_moment(&a->since, &b->since);
        assert_same_moment(&a->seen, &b->seen);
        assert_int_equal(a->length_usec, b->length_usec);
}

static void assert_same_job(const RecordJob *a, const RecordJob *b)
{
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->batch, b->batch);
        assert_int_equal(a->source, b->source);
        assert_int_equal(a->wanted, b->wanted);
        assert_int_equal(a->target, b->target);
        assert_int_equal(a->result, b->result);
        assert_string_equal(a->reason, b->reason);
        assert_string_equal(a->requester, b->requester);
        assert_int_equal(a->on_undrained, b->on_undrained);
        assert_int_equal(a->hold_at, b->hold_at);
        assert_int_equal(a->proceeded, b->proceeded);
        assert_int_equal(a->when_allowed, b->when_allowed);
        assert_int_equal(a->automatic, b->automatic);
        assert_int_equal(a->started_usec, b->started_usec);
        assert_int_equal(a->phase_started_usec, b->phase_started_usec);
        assert_int_equal(a->ended_usec, b->ended_usec);
        assert_memory_equal(a->phase_usec, b->phase_usec, sizeof(a->phase_usec));
        assert_int_equal(a->pending_at_start, b->pending_at_start);
        assert_int_equal(a->drained, b->drained);
        assert_int_equal(a->spooled, b->spooled);
        assert_int_equal(a->handed_over, b->handed_over);
        assert_int_equal(a->blind_usec, b->blind_usec);
        assert_int_equal(a->downtime_usec, b->downtime_usec);
        assert_string_equal(a->error, b->error);
}

/* Not by the table that is under test. */
static void assert_same(const Record *a, const Record *b)
{
        assert_int_equal(a->bot_id, b->bot_id);
        assert_int_equal(a->seat, b->seat);
        assert_int_equal(a->state, b->state);
        assert_same_job(&a->job, &b->job);
        assert_true(strv_equal(a->workers, b->workers));
        assert_true(strv_equal(a->triggers, b->triggers));
        assert_int_equal(a->server_started, b->server_started);
        assert_int_equal(a->next_offset, b->next_offset);
        assert_int_equal(a->confirmed_offset, b->confirmed_offset);
        assert_true(streq_ptr(a->webhook.url, b->webhook.url));
        assert_true(streq_ptr(a->webhook.ip_address, b->webhook.ip_address));
        assert_int_equal(a->webhook.has_custom_certificate, b->webhook.has_custom_certificate);
        assert_int_equal(a->webhook.max_connections, b->webhook.max_connections);
        assert_int_equal(!a->webhook.allowed_updates, !b->webhook.allowed_updates);
        assert_true(json_object_equal(a->webhook.allowed_updates, b->webhook.allowed_updates));
        assert_int_equal(a->webhook_deleted, b->webhook_deleted);
        assert_int_equal(a->part_served_updates, b->part_served_updates);
        assert_same_window(&a->cloud_window, &b->cloud_window);
        assert_same_window(&a->local_window, &b->local_window);
        assert_memory_equal(a->local_window_server, b->local_window_server, sizeof(a->local_window_server));
        assert_int_equal(a->logout_attempts, b->logout_attempts);
        assert_same_moment(&a->logged_in, &b->logged_in);
        assert_int_equal(a->stale, b->stale);
        assert_same_moment(&a->stale_logged_in, &b->stale_logged_in);
        assert_int_equal(a->held_until_usec, b->held_until_usec);
        assert_string_equal(a->held_reason, b->held_reason);
}

static void test_round_trip(void **state)
{
        for (unsigned i = 0; i < 500; i++) {
                _cleanup_(record_done) Record r = random_record(), copy = {}, decoded = {};
                _cleanup_free_ char *bytes = NULL, *padded = NULL;
                const char *why = NULL;
                size_t size;

                assert_int_equal(record_copy(&r, &copy), 0);
                assert_same(&r, &copy);
                assert_int_equal(record_encode(&copy, "shop", &bytes, &size), 0);
                assert_true(size <= RECORD_SIZE_MAX);
                padded = malloc(size + 1000);
                assert_non_null(padded);
                memcpy(padded, bytes, size);
                memset(padded + size, '\n', 1000);
                assert_int_equal(record_decode(padded, size + below(1001), "shop", &decoded, &why), 0);
                assert_same(&r, &decoded);
        }
}

static void test_empty(void **state)
{
        _cleanup_(record_done) Record r, decoded = {};
        _cleanup_free_ char *bytes = NULL;
        const char *why = NULL;
        size_t size;

        record_init(&r);
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        assert_int_equal(record_decode(bytes, size, "shop", &decoded, &why), 0);
        assert_int_equal(decoded.seat, SEAT_UNDECLARED);
        assert_string_equal(decoded.job.reason, "");
        assert_string_equal(decoded.job.error, "");
        assert_string_equal(decoded.held_reason, "");
        assert_null(decoded.webhook.url);
        assert_false(decoded.stale);
        assert_int_equal(decoded.cloud_window.length_usec, 0);
        assert_int_equal(decoded.local_window.length_usec, 0);
        assert_int_equal(record_decode(bytes, size, "news", &decoded, &why), -EBADMSG);
        assert_string_equal(why, "it is the record of another bot");
}

/* Whatever bit is turned, and wherever the file ends: it is not believed. */
static void test_damage(void **state)
{
        _cleanup_(record_done) Record r = random_record();
        _cleanup_free_ char *bytes = NULL;
        size_t size;

        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        for (size_t i = 0; i < size; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        Record decoded = {};
                        const char *why = NULL;

                        bytes[i] = (char) (bytes[i] ^ 1 << bit);
                        assert_true(record_decode(bytes, size, "shop", &decoded, &why) < 0);
                        assert_non_null(why);
                        bytes[i] = (char) (bytes[i] ^ 1 << bit);
                }
        /* But for the padding, which says nothing. */
        for (size_t n = 0; n < size - 1; n++) {
                _cleanup_free_ char *start = malloc(n + 1);
                Record decoded = {};
                const char *why = NULL;

                /* A block of this very size, so that a read behind its end is seen. */
                memcpy(start, bytes, n);
                assert_true(record_decode(start, n, "shop", &decoded, &why) < 0);
        }
}

/* Puts a right header before any text. */
static int decode_as(unsigned version, const char *json, Record *ret, const char **ret_why)
{
        _cleanup_free_ char *bytes = NULL;
        uLong crc = crc32_z(0, (const Bytef *) json, strlen(json));

        assert_true(asprintf(&bytes, "tgswitch-record %u %zu %08lx\n%s\n", version, strlen(json), crc, json) > 0);
        return record_decode(bytes, strlen(bytes), "shop", ret, ret_why);
}

static int decode_json(const char *json, const char **ret_why)
{
        _cleanup_(record_done) Record r = {};

        return decode_as(3, json, &r, ret_why);
}

static char *replace(const char *text, const char *from, const char *to)
{
        const char *at = strstr(text, from);
        char *new;

        assert_non_null(at);
        assert_true(asprintf(&new, "%.*s%s%s", (int) (at - text), text, to, at + strlen(from)) > 0);
        return new;
}

/* Not even where the checksum is right: a field is what this program writes, or the record is refused. */
static const struct {
        const char *from, *to;
} not_ours[] = {
        { "\"bot-id\":0,", "" },
        { "\"bot-id\":0", "\"bot-id\":0,\"bot-idd\":0" },
        { "\"bot-id\":0", "\"bot-id\":-1" },
        { "\"bot-id\":0", "\"bot-id\":9223372036854775808" },
        { "\"bot-id\":0", "\"bot-id\":\"0\"" },
        { "\"bot-id\":0", "\"bot-id\":0.0" },
        { "\"bot-id\":0", "\"bot-id\":true" },
        { "\"bot-id\":0", "\"bot-id\":null" },
        { "\"job.id\":0", "\"job.id\":4294967296" },
        { "\"webhook.max-connections\":0", "\"webhook.max-connections\":2147483648" },
        { "\"webhook.max-connections\":0", "\"webhook.max-connections\":-1" },
        { "\"seat\":\"undeclared\"", "\"seat\":\"none\"" },
        { "\"seat\":\"undeclared\"", "\"seat\":\"\"" },
        { "\"seat\":\"undeclared\"", "\"seat\":0" },
        { "\"state\":\"settled\"", "\"state\":\"SETTLED\"" },
        { "\"job.result\":\"none\"", "\"job.result\":\"nothing\"" },
        { "\"job.phase-usec\":[0,", "\"job.phase-usec\":[" },
        { "\"job.phase-usec\":[0,", "\"job.phase-usec\":[0,0," },
        { "\"job.phase-usec\":[0,", "\"job.phase-usec\":[-1," },
        { "\"job.phase-usec\":[0,", "\"job.phase-usec\":[\"0\"," },
        { "\"job.phase-usec\":[0,", "\"job.phase-usec\":null,\"a\":[0," },
        { "\"job.source\":\"undeclared\"", "\"job.source\":\"unknown\"" },
        { "\"job.reason\":\"\"", "\"job.reason\":null" },
        { "\"job.reason\":\"\"", "\"job.reason\":\"a\\u0000b\"" },
        /* each would be six on its way back to the disk, and might not fit any more */
        { "\"job.reason\":\"\"", "\"job.reason\":\"a\x01z\"" },
        { "\"job.reason\":\"\"", "\"job.reason\":\"\n\"" },
        /* each would be a question mark */
        { "\"job.reason\":\"\"", "\"job.reason\":\"\xff\"" },
        { "\"job.reason\":\"\"", "\"job.reason\":\"\xc0\xaf\"" },
        { "\"job.reason\":\"\"", "\"job.reason\":\"\xed\xa0\x80\"" },
        { "\"job.proceeded\":false", "\"job.proceeded\":0" },
        { "\"job.proceeded\":false", "\"job.proceeded\":\"false\"" },
        { "\"stale\":false", "\"stale\":0" },
        { "\"stale\":false,", "" },
        { "\"part-served-updates\":0", "\"part-served-updates\":true" },
        { "\"part-served-updates\":0", "\"part-served-updates\":-1" },
        { "\"held-until-usec\":0", "\"held-until-usec\":\"forever\"" },
        { "\"held-reason\":\"\"", "\"held-reason\":null" },
        { "\"cloud-window.length-usec\":0", "\"cloud-window.length-usec\":-1" },
        { "\"local-window.since.synchronised\":false", "\"local-window.since.synchronised\":null" },
        { "\"local-window.seen.boottime-usec\":0,", "" },
        { "\"workers\":[]", "\"workers\":null" },
        { "\"workers\":[]", "\"workers\":{}" },
        { "\"workers\":[]", "\"workers\":[\"\"]" },
        { "\"workers\":[]", "\"workers\":[7]" },
        { "\"webhook.allowed-updates\":null", "\"webhook.allowed-updates\":[1]" },
        { "\"webhook.allowed-updates\":null", "\"webhook.allowed-updates\":\"message\"" },
        { "\"webhook.url\":null", "\"webhook.url\":false" },
        { "00000000000000000000000000000000", "0000000000000000000000000000000" },
        { "00000000000000000000000000000000", "0000000000000000000000000000000G" },
        { "00000000000000000000000000000000", "0000000000000000000000000000 +0x" },
        { "{", "[{" },
        { "{", "{\"bot\":\"shop\"}{" },
        { "{", "/**/{" },
};

static void test_strict(void **state)
{
        _cleanup_(record_done) Record r;
        _cleanup_free_ char *bytes = NULL;
        const char *why = NULL;
        char *json;
        size_t size;

        record_init(&r);
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        bytes[size - 1] = '\0';
        json = strchr(bytes, '\n') + 1;
        assert_int_equal(decode_json(json, &why), 0);
        FOREACH_ELEMENT(row, not_ours) {
                _cleanup_free_ char *changed = replace(json, row->from, row->to);

                if (decode_json(changed, &why) != -EBADMSG)
                        fail_msg("believed: %s for %s", row->to, row->from);
        }
}

static void test_reasons(void **state)
{
        static const struct {
                const char *from, *to, *why;
        } rows[] = {
                { "{", "{{", "it is not JSON" },
                { "\"seat\":", "\"chair\":", "a field is missing" },
                { "\"job.id\":0", "\"job.id\":-1", "a field has a value that tgswitchd never writes" },
                { "{", "{\"new\":1,", "it has an unknown field" },
        };
        _cleanup_(record_done) Record r, decoded = {};
        _cleanup_free_ char *bytes = NULL;
        const char *why = NULL;
        size_t size;

        record_init(&r);
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        bytes[size - 1] = '\0';
        FOREACH_ELEMENT(row, rows) {
                _cleanup_free_ char *changed = replace(strchr(bytes, '\n') + 1, row->from, row->to);
                assert_string_equal(decode_json(changed, &why) == -EBADMSG ? why : "read", row->why);
        }
        assert_int_equal(record_decode("", RECORD_SIZE_MAX + 1, "shop", &decoded, &why), -EBADMSG);
        assert_string_equal(why, "it is too large");
}

static void remove_text(char *text, const char *from, const char *to)
{
        char *first = strstr(text, from), *rest = strstr(first, to);

        memmove(first, rest + strlen(to), strlen(rest + strlen(to)) + 1);
}

/* A package is upgraded in the middle of a move: what version 2 wrote is read, and what it did not know is not known.
 * Nor may one of the two pass for the other. */
static void test_version_2(void **state)
{
        _cleanup_(record_done) Record r = random_record(), decoded = {}, none = {};
        _cleanup_free_ char *bytes = NULL, *now = NULL;
        const char *why = NULL;
        char *json;
        size_t size;

        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        bytes[size - 1] = '\0';
        json = strchr(bytes, '\n') + 1;
        now = strdup(json);
        assert_non_null(now);
        remove_text(json, "\"job.source\":", ",");
        assert_int_equal(decode_as(2, json, &none, &why), -EBADMSG);
        remove_text(json, "\"job.wanted\":", ",");
        assert_int_equal(decode_as(2, json, &none, &why), -EBADMSG);
        remove_text(json, "\"job.phase-usec\":", "],");

        assert_int_equal(decode_as(2, json, &decoded, &why), 0);
        assert_int_equal(decoded.job.source, SEAT_UNDECLARED);
        assert_int_equal(decoded.job.wanted, r.job.target);
        FOREACH_ELEMENT(phase, decoded.job.phase_usec)
                assert_int_equal(*phase, 0);
        decoded.job.source = r.job.source;
        decoded.job.wanted = r.job.wanted;
        memcpy(decoded.job.phase_usec, r.job.phase_usec, sizeof(r.job.phase_usec));
        assert_same(&r, &decoded);

        assert_int_equal(decode_as(3, json, &none, &why), -EBADMSG);
        assert_int_equal(decode_as(2, now, &none, &why), -EBADMSG);
        assert_int_equal(decode_as(1, json, &none, &why), -EPROTONOSUPPORT);
}

/* Each phase that a job can be in has its own time, and no time is of a phase that there is not. */
static void test_phases(void **state)
{
        bool used[JOB_PHASE_MAX] = { false };

        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                const char *phase = cutover_facts(s)->phase;
                JobPhase p = job_phase_from_string(phase);

                assert_int_equal(p < 0, s == CUTOVER_SETTLED);
                if (p < 0)
                        continue;
                assert_string_equal(job_phase_to_string(p), phase);
                used[p] = true;
        }
        FOREACH_ELEMENT(u, used)
                assert_true(*u);
}

/* Neither an older nor a newer one is guessed at. */
static void test_versions(void **state)
{
        _cleanup_(record_done) Record decoded = {};
        const char *why = NULL;

        assert_int_equal(record_decode("tgswitch-record 1 0 x\n", 22, "shop", &decoded, &why), -EPROTONOSUPPORT);
        assert_int_equal(record_decode("tgswitch-record 4 0 x\n", 22, "shop", &decoded, &why), -EPROTONOSUPPORT);
        assert_int_equal(record_decode("tgswitch-record 99999 0\n", 24, "shop", &decoded, &why), -EBADMSG);
        assert_int_equal(record_decode("tgswitch-record  2 0\n", 21, "shop", &decoded, &why), -EBADMSG);
        assert_int_equal(record_decode("", 0, "shop", &decoded, &why), -EBADMSG);
}

/* What is encoded can be decoded, whatever a server has said: or it is not encoded. */
static void test_foreign_text(void **state)
{
        _cleanup_(record_done) Record r, decoded = {};
        _cleanup_free_ char *bytes = NULL;
        const char *why = NULL;
        size_t size;

        record_init(&r);
        r.job.error = strdup("cut in the middle of \xe2\x82, \xff, \xed\xa0\x80");
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        assert_int_equal(record_decode(bytes, size, "shop", &decoded, &why), 0);
        assert_string_equal(decoded.job.error, "cut in the middle of ??, ?, ???");

        r.webhook.allowed_updates = json_tokener_parse("[\"message\", 7]");
        assert_int_equal(record_encode(&r, "shop", &(char *){ NULL }, &size), -EINVAL);
}

static void test_bounds(void **state)
{
        _cleanup_(record_done) Record r;
        char name[300], *bytes = NULL;
        size_t size;

        record_init(&r);
        memset(name, 'x', sizeof(name));
        name[256] = '\0';
        assert_int_equal(strv_extend(&r.workers, name), 0);
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), -E2BIG);
        r.workers[0][255] = '\0';
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), 0);
        free(bytes);
        for (size_t i = 1; i <= RECORD_UNITS_MAX; i++)
                assert_int_equal(strv_extend(&r.workers, "x"), 0);
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), -E2BIG);
        r.workers = strv_free(r.workers);
        r.job.error = calloc(1, RECORD_STRING_MAX + 2);
        memset(r.job.error, 'x', RECORD_STRING_MAX + 1);
        assert_int_equal(record_encode(&r, "shop", &bytes, &size), -E2BIG);
}

static void test_words(void **state)
{
        for (Seat s = 0; s < SEAT_MAX; s++)
                assert_int_equal(seat_from_string(seat_to_string(s)), s);
        for (OnUndrained u = 0; u < ON_UNDRAINED_MAX; u++)
                assert_int_equal(on_undrained_from_string(on_undrained_to_string(u)), u);
        for (JobResult r = 0; r < JOB_RESULT_MAX; r++)
                assert_int_equal(job_result_from_string(job_result_to_string(r)), r);
        for (HoldAt h = 0; h < HOLD_AT_MAX; h++)
                assert_int_equal(hold_at_from_string(hold_at_to_string(h)), h);
        assert_int_equal(seat_from_string("Cloud"), SEAT_INVALID);
        assert_int_equal(hold_at_from_string(NULL), HOLD_AT_INVALID);
        assert_null(seat_to_string(SEAT_MAX));
        assert_null(job_result_to_string(JOB_RESULT_INVALID));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_empty),    cmocka_unit_test(test_damage),
                cmocka_unit_test(test_strict),     cmocka_unit_test(test_versions), cmocka_unit_test(test_foreign_text),
                cmocka_unit_test(test_bounds),     cmocka_unit_test(test_words),    cmocka_unit_test(test_version_2),
                cmocka_unit_test(test_phases),     cmocka_unit_test(test_reasons),
        };
        const char *given = getenv("SEED");

        rng = given ? strtoull(given, NULL, 10) : (uint64_t) time(NULL) * 2654435761u | 1;
        print_message("SEED=%" PRIu64 "\n", rng);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
