/* SPDX-License-Identifier: MIT */
#pragma once

#include "truth.h"
#include "truth-port.h"

/* The HTTP API that test scripts use: see README.md. */
typedef struct Control Control;

/* Everything is borrowed. */
typedef struct ControlParts {
        Ledger *ledger;
        Settings *settings;
        FaultList *faults;
        Truth *truth;
        TruthPort *port;
        Engine *cloud;
} ControlParts;

int control_new(Control **ret, sd_event *event, const struct sockaddr_in *address, const ControlParts *parts);
Control *control_free(Control *control);
DEFINE_CLEANUP(Control *, control_free);

uint16_t control_port(const Control *control);
