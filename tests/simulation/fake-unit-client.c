/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "daemon.h"
#include "judge.h"
#include "systemd.h"

/* io/unit-client.h: the daemon's questions and wishes on their way to systemd and back. */

typedef enum CallKind {
        CALL_JOB,
        CALL_RESET,
        CALL_STOPPING,
        CALL_GET,
        CALL_LIST,
        CALL_WATCH,
} CallKind;

struct UnitCall {
        CallKind kind;
        UnitClient *client;
        UnitCall *next;
        char *unit;
        char **patterns;
        UnitVerb verb;
        union {
                unit_job_handler_t job;
                unit_reset_handler_t reset;
                unit_stopping_handler_t stopping;
                unit_info_handler_t info;
                unit_list_handler_t list;
                unit_watch_handler_t watch;
        } handler;
        void *userdata;
        struct Message *message; /* on its way to systemd */
        Event *event;            /* the answer on its way back */
        Event *deadline;
        uint32_t job_id;
        UnitJobResult result;
        const char *error;
        UnitActiveState reported; /* of a watch */
};

struct UnitClient {
        UnitCall *calls;
};

/* What has been written to the bus arrives, whatever becomes of who wrote it. */
typedef struct Message {
        UnitCall *call;
        UnitVerb verb;
        Unit *unit;
} Message;

static UnitClient *client;

static usec_t bus_usec(void)
{
        return fault(world.faults.unit_slow) ? random_span(100 * USEC_PER_MSEC, 5 * USEC_PER_SEC)
                                             : random_span(100, 5 * USEC_PER_MSEC);
}

/* The bus keeps the order of what is said, also by a process that has died since. */
static usec_t arrival_usec(void)
{
        world.bus_usec = MAX(world.bus_usec, timeline_now());
        world.bus_usec += bus_usec();
        return world.bus_usec - timeline_now();
}

static int call_new(UnitClient *c, CallKind kind, const char *unit, void *userdata, UnitCall **ret)
{
        int r = refusal(kind == CALL_JOB ? REFUSABLE_JOB : REFUSABLE_QUESTION);
        UnitCall *call;

        if (r < 0)
                return r;
        call = calloc(1, sizeof(UnitCall));
        assert(call);
        call->kind = kind;
        call->client = c;
        call->unit = unit ? strdup(unit) : NULL;
        judge_text(NULL, "a message to systemd", unit);
        call->userdata = userdata;
        call->reported = UNIT_ACTIVE_STATE_INVALID;
        call->next = c->calls;
        *ret = c->calls = call;
        return 0;
}

UnitCall *unit_call_free(UnitCall *call)
{
        if (!call)
                return NULL;
        for (UnitCall **slot = &call->client->calls; *slot; slot = &(*slot)->next)
                if (*slot == call) {
                        *slot = call->next;
                        break;
                }
        if (call->message)
                call->message->call = NULL;
        timeline_cancel(call->event);
        timeline_cancel(call->deadline);
        strv_free(call->patterns);
        free(call->unit);
        free(call);
        return NULL;
}

/* ---- jobs ---- */

static void on_job_over(void *userdata)
{
        UnitCall *call = userdata;

        call->event = NULL;
        call->deadline = timeline_cancel(call->deadline);
        call->job_id = 0;
        daemon_touch();
        call->handler.job(call, call->result, call->error, call->userdata);
}

static void job_over(UnitCall *call, UnitJobResult result, const char *error)
{
        if (call->event)
                return;
        call->result = result;
        call->error = error;
        call->event = timeline_add(bus_usec(), PLACE_HOST, on_job_over, call);
}

static void on_job_ended(uint32_t job, UnitJobResult result)
{
        for (UnitCall *call = client ? client->calls : NULL; call; call = call->next)
                if (call->kind == CALL_JOB && call->job_id == job)
                        job_over(call,
                                 result == UNIT_JOB_CANCELED && call->verb != UNIT_STOP && world.shutting_down
                                                 ? UNIT_JOB_SHUTDOWN
                                                 : result,
                                 NULL);
}

static void on_deadline(void *userdata)
{
        UnitCall *call = userdata;

        call->deadline = NULL;
        job_over(call, UNIT_JOB_TIMEOUT, NULL);
}

/* What the daemon is not let start need not run. */
static void note_refused(Unit *u, UnitVerb verb)
{
        if (!u || verb == UNIT_STOP)
                return;
        u->refused = true;
        if (u->wanted == WANTED_YES)
                u->wanted = WANTED_EITHER;
}

