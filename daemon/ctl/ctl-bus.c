/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"
#include "ctl/ctl-agent.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl-dict.h"

#define JOB(key, type, member)                      \
        {                                           \
                key, type, offsetof(CtlJob, member) \
        }
#define BOT(key, type, member)                      \
        {                                           \
                key, type, offsetof(CtlBot, member) \
        }
#define STATE(key, type, member)                      \
        {                                             \
                key, type, offsetof(CtlState, member) \
        }

static const DictField job_fields[] = {
        JOB("Id", DICT_U32, id),
        JOB("Bot", DICT_STRING, bot),
        JOB("Target", DICT_STRING, target),
        JOB("Phase", DICT_STRING, phase),
        JOB("Reason", DICT_STRING, reason),
        JOB("Holding", DICT_BOOL, holding),
        JOB("Cancellable", DICT_BOOL, cancellable),
        JOB("StartedUSec", DICT_U64, started_usec),
        JOB("PhaseStartedUSec", DICT_U64, phase_started_usec),
        JOB("NotBeforeUSec", DICT_U64, not_before_usec),
        JOB("Drained", DICT_U64, drained),
        JOB("Spooled", DICT_U64, spooled),
        JOB("HandedOver", DICT_U64, handed_over),
        JOB("BlindUSec", DICT_U64, blind_usec),
        JOB("DowntimeUSec", DICT_U64, downtime_usec),
        JOB("Error", DICT_STRING, error),
        {},
};

static const DictField last_job_fields[] = {
        JOB("id", DICT_U32, id),
        JOB("target", DICT_STRING, target),
        JOB("result", DICT_STRING, result),
        JOB("reason", DICT_STRING, reason),
        JOB("requester", DICT_STRING, requester),
        JOB("started-usec", DICT_U64, started_usec),
        JOB("ended-usec", DICT_U64, ended_usec),
        JOB("drained", DICT_U64, drained),
        JOB("spooled", DICT_U64, spooled),
        JOB("handed-over", DICT_U64, handed_over),
        JOB("blind-usec", DICT_U64, blind_usec),
        JOB("downtime-usec", DICT_U64, downtime_usec),
        JOB("error", DICT_STRING, error),
        {},
};

static const DictField bot_fields[] = {
        BOT("Name", DICT_STRING, name),
        BOT("Id", DICT_I64, id),
        BOT("Seat", DICT_STRING, seat),
        BOT("Phase", DICT_STRING, phase),
        BOT("Target", DICT_STRING, target),
        BOT("Endpoint", DICT_STRING, endpoint),
        BOT("Workers", DICT_STRV, workers),
        BOT("LoggedOutUSec", DICT_U64, logged_out_usec),
        BOT("CloudAllowedUSec", DICT_U64, cloud_allowed_usec),
        BOT("LocalAllowedUSec", DICT_U64, local_allowed_usec),
        BOT("StaleSession", DICT_BOOL, stale_session),
        BOT("HeldUntilUSec", DICT_U64, held_until_usec),
        BOT("HeldReason", DICT_STRING, held_reason),
        BOT("PendingUpdates", DICT_U64, pending),
        BOT("PendingUpdatesUSec", DICT_U64, pending_usec),
        BOT("SpooledUpdates", DICT_U64, spooled),
        BOT("Job", DICT_JOB, job_id),
        { "LastJob", DICT_DICT, offsetof(CtlBot, last_job), last_job_fields },
        BOT("LastResult", DICT_STRING, last_result),
        BOT("LastError", DICT_STRING, last_error),
        {},
};

static const DictField manager_fields[] = {
        STATE("Version", DICT_STRING, version),
        STATE("LocalServerState", DICT_STRING, server_state),
        {},
};

/* ---- structures ---- */

void ctl_job_done(CtlJob *job)
{
        free(job->bot);
        free(job->target);
        free(job->phase);
        free(job->reason);
        free(job->requester);
        free(job->result);
        free(job->error);
        *job = (CtlJob){ 0 };
}

void ctl_bot_done(CtlBot *b)
{
        free(b->name);
        free(b->seat);
        free(b->phase);
        free(b->target);
        free(b->endpoint);
        free(b->last_result);
        free(b->last_error);
        free(b->held_reason);
        strv_free(b->workers);
        ctl_job_done(&b->last_job);
        *b = (CtlBot){ 0 };
}

void ctl_state_done(CtlState *s)
{
        for (size_t i = 0; i < s->n_bots; i++)
                ctl_bot_done(s->bots + i);
        for (size_t i = 0; i < s->n_jobs; i++)
                ctl_job_done(s->jobs + i);
        free(s->bots);
        free(s->jobs);
        free(s->version);
        free(s->server_state);
        *s = (CtlState){ 0 };
}

