/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/cutover.h"

/* Makes packaging/doc/cutover.md of the table, and as a test compares it with the one in the tree. Run from
 * the top of the tree:
 *
 *   test-cutover-doc                 fails where the page does not tell what the table does
 *   test-cutover-doc --write FILE    writes the page */

#define PAGE "packaging/doc/cutover.md"

static const char intro[] = "<!-- Made of daemon/core/cutover.c by tests/unit/test-cutover-doc.c. Do not edit. -->\n"
                            "\n"
                            "# What happens in a cutover\n"
                            "\n"
                            "A cutover moves one bot from the server where it is logged in, the *source*, to the\n"
                            "other one, the *target*. It is one table of states and events, and this page is that\n"
                            "table: the program looks up its next step here, and so can you. Which of the two\n"
                            "servers is the cloud makes no difference to it, but for this: only the local server\n"
                            "can die, and only the cloud is fallen back to.\n"
                            "\n"
                            "Three rules hold everywhere:\n"
                            "\n"
                            "- **Record, then act.** The new state is written to `/var/lib/tgswitch` before its\n"
                            "  actions are begun, or *beside* them where the table of states says so. After a crash\n"
                            "  the daemon reads the state, takes the row for `restarted` and goes on.\n"
                            "- **Up to `log-out` everything can be put back.** Any failure there ends as if nothing\n"
                            "  had happened.\n"
                            "- **From `log-out` on there is only forward**, but for two cases: it is certain that\n"
                            "  the first attempt was not carried out; or the target does not take the bot, and the\n"
                            "  cloud, which it came from, does again (`turn-back`).\n"
                            "\n"
                            "`tgswitchctl status` shows the phase of a bot; `journalctl -u tgswitchd` has a line\n"
                            "for each step, with the event and the reason given below. A wish that has no row in a\n"
                            "state (`switch`, `proceed`, `cancel`) is refused there and changes nothing; a result\n"
                            "that has none is too late and is ignored.\n"
                            "\n";

static const char *const state_texts[CUTOVER_STATE_MAX] = {
        [CUTOVER_SETTLED] = "No cutover is under way. The workers run where the bot is logged in.",
        [CUTOVER_QUEUED] = "The job waits: until the target takes the bot again, until it is its turn among others, "
                           "until the pace of logins allows it, or until a server that holds a stale session "
                           "answers. The bot works where it is.",
        [CUTOVER_STALE_SPOOL] = "The local server died, the bot was moved to the cloud without a logOut there, and now "
                                "that server is back with a session of the bot: a *stale* one. Before it is ended, "
                                "the daemon takes the updates that it still has.",
        [CUTOVER_STALE_LOG_OUT] = "The stale session is being ended. The bot goes on in the cloud.",
        [CUTOVER_STALE_HAND_OVER] = "The stale session is ended, and the workers in the cloud get what was spooled of "
                                    "it.",
        [CUTOVER_CHECK] = "Everything that could go wrong later is looked at now, and the target's server "
                          "is made to run. The workers notice nothing.",
        [CUTOVER_DRAIN] = "The workers empty the queue of updates at the source, as they always do; nothing "
                          "is pending at the end.",
        [CUTOVER_HOLD_DRAINED] = "Asked for with `--hold-at=stop-workers`: all is prepared, the workers still run.",
        [CUTOVER_READY] = "All is prepared, the workers still run, and as many other bots as may are on their way.",
        [CUTOVER_STOP_WORKERS] = "The downtime begins. What starts workers is stopped first, then the workers.",
        [CUTOVER_SPOOL] = "The daemon takes what is left in the queue and keeps it on disk; logOut would "
                          "delete it. A webhook is removed for that time.",
        [CUTOVER_HOLD_SPOOLED] = "Asked for with `--hold-at=log-out`: the last moment at which everything can be "
                                 "put back. The workers are stopped.",
        [CUTOVER_LOG_OUT_WAIT] = "The source could not be reached, or asked for patience. The bot is still logged "
                                 "in there.",
        [CUTOVER_ABANDON] = "The local server is dead, and the bot goes to the cloud without it. Its session is put "
                            "down as stale once no worker runs that could use it.",
        [CUTOVER_RESTORE_SOURCE] = "The cutover is given up. Webhook, spool and server unit become what they were.",
        [CUTOVER_RESTART_WORKERS] = "The cutover is given up, and the workers start again where they were.",
        [CUTOVER_LOG_OUT] = "The point of no return: logOut is on its way to the source.",
        [CUTOVER_LOG_OUT_RECHECK] = "The daemon was started again while logOut was on its way. Before anything else, "
                                    "no worker may run.",
        [CUTOVER_LOG_OUT_UNKNOWN] = "logOut was sent and nobody knows whether it arrived. It is repeated soon.",
        [CUTOVER_LOG_OUT_RESPOOL] = "Just before the repeat: if the bot is logged in after all, new updates have "
                                    "come in.",
        [CUTOVER_LOG_OUT_REPEAT] = "logOut is on its way again.",
        [CUTOVER_LOG_IN] = "The bot is logged in nowhere. An update sent to it now is lost at Telegram, so "
                           "this is kept as short as one request.",
        [CUTOVER_TURN_BACK] = "The local server does not take the bot, and the cloud does again: the bot goes back. "
                              "First, no worker may run that was started for the local server.",
        [CUTOVER_LOG_IN_ABANDONED] = "The bot is logged in at the cloud, while the local server may hold a session of "
                                     "it. That is on disk before the cloud is asked.",
        [CUTOVER_RESTORE_WEBHOOK] = "The bot is at the target. Its webhook, if it had one, is set there.",
        [CUTOVER_PUBLISH] = "The environment file of the workers gets the new endpoint.",
        [CUTOVER_START_WORKERS] = "The downtime ends: the workers start with the new endpoint, and one of them "
                                  "gets the spool.",
        [CUTOVER_CONFIRM] = "For a while the daemon watches whether the workers stay up.",
};

