/* SPDX-License-Identifier: MIT */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "core/botapi-reply.h"
#include "core/webhook-rules.h"

#define HOST_SIZE_MAX         255 /* of a name in DNS */
#define SECRET_SIZE_MAX       256
#define CONNECTIONS_MAX       100
#define CONNECTIONS_MAX_LOCAL 100000
#define SHOWN_SIZE_MAX        64

static bool equal_ignoring_case(const char *a, size_t size, const char *b)
{
        return size == strlen(b) && strncasecmp(a, b, size) == 0;
}

/* ---- the URL, taken apart as parse_url() of TDLib does ---- */

typedef struct WebhookUrl {
        bool https;
        unsigned port;
        char host[HOST_SIZE_MAX + 1]; /* without the brackets of an IPv6 address */
        bool ipv6;
} WebhookUrl;

/* Returns 0 for what is no port. */
static unsigned parse_port(const char *digits, size_t size)
{
        unsigned port = 0;

        for (size_t i = 0; i < size; i++) {
                if (!isdigit((unsigned char) digits[i]))
                        return 0;
                port = port * 10 + (unsigned) (digits[i] - '0');
                if (port > UINT16_MAX)
                        return 0;
        }
        return port;
}

/* Letters beyond ASCII are allowed: the server turns such a name into punycode. */
static bool host_is_valid(const char *host, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) host[i];

                if (c == '%') {
                        if (size - i < 3 || !isxdigit((unsigned char) host[i + 1]) ||
                            !isxdigit((unsigned char) host[i + 2]))
                                return false;
                        i += 2;
                } else if (c < 0x80 && !isalnum(c) && (c == '\0' || !strchr(".-_!$,~*'();&+=", c))) {
                        return false;
                }
        }
        return size > 0 && !equal_ignoring_case(host, size, ".");
}

static bool take_host(const char *host, size_t size, WebhookUrl *url)
{
        struct in6_addr address;

        url->ipv6 = size > 2 && host[0] == '[' && host[size - 1] == ']';
        if (url->ipv6) {
                host++;
                size -= 2;
        }
        if (size > HOST_SIZE_MAX || (!url->ipv6 && !host_is_valid(host, size)))
                return false;
        memcpy(url->host, host, size);
        url->host[size] = '\0';
        return !url->ipv6 || inet_pton(AF_INET6, url->host, &address) == 1;
}

/* TDLib encodes them where they are not in the host; no client takes them that posts what was spooled. */
static bool has_control_characters(const char *text)
{
        for (; *text; text++)
                if (iscntrl((unsigned char) *text))
                        return true;
        return false;
}

/* [http[s]://][user[:password]@]host[:port][/…]; without a scheme it is https. */
static bool parse_url(const char *text, WebhookUrl *ret)
{
        size_t scheme_size = strcspn(text, ":/?#@[]"), size;
        WebhookUrl url = { .https = true };
        const char *host, *colon = NULL;

        if (startswith(text + scheme_size, "://")) {
                url.https = equal_ignoring_case(text, scheme_size, "https");
                if (!url.https && !equal_ignoring_case(text, scheme_size, "http"))
                        return false;
                text += scheme_size + strlen("://");
        }
        size = strcspn(text, "/?#");
        host = memrchr(text, '@', size);
        host = host ? host + 1 : text;
        size -= (size_t) (host - text);

        /* The colons of an IPv6 address stand before its bracket. */
        colon = memrchr(host, ':', size);
        if (colon && memchr(colon, ']', size - (size_t) (colon - host)))
                colon = NULL;
        url.port = url.https ? 443 : 80;
        if (colon) {
                url.port = parse_port(colon + 1, size - (size_t) (colon + 1 - host));
                size = (size_t) (colon - host);
        }
        if (url.port == 0 || !take_host(host, size, &url))
                return false;
        *ret = url;
        return true;
}

/* ---- who can be reached from outside ---- */

/* What TDLib holds for reserved; the last is everything from multicast on. */
static const struct {
        uint32_t network;
        unsigned bits;
} reserved_networks[] = {
        { 0x00000000, 8 },  /* 0.0.0.0 */
        { 0x0a000000, 8 },  /* 10.0.0.0 */
        { 0x64400000, 10 }, /* 100.64.0.0, carrier-grade NAT */
        { 0x7f000000, 8 },  /* 127.0.0.0 */
        { 0xa9fe0000, 16 }, /* 169.254.0.0, link-local */
        { 0xac100000, 12 }, /* 172.16.0.0 */
        { 0xc0000000, 24 }, /* 192.0.0.0 */
        { 0xc0000200, 24 }, /* 192.0.2.0, documentation */
        { 0xc0586300, 24 }, /* 192.88.99.0, 6to4 relays */
        { 0xc0a80000, 16 }, /* 192.168.0.0 */
        { 0xc6120000, 15 }, /* 198.18.0.0, benchmarks */
        { 0xc6336400, 24 }, /* 198.51.100.0, documentation */
        { 0xcb007100, 24 }, /* 203.0.113.0, documentation */
        { 0xe0000000, 3 },  /* 224.0.0.0 */
};

