/* SPDX-License-Identifier: MIT */

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/time-util.h"
#include "io/curl-glue.h"

/* Without a number libcurl keeps four times as many connections as there are transfers, so that the pool
 * would shrink under those that rest between two requests. */
#define CONNECTIONS_IDLE_MAX 64L

typedef struct GlueSocket GlueSocket;

struct GlueSocket {
        CurlGlue *glue;
        sd_event_source *source;
        GlueSocket *previous, *next;
};

struct CurlGlue {
        sd_event *event;
        sd_event_source *timer;
        CURLM *multi; /* NULL: there has been no transfer, or what was kept of them is forgotten */
        GlueSocket *sockets;
        curl_glue_done_t done;
        void *userdata;
};

static int errno_of(CURLMcode code)
{
        switch (code) {
        case CURLM_OK:
                return 0;
        case CURLM_OUT_OF_MEMORY:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

/* There is no caller to return an error to: the loop ends with it. */
static int glue_fail(CurlGlue *g, int r)
{
        (void) sd_event_exit(g->event, r);
        return r;
}

static int glue_act(CurlGlue *g, curl_socket_t fd, int what)
{
        int n;

        CURLMcode code = curl_multi_socket_action(g->multi, fd, what, &n);
        if (code != CURLM_OK)
                return glue_fail(g, errno_of(code));

        /* One wake-up may finish any number of transfers, and there is no second one for the rest. */
        for (CURLMsg *m; (m = curl_multi_info_read(g->multi, &n));)
                if (m->msg == CURLMSG_DONE)
                        g->done(m->easy_handle, m->data.result, g->userdata); /* m is gone with the handle */
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        GlueSocket *s = userdata;
        int what = 0;

        if (revents & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
                what |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                what |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                what |= CURL_CSELECT_ERR;
        return glue_act(s->glue, fd, what);
}

/* Too early by a fraction of a millisecond is all right: libcurl looks at its own clock and asks again. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        return glue_act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static GlueSocket *glue_socket_free(GlueSocket *s)
{
        if (!s)
                return NULL;

        if (s->previous)
                s->previous->next = s->next;
        else
                s->glue->sockets = s->next;
        if (s->next)
                s->next->previous = s->previous;
        sd_event_source_disable_unref(s->source);
        free(s);
        return NULL;
}

static int glue_socket_new(CurlGlue *g, curl_socket_t fd, uint32_t events)
{
        GlueSocket *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;

        *s = (GlueSocket){ .glue = g, .next = g->sockets };
        if (g->sockets)
                g->sockets->previous = s;
        g->sockets = s;

        int r = sd_event_add_io(g->event, &s->source, fd, events, on_io, s);
        if (r >= 0)
                r = errno_of(curl_multi_assign(g->multi, fd, s));
        if (r < 0)
                glue_socket_free(s);
        return r;
}

/* libcurl tells of a removal before it closes the descriptor, so epoll never holds one that is closed. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket)
{
        static const uint32_t events[] = {
                [CURL_POLL_NONE] = 0,
                [CURL_POLL_IN] = EPOLLIN,
                [CURL_POLL_OUT] = EPOLLOUT,
                [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
        };
        CurlGlue *g = userdata;
        GlueSocket *s = socket;
        int r;

        if (what == CURL_POLL_REMOVE) {
                glue_socket_free(s);
                return 0;
        }

        assert(what >= 0 && (size_t) what < ELEMENTSOF(events));
        if (s)
                r = sd_event_source_set_io_events(s->source, events[what]);
        else
                r = glue_socket_new(g, fd, events[what]);
        if (r < 0) {
                (void) glue_fail(g, r);
                return -1; /* libcurl gives up all its transfers */
        }
        return 0;
}

static int on_curl_timer(CURLM *multi, long timeout_msec, void *userdata)
{
        CurlGlue *g = userdata;
        int r;

        if (timeout_msec < 0)
                r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
        else {
                r = sd_event_source_set_time_relative(g->timer, (usec_t) timeout_msec * USEC_PER_MSEC);
                if (r >= 0)
                        r = sd_event_source_set_enabled(g->timer, SD_EVENT_ONESHOT);
        }
        if (r < 0) {
                (void) glue_fail(g, r);
                return -1;
        }
        return 0;
}

static int glue_set_up_multi(CurlGlue *g)
{
        CURLM *multi = curl_multi_init();
        CURLMcode code;

        if (!multi)
                return -ENOMEM;

        if ((code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket)) != CURLM_OK ||
            (code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, g)) != CURLM_OK ||
            (code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer)) != CURLM_OK ||
            (code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, g)) != CURLM_OK ||
            (code = curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING)) != CURLM_OK ||
            (code = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_IDLE_MAX)) != CURLM_OK) {
                (void) curl_multi_cleanup(multi);
                return errno_of(code);
        }
        g->multi = multi;
        return 0;
}

static int ignore_sigpipe(void)
{
        struct sigaction sa;

        if (sigaction(SIGPIPE, NULL, &sa) < 0)
                return -errno;
        if (sa.sa_handler != SIG_DFL)
                return 0;
        sa.sa_handler = SIG_IGN;
        return sigaction(SIGPIPE, &sa, NULL) < 0 ? -errno : 0;
}

int curl_glue_new(CurlGlue **ret, sd_event *event, curl_glue_done_t done, void *userdata)
{
        _cleanup_(curl_glue_freep) CurlGlue *g = NULL;
        int r;

        r = ignore_sigpipe();
        if (r < 0)
                return r;
        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        *g = (CurlGlue){ .event = sd_event_ref(event), .done = done, .userdata = userdata };

        /* CLOCK_MONOTONIC is what libcurl measures its own deadlines with. It asks in milliseconds, but 0 means now, as
         * it does for each new transfer, and sd-event makes use of all the delay that the accuracy leaves it. */
        r = sd_event_add_time(event, &g->timer, CLOCK_MONOTONIC, 0, 1, on_timer, g);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(g);
        return 0;
}

CurlGlue *curl_glue_free(CurlGlue *g)
{
        if (!g)
                return NULL;

        curl_glue_forget(g);
        for (GlueSocket *s = g->sockets, *next; s; s = next) {
                next = s->next;
                glue_socket_free(s);
        }
        sd_event_source_disable_unref(g->timer);
        sd_event_unref(g->event);
        free(g);
        return NULL;
}

int curl_glue_add(CurlGlue *g, CURL *easy)
{
        int r = g->multi ? 0 : glue_set_up_multi(g);

        if (r >= 0)
                r = errno_of(curl_multi_add_handle(g->multi, easy));
        /* Where a connection is open the request leaves now, and not after whatever else this turn of the loop does. */
        return r < 0 ? r : glue_act(g, CURL_SOCKET_TIMEOUT, 0);
}

void curl_glue_remove(CurlGlue *g, CURL *easy)
{
        (void) curl_multi_remove_handle(g->multi, easy);
}

/* libcurl lets go of the certificates with the multi handle alone: CURLOPT_CA_CACHE_TIMEOUT(3) only says when they are
 * read anew. They are ten thousands of small pieces, which malloc() would keep for later ones. */
void curl_glue_forget(CurlGlue *g)
{
        if (!g->multi)
                return;
        (void) curl_multi_cleanup(TAKE_PTR(g->multi)); /* may still call on_curl_socket() and on_curl_timer() */
        (void) malloc_trim(0);
}

int curl_glue_append(struct curl_slist **list, const char *text)
{
        struct curl_slist *longer = curl_slist_append(*list, text);

        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}
