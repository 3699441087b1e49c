/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/strv.h"
#include "manager/check-files.h"

/* Where the gate listens: units/tgswitchd-credential.socket. */
#define SOCKET_PATH "/run/tgswitch/credential.sock"
/* Where drop-ins look for NAME.env: units/worker-drop-in.conf.example. */
#define ENVIRONMENT_DIRECTORY "/run/tgswitch/bots"

typedef struct UnitLook {
        Check *check;
        char *unit;
        UnitCall *call;
} UnitLook;

typedef struct UnitLooks {
        UnitLook *items;
        size_t n;
} UnitLooks;

static void unit_looks_done(UnitLooks *l)
{
        for (size_t i = 0; i < l->n; i++) {
                unit_call_free(l->items[i].call);
                free(l->items[i].unit);
        }
        free(l->items);
}

struct Check {
        Bot *bot;
        Seat target;
        bool may_start_server;
        check_handler_t handler;
        void *userdata;
        CheckList list;
        CheckFindings findings;

        unsigned pending; /* looks under way; the last one reports */
        sd_event_source *done_source;
        BotApiCall *api_call;
        FilesLook *files; /* on the way to the local server, before the workers are looked at */
        UnitCall *list_call;
        UnitLooks workers;
        char **triggers; /* of the workers, as far as they have been looked at */
        UnitLooks trigger_looks;
        bool triggers_are_next; /* once the workers have been looked at */
        bool server_is_next;    /* once all else has */
        ServerCall *server_call;
        BotApiCall *probe_call;
};

Check *check_free(Check *c)
{
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->done_source);
        botapi_call_free(c->api_call);
        botapi_call_free(c->probe_call);
        files_look_free(c->files);
        unit_call_free(c->list_call);
        unit_looks_done(&c->workers);
        unit_looks_done(&c->trigger_looks);
        strv_free(c->triggers);
        server_call_free(c->server_call);
        webhook_info_done(&c->findings.webhook);
        check_list_done(&c->list);
        free(c);
        return NULL;
}

static int on_done(sd_event_source *s, void *userdata)
{
        Check *c = userdata;

        check_list_sort(&c->list);
        c->handler(c, &c->list, &c->findings, c->userdata);
        return 0;
}

static void look_at_server(Check *c);
static void look_at_units(Check *c, UnitLooks *looks, char *const *units, unit_info_handler_t handler);
static void on_trigger(UnitCall *call, int r, const UnitInfo *info, void *userdata);

static void look_done(Check *c)
{
        assert(c->pending > 0);
        if (--c->pending > 0)
                return;
        if (c->triggers_are_next) {
                c->triggers_are_next = false;
                look_at_units(c, &c->trigger_looks, c->triggers, on_trigger);
                if (c->pending > 0)
                        return;
        }
        if (c->server_is_next) {
                c->server_is_next = false;
                look_at_server(c);
                if (c->pending > 0)
                        return;
        }
        if (sd_event_add_defer(c->bot->manager->event, &c->done_source, on_done, c) < 0)
                abort();
}

/* ---- the token and what the present server says of it ---- */

static void on_webhook_info(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Check *c = userdata;
        _cleanup_free_ char *said = NULL;
        Bot *b = c->bot;

        if (botapi_webhook_info(reply, &c->findings.webhook) >= 0) {
                b->pending_updates = c->findings.webhook.pending_update_count;
                b->pending_updates_usec = clock_realtime_usec();
                check_webhook(b, c->target, &c->findings.webhook.settings, &c->list);
        } else {
                said = botapi_reply_describe(reply);
                check_list_add(&c->list, "webhook", b->name, CHECK_FAIL,
                               "The %s server did not tell the bot's webhook and pending updates in a way that can be "
                               "understood (%s). Try again; if that lasts, look after it and what stands in front of "
                               "it.",
                               seat_to_string(b->record.seat), said ?: "no memory");
        }
        c->api_call = botapi_call_free(c->api_call);
        look_done(c);
}

