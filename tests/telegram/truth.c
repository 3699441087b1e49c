/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "truth.h"

/* An update on its way to a server that hasn't said yet that it has it. */
typedef struct Letter {
        struct Letter *next;
        int64_t uid;
        char *body;
} Letter;

typedef struct Session {
        bool active;
        bool preset;    /* was there before the simulation began: the server may not know of it */
        bool witnessed; /* its login is in the ledger, so that everybody can know its age */
        bool attached;
        int64_t since_usec; /* Telegram's clock; negative: older than this boot */
        Letter *letters, **last_letter;
} Session;

typedef struct Bot {
        struct Bot *next;
        int64_t id;
        char *token, *username;
        bool revoked;
        int64_t n_messages;
        Session sessions[_ROLE_MAX];
} Bot;

/* A login or logout that takes its time. */
typedef struct Errand {
        struct Errand *next;
        Truth *truth;
        Role role;
        uint64_t attachment;
        bool logout, again, bad_api;
        char *token;
        sd_event_source *timer;
} Errand;

typedef struct Injection {
        struct Injection *next;
        Truth *truth;
        int64_t id;
        InjectionOrder order;
        int64_t n_done;
        uint64_t started_usec;
        sd_event_source *timer;
} Injection;

struct Truth {
        sd_event *event;
        Ledger *ledger;
        const Settings *settings;
        TruthServer servers[_ROLE_MAX];
        uint64_t attachments[_ROLE_MAX]; /* odd: attached */
        Bot *bots;
        Errand *errands;
        Injection *injections;
        int64_t last_injection, last_uid;
};

int truth_new(Truth **ret, sd_event *event, Ledger *ledger, const Settings *settings)
{
        Truth *truth = calloc(1, sizeof(*truth));

        if (!truth)
                return -ENOMEM;
        truth->event = sd_event_ref(event);
        truth->ledger = ledger;
        truth->settings = settings;
        /* Grows from run to run: a local server knows by the uid what it has already got. */
        truth->last_uid = (time(NULL) - 1700000000) * 1000;
        *ret = truth;
        return 0;
}

static void session_drop_letters(Session *session)
{
        while (session->letters) {
                Letter *letter = session->letters;

                session->letters = letter->next;
                free(letter->body);
                free(letter);
        }
        session->last_letter = &session->letters;
}

static void errand_free(Errand *errand)
{
        for (Errand **slot = &errand->truth->errands; *slot; slot = &(*slot)->next)
                if (*slot == errand) {
                        *slot = errand->next;
                        break;
                }
        sd_event_source_disable_unref(errand->timer);
        free(errand->token);
        free(errand);
}

static void injection_free(Injection *injection)
{
        for (Injection **slot = &injection->truth->injections; *slot; slot = &(*slot)->next)
                if (*slot == injection) {
                        *slot = injection->next;
                        break;
                }
        sd_event_source_disable_unref(injection->timer);
        free(injection);
}

Truth *truth_free(Truth *truth)
{
        if (!truth)
                return NULL;

        while (truth->errands)
                errand_free(truth->errands);
        while (truth->injections)
                injection_free(truth->injections);
        while (truth->bots) {
                Bot *bot = truth->bots;

                truth->bots = bot->next;
                for (Role role = 0; role < _ROLE_MAX; role++)
                        session_drop_letters(bot->sessions + role);
                free(bot->token);
                free(bot->username);
                free(bot);
        }
        sd_event_unref(truth->event);
        free(truth);
        return NULL;
}

static bool attached(const Truth *truth, Role role)
{
        return truth->attachments[role] % 2 == 1;
}

void truth_attach(Truth *truth, Role role, const TruthServer *server)
{
        assert(!attached(truth, role));
        truth->servers[role] = *server;
        truth->attachments[role]++;
}

void truth_detach(Truth *truth, Role role)
{
        assert(attached(truth, role));
        truth->attachments[role]++;
        for (Bot *bot = truth->bots; bot; bot = bot->next)
                bot->sessions[role].attached = false;
}

static Bot *bot_by_token(const Truth *truth, const char *token)
{
        for (Bot *bot = truth->bots; bot; bot = bot->next)
                if (streq(bot->token, token))
                        return bot;
        return NULL;
}

static Bot *bot_by_id(const Truth *truth, int64_t id)
{
        for (Bot *bot = truth->bots; bot; bot = bot->next)
                if (bot->id == id && !bot->revoked)
                        return bot;
        return NULL;
}

const char *truth_bot_token(const Truth *truth, int64_t id)
{
        const Bot *bot = bot_by_id(truth, id);

        return bot ? bot->token : NULL;
}

