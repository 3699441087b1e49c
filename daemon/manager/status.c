/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "manager/bot.h"

/* The STATUS= line of 'systemctl status tgswitchd': what an administrator wants to know first. */

/* Beyond that many, bots without news are only counted. */
#define NAMED_MAX 6

static void put_bot(FILE *f, const Bot *b)
{
        usec_t allowed = bot_cloud_allowed_usec(b);
        time_t when = (time_t) (allowed / USEC_PER_SEC);
        struct tm tm;
        char at[16];

        fprintf(f, "; %s ", b->name);
        if (bot_job_running(b))
                fprintf(f, "moving to %s (%s)", seat_to_string(b->record.job.target), bot_phase(b));
        else if (!b->record_ok || !b->token || b->config_error)
                fprintf(f, "%s, needs attention", seat_to_string(bot_seat(b)));
        else
                fprintf(f, "%s", seat_to_string(bot_seat(b)));
        if (bot_stale_session(b))
                fprintf(f, ", session left at local");
        if (bot_held_until_usec(b) > 0)
                fprintf(f, ", held");
        if (allowed == USEC_INFINITY)
                fprintf(f, ", cloud closed");
        else if (allowed > 0 && localtime_r(&when, &tm) && strftime(at, sizeof(at), "%H:%M:%S", &tm) > 0)
                fprintf(f, ", cloud not before %s", at);
}

bool bot_is_noted(const Bot *b)
{
        return bot_job_running(b) || b->record.cloud_window.length_usec > 0 || b->record.stale ||
               b->record.held_until_usec > 0 || !b->record_ok || !b->token || b->config_error;
}

/* Of those that are noted: a window may be over by now, and so may a hold. */
static bool has_news(const Bot *b)
{
        return bot_job_running(b) || bot_cloud_allowed_usec(b) > 0 || bot_stale_session(b) ||
               bot_held_until_usec(b) > 0 || !b->record_ok || !b->token || b->config_error;
}

static char *compose(Manager *m)
{
        size_t cloud = m->counts.n_at[SEAT_CLOUD], local = m->counts.n_at[SEAT_LOCAL], named = 0;
        bool all = m->n_bots <= NAMED_MAX;
        const BotList candidates = all ? (BotList){ m->bots, m->n_bots } : m->counts.noted;
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        fprintf(f, "%zu bot%s: %zu cloud, %zu local", m->n_bots, m->n_bots == 1 ? "" : "s", cloud, local);
        if (cloud + local < m->n_bots)
                fprintf(f, ", %zu neither", m->n_bots - cloud - local);
        for (size_t i = 0; i < candidates.n && named < NAMED_MAX; i++) {
                if (!all && !has_news(candidates.bots[i]))
                        continue;
                put_bot(f, candidates.bots[i]);
                named++;
        }
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static void status_now(Manager *m)
{
        char *status = compose(m);

        if (!status)
                return;
        if (streq_ptr(status, m->status)) {
                free(status);
                return;
        }
        free(m->status);
        m->status = status;
        (void) sd_notifyf(false, "STATUS=%s", status);
}

static int on_status(sd_event_source *s, void *userdata)
{
        status_now(userdata);
        return 0;
}

/* Once a loop iteration is enough. */
void manager_status_changed(Manager *m)
{
        int r;

        if (m->status_source)
                r = sd_event_source_set_enabled(m->status_source, SD_EVENT_ONESHOT);
        else
                r = sd_event_add_defer(m->event, &m->status_source, on_status, m);
        if (r < 0)
                status_now(m);
}