static void on_get_me(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Check *c = userdata;
        Bot *b = c->bot;
        LogInOutcome outcome = botapi_login_outcome(reply, bot_token_id(b->token));
        _cleanup_free_ char *said = botapi_reply_describe(reply);
        int r;

        c->api_call = botapi_call_free(c->api_call);
        if (outcome == LOGIN_OUTCOME_SILENT) {
                check_list_add(&c->list, "token", b->name, CHECK_FAIL,
                               "The %s server could not be asked about the bot (%s): look after the network and what "
                               "answers there, then try again.",
                               seat_to_string(b->record.seat), said ?: "no memory");
                look_done(c);
                return;
        }
        if (outcome != LOGIN_OUTCOME_OK) {
                bool odd = outcome == LOGIN_OUTCOME_ODD || outcome == LOGIN_OUTCOME_OTHER_BOT;

                check_list_add(&c->list, "token", b->name, CHECK_FAIL, "The %s server %s: %s. %s",
                               seat_to_string(b->record.seat),
                               odd ? "gives no good answer about the bot" : "does not accept the bot's token",
                               said ?: "no memory", login_outcome_advice(outcome));
                look_done(c);
                return;
        }
        check_list_add(&c->list, "token", b->name, CHECK_PASS, "The %s server accepts the token of bot %" PRIi64 ".",
                       seat_to_string(b->record.seat), bot_token_id(b->token));
        r = bot_call(b, b->record.seat, BOTAPI_GET_WEBHOOK_INFO, NULL, 0, NULL, on_webhook_info, c, &c->api_call);
        if (r < 0) {
                check_list_add(&c->list, "webhook", b->name, CHECK_FAIL,
                               "Failed to ask for the webhook: %s. Try again.", strerror(-r));
                look_done(c);
        }
}

static bool token_is_anothers(Check *c)
{
        Manager *m = c->bot->manager;
        int64_t id = bot_token_id(c->bot->token);

        /* A token that is not the recorded bot's is none, from the start of the process on. */
        assert(c->bot->record.bot_id == 0 || c->bot->record.bot_id == id);
        for (size_t i = 0; i < m->n_bots; i++)
                if (m->bots[i] != c->bot && m->bots[i]->token && bot_token_id(m->bots[i]->token) == id) {
                        check_list_add(&c->list, "token", c->bot->name, CHECK_FAIL,
                                       "%s and %s have tokens of the same bot %" PRIi64
                                       ": one bot has one name. Remove "
                                       "the configuration of one of them.",
                                       c->bot->name, m->bots[i]->name, id);
                        return true;
                }
        return false;
}

static void look_at_token(Check *c)
{
        Bot *b = c->bot;
        int r;

        if (!b->token) {
                check_list_add(&c->list, "token", b->name, CHECK_FAIL, "There is no usable token for %s. %s", b->name,
                               b->error ?: "");
                return;
        }
        if (token_is_anothers(c))
                return;
        r = bot_call(b, b->record.seat, BOTAPI_GET_ME, NULL, 0, NULL, on_get_me, c, &c->api_call);
        if (r < 0)
                check_list_add(&c->list, "token", b->name, CHECK_FAIL, "Failed to send getMe: %s. Try again.",
                               strerror(-r));
        else
                c->pending++;
}

/* ---- the workers ---- */

static void on_reset_failed(UnitCall *call, int r, const char *error, void *userdata)
{
        UnitLook *look = userdata;
        Check *c = look->check;

        if (r >= 0)
                check_list_add(&c->list, "rights", look->unit, CHECK_PASS, "tgswitchd may start and stop %s.",
                               look->unit);
        else
                check_list_add(&c->list, "rights", look->unit, CHECK_FAIL, "tgswitchd may not control %s: %s.",
                               look->unit, error ?: strerror(-r));
        look->call = unit_call_free(look->call);
        look_done(c);
}

