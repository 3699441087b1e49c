/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* What a Bot API server takes as a webhook. Pure: texts and numbers in, verdicts out.
 *
 * The rules are those of tdlib/telegram-bot-api 10.0 (Client.cpp, WebhookActor.cpp) and of what it takes from TDLib
 * (parse_url(), IPAddress::is_reserved()). A server with --local takes nearly everything. The cloud, and a server
 * without that option, wants https, one of four ports, and a public IPv4 address. Whether a name resolves, and to what,
 * only the server itself finds out. */

typedef enum WebhookVerdict {
        WEBHOOK_GOOD,
        WEBHOOK_BAD_URL,
        WEBHOOK_NOT_HTTPS,
        WEBHOOK_BAD_PORT,
        WEBHOOK_LOCAL_NAME,    /* of a host that public DNS cannot know */
        WEBHOOK_LOCAL_ADDRESS, /* private, loopback, multicast and the like */
        WEBHOOK_IPV6_ADDRESS,
        WEBHOOK_VERDICT_MAX,
        WEBHOOK_VERDICT_INVALID = -EINVAL,
} WebhookVerdict;

/* A webhook that is to be set. Everything is borrowed. */
typedef struct WebhookWish {
        const char *bot;              /* its name, for the name of its file in a sentence */
        const char *url;              /* as the server gets it: it may contain the token, and is never repeated */
        const char *pinned_address;   /* WebhookIPAddress=; NULL: the server looks the host up by itself */
        const char *resolved_address; /* where the server that has the webhook now delivers it, by getWebhookInfo; NULL:
                                       * that says nothing of where this one would */
} WebhookWish;

/* `server` begins the sentence's second half, like "the cloud". Where the verdict is not WEBHOOK_GOOD, *ret_why is a
 * sentence with cause and cure, owned by the caller. Returns a WebhookVerdict, or -ENOMEM. */
int webhook_judge(const WebhookWish *w, const char *server, bool local_mode, char **ret_why) _must_check_;

/* How many connections such a server uses where so many are asked for: it takes a higher number for the highest that it
 * allows. 0, no number at all, stays 0. */
int webhook_connections(int wanted, bool local_mode) _const_;

/* 1 to 256 of A-Z, a-z, 0-9, _ and - (setWebhook). */
bool webhook_secret_is_valid(const char *secret) _pure_;

/* An IPv4 or IPv6 address as setWebhook takes it for ip_address. */
bool webhook_address_is_valid(const char *address);

/* The file for setWebhook's certificate: PEM, what a web server shows to everybody. Looked at for what people mix up,
 * not verified. Returns NULL where it is good, else the rest of the sentence "It …", a static string. */
#define WEBHOOK_CERTIFICATE_SIZE_MAX ((size_t) 64 * 1024)
const char *webhook_certificate_problem(const char *bytes, size_t size) _pure_;
bool webhook_certificate_has_key(const char *bytes, size_t size) _pure_;
