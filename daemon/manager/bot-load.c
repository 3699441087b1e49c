/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fs-util.h"
#include "base/log.h"
#include "core/webhook-rules.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* What a bot is made of when this process starts: token, record, spool. */

/* A credential of tgswitchd.service: KIND_NAME (systemd.exec(5), LoadCredential= of a directory). Returns -ENOENT where
 * there is none. The bytes are the caller's to wipe. */
static int read_credential(const Bot *b, const char *kind, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int fd = -EBADF;
        char name[64];

        if (!b->manager->credentials_directory)
                return -ENOENT;
        fd = open(b->manager->credentials_directory, O_DIRECTORY | O_CLOEXEC | O_RDONLY);
        if (fd < 0)
                return -errno;
        snprintf(name, sizeof(name), "%s_%s", kind, b->name);
        return read_file_at(fd, name, O_NOFOLLOW, size_max, ret, ret_size);
}

typedef struct Credential {
        char *bytes;
        size_t size;
        int result; /* of reading it: 0, or -ENOENT and the like without any bytes */
} Credential;

static void credential_done(Credential *c)
{
        if (c->bytes)
                explicit_bzero(c->bytes, c->size);
        free(c->bytes);
        *c = (Credential){ .result = -ENOENT };
}

/* Leaves one behind that is not there. */
#define TAKE_CREDENTIAL(c)                               \
        ({                                               \
                Credential _taken = (c);                 \
                (c) = (Credential){ .result = -ENOENT }; \
                _taken;                                  \
        })

static Credential credential_of(const Bot *b, const char *prefix, const char *kind, size_t size_max)
{
        Credential c = {};
        char name[32];

        snprintf(name, sizeof(name), "%s%s", prefix, kind);
        c.result = read_credential(b, name, size_max, &c.bytes, &c.size);
        assert(c.result < 0 || c.bytes);
        return c;
}

static size_t size_without_newline(const Credential *c)
{
        return c->size > 0 && c->bytes[c->size - 1] == '\n' ? c->size - 1 : c->size;
}

/* Whether both mean the same: a newline at the end is no part of a token or secret. */
static bool credential_equal(const Credential *a, const Credential *b)
{
        return a->result >= 0 && b->result >= 0 && size_without_newline(a) == size_without_newline(b) &&
               memcmp(a->bytes, b->bytes, size_without_newline(a)) == 0;
}

/* A secret of the administrator's, from the plain file or the encrypted one, which look the same to us. With both of
 * them nobody could tell which is the old one: -EEXIST. -EKEYREJECTED: the encrypted one is not for this host. In both
 * cases *ret_why is the sentence, or NULL for want of memory. */
static Credential read_secret(const Bot *b, const char *kind, size_t size_max, char **ret_why)
{
        _cleanup_(credential_done) Credential plain = credential_of(b, "", kind, size_max);
        _cleanup_(credential_done) Credential sealed = credential_of(b, "encrypted-", kind, size_max);
        _cleanup_(credential_done) Credential refused = credential_of(b, "refused-", kind, 4096);
        bool both = plain.result != -ENOENT && (sealed.result != -ENOENT || refused.result >= 0), equal;
        Credential none = { .result = both ? -EEXIST : -EKEYREJECTED };

        equal = both && credential_equal(&plain, &sealed);
        if (equal)
                bot_log(b, LOG_WARNING,
                        "The same %s is in /etc/tgswitch/%ss/%s and, encrypted, in /etc/tgswitch/%ss.encrypted/%s: remove "
                        "the first.",
                        kind, kind, b->name, kind, b->name);
        if (both && !equal) {
                if (asprintf(ret_why,
                             "There are two %ss, /etc/tgswitch/%ss/%s and /etc/tgswitch/%ss.encrypted/%s, and they are "
                             "not the same: remove the wrong one and run 'systemctl restart tgswitchd'.",
                             kind, kind, b->name, kind, b->name) < 0)
                        *ret_why = NULL;
                return none;
        }
        if (refused.result >= 0) {
                *ret_why = strdup(refused.bytes);
                return none;
        }
        return sealed.result != -ENOENT ? TAKE_CREDENTIAL(sealed) : TAKE_CREDENTIAL(plain);
}

/* Once: what is in the way of one is in the way of all. */
static void tell_unlocked(Manager *m)
{
        if (!m->unlocked_told)
                log_warning("A token could not be locked into memory. Only MemorySwapMax=0 of tgswitchd.service keeps it "
                            "out of swap now, where the host has control groups v2: raise LimitMEMLOCK= there, or allow "
                            "mlock(2) in the container.");
        m->unlocked_told = true;
}

