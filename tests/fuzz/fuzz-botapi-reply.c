/* SPDX-License-Identifier: MIT */

/* What a Bot API server, or whoever answers in its place, can make the daemon believe. The first line of the input has
 * the HTTP status and the header Retry-After (-1: none), the rest is the body. Each reading of a reply is tried on it,
 * as each may meet any reply. */

#include <stdio.h>

#include "core/botapi-reply.h"
#include "fuzz.h"

#define DESCRIPTION_SIZE_MAX 256
#define BOT_ID               INT64_C(123456789)

static void object_putp(json_object **o)
{
        json_object_put(*o);
}

static void add(json_object *object, const char *key, json_object *value)
{
        assert(json_object_object_add(object, key, value) == 0);
}

/* Not json_object_equal(): json-c reads NaN, which no JSON has and which equals nothing. */
static void assert_same_text(json_object *a, json_object *b)
{
        size_t a_size = 0, b_size = 0;
        const char *a_text = json_object_to_json_string_length(a, JSON_C_TO_STRING_PLAIN, &a_size);
        const char *b_text = json_object_to_json_string_length(b, JSON_C_TO_STRING_PLAIN, &b_size);

        assert(a_size == b_size && memcmp(a_text, b_text, a_size) == 0);
}

/* L7: text for people, and no word in it that may be the secret half of anybody's token. */
static void assert_shown(const char *text, size_t size_max)
{
        static const char digits[] = "0123456789_-", small[] = "abcdefghijklmnopqrstuvwxyz",
                          capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        size_t n = 0, n_small = 0, n_capitals = 0;

        fuzz_assert_text(text, size_max);
        for (const char *p = text; *p; p++) {
                n_small += strchr(small, *p) != NULL;
                n_capitals += strchr(capitals, *p) != NULL;
                if (strchr(digits, *p) || strchr(small, *p) || strchr(capitals, *p))
                        n++;
                else
                        n = n_small = n_capitals = 0;
                assert(n < 24 || n_small == 0 || n_capitals == 0);
        }
}

static void assert_sane(const BotApiReply *reply)
{
        assert(reply->transport == BOTAPI_REPLIED && !reply->transport_error);
        assert_shown(reply->description, DESCRIPTION_SIZE_MAX);
        assert(reply->error_code == 0 || (reply->error_code >= 100 && reply->error_code <= 999));
        assert(reply->retry_after_usec <= USEC_PER_HOUR && reply->retry_after_usec % USEC_PER_SEC == 0);
        /* what is no envelope says nothing */
        assert(reply->envelope || (!reply->ok && reply->error_code == 0 && !reply->result));
        assert(!reply->envelope || reply->error_code != 429 || reply->retry_after_usec > 0);
}

/* An envelope that says what was understood, and nothing else, is understood in the same way. */
static void assert_read_back(const BotApiReply *reply, int status)
{
        _cleanup_(object_putp) json_object *envelope = json_object_new_object();
        json_object *parameters = json_object_new_object();
        const char *body;
        BotApiReply again;
        size_t size;

        add(parameters, "retry_after", json_object_new_int64((int64_t) (reply->retry_after_usec / USEC_PER_SEC)));
        add(envelope, "parameters", parameters);
        add(envelope, "ok", json_object_new_boolean(reply->ok));
        add(envelope, "error_code", json_object_new_int(reply->error_code));
        add(envelope, "description", json_object_new_string(reply->description));
        add(envelope, "result", json_object_get(reply->result));
        body = json_object_to_json_string_length(envelope, JSON_C_TO_STRING_PLAIN, &size);

        assert(botapi_reply_parse(status, body, size, -1, &again) == 0);
        assert_sane(&again);
        assert(again.envelope && again.ok == reply->ok && again.error_code == reply->error_code);
        assert(again.retry_after_usec == reply->retry_after_usec);
        assert(streq(again.description, reply->description));
        assert_same_text(again.result, reply->result);
        botapi_reply_done(&again);
}

static bool is_error(const BotApiReply *reply, int code)
{
        return reply->envelope && !reply->ok && reply->error_code == code && reply->http_status == code;
}

/* L1, L2: nothing but a whole reply of the server's own proves anything about a bot. */
static void assert_outcomes(const BotApiReply *reply)
{
        bool good = reply->envelope && reply->ok && reply->http_status == 200;
        LogOutOutcome out = botapi_logout_outcome(reply);
        LogInOutcome in = botapi_login_outcome(reply, BOT_ID);

        assert(logout_outcome_to_string(out) && login_outcome_to_string(in));
        if (in != LOGIN_OUTCOME_OK)
                fuzz_assert_text(login_outcome_advice(in), 256);
        assert(out != LOGOUT_OUTCOME_NOT_SENT && in != LOGIN_OUTCOME_SILENT);

        assert((out == LOGOUT_OUTCOME_APPLIED) == (good && json_object_is_type(reply->result, json_type_boolean) &&
                                                   json_object_get_boolean(reply->result)));
        assert(out != LOGOUT_OUTCOME_APPLIED_BEFORE ||
               (is_error(reply, 400) && strcasestr(reply->description, "logg") && strlen(reply->description) <= 32));
        assert((out == LOGOUT_OUTCOME_REVOKED) == is_error(reply, 401));
        assert((out == LOGOUT_OUTCOME_FLOOD) == is_error(reply, 429));

        assert((in != LOGIN_OUTCOME_OK && in != LOGIN_OUTCOME_OTHER_BOT) ||
               (good && json_object_is_type(reply->result, json_type_object)));
        assert((in == LOGIN_OUTCOME_API_ID || in == LOGIN_OUTCOME_REFUSED) == is_error(reply, 401));
        assert((in == LOGIN_OUTCOME_FLOOD) == is_error(reply, 429));
        assert((in == LOGIN_OUTCOME_MISDIRECTED) == is_error(reply, 421));
        assert(in != LOGIN_OUTCOME_LOGGED_OUT || out == LOGOUT_OUTCOME_APPLIED_BEFORE);
        assert(in != LOGIN_OUTCOME_RESTARTING || is_error(reply, 500));
        assert(!botapi_server_answers(reply) || good ||
               (reply->http_status >= 400 && is_error(reply, reply->http_status)));
        assert(!botapi_probe_alive(reply) || (is_error(reply, 401) && in == LOGIN_OUTCOME_REFUSED));
}

