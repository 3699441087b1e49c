/* SPDX-License-Identifier: MIT */

#include <stdio.h>

#include "base/utf8.h"
#include "core/bot-token.h"
#include "core/botapi-reply.h"

#define DESCRIPTION_SIZE_MAX    256
#define RETRY_AFTER_SEC_MAX     3600
#define WEBHOOK_CONNECTIONS_MAX 100000

/* Far above what the server gives, so that a record always has room for the settings: a URL that it was sent fits into
 * a request, and of kinds of updates there are some thirty. */
#define SETTING_SIZE_MAX     8192
#define ALLOWED_UPDATES_MAX  256
#define UPDATE_KIND_SIZE_MAX 64

/* What JSON carries without loss between any two implementations. */
#define JSON_INTEGER_MAX ((INT64_C(1) << 53) - 1)

/* How long one character is that people may be shown; 0 where no such character begins here. */
static size_t printable_length(const char *p, size_t n)
{
        size_t length = utf8_sequence_length(p, n);
        uint8_t first = (uint8_t) p[0];

        if (length == 1 && (first < 0x20 || first == 0x7f))
                return 0;
        if (length == 2 && first == 0xc2 && (uint8_t) p[1] < 0xa0) /* the C1 controls, U+0080 to U+009F */
                return 0;
        return length;
}

/* How many bytes of the text are shown as one, and in *ret_shown what stands for them, NULL where they stand for
 * themselves. */
static size_t next_piece(const char *text, size_t at, size_t size, const char **ret_shown)
{
        size_t length = bot_token_secret_length(text, at);

        *ret_shown = "{secret}";
        if (length > 0)
                return length;
        length = printable_length(text + at, size - at);
        *ret_shown = length > 0 ? NULL : "?";
        return MAX(length, 1u);
}

char *botapi_clean_text(const char *text, size_t size_max)
{
        size_t size = strlen(text), length = 0;
        char *out = malloc(MIN(size, size_max) + 1);

        if (!out)
                return NULL;
        for (size_t i = 0, n; i < size; i += n) {
                const char *shown;

                n = next_piece(text, i, size, &shown);
                size_t shown_length = shown ? strlen(shown) : n;
                if (length + shown_length > size_max)
                        break;
                memcpy(out + length, shown ?: text + i, shown_length);
                length += shown_length;
        }
        out[length] = '\0';
        return out;
}

/* NULL where the member is absent, null, or of another type. Borrowed. */
static json_object *member(json_object *object, const char *key, json_type type)
{
        json_object *value;

        return json_object_object_get_ex(object, key, &value) && json_object_is_type(value, type) ? value : NULL;
}

/* Absent, null and wrong types are all false: no number. json-c saturates what does not fit, so a range that
 * ends short of INT64_MIN and INT64_MAX refuses that as well. */
static bool member_int(json_object *object, const char *key, int64_t min, int64_t max, int64_t *ret)
{
        json_object *value = member(object, key, json_type_int);

        if (!value)
                return false;

        int64_t n = json_object_get_int64(value);
        if (n < min || n > max)
                return false;
        *ret = n;
        return true;
}

static bool has_member(json_object *object, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(object, key, &value) && value;
}

/* Returns NULL in *ret for what is not exactly one JSON object. */
static int parse_object(const char *body, size_t size, json_object **ret)
{
        int r = json_text_parse(body, size, ret);

        if (*ret && !json_object_is_type(*ret, json_type_object)) {
                json_object_put(*ret);
                *ret = NULL;
        }
        return r;
}

static void take_retry_after(BotApiReply *reply, json_object *envelope, int64_t header)
{
        json_object *parameters = envelope ? member(envelope, "parameters", json_type_object) : NULL;
        int64_t sec;

        if (!parameters || !member_int(parameters, "retry_after", 0, INT64_MAX, &sec))
                sec = header;
        if (sec <= 0 && reply->envelope && reply->error_code == 429)
                sec = 1;
        reply->retry_after_usec = (usec_t) MIN(MAX(sec, 0), RETRY_AFTER_SEC_MAX) * USEC_PER_SEC;
}

