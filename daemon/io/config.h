/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "base/time-util.h"
#include "core/record.h"
#include "core/seat.h"

/* tgswitch.conf, its drop-ins, and bots.d/NAME.conf: syntax and precedence of systemd (systemd.unit(5): /etc over /run
 * over /usr/lib, a file masks one of the same name of a lower directory, drop-ins sorted by name over all directories,
 * a symlink to /dev/null or an empty file is as if there were none). Read with libinih behind a strict reader: whatever
 * is not understood is an error with file, line and what was expected, and a file with an error gives nothing at all.
 * A key with one value stands once in a file; a list is split at blanks, grows with every assignment, and is emptied by
 * "Key=". A file in bots.d of comments alone declares no bot.
 *
 *   config.c         which files there are, what they are together, and the copy of the last good ones
 *   config-reader.c  lines
 *   config-parse.c   the table of keys, and values */

typedef enum Fallback {
        FALLBACK_MANUAL,
        FALLBACK_AUTO,
        FALLBACK_MAX,
        FALLBACK_INVALID = -EINVAL,
} Fallback;

const char *fallback_to_string(Fallback f);
Fallback fallback_from_string(const char *s);

/* How a worker that runs is kept from the servers while its bot moves. */
typedef enum Move {
        MOVE_RESTART, /* it is stopped, and started at the target */
        MOVE_RELOAD,  /* it holds: told by a reload of its unit, and told by another one where to go on */
        MOVE_MAX,
        MOVE_INVALID = -EINVAL,
} Move;

const char *move_to_string(Move m);
Move move_from_string(const char *s);

/* One bot's settings. Every key of [Bot] may also stand in [BotDefaults] of tgswitch.conf, but for Worker=, SpoolTo=
 * and InitialSeat=; Export= of both add up. */
typedef struct BotConfig {
        char *name;
        char *path;                /* of bots.d/NAME.conf */
        Seat initial_seat;         /* InitialSeat=cloud|local; SEAT_UNDECLARED if absent */
        char **workers;            /* Worker=UNIT [UNIT…], may repeat; names or globs */
        char *spool_to;            /* SpoolTo=UNIT, by default the worker where there is exactly one and it is no glob;
                                    * NULL: none, also by SpoolTo=none */
        bool spool_to_given;       /* by SpoolTo=UNIT: that worker takes the spool, also of a bot with a webhook */
        Move move;                 /* Move=restart|reload */
        OnUndrained on_undrained;  /* OnUndrained=fail|spool|wait; default spool where spool_to, else fail */
        bool on_undrained_given;   /* what it says stands in a file */
        usec_t drain_timeout_usec; /* DrainTimeoutSec=30 */
        usec_t stop_timeout_usec;  /* StopTimeoutSec=100: longer than systemd's own */
        usec_t start_timeout_usec; /* StartTimeoutSec=90 */
        usec_t spool_timeout_usec; /* SpoolTimeoutSec=30 */
        usec_t log_out_timeout_usec; /* LogOutTimeoutSec=30: how long attempts that did not arrive are tried again */
        usec_t log_in_timeout_usec;  /* LogInTimeoutSec=20: one attempt */
        usec_t hold_timeout_usec;    /* HoldTimeoutSec=15min */
        usec_t settle_usec;          /* SettleSec=5 */
        bool export_token;           /* ExportToken=no */
        char **exports;              /* Export=NAME={root}/bot, may repeat */
        bool webhook_has_secret;     /* WebhookSecret=yes: the credential secret_NAME holds it. =no: there is none */
        bool webhook_secret_known;   /* WebhookSecret= was given at all */
        char *webhook_ip_address; /* WebhookIPAddress=ADDRESS, with which the webhook is set, or =dns: see below. NULL:
                                   * the server looks the webhook's host up by itself */
        Fallback fallback;        /* Fallback=manual|auto: whether the bot leaves a dead local server by itself */
        usec_t fallback_grace_usec; /* FallbackGraceSec=60: how long the server has to be dead for that */
} BotConfig;

/* Of WebhookIPAddress=: the server looks the host up by itself, and what the local server found says nothing of what
 * the cloud will find. */
#define WEBHOOK_ADDRESS_BY_DNS "dns"