static const char *const event_texts[CUTOVER_EVENT_MAX] = {
        [CUTOVER_SWITCH_REQUESTED] = "somebody asked for a cutover",
        [CUTOVER_PROCEED_REQUESTED] = "`tgswitchctl proceed`",
        [CUTOVER_CANCEL_REQUESTED] = "`tgswitchctl cancel`",
        [CUTOVER_RESTARTED] = "the daemon has just started and found this state on disk",
        [CUTOVER_WRITE_FAILED] = "the state could not be written to disk; its actions were not begun",
        [CUTOVER_ADMITTED] = "the target's window is over, and it is this job's turn",
        [CUTOVER_ADMITTED_LATE] = "the same, a minute or more after the checks",
        [CUTOVER_ADMITTED_STALE] = "the server that holds a stale session answers again",
        [CUTOVER_ARRIVED] = "the bot is at the target already, and no stale session is left",
        [CUTOVER_CALLED_OFF] = "the job is not to begin: too many others of its call have failed, the caller did not "
                               "want to wait, or there is no reason for it any more",
        [CUTOVER_CHECK_PASSED] = "every check passed",
        [CUTOVER_CHECK_FAILED] = "a check failed; the job's error says which and what to do",
        [CUTOVER_SOURCE_DEAD] = "the local server, which the bot is to leave, has not answered for "
                                "`FallbackGraceSec=`",
        [CUTOVER_DRAINED] = "the queue is empty, or the time is up and what is left may be spooled",
        [CUTOVER_DRAINED_HOLD] = "the same, and the caller wants to hold here",
        [CUTOVER_DRAIN_FAILED] = "updates are left and may not be spooled",
        [CUTOVER_HOLD_TIMED_OUT] = "`HoldTimeoutSec=` is over",
        [CUTOVER_WORKERS_STOPPED] = "no worker of the bot runs",
        [CUTOVER_WORKERS_NOT_STOPPED] = "a worker did not stop within `StopTimeoutSec=`",
        [CUTOVER_SPOOLED] = "the queue is empty and what was in it is on disk",
        [CUTOVER_SPOOLED_HOLD] = "the same, and the caller wants to hold here",
        [CUTOVER_SPOOL_FAILED] = "the queue could not be emptied",
        [CUTOVER_LOGOUT_APPLIED] = "the source says that the bot is logged out",
        [CUTOVER_LOGOUT_REVOKED] = "the source does not accept the token (401)",
        [CUTOVER_LOGOUT_REJECTED] = "this attempt was certainly not carried out",
        [CUTOVER_LOGOUT_GIVEN_UP] = "the same, and the time for attempts is up",
        [CUTOVER_LOGOUT_LOST] = "no answer, or one that proves nothing",
        [CUTOVER_LOGGED_IN] = "the target answers for this bot",
        [CUTOVER_LOGIN_FAILED] = "it does not",
        [CUTOVER_LOGIN_TOO_EARLY] = "it says that the bot is still locked out",
        [CUTOVER_SOURCE_RESTORED] = "webhook, spool and server unit are what they were",
        [CUTOVER_SOURCE_NOT_RESTORED] = "the source could not be reached",
        [CUTOVER_WEBHOOK_RESTORED] = "the webhook is set, or there is none",
        [CUTOVER_WEBHOOK_NOT_RESTORED] = "setting it failed",
        [CUTOVER_PUBLISHED] = "the workers' file is written",
        [CUTOVER_NOT_PUBLISHED] = "it could not be written",
        [CUTOVER_WORKERS_STARTED] = "systemd started all of them",
        [CUTOVER_WORKERS_NOT_STARTED] = "at least one did not start",
        [CUTOVER_SPOOL_LEFT] = "the workers are well, and more of the spool waits for them",
        [CUTOVER_CONFIRMED] = "the workers are well",
        [CUTOVER_NOT_CONFIRMED] = "a worker has failed since, or updates pile up",
        [CUTOVER_RETRY_DUE] = "time to try again",
        [CUTOVER_RETRY_DUE_STALE] = "the same, and the queue was last emptied more than 5 seconds ago",
        [CUTOVER_FALL_BACK_DUE] = "time to try again, and the cloud is to be asked instead: its window is over",
};

