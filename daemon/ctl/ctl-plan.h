/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* Runs the checks of every selected bot that is not at the local server and prints what the switch would do. With
 * `json` the result is added there instead. CTL_CHECKS_FAILED where any check failed. */
CtlExit plan_print(Ctl *c, const CtlState *s, json_object *json) _must_check_;

/* The first argument of plan, check and switch. */
CtlExit plan_read_target(const Ctl *c) _must_check_;
