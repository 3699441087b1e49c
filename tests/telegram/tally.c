/* SPDX-License-Identifier: MIT */
#include "role.h"
#include "tally.h"

typedef struct TallyBot {
        struct TallyBot *next;
        int64_t id;
        int64_t queued[_ROLE_MAX];
        int64_t lock_until[_ROLE_MAX];
} TallyBot;

/* Of an update. */
enum {
        OPEN = 1 << 0,
        AT_CLOUD = 1 << 1, /* in its queue, or on the way to it */
        AT_LOCAL = 1 << 2,
};

struct Tally {
        uint8_t *flags; /* by uid - first_uid */
        size_t n_uids;
        int64_t first_uid;
        size_t n_open, n_at_local_only;
        TallyBot *bots;
};

Tally *tally_new(void)
{
        return calloc(1, sizeof(Tally));
}

Tally *tally_free(Tally *tally)
{
        if (!tally)
                return NULL;

        while (tally->bots) {
                TallyBot *bot = tally->bots;

                tally->bots = bot->next;
                free(bot);
        }
        free(tally->flags);
        free(tally);
        return NULL;
}

static TallyBot *tally_bot(Tally *tally, int64_t id)
{
        TallyBot *bot;

        for (bot = tally->bots; bot; bot = bot->next)
                if (bot->id == id)
                        return bot;

        bot = calloc(1, sizeof(*bot));
        assert(bot);
        bot->id = id;
        bot->next = tally->bots;
        tally->bots = bot;
        return bot;
}

static void tally_set(Tally *tally, int64_t uid, unsigned set, unsigned clear)
{
        uint8_t before, after;
        size_t i;

        if (tally->first_uid == 0)
                tally->first_uid = uid;
        if (uid < tally->first_uid)
                return;

        i = (size_t) (uid - tally->first_uid);
        if (i >= tally->n_uids) {
                size_t n = MAX(tally->n_uids * 2, i + 1024);
                uint8_t *grown = realloc(tally->flags, n);

                /* A report about an update that never was must not cost memory. */
                if (!(set & OPEN) || !grown)
                        return;
                memset(grown + tally->n_uids, 0, n - tally->n_uids);
                tally->flags = grown;
                tally->n_uids = n;
        }

        before = tally->flags[i];
        after = tally->flags[i] = (uint8_t) ((before | set) & ~clear);
        tally->n_open += (after & OPEN) - (before & OPEN);
        tally->n_at_local_only += (after == (OPEN | AT_LOCAL)) - (before == (OPEN | AT_LOCAL));
}

static bool contains(json_object *array, int64_t number)
{
        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (json_object_get_int64(json_object_array_get_idx(array, i)) == number)
                        return true;
        return false;
}

static void tally_removed(Tally *tally, TallyBot *bot, Role role, const char *event, json_object *entry)
{
        json_object *uids = json_object_object_get(entry, "uids"),
                    *returned = json_object_object_get(entry, "returned");

        bot->queued[role] -= (int64_t) json_object_array_length(uids);
        for (size_t i = 0; i < json_object_array_length(uids); i++) {
                int64_t uid = json_object_get_int64(json_object_array_get_idx(uids, i));
                bool gone = streq(event, "update-wiped") && !contains(returned, uid);

                tally_set(tally, uid, 0, (role == ROLE_LOCAL ? AT_LOCAL : AT_CLOUD) | (gone ? OPEN : 0));
        }
}

static unsigned destinations(json_object *roles)
{
        unsigned flags = 0;

        for (size_t i = 0; i < json_object_array_length(roles); i++)
                flags |= streq_ptr(json_object_get_string(json_object_array_get_idx(roles, i)), "local") ? AT_LOCAL
                                                                                                         : AT_CLOUD;
        return flags;
}

void tally_count(Tally *tally, json_object *entry)
{
        const char *event = json_get_text(entry, "event");
        Role role = role_from_string(json_get_text(entry, "role"));
        int64_t uid = json_get_int(entry, "uid", 0), code = json_get_int(entry, "code", 0),
                id = json_get_int(entry, "bot", 0);

        if (streq(event, "update-injected"))
                tally_set(tally, uid, OPEN | destinations(json_object_object_get(entry, "to")), 0);
        else if (streq(event, "worker-handled") || streq(event, "update-lost") || streq(event, "update-dropped") ||
                 (streq(event, "update-delivered") && code >= 200 && code <= 299))
                tally_set(tally, uid, 0, OPEN);

        if (role < 0 || id <= 0)
                return;
        if (streq(event, "update-queued") && json_object_object_get(entry, "update_id"))
                tally_bot(tally, id)->queued[role]++;
        else if (streq(event, "update-wiped") || streq(event, "update-confirmed"))
                tally_removed(tally, tally_bot(tally, id), role, event, entry);
        else if (streq(event, "logout-applied"))
                tally_bot(tally, id)->lock_until[role] = json_get_int(entry, "lock_until", 0);
}

size_t tally_open(const Tally *tally, bool without_local)
{
        return tally->n_open - (without_local ? tally->n_at_local_only : 0);
}

json_object *tally_queues(const Tally *tally, const char *name, uint64_t now_usec)
{
        json_object *array = json_object_new_array();
        Role role = role_from_string(name);

        for (const TallyBot *bot = tally->bots; bot; bot = bot->next) {
                json_object *object = json_object_new_object();

                json_set_int(object, "bot", bot->id);
                json_set_int(object, "queue", bot->queued[role]);
                json_set_int(object, "lock_left_ms",
                             MAX(bot->lock_until[role] - (int64_t) now_usec, INT64_C(0)) / 1000);
                json_object_array_add(array, object);
        }
        return array;
}