const CtlJob *ctl_state_job(const CtlState *s, uint32_t id)
{
        for (size_t i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].id == id)
                        return s->jobs + i;
        return NULL;
}

CtlBot *ctl_state_bot(const CtlState *s, const char *name)
{
        for (size_t i = 0; i < s->n_bots; i++)
                if (streq(s->bots[i].name, name))
                        return s->bots + i;
        return NULL;
}

usec_t ctl_bot_allowed_usec(const CtlBot *b, const char *seat)
{
        return streq(seat, "cloud") ? b->cloud_allowed_usec : b->local_allowed_usec;
}

CtlExit ctl_state_select(CtlState *s, char *const *patterns)
{
        for (char *const *p = patterns; p && *p; p++) {
                bool any = false;

                for (size_t i = 0; i < s->n_bots; i++)
                        if (fnmatch(*p, s->bots[i].name, 0) == 0)
                                any = s->bots[i].selected = s->bots[i].named = true;
                if (!any)
                        return ctl_error(CTL_NOT_FOUND, "No bot is called '%s'; 'tgswitchctl list' shows all.", *p);
        }
        if (!patterns || !*patterns)
                for (size_t i = 0; i < s->n_bots; i++)
                        s->bots[i].selected = true;
        return CTL_OK;
}

/* ---- changing ---- */

/* polkit and the daemon give somebody five minutes for a password, and the daemon's answer may take some more. */
#define PASSWORD_TIMEOUT_USEC (6 * USEC_PER_MIN)

int ctl_call_message(Ctl *c, sd_bus_message *m, usec_t timeout_usec, sd_bus_error *error, sd_bus_message **ret)
{
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
        bool asks;
        int r;

        r = sd_bus_message_set_allow_interactive_authorization(m, !c->no_ask_password);
        if (r < 0)
                return r;
        if (geteuid() == 0 || c->no_ask_password)
                return sd_bus_call(c->bus, m, timeout_usec, error, ret);
        agent_open(c);
        asks = c->agent > 0;
        /* Ctrl-C is for the agent, which has it from the terminal as well and takes its question back: the answer that
         * nothing was changed then comes from the daemon. A handler would have sd_bus_call() give up. */
        if (asks)
                (void) sigaction(SIGINT, &ignore, &before);
        r = sd_bus_call(c->bus, m, MAX(timeout_usec, PASSWORD_TIMEOUT_USEC), error, ret);
        if (asks)
                (void) sigaction(SIGINT, &before, NULL);
        return r;
}

int ctl_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_error *error,
             sd_bus_message **ret, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, interface, member);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        return r < 0 ? r : ctl_call_message(c, m, 0, error, ret);
}

/* ---- reading ---- */

int ctl_job_update(CtlJob *job, sd_bus_message *m)
{
        return dict_read(m, job_fields, job);
}

int ctl_job_read(Ctl *c, CtlJob *job)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), BUS_JOB_PREFIX "%" PRIu32, job->id);
        r = sd_bus_call_method(c->bus, BUS_NAME, path, "org.freedesktop.DBus.Properties", "GetAll", &error, &reply, "s",
                               BUS_JOB_INTERFACE);
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return -ENOENT;
        if (r < 0)
                return ctl_exit_of(r, &error) == CTL_UNREACHABLE ? -EHOSTUNREACH : r;
        return ctl_job_update(job, reply);
}

int ctl_bot_read(Ctl *c, const char *name, CtlBot *b)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", name);
        r = sd_bus_call_method(c->bus, BUS_NAME, path, "org.freedesktop.DBus.Properties", "GetAll", NULL, &reply, "s",
                               BUS_BOT_INTERFACE);
        if (r < 0)
                return r;
        return dict_read(reply, bot_fields, b);
}

static int grow(void **array, size_t n, size_t size)
{
        void *grown = reallocarray(*array, n + 1, size);

        if (!grown)
                return -ENOMEM;
        memset((char *) grown + n * size, 0, size);
        *array = grown;
        return 0;
}

static int read_bot(CtlState *s, sd_bus_message *m)
{
        int r;

        r = grow((void **) &s->bots, s->n_bots, sizeof(CtlBot));
        if (r < 0)
                return r;
        s->n_bots++;
        r = dict_read(m, bot_fields, s->bots + s->n_bots - 1);
        if (r < 0)
                return r;
        return s->bots[s->n_bots - 1].name ? 0 : -EBADMSG;
}

static int read_job(CtlState *s, sd_bus_message *m)
{
        int r;

        r = grow((void **) &s->jobs, s->n_jobs, sizeof(CtlJob));
        if (r < 0)
                return r;
        s->n_jobs++;
        return dict_read(m, job_fields, s->jobs + s->n_jobs - 1);
}

