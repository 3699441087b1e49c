/* SPDX-License-Identifier: MIT */

/* L5: what is read from a record is what was written, or nothing. The first line of the input has a word and the name
 * of a bot. After
 *
 *      bytes   comes the record as it lies on disk, and as root's tgswitchctl reads it out of the daemon's directory
 *      json    comes the text behind the header, which is made for it, so that the checksum hides nothing
 *      json2   comes the same of the version before
 *      fields  comes the value of each member of Record in a line, in the order of RECORD_FIELDS, to be written */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/strv.h"
#include "base/utf8.h"
#include "core/record-fields.h"
#include "fuzz.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-records.c"

#define UNIT_NAME_SIZE_MAX 255u
#define WHY_SIZE_MAX       128u
#define NEW_FIELDS_SIZE    128u /* of what version 2 did not have, as it is then */

#define FIELD(text, type, member) { text, FIELD_##type, offsetof(Record, member) },
static const RecordField fields[] = { RECORD_FIELDS(FIELD) };
#undef FIELD

/* ---- a record out of lines ---- */

static char **take_units(char *line)
{
        char **units = NULL;

        while (*line)
                assert(strv_extend(&units, fuzz_take_word(&line)) == 0);
        return units;
}

static json_object *take_strings(char *line)
{
        json_object *array = json_object_new_array();

        while (*line)
                assert(json_object_array_add(array, json_object_new_string(fuzz_take_word(&line))) == 0);
        return array;
}

static void take_field(const RecordField *field, char *line, Record *r)
{
        static const Seat seats[] = { SEAT_UNDECLARED, SEAT_CLOUD, SEAT_LOCAL };
        static const int word_counts[] = {
                [FIELD_STATE] = CUTOVER_STATE_MAX,
                [FIELD_JOB_RESULT] = JOB_RESULT_MAX,
                [FIELD_ON_UNDRAINED] = ON_UNDRAINED_MAX,
                [FIELD_HOLD_AT] = HOLD_AT_MAX,
        };
        uint64_t number = strtoull(line, NULL, 10);
        bool null = streq(line, "-");
        void *p = (char *) r + field->offset;

        switch (field->kind) {
        case FIELD_BOOL:
                *(bool *) p = number & 1;
                break;
        case FIELD_COUNT:
                *(int *) p = (int) (number & INT_MAX);
                break;
        case FIELD_UINT32:
                *(uint32_t *) p = (uint32_t) number;
                break;
        case FIELD_INT64:
                *(int64_t *) p = (int64_t) (number & INT64_MAX);
                break;
        case FIELD_UINT64:
                *(uint64_t *) p = number;
                break;
        case FIELD_STRING:
        case FIELD_OPTIONAL_STRING:
                *(char **) p = null ? NULL : strdup(line);
                break;
        case FIELD_UNITS:
                *(char ***) p = take_units(line);
                break;
        case FIELD_STRING_ARRAY:
                *(json_object **) p = null ? NULL : take_strings(line);
                break;
        case FIELD_ID128:
                memcpy(p, line, MIN(strlen(line), 16u));
                break;
        case FIELD_PHASES:
                for (size_t i = 0; i < JOB_PHASE_MAX; i++)
                        ((usec_t *) p)[i] = strtoull(fuzz_take_word(&line), NULL, 10);
                break;
        case FIELD_SETTLED_SEAT:
                *(Seat *) p = seats[number % ELEMENTSOF(seats)];
                break;
        default:
                *(int *) p = (int) (number % (unsigned) word_counts[field->kind]);
        }
}

/* ---- what may be refused, and what has to be the same ---- */

static bool string_is_too_long(const char *s, size_t size_max)
{
        return s && strlen(s) > size_max;
}

static bool units_are_off(char **units)
{
        STRV_FOREACH(unit, units)
                if (isempty(*unit) || strlen(*unit) > UNIT_NAME_SIZE_MAX)
                        return true;
        return strv_length(units) > RECORD_UNITS_MAX;
}

static bool strings_are_off(json_object *array)
{
        for (size_t i = 0; array && i < json_object_array_length(array); i++)
                if (json_object_get_string_len(json_object_array_get_idx(array, i)) > (int) RECORD_STRING_MAX)
                        return true;
        return false;
}

