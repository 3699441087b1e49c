/* SPDX-License-Identifier: MIT */

#include "base/strv.h"
#include "base/utf8.h"
#include "core/record-fields.h"

#define UNIT_NAME_MAX 255u

/* Enums of a record are written as words. All have the size of an int, which is how they are reached here. */
typedef struct Words {
        const char *(*to_string)(int value);
        int (*from_string)(const char *s);
} Words;

#define DEFINE_WORDS(name, type)                                                 \
        static const char *name##_word(int value)                                \
        {                                                                        \
                static_assert(sizeof(type) == sizeof(int), "an enum is an int"); \
                return name##_to_string((type) value);                           \
        }                                                                        \
        static int name##_value(const char *s)                                   \
        {                                                                        \
                return (int) name##_from_string(s);                              \
        }

DEFINE_WORDS(cutover_state, CutoverState)
DEFINE_WORDS(job_result, JobResult)
DEFINE_WORDS(on_undrained, OnUndrained)
DEFINE_WORDS(hold_at, HoldAt)

/* In between, the seat follows from state and target: only these are ever written. */
static const char *settled_seat_word(int value)
{
        return value == SEAT_UNDECLARED || value == SEAT_CLOUD || value == SEAT_LOCAL ? seat_to_string((Seat) value)
                                                                                      : NULL;
}

static int settled_seat_value(const char *s)
{
        Seat seat = seat_from_string(s);

        return settled_seat_word((int) seat) ? (int) seat : -EINVAL;
}

static const Words *field_words(FieldKind kind)
{
        static const Words words[] = {
                [FIELD_SETTLED_SEAT] = { settled_seat_word, settled_seat_value },
                [FIELD_STATE] = { cutover_state_word, cutover_state_value },
                [FIELD_JOB_RESULT] = { job_result_word, job_result_value },
                [FIELD_ON_UNDRAINED] = { on_undrained_word, on_undrained_value },
                [FIELD_HOLD_AT] = { hold_at_word, hold_at_value },
        };

        assert(kind >= FIELD_SETTLED_SEAT && kind < ELEMENTSOF(words));
        return &words[kind];
}

static const void *field_of(const RecordField *field, const void *base)
{
        return (const char *) base + field->offset;
}

static void *field_slot(const RecordField *field, void *base)
{
        return (char *) base + field->offset;
}

static int encode_string(const char *s, size_t size_max, json_object **ret)
{
        _cleanup_free_ char *valid = NULL;

        if (strlen(s) > size_max)
                return -E2BIG;
        valid = utf8_make_valid(s);
        if (!valid)
                return -ENOMEM;
        *ret = json_object_new_string(valid);
        return *ret ? 0 : -ENOMEM;
}

static int append_string(json_object *array, const char *s, size_t size_max)
{
        json_object *element;
        int r;

        r = encode_string(s, size_max, &element);
        if (r < 0)
                return r;
        if (json_object_array_add(array, element) == 0)
                return 0;
        json_object_put(element);
        return -ENOMEM;
}

static int encode_units(char *const *units, json_object **ret)
{
        json_object *array;
        int r = 0;

        if (strv_length(units) > RECORD_UNITS_MAX)
                return -E2BIG;
        array = json_object_new_array();
        if (!array)
                return -ENOMEM;
        for (; units && *units && r >= 0; units++)
                r = isempty(*units) ? -EINVAL : append_string(array, *units, UNIT_NAME_MAX);
        if (r < 0) {
                json_object_put(array);
                return r;
        }
        *ret = array;
        return 0;
}

static int encode_string_array(json_object *strings, json_object **ret)
{
        json_object *array;
        int r = 0;

        if (!json_object_is_type(strings, json_type_array))
                return -EINVAL;
        array = json_object_new_array();
        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < json_object_array_length(strings) && r >= 0; i++) {
                json_object *s = json_object_array_get_idx(strings, i);

                r = json_object_is_type(s, json_type_string)
                                    ? append_string(array, json_object_get_string(s), RECORD_STRING_MAX)
                                    : -EINVAL;
        }
        if (r < 0) {
                json_object_put(array);
                return r;
        }
        *ret = array;
        return 0;
}

static const char hex_digits[] = "0123456789abcdef";

static json_object *encode_id128(const uint8_t *id)
{
        char digits[32];

        for (size_t i = 0; i < 16; i++) {
                digits[2 * i] = hex_digits[id[i] >> 4];
                digits[2 * i + 1] = hex_digits[id[i] & 0xf];
        }
        return json_object_new_string_len(digits, sizeof(digits));
}

