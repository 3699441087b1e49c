/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>

#include "base/macro.h"
#include "base/time-util.h"

/* What every HTTP request of ours has in common, whoever is asked: https with a verified certificate where the URL says
 * https, no proxy, whatever the environment says, no redirect, one deadline, and an answer that is taken only if it is
 * whole and within its bounds. Knows nothing of what is asked. */

typedef struct CurlReply {
        size_t body_size_max; /* the caller's to set */
        char *body;           /* NULL: empty */
        size_t body_size, body_allocated;
        size_t headers_size;
        bool headers_whole;
        bool headers_too_large, body_too_large; /* and the rest was not read */
        char error[CURL_ERROR_SIZE];            /* libcurl's own words; "": none */
} CurlReply;

/* Sets the options of a handle for one request, and has `reply`, which is empty, take what comes back: it has to stay
 * where it is as long as the handle. A deadline of more than a day counts as a day. Returns 0 or -ENOMEM. */
int curl_reply_expect(CurlReply *reply, CURL *easy, usec_t timeout_usec) _must_check_;

/* What the transfer has come to: `result` as libcurl tells it, or CURLE_PARTIAL_FILE where it takes an answer that
 * ended in the middle of its header lines for one without a body. Sets headers_too_large also where libcurl itself has
 * found a line too long. */
CURLcode curl_reply_result(CurlReply *reply, CURL *easy, CURLcode result);

/* Wipes the answer, which may name what was in the request. The reply is empty then, its bound as before. */
void curl_reply_done(CurlReply *reply);