static const char *const note_texts[CUTOVER_NOTE_MAX] = {
        [CUTOVER_NOTE_NONE] = "nothing new",
        [CUTOVER_NOTE_MAY_BE_LOGGED_OUT] =
                        "the bot may be logged out of the source; the window counts from now at least",
        [CUTOVER_NOTE_LOGGED_OUT] = "the bot is logged out of the source; the window counts from now",
        [CUTOVER_NOTE_NOT_LOGGED_OUT] = "the bot is not logged out after all",
        [CUTOVER_NOTE_LOGGED_IN] = "the bot's seat is the target",
        [CUTOVER_NOTE_WINDOW_OVER] = "the target's window is over, whatever a clock says later",
        [CUTOVER_NOTE_WINDOW_LONGER] = "the target's window is longer than promised; it counts from now once more",
        [CUTOVER_NOTE_ABANDONED] = "the server where the bot was holds a stale session; the target is the cloud",
        [CUTOVER_NOTE_TURNED_BACK] = "the target may hold a stale session; the new target is the cloud",
        [CUTOVER_NOTE_AGAIN] = "nothing new: what could not be written before",
        [CUTOVER_NOTE_STALE_ENDED] = "there is no stale session any more; that server's window counts from now",
};

/* ---- groups: which side of the point of no return a state is on ---- */

typedef enum Group {
        GROUP_NONE,
        GROUP_STALE,
        GROUP_REVERSIBLE,
        GROUP_WAY_BACK,
        GROUP_FORWARD,
        GROUP_MAX,
} Group;

static const struct {
        const char *id;
        const char *title;
} groups[GROUP_MAX] = {
        [GROUP_STALE] = { "stale", "A stale session is ended" },
        [GROUP_REVERSIBLE] = { "reversible", "Everything can be put back" },
        [GROUP_WAY_BACK] = { "way_back", "The way back" },
        [GROUP_FORWARD] = { "forward", "Forward only" },
};

static Group group_of(CutoverState state)
{
        const CutoverFacts *facts = cutover_facts(state);

        if (state == CUTOVER_SETTLED || state == CUTOVER_QUEUED)
                return GROUP_NONE;
        if (streq(facts->phase, "stale-session"))
                return GROUP_STALE;
        if (facts->cancellable)
                return GROUP_REVERSIBLE;
        return facts->place == CUTOVER_AT_SEAT ? GROUP_WAY_BACK : GROUP_FORWARD;
}

