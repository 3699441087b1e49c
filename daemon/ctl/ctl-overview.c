/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl-clock.h"
#include "ctl/ctl-columns.h"
#include "ctl/ctl-format.h"
#include "ctl/ctl-live.h"
#include "ctl/ctl-overview.h"

/* What a bot needs, the most urgent first. */
typedef enum Need {
        NEED_HELP, /* something is wrong with it */
        NEED_SEAT,
        NEED_PROCEED,
        NEED_WAIT,
        NEED_SPOOL,
        NEED_MOVE, /* it is well, and at the cloud */
        NEED_NOTHING,
        NEED_MAX,
} Need;

/* How much of the screen is not for bots: the first line, empty ones, the command with its reason, and the prompt. */
#define ROWS_ELSEWHERE 7

static Need need_of(const CtlState *s, const CtlBot *b)
{
        const CtlJob *job = ctl_state_job(s, b->job_id);

        if (job)
                return job->holding ? NEED_PROCEED : NEED_WAIT;
        if (!isempty(b->last_error))
                return NEED_HELP;
        if (streq_ptr(b->seat, "undeclared"))
                return NEED_SEAT;
        if (b->spooled > 0)
                return NEED_SPOOL;
        if (streq_ptr(b->seat, "cloud"))
                return NEED_MOVE;
        return streq_ptr(b->seat, "local") ? NEED_NOTHING : NEED_HELP;
}

/* ---- the bots ---- */

static void describe_job(char *text, size_t size, const CtlJob *job, usec_t now_usec)
{
        char time[SHOW_SIZE];

        if (job->not_before_usec > now_usec && job->not_before_usec != USEC_INFINITY)
                (void) snprintf(text, size, "job %" PRIu32 " to %s: queued, %s", job->id, show_place(job->target),
                                show_not_before(time, job->not_before_usec, now_usec));
        else
                (void) snprintf(text, size, "job %" PRIu32 " to %s: %s%s%s for %s", job->id, show_place(job->target),
                                job->phase ?: "", job->holding ? ", holding before " : "",
                                job->holding ? ctl_job_holds_before(job) : "",
                                show_span(time, usec_sub(now_usec, job->phase_started_usec)));
}

static void describe(char *text, size_t size, const CtlState *s, const CtlBot *b, usec_t now_usec)
{
        const char *other = streq_ptr(b->seat, "local") ? "cloud" : "local";
        usec_t allowed_usec = ctl_bot_allowed_usec(b, other);
        char window[SHOW_SIZE];

        text[0] = '\0';
        switch (need_of(s, b)) {
        case NEED_PROCEED:
        case NEED_WAIT:
                describe_job(text, size, ctl_state_job(s, b->job_id), now_usec);
                return;
        case NEED_HELP:
                (void) snprintf(text, size, "%s", b->last_error ?: "");
                return;
        case NEED_SEAT:
                (void) snprintf(text, size, "nobody has said where it is logged in");
                return;
        case NEED_SPOOL:
                (void) snprintf(text, size, "%" PRIu64 " updates are still to be handed over", b->spooled);
                return;
        default:
                if (b->held_until_usec > now_usec)
                        (void) snprintf(text, size, "on hold%s%s", isempty(b->held_reason) ? "" : ": ",
                                        b->held_reason ?: "");
                else if (allowed_usec > now_usec)
                        (void) snprintf(text, size, "%s", show_window(window, other, allowed_usec, now_usec));
        }
}

typedef struct Shape {
        size_t columns; /* SIZE_MAX: nothing is cut */
        size_t name_width;
} Shape;

static void print_bot(const Ctl *c, const Shape *shape, const CtlState *s, const CtlBot *b, usec_t now_usec)
{
        static const int seat_width = 10; /* of the longest, "undeclared" */
        size_t used = 2 + shape->name_width + 2 + (size_t) seat_width + 2;
        Need need = need_of(s, b);
        char text[512];

        describe(text, sizeof(text), s, b, now_usec);
        text_cut(text, shape->columns > used ? shape->columns - used : 0);
        printf("  ");
        (void) print_styled(stdout, c->colour, STYLE_BOLD, b->name);
        printf("%*s  ", (int) (shape->name_width - strlen(b->name)), "");
        (void) print_styled(stdout, c->colour, need == NEED_MOVE || need == NEED_NOTHING ? STYLE_GOOD : STYLE_PLAIN,
                            b->seat ?: "");
        if (text[0]) {
                printf("%*s  ", seat_width - (int) strlen(b->seat ?: ""), "");
                (void) print_styled(stdout, c->colour, need == NEED_HELP ? STYLE_BAD : STYLE_PLAIN, text);
        }
        putchar('\n');
}

