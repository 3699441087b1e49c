/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "io/polkit.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define FLAG_ALLOW_INTERACTION 1u /* CheckAuthorizationFlags of polkit's interface */

/* polkitd may have to be started, and its rules may run programs. A person needs longer. */
#define ANSWER_TIMEOUT_USEC      (30 * USEC_PER_SEC)
#define INTERACTIVE_TIMEOUT_USEC (5 * USEC_PER_MIN)

struct PolkitCheck {
        sd_bus *bus;
        sd_bus_slot *slot; /* NULL once it was answered */
        char cancellation_id[24];
        polkit_handler_t handler;
        void *userdata;
};

/* Reads (bba{ss}). "polkit.dismissed" is the one detail of an answer that means something to a caller. */
static int read_answer(sd_bus_message *reply, PolkitVerdict *ret)
{
        int r, authorized, challenge;
        bool dismissed = false;

        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "{ss}");
        if (r < 0)
                return r;
        for (;;) {
                const char *key, *value;

                r = sd_bus_message_read(reply, "{ss}", &key, &value);
                if (r < 0)
                        return r;
                if (r == 0)
                        break;
                dismissed |= streq(key, "polkit.dismissed");
        }

        *ret = authorized  ? POLKIT_ALLOWED
               : challenge ? POLKIT_CHALLENGE
               : dismissed ? POLKIT_DISMISSED
                           : POLKIT_DENIED;
        return 0;
}

static void cancel(const PolkitCheck *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        /* Best effort: otherwise the prompt stays until somebody closes it, and its answer is dropped. */
        if (sd_bus_message_new_method_call(c->bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                           "CancelCheckAuthorization") < 0 ||
            sd_bus_message_append(m, "s", c->cancellation_id) < 0 || sd_bus_message_set_expect_reply(m, false) < 0 ||
            sd_bus_message_set_auto_start(m, false) < 0)
                return;
        (void) sd_bus_send(c->bus, m, NULL);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        PolkitCheck *c = userdata;
        PolkitVerdict verdict;
        int r;

        c->slot = sd_bus_slot_unref(c->slot);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *error = sd_bus_message_get_error(reply);

                /* Where it is the time that was over, the prompt still stands, and for the broker the call is open. */
                cancel(c);
                c->handler(POLKIT_UNAVAILABLE, error->message ?: error->name, c->userdata);
                return 1;
        }
        r = read_answer(reply, &verdict);
        if (r < 0)
                c->handler(POLKIT_UNAVAILABLE, strerror(-r), c->userdata);
        else
                c->handler(verdict, NULL, c->userdata);
        return 1;
}

static int append_question(sd_bus_message *m, const PolkitQuestion *q, const char *cancellation_id)
{
        int r;

        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", q->subject, q->action);
        if (r < 0)
                return r;
        r = q->bot ? sd_bus_message_append(m, "a{ss}", 1, "bot", q->bot) : sd_bus_message_append(m, "a{ss}", 0);
        if (r < 0)
                return r;
        return sd_bus_message_append(m, "us", q->interactive ? FLAG_ALLOW_INTERACTION : 0, cancellation_id);
}

int polkit_check(PolkitCheck **ret, sd_bus *bus, const PolkitQuestion *q, polkit_handler_t handler, void *userdata)
{
        static uint64_t n_checks = 0;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(polkit_check_freep) PolkitCheck *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->bus = sd_bus_ref(bus);
        c->handler = handler;
        c->userdata = userdata;
        /* polkitd tells them apart within our connection. */
        (void) snprintf(c->cancellation_id, sizeof(c->cancellation_id), "%" PRIu64, ++n_checks);

        r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
        if (r < 0)
                return r;
        r = append_question(m, q, c->cancellation_id);
        if (r < 0)
                return r;
        r = sd_bus_call_async(bus, &c->slot, m, on_answer, c,
                              q->timeout_usec
                                              ?: q->interactive ? INTERACTIVE_TIMEOUT_USEC
                                                                : ANSWER_TIMEOUT_USEC);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(c);
        return 0;
}

PolkitCheck *polkit_check_free(PolkitCheck *c)
{
        if (!c)
                return NULL;

        if (c->slot)
                cancel(c);
        sd_bus_slot_unref(c->slot);
        sd_bus_unref(c->bus);
        free(c);
        return NULL;
}