/* Whether the unit may be stopped and started. One that has failed is neither, and must stay as it is. */
static void look_at_rights(UnitLook *look, const UnitInfo *info)
{
        Check *c = look->check;
        bool ask = info && info->load_state == UNIT_LOAD_LOADED && info->active_state != UNIT_FAILED;
        int r;

        look->call = unit_call_free(look->call);
        if (ask) {
                r = unit_client_reset_failed(c->bot->manager->units, look->unit, on_reset_failed, look, &look->call);
                if (r >= 0)
                        return;
                check_list_add(&c->list, "rights", look->unit, CHECK_FAIL,
                               "Failed to ask systemd about %s: %s. Try again.", look->unit, strerror(-r));
        }
        look_done(c);
}

/* What starts a worker is stopped before it, and started after it. */
static void on_trigger(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        UnitLook *look = userdata;

        if (r < 0)
                check_list_add(&look->check->list, "rights", look->unit, CHECK_FAIL,
                               "Failed to ask systemd about %s: %s. Try again.", look->unit, strerror(-r));
        look_at_rights(look, info);
}

/* Of two globs only the units tell what they have in common. Settings that only count since there are no better ones
 * claim nothing, as at the gate. */
static const char *other_bot_of(const Bot *b, const char *unit)
{
        const Bot *other = workers_find(&b->manager->workers, unit, b, true);

        return other ? other->name : NULL;
}

static CheckUnitContext unit_context(const Bot *b, const char *unit)
{
        return (CheckUnitContext){
                .bot = b->name,
                .server_unit = b->manager->config->server_unit,
                .socket_path = SOCKET_PATH,
                .spool_to = delivery_applies(b) ? NULL : b->config->spool_to,
                .environment_directory = ENVIRONMENT_DIRECTORY,
                .other_bot = other_bot_of(b, unit),
                .workers = b->config->workers,
                .stop_timeout_usec = b->config->stop_timeout_usec,
                .move = b->config->move,
        };
}

bool check_worker_passes(const Bot *b, const UnitInfo *info)
{
        CheckUnitContext context = unit_context(b, info->name);
        CheckList list = {};
        bool passes;

        check_unit(&context, info, &list);
        passes = check_list_passed(&list);
        check_list_done(&list);
        return passes;
}

static void on_worker(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        UnitLook *look = userdata;
        Check *c = look->check;
        CheckUnitContext context = unit_context(c->bot, look->unit);

        if (r < 0)
                check_list_add(&c->list, "worker", look->unit, CHECK_FAIL,
                               "Failed to ask systemd about %s: %s. Try again.", look->unit, strerror(-r));
        else
                check_unit(&context, info, &c->list);
        if (r >= 0)
                check_reload(&context, info, &c->list);
        if (r >= 0 && c->files)
                files_look_judge(c->files, info, &c->list);
        for (char **t = r >= 0 ? info->triggered_by : NULL; t && *t; t++)
                if (strv_extend_unique(&c->triggers, *t) < 0)
                        abort();
        look_at_rights(look, info);
}

static void look_at_units(Check *c, UnitLooks *looks, char *const *units, unit_info_handler_t handler)
{
        size_t n = strv_length(units);
        int r;

        looks->items = calloc(n + 1, sizeof(UnitLook));
        if (!looks->items)
                abort();
        looks->n = n;
        for (size_t i = 0; i < n; i++) {
                UnitLook *look = &looks->items[i];

                look->check = c;
                look->unit = strdup(units[i]);
                if (!look->unit)
                        abort();
                r = unit_client_get(c->bot->manager->units, look->unit, handler, look, &look->call);
                if (r < 0)
                        check_list_add(&c->list, "worker", look->unit, CHECK_FAIL,
                                       "Failed to ask systemd about %s: %s. Try again.", look->unit, strerror(-r));
                else
                        c->pending++;
        }
}

