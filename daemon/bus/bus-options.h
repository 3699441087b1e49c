/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "manager/manager.h"

/* Text of a caller that is kept and shown on terminals: at most BUS_REASON_MAX bytes, no control characters. */
#define BUS_REASON_MAX 256
bool bus_reason_is_valid(const char *s) _pure_;

/* A caller's word as it goes into the sentence that refuses it: itself where it is short and has no control characters,
 * else what is wrong with it. */
#define BUS_WORD_SHOWN_MAX 64u
const char *bus_word_show(const char *s) _pure_;

/* Reads the a{sv} of SwitchToLocal() and SwitchToCloud(), as strictly as bus_keys_read(). The strings belong to the
 * message. */
int bus_options_read(sd_bus_message *message, const Manager *m, SwitchOptions *ret, sd_bus_error *error) _must_check_;

/* The same, and forgets them: a bus_arguments_t. */
int bus_options_check(sd_bus_message *message, const Manager *m, sd_bus_error *error);
