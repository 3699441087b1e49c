/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"

DEFINE_CLEANUP(json_object *, json_object_put);
#define _cleanup_json_ _cleanup_(json_object_putp)

/* The member's value, or the fallback where it is missing or of another type. Numbers may come as text, as
 * they do in query strings and forms. */
int64_t json_get_int(json_object *object, const char *key, int64_t fallback);
double json_get_double(json_object *object, const char *key, double fallback);
bool json_get_bool(json_object *object, const char *key, bool fallback);

/* The member as text, owned by the object; NULL where it is missing or null. */
const char *json_get_text(json_object *object, const char *key);

void json_set_int(json_object *object, const char *key, int64_t value);
void json_set_bool(json_object *object, const char *key, bool value);
/* A NULL value adds nothing. */
void json_set_text(json_object *object, const char *key, const char *value);

/* Without spaces and without escaped slashes, as the Bot API writes it. Owned by the object. */
const char *json_plain(json_object *object);

/* NULL where the text isn't one whole JSON value. */
json_object *json_parse(const char *text, size_t size);

/* A whole number between min and max and nothing else; text may be NULL. */
bool parse_int(const char *text, int64_t min, int64_t max, int64_t *ret);

/* The whole file; a NULL path gives NULL. */
int read_text_file(const char *path, char **ret);
