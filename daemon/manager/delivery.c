/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>

#include "io/webhook-client.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

/* Handing the spool over to a webhook, beside handover.c: the updates of the part that is loaded are posted as Telegram
 * does it, one after the other, each until it is accepted, for as long as the gate is open. What belongs to parts as
 * such, reading and dropping them, is handover.c's.
 *
 * The record's part_served_updates says how many from the front of the spool have been accepted. A worker is always
 * served whole files, so a number that whole files make may be one of a worker's, which proves nothing to another
 * process: it begins the part again (L6). Any other number is one of ours, and goes on where the last process was. */

/* Between two tries of one update. */
#define RETRY_FIRST_USEC   (500 * USEC_PER_MSEC)
#define RETRY_LONGEST_USEC (60 * USEC_PER_SEC)
/* Of a method that an answer asks for. */
#define CALL_TIMEOUT_USEC (20 * USEC_PER_SEC)

typedef struct Delivery {
        WebhookClient *client;
        BotApiCall *call;  /* the method that the last answer asked for: one at a time, in their order */
        ClockTimer *timer; /* until the update is posted again */
        unsigned failures; /* of it, in a row */
        bool posting;
        bool told_to_wait; /* by Retry-After */
        uint64_t recorded; /* accepted, by the record as it was last written */
        uint64_t index;    /* of the update in the part, … */
        size_t at;         /* … and where it stands; 0: to be looked for */
        char *complaint;
} Delivery;

bool delivery_applies(const Bot *b)
{
        bool worker_wanted = b->config && b->config->spool_to_given && b->config->spool_to;

        return !isempty(b->record.webhook.url) && !worker_wanted;
}

const char *delivery_complaint(const Bot *b)
{
        return b->delivery ? b->delivery->complaint : NULL;
}

void delivery_cancel(Bot *b)
{
        Delivery *d = TAKE_PTR(b->delivery);

        if (!d)
                return;
        webhook_client_free(d->client);
        botapi_call_free(d->call);
        clock_timer_free(d->timer);
        free(d->complaint);
        free(d);
}

static Delivery *delivery_get(Bot *b)
{
        Delivery *d = b->delivery;

        if (d)
                return d;
        d = calloc(1, sizeof(Delivery));
        if (!d)
                return NULL;
        if (webhook_client_new(&d->client, b->manager->event) < 0) {
                free(d);
                return NULL;
        }
        return b->delivery = d;
}

/* ---- an update that is not accepted ---- */

static void complain(Bot *b, const char *why)
{
        Delivery *d = b->delivery;
        char *text;

        if (asprintf(&text,
                     "%" PRIu64 " spooled updates are still to be posted to the webhook, which does not take them: "
                     "%s. Look after the program behind it; they are posted until they are taken. See 'tgswitchctl "
                     "spool %s', which can also drop them.",
                     spool_count(b->spool) - b->record.part_served_updates, why, b->name) < 0)
                text = NULL;
        if (d->failures == 0)
                bot_log_event(b, LOG_WARNING, LOG_EVENT_SPOOL_KEPT, "%s", text ?: "no memory");
        free(d->complaint);
        d->complaint = text;
        bot_changed(b);
}

static void on_timer(void *userdata)
{
        Bot *b = userdata;

        b->delivery->timer = clock_timer_free(b->delivery->timer);
        b->delivery->told_to_wait = false;
        delivery_go_on(b);
}

static void try_again_later(Bot *b, usec_t at_least_usec, const char *why)
{
        Delivery *d = b->delivery;
        usec_t wait = usec_backoff(RETRY_FIRST_USEC, RETRY_LONGEST_USEC, d->failures);
        int r;

        complain(b, why);
        d->failures++;
        d->told_to_wait = at_least_usec > wait;
        r = clock_timer_new(&d->timer, b->manager->event, MAX(wait, at_least_usec), on_timer, b);
        if (r < 0)
                /* It would be posted at the next move alone; a restart goes on with it. */
                sd_event_exit(b->manager->event, bot_log_errno(b, LOG_ERR, r, "Failed to arm a timer, giving up: %m"));
        if (b->part_waiter)
                b->part_waiter(b, -EAGAIN);
}

