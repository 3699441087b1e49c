/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>

#include "core/botapi-reply.h"
#include "core/webhook-answer.h"
#include "io/curl-glue.h"
#include "io/curl-reply.h"
#include "io/curl-sockets.h"
#include "io/webhook-client.h"

#define RETRY_AFTER_SEC_MAX 3600

struct WebhookClient {
        CurlGlue *glue;
        CurlSockets sockets;
        sd_event_source *turn; /* the handler is due */

        /* the post that is under way, or whose handler is due */
        CURL *easy; /* NULL: none */
        struct curl_slist *headers, *connect_to;
        char *url, *update;
        CurlReply reply;
        bool answer_was_there; /* and nothing was sent */
        CURLcode result;
        webhook_handler_t handler;
        void *userdata;
};

/* One of them holds the secret. */
static void wipe_and_free_list(struct curl_slist *list)
{
        for (struct curl_slist *l = list; l; l = l->next)
                explicit_bzero(l->data, strlen(l->data));
        curl_slist_free_all(list);
}

/* The next post begins like the first; the connection stays in the pool. */
static void forget_post(WebhookClient *c)
{
        if (c->easy) {
                curl_glue_remove(c->glue, c->easy);
                curl_easy_cleanup(TAKE_PTR(c->easy));
        }
        wipe_and_free_list(TAKE_PTR(c->headers));
        curl_slist_free_all(TAKE_PTR(c->connect_to));
        wipe_and_free(TAKE_PTR(c->url));
        free(TAKE_PTR(c->update));
        curl_reply_done(&c->reply);
}

/* ---- callbacks of libcurl: they note what happened ---- */

/* A second answer to an earlier update would be taken for that to this one, which nobody has read. */
static int on_curl_connected(void *userdata, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
        WebhookClient *c = userdata;

        c->answer_was_there = curl_sockets_answer_is_there(&c->sockets, c->easy, local_port, remote_port);
        return c->answer_was_there ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static void on_transfer_done(CURL *easy, CURLcode result, void *userdata)
{
        WebhookClient *c = userdata;

        c->result = curl_reply_result(&c->reply, easy, result);
        /* Now, as the glue demands; the handle is still good for what curl_easy_getinfo() tells. */
        curl_glue_remove(c->glue, easy);
        /* Can't fail: the source exists, and a defer source needs nothing of the kernel. */
        (void) sd_event_source_set_enabled(c->turn, SD_EVENT_ONESHOT);
}

/* ---- the answer ---- */

/* What libcurl says names the host at most. Should it ever name more, less is said. */
static char *transport_error(const WebhookClient *c)
{
        const char *host = strstr(c->url, "://") + strlen("://"), *path = host + strcspn(host, "/?#");
        const char *text = c->reply.error;

        if (c->reply.headers_too_large)
                text = "its answer is too large";
        else if (c->answer_was_there)
                text = "it had answered already, before it was asked";
        else if (isempty(text) || (strlen(path) > 1 && strstr(text, path)))
                text = curl_easy_strerror(c->result);
        return botapi_clean_text(text, CURL_ERROR_SIZE);
}

static bool body_is_json(const WebhookClient *c)
{
        static const char json[] = "application/json";
        char *type = NULL;

        (void) curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
        return type && strncasecmp(type, json, strlen(json)) == 0 && strchr("; \t", type[strlen(json)]);
}

/* Where memory is short the update counts as not accepted, and comes again. */
static int take_answer(const WebhookClient *c, WebhookAnswer *answer)
{
        curl_off_t retry_after = 0;
        long status = 0;

        if (c->result != CURLE_OK && !(c->result == CURLE_WRITE_ERROR && c->reply.body_too_large)) {
                answer->error = transport_error(c);
                return 0;
        }
        (void) curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        (void) curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after); /* 0: no such header */
        answer->status = (int) status;
        if (status < 200 || status > 299) {
                answer->retry_after_usec = (usec_t) MIN(MAX(retry_after, 0), RETRY_AFTER_SEC_MAX) * USEC_PER_SEC;
                return asprintf(&answer->error, "it answered HTTP %ld", status) < 0 ? -ENOMEM : 0;
        }
        if (!c->reply.body_too_large && body_is_json(c)) {
                int r = webhook_answer_call(c->reply.body, c->reply.body_size, &answer->method, &answer->arguments);
                if (r < 0)
                        return r;
        }
        answer->accepted = true;
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        WebhookClient *c = userdata;
        webhook_handler_t handler = c->handler;
        void *handler_userdata = c->userdata;
        WebhookAnswer answer = {};

        if (take_answer(c, &answer) < 0)
                answer.error = NULL;
        forget_post(c);
        handler(&answer, handler_userdata); /* may free the client */
        free(answer.error);
        free(answer.method);
        json_object_put(answer.arguments);
        return 0;
}

