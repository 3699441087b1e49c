/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "bus/bus-error.h"
#include "bus/bus-internal.h"

void bus_job_path(uint32_t id, char path[static BUS_JOB_PATH_SIZE])
{
        (void) snprintf(path, BUS_JOB_PATH_SIZE, BUS_JOB_PREFIX "%" PRIu32, id);
}

int bus_job_add(BusBot *bb, uint32_t id)
{
        char path[BUS_JOB_PATH_SIZE];
        int r;

        if (bb->job_id == id)
                return 0;
        bus_object_remove(&bb->job_object);
        bb->job_id = 0;

        bus_job_path(id, path);
        r = bus_object_add(&bb->job_object, bb->service->bus, path, BUS_JOB_INTERFACE, bus_job_vtable, 0, bb);
        if (r < 0)
                return r;
        bb->job_id = id;
        return 0;
}

/* ---- methods ---- */

static int ask_job(BusCall *call, AskResult (*ask)(Bot *b, char **ret_message), sd_bus_error *error)
{
        const char *number = startswith(sd_bus_message_get_path(call->message), BUS_JOB_PREFIX);
        _cleanup_free_ char *message = NULL;
        AskResult result;
        Bot *b;

        assert(number); /* by that path the method was found */
        /* it may have ended while we found out who asks */
        b = manager_find_job(call->manager, (uint32_t) strtoul(number, NULL, 10));
        if (!b)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_JOB,
                                         "Job %s has ended; 'tgswitchctl status' shows how.", number);

        result = ask(b, &message);
        if (!ask_granted(result))
                return bus_error_set(error, result, message);
        return sd_bus_reply_method_return(call->message, NULL);
}

/* Who may move a bot somewhere may also call that off or let it go on. */
static int begin(sd_bus_message *m, BusBot *bb, bus_call_handler_t handler, sd_bus_error *error)
{
        const BusRequest request = {
                .action = bot_job(bb->bot)->target == SEAT_CLOUD ? BUS_ACTION_SWITCH_TO_CLOUD
                                                                 : BUS_ACTION_SWITCH_TO_LOCAL,
                .bots = (char *[]){ (char *) bot_name(bb->bot), NULL },
                .handler = handler,
        };

        return bus_call_begin(&bb->service->calls, bb->service->manager, m, &request, error);
}

static int cancel(BusCall *call, sd_bus_error *error)
{
        return ask_job(call, bot_cancel, error);
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, cancel, error);
}

static int proceed(BusCall *call, sd_bus_error *error)
{
        return ask_job(call, bot_proceed, error);
}

static int method_proceed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin(m, userdata, proceed, error);
}

/* ---- properties ---- */

#define DEFINE_JOB_PROPERTY(name, append)                                                                      \
        static int property_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                                   sd_bus_message *reply, void *userdata, sd_bus_error *error)                 \
        {                                                                                                      \
                const BusBot *bb = userdata;                                                                   \
                const RecordJob *job = bot_job(bb->bot);                                                       \
                                                                                                               \
                (void) job;                                                                                    \
                return append;                                                                                 \
        }                                                                                                      \
        struct _swallow_semicolon_

static bool is_holding(const Bot *b)
{
        return bot_state(b) == CUTOVER_HOLD_DRAINED || bot_state(b) == CUTOVER_HOLD_SPOOLED;
}

/* While it runs: what it waits for. */
static const char *job_error(const Bot *b)
{
        return bot_job_running(b) ? bot_last_error(b) : bot_job(b)->error;
}

DEFINE_JOB_PROPERTY(id, sd_bus_message_append(reply, "u", job->id));
DEFINE_JOB_PROPERTY(bot, sd_bus_message_append(reply, "s", bot_name(bb->bot)));
DEFINE_JOB_PROPERTY(target, sd_bus_message_append(reply, "s", seat_to_string(job->target)));
DEFINE_JOB_PROPERTY(phase, sd_bus_message_append(reply, "s", bot_phase(bb->bot)));
DEFINE_JOB_PROPERTY(holding, sd_bus_message_append(reply, "b", is_holding(bb->bot)));
DEFINE_JOB_PROPERTY(cancellable, sd_bus_message_append(reply, "b", cutover_facts(bot_state(bb->bot))->cancellable));
DEFINE_JOB_PROPERTY(reason, bus_append_text(reply, job->reason));
DEFINE_JOB_PROPERTY(started, sd_bus_message_append(reply, "t", job->started_usec));
DEFINE_JOB_PROPERTY(phase_started, sd_bus_message_append(reply, "t", job->phase_started_usec));
DEFINE_JOB_PROPERTY(not_before, sd_bus_message_append(reply, "t", bot_job_not_before_usec(bb->bot)));
DEFINE_JOB_PROPERTY(drained, sd_bus_message_append(reply, "t", job->drained));
DEFINE_JOB_PROPERTY(spooled, sd_bus_message_append(reply, "t", job->spooled));
DEFINE_JOB_PROPERTY(handed_over, sd_bus_message_append(reply, "t", job->handed_over));
DEFINE_JOB_PROPERTY(blind, sd_bus_message_append(reply, "t", job->blind_usec));
DEFINE_JOB_PROPERTY(downtime, sd_bus_message_append(reply, "t", job->downtime_usec));
DEFINE_JOB_PROPERTY(error, bus_append_text(reply, job_error(bb->bot)));

#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

const sd_bus_vtable bus_job_vtable[] = { SD_BUS_VTABLE_START(0),

                                         SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
                                                                 method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
                                         SD_BUS_METHOD_WITH_ARGS("Proceed", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
                                                                 method_proceed, SD_BUS_VTABLE_UNPRIVILEGED),

                                         SD_BUS_PROPERTY("Id", "u", property_id, 0, CONSTANT),
                                         SD_BUS_PROPERTY("Bot", "s", property_bot, 0, CONSTANT),
                                         SD_BUS_PROPERTY("Target", "s", property_target, 0, CONSTANT),
                                         SD_BUS_PROPERTY("Reason", "s", property_reason, 0, CONSTANT),
                                         SD_BUS_PROPERTY("StartedUSec", "t", property_started, 0, CONSTANT),
                                         SD_BUS_PROPERTY("Phase", "s", property_phase, 0, CHANGES),
                                         SD_BUS_PROPERTY("PhaseStartedUSec", "t", property_phase_started, 0, CHANGES),
                                         SD_BUS_PROPERTY("NotBeforeUSec", "t", property_not_before, 0, CHANGES),
                                         SD_BUS_PROPERTY("Holding", "b", property_holding, 0, CHANGES),
                                         SD_BUS_PROPERTY("Cancellable", "b", property_cancellable, 0, CHANGES),
                                         SD_BUS_PROPERTY("Drained", "t", property_drained, 0, CHANGES),
                                         SD_BUS_PROPERTY("Spooled", "t", property_spooled, 0, CHANGES),
                                         SD_BUS_PROPERTY("HandedOver", "t", property_handed_over, 0, CHANGES),
                                         SD_BUS_PROPERTY("BlindUSec", "t", property_blind, 0, CHANGES),
                                         SD_BUS_PROPERTY("DowntimeUSec", "t", property_downtime, 0, CHANGES),
                                         SD_BUS_PROPERTY("Error", "s", property_error, 0, CHANGES),

                                         SD_BUS_VTABLE_END };