static bool ipv4_is_reserved(uint32_t address)
{
        FOREACH_ELEMENT(r, reserved_networks)
                if ((address ^ r->network) >> (32 - r->bits) == 0)
                        return true;
        return false;
}

/* inet_aton() for forms like 127.1, which the server takes for addresses as well. It stops at a blank, whatever comes
 * behind it: and that is none. */
static bool parse_ipv4(const char *text, uint32_t *ret)
{
        struct in_addr ipv4;

        if (strpbrk(text, " \t\n\v\f\r") || inet_aton(text, &ipv4) == 0)
                return false;
        *ret = ntohl(ipv4.s_addr);
        return true;
}

/* An address as text. WEBHOOK_GOOD also for what is none. */
static WebhookVerdict judge_address(const char *text)
{
        struct in6_addr ipv6;
        uint32_t ipv4;

        if (inet_pton(AF_INET6, text, &ipv6) == 1)
                return WEBHOOK_IPV6_ADDRESS;
        if (parse_ipv4(text, &ipv4) && ipv4_is_reserved(ipv4))
                return WEBHOOK_LOCAL_ADDRESS;
        return WEBHOOK_GOOD;
}

/* Last labels that never are in public DNS: RFC 6761, 6762, 7686, 8375, and .internal by ICANN's decision. */
static const char *const local_domains[] = {
        "localhost", "local", "internal", "home.arpa", "test", "invalid", "onion",
};

static WebhookVerdict judge_name(const char *host)
{
        size_t size = strlen(host);
        uint32_t ipv4;

        if (parse_ipv4(host, &ipv4))
                return WEBHOOK_GOOD;
        if (size > 0 && host[size - 1] == '.')
                size--;
        if (!memchr(host, '.', size))
                return WEBHOOK_LOCAL_NAME;
        FOREACH_ELEMENT(domain, local_domains) {
                size_t n = strlen(*domain);

                if (size > n && host[size - n - 1] == '.' && equal_ignoring_case(host + size - n, n, *domain))
                        return WEBHOOK_LOCAL_NAME;
        }
        return WEBHOOK_GOOD;
}

/* ---- verdicts, and what is said about them ---- */

typedef enum AddressSource {
        ADDRESS_OF_URL,
        ADDRESS_PINNED,
        ADDRESS_RESOLVED,
} AddressSource;

/* A pinned address is the only one that the server looks at, whatever the host of the URL. */
static WebhookVerdict judge_destination(const WebhookWish *w, const WebhookUrl *url, AddressSource *ret_source)
{
        WebhookVerdict v;

        *ret_source = ADDRESS_PINNED;
        if (w->pinned_address)
                return judge_address(w->pinned_address);
        *ret_source = ADDRESS_OF_URL;
        v = judge_address(url->host);
        if (v == WEBHOOK_GOOD)
                v = judge_name(url->host);
        if (v != WEBHOOK_GOOD || isempty(w->resolved_address))
                return v;
        *ret_source = ADDRESS_RESOLVED;
        return judge_address(w->resolved_address);
}

static int say_address(const WebhookWish *w, const char *server, const char *host, WebhookVerdict v,
                       AddressSource source, char **ret)
{
        const char *kind = v == WEBHOOK_IPV6_ADDRESS ? "an IPv6 address" : "a private or reserved address";

        switch (source) {
        case ADDRESS_PINNED:
                return asprintf(ret,
                                "WebhookIPAddress=%s in bots.d/%s.conf is %s, and %s delivers webhooks to public IPv4 "
                                "addresses only: name the public one there.",
                                w->pinned_address, w->bot, kind, server);
        case ADDRESS_RESOLVED:
                return asprintf(ret,
                                "The webhook of %s is delivered to %s now, %s, and %s delivers to public IPv4 addresses "
                                "only. If %s has a public address in the rest of the world, say WebhookIPAddress=dns in "
                                "bots.d/%s.conf, or the address in place of dns; else set the webhook to a public host.",
                                host, w->resolved_address, kind, server, host, w->bot);
        default:
                return asprintf(ret,
                                "The webhook's URL has %s as its host, %s, and %s delivers to public IPv4 addresses "
                                "only: set the webhook to a public host.",
                                host, kind, server);
        }
}

