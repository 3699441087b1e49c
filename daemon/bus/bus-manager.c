/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>
#include <stdio.h>

#include "base/strv.h"
#include "bus/bus-error.h"
#include "bus/bus-internal.h"
#include "bus/bus-options.h"

/* Anybody can have patterns matched, since polkit is asked about what they match: so much of it has to be cheap.
 * fnmatch() tries each way to share a name out among the asterisks. */
#define NAMES_MAX       4096u
#define PATTERN_LEN_MAX 64u /* a name has at most 32 characters */
#define ASTERISKS_MAX   2u

/* ---- choosing bots ---- */

bool bus_is_pattern(const char *s)
{
        return s[strcspn(s, "*?[\\")] != '\0';
}

static bool has_many_asterisks(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += *s == '*';
        return n > ASTERISKS_MAX;
}

int bus_pattern_check(const char *pattern, sd_bus_error *error)
{
        if (strlen(pattern) > PATTERN_LEN_MAX || has_many_asterisks(pattern))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "A name or pattern has at most %u characters, and at most %u asterisks.",
                                         PATTERN_LEN_MAX, ASTERISKS_MAX);
        return 0;
}

static bool select_name(const Manager *m, const char *name, bool *selected)
{
        size_t i = manager_bot_place(m, name);
        bool found = i < manager_n_bots(m) && streq(bot_name(manager_bot(m, i)), name);

        if (found && selected)
                selected[i] = true;
        return found;
}

bool bus_pattern_select(const Manager *m, const char *pattern, bool *selected)
{
        bool any = false;

        if (!bus_is_pattern(pattern))
                return select_name(m, pattern, selected);
        for (size_t i = 0; i < manager_n_bots(m); i++) {
                if (fnmatch(pattern, bot_name(manager_bot(m, i)), 0) != 0)
                        continue;
                any = true;
                if (selected)
                        selected[i] = true;
        }
        return any;
}

static int select_matching(const Manager *m, const char *pattern, bool *selected, sd_bus_error *error)
{
        int r;

        r = bus_pattern_check(pattern, error);
        if (r < 0)
                return r;
        if (!bus_pattern_select(m, pattern, selected))
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_BOT,
                                         "No configured bot is called or matches '%s'; nothing was changed.",
                                         bus_word_show(pattern));
        return 0;
}

static int select_all_of_message(sd_bus_message *message, const Manager *m, bool *selected, size_t *ret_n,
                                 sd_bus_error *error)
{
        size_t n_names = 0, n_patterns = 0;
        const char *pattern;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(message, "s", &pattern)) > 0) {
                n_patterns += bus_is_pattern(pattern);
                if (++n_names > NAMES_MAX || n_patterns > BUS_PATTERNS_MAX)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "At most %u names can be given, and %u patterns.", NAMES_MAX,
                                                 BUS_PATTERNS_MAX);
                r = select_matching(m, pattern, selected, error);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret_n = n_names;
        return sd_bus_message_exit_container(message);
}

