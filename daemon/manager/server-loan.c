/* SPDX-License-Identifier: MIT */
#include "manager/bot.h"

/* A server that a job starts is stopped again where the bot does not get there (L9). That is on record before it is
 * started: whoever puts it back may be another process. */

struct ServerLoan {
        Bot *bot;
        server_loan_handler_t handler;
        void *userdata;
        UnitCall *call;
        DiskJob *saving;
};

ServerLoan *server_loan_free(ServerLoan *l)
{
        if (!l)
                return NULL;
        unit_call_free(l->call);
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

static void on_looked(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        ServerLoan *l = userdata;
        Bot *b = l->bot;
        /* One that is being stopped counts as stopped. */
        bool off = r >= 0 &&
                   (!unit_active_state_may_run(info->active_state) || info->active_state == UNIT_DEACTIVATING);

        l->call = unit_call_free(l->call);
        if (off && !b->record.server_started) {
                b->record.server_started = true;
                r = bot_save(b, on_saved, l, &l->saving);
                if (r >= 0)
                        return;
        }
        l->handler(r, l->userdata);
}

int server_loan(Bot *b, server_loan_handler_t handler, void *userdata, ServerLoan **ret)
{
        ServerLoan *l;
        int r;

        l = calloc(1, sizeof(ServerLoan));
        if (!l)
                return -ENOMEM;
        *l = (ServerLoan){ .bot = b, .handler = handler, .userdata = userdata };
        r = unit_client_get(b->manager->units, b->manager->config->server_unit, on_looked, l, &l->call);
        if (r < 0) {
                free(l);
                return r;
        }
        *ret = l;
        return 0;
}
