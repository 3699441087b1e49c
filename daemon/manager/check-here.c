/* SPDX-License-Identifier: MIT */
#include "manager/check.h"

/* What a check knows without asking anybody. */

void check_window(const Bot *b, Seat target, CheckList *l)
{
        usec_t left = bot_window_left(b, target);
        char when[WHEN_MAX];

        if (left == 0)
                check_list_add(l, "window", b->name, CHECK_PASS, "The %s server takes the bot.",
                               seat_to_string(target));
        else
                check_list_add(l, "window", b->name, CHECK_FAIL,
                               "The bot was logged out of the %s server, which does not take it back before %s: wait, "
                               "or switch with --when-allowed.",
                               seat_to_string(target), format_when(when, left));
}

void check_disk(Manager *m, CheckList *l)
{
        uint64_t bytes;
        int r;

        r = store_free_bytes(m->store, &bytes);
        if (r < 0)
                check_list_add(l, "disk", "state directory", CHECK_FAIL,
                               "Failed to see how much is free in the state directory: %s. Look after its file "
                               "system, then try again.",
                               strerror(-r));
        else if (bytes < m->config->state_free_min)
                check_list_add(l, "disk", "state directory", CHECK_FAIL,
                               "Only %" PRIu64 " MiB are free for spooled updates, StateFreeMin= asks for %" PRIu64
                               " MiB: make room in %s.",
                               bytes >> 20, m->config->state_free_min >> 20, m->state_directory);
        else
                check_list_add(l, "disk", "state directory", CHECK_PASS, "%" PRIu64 " MiB are free.", bytes >> 20);
}

/* Ids of two servers would mix in it. */
void check_old_spool(const Bot *b, CheckList *l)
{
        uint64_t spooled = bot_spooled_updates(b);
        const char *complaint = delivery_complaint(b);

        if (spooled > 0 && delivery_applies(b))
                check_list_add(l, "spool", b->name, CHECK_FAIL,
                               "%" PRIu64 " updates of an earlier move are still being posted to the webhook: wait "
                               "until it has taken them, or look at them, or drop them, with 'tgswitchctl spool %s'.%s%s",
                               spooled, b->name, complaint ? " " : "", complaint ?: "");
        else if (spooled > 0)
                check_list_add(l, "spool", b->name, CHECK_FAIL,
                               "%" PRIu64 " updates of an earlier move have not been handed over: restart the worker "
                               "that takes them (SpoolTo=), or see 'tgswitchctl spool %s'.",
                               spooled, b->name);
        else
                check_list_add(l, "spool", b->name, CHECK_PASS, "Nothing is left of an earlier move.");
}
