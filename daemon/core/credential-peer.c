/* SPDX-License-Identifier: MIT */
#include <sys/un.h>

#include "core/credential-peer.h"
#include "core/unit-result.h"

#define RANDOM_DIGITS_MAX 16

/* The next part of the path, up to `separator` or, where that is '\0', to the end. NULL if it does not come,
 * or only after more than `size_max` bytes, or at once. */
static const char *part_end(const char *s, const char *end, char separator, size_t size_max)
{
        const char *e = separator ? memchr(s, separator, (size_t) (end - s)) : end;

        return e && e > s && (size_t) (e - s) <= size_max ? e : NULL;
}

/* What systemd takes as the name of a credential: a file name of printable ASCII without a colon. */
static bool id_is_valid(const char *id)
{
        if (streq(id, ".") || streq(id, ".."))
                return false;
        for (; *id; id++)
                if (*id < ' ' || *id > '~' || *id == ':' || *id == '/')
                        return false;
        return true;
}

int credential_peer_parse(const struct sockaddr *address, socklen_t size, CredentialPeer *ret)
{
        static const char middle[] = { '/', 'u', 'n', 'i', 't', '/' };
        struct sockaddr_un un = {};
        CredentialPeer peer = {};
        const char *p, *e, *end;

        /* An unnamed end has no path at all, a longer one was cut by getpeername(2). */
        if (size <= offsetof(struct sockaddr_un, sun_path) + 1 || size > sizeof(un))
                return -EINVAL;
        memcpy(&un, address, size);
        if (un.sun_family != AF_UNIX || un.sun_path[0] != '\0')
                return -EINVAL;

        /* The size alone says where an abstract name ends: a NUL in it is a character like another, and not
         * ours. */
        p = un.sun_path + 1;
        end = (const char *) &un + size;
        if (memchr(p, '\0', (size_t) (end - p)))
                return -EINVAL;

        e = part_end(p, end, '/', RANDOM_DIGITS_MAX);
        if (!e)
                return -EINVAL;
        for (; p < e; p++)
                if (!strchr("0123456789abcdef", *p))
                        return -EINVAL;

        if ((size_t) (end - p) < sizeof(middle) || memcmp(p, middle, sizeof(middle)) != 0)
                return -EINVAL;
        p += sizeof(middle);

        e = part_end(p, end, '/', sizeof(peer.unit) - 1);
        if (!e)
                return -EINVAL;
        memcpy(peer.unit, p, (size_t) (e - p));
        if (!unit_name_is_valid(peer.unit))
                return -EINVAL;

        p = e + 1;
        e = part_end(p, end, '\0', sizeof(peer.id) - 1);
        if (!e)
                return -EINVAL;
        memcpy(peer.id, p, (size_t) (e - p));
        if (!id_is_valid(peer.id))
                return -EINVAL;

        *ret = peer;
        return 0;
}
