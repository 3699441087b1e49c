/* SPDX-License-Identifier: MIT */

/* What callers of SwitchToLocal() ask for is understood as a whole or refused as a whole (L9). The first line of the
 * input has names and patterns of bots, each other one an option: its name, the type of its value (any D-Bus
 * signature), and what the value is made of. */

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/utf8.h"
#include "fuzz.h"

/* Everything of the manager, and the selection of bots, which is nobody else's. */
#include "../adapter/fake-manager.inc"
#include "bus/bus-manager.c"

#define OPTIONS_MAX       16u
#define DEPTH_MAX         8u
#define MESSAGE_SIZE_MAX  512u
#define BATCH_OF_NEWS     41u
#define LAST_JOB_OF_NEWS  43u
#define LAST_JOB_OF_OTHER 44u

/* ---- a manager, and a bus that nobody listens at ---- */

static Manager *manager(void)
{
        static Manager *m;
        sd_event *event = NULL;

        if (!m) {
                assert(sd_event_new(&event) >= 0);
                m = fake_manager_new(event);
                fake_bot_new(m, "lost", SEAT_NONE);
                fake_bot_new(m, "news", SEAT_CLOUD)->job.id = LAST_JOB_OF_NEWS;
                m->bots[1]->job.batch = BATCH_OF_NEWS;
                fake_bot_new(m, "shop", SEAT_CLOUD)->job.id = LAST_JOB_OF_OTHER;
                m->bots[2]->job.batch = LAST_JOB_OF_OTHER;
                fake_bot_new(m, "shop_2", SEAT_LOCAL);
        }
        return m;
}

/* Messages belong to a bus; it need not have said hello. */
static sd_bus *bus(void)
{
        static sd_bus *b;
        int fds[2];

        if (!b) {
                assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
                assert(sd_bus_new(&b) >= 0 && sd_bus_set_fd(b, fds[0], fds[0]) >= 0 && sd_bus_start(b) >= 0);
        }
        return b;
}

/* ---- values of any type ---- */

static const char *type_end(const char *signature)
{
        unsigned depth = 0;

        while (*signature == 'a')
                signature++;
        if (*signature != '(' && *signature != '{')
                return signature + 1;
        do {
                depth += *signature == '(' || *signature == '{';
                depth -= *signature == ')' || *signature == '}';
        } while (*++signature && depth > 0);
        return signature;
}

/* Strings are the text itself, numbers what it begins with. */
static int append_basic(sd_bus_message *m, char type, const char *text)
{
        long long number = strtoll(text, NULL, 0);
        double d = (double) number;
        int b = number != 0;

        switch (type) {
        case 's':
                return sd_bus_message_append_basic(m, type, text);
        case 'o':
                return sd_bus_message_append_basic(m, type, "/org/tgswitch1/bot/shop");
        case 'g':
                return sd_bus_message_append_basic(m, type, "a{sv}");
        case 'b':
                return sd_bus_message_append_basic(m, type, &b);
        case 'd':
                return sd_bus_message_append_basic(m, type, &d);
        default: /* little-endian, so that what is too long is cut */
                return strchr("ynqiuxt", type) ? sd_bus_message_append_basic(m, type, &number) : -EINVAL;
        }
}

static int append(sd_bus_message *m, const char *signature, const char *text, unsigned depth);