int64_t truth_add_bot(Truth *truth, const char *token, const char *username, Role session, int64_t age_sec)
{
        const char *colon = token ? strchr(token, ':') : NULL;
        _cleanup_free_ char *number = NULL;
        int64_t id;
        Bot *bot;

        number = colon ? strndup(token, (size_t) (colon - token)) : NULL;
        if (!parse_int(number, 1, INT64_MAX, &id))
                return -EINVAL;
        if (bot_by_id(truth, id))
                return -EEXIST;

        bot = calloc(1, sizeof(*bot));
        assert(bot);
        bot->id = id;
        bot->token = strdup(token);
        assert(bot->token);
        if (username)
                bot->username = strdup(username);
        else if (asprintf(&bot->username, "sim%" PRIi64 "_bot", id) < 0)
                abort();
        assert(bot->username);
        for (Role role = 0; role < _ROLE_MAX; role++)
                session_drop_letters(bot->sessions + role);
        if (session >= 0) {
                bot->sessions[session].active = bot->sessions[session].preset = true;
                bot->sessions[session].since_usec =
                                (int64_t) settings_now_usec(truth->settings) - age_sec * (int64_t) USEC_PER_SEC;
        }
        bot->next = truth->bots;
        truth->bots = bot;
        return id;
}

bool truth_revoke_bot(Truth *truth, int64_t id)
{
        Bot *bot = bot_by_id(truth, id);

        if (!bot)
                return false;

        bot->revoked = true;
        for (Role role = 0; role < _ROLE_MAX; role++) {
                Session *session = bot->sessions + role;

                if (!session->active)
                        continue;
                session->active = false;
                session_drop_letters(session);
                ledger_add(truth->ledger, ledger_entry_for("session-lost", role_to_string(role), id));
                if (attached(truth, role))
                        truth->servers[role].session_lost(truth->servers[role].userdata, bot->token);
        }
        return true;
}

static void record_lost(Truth *truth, int64_t bot, int64_t uid)
{
        json_object *entry = ledger_entry_for("update-lost", NULL, bot);

        json_set_int(entry, "uid", uid);
        ledger_add(truth->ledger, entry);
}

/* A new session instead of another one of the same server: what waited for the old one is lost with it. */
static void session_begin(Truth *truth, Bot *bot, Role role)
{
        Session *session = bot->sessions + role;

        for (Letter *letter = session->letters; letter; letter = letter->next)
                record_lost(truth, bot->id, letter->uid);
        session_drop_letters(session);
        session->active = session->witnessed = true;
        session->since_usec = (int64_t) settings_now_usec(truth->settings);
        ledger_add(truth->ledger, ledger_entry_for("login", role_to_string(role), bot->id));
}

static void session_attach(Truth *truth, Bot *bot, Role role)
{
        Session *session = bot->sessions + role;
        const TruthServer *server = truth->servers + role;

        session->attached = true;
        /* A letter is answered by truth_acknowledge() perhaps at once, which frees it. */
        for (Letter *letter = session->letters, *next; letter; letter = next) {
                next = letter->next;
                server->update(server->userdata, bot->token, letter->uid, letter->body);
        }
}

static void login_finish(Truth *truth, Errand *errand)
{
        const TruthServer *server = truth->servers + errand->role;
        Bot *bot = bot_by_token(truth, errand->token);
        Session *session = bot ? bot->sessions + errand->role : NULL;
        bool here = truth->attachments[errand->role] == errand->attachment;
        LoginResult result = LOGIN_OK;

        if (errand->bad_api)
                result = LOGIN_BAD_API;
        else if (!errand->again && truth->settings->login_flood_sec > 0)
                result = LOGIN_FLOOD;
        else if (!bot || bot->revoked || (errand->again && !session->active))
                result = LOGIN_UNAUTHORIZED;

        if (result != LOGIN_OK) {
                json_object *entry = ledger_entry_for("login-failed", role_to_string(errand->role),
                                                      strtoll(errand->token, NULL, 10));

                json_set_text(entry, "description", login_result_to_string(result));
                ledger_add(truth->ledger, entry);
        } else if (!errand->again && !(session->active && session->preset)) {
                session_begin(truth, bot, errand->role);
        }

        if (result == LOGIN_OK)
                session->preset = false;
        if (!here)
                return;
        server->login_done(server->userdata, errand->token, result, bot ? bot->username : NULL,
                           truth->settings->login_flood_sec);
        if (result == LOGIN_OK)
                session_attach(truth, bot, errand->role);
}