/* Whether a worker takes what is spooled as soon as the bot has moved: at its start. One that is reloaded would have to
 * be restarted for that, which is done only where somebody has said so. */
static inline bool bot_config_hands_over(const BotConfig *b)
{
        return b->spool_to && (b->move == MOVE_RESTART || b->spool_to_given);
}

typedef struct Config {
        char *cloud_root;                 /* CloudServer=https://api.telegram.org */
        char *local_root;                 /* LocalServer=http://127.0.0.1:8081 */
        char *server_unit;                /* LocalServerUnit=telegram-bot-api.service */
        char *local_files;                /* LocalFiles=DIRECTORY of a server in --local mode; NULL: it is in none */
        usec_t server_start_timeout_usec; /* ServerStartTimeoutSec=30 */
        bool login_probe;                 /* LoginProbe=yes */
        uint64_t state_free_min;          /* StateFreeMin=64M: check fails below */
        unsigned connections_max;         /* CredentialConnectionsMax=512 */
        unsigned concurrency;             /* Concurrency=4: bots that move at the same time */
        unsigned max_failures;            /* MaxFailures=1: past log-out, then no further one of the same call begins */
        bool stop_when_unused;            /* StopWhenUnused=yes: the server's unit, once its last bot has left */
        usec_t server_probe_usec;         /* ServerProbeSec=5: how often it is asked whether it is well, where a bot
                                           * with Fallback=auto, or a stale session, depends on it */
        BotConfig **bots;                 /* sorted by name */
        size_t n_bots;
} Config;

/* One thing that is wrong. */
typedef struct ConfigProblem {
        char *path;
        unsigned line; /* 0: the file as a whole */
        char *message; /* "Unknown key 'Wroker' in [Bot]; expected one of …" */
        char *bot;     /* the bot whose file it is, or NULL: all of the configuration is refused */
} ConfigProblem;

typedef struct ConfigProblems {
        ConfigProblem *items;
        size_t n;
} ConfigProblems;

/* The directories that hold tgswitch.conf, tgswitch.conf.d/ and bots.d/, highest precedence first; NULL-terminated. */
extern const char *const config_directories[];

/* Reads everything. A bad bots.d file puts a problem with that bot's name into *ret_problems and leaves the bot out,
 * and so does the second of two that name the same worker; what is wrong with tgswitch.conf, or keeps a directory from
 * being read, puts one without. Returns 0 where *ret is usable, though *ret_problems may name bots; -EINVAL where it is
 * not: *ret is untouched; -ENOMEM. Both outputs are owned by the caller. Synchronous. */
int config_load(const char *const *directories, Config **ret, ConfigProblems *ret_problems) _must_check_;
Config *config_free(Config *c);
DEFINE_CLEANUP(Config *, config_free);
BotConfig *bot_config_free(BotConfig *b);
DEFINE_CLEANUP(BotConfig *, bot_config_free);
void config_problems_done(ConfigProblems *p);
/* "PATH:LINE: MESSAGE", or "PATH: MESSAGE" where it is the file as a whole; the caller's. NULL: no memory. */
char *config_problem_describe(const ConfigProblem *p);

const BotConfig *config_find_bot(const Config *c, const char *name);

/* The last good configuration, as a directory that config_load() reads: a copy of all files that count, replaced in one
 * step and synced. In it a bot's file stays as it was where the new one is bad, and also where there is no new one,
 * since a bot that is being moved outlives its file: config_copy_forget_bot() removes it. Masked files count as gone.
 * -EINVAL: what is in `directories` cannot be used, and nothing was copied. Both block; they may run on the disk queue.
 */
int config_save_copy(const char *const *directories, const char *copy) _must_check_;
/* Reads it. Two bots may have the same worker in it, one of which is gone, or bad now: config_load() would refuse the
 * second, and with it what a bot on its way still needs. -ENOENT: there is none, which is not the same as one of no
 * files. */
int config_load_copy(const char *copy, Config **ret) _must_check_;
int config_copy_forget_bot(const char *copy, const char *bot) _must_check_;

/* NAME of bots.d/NAME.conf: [a-z][a-z0-9_]{0,31} */
#define BOT_NAME_MAX 32u
bool bot_name_is_valid(const char *name);
