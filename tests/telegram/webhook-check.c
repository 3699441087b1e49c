/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>

#include "client.h"

/* What setWebhook refuses: everywhere what is no URL and no secret; a server that is not in --local mode, and the cloud
 * where strict_webhooks says so, also http, most ports, and addresses that are not everybody's. */

#define SECRET_SIZE_MAX 256

typedef struct WebhookUrl {
        CURLU *parts;
        char *scheme, *host, *port;
} WebhookUrl;

static void webhook_url_done(WebhookUrl *url)
{
        curl_free(url->scheme);
        curl_free(url->host);
        curl_free(url->port);
        curl_url_cleanup(url->parts);
}

static bool webhook_url_parse(WebhookUrl *url, const char *text)
{
        url->parts = curl_url();
        assert(url->parts);
        return curl_url_set(url->parts, CURLUPART_URL, text, 0) == CURLUE_OK &&
               curl_url_get(url->parts, CURLUPART_SCHEME, &url->scheme, 0) == CURLUE_OK &&
               curl_url_get(url->parts, CURLUPART_HOST, &url->host, 0) == CURLUE_OK &&
               curl_url_get(url->parts, CURLUPART_PORT, &url->port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               (streq(url->scheme, "https") || streq(url->scheme, "http"));
}

bool webhook_is_strict(const Client *client)
{
        const EngineOptions *options = &client->engine->options;

        return options->role == ROLE_LOCAL || options->settings->strict_webhooks != 0;
}

/* Takes everything that --local allows. */
static bool takes_anything(const Client *client)
{
        const EngineOptions *options = &client->engine->options;

        return options->role == ROLE_LOCAL ? options->local_mode : !webhook_is_strict(client);
}

static _printf_(1, 2) char *say(const char *format, ...)
{
        va_list ap;
        char *said;

        va_start(ap, format);
        if (vasprintf(&said, format, ap) < 0)
                abort();
        va_end(ap);
        return said;
}

static bool address_reserved(const char *text)
{
        static const struct {
                const char *network;
                int bits;
        } blocks[] = {
                { "0.0.0.0", 8 },      { "10.0.0.0", 8 },     { "100.64.0.0", 10 }, { "127.0.0.0", 8 },
                { "169.254.0.0", 16 }, { "172.16.0.0", 12 },  { "192.0.0.0", 24 },  { "192.0.2.0", 24 },
                { "192.88.99.0", 24 }, { "192.168.0.0", 16 }, { "198.18.0.0", 15 }, { "198.51.100.0", 24 },
                { "203.0.113.0", 24 }, { "224.0.0.0", 3 },
        };
        in_addr_t address = inet_network(text);

        FOREACH_ELEMENT(block, blocks) {
                in_addr_t mask = ~(in_addr_t) 0 << (32 - block->bits);

                if ((address & mask) == inet_network(block->network))
                        return true;
        }
        return false;
}

/* The first IPv4 address of the host, else the first of all. Blocks, but for names that /etc/hosts has. Returns what
 * getaddrinfo() does. */
static int look_up(const char *host, char **ret)
{
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *best;
        char address[INET6_ADDRSTRLEN];
        int r = getaddrinfo(host, NULL, &hints, &list);

        if (r != 0)
                return r;
        best = list;
        for (struct addrinfo *a = list; a && best->ai_family != AF_INET; a = a->ai_next)
                if (a->ai_family == AF_INET)
                        best = a;
        r = getnameinfo(best->ai_addr, best->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(list);
        if (r == 0)
                *ret = say("%s", address);
        return r;
}

static char *check_address(const Client *client, const WebhookUrl *url, const char *pinned, char **ret_address)
{
        _cleanup_free_ char *address = NULL, *host = NULL;
        bool literal = url->host[0] == '['; /* of IPv6, in brackets */
        struct in6_addr binary;
        int r;

        if (pinned) {
                if (inet_pton(AF_INET, pinned, &binary) != 1 && inet_pton(AF_INET6, pinned, &binary) != 1)
                        return say("Bad Request: bad webhook: Invalid IP address specified");
                address = say("%s", pinned);
        } else {
                host = strndup(url->host + literal, strlen(url->host) - (literal ? 2 : 0));
                assert(host);
                r = look_up(host, &address);
                if (r != 0)
                        return say("Bad Request: bad webhook: Failed to resolve host: %s", gai_strerror(r));
        }
        if (!takes_anything(client) && strchr(address, ':'))
                return say("Bad Request: bad webhook: IPv6-only addresses are not allowed");
        if (!takes_anything(client) && address_reserved(address))
                return say("Bad Request: bad webhook: IP address %s is reserved", address);
        *ret_address = TAKE_PTR(address);
        return NULL;
}

static char *check_secret(const char *secret)
{
        if (secret && strlen(secret) > SECRET_SIZE_MAX)
                return say("Bad Request: secret token is too long");
        for (const char *c = secret; c && *c; c++)
                if (!isalnum((unsigned char) *c) && *c != '_' && *c != '-')
                        return say("Bad Request: secret token contains unallowed characters");
        return NULL;
}

static char *check_url(const Client *client, const WebhookUrl *url, json_object *arguments, char **ret_address)
{
        static const char *const ports[] = { "443", "80", "88", "8443" };
        const char *pinned = json_get_text(arguments, "ip_address");
        bool listed = false;

        FOREACH_ELEMENT(port, ports)
                listed = listed || streq(*port, url->port);
        if (!takes_anything(client) && streq(url->scheme, "http"))
                return say("Bad Request: bad webhook: An HTTPS URL must be provided for webhook");
        if (!takes_anything(client) && !listed)
                return say("Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443");
        if (!webhook_is_strict(client)) {
                *ret_address = isempty(pinned) ? NULL : say("%s", pinned);
                return NULL;
        }
        return check_address(client, url, isempty(pinned) ? NULL : pinned, ret_address);
}

char *webhook_check(const Client *client, json_object *arguments, char **ret_address)
{
        WebhookUrl url = { 0 };
        char *refusal = NULL;

        if (!webhook_url_parse(&url, json_get_text(arguments, "url")))
                refusal = say("Bad Request: invalid webhook URL specified");
        if (!refusal)
                refusal = check_secret(json_get_text(arguments, "secret_token"));
        if (!refusal)
                refusal = check_url(client, &url, arguments, ret_address);
        webhook_url_done(&url);
        return refusal;
}
