/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"
#include "core/botapi-reply.h"
#include "io/botapi-client.h"
#include "timeline.h"

/* Telegram as a bot sees it: two Bot API servers, the cloud and the local one, each with a session and a queue for each
 * bot. What they answer is what the source of tdlib/telegram-bot-api 10.0 answers. */

typedef enum Side {
        SIDE_CLOUD,
        SIDE_LOCAL,
        SIDE_MAX,
} Side;

struct SimBot;
typedef struct Request Request;
typedef struct Session Session;

typedef enum ReplyKind {
        REPLY_TRUE,
        REPLY_ME,
        REPLY_WEBHOOK_INFO,
        REPLY_UPDATES,
        REPLY_ERROR,
        REPLY_HTML, /* of something in front of the server */
} ReplyKind;

/* Numbers of updates begin somewhere above. */
#define SESSION_FIRST_ID_MIN 1000

/* At most so many in one reply; the limit that the API has. */
#define REPLY_UPDATES_MAX 100u

typedef struct Reply {
        ReplyKind kind;
        int status;
        const char *description; /* static */
        unsigned retry_after;
        unsigned n_updates;
        bool all_updates; /* none were left behind */
        int64_t first_id;
        uint32_t updates[REPLY_UPDATES_MAX];
        usec_t made_usec;
        bool webhook;
        unsigned pending;
        usec_t last_error_usec;
} Reply;

/* One HTTP request on its way, whoever sent it: it goes on without its sender. */
struct Request {
        struct SimBot *bot; /* NULL: a token that is nobody's */
        bool unknown_token; /* well formed, but of no bot: the server has to ask */
        Side side;
        BotApiMethod method;
        int64_t offset;
        unsigned limit, timeout_sec;
        bool daemon;    /* of tgswitchd, else of a worker */
        bool abandoned; /* the sender is gone */
        bool closed;    /* the server has seen that */
        usec_t sent_usec;
        unsigned refs;
        void (*replied)(Request *rq, const Reply *reply); /* `reply` NULL: the connection is gone without one */
        void *sender;
        Session *session; /* where it waits */
        bool get;         /* without a body: what is in front of a server may repeat it */
        bool twice;       /* something in front of the server has handed it over before */
};

Request *request_new(struct SimBot *bot, Side side, BotApiMethod method);
Request *request_ref(Request *rq);
Request *request_unref(Request *rq);

/* Lets it go: from here it arrives, or does not, whatever the sender does. */
void request_send(Request *rq);
/* The sender closes the connection. */
void request_abandon(Request *rq);
/* How long a connection takes to stand; USEC_INFINITY: it never will. -1 in *ret_refused: at once refused. */
usec_t network_connect_usec(Side side, bool reused, bool *ret_refused);

/* ---- sessions ---- */

typedef enum SessionState {
        SESSION_OUT,
        SESSION_LOGGING_IN,
        SESSION_IN,
        SESSION_RESTING, /* logged in, but the server has not taken it up since it was started */
        SESSION_LOGGING_OUT,
        SESSION_LINGERING, /* "Logged out" */
        SESSION_REFUSED,   /* 401, remembered */
        SESSION_STATE_MAX,
} SessionState;

#define SESSION_WAITING_MAX 16u

typedef struct QueueItem {
        int64_t id;
        uint32_t update;
} QueueItem;

struct Session {
        struct SimBot *bot;
        Side side;
        SessionState state;
        Event *event; /* the end of the present state */
        usec_t authorized_usec;
        bool by_us; /* the daemon has logged it in: it can know how young it is */
        QueueItem *queue;
        size_t n_queue, queue_allocated;
        int64_t next_id;
        bool webhook;
        usec_t last_error_usec; /* of a delivery, CLOCK_REALTIME of the server */
        Event *delivery;
        Request *poller;
        Request *log_out;                      /* in progress */
        bool cut_short;                        /* its server died over a logOut, and it is still there */
        Request *waiting[SESSION_WAITING_MAX]; /* for the login */
        size_t n_waiting;
        int64_t last_offset;
        usec_t last_poll_usec;
        bool last_by_worker;
        Event *due; /* the next answer of the poller */
};

void session_init(Session *s, struct SimBot *bot, Side side, bool in, usec_t age_usec);
void session_done(Session *s);
void session_add_update(Session *s, uint32_t update);
/* Whether Telegram would send an update there. */
bool session_is_in(const Session *s);
void session_receive(Session *s, Request *rq);
/* The server was started again and takes the bot up. */
void session_take_up(Session *s);
void session_stop(Session *s, bool kill);

/* ---- the local server as a process ---- */

typedef struct LocalServer {
        bool running;
        bool hangs;    /* runs and answers nothing */
        bool no_login; /* cannot reach Telegram: a login waits for ever */
} LocalServer;

extern LocalServer local_server;

bool local_server_answers(void);
/* The same, and it can log bots in. */
bool local_server_is_well(void);
void local_server_start(void);
/* `kill`: at once, in the middle of everything; else it closes its bots first. */
void local_server_stop(bool kill);

void telegram_reset(void);
void server_receive(Request *rq);
void server_reply(Request *rq, const Reply *reply);
void server_error(Request *rq, int status, const char *description, unsigned retry_after);
/* What a server knows of updates that a webhook could not be given. */
void session_deliver_soon(Session *s);
