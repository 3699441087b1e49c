/* SPDX-License-Identifier: MIT */
#include "io/curl-reply.h"

#define CONNECT_TIMEOUT_MSEC 10000
#define TIMEOUT_USEC_MAX     (24 * USEC_PER_HOUR)
#define HEADERS_SIZE_MAX     ((size_t) 64 * 1024)

#if LIBCURL_VERSION_NUM < 0x080600
#define CURLE_TOO_LARGE ((CURLcode) 100)
#endif

/* ---- callbacks of libcurl: they note what came in ---- */

/* Called for each line. libcurl takes an answer that ends in the middle of these for one without a body; so the empty
 * line that ends them is looked for here. */
static size_t on_curl_header(char *data, size_t size, size_t n, void *userdata)
{
        CurlReply *reply = userdata;

        size *= n;
        reply->headers_size += size;
        if (reply->headers_size > HEADERS_SIZE_MAX) {
                reply->headers_too_large = true;
                return 0;
        }
        if (size >= 5 && memcmp(data, "HTTP/", 5) == 0)
                reply->headers_whole = false; /* what came before was an interim answer */
        else if (data[0] == '\r' || data[0] == '\n')
                reply->headers_whole = true;
        return size;
}

/* Not realloc(), which leaves a copy where the bytes were. */
static int body_grow(CurlReply *reply, size_t size)
{
        char *grown = malloc(size);

        if (!grown)
                return -ENOMEM;
        if (reply->body) {
                memcpy(grown, reply->body, reply->body_size);
                explicit_bzero(reply->body, reply->body_size);
                free(reply->body);
        }
        reply->body = grown;
        reply->body_allocated = size;
        return 0;
}

/* Returning less than it was given makes libcurl end the transfer. */
static size_t on_curl_body(char *data, size_t size, size_t n, void *userdata)
{
        CurlReply *reply = userdata;

        size *= n;
        if (size > reply->body_size_max - reply->body_size) {
                reply->body_too_large = true;
                return 0;
        }
        if (size > reply->body_allocated - reply->body_size &&
            body_grow(reply, MAX(reply->body_size + size, reply->body_allocated * 2)) < 0)
                return 0;
        memcpy(reply->body + reply->body_size, data, size);
        reply->body_size += size;
        return size;
}

/* ---- the handle ---- */

static const struct {
        CURLoption option;
        long value;
} long_options[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
        { CURLOPT_FOLLOWLOCATION, 0 },
        { CURLOPT_NETRC, CURL_NETRC_IGNORED },
        /* Ending a transfer whose name look-up is stuck must not wait for that look-up: its thread is left
         * to end alone and frees what it has. */
        { CURLOPT_QUICK_EXIT, 1 },
};

int curl_reply_expect(CurlReply *reply, CURL *easy, usec_t timeout_usec)
{
        long msec = (long) ((MIN(timeout_usec, TIMEOUT_USEC_MAX) + USEC_PER_MSEC - 1) / USEC_PER_MSEC);

        FOREACH_ELEMENT(o, long_options)
                if (curl_easy_setopt(easy, o->option, o->value) != CURLE_OK)
                        return -ENOMEM;
        if (curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK || /* not even one that the environment names */
            curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, msec) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, MIN(msec, CONNECT_TIMEOUT_MSEC)) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reply->error) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_curl_header) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_HEADERDATA, reply) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_curl_body) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_WRITEDATA, reply) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

CURLcode curl_reply_result(CurlReply *reply, CURL *easy, CURLcode result)
{
        curl_off_t first_byte_usec = 0;

        /* It keeps a line of 100 KiB at most, and calls a longer one a lack of memory. */
        if ((result == CURLE_OUT_OF_MEMORY || result == CURLE_TOO_LARGE) && !reply->headers_whole) {
                (void) curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_usec);
                reply->headers_too_large = first_byte_usec > 0;
        }
        return result == CURLE_OK && !reply->headers_whole ? CURLE_PARTIAL_FILE : result;
}

void curl_reply_done(CurlReply *reply)
{
        if (reply->body)
                explicit_bzero(reply->body, reply->body_size);
        free(reply->body);
        *reply = (CurlReply){ .body_size_max = reply->body_size_max };
}
