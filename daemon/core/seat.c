/* SPDX-License-Identifier: MIT */
#include "base/macro.h"
#include "core/seat.h"

static const char *const seat_names[SEAT_MAX] = {
        [SEAT_UNDECLARED] = "undeclared", [SEAT_CLOUD] = "cloud", [SEAT_LOCAL] = "local", [SEAT_NONE] = "none",
        [SEAT_UNKNOWN] = "unknown",
};

const char *seat_to_string(Seat seat)
{
        return seat >= 0 && seat < SEAT_MAX ? seat_names[seat] : NULL;
}

Seat seat_from_string(const char *s)
{
        for (Seat seat = 0; seat < SEAT_MAX; seat++)
                if (s && streq(s, seat_names[seat]))
                        return seat;
        return SEAT_INVALID;
}
