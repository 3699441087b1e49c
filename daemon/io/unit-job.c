/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "io/unit-client-internal.h"

/* A call may be lost when systemd executes itself anew. Each verb may be asked for twice: a job that is
 * still queued absorbs the second one. */
#define RESENDS_MAX 3

typedef enum JobPhase {
        JOB_QUEUE,        /* StartUnit() or the like is */
        JOB_WAIT,         /* for JobRemoved */
        JOB_ASK_JOB,      /* the signal may have been missed: is the job still there? */
        JOB_ASK_UNIT,     /* it is not: what has become of the unit? */
        JOB_ASK_STOPPING, /* refused or cancelled: because the host goes down? */
        JOB_ENDED,
} JobPhase;

typedef struct JobCall {
        UnitCall base;
        UnitVerb verb;
        unit_job_handler_t handler;
        JobPhase phase;
        BusQueued *reset;    /* ResetFailed(), ahead of a start */
        BusQueued *question; /* the one that is outstanding */
        sd_event_source *deadline;
        bool overdue;
        bool counted; /* in n_queueing of the client */
        unsigned n_resent;
        uint32_t job_id;      /* 0: not known yet */
        UnitJobResult result; /* from ASK_STOPPING on: what it is if the host stays up */
        char *error;
} JobCall;

static const struct {
        const char *method;
        const char *word;
} verbs[UNIT_VERB_MAX] = {
        [UNIT_START] = { "StartUnit", "start" },
        [UNIT_START_PLAIN] = { "StartUnit", "start" },
        [UNIT_STOP] = { "StopUnit", "stop" },
        [UNIT_RESTART] = { "RestartUnit", "restart" },
        [UNIT_TRY_RESTART] = { "TryRestartUnit", "restart" },
        [UNIT_RELOAD] = { "ReloadUnit", "reload" },
};

static void job_queue(JobCall *j);

static void leave_queue(JobCall *j)
{
        UnitClient *c = j->base.client;

        if (!j->counted)
                return;
        j->counted = false;
        c->n_queueing--;
        if (c->n_queueing == 0) {
                c->n_early = 0;
                c->early_lost = false;
        }
}

static void job_call_done(UnitCall *call)
{
        JobCall *j = (JobCall *) call;

        leave_queue(j);
        bus_queued_free(j->reset);
        bus_queued_free(j->question);
        sd_event_source_disable_unref(j->deadline);
        free(j->error);
}

/* The handler may free the call: nobody touches it after this. */
static void job_finish(JobCall *j, UnitJobResult result)
{
        leave_queue(j);
        j->phase = JOB_ENDED;
        /* A connection that is gone took the answer with it. What will be true of this job the next process
         * finds out, here or after the next boot. */
        if (sd_bus_is_open(j->base.client->bus) <= 0)
                result = UNIT_JOB_SHUTDOWN;
        j->question = bus_queued_free(j->question);
        j->deadline = sd_event_source_disable_unref(j->deadline);
        j->handler(&j->base, result, j->error, j->base.userdata);
}

/* The answer is none, or nothing more can be asked: the connection is gone, or memory is. */
static void job_abandon(JobCall *j, int r)
{
        free(j->error);
        if (asprintf(&j->error,
                     "systemd was to %s %s, and whether it does so is not known (%s); see 'systemctl status %s'",
                     verbs[j->verb].word, j->base.unit, strerror(-r), j->base.unit) < 0)
                j->error = NULL;
        job_finish(j, UNIT_JOB_REFUSED);
}

/* ---- Is the host going down? -------------------------------------------------------------------------- */

static int on_system_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        JobCall *j = userdata;
        const char *state = "";

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "v", "s", &state) < 0)
                state = "";
        job_finish(j, streq(state, "stopping") ? UNIT_JOB_SHUTDOWN : j->result);
        return 0;
}

/* The shutdown's jobs cancel those that wait, and refuse new ones as contradictions to themselves. Neither
 * says why. */
static void job_ask_stopping(JobCall *j, UnitJobResult otherwise)
{
        int r;

        leave_queue(j);
        j->phase = JOB_ASK_STOPPING;
        j->result = otherwise;
        j->question = bus_queued_free(j->question);
        r = unit_client_call(j->base.client, &j->question, SYSTEMD_PATH, PROPERTIES_INTERFACE, "Get", on_system_state,
                             j, 0, "ss", SYSTEMD_MANAGER, "SystemState");
        if (r < 0)
                job_finish(j, otherwise);
}

