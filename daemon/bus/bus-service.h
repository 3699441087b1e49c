/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"
#include "manager/manager.h"

/* org.tgswitch1 on the bus: translates method calls to wishes to the manager, and what the manager tells its observer
 * to signals and properties. org.tgswitch1(5) is its documentation. */

typedef struct BusService BusService;

/* Registers all objects and becomes the manager's observer. `bus` must be attached to the manager's event loop; it is
 * referenced. The manager must live longer. */
int bus_service_new(BusService **ret, sd_bus *bus, Manager *m) _must_check_;

/* Calls that are not answered yet are dropped. */
BusService *bus_service_free(BusService *s);
DEFINE_CLEANUP(BusService *, bus_service_free);

/* Asks for the name org.tgswitch1 without waiting; one callback: 0 where it is ours, -EEXIST where somebody else has
 * it, another negative errno where the bus refused. */
typedef void (*bus_service_name_handler_t)(BusService *s, int r, void *userdata);
int bus_service_request_name(BusService *s, bus_service_name_handler_t handler, void *userdata) _must_check_;
