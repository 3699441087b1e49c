/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* The units of a bot whose token was replaced, once tgswitchd has the new one: what runs of them holds the old one, and
 * is restarted, so that it asks the gate again. Also with Move=reload, since systemd 252 fetches no credentials at a
 * reload. One that has failed may have died of the old token and is started. What is stopped, or waits at the gate,
 * gets the new one by itself. In the middle of a move nobody waits for them, and what the move is about to do with a
 * unit goes before. Adds an object for each to `json`, an array, where that is not NULL. */
CtlExit token_workers_restart(Ctl *c, const char *bot, json_object *json) _must_check_;
