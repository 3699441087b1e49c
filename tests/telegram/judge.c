/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "judge-internal.h"

JudgeBot *judge_bot(Judge *judge, int64_t id)
{
        JudgeBot *bot, **slot;

        for (slot = &judge->bots; (bot = *slot); slot = &bot->next)
                if (bot->id == id)
                        return bot;

        bot = calloc(1, sizeof(*bot));
        assert(bot);
        bot->id = id;
        bot->seat = _ROLE_INVALID;
        bot->downtimes = json_object_new_array();
        bot->blind_times = json_object_new_array();
        bot->blind_floors = json_object_new_array();
        bot->away_times = json_object_new_array();
        bot->violations = json_object_new_array();
        *slot = bot;
        return bot;
}

void judge_violation(Judge *judge, JudgeBot *bot, const char *law, const char *format, ...)
{
        json_object *violation = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                abort();
        va_end(arguments);

        json_set_text(violation, "law", law);
        json_set_int(violation, "bot", bot->id);
        json_set_int(violation, "t", judge->t);
        json_set_int(violation, "seq", judge->seq);
        json_set_text(violation, "text", text);
        json_object_array_add(bot->violations, violation);
}

Role judge_root(const Judge *judge, const char *root)
{
        if (isempty(root))
                return _ROLE_INVALID;
        if (!isempty(judge->settings.gateway_root) && streq(root, judge->settings.gateway_root))
                return _ROLE_INVALID;
        return streq(root, judge->settings.cloud_root) ? ROLE_CLOUD : ROLE_LOCAL;
}

int64_t judge_now(const Judge *judge)
{
        return judge->t + judge->settings.ahead_msec * 1000;
}

void judge_copy_req(char dest[static 48], const char *req)
{
        (void) snprintf(dest, 48, "%s", req ?: "");
}

const JudgeRequest *judge_request_find(const JudgeBot *bot, const char *req)
{
        for (size_t i = 0; req && i < JUDGE_ANSWERS; i++)
                if (streq(bot->requests[i].req, req))
                        return bot->requests + i;
        return NULL;
}

static void judge_defined(JudgeBot *bot, json_object *entry)
{
        Role role = role_from_string(json_get_text(entry, "session"));

        if (role < 0)
                return;
        bot->session[role] = true;
        bot->seat = role;
        bot->debt.served = role == ROLE_LOCAL;
}

static void judge_undelivered(Judge *judge, const char *req)
{
        judge_updates_undelivered(judge, req);
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next) {
                judge_logout_undelivered(bot, req);
                judge_local_undelivered(bot, req);
        }
}

static void judge_worker(Judge *judge, JudgeBot *bot, const char *event, json_object *entry)
{
        const char *from = json_get_text(entry, "from");
        int64_t uid = json_get_int(entry, "uid", 0);
        bool posted = streq_ptr(from, "webhook");

        /* One that holds may send nothing, as if it did not run. */
        if (streq(event, "worker-start") || streq(event, "worker-released")) {
                judge_worker_start(judge, bot, entry);
        } else if (streq(event, "worker-stop") || streq(event, "worker-held")) {
                judge_worker_stop(bot, json_get_text(entry, "unit") ?: "?");
        } else if (!posted || judge_was_taken(judge, uid)) {
                /* What a server posts is in its queue until it gets a 200, and is counted then. Anything else was
                 * spooled, and posted by the daemon. */
                judge_seat_used(judge, bot, entry);
                judge_handled(judge, bot, judge_root(judge, json_get_text(entry, "root")), uid,
                              posted ? "pending" : from);
        }
}

static void judge_answer(Judge *judge, JudgeBot *bot, Role role, json_object *entry)
{
        const char *method = json_get_text(entry, "method");

        if (streq_ptr(method, "logout")) {
                judge_logout_answer(judge, bot, role, entry);
        } else if (streq_ptr(method, "getupdates")) {
                judge_spool_answer(bot, role, entry);
                judge_updates_answer(bot, judge, role, entry);
        }
        if (role == ROLE_LOCAL)
                judge_local_answer(judge, bot, entry);
        else
                judge_cloud_answer(judge, bot, entry);
}

