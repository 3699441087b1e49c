/* SPDX-License-Identifier: MIT */
#include "core/window.h"

bool moment_same_boot(const Moment *a, const Moment *b)
{
        return memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0;
}

bool moment_is_set(const Moment *m)
{
        return m->boottime_usec > 0 || m->realtime_usec > 0;
}

bool moment_is_steady(const Moment *reference, const Moment *m)
{
        /* Both clocks go on in suspend: only who sets the one changes the difference. */
        int64_t then = (int64_t) (reference->realtime_usec - reference->boottime_usec);
        int64_t now = (int64_t) (m->realtime_usec - m->boottime_usec);
        uint64_t step = now > then ? (uint64_t) now - (uint64_t) then : (uint64_t) then - (uint64_t) now;

        return moment_same_boot(reference, m) && step < MOMENT_STEP_USEC;
}

usec_t moment_age(const Moment *then, const Moment *seen, const Moment *now)
{
        usec_t age = 0;

        /* One clock that nobody can set: nothing else is looked at. */
        if (moment_same_boot(then, now))
                return usec_sub(now->boottime_usec, then->boottime_usec);

        if (seen && moment_is_set(seen) && moment_same_boot(seen, now))
                age = usec_sub(now->boottime_usec, seen->boottime_usec);
        /* A stamp from the future proves that one of the two was wrong, so it tells nothing (usec_sub() gives 0). */
        if (then->synchronised && now->synchronised)
                age = MAX(age, usec_sub(now->realtime_usec, then->realtime_usec));
        return age;
}

void window_begin(Window *w, const Moment *now, usec_t length_usec)
{
        *w = (Window){ .since = *now, .length_usec = length_usec };
}

void window_close(Window *w)
{
        w->length_usec = 0;
}

bool window_look(Window *w, const Moment *now)
{
        if (w->length_usec == 0 || moment_same_boot(&w->since, now) ||
            (moment_is_set(&w->seen) && moment_same_boot(&w->seen, now)))
                return false;
        w->seen = *now;
        return true;
}

usec_t window_left(const Window *w, const Moment *now)
{
        if (w->length_usec == 0)
                return 0;
        return usec_sub(usec_add(w->length_usec, WINDOW_MARGIN_USEC), moment_age(&w->since, &w->seen, now));
}

usec_t window_end_realtime(const Window *w, const Moment *now)
{
        usec_t left = window_left(w, now);

        return left > 0 ? usec_add(now->realtime_usec, left) : 0;
}

bool window_session_is_young(const Moment *logged_in, const Moment *now)
{
        return moment_is_set(logged_in) && moment_age(logged_in, NULL, now) < WINDOW_LONG_USEC + WINDOW_MARGIN_USEC;
}

usec_t window_length(Seat server, const Moment *logged_in, bool may_be_new, const Moment *now)
{
        assert(server == SEAT_CLOUD || server == SEAT_LOCAL);

        if (may_be_new || window_session_is_young(logged_in, now))
                return WINDOW_LONG_USEC;
        return server == SEAT_CLOUD ? WINDOW_CLOUD_USEC : WINDOW_LOCAL_USEC;
}
