/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/ctl-json.h"
#include "ctl/ctl-watch.h"

static CtlExit parse_job(const Ctl *c, const char *s, uint32_t *ret)
{
        unsigned long long number;
        char *end;

        errno = 0;
        number = strtoull(s, &end, 10);
        if (errno != 0 || *end != '\0' || s[0] < '0' || s[0] > '9' || number == 0 || number > UINT32_MAX)
                return ctl_error(CTL_USAGE, "'%s' is no job; jobs have numbers, and '%s status' shows them.", s,
                                 ctl_program(c));
        *ret = (uint32_t) number;
        return CTL_OK;
}

/* ---- wait ---- */

/* A job that runs, or the last one of its bot: of older ones nothing is known. */
static CtlExit add_job(const Ctl *c, Watch *w, CtlState *s, uint32_t id)
{
        const CtlJob *job = ctl_state_job(s, id);

        if (job)
                return watch_add(w, id, job->bot ?: "", job->target ?: "");
        for (size_t i = 0; i < s->n_bots; i++)
                if (s->bots[i].last_job.id == id)
                        return watch_add_ended(w, s->bots + i);
        return ctl_error(CTL_NOT_FOUND,
                         "There is no job %" PRIu32 ", and it is no bot's last one; '%s status' shows all.", id,
                         ctl_program(c));
}

static CtlExit wait_jobs(Ctl *c, Watch *w, json_object *json)
{
        _cleanup_(ctl_state_done) CtlState s = { 0 };
        CtlExit status;
        int detached = 0;

        status = ctl_begin(c, &s);
        if (status != CTL_OK)
                return status;
        for (char **a = c->arguments; *a; a++) {
                uint32_t id;

                if ((status = parse_job(c, *a, &id)) != CTL_OK || (status = add_job(c, w, &s, id)) != CTL_OK)
                        return status;
        }

        status = watch_run(w, &detached);
        if (status != CTL_OK)
                return status;
        status = watch_report(w, 0, json);
        return detached ? (CtlExit) (128 + detached) : status;
}

CtlExit verb_wait(Ctl *c)
{
        _cleanup_(watch_freep) Watch *w = NULL;
        json_object *json = NULL, *jobs = NULL;
        CtlExit status;

        for (char **a = c->arguments; *a; a++) {
                uint32_t id;

                status = parse_job(c, *a, &id);
                if (status != CTL_OK)
                        return status;
        }
        status = watch_new(&w, c);
        if (status != CTL_OK)
                return status;
        if (c->json) {
                json = ctl_json_new();
                jobs = json_object_new_array();
                ctl_json_add(json, "jobs", jobs);
        }
        status = wait_jobs(c, w, jobs);
        if (json)
                (void) ctl_print_json(json);
        return status;
}

/* ---- cancel, proceed ---- */

static CtlExit ask_job(Ctl *c, const char *member, const char *done)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        CtlExit status;
        char path[64];
        uint32_t id;
        int r;

        if ((status = parse_job(c, c->arguments[0], &id)) != CTL_OK || (status = ctl_connect(c)) != CTL_OK)
                return status;

        (void) snprintf(path, sizeof(path), BUS_JOB_PREFIX "%" PRIu32, id);
        r = ctl_call(c, path, BUS_JOB_INTERFACE, member, &error, NULL, "");
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return ctl_error(CTL_NOT_FOUND, "No job %" PRIu32 " is under way; '%s status' shows those that are.",
                                 id, ctl_program(c));
        if (r < 0)
                return ctl_call_failed(NULL, r, &error);

        if (c->json) {
                json_object *o = ctl_json_new();

                ctl_json_add(o, "job", json_object_new_uint64(id));
                return ctl_print_json(o);
        }
        printf("Job %" PRIu32 " %s; follow it with '%s wait %" PRIu32 "'.\n", id, done, ctl_program(c), id);
        return CTL_OK;
}

CtlExit verb_cancel(Ctl *c)
{
        return ask_job(c, "Cancel", "is being taken back");
}

CtlExit verb_proceed(Ctl *c)
{
        return ask_job(c, "Proceed", "goes on");
}
