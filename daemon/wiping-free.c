/* SPDX-License-Identifier: MIT */

/* free() and realloc() of the daemon, for all of its libraries: what is given back is wiped first (L7).
 *
 * A token passes through hands that are not ours. libcurl copies a URL several times, OpenSSL keeps what it decrypted,
 * json-c copies each string of an answer, stdio enlarges its buffers, and each frees what it had and thinks no more of
 * it. curl_global_init_mem(3) and CRYPTO_set_mem_functions(3) are for two of them; glibc's filling of freed memory
 * (mallopt(3), M_PERTURB) passes by the blocks that a thread keeps for itself, and so by most. A program may define
 * these functions itself, and every library then calls them (glibc's manual, "Replacing malloc"): nobody is left out,
 * and whoever is added is in.
 *
 * The memory is the C library's as before. It costs a pass over bytes that have just been in use. */

#include "base/macro.h"

/* AddressSanitizer has functions of its own in this place, and looks there for mistakes. */
#if !defined(__SANITIZE_ADDRESS__)

#include <dlfcn.h>
#include <malloc.h>

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's own names are reserved. */

void free(void *p)
{
        static void (*next)(void *);

        if (!p)
                return;
        /* From any thread, and before anything of ours is set up: at worst the same is looked up twice. dlsym() frees
         * nothing where it finds something. */
        if (!__atomic_load_n(&next, __ATOMIC_RELAXED))
                __atomic_store_n(&next, dlsym(RTLD_NEXT, "free"), __ATOMIC_RELAXED);
        explicit_bzero(p, malloc_usable_size(p));
        __atomic_load_n(&next, __ATOMIC_RELAXED)(p);
}

/* An eighth more, where it is not little: what grows piece by piece, as the lists of a thousand bots do, is not copied
 * and wiped for each piece. */
static size_t with_room_to_grow(size_t size)
{
        return size >= 1024 && size <= PTRDIFF_MAX ? size + size / 8 : size;
}

/* The C library's own would free the old block behind our back. */
void *realloc(void *p, size_t size)
{
        size_t room;
        void *moved;

        if (!p)
                return malloc(size);
        if (size == 0) {
                free(p);
                return NULL;
        }
        room = malloc_usable_size(p);
        if (size <= room && size >= room / 2) {
                explicit_bzero((char *) p + size, room - size);
                return p;
        }
        moved = malloc(size > room ? with_room_to_grow(size) : size);
        if (!moved)
                return NULL;
        memcpy(moved, p, MIN(size, room));
        free(p);
        return moved;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

#endif
