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

/* Takes over headers. The body is copied, the answer's body is thrown away; certificates are not checked. */
int curl_loop_post(CurlLoop *loop, CurlCall **ret, const char *url, struct curl_slist *headers, const char *body,
                   long timeout_msec, curl_handler handler, void *userdata);
/* Cancels: the handler is not called. */
CurlCall *curl_call_free(CurlCall *call);
