/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "flood.h"

#define MINUTE_SEC 60
#define HOUR_SEC   3600

typedef struct FloodAddress {
        struct FloodAddress *next;
        char *address;
        uint64_t *logins_usec;
        size_t n_logins;
} FloodAddress;

void flood_done(FloodControl *flood)
{
        while (flood->first) {
                FloodAddress *entry = flood->first;

                flood->first = entry->next;
                free(entry->address);
                free(entry->logins_usec);
                free(entry);
        }
}

static FloodAddress *flood_find(FloodControl *flood, const char *address)
{
        FloodAddress *entry;

        for (entry = flood->first; entry; entry = entry->next)
                if (streq(entry->address, address))
                        return entry;

        entry = calloc(1, sizeof(*entry));
        assert(entry);
        entry->address = strdup(address);
        assert(entry->address);
        entry->next = flood->first;
        flood->first = entry;
        return entry;
}

/* How long until fewer than `limit` logins lie within the window. */
static uint64_t wait_usec(const FloodAddress *entry, int64_t limit, uint64_t window_usec, uint64_t now_usec)
{
        uint64_t free_usec;

        if (limit <= 0 || entry->n_logins < (size_t) limit)
                return 0;
        free_usec = entry->logins_usec[entry->n_logins - (size_t) limit] + window_usec;
        return free_usec > now_usec ? free_usec - now_usec : 0;
}

int64_t flood_admit(FloodControl *flood, const Settings *settings, const char *address, uint64_t now_usec)
{
        FloodAddress *entry = flood_find(flood, address);
        uint64_t minute = wait_usec(entry, settings->flood_per_minute, settings_scaled_usec(settings, MINUTE_SEC),
                                    now_usec);
        uint64_t hour = wait_usec(entry, settings->flood_per_hour, settings_scaled_usec(settings, HOUR_SEC), now_usec);
        uint64_t wait = MAX(minute, hour);
        uint64_t *logins;

        if (wait > 0)
                return (int64_t) ((wait + USEC_PER_SEC - 1) / USEC_PER_SEC);

        logins = reallocarray(entry->logins_usec, entry->n_logins + 1, sizeof(*logins));
        assert(logins);
        logins[entry->n_logins++] = now_usec;
        entry->logins_usec = logins;
        return 0;
}
