/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/cutover.h"

typedef struct SimBot SimBot;

/* What is so rare that seeds of their own have to make it common; what the others stand for stays as it was. Above all
 * calls into io/ that return an error instead of beginning: there was no memory for what they need, the bus did not
 * take the message. And what has to come at one certain moment, or from an administrator's own hand. */
#define SIM_REFUSING_SEEDS UINT64_C(1000000000000)

typedef enum Refusable {
        REFUSABLE_JOB,      /* of a unit */
        REFUSABLE_QUESTION, /* to systemd */
        REFUSABLE_REQUEST,  /* to a server */
        REFUSABLE_POST,     /* to a webhook */
        REFUSABLE_DISK,     /* anything that is to be read or written */
        REFUSABLE_TIMER,
        REFUSABLE_MAX,
} Refusable;

/* What is refused in the world of this seed, and how often. */
void refusal_choose(void);
/* A bot whose webhook has a secret and a certificate, which an administrator can mislay. */
void refusal_choose_bot(SimBot *b);
/* A bot enters a state. */
void refusal_at(CutoverState state);
/* All calms down: what the daemon could not start, and has said so, somebody starts. */
void refusal_ends(void);

/* 0, or the negative errno with which a call of the kind returns that is just being made. */
int refusal(Refusable what);
