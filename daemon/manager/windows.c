/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <time.h>

#include "manager/bot-log.h"
#include "manager/bot.h"

/* When the windows of a bot end. One timer, and only while one is open. */

/* A window of an earlier boot may turn out to be over as soon as the clock is synchronised, which nobody tells. */
#define CLOCK_LOOK_USEC (10 * USEC_PER_SEC)

usec_t bot_window_left(const Bot *b, Seat server)
{
        const Window *w = server == SEAT_CLOUD ? &b->record.cloud_window : &b->record.local_window;
        Moment now;

        if (w->length_usec == 0 || (server == SEAT_LOCAL && server_has_forgotten(b)))
                return 0;
        return clock_moment(&now) < 0 ? USEC_INFINITY : window_left(w, &now);
}

static usec_t allowed_usec(const Bot *b, Seat server)
{
        const Window *w = server == SEAT_CLOUD ? &b->record.cloud_window : &b->record.local_window;
        Moment now;

        if (!b->record_ok)
                return USEC_INFINITY;
        /* Nobody knows yet when the last attempt will have been applied. */
        if (bot_seat(b) == SEAT_UNKNOWN && b->record.seat == server)
                return USEC_INFINITY;
        if (bot_window_left(b, server) == 0)
                return 0;
        return clock_moment(&now) < 0 ? USEC_INFINITY : window_end_realtime(w, &now);
}

usec_t bot_cloud_allowed_usec(const Bot *b)
{
        return allowed_usec(b, SEAT_CLOUD);
}

usec_t bot_local_allowed_usec(const Bot *b)
{
        return allowed_usec(b, SEAT_LOCAL);
}

usec_t bot_logged_out_usec(const Bot *b)
{
        return b->record.cloud_window.since.realtime_usec;
}

static void on_window_timer(void *userdata)
{
        Bot *b = userdata;
        bool closed = false;

        b->window_timer = clock_timer_free(b->window_timer);
        /* Once over, always over: the next boot's clock may know nothing of it. */
        for (Seat server = SEAT_CLOUD; server <= SEAT_LOCAL; server++) {
                Window *w = record_window(&b->record, server);

                if (w->length_usec == 0 || allowed_usec(b, server) > 0)
                        continue;
                window_close(w);
                closed = true;
                bot_log_event(b, LOG_NOTICE, LOG_EVENT_WINDOW_OVER,
                              "The window is over: the %s server takes the bot again.", seat_to_string(server));
        }
        if (closed) {
                bot_record_aside(b);
                manager_schedule(b->manager);
                bot_changed(b);
        } else if (clock_refresh_synchronised() < 0) {
                bot_log(b, LOG_DEBUG, "Failed to ask whether the clock is synchronised, ignoring.");
        }
        bot_window_watch(b);
}

static bool is_of_this_boot(const Window *w)
{
        Moment now;

        return clock_moment(&now) >= 0 && moment_same_boot(&w->since, &now);
}

void bot_window_watch(Bot *b)
{
        usec_t next = USEC_INFINITY;
        int r;

        b->window_timer = clock_timer_free(b->window_timer);
        if (!b->record_ok)
                return;
        for (Seat server = SEAT_CLOUD; server <= SEAT_LOCAL; server++) {
                const Window *w = record_window(&b->record, server);
                usec_t left;

                if (w->length_usec == 0)
                        continue;
                left = bot_window_left(b, server);
                /* An attempt without an answer puts off the end. */
                if (left == 0 && allowed_usec(b, server) > 0)
                        left = CLOCK_LOOK_USEC;
                if (!is_of_this_boot(w))
                        left = MIN(left, CLOCK_LOOK_USEC);
                next = MIN(next, left);
        }
        if (next == USEC_INFINITY)
                return;
        r = clock_timer_new(&b->window_timer, b->manager->event, next, on_window_timer, b);
        if (r < 0)
                /* Who waits for its end would wait for ever; a restart counts on from the record. */
                sd_event_exit(b->manager->event, bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer, giving up: %m"));
}

void bot_window_load(Bot *b)
{
        bool changed = false;
        Moment now;

        if (clock_moment(&now) < 0)
                return;
        for (Seat server = SEAT_CLOUD; server <= SEAT_LOCAL; server++)
                changed = window_look(record_window(&b->record, server), &now) || changed;
        if (changed)
                bot_record_aside(b);
        bot_window_watch(b);
}

const char *format_clock(char buffer[static WHEN_MAX], usec_t usec_from_now)
{
        time_t at = (time_t) (usec_add(clock_realtime_usec(), usec_from_now) / USEC_PER_SEC);
        struct tm tm;

        /* What is left of a window is always known: clock_moment() has worked at start-up (manager_new()). */
        assert(usec_from_now != USEC_INFINITY);
        if (!localtime_r(&at, &tm) || strftime(buffer, WHEN_MAX, "%H:%M:%S", &tm) == 0)
                abort();
        return buffer;
}

const char *format_when(char buffer[static WHEN_MAX], usec_t usec_from_now)
{
        uint64_t sec = (usec_from_now + USEC_PER_SEC - 1) / USEC_PER_SEC;
        char clock[WHEN_MAX];

        snprintf(buffer, WHEN_MAX, "%.20s (in %" PRIu64 " s)", format_clock(clock, usec_from_now), sec);
        return buffer;
}