static int say(const WebhookWish *w, const WebhookUrl *url, const char *server, WebhookVerdict v, AddressSource source,
               char **ret)
{
        _cleanup_free_ char *host = botapi_clean_text(url->host, SHOWN_SIZE_MAX);

        if (!host)
                return -1;
        switch (v) {
        case WEBHOOK_BAD_URL:
                return asprintf(ret,
                                "The webhook's URL is no address that %s takes (it is not shown, since such URLs contain "
                                "secrets): set the webhook anew.",
                                server);
        case WEBHOOK_NOT_HTTPS:
                return asprintf(ret,
                                "The webhook's URL is http, and %s takes https only: give %s a certificate and set the "
                                "webhook to its https URL.",
                                server, host);
        case WEBHOOK_BAD_PORT:
                return asprintf(ret,
                                "The webhook's URL has port %u, and %s takes only 443, 80, 88 and 8443: let %s listen on "
                                "one of these and set the webhook to it.",
                                url->port, server, host);
        case WEBHOOK_LOCAL_NAME:
                return asprintf(ret,
                                "The webhook's URL has %s as its host, a name that only this host or its network knows, "
                                "and %s looks names up in public DNS: set the webhook to a public name.",
                                host, server);
        default:
                return say_address(w, server, host, v, source, ret);
        }
}

static bool port_is_taken(unsigned port)
{
        return port == 443 || port == 80 || port == 88 || port == 8443;
}

int webhook_judge(const WebhookWish *w, const char *server, bool local_mode, char **ret_why)
{
        AddressSource source = ADDRESS_OF_URL;
        WebhookVerdict v = WEBHOOK_GOOD;
        WebhookUrl url = {};
        char *why;

        if (has_control_characters(w->url) || !parse_url(w->url, &url))
                v = WEBHOOK_BAD_URL;
        else if (local_mode)
                return WEBHOOK_GOOD;
        else if (!url.https)
                v = WEBHOOK_NOT_HTTPS;
        else if (!port_is_taken(url.port))
                v = WEBHOOK_BAD_PORT;
        else
                v = judge_destination(w, &url, &source);
        if (v == WEBHOOK_GOOD)
                return WEBHOOK_GOOD;
        if (say(w, &url, server, v, source, &why) < 0)
                return -ENOMEM;
        *ret_why = why;
        return (int) v;
}

int webhook_connections(int wanted, bool local_mode)
{
        return MIN(wanted, local_mode ? CONNECTIONS_MAX_LOCAL : CONNECTIONS_MAX);
}

bool webhook_secret_is_valid(const char *secret)
{
        size_t size = strlen(secret);

        for (size_t i = 0; i < size; i++)
                if (!isascii(secret[i]) ||
                    (!isalnum((unsigned char) secret[i]) && secret[i] != '_' && secret[i] != '-'))
                        return false;
        return size > 0 && size <= SECRET_SIZE_MAX;
}

bool webhook_address_is_valid(const char *address)
{
        struct in6_addr ipv6;
        struct in_addr ipv4;

        return inet_pton(AF_INET, address, &ipv4) == 1 || inet_pton(AF_INET6, address, &ipv6) == 1;
}

/* ---- certificates ---- */

#define CERTIFICATE_BEGIN "-----BEGIN CERTIFICATE-----"
#define CERTIFICATE_END   "-----END CERTIFICATE-----"

static const char *find(const char *bytes, size_t size, const char *text)
{
        return memmem(bytes, size, text, strlen(text));
}

bool webhook_certificate_has_key(const char *bytes, size_t size)
{
        /* RSA, EC, encrypted or none of these: they all end like this. */
        return find(bytes, size, "PRIVATE KEY-----");
}

/* Base64 of a DER sequence longer than 127 bytes, which a certificate is, begins with "MI". */
static bool body_is_plausible(const char *body, size_t size)
{
        size_t n = 0;

        while (size > 0 && isspace((unsigned char) *body)) {
                body++;
                size--;
        }
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) body[i];

                if (!isspace(c) && !isalnum(c) && c != '+' && c != '/' && c != '=')
                        return false;
                n += !isspace(c);
        }
        return n % 4 == 0 && size > 2 && body[0] == 'M' && body[1] == 'I';
}

const char *webhook_certificate_problem(const char *bytes, size_t size)
{
        const char *begin = find(bytes, size, CERTIFICATE_BEGIN), *body, *end;

        if (webhook_certificate_has_key(bytes, size))
                return "has a private key in it, which nobody else must get and which tgswitchd sends to no server";
        if (!begin)
                return "has no line " CERTIFICATE_BEGIN ", so it is no certificate in PEM";
        body = begin + strlen(CERTIFICATE_BEGIN);
        end = find(body, size - (size_t) (body - bytes), CERTIFICATE_END);
        if (!end)
                return "has no line " CERTIFICATE_END ", so it is cut off";
        if (!body_is_plausible(body, (size_t) (end - body)))
                return "has something else than a certificate between its BEGIN and its END line";
        return NULL;
}
