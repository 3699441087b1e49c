/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/parse-util.h"
#include "base/strv.h"
#include "core/unit-result.h"
#include "core/webhook-rules.h"
#include "io/botapi-client.h"
#include "io/config-parse.h"
#include "io/config-value.h"

#define EXPECTED_MAX 256u
#define LIST_MAX     RECORD_UNITS_MAX

typedef enum ConfigSection {
        MANAGER = 1 << 0,
        BOT_DEFAULTS = 1 << 1,
        BOT = 1 << 2,
} ConfigSection;

typedef struct Range {
        uint64_t min, max;
} Range;

typedef struct ConfigKey ConfigKey;

/* Reads a value into the slot. -EINVAL: what would have been right is in `expected`, the rest of a sentence. */
typedef int (*config_parse_t)(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX]);

struct ConfigKey {
        const char *name;
        unsigned sections; /* ConfigSection mask */
        config_parse_t parse;
        size_t offset; /* in Config for MANAGER, else in BotConfig */
        Range range;
        bool list;
};

static int parse_key_span(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        char min[FORMAT_MAX], max[FORMAT_MAX];
        usec_t usec;

        if (parse_sec(value, &usec) == 0 && usec >= key->range.min && usec <= key->range.max) {
                *(usec_t *) slot = usec;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected a span of time from %s to %s, like 30s or \"2min 30s\"",
                 format_span(min, key->range.min), format_span(max, key->range.max));
        return -EINVAL;
}

static int parse_key_size(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        char max[FORMAT_MAX];
        uint64_t size;

        if (parse_size(value, &size) == 0 && size >= key->range.min && size <= key->range.max) {
                *(uint64_t *) slot = size;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected a number of bytes up to %s, like 64M",
                 format_size(max, key->range.max));
        return -EINVAL;
}

static int parse_key_unsigned(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        uint64_t n;

        if (parse_unsigned(value, &n) == 0 && n >= key->range.min && n <= key->range.max) {
                *(unsigned *) slot = (unsigned) n;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected a number from %" PRIu64 " to %" PRIu64, key->range.min,
                 key->range.max);
        return -EINVAL;
}

static int parse_key_boolean(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        if (parse_boolean(value, slot) == 0)
                return 0;
        snprintf(expected, EXPECTED_MAX, "expected yes or no");
        return -EINVAL;
}

static int set_string(char **slot, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*slot);
        *slot = copy;
        return 0;
}

static int parse_key_root(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        const char *why;
        int r = botapi_root_check(value, &why);

        if (r != -EINVAL)
                return r < 0 ? r : set_string(slot, value);
        snprintf(expected, EXPECTED_MAX, "expected an address like https://api.telegram.org; %s", why);
        return -EINVAL;
}

static int parse_key_directory(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        char **directory = slot;

        if (isempty(value)) {
                free(*directory);
                *directory = NULL;
                return 0;
        }
        if (directory_is_valid(value))
                return set_string(slot, value);
        snprintf(expected, EXPECTED_MAX,
                 "expected the absolute path of a directory, like /var/lib/telegram-bot-api: letters, digits and -_.+@ "
                 "between single slashes, without . and .. and no slash at the end");
        return -EINVAL;
}

static bool is_service(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        return dot && streq(dot, ".service");
}

static int parse_key_service(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        if (unit_name_is_valid(value) && is_service(value))
                return set_string(slot, value);
        snprintf(expected, EXPECTED_MAX, "expected the name of one service, like telegram-bot-api.service");
        return -EINVAL;
}

static int parse_key_spool_to(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        char **unit = slot;

        if (streq(value, "none")) {
                free(*unit);
                *unit = NULL;
                return 0;
        }
        if (unit_name_is_valid(value) && is_service(value))
                return set_string(slot, value);
        snprintf(expected, EXPECTED_MAX, "expected the name of one worker, like shop@1.service, or none");
        return -EINVAL;
}