/* Whether a value is one that record_encode() has to refuse. */
static bool field_is_off(const RecordField *field, const Record *r)
{
        const void *p = (const char *) r + field->offset;

        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_OPTIONAL_STRING:
                return string_is_too_long(*(char *const *) p, RECORD_STRING_MAX);
        case FIELD_UNITS:
                return units_are_off(*(char **const *) p);
        case FIELD_STRING_ARRAY:
                return strings_are_off(*(json_object *const *) p);
        default:
                return false;
        }
}

static void assert_same_string(const char *written, const char *read)
{
        _cleanup_free_ char *valid = utf8_make_valid(written ?: "");

        assert(read && streq(valid, read));
}

static void assert_same_units(char **written, char **read)
{
        assert(strv_length(written) == strv_length(read));
        for (size_t i = 0; written && written[i]; i++)
                assert_same_string(written[i], read[i]);
}

static void assert_same_strings(json_object *written, json_object *read)
{
        assert(!written == !read);
        if (!written)
                return;
        assert(json_object_array_length(written) == json_object_array_length(read));
        for (size_t i = 0; i < json_object_array_length(written); i++)
                assert_same_string(json_object_get_string(json_object_array_get_idx(written, i)),
                                   json_object_get_string(json_object_array_get_idx(read, i)));
}

static void assert_same_field(const RecordField *field, const Record *written, const Record *read)
{
        const void *a = (const char *) written + field->offset, *b = (const char *) read + field->offset;

        switch (field->kind) {
        case FIELD_BOOL:
                assert(*(const bool *) a == *(const bool *) b);
                break;
        case FIELD_INT64:
        case FIELD_UINT64:
                assert(*(const uint64_t *) a == *(const uint64_t *) b);
                break;
        case FIELD_OPTIONAL_STRING:
                if (!*(char *const *) a) {
                        assert(!*(char *const *) b);
                        break;
                }
                assert_same_string(*(char *const *) a, *(char *const *) b);
                break;
        case FIELD_STRING:
                assert_same_string(*(char *const *) a, *(char *const *) b);
                break;
        case FIELD_UNITS:
                assert_same_units(*(char **const *) a, *(char **const *) b);
                break;
        case FIELD_STRING_ARRAY:
                assert_same_strings(*(json_object *const *) a, *(json_object *const *) b);
                break;
        case FIELD_ID128:
                assert(memcmp(a, b, 16) == 0);
                break;
        case FIELD_PHASES:
                assert(memcmp(a, b, JOB_PHASE_MAX * sizeof(usec_t)) == 0);
                break;
        default: /* all others have the size of an int */
                assert(*(const int *) a == *(const int *) b);
        }
}

/* ---- decoding and encoding ---- */

static void assert_encodes_to(const Record *r, const char *bot, const char *bytes, size_t size)
{
        _cleanup_free_ char *again = NULL;
        size_t again_size = 0;

        assert(record_encode(r, bot, &again, &again_size) == 0);
        assert(again_size == size && memcmp(again, bytes, size) == 0);
}

/* What has been read, out of so many bytes, can be written, and is the same when it is read again. */
static void assert_kept(const Record *r, const char *bot, size_t read_size)
{
        _cleanup_(record_done) Record again = {}, copy = {};
        _cleanup_free_ char *bytes = NULL;
        const char *why = NULL;
        size_t size = 0;

        assert(record_encode(r, bot, &bytes, &size) == 0);
        /* so that whatever fitted fits again; the newline at the end need not have been there, nor what is new */
        assert(size <= read_size + 1 + NEW_FIELDS_SIZE);
        assert(record_decode(bytes, size, bot, &again, &why) == 0);
        FOREACH_ELEMENT(f, fields) {
                assert_same_field(f, r, &again);
                /* nothing was repaired on the way */
                assert_same_field(f, &again, r);
        }
        assert_encodes_to(&again, bot, bytes, size);
        assert(record_copy(r, &copy) == 0);
        assert_encodes_to(&copy, bot, bytes, size);
}

/* Returns what record_decode() says. */
static int try_decode(const char *bytes, size_t size, const char *bot, Record *ret)
{
        const char *why = NULL;
        Record before;
        int r;

        memcpy(&before, ret, sizeof(before));
        r = record_decode(bytes, size, bot, ret, &why);
        if (r < 0) {
                assert(r == -EBADMSG || r == -EPROTONOSUPPORT);
                fuzz_assert_untouched(ret, &before, sizeof(before));
                assert(!isempty(why));
                fuzz_assert_text(why, WHY_SIZE_MAX);
                return r;
        }
        assert_kept(ret, bot, size);
        return 0;
}

