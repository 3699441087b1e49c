/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/strv.h"
#include "bus/bus-internal.h"

/* The name of the unit is for the history alone: a systemd that is busy does not hold the call up for longer. */
#define UNIT_TIMEOUT_USEC (2 * USEC_PER_SEC)

BusCall *bus_call_free(BusCall *call)
{
        if (!call)
                return NULL;

        if (call->previous)
                call->previous->next = call->next;
        else
                call->list->first = call->next;
        if (call->next)
                call->next->previous = call->previous;
        call->list->n--;

        bot_check_free(call->check);
        token_check_free(call->token_check);
        bus_switch_free(call->switching);
        history_query_free(call->query);
        polkit_check_free(call->polkit);
        sd_bus_slot_unref(call->slot);
        bus_queued_free(call->unit);
        sd_bus_slot_unref(call->departure);
        sd_bus_message_unref(call->message);
        strv_free((char **) call->request.bots);
        free(call->requester);
        free(call);
        return NULL;
}

void bus_call_fail(BusCall *call, int r, const sd_bus_error *error)
{
        if (sd_bus_error_is_set(error))
                (void) sd_bus_reply_method_error(call->message, error);
        else
                (void) sd_bus_reply_method_errno(call->message, r, NULL);
        bus_call_free(call);
}

static void ask_waiting(BusCallList *list);

static int on_departure(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        BusCall *call = userdata;
        BusCallList *list = call->list;
        const char *new_owner;

        if (sd_bus_message_read(m, "sss", NULL, NULL, &new_owner) >= 0 && isempty(new_owner)) {
                bus_call_free(call);
                ask_waiting(list);
        }
        return 0;
}

int bus_call_find_bot(const BusCall *call, const char *name, Bot **ret, sd_bus_error *error)
{
        Bot *b = manager_find_bot(call->manager, name);

        if (!b)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_BOT,
                                         "The bot %s is not configured any more; 'tgswitchctl list' shows the bots.",
                                         name);
        *ret = b;
        return 0;
}

/* Who has left needs no answer. Where this cannot be set up, or the caller is gone already, the call is kept until what
 * it waits for has happened. */
static void watch_caller(BusCall *call)
{
        char match[512];
        int n;

        if (call->departure)
                return;
        n = snprintf(match, sizeof(match),
                     "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                     "member='NameOwnerChanged',arg0='%s'",
                     sd_bus_message_get_sender(call->message));
        if (n > 0 && (size_t) n < sizeof(match))
                (void) sd_bus_add_match_async(sd_bus_message_get_bus(call->message), &call->departure, match,
                                              on_departure, NULL, call);
}

static void call_go_on(BusCall *call)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        call->unit = bus_queued_free(call->unit);
        r = call->request.handler(call, &error);
        if (r < 0)
                bus_call_fail(call, r, &error);
        else if (!call->waits)
                bus_call_free(call);
        else
                watch_caller(call);
}

static int on_unit(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        BusCall *call = userdata;
        _cleanup_free_ char *unit = NULL;
        char *requester = NULL;
        const char *path;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "o", &path) >= 0 &&
            sd_bus_path_decode(path, "/org/freedesktop/systemd1/unit", &unit) > 0 &&
            asprintf(&requester, "%s, unit %s", call->requester, unit) >= 0) {
                free(call->requester);
                call->requester = requester;
        }

        call_go_on(call);
        return 1;
}

/* systemd is asked, because the caller's /proc/PID is hidden from the daemon (ProtectProc=invisible). */
static int ask_for_unit(BusCall *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = sd_bus_message_get_bus(call->message);
        int r;

        r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                           "org.freedesktop.systemd1.Manager", "GetUnitByPID");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "u", call->pid);
        if (r < 0)
                return r;
        return bus_queue_call(&call->list->queue, &call->unit, m, on_unit, call, UNIT_TIMEOUT_USEC);
}

/* ---- may they? ---- */

static const struct {
        const char *id, *what; /* "is needed to …" */
} actions[BUS_ACTION_MAX] = {
        [BUS_ACTION_SWITCH_TO_LOCAL] = { "org.tgswitch1.switch-to-local", "move a bot to the local server" },
        [BUS_ACTION_SWITCH_TO_CLOUD] = { "org.tgswitch1.switch-to-cloud", "move a bot to the cloud" },
        [BUS_ACTION_MANAGE] = { "org.tgswitch1.manage", "manage bots" },
};

