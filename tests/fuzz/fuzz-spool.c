/* SPDX-License-Identifier: MIT */

/* L6: what is in the spool is handed over once, in its order, in whole updates and parts that a unit can be given; or
 * nothing of it is, and somebody is told which file. The first line of the input is the offset up to which a server has
 * confirmed. Then come the files, each behind a line of its own:
 *
 *      @NAME   its lines; the header is made for them, so that the checksum hides nothing
 *      %NAME   its bytes as they lie on disk
 *      +       no file but the result of getUpdates, to be appended
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <zlib.h>

#include "base/fs-util.h"
#include "core/json-text.h"
#include "fuzz.h"
#include "io/spool-file.h"
#include "io/spool.h"
#include "io/store.h"

#define FILES_MAX    12u
#define WHY_SIZE_MAX 512u

/* Of the process: the daemon has one of each as well. */
typedef struct Place {
        sd_event *event;
        DiskQueue *queue;
        Store *store;
        int directory; /* of the bot's files */
} Place;

typedef struct Ids {
        int64_t *items;
        size_t n;
} Ids;

/* ---- what is given ---- */

static Place *place(void)
{
        static Place p = { .directory = -EBADF };

        if (!p.store) {
                assert(sd_event_new(&p.event) >= 0);
                assert(disk_queue_new(&p.queue, p.event) == 0);
                assert(store_open(&p.store, p.queue, fuzz_directory()) == 0);
                assert(store_open_spool_directory(p.store, "shop", &p.directory) == 0);
        }
        return &p;
}

static void remove_files(int directory)
{
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fdopendir(fd);
        struct dirent *entry;

        assert(d);
        while ((entry = readdir(d)))
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        assert(unlinkat(directory, entry->d_name, 0) == 0);
        closedir(d);
}

static void put_file(int directory, const char *name, const char *header, FuzzInput bytes)
{
        _cleanup_close_ int fd = -EBADF;

        /* What no directory can hold needs no answer. */
        if (isempty(name) || strlen(name) > NAME_MAX || strchr(name, '/') || streq(name, ".") || streq(name, ".."))
                return;
        fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert(fd >= 0);
        assert(write_all(fd, header, strlen(header)) == 0);
        assert(write_all(fd, bytes.next, bytes.left) == 0);
}

/* As tgswitch-state(5) has it, and not by the code that is looked at. */
static void put_sealed_file(int directory, const char *name, FuzzInput lines)
{
        uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *) lines.next, lines.left);
        char header[SPOOL_HEADER_MAX];
        size_t n = 0;

        for (size_t i = 0; i < lines.left; i++)
                n += lines.next[i] == '\n';
        snprintf(header, sizeof(header), "tgswitch-spool 1 %zu %zu %08lx\n", n, lines.left, crc);
        put_file(directory, name, header, lines);
}

/* What stands before the next line that begins a file. */
static FuzzInput take_content(FuzzInput *in)
{
        FuzzInput content = { .next = in->next };

        while (in->left > 0) {
                const char *newline = memchr(in->next, '\n', in->left);
                size_t n = newline ? (size_t) (newline + 1 - in->next) : in->left;

                if (strchr("@%+", in->next[0]) && in->next[0] != '\0')
                        break;
                content.left += n;
                in->next += n;
                in->left -= n;
        }
        return content;
}

/* The files into the directory; returns the updates to append, or NULL. */
static json_object *take_files(FuzzInput in, int directory)
{
        json_object *updates = NULL;

        for (unsigned n = 0; in.left > 0 && n < FILES_MAX; n++) {
                _cleanup_free_ char *line = fuzz_take_line(&in);
                FuzzInput content = take_content(&in);

                if (line[0] == '@')
                        put_sealed_file(directory, line + 1, content);
                else if (line[0] == '%')
                        put_file(directory, line + 1, "", content);
                else if (line[0] == '+' && !updates && content.left > 0 && !memchr(content.next, '\0', content.left)) {
                        json_tokener *tokener = json_tokener_new_ex(JSON_TEXT_DEPTH_MAX);

                        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
                        updates = json_tokener_parse_ex(tokener, content.next, (int) content.left);
                        json_tokener_free(tokener);
                }
        }
        return updates;
}

/* ---- what is read ---- */

static void add_id(Ids *ids, int64_t id)
{
        ids->items = reallocarray(ids->items, ids->n + 1, sizeof(int64_t));
        assert(ids->items);
        ids->items[ids->n++] = id;
}

