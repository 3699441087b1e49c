/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <zlib.h>

#include "base/utf8.h"
#include "core/record-fields.h"

#define RECORD_MAGIC      "tgswitch-record "
#define RECORD_VERSION    3u
#define RECORD_OLDEST     2u
#define RECORD_HEADER_MAX 64u
#define RECORD_BOT_KEY    "bot"

#define FIELD(text, type, member) { text, FIELD_##type, offsetof(Record, member) },
static const RecordField fields[] = { RECORD_FIELDS(FIELD) };
#undef FIELD

/* A member that is added to Record and not to RECORD_FIELDS would be forgotten on disk. It changes this sum, unless it
 * is small and falls into the padding, which is here what the 64-bit ABIs of Linux put between the members. */
#if UINTPTR_MAX == UINT64_MAX
#define RECORD_PADDING            75u
#define FIELD(text, type, member) +sizeof(((Record *) NULL)->member)
/* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of pointers is meant */
static_assert(sizeof(Record) == RECORD_PADDING RECORD_FIELDS(FIELD), "RECORD_FIELDS leaves out a member of Record");
#undef FIELD
#endif

#define DEFINE_NAMES(prefix, type, max)                                            \
        const char *prefix##_to_string(type value)                                 \
        {                                                                          \
                return value >= 0 && value < (max) ? prefix##_names[value] : NULL; \
        }                                                                          \
                                                                                   \
        type prefix##_from_string(const char *s)                                   \
        {                                                                          \
                for (int i = 0; s && i < (int) (max); i++)                         \
                        if (streq(s, prefix##_names[i]))                           \
                                return (type) i;                                   \
                return (type) -EINVAL;                                             \
        }                                                                          \
        struct _swallow_semicolon_

static const char *const on_undrained_names[] = {
        [ON_UNDRAINED_FAIL] = "fail",
        [ON_UNDRAINED_SPOOL] = "spool",
        [ON_UNDRAINED_WAIT] = "wait",
};
DEFINE_NAMES(on_undrained, OnUndrained, ON_UNDRAINED_MAX);

static const char *const job_result_names[] = {
        [JOB_RESULT_NONE] = "none",
        [JOB_RESULT_DONE] = "done",
        [JOB_RESULT_FAILED] = "failed",
        [JOB_RESULT_CANCELED] = "canceled",
};
DEFINE_NAMES(job_result, JobResult, JOB_RESULT_MAX);

static const char *const hold_at_names[] = {
        [HOLD_AT_NONE] = "none",
        [HOLD_AT_STOP_WORKERS] = "stop-workers",
        [HOLD_AT_LOG_OUT] = "log-out",
};
DEFINE_NAMES(hold_at, HoldAt, HOLD_AT_MAX);

static const char *const job_phase_names[] = {
        [JOB_PHASE_QUEUED] = "queued",
        [JOB_PHASE_STALE_SESSION] = "stale-session",
        [JOB_PHASE_CHECK] = "check",
        [JOB_PHASE_DRAIN] = "drain",
        [JOB_PHASE_STOP_WORKERS] = "stop-workers",
        [JOB_PHASE_SPOOL] = "spool",
        [JOB_PHASE_LOG_OUT] = "log-out",
        [JOB_PHASE_LOG_IN] = "log-in",
        [JOB_PHASE_RESTORE_WEBHOOK] = "restore-webhook",
        [JOB_PHASE_PUBLISH] = "publish",
        [JOB_PHASE_START_WORKERS] = "start-workers",
        [JOB_PHASE_CONFIRM] = "confirm",
        [JOB_PHASE_ROLL_BACK] = "roll-back",
};
DEFINE_NAMES(job_phase, JobPhase, JOB_PHASE_MAX);

void record_init(Record *r)
{
        *r = (Record){};
}

Window *record_window(Record *r, Seat server)
{
        assert(server == SEAT_CLOUD || server == SEAT_LOCAL);

        return server == SEAT_CLOUD ? &r->cloud_window : &r->local_window;
}

void record_done(Record *r)
{
        FOREACH_ELEMENT(f, fields)
                record_field_done(f, r);
}

int record_copy(const Record *r, Record *ret)
{
        _cleanup_(record_done) Record copy = {};
        int k;

        FOREACH_ELEMENT(f, fields) {
                k = record_field_copy(f, r, &copy);
                if (k < 0)
                        return k;
        }
        *ret = copy;
        copy = (Record){};
        return 0;
}

static void json_putp(json_object **o)
{
        json_object_put(*o);
}

static int add_member(json_object *object, const char *name, json_object *value)
{
        if (json_object_object_add_ex(object, name, value, JSON_C_OBJECT_ADD_CONSTANT_KEY) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int record_to_json(const Record *r, const char *bot, json_object **ret)
{
        _cleanup_(json_putp) json_object *object = json_object_new_object();
        json_object *value;
        int k;

        value = json_object_new_string(bot);
        if (!object || !value) {
                json_object_put(value);
                return -ENOMEM;
        }
        k = add_member(object, RECORD_BOT_KEY, value);
        if (k < 0)
                return k;
        FOREACH_ELEMENT(f, fields) {
                k = record_field_encode(f, r, &value);
                if (k < 0)
                        return k;
                k = add_member(object, f->name, value);
                if (k < 0)
                        return k;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

static size_t print_header(char header[static RECORD_HEADER_MAX], unsigned version, const char *json, size_t json_size)
{
        uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *) json, json_size);

        return (size_t) snprintf(header, RECORD_HEADER_MAX, RECORD_MAGIC "%u %zu %08lx\n", version, json_size, crc);
}

int record_encode(const Record *r, const char *bot, char **ret, size_t *ret_size)
{
        _cleanup_(json_putp) json_object *object = NULL;
        char header[RECORD_HEADER_MAX];
        size_t header_size, json_size;
        const char *json;
        char *bytes;
        int k;

        k = record_to_json(r, bot, &object);
        if (k < 0)
                return k;
        json = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                                                 &json_size);
        if (!json)
                return -ENOMEM;
        header_size = print_header(header, RECORD_VERSION, json, json_size);
        if (header_size + json_size + 1 > RECORD_SIZE_MAX)
                return -E2BIG;
        bytes = malloc(header_size + json_size + 1);
        if (!bytes)
                return -ENOMEM;
        memcpy(bytes, header, header_size);
        memcpy(bytes + header_size, json, json_size);
        bytes[header_size + json_size] = '\n';
        *ret = bytes;
        *ret_size = header_size + json_size + 1;
        return 0;
}

/* Digits of the version, which every version of this program will write behind the magic. */
static int check_version(const char *bytes, size_t size, unsigned *ret, const char **ret_why)
{
        size_t i = strlen(RECORD_MAGIC), first = i;
        unsigned version = 0;

        if (size < i || memcmp(bytes, RECORD_MAGIC, i) != 0) {
                *ret_why = "it does not begin like a record of tgswitchd";
                return -EBADMSG;
        }
        for (; i < size && i - first < 4 && bytes[i] >= '0' && bytes[i] <= '9'; i++)
                version = 10 * version + (unsigned) (bytes[i] - '0');
        if (i == first || i == size || bytes[i] != ' ') {
                *ret_why = "its first line is damaged";
                return -EBADMSG;
        }
        if (version < RECORD_OLDEST || version > RECORD_VERSION) {
                *ret_why = "it was written by another version of tgswitchd";
                return -EPROTONOSUPPORT;
        }
        *ret = version;
        return 0;
}

/* Finds the JSON text. The header is not parsed twice over: what it must be follows from the text behind it. */
static int find_json(const char *bytes, size_t size, unsigned version, const char **ret, size_t *ret_size,
                     const char **ret_why)
{
        const char *newline = memchr(bytes, '\n', MIN(size, RECORD_HEADER_MAX));
        char header[RECORD_HEADER_MAX];
        const char *json, *end;
        size_t header_size, padding;

        if (!newline) {
                *ret_why = "its first line is damaged";
                return -EBADMSG;
        }
        json = newline + 1;
        /* One line, and behind it nothing but ends of lines: many, with which the store has padded the file. */
        end = memchr(json, '\n', size - (size_t) (json - bytes)) ?: bytes + size;
        padding = (size_t) (bytes + size - end);
        if (padding > 1 && memcmp(end, end + 1, padding - 1) != 0)
                end = bytes + size;
        header_size = print_header(header, version, json, (size_t) (end - json));
        if (header_size != (size_t) (json - bytes) || memcmp(header, bytes, header_size) != 0) {
                *ret_why = "its content does not match its checksum";
                return -EBADMSG;
        }
        *ret = json;
        *ret_size = (size_t) (end - json);
        return 0;
}

/* json-c takes control characters within a string, and writes each as six bytes; and the UTF-8 that it takes for good
 * is not what utf8_make_valid() leaves as it is. Either would be read as something that cannot be written again. */
static bool text_is_ours(const char *json, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if ((uint8_t) json[i] < ' ')
                        return false;
        return utf8_is_valid(json, size);
}

static int parse_json(const char *json, size_t size, json_object **ret)
{
        json_tokener *tokener;
        json_object *object;
        bool good;

        if (!text_is_ours(json, size))
                return -EBADMSG;
        tokener = json_tokener_new_ex(4);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        object = json_tokener_parse_ex(tokener, json, (int) size);
        good = json_tokener_get_error(tokener) == json_tokener_success && json_tokener_get_parse_end(tokener) == size &&
               json_object_is_type(object, json_type_object);
        json_tokener_free(tokener);
        if (!good) {
                json_object_put(object);
                return -EBADMSG;
        }
        *ret = object;
        return 0;
}

/* Version 2 did not keep what the history tells of a job. */
static bool field_is_of_version(const RecordField *field, unsigned version)
{
        static const char *const new[] = { "job.source", "job.wanted", "job.phase-usec" };

        FOREACH_ELEMENT(name, new)
                if (version < 3 && streq(field->name, *name))
                        return false;
        return true;
}

static int record_from_json(json_object *object, const char *bot, unsigned version, Record *r, const char **ret_why)
{
        int k, n_fields = 1; /* the bot's name */
        json_object *value;

        if (!json_object_object_get_ex(object, RECORD_BOT_KEY, &value) ||
            !json_object_is_type(value, json_type_string) || !streq(json_object_get_string(value), bot)) {
                *ret_why = "it is the record of another bot";
                return -EBADMSG;
        }
        FOREACH_ELEMENT(f, fields) {
                if (!field_is_of_version(f, version))
                        continue;
                n_fields++;
                if (!json_object_object_get_ex(object, f->name, &value)) {
                        *ret_why = "a field is missing";
                        return -EBADMSG;
                }
                k = record_field_decode(f, value, r);
                if (k < 0) {
                        *ret_why = "a field has a value that tgswitchd never writes";
                        return k;
                }
        }
        /* All of ours are there, so any more are not ours. */
        if (json_object_object_length(object) != n_fields) {
                *ret_why = "it has an unknown field";
                return -EBADMSG;
        }
        return 0;
}

int record_decode(const char *bytes, size_t size, const char *bot, Record *ret, const char **ret_why)
{
        _cleanup_(json_putp) json_object *object = NULL;
        _cleanup_(record_done) Record r = {};
        const char *json;
        unsigned version;
        size_t json_size;
        int k;

        if (size > RECORD_SIZE_MAX) {
                *ret_why = "it is too large";
                return -EBADMSG;
        }
        k = check_version(bytes, size, &version, ret_why);
        if (k < 0)
                return k;
        k = find_json(bytes, size, version, &json, &json_size, ret_why);
        if (k < 0)
                return k;
        k = parse_json(json, json_size, &object);
        if (k < 0) {
                *ret_why = "it is not JSON";
                return k;
        }
        k = record_from_json(object, bot, version, &r, ret_why);
        if (k < 0)
                return k;
        if (version < 3)
                r.job.wanted = r.job.target;
        *ret = r;
        r = (Record){};
        return 0;
}
