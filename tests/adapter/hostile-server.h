/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* A server in a process of its own, so that the memory that a test measures is the client's alone. It reads one request
 * after the other on each connection and answers all of them in the same way: a shape, with nothing between it and the
 * socket. Where a shape has no end it ends when the client goes. */

typedef struct HostileServer HostileServer;
typedef struct HostileStream HostileStream; /* one connection */

typedef struct HostileShape {
        void (*answer)(HostileStream *s, const void *argument);
        const void *argument;
} HostileShape;

/* The process ends with the one that made it. The shape is copied, what is in it not. */
int hostile_server_new(HostileServer **ret, const HostileShape *shape) _must_check_;
HostileServer *hostile_server_free(HostileServer *s); /* returns when it is gone */
DEFINE_CLEANUP(HostileServer *, hostile_server_free);

int hostile_server_port(const HostileServer *s);

/* How many requests it has read, and how often a shape has said hostile_note(). */
unsigned hostile_server_n_requests(const HostileServer *s);
unsigned hostile_server_n_notes(const HostileServer *s);

/* ---- for shapes; what fails ends the connection's thread ---- */

void hostile_send(HostileStream *s, const void *bytes, size_t size);
void hostile_send_text(HostileStream *s, const char *text);
/* The text over and over, `size` bytes in all; SIZE_MAX: without an end. */
void hostile_send_much(HostileStream *s, const char *text, size_t size);
/* The same, one byte each millisecond. */
void hostile_send_slowly(HostileStream *s, const char *text);
void hostile_hang(HostileStream *s);
void hostile_note(HostileStream *s);
void hostile_close(HostileStream *s);
