/* SPDX-License-Identifier: MIT */
#pragma once

#include "ctl/ctl.h"

/* Who is not root may have to prove something to polkit before a change. Where nobody else asks for the password, a
 * desktop's agent say, pkttyagent(1) does it on this terminal, as for systemctl(1). */

/* Starts it where it can be of use: not for root, not with --no-ask-password, not with --host, since polkit
 * over there knows no agents of this host, and only where somebody types. Waits
 * until polkit knows of it. One that has ended is started anew; that it cannot be started is no error, polkit then says
 * what is missing. */
void agent_open(Ctl *c);
void agent_close(Ctl *c);
