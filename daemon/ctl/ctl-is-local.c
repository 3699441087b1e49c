/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>
#include <stdio.h>

#include "ctl/ctl-bus.h"
#include "ctl/ctl-json.h"

static void print_seats(const CtlState *s, char *const *patterns)
{
        for (char *const *p = patterns; *p; p++)
                for (size_t i = 0; i < s->n_bots; i++)
                        if (fnmatch(*p, s->bots[i].name, 0) == 0)
                                puts(s->bots[i].seat ?: "");
}

static void print_json(const CtlState *s, bool all)
{
        json_object *o = ctl_json_new(), *bots = json_object_new_array();

        for (size_t i = 0; i < s->n_bots; i++) {
                json_object *bot;

                if (!s->bots[i].selected)
                        continue;
                bot = json_object_new_object();
                ctl_json_add(bot, "name", json_text(s->bots[i].name));
                ctl_json_add(bot, "seat", json_text(s->bots[i].seat));
                if (json_object_array_add(bots, bot) < 0)
                        abort();
        }
        ctl_json_add(o, "local", json_object_new_boolean(all));
        ctl_json_add(o, "bots", bots);
        (void) ctl_print_json(o);
}

CtlExit verb_is_local(Ctl *c)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        bool all = true;
        CtlExit status;

        if ((status = ctl_begin(c, &s)) != CTL_OK || (status = ctl_state_select(&s, c->arguments)) != CTL_OK)
                return status;
        for (size_t i = 0; i < s.n_bots; i++)
                all = all && (!s.bots[i].selected || streq_ptr(s.bots[i].seat, "local"));
        if (c->quiet)
                return all ? CTL_OK : CTL_FAILED;
        if (c->json)
                print_json(&s, all);
        else
                print_seats(&s, c->arguments);
        return all ? CTL_OK : CTL_FAILED;
}