/* ---- the diagram ---- */

/* A state's name as mermaid takes it. */
static void print_id(FILE *f, CutoverState state)
{
        for (const char *c = cutover_state_to_string(state); *c; c++)
                fputc(*c == '-' ? '_' : *c, f);
}

/* What interrupts a cutover goes the same way from everywhere, and would hide the rest. */
static bool is_drawn(const CutoverRow *row)
{
        return row->from != row->to && row->event != CUTOVER_RESTARTED && row->event != CUTOVER_WRITE_FAILED &&
               row->event != CUTOVER_CANCEL_REQUESTED;
}

static void print_arrows(FILE *f)
{
        size_t n;
        const CutoverRow *rows = cutover_rows(&n);

        for (size_t i = 0; i < n; i++) {
                bool first = true, later = false;

                /* One arrow for all events that lead from one state to the same other one. */
                for (size_t j = 0; j < i; j++)
                        later |= is_drawn(&rows[j]) && rows[j].from == rows[i].from && rows[j].to == rows[i].to;
                if (later || !is_drawn(&rows[i]))
                        continue;
                fputs("    ", f);
                print_id(f, rows[i].from);
                fputs(" --> ", f);
                print_id(f, rows[i].to);
                for (size_t j = i; j < n; j++) {
                        if (!is_drawn(&rows[j]) || rows[j].from != rows[i].from || rows[j].to != rows[i].to)
                                continue;
                        fprintf(f, "%s%s", first ? " : " : ", ", cutover_event_to_string(rows[j].event));
                        first = false;
                }
                fputc('\n', f);
        }
}

static void print_diagram(FILE *f)
{
        fputs("```mermaid\nstateDiagram-v2\n    direction TB\n    [*] --> settled\n", f);
        for (Group g = GROUP_NONE + 1; g < GROUP_MAX; g++) {
                fprintf(f, "    state \"%s\" as %s {\n", groups[g].title, groups[g].id);
                for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                        if (group_of(s) != g)
                                continue;
                        fprintf(f, "        state \"%s\" as ", cutover_state_to_string(s));
                        print_id(f, s);
                        fputc('\n', f);
                }
                fputs("    }\n", f);
        }
        print_arrows(f);
        fputs("```\n"
              "\n"
              "Not drawn, but listed below: a restart of the daemon, a failed write, a cancelled\n"
              "job, and what stays in its state.\n"
              "\n",
              f);
}

/* ---- the tables ---- */

static void print_facts(FILE *f)
{
        fputs("## The states at a glance\n"
              "\n"
              "The *bot is* where people see it: at the source or the target, nowhere (`none`), or\n"
              "nobody knows (`unknown`). Where the gate is closed, a worker that somebody starts waits\n"
              "until it opens. Where a state *ends a stale session*, requests go to the server that\n"
              "holds it, besides those to the bot's seat.\n"
              "\n"
              "The *record* of a state is *needed* where nothing is done before it is safely on disk.\n"
              "Elsewhere a failed write is reported and the way goes on: after the write where it comes\n"
              "*first*, and *beside* it where every millisecond counts and whatever a process that dies\n"
              "meanwhile has begun may be done twice.\n"
              "\n"
              "| State | Phase shown | The bot is | Gate | Can be cancelled | Ends a stale session | Record |\n"
              "|---|---|---|---|---|---|---|\n",
              f);
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++) {
                static const char *const recordings[] = {
                        [CUTOVER_RECORD_NEEDED] = "needed",
                        [CUTOVER_RECORD_FIRST] = "first",
                        [CUTOVER_RECORD_BESIDE] = "beside",
                };
                const CutoverFacts *facts = cutover_facts(s);

                fprintf(f, "| [`%s`](#%s) | %s | %s | %s | %s | %s | %s |\n", facts->name, facts->name,
                        isempty(facts->phase) ? "–" : facts->phase, cutover_place_to_string(facts->place),
                        facts->gate_open ? "open" : "closed", facts->cancellable ? "yes" : "no",
                        facts->ends_stale ? "yes" : "no", recordings[facts->recording]);
        }
        fputc('\n', f);
}

