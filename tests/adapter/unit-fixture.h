/* SPDX-License-Identifier: MIT */
#pragma once

#include "fake-systemd.h"
#include "io/unit-client.h"

#define FAKE_FORGER ":1.666" /* somebody else on the bus */

/* A unit client and what its handlers saw. */
typedef struct UnitFixture {
        sd_event *event;
        FakeSystemd *systemd;
        sd_bus *bus;
        UnitClient *client;
        UnitCall *call;
        UnitCall *other;

        unsigned n_called;
        bool free_in_handler;
        UnitJobResult result;
        char *error;
        int r;
        UnitActiveState active;
        char sub_state[32];
} UnitFixture;

/* For cmocka_unit_test_setup_teardown(): on a direct connection, or with a broker in between. */
int unit_setup_direct(void **state);
int unit_setup_bus(void **state);
int unit_teardown(void **state);

/* Runs the loop until nothing is left to do. */
void unit_settle(UnitFixture *f);

/* What systemd was asked since the last time, in one line. */
void unit_assert_calls(UnitFixture *f, const char *expected);
