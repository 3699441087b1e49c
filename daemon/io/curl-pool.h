/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "io/clock.h"
#include "io/curl-glue.h"
#include "io/curl-sockets.h"

/* Connections that one user of a shared multi handle keeps for itself, by libcurl's share interface
 * (libcurl-share(3)): nobody else's transfer takes one of them. They are closed when they have rested for long enough,
 * and with the last that was encrypted libcurl forgets the certificates it had read for them. */

typedef struct CurlPool CurlPool;

/* All pools of one event loop: they share the timer. */
typedef struct CurlPools {
        sd_event *event; /* borrowed, and so is the glue */
        CurlGlue *glue;
        usec_t rest_max_usec;
        size_t n_transfers;
        size_t n_encrypted;                     /* pools with encrypted connections */
        bool forget;                            /* what was kept for those, when there is no transfer */
        ClockTimer *timer;                      /* until the first of those that rest has done so for long enough */
        CurlPool *resting_first, *resting_last; /* have connections and no transfer; the longest first */
} CurlPools;

struct CurlPool {
        CurlPools *all;
        CURLSH *connections; /* NULL: there are none */
        CurlSockets sockets;
        size_t n_transfers;
        bool encrypted; /* one of them, at least */
        bool unneeded;  /* they don't rest: the last transfer closes them */
        bool resting;
        usec_t rests_since_usec; /* CLOCK_BOOTTIME */
        CurlPool *resting_previous, *resting_next;
};

/* Begins with `all` set and everything else zero. A transfer is between begin and end; its handle is given to the pool
 * in between, before it starts, and is gone at the end. -ENOMEM. */
int curl_pool_begin(CurlPool *p) _must_check_;
int curl_pool_add(CurlPool *p, CURL *easy, bool encrypted) _must_check_;
void curl_pool_end(CurlPool *p);

/* Closes what there is, at once or with the end of the last transfer, unless another begins before that. Not from
 * within a callback of libcurl. */
void curl_pool_hang_up(CurlPool *p);

/* Without any transfer: closes what there is. Not from within a callback of libcurl. */
void curl_pool_done(CurlPool *p);

/* When all pools are done. */
void curl_pools_done(CurlPools *all);