static void logout_finish(Truth *truth, Errand *errand)
{
        const TruthServer *server = truth->servers + errand->role;
        Bot *bot = bot_by_token(truth, errand->token);
        Session *session = bot ? bot->sessions + errand->role : NULL;
        int64_t now = (int64_t) settings_now_usec(truth->settings);
        bool young = false, known = false;
        json_object *entry;

        if (session && session->active) {
                young = now - session->since_usec <
                        (int64_t) settings_scaled_usec(truth->settings, (double) truth->settings->young_sec);
                known = young && session->witnessed;
                session->active = session->attached = session->witnessed = false;
                session_drop_letters(session);

                entry = ledger_entry_for("logout-applied", role_to_string(errand->role), bot->id);
                json_set_bool(entry, "young", young);
                json_set_int(entry, "lock_until",
                             now + (int64_t) settings_lock_usec(truth->settings, errand->role, young));
                json_set_int(entry, "window_until",
                             now + (int64_t) settings_window_usec(truth->settings, errand->role, known));
                ledger_add(truth->ledger, entry);
        }
        if (truth->attachments[errand->role] == errand->attachment)
                server->logout_done(server->userdata, errand->token, young);
}

static int on_errand_done(sd_event_source *source, uint64_t usec, void *userdata)
{
        Errand *errand = userdata;

        if (errand->logout)
                logout_finish(errand->truth, errand);
        else
                login_finish(errand->truth, errand);
        errand_free(errand);
        return 0;
}

/* Always by way of the event loop, so that no server is called from inside its own request. */
static Errand *errand_new(Truth *truth, Role role, const char *token, int64_t delay_msec)
{
        Errand *errand = calloc(1, sizeof(*errand));

        assert(errand);
        errand->truth = truth;
        errand->role = role;
        errand->attachment = truth->attachments[role];
        errand->token = strdup(token);
        assert(errand->token);
        errand->next = truth->errands;
        truth->errands = errand;
        if (sd_event_add_time_relative(truth->event, &errand->timer, CLOCK_MONOTONIC,
                                       (uint64_t) delay_msec * USEC_PER_MSEC, 1, on_errand_done, errand) < 0)
                abort();
        return errand;
}

static bool api_wrong(const Settings *settings, const char *api_id, const char *api_hash)
{
        return !isempty(settings->api_id) && api_id &&
               (!streq(settings->api_id, api_id) || !streq(settings->api_hash, api_hash ?: ""));
}

void truth_login(Truth *truth, Role role, const char *token, bool again, const char *api_id, const char *api_hash)
{
        Bot *bot = bot_by_token(truth, token);
        bool fast = again || (bot && bot->sessions[role].preset);
        Errand *errand = errand_new(truth, role, token, fast ? 0 : truth->settings->login_msec);

        errand->again = again;
        errand->bad_api = api_wrong(truth->settings, api_id, api_hash);
        if (!fast)
                ledger_add(truth->ledger,
                           ledger_entry_for("login-begin", role_to_string(role), strtoll(token, NULL, 10)));
}

void truth_logout(Truth *truth, Role role, const char *token)
{
        errand_new(truth, role, token, truth->settings->logout_msec)->logout = true;
}

void truth_acknowledge(Truth *truth, Role role, int64_t id, int64_t uid)
{
        Bot *bot = bot_by_id(truth, id);
        Session *session = bot ? bot->sessions + role : NULL;

        for (Letter **slot = session ? &session->letters : NULL; slot && *slot; slot = &(*slot)->next)
                if ((*slot)->uid == uid) {
                        Letter *letter = *slot;

                        *slot = letter->next;
                        if (!letter->next)
                                session->last_letter = slot;
                        free(letter->body);
                        free(letter);
                        return;
                }
}

static void session_send(Truth *truth, Bot *bot, Role role, int64_t uid, const char *body)
{
        Session *session = bot->sessions + role;
        const TruthServer *server = truth->servers + role;
        Letter *letter = calloc(1, sizeof(*letter));

        assert(letter);
        letter->uid = uid;
        letter->body = strdup(body);
        assert(letter->body);
        *session->last_letter = letter;
        session->last_letter = &letter->next;
        if (session->attached)
                server->update(server->userdata, bot->token, uid, body);
}