/* Words of a list, one by one. An empty value empties the list. */
static int parse_words(const char *value, char ***list, int (*add)(char ***list, const char *word))
{
        _cleanup_free_ char *words = strdup(value);
        char *rest = words;
        int r;

        if (!words)
                return -ENOMEM;
        if (isempty(value))
                *list = strv_free(*list);
        for (char *word; (word = strsep(&rest, " \t"));) {
                if (isempty(word))
                        continue;
                if (strv_length(*list) >= LIST_MAX)
                        return -EINVAL;
                r = add(list, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_worker(char ***list, const char *word)
{
        if (!is_service(word) || !(unit_name_is_valid(word) || unit_name_is_glob(word)))
                return -EINVAL;
        return strv_extend_unique(list, word);
}

static int parse_key_workers(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        int r = parse_words(value, slot, add_worker);

        if (r == -EINVAL)
                snprintf(expected, EXPECTED_MAX,
                         "expected names of services, like shop.service or \"shop@*.service\", "
                         "at most %u; of a timer or socket, the service that it starts",
                         LIST_MAX);
        return r;
}

/* The later assignment to a variable takes the place of the one before, as in [BotDefaults]. */
static int add_export(char ***list, const char *word)
{
        size_t name_size = strcspn(word, "=") + 1;

        if (!export_is_valid(word))
                return -EINVAL;
        STRV_FOREACH(other, *list)
                if (strncmp(*other, word, name_size) == 0)
                        return set_string(other, word);
        return strv_extend(list, word);
}

static int parse_key_exports(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        int r = parse_words(value, slot, add_export);

        if (r == -EINVAL)
                snprintf(expected, EXPECTED_MAX,
                         "expected NAME=TEXT with {root} in the text, without quotes, like "
                         "API_BASE={root}/bot");
        return r;
}

static int parse_key_on_undrained(const ConfigKey *key, const char *value, void *slot,
                                  char expected[static EXPECTED_MAX])
{
        OnUndrained u = on_undrained_from_string(value);

        if (u >= 0) {
                *(OnUndrained *) slot = u;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected fail, spool or wait");
        return -EINVAL;
}

static const char *const fallbacks[FALLBACK_MAX] = {
        [FALLBACK_MANUAL] = "manual",
        [FALLBACK_AUTO] = "auto",
};

const char *fallback_to_string(Fallback f)
{
        assert(f >= 0 && f < FALLBACK_MAX);

        return fallbacks[f];
}

Fallback fallback_from_string(const char *s)
{
        for (Fallback f = 0; f < FALLBACK_MAX; f++)
                if (streq(fallbacks[f], s))
                        return f;
        return FALLBACK_INVALID;
}

static int parse_key_fallback(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        Fallback f = fallback_from_string(value);

        if (f >= 0) {
                *(Fallback *) slot = f;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected manual or auto");
        return -EINVAL;
}

static const char *const moves[MOVE_MAX] = {
        [MOVE_RESTART] = "restart",
        [MOVE_RELOAD] = "reload",
};

const char *move_to_string(Move m)
{
        assert(m >= 0 && m < MOVE_MAX);

        return moves[m];
}

Move move_from_string(const char *s)
{
        for (Move m = 0; m < MOVE_MAX; m++)
                if (streq(moves[m], s))
                        return m;
        return MOVE_INVALID;
}

static int parse_key_move(const ConfigKey *key, const char *value, void *slot, char expected[static EXPECTED_MAX])
{
        Move m = move_from_string(value);

        if (m >= 0) {
                *(Move *) slot = m;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected restart or reload%s",
                 streq(value, "gateway") ? "; gateway is kept for a later version" : "");
        return -EINVAL;
}

static int parse_key_initial_seat(const ConfigKey *key, const char *value, void *slot,
                                  char expected[static EXPECTED_MAX])
{
        Seat seat = seat_from_string(value);

        if (seat == SEAT_CLOUD || seat == SEAT_LOCAL) {
                *(Seat *) slot = seat;
                return 0;
        }
        snprintf(expected, EXPECTED_MAX, "expected cloud or local, where the bot is logged in now");
        return -EINVAL;
}

/* Three-valued: yes, no, and not said. */
static int parse_key_webhook_secret(const ConfigKey *key, const char *value, void *slot,
                                    char expected[static EXPECTED_MAX])
{
        BotConfig *b = (BotConfig *) ((char *) slot - key->offset);
        int r = parse_key_boolean(key, value, slot, expected);

        if (r >= 0)
                b->webhook_secret_known = true;
        return r;
}

static int parse_key_webhook_address(const ConfigKey *key, const char *value, void *slot,
                                     char expected[static EXPECTED_MAX])
{
        if (streq(value, WEBHOOK_ADDRESS_BY_DNS) || webhook_address_is_valid(value))
                return set_string(slot, value);
        snprintf(expected, EXPECTED_MAX, "expected an IP address, like 198.51.100.7, or dns");
        return -EINVAL;
}

#define IN_MANAGER(member) MANAGER, offsetof(Config, member)
#define IN_BOT(member)     BOT, offsetof(BotConfig, member)
#define IN_BOTH(member)    BOT | BOT_DEFAULTS, offsetof(BotConfig, member)
/* clang-format off */
#define KEY(name, where, parser, ...) KEY_(name, where, parser, __VA_ARGS__)
#define KEY_(key_name, key_sections, key_offset, parser, ...)                                                \
        { .name = key_name, .sections = key_sections, .offset = key_offset, .parse = parser, __VA_ARGS__ }
/* clang-format on */
#define RANGE(from, to) .range = { (from), (to) }
#define LIST            .list = true

static const ConfigKey keys[] = {
        KEY("CloudServer", IN_MANAGER(cloud_root), parse_key_root),
        KEY("LocalServer", IN_MANAGER(local_root), parse_key_root),
        KEY("LocalServerUnit", IN_MANAGER(server_unit), parse_key_service),
        KEY("LocalFiles", IN_MANAGER(local_files), parse_key_directory),
        KEY("ServerStartTimeoutSec", IN_MANAGER(server_start_timeout_usec), parse_key_span,
            RANGE(USEC_PER_SEC, 10 * USEC_PER_MIN)),
        KEY("LoginProbe", IN_MANAGER(login_probe), parse_key_boolean),
        KEY("StateFreeMin", IN_MANAGER(state_free_min), parse_key_size, RANGE(0, UINT64_C(1) << 40)),
        KEY("CredentialConnectionsMax", IN_MANAGER(connections_max), parse_key_unsigned, RANGE(1, 1000)),
        KEY("Concurrency", IN_MANAGER(concurrency), parse_key_unsigned, RANGE(1, 64)),
        KEY("MaxFailures", IN_MANAGER(max_failures), parse_key_unsigned, RANGE(1, 1000)),
        KEY("StopWhenUnused", IN_MANAGER(stop_when_unused), parse_key_boolean),
        KEY("ServerProbeSec", IN_MANAGER(server_probe_usec), parse_key_span, RANGE(USEC_PER_SEC, 5 * USEC_PER_MIN)),

        KEY("InitialSeat", IN_BOT(initial_seat), parse_key_initial_seat),
        KEY("Worker", IN_BOT(workers), parse_key_workers, LIST),
        KEY("SpoolTo", IN_BOT(spool_to), parse_key_spool_to),

        KEY("Move", IN_BOTH(move), parse_key_move),
        KEY("OnUndrained", IN_BOTH(on_undrained), parse_key_on_undrained),
        KEY("DrainTimeoutSec", IN_BOTH(drain_timeout_usec), parse_key_span, RANGE(0, USEC_INFINITY)),
        KEY("StopTimeoutSec", IN_BOTH(stop_timeout_usec), parse_key_span, RANGE(USEC_PER_SEC, USEC_PER_HOUR)),
        KEY("StartTimeoutSec", IN_BOTH(start_timeout_usec), parse_key_span, RANGE(USEC_PER_SEC, USEC_PER_HOUR)),
        KEY("SpoolTimeoutSec", IN_BOTH(spool_timeout_usec), parse_key_span, RANGE(USEC_PER_SEC, USEC_PER_HOUR)),
        KEY("LogOutTimeoutSec", IN_BOTH(log_out_timeout_usec), parse_key_span, RANGE(USEC_PER_SEC, 10 * USEC_PER_MIN)),
        /* The server closes a connection without an answer after 500 s. */
        KEY("LogInTimeoutSec", IN_BOTH(log_in_timeout_usec), parse_key_span, RANGE(USEC_PER_SEC, 8 * USEC_PER_MIN)),
        /* Not for ever: with the workers stopped nobody serves the bot. */
        KEY("HoldTimeoutSec", IN_BOTH(hold_timeout_usec), parse_key_span, RANGE(USEC_PER_SEC, 24 * USEC_PER_HOUR)),
        KEY("SettleSec", IN_BOTH(settle_usec), parse_key_span, RANGE(0, 10 * USEC_PER_MIN)),
        KEY("ExportToken", IN_BOTH(export_token), parse_key_boolean),
        KEY("Export", IN_BOTH(exports), parse_key_exports, LIST),
        KEY("WebhookSecret", IN_BOTH(webhook_has_secret), parse_key_webhook_secret),
        KEY("WebhookIPAddress", IN_BOTH(webhook_ip_address), parse_key_webhook_address),
        KEY("Fallback", IN_BOTH(fallback), parse_key_fallback),
        KEY("FallbackGraceSec", IN_BOTH(fallback_grace_usec), parse_key_span, RANGE(5 * USEC_PER_SEC, USEC_PER_HOUR)),
};
static_assert(ELEMENTSOF(keys) <= CONFIG_KEYS_MAX, "line_of[] has a place for each key");

static const ConfigKey *find_key(const char *name)
{
        FOREACH_ELEMENT(key, keys)
                if (streq(key->name, name))
                        return key;
        return NULL;
}

unsigned config_line_of(const ConfigTarget *target, const char *key)
{
        return target->line_of[find_key(key) - keys];
}

static ConfigSection section_of(const char *name)
{
        return streq(name, "Manager") ? MANAGER : streq(name, "BotDefaults") ? BOT_DEFAULTS : BOT;
}

/* ---- what is said about keys that are not known ---- */

/* How many letters must be put in, taken out or replaced to make `a` of `b` (Levenshtein). */
static size_t edit_distance(const char *a, const char *b)
{
        size_t n = strlen(b), row[64];

        if (n >= ELEMENTSOF(row))
                return SIZE_MAX;
        for (size_t j = 0; j <= n; j++)
                row[j] = j;
        for (size_t i = 0; a[i]; i++) {
                size_t diagonal = row[0];

                row[0] = i + 1;
                for (size_t j = 0; j < n; j++) {
                        size_t change = diagonal + (strncasecmp(a + i, b + j, 1) != 0);

                        diagonal = row[j + 1];
                        row[j + 1] = MIN(change, MIN(row[j], row[j + 1]) + 1);
                }
        }
        return row[n];
}

static const ConfigKey *nearest_key(const char *name, ConfigSection section)
{
        size_t best = MIN(strlen(name) / 3, 3u) + 1;
        const ConfigKey *nearest = NULL;

        FOREACH_ELEMENT(key, keys) {
                size_t d = edit_distance(name, key->name);

                if ((key->sections & section) && d < best) {
                        best = d;
                        nearest = key;
                }
        }
        return nearest;
}

static char *list_keys(ConfigSection section)
{
        _cleanup_strv_ char **names = NULL;

        FOREACH_ELEMENT(key, keys)
                if ((key->sections & section) && strv_extend(&names, key->name) < 0)
                        return NULL;
        return strv_join(names, "=, ");
}

static int complain_unknown(const ConfigFile *file, const char *section, const char *name, unsigned line)
{
        const ConfigKey *nearest = nearest_key(name, section_of(section));
        _cleanup_free_ char *list = NULL;

        if (nearest)
                return config_problem_add(file->problems, file->path, line, file->bot,
                                          "Unknown key %.64s= in [%s]; did you mean %s=?", name, section,
                                          nearest->name);
        list = list_keys(section_of(section));
        if (!list)
                return -ENOMEM;
        return config_problem_add(file->problems, file->path, line, file->bot,
                                  "Unknown key %.64s= in [%s]; expected one of %s=", name, section, list);
}

static int complain_misplaced(const ConfigFile *file, const char *section, const ConfigKey *key, unsigned line)
{
        return config_problem_add(file->problems, file->path, line, file->bot, "%s= cannot stand in [%s], only in %s",
                                  key->name, section,
                                  key->sections == MANAGER ? "[Manager] of tgswitch.conf"
                                  : key->sections == BOT   ? "[Bot] of a file in bots.d"
                                                           : "[Bot] of a file in bots.d, or [BotDefaults]");
}

int config_assign(const ConfigFile *file, const char *section, const char *name, const char *value, unsigned line,
                  void *userdata)
{
        ConfigTarget *target = userdata;
        const ConfigKey *key = find_key(name);
        char expected[EXPECTED_MAX];
        unsigned *line_of;
        char *base;
        int r;

        if (!key)
                return complain_unknown(file, section, name, line);
        if (!(key->sections & section_of(section)))
                return complain_misplaced(file, section, key, line);
        line_of = target->line_of + (key - keys);
        if (*line_of > 0 && !key->list)
                return config_problem_add(file->problems, file->path, line, file->bot,
                                          "%s= stands here for the second time, first in line %u", key->name, *line_of);
        *line_of = line;
        base = key->sections == MANAGER ? (char *) target->config : (char *) target->bot;
        r = key->parse(key, value, base + key->offset, expected);
        if (r == -EINVAL)
                return config_problem_add(file->problems, file->path, line, file->bot, "%s= has a wrong value: %s",
                                          key->name, expected);
        return r;
}

/* ---- defaults ---- */

void config_set_defaults(Config *c)
{
        c->server_start_timeout_usec = 30 * USEC_PER_SEC;
        c->login_probe = true;
        c->state_free_min = UINT64_C(64) << 20;
        c->connections_max = 512;
        c->concurrency = 4;
        c->max_failures = 1;
        c->stop_when_unused = true;
        c->server_probe_usec = 5 * USEC_PER_SEC;
}

void bot_config_set_defaults(BotConfig *b)
{
        b->initial_seat = SEAT_UNDECLARED;
        b->on_undrained = ON_UNDRAINED_INVALID; /* follows from SpoolTo= */
        b->drain_timeout_usec = 30 * USEC_PER_SEC;
        b->stop_timeout_usec = 100 * USEC_PER_SEC;
        b->start_timeout_usec = 90 * USEC_PER_SEC;
        b->spool_timeout_usec = 30 * USEC_PER_SEC;
        b->log_out_timeout_usec = 30 * USEC_PER_SEC;
        b->log_in_timeout_usec = 20 * USEC_PER_SEC;
        b->hold_timeout_usec = 15 * USEC_PER_MIN;
        b->settle_usec = 5 * USEC_PER_SEC;
        b->fallback = FALLBACK_MANUAL;
        b->fallback_grace_usec = USEC_PER_MIN;
}

int config_finish(Config *c)
{
        if (!c->cloud_root)
                c->cloud_root = strdup("https://api.telegram.org");
        if (!c->local_root)
                c->local_root = strdup("http://127.0.0.1:8081");
        if (!c->server_unit)
                c->server_unit = strdup("telegram-bot-api.service");
        return c->cloud_root && c->local_root && c->server_unit ? 0 : -ENOMEM;
}

int bot_config_finish(const ConfigFile *file, const ConfigTarget *target)
{
        unsigned line = config_line_of(target, "SpoolTo");
        BotConfig *b = target->bot;
        bool found = false;

        if (line == 0 && strv_length(b->workers) == 1 && unit_name_is_valid(b->workers[0])) {
                b->spool_to = strdup(b->workers[0]);
                if (!b->spool_to)
                        return -ENOMEM;
        }
        STRV_FOREACH(worker, b->workers)
                found = found || (b->spool_to && unit_name_matches(*worker, b->spool_to));
        if (b->spool_to && !found)
                return config_problem_add(
                                file->problems, file->path, line, file->bot,
                                "SpoolTo= names no worker of this bot; name one that Worker= names or matches");
        b->spool_to_given = line > 0 && b->spool_to;
        b->on_undrained_given = b->on_undrained >= 0;
        if (b->on_undrained < 0)
                b->on_undrained = bot_config_hands_over(b) ? ON_UNDRAINED_SPOOL : ON_UNDRAINED_FAIL;
        return 0;
}