/* The ids in a JSON array of updates, by a reader of our own. */
static void add_ids_of_text(Ids *ids, const char *text, size_t size)
{
        json_tokener *tokener = json_tokener_new_ex(JSON_TEXT_DEPTH_MAX + 1);
        json_object *array, *id;

        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        array = json_tokener_parse_ex(tokener, text, (int) size);
        assert(json_tokener_get_parse_end(tokener) == size);
        assert(json_object_is_type(array, json_type_array));
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                json_object *update = json_object_array_get_idx(array, i);

                assert(json_object_is_type(update, json_type_object));
                assert(json_object_object_get_ex(update, "update_id", &id));
                assert(json_object_is_type(id, json_type_int));
                add_id(ids, json_object_get_int64(id));
        }
        json_object_put(array);
        json_tokener_free(tokener);
}

static bool ids_begin_with(const Ids *ids, const Ids *head)
{
        return head->n <= ids->n && (head->n == 0 || memcmp(ids->items, head->items, head->n * sizeof(int64_t)) == 0);
}

static void assert_same_ids(const Ids *a, const Ids *b)
{
        assert(a->n == b->n && ids_begin_with(a, b));
}

static void ids_done(Ids *ids)
{
        free(ids->items);
}

/* Written again under another number it is the same file. */
static void check_rewrite(int directory, uint64_t number, const SpoolLines *lines)
{
        _cleanup_free_ char *before = NULL, *after = NULL;
        size_t size_before, size_after;
        char name[32];

        snprintf(name, sizeof(name), "%08" PRIu64, number);
        assert(read_file_at(directory, name, O_NOFOLLOW, SPOOL_FILE_MAX, &before, &size_before) == 0);
        assert(spool_file_write(directory, number, lines) == 0);
        assert(read_file_at(directory, name, O_NOFOLLOW, SPOOL_FILE_MAX, &after, &size_after) == 0);
        assert(size_before == size_after && memcmp(before, after, size_before) == 0);
}

/* Each file by itself. Returns whether all can be read; their ids are added. */
static bool read_files(int directory, Ids *ids)
{
        _cleanup_free_ uint64_t *numbers = NULL;
        bool good = true;
        size_t n;

        assert(spool_file_list(directory, false, &numbers, &n) == 0);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(spool_lines_done) SpoolLines lines = {};
                _cleanup_free_ int64_t *line_ids = NULL;
                int r = spool_file_read(directory, numbers[i], &lines);

                assert(i == 0 || numbers[i] > numbers[i - 1]);
                assert(numbers[i] > 0 && numbers[i] <= SPOOL_NUMBER_MAX);
                if (r < 0) {
                        assert(r == -EBADMSG && !lines.bytes);
                        good = false;
                        continue;
                }
                assert(lines.n > 0 && lines.size > lines.n && lines.bytes[lines.size - 1] == '\n');
                good = good && (lines.n == 1 || lines.size <= SPOOL_PART_MAX - SPOOL_HEADER_MAX);
                assert(spool_lines_ids(&lines, &line_ids) == 0);
                for (uint64_t k = 0; k < lines.n; k++) {
                        assert(k == 0 || line_ids[k] > line_ids[k - 1]);
                        add_id(ids, line_ids[k]);
                        assert(spool_lines_head(&lines, k).n == k);
                }
                check_rewrite(directory, numbers[i], &lines);
        }
        return good;
}

/* ---- what is done with it ---- */

typedef struct Wait {
        DiskJob *job;
        bool done;
        int result;
} Wait;

static void on_done(DiskJob *job, int r, void *userdata)
{
        Wait *w = userdata;

        w->job = disk_job_free(job);
        w->done = true;
        w->result = r;
}

static int wait_for(Wait *w, int r)
{
        while (r >= 0 && !w->done)
                assert(sd_event_run(place()->event, UINT64_MAX) > 0);
        return r < 0 ? r : w->result;
}

#define call(function, ...)                                                           \
        ({                                                                            \
                Wait _wait = {};                                                      \
                wait_for(&_wait, function(__VA_ARGS__, on_done, &_wait, &_wait.job)); \
        })