/* Those that are named, and `loaded` that match. Takes the strings. */
static int look_at_all(Check *c, char **loaded)
{
        const BotConfig *config = c->bot->config;
        _cleanup_strv_ char **units = loaded;
        int r = 0;

        STRV_FOREACH(worker, config->workers)
                if (r >= 0 && !unit_name_is_glob(*worker))
                        r = strv_extend_unique(&units, *worker);
        if (r >= 0 && config->spool_to && !unit_name_is_glob(config->spool_to))
                r = strv_extend_unique(&units, config->spool_to);
        if (r < 0)
                return r;
        if (units)
                look_at_units(c, &c->workers, units, on_worker);
        else
                check_list_add(&c->list, "worker", c->bot->name, CHECK_PASS,
                               "No unit that matches Worker= is loaded now.");
        return 0;
}

static void fail_to_list(Check *c, int r)
{
        check_list_add(&c->list, "worker", c->bot->name, CHECK_FAIL, "Failed to list the workers: %s. Try again.",
                       strerror(-r));
}

static void on_workers_listed(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        _cleanup_strv_ char **loaded = NULL;
        Check *c = userdata;

        for (size_t i = 0; r >= 0 && i < n_rows; i++)
                if (rows[i].load_state != UNIT_LOAD_NOT_FOUND || unit_active_state_may_run(rows[i].active_state))
                        r = strv_extend_unique(&loaded, rows[i].name);
        c->list_call = unit_call_free(c->list_call);
        if (r >= 0)
                r = look_at_all(c, TAKE_PTR(loaded));
        if (r < 0)
                fail_to_list(c, r);
        look_done(c);
}

static void look_at_workers(Check *c)
{
        Bot *b = c->bot;
        int r;

        if (strv_length(b->config->workers) == 0) {
                check_list_add(&c->list, "worker", b->name, CHECK_FAIL,
                               "No worker is configured: name the units that run the bot's code with Worker= in "
                               "bots.d/%s.conf.",
                               b->name);
                return;
        }
        if (unit_names_have_glob(b->config->workers)) {
                r = unit_client_list(b->manager->units, b->config->workers, on_workers_listed, c, &c->list_call);
                if (r >= 0)
                        c->pending++;
        } else {
                r = look_at_all(c, NULL);
        }
        if (r < 0)
                fail_to_list(c, r);
}

/* ---- the local server ---- */

static void on_files(FilesLook *look, void *userdata)
{
        Check *c = userdata;

        look_at_workers(c);
        look_done(c);
}

static void on_server(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        Check *c = userdata;
        const char *unit = c->bot->manager->config->server_unit;

        c->findings.shutting_down = answer == SERVER_SHUTDOWN;
        if (answer == SERVER_READY)
                check_list_add(&c->list, "server", unit, CHECK_PASS, "%s answers and can log bots in.", unit);
        else
                check_list_add(&c->list, "server", unit, answer == SERVER_NOT_RUNNING ? CHECK_SKIPPED : CHECK_FAIL,
                               "%s", why);
        c->server_call = server_call_free(c->server_call);
        look_done(c);
}

/* On the way to the local server: the last of all, since it is started. */
static void look_at_server(Check *c)
{
        unsigned flags = c->may_start_server ? SERVER_START | SERVER_LOGIN_PROBE : SERVER_LOGIN_PROBE;
        const char *unit = c->bot->manager->config->server_unit;
        int r;

        /* Not for nothing: what requires the unit would be stopped with it when it is stopped again. */
        if (c->may_start_server && !check_list_passed(&c->list)) {
                check_list_add(&c->list, "server", unit, CHECK_SKIPPED, "%s is not looked at before all else is well.",
                               unit);
                return;
        }
        r = server_call(c->bot->manager, flags, on_server, c, &c->server_call);
        if (r < 0)
                check_list_add(&c->list, "server", unit, CHECK_FAIL, "Failed to look at %s: %s. Try again.", unit,
                               strerror(-r));
        else
                c->pending++;
}

/* ---- the way to the cloud ---- */