/* All of them by name, or as many as the screen has room for, those first that need something. */
static void print_bots(const Ctl *c, const CtlState *s, usec_t now_usec)
{
        Shape shape = { .columns = SIZE_MAX };
        size_t columns, rows, room = SIZE_MAX, n = 0;

        if (c->terminal && terminal_size(&columns, &rows)) {
                shape.columns = columns - 1;
                room = rows > ROWS_ELSEWHERE ? rows - ROWS_ELSEWHERE : 1;
        }
        for (size_t i = 0; i < s->n_bots; i++)
                shape.name_width = MAX(shape.name_width, strlen(s->bots[i].name));
        if (s->n_bots <= room) {
                for (size_t i = 0; i < s->n_bots; i++)
                        print_bot(c, &shape, s, s->bots + i, now_usec);
                return;
        }
        for (Need need = 0; need < NEED_MAX; need++)
                for (size_t i = 0; i < s->n_bots && n + 1 < room; i++)
                        if (need_of(s, s->bots + i) == need) {
                                print_bot(c, &shape, s, s->bots + i, now_usec);
                                n++;
                        }
        printf("  and %zu more: '%s list' shows all\n", s->n_bots - n, ctl_program(c));
}

/* ---- what to do next ---- */

/* The sentences of the daemon quote the command that helps; the first one is it. */
static bool quoted_command(const char *text, char *buffer, size_t size)
{
        static const char *const programs[] = { "'tgswitchctl ", "'systemctl ", "'journalctl " };
        const char *first = NULL, *end;

        FOREACH_ELEMENT(program, programs) {
                const char *found = strstr(text, *program);

                if (found && (!first || found < first))
                        first = found;
        }
        end = first ? strchr(first + 1, '\'') : NULL;
        if (!end)
                return false;
        (void) snprintf(buffer, size, "%.*s", (int) (end - first - 1), first + 1);
        return true;
}

static bool needs_root(const char *command)
{
        static const char *const commands[] = {
                "tgswitchctl add", "tgswitchctl set-token", "tgswitchctl adopt", "systemctl restart",
                "systemctl start", "systemctl reload",      "systemctl enable",
        };

        FOREACH_ELEMENT(prefix, commands)
                if (startswith(command, *prefix))
                        return true;
        return false;
}

static void print_next(const Ctl *c, const char *command, const char *why)
{
        printf("\nNext: ");
        if (!c->host && geteuid() != 0 && needs_root(command))
                printf("sudo ");
        (void) print_styled(stdout, c->colour, STYLE_BOLD, ctl_command(c, command));
        printf("\n      %s\n", why);
}

static void next_of_bot(const Ctl *c, const CtlState *s, const CtlBot *b, Need need)
{
        char command[400], why[480];

        switch (need) {
        case NEED_HELP:
                (void) snprintf(why, sizeof(why), "Something is wrong with %.32s; '%s status %.32s' has all of it.",
                                b->name, ctl_program(c), b->name);
                if (!quoted_command(b->last_error ?: "", command, sizeof(command))) {
                        (void) snprintf(command, sizeof(command), "tgswitchctl status %s", b->name);
                        (void) snprintf(why, sizeof(why), "Something is wrong with %.32s.", b->name);
                }
                break;
        case NEED_SEAT:
                (void) snprintf(command, sizeof(command), "tgswitchctl set-seat %s cloud", b->name);
                (void) snprintf(why, sizeof(why), "Or local: say where %.32s is logged in now. Nothing is sent.",
                                b->name);
                break;
        case NEED_PROCEED:
                (void) snprintf(command, sizeof(command), "tgswitchctl proceed %" PRIu32, b->job_id);
                (void) snprintf(why, sizeof(why), "%.32s holds, as was asked for; this lets it go on.", b->name);
                break;
        case NEED_WAIT:
                (void) snprintf(command, sizeof(command), "tgswitchctl wait %" PRIu32, b->job_id);
                (void) snprintf(why, sizeof(why), "This follows the move of %.32s; %zu of them %s under way.", b->name,
                                s->n_jobs, s->n_jobs == 1 ? "is" : "are");
                break;
        case NEED_SPOOL:
                (void) snprintf(command, sizeof(command), "tgswitchctl spool %s", b->name);
                (void) snprintf(why, sizeof(why), "This prints the updates that are kept for the workers of %.32s.",
                                b->name);
                break;
        case NEED_MOVE:
                (void) snprintf(command, sizeof(command), "tgswitchctl plan local");
                (void) snprintf(why, sizeof(why), "All is well. This shows what a move would do, and changes nothing.");
                break;
        default:
                (void) snprintf(command, sizeof(command), "tgswitchctl plan cloud");
                (void) snprintf(why, sizeof(why),
                                "All is well. This shows what the way back would do, and changes nothing.");
                break;
        }
        print_next(c, command, why);
}

void overview_print(const Ctl *c, const CtlState *s)
{
        if (s->n_bots == 0) {
                puts("No bot is configured yet.");
                print_next(c, "tgswitchctl add NAME",
                           "NAME is how you call the bot; this asks for its token, finds its service and checks both.");
                return;
        }
        putchar('\n');
        print_bots(c, s, ctl_now_usec());
        for (Need need = 0; need < NEED_MAX; need++)
                for (size_t i = 0; i < s->n_bots; i++)
                        if (need_of(s, s->bots + i) == need) {
                                next_of_bot(c, s, s->bots + i, need);
                                return;
                        }
}
