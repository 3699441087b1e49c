/* SPDX-License-Identifier: MIT */
#include <microhttpd.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "clock.h"
#include "http-server.h"
#include "http-reply.h"

#define BODY_SIZE_MAX   (16 * 1024 * 1024)
#define CONNECTIONS_MAX 4096
#define TAG_SIZE        48
#define LAST_TURNS      4
/* libmicrohttpd asks for another turn as long as a connection has a step to go, but also all the time that a TLS
 * handshake waits for its client. So after an event it gets a few turns at once, then one a millisecond. */
#define TURNS_AT_ONCE   8
#define TURN_PAUSE_MSEC 1

/* A connection, as long as libmicrohttpd knows it. */
typedef struct HttpConnection {
        HttpServer *server;
        struct HttpConnection *next;
        uint64_t id;
        struct sockaddr_in peer;
        HttpRequest *active;
        char tag[TAG_SIZE]; /* of the last answer */
} HttpConnection;

struct HttpRequest {
        HttpServer *server;
        HttpConnection *home;
        struct MHD_Connection *connection;
        char *path, *verb;
        char *body;
        size_t body_size;
        json_object *arguments, *json, *files;
        char tag[TAG_SIZE];
        void *userdata;
        struct MHD_Response *response;
        unsigned status;
        bool dispatched, suspended, reset, too_large;
};

struct HttpServer {
        sd_event *event;
        Front *front;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *timer, *post;
        HttpHandlers handlers;
        HttpConnection *connections;
        unsigned n_turns; /* since the last event that was not our own timer */
        bool by_timer;    /* was dispatched last */
        /* The front's number for the connection that is being handed to libmicrohttpd right now. */
        uint64_t arriving;
        struct sockaddr_in arriving_peer;
};

static HttpRequest *request_free(HttpRequest *request)
{
        if (!request)
                return NULL;

        if (request->response)
                MHD_destroy_response(request->response);
        json_object_put(request->arguments);
        json_object_put(request->json);
        json_object_put(request->files);
        free(request->path);
        free(request->verb);
        free(request->body);
        free(request);
        return NULL;
}

static HttpRequest *request_new(HttpServer *server, struct MHD_Connection *connection, const char *path,
                                const char *verb)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        HttpRequest *request = calloc(1, sizeof(*request));

        assert(request && info && info->socket_context);
        request->server = server;
        request->home = info->socket_context;
        request->home->active = request;
        request->connection = connection;
        request->path = strdup(path);
        request->verb = strdup(verb);
        assert(request->path && request->verb);
        return request;
}

static void request_add_body(HttpRequest *request, const char *data, size_t size)
{
        char *body;

        if (request->body_size + size > BODY_SIZE_MAX) {
                request->too_large = true;
                return;
        }
        body = realloc(request->body, request->body_size + size + 1);
        assert(body);
        request->body = body;
        memcpy(body + request->body_size, data, size);
        request->body_size += size;
        body[request->body_size] = '\0';
}

static enum MHD_Result on_query_argument(void *userdata, enum MHD_ValueKind kind, const char *key, const char *value)
{
        HttpRequest *request = userdata;

        json_set_text(request->arguments, key, value ?: "");
        return MHD_YES;
}

static enum MHD_Result on_form_argument(void *userdata, enum MHD_ValueKind kind, const char *key, const char *filename,
                                        const char *content_type, const char *transfer_encoding, const char *data,
                                        uint64_t offset, size_t size)
{
        HttpRequest *request = userdata;
        json_object *object = filename ? request->files : request->arguments;
        const char *before = offset > 0 ? json_get_text(object, key) : NULL;
        _cleanup_free_ char *value = NULL;

        if (asprintf(&value, "%s%.*s", before ?: "", (int) size, data ?: "") < 0)
                return MHD_NO;
        json_set_text(object, key, value);
        return MHD_YES;
}

/* Arguments that come as JSON keep their text: `["message"]` for a list, `5` for a number. */
static void request_take_json_arguments(HttpRequest *request)
{
        if (!json_object_is_type(request->json, json_type_object))
                return;

        json_object_object_foreach(request->json, key, value)
        {
                json_set_text(request->arguments, key,
                              json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                           : json_plain(value));
        }
}

static void request_parse(HttpRequest *request)
{
        struct MHD_PostProcessor *form;

        request->arguments = json_object_new_object();
        request->files = json_object_new_object();
        (void) MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, on_query_argument, request);
        if (request->body_size == 0)
                return;

        form = MHD_create_post_processor(request->connection, 64 * 1024, on_form_argument, request);
        if (form) {
                (void) MHD_post_process(form, request->body, request->body_size);
                (void) MHD_destroy_post_processor(form);
        }
        request->json = json_parse(request->body, request->body_size);
        request_take_json_arguments(request);
}

