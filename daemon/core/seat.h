/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>

/* Where a bot is logged in. */
typedef enum Seat {
        SEAT_UNDECLARED, /* no record and no InitialSeat=: nothing is sent for this bot */
        SEAT_CLOUD,
        SEAT_LOCAL,
        SEAT_NONE,    /* logged out of one server, not yet in at the other */
        SEAT_UNKNOWN, /* a logOut was sent and its outcome is not known */
        SEAT_MAX,
        SEAT_INVALID = -EINVAL,
} Seat;

const char *seat_to_string(Seat seat);
Seat seat_from_string(const char *s);
