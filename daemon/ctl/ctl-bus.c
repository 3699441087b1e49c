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

/* Of the daemon that was called, as sentences have to name it. */
static const char *called_host;

CtlExit ctl_state_select(CtlState *s, char *const *patterns)
{
        for (char *const *p = patterns; p && *p; p++) {
                bool any = false;

                for (size_t i = 0; i < s->n_bots; i++)
                        if (fnmatch(*p, s->bots[i].name, 0) == 0)
                                any = s->bots[i].selected = s->bots[i].named = true;
                if (!any)
                        return ctl_error(CTL_NOT_FOUND, "No bot is called '%s'; 'tgswitchctl%s%s list' shows all.", *p,
                                         called_host ? " -H " : "", called_host ?: "");
        }
        if (!patterns || !*patterns)
                for (size_t i = 0; i < s->n_bots; i++)
                        s->bots[i].selected = true;
        return CTL_OK;
}

/* ---- changing ---- */

/* polkit and the daemon give somebody five minutes for a password, and the daemon's answer may take some more. */
#define PASSWORD_TIMEOUT_USEC (6 * USEC_PER_MIN)

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        *(sd_bus_message **) userdata = sd_bus_message_ref(m);
        return 1;
}

/* sd_bus_call(), which gives up at any signal that has a handler [systemd 252]; this one goes on. */
static int call_through_signals(sd_bus *bus, sd_bus_message *m, usec_t timeout_usec, sd_bus_error *error,
                                sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        int r;

        r = sd_bus_call_async(bus, &slot, m, on_answer, &answer, timeout_usec);
        while (r >= 0 && !answer) {
                r = sd_bus_process(bus, NULL);
                if (r != 0)
                        continue;
                r = sd_bus_wait(bus, UINT64_MAX);
                if (r == -EINTR)
                        r = 0;
        }
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        if (sd_bus_message_is_method_error(answer, NULL)) {
                (void) sd_bus_error_copy(error, sd_bus_message_get_error(answer));
                return -sd_bus_message_get_errno(answer);
        }
        if (ret)
                *ret = TAKE_PTR(answer);
        return 0;
}

static volatile sig_atomic_t asking_agent;

static void on_interrupt(int signal_number)
{
        int saved = errno;

        (void) kill(asking_agent, SIGTERM);
        errno = saved;
}

/* The first Ctrl-C ends the question, and the daemon's answer says that nothing was changed. The agent may have had it
 * from the terminal as well: it gives the terminal back all the same. A second one ends us. */
static int call_with_agent(Ctl *c, sd_bus_message *m, usec_t timeout_usec, sd_bus_error *error, sd_bus_message **ret)
{
        struct sigaction once = { .sa_handler = on_interrupt, .sa_flags = (int) SA_RESETHAND }, action_before;
        sigset_t interrupt, mask_before;
        int r;

        asking_agent = c->agent;
        (void) sigemptyset(&interrupt);
        (void) sigaddset(&interrupt, SIGINT);
        (void) sigaction(SIGINT, &once, &action_before);
        (void) sigprocmask(SIG_UNBLOCK, &interrupt, &mask_before);
        r = call_through_signals(c->bus, m, timeout_usec, error, ret);
        (void) sigprocmask(SIG_SETMASK, &mask_before, NULL);
        (void) sigaction(SIGINT, &action_before, NULL);
        return r;
}

bool ctl_may_be_asked(const Ctl *c)
{
        /* Who we are on another host, only that host knows. */
        return (geteuid() != 0 || c->host) && !c->no_ask_password;
}

int ctl_call_message(Ctl *c, sd_bus_message *m, usec_t timeout_usec, sd_bus_error *error, sd_bus_message **ret)
{
        int r;

        r = sd_bus_message_set_allow_interactive_authorization(m, !c->no_ask_password);
        if (r < 0)
                return r;
        if (!ctl_may_be_asked(c))
                return sd_bus_call(c->bus, m, timeout_usec, error, ret);
        timeout_usec = MAX(timeout_usec, PASSWORD_TIMEOUT_USEC);
        agent_open(c);
        if (c->agent > 0)
                return call_with_agent(c, m, timeout_usec, error, ret);
        return sd_bus_call(c->bus, m, timeout_usec, error, ret);
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
        uint64_t number = 0;

        if (sd_bus_message_get_cookie(m, &number) >= 0 && number < job->as_of)
                return 0;
        job->as_of = number;
        return dict_read(m, job_fields, job);
}

