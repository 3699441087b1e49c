/* SPDX-License-Identifier: MIT */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_check_   __attribute__((warn_unused_result))
#define _unused_       __attribute__((unused))
#define _pure_         __attribute__((pure))
#define _const_        __attribute__((const))
#define _noreturn_     __attribute__((noreturn))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))

/* Hands the value over and leaves NULL behind, so that the _cleanup_ of the old owner does nothing. */
#define TAKE_PTR(p)                        \
        ({                                 \
                typeof(p) *_slot = &(p);   \
                typeof(p) _value = *_slot; \
                *_slot = NULL;             \
                _value;                    \
        })

#define TAKE_FD(fd)                  \
        ({                           \
                int *_slot = &(fd);  \
                int _value = *_slot; \
                *_slot = -EBADF;     \
                _value;              \
        })

/* Defines FUNCp() for _cleanup_(FUNCp) on a variable of TYPE, which is a pointer. */
#define DEFINE_CLEANUP(type, func)          \
        static inline void func##p(type *p) \
        {                                   \
                if (*p)                     \
                        func(*p);           \
        }                                   \
        struct _swallow_semicolon_

#define FOREACH_ELEMENT(i, array) for (typeof((array)[0]) *i = (array); i < (array) + ELEMENTSOF(array); i++)

static inline void freep(void *p)
{
        free(*(void **) p);
}

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* For a text with a secret in it: free() alone leaves that in memory, until something else is put there. */
static inline char *wipe_and_free(char *s)
{
        if (s)
                explicit_bzero(s, strlen(s));
        free(s);
        return NULL;
}
DEFINE_CLEANUP(char *, wipe_and_free);

#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_wipe_  _cleanup_(wipe_and_freep)
#define _cleanup_close_ _cleanup_(closep)

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* Like streq(), but NULL equals NULL and nothing else. */
static inline bool streq_ptr(const char *a, const char *b)
{
        return a == b || (a && b && streq(a, b));
}

static inline bool isempty(const char *s)
{
        return !s || s[0] == '\0';
}

/* Returns what stands behind the prefix, or NULL where s does not begin with it. */
static inline const char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}
