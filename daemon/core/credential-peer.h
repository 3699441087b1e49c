/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/socket.h>

#include "base/macro.h"

/* Who asks for a credential: systemd binds its end of the connection to "\0RANDOM/unit/UNIT/ID"
 * (systemd.exec(5), LoadCredential=). The name has to fit into sockaddr_un: unit and id together get 83
 * bytes, else the unit fails to start. */

#define CREDENTIAL_ID_MAX 255

typedef struct CredentialPeer {
        char unit[256];
        char id[CREDENTIAL_ID_MAX + 1];
} CredentialPeer;

/* Returns 0, or -EINVAL for any other form: no abstract name, a random part that is not 1 to 16 lower-case
 * hex digits (systemd does not pad the number), a unit name that systemd would not have, an id with odd
 * characters, a NUL within. */
int credential_peer_parse(const struct sockaddr *address, socklen_t size, CredentialPeer *ret) _must_check_;
