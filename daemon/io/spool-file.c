/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/json-text.h"
#include "io/spool-file.h"

#define NAME_SIZE 32u
#define TEMPORARY ".tmp"

void spool_lines_done(SpoolLines *lines)
{
        free(lines->bytes);
        *lines = (SpoolLines){};
}

void spool_files_free(SpoolLines *files, size_t n)
{
        for (size_t i = 0; i < n; i++)
                spool_lines_done(files + i);
        free(files);
}

static int update_id(json_object *update, int64_t *ret)
{
        json_object *id;

        if (!json_object_is_type(update, json_type_object) || !json_object_object_get_ex(update, "update_id", &id) ||
            !json_object_is_type(id, json_type_int))
                return -EINVAL;
        *ret = json_object_get_int64(id);
        return 0;
}

/* One object and nothing else in the line: a part is put together of such lines unseen. As it is written so it is read,
 * by the bounds that a server's reply has, or a file would be taken for damaged that is not. */
static int line_id(const char *line, size_t size, int64_t *ret)
{
        json_object *update;
        int r;

        r = json_text_parse(line, size, &update);
        if (r < 0)
                return r;
        r = update_id(update, ret) < 0 ? -EBADMSG : 0;
        json_object_put(update);
        return r;
}

static int check_ascending(json_object *updates)
{
        int64_t id, last = INT64_MIN;
        int r;

        if (!json_object_is_type(updates, json_type_array))
                return -EINVAL;
        for (size_t i = 0; i < json_object_array_length(updates); i++) {
                r = update_id(json_object_array_get_idx(updates, i), &id);
                if (r < 0)
                        return r;
                if (i > 0 && id <= last)
                        return -EINVAL;
                last = id;
        }
        return 0;
}

static int append_line(SpoolLines *lines, const char *text, size_t size)
{
        char *grown = realloc(lines->bytes, lines->size + size + 1);

        if (!grown)
                return -ENOMEM;
        memcpy(grown + lines->size, text, size);
        grown[lines->size + size] = '\n';
        lines->bytes = grown;
        lines->size += size + 1;
        lines->n++;
        return 0;
}

int spool_files_from_updates(json_object *updates, size_t size_max, SpoolLines **ret, size_t *ret_n)
{
        SpoolLines *files, *last = NULL;
        size_t n_updates, n = 0, size = 0;
        int64_t id;
        int r;

        r = check_ascending(updates);
        if (r < 0)
                return r;
        n_updates = json_object_array_length(updates);
        /* At worst each update has a file of its own. */
        files = calloc(MAX(n_updates, 1u), sizeof(SpoolLines));
        if (!files)
                return -ENOMEM;
        for (size_t i = 0; i < n_updates; i++) {
                const char *text = json_object_to_json_string_length(
                                json_object_array_get_idx(updates, i),
                                JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

                r = text ? line_id(text, size, &id) : -ENOMEM;
                if (r == -EBADMSG || size > SPOOL_FILE_MAX - SPOOL_HEADER_MAX - 1)
                        r = -EINVAL;
                if (r >= 0 && (!last || last->size + size + 1 > size_max - SPOOL_HEADER_MAX))
                        last = files + n++;
                if (r >= 0)
                        r = append_line(last, text, size);
                if (r < 0) {
                        spool_files_free(files, n);
                        return r;
                }
        }
        *ret = files;
        *ret_n = n;
        return 0;
}

static void print_name(char name[static NAME_SIZE], uint64_t number)
{
        snprintf(name, NAME_SIZE, "%08" PRIu64, number);
}

static size_t print_header(char header[static SPOOL_HEADER_MAX], const SpoolLines *lines)
{
        uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *) lines->bytes, lines->size);
        int n;

        n = snprintf(header, SPOOL_HEADER_MAX, "tgswitch-spool 1 %" PRIu64 " %zu %08lx\n", lines->n, lines->size, crc);
        assert(n > 0 && n < (int) SPOOL_HEADER_MAX);
        return (size_t) n;
}

int spool_file_write(int directory, uint64_t number, const SpoolLines *lines)
{
        _cleanup_close_ int fd = -EBADF;
        char name[NAME_SIZE], temporary[NAME_SIZE + sizeof(TEMPORARY)], header[SPOOL_HEADER_MAX];
        int r;

        print_name(name, number);
        snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
        fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, header, print_header(header, lines));
        if (r >= 0)
                r = write_all(fd, lines->bytes, lines->size);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat(directory, temporary, directory, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(directory, temporary, 0);
        return r;
}

static uint64_t count_lines(const char *bytes, size_t size)
{
        uint64_t n = 0;

        for (size_t i = 0; i < size; i++)
                n += bytes[i] == '\n';
        return n;
}

