/* SPDX-License-Identifier: MIT */
#include "manager/bot.h"

/* A server that a job starts is stopped again where the bot does not get there (L9). That is on record before it is
 * started: whoever puts it back may be another process. */

struct ServerLoan {
        Bot *bot;
        server_loan_handler_t handler;
        void *userdata;
        UnitCall *call;
        ClockTimer *timer;
        DiskJob *saving;
};

ServerLoan *server_loan_free(ServerLoan *l)
{
        if (!l)
                return NULL;
        unit_call_free(l->call);
        clock_timer_free(l->timer);
        disk_job_free(l->saving);
        free(l);
        return NULL;
}

static void on_saved(DiskJob *job, int r, void *userdata)
{
        ServerLoan *l = userdata;

        l->saving = disk_job_free(l->saving);
        l->handler(r, l->userdata);
}

static void on_listed(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        ServerLoan *l = userdata;
        Bot *b = l->bot;
        /* One that is being stopped counts as stopped. */
        bool off = r >= 0 && n_rows > 0 &&
                   (!unit_active_state_may_run(rows[0].active_state) || rows[0].active_state == UNIT_DEACTIVATING);

        l->call = unit_call_free(l->call);
        if (off && !b->record.server_started) {
                b->record.server_started = true;
                r = bot_save(b, on_saved, l, &l->saving);
                if (r >= 0)
                        return;
        }
        l->handler(r, l->userdata);
}

static void on_up(void *userdata)
{
        ServerLoan *l = userdata;

        l->timer = clock_timer_free(l->timer);
        l->handler(0, l->userdata);
}

int server_loan(Bot *b, server_loan_handler_t handler, void *userdata, ServerLoan **ret)
{
        Manager *m = b->manager;
        ServerLoan *l;
        int r;

        l = calloc(1, sizeof(ServerLoan));
        if (!l)
                return -ENOMEM;
        *l = (ServerLoan){ .bot = b, .handler = handler, .userdata = userdata };
        /* From the loop, so that the handler is never called from within this function. */
        if (server_is_up(m))
                r = clock_timer_new(&l->timer, m->event, 0, on_up, l);
        else
                r = unit_client_list_named(m->units, (char *[]){ m->config->server_unit, NULL }, on_listed, l,
                                           &l->call);
        if (r < 0) {
                free(l);
                return r;
        }
        *ret = l;
        return 0;
}