static Spool *open_spool(void)
{
        _cleanup_free_ char *why = NULL;
        Spool *sp = NULL;
        int r;

        r = spool_open(&sp, place()->store, "shop", &why);
        if (r >= 0) {
                assert(sp && !why);
                return sp;
        }
        assert(!sp);
        fuzz_assert_text(why, WHY_SIZE_MAX);
        return NULL;
}

static void check_export(Spool *sp, const Ids *expected)
{
        _cleanup_(ids_done) Ids ids = {};
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        off_t size;

        assert(spool_export(sp, &fd) == 0);
        size = lseek(fd, 0, SEEK_END);
        assert(size >= 2 && lseek(fd, 0, SEEK_SET) == 0);
        text = malloc((size_t) size);
        assert(text && read(fd, text, (size_t) size) == size);
        add_ids_of_text(&ids, text, (size_t) size);
        assert_same_ids(&ids, expected);
}

/* After a power cut the server gives some of it again. What goes is from the end, and none of it is below the offset.
 */
static void check_discard(Spool *sp, int64_t offset, Ids *ids)
{
        _cleanup_(ids_done) Ids left = {};
        uint64_t n_before = spool_count(sp);

        assert(call(spool_discard_from, sp, offset) == 0);
        assert(spool_count(sp) <= n_before);
        assert(read_files(place()->directory, &left));
        assert(left.n == spool_count(sp) && ids_begin_with(ids, &left));
        for (size_t i = left.n; i < ids->n; i++)
                assert(ids->items[i] >= offset);
        ids->n = left.n;
}

/* What an update is on its way does not change: the ids are there, or nothing is. */
static void check_append(Spool *sp, json_object *updates, Ids *ids)
{
        _cleanup_(ids_done) Ids all = {};
        uint64_t n_before = spool_count(sp);
        json_object *id;
        int r;

        r = call(spool_append, sp, updates);
        assert(r == 0 || r == -EINVAL || r == -EOVERFLOW);
        for (size_t i = 0; r == 0 && i < json_object_array_length(updates); i++) {
                assert(json_object_object_get_ex(json_object_array_get_idx(updates, i), "update_id", &id));
                add_id(ids, json_object_get_int64(id));
        }
        assert(r == 0 || spool_count(sp) == n_before);
        assert(spool_count(sp) == ids->n);
        assert(read_files(place()->directory, &all));
        assert_same_ids(&all, ids);
}

/* Part by part until nothing is left. */
static void check_hand_over(Spool *sp, const Ids *expected)
{
        _cleanup_(ids_done) Ids ids = {};
        uint64_t n_updates, n_again;
        const char *text;
        size_t size;

        while (spool_count(sp) > 0) {
                uint64_t n_before = spool_count(sp);

                assert(!spool_part(sp, &size, &n_updates));
                assert(call(spool_load_part, sp, 0) == 0);
                text = spool_part(sp, &size, &n_updates);
                assert(text && strlen(text) == size && n_updates > 0);
                assert(size <= SPOOL_PART_MAX || n_updates == 1);
                add_ids_of_text(&ids, text, size);
                assert(ids.n == expected->n - n_before + n_updates);
                /* the same for whoever asks again */
                assert(call(spool_load_part, sp, n_updates) == 0);
                assert(spool_part(sp, &size, &n_again) == text && n_again == n_updates);
                assert(call(spool_drop_part, sp, n_updates) == 0);
                assert(spool_n_dropped(sp) == n_updates && spool_count(sp) == n_before - n_updates);
        }
        assert(streq(spool_part(sp, &size, &n_updates), "[]") && size == 2 && n_updates == 0);
        assert_same_ids(&ids, expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FuzzInput in = fuzz_input(data, size);
        _cleanup_free_ char *offset = fuzz_take_line(&in);
        _cleanup_(ids_done) Ids ids = {};
        json_object *updates;
        Spool *sp;

        remove_files(place()->directory);
        updates = take_files(in, place()->directory);
        if (read_files(place()->directory, &ids)) {
                sp = open_spool();
                assert(sp && spool_count(sp) == ids.n);
                check_export(sp, &ids);
                if (updates)
                        check_append(sp, updates, &ids);
                if (!isempty(offset))
                        check_discard(sp, strtoll(offset, NULL, 10), &ids);
                spool_free(sp);
                /* the next process finds what this one left */
                sp = open_spool();
                assert(sp && spool_count(sp) == ids.n);
                check_hand_over(sp, &ids);
                spool_free(sp);
        } else
                assert(!open_spool());
        json_object_put(updates);
        return 0;
}
