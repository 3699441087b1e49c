/* SPDX-License-Identifier: MIT */
#pragma once

#include "json-util.h"
#include "update-queue.h"

/* What a local server keeps in its --dir: the queue (tqueue.binlog), the webhooks (webhooks_db.binlog) and a
 * directory for each bot it has a session of. Names and modes are those of the real server, the contents are
 * JSON. */
typedef struct Store Store;

/* Creates the directory (0750) where needed. -EBUSY: another server has it. */
int store_open(Store **ret, const char *path);
Store *store_close(Store *store);
DEFINE_CLEANUP(Store *, store_close);

/* Fills an empty queue with what the process before left. */
void store_load_queue(Store *store, int64_t bot, UpdateQueue *queue, int64_t *last_uid);
void store_add_update(Store *store, int64_t bot, const Update *update);
/* Everything with a smaller id is gone. */
void store_forget(Store *store, int64_t bot, int64_t id);

/* settings NULL: deleted. */
void store_set_webhook(Store *store, const char *token, json_object *settings);
/* A new reference, or NULL. */
json_object *store_webhook(Store *store, const char *token);
/* Token to settings; borrowed. */
json_object *store_webhooks(Store *store);

/* Without a session the directory of the bot is gone, with the files in it. */
void store_set_session(Store *store, const char *token, bool present);
bool store_has_session(Store *store, const char *token);

/* Writes a file of a bot that has a session, name being DIRECTORY/NAME, for the group to read. Its absolute path is the
 * caller's. */
int store_put_file(Store *store, const char *token, const char *name, const char *text, char **ret_path);