/* Reads names and globs; `*ret` gets the names of the chosen bots in the manager's order. An empty list chooses all. */
static int read_selection(sd_bus_message *message, const Manager *m, char ***ret, sd_bus_error *error)
{
        _cleanup_free_ bool *selected = NULL;
        _cleanup_strv_ char **names = NULL;
        size_t n_bots = manager_n_bots(m), n_given = 0, n = 0;
        int r;

        selected = calloc(n_bots + 1, sizeof(bool));
        names = calloc(n_bots + 1, sizeof(char *));
        if (!selected || !names)
                return -ENOMEM;
        r = select_all_of_message(message, m, selected, &n_given, error);
        if (r < 0)
                return r;

        for (size_t i = 0; i < n_bots; i++) {
                if (!selected[i] && n_given > 0)
                        continue;
                names[n] = strdup(bot_name(manager_bot(m, i)));
                if (!names[n++])
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(names);
        return 0;
}

/* ---- SwitchToLocal, SwitchToCloud ---- */

/* Those bots that polkit was asked about: what a pattern matches may have grown since. */
static int switch_bots(BusCall *call, Seat target, sd_bus_error *error)
{
        size_t n = strv_length((char **) call->request.bots);
        _cleanup_free_ Bot **bots = calloc(n + 1, sizeof(Bot *));
        int r;

        if (!bots)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = bus_call_find_bot(call, call->request.bots[i], bots + i, error);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_skip(call->message, "as");
        if (r < 0)
                return r;
        return bus_switch_begin(call, target, bots, n, false, error);
}

static int switch_to_local(BusCall *call, sd_bus_error *error)
{
        return switch_bots(call, SEAT_LOCAL, error);
}

static int switch_to_cloud(BusCall *call, sd_bus_error *error)
{
        return switch_bots(call, SEAT_CLOUD, error);
}

static int begin_switch(BusService *s, sd_bus_message *m, BusAction action, bus_call_handler_t handler,
                        sd_bus_error *error)
{
        _cleanup_strv_ char **names = NULL;
        BusRequest request = {
                .action = action, .check_arguments = bus_options_check, .handler = handler, .for_history = true
        };
        int r;

        r = read_selection(m, s->manager, &names, error);
        if (r < 0)
                return r;
        request.bots = names;
        return bus_call_begin(&s->calls, s->manager, m, &request, error);
}

static int method_switch_to_local(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin_switch(userdata, m, BUS_ACTION_SWITCH_TO_LOCAL, switch_to_local, error);
}

static int method_switch_to_cloud(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return begin_switch(userdata, m, BUS_ACTION_SWITCH_TO_CLOUD, switch_to_cloud, error);
}

/* ---- Reload ---- */

static int reload(BusCall *call, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        int r;

        r = manager_reload(call->manager, &message);
        if (r < 0)
                return bus_error_set(error, ASK_BAD_CONFIG, message);

        /* what concerns single bots: the others have their new settings */
        return sd_bus_reply_method_return(call->message, "s", message ?: "");
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const BusRequest request = { .action = BUS_ACTION_MANAGE, .handler = reload };
        BusService *s = userdata;

        return bus_call_begin(&s->calls, s->manager, m, &request, error);
}

/* ---- reading: for everybody ---- */

static int method_list_bots(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        BusService *s = userdata;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(so)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < manager_n_bots(s->manager); i++) {
                Bot *b = manager_bot(s->manager, i);
                char path[64];

                bus_bot_path(b, path);
                r = sd_bus_message_append(reply, "(so)", bot_name(b), path);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int method_get_bot(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusService *s = userdata;
        const char *name;
        char path[64];
        Bot *b;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        b = manager_find_bot(s->manager, name);
        if (!b)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_BOT, "No bot is called '%s'; see 'tgswitchctl list'.",
                                         bus_word_show(name));
        bus_bot_path(b, path);
        return sd_bus_reply_method_return(m, "o", path);
}

static int method_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        BusService *s = userdata;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(usos)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < manager_n_bots(s->manager); i++) {
                const Bot *b = manager_bot(s->manager, i);
                char path[BUS_JOB_PATH_SIZE];

                if (!bot_job_running(b))
                        continue;
                bus_job_path(bot_job(b)->id, path);
                r = sd_bus_message_append(reply, "(usos)", bot_job(b)->id, bot_name(b), path, bot_phase(b));
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

/* ---- properties ---- */

#define DEFINE_MANAGER_PROPERTY(name, append)                                                                  \
        static int property_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                                   sd_bus_message *reply, void *userdata, sd_bus_error *error)                 \
        {                                                                                                      \
                const BusService *s = userdata;                                                                \
                                                                                                               \
                (void) s;                                                                                      \
                return append;                                                                                 \
        }                                                                                                      \
        struct _swallow_semicolon_

DEFINE_MANAGER_PROPERTY(version, sd_bus_message_append(reply, "s", VERSION));
DEFINE_MANAGER_PROPERTY(server_state, bus_append_text(reply, manager_local_server_state(s->manager)));
DEFINE_MANAGER_PROPERTY(n_bots, sd_bus_message_append(reply, "u", (uint32_t) manager_n_bots(s->manager)));
DEFINE_MANAGER_PROPERTY(n_cloud, sd_bus_message_append(reply, "u", (uint32_t) manager_n_at(s->manager, SEAT_CLOUD)));
DEFINE_MANAGER_PROPERTY(n_local, sd_bus_message_append(reply, "u", (uint32_t) manager_n_at(s->manager, SEAT_LOCAL)));
DEFINE_MANAGER_PROPERTY(n_jobs, sd_bus_message_append(reply, "u", (uint32_t) manager_n_jobs(s->manager)));

#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_METHOD_WITH_ARGS("SwitchToLocal", SD_BUS_ARGS("as", bots, "a{sv}", options),
                                SD_BUS_RESULT("a(so)", jobs), method_switch_to_local, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SwitchToCloud", SD_BUS_ARGS("as", bots, "a{sv}", options),
                                SD_BUS_RESULT("a(so)", jobs), method_switch_to_cloud, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListBots", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(so)", bots), method_list_bots,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetBot", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", bot), method_get_bot,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListJobs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(usos)", jobs), method_list_jobs,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("aa{sv}", entries),
                                bus_history_get, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", metrics), bus_metrics_get,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", problems), method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_SIGNAL_WITH_ARGS("JobNew", SD_BUS_ARGS("u", id, "o", job, "s", bot), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobRemoved", SD_BUS_ARGS("u", id, "o", job, "s", bot, "s", result), 0),

        SD_BUS_PROPERTY("Version", "s", property_version, 0, CONSTANT),
        SD_BUS_PROPERTY("LocalServerState", "s", property_server_state, 0, CHANGES),
        SD_BUS_PROPERTY("NBots", "u", property_n_bots, 0, CHANGES),
        SD_BUS_PROPERTY("NCloud", "u", property_n_cloud, 0, CHANGES),
        SD_BUS_PROPERTY("NLocal", "u", property_n_local, 0, CHANGES),
        SD_BUS_PROPERTY("NJobs", "u", property_n_jobs, 0, CHANGES),

        SD_BUS_VTABLE_END
};