/* An array has as many elements as its text has commas, and each has all of the text. */
static int append_container(sd_bus_message *m, char type, const char *contents, const char *text, unsigned depth)
{
        size_t n = type == 'a' ? 0 : 1;
        int r;

        for (const char *c = text; type == 'a' && *c && n < 4; c++)
                n += *c == ',';
        r = sd_bus_message_open_container(m, type, contents);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append(m, contents, text, depth + 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* All types of the signature. -EINVAL: it is none. */
static int append(sd_bus_message *m, const char *signature, const char *text, unsigned depth)
{
        int r = depth < DEPTH_MAX ? 0 : -EINVAL;

        while (r >= 0 && *signature) {
                const char *end = type_end(signature);
                size_t size = (size_t) (end - signature);
                _cleanup_free_ char *contents = NULL;

                if (*signature == 'v')
                        contents = strdup("s");
                else if (*signature == 'a')
                        contents = strndup(signature + 1, size - 1);
                else
                        contents = strndup(signature + 1, size >= 2 ? size - 2 : 0);
                assert(contents);
                if (strchr("av", *signature))
                        r = append_container(m, *signature, contents, text, depth);
                else if (*signature == '(' || *signature == '{')
                        r = append_container(m, *signature == '(' ? 'r' : 'e', contents, text, depth);
                else
                        r = append_basic(m, *signature, text);
                signature = end;
        }
        return r;
}

static char *take_text(FuzzInput *in)
{
        _cleanup_free_ char *line = fuzz_take_line(in);
        char *text = utf8_make_valid(line);

        assert(text);
        return text;
}

/* ---- what ought to be understood ---- */

/* Told line by line, by other means than the code that is looked at. */
typedef struct Expected {
        bool refused;
        bool seen_undrained, seen_hold, seen_allowed, seen_automatic, seen_batch, seen_reason;
        SwitchOptions options;
        char reason[BUS_REASON_MAX + 1];
} Expected;

static void expect_once(Expected *e, bool *seen, const char *type, const char *wanted)
{
        e->refused = e->refused || *seen || !streq(type, wanted);
        *seen = true;
}

static void expect(Expected *e, const char *name, const char *type, const char *text)
{
        uint32_t number = (uint32_t) strtoll(text, NULL, 0);

        if (streq(name, "on-undrained")) {
                expect_once(e, &e->seen_undrained, type, "s");
                e->options.on_undrained = streq(text, "fail")    ? ON_UNDRAINED_FAIL
                                          : streq(text, "spool") ? ON_UNDRAINED_SPOOL
                                          : streq(text, "wait")  ? ON_UNDRAINED_WAIT
                                                                 : ON_UNDRAINED_INVALID;
                e->refused = e->refused || e->options.on_undrained < 0;
        } else if (streq(name, "hold-at")) {
                expect_once(e, &e->seen_hold, type, "s");
                e->options.hold_at = streq(text, "stop-workers") ? HOLD_AT_STOP_WORKERS
                                     : streq(text, "log-out")    ? HOLD_AT_LOG_OUT
                                                                 : HOLD_AT_NONE;
                e->refused = e->refused || e->options.hold_at == HOLD_AT_NONE;
        } else if (streq(name, "when-allowed")) {
                expect_once(e, &e->seen_allowed, type, "b");
                e->options.when_allowed = strtoll(text, NULL, 0) != 0;
        } else if (streq(name, "automatic")) {
                expect_once(e, &e->seen_automatic, type, "b");
                e->options.automatic = strtoll(text, NULL, 0) != 0;
        } else if (streq(name, "batch")) {
                expect_once(e, &e->seen_batch, type, "u");
                e->options.batch = number == LAST_JOB_OF_NEWS    ? BATCH_OF_NEWS
                                   : number == LAST_JOB_OF_OTHER ? LAST_JOB_OF_OTHER
                                                                 : 0;
                e->refused = e->refused || e->options.batch == 0;
        } else if (streq(name, "reason")) {
                expect_once(e, &e->seen_reason, type, "s");
                e->refused = e->refused || !bus_reason_is_valid(text);
                snprintf(e->reason, sizeof(e->reason), "%s", text);
        } else
                e->refused = true;
}

static void assert_options(const SwitchOptions *o, const Expected *e)
{
        assert(o->on_undrained == e->options.on_undrained && o->hold_at == e->options.hold_at);
        assert(o->when_allowed == e->options.when_allowed && o->automatic == e->options.automatic);
        assert(o->batch == e->options.batch);
        assert(streq(o->reason, e->reason) && streq(o->requester, ""));
        fuzz_assert_text(o->reason, BUS_REASON_MAX);
}

/* A bot is chosen by its name, by a pattern, or because nobody is named. */
static void assert_selection(char *const *names, char *const *patterns)
{
        size_t at = 0;

        for (size_t i = 0; i < manager_n_bots(manager()); i++) {
                const char *name = bot_name(manager_bot(manager(), i));
                bool chosen = names[at] && streq(names[at], name), matched = false, named;

                named = !patterns || strv_contains(patterns, name);
                for (char *const *p = patterns; p && *p; p++)
                        matched = matched || strpbrk(*p, "*?[\\");
                assert(chosen ? named || matched : !named);
                at += chosen;
        }
        assert(!names[at] && at > 0);
}

/* ---- the call ---- */

static void assert_refusal(int r, const sd_bus_error *error)
{
        assert(r < 0 && sd_bus_error_is_set(error));
        assert(streq(error->name, SD_BUS_ERROR_INVALID_ARGS) || streq(error->name, BUS_ERROR_NO_SUCH_BOT));
        fuzz_assert_text(error->message, MESSAGE_SIZE_MAX);
        assert(error->message[strlen(error->message) - 1] == '.');
}

static void check_selection(sd_bus_message *m, char *const *patterns)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char *untouched[1] = { NULL }, **names = untouched;
        int r = read_selection(m, manager(), &names, &error);

        if (r < 0) {
                assert_refusal(r, &error);
                assert(names == untouched);
                return;
        }
        assert(!sd_bus_error_is_set(&error));
        assert_selection(names, patterns);
        strv_free(names);
}

static void check_options(sd_bus_message *m, const Expected *expected)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        static const char untouched[] = "untouched";
        SwitchOptions o = { .reason = untouched };
        int r = bus_options_read(m, manager(), &o, &error);

        assert((r < 0) == expected->refused);
        if (r < 0) {
                assert_refusal(r, &error);
                assert(o.reason == untouched && !o.requester);
                return;
        }
        assert(!sd_bus_error_is_set(&error));
        assert_options(&o, expected);
        assert(sd_bus_message_at_end(m, true) > 0);
}

