/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bus/bus-error.h"
#include "bus/bus-internal.h"
#include "bus/bus-options.h"

/* A job that is not on record yet is none: a daemon that is killed before the write is done knows nothing of it
 * afterwards. So a call waits for its records, and one that is to be refused waits until what it began is taken back.
 */

/* So many names are written out where many bots are refused. */
#define NAMES_MAX 8u

typedef struct SwitchItem {
        Bot *bot;      /* NULL: removed from the configuration */
        char name[64]; /* of the bot, also then */
        uint32_t job;  /* 0: there is nothing to do */
        bool begun;    /* by this call: what ran before is not ours to take back */
        bool recorded;
        bool over; /* the job has ended */
        bool called_back;
} SwitchItem;

struct BusSwitch {
        bool one;          /* the answer is a single path */
        AskResult refusal; /* of the one that spoils it for all; while granted, there is none */
        char *message;
        size_t n_items;
        SwitchItem items[];
};

BusSwitch *bus_switch_free(BusSwitch *sw)
{
        if (sw)
                free(sw->message);
        free(sw);
        return NULL;
}

/* ---- refusals of many ---- */

typedef struct NameList {
        char text[NAMES_MAX * 64];
        size_t n;
} NameList;

static void list_name(NameList *l, const char *name)
{
        size_t used = strlen(l->text);

        if (l->n++ < NAMES_MAX)
                (void) snprintf(l->text + used, sizeof(l->text) - used, "%s%s", used > 0 ? ", " : "", name);
}

/* " The same goes for a, b and 21 more." */
static void append_names(char *text, size_t size, const char *before, const NameList *l)
{
        size_t used = strlen(text);

        if (l->n > NAMES_MAX)
                (void) snprintf(text + used, size - used, " %s %s and %zu more.", before, l->text, l->n - NAMES_MAX);
        else if (l->n > 0)
                (void) snprintf(text + used, size - used, " %s %s.", before, l->text);
}

/* Asks for every bot whether it could be moved. Where any could not, sets the error of the first with its whole
 * sentence, and says whom else it is about. */
static int can_switch_all(Bot *const *bots, size_t n_bots, Seat target, const SwitchOptions *options,
                          sd_bus_error *error)
{
        char others[2 * sizeof(NameList) + 128] = "";
        NameList same = {}, different = {};
        _cleanup_free_ char *sentence = NULL, *all = NULL;
        AskResult first = ASK_OK;

        for (size_t i = 0; i < n_bots; i++) {
                _cleanup_free_ char *message = NULL;
                AskResult result = bot_can_switch(bots[i], target, options, &message);

                if (ask_granted(result))
                        continue;
                if (!ask_granted(first)) {
                        list_name(result == first ? &same : &different, bot_name(bots[i]));
                        continue;
                }
                first = result;
                /* Without a message memory has ended. */
                if (!message || asprintf(&sentence, "%s: %s", bot_name(bots[i]), message) < 0)
                        return bus_error_set(error, first, NULL);
        }
        if (ask_granted(first))
                return 0;

        append_names(others, sizeof(others), "The same goes for", &same);
        append_names(others, sizeof(others), "For other reasons it cannot be done with", &different);
        if (asprintf(&all, "%s%s", sentence, others) < 0)
                all = NULL;
        return bus_error_set(error, first, all);
}

/* ---- one bot ---- */

static void item_path(const SwitchItem *i, char path[static BUS_JOB_PATH_SIZE])
{
        if (i->job == 0)
                (void) snprintf(path, BUS_JOB_PATH_SIZE, "%s", BUS_NO_JOB);
        else
                bus_job_path(i->job, path);
}

/* What has become of the job since it was begun. */
static void item_look(BusSwitch *sw, SwitchItem *i)
{
        const RecordJob *job = i->bot ? bot_job(i->bot) : NULL;
        const BusBot *bb = i->bot ? bot_observer_data(i->bot) : NULL;
        bool ours = job && job->id == i->job;

        if (i->job == 0 || i->over)
                return;
        i->recorded = i->recorded || (bb && bb->recorded_job >= i->job);
        i->over = !ours || !bot_job_running(i->bot);
        if (!i->over || i->recorded || !ask_granted(sw->refusal))
                return;

        sw->refusal = ASK_FAILED;
        if (asprintf(&sw->message, "%s was not moved: %s", i->name,
                     ours && !isempty(job->error)
                                     ? job->error
                                     : "its job ended before it was recorded: 'journalctl -u tgswitchd' says why. "
                                       "Then start the cutover again.") < 0)
                sw->message = NULL;
}

