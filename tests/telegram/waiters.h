/* SPDX-License-Identifier: MIT */
#pragma once

#include "http-server.h"
#include "ledger.h"
#include "tally.h"
#include "truth.h"

/* Requests that are answered by the ledger, now or when it gets there: /ledger, /wait, /quiet. */
typedef struct Waiters Waiters;

/* Everything is borrowed. NULL where memory is short. */
Waiters *waiters_new(sd_event *event, Ledger *ledger, const Tally *tally, const Truth *truth);
Waiters *waiters_free(Waiters *waiters);

void waiters_reply_ledger(Waiters *waiters, HttpRequest *request);
void waiters_add(Waiters *waiters, HttpRequest *request);
void waiters_add_quiet(Waiters *waiters, HttpRequest *request);

/* A new entry of the ledger. */
void waiters_offer(Waiters *waiters, json_object *entry);
/* The tally or the injections have changed. */
void waiters_look_at_quiet(Waiters *waiters);
/* The request is over, whether somebody waited with it or not. */
void waiters_forget(HttpRequest *request);
