/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "io/unit-client-internal.h"

/* Of jobs that end while somebody's StartUnit() waits for polkit. At boot that is all jobs of the host. */
#define EARLY_ENDS_MAX 4096

/* ---- The subscription --------------------------------------------------------------------------------- */

const char *unit_client_match_sender(UnitClient *c)
{
        return sd_bus_is_bus_client(c->bus) > 0 ? SYSTEMD_NAME : NULL;
}

bool unit_client_is_from_systemd(UnitClient *c, sd_bus_message *m)
{
        if (sd_bus_is_bus_client(c->bus) <= 0)
                return true;
        return c->owner && streq_ptr(sd_bus_message_get_sender(m), c->owner);
}

static int set_owner(UnitClient *c, const char *owner)
{
        char *copy = NULL;

        if (!isempty(owner)) {
                copy = strdup(owner);
                if (!copy)
                        return -ENOMEM;
        }
        free(c->owner);
        c->owner = copy;
        return 0;
}

/* Whoever answers a call to systemd's name is systemd: the broker lets nobody answer calls that were not
 * sent to him. The reply comes before every signal of a job that we queue, because Subscribe() is the first
 * call we make. */
static int on_subscribed(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        UnitClient *c = userdata;
        const char *sender = sd_bus_message_get_sender(reply);

        /* That we had subscribed already is no mistake. Where systemd went away meanwhile, the new owner of
         * its name brings us here again. */
        if (sender && sender[0] == ':')
                return set_owner(c, sender);
        return 0;
}

static int subscribe(UnitClient *c)
{
        c->subscription = bus_queued_free(c->subscription);
        return unit_client_call(c, &c->subscription, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", on_subscribed, c, 0,
                                NULL);
}

/* Signals may have been missed: what waits for one asks. */
static void recheck_all(UnitClient *c)
{
        FOREACH_CALL(call, c)
        if (call->kind == UNIT_CALL_JOB)
                unit_job_recheck(call);
        else if (call->kind == UNIT_CALL_WATCH)
                unit_watch_recheck(call);
}

static int on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitClient *c = userdata;
        const char *name, *old_owner, *new_owner;
        int r;

        /* No connection can take the broker's own name. */
        if (!streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus"))
                return 0;
        r = sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner);
        if (r < 0)
                return r;
        if (!streq(name, SYSTEMD_NAME))
                return 0;

        r = set_owner(c, new_owner);
        if (r < 0 || isempty(new_owner))
                return r;
        r = subscribe(c);
        if (r < 0)
                return r;
        recheck_all(c);
        return 0;
}

static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitClient *c = userdata;
        int r, begins;

        if (!unit_client_is_from_systemd(c, m))
                return 0;
        r = sd_bus_message_read(m, "b", &begins);
        if (r < 0)
                return r;
        if (!begins)
                recheck_all(c);
        return 0;
}

static void keep_early_end(UnitClient *c, uint32_t job_id, UnitJobResult result)
{
        EarlyEnd *grown;

        grown = c->n_early < EARLY_ENDS_MAX ? reallocarray(c->early, c->n_early + 1, sizeof(EarlyEnd)) : NULL;
        if (!grown) {
                c->early_lost = true;
                return;
        }
        grown[c->n_early++] = (EarlyEnd){ .job_id = job_id, .result = result };
        c->early = grown;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitClient *c = userdata;
        const char *path, *unit, *word;
        UnitJobResult result;
        uint32_t job_id;
        int r;

        if (!unit_client_is_from_systemd(c, m))
                return 0;
        r = sd_bus_message_read(m, "uoss", &job_id, &path, &unit, &word);
        if (r < 0)
                return r;

        result = unit_job_result_from_string(word);
        if (c->n_queueing > 0)
                keep_early_end(c, job_id, result);
        FOREACH_CALL(call, c)
        if (call->kind == UNIT_CALL_JOB)
                unit_job_ended(call, job_id, result);
        return 0;
}

int unit_client_call(UnitClient *c, BusQueued **ret, const char *path, const char *interface, const char *member,
                     sd_bus_message_handler_t handler, void *userdata, usec_t timeout_usec, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, SYSTEMD_NAME, path, interface, member);
        if (r < 0)
                return r;
        if (types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
                if (r < 0)
                        return r;
        }
        return bus_queue_call(&c->queue, ret, m, handler, userdata, timeout_usec);
}

/* ---- The client --------------------------------------------------------------------------------------- */