static AskResult item_begin(SwitchItem *i, Seat target, const SwitchOptions *options, char **ret_message)
{
        AskResult result;
        uint32_t id = 0;

        /* What nobody sees could not be waited for. */
        if (!bot_observer_data(i->bot)) {
                *ret_message = NULL;
                return ASK_FAILED;
        }
        result = bot_switch(i->bot, target, options, &id, ret_message);
        if (ask_granted(result) && result != ASK_ALREADY)
                i->job = id;
        i->begun = result == ASK_OK;
        return result;
}

/* Nothing that this call began goes on; in its first phases a job can always be taken back. */
static void item_call_back(SwitchItem *i)
{
        _cleanup_free_ char *ignored = NULL;

        if (!i->begun || i->over || i->called_back)
                return;
        i->called_back = true;
        if (!ask_granted(bot_cancel(i->bot, &ignored)))
                i->begun = false;
}

/* ---- the call ---- */

static bool item_settled(const BusSwitch *sw, const SwitchItem *i)
{
        if (i->job == 0)
                return true;
        return ask_granted(sw->refusal) ? i->recorded : !i->begun || i->over;
}

static int reply_jobs(BusCall *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const BusSwitch *sw = call->switching;
        char path[BUS_JOB_PATH_SIZE];
        int r;

        if (sw->one) {
                item_path(sw->items, path);
                return sd_bus_reply_method_return(call->message, "o", path);
        }
        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(so)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < sw->n_items; i++) {
                item_path(sw->items + i, path);
                r = sd_bus_message_append(reply, "(so)", sw->items[i].name, path);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

/* Answers if it is time. A bus_call_handler_t, for every time. */
static int switch_look(BusCall *call, sd_bus_error *error)
{
        BusSwitch *sw = call->switching;

        for (size_t i = 0; i < sw->n_items; i++)
                item_look(sw, sw->items + i);
        if (!ask_granted(sw->refusal))
                for (size_t i = 0; i < sw->n_items; i++) {
                        item_call_back(sw->items + i);
                        item_look(sw, sw->items + i);
                }
        call->waits = false;
        for (size_t i = 0; i < sw->n_items && !call->waits; i++)
                call->waits = !item_settled(sw, sw->items + i);
        if (call->waits)
                return 0;
        return ask_granted(sw->refusal) ? reply_jobs(call) : bus_error_set(error, sw->refusal, sw->message);
}

int bus_switch_begin(BusCall *call, Seat target, Bot *const *bots, size_t n_bots, bool one, sd_bus_error *error)
{
        SwitchOptions options;
        BusSwitch *sw;
        int r;

        r = bus_options_read(call->message, call->manager, &options, error);
        if (r < 0)
                return r;
        options.requester = call->requester;
        if (!one) {
                r = can_switch_all(bots, n_bots, target, &options, error);
                if (r < 0)
                        return r;
        }

        sw = call->switching = calloc(1, sizeof(*sw) + n_bots * sizeof(sw->items[0]));
        if (!sw)
                return -ENOMEM;
        sw->one = one;
        /* Whoever could be moved a moment ago is refused only where something unexpected happens, a full disk, say. */
        for (size_t i = 0; i < n_bots && ask_granted(sw->refusal); i++) {
                SwitchItem *item = sw->items + sw->n_items++;

                item->bot = bots[i];
                (void) snprintf(item->name, sizeof(item->name), "%s", bot_name(bots[i]));
                sw->refusal = item_begin(item, target, &options, &sw->message);
                /* The jobs of one call are one batch, named by the first of them. */
                if (item->begun && options.batch == 0)
                        options.batch = item->job;
        }
        return switch_look(call, error);
}

/* ---- waiting ---- */

static int on_look(sd_event_source *source, void *userdata)
{
        BusService *s = userdata;

        for (BusCall *call = s->calls.first, *next; call; call = next) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                int r;

                next = call->next;
                if (!call->switching)
                        continue;
                r = switch_look(call, &error);
                if (r < 0)
                        bus_call_fail(call, r, &error);
                else if (!call->waits)
                        bus_call_free(call);
        }
        return 0;
}

int bus_switch_set_up(BusService *s)
{
        int r;

        r = sd_event_add_defer(manager_event(s->manager), &s->answer_source, on_look, s);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(s->answer_source, SD_EVENT_OFF);
}

/* Later, because the manager is in the middle of a step, in which no job can be taken back. */
void bus_switch_look_later(BusService *s)
{
        (void) sd_event_source_set_enabled(s->answer_source, SD_EVENT_ONESHOT);
}

void bus_switch_forget_bot(BusService *s, const Bot *b)
{
        for (BusCall *call = s->calls.first; call; call = call->next)
                for (size_t i = 0; call->switching && i < call->switching->n_items; i++) {
                        SwitchItem *item = call->switching->items + i;

                        if (item->bot != b)
                                continue;
                        item_look(call->switching, item);
                        item->bot = NULL;
                        item_look(call->switching, item);
                }
        bus_switch_look_later(s);
}
