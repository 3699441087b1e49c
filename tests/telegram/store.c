/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "store.h"

#define QUEUE_FILE    "tqueue.binlog"
#define WEBHOOKS_FILE "webhooks_db.binlog"
#define SESSION_FILE  "td.binlog"

struct Store {
        char *path; /* absolute */
        int dir_fd;
        FILE *queue_file;
        json_object *queues; /* id of the bot to { next, uid, updates }: what was loaded */
        json_object *webhooks;
};

static json_object *queue_entry(json_object *queues, const char *bot)
{
        json_object *queue = NULL;

        if (json_object_object_get_ex(queues, bot, &queue))
                return queue;
        queue = json_object_new_object();
        json_object_object_add(queue, "updates", json_object_new_array());
        json_object_object_add(queues, bot, queue);
        return queue;
}

static void queue_drop_below(json_object *queue, int64_t id)
{
        json_object *updates = json_object_object_get(queue, "updates");
        size_t n = 0;

        while (n < json_object_array_length(updates) &&
               json_get_int(json_object_array_get_idx(updates, n), "id", 0) < id)
                n++;
        (void) json_object_array_del_idx(updates, 0, n);
}

/* One line: an update that was added, or `below`, up to which all is gone. */
static void queue_replay(json_object *queues, const char *line, size_t size)
{
        _cleanup_json_ json_object *record = json_parse(line, size);
        json_object *queue;
        int64_t id;

        /* A line that a killed process left unfinished never happened. */
        if (!json_get_text(record, "bot"))
                return;

        queue = queue_entry(queues, json_get_text(record, "bot"));
        id = json_get_int(record, "below", 0);
        if (id > 0) {
                queue_drop_below(queue, id);
                json_set_int(queue, "next", MAX(id, json_get_int(queue, "next", 0)));
        } else {
                json_object_array_add(json_object_object_get(queue, "updates"), json_object_get(record));
                json_set_int(queue, "next", json_get_int(record, "id", 0) + 1);
        }
        json_set_int(queue, "uid", MAX(json_get_int(record, "uid", 0), json_get_int(queue, "uid", 0)));
}

static void queue_write(Store *store, json_object *record)
{
        _cleanup_json_ json_object *owned = record;

        fprintf(store->queue_file, "%s\n", json_plain(owned));
        fflush(store->queue_file);
}

static json_object *below_record(const char *bot, int64_t id, int64_t uid)
{
        json_object *record = json_object_new_object();

        json_set_text(record, "bot", bot);
        json_set_int(record, "below", id);
        json_set_int(record, "uid", uid);
        return record;
}

/* Writes the file anew with what is still there. Not atomic: the simulation does not model power cuts. */
static void queue_compact(Store *store)
{
        rewind(store->queue_file);
        if (ftruncate(fileno(store->queue_file), 0) < 0)
                return;

        json_object_object_foreach(store->queues, bot, queue)
        {
                json_object *updates = json_object_object_get(queue, "updates");

                for (size_t i = 0; i < json_object_array_length(updates); i++)
                        queue_write(store, json_object_get(json_object_array_get_idx(updates, i)));
                if (json_object_array_length(updates) == 0)
                        queue_write(store,
                                    below_record(bot, json_get_int(queue, "next", 1), json_get_int(queue, "uid", 0)));
        }
}

