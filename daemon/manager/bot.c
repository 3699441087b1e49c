/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/strv.h"
#include "manager/bot-log.h"
#include "manager/bot.h"

static void on_reply(BotApiMethod method, int seat, const BotApiReply *reply, void *userdata)
{
        _cleanup_free_ char *said = NULL;

        if (log_max_level() < LOG_DEBUG)
                return;
        said = botapi_reply_describe(reply);
        bot_log((Bot *) userdata, LOG_DEBUG, "The %s server answers %s: %s.", seat_to_string(seat),
                botapi_method_to_string(method), said ?: "no memory");
}

Operation *operation_free(Operation *op)
{
        if (op)
                op->free(op);
        return NULL;
}

int bot_new(Bot **ret, Manager *m, const char *name)
{
        _cleanup_(bot_freep) Bot *b = NULL;
        int r;

        b = calloc(1, sizeof(Bot));
        if (!b)
                return -ENOMEM;
        b->manager = m;
        b->began_usec = clock_boottime_usec();
        record_init(&b->record);
        b->name = strdup(name);
        if (!b->name)
                return -ENOMEM;
        r = botapi_client_new_beside(&b->api, m->api);
        if (r < 0)
                return r;
        botapi_client_observe(b->api, on_reply, b);
        *ret = TAKE_PTR(b);
        return 0;
}

Bot *bot_free(Bot *b)
{
        if (!b)
                return NULL;

        operation_free(b->operation);
        late_poll_drop(b);
        warm_up_cancel(b);
        early_start_cancel(b);
        handover_cancel(b);
        delivery_cancel(b);
        bot_watch_cancel(b);
        clock_timer_free(b->retry_timer);
        clock_timer_free(b->window_timer);
        clock_timer_free(b->record_timer);
        clock_timer_free(b->publish_timer);
        disk_job_free(b->aside_job);
        sd_event_source_disable_unref(b->dispatch_source);
        disk_job_free(b->saving);
        disk_job_free(b->asked_job);
        unit_call_free(b->release_call);
        held_workers_clear(&b->held);
        strv_free(b->at_gate);
        spool_free(b->spool);
        record_done(&b->record);
        bot_token_free(b->token);
        if (b->webhook_secret)
                explicit_bzero(b->webhook_secret, strlen(b->webhook_secret));
        free(b->webhook_secret);
        free(b->webhook_certificate);
        free(b->webhook_certificate_problem);
        bot_config_free(b->config);
        free(b->config_error);
        free(b->error);
        botapi_client_free(b->api);
        free(b->name);
        free(b);
        return NULL;
}

/* A NULL format takes the error back. */
void bot_set_error(Bot *b, const char *format, ...)
{
        char *error = NULL;
        va_list ap;

        b->intake_blamed = false;
        va_start(ap, format);
        if (format && vasprintf(&error, format, ap) < 0)
                error = NULL;
        va_end(ap);
        if (streq_ptr(error, b->error)) {
                free(error);
                return;
        }
        free(b->error);
        b->error = error;
        bot_changed(b);
}

void bot_changed(Bot *b)
{
        const ManagerObserver *o = b->manager->observer;

        bot_count(b);
        manager_status_changed(b->manager);
        if (!o)
                return;
        o->bot_changed(b, o->userdata);
        if (bot_job_running(b))
                o->job_changed(b, b->record.job.id, o->userdata);
}

const char *bot_root(const Bot *b, Seat seat)
{
        assert(seat == SEAT_CLOUD || seat == SEAT_LOCAL);

        return seat == SEAT_CLOUD ? b->manager->config->cloud_root : b->manager->config->local_root;
}

bool bot_gate_open(const Bot *b)
{
        Seat seat = bot_seat(b);

        /* After a boot the local server comes first, and its bots' workers after it. */
        if (seat == SEAT_LOCAL && b->manager->server_call)
                return false;
        return b->record_ok && !b->saving && !b->asked_job && b->token && cutover_facts(b->record.state)->gate_open &&
               (seat == SEAT_CLOUD || seat == SEAT_LOCAL);
}

Seat bot_source(const Bot *b)
{
        if (!cutover_facts(b->record.state)->ends_stale)
                return b->record.seat;
        return b->record.seat == SEAT_CLOUD ? SEAT_LOCAL : SEAT_CLOUD;
}

bool bot_is_held(const Bot *b)
{
        usec_t until = b->record.held_until_usec;

        return until == USEC_INFINITY || until > clock_realtime_usec();
}

/* L1 and L2 once more, at the only door: whoever calls this in a state that forbids it has a mistake in it, and the
 * request is not sent. */
static bool may_send(const Bot *b, Seat seat, BotApiMethod method)
{
        const Record *r = &b->record;
        const CutoverFacts *facts = cutover_facts(r->state);
        CutoverPlace place = facts->place;

        if (facts->ends_stale && seat == bot_source(b))
                return r->stale &&
                       (method == BOTAPI_LOG_OUT || method == BOTAPI_GET_UPDATES || method == BOTAPI_DELETE_WEBHOOK);
        if (place != CUTOVER_AT_UNKNOWN && seat == SEAT_CLOUD && bot_window_left(b, SEAT_CLOUD) > 0)
                return false;
        switch (place) {
        case CUTOVER_AT_SEAT:
                return seat == r->seat;
        case CUTOVER_AT_UNKNOWN:
                return seat == r->seat && (method == BOTAPI_LOG_OUT || method == BOTAPI_GET_UPDATES);
        default:
                return seat == r->job.target;
        }
}