static enum MHD_Result on_access(void *userdata, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *upload, size_t *upload_size, void **context)
{
        HttpServer *server = userdata;
        HttpRequest *request = *context;

        if (!request) {
                *context = request_new(server, connection, url, method);
                return MHD_YES;
        }
        if (*upload_size > 0) {
                request_add_body(request, upload, *upload_size);
                *upload_size = 0;
                return MHD_YES;
        }

        if (!request->dispatched) {
                request->dispatched = true;
                request_parse(request);
                if (request->too_large)
                        http_request_reply_text(request, 413, NULL, "");
                else
                        server->handlers.on_request(server->handlers.userdata, request);
                if (!request->response && !request->reset) {
                        request->suspended = true;
                        MHD_suspend_connection(connection);
                        return MHD_YES;
                }
        }

        if (!request->response)
                return MHD_NO;
        return MHD_queue_response(connection, request->status, request->response);
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
        HttpServer *server = userdata;
        HttpRequest *request = *context;

        if (!request)
                return;

        *context = NULL;
        request->home->active = NULL;
        memcpy(request->home->tag, request->tag, TAG_SIZE);
        if (request->dispatched)
                server->handlers.on_done(server->handlers.userdata, request,
                                         request->response && code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
        request_free(request);
}

static void on_connection_notify(void *userdata, struct MHD_Connection *connection, void **context,
                                 enum MHD_ConnectionNotificationCode code)
{
        HttpServer *server = userdata;
        HttpConnection *home = *context;

        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                home = calloc(1, sizeof(*home));
                assert(home);
                home->server = server;
                home->id = server->arriving;
                home->peer = server->arriving_peer;
                home->next = server->connections;
                server->connections = home;
                *context = home;
                return;
        }

        for (HttpConnection **slot = &server->connections; *slot; slot = &(*slot)->next)
                if (*slot == home) {
                        *slot = home->next;
                        break;
                }
        if (server->handlers.on_closed)
                server->handlers.on_closed(server->handlers.userdata, home->id);
        free(home);
        *context = NULL;
}

static FrontWelcome on_front_accept(void *userdata)
{
        HttpServer *server = userdata;

        return server->handlers.on_accept ? server->handlers.on_accept(server->handlers.userdata) : FRONT_WELCOME_PASS;
}

static int on_front_connection(void *userdata, uint64_t connection, int fd, const struct sockaddr_in *peer)
{
        HttpServer *server = userdata;

        server->arriving = connection;
        server->arriving_peer = *peer;
        /* Closes fd itself where it refuses. */
        return MHD_add_connection(server->daemon, fd, (const struct sockaddr *) peer, sizeof(*peer)) == MHD_YES
                               ? 0
                               : -ECONNREFUSED;
}

static void request_wake(HttpRequest *request)
{
        if (!request->suspended)
                return;
        request->suspended = false;
        MHD_resume_connection(request->connection);
}

/* libmicrohttpd does not look at suspended connections: a request that waits learns from here that nobody
 * waits for it any more. */
static void on_front_closed(void *userdata, uint64_t connection, bool lost)
{
        HttpServer *server = userdata;

        for (HttpConnection *home = server->connections; home; home = home->next)
                if (home->id == connection) {
                        if (lost && !home->active && home->tag[0] != '\0' && server->handlers.on_lost)
                                server->handlers.on_lost(server->handlers.userdata, home->tag);
                        if (home->active)
                                request_wake(home->active);
                        return;
                }
}

