/* SPDX-License-Identifier: MIT */
#include "core/health.h"

void health_note(Health *h, bool good, usec_t now_usec, usec_t stable_usec)
{
        if (!good) {
                if (h->bad_since_usec == 0)
                        h->bad_since_usec = now_usec;
                h->good_since_usec = 0;
                return;
        }
        if (health_is_well(h))
                return;
        if (h->bad_since_usec > 0) {
                h->bad_usec += usec_sub(now_usec, h->bad_since_usec);
                h->bad_since_usec = 0;
                h->good_since_usec = now_usec;
        }
        if (usec_sub(now_usec, h->good_since_usec) >= stable_usec)
                *h = (Health){};
}

bool health_is_well(const Health *h)
{
        return h->bad_since_usec == 0 && h->good_since_usec == 0;
}

bool health_is_dead(const Health *h, usec_t now_usec, usec_t grace_usec)
{
        return h->bad_since_usec > 0 && h->bad_usec + usec_sub(now_usec, h->bad_since_usec) >= grace_usec;
}