static json_object *render_webhook(const WebhookInfo *info)
{
        const WebhookSettings *s = &info->settings;
        json_object *o = json_object_new_object();

        add(o, "url", json_object_new_string(s->url));
        add(o, "has_custom_certificate", json_object_new_boolean(s->has_custom_certificate));
        add(o, "pending_update_count", json_object_new_int64((int64_t) info->pending_update_count));
        if (s->ip_address)
                add(o, "ip_address", json_object_new_string(s->ip_address));
        if (s->max_connections > 0)
                add(o, "max_connections", json_object_new_int(s->max_connections));
        if (s->allowed_updates)
                add(o, "allowed_updates", json_object_get(s->allowed_updates));
        if (info->last_error_usec > 0)
                add(o, "last_error_date", json_object_new_int64((int64_t) (info->last_error_usec / USEC_PER_SEC)));
        if (info->last_error_message)
                add(o, "last_error_message", json_object_new_string(info->last_error_message));
        return o;
}

static void assert_same_webhook(const WebhookInfo *a, const WebhookInfo *b)
{
        assert(streq_ptr(a->settings.url, b->settings.url));
        assert(streq_ptr(a->settings.ip_address, b->settings.ip_address));
        assert(a->settings.has_custom_certificate == b->settings.has_custom_certificate);
        assert(a->settings.max_connections == b->settings.max_connections);
        assert(json_object_equal(a->settings.allowed_updates, b->settings.allowed_updates));
        assert(a->pending_update_count == b->pending_update_count);
        assert(a->last_error_usec == b->last_error_usec);
        assert(streq_ptr(a->last_error_message, b->last_error_message));
}

/* What is restored after a move is what was there before it. */
static void try_webhook(const BotApiReply *reply)
{
        BotApiReply rendered = { .transport = BOTAPI_REPLIED, .http_status = 200, .envelope = true, .ok = true };
        WebhookInfo info = {}, before, again, copied;
        int r;

        memcpy(&before, &info, sizeof(before));
        r = botapi_webhook_info(reply, &info);
        if (r < 0) {
                assert(r == -EBADMSG);
                fuzz_assert_untouched(&info, &before, sizeof(info));
                return;
        }
        assert(info.settings.url && info.settings.max_connections >= 0);
        if (info.last_error_message)
                assert_shown(info.last_error_message, DESCRIPTION_SIZE_MAX);

        rendered.result = render_webhook(&info);
        assert(botapi_webhook_info(&rendered, &again) == 0);
        assert_same_webhook(&info, &again);

        copied = again;
        copied.settings = (WebhookSettings){};
        assert(webhook_settings_copy(&info.settings, &copied.settings) == 0);
        assert_same_webhook(&info, &copied);

        webhook_settings_done(&copied.settings);
        webhook_info_done(&again);
        webhook_info_done(&info);
        botapi_reply_done(&rendered);
}

/* The next offset confirms what is below it, for ever: so each update is one, and the last is the highest (L6). */
static void try_updates(const BotApiReply *reply)
{
        json_object *updates = NULL;
        int64_t next = -7, last = 0;
        size_t n;
        int r;

        r = botapi_updates(reply, &updates, &next);
        if (r < 0) {
                assert(r == -EBADMSG && !updates && next == -7);
                return;
        }
        assert(updates == reply->result);
        n = json_object_array_length(updates);
        for (size_t i = 0; i < n; i++) {
                json_object *id = json_object_object_get(json_object_array_get_idx(updates, i), "update_id");

                assert(json_object_is_type(id, json_type_int) && json_object_get_int64(id) > last);
                last = json_object_get_int64(id);
        }
        assert(next == (n > 0 ? last + 1 : -7));
        json_object_put(updates);
}

static void assert_cleaned(const char *text, size_t size_max)
{
        _cleanup_free_ char *once = botapi_clean_text(text, size_max), *twice = NULL;

        assert_shown(once, size_max);
        twice = botapi_clean_text(once, size_max);
        assert(streq(once, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *line = fuzz_take_line(&in), *text = NULL, *described = NULL;
        char *words = line;
        int status = (int) strtol(fuzz_take_word(&words), NULL, 10);
        int64_t retry_after = isempty(words) ? -1 : strtoll(words, NULL, 10);
        BotApiReply reply;

        assert(botapi_reply_parse(status, in.next, in.left, retry_after, &reply) == 0);
        assert(reply.http_status == status);
        assert_sane(&reply);
        if (reply.envelope)
                assert_read_back(&reply, status);
        described = botapi_reply_describe(&reply);
        assert_shown(described, DESCRIPTION_SIZE_MAX + 64);
        assert_outcomes(&reply);
        try_webhook(&reply);
        try_updates(&reply);
        botapi_reply_done(&reply);

        text = strndup(in.left > 0 ? in.next : "", in.left);
        assert(text);
        assert_cleaned(text, (size_t) MAX(status, 0) % 300);
        return 0;
}
