/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* Runs the checks of every selected bot that is not at the target and prints what the switch would do. With `json` the
 * result is added there instead. CTL_CHECKS_FAILED where any check failed; CTL_TOO_EARLY where it would be refused
 * because the target does not take a bot yet. */
CtlExit plan_print(Ctl *c, const CtlState *s, json_object *json) _must_check_;

/* The first argument of plan, check and switch: "local" or "cloud". */
CtlExit plan_read_target(const Ctl *c) _must_check_;
