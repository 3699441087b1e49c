/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/macro.h"

/* What a program pays for the libraries that tgswitchd uses, before it has done anything: each of them set up as the
 * daemon does it, and then only waiting. To be started in place of the daemon, in its unit, so that both pay the same
 * for the sandbox.
 *
 *      bare [PROGRAM]
 *
 * Becomes the program, where one is named, which then has the moment of that in its environment: the time before is
 * systemd's, and what comes after is the program's. */

static int become(char *argv[])
{
        struct timespec now;
        char text[32];

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        (void) snprintf(text, sizeof(text), "%lld", (long long) now.tv_sec * 1000000 + now.tv_nsec / 1000);
        if (setenv("BENCH_EXEC_USEC", text, true) < 0 || execv(argv[0], argv) < 0)
                return -errno;
        return 0;
}

static int wait_for_ever(void)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        json_object *object = json_tokener_parse("{\"ok\":true}");
        CURLM *multi = NULL;
        int r;

        r = object && json_object_put(object) == 1 ? sd_event_default(&event) : -ENOMEM;
        if (r >= 0)
                r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0 && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
                multi = curl_multi_init();
        if (r >= 0 && !multi)
                r = -ENOMEM;
        if (r >= 0)
                r = sd_notify(false, "READY=1");
        if (r >= 0)
                r = sd_event_loop(event);
        (void) curl_multi_cleanup(multi);
        return r;
}

int main(int argc, char *argv[])
{
        int r = argc > 1 ? become(argv + 1) : wait_for_ever();

        if (r < 0)
                fprintf(stderr, "bare: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
