/* SPDX-License-Identifier: MIT */
#include "cutover-world.h"

/* What can come of an operation: by its nature, in a certain world, and where the local server is dead. */

static uint64_t spool_results(CutoverState state)
{
        const CutoverFacts *facts = cutover_facts(state);
        uint64_t results =
                        EVENT_BIT(CUTOVER_SPOOLED) | EVENT_BIT(CUTOVER_SPOOLED_HOLD) | EVENT_BIT(CUTOVER_SPOOL_FAILED);

        /* A server that the bot has left may say so instead of handing out updates. */
        if (facts->ends_stale)
                return results | EVENT_BIT(CUTOVER_LOGOUT_APPLIED) | EVENT_BIT(CUTOVER_LOGOUT_REVOKED);
        results |= EVENT_BIT(CUTOVER_SOURCE_DEAD);
        return facts->place == CUTOVER_AT_UNKNOWN ? results | EVENT_BIT(CUTOVER_LOGOUT_APPLIED) : results;
}

static uint64_t retry_results(CutoverState state)
{
        /* To turn back is a choice of the states in which the target is asked and does not answer. */
        bool asks_target = state == CUTOVER_LOG_IN || state == CUTOVER_RESTORE_WEBHOOK;

        return EVENT_BIT(CUTOVER_RETRY_DUE) | EVENT_BIT(CUTOVER_RETRY_DUE_STALE) |
               (asks_target ? EVENT_BIT(CUTOVER_FALL_BACK_DUE) : 0) |
               (state == CUTOVER_LOG_OUT_UNKNOWN ? EVENT_BIT(CUTOVER_SOURCE_DEAD) : 0);
}

uint64_t cutover_results(CutoverState state, unsigned actions)
{
#define TWO(a, b)      (EVENT_BIT(CUTOVER_##a) | EVENT_BIT(CUTOVER_##b))
#define THREE(a, b, c) (TWO(a, b) | EVENT_BIT(CUTOVER_##c))
        const uint64_t logged_out =
                        THREE(LOGOUT_APPLIED, LOGOUT_REVOKED, LOGOUT_LOST) | TWO(LOGOUT_REJECTED, LOGOUT_GIVEN_UP);

        switch (actions & CUTOVER_OPERATIONS) {
        case CUTOVER_DO_QUEUE:
                return TWO(ADMITTED, ADMITTED_STALE) | TWO(ARRIVED, CALLED_OFF);
        case CUTOVER_DO_TURN:
                return THREE(ADMITTED, ADMITTED_LATE, CALLED_OFF);
        case CUTOVER_DO_CHECK:
                return THREE(CHECK_PASSED, CHECK_FAILED, SOURCE_DEAD);
        case CUTOVER_DO_DRAIN:
                return TWO(DRAINED, DRAINED_HOLD) | TWO(DRAIN_FAILED, SOURCE_DEAD);
        case CUTOVER_DO_HOLD:
                return EVENT_BIT(CUTOVER_HOLD_TIMED_OUT);
        case CUTOVER_DO_STOP_WORKERS:
                return TWO(WORKERS_STOPPED, WORKERS_NOT_STOPPED);
        case CUTOVER_DO_SPOOL:
                return spool_results(state);
        case CUTOVER_DO_LOG_OUT:
                return logged_out;
        case CUTOVER_DO_REPEAT_LOG_OUT:
                return cutover_facts(state)->ends_stale ? logged_out : logged_out | EVENT_BIT(CUTOVER_SOURCE_DEAD);
        case CUTOVER_DO_LOG_IN:
                return THREE(LOGGED_IN, LOGIN_FAILED, LOGIN_TOO_EARLY);
        case CUTOVER_DO_RESTORE_SOURCE:
                return THREE(SOURCE_RESTORED, SOURCE_NOT_RESTORED, SOURCE_DEAD);
        case CUTOVER_DO_RESTORE_WEBHOOK:
                return TWO(WEBHOOK_RESTORED, WEBHOOK_NOT_RESTORED);
        case CUTOVER_DO_PUBLISH:
                return TWO(PUBLISHED, NOT_PUBLISHED);
        case CUTOVER_DO_START_WORKERS:
                return TWO(WORKERS_STARTED, WORKERS_NOT_STARTED);
        case CUTOVER_DO_CONFIRM:
                return THREE(CONFIRMED, SPOOL_LEFT, NOT_CONFIRMED);
        case CUTOVER_DO_RETRY_TIMER:
                return retry_results(state);
        default:
                return 0;
        }
#undef TWO
#undef THREE
}

/* What keeps a job in the queue is not the table's business, but has to be true when it leaves it. */
static uint64_t queue_results(const Saved *s)
{
        uint64_t results = EVENT_BIT(CUTOVER_CALLED_OFF);

        if (s->stale)
                return results | EVENT_BIT(CUTOVER_ADMITTED_STALE);
        return results | EVENT_BIT(s->target == s->seat ? CUTOVER_ARRIVED : CUTOVER_ADMITTED);
}

uint64_t world_results(const World *w)
{
        const Saved *s = &w->memory;
        uint64_t results = cutover_results(s->state, w->actions);

        if (w->actions & CUTOVER_DO_QUEUE)
                results &= queue_results(s);
        if (!w->fresh)
                results &= ~EVENT_BIT(CUTOVER_RETRY_DUE);
        if ((w->actions & CUTOVER_DO_SPOOL) && w->left[s->stale ? LOCAL : s->seat] == LEFT_NO)
                results &= ~EVENT_BIT(CUTOVER_LOGOUT_APPLIED);
        if (s->seat != LOCAL)
                results &= ~EVENT_BIT(CUTOVER_SOURCE_DEAD);
        if (s->target != LOCAL)
                results &= ~EVENT_BIT(CUTOVER_FALL_BACK_DUE);
        return results;
}

uint64_t world_results_of_local(const World *w)
{
        uint64_t results = EVENT_BIT(CUTOVER_CHECK_PASSED) | EVENT_BIT(CUTOVER_ADMITTED_STALE);
        const Saved *s = &w->memory;

        if (s->stale || s->seat == LOCAL)
                results |= EVENT_BIT(CUTOVER_DRAINED) | EVENT_BIT(CUTOVER_DRAINED_HOLD) | EVENT_BIT(CUTOVER_SPOOLED) |
                           EVENT_BIT(CUTOVER_SPOOLED_HOLD) | EVENT_BIT(CUTOVER_LOGOUT_APPLIED) |
                           EVENT_BIT(CUTOVER_LOGOUT_REVOKED);
        if (s->seat == LOCAL && w->changed)
                results |= EVENT_BIT(CUTOVER_SOURCE_RESTORED);
        if (s->target == LOCAL)
                results |= EVENT_BIT(CUTOVER_LOGGED_IN) | EVENT_BIT(CUTOVER_LOGIN_TOO_EARLY) |
                           EVENT_BIT(CUTOVER_WEBHOOK_RESTORED);
        if ((s->place == CUTOVER_AT_TARGET ? s->target : s->seat) == LOCAL)
                results |= EVENT_BIT(CUTOVER_CONFIRMED) | EVENT_BIT(CUTOVER_SPOOL_LEFT);
        return results;
}
