/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "http-reply.h"

#define BLOCK_SIZE 16384

/* A body that is made piece by piece. */
typedef struct Stream {
        HttpManner manner;
        size_t size;
        char body[];
} Stream;

static ssize_t on_read(void *userdata, uint64_t position, char *buffer, size_t max)
{
        Stream *stream = userdata;
        size_t half = stream->size / 2;

        switch (stream->manner) {

        case HTTP_TRUNCATED:
                if (position >= half)
                        return MHD_CONTENT_READER_END_WITH_ERROR;
                memcpy(buffer, stream->body + position, MIN(max, half - position));
                return (ssize_t) MIN(max, half - position);

        case HTTP_ENDLESS:
        case HTTP_VAST:
                memset(buffer, ' ', max);
                return (ssize_t) max;

        default:
                return MHD_CONTENT_READER_END_WITH_ERROR;
        }
}

static uint64_t size_of(const HttpReply *reply)
{
        switch (reply->manner) {
        case HTTP_ENDLESS:
                return MHD_SIZE_UNKNOWN;
        case HTTP_VAST:
                return reply->length;
        default:
                return reply->size;
        }
}

static struct MHD_Response *stream_response(const HttpReply *reply)
{
        Stream *stream = malloc(sizeof(*stream) + reply->size);

        if (!stream)
                return NULL;
        *stream = (Stream){ .manner = reply->manner, .size = reply->size };
        memcpy(stream->body, reply->body, reply->size);
        return MHD_create_response_from_callback(size_of(reply), BLOCK_SIZE, on_read, stream, free);
}

struct MHD_Response *http_reply_to_response(const HttpReply *reply)
{
        struct MHD_Response *response;
        char number[24];

        if (reply->manner == HTTP_WHOLE || reply->manner == HTTP_TRICKLED)
                response = MHD_create_response_from_buffer(reply->size, (void *) reply->body, MHD_RESPMEM_MUST_COPY);
        else
                response = stream_response(reply);
        if (!response)
                return NULL;

        if (reply->content_type)
                (void) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
        if (reply->location)
                (void) MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, reply->location);
        if (reply->retry_after_sec > 0) {
                (void) snprintf(number, sizeof(number), "%" PRIi64, reply->retry_after_sec);
                (void) MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, number);
        }
        return response;
}
