/* SPDX-License-Identifier: MIT */
#include <limits.h>

#include "core/intake.h"

void intake_note(Intake *i, uint64_t pending)
{
        if (pending < i->pending)
                i->taken = true;
        i->waiting = pending == 0 ? 0 : i->waiting + (i->waiting < UINT_MAX);
        i->pending = pending;
}

IntakeVerdict intake_judge(const Intake *i, uint64_t handed_over)
{
        if (i->taken)
                return INTAKE_TAKEN;
        if (i->waiting == 0)
                return INTAKE_QUIET;
        return i->waiting < INTAKE_LOOKS + handed_over / 10 ? INTAKE_WAITING : INTAKE_NOBODY;
}