static void judge_entry(Judge *judge, json_object *entry)
{
        const char *event = json_get_text(entry, "event") ?: "";
        Role role = role_from_string(json_get_text(entry, "role"));
        int64_t id = json_get_int(entry, "bot", 0);
        JudgeBot *bot;

        judge->t = json_get_int(entry, "t", 0);
        judge->seq = json_get_int(entry, "seq", 0);

        judge_server(judge, event, entry);
        if (streq(event, "mark") && streq_ptr(json_get_text(entry, "name"), "daemon-killed"))
                judge_daemon_killed(judge);
        if (streq(event, "setting")) {
                json_object *settings = NULL;

                if (json_object_object_get_ex(entry, "settings", &settings))
                        (void) settings_apply(&judge->settings, settings);
        }
        if (streq(event, "undelivered"))
                judge_undelivered(judge, json_get_text(entry, "req") ?: "");
        if (id <= 0)
                return;

        bot = judge_bot(judge, id);
        if (startswith(event, "update-"))
                judge_update_event(judge, bot, role, event, entry);
        else if (startswith(event, "worker-"))
                judge_worker(judge, bot, event, entry);
        else if (streq(event, "bot-defined"))
                judge_defined(bot, entry);
        if (role < 0)
                return;

        if (streq(event, "request"))
                judge_request(judge, bot, role, entry);
        else if (streq(event, "answer"))
                judge_answer(judge, bot, role, entry);
        else if (streq(event, "login"))
                judge_login(judge, bot, role);
        else if (streq(event, "fault"))
                judge_logout_fault(bot, role, entry);
        else if (streq(event, "login-refused"))
                judge_login_refused(judge, bot, role, entry);
        else if (streq(event, "logout-applied"))
                judge_logout_applied(judge, bot, role, entry);
        else if (streq(event, "session-lost"))
                bot->session[role] = false;
}

static void judge_done(Judge *judge)
{
        while (judge->bots) {
                JudgeBot *bot = judge->bots;

                judge->bots = bot->next;
                while (bot->workers)
                        judge_worker_stop(bot, bot->workers->unit);
                for (size_t i = 0; i < JUDGE_ANSWERS; i++)
                        json_object_put(bot->answers[i].uids);
                json_object_put(bot->downtimes);
                json_object_put(bot->blind_times);
                json_object_put(bot->blind_floors);
                json_object_put(bot->away_times);
                json_object_put(bot->violations);
                free(bot);
        }
        json_object_put(judge->local.ports_shut);
        free(judge->updates);
        settings_done(&judge->settings);
}

static json_object *judge_verdict(Judge *judge)
{
        json_object *verdict = json_object_new_object(), *bots = json_object_new_array(),
                    *violations = json_object_new_array();

        judge_end_of_laws(judge);
        for (JudgeBot *bot = judge->bots; bot; bot = bot->next) {
                json_object_array_add(bots, judge_bot_verdict(judge, bot));
                for (size_t i = 0; i < json_object_array_length(bot->violations); i++)
                        json_object_array_add(violations,
                                              json_object_get(json_object_array_get_idx(bot->violations, i)));
        }
        json_set_bool(verdict, "ok", json_object_array_length(violations) == 0);
        json_object_object_add(verdict, "bots", bots);
        json_object_object_add(verdict, "violations", violations);
        return verdict;
}

/* A place in time. */
typedef struct Moment {
        int64_t t;
        size_t i;
} Moment;

static int moment_compare(const void *a, const void *b)
{
        const Moment *x = a, *y = b;

        if (x->t != y->t)
                return x->t < y->t ? -1 : 1;
        return x->i < y->i ? -1 : x->i > y->i;
}

json_object *judge_lines(const char *const *lines, size_t n_lines, size_t *ret_bad)
{
        Judge judge = { .local = { .stopped = true, .ports_shut = json_object_new_object() } };
        _cleanup_free_ Moment *order = calloc(n_lines + 1, sizeof(*order));
        json_object *verdict;

        assert(order);
        settings_init(&judge.settings);
        for (size_t i = 0; i < n_lines; i++) {
                _cleanup_json_ json_object *entry = json_parse(lines[i], strlen(lines[i]));

                if (!entry) {
                        judge_done(&judge);
                        *ret_bad = i;
                        return NULL;
                }
                order[i] = (Moment){ json_get_int(entry, "t", 0), i };
        }
        qsort(order, n_lines, sizeof(*order), moment_compare);

        for (size_t i = 0; i < n_lines; i++) {
                _cleanup_json_ json_object *entry = json_parse(lines[order[i].i], strlen(lines[order[i].i]));

                judge_entry(&judge, entry);
        }
        verdict = judge_verdict(&judge);
        judge_done(&judge);
        return verdict;
}

