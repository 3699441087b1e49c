/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"
#include "core/unit-result.h"
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

static size_t place_of(const char *check)
{
        static const char *const order[] = { "window", "token", "webhook", "spool", "server", "disk" };
        size_t i = 0;

        while (i < ELEMENTSOF(order) && !streq(order[i], check))
                i++;
        return i;
}

static bool comes_before(const CheckItem *a, const CheckItem *b)
{
        size_t x = place_of(a->check), y = place_of(b->check);

        /* all that is said of one worker stays together, in the order in which it was found out */
        return x != y ? x < y : strcmp(a->subject, b->subject) < 0;
}

void check_list_sort(CheckList *l)
{
        for (size_t i = 1; i < l->n; i++) {
                CheckItem item = l->items[i];
                size_t k = i;

                for (; k > 0 && comes_before(&item, l->items + k - 1); k--)
                        l->items[k] = l->items[k - 1];
                l->items[k] = item;
        }
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

/* ---- the gate ---- */

static const UnitCredential *find_credential(const UnitInfo *info, const char *id)
{
        for (size_t i = 0; i < info->n_credentials; i++)
                if (streq(info->credentials[i].id, id))
                        return info->credentials + i;
        return NULL;
}

static bool loads(const CheckUnitContext *context, const UnitInfo *info, const char *id)
{
        const UnitCredential *credential = find_credential(info, id);

        return credential && streq(credential->path, context->socket_path);
}

/* Nothing of the drop-in is there. */
static bool has_no_gate(const CheckUnitContext *context, const UnitInfo *info)
{
        for (size_t i = 0; i < info->n_credentials; i++)
                if (streq(info->credentials[i].path, context->socket_path))
                        return false;
        return strv_length(info->exec_start_pre) == 0;
}

static bool check_credentials(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        static const char *const needed[] = { "bot-token", "bot-endpoint" };
        bool good = true;

        FOREACH_ELEMENT(id, needed) {
                const UnitCredential *credential = find_credential(info, *id);

                if (loads(context, info, *id))
                        continue;
                good = false;
                if (credential)
                        check_list_add(l, "gate", info->name, CHECK_FAIL,
                                       "%s loads the credential %s from %s, where tgswitchd does not answer: write "
                                       "LoadCredential=%s:%s in the drop-in of it, then 'systemctl daemon-reload'.",
                                       info->name, *id, credential->path, *id, context->socket_path);
                else
                        check_list_add(l, "gate", info->name, CHECK_FAIL,
                                       "%s does not load the credential %s from %s: add LoadCredential=%s:%s to a "
                                       "drop-in of it (see worker-drop-in.conf.example), then 'systemctl "
                                       "daemon-reload'.",
                                       info->name, *id, context->socket_path, *id, context->socket_path);
        }
        return good;
}

/* What a command really tests cannot be seen. That its failure counts can, and whether it looks at the credential. */
static bool check_exec_start_pre(const UnitInfo *info, CheckList *l)
{
        bool counts = false, looks = false;

        STRV_FOREACH(command, info->exec_start_pre) {
                if ((*command)[0] == '-')
                        continue;
                counts = true;
                looks = looks || strstr(*command, "bot-token");
        }
        if (!counts && strv_length(info->exec_start_pre) > 0)
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s starts even where its ExecStartPre= fails, so it could run without a token: take the "
                               "'-' in front of that command out, in the drop-in of it.",
                               info->name);
        else if (!counts)
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s has no ExecStartPre= that fails on an empty credential, so it could run without a "
                               "token: add ExecStartPre=/usr/bin/test -s %%d/bot-token to a drop-in of it.",
                               info->name);
        else if (!looks)
                check_list_add(l, "gate", info->name, CHECK_SKIPPED,
                               "No ExecStartPre= of %s names bot-token, so whether one fails on an empty credential is "
                               "not known. ExecStartPre=/usr/bin/test -s %%d/bot-token does.",
                               info->name);
        return counts;
}

/* Without the gate a worker could be started at any moment, with whatever endpoint it finds. */
static void check_gate(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        bool good;

        if (has_no_gate(context, info)) {
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s has no gate, so it would go on at the old server, or start there at any moment: run "
                               "'tgswitchctl adopt %s --bot %s', or copy worker-drop-in.conf.example to "
                               "/etc/systemd/system/%s.d/50-tgswitch.conf, put the bot's name into it and run "
                               "'systemctl daemon-reload'.",
                               info->name, info->name, context->bot, info->name);
                return;
        }
        good = check_credentials(context, info, l);
        good = check_exec_start_pre(info, l) && good;
        if (info->timeout_start_usec != USEC_INFINITY) {
                good = false;
                check_list_add(l, "gate", info->name, CHECK_FAIL,
                               "%s would fail at its start timeout while it is held: set TimeoutStartSec=infinity in a "
                               "drop-in of it.",
                               info->name);
        }
        if (context->spool_to && streq(context->spool_to, info->name) && !loads(context, info, "bot-pending-updates"))
                check_list_add(l, "gate", info->name, CHECK_SKIPPED,
                               "%s is to take the spool (SpoolTo=) and does not load the credential "
                               "bot-pending-updates: what is spooled would be kept until somebody takes it, or posted "
                               "to the bot's webhook where it has one and SpoolTo= names no worker.",
                               info->name);
        if (good)
                check_list_add(l, "gate", info->name, CHECK_PASS, "%s starts behind the gate.", info->name);
}

