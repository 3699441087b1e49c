/* SPDX-License-Identifier: MIT */

/* What a bot's own web server answers, and what a webhook may be. The first line of the input has a word. After
 *
 *      answer       comes the body of an answer to an update
 *      judge        come the webhook's URL, the pinned address and the resolved one in a line each; "-" for none
 *      certificate  comes the file that setWebhook is to send
 *      secret       comes the secret
 *      connections  comes how many are wanted */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "../canary.h"
#include "core/webhook-answer.h"
#include "fuzz.h"

/* For its way to read a URL. */
#include "core/webhook-rules.c"

#define TOKEN       "123456789:" CANARY_SECRET
#define PLACEHOLDER "{token}"

/* Most of a sentence is ours, and three of the texts in it are the administrator's or bounded. */
#define SENTENCE_SIZE_MAX 1024u

/* ---- an answer ---- */

static void assert_same_text(json_object *a, json_object *b)
{
        assert(streq(json_object_to_json_string_ext(a, JSON_C_TO_STRING_PLAIN),
                     json_object_to_json_string_ext(b, JSON_C_TO_STRING_PLAIN)));
}

static void assert_may_be_called(const char *method)
{
        static const char *const never[] = { "close", "deletewebhook", "getupdates", "logout", "setwebhook" };

        assert(*method && strlen(method) <= 64);
        for (const char *p = method; *p; p++)
                assert(isascii(*p) && isalpha((unsigned char) *p));
        FOREACH_ELEMENT(name, never)
                assert(strcasecmp(method, *name) != 0);
}

/* The same call, written by us, is the same call. */
static void assert_read_back(const char *method, json_object *arguments)
{
        json_object *whole = NULL, *again = NULL;
        char *again_method = NULL;
        const char *body;

        assert(json_object_deep_copy(arguments, &whole, NULL) == 0);
        assert(json_object_object_add(whole, "method", json_object_new_string(method)) == 0);
        body = json_object_to_json_string_ext(whole, JSON_C_TO_STRING_PLAIN);
        assert(webhook_answer_call(body, strlen(body), &again_method, &again) == 1);
        assert(streq(again_method, method));
        assert_same_text(again, arguments);

        free(again_method);
        json_object_put(again);
        json_object_put(whole);
}

static void try_answer(const char *body, size_t size)
{
        json_object *arguments = NULL;
        char *method = NULL;
        int r = webhook_answer_call(body, size, &method, &arguments);

        if (r <= 0) {
                assert(r == 0 && !method && !arguments);
                return;
        }
        assert_may_be_called(method);
        assert(json_object_is_type(arguments, json_type_object));
        assert(!json_object_object_get_ex(arguments, "method", NULL));
        assert_read_back(method, arguments);
        free(method);
        json_object_put(arguments);
}

/* ---- a URL ---- */

/* The token in place of each mark, as when a webhook is set again. */
static char *expand(const char *url)
{
        char *expanded = malloc(strlen(url) * strlen(TOKEN) + 1), *out = expanded;

        assert(expanded);
        while (*url) {
                const char *behind = startswith(url, PLACEHOLDER);

                out = behind ? stpcpy(out, TOKEN) : (*out = *url, out + 1);
                url = behind ?: url + 1;
        }
        *out = '\0';
        return expanded;
}

/* Scheme, host and port are all that counts of a URL. */
static void assert_url_read_back(const WebhookUrl *url)
{
        _cleanup_free_ char *rendered = NULL;
        WebhookUrl again;

        assert(asprintf(&rendered, "%s://%s%s%s:%u/x?y#z", url->https ? "https" : "http", url->ipv6 ? "[" : "",
                        url->host, url->ipv6 ? "]" : "", url->port) > 0);
        assert(parse_url(rendered, &again));
        assert(again.https == url->https && again.port == url->port && again.ipv6 == url->ipv6);
        assert(streq(again.host, url->host));
}