json_object *judge_ledger(const Ledger *ledger)
{
        size_t n = ledger_size(ledger), bad;
        _cleanup_free_ const char **lines = calloc(n + 1, sizeof(*lines));

        assert(lines);
        for (size_t i = 0; i < n; i++)
                lines[i] = ledger_line(ledger, i);
        return judge_lines(lines, n, &bad);
}

int judge_file(const char *path, json_object **ret)
{
        FILE *file = fopen(path, "re");
        char **lines = NULL, *line = NULL;
        size_t n_lines = 0, allocated = 0, bad = 0;

        if (!file)
                return -errno;
        while (getline(&line, &allocated, file) > 0) {
                char **grown = reallocarray(lines, n_lines + 1, sizeof(*lines));

                assert(grown);
                lines = grown;
                line[strcspn(line, "\n")] = '\0';
                lines[n_lines++] = TAKE_PTR(line);
                allocated = 0;
        }
        free(line);
        fclose(file);

        *ret = judge_lines((const char *const *) lines, n_lines, &bad);
        for (size_t i = 0; i < n_lines; i++)
                free(lines[i]);
        free(lines);
        return *ret ? 0 : -EBADMSG;
}

static void table_times(FILE *stream, json_object *bot, const char *key)
{
        json_object *times = json_object_object_get(bot, key);
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *cell = open_memstream(&text, &size);

        assert(cell);
        for (size_t i = 0; i < json_object_array_length(times); i++)
                fprintf(cell, "%s%lld", i > 0 ? "," : "",
                        (long long) json_object_get_int64(json_object_array_get_idx(times, i)));
        fclose(cell);
        fprintf(stream, " %9s", text);
}

char *judge_table(json_object *verdict)
{
        static const struct {
                const char *title, *key;
        } columns[] = {
                { "injected", "injected" },  { "cloud", "handled_cloud" }, { "local", "handled_local" },
                { "handed", "handed_over" }, { "race", "wiped_race" },     { "wiped", "wiped_other" },
                { "lost", "lost" },          { "dropped", "dropped" },     { "queued", "queued" },
                { "dead", "with_dead" },     { "missing", "missing" },     { "twice", "handled_twice" },
        };
        json_object *bots = json_object_object_get(verdict, "bots"),
                    *violations = json_object_object_get(verdict, "violations");
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);

        assert(stream);
        fprintf(stream, "%-12s %-6s", "bot", "seat");
        FOREACH_ELEMENT(column, columns)
                fprintf(stream, " %8s", column->title);
        fprintf(stream, " %9s %9s %9s\n", "down ms", "blind ms", "floor ms");
        for (size_t i = 0; i < json_object_array_length(bots); i++) {
                json_object *bot = json_object_array_get_idx(bots, i);

                fprintf(stream, "%-12s %-6s", json_get_text(bot, "bot"), json_get_text(bot, "seat"));
                FOREACH_ELEMENT(column, columns)
                        fprintf(stream, " %8s", json_get_text(bot, column->key));
                table_times(stream, bot, "downtime_ms");
                table_times(stream, bot, "blind_ms");
                table_times(stream, bot, "blind_floor_ms");
                fputc('\n', stream);
        }
        for (size_t i = 0; i < json_object_array_length(violations); i++) {
                json_object *violation = json_object_array_get_idx(violations, i);

                fprintf(stream, "%s bot %s, entry %s: %s\n", json_get_text(violation, "law"),
                        json_get_text(violation, "bot"), json_get_text(violation, "seq"),
                        json_get_text(violation, "text"));
        }
        fprintf(stream, "%s\n", json_get_bool(verdict, "ok", false) ? "No law was broken." : "Laws were broken.");
        fclose(stream);
        return text;
}
