/* SPDX-License-Identifier: MIT */
#include "base/parse-util.h"
#include "ctl/ctl-clock.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-until.h"

/* One wish for one bot. */
typedef int (*hold_ask_t)(Ctl *c, const char *path, usec_t until_usec, sd_bus_error *error);

static int ask_hold(Ctl *c, const char *path, usec_t until_usec, sd_bus_error *error)
{
        return ctl_call(c, path, BUS_BOT_INTERFACE, "Hold", error, NULL, "ts", until_usec, c->reason ?: "");
}

static int ask_release(Ctl *c, const char *path, usec_t until_usec, sd_bus_error *error)
{
        return ctl_call(c, path, BUS_BOT_INTERFACE, "Release", error, NULL, "");
}

static void print_hold(const Ctl *c, const CtlBot *b, usec_t until_usec)
{
        char when[SHOW_SIZE];

        if (until_usec == 0)
                printf("%s: automatic moves are allowed.\n", b->name);
        else if (until_usec == USEC_INFINITY)
                printf("%s: no automatic moves until '%s release %s'.\n", b->name, ctl_program(c), b->name);
        else
                printf("%s: no automatic moves until %s.\n", b->name, show_clock(when, until_usec, ctl_now_usec()));
}

/* Asks for every chosen bot; where one is refused the others are held or released all the same. */
static CtlExit hold_selected(Ctl *c, hold_ask_t ask, usec_t until_usec)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        json_object *json = NULL, *bots = NULL;
        size_t n_done = 0;
        CtlExit status, worst = CTL_OK;

        if ((status = ctl_begin(c, &s)) != CTL_OK || (status = ctl_state_select(&s, c->arguments)) != CTL_OK)
                return status;
        if (c->json) {
                json = ctl_json_new();
                bots = json_object_new_array();
                ctl_json_add(json, "held", json_object_new_boolean(until_usec > 0));
                ctl_json_add(json, "held_until_usec", json_usec(until_usec));
                ctl_json_add(json, "bots", bots);
        }
        for (size_t i = 0; i < s.n_bots; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                const CtlBot *b = s.bots + i;
                char path[64];
                int r;

                if (!b->selected)
                        continue;
                (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", b->name);
                r = ask(c, path, until_usec, &error);
                if (r < 0) {
                        worst = ctl_call_failed(b->name, r, &error);
                        continue;
                }
                n_done++;
                if (!bots)
                        print_hold(c, b, until_usec);
                else if (json_object_array_add(bots, json_text(b->name)) < 0)
                        abort();
        }
        if (json)
                (void) ctl_print_json(json);
        return worst != CTL_OK && n_done > 0 ? CTL_SOME_FAILED : worst;
}

CtlExit verb_hold(Ctl *c)
{
        usec_t now_usec = ctl_now_usec(), until_usec = USEC_INFINITY;

        if (c->hold_for && c->hold_until)
                return ctl_error(CTL_USAGE, "Give either --for or --until, not both.");
        if (c->hold_for) {
                usec_t span_usec;

                if (parse_sec(c->hold_for, &span_usec) < 0 || span_usec == 0)
                        return ctl_error(CTL_USAGE, "--for takes a span of time, like 24h or \"2d 12h\", not '%s'.",
                                         c->hold_for);
                until_usec = usec_add(now_usec, span_usec);
        }
        if (c->hold_until && parse_until(c->hold_until, now_usec, &until_usec) < 0)
                return ctl_error(CTL_USAGE,
                                 "--until takes a moment to come, like 18:30, 2030-12-24 or \"2030-12-24 18:30\", not "
                                 "'%s'.",
                                 c->hold_until);
        return hold_selected(c, ask_hold, until_usec);
}

CtlExit verb_release(Ctl *c)
{
        return hold_selected(c, ask_release, 0);
}
