/* SPDX-License-Identifier: MIT */
#pragma once

#include <netinet/in.h>
#include <systemd/sd-event.h>

#include "base/macro.h"

/* A listening TCP socket in front of an HTTP server: it can delay, refuse, ignore and reset what passes,
 * below TLS and HTTP, where those libraries offer no handle. The server gets one end of a socket pair for
 * each connection. */
typedef struct Front Front;

typedef enum FrontMode {
        FRONT_OPEN,
        FRONT_SILENT,      /* the port is open, nothing is accepted or passed on */
        FRONT_UNREACHABLE, /* not even TCP is answered, as where the network is gone */
        FRONT_REFUSE,      /* the port is closed */
        _FRONT_MODE_MAX,
} FrontMode;

typedef enum FrontWelcome {
        FRONT_WELCOME_PASS,
        FRONT_WELCOME_RESET,
        FRONT_WELCOME_TLS_ALERT,
        _FRONT_WELCOME_MAX,
} FrontWelcome;

typedef struct FrontHandlers {
        /* What to do with a new connection; NULL means pass. */
        FrontWelcome (*on_accept)(void *userdata);
        /* Takes over fd. A negative answer ends the connection. */
        int (*on_connection)(void *userdata, uint64_t connection, int fd, const struct sockaddr_in *peer);
        /* The client is gone; lost tells that bytes for it were under way. */
        void (*on_closed)(void *userdata, uint64_t connection, bool lost);
        void *userdata;
} FrontHandlers;

/* Listens at once, or returns the error of bind(). */
int front_new(Front **ret, sd_event *event, const struct sockaddr_in *address, const FrontHandlers *handlers);
Front *front_free(Front *front);
DEFINE_CLEANUP(Front *, front_free);

uint16_t front_port(const Front *front);
/* A round trip; counts for bytes that come from now on. */
void front_set_latency(Front *front, uint64_t latency_usec);
int front_set_mode(Front *front, FrontMode mode);

/* Ends the connection with a TCP RST, after the time a byte takes to the client. */
void front_reset(Front *front, uint64_t connection);

/* CLOCK_MONOTONIC: when the last byte read from the client reached our port, however much later we got to read it. 0:
 * there is no such connection. */
uint64_t front_arrived_usec(const Front *front, uint64_t connection);

/* Passes on at once what the server has written, however long it had still been under way. */
void front_flush(Front *front);

/* From now on the client gets one byte of the connection each interval. */
void front_set_pace(Front *front, uint64_t connection, uint64_t interval_usec);

/* "ADDRESS:PORT", IPv4 only. */
bool front_parse_address(const char *text, struct sockaddr_in *ret);