static int queue_open(Store *store)
{
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;
        ssize_t n;
        int fd;

        fd = openat(store->dir_fd, QUEUE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        store->queue_file = fdopen(fd, "r+");
        if (!store->queue_file) {
                close(fd);
                return -ENOMEM;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -EBUSY;

        while ((n = getline(&line, &allocated, store->queue_file)) > 0)
                queue_replay(store->queues, line, (size_t) (line[n - 1] == '\n' ? n - 1 : n));
        queue_compact(store);
        return 0;
}

static json_object *webhooks_load(Store *store)
{
        static char buffer[1024 * 1024]; /* certificates and all */
        json_object *webhooks;
        ssize_t n = 0;
        int fd = openat(store->dir_fd, WEBHOOKS_FILE, O_RDONLY | O_CLOEXEC);

        if (fd >= 0) {
                n = read(fd, buffer, sizeof(buffer));
                close(fd);
        }
        webhooks = n > 0 ? json_parse(buffer, (size_t) n) : NULL;
        return webhooks ?: json_object_new_object();
}

int store_open(Store **ret, const char *path)
{
        _cleanup_(store_closep) Store *store = NULL;
        int r;

        if (mkdir(path, 0750) < 0 && errno != EEXIST)
                return -errno;

        store = calloc(1, sizeof(*store));
        if (!store)
                return -ENOMEM;
        store->queues = json_object_new_object();
        store->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->dir_fd < 0)
                return -errno;
        store->path = realpath(path, NULL);
        if (!store->path)
                return -errno;
        r = queue_open(store);
        if (r < 0)
                return r;
        store->webhooks = webhooks_load(store);

        *ret = TAKE_PTR(store);
        return 0;
}

Store *store_close(Store *store)
{
        if (!store)
                return NULL;

        if (store->queue_file)
                fclose(store->queue_file);
        closep(&store->dir_fd);
        json_object_put(store->queues);
        json_object_put(store->webhooks);
        free(store->path);
        free(store);
        return NULL;
}

void store_load_queue(Store *store, int64_t bot, UpdateQueue *queue, int64_t *last_uid)
{
        json_object *loaded = NULL, *updates;
        char key[24];

        (void) snprintf(key, sizeof(key), "%lld", (long long) bot);
        if (!json_object_object_get_ex(store->queues, key, &loaded))
                return;

        updates = json_object_object_get(loaded, "updates");
        for (size_t i = 0; i < json_object_array_length(updates); i++) {
                json_object *update = json_object_array_get_idx(updates, i);

                (void) update_queue_add(queue, json_get_int(update, "id", 0), json_get_int(update, "uid", 0),
                                        json_get_text(update, "body"));
        }
        queue->next_id = json_get_int(loaded, "next", queue->next_id);
        *last_uid = json_get_int(loaded, "uid", 0);
        json_object_object_del(store->queues, key);
}

void store_add_update(Store *store, int64_t bot, const Update *update)
{
        json_object *record = json_object_new_object();

        json_set_int(record, "bot", bot);
        json_set_int(record, "id", update->id);
        json_set_int(record, "uid", update->uid);
        json_set_text(record, "body", update->body);
        queue_write(store, record);
}

void store_forget(Store *store, int64_t bot, int64_t id)
{
        char key[24];

        (void) snprintf(key, sizeof(key), "%lld", (long long) bot);
        queue_write(store, below_record(key, id, 0));
}

void store_set_webhook(Store *store, const char *token, json_object *settings)
{
        const char *text;
        int fd;

        if (settings)
                json_object_object_add(store->webhooks, token, json_object_get(settings));
        else
                json_object_object_del(store->webhooks, token);

        fd = openat(store->dir_fd, WEBHOOKS_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return;
        text = json_plain(store->webhooks);
        if (write(fd, text, strlen(text)) < 0)
                fprintf(stderr, "Failed to write webhooks: %m\n");
        close(fd);
}

json_object *store_webhook(Store *store, const char *token)
{
        json_object *settings = NULL;

        return json_object_object_get_ex(store->webhooks, token, &settings) ? json_object_get(settings) : NULL;
}

json_object *store_webhooks(Store *store)
{
        return store->webhooks;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void store_set_session(Store *store, const char *token, bool present)
{
        _cleanup_free_ char *path = NULL, *directory = NULL;
        int fd;

        if (asprintf(&path, "%s/%s", token, SESSION_FILE) < 0 || asprintf(&directory, "%s/%s", store->path, token) < 0)
                abort();
        if (!present) {
                (void) nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
                return;
        }
        (void) mkdirat(store->dir_fd, token, 0750);
        fd = openat(store->dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        closep(&fd);
}

bool store_has_session(Store *store, const char *token)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", token, SESSION_FILE) < 0)
                abort();
        return faccessat(store->dir_fd, path, F_OK, 0) == 0;
}

int store_put_file(Store *store, const char *token, const char *name, const char *text, char **ret_path)
{
        _cleanup_free_ char *path = NULL, *directory = NULL;
        _cleanup_close_ int fd = -1;

        if (asprintf(&path, "%s/%s/%s", store->path, token, name) < 0)
                return -ENOMEM;
        directory = strdup(path);
        if (!directory)
                return -ENOMEM;
        if (mkdir(dirname(directory), 0750) < 0 && errno != EEXIST)
                return -errno;
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
                return -errno;
        if (write(fd, text, strlen(text)) != (ssize_t) strlen(text))
                return -EIO;
        *ret_path = TAKE_PTR(path);
        return 0;
}
