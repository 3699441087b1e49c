/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* What tgswitchctl says to who gives no verb: all bots on one screen, and the one command to type next. */
void overview_print(const Ctl *c, const CtlState *s);
