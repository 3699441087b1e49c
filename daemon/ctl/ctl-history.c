/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/parse-util.h"
#include "base/strv.h"
#include "ctl/ctl-clock.h"
#include "ctl/ctl-dict.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-live.h"
#include "ctl/ctl-until.h"

/* tgswitchctl history: the jobs that have ended, the newest last, where a terminal shows it. */

/* Below this a terminal gets an entry in two lines instead of one that it would break. */
#define TABLE_COLUMNS 100

typedef struct Entry {
        uint32_t id;
        int64_t bot_id;
        char *bot, *source, *target, *seat, *result, *requester, *reason, *error;
        bool automatic;
        usec_t started_usec, ended_usec, blind_usec, downtime_usec;
        uint64_t pending_at_start, drained, spooled, handed_over;
        json_object *phases;
} Entry;

#define ENTRY(key, type, member)                   \
        {                                          \
                key, type, offsetof(Entry, member) \
        }

static const DictField entry_fields[] = {
        ENTRY("id", DICT_U32, id),
        ENTRY("bot-id", DICT_I64, bot_id),
        ENTRY("bot", DICT_STRING, bot),
        ENTRY("source", DICT_STRING, source),
        ENTRY("target", DICT_STRING, target),
        ENTRY("seat", DICT_STRING, seat),
        ENTRY("result", DICT_STRING, result),
        ENTRY("requester", DICT_STRING, requester),
        ENTRY("reason", DICT_STRING, reason),
        ENTRY("error", DICT_STRING, error),
        ENTRY("automatic", DICT_BOOL, automatic),
        ENTRY("started-usec", DICT_U64, started_usec),
        ENTRY("ended-usec", DICT_U64, ended_usec),
        ENTRY("blind-usec", DICT_U64, blind_usec),
        ENTRY("downtime-usec", DICT_U64, downtime_usec),
        ENTRY("pending-at-start", DICT_U64, pending_at_start),
        ENTRY("drained", DICT_U64, drained),
        ENTRY("spooled", DICT_U64, spooled),
        ENTRY("handed-over", DICT_U64, handed_over),
        ENTRY("phases", DICT_TIMES, phases),
        {},
};

typedef struct Entries {
        Entry *items; /* the newest first */
        size_t n;
} Entries;

static void entries_done(Entries *l)
{
        for (size_t i = 0; i < l->n; i++) {
                Entry *e = l->items + i;

                free(e->bot);
                free(e->source);
                free(e->target);
                free(e->seat);
                free(e->result);
                free(e->requester);
                free(e->reason);
                free(e->error);
                json_object_put(e->phases);
        }
        free(l->items);
}

static int read_entries(sd_bus_message *m, Entries *l)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                Entry *grown = reallocarray(l->items, l->n + 1, sizeof(Entry));

                if (!grown)
                        return -ENOMEM;
                l->items = grown;
                l->items[l->n] = (Entry){};
                r = dict_read(m, entry_fields, l->items + l->n++);
        }
        return r < 0 ? r : 0;
}

/* ---- the question ---- */

static int append_bots(sd_bus_message *m, char **bots)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "bots");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, bots);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_filter(sd_bus_message *m, char **bots, uint64_t limit, usec_t since_usec)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && bots && *bots)
                r = append_bots(m, bots);
        if (r >= 0 && limit > 0)
                r = sd_bus_message_append(m, "{sv}", "limit", "u", (uint32_t) limit);
        if (r >= 0 && since_usec > 0)
                r = sd_bus_message_append(m, "{sv}", "since", "t", since_usec);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static CtlExit ask(Ctl *c, uint64_t limit, usec_t since_usec, Entries *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        CtlExit status;
        int r;

        status = ctl_connect(c);
        if (status != CTL_OK)
                return status;
        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE, "GetHistory");
        if (r >= 0)
                r = append_filter(m, c->arguments, limit, since_usec);
        if (r >= 0)
                r = sd_bus_call(c->bus, m, 0, &error, &reply);
        if (r >= 0)
                r = read_entries(reply, ret);
        return r < 0 ? ctl_call_failed(NULL, r, &error) : CTL_OK;
}

/* ---- for programs ---- */