static void server_run(HttpServer *server)
{
        MHD_UNSIGNED_LONG_LONG timeout_msec = 0;

        (void) MHD_run(server->daemon);
        if (MHD_get_timeout(server->daemon, &timeout_msec) != MHD_YES) {
                (void) sd_event_source_set_enabled(server->timer, SD_EVENT_OFF);
                return;
        }
        if (timeout_msec == 0 && ++server->n_turns > TURNS_AT_ONCE)
                timeout_msec = TURN_PAUSE_MSEC;
        (void) sd_event_source_set_time(server->timer, clock_now_usec() + timeout_msec * USEC_PER_MSEC);
        (void) sd_event_source_set_enabled(server->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        /* on_post() comes next. */
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        HttpServer *server = userdata;

        server->by_timer = true;
        return 0;
}

static int on_post(sd_event_source *source, void *userdata)
{
        HttpServer *server = userdata;

        if (!server->by_timer)
                server->n_turns = 0;
        server->by_timer = false;
        server_run(server);
        return 0;
}

static int server_watch(HttpServer *server)
{
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        int r;

        if (!info || info->epoll_fd < 0)
                return -EIO;

        r = sd_event_add_io(server->event, &server->io, info->epoll_fd, EPOLLIN, on_io, server);
        if (r < 0)
                return r;
        r = sd_event_add_time(server->event, &server->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, server);
        if (r < 0)
                return r;
        /* Whatever a timer or another connection made ready to go out goes out in the same turn of the loop.
         */
        return sd_event_add_post(server->event, &server->post, on_post, server);
}

static struct MHD_Daemon *daemon_start(HttpServer *server, const char *certificate, const char *key)
{
        struct MHD_OptionItem options[] = {
                { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t) on_completed, server },
                { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t) on_connection_notify, server },
                { MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL },
                { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) certificate },
                { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) key },
                { MHD_OPTION_END, 0, NULL },
        };
        unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;

        if (certificate)
                flags |= MHD_USE_TLS;
        else
                options[3].option = MHD_OPTION_END;
        return MHD_start_daemon(flags, 0, NULL, NULL, on_access, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

int http_server_new(HttpServer **ret, sd_event *event, const struct sockaddr_in *address, const char *certificate,
                    const char *key, const HttpHandlers *handlers)
{
        _cleanup_(http_server_freep) HttpServer *server = NULL;
        FrontHandlers front_handlers;
        int r;

        server = calloc(1, sizeof(*server));
        if (!server)
                return -ENOMEM;
        server->event = sd_event_ref(event);
        server->handlers = *handlers;

        server->daemon = daemon_start(server, certificate, key);
        if (!server->daemon)
                return -EIO;
        r = server_watch(server);
        if (r < 0)
                return r;

        front_handlers = (FrontHandlers){
                .on_accept = on_front_accept,
                .on_connection = on_front_connection,
                .on_closed = on_front_closed,
                .userdata = server,
        };
        r = front_new(&server->front, event, address, &front_handlers);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(server);
        return 0;
}

HttpServer *http_server_free(HttpServer *server)
{
        if (!server)
                return NULL;

        /* libmicrohttpd may not be stopped while a connection is suspended. */
        for (HttpConnection *home = server->connections; home; home = home->next)
                if (home->active) {
                        home->active->reset = true;
                        request_wake(home->active);
                }
        /* A few turns for the last answers: each takes the state machine of a connection one step on. */
        for (size_t i = 0; i < LAST_TURNS && server->front; i++) {
                (void) MHD_run(server->daemon);
                front_flush(server->front);
        }
        server->front = front_free(server->front);
        sd_event_source_disable_unref(server->io);
        sd_event_source_disable_unref(server->timer);
        sd_event_source_disable_unref(server->post);
        if (server->daemon) {
                (void) MHD_run(server->daemon);
                MHD_stop_daemon(server->daemon);
        }
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

Front *http_server_front(HttpServer *server)
{
        return server->front;
}

const char *http_request_path(const HttpRequest *request)
{
        return request->path;
}

const char *http_request_verb(const HttpRequest *request)
{
        return request->verb;
}

const char *http_request_header(const HttpRequest *request, const char *name)
{
        return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

json_object *http_request_arguments(HttpRequest *request)
{
        return request->arguments;
}

json_object *http_request_files(HttpRequest *request)
{
        return request->files;
}

json_object *http_request_json(HttpRequest *request)
{
        return request->json;
}

uint64_t http_request_connection(const HttpRequest *request)
{
        return request->home->id;
}

uint64_t http_request_arrived_usec(const HttpRequest *request)
{
        return front_arrived_usec(request->server->front, request->home->id);
}

const struct sockaddr_in *http_request_peer(const HttpRequest *request)
{
        return &request->home->peer;
}

void http_request_set_userdata(HttpRequest *request, void *userdata)
{
        request->userdata = userdata;
}

void *http_request_userdata(const HttpRequest *request)
{
        return request->userdata;
}

void http_request_set_tag(HttpRequest *request, const char *tag)
{
        (void) snprintf(request->tag, sizeof(request->tag), "%s", tag);
}

void http_request_reply(HttpRequest *request, const HttpReply *reply)
{
        assert(!request->response && !request->reset);

        request->status = reply->status;
        request->response = http_reply_to_response(reply);
        if (reply->manner == HTTP_TRICKLED)
                front_set_pace(request->server->front, request->home->id, reply->interval_usec);
        assert(request->response);
        request_wake(request);
}

void http_request_reply_text(HttpRequest *request, unsigned status, const char *content_type, const char *body)
{
        HttpReply reply = { .status = status, .content_type = content_type, .body = body, .size = strlen(body) };

        http_request_reply(request, &reply);
}

void http_request_reset(HttpRequest *request)
{
        request->reset = true;
        front_reset(request->server->front, request->home->id);
        request_wake(request);
}

void http_request_close(HttpRequest *request)
{
        request->reset = true;
        request_wake(request);
}

const char *http_request_tag(const HttpRequest *request)
{
        return request->tag;
}

bool http_request_answered(const HttpRequest *request)
{
        return request->response;
}
