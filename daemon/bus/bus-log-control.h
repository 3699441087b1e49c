/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"

/* org.freedesktop.LogControl1, by which 'systemctl service-log-level tgswitchd debug' and 'service-log-target' change
 * what is logged, and where, while the daemon runs (org.freedesktop.LogControl1(5)). Everybody may read; to write is
 * root's. The slot is the object. */

#define BUS_LOG_CONTROL_PATH      "/org/freedesktop/LogControl1"
#define BUS_LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

int bus_log_control_add(sd_bus *bus, sd_bus_slot **ret) _must_check_;
