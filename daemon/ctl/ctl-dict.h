/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"

/* Reads an a{sv} into a structure by a table, as one would read a configuration. Keys that are not in the table are
 * skipped: a newer daemon tells more. A value of another type than expected is -EBADMSG. */

typedef enum DictType {
        DICT_STRING, /* char *, replaced */
        DICT_STRV,   /* char **, replaced */
        DICT_BOOL,
        DICT_U32,
        DICT_U64,
        DICT_I64,
        DICT_JOB,   /* (uo): the number alone, uint32_t */
        DICT_TIMES, /* a{st}: json_object *, an object of numbers, replaced */
        DICT_DICT,  /* a{sv} inside, by the table `fields` from this offset on */
} DictType;

typedef struct DictField {
        const char *key;
        DictType type;
        size_t offset;
        const struct DictField *fields; /* ends with a NULL key */
} DictField;

int dict_read(sd_bus_message *m, const DictField *fields, void *base) _must_check_;
