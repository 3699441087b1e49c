/* SPDX-License-Identifier: MIT */

#include <sys/mman.h>

#include "core/bot-token.h"
#include "core/template.h"

#define ID_MAX          ((INT64_C(1) << 54) - 1)
#define SECRET_SIZE_MIN 24

#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* Pages of memory that hold nothing but tokens: a page for each would be most of what an idle bot takes. */
typedef struct TokenPage TokenPage;

struct BotToken {
        TokenPage *page; /* NULL: a free place */
        int64_t id;
        const char *secret; /* points into text */
        char text[BOT_TOKEN_SIZE_MAX + 1];
};

#define PAGE_SIZE      4096u /* or the lowest part of a larger one, all of which is then locked */
#define TOKENS_IN_PAGE ((PAGE_SIZE - 4 * sizeof(void *)) / sizeof(BotToken))

struct TokenPage {
        TokenPage *next;
        size_t n_used;
        bool locked;
        BotToken tokens[TOKENS_IN_PAGE];
};

static_assert(sizeof(TokenPage) <= PAGE_SIZE, "a page of tokens is a page");

static TokenPage *pages;

/* Fills in id and secret from a text that is all there. */
static int token_parse(BotToken *t, size_t length)
{
        const char *p = t->text;
        int64_t id = 0;

        if (*p == '0')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                int digit = *p - '0';

                if (id > (ID_MAX - digit) / 10)
                        return -EINVAL;
                id = id * 10 + digit;
        }
        if (id == 0 || *p != ':')
                return -EINVAL;
        p++;

        /* A byte of zero ends what strspn() sees too early, so an embedded one does not get past the
         * comparison. */
        size_t secret_size = strspn(p, BASE64URL);
        if (secret_size < SECRET_SIZE_MIN || (size_t) (p - t->text) + secret_size != length)
                return -EINVAL;

        t->id = id;
        t->secret = p;
        return 0;
}

static TokenPage *page_new(void)
{
        TokenPage *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED)
                return NULL;
        /* Both may fail, by RLIMIT_MEMLOCK, a container's filter of system calls or an old kernel: a token that
         * could be swapped is better than a bot that can't be moved. */
        page->locked = mlock(page, PAGE_SIZE) == 0;
        (void) madvise(page, PAGE_SIZE, MADV_DONTDUMP);
        page->next = pages;
        pages = page;
        return page;
}

static void page_free(TokenPage *page)
{
        TokenPage **link = &pages;

        while (*link != page)
                link = &(*link)->next;
        *link = page->next;
        (void) munmap(page, PAGE_SIZE); /* unlocks as well */
}

static BotToken *token_allocate(void)
{
        TokenPage *page = pages;

        while (page && page->n_used == TOKENS_IN_PAGE)
                page = page->next;
        if (!page)
                page = page_new();
        if (!page)
                return NULL;
        page->n_used++;
        for (BotToken *t = page->tokens;; t++)
                if (!t->page) {
                        t->page = page;
                        return t;
                }
}

int bot_token_new(BotToken **ret, const char *bytes, size_t size)
{
        _cleanup_(bot_token_freep) BotToken *t = NULL;
        int r;

        if (size > 0 && bytes[size - 1] == '\n')
                size--;
        if (size > BOT_TOKEN_SIZE_MAX)
                return -EINVAL;

        t = token_allocate();
        if (!t)
                return -ENOMEM;
        memcpy(t->text, bytes, size);
        r = token_parse(t, size);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

BotToken *bot_token_free(BotToken *t)
{
        TokenPage *page;

        if (!t)
                return NULL;

        page = t->page;
        explicit_bzero(t, sizeof(*t));
        if (--page->n_used == 0)
                page_free(page);
        return NULL;
}

bool bot_token_is_locked(const BotToken *t)
{
        return t->page->locked;
}

int64_t bot_token_id(const BotToken *t)
{
        return t->id;
}

const char *bot_token_reveal(const BotToken *t)
{
        return t->text;
}

bool bot_token_equal(const BotToken *a, const BotToken *b)
{
        return streq(a->text, b->text);
}

static bool is_base64url(char c)
{
        return c != '\0' && strchr(BASE64URL, c);
}

size_t bot_token_secret_length(const char *text, size_t at)
{
        bool small = false, capital = false;
        size_t n = 0;

        if (at > 0 && is_base64url(text[at - 1]))
                return 0;
        for (; is_base64url(text[at + n]); n++) {
                small = small || (text[at + n] >= 'a' && text[at + n] <= 'z');
                capital = capital || (text[at + n] >= 'A' && text[at + n] <= 'Z');
        }
        return n >= SECRET_SIZE_MIN && small && capital ? n : 0;
}

char *bot_token_redact(const BotToken *t, const char *text)
{
        const Replacement table[] = { { t->text, "{token}" }, { t->secret, "{secret}" } };

        return template_replace(text, table, ELEMENTSOF(table));
}

char *bot_token_expand(const BotToken *t, const char *text)
{
        const Replacement table[] = { { "{token}", t->text }, { "{secret}", t->secret } };

        return template_replace(text, table, ELEMENTSOF(table));
}
