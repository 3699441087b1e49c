/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"

/* A webhook may answer an update with a method of the Bot API instead of calling it (core.telegram.org/bots/api,
 * "Making requests when getting updates"): the body is a JSON object with the method's name as "method" and its
 * arguments beside it. Pure: bytes in, values out. */

/* Returns 1 with the name and the arguments (a JSON object without "method"), both the caller's to free; 0 where the
 * body is no such call, or one that an answer may not make: the name is not made of ASCII letters alone, or the method
 * would move the bot, its webhook or its queue. -ENOMEM. */
int webhook_answer_call(const char *body, size_t size, char **ret_method, json_object **ret_arguments) _must_check_;