static int read_interfaces(CtlState *s, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                const char *interface;

                r = sd_bus_message_read(m, "s", &interface);
                if (r < 0)
                        return r;
                if (streq(interface, BUS_BOT_INTERFACE))
                        r = read_bot(s, m);
                else if (streq(interface, BUS_JOB_INTERFACE))
                        r = read_job(s, m);
                else
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(CtlState *s, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_skip(m, "o");
                if (r < 0)
                        return r;
                r = read_interfaces(s, m);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int compare_bots(const void *a, const void *b)
{
        return strcmp(((const CtlBot *) a)->name, ((const CtlBot *) b)->name);
}

int ctl_state_read(Ctl *c, CtlState *s, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *objects = NULL, *manager = NULL;
        int r;

        ctl_state_done(s);
        r = sd_bus_call_method(c->bus, BUS_NAME, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                               error, &objects, "");
        if (r < 0)
                return r;
        r = read_objects(s, objects);
        if (r < 0)
                return r;
        if (s->n_bots > 0)
                qsort(s->bots, s->n_bots, sizeof(CtlBot), compare_bots);

        r = sd_bus_call_method(c->bus, BUS_NAME, BUS_PATH, "org.freedesktop.DBus.Properties", "GetAll", error, &manager,
                               "s", BUS_MANAGER_INTERFACE);
        if (r < 0)
                return r;
        return dict_read(manager, manager_fields, s);
}

/* ---- failures ---- */

CtlExit ctl_exit_of(int r, const sd_bus_error *error)
{
        static const struct {
                const char *name;
                CtlExit status;
        } known[] = {
                { "org.tgswitch1.Error.NoSuchBot", CTL_NOT_FOUND },
                { "org.tgswitch1.Error.NoSuchJob", CTL_NOT_FOUND },
                { "org.tgswitch1.Error.JobRunning", CTL_BUSY },
                { "org.tgswitch1.Error.FallbackWindow", CTL_TOO_EARLY },
                { SD_BUS_ERROR_UNKNOWN_OBJECT, CTL_NOT_FOUND },
                { SD_BUS_ERROR_ACCESS_DENIED, CTL_DENIED },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTL_DENIED },
                { "org.tgswitch1.Error.PolkitUnavailable", CTL_DENIED },
                { SD_BUS_ERROR_SERVICE_UNKNOWN, CTL_UNREACHABLE },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, CTL_UNREACHABLE },
                { SD_BUS_ERROR_NO_REPLY, CTL_UNREACHABLE },
                { SD_BUS_ERROR_DISCONNECTED, CTL_UNREACHABLE },
                { SD_BUS_ERROR_TIMEOUT, CTL_UNREACHABLE },
        };

        if (sd_bus_error_is_set(error)) {
                FOREACH_ELEMENT(k, known)
                        if (streq(k->name, error->name))
                                return k->status;
                /* what the bus daemon says of a service that it could not start */
                return startswith(error->name, "org.freedesktop.DBus.Error.Spawn.") ||
                                                       startswith(error->name, "org.freedesktop.systemd1.")
                                       ? CTL_UNREACHABLE
                                       : CTL_FAILED;
        }
        return r == -ENOTCONN || r == -ECONNRESET || r == -ETIMEDOUT ? CTL_UNREACHABLE : CTL_FAILED;
}

CtlExit ctl_call_failed(const char *subject, int r, const sd_bus_error *error)
{
        const char *before = subject ?: "", *between = subject ? ": " : "";
        CtlExit status = ctl_exit_of(r, error);

        if (r == -ENOMEM)
                return ctl_oom();
        if (status == CTL_UNREACHABLE)
                return ctl_error(status, "%s%stgswitchd does not answer (%s); see 'systemctl status tgswitchd'.",
                                 before, between, error && error->message ? error->message : strerror(-r));
        return ctl_error(status, "%s%s%s", before, between, error && error->message ? error->message : strerror(-r));
}

CtlExit ctl_connect(Ctl *c)
{
        int r;

        if (c->bus)
                return CTL_OK;
        r = sd_bus_open_system(&c->bus);
        if (r < 0)
                return ctl_error(CTL_UNREACHABLE, "The system bus cannot be reached (%s); see 'systemctl status dbus'.",
                                 strerror(-r));
        return CTL_OK;
}

CtlExit ctl_begin(Ctl *c, CtlState *s)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        CtlExit status;
        int r;

        status = ctl_connect(c);
        if (status != CTL_OK)
                return status;
        r = ctl_state_read(c, s, &error);
        return r < 0 ? ctl_call_failed(NULL, r, &error) : CTL_OK;
}
