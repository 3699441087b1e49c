/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/epoll.h>

#include "clock.h"
#include "curl-loop.h"

struct CurlLoop {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer;
};

struct CurlCall {
        CurlLoop *loop;
        CURL *easy;
        struct curl_slist *headers, *connect_to;
        curl_handler handler;
        void *userdata;
};

static void loop_reap(CurlLoop *loop)
{
        CURLMsg *message;
        int n_left;

        while ((message = curl_multi_info_read(loop->multi, &n_left))) {
                CURLcode result = message->data.result;
                CurlCall *call = NULL;
                long status = 0;

                if (message->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
                if (result == CURLE_OK)
                        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
                call->handler(call->userdata, result, status);
                curl_call_free(call);
        }
}

static int on_socket_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        CurlLoop *loop = userdata;
        int what = 0, n_running;

        if (revents & (EPOLLIN | EPOLLHUP))
                what |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                what |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                what |= CURL_CSELECT_ERR;
        (void) curl_multi_socket_action(loop->multi, fd, what, &n_running);
        loop_reap(loop);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        CurlLoop *loop = userdata;
        int n_running;

        (void) curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
        loop_reap(loop);
        return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_userdata)
{
        CurlLoop *loop = userdata;
        sd_event_source *source = socket_userdata;
        uint32_t events = 0;

        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(source);
                return 0;
        }
        if (what != CURL_POLL_OUT)
                events |= EPOLLIN;
        if (what != CURL_POLL_IN)
                events |= EPOLLOUT;

        if (source)
                return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
        if (sd_event_add_io(loop->event, &source, fd, events, on_socket_io, loop) < 0)
                return -1;
        (void) curl_multi_assign(loop->multi, fd, source);
        return 0;
}

static int on_curl_timeout(CURLM *multi, long timeout_msec, void *userdata)
{
        CurlLoop *loop = userdata;

        if (timeout_msec < 0)
                return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        (void) sd_event_source_set_time(loop->timer, clock_now_usec() + (uint64_t) timeout_msec * USEC_PER_MSEC);
        return sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

int curl_loop_new(CurlLoop **ret, sd_event *event)
{
        _cleanup_(curl_loop_freep) CurlLoop *loop = NULL;
        int r;

        loop = calloc(1, sizeof(*loop));
        if (!loop)
                return -ENOMEM;
        loop->event = sd_event_ref(event);
        loop->multi = curl_multi_init();
        if (!loop->multi)
                return -ENOMEM;
        r = sd_event_add_time(event, &loop->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, loop);
        if (r < 0)
                return r;

        (void) curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        (void) curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
        (void) curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
        (void) curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
        *ret = TAKE_PTR(loop);
        return 0;
}

CurlLoop *curl_loop_free(CurlLoop *loop)
{
        if (!loop)
                return NULL;

        if (loop->multi)
                curl_multi_cleanup(loop->multi);
        sd_event_source_disable_unref(loop->timer);
        sd_event_unref(loop->event);
        free(loop);
        return NULL;
}

static size_t on_answer(char *data, size_t size, size_t n, void *userdata)
{
        return size * n;
}

static void call_set_trust(CurlCall *call, const CurlPost *post)
{
        struct curl_blob pem = {
                .data = (void *) post->certificate,
                .len = post->certificate ? strlen(post->certificate) : 0,
                .flags = CURL_BLOB_COPY,
        };

        curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYPEER, post->unchecked ? 0L : 1L);
        curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYHOST, post->unchecked ? 0L : 2L);
        if (!post->certificate)
                return;
        /* Not the system's authorities besides. */
        curl_easy_setopt(call->easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(call->easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(call->easy, CURLOPT_CAINFO_BLOB, &pem);
}

static int call_set_address(CurlCall *call, const char *address)
{
        bool ipv6 = address && strchr(address, ':');
        _cleanup_free_ char *mapping = NULL;

        if (!address)
                return 0;
        if (asprintf(&mapping, ipv6 ? "::[%s]:" : "::%s:", address) < 0)
                return -ENOMEM;
        call->connect_to = curl_slist_append(NULL, mapping);
        if (!call->connect_to)
                return -ENOMEM;
        curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
        return 0;
}

int curl_loop_post(CurlLoop *loop, CurlCall **ret, const CurlPost *post, struct curl_slist *headers,
                   curl_handler handler, void *userdata)
{
        CurlCall *call = calloc(1, sizeof(*call));

        assert(call);
        *call = (CurlCall){
                .loop = loop, .easy = curl_easy_init(), .headers = headers, .handler = handler, .userdata = userdata
        };
        if (!call->easy || call_set_address(call, post->address) < 0) {
                curl_call_free(call);
                return -ENOMEM;
        }

        curl_easy_setopt(call->easy, CURLOPT_URL, post->url);
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, post->body);
        curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, post->timeout_msec);
        curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https");
        call_set_trust(call, post);
        curl_easy_setopt(call->easy, CURLOPT_PROXY, "");
        curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_answer);
        curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
        if (curl_multi_add_handle(loop->multi, call->easy) != CURLM_OK) {
                curl_call_free(call);
                return -EIO;
        }
        *ret = call;
        return 0;
}

CurlCall *curl_call_free(CurlCall *call)
{
        if (!call)
                return NULL;

        if (call->easy) {
                (void) curl_multi_remove_handle(call->loop->multi, call->easy);
                curl_easy_cleanup(call->easy);
        }
        curl_slist_free_all(call->headers);
        curl_slist_free_all(call->connect_to);
        free(call);
        return NULL;
}
