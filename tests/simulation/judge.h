/* SPDX-License-Identifier: MIT */
#pragma once

#include "manager/manager.h"
#include "systemd.h"
#include "world.h"

/* Knows everything, and says when a law is broken (packaging/doc/DESIGN.md). It looks at the world alone, never at what
 * the daemon believes; of the daemon's own it reads the records that are on disk. */

void judge_reset(void);
bool judge_found(void);
const char *judge_verdict(void);

/* Every request with a bot's token, when its last byte leaves. */
void judge_sent(const Request *rq);
/* What the daemon has been told; NULL: no whole reply, and `sent` says whether anything can have arrived. */
void judge_replied(const Request *rq, const Reply *reply, bool sent);
/* The daemon does not wait for an answer any more, or is dead. */
void judge_abandoned(const Request *rq);

/* A process begins with what is on disk. */
void judge_daemon_starts(void);

/* A server has carried out a logOut: its queue is about to be wiped; `rq` NULL: the queue is left, but nobody's. */
void judge_logged_out(Session *s, const Request *rq);
/* The cloud refuses a login since there were too many of late. */
void judge_flooded(SimBot *b);
/* The local server is gone, and with it what it had in memory. */
void judge_server_stopped(void);
void judge_logged_in(Session *s, const Request *rq);

/* Where updates are. */
void judge_handled(uint32_t update);
/* The daemon posts one to the webhook. */
void judge_posted(const SimBot *b, uint32_t update);
void judge_spooled(uint32_t update, int copies);
void judge_cleared(SimBot *b);
void judge_cut(SimBot *b);

void judge_process_started(const Unit *u);
void judge_job_began(SimBot *b);
void judge_job_ended(SimBot *b, JobResult result);
/* A record has come to the disk: the job in it, or 0. A line of the history has, or has not. */
void judge_recorded(const SimBot *b, uint32_t job_id, bool ended);
void judge_line_written(const SimBot *b, uint32_t job_id);
void judge_line_failed(const SimBot *b, uint32_t job_id);
/* Somebody else has done something to the bot's units, or to the server if NULL. */
void judge_disturbed(SimBot *b);

/* What the daemon writes, logs or hands over. A token may be in it only where it is that of `own`; NULL: none. */
void judge_bytes(const SimBot *own, const char *where, const void *bytes, size_t size);
void judge_text(const SimBot *own, const char *where, const char *text); /* `text` may be NULL */
/* What is wrong with a text for people. The second tells of a mistake; NULL and "": of none. */
void judge_line(const char *text);
void judge_sentence(const SimBot *b, const char *text);
/* What anybody can read of the bot on the bus. */
void judge_published(const Bot *bot);
/* What the manager tells of all bots together, and how many of them move at once. */
void judge_counts(void);
void judge_checked(const CheckItem *items, size_t n_items);
/* The daemon's getUpdates has the offset that a worker's had `since_usec` ago. */
void judge_asked_like_a_worker(const Session *s, const Request *rq, usec_t since_usec);
/* A request of the bot, or of none, as it is made. */
void judge_called(const SimBot *b, const BotApiRequest *request);

/* After each step. */
void judge_look(void);
/* Every bot is settled where it can stay, or waits for a dead server that nobody wants it to leave. */
bool judge_all_rest(void);
/* Nor is anything still to be written. */
bool judge_disk_rests(void);
bool judge_disk_is_behind(const SimBot *b); /* the next process would go on from what is over */
/* When all has come to rest. */
void judge_end(void);