static void on_cloud(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Check *c = userdata;
        const char *root = c->bot->manager->config->cloud_root;
        _cleanup_free_ char *said = botapi_reply_describe(reply);

        if (botapi_server_answers(reply))
                check_list_add(&c->list, "server", root, CHECK_PASS, "The cloud server can be reached.");
        else if (reply->transport == BOTAPI_REPLIED)
                check_list_add(&c->list, "server", root, CHECK_FAIL,
                               "What answers at CloudServer=%s is not the Bot API just now (%s): try again when it is, "
                               "and look after what stands between here and there if that lasts.",
                               root, said ?: "no memory");
        else
                check_list_add(&c->list, "server", root, CHECK_FAIL,
                               "The cloud server cannot be reached at CloudServer=%s (%s): look after the network, then "
                               "try again.",
                               root, said ?: "no memory");
        c->probe_call = botapi_call_free(c->probe_call);
        look_done(c);
}

static void look_at_cloud(Check *c)
{
        int r;

        r = probe_cloud(c->bot->manager, on_cloud, c, &c->probe_call);
        if (r < 0)
                check_list_add(&c->list, "server", c->bot->manager->config->cloud_root, CHECK_FAIL,
                               "Failed to ask the cloud server: %s. Try again.", strerror(-r));
        else
                c->pending++;
}

static void on_source(ServerAnswer answer, bool started, const char *why, void *userdata)
{
        Check *c = userdata;
        const char *unit = c->bot->manager->config->server_unit;

        if (answer == SERVER_READY) {
                check_list_add(&c->list, "server", unit, CHECK_PASS, "%s answers.", unit);
                check_old_spool(c->bot, &c->list);
                look_at_token(c);
        } else if (answer == SERVER_UNKNOWN) {
                check_list_add(&c->list, "server", unit, CHECK_FAIL, "Whether %s is well could not be found out. %s",
                               unit, why);
        } else {
                c->findings.shutting_down = answer == SERVER_SHUTDOWN;
                c->findings.source_dead = true;
                check_list_add(&c->list, "server", unit, CHECK_SKIPPED,
                               "The bot is left there without a logOut, which is made up for when the server answers "
                               "again; updates that are queued there have to wait for that. %s",
                               why);
                /* The settings on record are all that is known of the webhook. */
                check_webhook(c->bot, c->target, &c->bot->record.webhook, &c->list);
        }
        c->server_call = server_call_free(c->server_call);
        look_done(c);
}

/* The server that the bot is to leave comes first: without it there is nobody to ask about the bot. */
static void look_at_source(Check *c)
{
        const char *unit = c->bot->manager->config->server_unit;
        int r;

        r = server_call(c->bot->manager, c->may_start_server ? SERVER_START : 0, on_source, c, &c->server_call);
        if (r < 0)
                check_list_add(&c->list, "server", unit, CHECK_FAIL, "Failed to look at %s: %s. Try again.", unit,
                               strerror(-r));
        else
                c->pending++;
}

int check_start(Bot *b, Seat target, bool may_start_server, check_handler_t handler, void *userdata, Check **ret)
{
        Check *c;

        assert(b->config);

        c = calloc(1, sizeof(Check));
        if (!c)
                return -ENOMEM;
        c->bot = b;
        c->target = target;
        c->may_start_server = may_start_server;
        c->handler = handler;
        c->userdata = userdata;

        c->pending = 1; /* this function */
        c->triggers_are_next = true;
        check_window(b, target, &c->list);
        if (b->record.seat == target || target == SEAT_LOCAL) {
                c->server_is_next = target == SEAT_LOCAL;
                check_old_spool(c->bot, &c->list);
                look_at_token(c);
        } else {
                look_at_source(c);
                look_at_cloud(c);
        }
        /* Who may read what the local server stores is to be known before the workers are looked at. */
        if (target == SEAT_LOCAL && files_look_start(b->manager, &c->list, on_files, c, &c->files) >= 0)
                c->pending++;
        else
                look_at_workers(c);
        check_disk(b->manager, &c->list);
        look_done(c);
        *ret = c;
        return 0;
}
