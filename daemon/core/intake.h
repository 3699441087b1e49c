/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* Whether anybody takes a bot's updates, as far as the number of those that are pending shows it. A server does not
 * tell who asks it for updates, and to ask ourselves would be a conflict with the worker (getUpdates). But a queue that
 * somebody works on gets shorter now and then, however busy the bot is, and one that nobody works on only ever gets
 * longer. Where nothing is pending, nothing can be known. Pure. */

typedef enum IntakeVerdict {
        INTAKE_QUIET,   /* nothing has come */
        INTAKE_TAKEN,   /* once there were fewer than before */
        INTAKE_WAITING, /* something is pending: to be looked at again */
        INTAKE_NOBODY,  /* so it is at each of as many looks as make it certain */
        INTAKE_VERDICT_MAX,
        INTAKE_VERDICT_INVALID = -EINVAL,
} IntakeVerdict;

/* So many looks in a row with something pending and never fewer. A polling worker leaves one or two updates in the
 * queue while it handles them, and asks for the next ones then: of 20 looks at random moments one finds fewer than the
 * one before. */
#define INTAKE_LOOKS 20

typedef struct Intake {
        uint64_t pending; /* at the last look */
        unsigned waiting; /* looks since something has been pending */
        bool taken;
} Intake;

/* One look at pending_update_count (getWebhookInfo). */
void intake_note(Intake *i, uint64_t pending);

/* `handed_over` is how many spooled updates the worker was given to handle first; each is good for a tenth of a look.
 */
IntakeVerdict intake_judge(const Intake *i, uint64_t handed_over) _pure_;
