/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "judge-internal.h"

/* L6: what becomes of each update. */

static Update *update_of(uint32_t number)
{
        assert(number < world.n_updates);

        return &world.updates[number];
}

void judge_handled(uint32_t update)
{
        update_of(update)->fate = FATE_HANDLED;
}

void judge_posted(const SimBot *b, uint32_t update)
{
        const BotJudge *j = &b->judge;

        if (update_of(update)->bot != b->index)
                judge_says("L6", b, "update %" PRIu32 " is posted to the webhook of another bot", update);
        if (j->whereabouts != WHEREABOUTS_AT && !j->behind)
                judge_says("L4", b, "update %" PRIu32 " is posted to the webhook, and the seat is not settled", update);
}

void judge_spooled(uint32_t update, int copies)
{
        Update *u = update_of(update);

        u->on_disk = (unsigned) ((int) u->on_disk + copies);
}

static void excuse_spooled(const SimBot *b, Fate fate)
{
        for (size_t i = 0; i < world.n_updates; i++) {
                Update *u = &world.updates[i];

                if (u->bot == b->index && u->on_disk > 0 && u->fate == FATE_OPEN)
                        u->fate = fate;
        }
}

void judge_cleared(SimBot *b)
{
        excuse_spooled(b, FATE_CLEARED);
}

void judge_cut(SimBot *b)
{
        excuse_spooled(b, FATE_CUT);
}

static bool is_safe(const Update *u)
{
        return u->fate != FATE_OPEN || u->on_disk > 0;
}

void judge_batch(SimBot *b, Side side, const Reply *reply)
{
        BotJudge *j = &b->judge;

        j->polled_usec[side] = timeline_now();
        j->batch_side = side;
        j->n_batch = reply->n_updates;
        memcpy(j->batch, reply->updates, sizeof(reply->updates[0]) * reply->n_updates);
        j->batch_usec = reply->all_updates ? reply->made_usec : 0;
        judge_look_at_batch(b);
}

void judge_look_at_batch(SimBot *b)
{
        BotJudge *j = &b->judge;

        if (j->batch_usec == 0)
                return;
        for (unsigned i = 0; i < j->n_batch; i++)
                if (!is_safe(update_of(j->batch[i])))
                        return;
        j->safe_usec[j->batch_side] = MAX(j->safe_usec[j->batch_side], j->batch_usec);
        j->batch_usec = 0;
}

void judge_wiped(const Session *s, bool strays)
{
        SimBot *b = s->bot;

        for (size_t i = 0; i < s->n_queue; i++) {
                Update *u = update_of(s->queue[i].update);

                if (is_safe(u))
                        continue;
                if (strays)
                        u->fate = FATE_STRAY;
                else if (u->arrived_usec >= b->judge.safe_usec[s->side])
                        u->fate = FATE_RACE;
                else
                        judge_says("L6", b,
                                   "logOut wipes update %" PRIu32 ", which came %" PRIu64
                                   " ms before the last getUpdates was answered",
                                   s->queue[i].update, (b->judge.safe_usec[s->side] - u->arrived_usec) / USEC_PER_MSEC);
        }
}

static bool in_queue(const Session *s, uint32_t update)
{
        for (size_t i = 0; i < s->n_queue; i++)
                if (s->queue[i].update == update)
                        return true;
        return false;
}

static bool somebody_takes(const SimBot *b)
{
        for (size_t i = 0; i < b->n_workers; i++)
                if ((b->workers[i]->role == ROLE_POLLER || b->workers[i]->role == ROLE_RECEIVER) &&
                    process_may_send(b->workers[i]) && b->workers[i]->has_token)
                        return true;
        return false;
}

/* A server that is dead, or holds a session that is still to be ended, has its queue for as long as it has it; so has
 * one that said "logged out" and died before it was. */
static bool is_kept_by_server(const SimBot *b, uint32_t update)
{
        const Session *s = &b->sessions[SIDE_LOCAL];

        return in_queue(s, update) && (b->judge.owed || s->cut_short || !local_server_answers());
}

/* What is in the spool goes to the webhook, as far as the daemon knows of it, and the program behind it runs. */
static bool webhook_takes(const SimBot *b)
{
        const BotSettings *s = &world.settings.bots[b->index];
        const Unit *receiver = b->workers[0];
        Record record = {};
        bool known;

        if (receiver->role != ROLE_RECEIVER || !process_may_send(receiver) || !receiver->has_token ||
            (s->spool_to && s->spool_to_given) || !judge_record(b, &record))
                return false;
        known = record.state == CUTOVER_SETTLED && !isempty(record.webhook.url);
        record_done(&record);
        return known;
}

void judge_end_updates(SimBot *b)
{
        bool takes = somebody_takes(b), posted = webhook_takes(b);

        for (uint32_t i = 0; i < world.n_updates; i++) {
                Update *u = &world.updates[i];

                if (u->bot == b->index && u->fate == FATE_OPEN && u->on_disk > 0 && posted)
                        judge_says("L6", b, "update %" PRIu32 " is left in the spool, and the webhook takes updates",
                                   i);
                if (u->bot != b->index || is_safe(u) || b->judge.strays)
                        continue;
                if (b->judge.whereabouts == WHEREABOUTS_AT && in_queue(&b->sessions[b->judge.side], i)) {
                        if (takes && !b->judge.webhook_lost && !b->judge.webhook_strays &&
                            (b->judge.side == SIDE_CLOUD || local_server_answers()))
                                judge_says("L6", b, "update %" PRIu32 " is left in the queue, and a worker runs", i);
                } else if (!is_kept_by_server(b, i)) {
                        judge_says("L6", b, "update %" PRIu32 " is lost", i);
                }
        }
}