/* A dictionary that can't be made says nothing of whoever reads it: one option that is no D-Bus is left out. */
static sd_bus_message *make_options(FuzzInput in, Expected *e)
{
        sd_bus_message *m = NULL;

        assert(sd_bus_message_new_method_call(bus(), &m, NULL, "/", NULL, "Options") >= 0);
        assert(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        for (unsigned n = 0; in.left > 0 && n < OPTIONS_MAX; n++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *trial = NULL;
                _cleanup_free_ char *line = take_text(&in);
                char *rest = line, *name = fuzz_take_word(&rest), *type = fuzz_take_word(&rest);

                assert(sd_bus_message_new_method_call(bus(), &trial, NULL, "/", NULL, "Options") >= 0);
                if (sd_bus_message_open_container(trial, 'v', type) < 0 || append(trial, type, rest, 0) < 0 ||
                    sd_bus_message_close_container(trial) < 0)
                        continue;
                assert(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                assert(sd_bus_message_append(m, "s", name) >= 0);
                assert(sd_bus_message_open_container(m, 'v', type) >= 0 && append(m, type, rest, 0) >= 0);
                assert(sd_bus_message_close_container(m) >= 0 && sd_bus_message_close_container(m) >= 0);
                expect(e, name, type, rest);
        }
        assert(sd_bus_message_close_container(m) >= 0);
        assert(sd_bus_message_seal(m, 1, 0) >= 0);
        return m;
}

static sd_bus_message *make_selection(char *line, char ***ret_patterns)
{
        sd_bus_message *m = NULL;

        assert(sd_bus_message_new_method_call(bus(), &m, NULL, "/", NULL, "Bots") >= 0);
        assert(sd_bus_message_open_container(m, 'a', "s") >= 0);
        while (*line) {
                const char *pattern = fuzz_take_word(&line);

                assert(sd_bus_message_append(m, "s", pattern) >= 0);
                assert(strv_extend(ret_patterns, pattern) == 0);
        }
        assert(sd_bus_message_close_container(m) >= 0);
        assert(sd_bus_message_seal(m, 1, 0) >= 0);
        return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *bots = NULL, *options = NULL;
        Expected expected = { .options = { .on_undrained = ON_UNDRAINED_INVALID, .hold_at = HOLD_AT_NONE } };
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *line = take_text(&in);
        _cleanup_strv_ char **patterns = NULL;

        bots = make_selection(line, &patterns);
        check_selection(bots, patterns);
        options = make_options(in, &expected);
        check_options(options, &expected);
        return 0;
}
