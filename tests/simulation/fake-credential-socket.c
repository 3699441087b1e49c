/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "daemon.h"
#include "judge.h"
#include "systemd.h"

/* io/credential-socket.h, and the connections that units hold to it. */

struct CredentialSocket {
        CredentialSocketHandlers handlers;
        size_t connections_max;
        size_t n_accepted;
        sd_event_source *reconsider_source;
        Event *accept_event;
};

Connection *gate_connections;
static CredentialSocket *gate;
static uint64_t last_number;

/* ---- the unit's side ---- */

static void unlink_connection(Connection *c)
{
        for (Connection **slot = &gate_connections; *slot; slot = &(*slot)->next)
                if (*slot == c) {
                        *slot = c->next;
                        break;
                }
        if (c->accepted && gate)
                gate->n_accepted--;
        c->accepted = c->held = false;
        c->next = NULL;
}

Connection *connection_new(Unit *u, const char *id)
{
        Connection *c = calloc(1, sizeof(Connection)), **last = &gate_connections;

        assert(c);
        c->unit = u;
        snprintf(c->peer.unit, sizeof(c->peer.unit), "%s", u->name);
        snprintf(c->peer.id, sizeof(c->peer.id), "%s", id);
        c->number = ++last_number;
        while (*last)
                last = &(*last)->next;
        *last = c;
        return c;
}

Connection *connection_close(Connection *c)
{
        if (!c)
                return NULL;
        unlink_connection(c);
        timeline_cancel(c->event);
        if (c->unit->connection == c)
                c->unit->connection = NULL;
        free(c->data);
        free(c);
        return NULL;
}

static void on_answered(void *userdata)
{
        Connection *c = userdata;
        Unit *u = c->unit;
        _cleanup_free_ char *data = TAKE_PTR(c->data);
        size_t size = c->size;
        CredentialPeer peer = c->peer;

        c->event = NULL;
        connection_close(c);
        unit_credential(u, peer.id, data, size);
}

void connection_answer(Connection *c, const char *data, size_t size)
{
        unlink_connection(c);
        c->data = malloc(size + 1);
        assert(c->data);
        if (size > 0)
                memcpy(c->data, data, size);
        c->size = size;
        c->event = timeline_add(random_span(20, 2000), PLACE_HOST, on_answered, c);
}

/* ---- the daemon's side ---- */

static void decide(CredentialSocket *s, Connection *c)
{
        _cleanup_free_ char *data = NULL;
        CredentialPeer peer = c->peer;
        CredentialVerdict verdict;
        size_t size = 0;

        verdict = s->handlers.decide(&c->peer, &data, &size, s->handlers.userdata);
        if (verdict == CREDENTIAL_HOLD) {
                c->held = true;
                return;
        }
        /* It leaves the FD store before the first byte: who dies here leaves an empty credential. */
        if (daemon_dies_here("a credential")) {
                if (c->held || random_chance(500)) {
                        if (c->unit->main_is_next && streq(c->peer.id, "bot-pending-updates"))
                                judge_cut(c->unit->bot);
                        connection_answer(c, NULL, 0);
                }
                return;
        }
        judge_bytes(streq(c->peer.id, "bot-token") ? c->unit->bot : NULL, "a credential", data, size);
        connection_answer(c, data, verdict == CREDENTIAL_SERVE ? size : 0);
        if (verdict == CREDENTIAL_SERVE && s->handlers.served)
                s->handlers.served(&peer, s->handlers.userdata);
}

static void on_accept(void *userdata)
{
        CredentialSocket *s = userdata;

        s->accept_event = NULL;
        daemon_touch();
        for (Connection *c = gate_connections, *next; c && !daemon_is_dead(); c = next) {
                next = c->next;
                if (c->accepted || s->n_accepted >= s->connections_max)
                        continue;
                c->accepted = true;
                s->n_accepted++;
                decide(s, c);
        }
}

void gate_connected(void)
{
        if (gate && !gate->accept_event)
                gate->accept_event = timeline_add(random_span(20, 500), PLACE_HOST, on_accept, gate);
}

static int on_reconsider(sd_event_source *source, void *userdata)
{
        CredentialSocket *s = userdata;

        for (Connection *c = gate_connections, *next; c && !daemon_is_dead(); c = next) {
                next = c->next;
                if (c->accepted)
                        decide(s, c);
        }
        gate_connected();
        return 0;
}

int credential_socket_new(CredentialSocket **ret, sd_event *event, int listen_fd, size_t connections_max,
                          const CredentialSocketHandlers *handlers)
{
        CredentialSocket *s = calloc(1, sizeof(CredentialSocket));
        int r;

        if (!s)
                return -ENOMEM;
        s->handlers = *handlers;
        s->connections_max = connections_max;
        r = sd_event_add_defer(event, &s->reconsider_source, on_reconsider, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->reconsider_source, SD_EVENT_OFF);
        assert(r >= 0);
        gate = s;
        gate_connected();
        *ret = s;
        return 0;
}

CredentialSocket *credential_socket_free(CredentialSocket *s)
{
        if (!s)
                return NULL;
        timeline_cancel(s->accept_event);
        sd_event_source_disable_unref(s->reconsider_source);
        free(s);
        gate = NULL;
        return NULL;
}

/* What systemd keeps in the FD store waits for the next process, what was not accepted yet in the socket's queue. */
void gate_process_died(void)
{
        for (Connection *c = gate_connections; c; c = c->next)
                c->accepted = false;
}

bool credential_socket_owns_name(const char *name)
{
        return startswith(name, "credential-");
}

int credential_socket_adopt(CredentialSocket *s, int fd, const char *name)
{
        uint64_t number = strtoull(name + strlen("credential-"), NULL, 16);

        for (Connection *c = gate_connections; c; c = c->next)
                if (c->held && c->number == number) {
                        c->accepted = true;
                        s->n_accepted++;
                        credential_socket_reconsider(s);
                        return 0;
                }
        return 0;
}

void credential_socket_reconsider(CredentialSocket *s)
{
        int r = sd_event_source_set_enabled(s->reconsider_source, SD_EVENT_ONESHOT);

        assert(r >= 0);
}

size_t credential_socket_n_held(const CredentialSocket *s)
{
        size_t n = 0;

        for (Connection *c = gate_connections; c; c = c->next)
                n += c->accepted && c->held;
        return n;
}

bool credential_socket_is_asked_by(const CredentialSocket *s, const char *unit)
{
        for (const Connection *c = gate_connections; c; c = c->next)
                if (!c->accepted || streq(c->peer.unit, unit))
                        return true;
        return false;
}