/* Answers a call that polkit does not allow. All that was known so far is who asks: nothing has been changed. */
static void call_deny(BusCall *call, PolkitVerdict verdict, const char *why)
{
        static const char *const names[POLKIT_VERDICT_MAX] = {
                [POLKIT_DENIED] = SD_BUS_ERROR_ACCESS_DENIED,
                [POLKIT_CHALLENGE] = SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                [POLKIT_DISMISSED] = SD_BUS_ERROR_ACCESS_DENIED,
                [POLKIT_UNAVAILABLE] = BUS_ERROR_POLKIT_UNAVAILABLE,
        };
        const char *bot = call->request.bots ? call->request.bots[call->n_allowed] : "";
        char subject[80] = "";

        if (!isempty(bot))
                (void) snprintf(subject, sizeof(subject), "%s: ", bot);
        switch (verdict) {
        case POLKIT_CHALLENGE:
                (void) sd_bus_reply_method_errorf(
                                call->message, names[verdict],
                                "%sTo %s needs an administrator's password, and there is nobody to ask for it. Nothing "
                                "was changed. Use sudo, call from a terminal, or have your user put into the group "
                                "tgswitch-admin (%s).",
                                subject, actions[call->request.action].what, actions[call->request.action].id);
                break;
        case POLKIT_DISMISSED:
                (void) sd_bus_reply_method_errorf(call->message, names[verdict],
                                                  "%sThe password was not given, so nothing was changed. Try again, or "
                                                  "use sudo.",
                                                  subject);
                break;
        case POLKIT_UNAVAILABLE:
                assert(why);
                (void) sd_bus_reply_method_errorf(
                                call->message, names[verdict],
                                "%sOnly root may %s as long as polkitd does not answer (%s). Nothing was changed. See "
                                "'systemctl status polkit', install polkitd where it is missing, or use sudo.",
                                subject, actions[call->request.action].what, why);
                break;
        default:
                (void) sd_bus_reply_method_errorf(
                                call->message, names[POLKIT_DENIED],
                                "%spolkit does not let you %s (%s). Nothing was changed. Use sudo, or "
                                "have your user put into the group tgswitch-admin.",
                                subject, actions[call->request.action].what, actions[call->request.action].id);
        }
        bus_call_free(call);
}

static void call_allowed(BusCall *call)
{
        if (!call->request.for_history || call->pid == 0 || ask_for_unit(call) < 0)
                call_go_on(call);
}

static void on_polkit(PolkitVerdict verdict, const char *why, void *userdata)
{
        BusCall *call = userdata;
        BusCallList *list = call->list;

        call->polkit = polkit_check_free(call->polkit);
        if (verdict != POLKIT_ALLOWED)
                call_deny(call, verdict, why);
        else if (strv_length((char **) call->request.bots) > ++call->n_allowed)
                call->awaits_polkit = true;
        else
                call_allowed(call);
        ask_waiting(list);
}

/* One bot after the other, so that a rule sees a single name. polkit keeps for a while what a password has proved
 * (auth_admin_keep), so that people are asked once. */
static int ask_polkit(BusCall *call)
{
        PolkitQuestion question = {
                .subject = sd_bus_message_get_sender(call->message),
                .action = actions[call->request.action].id,
                .bot = call->request.bots ? call->request.bots[call->n_allowed] : NULL,
                .interactive = sd_bus_message_get_allow_interactive_authorization(call->message) > 0,
        };

        call->awaits_polkit = false;
        return polkit_check(&call->polkit, sd_bus_message_get_bus(call->message), &question, on_polkit, call);
}

static bool user_is_asked_enough(const BusCall *call)
{
        size_t n = 0;

        for (const BusCall *other = call->list->first; other && n < BUS_QUESTIONS_USER_MAX; other = other->next)
                n += other->polkit && other->uid == call->uid;
        return n >= BUS_QUESTIONS_USER_MAX;
}

/* The call that has waited longest and may be put to polkit now. */
static BusCall *next_to_ask(const BusCallList *list)
{
        BusCall *longest = NULL;
        size_t n = 0;

        for (const BusCall *call = list->first; call; call = call->next)
                n += call->polkit != NULL;
        for (BusCall *call = list->first; call && n < BUS_QUESTIONS_MAX; call = call->next)
                if (call->awaits_polkit && !user_is_asked_enough(call))
                        longest = call; /* new ones stand in front */
        return longest;
}

