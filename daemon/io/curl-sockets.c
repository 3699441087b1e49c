/* SPDX-License-Identifier: MIT */

#include <netinet/in.h>
#include <sys/socket.h>

#include "io/curl-sockets.h"

void curl_sockets_done(CurlSockets *s)
{
        free(s->fds);
        *s = (CurlSockets){};
}

static curl_socket_t on_curl_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
        CurlSockets *s = userdata;
        int fd;

        if (s->n == s->allocated) {
                size_t allocated = MAX(s->allocated * 2, 4u);
                int *grown = reallocarray(s->fds, allocated, sizeof(int));

                if (!grown)
                        return CURL_SOCKET_BAD;
                s->fds = grown;
                s->allocated = allocated;
        }
        fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
        if (fd < 0)
                return CURL_SOCKET_BAD;
        return s->fds[s->n++] = fd;
}

static int on_curl_close(void *userdata, curl_socket_t fd)
{
        CurlSockets *s = userdata;

        for (size_t i = 0; i < s->n; i++)
                if (s->fds[i] == fd) {
                        s->fds[i] = s->fds[--s->n];
                        break;
                }
        return close(fd);
}

int curl_sockets_track(CurlSockets *s, CURL *easy)
{
        if (curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_curl_open) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, s) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_curl_close) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, s) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

typedef union Address {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
} Address;

/* 0 where there is none, or the call for it has failed. */
static int port_of(int r, const Address *a)
{
        if (r < 0)
                return 0;
        return a->any.sa_family == AF_INET    ? ntohs(a->ipv4.sin_port)
               : a->any.sa_family == AF_INET6 ? ntohs(a->ipv6.sin6_port)
                                              : 0;
}

bool curl_sockets_answer_is_there(const CurlSockets *s, CURL *easy, int local_port, int remote_port)
{
        long n_connects = 0;

        (void) curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &n_connects);
        if (n_connects > 0)
                return false;
        for (size_t i = 0; i < s->n; i++) {
                Address local = {}, remote = {};
                socklen_t local_size = sizeof(local), remote_size = sizeof(remote);
                char byte;

                if (port_of(getsockname(s->fds[i], &local.any, &local_size), &local) == local_port &&
                    port_of(getpeername(s->fds[i], &remote.any, &remote_size), &remote) == remote_port &&
                    recv(s->fds[i], &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0)
                        return true;
        }
        return false;
}
