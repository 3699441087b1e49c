/* SPDX-License-Identifier: MIT */
#pragma once

#include "manager/bot.h"

/* The checks of a cutover: everything that can be known before anything is changed. Used by the phase `check`, which
 * may start the local server for it, and by Check() on the bus, which may not. */

typedef struct CheckList {
        CheckItem *items;
        size_t n;
} CheckList;

/* Takes nothing; on -ENOMEM the item is lost and the list counts as failed. */
void check_list_add(CheckList *l, const char *check, const char *subject, CheckVerdict verdict, const char *format, ...)
                _printf_(5, 6);
void check_list_done(CheckList *l);
/* The order for people, whichever answer came first: the bot, the servers, this host, then its workers. */
void check_list_sort(CheckList *l);
bool check_list_passed(const CheckList *l);
/* All explanations of what failed, as one text; NULL: no memory. */
char *check_list_complaint(const CheckList *l);

/* What the checks found out besides. */
typedef struct CheckFindings {
        WebhookInfo webhook;
        bool shutting_down; /* the host: nothing of this means anything */
        bool source_dead;   /* the server that the bot is to leave; then nothing is known of the webhook */
} CheckFindings;

typedef struct Check Check;
typedef void (*check_handler_t)(Check *c, const CheckList *list, const CheckFindings *findings, void *userdata);

/* One callback, from the event loop; the call may be freed in it. On the way to the cloud the local server is the
 * source: it is started, where that is allowed, to be asked. */
int check_start(Bot *b, Seat target, bool may_start_server, check_handler_t handler, void *userdata,
                Check **ret) _must_check_;
Check *check_free(Check *c);
DEFINE_CLEANUP(Check *, check_free);

/* Whether all that is asked of a worker's unit is so, also now. The bot has a configuration. */
bool check_worker_passes(const Bot *b, const UnitInfo *info);

/* ---- check-webhook.c ---- */

/* Judges whether the webhook can be set again at the target with the settings that the source told, or that are on
 * record. The bot has a configuration. */
void check_webhook(const Bot *b, Seat target, const WebhookSettings *settings, CheckList *l);

/* ---- check-unit.c: pure of everything but its arguments ---- */

typedef struct CheckUnitContext {
        const char *bot;
        const char *server_unit;
        const char *socket_path;
        const char *spool_to;              /* NULL: no worker takes the spool */
        const char *environment_directory; /* of the bots' NAME.env */
        const char *other_bot;             /* that names the unit with Worker=, too; NULL: none */
        char *const *workers;              /* Worker= of the bot: names and globs */
        usec_t stop_timeout_usec;          /* StopTimeoutSec= */
        Move move;                         /* Move= */
} CheckUnitContext;

/* Judges one worker's unit: a service of this bot alone that can be stopped and started, that leaves nothing running
 * when it is stopped, that starts behind the gate, and that is not tied to the server, to what waits for it, or to
 * units that would stay stopped. */
void check_unit(const CheckUnitContext *context, const UnitInfo *info, CheckList *l);

/* ---- check-reload.c: the same, for Move=reload: whether the unit can be told to hold, and is told by its environment
 * file ---- */
void check_reload(const CheckUnitContext *context, const UnitInfo *info, CheckList *l);

/* ---- check-here.c: the target's window, the space for updates, and what an earlier move has left of them ---- */
void check_window(const Bot *b, Seat target, CheckList *l);
void check_disk(Manager *m, CheckList *l);
void check_old_spool(const Bot *b, CheckList *l);
