/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* The JSON that verbs print. Keys are those of the bus properties in snake case; times are microseconds of
 * CLOCK_REALTIME, and null where there is none or it is not known. */

json_object *json_bot(const CtlBot *b);
json_object *json_job(const CtlJob *job);
json_object *json_text(const char *s); /* NULL is "" */
json_object *json_usec(usec_t usec);   /* 0 and USEC_INFINITY are null */
