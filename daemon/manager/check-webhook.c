/* SPDX-License-Identifier: MIT */
#include "core/webhook-rules.h"
#include "manager/check.h"

/* logOut deletes the webhook. Whether it can be set again is found out before: after it nobody could help but an
 * administrator. */

static void fail(const Bot *b, CheckList *l, const char *why)
{
        check_list_add(l, "webhook", b->name, CHECK_FAIL, "%s", why);
}

static bool secret_is_there(const Bot *b, CheckList *l)
{
        if (!b->config->webhook_secret_known)
                check_list_add(l, "webhook", b->name, CHECK_FAIL,
                               "A webhook is set, and logOut deletes it. Whether it has a secret token cannot be read "
                               "back: say WebhookSecret=no in bots.d/%s.conf, or WebhookSecret=yes and put the secret "
                               "into the file secrets/%s beside it.",
                               b->name, b->name);
        else if (b->config->webhook_has_secret && !b->webhook_secret)
                check_list_add(l, "webhook", b->name, CHECK_FAIL,
                               "WebhookSecret=yes, but there is no credential secret_%s: put the secret token into "
                               "/etc/tgswitch/secrets/%s (mode 0600) and run 'systemctl restart tgswitchd'.",
                               b->name, b->name);
        else if (b->config->webhook_has_secret && !webhook_secret_is_valid(b->webhook_secret))
                check_list_add(l, "webhook", b->name, CHECK_FAIL,
                               "The credential secret_%s is no secret token, which has 1 to 256 letters, digits, _ and "
                               "-: correct /etc/tgswitch/secrets/%s, one line, and run 'systemctl restart tgswitchd'.",
                               b->name, b->name);
        else
                return true;
        return false;
}

static bool certificate_is_there(const Bot *b, const WebhookSettings *s, CheckList *l)
{
        if (!s->has_custom_certificate || b->webhook_certificate)
                return true;
        if (b->webhook_certificate_problem)
                fail(b, l, b->webhook_certificate_problem);
        else
                check_list_add(l, "webhook", b->name, CHECK_FAIL,
                               "The webhook uses a certificate of its own, which the server does not give back and a "
                               "logOut deletes: put it into /etc/tgswitch/certificates/%s, in PEM and without its key, "
                               "and run 'systemctl restart tgswitchd'; or set the webhook without one.",
                               b->name);
        return false;
}

static bool target_takes_it(const Bot *b, Seat target, const WebhookSettings *s, CheckList *l)
{
        const Config *config = b->manager->config;
        _cleanup_wipe_ char *url = b->token ? bot_token_expand(b->token, s->url) : strdup(s->url);
        _cleanup_free_ char *why = NULL;
        const char *pin = b->config->webhook_ip_address;
        bool resolves_elsewhere = pin && streq(pin, WEBHOOK_ADDRESS_BY_DNS);
        WebhookWish wish = {
                .bot = b->name,
                .url = url,
                .pinned_address = resolves_elsewhere ? NULL : pin,
                /* What the cloud's names resolve to says nothing of a private network, and need not. */
                .resolved_address = target == SEAT_CLOUD && !resolves_elsewhere ? s->ip_address : NULL,
        };
        int r = -ENOMEM;

        if (url)
                r = webhook_judge(&wish,
                                  target == SEAT_CLOUD ? "the cloud" : "the local server, which runs without --local,",
                                  server_is_in_local_mode(config, target), &why);
        if (r < 0)
                fail(b, l, "There is not enough memory to look at the webhook. Free some, then try again.");
        else if (r != WEBHOOK_GOOD)
                check_list_add(l, "webhook", b->name, CHECK_FAIL, "%s%s", why,
                               target == SEAT_CLOUD || r == WEBHOOK_BAD_URL
                                               ? ""
                                               : " If the server does run with --local, name its directory with "
                                                 "LocalFiles= in tgswitch.conf.");
        return r == WEBHOOK_GOOD;
}

/* It would have to be kept in this bot's record, and be told to whoever has the webhook (L7). */
static bool has_no_others_token(const Bot *b, const WebhookSettings *s, CheckList *l)
{
        const Bot *other = bot_whose_token_is_in(b, s->url);

        if (other)
                check_list_add(l, "webhook", b->name, CHECK_FAIL,
                               "The webhook's URL has the token of another bot in it, %s: set the webhook to one "
                               "without, and if others may have seen it, have @BotFather revoke that token.",
                               other->name);
        return !other;
}

void check_webhook(const Bot *b, Seat target, const WebhookSettings *s, CheckList *l)
{
        int connections = webhook_connections(s->max_connections, server_is_in_local_mode(b->manager->config, target));
        bool good = true;

        if (isempty(s->url)) {
                check_list_add(l, "webhook", b->name, CHECK_PASS, "The bot polls: no webhook is set.");
                return;
        }
        /* Each says what it has to, so that all is mended at once. */
        good = secret_is_there(b, l) && good;
        good = certificate_is_there(b, s, l) && good;
        good = has_no_others_token(b, s, l) && good;
        good = target_takes_it(b, target, s, l) && good;
        if (!good)
                return;
        if (connections < s->max_connections)
                check_list_add(l, "webhook", b->name, CHECK_PASS,
                               "The webhook can be set again, with max_connections %d in place of %d: the %s server "
                               "allows no more.",
                               connections, s->max_connections, seat_to_string(target));
        else
                check_list_add(l, "webhook", b->name, CHECK_PASS, "The webhook can be set again.");
}
