/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "ctl/ctl-daemon.h"
#include "ctl/ctl-units.h"

/* getMe, getWebhookInfo and setWebhook, each as long as a server may take. */
#define CHECK_TIMEOUT_USEC (3 * USEC_PER_MIN)

static const char *const said[TOKEN_SAID_MAX] = {
        [TOKEN_SAID_NOT_ASKED] = "not-asked",
        [TOKEN_SAID_ACCEPTED] = "accepted",
        [TOKEN_SAID_REFUSED] = "refused",
        [TOKEN_SAID_UNKNOWN] = "unknown",
};

const char *token_said_to_string(TokenSaid s)
{
        return s >= 0 && s < TOKEN_SAID_MAX ? said[s] : NULL;
}

void token_answer_done(TokenAnswer *a)
{
        free(a->webhook);
        free(a->explanation);
        *a = (TokenAnswer){};
}

int daemon_runs(Ctl *c, bool *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r, running;

        r = sd_bus_call_method(c->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                               "NameHasOwner", NULL, &reply, "s", BUS_NAME);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &running);
        if (r < 0)
                return r;
        *ret = running;
        return 0;
}

CtlExit daemon_restart(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = units_job(c->bus, "RestartUnit", DAEMON_UNIT, JOB_TIMEOUT_USEC, &error);

        return r > 0 ? CTL_OK
                     : ctl_error(CTL_FAILED, "tgswitchd cannot be restarted (%s): 'journalctl -u tgswitchd' says why.",
                                 r == 0 ? "it did not start" : error.message ?: strerror(-r));
}

static int call_check_token(Ctl *c, const char *bot, bool restore_webhook, sd_bus_error *error, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), BUS_BOT_PREFIX "%.32s", bot);
        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, BUS_BOT_INTERFACE, "CheckToken");
        if (r >= 0)
                r = sd_bus_message_append(m, "b", restore_webhook);
        return r < 0 ? r : ctl_call_message(c, m, CHECK_TIMEOUT_USEC, error, ret);
}

int daemon_check_token(Ctl *c, const char *bot, bool restore_webhook, TokenAnswer *answer)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *verdict, *webhook, *explanation;
        int r;

        token_answer_done(answer);
        r = call_check_token(c, bot, restore_webhook, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "sss", &verdict, &webhook, &explanation);
        if (r < 0) {
                answer->said = TOKEN_SAID_NOT_ASKED;
                answer->explanation = strdup(error.message ?: strerror(-r));
                return answer->explanation ? 0 : -ENOMEM;
        }
        answer->said = streq(verdict, "accepted")  ? TOKEN_SAID_ACCEPTED
                       : streq(verdict, "refused") ? TOKEN_SAID_REFUSED
                                                   : TOKEN_SAID_UNKNOWN;
        answer->webhook = strdup(webhook);
        answer->explanation = strdup(explanation);
        return answer->webhook && answer->explanation ? 0 : -ENOMEM;
}