void delivery_hurry(Bot *b)
{
        Delivery *d = b->delivery;

        if (d && d->timer && !d->told_to_wait)
                d->timer = clock_timer_free(d->timer);
        delivery_go_on(b);
}

/* ---- an update that is ---- */

static void record_progress(Bot *b);

static void on_progress_recorded(DiskJob *job, int r, void *userdata)
{
        Bot *b = userdata;

        b->part_saving = disk_job_free(b->part_saving);
        if (r < 0)
                bot_log_errno(b, LOG_WARNING, r,
                              "Failed to record what the webhook has accepted; after a crash it may get it again: %m");
        else if (b->delivery && b->delivery->recorded < b->record.part_served_updates)
                record_progress(b);
}

/* One write at a time, while the next updates are posted: the disk holds nothing up. */
static void record_progress(Bot *b)
{
        int r;

        if (b->part_saving)
                return;
        b->delivery->recorded = b->record.part_served_updates;
        r = bot_save(b, on_progress_recorded, b, &b->part_saving);
        if (r < 0)
                on_progress_recorded(NULL, r, b);
}

static void on_called(BotApiCall *call, const BotApiReply *reply, void *userdata)
{
        Bot *b = userdata;
        _cleanup_free_ char *said = botapi_reply_describe(reply);

        bot_log(b, LOG_DEBUG, "The server on the method that the webhook answered with: %s.", said ?: "no memory");
        b->delivery->call = botapi_call_free(b->delivery->call);
        delivery_go_on(b);
}

/* As Telegram does, and like it without telling the webhook how it went. */
static void carry_out(Bot *b, const WebhookAnswer *answer)
{
        int r;

        bot_log(b, LOG_DEBUG, "The webhook answers an update with %s.", answer->method);
        r = bot_call_named(b, answer->method, answer->arguments, CALL_TIMEOUT_USEC, on_called, b, &b->delivery->call);
        if (r < 0)
                bot_log_errno(b, LOG_DEBUG, r, "Failed to send it, ignoring: %m");
}

static void on_answer(const WebhookAnswer *answer, void *userdata)
{
        Bot *b = userdata;
        _cleanup_free_ char *clean = NULL;
        Delivery *d = b->delivery;
        size_t size;
        uint64_t n;

        d->posting = false;
        if (!answer->accepted) {
                /* Programs like to say what they were asked for. */
                clean = bot_token_redact(b->token, answer->error ?: "no memory");
                try_again_later(b, answer->retry_after_usec, clean ?: "no memory");
                return;
        }
        if (d->failures > 0)
                bot_log(b, LOG_NOTICE, "The webhook takes updates again.");
        d->failures = 0;
        free(TAKE_PTR(d->complaint));
        b->record.part_served_updates++;
        b->record.job.handed_over++;
        bot_changed(b);
        /* The last one of a part is recorded by dropping it. */
        if (!spool_part(b->spool, &size, &n) || b->record.part_served_updates < n)
                record_progress(b);
        /* The gate may have closed for a moment, while a record is written: then who opens it goes on. */
        if (answer->method && bot_gate_open(b))
                carry_out(b, answer);
        delivery_go_on(b);
}

/* ---- posting ---- */

/* How many bytes the JSON value has that begins there; 0: there is none. */
static size_t measure_value(json_tokener *tokener, const char *text, size_t size)
{
        json_object *value;

        if (size == 0)
                return 0;
        json_tokener_reset(tokener);
        value = json_tokener_parse_ex(tokener, text, (int) MIN(size, (size_t) INT_MAX));
        json_object_put(value);
        return value ? json_tokener_get_parse_end(tokener) : 0;
}

/* The update of the part, a JSON array, that is next: byte by byte as it was spooled. */
static int find_update(Bot *b, const char *text, size_t size, const char **ret, size_t *ret_size)
{
        uint64_t wanted = b->record.part_served_updates;
        Delivery *d = b->delivery;
        json_tokener *tokener = json_tokener_new_ex(BOTAPI_JSON_DEPTH_MAX);
        size_t length;

        if (!tokener)
                return -ENOMEM;
        if (d->at == 0 || d->index > wanted) {
                d->at = strlen("[");
                d->index = 0;
        }
        while ((length = measure_value(tokener, text + d->at, size - d->at)) > 0 && d->index < wanted) {
                d->at += length + strlen(",");
                d->index++;
        }
        json_tokener_free(tokener);
        if (length == 0) {
                d->at = 0;
                return -EBADMSG;
        }
        *ret = text + d->at;
        *ret_size = length;
        return 0;
}