static void load_token(Bot *b)
{
        _cleanup_free_ char *why = NULL;
        _cleanup_(credential_done) Credential c = read_secret(b, "token", 4096, &why);
        int r = c.result >= 0 ? bot_token_new(&b->token, c.bytes, c.size) : c.result;

        if (r == -EEXIST || r == -EKEYREJECTED)
                bot_set_error(b, "%s", why ?: "There is not enough memory to say why there is no token.");
        else if (r == -ENOENT)
                bot_set_error(b,
                              "There is no token: store it with 'tgswitchctl set-token %s', or put it into "
                              "/etc/tgswitch/tokens/%s (mode 0600, one line as BotFather gave it) and run 'systemctl "
                              "restart tgswitchd'.",
                              b->name, b->name);
        else if (r == -EINVAL)
                bot_set_error(b,
                              "The credential token_%s is not a bot token: it has to be one line as BotFather gave "
                              "it, like 123456789:AA… (35 characters). Store it anew with 'tgswitchctl set-token %s'.",
                              b->name, b->name);
        else if (r < 0)
                bot_set_error(b,
                              "The credential token_%s cannot be read: %s. Store the token anew with 'tgswitchctl "
                              "set-token %s'.",
                              b->name, strerror(-r), b->name);
        if (r < 0)
                bot_log_event(b, LOG_ERR, LOG_EVENT_TOKEN_UNUSABLE, "%s", b->error ?: "no memory");
        else if (!bot_token_is_locked(b->token))
                tell_unlocked(b->manager);
}

static void load_webhook_secret(Bot *b)
{
        _cleanup_free_ char *why = NULL;
        _cleanup_(credential_done) Credential c = read_secret(b, "secret", 512, &why);

        if (c.result == -ENOENT)
                return;
        if (c.result < 0) {
                if (why)
                        bot_log_event(b, LOG_ERR, LOG_EVENT_WEBHOOK_SECRET_UNUSABLE, "%s", why);
                else
                        bot_log_event_errno(b, LOG_ERR, LOG_EVENT_WEBHOOK_SECRET_UNUSABLE, c.result,
                                            "Failed to read the credential secret_%s: %m. Put the secret into "
                                            "/etc/tgswitch/secrets/%s anew and run 'systemctl restart tgswitchd'.",
                                            b->name, b->name);
                return;
        }
        if (c.size > 0 && c.bytes[c.size - 1] == '\n')
                c.bytes[--c.size] = '\0';
        if (strlen(c.bytes) == c.size && c.size > 0)
                b->webhook_secret = TAKE_PTR(c.bytes);
}

/* Whatever is wrong with it is said when the webhook needs it, by check; a private key in a file that is handed to
 * servers is said at once. */
static void load_webhook_certificate(Bot *b)
{
        char *bytes = NULL, *sentence = NULL;
        const char *problem;
        size_t size = 0;
        int r;

        r = read_credential(b, "certificate", WEBHOOK_CERTIFICATE_SIZE_MAX, &bytes, &size);
        if (r == -ENOENT)
                return;
        problem = r < 0 ? "cannot be read, or has more than 64 KiB" : webhook_certificate_problem(bytes, size);
        if (!problem) {
                b->webhook_certificate = bytes;
                b->webhook_certificate_size = size;
                return;
        }
        if (asprintf(&sentence,
                     "The webhook's certificate cannot be used, /etc/tgswitch/certificates/%s %s: put the certificate "
                     "alone there, in PEM, and run 'systemctl restart tgswitchd'.",
                     b->name, problem) < 0)
                sentence = NULL;
        b->webhook_certificate_problem = sentence;
        if (r < 0)
                bot_log_event_errno(b, LOG_ERR, LOG_EVENT_WEBHOOK_SECRET_UNUSABLE, r,
                                    "Failed to read the credential certificate_%s: %m. Put the certificate into "
                                    "/etc/tgswitch/certificates/%s anew and run 'systemctl restart tgswitchd'.",
                                    b->name, b->name);
        else if (webhook_certificate_has_key(bytes, size))
                bot_log_event(b, LOG_ERR, LOG_EVENT_WEBHOOK_SECRET_UNUSABLE, "%s", sentence ?: "no memory");
        if (bytes)
                explicit_bzero(bytes, size);
        free(bytes);
}

static void on_declared(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->asked_job = disk_job_free(b->asked_job);
        if (r < 0)
                bot_record_aside(b);
        if (bot_gate_open(b))
                gate_reconsider(b);
}

/* A bot without a record is where its file says, and nowhere without that. */
int bot_declare_initial_seat(Bot *b)
{
        /* What cannot be read is not "no record": it must not be written over. */
        if (!b->record_ok || b->record.seat != SEAT_UNDECLARED || !b->config ||
            b->config->initial_seat == SEAT_UNDECLARED || !b->token)
                return 0;
        b->record.seat = b->config->initial_seat;
        b->record.bot_id = bot_token_id(b->token);
        b->asked_job = disk_job_free(b->asked_job);
        return bot_save(b, on_declared, b, &b->asked_job);
}

