/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

#include "base/macro.h"
#include "base/time-util.h"
#include "core/record.h"
#include "io/config.h"
#include "random.h"
#include "refusal.h"
#include "telegram.h"
#include "timeline.h"

/* The host and everything around the daemon, of which the headers of io/ are the windows. There is one world at a time:
 * the functions that take the place of io/ are not told which one is meant. */

/* Mostly one to three; now and then more than a server logs in at once. */
#define SIM_BOTS_MAX    30u
#define SIM_BOTS_FEW    3u
#define SIM_WORKERS_MAX 3u
#define CLOUD_ROOT      "https://api.telegram.org"
#define LOCAL_ROOT      "http://127.0.0.1:8081"
#define SERVER_UNIT     "telegram-bot-api.service"
/* What CLOCK_REALTIME shows at true time 0, on a host whose clock is right. */
#define SIM_EPOCH_USEC (1700000000 * USEC_PER_SEC)

typedef struct SimBot SimBot;
typedef struct Unit Unit;

/* ---- updates ---- */

typedef enum Fate {
        FATE_OPEN,    /* on its way: in a queue, in the spool, with a worker that has not handled it yet */
        FATE_HANDLED, /* by a worker, once at least */
        FATE_BLIND,   /* came while the bot was logged in nowhere */
        FATE_RACE,    /* came after the last getUpdates before logOut was answered */
        FATE_CLEARED, /* an administrator threw the spool away */
        FATE_CUT,   /* the daemon was killed between taking a program's request out of the FD store and answering it */
        FATE_STRAY, /* went to a session that nobody could know of */
        FATE_MAX,
} Fate;

typedef struct Update {
        uint8_t bot;
        Fate fate;
        unsigned on_disk; /* in so many files of the spool */
        usec_t arrived_usec;
} Update;

/* ---- the disk ---- */

typedef struct SpoolFile {
        unsigned n;
        bool ghost; /* of a call that failed: should be gone, and may be back after a restart */
        int64_t *ids;
        uint32_t *updates; /* numbers of ours */
} SpoolFile;

/* What is on disk of one bot, whoever wrote it. */
typedef struct DiskBot {
        char *record;
        size_t record_size;
        char *ghost; /* of a save that failed: after a power cut this may be what is there */
        size_t ghost_size;
        uint32_t ghost_job; /* the number of the job in it, and whether that has ended there */
        bool ghost_job_ended;
        SpoolFile *files;
        size_t n_files;
        Seat published; /* the endpoint in the environment file */
} DiskBot;

/* ---- the configuration ---- */

typedef enum FileState {
        FILE_GOOD,
        FILE_BROKEN,
        FILE_GONE,
} FileState;

typedef struct BotSettings {
        FileState state;
        Seat initial_seat;
        bool glob; /* Worker= is a pattern */
        bool spool_to, spool_to_given, on_undrained_given;
        Move move;
        OnUndrained on_undrained;
        usec_t drain_timeout_usec, stop_timeout_usec, start_timeout_usec, spool_timeout_usec, log_out_timeout_usec;
        usec_t log_in_timeout_usec, hold_timeout_usec, settle_usec;
        bool webhook_secret_known, webhook_has_secret;
        Fallback fallback;
        usec_t fallback_grace_usec;
        bool export_token;
} BotSettings;

typedef struct Settings {
        FileState state; /* of tgswitch.conf */
        bool login_probe;
        usec_t server_start_timeout_usec;
        unsigned connections_max, concurrency, max_failures;
        bool stop_when_unused;
        usec_t server_probe_usec;
        BotSettings bots[SIM_BOTS_MAX];
} Settings;

/* ---- one bot, as it really is ---- */

/* What the judge knows of where a bot may be spoken to. */
typedef enum Whereabouts {
        WHEREABOUTS_AT,       /* logged in at `side` */
        WHEREABOUTS_MAY_LEFT, /* a logOut at `side` was sent, and nobody knows yet what became of it */
        WHEREABOUTS_LEFT,     /* it was applied, or the session there is on record as one to be ended */
} Whereabouts;

typedef struct BotJudge {
        Whereabouts whereabouts;
        Side side;
        bool unknown;                      /* a logOut has remained without an answer that tells */
        bool behind;                       /* the disk is: see judge_daemon_starts() */
        bool told;                         /* an answer to something else has said that the bot is out */
        bool owed;                         /* the local server was left with a session, which is on record */
        bool login_sent;                   /* a login may have reached the local server since the cloud was left */
        bool login_refused;                /* the cloud did not take the bot at once: when it will is not to be known */
        usec_t closed_usec[SIDE_MAX];      /* the bot must not be logged in there before; true time */
        usec_t safe_usec[SIDE_MAX];        /* all that had come by then has been handled or is on disk */
        usec_t polled_usec[SIDE_MAX];      /* the last getUpdates of the daemon was sent, or well answered */
        uint32_t batch[REPLY_UPDATES_MAX]; /* what the last answer gave, while it is not on disk */
        unsigned n_batch;
        Side batch_side;
        usec_t batch_usec;   /* when it was made; 0: nothing is open */
        bool strays;         /* a request that was on its way too long has logged the bot in: not to be known */
        bool webhook_strays; /* a request of the kind came when nobody waited for it any more */
        bool webhook_lost;   /* nobody had asked for it before the server that has it was dead */
        bool job;            /* one runs: what it found */
        bool job_left;       /* it sent a logOut that was applied */
        bool disturbed;      /* something else has changed the bot's units or server since the job began */
        bool job_webhook;
        bool job_server_ran, job_server_off; /* neither: it was on its way to one of them */
        bool job_units_obey;
        bool job_ran[SIM_WORKERS_MAX];
        uint32_t job_pids[SIM_WORKERS_MAX];
} BotJudge;