/* ---- a post ---- */

static int set_headers(WebhookClient *c, const WebhookPost *post)
{
        char *secret;
        int r;

        r = curl_glue_append(&c->headers, "Content-Type: application/json");
        if (r >= 0)
                r = curl_glue_append(&c->headers, "Expect:"); /* no waiting for 100 Continue */
        if (r < 0 || isempty(post->secret))
                return r;
        if (asprintf(&secret, "X-Telegram-Bot-Api-Secret-Token: %s", post->secret) < 0)
                return -ENOMEM;
        r = curl_glue_append(&c->headers, secret);
        wipe_and_free(secret);
        return r;
}

/* CURLOPT_CONNECT_TO(3): any host and port of this request, to that address with the port as it is. What is written
 * into the request and verified of the certificate stays the name. */
static int set_address(WebhookClient *c, const WebhookPost *post)
{
        _cleanup_free_ char *entry = NULL;

        if (isempty(post->ip_address))
                return 0;
        if (asprintf(&entry, strchr(post->ip_address, ':') ? "::[%s]:" : "::%s:", post->ip_address) < 0) {
                entry = NULL;
                return -ENOMEM;
        }
        if (curl_glue_append(&c->connect_to, entry) < 0 ||
            curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

static int set_trust(WebhookClient *c, const WebhookPost *post)
{
        struct curl_blob blob = { .flags = CURL_BLOB_COPY };

        if (!post->certificate)
                return 0;
        blob.data = (void *) post->certificate;
        blob.len = post->certificate_size;
        if (curl_easy_setopt(c->easy, CURLOPT_CAINFO_BLOB, &blob) != CURLE_OK ||
            curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

static int set_options(WebhookClient *c, const WebhookPost *post)
{
        CURL *e = c->easy;
        int r;

        if (curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_URL, c->url) != CURLE_OK || curl_easy_setopt(e, CURLOPT_POST, 1L) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) post->update_size) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->update) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_curl_connected) != CURLE_OK ||
            curl_easy_setopt(e, CURLOPT_PREREQDATA, c) != CURLE_OK)
                return -ENOMEM;
        r = curl_sockets_track(&c->sockets, e);
        if (r < 0)
                return r;
        r = curl_reply_expect(&c->reply, e, post->timeout_usec ?: WEBHOOK_TIMEOUT_USEC);
        if (r >= 0)
                r = set_address(c, post);
        if (r >= 0)
                r = set_trust(c, post);
        return r;
}

static int begin_post(WebhookClient *c, const WebhookPost *post)
{
        int r;

        c->answer_was_there = false;
        c->easy = curl_easy_init();
        c->url = strdup(post->url);
        c->update = malloc(MAX(post->update_size, 1u));
        if (!c->easy || !c->url || !c->update)
                return -ENOMEM;
        memcpy(c->update, post->update, post->update_size);
        r = set_headers(c, post);
        if (r >= 0)
                r = set_options(c, post);
        if (r >= 0)
                r = curl_glue_add(c->glue, c->easy);
        return r;
}

int webhook_client_post(WebhookClient *c, const WebhookPost *post, webhook_handler_t handler, void *userdata)
{
        int r;

        if (c->easy)
                return -EBUSY;
        if (strncasecmp(post->url, "https://", 8) != 0 && strncasecmp(post->url, "http://", 7) != 0)
                return -EINVAL;
        c->handler = handler;
        c->userdata = userdata;
        r = begin_post(c, post);
        if (r < 0)
                forget_post(c);
        return r;
}

/* ---- the client ---- */

int webhook_client_new(WebhookClient **ret, sd_event *event)
{
        _cleanup_(webhook_client_freep) WebhookClient *c = NULL;
        int r;

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counts; undone by webhook_client_free() */
                return -ENOMEM;
        c = calloc(1, sizeof(*c));
        if (!c) {
                curl_global_cleanup();
                return -ENOMEM;
        }
        c->reply.body_size_max = WEBHOOK_ANSWER_SIZE_MAX;
        r = curl_glue_new(&c->glue, event, on_transfer_done, c);
        if (r >= 0)
                r = sd_event_add_defer(event, &c->turn, on_turn, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->turn, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

WebhookClient *webhook_client_free(WebhookClient *c)
{
        if (!c)
                return NULL;

        forget_post(c);
        sd_event_source_disable_unref(c->turn);
        curl_glue_free(c->glue);
        curl_sockets_done(&c->sockets);
        free(c);
        curl_global_cleanup();
        return NULL;
}
