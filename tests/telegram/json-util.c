/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "json-util.h"

bool parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
        char *end = NULL;
        long long value;

        if (isempty(text) || text[0] == ' ')
                return false;

        errno = 0;
        value = strtoll(text, &end, 10);
        if (errno != 0 || *end != '\0' || value < min || value > max)
                return false;

        *ret = value;
        return true;
}

int64_t json_get_int(json_object *object, const char *key, int64_t fallback)
{
        json_object *value = NULL;
        int64_t number;

        if (!json_object_object_get_ex(object, key, &value))
                return fallback;
        if (json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double))
                return json_object_get_int64(value);
        if (json_object_is_type(value, json_type_string) &&
            parse_int(json_object_get_string(value), INT64_MIN, INT64_MAX, &number))
                return number;
        return fallback;
}

double json_get_double(json_object *object, const char *key, double fallback)
{
        json_object *value = NULL;

        if (!json_object_object_get_ex(object, key, &value) || !value)
                return fallback;
        return json_object_get_double(value);
}

bool json_get_bool(json_object *object, const char *key, bool fallback)
{
        json_object *value = NULL;

        if (!json_object_object_get_ex(object, key, &value) || !value)
                return fallback;
        if (json_object_is_type(value, json_type_string)) {
                const char *text = json_object_get_string(value);

                return strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 || streq(text, "1");
        }
        return json_object_get_boolean(value);
}

const char *json_get_text(json_object *object, const char *key)
{
        json_object *value = NULL;

        if (!json_object_object_get_ex(object, key, &value) || !value)
                return NULL;
        return json_object_get_string(value);
}

void json_set_int(json_object *object, const char *key, int64_t value)
{
        json_object_object_add(object, key, json_object_new_int64(value));
}

void json_set_bool(json_object *object, const char *key, bool value)
{
        json_object_object_add(object, key, json_object_new_boolean(value));
}

void json_set_text(json_object *object, const char *key, const char *value)
{
        if (value)
                json_object_object_add(object, key, json_object_new_string(value));
}

const char *json_plain(json_object *object)
{
        return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

json_object *json_parse(const char *text, size_t size)
{
        struct json_tokener *tokener = json_tokener_new();
        json_object *object;

        if (!tokener)
                return NULL;

        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        object = json_tokener_parse_ex(tokener, text, (int) size);
        /* A bare number at the end of the text could still go on: the closing NUL ends it. */
        if (json_tokener_get_error(tokener) == json_tokener_continue)
                object = json_tokener_parse_ex(tokener, "", 1);
        if (json_tokener_get_error(tokener) != json_tokener_success) {
                json_object_put(object);
                object = NULL;
        }
        json_tokener_free(tokener);
        return object;
}

int read_text_file(const char *path, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t allocated = 0;
        FILE *file;
        ssize_t n;

        if (!path) {
                *ret = NULL;
                return 0;
        }
        file = fopen(path, "re");
        if (!file)
                return -errno;
        n = getdelim(&text, &allocated, '\0', file);
        fclose(file);
        if (n < 0)
                return -ENODATA;
        *ret = TAKE_PTR(text);
        return 0;
}
