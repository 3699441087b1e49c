/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "core/credential-peer.h"

/* The gate: the listening end of LoadCredential=NAME:/run/tgswitch/credential.sock. systemd connects as
 * root, for each credential anew before each command of a unit (every ExecStartPre= and the main program
 * itself), in no order that one could rely on, and that unit's start alone waits for the answer. A
 * connection that may not be answered yet is held, with a copy in systemd's FD store
 * (sd_pid_notify_with_fds(3)), so that the death of this process neither answers nor drops it. Held
 * connections end with shutdown(): close() alone would leave the copy of the FD store open.
 *
 * `systemctl stop tgswitchd` empties the FD store and ends what is held: those credentials are empty then.
 */

typedef struct CredentialSocket CredentialSocket;

typedef enum CredentialVerdict {
        CREDENTIAL_SERVE,  /* *ret_data is sent; it may be empty */
        CREDENTIAL_HOLD,   /* asked again by credential_socket_reconsider() */
        CREDENTIAL_REFUSE, /* ended without a byte: an ExecStartPre= fails on the empty credential, but a
                            * main program that was refused runs with it; so hold where a worker is only not
                            * to run now */
        CREDENTIAL_VERDICT_MAX,
        CREDENTIAL_VERDICT_INVALID = -EINVAL,
} CredentialVerdict;

/* Decides for one connection. Called once when it is accepted and again by every reconsideration, always
 * from the event loop. On SERVE the callee hands over malloc()ed bytes, which are wiped after they were
 * sent. */
typedef CredentialVerdict (*credential_decide_t)(const CredentialPeer *peer, char **ret_data, size_t *ret_size,
                                                 void *userdata);

/* The last byte was taken by the peer's kernel buffer and the connection ended. Comes several times for one
 * start. */
typedef void (*credential_served_t)(const CredentialPeer *peer, void *userdata);

typedef struct CredentialSocketHandlers {
        credential_decide_t decide;
        credential_served_t served; /* may be NULL */
        void *userdata;
} CredentialSocketHandlers; /* they may call anything below but credential_socket_free() */

/* Takes the listening socket and makes it non-blocking. Past `connections_max`, which has to be less than
 * FileDescriptorStoreMax= of our unit, nothing is accepted until one has gone; nothing is ever accepted
 * and dropped. Peers that are not uid 0, or whose name is not systemd's, are refused. The socket is ours
 * only if it succeeds. */
int credential_socket_new(CredentialSocket **ret, sd_event *event, int listen_fd, size_t connections_max,
                          const CredentialSocketHandlers *handlers) _must_check_;

/* Closes what it has, but ends no held connection: the FD store keeps those for the next process. */
CredentialSocket *credential_socket_free(CredentialSocket *s);
DEFINE_CLEANUP(CredentialSocket *, credential_socket_free);

/* Takes over a connection that came back from the FD store under `name` (sd_listen_fds_with_names(3)). The
 * fd is taken in any case. A connection whose peer is gone is dropped from the store; returns 0 then as
 * well. Decided from the event loop. -EINVAL if the name is not one of ours. */
int credential_socket_adopt(CredentialSocket *s, int fd, const char *name) _must_check_;

/* True for names that credential_socket_adopt() understands. */
bool credential_socket_owns_name(const char *name);

/* Asks again for every held connection, soon: from the event loop, once for all calls until then. */
void credential_socket_reconsider(CredentialSocket *s);

size_t credential_socket_n_held(const CredentialSocket *s);

/* Whether a request of this unit may be without its whole answer: it is held, or being sent, or somebody waits to be
 * accepted, who may be anybody. */
bool credential_socket_is_asked_by(const CredentialSocket *s, const char *unit);