static int encode_phases(const usec_t *phases, json_object **ret)
{
        json_object *array = json_object_new_array(), *number;

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < JOB_PHASE_MAX; i++) {
                number = json_object_new_uint64(phases[i]);
                if (number && json_object_array_add(array, number) == 0)
                        continue;
                json_object_put(number);
                json_object_put(array);
                return -ENOMEM;
        }
        *ret = array;
        return 0;
}

static json_object *encode_word(FieldKind kind, int value)
{
        const char *word = field_words(kind)->to_string(value);

        assert(word);
        return json_object_new_string(word);
}

int record_field_encode(const RecordField *field, const void *base, json_object **ret)
{
        const void *p = field_of(field, base);
        json_object *value;

        switch (field->kind) {
        case FIELD_BOOL:
                value = json_object_new_boolean(*(const bool *) p);
                break;
        case FIELD_COUNT:
                assert(*(const int *) p >= 0);
                value = json_object_new_int(*(const int *) p);
                break;
        case FIELD_UINT32:
                value = json_object_new_int64(*(const uint32_t *) p);
                break;
        case FIELD_INT64:
                assert(*(const int64_t *) p >= 0);
                value = json_object_new_int64(*(const int64_t *) p);
                break;
        case FIELD_UINT64:
                value = json_object_new_uint64(*(const uint64_t *) p);
                break;
        case FIELD_STRING:
        case FIELD_OPTIONAL_STRING:
                if (*(char *const *) p)
                        return encode_string(*(char *const *) p, RECORD_STRING_MAX, ret);
                if (field->kind == FIELD_STRING)
                        return encode_string("", RECORD_STRING_MAX, ret);
                *ret = NULL;
                return 0;
        case FIELD_UNITS:
                return encode_units(*(char **const *) p, ret);
        case FIELD_STRING_ARRAY:
                if (*(json_object *const *) p)
                        return encode_string_array(*(json_object *const *) p, ret);
                *ret = NULL;
                return 0;
        case FIELD_ID128:
                value = encode_id128(p);
                break;
        case FIELD_PHASES:
                return encode_phases(p, ret);
        default:
                value = encode_word(field->kind, *(const int *) p);
        }
        if (!value)
                return -ENOMEM;
        *ret = value;
        return 0;
}

/* json-c gives a number for nearly everything it is asked for as one: so the type is looked at first. */
static int decode_unsigned(json_object *value, uint64_t max, uint64_t *ret)
{
        uint64_t u;

        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
                return -EBADMSG;
        u = json_object_get_uint64(value);
        if (u > max)
                return -EBADMSG;
        *ret = u;
        return 0;
}

/* The text of a JSON string of at most `size_max` bytes, without a NUL inside; borrowed. */
static const char *string_of(json_object *value, size_t size_max)
{
        const char *s;

        if (!json_object_is_type(value, json_type_string))
                return NULL;
        s = json_object_get_string(value);
        if (strlen(s) != (size_t) json_object_get_string_len(value) || strlen(s) > size_max)
                return NULL;
        return s;
}

static int decode_string(json_object *value, char **ret)
{
        const char *s = string_of(value, RECORD_STRING_MAX);

        if (!s)
                return -EBADMSG;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int decode_units(json_object *value, char ***ret)
{
        _cleanup_strv_ char **units = NULL;
        size_t n;
        int r;

        if (!json_object_is_type(value, json_type_array))
                return -EBADMSG;
        n = json_object_array_length(value);
        if (n > RECORD_UNITS_MAX)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                const char *s = string_of(json_object_array_get_idx(value, i), UNIT_NAME_MAX);

                if (isempty(s))
                        return -EBADMSG;
                r = strv_extend(&units, s);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(units);
        return 0;
}

static int decode_string_array(json_object *value, json_object **ret)
{
        if (value && !json_object_is_type(value, json_type_array))
                return -EBADMSG;
        for (size_t i = 0; value && i < json_object_array_length(value); i++)
                if (!string_of(json_object_array_get_idx(value, i), RECORD_STRING_MAX))
                        return -EBADMSG;
        *ret = json_object_get(value);
        return 0;
}

static unsigned hex_value(char digit)
{
        return digit <= '9' ? (unsigned) (digit - '0') : (unsigned) (digit - 'a') + 10;
}

static int decode_id128(json_object *value, uint8_t *ret)
{
        const char *s = string_of(value, 32);
        uint8_t id[16];

        if (!s || strlen(s) != 32 || strspn(s, hex_digits) != 32)
                return -EBADMSG;
        for (size_t i = 0; i < sizeof(id); i++)
                id[i] = (uint8_t) (hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
        memcpy(ret, id, sizeof(id));
        return 0;
}

static int decode_phases(json_object *value, usec_t *ret)
{
        usec_t phases[JOB_PHASE_MAX];
        int r;

        if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) != JOB_PHASE_MAX)
                return -EBADMSG;
        for (size_t i = 0; i < JOB_PHASE_MAX; i++) {
                r = decode_unsigned(json_object_array_get_idx(value, i), UINT64_MAX, &phases[i]);
                if (r < 0)
                        return r;
        }
        memcpy(ret, phases, sizeof(phases));
        return 0;
}