int botapi_reply_parse(int http_status, const char *body, size_t size, int64_t retry_after_header, BotApiReply *ret)
{
        BotApiReply reply = { .transport = BOTAPI_REPLIED, .http_status = http_status };
        json_object *envelope, *ok;
        const char *description = "";
        int64_t error_code;

        int r = parse_object(body, size, &envelope);
        if (r < 0)
                return r;

        ok = envelope ? member(envelope, "ok", json_type_boolean) : NULL;
        if (ok) {
                reply.envelope = true;
                reply.ok = json_object_get_boolean(ok);
                if (member_int(envelope, "error_code", 100, 999, &error_code))
                        reply.error_code = (int) error_code;
                if (member(envelope, "description", json_type_string))
                        description = json_object_get_string(member(envelope, "description", json_type_string));
                if (json_object_object_get_ex(envelope, "result", &reply.result))
                        json_object_get(reply.result);
        }
        take_retry_after(&reply, ok ? envelope : NULL, retry_after_header);

        reply.description = botapi_clean_text(description, DESCRIPTION_SIZE_MAX);
        json_object_put(envelope);
        if (!reply.description) {
                botapi_reply_done(&reply);
                return -ENOMEM;
        }

        *ret = reply;
        return 0;
}

void botapi_reply_done(BotApiReply *reply)
{
        free(reply->transport_error);
        free(reply->description);
        json_object_put(reply->result);
        *reply = (BotApiReply){};
}

char *botapi_reply_describe(const BotApiReply *reply)
{
        char *s = NULL;
        int n;

        if (reply->transport == BOTAPI_NOT_SENT)
                n = asprintf(&s, "not sent: %s", reply->transport_error ?: "out of memory");
        else if (reply->transport == BOTAPI_LOST)
                n = asprintf(&s, "no reply: %s", reply->transport_error ?: "out of memory");
        else if (!reply->envelope)
                n = asprintf(&s, "HTTP %d and no Bot API reply", reply->http_status);
        else if (reply->ok)
                n = asprintf(&s, "HTTP %d with \"ok\"", reply->http_status);
        else if (reply->error_code != reply->http_status)
                n = asprintf(&s, "HTTP %d with error code %d %s", reply->http_status, reply->error_code,
                             reply->description);
        else
                n = asprintf(&s, "%d %s", reply->error_code, reply->description);
        return n < 0 ? NULL : s;
}

static bool reply_is_good(const BotApiReply *reply)
{
        return reply->transport == BOTAPI_REPLIED && reply->envelope && reply->ok && reply->http_status == 200;
}

/* The error that a Bot API server reported itself. 0: it reported none, or somebody between changed the
 * status. */
static int reply_error(const BotApiReply *reply)
{
        if (reply->transport != BOTAPI_REPLIED || !reply->envelope || reply->ok)
                return 0;
        return reply->error_code == reply->http_status ? reply->error_code : 0;
}

bool botapi_is_true(const BotApiReply *reply)
{
        return reply_is_good(reply) && json_object_is_type(reply->result, json_type_boolean) &&
               json_object_get_boolean(reply->result);
}

static bool reply_is_error(const BotApiReply *reply, int error_code, const char *description)
{
        return reply_error(reply) == error_code && streq(reply->description, description);
}

LogOutOutcome botapi_logout_outcome(const BotApiReply *reply)
{
        if (reply->transport == BOTAPI_NOT_SENT)
                return LOGOUT_OUTCOME_NOT_SENT;
        if (botapi_is_true(reply))
                return LOGOUT_OUTCOME_APPLIED;
        if (reply_is_error(reply, 400, "Logged out") || reply_is_error(reply, 400, "Bad Request: already logging out"))
                return LOGOUT_OUTCOME_APPLIED_BEFORE;
        if (reply_error(reply) == 401)
                return LOGOUT_OUTCOME_REVOKED;
        if (reply_error(reply) == 429)
                return LOGOUT_OUTCOME_FLOOD;
        return LOGOUT_OUTCOME_UNKNOWN;
}

const char *logout_outcome_to_string(LogOutOutcome o)
{
        static const char *const table[LOGOUT_OUTCOME_MAX] = {
                [LOGOUT_OUTCOME_APPLIED] = "applied", [LOGOUT_OUTCOME_APPLIED_BEFORE] = "applied-before",
                [LOGOUT_OUTCOME_REVOKED] = "revoked", [LOGOUT_OUTCOME_NOT_SENT] = "not-sent",
                [LOGOUT_OUTCOME_FLOOD] = "flood",     [LOGOUT_OUTCOME_UNKNOWN] = "unknown",
        };

        return o >= 0 && o < LOGOUT_OUTCOME_MAX ? table[o] : NULL;
}

