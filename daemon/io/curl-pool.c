/* SPDX-License-Identifier: MIT */

#include "io/curl-pool.h"

static void unset_resting(CurlPool *p)
{
        if (!p->resting)
                return;
        p->resting = false;
        if (p->resting_previous)
                p->resting_previous->resting_next = p->resting_next;
        else
                p->all->resting_first = p->resting_next;
        if (p->resting_next)
                p->resting_next->resting_previous = p->resting_previous;
        else
                p->all->resting_last = p->resting_previous;
}

static void watch_rest(CurlPools *all);

/* One timer for all: the list's first has rested the longest. */
static void on_timer(void *userdata)
{
        CurlPools *all = userdata;
        usec_t now_usec = clock_boottime_usec();

        all->timer = clock_timer_free(all->timer);
        while (all->resting_first && now_usec - all->resting_first->rests_since_usec >= all->rest_max_usec)
                curl_pool_done(all->resting_first);
        watch_rest(all);
}

static void watch_rest(CurlPools *all)
{
        usec_t rested_usec;

        if (!all->resting_first || all->timer)
                return;
        rested_usec = usec_sub(clock_boottime_usec(), all->resting_first->rests_since_usec);
        /* Without it they stay open until the next transfer. */
        (void) !clock_timer_new(&all->timer, all->event, usec_sub(all->rest_max_usec, rested_usec), on_timer, all);
}

static void forget_if_done(CurlPools *all)
{
        if (!all->forget || all->n_transfers > 0)
                return;
        all->forget = false;
        curl_glue_forget(all->glue);
}

int curl_pool_begin(CurlPool *p)
{
        unset_resting(p);
        p->unneeded = false;
        forget_if_done(p->all);
        if (!p->connections) {
                p->connections = curl_share_init();
                if (!p->connections)
                        return -ENOMEM;
                if (curl_share_setopt(p->connections, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) != CURLSHE_OK) {
                        (void) curl_share_cleanup(TAKE_PTR(p->connections));
                        return -ENOMEM;
                }
        }
        p->n_transfers++;
        p->all->n_transfers++;
        return 0;
}

/* Debian's libcurl looks for authorities in a file with all of them, and in a directory besides. With the directory it
 * does not keep what it has read (7.88's lib/vtls/openssl.c, cached_x509_store_expired() and those around it), and each
 * connection would parse the file anew: 30 ms of CPU time and 2 MiB of memory. */
static int read_certificates_once(CURL *easy)
{
        const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);

        return !built->cainfo || curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK ? 0 : -ENOMEM;
}

int curl_pool_add(CurlPool *p, CURL *easy, bool encrypted)
{
        int r = read_certificates_once(easy);

        if (r < 0)
                return r;
        if (curl_easy_setopt(easy, CURLOPT_SHARE, p->connections) != CURLE_OK)
                return -ENOMEM;
        if (encrypted && !p->encrypted) {
                p->encrypted = true;
                p->all->n_encrypted++;
        }
        return curl_sockets_track(&p->sockets, easy);
}

void curl_pool_end(CurlPool *p)
{
        CurlPools *all = p->all;

        all->n_transfers--;
        if (--p->n_transfers > 0)
                return;
        if (p->unneeded) {
                curl_pool_done(p);
                return;
        }
        p->resting = true;
        p->rests_since_usec = clock_boottime_usec();
        p->resting_previous = all->resting_last;
        p->resting_next = NULL;
        if (all->resting_last)
                all->resting_last->resting_next = p;
        else
                all->resting_first = p;
        all->resting_last = p;
        watch_rest(all);
}

void curl_pool_hang_up(CurlPool *p)
{
        p->unneeded = true;
        if (p->n_transfers == 0)
                curl_pool_done(p);
}

void curl_pool_done(CurlPool *p)
{
        assert(p->n_transfers == 0);
        unset_resting(p);
        p->unneeded = false;
        (void) curl_share_cleanup(TAKE_PTR(p->connections));
        curl_sockets_done(&p->sockets);
        if (!p->encrypted)
                return;
        p->encrypted = false;
        p->all->forget = --p->all->n_encrypted == 0;
        forget_if_done(p->all);
}

void curl_pools_done(CurlPools *all)
{
        assert(!all->resting_first);
        all->timer = clock_timer_free(all->timer);
}