struct SimBot {
        unsigned index;
        char name[24];
        int64_t id;
        char token[64];
        bool has_token;                   /* as a credential of tgswitchd.service */
        bool has_secret, has_certificate; /* the same, of its webhook */
        bool sends_certificate;           /* its webhook was set with one */
        bool revoked;
        bool webhook_bot;
        bool declared; /* the record, InitialSeat= or an administrator has said where it is */
        Session sessions[SIDE_MAX];
        DiskBot disk;
        Unit *workers[SIM_WORKERS_MAX];
        size_t n_workers;
        Unit *timer; /* that starts the last worker, or NULL */
        BotJudge judge;
        unsigned updates_per_hour;
};

/* ---- what may go wrong ---- */

/* Each in 1/1000 of all occasions. */
typedef struct Faults {
        unsigned connect_fails, request_lost, reply_lost, slow, front_end, handled_twice, flood, server_error,
                        login_fails;
        unsigned disk_fails, disk_slow;
        unsigned unit_fails, unit_slow, unit_stubborn, worker_dies, bus_fails, denied;
        unsigned server_start_fails, server_hangs;
        unsigned refused[REFUSABLE_MAX];
} Faults;

/* A local server that does not come up again for a while. */
typedef enum Outage {
        OUTAGE_NONE,
        OUTAGE_FAILS,     /* its program ends at once */
        OUTAGE_CONDITION, /* a condition of the unit is not met: systemd calls the start done */
        OUTAGE_HANGS,     /* it runs, and answers nothing */
        OUTAGE_NO_LOGIN,  /* it cannot reach Telegram */
        OUTAGE_MAX,
} Outage;

typedef struct World {
        uint64_t seed;
        bool faults_on;
        usec_t busy_until; /* then all calms down */
        Faults faults;

        /* the host */
        bool up;
        bool shutting_down;
        usec_t booted_usec;           /* true time */
        usec_t sleep_before_usec;     /* suspended before this boot */
        int64_t realtime_offset_usec; /* of CLOCK_REALTIME to true time */
        bool synchronised;
        uint8_t boot_id[16];
        usec_t disk_bad_until, network_bad_until;
        usec_t refused_from, refused_until; /* all calls of the kind `refused_now` */
        Refusable refused_now;
        usec_t bus_usec; /* when the last message arrives */
        uint64_t free_bytes;

        SimBot bots[SIM_BOTS_MAX];
        size_t n_bots;
        Settings settings; /* in /etc */
        Settings copy;     /* the last good ones, in the state directory */
        bool has_copy;
        uint32_t next_job;
        uint32_t *history; /* jobs that have a line there */
        size_t n_history;
        unsigned part_max; /* updates in one part of the spool */

        Update *updates;
        size_t n_updates, updates_allocated;

        usec_t lock_usec[SIDE_MAX]; /* how long a server says "Logged out" after a logOut; 0: as its source says */

        usec_t cloud_logins[20]; /* the last ones; a server takes so many new clients of one address in a minute */
        size_t n_cloud_logins;
        Outage outage;              /* of the local server: what is wrong with it whenever it is started */
        usec_t outage_until;        /* USEC_INFINITY: for good */
        bool server_should_rest;    /* whoever needed it has let it go: it is to be as it was */
        usec_t server_trouble_usec; /* when it was last not as it should be, or not to be reached */
} World;

extern World world;

#define SIM_BOT_OF(index) (&world.bots[index])

/* Something goes wrong in one of a thousand `per_mille` times, while things may. */
bool fault(unsigned per_mille);

SimBot *world_find_bot(const char *name);
usec_t world_boottime_usec(void);
usec_t world_realtime_usec(void);
usec_t world_monotonic_usec(void);

/* An update for the bot comes to Telegram. */
void world_update_arrives(SimBot *b);

/* What happened, for people: kept while tracing is on. The run's fingerprint goes on in any case. */
void trace(const char *format, ...) _printf_(1, 2);
void trace_begin(bool keep, bool print);
void trace_fingerprint(uint64_t value);
uint64_t trace_result(void);
void trace_dump(FILE *f, size_t lines);
bool trace_is_kept(void);

static inline Side side_of_seat(Seat seat)
{
        assert(seat == SEAT_CLOUD || seat == SEAT_LOCAL);

        return seat == SEAT_CLOUD ? SIDE_CLOUD : SIDE_LOCAL;
}

static inline Seat seat_of_side(Side side)
{
        return side == SIDE_CLOUD ? SEAT_CLOUD : SEAT_LOCAL;
}
