/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "json-util.h"

/* JSON objects, one a line, over a connected socket. */
typedef struct LineChannel LineChannel;

typedef struct LineHandlers {
        /* The message is only lent. */
        void (*on_message)(void *userdata, json_object *message);
        /* The other side is gone; the channel may be freed from here, not from on_message(). */
        void (*on_end)(void *userdata);
        void *userdata;
} LineHandlers;

/* Takes over fd, which may still be connecting, unless it fails. */
int line_channel_new(LineChannel **ret, sd_event *event, int fd, const LineHandlers *handlers);
LineChannel *line_channel_free(LineChannel *channel);

/* Consumes the message. */
void line_channel_send(LineChannel *channel, json_object *message);
/* Waits until all that was sent is with the kernel, for the end of a process. */
void line_channel_flush(LineChannel *channel);