static void load_record(Bot *b)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = store_load(b->manager->store, b->name, &b->record, &why);
        if (r >= 0 || r == -ENOENT)
                r = spool_open(&b->spool, b->manager->store, b->name, &why);
        if (r >= 0) {
                b->record_ok = true;
                return;
        }
        /* Never a fresh start: a forgotten logOut would let the window open early. */
        bot_set_error(b, "%s", why ?: strerror(-r));
        bot_log_event(b, LOG_ERR, LOG_EVENT_RECORD_BAD, "Nothing is done for this bot: %s", b->error ?: "no memory");
}

/* Another bot's token is as good as none: with it, the wrong bot would be logged out, and the workers get it. */
static void check_token_is_ours(Bot *b)
{
        if (!b->token || b->record.bot_id == 0 || b->record.bot_id == bot_token_id(b->token))
                return;
        bot_set_error(b,
                      "The token is of bot %" PRIi64 ", but %s is on record as bot %" PRIi64
                      ": store the right token with 'tgswitchctl set-token %s', or give the other bot a name of its own.",
                      bot_token_id(b->token), b->name, b->record.bot_id, b->name);
        bot_log_event(b, LOG_ERR, LOG_EVENT_TOKEN_UNUSABLE, "%s", b->error ?: "no memory");
        b->token = bot_token_free(b->token);
}

/* A worker that reads it does not start without it. */
#define PUBLISH_AGAIN_USEC (10 * USEC_PER_SEC)

static void on_publish_timer(void *userdata)
{
        bot_publish_environment(userdata);
}

/* The environment file of a bot that is logged in somewhere, also where the gate is still closed: /run may be new. With
 * Move=reload it says so where it is not, and as long as the workers are to hold. */
void bot_publish_environment(Bot *b)
{
        Seat seat = bot_seat(b);
        int r;

        /* Workers that hold must not be told otherwise by any reload before their time. */
        if (b->config && b->config->move == MOVE_RELOAD && !cutover_facts(b->record.state)->gate_open)
                seat = SEAT_NONE;
        else if (seat != SEAT_CLOUD && seat != SEAT_LOCAL)
                return;
        if (!b->record_ok || !b->token)
                return;
        b->publish_timer = clock_timer_free(b->publish_timer);
        r = publish_environment(b, seat);
        if (r >= 0)
                return;
        bot_log_errno(b, LOG_ERR, r, "Failed to write the environment file, which is tried again: %m");
        r = clock_timer_new(&b->publish_timer, b->manager->event, PUBLISH_AGAIN_USEC, on_publish_timer, b);
        if (r < 0)
                bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer; it is written at the next reload: %m");
}

int bot_load(Bot *b)
{
        int r;

        load_token(b);
        load_webhook_secret(b);
        load_webhook_certificate(b);
        load_record(b);
        if (!b->record_ok)
                return 0;
        if (b->record.state == CUTOVER_SETTLED && b->record.job.id > 0)
                bot_history_keep(b);
        check_token_is_ours(b);
        bot_window_load(b);
        manager_pace_remember(b->manager, b);
        r = bot_declare_initial_seat(b);
        if (r < 0)
                return r;
        bot_publish_environment(b);
        /* Whatever the process before this one has sent may have arrived. */
        b->login_sent = true;
        b->stale_asked = b->record.state == CUTOVER_STALE_LOG_OUT;
        /* Which worker took the part before this one is forgotten; that there was one is not. */
        b->part_dropped = b->record.state == CUTOVER_CONFIRM && b->record.job.handed_over > 0;
        /* It may have been killed between serving a part and the record of that, or between the record, of what a
         * command before the main program got, and the answer to the main program itself: in doubt it is handed over
         * again. */
        b->part_doubtful = b->record.state == CUTOVER_START_WORKERS || b->record.state == CUTOVER_CONFIRM ||
                           b->record.state == CUTOVER_STALE_HAND_OVER;
        if (b->part_doubtful && !delivery_applies(b))
                b->record.part_served_updates = 0;
        r = handover_prepare(b);
        if (r < 0)
                return r;
        if (bot_job_running(b) && !b->token) {
                bot_set_error(b,
                              "The bot is in the middle of a cutover (%s) and has no usable token: store it with "
                              "'tgswitchctl set-token %s'. Until then nothing is done.",
                              cutover_state_to_string(b->record.state), b->name);
                bot_log_event(b, LOG_ERR, LOG_EVENT_TOKEN_UNUSABLE, "%s", b->error ?: "no memory");
                return 0;
        }
        if (bot_job_running(b))
                bot_log_event(b, LOG_NOTICE, LOG_EVENT_JOB_RESUMED,
                              "Goes on with the cutover to %s from '%s' (job %" PRIu32 ").",
                              seat_to_string(b->record.job.target), cutover_state_to_string(b->record.state),
                              b->record.job.id);
        /* At once: what the record says of the old process is not to be published as if it were so now. */
        bot_take(b, CUTOVER_RESTARTED);
        return 0;
}
