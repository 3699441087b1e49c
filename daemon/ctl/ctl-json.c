/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "ctl/ctl-json.h"

json_object *json_text(const char *s)
{
        return json_object_new_string(s ?: "");
}

json_object *json_usec(usec_t usec)
{
        return usec == 0 || usec == USEC_INFINITY ? NULL : json_object_new_uint64(usec);
}

json_object *json_job(const CtlJob *job)
{
        json_object *o = json_object_new_object();

        ctl_json_add(o, "job", json_object_new_uint64(job->id));
        if (job->bot)
                ctl_json_add(o, "bot", json_text(job->bot));
        ctl_json_add(o, "target", json_text(job->target));
        if (job->phase)
                ctl_json_add(o, "phase", json_text(job->phase));
        if (job->result)
                ctl_json_add(o, "result", json_text(job->result));
        ctl_json_add(o, "reason", json_text(job->reason));
        ctl_json_add(o, "error", json_text(job->error));
        ctl_json_add(o, "started_usec", json_usec(job->started_usec));
        ctl_json_add(o, "ended_usec", json_usec(job->ended_usec));
        ctl_json_add(o, "not_before_usec", json_usec(job->not_before_usec));
        ctl_json_add(o, "drained", json_object_new_uint64(job->drained));
        ctl_json_add(o, "spooled", json_object_new_uint64(job->spooled));
        ctl_json_add(o, "handed_over", json_object_new_uint64(job->handed_over));
        ctl_json_add(o, "blind_usec", json_usec(job->blind_usec));
        ctl_json_add(o, "downtime_usec", json_usec(job->downtime_usec));
        return o;
}

json_object *json_bot(const CtlBot *b)
{
        json_object *o = json_object_new_object(), *workers = json_object_new_array();

        STRV_FOREACH(w, b->workers)
                if (json_object_array_add(workers, json_text(*w)) < 0)
                        abort();
        ctl_json_add(o, "name", json_text(b->name));
        ctl_json_add(o, "id", b->id > 0 ? json_object_new_int64(b->id) : NULL);
        ctl_json_add(o, "seat", json_text(b->seat));
        ctl_json_add(o, "phase", json_text(b->phase));
        ctl_json_add(o, "target", json_text(b->target));
        ctl_json_add(o, "endpoint", json_text(b->endpoint));
        ctl_json_add(o, "workers", workers);
        ctl_json_add(o, "job", b->job_id > 0 ? json_object_new_uint64(b->job_id) : NULL);
        ctl_json_add(o, "logged_out_usec", json_usec(b->logged_out_usec));
        /* what json_usec() would confuse: now, and not known */
        ctl_json_add(o, "cloud_allowed", json_object_new_boolean(b->cloud_allowed_usec == 0));
        ctl_json_add(o, "cloud_allowed_usec", json_usec(b->cloud_allowed_usec));
        ctl_json_add(o, "local_allowed", json_object_new_boolean(b->local_allowed_usec == 0));
        ctl_json_add(o, "local_allowed_usec", json_usec(b->local_allowed_usec));
        ctl_json_add(o, "stale_session", json_object_new_boolean(b->stale_session));
        /* held without an end has no time */
        ctl_json_add(o, "held", json_object_new_boolean(b->held_until_usec > 0));
        ctl_json_add(o, "held_until_usec", json_usec(b->held_until_usec));
        ctl_json_add(o, "held_reason", json_text(b->held_reason));
        ctl_json_add(o, "pending_updates", json_object_new_uint64(b->pending));
        ctl_json_add(o, "pending_updates_usec", json_usec(b->pending_usec));
        ctl_json_add(o, "spooled_updates", json_object_new_uint64(b->spooled));
        ctl_json_add(o, "last_job", b->last_job.id > 0 ? json_job(&b->last_job) : NULL);
        ctl_json_add(o, "last_error", json_text(b->last_error));
        return o;
}
