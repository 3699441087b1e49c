/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* Who gets what at the credential socket, and when. */

/* Settings that only count since there are no better ones do not take a worker away from the bot that has it now. */
static Bot *bot_of_worker(Manager *m, const char *unit)
{
        Bot *b = workers_find(&m->workers, unit, NULL, true);

        return b ?: workers_find(&m->workers, unit, NULL, false);
}

static CredentialVerdict refuse(const Bot *b, const CredentialPeer *peer, const char *why)
{
        if (b)
                bot_log_unit(b, LOG_WARNING, LOG_EVENT_GATE_REFUSED, peer->unit, "Refused the credential %s to %s: %s",
                             peer->id, peer->unit, why);
        else
                log_event(LOG_WARNING, LOG_EVENT_GATE_REFUSED, peer->unit, "Refused the credential %s to %s: %s",
                          peer->id, peer->unit, why);
        return CREDENTIAL_REFUSE;
}

/* Told once for each unit as long as the gate is closed; and not where only a record has to be written first. */
static CredentialVerdict hold(Bot *b, const CredentialPeer *peer)
{
        bool for_server = bot_seat(b) == SEAT_LOCAL && b->manager->server_call;

        if ((!cutover_facts(b->record.state)->gate_open || for_server) && !early_start_has(b, peer->unit) &&
            strv_extend_unique(&b->at_gate, peer->unit) > 0)
                bot_log_unit(b, LOG_NOTICE, LOG_EVENT_GATE_HELD, peer->unit, "%s waits at the gate until %s.",
                             peer->unit,
                             for_server ? "the local server runs" : "it is settled where the bot is logged in");
        return CREDENTIAL_HOLD;
}

static CredentialVerdict serve(const char *data, size_t size, char **ret_data, size_t *ret_size)
{
        char *copy = malloc(size + 1);

        if (!copy)
                return CREDENTIAL_HOLD;
        memcpy(copy, data, size);
        *ret_data = copy;
        *ret_size = size;
        return CREDENTIAL_SERVE;
}

static bool takes_spool(const Bot *b, const char *unit)
{
        return b->config && b->config->spool_to && unit_name_matches(b->config->spool_to, unit) && !delivery_applies(b);
}

static CredentialVerdict serve_pending_updates(Bot *b, const CredentialPeer *peer, char **ret_data, size_t *ret_size)
{
        const char *part;
        uint64_t n;
        size_t size;

        if (!takes_spool(b, peer->unit))
                return serve("[]", 2, ret_data, ret_size);
        /* Between two parts there is none; handover.c asks again when the next one has been read. */
        part = b->part_ready && !b->part_by_webhook ? spool_part(b->spool, &size, &n) : NULL;
        if (!part) {
                handover_wanted(b);
                return CREDENTIAL_HOLD;
        }
        b->part_sent_updates = n;
        return serve(part, size, ret_data, ret_size);
}

CredentialVerdict gate_decide(const CredentialPeer *peer, char **ret_data, size_t *ret_size, void *userdata)
{
        Manager *m = userdata;
        Bot *b = bot_of_worker(m, peer->unit);
        const char *token, *root;

        if (!b)
                return refuse(NULL, peer,
                              "no bot's configuration names this unit with Worker=. Add it, or take the "
                              "drop-in with LoadCredential= out of the unit.");
        if (!b->record_ok)
                return refuse(b, peer, b->error ?: "no memory");
        if (!b->token)
                return refuse(b, peer, "there is no usable token. Store it with 'tgswitchctl set-token'.");
        if (b->record.seat == SEAT_UNDECLARED)
                return refuse(b, peer,
                              "nobody has said where the bot is logged in. Set InitialSeat= in its file in "
                              "bots.d/ and run 'systemctl reload tgswitchd'.");
        if (!bot_gate_open(b))
                return hold(b, peer);
        b->at_gate = strv_free(b->at_gate);

        if (streq(peer->id, "bot-token")) {
                token = bot_token_reveal(b->token);
                return serve(token, strlen(token), ret_data, ret_size);
        }
        if (streq(peer->id, "bot-endpoint")) {
                root = bot_root(b, bot_seat(b));
                return serve(root, strlen(root), ret_data, ret_size);
        }
        if (streq(peer->id, "bot-pending-updates"))
                return serve_pending_updates(b, peer, ret_data, ret_size);
        return refuse(b, peer,
                      "there is no such credential; there are bot-token, bot-endpoint and "
                      "bot-pending-updates.");
}

void gate_served(const CredentialPeer *peer, void *userdata)
{
        Bot *b = bot_of_worker(userdata, peer->unit);

        if (b && streq(peer->id, "bot-pending-updates") && takes_spool(b, peer->unit))
                handover_served(b);
}

void gate_reconsider(Bot *b)
{
        credential_socket_reconsider(b->manager->gate);
        delivery_go_on(b);
}

void gate_reconsider_all(Manager *m)
{
        credential_socket_reconsider(m->gate);
        for (size_t i = 0; i < m->n_bots; i++)
                delivery_go_on(m->bots[i]);
}
