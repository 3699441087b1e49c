/* SPDX-License-Identifier: MIT */
#pragma once

#include <netinet/in.h>

#include "truth.h"

/* The truth's side of the line to the local server: a TCP port, one server at a time. */
typedef struct TruthPort TruthPort;

int truth_port_new(TruthPort **ret, sd_event *event, const struct sockaddr_in *address, Truth *truth, Ledger *ledger,
                   const Settings *settings, FaultList *faults);
TruthPort *truth_port_free(TruthPort *port);
DEFINE_CLEANUP(TruthPort *, truth_port_free);

uint16_t truth_port_number(const TruthPort *port);
bool truth_port_connected(const TruthPort *port);
/* Settings or faults have changed. */
void truth_port_refresh(TruthPort *port);