static void ask_waiting(BusCallList *list)
{
        BusCall *call;

        while ((call = next_to_ask(list))) {
                int r = ask_polkit(call);

                if (r < 0)
                        bus_call_fail(call, r, NULL);
        }
}

/* ---- who asks? ---- */

/* Picks two numbers out of the a{sv} of GetConnectionCredentials(); the rest of it depends on the bus daemon. */
static int read_credentials(sd_bus_message *reply, uint32_t *ret_uid, uint32_t *ret_pid)
{
        bool uid_known = false;
        int r;

        *ret_pid = 0;
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read(reply, "s", &key);
                if (r < 0)
                        return r;
                if (streq(key, "UnixUserID")) {
                        r = sd_bus_message_read(reply, "v", "u", ret_uid);
                        uid_known = r > 0;
                } else if (streq(key, "ProcessID"))
                        r = sd_bus_message_read(reply, "v", "u", ret_pid);
                else
                        r = sd_bus_message_skip(reply, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : uid_known ? 0 : -ENODATA;
}

/* The bound that this call is beyond, or 0. Not of root, whose calls no question holds up. */
static unsigned exceeded_bound(const BusCall *call)
{
        size_t n = 0, n_alike = 0;

        for (const BusCall *other = call->list->first; other && call->uid != 0; other = other->next) {
                n += other->uid == call->uid;
                n_alike += other->uid == call->uid && other->request.handler == call->request.handler;
        }
        if (call->request.user_max > 0 && n_alike > call->request.user_max)
                return call->request.user_max;
        return n > BUS_CALLS_USER_MAX ? BUS_CALLS_USER_MAX : 0;
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        BusCall *call = userdata;
        unsigned bound;

        call->slot = sd_bus_slot_unref(call->slot);
        if (sd_bus_message_is_method_error(reply, NULL) || read_credentials(reply, &call->uid, &call->pid) < 0) {
                (void) sd_bus_reply_method_errorf(call->message, SD_BUS_ERROR_ACCESS_DENIED,
                                                  "The bus could not tell who asks, so nothing was changed; try "
                                                  "again.");
                bus_call_free(call);
                return 1;
        }
        bound = exceeded_bound(call);
        if (bound > 0) {
                (void) sd_bus_reply_method_errorf(call->message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "%u calls of your user wait for their answer already, so nothing was "
                                                  "changed; try again later.",
                                                  bound);
                bus_call_free(call);
                return 1;
        }
        if (asprintf(&call->requester, "uid %" PRIu32, call->uid) < 0) {
                call->requester = NULL;
                bus_call_fail(call, -ENOMEM, NULL);
                return 1;
        }

        /* As systemd does it: polkit would say yes to root in any case, and a host on which polkitd is down is one that
         * root has to be able to look after. */
        if (call->uid == 0 || call->request.for_everyone) {
                call_allowed(call);
                return 1;
        }
        watch_caller(call);
        call->awaits_polkit = true;
        ask_waiting(call->list);
        return 1;
}

int bus_call_begin(BusCallList *list, Manager *m, sd_bus_message *message, const BusRequest *request,
                   sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(message);
        char **bots = NULL;
        BusCall *call;
        int r;

        if (!sender)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "This is answered over a bus only: call it on the system bus.");
        if (list->n >= BUS_CALLS_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "%u calls wait for their answer already, so nothing was changed; try again "
                                         "later.",
                                         BUS_CALLS_MAX);
        if (request->check_arguments) {
                r = request->check_arguments(message, m, error);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_rewind(message, true);
        if (r < 0)
                return r;

        r = strv_copy(request->bots, &bots);
        if (r < 0)
                return r;
        call = calloc(1, sizeof(*call));
        if (!call) {
                strv_free(bots);
                return -ENOMEM;
        }
        *call = (BusCall){
                .list = list,
                .message = sd_bus_message_ref(message),
                .manager = m,
                .request = *request,
                .uid = UINT32_MAX,
                .next = list->first,
        };
        call->request.bots = bots;
        if (call->next)
                call->next->previous = call;
        list->first = call;
        list->n++;

        /* sd_bus_query_sender_creds() would ask the same and block the loop meanwhile */
        r = sd_bus_call_method_async(sd_bus_message_get_bus(message), &call->slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionCredentials",
                                     on_credentials, call, "s", sender);
        if (r < 0) {
                bus_call_free(call);
                return r;
        }
        return 1;
}