static void job_settle(JobCall *j, UnitJobResult result)
{
        if (result == UNIT_JOB_CANCELED && j->verb != UNIT_STOP)
                job_ask_stopping(j, result);
        else
                job_finish(j, result);
}

/* ---- Was the end missed? ------------------------------------------------------------------------------ */

static UnitJobResult result_from_state(UnitVerb verb, UnitActiveState state)
{
        if (verb == UNIT_STOP)
                return unit_active_state_may_run(state) ? UNIT_JOB_CANCELED : UNIT_JOB_DONE;
        /* The unit was active before and is so whether it did as it was told or not. */
        if (verb == UNIT_RELOAD)
                return UNIT_JOB_CANCELED;
        if (verb == UNIT_TRY_RESTART && state == UNIT_INACTIVE)
                return UNIT_JOB_DONE;

        switch (state) {
        case UNIT_ACTIVE:
        case UNIT_RELOADING:
                return UNIT_JOB_DONE;
        case UNIT_INACTIVE: /* stopped meanwhile, or a oneshot: it does not run, so "done" would claim too
                               much */
                return UNIT_JOB_CANCELED;
        default: /* "activating" with no job is the pause before an automatic restart */
                return UNIT_JOB_FAILED;
        }
}

static void job_go_on_waiting(JobCall *j)
{
        if (j->overdue)
                job_finish(j, UNIT_JOB_TIMEOUT);
        else
                j->phase = JOB_WAIT;
}

static int on_active_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        JobCall *j = userdata;
        const char *word;

        if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "v", "s", &word) < 0)
                job_go_on_waiting(j);
        else
                job_settle(j, result_from_state(j->verb, unit_active_state_from_string(word)));
        return 0;
}

static int job_ask_unit(JobCall *j)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, j->base.unit, &path);
        if (r < 0)
                return r;
        j->phase = JOB_ASK_UNIT;
        j->question = bus_queued_free(j->question);
        return unit_client_call(j->base.client, &j->question, path, PROPERTIES_INTERFACE, "Get", on_active_state, j, 0,
                                "ss", SYSTEMD_UNIT, "ActiveState");
}

/* systemd's messages keep their order: had it sent us JobRemoved, the signal would have come before "no such
 * job". */
static int on_job_found(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        JobCall *j = userdata;
        int r;

        if (!sd_bus_message_is_method_error(reply, "org.freedesktop.systemd1.NoSuchJob")) {
                /* It is there. Or the answer was lost with a restart of systemd, which leads to the next
                 * recheck. */
                job_go_on_waiting(j);
                return 0;
        }
        r = job_ask_unit(j);
        if (r < 0)
                job_abandon(j, r);
        return 0;
}

static void job_ask_job(JobCall *j)
{
        int r;

        j->phase = JOB_ASK_JOB;
        j->question = bus_queued_free(j->question);
        r = unit_client_call(j->base.client, &j->question, SYSTEMD_PATH, SYSTEMD_MANAGER, "GetJob", on_job_found, j,
                             QUESTION_TIMEOUT_USEC, "u", j->job_id);
        if (r < 0)
                job_abandon(j, r);
}

void unit_job_recheck(UnitCall *call)
{
        JobCall *j = (JobCall *) call;

        if (j->phase == JOB_WAIT)
                job_ask_job(j);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        JobCall *j = userdata;

        j->overdue = true;
        if (j->phase == JOB_WAIT)
                job_ask_job(j);
        else if (j->phase == JOB_QUEUE)
                job_finish(j, UNIT_JOB_TIMEOUT);
        /* else the answer that is outstanding decides, within its own bound */
        return 0;
}

void unit_job_ended(UnitCall *call, uint32_t job_id, UnitJobResult result)
{
        JobCall *j = (JobCall *) call;

        if (j->job_id == job_id && (j->phase == JOB_WAIT || j->phase == JOB_ASK_JOB || j->phase == JOB_ASK_UNIT))
                job_settle(j, result);
}

/* ---- Queueing ----------------------------------------------------------------------------------------- */

static void job_refused(JobCall *j, sd_bus_message *reply)
{
        UnitJobResult result;
        int r;

        r = unit_error_explain(reply, verbs[j->verb].word, j->base.unit, &result, &j->error);
        if (r < 0)
                job_abandon(j, r);
        else if (sd_bus_message_is_method_error(reply, "org.freedesktop.systemd1.TransactionIsDestructive"))
                job_ask_stopping(j, result);
        else
                job_finish(j, result);
}

