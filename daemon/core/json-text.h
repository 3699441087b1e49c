/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"

/* How deep text from outside may nest. */
#define JSON_TEXT_DEPTH_MAX 32

/* JSON text that a stranger has sent. json-c makes 800 bytes of the two of "{}", so that the size of a text bounds
 * nothing: 8 MiB of them would take 2 GiB, and ten seconds in which nothing else is done. What a text will take is
 * counted before it is parsed. The densest that the Bot API has are the entities of a message,
 * {"type":"bold","offset":0,"length":1}, some 30 bytes for each of theirs; 4 MiB of these, where the server itself ends
 * a reply, are 130 MiB. More than either is no reply of that server. */
#define JSON_TEXT_MEMORY_RATIO_MAX 40u
#define JSON_TEXT_MEMORY_MAX       ((size_t) 160 * 1024 * 1024)

/* About how many bytes of memory the text takes when it is parsed, good JSON or not. Never far too little. */
size_t json_text_memory(const char *text, size_t size) _pure_;

/* NULL in *ret for what is not exactly one JSON value, nests too deep, or takes too much memory. Returns -ENOMEM only.
 */
int json_text_parse(const char *text, size_t size, json_object **ret) _must_check_;
