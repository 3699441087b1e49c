/* SPDX-License-Identifier: MIT */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "line-channel.h"
#include "truth-port.h"

/* The messages. From the server: hello (api_id, api_hash, port), login (token, again), logout (token), entry
 * (a ledger entry), matched (fault, matched, fired). To it: config (settings, faults), login-done (token,
 * result, username, retry_after), logout-done (token, young), session-lost (token), update (token, uid,
 * body). */

struct TruthPort {
        sd_event *event;
        Truth *truth;
        Ledger *ledger;
        const Settings *settings;
        FaultList *faults;
        int listen_fd;
        uint16_t number;
        sd_event_source *listen_io;
        LineChannel *channel;
        bool greeted;
        char *api_id, *api_hash;
};

static json_object *message_new(const char *type, const char *token)
{
        json_object *message = json_object_new_object();

        json_set_text(message, "type", type);
        json_set_text(message, "token", token);
        return message;
}

static void send_login_done(void *userdata, const char *token, LoginResult result, const char *username,
                            int64_t retry_after_sec)
{
        TruthPort *port = userdata;
        json_object *message = message_new("login-done", token);

        json_set_text(message, "result", login_result_to_string(result));
        json_set_text(message, "username", username);
        json_set_int(message, "retry_after", retry_after_sec);
        line_channel_send(port->channel, message);
}

static void send_logout_done(void *userdata, const char *token, bool young)
{
        TruthPort *port = userdata;
        json_object *message = message_new("logout-done", token);

        json_set_bool(message, "young", young);
        line_channel_send(port->channel, message);
}

static void send_session_lost(void *userdata, const char *token)
{
        TruthPort *port = userdata;

        line_channel_send(port->channel, message_new("session-lost", token));
}

static void send_update(void *userdata, const char *token, int64_t uid, const char *body)
{
        TruthPort *port = userdata;
        json_object *message = message_new("update", token);

        json_set_int(message, "uid", uid);
        json_set_text(message, "body", body);
        line_channel_send(port->channel, message);
}

void truth_port_refresh(TruthPort *port)
{
        json_object *message;

        if (!port->greeted)
                return;
        message = message_new("config", NULL);
        json_object_object_add(message, "settings", settings_to_json(port->settings));
        json_object_object_add(message, "faults", fault_list_to_json(port->faults));
        line_channel_send(port->channel, message);
}

static void greet(TruthPort *port, json_object *hello)
{
        TruthServer server = {
                .login_done = send_login_done,
                .logout_done = send_logout_done,
                .session_lost = send_session_lost,
                .update = send_update,
                .userdata = port,
        };
        json_object *entry;

        free(port->api_id);
        free(port->api_hash);
        port->api_id = strdup(json_get_text(hello, "api_id") ?: "");
        port->api_hash = strdup(json_get_text(hello, "api_hash") ?: "");
        assert(port->api_id && port->api_hash);
        port->greeted = true;
        truth_attach(port->truth, ROLE_LOCAL, &server);
        entry = ledger_entry_for("server-start", "local", 0);
        json_set_int(entry, "port", json_get_int(hello, "port", 0));
        ledger_add(port->ledger, entry);
        truth_port_refresh(port);
}

static void take_entry(TruthPort *port, json_object *entry)
{
        const char *event = json_get_text(entry, "event");

        if (streq_ptr(event, "update-queued") || streq_ptr(event, "update-dropped"))
                truth_acknowledge(port->truth, ROLE_LOCAL, json_get_int(entry, "bot", 0),
                                  json_get_int(entry, "uid", 0));
        ledger_add(port->ledger, json_object_get(entry));
}

static void on_message(void *userdata, json_object *message)
{
        TruthPort *port = userdata;
        const char *type = json_get_text(message, "type") ?: "", *token = json_get_text(message, "token");
        json_object *entry = NULL;
        Fault *fault;

        if (streq(type, "hello")) {
                if (!port->greeted)
                        greet(port, message);
        } else if (streq(type, "login") && token) {
                truth_login(port->truth, ROLE_LOCAL, token, json_get_bool(message, "again", false), port->api_id,
                            port->api_hash);
        } else if (streq(type, "logout") && token) {
                truth_logout(port->truth, ROLE_LOCAL, token);
        } else if (streq(type, "entry") && json_object_object_get_ex(message, "entry", &entry)) {
                take_entry(port, entry);
        } else if (streq(type, "matched")) {
                fault = fault_list_find(port->faults, json_get_int(message, "fault", 0));
                if (fault) {
                        fault->matched = MAX(fault->matched, json_get_int(message, "matched", 0));
                        fault->fired = MAX(fault->fired, json_get_int(message, "fired", 0));
                }
        }
}

static void on_end(void *userdata)
{
        TruthPort *port = userdata;

        port->channel = line_channel_free(port->channel);
        if (!port->greeted)
                return;
        port->greeted = false;
        truth_detach(port->truth, ROLE_LOCAL);
        ledger_add(port->ledger, ledger_entry_for("server-stop", "local", 0));
}

static int on_listen_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        TruthPort *port = userdata;
        LineHandlers handlers = { .on_message = on_message, .on_end = on_end, .userdata = port };
        int line_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (line_fd < 0)
                return 0;
        /* A server that comes while another is there takes its place, as one whose end we have not seen yet.
         */
        if (port->channel)
                on_end(port);
        if (line_channel_new(&port->channel, port->event, line_fd, &handlers) < 0)
                close(line_fd);
        return 0;
}

int truth_port_new(TruthPort **ret, sd_event *event, const struct sockaddr_in *address, Truth *truth, Ledger *ledger,
                   const Settings *settings, FaultList *faults)
{
        _cleanup_(truth_port_freep) TruthPort *port = calloc(1, sizeof(*port));
        struct sockaddr_in bound = *address;
        socklen_t size = sizeof(bound);
        int one = 1, r;

        assert(port);
        port->event = sd_event_ref(event);
        port->truth = truth;
        port->ledger = ledger;
        port->settings = settings;
        port->faults = faults;
        port->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (port->listen_fd < 0)
                return -errno;
        (void) setsockopt(port->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(port->listen_fd, (struct sockaddr *) &bound, size) < 0 || listen(port->listen_fd, SOMAXCONN) < 0 ||
            getsockname(port->listen_fd, (struct sockaddr *) &bound, &size) < 0)
                return -errno;
        port->number = ntohs(bound.sin_port);
        r = sd_event_add_io(event, &port->listen_io, port->listen_fd, EPOLLIN, on_listen_io, port);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(port);
        return 0;
}

TruthPort *truth_port_free(TruthPort *port)
{
        if (!port)
                return NULL;

        sd_event_source_disable_unref(port->listen_io);
        closep(&port->listen_fd);
        line_channel_free(port->channel);
        free(port->api_id);
        free(port->api_hash);
        sd_event_unref(port->event);
        free(port);
        return NULL;
}

uint16_t truth_port_number(const TruthPort *port)
{
        return port->number;
}

bool truth_port_connected(const TruthPort *port)
{
        return port->greeted;
}