static int decode_word(FieldKind kind, json_object *value, int *ret)
{
        const char *s = string_of(value, RECORD_STRING_MAX);
        int word;

        if (!s)
                return -EBADMSG;
        word = field_words(kind)->from_string(s);
        if (word < 0)
                return -EBADMSG;
        *ret = word;
        return 0;
}

int record_field_decode(const RecordField *field, json_object *value, void *base)
{
        void *p = field_slot(field, base);
        uint64_t u = 0;
        int k = 0;

        switch (field->kind) {
        case FIELD_BOOL:
                if (!json_object_is_type(value, json_type_boolean))
                        return -EBADMSG;
                *(bool *) p = json_object_get_boolean(value);
                return 0;
        case FIELD_COUNT:
                k = decode_unsigned(value, INT32_MAX, &u);
                *(int *) p = (int) u;
                return k;
        case FIELD_UINT32:
                k = decode_unsigned(value, UINT32_MAX, &u);
                *(uint32_t *) p = (uint32_t) u;
                return k;
        case FIELD_INT64:
                k = decode_unsigned(value, INT64_MAX, &u);
                *(int64_t *) p = (int64_t) u;
                return k;
        case FIELD_UINT64:
                return decode_unsigned(value, UINT64_MAX, p);
        case FIELD_OPTIONAL_STRING:
                if (!value)
                        return 0;
                return decode_string(value, p);
        case FIELD_STRING:
                return decode_string(value, p);
        case FIELD_UNITS:
                return decode_units(value, p);
        case FIELD_STRING_ARRAY:
                return decode_string_array(value, p);
        case FIELD_ID128:
                return decode_id128(value, p);
        case FIELD_PHASES:
                return decode_phases(value, p);
        default:
                return decode_word(field->kind, value, p);
        }
}

/* How many bytes of a kind are copied as they are; 0 where something hangs on them. */
static size_t field_plain_size(FieldKind kind)
{
        switch (kind) {
        case FIELD_BOOL:
                return sizeof(bool);
        case FIELD_UINT32:
                return sizeof(uint32_t);
        case FIELD_INT64:
        case FIELD_UINT64:
                return sizeof(uint64_t);
        case FIELD_ID128:
                return 16;
        case FIELD_PHASES:
                return JOB_PHASE_MAX * sizeof(usec_t);
        case FIELD_STRING:
        case FIELD_OPTIONAL_STRING:
        case FIELD_UNITS:
        case FIELD_STRING_ARRAY:
                return 0;
        default:
                return sizeof(int);
        }
}

static int copy_json(json_object *from, json_object **ret)
{
        /* Not one more reference to the same: a copy is there to be changed. */
        return from && json_object_deep_copy(from, ret, NULL) < 0 ? -ENOMEM : 0;
}

int record_field_copy(const RecordField *field, const void *from, void *to)
{
        const void *source = field_of(field, from);
        void *p = field_slot(field, to);
        size_t plain = field_plain_size(field->kind);
        char *copy = NULL;

        if (plain > 0) {
                memcpy(p, source, plain);
                return 0;
        }
        if (field->kind == FIELD_UNITS)
                return strv_copy(*(char **const *) source, p);
        if (field->kind == FIELD_STRING_ARRAY)
                return copy_json(*(json_object *const *) source, p);
        if (*(char *const *) source) {
                copy = strdup(*(char *const *) source);
                if (!copy)
                        return -ENOMEM;
        }
        *(char **) p = copy;
        return 0;
}

void record_field_done(const RecordField *field, void *base)
{
        void *p = field_slot(field, base);

        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_OPTIONAL_STRING:
                free(*(char **) p);
                *(char **) p = NULL;
                break;
        case FIELD_UNITS:
                *(char ***) p = strv_free(*(char ***) p);
                break;
        case FIELD_STRING_ARRAY:
                json_object_put(*(json_object **) p);
                *(json_object **) p = NULL;
                break;
        default:
                break;
        }
}
