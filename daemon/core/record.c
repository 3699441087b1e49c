/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <zlib.h>

#include "core/record-fields.h"

#define RECORD_MAGIC      "tgswitch-record "
#define RECORD_VERSION    1u
#define RECORD_HEADER_MAX 64u
#define RECORD_BOT_KEY    "bot"

#define FIELD(text, type, member) { text, FIELD_##type, offsetof(Record, member) },
static const RecordField fields[] = { RECORD_FIELDS(FIELD) };
#undef FIELD

/* A member that is added to Record and forgotten in RECORD_FIELDS would be forgotten on disk. It changes this sum, of
 * which the padding is what the 64-bit ABIs of Linux add. */
#if UINTPTR_MAX == UINT64_MAX
#define RECORD_PADDING 0u
#define FIELD(text, type, member) + sizeof(((Record *) NULL)->member)
static_assert(sizeof(Record) == RECORD_PADDING RECORD_FIELDS(FIELD), "RECORD_FIELDS leaves out a member of Record");
#undef FIELD
#endif

DEFINE_WORD_TABLE