static int add_matches(UnitClient *c)
{
        const char *sender = unit_client_match_sender(c);
        int r;

        r = sd_bus_match_signal_async(c->bus, &c->slot_job_removed, sender, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
                                      on_job_removed, NULL, c);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(c->bus, &c->slot_reloading, sender, SYSTEMD_PATH, SYSTEMD_MANAGER, "Reloading",
                                      on_reloading, NULL, c);
        if (r < 0 || !sender)
                return r;
        return sd_bus_add_match_async(c->bus, &c->slot_name_owner,
                                      "type='signal',sender='org.freedesktop.DBus',"
                                      "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                                      "member='NameOwnerChanged',arg0='" SYSTEMD_NAME "'",
                                      on_name_owner_changed, NULL, c);
}

int unit_client_new(UnitClient **ret, sd_bus *bus)
{
        _cleanup_(unit_client_freep) UnitClient *c = NULL;
        int r;

        c = calloc(1, sizeof(UnitClient));
        if (!c)
                return -ENOMEM;
        c->bus = sd_bus_ref(bus);

        /* The broker handles one connection's messages in their order: once these are sent, whatever a later
         * call causes is matched. */
        r = add_matches(c);
        if (r < 0)
                return r;
        r = subscribe(c);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(c);
        return 0;
}

UnitClient *unit_client_free(UnitClient *c)
{
        if (!c)
                return NULL;
        assert(!c->calls);

        bus_queued_free(c->subscription);
        sd_bus_slot_unref(c->slot_job_removed);
        sd_bus_slot_unref(c->slot_reloading);
        sd_bus_slot_unref(c->slot_name_owner);
        sd_bus_slot_unref(c->slot_unit_changed);
        bus_queue_done(&c->queue);
        sd_bus_unref(c->bus);
        free(c->owner);
        free(c->early);
        free(c);
        return NULL;
}

int unit_call_new(size_t size, UnitClient *c, UnitCallKind kind, const char *unit, void *userdata,
                  void (*done)(UnitCall *call), UnitCall **ret)
{
        _cleanup_free_ char *copy = NULL;
        UnitCall *call;

        assert(size >= sizeof(UnitCall));

        if (unit) {
                if (!unit_name_is_valid(unit))
                        return -EINVAL;
                copy = strdup(unit);
                if (!copy)
                        return -ENOMEM;
        }
        call = calloc(1, size);
        if (!call)
                return -ENOMEM;

        call->kind = kind;
        call->client = c;
        call->unit = TAKE_PTR(copy);
        call->userdata = userdata;
        call->done = done;
        call->next = c->calls;
        if (c->calls)
                c->calls->previous = call;
        c->calls = call;
        *ret = call;
        return 0;
}

UnitCall *unit_call_free(UnitCall *call)
{
        UnitClient *c;

        if (!call)
                return NULL;

        c = call->client;
        if (c->cursor == call)
                c->cursor = call->next;
        if (call->previous)
                call->previous->next = call->next;
        else
                c->calls = call->next;
        if (call->next)
                call->next->previous = call->previous;

        call->done(call);
        free(call->unit);
        free(call);
        return NULL;
}

/* ---- What refusals mean ------------------------------------------------------------------------------- */

typedef struct ErrorMeaning {
        const char *name;
        UnitJobResult result;
        const char *cure;     /* what to do */
        const char *cure_end; /* if not NULL, the unit's name comes between `cure` and this */
} ErrorMeaning;

