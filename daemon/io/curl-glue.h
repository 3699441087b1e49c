/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "base/macro.h"

/* libcurl's multi interface (curl_multi_socket_action(3)) on an sd-event loop, with a pool of idle
 * connections. Knows neither HTTP nor Telegram. What libcurl or the loop itself fails at, such as memory for
 * an event source, can't be told to any one transfer: sd_event_loop() then ends with that error. */

typedef struct CurlGlue CurlGlue;

/* One transfer is over. The handler has to give the handle back with curl_glue_remove(), may do whatever
 * libcurl allows with its own handles, and must leave the glue alone otherwise: libcurl is in the middle of
 * its list. */
typedef void (*curl_glue_done_t)(CURL *easy, CURLcode result, void *userdata);

/* Has the process ignore SIGPIPE unless it handles that signal: OpenSSL writes to sockets without
 * MSG_NOSIGNAL. */
int curl_glue_new(CurlGlue **ret, sd_event *event, curl_glue_done_t done, void *userdata) _must_check_;
CurlGlue *curl_glue_free(CurlGlue *g); /* its transfers must be gone */
DEFINE_CLEANUP(CurlGlue *, curl_glue_free);

/* Starts a transfer. No callback of the handle runs before the loop does. */
int curl_glue_add(CurlGlue *g, CURL *easy) _must_check_;

/* Ends a transfer, finished or not: one that is not closes its connection. Not from within a callback of
 * libcurl. */
void curl_glue_remove(CurlGlue *g, CURL *easy);

/* Gives back what libcurl keeps from one transfer to the next, above all the certificates of the authorities, which
 * take 2 MiB. There must be no transfer. */
void curl_glue_forget(CurlGlue *g);

/* Appends a copy to one of libcurl's lists. -ENOMEM: the list is as it was. */
int curl_glue_append(struct curl_slist **list, const char *text) _must_check_;
