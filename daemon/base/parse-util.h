/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"

/* Values as systemd writes them. -EINVAL: it is none; -ERANGE: it cannot be counted. */

/* yes, true, on, 1; no, false, off, 0; in any case. */
int parse_boolean(const char *s, bool *ret) _must_check_;
int parse_unsigned(const char *s, uint64_t *ret) _must_check_;
/* Bytes: "1024", "64K", "64M", "1G", "1T", to the base of 1024. */
int parse_size(const char *s, uint64_t *ret) _must_check_;
/* "5", "1.5s", "2min 30s", "1h", "infinity": systemd.time(7). */
int parse_sec(const char *s, usec_t *ret) _must_check_;

/* For people, as parse_sec() and parse_size() read it, if need be rounded down. */
#define FORMAT_MAX 32u
const char *format_span(char buffer[static FORMAT_MAX], usec_t usec);
const char *format_size(char buffer[static FORMAT_MAX], uint64_t size);
