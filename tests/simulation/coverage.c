/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "core/cutover.h"
#include "coverage.h"
#include "scenario.h"

/* Which rows of the protocol's table are taken: cutover_step() is called through here (ld(1), --wrap). */

static uint64_t taken[CUTOVER_STATE_MAX][CUTOVER_EVENT_MAX];

CutoverStep __real_cutover_step(CutoverState state, CutoverEvent event);
CutoverStep __wrap_cutover_step(CutoverState state, CutoverEvent event);

CutoverStep __wrap_cutover_step(CutoverState state, CutoverEvent event)
{
        CutoverStep step = __real_cutover_step(state, event);

        if (step.verdict == CUTOVER_STEP) {
                taken[state][event]++;
                accidents_at(step.state);
        }
        return step;
}

const uint64_t *coverage_counts(size_t *ret_n)
{
        *ret_n = sizeof(taken) / sizeof(uint64_t);
        return &taken[0][0];
}

void coverage_add(const uint64_t *counts)
{
        uint64_t *mine = &taken[0][0];

        for (size_t i = 0; i < sizeof(taken) / sizeof(uint64_t); i++)
                mine[i] += counts[i];
}

size_t coverage_missed(void)
{
        const CutoverRow *rows;
        size_t n, missed = 0;

        rows = cutover_rows(&n);
        for (size_t i = 0; i < n; i++)
                missed += taken[rows[i].from][rows[i].event] == 0;
        return missed;
}

void coverage_print(void)
{
        const CutoverRow *rows;
        size_t n;

        rows = cutover_rows(&n);
        for (size_t i = 0; i < n; i++)
                printf("%10" PRIu64 "  %-16s %-22s %s\n", taken[rows[i].from][rows[i].event],
                       cutover_state_to_string(rows[i].from), cutover_event_to_string(rows[i].event),
                       cutover_state_to_string(rows[i].to));
}