const char *ctl_job_holds_before(const CtlJob *job)
{
        return streq_ptr(job->phase, "drain") ? "stop-workers" : "log-out";
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

int ctl_bot_update(CtlBot *b, sd_bus_message *m)
{
        return dict_read(m, bot_fields, b);
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
        return ctl_bot_update(b, reply);
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
        return ctl_job_update(s->jobs + s->n_jobs - 1, m);
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

int ctl_state_update(CtlState *s, sd_bus_message *m)
{
        return dict_read(m, manager_fields, s);
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
        return ctl_state_update(s, manager);
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
                { SD_BUS_ERROR_FILE_EXISTS, CTL_UNREACHABLE }, /* systemd, of a service that is masked */
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
        return r == -ENOTCONN || r == -ECONNRESET || r == -ETIMEDOUT || r == -EHOSTUNREACH ? CTL_UNREACHABLE
                                                                                           : CTL_FAILED;
}

static CtlExit unreachable(const char *before, const char *between, const char *why, const sd_bus_error *error)
{
        bool ended = sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED);
        bool missing = sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);

        if (called_host && ended)
                return ctl_error(CTL_UNREACHABLE,
                                 "%s%sThe connection to %s has ended (%s); try again when 'ssh %s true' "
                                 "works.",
                                 before, between, called_host, why, called_host);
        return ctl_error(CTL_UNREACHABLE, "%s%stgswitchd does not answer (%s); %s 'systemctl%s%s %s tgswitchd'%s.",
                         before, between, why, missing ? "start it with" : "see", called_host ? " -H " : "",
                         called_host ?: "", missing ? "start" : "status", missing ? ", which needs root" : "");
}

/* Many sentences of the daemon begin with the bot. */
static bool begins_with(const char *message, const char *subject)
{
        const char *rest = startswith(message, subject);

        return rest && (*rest == ' ' || *rest == ':');
}

CtlExit ctl_call_failed(const char *subject, int r, const sd_bus_error *error)
{
        const char *why = error && error->message ? error->message : strerror(-r);
        bool told = !subject || begins_with(why, subject);
        const char *before = told ? "" : subject, *between = told ? "" : ": ";
        CtlExit status = ctl_exit_of(r, error);

        if (r == -ENOMEM)
                return ctl_oom();
        if (status == CTL_UNREACHABLE)
                return unreachable(before, between, why, error);
        if (!error || !error->message)
                return ctl_error(
                                status,
                                "%s%sWhat tgswitchd answers cannot be used (%s). It may be of another version than this "
                                "tgswitchctl: 'systemctl%s%s restart tgswitchd' starts the one that is installed.",
                                before, between, why, called_host ? " -H " : "", called_host ?: "");
        return ctl_error(status, "%s%s%s", before, between, why);
}

const char *ctl_program(const Ctl *c)
{
        static char text[320];

        if (!c->host)
                return "tgswitchctl";
        (void) snprintf(text, sizeof(text), "tgswitchctl -H %.280s", c->host);
        return text;
}

static CtlExit connect_remote(Ctl *c)
{
        const char *name;
        int r;

        called_host = c->host;
        /* No names that ssh could look up. */
        r = isempty(c->host) || c->host[0] == '-' ? -EINVAL : sd_bus_open_system_remote(&c->bus, c->host);
        if (r == -EINVAL)
                return ctl_error(CTL_USAGE, "'%s' is no host; --host takes [USER@]HOST as ssh does.", c->host);
        /* ssh has only begun; this returns when the bus of that host has given us our name. */
        if (r >= 0)
                r = sd_bus_get_unique_name(c->bus, &name);
        if (r >= 0)
                return CTL_OK;
        return ctl_error(
                        CTL_UNREACHABLE,
                        "%s cannot be reached by ssh (%s). 'ssh %s true' has to work, and systemd-stdio-bridge, a part of "
                        "systemd, has to be there; what ssh has to say stands above.",
                        c->host, strerror(-r), c->host);
}

CtlExit ctl_connect(Ctl *c)
{
        int r;

        if (c->bus)
                return CTL_OK;
        if (c->host)
                return connect_remote(c);
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
