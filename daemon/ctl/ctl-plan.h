/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* Runs the checks of every selected bot that is not at the target and prints what the switch would do. With `json` the
 * result is added there instead. CTL_CHECKS_FAILED where any check failed; CTL_TOO_EARLY where it would be refused
 * because the target does not take a bot yet. */
CtlExit plan_print(Ctl *c, const CtlState *s, json_object *json) _must_check_;

/* The checks of a move of this bot to "local" or "cloud" that are about one worker, or the pattern of a template's
 * instances: printed, or as "checks" of `json`. CTL_CHECKS_FAILED where one of them failed. */
CtlExit plan_check_worker(Ctl *c, const char *bot, const char *target, const char *worker,
                          json_object *json) _must_check_;

/* The first argument of plan, check and switch: "local" or "cloud". */
CtlExit plan_read_target(const Ctl *c) _must_check_;