/* The token comes by the unit's name, the endpoint by that of a file, which is easily copied along with a drop-in. */
static void check_environment(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        STRV_FOREACH(file, info->environment_files) {
                const char *name = startswith(*file, context->environment_directory);
                size_t length = strlen(context->bot);

                if (!name || *name++ != '/' ||
                    (strncmp(name, context->bot, length) == 0 && streq(name + length, ".env")))
                        continue;
                check_list_add(l, "environment", info->name, CHECK_FAIL,
                               "%s reads the environment of another bot, %s: write EnvironmentFile=-%s/%s.env in the "
                               "drop-in of it, then 'systemctl daemon-reload'.",
                               info->name, *file, context->environment_directory, context->bot);
        }
}

/* ---- other units ---- */

static bool is_own_worker(const CheckUnitContext *context, const char *unit)
{
        STRV_FOREACH(pattern, (char **) context->workers)
                if (unit_name_matches(*pattern, unit))
                        return true;
        return false;
}

static bool is_target(const char *unit)
{
        return streq(strrchr(unit, '.'), ".target");
}

/* What systemd stops along with a worker stays stopped: tgswitchd remembers, and starts, workers alone. */
static bool check_followers(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        bool good = true;

        STRV_FOREACH(unit, info->stopped_with) {
                /* A target runs nothing. */
                if (is_own_worker(context, *unit) || is_target(*unit))
                        continue;
                good = false;
                check_list_add(l, "ties", info->name, CHECK_FAIL,
                               "systemd stops %s along with %s, and nobody would start it again: put Wants=%s in the "
                               "place of Requires=, BindsTo= or PartOf= there, or name it with Worker= in bots.d/%s.conf "
                               "if it is a worker, too.",
                               *unit, info->name, info->name, context->bot);
        }
        return good;
}

static void check_ties(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        _cleanup_free_ char *instance = NULL;
        bool good;

        good = check_followers(context, info, l);
        if (strv_contains(info->requires, context->server_unit)) {
                good = false;
                check_list_add(l, "ties", info->name, CHECK_FAIL,
                               "%s requires or binds to %s, so that systemd would start and stop the one with the "
                               "other: take that dependency out, the endpoint is tgswitchd's to choose.",
                               info->name, context->server_unit);
        }
        if (strv_contains(info->conflicts, context->server_unit)) {
                good = false;
                check_list_add(l, "ties", info->name, CHECK_FAIL,
                               "%s conflicts with %s, so that neither could run beside the other: take that Conflicts= "
                               "out, the endpoint is tgswitchd's to choose.",
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

/* ---- starting and stopping ---- */

/* Stopped has to mean that nothing of it runs: a program that is left would log the bot in again. */
static bool check_end(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        bool none = streq(info->kill_mode, "none"), good = !none && info->send_sigkill;

        if (!good)
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "%s may leave processes behind when it is stopped, which would go on at the old server: "
                               "take %s out of the unit.",
                               info->name, none ? "KillMode=none" : "SendSIGKILL=no");
        else if (streq(info->kill_mode, "process"))
                check_list_add(l, "worker", info->name, CHECK_SKIPPED,
                               "When %s is stopped systemd ends its main process alone (KillMode=process): if others of "
                               "it speak to the server, write KillMode=mixed.",
                               info->name);
        if (info->timeout_stop_usec >= context->stop_timeout_usec)
                check_list_add(l, "worker", info->name, CHECK_SKIPPED,
                               "systemd kills %s only when it has not ended within TimeoutStopSec=, and the move is put "
                               "back after StopTimeoutSec=, which is no longer: make the first shorter, if its program "
                               "may ignore SIGTERM.",
                               info->name);
        if (info->remain_after_exit)
                check_list_add(l, "worker", info->name, CHECK_SKIPPED,
                               "%s stays active when its program has ended (RemainAfterExit=yes): each move runs it once "
                               "more, and whether what it has begun elsewhere still runs, nobody can see. Its ExecStop= "
                               "has to end that.",
                               info->name);
        return good;
}

static bool check_verbs(const UnitInfo *info, CheckList *l)
{
        if (info->transient) {
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "%s was made by systemd-run and is gone as soon as it is stopped: write a unit file for "
                               "it.",
                               info->name);
                return false;
        }
        if (info->refuse_manual_start || info->refuse_manual_stop) {
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "%s refuses to be %s by request, as tgswitchd has to: take RefuseManual%s=yes out of it.",
                               info->name, info->refuse_manual_stop ? "stopped" : "started",
                               info->refuse_manual_stop ? "Stop" : "Start");
                return false;
        }
        return true;
}

static void check_service(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        bool good = check_end(context, info, l);

        good = check_verbs(info, l) && good;
        if (context->other_bot) {
                good = false;
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "%s is a worker of the bot %s as well: a unit belongs to one bot. Correct Worker= in "
                               "bots.d/%s.conf or bots.d/%s.conf, and run 'systemctl reload tgswitchd'.",
                               info->name, context->other_bot, context->bot, context->other_bot);
        }
        if (info->need_daemon_reload) {
                good = false;
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "%s has changed on disk since systemd read it: run 'systemctl daemon-reload'.",
                               info->name);
        }
        if (good)
                check_list_add(l, "worker", info->name, CHECK_PASS, "%s is loaded.", info->name);
}

void check_unit(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        switch (info->load_state) {
        case UNIT_LOAD_LOADED:
                break;
        case UNIT_LOAD_NOT_FOUND:
                check_list_add(l, "worker", info->name, CHECK_FAIL,
                               "The worker unit %s does not exist: install it, or correct Worker= in bots.d/%s.conf and "
                               "run 'systemctl reload tgswitchd'. A unit of a user ('systemctl --user') cannot be one: "
                               "make it a unit of the system, with User=.",
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
        check_service(context, info, l);
        check_gate(context, info, l);
        check_environment(context, info, l);
        check_ties(context, info, l);
}
