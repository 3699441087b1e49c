/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>

#include "base/macro.h"

/* The sockets of one pool of connections. libcurl 7.88 uses a kept connection again though something has come on it
 * since its last answer was whole, and takes that for the answer to what it sends next. Which socket a request is about
 * to go to, it does not tell (CURLINFO_ACTIVESOCKET is set later); only the ports, right before
 * (CURLOPT_PREREQFUNCTION(3)). */

typedef struct CurlSockets {
        int *fds;
        size_t n, allocated;
} CurlSockets;

/* When every connection of the pool has been closed. */
void curl_sockets_done(CurlSockets *s);

/* Has the handle's connections be opened and closed here; `s` has to outlast the pool. Returns 0 or -ENOMEM. */
int curl_sockets_track(CurlSockets *s, CURL *easy) _must_check_;

/* For a CURLOPT_PREREQFUNCTION: whether the handle is about to use a kept connection on which bytes wait to be read.
 * The end of a connection alone does not count. */
bool curl_sockets_answer_is_there(const CurlSockets *s, CURL *easy, int local_port, int remote_port);
