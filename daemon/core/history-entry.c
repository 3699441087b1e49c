/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>

#include "base/strv.h"
#include "base/utf8.h"
#include "core/history-entry.h"
#include "core/json-text.h"
#include "core/record-fields.h"

#define HISTORY_FIELDS(FIELD)                                   \
        FIELD("id", UINT32, job.id)                             \
        FIELD("bot", STRING, bot)                               \
        FIELD("bot-id", INT64, bot_id)                          \
        FIELD("source", SETTLED_SEAT, job.source)               \
        FIELD("target", SETTLED_SEAT, job.wanted)               \
        FIELD("seat", SETTLED_SEAT, seat)                       \
        FIELD("result", JOB_RESULT, job.result)                 \
        FIELD("automatic", BOOL, job.automatic)                 \
        FIELD("requester", STRING, job.requester)               \
        FIELD("reason", STRING, job.reason)                     \
        FIELD("started-usec", UINT64, job.started_usec)         \
        FIELD("ended-usec", UINT64, job.ended_usec)             \
        FIELD("phase-usec", PHASES, job.phase_usec)             \
        FIELD("pending-at-start", UINT64, job.pending_at_start) \
        FIELD("drained", UINT64, job.drained)                   \
        FIELD("spooled", UINT64, job.spooled)                   \
        FIELD("handed-over", UINT64, job.handed_over)           \
        FIELD("blind-usec", UINT64, job.blind_usec)             \
        FIELD("downtime-usec", UINT64, job.downtime_usec)       \
        FIELD("error", STRING, job.error)

#define FIELD(text, type, member) { text, FIELD_##type, offsetof(HistoryEntry, member) },
static const RecordField fields[] = { HISTORY_FIELDS(FIELD) };
#undef FIELD

/* json-c keeps the order of the members, so this is what every line begins with, and what follows the number. */
#define LINE_START "{\"id\":"
#define LINE_BOT   ",\"bot\":\""

