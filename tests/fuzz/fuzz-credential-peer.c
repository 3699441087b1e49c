/* SPDX-License-Identifier: MIT */

/* The gate takes a unit's name from an address that any local process can bind. The input is such an abstract name,
 * without its leading NUL, and then the bytes of an address as they are. */

#include <stdio.h>
#include <sys/un.h>

#include "core/credential-peer.h"
#include "core/unit-result.h"
#include "fuzz.h"

/* What was taken out of a name is all that stands in it, behind a random part that says nothing. */
static void assert_nothing_is_left(const char *name, size_t size, const CredentialPeer *peer)
{
        const char *random_end = memchr(name, '/', size);
        _cleanup_free_ char *rendered = NULL;

        assert(random_end && random_end > name && random_end - name <= 16);
        for (const char *p = name; p < random_end; p++)
                assert(strchr("0123456789abcdef", *p) && *p);
        assert(asprintf(&rendered, "%.*s/unit/%s/%s", (int) (random_end - name), name, peer->unit, peer->id) > 0);
        assert(strlen(rendered) == size && memcmp(rendered, name, size) == 0);
        assert(unit_name_is_valid(peer->unit));
        assert(!isempty(peer->id) && !strchr(peer->id, '/'));
        fuzz_assert_text(peer->id, CREDENTIAL_ID_MAX);
}

/* `address` has exactly `size` bytes, so that the sanitizer sees who reads beyond them. */
static void parse(const struct sockaddr *address, size_t size)
{
        CredentialPeer peer, before;

        memset(&peer, 0xa5, sizeof(peer));
        before = peer;
        if (credential_peer_parse(address, (socklen_t) size, &peer) < 0) {
                fuzz_assert_untouched(&peer, &before, sizeof(peer));
                return;
        }
        assert(size <= sizeof(struct sockaddr_un));
        assert(address->sa_family == AF_UNIX);
        assert_nothing_is_left((const char *) address + offsetof(struct sockaddr_un, sun_path) + 1,
                               size - offsetof(struct sockaddr_un, sun_path) - 1, &peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const size_t head = offsetof(struct sockaddr_un, sun_path) + 1;
        _cleanup_free_ struct sockaddr_un *named = calloc(1, head + size);

        assert(named);
        named->sun_family = AF_UNIX;
        if (size > 0)
                memcpy((char *) named + head, data, size);
        parse((const struct sockaddr *) named, head + size);
        parse((const struct sockaddr *) data, size);
        return 0;
}
