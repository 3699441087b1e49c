/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* How a program may be told by a reload of its unit where to go on: the command in ExecReload= finds the new endpoint
 * in its environment, hands it to the program through a socket in the abstract name space, and ends when the program
 * says that it has done as it was told. SIGHUP is what interrupts the program. */

/* Listens under a name that is made of our PID. Returns a file descriptor, or a negative errno. */
int reload_listen(void) _must_check_;

/* Takes one message from a socket of reload_listen(): the root of the API, or "" to hold. Returns the connection, to be
 * closed by reload_done(), or a negative errno: -EAGAIN where nobody has said anything. The caller frees *ret_root. */
int reload_take(int listen_fd, char **ret_root) _must_check_;
/* Tells the other side that all of it is done. */
void reload_done(int fd);

/* The other side: returns when the program `pid` has done as `root` says. 0, or a negative errno. */
int reload_tell(pid_t pid, const char *root) _must_check_;