int spool_lines_ids(const SpoolLines *lines, int64_t **ret)
{
        _cleanup_free_ int64_t *ids = NULL;
        const char *line = lines->bytes;
        int r;

        ids = calloc(MAX(lines->n, 1u), sizeof(int64_t));
        if (!ids)
                return -ENOMEM;
        for (uint64_t i = 0; i < lines->n; i++) {
                const char *end = memchr(line, '\n', lines->size - (size_t) (line - lines->bytes));

                r = line_id(line, (size_t) (end - line), ids + i);
                if (r < 0)
                        return r;
                line = end + 1;
        }
        *ret = TAKE_PTR(ids);
        return 0;
}

/* A checksum tells what fell over, not who wrote it. */
static int check_lines(const SpoolLines *lines)
{
        _cleanup_free_ int64_t *ids = NULL;
        int r;

        r = spool_lines_ids(lines, &ids);
        if (r < 0)
                return r;
        for (uint64_t i = 1; i < lines->n; i++)
                if (ids[i] <= ids[i - 1])
                        return -EBADMSG;
        return 0;
}

int spool_file_read(int directory, uint64_t number, SpoolLines *ret)
{
        _cleanup_free_ char *bytes = NULL;
        char name[NAME_SIZE], header[SPOOL_HEADER_MAX];
        size_t size, header_size;
        const char *newline;
        SpoolLines lines;
        int r;

        print_name(name, number);
        r = read_file_at(directory, name, O_NOFOLLOW, SPOOL_FILE_MAX, &bytes, &size);
        if (r < 0)
                return r == -EFBIG || r == -ENOTTY || r == -ELOOP ? -EBADMSG : r;
        newline = memchr(bytes, '\n', MIN(size, SPOOL_HEADER_MAX));
        if (!newline || size == 0 || bytes[size - 1] != '\n')
                return -EBADMSG;
        /* What the header must be follows from the lines behind it. */
        header_size = (size_t) (newline + 1 - bytes);
        lines = (SpoolLines){
                .bytes = bytes + header_size,
                .size = size - header_size,
                .n = count_lines(newline + 1, size - header_size),
        };
        if (lines.n == 0 || print_header(header, &lines) != header_size || memcmp(header, bytes, header_size) != 0)
                return -EBADMSG;
        r = check_lines(&lines);
        if (r < 0)
                return r;
        memmove(bytes, lines.bytes, lines.size);
        lines.bytes = TAKE_PTR(bytes);
        *ret = lines;
        return 0;
}

int spool_file_remove(int directory, uint64_t number)
{
        char name[NAME_SIZE];
        int r;

        print_name(name, number);
        r = unlink_if_exists_at(directory, name);
        return r < 0 ? r : 0;
}

SpoolLines spool_lines_head(const SpoolLines *lines, uint64_t n)
{
        const char *end = lines->bytes;

        assert(n <= lines->n);
        for (uint64_t i = 0; i < n; i++)
                end = (const char *) memchr(end, '\n', lines->size - (size_t) (end - lines->bytes)) + 1;
        return (SpoolLines){ .bytes = lines->bytes, .size = (size_t) (end - lines->bytes), .n = n };
}

static bool parse_name(const char *name, uint64_t *ret)
{
        char expected[NAME_SIZE];
        uint64_t number;

        /* Printed back, so that "8" and "+0000008" are not 00000008 once more. */
        if (sscanf(name, "%19" SCNu64, &number) != 1 || number == 0 || number > SPOOL_NUMBER_MAX)
                return false;
        print_name(expected, number);
        if (!streq(name, expected))
                return false;
        *ret = number;
        return true;
}

static bool is_temporary(const char *name)
{
        size_t n = strlen(name), suffix = strlen(TEMPORARY);

        return n > suffix && streq(name + n - suffix, TEMPORARY);
}

static int compare_numbers(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

int spool_file_list(int directory, bool tidy, uint64_t **ret, size_t *ret_n)
{
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;
        int r;

        r = list_directory_at(directory, ".", &names);
        if (r < 0)
                return r;
        numbers = calloc(strv_length(names) + 1, sizeof(uint64_t));
        if (!numbers)
                return -ENOMEM;
        STRV_FOREACH(name, names) {
                if (parse_name(*name, numbers + n))
                        n++;
                else if (tidy && is_temporary(*name)) {
                        r = unlink_if_exists_at(directory, *name);
                        if (r < 0)
                                return r;
                }
        }
        qsort(numbers, n, sizeof(uint64_t), compare_numbers);
        *ret = TAKE_PTR(numbers);
        *ret_n = n;
        return 0;
}