/* ---- the file, as root reads it ---- */

/* `bot` is NULL where the file's name is no bot's. */
static void assert_file_is_read(const char *file, const char *bot, const char *bytes, size_t size, int result,
                                const Record *r)
{
        bool leaving = result == 0 && (r->state != CUTOVER_SETTLED || r->stale);
        _cleanup_strv_ char **bots = NULL, **complaints = NULL;
        _cleanup_close_ int directory = -EBADF, fd = -EBADF;
        const char *state_directory = fuzz_directory();
        int64_t bot_id = -1;

        assert(open_directory_at(AT_FDCWD, state_directory, 0700, &fd) == 0);
        assert(open_directory_at(fd, RECORDS_DIRECTORY, 0700, &directory) == 0);
        assert(write_file_atomic_at(directory, file, bytes, size, 0600, WRITE_NO_SYNC) == 0);
        assert(records_on_their_way(state_directory, &bots, &complaints) == 0);
        if (bot) {
                assert(records_bot_id(state_directory, bot, &bot_id) == 0);
                assert(bot_id == (result < 0 ? 0 : r->bot_id));
        }
        assert(unlink_if_exists_at(directory, file) == 1);

        assert(strv_length(bots) == (bot && leaving));
        assert(strv_length(complaints) == (bot && result < 0));
        if (bots)
                assert(streq(bots[0], bot));
        if (complaints) {
                fuzz_assert_text(complaints[0], PATH_MAX);
                assert(strstr(complaints[0], file));
        }
}

static void try_file(const char *name, const char *bytes, size_t size)
{
        _cleanup_(record_done) Record r = {};
        _cleanup_free_ char *file = NULL;
        bool is_bot = bot_name_is_valid(name);
        int result = try_decode(bytes, size, is_bot ? name : "shop", &r);

        /* one byte is not a name for a file, others stand for other directories */
        if (strlen(name) > 64 || name[0] == '.' || strchr(name, '/'))
                return;
        assert(asprintf(&file, "%s" RECORD_SUFFIX, name) > 0);
        assert_file_is_read(file, is_bot ? name : NULL, bytes, size, result, &r);
}

/* ---- the three kinds of input ---- */

static void try_json(const char *bot, unsigned version, const char *json, size_t size)
{
        _cleanup_(record_done) Record r = {};
        unsigned long crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *) json, size);
        _cleanup_free_ char *header = NULL, *bytes = NULL;
        int header_size;

        header_size = asprintf(&header, "tgswitch-record %u %zu %08lx\n", version, size, crc);
        assert(header_size > 0);
        bytes = realloc(header, (size_t) header_size + size + 1);
        assert(bytes);
        header = NULL;
        if (size > 0)
                memcpy(bytes + header_size, json, size);
        bytes[(size_t) header_size + size] = '\n';
        (void) try_decode(bytes, (size_t) header_size + size + 1, bot, &r);
}

static void try_fields(const char *bot, FuzzInput *in)
{
        _cleanup_(record_done) Record r = {}, read = {};
        _cleanup_free_ char *bytes = NULL;
        size_t size = 0, raw = in->left;
        bool off = false;
        int result;

        FOREACH_ELEMENT(f, fields) {
                _cleanup_free_ char *line = fuzz_take_line(in);

                take_field(f, line, &r);
                off = off || field_is_off(f, &r);
        }
        result = record_encode(&r, bot, &bytes, &size);
        if (result < 0) {
                /* the worst that JSON makes of a byte are six */
                assert(off ? result == -E2BIG || result == -EINVAL
                           : result == -E2BIG && 6 * raw + 8192 > RECORD_SIZE_MAX);
                assert(!bytes && size == 0);
                return;
        }
        assert(!off && size <= RECORD_SIZE_MAX);
        assert(try_decode(bytes, size, bot, &read) == 0);
        FOREACH_ELEMENT(f, fields)
                assert_same_field(f, &r, &read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *line = fuzz_take_line(&in);
        char *name = line;
        const char *kind = fuzz_take_word(&name), *bot = bot_name_is_valid(name) ? name : "shop";

        if (streq(kind, "fields"))
                try_fields(bot, &in);
        else if (streq(kind, "json") || streq(kind, "json2"))
                try_json(bot, streq(kind, "json") ? 3 : 2, in.next, in.left);
        else
                try_file(name, in.next, in.left);
        return 0;
}
