/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl-bus.h"

/* Names and patterns of a bot's workers, from the configuration, which is root's: the unprivileged daemon must not be
 * who chooses what root restarts. Returns 1; 0 where no file of the bot can be used; or -ENOMEM. */
int token_workers_load(const char *bot, char ***ret) _must_check_;

/* The units of a bot whose token was replaced, once tgswitchd has the new one: what runs of them holds the old one, and
 * is restarted, so that it asks the gate again. Also with Move=reload, since systemd 252 fetches no credentials at a
 * reload. One that has failed may have died of the old token and is started. What is stopped, or waits at the gate,
 * gets the new one by itself. In the middle of a move nobody waits for them, and what the move is about to do with a
 * unit goes before; of the others the first that does not come up in two minutes is the last that is waited for. Adds
 * an object for each to `json`, an array, where that is not NULL. */
CtlExit token_workers_restart(Ctl *c, const char *bot, char *const *workers, json_object *json) _must_check_;
