/* SPDX-License-Identifier: MIT */
#pragma once

/* Every name of the bus interface that is written more than once; org.tgswitch1(5) describes what stands behind them.
 */

#define BUS_NAME       "org.tgswitch1"
#define BUS_PATH       "/org/tgswitch1"
#define BUS_BOT_PREFIX "/org/tgswitch1/bot/"
#define BUS_JOB_PREFIX "/org/tgswitch1/job/"
#define BUS_NO_JOB     "/" /* stands for "no job" wherever a path is due */

#define BUS_MANAGER_INTERFACE "org.tgswitch1.Manager"
#define BUS_BOT_INTERFACE     "org.tgswitch1.Bot"
#define BUS_JOB_INTERFACE     "org.tgswitch1.Job"

#define BUS_ERROR_PREFIX          "org.tgswitch1.Error."
#define BUS_ERROR_NO_SUCH_BOT     BUS_ERROR_PREFIX "NoSuchBot"
#define BUS_ERROR_NO_SUCH_JOB     BUS_ERROR_PREFIX "NoSuchJob"
#define BUS_ERROR_NO_TOKEN        BUS_ERROR_PREFIX "NoToken"
#define BUS_ERROR_UNDECLARED      BUS_ERROR_PREFIX "Undeclared"
#define BUS_ERROR_BAD_RECORD      BUS_ERROR_PREFIX "BadRecord"
#define BUS_ERROR_BAD_CONFIG      BUS_ERROR_PREFIX "BadConfiguration"
#define BUS_ERROR_JOB_RUNNING     BUS_ERROR_PREFIX "JobRunning"
#define BUS_ERROR_FALLBACK_WINDOW BUS_ERROR_PREFIX "FallbackWindow"
#define BUS_ERROR_HELD            BUS_ERROR_PREFIX "Held"
#define BUS_ERROR_NOT_CANCELLABLE BUS_ERROR_PREFIX "NotCancellable"
#define BUS_ERROR_NOT_HOLDING     BUS_ERROR_PREFIX "NotHolding"
#define BUS_ERROR_NOT_SETTLED     BUS_ERROR_PREFIX "NotSettled"
#define BUS_ERROR_FAILED          BUS_ERROR_PREFIX "Failed"

#define BUS_ERROR_POLKIT_UNAVAILABLE BUS_ERROR_PREFIX "PolkitUnavailable"