static LogInOutcome login_outcome_of_error(const BotApiReply *reply)
{
        switch (reply_error(reply)) {
        case 400:
                return streq(reply->description, "Logged out") ? LOGIN_OUTCOME_LOGGED_OUT : LOGIN_OUTCOME_ODD;
        case 401:
                return streq(reply->description, "Unauthorized: invalid api-id/api-hash") ? LOGIN_OUTCOME_API_ID
                                                                                          : LOGIN_OUTCOME_REFUSED;
        case 421:
                return LOGIN_OUTCOME_MISDIRECTED;
        case 429:
                return LOGIN_OUTCOME_FLOOD;
        case 500:
                return streq(reply->description, "Internal Server Error: restart") ? LOGIN_OUTCOME_RESTARTING
                                                                                   : LOGIN_OUTCOME_ODD;
        default:
                return LOGIN_OUTCOME_ODD;
        }
}

LogInOutcome botapi_login_outcome(const BotApiReply *reply, int64_t expected_id)
{
        int64_t id;

        if (reply->transport != BOTAPI_REPLIED)
                return LOGIN_OUTCOME_SILENT;
        if (!reply_is_good(reply))
                return login_outcome_of_error(reply);
        if (!json_object_is_type(reply->result, json_type_object) ||
            !member_int(reply->result, "id", 1, INT64_MAX - 1, &id))
                return LOGIN_OUTCOME_ODD;
        return id == expected_id ? LOGIN_OUTCOME_OK : LOGIN_OUTCOME_OTHER_BOT;
}

typedef struct LogInFacts {
        const char *name;
        const char *advice;
} LogInFacts;

static const LogInFacts login_facts[LOGIN_OUTCOME_MAX] = {
        [LOGIN_OUTCOME_OK] = {
                "ok",
                NULL,
        },
        [LOGIN_OUTCOME_OTHER_BOT] = {
                "other-bot",
                "The server answered for another bot than the token's: check what stands between here and the server, "
                "and that the token file belongs to this bot.",
        },
        [LOGIN_OUTCOME_API_ID] = {
                "api-id",
                "Telegram refuses the server's API id or hash: correct TELEGRAM_API_ID and TELEGRAM_API_HASH and "
                "restart the server, which keeps this refusal for 30 minutes otherwise.",
        },
        [LOGIN_OUTCOME_REFUSED] = {
                "refused",
                "The server does not accept the token: if it was revoked, put the new one from @BotFather in its "
                "place; if not, and it is the local server, restart that: it keeps a refusal for 30 minutes.",
        },
        [LOGIN_OUTCOME_MISDIRECTED] = {
                "misdirected",
                "The server is not meant for this bot: check the --filter= option that it was started with.",
        },
        [LOGIN_OUTCOME_FLOOD] = {
                "flood",
                "The server asks to wait because of too many logins: nothing to do, it is tried again when the time "
                "that it named is over.",
        },
        [LOGIN_OUTCOME_LOGGED_OUT] = {
                "logged-out",
                "The server still locks the bot out after its last logOut: nothing to do but wait; a local server "
                "forgets this lock when it is restarted.",
        },
        [LOGIN_OUTCOME_RESTARTING] = {
                "restarting",
                "The server is closing the bot or stopping: if this lasts, look at its journal; a bot directory that "
                "it can't read or that another server holds does the same.",
        },
        [LOGIN_OUTCOME_SILENT] = {
                "silent",
                "The server did not answer: check that it runs and that it can reach Telegram; it holds a login back "
                "without a word for as long as it can't.",
        },
        [LOGIN_OUTCOME_ODD] = {
                "odd",
                "The answer is not one that a Bot API server gives to getMe: check the address of the server and what "
                "stands in front of it.",
        },
};

const char *login_outcome_to_string(LogInOutcome o)
{
        return o >= 0 && o < LOGIN_OUTCOME_MAX ? login_facts[o].name : NULL;
}

const char *login_outcome_advice(LogInOutcome o)
{
        return o >= 0 && o < LOGIN_OUTCOME_MAX ? login_facts[o].advice : NULL;
}

bool botapi_probe_alive(const BotApiReply *reply)
{
        return reply_is_error(reply, 401, "Unauthorized: invalid token specified");
}

bool botapi_server_answers(const BotApiReply *reply)
{
        int error = reply_error(reply);

        return reply_is_good(reply) || (error >= 400 && error < 500);
}

