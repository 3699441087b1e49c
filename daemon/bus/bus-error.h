/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "manager/manager.h"

/* Whether the manager granted the wish. */
bool ask_granted(AskResult result) _const_;

/* The error name of a refusal; NULL where the wish was granted. */
const char *bus_error_name(AskResult result) _const_;

/* Sets `error` to the refusal with the manager's sentence and returns the negative errno for it, to be returned by a
 * method handler. A missing sentence (no memory) is replaced by a general one. */
int bus_error_set(sd_bus_error *error, AskResult result, const char *message);
