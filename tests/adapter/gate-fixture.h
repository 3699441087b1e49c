/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <sys/un.h>

#include "io/credential-socket.h"

#define GATE_STORE_MAX       64
#define GATE_CONNECTIONS_MAX 16

/* The gate under test, with the parts of systemd that it talks to: peers, and the FD store behind
 * NOTIFY_SOCKET=. */
typedef struct GateFixture {
        char directory[64];
        struct sockaddr_un address;
        struct sockaddr_un notify_address;
        sd_event *event;
        CredentialSocket *gate;
        int listen_fd; /* a copy, as systemd has one */
        int notify_fd;

        /* systemd reads while we send: a datagram socket takes ten messages only (net.unix.max_dgram_qlen).
         */
        pthread_t systemd;
        int stop_fd;
        pthread_mutex_t lock; /* of the store */
        struct {
                char name[64];
                int fd;
        } store[GATE_STORE_MAX];
        size_t n_store;

        CredentialVerdict verdict;
        const char *data;
        size_t data_size;
        unsigned n_decided;
        unsigned n_served;
        CredentialPeer last;
} GateFixture;

/* For cmocka_unit_test_setup_teardown(). The gate holds everything at first. */
int gate_setup(void **state);
int gate_teardown(void **state);

/* From now on every connection gets these bytes; NULL: none. They are borrowed. */
void gate_serve(GateFixture *f, const char *data);

/* Runs the loop until nothing is left to do. */
void gate_settle(GateFixture *f);

/* The process dies and a next one starts: its store has the connections, and the old process ended none of them. */
void gate_restart(GateFixture *f, size_t connections_max);

/* Nobody reads the notifications any more. */
void gate_stop_systemd(GateFixture *f);

/* A connection whose own end has this abstract name; none if it is empty. Non-blocking. */
int gate_peer_named(GateFixture *f, const char *name);

/* Connects like systemd for the credential "bot-token", which shuts its writing side down before it reads. */
int gate_peer(GateFixture *f, const char *unit);

bool gate_has_ended(int fd);

/* Reads to the end of the file, while the gate does its part, and closes. */
size_t gate_read_all(GateFixture *f, int fd, char *buffer, size_t buffer_size);
void gate_assert_reads(GateFixture *f, int fd, const char *expected);