static const ErrorMeaning error_meanings[] = {
        /* also where there is no polkit at all */
        { SD_BUS_ERROR_ACCESS_DENIED, UNIT_JOB_DENIED,
          "see that polkitd is installed, and run 'systemctl reload tgswitchd' as root so that the polkit rule names "
          "this unit" },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, UNIT_JOB_DENIED,
          "run 'systemctl reload tgswitchd' as root so that the polkit rule names this unit" },
        { "org.freedesktop.systemd1.ShuttingDown", UNIT_JOB_SHUTDOWN, "tgswitchd goes on when the host is up again" },
        { "org.freedesktop.systemd1.NoSuchUnit", UNIT_JOB_REFUSED,
          "install the unit, or correct its name in tgswitch's configuration" },
        { "org.freedesktop.systemd1.UnitMasked", UNIT_JOB_REFUSED, "run 'systemctl unmask ", "' as root" },
        { "org.freedesktop.systemd1.LoadFailed", UNIT_JOB_REFUSED,
          "correct its unit file, then run 'systemctl daemon-reload' as root" },
        { "org.freedesktop.systemd1.BadUnitSetting", UNIT_JOB_REFUSED,
          "correct its unit file, then run 'systemctl daemon-reload' as root" },
        { "org.freedesktop.systemd1.OnlyByDependency", UNIT_JOB_REFUSED,
          "remove RefuseManualStart= and RefuseManualStop= from the unit" },
        { "org.freedesktop.systemd1.JobTypeNotApplicable", UNIT_JOB_REFUSED,
          "its unit does not support this; give it what it lacks, an ExecReload= for instance" },
        { "org.freedesktop.systemd1.TransactionIsDestructive", UNIT_JOB_REFUSED,
          "wait for the jobs that 'systemctl list-jobs' shows, or cancel them" },
        { "org.freedesktop.systemd1.TransactionJobsConflicting", UNIT_JOB_REFUSED,
          "see Conflicts= of the unit and of what it requires" },
        { "org.freedesktop.systemd1.TransactionOrderIsCyclic", UNIT_JOB_REFUSED,
          "see After= and Before= of the unit with 'systemd-analyze verify ", "'" },
        { SD_BUS_ERROR_NO_REPLY, UNIT_JOB_REFUSED,
          "it did not answer; see whether 'systemctl is-system-running' does" },
        { NULL, UNIT_JOB_REFUSED, "see 'systemctl status ", "'" },
};

/* systemd hands on what it got when it asked polkit, under a name that reads as if it were about the unit. */
static const ErrorMeaning polkit_is_missing = {
        NULL,
        UNIT_JOB_DENIED,
        "polkit has to allow this and does not run: run 'systemctl start polkit' as root, and see 'systemctl status "
        "polkit'",
        NULL,
};

static const ErrorMeaning *find_meaning(const sd_bus_error *e)
{
        const ErrorMeaning *meaning = error_meanings;

        if (e->message && (strstr(e->message, "polkit.service") || strstr(e->message, "org.freedesktop.PolicyKit1")))
                return &polkit_is_missing;
        while (meaning->name && !sd_bus_error_has_name(e, meaning->name))
                meaning++;
        return meaning;
}

int unit_error_explain(sd_bus_message *reply, const char *what, const char *unit, UnitJobResult *ret_result,
                       char **ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        const ErrorMeaning *meaning = find_meaning(e);
        const char *said;
        size_t length;

        said = !isempty(e->message) ? e->message : e->name;
        length = strnlen(said, 300);
        if (said[length - 1] == '.')
                length--;
        if (asprintf(ret_error, "systemd refused to %s %s: %.*s; %s%s%s", what, unit, (int) length, said, meaning->cure,
                     meaning->cure_end ? unit : "", meaning->cure_end ? meaning->cure_end : "") < 0)
                return -ENOMEM;
        *ret_result = meaning->result;
        return 0;
}

/* ---- ResetFailed() alone ------------------------------------------------------------------------------ */

typedef struct ResetCall {
        UnitCall base;
        unit_reset_handler_t handler;
        BusQueued *question;
} ResetCall;

static void reset_call_done(UnitCall *call)
{
        bus_queued_free(((ResetCall *) call)->question);
}

static int on_reset(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        ResetCall *reset = userdata;
        _cleanup_free_ char *error = NULL;
        UnitJobResult result;
        int r = 0;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                r = unit_error_explain(reply, "reset the failed state of", reset->base.unit, &result, &error);
                if (r >= 0)
                        r = result == UNIT_JOB_DENIED ? -EACCES : -sd_bus_message_get_errno(reply);
        }
        reset->handler(&reset->base, r, error, reset->base.userdata);
        return 0;
}

int unit_client_reset_failed(UnitClient *c, const char *unit, unit_reset_handler_t handler, void *userdata,
                             UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        _cleanup_free_ char *path = NULL;
        ResetCall *reset;
        int r;

        r = unit_call_new(sizeof(ResetCall), c, UNIT_CALL_RESET, unit, userdata, reset_call_done, &call);
        if (r < 0)
                return r;
        reset = (ResetCall *) call;
        reset->handler = handler;

        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, unit, &path);
        if (r < 0)
                return r;
        /* ResetFailedUnit() of the manager would answer NoSuchUnit for a unit that is not loaded, before it
         * asks polkit; the unit's own object is loaded by the call. */
        r = unit_client_call(c, &reset->question, path, SYSTEMD_UNIT, "ResetFailed", on_reset, reset, 0, NULL);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}
