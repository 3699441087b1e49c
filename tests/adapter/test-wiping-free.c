/* SPDX-License-Identifier: MIT */

/* That nothing of a secret stays in memory that was given back, whoever did that (L7): all of the process's memory is
 * searched, the freed with the rest. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <json-c/json.h>
#include <openssl/bio.h>
#include <openssl/buffer.h>
#include <valgrind/valgrind.h>

#include "base/macro.h"

#define SECRET_SIZE  40
#define PATTERN_SIZE 20 /* its second half: in the first the allocator has pointers of its own afterwards */

/* Neither in the program nor on a stack as it is. */
static char mask[SECRET_SIZE + 1] = "0123456789012345678901234567890123456789";

static void put_secret(char *p)
{
        for (size_t i = 0; i < SECRET_SIZE; i++)
                p[i] = (char) (mask[i] + 'A' - '0' + (char) (i % 11));
        p[SECRET_SIZE] = '\0';
}

static bool is_pattern(const char *p)
{
        for (size_t i = SECRET_SIZE - PATTERN_SIZE; i < SECRET_SIZE; i++, p++)
                if (*p != (char) (mask[i] + 'A' - '0' + (char) (i % 11)))
                        return false;
        return true;
}

static size_t count_in(int memory, uintptr_t from, uintptr_t to)
{
        static char bytes[1 << 16]; /* empty when it comes to be searched itself */
        size_t n = 0;

        for (uintptr_t at = from; at + PATTERN_SIZE <= to; at += sizeof(bytes) - PATTERN_SIZE) {
                ssize_t size = pread(memory, bytes, MIN(sizeof(bytes), to - at), (off_t) at);

                for (ssize_t i = 0; i + PATTERN_SIZE <= size; i++)
                        n += is_pattern(bytes + i);
                memset(bytes, 0, sizeof(bytes));
        }
        return n;
}

/* In everything that can be written to. */
static size_t count(void)
{
        int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        FILE *maps = fopen("/proc/self/maps", "re");
        size_t n = 0;
        char line[512];

        assert_true(memory >= 0);
        assert_non_null(maps);
        while (fgets(line, sizeof(line), maps)) {
                unsigned long from, to;

                if (sscanf(line, "%lx-%lx rw", &from, &to) == 2 && strstr(line, " rw-p "))
                        n += count_in(memory, from, to);
        }
        fclose(maps);
        close(memory);
        return n;
}

/* With AddressSanitizer and valgrind, freeing is their affair. */
static void skip_unless_ours(void)
{
#ifdef __SANITIZE_ADDRESS__
        skip();
#endif
        if (RUNNING_ON_VALGRIND)
                skip();
}

static char *secret_new(void)
{
        char *s = malloc(SECRET_SIZE + 1);

        assert_non_null(s);
        put_secret(s);
        return s;
}

/* That the secret is found as long as it is there shows that the search finds one. */
#define assert_leaves_nothing(statements)        \
        do {                                     \
                char *_secret = secret_new();    \
                size_t _before = count();        \
                assert_true(_before > 0);        \
                statements;                      \
                memset(_secret, 0, SECRET_SIZE); \
                free(_secret);                   \
                assert_int_equal(count(), 0);    \
        } while (0)

static void use(const char *text, size_t size)
{
        char *p = malloc(size);

        assert_non_null(p);
        memset(p, 'x', size);
        memcpy(p + size - SECRET_SIZE, text, SECRET_SIZE);
        free(p);
}

static void test_blocks_of_every_size(void **state)
{
        skip_unless_ours();
        assert_leaves_nothing({
                for (size_t size = SECRET_SIZE; size < 400000; size += size / 3)
                        use(_secret, size);
        });
}

static char *resize(char *p, size_t size)
{
        char *moved = realloc(p, size);

        assert_non_null(moved);
        return moved;
}

static void grow(const char *text, size_t to)
{
        char *p = resize(NULL, SECRET_SIZE), *between;

        memcpy(p, text, SECRET_SIZE);
        for (size_t size = 2 * SECRET_SIZE; size < to; size *= 2) {
                p = resize(p, size);
                assert_memory_equal(p, text, SECRET_SIZE);
                between = malloc(SECRET_SIZE); /* so that the block has to move */
                memset(p + SECRET_SIZE, 'y', size - SECRET_SIZE);
                free(between);
        }
        free(p);
}

static void shrink(const char *text)
{
        char *p = calloc(10, SECRET_SIZE);
        size_t before = count();

        memcpy(p + 6 * SECRET_SIZE, text, SECRET_SIZE);
        memcpy(p + 9 * SECRET_SIZE, text, SECRET_SIZE);
        assert_int_equal(count(), before + 2);
        p = resize(p, 9 * SECRET_SIZE); /* stays where it is */
        assert_int_equal(count(), before + 1);
        p = resize(p, SECRET_SIZE); /* does not */
        assert_int_equal(count(), before);
        free(p);
}

/* As the C library has it, on which programs rely. */
static void test_blocks_of_no_size(void **state)
{
        volatile size_t none = 0;
        char *p = resize(NULL, none);

        assert_null(realloc(p, none));
        free(NULL);
}

static void test_blocks_that_move(void **state)
{
        skip_unless_ours();
        assert_leaves_nothing(grow(_secret, 1 << 20));
        assert_leaves_nothing(shrink(_secret));
}

static void write_stream(const char *text)
{
        _cleanup_free_ char *bytes = NULL, *line = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&bytes, &size);

        assert_non_null(f);
        for (int i = 0; i < 1000; i++)
                fprintf(f, "%s\n", text);
        fclose(f);
        assert_true(asprintf(&line, "https://host/bot%s/getMe", text) > 0);
}

static void parse_json(const char *text)
{
        _cleanup_free_ char *body = NULL;

        assert_true(asprintf(&body, "{\"result\":{\"url\":\"https://host/%s\"}}", text) > 0);
        json_object *value = json_tokener_parse(body);
        assert_non_null(value);
        assert_non_null(strstr(json_object_to_json_string(value), text));
        json_object_put(value);
}

static void set_url(const char *text)
{
        _cleanup_free_ char *url = NULL;
        CURL *easy = curl_easy_init();

        assert_true(asprintf(&url, "http://127.0.0.1:1/bot%s/getMe", text) > 0);
        assert_int_equal(curl_easy_setopt(easy, CURLOPT_URL, url), CURLE_OK);
        assert_int_equal(curl_easy_perform(easy), CURLE_COULDNT_CONNECT);
        curl_easy_cleanup(easy);
}

static void write_bio(const char *text)
{
        BIO *b = BIO_new(BIO_s_mem());

        for (int i = 0; i < 1000; i++)
                assert_true(BIO_puts(b, text) > 0);
        BIO_free(b);
}

static void test_libraries(void **state)
{
        skip_unless_ours();
        assert_leaves_nothing(write_stream(_secret));
        assert_leaves_nothing(parse_json(_secret));
        assert_leaves_nothing(set_url(_secret));
        assert_leaves_nothing(write_bio(_secret));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_blocks_of_every_size),
                cmocka_unit_test(test_blocks_that_move),
                cmocka_unit_test(test_blocks_of_no_size),
                cmocka_unit_test(test_libraries),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