static void on_queue(void *userdata)
{
        Message *m = userdata;
        UnitCall *call = m->call;
        UnitJobResult refused = UNIT_JOB_RESULT_INVALID;
        uint32_t id;

        if (call)
                call->message = NULL;
        if (!world.up)
                refused = UNIT_JOB_SHUTDOWN;
        else if (fault(world.faults.denied))
                refused = UNIT_JOB_DENIED;
        else if (!m->unit)
                refused = UNIT_JOB_REFUSED;
        else if (world.shutting_down && m->verb != UNIT_STOP)
                refused = UNIT_JOB_SHUTDOWN;
        if (refused == UNIT_JOB_RESULT_INVALID) {
                id = systemd_queue(m->unit, m->verb);
                if (call)
                        call->job_id = id;
        } else {
                trace("systemd refuses a job for %s (%s)", m->unit ? m->unit->name : "no unit",
                      unit_job_result_to_string(refused));
                note_refused(m->unit, m->verb);
                if (call)
                        job_over(call, refused, "it was refused");
        }
        free(m);
}

int unit_client_job(UnitClient *c, const char *unit, UnitVerb verb, usec_t timeout_usec, unit_job_handler_t handler,
                    void *userdata, UnitCall **ret)
{
        UnitCall *call;
        Message *m;
        int r = call_new(c, CALL_JOB, unit, userdata, &call);

        if (verb == UNIT_START_PLAIN)
                verb = UNIT_START;
        if (r < 0) {
                note_refused(systemd_find(unit), verb);
                return r;
        }
        call->handler.job = handler;
        call->verb = verb;
        *ret = call;
        if (daemon_dies_here("before a job"))
                return 0;
        m = malloc(sizeof(Message));
        assert(m);
        *m = (Message){ .call = call, .verb = verb, .unit = systemd_find(unit) };
        call->message = m;
        timeline_add_owned(arrival_usec(), PLACE_HOST, on_queue, free, m);
        if (timeout_usec != USEC_INFINITY)
                call->deadline = timeline_add(timeout_usec, PLACE_HOST, on_deadline, call);
        (void) daemon_dies_here("behind a job");
        return 0;
}

int unit_job_limit(UnitCall *call, usec_t timeout_usec)
{
        assert(!call->deadline);
        call->deadline = timeline_add(timeout_usec, PLACE_HOST, on_deadline, call);
        return 0;
}

/* ---- questions ---- */

static void on_reset(void *userdata)
{
        UnitCall *call = userdata;
        int r = fault(world.faults.denied) ? -EACCES : 0;
        Unit *u = systemd_find(call->unit);

        call->event = NULL;
        daemon_touch();
        if (r >= 0 && u && u->state == UNIT_FAILED)
                u->state = UNIT_INACTIVE;
        call->handler.reset(call, r, r < 0 ? "access was denied" : NULL, call->userdata);
}

static void ask(UnitCall *call, event_handler_t answer)
{
        if (!daemon_dies_here("a question to systemd"))
                call->event = timeline_add(arrival_usec(), PLACE_HOST, answer, call);
}

int unit_client_reset_failed(UnitClient *c, const char *unit, unit_reset_handler_t handler, void *userdata,
                             UnitCall **ret)
{
        UnitCall *call;
        int r = call_new(c, CALL_RESET, unit, userdata, &call);

        if (r < 0)
                return r;
        call->handler.reset = handler;
        *ret = call;
        ask(call, on_reset);
        return 0;
}

static void on_stopping(void *userdata)
{
        UnitCall *call = userdata;

        call->event = NULL;
        daemon_touch();
        call->handler.stopping(call, world.shutting_down, call->userdata);
}

int unit_client_ask_stopping(UnitClient *c, unit_stopping_handler_t handler, void *userdata, UnitCall **ret)
{
        UnitCall *call;
        int r = call_new(c, CALL_STOPPING, NULL, userdata, &call);

        if (r < 0)
                return r;
        call->handler.stopping = handler;
        *ret = call;
        ask(call, on_stopping);
        return 0;
}

void unit_info_done(UnitInfo *info)
{
}

static void fill_info(UnitInfo *info, const Unit *u)
{
        static char socket_path[] = "/run/tgswitch/credential.sock";
        static UnitCredential credentials[] = {
                { (char *) "bot-token", socket_path },
                { (char *) "bot-endpoint", socket_path },
                { (char *) "bot-pending-updates", socket_path },
        };
        static char *exec_start_pre[] = { (char *) "/usr/bin/test -s %d/bot-token", NULL };
        static char *triggered_by[2];

        triggered_by[0] = u->triggered_by ? u->triggered_by->name : NULL;
        *info = (UnitInfo){
                .name = (char *) u->name,
                .load_state = UNIT_LOAD_LOADED,
                .active_state = u->state,
                .sub_state = (char *) u->sub_state,
                .type = (char *) (u->role == ROLE_ONESHOT ? "oneshot"
                                  : u->simple             ? "simple"
                                                          : "exec"),
                .result = (char *) u->result,
                .fragment_path = (char *) "a file",
                .job_id = u->job_id,
                .main_pid = u->main_pid,
                .main_start_usec = u->main_start_usec,
                .can_reload = u->reloads,
                .timeout_start_usec = USEC_INFINITY,
                .send_sigkill = true,
                .kill_mode = (char *) "control-group",
                .exec_start_pre = exec_start_pre,
                .credentials = credentials,
                .n_credentials = ELEMENTSOF(credentials),
                .triggered_by = triggered_by,
        };
        memcpy(info->invocation_id, &u->invocation, sizeof(u->invocation));
}