static bool job_find_early_end(JobCall *j, UnitJobResult *ret_result)
{
        UnitClient *c = j->base.client;

        for (size_t i = 0; i < c->n_early; i++)
                if (c->early[i].job_id == j->job_id) {
                        *ret_result = c->early[i].result;
                        return true;
                }
        return false;
}

static int job_id_from_path(const char *path, uint32_t *ret_id)
{
        const char *number = startswith(path, SYSTEMD_JOB_PATH "/");
        unsigned long id;
        char *end;

        if (!number || strspn(number, "0123456789") != strlen(number))
                return -EBADMSG;
        errno = 0;
        id = strtoul(number, &end, 10);
        if (errno != 0 || end == number || id == 0 || id > UINT32_MAX)
                return -EBADMSG;
        *ret_id = (uint32_t) id;
        return 0;
}

static int on_queued(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        JobCall *j = userdata;
        UnitJobResult result;
        bool early, early_lost;
        const char *path;
        int r;

        /* The call itself has no timeout, so this one comes from the broker: systemd left the bus before it
         * answered. Asked again, the call waits at the broker until systemd is back. */
        if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY) && j->n_resent < RESENDS_MAX &&
            sd_bus_is_open(j->base.client->bus) > 0) {
                j->n_resent++;
                job_queue(j);
                return 0;
        }
        if (sd_bus_message_is_method_error(reply, NULL)) {
                job_refused(j, reply);
                return 0;
        }

        r = sd_bus_message_read(reply, "o", &path);
        if (r >= 0)
                r = job_id_from_path(path, &j->job_id);
        if (r < 0) {
                job_abandon(j, r);
                return 0;
        }

        j->phase = JOB_WAIT;
        early = job_find_early_end(j, &result);
        early_lost = j->base.client->early_lost;
        leave_queue(j);
        if (early)
                job_settle(j, result);
        else if (early_lost)
                job_ask_job(j);
        return 0;
}

static int job_send_queue(JobCall *j)
{
        UnitClient *c = j->base.client;
        int r;

        j->phase = JOB_QUEUE;
        j->question = bus_queued_free(j->question);
        r = unit_client_call(c, &j->question, SYSTEMD_PATH, SYSTEMD_MANAGER, verbs[j->verb].method, on_queued, j,
                             USEC_INFINITY, "ss", j->base.unit, "replace");
        if (r < 0)
                return r;

        if (!j->counted) {
                j->counted = true;
                c->n_queueing++;
        }
        return 0;
}

static void job_queue(JobCall *j)
{
        int r = job_send_queue(j);

        if (r < 0)
                job_abandon(j, r);
}

/* Whether it was allowed or not: the start that follows tells. */
static int on_reset_before_start(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        JobCall *j = userdata;

        j->reset = bus_queued_free(j->reset);
        return 0;
}

/* The start goes out on its heels: the bus and systemd keep their order, and so does polkitd, which both ask. */
static int job_begin(JobCall *j)
{
        _cleanup_free_ char *path = NULL;
        int r;

        if (j->verb == UNIT_START) {
                r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, j->base.unit, &path);
                if (r >= 0)
                        r = unit_client_call(j->base.client, &j->reset, path, SYSTEMD_UNIT, "ResetFailed",
                                             on_reset_before_start, j, 0, NULL);
                if (r < 0)
                        return r;
        }
        return job_send_queue(j);
}

/* Like systemd's own timeouts it stands still while the host sleeps. */
int unit_job_limit(UnitCall *call, usec_t timeout_usec)
{
        JobCall *j = (JobCall *) call;

        assert(!j->deadline);
        return sd_event_add_time_relative(sd_bus_get_event(call->client->bus), &j->deadline, CLOCK_MONOTONIC,
                                          timeout_usec, 0, on_deadline, j);
}

int unit_client_job(UnitClient *c, const char *unit, UnitVerb verb, usec_t timeout_usec, unit_job_handler_t handler,
                    void *userdata, UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        JobCall *j;
        int r;

        assert(verb >= 0 && verb < UNIT_VERB_MAX);

        r = unit_call_new(sizeof(JobCall), c, UNIT_CALL_JOB, unit, userdata, job_call_done, &call);
        if (r < 0)
                return r;
        j = (JobCall *) call;
        j->verb = verb;
        j->handler = handler;

        if (timeout_usec != USEC_INFINITY) {
                r = unit_job_limit(call, timeout_usec);
                if (r < 0)
                        return r;
        }
        r = job_begin(j);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}
