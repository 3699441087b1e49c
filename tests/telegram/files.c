/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "client.h"

/* Nobody uploads anything here: a bot has every file that it asks for, and the content tells whose it is. */

static bool file_id_is_valid(const char *id)
{
        return strlen(id) <= 64 &&
               strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(id);
}

/* A server with --local downloads it and tells where it is on this host. Any other tells a path that /file/ would have,
 * if a server of one's own had that: only the cloud does. */
static char *file_path(Client *client, const char *id, const char *content)
{
        const EngineOptions *options = &client->engine->options;
        _cleanup_free_ char *name = NULL;
        char *path = NULL;

        if (asprintf(&name, "documents/file_%s", id) < 0)
                return NULL;
        if (!options->store)
                return TAKE_PTR(name);
        if (store_put_file(options->store, client->token, name, content, &path) < 0)
                return NULL;
        if (options->local_mode)
                return path;
        free(path);
        return TAKE_PTR(name);
}

void client_get_file(Client *client, Query *query)
{
        const char *id = json_get_text(query->arguments, "file_id");
        _cleanup_free_ char *content = NULL, *path = NULL;
        json_object *file;

        if (isempty(id)) {
                query_error(query, 400, "Bad Request: file_id not specified");
                return;
        }
        if (!file_id_is_valid(id)) {
                query_error(query, 400, "Bad Request: invalid file_id");
                return;
        }
        if (asprintf(&content, "file %s of bot %lld\n", id, (long long) client->bot) < 0)
                abort();
        path = file_path(client, id, content);
        if (!path) {
                query_error(query, 400, "Bad Request: file is temporarily unavailable");
                return;
        }
        file = json_object_new_object();
        json_set_text(file, "file_id", id);
        json_set_text(file, "file_unique_id", id);
        json_set_int(file, "file_size", (int64_t) strlen(content));
        json_set_text(file, "file_path", path);
        query_ok(query, file, NULL);
}