/* "uid=N", then dots up to the size. */
static char *update_body(Bot *bot, int64_t uid, int64_t size)
{
        char *body = NULL;
        int64_t chat = 1000 + uid % 10;
        int padding = (int) MAX(size - (int64_t) strlen("uid=") - 12, INT64_C(0));
        _cleanup_free_ char *dots = malloc((size_t) padding + 1);

        assert(dots);
        memset(dots, '.', (size_t) padding);
        dots[padding] = '\0';
        if (asprintf(&body,
                     "\"message\":{\"message_id\":%" PRIi64 ",\"from\":{\"id\":%" PRIi64
                     ",\"is_bot\":false,\"first_name\":\"User\"},\"chat\":{\"id\":%" PRIi64
                     ",\"first_name\":\"User\",\"type\":\"private\"},\"date\":%lld,\"text\":\"uid=%" PRIi64 "%s%s\"}",
                     ++bot->n_messages, chat, chat, (long long) time(NULL), uid, padding > 0 ? " " : "", dots) < 0)
                abort();
        return body;
}

static void truth_send_update(Truth *truth, Bot *bot, int64_t size)
{
        int64_t uid = ++truth->last_uid;
        _cleanup_free_ char *body = update_body(bot, uid, size);
        json_object *entry = ledger_entry_for("update-injected", NULL, bot->id), *to = json_object_new_array();
        bool sent = false;

        json_set_int(entry, "uid", uid);
        for (Role role = 0; role < _ROLE_MAX; role++)
                if (bot->sessions[role].active)
                        json_object_array_add(to, json_object_new_string(role_to_string(role)));
        json_object_object_add(entry, "to", to);
        ledger_add(truth->ledger, entry);
        for (Role role = 0; role < _ROLE_MAX; role++)
                if (bot->sessions[role].active) {
                        session_send(truth, bot, role, uid, body);
                        sent = true;
                }
        if (!sent)
                record_lost(truth, bot->id, uid);
}

static void injection_send(Injection *injection)
{
        Truth *truth = injection->truth;

        for (Bot *bot = truth->bots; bot; bot = bot->next)
                if (!bot->revoked && (injection->order.bot == 0 || injection->order.bot == bot->id))
                        truth_send_update(truth, bot, injection->order.size);
        injection->n_done++;
}

/* Update k is due at k / rate after the beginning, whatever the one before took. */
static int on_injection(sd_event_source *source, uint64_t usec, void *userdata)
{
        Injection *injection = userdata;
        const InjectionOrder *order = &injection->order;
        uint64_t now = clock_now_usec(), due;

        do {
                injection_send(injection);
                if (order->count > 0 && injection->n_done >= order->count) {
                        injection_free(injection);
                        return 0;
                }
                due = injection->started_usec;
                if (order->rate > 0)
                        due += (uint64_t) ((double) injection->n_done * (double) USEC_PER_SEC / order->rate);
        } while (due <= now);

        (void) sd_event_source_set_time(injection->timer, due);
        (void) sd_event_source_set_enabled(injection->timer, SD_EVENT_ONESHOT);
        return 0;
}

int64_t truth_inject(Truth *truth, const InjectionOrder *order)
{
        Injection *injection;

        if (order->bot > 0 && !bot_by_id(truth, order->bot))
                return -ENOENT;

        injection = calloc(1, sizeof(*injection));
        assert(injection);
        injection->truth = truth;
        injection->id = ++truth->last_injection;
        injection->order = *order;
        injection->started_usec = clock_now_usec();
        injection->next = truth->injections;
        truth->injections = injection;
        if (sd_event_add_time_relative(truth->event, &injection->timer, CLOCK_MONOTONIC, 0, 1, on_injection,
                                       injection) < 0)
                abort();
        return injection->id;
}

void truth_inject_stop(Truth *truth, int64_t bot)
{
        for (Injection *injection = truth->injections, *next; injection; injection = next) {
                next = injection->next;
                if (bot == 0 || injection->order.bot == bot)
                        injection_free(injection);
        }
}

size_t truth_injections(const Truth *truth)
{
        size_t n = 0;

        for (const Injection *injection = truth->injections; injection; injection = injection->next)
                n++;
        return n;
}

json_object *truth_state(const Truth *truth)
{
        json_object *array = json_object_new_array();

        for (const Bot *bot = truth->bots; bot; bot = bot->next) {
                json_object *object = json_object_new_object(), *sessions = json_object_new_object();

                json_set_int(object, "bot", bot->id);
                json_set_text(object, "username", bot->username);
                json_set_bool(object, "revoked", bot->revoked);
                for (Role role = 0; role < _ROLE_MAX; role++)
                        json_set_bool(sessions, role_to_string(role), bot->sessions[role].active);
                json_object_object_add(object, "session", sessions);
                json_object_array_add(array, object);
        }
        return array;
}
