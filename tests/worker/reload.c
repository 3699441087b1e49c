/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "reload.h"

#define ROOT_SIZE_MAX 1024u

static socklen_t address_of(pid_t pid, struct sockaddr_un *ret)
{
        int n;

        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        n = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "telegram-worker/%d", (int) pid);
        return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) n);
}

int reload_listen(void)
{
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address;
        socklen_t size = address_of(getpid(), &address);

        if (fd < 0 || bind(fd, (struct sockaddr *) &address, size) < 0 || listen(fd, 4) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int reload_take(int listen_fd, char **ret_root)
{
        _cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        char root[ROOT_SIZE_MAX];
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = recv(fd, root, sizeof(root) - 1, 0);
        if (n <= 0)
                return n < 0 ? -errno : -ECONNRESET;
        /* The message ends with a newline, so that it is never empty. */
        root[n] = '\0';
        root[strcspn(root, "\n")] = '\0';
        *ret_root = strdup(root);
        if (!*ret_root)
                return -ENOMEM;
        return TAKE_FD(fd);
}

void reload_done(int fd)
{
        (void) send(fd, "\n", 1, MSG_NOSIGNAL);
        close(fd);
}

int reload_tell(pid_t pid, const char *root)
{
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct sockaddr_un address;
        socklen_t size = address_of(pid, &address);
        char message[ROOT_SIZE_MAX], answer;
        ssize_t n;

        snprintf(message, sizeof(message), "%s\n", root);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, size) < 0 ||
            send(fd, message, strlen(message), MSG_NOSIGNAL) < 0 || kill(pid, SIGHUP) < 0)
                return -errno;
        n = recv(fd, &answer, 1, 0);
        if (n < 0)
                return -errno;
        return n == 1 ? 0 : -ECONNRESET;
}