static json_object *entry_to_json(const Entry *e)
{
        json_object *o = json_object_new_object();

        ctl_json_add(o, "job", json_object_new_uint64(e->id));
        ctl_json_add(o, "bot", json_text(e->bot));
        ctl_json_add(o, "bot_id", e->bot_id > 0 ? json_object_new_int64(e->bot_id) : NULL);
        ctl_json_add(o, "source", json_text(e->source));
        ctl_json_add(o, "target", json_text(e->target));
        ctl_json_add(o, "seat", json_text(e->seat));
        ctl_json_add(o, "result", json_text(e->result));
        ctl_json_add(o, "automatic", json_object_new_boolean(e->automatic));
        ctl_json_add(o, "requester", json_text(e->requester));
        ctl_json_add(o, "reason", json_text(e->reason));
        ctl_json_add(o, "error", json_text(e->error));
        ctl_json_add(o, "started_usec", json_usec(e->started_usec));
        ctl_json_add(o, "ended_usec", json_usec(e->ended_usec));
        ctl_json_add(o, "phases_usec", json_object_get(e->phases));
        ctl_json_add(o, "pending_at_start", json_object_new_uint64(e->pending_at_start));
        ctl_json_add(o, "drained", json_object_new_uint64(e->drained));
        ctl_json_add(o, "spooled", json_object_new_uint64(e->spooled));
        ctl_json_add(o, "handed_over", json_object_new_uint64(e->handed_over));
        ctl_json_add(o, "blind_usec", json_usec(e->blind_usec));
        ctl_json_add(o, "downtime_usec", json_usec(e->downtime_usec));
        return o;
}

static CtlExit print_json(const Entries *l)
{
        json_object *o = ctl_json_new(), *history = json_object_new_array();

        for (size_t i = l->n; i > 0; i--)
                if (json_object_array_add(history, entry_to_json(l->items + i - 1)) < 0)
                        abort();
        ctl_json_add(o, "history", history);
        return ctl_print_json(o);
}

/* ---- for people ---- */

static Style result_style(const Entry *e)
{
        return streq_ptr(e->result, "done") ? STYLE_GOOD : streq_ptr(e->result, "failed") ? STYLE_BAD : STYLE_PLAIN;
}

/* "root", "uid 1000", "tgswitchd"; the rest is for --json. */
static const char *show_requester(char buffer[static SHOW_SIZE], const Entry *e)
{
        const char *who = e->requester ?: "";
        int n = (int) strcspn(who, ",");

        if (n == 5 && startswith(who, "uid 0"))
                return "root";
        (void) snprintf(buffer, SHOW_SIZE, "%.*s", MIN(n, 32), who);
        return buffer;
}

/* Where a job has only ended a stale session there was no way to go. */
static const char *show_way(char buffer[static SHOW_SIZE], const Entry *e)
{
        if (streq_ptr(e->source, e->target))
                (void) snprintf(buffer, SHOW_SIZE, "at %.16s", e->target ?: "");
        else
                (void) snprintf(buffer, SHOW_SIZE, "%.16s to %.16s",
                                streq_ptr(e->source, "undeclared") ? "?" : e->source ?: "", e->target ?: "");
        return buffer;
}

/* With the place where a bot is that has not come where it was to go. */
static const char *show_result(char buffer[static SHOW_SIZE], const Entry *e)
{
        bool there = streq_ptr(e->seat, e->target) == streq_ptr(e->result, "done");

        (void) snprintf(buffer, SHOW_SIZE, "%.16s%s%.16s", e->result ?: "", there ? "" : ", at ", there ? "" : e->seat);
        return buffer;
}

static const char *show_took(char buffer[static SHOW_SIZE], usec_t span_usec)
{
        return span_usec > 0 ? show_span(buffer, span_usec) : "";
}