static bool is_control(const char *s)
{
        const uint8_t *c = (const uint8_t *) s;

        /* the C1 set too, U+0080 to U+009F */
        return c[0] < 0x20 || c[0] == 0x7f || (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
}

/* A copy of at most `size_max` bytes, for people and for one line. */
static int copy_text(const char *s, size_t size_max, char **ret)
{
        char *copy = utf8_make_valid(s ?: "");
        size_t n = copy ? strlen(copy) : 0, size = 0, length;

        if (!copy)
                return -ENOMEM;
        /* An end within a sequence would be one that is none. */
        while ((length = utf8_sequence_length(copy + size, n - size)) > 0 && size + length <= size_max) {
                if (is_control(copy + size))
                        memset(copy + size, '?', length);
                size += length;
        }
        copy[size] = '\0';
        *ret = copy;
        return 0;
}

int history_entry_new(HistoryEntry *ret, const char *bot, const Record *record)
{
        _cleanup_(history_entry_done) HistoryEntry e = { .bot_id = record->bot_id, .seat = record->seat };
        int r;

        assert(record->job.id > 0 && record->job.result != JOB_RESULT_NONE);

        e.job = record->job;
        e.job.reason = e.job.requester = e.job.error = NULL;
        e.bot = strdup(bot);
        r = e.bot ? copy_text(record->job.reason, HISTORY_REASON_MAX, &e.job.reason) : -ENOMEM;
        if (r >= 0)
                r = copy_text(record->job.requester, HISTORY_REQUESTER_MAX, &e.job.requester);
        if (r >= 0)
                r = copy_text(record->job.error, HISTORY_ERROR_MAX, &e.job.error);
        if (r < 0)
                return r;
        *ret = e;
        e = (HistoryEntry){};
        return 0;
}

void history_entry_done(HistoryEntry *e)
{
        FOREACH_ELEMENT(f, fields)
                record_field_done(f, e);
}

static void json_putp(json_object **o)
{
        json_object_put(*o);
}

int history_entry_encode(const HistoryEntry *e, char **ret, size_t *ret_size)
{
        _cleanup_(json_putp) json_object *object = json_object_new_object();
        json_object *value;
        const char *json;
        size_t size;
        char *line;
        int r;

        if (!object)
                return -ENOMEM;
        FOREACH_ELEMENT(f, fields) {
                r = record_field_encode(f, e, &value);
                if (r < 0)
                        return r;
                if (json_object_object_add_ex(object, f->name, value, JSON_C_OBJECT_ADD_CONSTANT_KEY) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        json = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                                                 &size);
        line = json ? malloc(size + 2) : NULL;
        if (!line)
                return -ENOMEM;
        memcpy(line, json, size);
        memcpy(line + size, "\n", 2);
        *ret = line;
        *ret_size = size + 1;
        return 0;
}

static bool text_is_ours(const char *s, size_t size_max)
{
        size_t n = strlen(s);

        if (n > size_max || !utf8_is_valid(s, n))
                return false;
        for (; *s; s++)
                if (is_control(s))
                        return false;
        return true;
}

static bool entry_is_ours(const HistoryEntry *e)
{
        return e->job.id > 0 && e->job.result != JOB_RESULT_NONE && !isempty(e->bot) &&
               text_is_ours(e->bot, HISTORY_REASON_MAX) && text_is_ours(e->job.reason, HISTORY_REASON_MAX) &&
               text_is_ours(e->job.requester, HISTORY_REQUESTER_MAX) && text_is_ours(e->job.error, HISTORY_ERROR_MAX);
}

static int entry_from_json(json_object *object, HistoryEntry *e)
{
        json_object *value;
        int r;

        if (!json_object_is_type(object, json_type_object))
                return -EBADMSG;
        FOREACH_ELEMENT(f, fields) {
                if (!json_object_object_get_ex(object, f->name, &value))
                        return -EBADMSG;
                r = record_field_decode(f, value, e);
                if (r < 0)
                        return r;
        }
        return json_object_object_length(object) == (int) ELEMENTSOF(fields) && entry_is_ours(e) ? 0 : -EBADMSG;
}

int history_entry_decode(const char *line, size_t size, HistoryEntry *ret)
{
        _cleanup_(history_entry_done) HistoryEntry e = {};
        _cleanup_(json_putp) json_object *object = NULL;
        int r;

        if (size > HISTORY_LINE_MAX)
                return -EBADMSG;
        if (size > 0 && line[size - 1] == '\n')
                size--;
        r = json_text_parse(line, size, &object);
        if (r >= 0)
                r = entry_from_json(object, &e);
        /* Found by how it begins, where it is looked for. */
        if (r >= 0 && history_line_job_id(line, size) != e.job.id)
                r = -EBADMSG;
        if (r < 0)
                return r;
        *ret = e;
        e = (HistoryEntry){};
        return 0;
}

uint32_t history_line_job_id(const char *line, size_t size)
{
        size_t i = strlen(LINE_START);
        uint64_t id = 0;

        if (size < i || memcmp(line, LINE_START, i) != 0)
                return 0;
        for (; i < size && line[i] >= '0' && line[i] <= '9' && id <= UINT32_MAX; i++)
                id = 10 * id + (uint64_t) (line[i] - '0');
        return i < size && line[i] == ',' && id <= UINT32_MAX ? (uint32_t) id : 0;
}

/* What stands behind the first of these in the line, or NULL. A text has no quotes in it that stand alone, so what
 * begins with one is no part of a text. */
static const char *find(const char *line, size_t size, const char *key)
{
        const char *at = memmem(line, size, key, strlen(key));

        return at ? at + strlen(key) : NULL;
}

char *history_line_bot(const char *line, size_t size)
{
        const char *bot = history_line_job_id(line, size) > 0 ? find(line, size, LINE_BOT) : NULL;
        const char *end = bot ? memchr(bot, '"', (size_t) (line + size - bot)) : NULL;

        return end && end > bot ? strndup(bot, (size_t) (end - bot)) : NULL;
}

/* ---- which ---- */

void history_filter_init(HistoryFilter *f)
{
        *f = (HistoryFilter){
                .limit = HISTORY_LIMIT_DEFAULT,
                .until_usec = USEC_INFINITY,
                .target = SEAT_INVALID,
                .result = JOB_RESULT_INVALID,
        };
}

void history_filter_done(HistoryFilter *f)
{
        f->bots = strv_free(f->bots);
        free(f->found);
        f->found = NULL;
}

/* strpbrk() makes a table each time. */
static bool is_glob(const char *s)
{
        while (*s && *s != '*' && *s != '?' && *s != '[' && *s != '\\')
                s++;
        return *s;
}

/* fnmatch() costs many times what a comparison does, and most of what is asked for are names. */
static bool name_matches(const char *name, const char *bot)
{
        return streq(name, bot) || (is_glob(name) && fnmatch(name, bot, 0) == 0);
}

/* All that were not found yet are looked at, for each has a note of its own. */
static bool names_match(HistoryFilter *f, const char *bot)
{
        bool any = !f->bots;

        for (size_t i = 0; f->bots && f->bots[i]; i++)
                if (!(any && f->found[i]) && name_matches(f->bots[i], bot))
                        any = f->found[i] = true;
        return any;
}

bool history_filter_matches(HistoryFilter *f, const HistoryEntry *e)
{
        return names_match(f, e->bot) && e->job.ended_usec >= f->since_usec && e->job.ended_usec <= f->until_usec &&
               (f->target < 0 || f->target == e->job.wanted) && (f->result < 0 || f->result == e->job.result);
}

static bool has_word(const char *line, size_t size, const char *key, const char *word)
{
        const char *at = find(line, size, key);
        size_t n = strlen(word);

        return at && (size_t) (line + size - at) > n && memcmp(at, word, n) == 0 && at[n] == '"';
}

static bool ended_outside(const HistoryFilter *f, const char *line, size_t size)
{
        const char *at = find(line, size, "\"ended-usec\":");
        usec_t ended_usec = 0;

        /* What is too large to be counted is none of ours. */
        for (; at && at < line + size && *at >= '0' && *at <= '9'; at++)
                ended_usec = 10 * ended_usec + (usec_t) (*at - '0');
        return at && (ended_usec < f->since_usec || ended_usec > f->until_usec);
}

bool history_filter_skips(HistoryFilter *f, const char *line, size_t size)
{
        _cleanup_free_ char *bot = history_line_bot(line, size);

        if (!bot)
                return false;
        return !names_match(f, bot) ||
               (f->target >= 0 && !has_word(line, size, "\"target\":\"", seat_to_string(f->target))) ||
               (f->result >= 0 && !has_word(line, size, "\"result\":\"", job_result_to_string(f->result))) ||
               ended_outside(f, line, size);
}

void history_filter_note(HistoryFilter *f, const char *line, size_t size)
{
        _cleanup_free_ char *bot = history_line_bot(line, size);

        for (size_t i = 0; bot && f->bots && f->bots[i]; i++)
                f->found[i] = f->found[i] || name_matches(f->bots[i], bot);
}

const char *history_filter_unknown(const HistoryFilter *f)
{
        for (size_t i = 0; f->bots && f->bots[i]; i++)
                if (!f->found[i])
                        return f->bots[i];
        return NULL;
}
