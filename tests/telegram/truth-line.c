/* SPDX-License-Identifier: MIT */
#include <sys/socket.h>

#include "clock.h"
#include "line-channel.h"
#include "truth-line.h"

#define RETRY_USEC  (100 * USEC_PER_MSEC)
#define BACKLOG_MAX 100000

struct TruthLine {
        sd_event *event;
        struct sockaddr_in address;
        const char *api_id, *api_hash;
        Settings *settings;
        FaultList *faults;
        Engine *engine;
        LineChannel *channel;
        bool through; /* the truth has answered on this channel */
        sd_event_source *retry;
        json_object *backlog; /* entries for the ledger */
};

static json_object *message_new(const char *type, const char *token)
{
        json_object *message = json_object_new_object();

        json_set_text(message, "type", type);
        json_set_text(message, "token", token);
        return message;
}

static void send_entry(TruthLine *line, json_object *entry)
{
        json_object *message = message_new("entry", NULL);

        json_object_object_add(message, "entry", entry);
        line_channel_send(line->channel, message);
}

static void handle_record(void *userdata, json_object *entry)
{
        TruthLine *line = userdata;

        if (line->through)
                send_entry(line, entry);
        else if (json_object_array_length(line->backlog) < BACKLOG_MAX)
                json_object_array_add(line->backlog, entry);
        else
                json_object_put(entry);
}

static void handle_login(void *userdata, const char *token, bool again)
{
        TruthLine *line = userdata;
        json_object *message;

        if (!line->through)
                return; /* asked again by engine_reconnected() */
        message = message_new("login", token);
        json_set_bool(message, "again", again);
        line_channel_send(line->channel, message);
}

static void handle_logout(void *userdata, const char *token)
{
        TruthLine *line = userdata;

        if (line->through)
                line_channel_send(line->channel, message_new("logout", token));
}

static void on_fault_match(void *userdata, const Fault *fault)
{
        TruthLine *line = userdata;
        json_object *message;

        if (!line->through)
                return;
        message = message_new("matched", NULL);
        json_set_int(message, "fault", fault->id);
        json_set_int(message, "matched", fault->matched);
        json_set_int(message, "fired", fault->fired);
        line_channel_send(line->channel, message);
}

static void take_config(TruthLine *line, json_object *message)
{
        json_object *settings = NULL, *faults = NULL;
        bool first = !line->through;

        if (json_object_object_get_ex(message, "settings", &settings))
                (void) settings_apply(line->settings, settings);
        if (json_object_object_get_ex(message, "faults", &faults))
                fault_list_replace(line->faults, faults);
        line->through = true;
        engine_refresh(line->engine);
        if (!first)
                return;

        for (size_t i = 0; i < json_object_array_length(line->backlog); i++)
                send_entry(line, json_object_get(json_object_array_get_idx(line->backlog, i)));
        json_object_put(line->backlog);
        line->backlog = json_object_new_array();
        engine_reconnected(line->engine);
}

static void on_message(void *userdata, json_object *message)
{
        TruthLine *line = userdata;
        const char *type = json_get_text(message, "type") ?: "", *token = json_get_text(message, "token");

        if (streq(type, "config")) {
                take_config(line, message);
        } else if (!token) {
                return;
        } else if (streq(type, "login-done")) {
                engine_login_done(line->engine, token, login_result_from_string(json_get_text(message, "result")),
                                  json_get_text(message, "username"), json_get_int(message, "retry_after", 0));
        } else if (streq(type, "logout-done")) {
                engine_logout_done(line->engine, token, json_get_bool(message, "young", false));
        } else if (streq(type, "session-lost")) {
                engine_session_lost(line->engine, token);
        } else if (streq(type, "update")) {
                engine_add_update(line->engine, token, json_get_int(message, "uid", 0), json_get_text(message, "body"));
        }
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static void retry_later(TruthLine *line)
{
        line->retry = sd_event_source_disable_unref(line->retry);
        if (sd_event_add_time_relative(line->event, &line->retry, CLOCK_MONOTONIC, RETRY_USEC, 1, on_retry, line) < 0)
                abort();
}

static void on_end(void *userdata)
{
        TruthLine *line = userdata;

        line->channel = line_channel_free(line->channel);
        line->through = false;
        retry_later(line);
}

static void line_connect(TruthLine *line)
{
        LineHandlers handlers = { .on_message = on_message, .on_end = on_end, .userdata = line };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        json_object *hello;

        if (fd < 0) {
                retry_later(line);
                return;
        }
        if ((connect(fd, (struct sockaddr *) &line->address, sizeof(line->address)) < 0 && errno != EINPROGRESS) ||
            line_channel_new(&line->channel, line->event, fd, &handlers) < 0) {
                close(fd);
                retry_later(line);
                return;
        }
        hello = message_new("hello", NULL);
        json_set_text(hello, "api_id", line->api_id);
        json_set_text(hello, "api_hash", line->api_hash);
        json_set_int(hello, "port", engine_port(line->engine));
        line_channel_send(line->channel, hello);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        TruthLine *line = userdata;

        line_connect(line);
        return 0;
}

int truth_line_new(TruthLine **ret, sd_event *event, const struct sockaddr_in *address, const char *api_id,
                   const char *api_hash, Settings *settings, FaultList *faults)
{
        TruthLine *line = calloc(1, sizeof(*line));

        if (!line)
                return -ENOMEM;
        *line = (TruthLine){
                .event = sd_event_ref(event),
                .address = *address,
                .api_id = api_id,
                .api_hash = api_hash,
                .settings = settings,
                .faults = faults,
                .backlog = json_object_new_array(),
        };
        faults->on_match = on_fault_match;
        faults->userdata = line;
        *ret = line;
        return 0;
}

TruthLine *truth_line_free(TruthLine *line)
{
        if (!line)
                return NULL;

        if (line->through)
                line_channel_flush(line->channel);
        line_channel_free(line->channel);
        sd_event_source_disable_unref(line->retry);
        json_object_put(line->backlog);
        sd_event_unref(line->event);
        free(line);
        return NULL;
}

EngineHandlers truth_line_handlers(TruthLine *line)
{
        return (EngineHandlers){
                .record = handle_record, .login = handle_login, .logout = handle_logout, .userdata = line
        };
}

void truth_line_start(TruthLine *line, Engine *engine)
{
        line->engine = engine;
        line_connect(line);
}
