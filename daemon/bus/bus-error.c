/* SPDX-License-Identifier: MIT */
#include "bus/bus-error.h"
#include "bus/bus-names.h"

static const char *const names[ASK_RESULT_MAX] = {
        [ASK_NO_TOKEN] = BUS_ERROR_NO_TOKEN,
        [ASK_UNDECLARED] = BUS_ERROR_UNDECLARED,
        [ASK_BAD_RECORD] = BUS_ERROR_BAD_RECORD,
        [ASK_BAD_CONFIG] = BUS_ERROR_BAD_CONFIG,
        [ASK_JOB_RUNNING] = BUS_ERROR_JOB_RUNNING,
        [ASK_FALLBACK_WINDOW] = BUS_ERROR_FALLBACK_WINDOW,
        [ASK_HELD] = BUS_ERROR_HELD,
        [ASK_NOT_CANCELLABLE] = BUS_ERROR_NOT_CANCELLABLE,
        [ASK_NOT_HOLDING] = BUS_ERROR_NOT_HOLDING,
        [ASK_NOT_SETTLED] = BUS_ERROR_NOT_SETTLED,
        [ASK_FAILED] = BUS_ERROR_FAILED,
};

bool ask_granted(AskResult result)
{
        return result == ASK_OK || result == ASK_RUNNING || result == ASK_ALREADY;
}

const char *bus_error_name(AskResult result)
{
        assert(result >= 0 && result < ASK_RESULT_MAX);

        return names[result];
}

int bus_error_set(sd_bus_error *error, AskResult result, const char *message)
{
        assert(!ask_granted(result));

        return sd_bus_error_set(error, bus_error_name(result),
                                message ?: "tgswitchd could not do this and had no memory left to say why; try again.");
}