static bool is_public(const char *address)
{
        struct in_addr ipv4;

        /* of these the first number tells: RFC 1918 in part, loopback, this network, multicast and beyond */
        if (inet_pton(AF_INET, address, &ipv4) != 1)
                return false;
        unsigned first = ntohl(ipv4.s_addr) >> 24;
        return first != 0 && first != 10 && first != 127 && first < 224;
}

/* What the cloud is told to take, it takes. */
static void assert_good(const WebhookWish *w)
{
        WebhookUrl url;

        assert(parse_url(w->url, &url));
        assert(url.https && (url.port == 443 || url.port == 80 || url.port == 88 || url.port == 8443));
        if (w->pinned_address)
                assert(is_public(w->pinned_address));
        else
                assert(!url.ipv6 && strcasecmp(url.host, "localhost") != 0);
}

static void assert_judged(const WebhookWish *w, bool local_mode)
{
        char *why = NULL;
        WebhookUrl url;
        int v = webhook_judge(w, "the cloud", local_mode, &why);

        assert(v >= 0 && v < WEBHOOK_VERDICT_MAX);
        if (v == WEBHOOK_GOOD) {
                assert(!why);
                if (!local_mode)
                        assert_good(w);
                return;
        }
        assert(!local_mode || v == WEBHOOK_BAD_URL);
        fuzz_assert_text(why, SENTENCE_SIZE_MAX);
        assert(why[strlen(why) - 1] == '.');
        assert(!strstr(why, CANARY));
        if (v != WEBHOOK_BAD_URL) {
                assert(parse_url(w->url, &url));
                assert_url_read_back(&url);
        }
        free(why);
}

static void try_judge(FuzzInput *in)
{
        _cleanup_free_ char *line = fuzz_take_line(in), *url = expand(line), *pinned = fuzz_take_line(in),
                            *resolved = fuzz_take_line(in);
        WebhookWish wish = {
                .bot = "shop",
                .url = url,
                /* as the configuration takes it; the resolved one is whatever a server said */
                .pinned_address = webhook_address_is_valid(pinned) ? pinned : NULL,
                .resolved_address = streq(resolved, "-") ? NULL : resolved,
        };

        /* only the mark is a secret: a host may be called anything, and is shown */
        if (strstr(line, CANARY))
                return;
        assert_judged(&wish, false);
        assert_judged(&wish, true);
}

/* ---- a certificate, a secret ---- */

static bool has(const char *bytes, size_t size, const char *text)
{
        return size > 0 && memmem(bytes, size, text, strlen(text));
}

static void try_certificate(const char *bytes, size_t size)
{
        const char *problem = webhook_certificate_problem(bytes, size);

        /* L7, for the key of a web server: it is never sent */
        assert(!webhook_certificate_has_key(bytes, size) || problem);
        if (problem) {
                fuzz_assert_text(problem, SENTENCE_SIZE_MAX);
                return;
        }
        assert(has(bytes, size, "-----BEGIN CERTIFICATE-----") && has(bytes, size, "-----END CERTIFICATE-----"));
        assert(!has(bytes, size, "PRIVATE KEY-----"));
}

static void try_secret(const char *secret)
{
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        size_t size = strlen(secret);

        assert(webhook_secret_is_valid(secret) == (size >= 1 && size <= 256 && strspn(secret, allowed) == size));
}

/* What a server takes it is given as it is, and nothing else is asked of it. */
static void try_connections(int wanted)
{
        int cloud = webhook_connections(wanted, false), local = webhook_connections(wanted, true);

        assert(cloud <= 100 && local <= 100000 && cloud <= local && local <= wanted);
        assert(webhook_connections(cloud, false) == cloud && webhook_connections(local, true) == local);
        assert(wanted > 100 || cloud == wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *line = fuzz_take_line(&in);

        if (streq(line, "answer")) {
                try_answer(in.next, in.left);
        } else if (streq(line, "judge")) {
                try_judge(&in);
        } else if (streq(line, "certificate")) {
                try_certificate(in.next, in.left);
        } else {
                _cleanup_free_ char *text = fuzz_take_line(&in);

                if (streq(line, "connections"))
                        try_connections((int) strtol(text, NULL, 10));
                else
                        try_secret(text);
        }
        return 0;
}
