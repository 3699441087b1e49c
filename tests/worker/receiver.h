/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-c/json.h>

#include "base/macro.h"

/* The HTTP server of a bot with a webhook: http on loopback, one update at a time, in a thread of its own. */

typedef struct Receiver Receiver;

typedef struct ReceiverSettings {
        uint16_t port;
        const char *secret;      /* NULL: nobody has to show one */
        const char *answer_file; /* what every update is answered with: a line with the status, and the body behind it.
                                  * NULL, and where there is no such file: 200 and no body */
        void (*handle)(json_object *update, void *userdata); /* accepted, and not answered yet */
        void *userdata;
} ReceiverSettings;

/* NULL: it cannot listen. */
Receiver *receiver_new(const ReceiverSettings *settings);
/* Answers what has come whole, and nothing more. */
Receiver *receiver_free(Receiver *r);