/* Copies an optional string member; one of another type, or too long, is -EBADMSG. */
static int take_string(json_object *object, const char *key, char **ret)
{
        json_object *value = member(object, key, json_type_string);

        if (!value)
                return has_member(object, key) ? -EBADMSG : 0;

        const char *text = json_object_get_string(value);
        if (strlen(text) != (size_t) json_object_get_string_len(value))
                return -EBADMSG; /* it has a NUL inside, and would not be the same again */
        if (strlen(text) > SETTING_SIZE_MAX)
                return -EBADMSG;

        char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

static int take_allowed_updates(json_object *object, WebhookSettings *s)
{
        json_object *list = member(object, "allowed_updates", json_type_array);

        if (!list)
                return has_member(object, "allowed_updates") ? -EBADMSG : 0;
        if (json_object_array_length(list) > ALLOWED_UPDATES_MAX)
                return -EBADMSG;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *kind = json_object_array_get_idx(list, i);

                if (!json_object_is_type(kind, json_type_string) ||
                    json_object_get_string_len(kind) > UPDATE_KIND_SIZE_MAX)
                        return -EBADMSG;
        }
        s->allowed_updates = json_object_get(list);
        return 0;
}

static int take_settings(json_object *object, WebhookSettings *s)
{
        json_object *certificate = member(object, "has_custom_certificate", json_type_boolean);
        int64_t n = 0;
        int r;

        if (!member(object, "url", json_type_string) || !certificate)
                return -EBADMSG;
        s->has_custom_certificate = json_object_get_boolean(certificate);

        if (has_member(object, "max_connections") &&
            !member_int(object, "max_connections", 1, WEBHOOK_CONNECTIONS_MAX, &n))
                return -EBADMSG;
        s->max_connections = (int) n;

        r = take_string(object, "url", &s->url);
        if (r >= 0)
                r = take_string(object, "ip_address", &s->ip_address);
        if (r >= 0)
                r = take_allowed_updates(object, s);
        return r;
}

static int take_last_error(json_object *object, WebhookInfo *info)
{
        json_object *message = member(object, "last_error_message", json_type_string);
        int64_t sec = 0;

        if (has_member(object, "last_error_date") &&
            !member_int(object, "last_error_date", 0, JSON_INTEGER_MAX / (int64_t) USEC_PER_SEC, &sec))
                return -EBADMSG;
        info->last_error_usec = (usec_t) sec * USEC_PER_SEC;

        if (message) {
                info->last_error_message = botapi_clean_text(json_object_get_string(message), DESCRIPTION_SIZE_MAX);
                if (!info->last_error_message)
                        return -ENOMEM;
        }
        return 0;
}

int botapi_webhook_info(const BotApiReply *reply, WebhookInfo *ret)
{
        WebhookInfo info = {};
        int64_t pending;

        if (!reply_is_good(reply) || !json_object_is_type(reply->result, json_type_object) ||
            !member_int(reply->result, "pending_update_count", 0, JSON_INTEGER_MAX, &pending))
                return -EBADMSG;
        info.pending_update_count = (uint64_t) pending;

        int r = take_settings(reply->result, &info.settings);
        if (r >= 0)
                r = take_last_error(reply->result, &info);
        if (r < 0) {
                webhook_info_done(&info);
                return r;
        }

        *ret = info;
        return 0;
}

void webhook_info_done(WebhookInfo *info)
{
        webhook_settings_done(&info->settings);
        free(info->last_error_message);
        *info = (WebhookInfo){};
}

void webhook_settings_done(WebhookSettings *s)
{
        free(s->url);
        free(s->ip_address);
        json_object_put(s->allowed_updates);
        *s = (WebhookSettings){};
}

int webhook_settings_copy(const WebhookSettings *s, WebhookSettings *ret)
{
        WebhookSettings copy = *s;

        copy.url = s->url ? strdup(s->url) : NULL;
        copy.ip_address = s->ip_address ? strdup(s->ip_address) : NULL;
        copy.allowed_updates = json_object_get(s->allowed_updates);
        if ((s->url && !copy.url) || (s->ip_address && !copy.ip_address)) {
                webhook_settings_done(&copy);
                return -ENOMEM;
        }

        *ret = copy;
        return 0;
}

int botapi_updates(const BotApiReply *reply, json_object **ret, int64_t *ret_next_offset)
{
        int64_t last = 0;

        if (!reply_is_good(reply) || !json_object_is_type(reply->result, json_type_array))
                return -EBADMSG;

        size_t n = json_object_array_length(reply->result);
        for (size_t i = 0; i < n; i++) {
                json_object *update = json_object_array_get_idx(reply->result, i);

                if (!json_object_is_type(update, json_type_object) ||
                    !member_int(update, "update_id", last + 1, JSON_INTEGER_MAX, &last))
                        return -EBADMSG;
        }

        if (n > 0)
                *ret_next_offset = last + 1;
        *ret = json_object_get(reply->result);
        return 0;
}