static void print_actions(FILE *f, unsigned actions)
{
        bool first = true;

        for (unsigned action = 1; action < CUTOVER_ACTION_ALL; action <<= 1)
                if (actions & action) {
                        fprintf(f, "%s`%s`", first ? "" : ", ", cutover_action_to_string(action));
                        first = false;
                }
}

static void print_state(FILE *f, CutoverState state)
{
        size_t n;
        const CutoverRow *rows = cutover_rows(&n);

        fprintf(f, "### %s\n\n%s\n\n", cutover_state_to_string(state), state_texts[state]);
        fputs("| Event | Next state | Actions | Noted | Because |\n|---|---|---|---|---|\n", f);
        for (size_t i = 0; i < n; i++) {
                if (rows[i].from != state)
                        continue;
                fprintf(f, "| `%s` | ", cutover_event_to_string(rows[i].event));
                if (rows[i].to == state)
                        fputs("the same | ", f);
                else
                        fprintf(f, "[`%s`](#%s) | ", cutover_state_to_string(rows[i].to),
                                cutover_state_to_string(rows[i].to));
                print_actions(f, rows[i].actions);
                fprintf(f, " | %s | %s |\n", cutover_note_to_string(rows[i].note), rows[i].why);
        }
        fputc('\n', f);
}

static void print_words(FILE *f)
{
        fputs("## The words\n\n| Event | What has happened |\n|---|---|\n", f);
        for (CutoverEvent e = 0; e < CUTOVER_EVENT_MAX; e++)
                fprintf(f, "| `%s` | %s |\n", cutover_event_to_string(e), event_texts[e]);
        fputs("\nActions are carried out in the order in which they are listed. What is noted is part\n"
              "of the record:\n"
              "\n"
              "| Note | Meaning |\n|---|---|\n",
              f);
        for (CutoverNote note = CUTOVER_NOTE_NONE + 1; note < CUTOVER_NOTE_MAX; note++)
                fprintf(f, "| `%s` | %s |\n", cutover_note_to_string(note), note_texts[note]);
}

static char *make_page(void)
{
        char *page = NULL;
        size_t size;
        FILE *f = open_memstream(&page, &size);

        assert_non_null(f);
        fputs(intro, f);
        print_diagram(f);
        print_facts(f);
        fputs("## Step by step\n\n", f);
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                print_state(f, s);
        print_words(f);
        assert_int_equal(fclose(f), 0);
        return page;
}

static char *read_page(void)
{
        FILE *f = fopen(PAGE, "re");
        char *page = NULL;
        size_t n_allocated = 0;

        if (!f)
                return NULL;
        if (getdelim(&page, &n_allocated, '\0', f) < 0) {
                free(page);
                page = NULL;
        }
        fclose(f);
        return page;
}

/* ---- tests ---- */

static void test_page_is_fresh(void **state)
{
        _cleanup_free_ char *expected = make_page();
        _cleanup_free_ char *found = read_page();

        if (!found || !streq(expected, found))
                fail_msg(PAGE " does not tell what the table does. Write it anew: %s --write " PAGE,
                         program_invocation_name);
}

static void test_everything_is_explained(void **state)
{
        for (CutoverState s = 0; s < CUTOVER_STATE_MAX; s++)
                assert_non_null(state_texts[s]);
        for (CutoverEvent e = 0; e < CUTOVER_EVENT_MAX; e++)
                assert_non_null(event_texts[e]);
        for (CutoverNote note = 0; note < CUTOVER_NOTE_MAX; note++)
                assert_non_null(note_texts[note]);
}

static int write_page(const char *path)
{
        _cleanup_free_ char *page = make_page();
        FILE *f = fopen(path, "we");

        if (!f || fputs(page, f) < 0 || fclose(f) != 0) {
                fprintf(stderr, "Cannot write %s: %m\n", path);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_is_explained),
                cmocka_unit_test(test_page_is_fresh),
        };

        if (argc == 3 && streq(argv[1], "--write"))
                return write_page(argv[2]);
        if (argc != 1) {
                fprintf(stderr, "Usage: %s [--write FILE]\n", argv[0]);
                return EXIT_FAILURE;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
