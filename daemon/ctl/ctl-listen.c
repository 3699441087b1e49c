/* SPDX-License-Identifier: MIT */
#include "ctl/ctl-listen.h"

int ctl_listen(sd_bus *bus, const CtlMatch *matches, size_t n_matches, void *userdata)
{
        int r = 0;

        for (size_t i = 0; i < n_matches && r >= 0; i++)
                r = sd_bus_add_match(bus, NULL, matches[i].match, matches[i].handler, userdata);
        return r;
}

int ctl_add_signal(sd_event *event, int signal_number, sd_event_signal_handler_t handler, void *userdata)
{
        sd_event_source *source;
        int r;

        r = sd_event_add_signal(event, &source, signal_number, handler, userdata);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r >= 0)
                r = sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        return r;
}
