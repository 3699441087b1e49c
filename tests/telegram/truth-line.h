/* SPDX-License-Identifier: MIT */
#pragma once

#include <netinet/in.h>

#include "engine.h"

/* The local server's side of the line to the truth: connects, and connects again. What happens while there
 * is no line is told when there is one. Messages: see truth-port.c. */
typedef struct TruthLine TruthLine;

int truth_line_new(TruthLine **ret, sd_event *event, const struct sockaddr_in *address, const char *api_id,
                   const char *api_hash, Settings *settings, FaultList *faults);
/* Sends what is left to send. */
TruthLine *truth_line_free(TruthLine *line);
DEFINE_CLEANUP(TruthLine *, truth_line_free);

/* Handlers for an engine, with the line as userdata. */
EngineHandlers truth_line_handlers(TruthLine *line);
/* Begins to connect on behalf of the engine. */
void truth_line_start(TruthLine *line, Engine *engine);
