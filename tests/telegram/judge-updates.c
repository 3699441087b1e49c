/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "judge-internal.h"

/* uids of a run are consecutive: an array will do. */
static JudgeUpdate *update_get(Judge *judge, int64_t uid)
{
        size_t i;

        if (uid <= 0 || (judge->first_uid > 0 && uid < judge->first_uid))
                return NULL;
        if (judge->first_uid == 0)
                judge->first_uid = uid;

        i = (size_t) (uid - judge->first_uid);
        if (i >= judge->n_updates) {
                size_t n = MAX(judge->n_updates * 2, i + 1024);
                JudgeUpdate *updates = reallocarray(judge->updates, n, sizeof(*updates));

                assert(updates);
                memset(updates + judge->n_updates, 0, (n - judge->n_updates) * sizeof(*updates));
                judge->updates = updates;
                judge->n_updates = n;
        }
        return judge->updates + i;
}

static void update_left_queue(Judge *judge, JudgeBot *bot, Role role, JudgeUpdate *update, bool wiped)
{
        update->in_queue[role] = false;
        if (wiped) {
                update->wiped_t = judge->t;
                update->answered_before_wipe_t = bot->answered_t[role];
        } else if (update->confirmed_t == 0 && !bot->polled_by_daemon) {
                update->confirmed_t = judge->t;
        }
}

static bool goes_to_local(json_object *entry)
{
        json_object *to = json_object_object_get(entry, "to");

        for (size_t i = 0; i < json_object_array_length(to); i++)
                if (role_from_string(json_object_get_string(json_object_array_get_idx(to, i))) == ROLE_LOCAL)
                        return true;
        return false;
}

void judge_update_event(Judge *judge, JudgeBot *bot, Role role, const char *event, json_object *entry)
{
        JudgeUpdate *update = update_get(judge, json_get_int(entry, "uid", 0));
        json_object *uids = NULL;

        if (json_object_object_get_ex(entry, "uids", &uids) && role >= 0) {
                for (size_t i = 0; i < json_object_array_length(uids); i++) {
                        update = update_get(judge, json_object_get_int64(json_object_array_get_idx(uids, i)));
                        if (update)
                                update_left_queue(judge, bot, role, update, streq(event, "update-wiped"));
                }
                return;
        }
        if (!update)
                return;

        if (streq(event, "update-injected")) {
                update->bot = bot->id;
                update->for_local = goes_to_local(entry);
        } else if (streq(event, "update-lost")) {
                update->lost = true;
        } else if (streq(event, "update-dropped")) {
                update->dropped = true;
        } else if (streq(event, "update-queued") && role >= 0 && update->queued_t[role] == 0) {
                update->queued_t[role] = judge->t;
                update->in_queue[role] = true;
        } else if (streq(event, "update-delivered") && role >= 0) {
                int64_t code = json_get_int(entry, "code", 0);

                if (code >= 200 && code <= 299)
                        judge_handled(judge, bot, role, json_get_int(entry, "uid", 0), "webhook");
        }
}

static void answer_count(Judge *judge, json_object *uids, int step)
{
        for (size_t i = 0; i < json_object_array_length(uids); i++) {
                JudgeUpdate *update = update_get(judge, json_object_get_int64(json_object_array_get_idx(uids, i)));

                if (update)
                        update->n_returned += (unsigned) step;
        }
}

void judge_updates_answer(JudgeBot *bot, Judge *judge, Role role, json_object *entry)
{
        JudgeAnswer *answer = bot->answers + bot->n_answers++ % JUDGE_ANSWERS;
        json_object *uids = NULL;

        if (json_get_int(entry, "code", 0) != 200 || !json_object_object_get_ex(entry, "uids", &uids))
                return;
        if (bot->seat < 0 && judge_request_is_dead(judge, bot, json_get_text(entry, "req")))
                return;

        bot->answered_before_t[role] = bot->answered_t[role];
        bot->answered_t[role] = judge->t;
        json_object_put(answer->uids);
        answer->uids = json_object_get(uids);
        (void) snprintf(answer->req, sizeof(answer->req), "%s", json_get_text(entry, "req") ?: "");
        answer_count(judge, uids, 1);
}

void judge_updates_undelivered(Judge *judge, const char *req)
{
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next)
                for (size_t i = 0; i < JUDGE_ANSWERS; i++) {
                        JudgeAnswer *answer = bot->answers + i;

                        if (!answer->uids || !streq(answer->req, req))
                                continue;
                        answer_count(judge, answer->uids, -1);
                        json_object_put(TAKE_PTR(answer->uids));
                        return;
                }
}

/* Who was killed has not kept what it was told last: as if that had not arrived. What it kept after all is handled. */
void judge_updates_forgotten(Judge *judge, JudgeBot *bot, Role role)
{
        JudgeAnswer *answer = bot->answers + (bot->n_answers + JUDGE_ANSWERS - 1) % JUDGE_ANSWERS;

        if (!answer->uids)
                return;
        answer_count(judge, answer->uids, -1);
        json_object_put(TAKE_PTR(answer->uids));
        bot->answered_t[role] = bot->answered_before_t[role];
}

bool judge_was_taken(Judge *judge, int64_t uid)
{
        const JudgeUpdate *update = update_get(judge, uid);

        return update && !update->in_queue[ROLE_CLOUD] && !update->in_queue[ROLE_LOCAL];
}

