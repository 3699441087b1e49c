/* SPDX-License-Identifier: MIT */
#pragma once

#include "judge.h"

/* Between the files of the judge. */

void judge_says(const char *law, const SimBot *b, const char *format, ...) _printf_(3, 4);

/* What is on disk of the bot, whoever wrote it; false: nothing that can be read. */
bool judge_record(const SimBot *b, Record *ret);

/* judge-history.c */
void judge_history_reset(void);
/* `job_id` is that of its record. */
void judge_history_process_starts(const SimBot *b, uint32_t job_id);
/* A line is still to be written. */
bool judge_history_is_behind(const SimBot *b);
void judge_end_history(const SimBot *b);

/* judge-updates.c */
void judge_batch(SimBot *b, Side side, const Reply *reply);
void judge_look_at_batch(SimBot *b);
/* What is in the queue goes; `strays`: by something that could not be known of. */
void judge_wiped(const Session *s, bool strays);
void judge_end_updates(SimBot *b);
