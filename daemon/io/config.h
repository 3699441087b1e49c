/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"
#include "core/record.h"
#include "core/seat.h"

/* tgswitch.conf, its drop-ins, and bots.d/NAME.conf: syntax and precedence of systemd (systemd.unit(5): /etc over /run
 * over /usr/lib, a file masks one of the same name of a lower directory, drop-ins sorted by name over all directories).
 * Read with libinih behind a strict reader: whatever is not understood is an error with file, line and what was
 * expected, and a file with an error gives nothing at all. */

typedef enum WorkerMove {
        WORKER_MOVE_RESTART,
        WORKER_MOVE_MAX,
        WORKER_MOVE_INVALID = -EINVAL,
} WorkerMove;

/* One bot's settings. Every key of [Bot] may also stand in [BotDefaults] of tgswitch.conf, but for Worker=, SpoolTo=
 * and InitialSeat=. */
typedef struct BotConfig {
        char *name;
        char *path; /* of bots.d/NAME.conf */
        Seat initial_seat;    /* InitialSeat=cloud|local; SEAT_UNDECLARED if absent */
        char **workers;       /* Worker=UNIT [UNIT…], may repeat; names or globs */
        char *spool_to;       /* SpoolTo=UNIT; NULL: none, unless there is exactly one worker and it is no glob: that */
        OnUndrained on_undrained; /* OnUndrained=fail|spool|wait; default spool where spool_to, else fail */
        usec_t drain_timeout_usec;   /* DrainTimeoutSec=30 */
        usec_t stop_timeout_usec;    /* StopTimeoutSec=90 */
        usec_t start_timeout_usec;   /* StartTimeoutSec=90 */
        usec_t spool_timeout_usec;   /* SpoolTimeoutSec=30 */
        usec_t log_out_timeout_usec; /* LogOutTimeoutSec=30: how long attempts that did not arrive are tried again */
        usec_t log_in_timeout_usec;  /* LogInTimeoutSec=20: one attempt */
        usec_t hold_timeout_usec;    /* HoldTimeoutSec=15min */
        usec_t settle_usec;          /* SettleSec=5 */
        bool export_token;           /* ExportToken=no */
        char **exports;              /* Export=NAME={root}/bot, may repeat */
        bool webhook_has_secret;     /* WebhookSecret=yes: the credential secret_NAME holds it. =no: there is none */
        bool webhook_secret_known;   /* WebhookSecret= was given at all */
} BotConfig;

typedef struct Config {
        char *cloud_root;   /* CloudServer=https://api.telegram.org */
        char *local_root;   /* LocalServer=http://127.0.0.1:8081 */
        char *server_unit;  /* LocalServerUnit=telegram-bot-api.service */
        usec_t server_start_timeout_usec; /* ServerStartTimeoutSec=30 */
        bool login_probe;   /* LoginProbe=yes */
        uint64_t state_free_min; /* StateFreeMin=64M: check fails below */
        unsigned connections_max; /* CredentialConnectionsMax=512 */
        BotConfig **bots; /* sorted by name */
        size_t n_bots;
} Config;

/* One thing that is wrong. */
typedef struct ConfigProblem {
        char *path;
        unsigned line;  /* 0: the file as a whole */
        char *message;  /* "Unknown key 'Wroker' in [Bot]; expected one of …" */
        char *bot;      /* the bot whose file it is, or NULL: all of the configuration is refused */
} ConfigProblem;

typedef struct ConfigProblems {
        ConfigProblem *items;
        size_t n;
} ConfigProblems;

/* The directories that hold tgswitch.conf, tgswitch.conf.d/ and bots.d/, highest precedence first; NULL-terminated. */
extern const char *const config_directories[];

/* Reads everything. A bad bots.d file puts a problem with that bot's name into *ret_problems and leaves the bot out; a
 * bad tgswitch.conf, or a worker that two bots name, puts one without (or with the second bot's) name there. Returns 0
 * where *ret is usable, though *ret_problems may name bots; -EINVAL where it is not: *ret is untouched. Both outputs
 * are owned by the caller. */
int config_load(const char *const *directories, Config **ret, ConfigProblems *ret_problems) _must_check_;
Config *config_free(Config *c);
DEFINE_CLEANUP(Config *, config_free);
void config_problems_done(ConfigProblems *p);

const BotConfig *config_find_bot(const Config *c, const char *name);

/* Writes all that was read into a directory of its own (the last good configuration), readable by config_load(). */
int config_save_copy(const char *const *directories, const char *copy) _must_check_;

/* NAME of bots.d/NAME.conf: [a-z][a-z0-9_]{0,31} */
bool bot_name_is_valid(const char *name);

/* "5", "5s", "2min 30s", "1h", "infinity": systemd.time(7). */
int parse_sec(const char *s, usec_t *ret) _must_check_;
