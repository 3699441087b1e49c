/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>

#include "receiver.h"

#define UPDATE_SIZE_MAX (1024u * 1024u)

struct Receiver {
        ReceiverSettings settings;
        struct MHD_Daemon *daemon;
};

typedef struct Post {
        char *body;
        size_t size;
} Post;

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *body)
{
        struct MHD_Response *response =
                        MHD_create_response_from_buffer(strlen(body), (void *) body, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result result;

        if (!response)
                return MHD_NO;
        if (!isempty(body))
                (void) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
        result = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return result;
}

/* The settings' file, as it is at this moment. The caller frees *ret_body, which may be NULL. */
static unsigned wanted_answer(const Receiver *r, char **ret_body)
{
        FILE *file = r->settings.answer_file ? fopen(r->settings.answer_file, "re") : NULL;
        unsigned status = MHD_HTTP_OK;
        size_t allocated = 0;

        *ret_body = NULL;
        if (!file)
                return status;
        if (fscanf(file, "%u\n", &status) != 1)
                status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        if (getdelim(ret_body, &allocated, '\0', file) < 0) {
                free(*ret_body);
                *ret_body = NULL;
        }
        fclose(file);
        return status;
}

static enum MHD_Result take_update(Receiver *r, struct MHD_Connection *connection, const Post *post)
{
        const char *secret =
                        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Telegram-Bot-Api-Secret-Token");
        _cleanup_free_ char *body = NULL;
        json_object *update;
        unsigned status;

        if (r->settings.secret && !streq_ptr(secret, r->settings.secret))
                return answer(connection, MHD_HTTP_UNAUTHORIZED, "");
        status = wanted_answer(r, &body);
        if (status < 200 || status > 299)
                return answer(connection, status, "");
        update = post->body ? json_tokener_parse(post->body) : NULL;
        if (!json_object_is_type(update, json_type_object)) {
                json_object_put(update);
                return answer(connection, MHD_HTTP_BAD_REQUEST, "");
        }
        r->settings.handle(update, r->settings.userdata);
        json_object_put(update);
        return answer(connection, status, body ?: "");
}

/* Called for the header lines, for each piece of the body, and for its end. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **request)
{
        Post *post = *request;
        char *grown;

        if (!post) {
                *request = calloc(1, sizeof(Post));
                return *request ? MHD_YES : MHD_NO;
        }
        if (*size == 0)
                return streq(method, MHD_HTTP_METHOD_POST) ? take_update(userdata, connection, post)
                                                           : answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "");
        if (*size > UPDATE_SIZE_MAX - post->size)
                return MHD_NO;
        grown = realloc(post->body, post->size + *size + 1);
        if (!grown)
                return MHD_NO;
        memcpy(grown + post->size, data, *size);
        post->body = grown;
        post->size += *size;
        grown[post->size] = '\0';
        *size = 0;
        return MHD_YES;
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why)
{
        Post *post = *request;

        if (post)
                free(post->body);
        free(post);
}

Receiver *receiver_new(const ReceiverSettings *settings)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = htons(settings->port),
        };
        Receiver *r = calloc(1, sizeof(Receiver));

        if (!r)
                return NULL;
        r->settings = *settings;
        r->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, settings->port, NULL, NULL, on_request, r,
                                     MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                                     MHD_OPTION_END);
        return r->daemon ? r : receiver_free(r);
}

Receiver *receiver_free(Receiver *r)
{
        if (!r)
                return NULL;
        if (r->daemon)
                MHD_stop_daemon(r->daemon);
        free(r);
        return NULL;
}