/* What a post cannot do without and this process has not got, or NULL. */
static const char *missing(const Bot *b)
{
        if (b->config && b->config->webhook_has_secret && !b->webhook_secret)
                return "its secret is missing, put it back into /etc/tgswitch/secrets/ and run 'systemctl restart "
                       "tgswitchd'";
        if (b->record.webhook.has_custom_certificate && !b->webhook_certificate)
                return "its certificate is missing, put it back into /etc/tgswitch/certificates/ and run 'systemctl "
                       "restart tgswitchd'";
        return NULL;
}

/* To where setWebhook has the servers post: op-log-in.c. */
static int post_update(Bot *b, const char *update, size_t size)
{
        const char *pin = b->config ? b->config->webhook_ip_address : NULL;
        WebhookPost post = { .update = update, .update_size = size };
        char *url;
        int r;

        url = bot_token_expand(b->token, b->record.webhook.url);
        if (!url)
                return -ENOMEM;
        post.url = url;
        if (pin && !streq(pin, WEBHOOK_ADDRESS_BY_DNS))
                post.ip_address = pin;
        if (b->config && b->config->webhook_has_secret)
                post.secret = b->webhook_secret;
        if (b->record.webhook.has_custom_certificate) {
                post.certificate = b->webhook_certificate;
                post.certificate_size = b->webhook_certificate_size;
        }
        r = webhook_client_post(b->delivery->client, &post, on_answer, b);
        explicit_bzero(url, strlen(url));
        free(url);
        return r;
}

static const char *describe_failure(int r)
{
        return r == -EINVAL ? "the address on record is no http or https URL" : strerror(-r);
}

static void post_next(Bot *b)
{
        const char *text, *update;
        size_t size, update_size;
        uint64_t n;
        int r;

        text = spool_part(b->spool, &size, &n);
        if (!text) {
                /* Something was appended: it is read anew, and says when it is there. */
                handover_wanted(b);
                return;
        }
        if (b->record.part_served_updates >= n) {
                handover_drop(b);
                return;
        }
        if (!delivery_get(b)) {
                bot_log(b, LOG_ERR,
                        "There is not enough memory to post the spool; it is posted on at the next "
                        "move or reload.");
                return;
        }
        if (missing(b)) {
                try_again_later(b, 0, missing(b));
                return;
        }
        r = find_update(b, text, size, &update, &update_size);
        if (r >= 0)
                r = post_update(b, update, update_size);
        if (r < 0)
                try_again_later(b, 0, describe_failure(r));
        else
                b->delivery->posting = true;
}

static bool may_post(const Bot *b)
{
        return bot_gate_open(b) && !b->manager->stopping && b->part_ready && !b->part_settled;
}

void delivery_go_on(Bot *b)
{
        const Delivery *d = b->delivery;

        if (!b->record_ok || spool_count(b->spool) == 0)
                return;
        /* Another settings file, or another webhook: whoever is to have the part now begins with reading it. */
        if (b->part_ready && b->part_by_webhook != delivery_applies(b))
                handover_wanted(b);
        else if (delivery_applies(b) && may_post(b) && !(d && (d->posting || d->call || d->timer)))
                post_next(b);
}

void delivery_part_loaded(Bot *b)
{
        uint64_t served = b->record.part_served_updates, n = 0;
        bool doubtful = !b->part_by_webhook;
        size_t size;

        b->part_by_webhook = true;
        (void) spool_part(b->spool, &size, &n);
        if (served > n || (doubtful && served > 0 && served == n)) {
                b->record.part_served_updates = 0;
                bot_record_aside(b);
        }
        if (b->delivery)
                b->delivery->at = 0;
        if (spool_count(b->spool) == 0)
                delivery_cancel(b);
}
