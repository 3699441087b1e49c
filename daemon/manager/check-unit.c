/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"
#include "manager/check.h"

void check_list_add(CheckList *l, const char *check, const char *subject, CheckVerdict verdict, const char *format, ...)
{
        CheckItem item = { .verdict = verdict };
        CheckItem *grown;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&item.explanation, format, ap);
        va_end(ap);
        if (r < 0)
                item.explanation = NULL;
        item.check = strdup(check);
        item.subject = strdup(subject);
        grown = reallocarray(l->items, l->n + 1, sizeof(CheckItem));
        if (!grown || !item.check || !item.subject || !item.explanation)
                /* Half an answer must not pass for a good one, and there is no memory to say more. */
                abort();
        l->items = grown;
        l->items[l->n++] = item;
}

void check_list_done(CheckList *l)
{
        for (size_t i = 0; i < l->n; i++) {
                free(l->items[i].check);
                free(l->items[i].subject);
                free(l->items[i].explanation);
        }
        free(l->items);
        *l = (CheckList){};
}

bool check_list_passed(const CheckList *l)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].verdict == CHECK_FAIL)
                        return false;
        return true;
}

char *check_list_complaint(const CheckList *l)
{
        _cleanup_strv_ char **said = NULL;

        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].verdict == CHECK_FAIL && strv_extend_unique(&said, l->items[i].explanation) < 0)
                        return NULL;
        return strv_join(said, " ");
}

const char *check_verdict_to_string(CheckVerdict v)
{
        static const char *const names[CHECK_VERDICT_MAX] = {
                [CHECK_PASS] = "pass",
                [CHECK_FAIL] = "fail",
                [CHECK_SKIPPED] = "skipped",
        };

        return v >= 0 && v < CHECK_VERDICT_MAX ? names[v] : NULL;
}

static bool loads(const UnitInfo *info, const char *id, const char *path)
{
        for (size_t i = 0; i < info->n_credentials; i++)
                if (streq(info->credentials[i].id, id) && streq(info->credentials[i].path, path))
                        return true;
        return false;
}

/* Without the gate a worker could be started at any moment, with whatever endpoint it finds. */
static void check_gate(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        static const char *const needed[] = { "bot-token", "bot-endpoint" };
        bool all = true;

        FOREACH_ELEMENT(id, needed) {
                if (loads(info, *id, context->socket_path))
                        continue;
                all = false;
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s does not load the credential %s from %s: add LoadCredential=%s:%s to a drop-in of "
                               "it (see worker-drop-in.conf.example), then 'systemctl daemon-reload'.",
                               info->name, *id, context->socket_path, *id, context->socket_path);
        }
        if (strv_length(info->exec_start_pre) == 0) {
                all = false;
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s has no ExecStartPre= that fails on an empty credential, so it could run without a "
                               "token: add ExecStartPre=/usr/bin/test -s %%d/bot-token to a drop-in of it.",
                               info->name);
        }
        if (info->timeout_start_usec != USEC_INFINITY) {
                all = false;
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s would fail at its start timeout while it is held: set TimeoutStartSec=infinity in a "
                               "drop-in of it.",
                               info->name);
        }
        if (context->spool_to && streq(context->spool_to, info->name) &&
            !loads(info, "bot-pending-updates", context->socket_path))
                check_list_add(l, "gate", info->name, CHECK_SKIPPED,
                               "%s is to take the spool (SpoolTo=) and does not load the credential "
                               "bot-pending-updates: what is spooled would be kept until somebody takes it.",
                               info->name);
        if (all)
                check_list_add(l, "gate", info->name, CHECK_PASS, "%s starts behind the gate.", info->name);
}

static void check_ties(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        _cleanup_free_ char *instance = NULL;
        bool good = true;

        if (strv_contains(info->requires, context->server_unit)) {
                good = false;
                check_list_add(l, "ties", info->name, CHECK_FAIL,
                               "%s requires or binds to %s, so that systemd would start and stop the one with the "
                               "other: take that dependency out, the endpoint is tgswitchd's to choose.",
                               info->name, context->server_unit);
        }
        if (asprintf(&instance, "tgswitch-local@%s.service", context->bot) < 0)
                instance = NULL;
        if (strv_contains(info->after, "tgswitch-local.service") ||
            (instance && strv_contains(info->after, instance))) {
                good = false;
                check_list_add(l, "ties", info->name, CHECK_FAIL,
                               "%s is ordered after the cutover that has to start it: neither would ever end. Take "
                               "After=tgswitch-local.service out; After=tgswitchd.service is enough.",
                               info->name);
        }
        if (good)
                check_list_add(l, "ties", info->name, CHECK_PASS, "%s is not tied to the servers.", info->name);
}

void check_unit(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        switch (info->load_state) {
        case UNIT_LOAD_LOADED:
                break;
        case UNIT_LOAD_NOT_FOUND:
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "The worker unit %s does not exist: install it, or correct Worker= in bots.d/%s.conf and "
                               "run 'systemctl reload tgswitchd'.",
                               info->name, context->bot);
                return;
        case UNIT_LOAD_MASKED:
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "The worker unit %s is masked: run 'systemctl unmask %s', or take it out of Worker= in "
                               "bots.d/%s.conf.",
                               info->name, info->name, context->bot);
                return;
        default:
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "systemd cannot load the worker unit %s: see 'systemctl status %s'.", info->name,
                               info->name);
                return;
        }
        if (info->need_daemon_reload)
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "%s has changed on disk since systemd read it: run 'systemctl daemon-reload'.",
                               info->name);
        else
                check_list_add(l, "worker", info->name, CHECK_PASS, "%s is loaded.", info->name);
        check_gate(context, info, l);
        check_ties(context, info, l);
}
