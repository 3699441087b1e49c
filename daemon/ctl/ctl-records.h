/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* The names of bots that are on their way, as the records in the daemon's state directory tell (io/store.h): a job of
 * theirs runs, or a session that they left behind is still to be ended. A record that cannot be read is a sentence in
 * *ret_complaints and stands for no bot: the daemon does nothing for such a one either. Both vectors are sorted; where
 * there is no directory they are empty. */
int records_on_their_way(const char *state_directory, char ***ret_bots, char ***ret_complaints) _must_check_;

/* The bot id on record; 0 where none is, or where the record cannot be used, which is told elsewhere. */
int records_bot_id(const char *state_directory, const char *bot, int64_t *ret) _must_check_;

/* Whether the bot is in the phase log-out, by its record: that is on disk before the first request goes out. 0 where
 * none is, or where it cannot be used. */
int records_logs_out(const char *state_directory, const char *bot) _must_check_;