static usec_t suspended_usec(void)
{
        return usec_sub(clock_boottime_usec(), clock_monotonic_usec());
}

usec_t bot_get_updates_answered(const Bot *b)
{
        return usec_sub(clock_boottime_usec(), usec_sub(suspended_usec(), b->get_updates_suspended_usec));
}

int bot_call(Bot *b, Seat seat, BotApiMethod method, json_object *arguments, usec_t timeout_usec,
             botapi_sent_handler_t sent, botapi_reply_handler_t handler, void *userdata, BotApiCall **ret)
{
        assert(b->record_ok && b->token);

        if (method == BOTAPI_GET_UPDATES)
                b->get_updates_suspended_usec = suspended_usec();
        if (!may_send(b, seat, method))
                return bot_log_errno(b, LOG_ERR, -EPERM,
                                     "Refused to send %s to the %s server in state %s, in which nothing may go there. "
                                     "This is a mistake in tgswitchd: report it.",
                                     botapi_method_to_string(method), seat_to_string(seat),
                                     cutover_state_to_string(b->record.state));

        BotApiRequest request = {
                .root = bot_root(b, seat),
                .token = b->token,
                .method = method,
                .arguments = arguments,
                .timeout_usec = timeout_usec,
                .tag = (int) seat,
                .count = metrics_replies(&b->manager->metrics, seat, method),
        };

        if (method == BOTAPI_SET_WEBHOOK && b->record.webhook.has_custom_certificate) {
                request.certificate = b->webhook_certificate;
                request.certificate_size = b->webhook_certificate_size;
        }
        bot_log(b, LOG_DEBUG, "%s goes to the %s server.", botapi_method_to_string(method), seat_to_string(seat));
        return botapi_call(b->api, &request, sent, handler, userdata, ret);
}

int bot_call_named(Bot *b, const char *method, json_object *arguments, usec_t timeout_usec,
                   botapi_reply_handler_t handler, void *userdata, BotApiCall **ret)
{
        Seat seat = bot_seat(b);

        if (!bot_gate_open(b) || !may_send(b, seat, BOTAPI_NAMED))
                return -EPERM;

        BotApiRequest request = {
                .root = bot_root(b, seat),
                .token = b->token,
                .method = BOTAPI_NAMED,
                .name = method,
                .arguments = arguments,
                .timeout_usec = timeout_usec,
                .tag = (int) seat,
                .count = metrics_replies(&b->manager->metrics, seat, BOTAPI_NAMED),
        };
        return botapi_call(b->api, &request, NULL, handler, userdata, ret);
}

const char *bot_name(const Bot *b)
{
        return b->name;
}

int64_t bot_id(const Bot *b)
{
        return b->record.bot_id;
}

Seat bot_seat(const Bot *b)
{
        /* Where the bot is, stands in a record that cannot be read. */
        if (!b->record_ok)
                return SEAT_UNKNOWN;
        return cutover_seat(b->record.state, b->record.seat, b->record.job.target);
}

CutoverState bot_state(const Bot *b)
{
        return b->record.state;
}

const char *bot_phase(const Bot *b)
{
        return cutover_facts(b->record.state)->phase;
}

Seat bot_target(const Bot *b)
{
        return bot_job_running(b) ? b->record.job.target : SEAT_UNDECLARED;
}

const char *bot_endpoint(const Bot *b)
{
        Seat seat = bot_seat(b);

        if (!cutover_facts(b->record.state)->gate_open || (seat != SEAT_CLOUD && seat != SEAT_LOCAL))
                return "";
        return bot_root(b, seat);
}

char *const *bot_workers(const Bot *b)
{
        return b->config ? b->config->workers : NULL;
}

const RecordJob *bot_job(const Bot *b)
{
        return &b->record.job;
}

bool bot_job_running(const Bot *b)
{
        return b->record.state != CUTOVER_SETTLED;
}

/* It tells more than that the server does not run. */
static bool failed_to_leave(const Bot *b)
{
        const RecordJob *job = &b->record.job;

        return job->automatic && job->target == SEAT_CLOUD && job->result == JOB_RESULT_FAILED && !isempty(job->error);
}

const char *bot_last_error(const Bot *b)
{
        /* What is to be mended first; but a move that is under way goes on with the last good settings. */
        if (b->config_error && !bot_job_running(b))
                return b->config_error;
        if (b->error)
                return b->error;
        if (delivery_complaint(b))
                return delivery_complaint(b);
        if (b->record.state == CUTOVER_SETTLED && b->record.seat == SEAT_LOCAL && b->manager->server_complaint &&
            !failed_to_leave(b))
                return b->manager->server_complaint;
        return b->record.job.error ? b->record.job.error : "";
}

bool bot_stale_session(const Bot *b)
{
        return b->record.stale;
}

usec_t bot_held_until_usec(const Bot *b)
{
        return bot_is_held(b) ? b->record.held_until_usec : 0;
}

const char *bot_held_reason(const Bot *b)
{
        return bot_is_held(b) && b->record.held_reason ? b->record.held_reason : "";
}

usec_t bot_job_not_before_usec(const Bot *b)
{
        return b->not_before_usec;
}

uint64_t bot_pending_updates(const Bot *b)
{
        return b->pending_updates;
}

usec_t bot_pending_updates_usec(const Bot *b)
{
        return b->pending_updates_usec;
}

uint64_t bot_spooled_updates(const Bot *b)
{
        return b->spool ? spool_count(b->spool) : 0;
}

void bot_set_observer_data(Bot *b, void *data)
{
        b->observer_data = data;
}

void *bot_observer_data(const Bot *b)
{
        return b->observer_data;
}
