/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

/* A dbus-daemon of the test's own on a socket in a directory of its own; every user may connect. */

typedef struct BusDaemon {
        pid_t pid;
        char directory[64];
        char address[128];
} BusDaemon;

/* Returns once clients can connect; ends the test program where that fails. */
void bus_daemon_start(BusDaemon *d);
void bus_daemon_stop(BusDaemon *d);