void judge_handled(Judge *judge, JudgeBot *bot, Role role, int64_t uid, const char *from)
{
        JudgeUpdate *update = update_get(judge, uid);

        if (!update)
                return;
        if (role < 0)
                role = bot->seat >= 0 ? bot->seat : bot->handled_role;

        if (update->n_handled++ > 0) {
                bot->n_twice++;
                if (update->confirmed_t > 0)
                        bot->n_after_confirmed++;
        } else {
                update->handled_at = role;
                update->handed_over = streq_ptr(from, "pending");
        }

        if (bot->handled_t > 0 && bot->handled_role != role)
                json_object_array_add(bot->downtimes, json_object_new_int64((judge->t - bot->handled_t) / 1000));
        bot->handled_t = judge->t;
        bot->handled_role = role;
}

typedef enum Fate {
        FATE_HANDLED_CLOUD,
        FATE_HANDLED_LOCAL,
        FATE_HANDED_OVER,
        FATE_WIPED_RACE,
        FATE_WIPED_OTHER,
        FATE_LOST,
        FATE_DROPPED,
        FATE_QUEUED,
        FATE_WITH_DEAD,
        FATE_MISSING,
        _FATE_MAX,
} Fate;

static const char *const fates[_FATE_MAX] = {
        [FATE_HANDLED_CLOUD] = "handled_cloud",
        [FATE_HANDLED_LOCAL] = "handled_local",
        [FATE_HANDED_OVER] = "handed_over",
        [FATE_WIPED_RACE] = "wiped_race",
        [FATE_WIPED_OTHER] = "wiped_other",
        [FATE_LOST] = "lost",
        [FATE_DROPPED] = "dropped",
        [FATE_QUEUED] = "queued",
        [FATE_WITH_DEAD] = "with_dead",
        [FATE_MISSING] = "missing",
};

static Fate update_fate(const JudgeUpdate *update, bool local_is_dead)
{
        bool queued_once = update->queued_t[ROLE_CLOUD] > 0 || update->queued_t[ROLE_LOCAL] > 0;
        int64_t queued_t = MAX(update->queued_t[ROLE_CLOUD], update->queued_t[ROLE_LOCAL]);

        if (update->n_handled > 0)
                return update->handed_over                ? FATE_HANDED_OVER
                       : update->handled_at == ROLE_CLOUD ? FATE_HANDLED_CLOUD
                                                          : FATE_HANDLED_LOCAL;
        if (update->in_queue[ROLE_CLOUD])
                return FATE_QUEUED;
        if (update->in_queue[ROLE_LOCAL])
                return local_is_dead ? FATE_WITH_DEAD : FATE_QUEUED;
        if (update->lost)
                return FATE_LOST;
        if (update->for_local && update->queued_t[ROLE_LOCAL] == 0 && update->n_returned == 0 && local_is_dead)
                return FATE_WITH_DEAD;
        if (update->dropped)
                return FATE_DROPPED;
        if (update->wiped_t > 0 && update->n_returned == 0) {
                bool race = update->answered_before_wipe_t > 0 && queued_t > update->answered_before_wipe_t;

                return race ? FATE_WIPED_RACE : FATE_WIPED_OTHER;
        }
        /* Neither queued nor lost: on its way to a server that is not there. */
        return queued_once ? FATE_MISSING : FATE_QUEUED;
}

static void complain(Judge *judge, JudgeBot *bot, const int64_t counts[static _FATE_MAX], int64_t n_injected)
{
        int64_t sum = 0;

        for (Fate fate = 0; fate < _FATE_MAX; fate++)
                sum += counts[fate];
        if (sum != n_injected)
                judge_violation(judge, bot, "balance", "%lld updates were injected, but %lld are accounted for",
                                (long long) n_injected, (long long) sum);
        if (counts[FATE_WIPED_OTHER] > 0)
                judge_violation(judge, bot, "L6",
                                "logOut wiped %lld updates that had been in the queue before the last "
                                "getUpdates was answered, and that nobody had taken",
                                (long long) counts[FATE_WIPED_OTHER]);
        if (counts[FATE_MISSING] > 0)
                judge_violation(judge, bot, "L6",
                                "%lld updates were given out by a server and never handled by a worker",
                                (long long) counts[FATE_MISSING]);
}

json_object *judge_bot_verdict(Judge *judge, JudgeBot *bot)
{
        json_object *verdict = json_object_new_object();
        int64_t counts[_FATE_MAX] = { 0 }, n_injected = 0;

        for (size_t i = 0; i < judge->n_updates; i++)
                if (judge->updates[i].bot == bot->id) {
                        n_injected++;
                        counts[update_fate(judge->updates + i, judge_is_with_dead(judge, bot))]++;
                }
        complain(judge, bot, counts, n_injected);

        json_set_int(verdict, "bot", bot->id);
        json_set_text(verdict, "seat", role_to_string(bot->seat) ?: "none");
        json_set_int(verdict, "injected", n_injected);
        for (Fate fate = 0; fate < _FATE_MAX; fate++)
                json_set_int(verdict, fates[fate], counts[fate]);
        json_set_int(verdict, "handled_twice", bot->n_twice);
        json_set_int(verdict, "handled_after_confirmed", bot->n_after_confirmed);
        json_set_int(verdict, "logins_refused", bot->n_refused);
        json_object_object_add(verdict, "downtime_ms", json_object_get(bot->downtimes));
        json_object_object_add(verdict, "blind_ms", json_object_get(bot->blind_times));
        json_object_object_add(verdict, "blind_floor_ms", json_object_get(bot->blind_floors));
        json_object_object_add(verdict, "away_ms", json_object_get(bot->away_times));
        json_object_object_add(verdict, "violations", json_object_get(bot->violations));
        return verdict;
}
