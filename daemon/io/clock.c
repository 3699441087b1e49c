/* SPDX-License-Identifier: MIT */
#include <systemd/sd-id128.h>
#include <time.h>

#include "io/clock.h"

/* Timers that fall due together wake the process once. */
#define TIMER_ACCURACY_USEC (1 * USEC_PER_MSEC)

static usec_t read_clock(clockid_t id)
{
        struct timespec ts;
        int r;

        r = clock_gettime(id, &ts);
        assert(r == 0);
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

usec_t clock_boottime_usec(void)
{
        return read_clock(CLOCK_BOOTTIME);
}

usec_t clock_realtime_usec(void)
{
        return read_clock(CLOCK_REALTIME);
}

usec_t clock_monotonic_usec(void)
{
        return read_clock(CLOCK_MONOTONIC);
}

/* A property of the host, like the clocks: one for the process. */
static struct {
        sd_bus *bus;
        sd_bus_slot *question;
        bool synchronised;
        Moment reference; /* when that was said */
} watch;

int clock_moment(Moment *ret)
{
        Moment m = {};
        sd_id128_t boot;
        int r;

        r = sd_id128_get_boot(&boot);
        if (r < 0)
                return r;
        static_assert(sizeof(m.boot_id) == sizeof(boot.bytes), "a boot id is an sd_id128_t");
        memcpy(m.boot_id, boot.bytes, sizeof(m.boot_id));
        m.boottime_usec = clock_boottime_usec();
        m.realtime_usec = clock_realtime_usec();
        /* Nobody tells when the clock is set: what timedate1 said holds for the clock as it was then. */
        m.synchronised = watch.synchronised && moment_is_steady(&watch.reference, &m);
        *ret = m;
        return 0;
}

static int on_synchronised(sd_bus_message *reply, void *userdata, sd_bus_error *reterr_error)
{
        int synchronised = 0;

        watch.question = sd_bus_slot_unref(watch.question);
        /* No answer is no evidence: a host without timedated counts as not synchronised. */
        watch.synchronised = !sd_bus_message_is_method_error(reply, NULL) &&
                             sd_bus_message_read(reply, "v", "b", &synchronised) >= 0 && synchronised;
        if (clock_moment(&watch.reference) < 0)
                watch.synchronised = false;
        return 0;
}

int clock_refresh_synchronised(void)
{
        if (!watch.bus || watch.question)
                return 0;
        return sd_bus_call_method_async(watch.bus, &watch.question, "org.freedesktop.timedate1",
                                        "/org/freedesktop/timedate1", "org.freedesktop.DBus.Properties", "Get",
                                        on_synchronised, NULL, "ss", "org.freedesktop.timedate1", "NTPSynchronized");
}

int clock_watch_synchronised(sd_bus *bus)
{
        watch.question = sd_bus_slot_unref(watch.question);
        sd_bus_unref(watch.bus);
        watch.bus = sd_bus_ref(bus);
        watch.synchronised = false;
        return clock_refresh_synchronised();
}

struct ClockTimer {
        sd_event_source *source;
        clock_timer_handler_t handler;
        void *userdata;
};

static int on_elapsed(sd_event_source *s, uint64_t usec, void *userdata)
{
        ClockTimer *t = userdata;

        t->handler(t->userdata);
        return 0;
}

int clock_timer_new(ClockTimer **ret, sd_event *event, usec_t delay_usec, clock_timer_handler_t handler, void *userdata)
{
        ClockTimer *t;
        int r;

        t = malloc(sizeof(ClockTimer));
        if (!t)
                return -ENOMEM;
        *t = (ClockTimer){ .handler = handler, .userdata = userdata };
        /* Not sd_event_add_time_relative(): that counts from the start of the loop's iteration, which may be long ago.
         * To sd_event, USEC_INFINITY is never. */
        r = sd_event_add_time(event, &t->source, CLOCK_BOOTTIME, usec_add(clock_boottime_usec(), delay_usec),
                              TIMER_ACCURACY_USEC, on_elapsed, t);
        if (r < 0) {
                free(t);
                return r;
        }
        *ret = t;
        return 0;
}

ClockTimer *clock_timer_free(ClockTimer *t)
{
        if (!t)
                return NULL;
        sd_event_source_disable_unref(t->source);
        free(t);
        return NULL;
}