static void on_info(void *userdata)
{
        UnitCall *call = userdata;
        Unit *u = systemd_find(call->unit);
        UnitInfo info;

        call->event = NULL;
        daemon_touch();
        if (fault(world.faults.bus_fails) || !u) {
                call->handler.info(call, -ETIMEDOUT, NULL, call->userdata);
                return;
        }
        fill_info(&info, u);
        call->handler.info(call, 0, &info, call->userdata);
}

int unit_client_get(UnitClient *c, const char *unit, unit_info_handler_t handler, void *userdata, UnitCall **ret)
{
        UnitCall *call;
        int r = call_new(c, CALL_GET, unit, userdata, &call);

        if (r < 0)
                return r;
        call->handler.info = handler;
        *ret = call;
        ask(call, on_info);
        return 0;
}

static bool matches_any(char *const *patterns, const char *unit)
{
        for (; patterns && *patterns; patterns++)
                if (unit_name_matches(*patterns, unit))
                        return true;
        return false;
}

static void on_list(void *userdata)
{
        UnitCall *call = userdata;
        UnitRow rows[16];
        size_t n = 0;

        call->event = NULL;
        daemon_touch();
        if (fault(world.faults.bus_fails)) {
                call->handler.list(call, -ETIMEDOUT, NULL, 0, call->userdata);
                return;
        }
        for (size_t i = 0; systemd_unit(i); i++) {
                Unit *u = systemd_unit(i);

                if (!matches_any(call->patterns, u->name))
                        continue;
                assert(n < ELEMENTSOF(rows));
                rows[n++] = (UnitRow){ u->name, UNIT_LOAD_LOADED, u->state, (char *) u->sub_state, u->job_id };
        }
        call->handler.list(call, 0, rows, n, call->userdata);
}

int unit_client_list(UnitClient *c, char *const *patterns, unit_list_handler_t handler, void *userdata, UnitCall **ret)
{
        UnitCall *call;
        int r;

        if (strv_length(patterns) == 0)
                return -EINVAL;
        r = call_new(c, CALL_LIST, NULL, userdata, &call);
        if (r < 0)
                return r;
        call->handler.list = handler;
        *ret = call;
        if (strv_copy(patterns, &call->patterns) < 0)
                abort();
        ask(call, on_list);
        return 0;
}

/* All units of this host are loaded. */
int unit_client_list_named(UnitClient *c, char *const *units, unit_list_handler_t handler, void *userdata,
                           UnitCall **ret)
{
        STRV_FOREACH(unit, (char **) units)
                assert(unit_name_is_valid(*unit));
        return unit_client_list(c, units, handler, userdata, ret);
}

static void on_watched(void *userdata)
{
        UnitCall *call = userdata;
        Unit *u = systemd_find(call->unit);

        call->event = NULL;
        if (u->state == call->reported)
                return;
        daemon_touch();
        call->reported = u->state;
        call->handler.watch(call, u->state, u->sub_state, call->userdata);
}

static void on_unit_changed(Unit *u)
{
        for (UnitCall *call = client ? client->calls : NULL; call; call = call->next)
                if (call->kind == CALL_WATCH && !call->event && streq(call->unit, u->name) && !daemon_is_dead())
                        call->event = timeline_add(bus_usec(), PLACE_HOST, on_watched, call);
}

int unit_client_watch(UnitClient *c, const char *unit, unit_watch_handler_t handler, void *userdata, UnitCall **ret)
{
        UnitCall *call;
        int r = call_new(c, CALL_WATCH, unit, userdata, &call);

        if (r < 0)
                return r;
        call->handler.watch = handler;
        *ret = call;
        ask(call, on_watched);
        return 0;
}

int unit_client_new(UnitClient **ret, sd_bus *bus)
{
        UnitClient *c = calloc(1, sizeof(UnitClient));

        if (!c)
                return -ENOMEM;
        systemd_job_ended = on_job_ended;
        systemd_unit_changed = on_unit_changed;
        *ret = client = c;
        return 0;
}

UnitClient *unit_client_free(UnitClient *c)
{
        assert(!c || !c->calls);
        free(c);
        client = NULL;
        return NULL;
}