static int table_row(Table *t, const Entry *e, usec_t now_usec)
{
        char text[SHOW_SIZE];
        int r;

        if ((r = table_add(t, STYLE_PLAIN, show_clock(text, e->ended_usec, now_usec))) < 0 ||
            (r = table_add(t, STYLE_PLAIN, show_requester(text, e))) < 0 ||
            (r = table_add(t, STYLE_BOLD, e->bot)) < 0 || (r = table_add(t, STYLE_PLAIN, show_way(text, e))) < 0 ||
            (r = table_add(t, result_style(e), show_result(text, e))) < 0 ||
            (r = table_add(t, STYLE_PLAIN, show_span(text, usec_sub(e->ended_usec, e->started_usec)))) < 0 ||
            (r = table_add(t, STYLE_PLAIN, show_took(text, e->blind_usec))) < 0 ||
            (r = table_add(t, STYLE_PLAIN, show_took(text, e->downtime_usec))) < 0)
                return r;
        r = table_addf(t, STYLE_PLAIN, "%" PRIu64 "/%" PRIu64 "/%" PRIu64, e->drained, e->spooled, e->handed_over);
        if (r >= 0 && !isempty(e->reason))
                r = table_note(t, STYLE_PLAIN, e->reason);
        return r >= 0 && !isempty(e->error) ? table_note(t, STYLE_BAD, e->error) : r;
}

static CtlExit print_table(const Ctl *c, const Entries *l)
{
        static const char *const titles[] = {
                "WHEN", "WHO", "BOT", "WAY", "RESULT", "TOOK", "BLIND", "DOWN", "UPDATES"
        };
        _cleanup_(table_freep) Table *t = NULL;

        if (table_new(&t, ELEMENTSOF(titles)) < 0)
                return ctl_oom();
        FOREACH_ELEMENT(title, titles)
                if (table_add(t, STYLE_FAINT, *title) < 0)
                        return ctl_oom();
        for (size_t i = l->n; i > 0; i--)
                if (table_row(t, l->items + i - 1, ctl_now_usec()) < 0)
                        return ctl_oom();
        table_print(t, stdout, c->colour, 0);
        return CTL_OK;
}

static void print_narrow(const Ctl *c, const Entry *e, usec_t now_usec)
{
        char text[SHOW_SIZE];

        printf("%s  ", show_clock(text, e->ended_usec, now_usec));
        (void) print_styled(stdout, c->colour, STYLE_BOLD, e->bot ?: "");
        printf("  %s  ", show_way(text, e));
        (void) print_styled(stdout, c->colour, result_style(e), show_result(text, e));
        printf("\n    took %s", show_span(text, usec_sub(e->ended_usec, e->started_usec)));
        if (e->blind_usec > 0)
                printf(", blind %s", show_span(text, e->blind_usec));
        if (e->downtime_usec > 0)
                printf(", down %s", show_span(text, e->downtime_usec));
        printf(", %" PRIu64 "/%" PRIu64 "/%" PRIu64 " updates, by ", e->drained, e->spooled, e->handed_over);
        (void) print_styled(stdout, false, STYLE_PLAIN, show_requester(text, e));
        putchar('\n');
        if (!isempty(e->reason)) {
                fputs("    ", stdout);
                (void) print_styled(stdout, c->colour, STYLE_PLAIN, e->reason);
                putchar('\n');
        }
        if (!isempty(e->error)) {
                fputs("    ", stdout);
                (void) print_styled(stdout, c->colour, STYLE_BAD, e->error);
                putchar('\n');
        }
}

static CtlExit print_history(const Ctl *c, const Entries *l)
{
        size_t columns, rows;

        if (l->n == 0) {
                puts("No move has ended yet, of those that were asked for.");
                return CTL_OK;
        }
        if (!c->terminal || !terminal_size(&columns, &rows) || columns >= TABLE_COLUMNS)
                return print_table(c, l);
        for (size_t i = l->n; i > 0; i--)
                print_narrow(c, l->items + i - 1, ctl_now_usec());
        return CTL_OK;
}

CtlExit verb_history(Ctl *c)
{
        _cleanup_(entries_done) Entries entries = {};
        usec_t since_usec = 0;
        uint64_t limit = 0;
        CtlExit status;

        if (c->limit && (parse_unsigned(c->limit, &limit) < 0 || limit == 0 || limit > UINT32_MAX))
                return ctl_error(CTL_USAGE, "--limit= takes a number, 1 or more; '%s' is none.", c->limit);
        if (c->since && parse_since(c->since, ctl_now_usec(), &since_usec) < 0)
                return ctl_error(CTL_USAGE,
                                 "--since= takes a time that is over, like 18:30 or \"2030-12-24 18:30\", or how long "
                                 "ago, like 24h; '%s' is neither.",
                                 c->since);
        status = ask(c, limit, since_usec, &entries);
        if (status != CTL_OK)
                return status;
        return c->json ? print_json(&entries) : print_history(c, &entries);
}
