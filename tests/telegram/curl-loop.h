/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "base/macro.h"

/* libcurl's multi interface on sd-event: POST requests that call back. */
typedef struct CurlLoop CurlLoop;
typedef struct CurlCall CurlCall;

/* status is 0 where result isn't CURLE_OK. The call is freed after this. */
typedef void (*curl_handler)(void *userdata, CURLcode result, long status);

int curl_loop_new(CurlLoop **ret, sd_event *event);
/* Every call has to be over or freed. */
CurlLoop *curl_loop_free(CurlLoop *loop);
DEFINE_CLEANUP(CurlLoop *, curl_loop_free);

typedef struct CurlPost {
        const char *url;
        const char *address; /* where to connect to, whatever the URL's host; NULL: where that leads */
        const char *body;
        bool unchecked;          /* any certificate will do */
        const char *certificate; /* PEM: this one, or one that it signed, and no other; NULL: the system's authorities
                                  */
        long timeout_msec;
} CurlPost;

/* Takes over headers. All else is copied, the answer's body is thrown away. */
int curl_loop_post(CurlLoop *loop, CurlCall **ret, const CurlPost *post, struct curl_slist *headers,
                   curl_handler handler, void *userdata);
/* Cancels: the handler is not called. */
CurlCall *curl_call_free(CurlCall *call);
