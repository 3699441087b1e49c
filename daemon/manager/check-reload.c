/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "manager/check.h"

static bool is_kill(const char *command)
{
        size_t n;

        command += command[0] == '-';
        n = strcspn(command, " ");
        return (n == 4 || (n > 4 && command[n - 5] == '/')) && strncmp(command + n - 4, "kill", 4) == 0;
}

/* A signal is sent, and nobody waits for what becomes of it (systemd.service(5), ExecReload=): logOut would go out
 * while the program still speaks to the server, and log the bot in again. */
static bool waits_for_nobody(char *const *commands)
{
        size_t n = strv_length(commands);

        return n > 0 && is_kill(commands[n - 1]);
}

/* Before the second command of a list, and each one after it, systemd 252 asks for the unit's credentials once more;
 * and the gate is closed as long as the worker is to hold. */
static bool comes_to_gate(char *const *commands)
{
        return strv_length(commands) > 1;
}

static void check_environment(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s.env", context->environment_directory, context->bot) < 0)
                abort();
        if (strv_contains(info->environment_files, path))
                check_list_add(l, "reload", info->name, CHECK_PASS,
                               "%s is told by a reload to hold, and where to go on.", info->name);
        else
                check_list_add(l, "reload", info->name, CHECK_SKIPPED,
                               "%s does not read the bot's environment file, so that its ExecReload= is told nothing by "
                               "it: add EnvironmentFile=-%s to a drop-in of it, unless the program asks the bus for "
                               "Endpoint.",
                               info->name, path);
}

void check_reload(const CheckUnitContext *context, const UnitInfo *info, CheckList *l)
{
        if (context->move != MOVE_RELOAD || info->load_state != UNIT_LOAD_LOADED || streq(info->type, "oneshot"))
                return;
        if (!info->can_reload)
                check_list_add(l, "reload", info->name, CHECK_FAIL,
                               "%s cannot be reloaded, and the bot has Move=reload: give the unit an ExecReload= that "
                               "returns when the program holds, or take Move=reload out of bots.d/%s.conf.",
                               info->name, context->bot);
        else if (waits_for_nobody(info->exec_reload))
                check_list_add(l, "reload", info->name, CHECK_FAIL,
                               "%s is reloaded by a signal, and kill does not wait until the program has heard of it: end "
                               "its ExecReload= with a command that returns when the program holds, or take "
                               "Move=reload out of bots.d/%s.conf.",
                               info->name, context->bot);
        else if (comes_to_gate(info->exec_reload))
                check_list_add(l, "reload", info->name, CHECK_FAIL,
                               "%s has more than one ExecReload= command, and systemd would ask for its credentials before "
                               "the second one, which tgswitchd does not give while the bot is moved: make one command of "
                               "them.",
                               info->name);
        else
                check_environment(context, info, l);
}
