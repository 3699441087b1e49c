/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "ctl/ctl-columns.h"
#include "ctl/ctl-format.h"

#define USEC_PER_DAY (24 * USEC_PER_HOUR)

char *show_span(char buffer[static SHOW_SIZE], usec_t span_usec)
{
        static const struct {
                usec_t usec;
                const char *name;
        } units[] = {
                { USEC_PER_DAY, "d" },
                { USEC_PER_HOUR, "h" },
                { USEC_PER_MIN, "min" },
                { USEC_PER_SEC, "s" },
        };

        if (span_usec == USEC_INFINITY)
                (void) snprintf(buffer, SHOW_SIZE, "unknown");
        else if (span_usec < USEC_PER_SEC)
                (void) snprintf(buffer, SHOW_SIZE, "%" PRIu64 "ms", span_usec / USEC_PER_MSEC);
        else if (span_usec < 10 * USEC_PER_SEC)
                (void) snprintf(buffer, SHOW_SIZE, "%" PRIu64 ".%" PRIu64 "s", span_usec / USEC_PER_SEC,
                                span_usec % USEC_PER_SEC / (100 * USEC_PER_MSEC));
        else {
                size_t i = 0;
                usec_t rest;

                while (span_usec < units[i].usec)
                        i++;
                rest = span_usec % units[i].usec;
                if (i + 1 < ELEMENTSOF(units) && rest >= units[i + 1].usec)
                        (void) snprintf(buffer, SHOW_SIZE, "%" PRIu64 "%s %" PRIu64 "%s", span_usec / units[i].usec,
                                        units[i].name, rest / units[i + 1].usec, units[i + 1].name);
                else
                        (void) snprintf(buffer, SHOW_SIZE, "%" PRIu64 "%s", span_usec / units[i].usec, units[i].name);
        }
        return buffer;
}

char *show_minutes(char buffer[static SHOW_SIZE], usec_t span_usec)
{
        usec_t seconds = span_usec / USEC_PER_SEC;

        if (span_usec == USEC_INFINITY)
                (void) snprintf(buffer, SHOW_SIZE, "unknown");
        else if (seconds < 3600)
                (void) snprintf(buffer, SHOW_SIZE, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
        else
                (void) snprintf(buffer, SHOW_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
                                seconds / 60 % 60, seconds % 60);
        return buffer;
}

char *show_clock(char buffer[static SHOW_SIZE], usec_t realtime_usec, usec_t now_usec)
{
        time_t then = (time_t) (realtime_usec / USEC_PER_SEC), now = (time_t) (now_usec / USEC_PER_SEC);
        struct tm then_tm, now_tm;
        bool same_day;

        if (realtime_usec == USEC_INFINITY || !localtime_r(&then, &then_tm) || !localtime_r(&now, &now_tm)) {
                (void) snprintf(buffer, SHOW_SIZE, "unknown");
                return buffer;
        }
        same_day = then_tm.tm_year == now_tm.tm_year && then_tm.tm_yday == now_tm.tm_yday;
        if (strftime(buffer, SHOW_SIZE, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &then_tm) == 0)
                buffer[0] = '\0';
        return buffer;
}

char *show_not_before(char buffer[static SHOW_SIZE], usec_t then_usec, usec_t now_usec)
{
        usec_t left_usec = (usec_sub(then_usec, now_usec) + USEC_PER_SEC - 1) / USEC_PER_SEC * USEC_PER_SEC;
        char when[SHOW_SIZE], left[SHOW_SIZE];

        (void) snprintf(buffer, SHOW_SIZE, "not before %.20s (in %.15s)", show_clock(when, then_usec, now_usec),
                        show_span(left, left_usec));
        return buffer;
}

char *show_window(char buffer[static SHOW_SIZE], const char *seat, usec_t allowed_usec, usec_t now_usec)
{
        char when[SHOW_SIZE];

        if (allowed_usec == USEC_INFINITY)
                (void) snprintf(buffer, SHOW_SIZE, "%.8s closed, its time not known", seat);
        else if (allowed_usec <= now_usec)
                (void) snprintf(buffer, SHOW_SIZE, "%.8s open", seat);
        else
                (void) snprintf(buffer, SHOW_SIZE, "%.8s %.54s", seat, show_not_before(when, allowed_usec, now_usec));
        return buffer;
}

const char *show_place(const char *seat)
{
        return streq_ptr(seat, "cloud")   ? "the cloud"
               : streq_ptr(seat, "local") ? "the local server"
                                          : "another server";
}

const char *show_server(const char *state)
{
        return streq_ptr(state, "other") ? "not known yet, systemd has not told" : state ?: "";
}

/* ---- text ---- */

static const char *const styles[STYLE_MAX] = {
        [STYLE_PLAIN] = "",         [STYLE_BOLD] = "\033[1m",  [STYLE_GOOD] = "\033[32m",
        [STYLE_BAD] = "\033[1;31m", [STYLE_FAINT] = "\033[2m",
};

/* ASCII control characters, and those of U+0080 to U+009F, which some terminals obey as well. Sets how many bytes it
 * takes. */
static bool is_control(const char *s, size_t *ret_size)
{
        const unsigned char *c = (const unsigned char *) s;

        *ret_size = 1;
        if (c[0] < 0x20 || c[0] == 0x7f)
                return true;
        if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
                *ret_size = 2;
                return true;
        }
        return false;
}

size_t print_styled(FILE *f, bool colour, Style style, const char *text)
{
        size_t columns = 0, size;
        bool styled = colour && style != STYLE_PLAIN;

        assert(text);

        if (styled)
                fputs(styles[style], f);
        for (const char *c = text; *c; c += size) {
                if (is_control(c, &size)) {
                        fputc('?', f);
                        columns++;
                        continue;
                }
                columns += char_columns(c, &size);
                fwrite(c, 1, size, f);
        }
        if (styled)
                fputs("\033[0m", f);
        return columns;
}

/* ---- tables ---- */

typedef struct Cell {
        char *text;
        Style style;
} Cell;

typedef struct Note {
        Cell line;
        size_t n_cells; /* so many stand before it */
} Note;

struct Table {
        Cell *cells;
        size_t n_cells, n_columns;
        Note *notes;
        size_t n_notes;
};

int table_new(Table **ret, size_t n_columns)
{
        Table *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->n_columns = n_columns;
        *ret = t;
        return 0;
}

Table *table_free(Table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i].text);
        for (size_t i = 0; i < t->n_notes; i++)
                free(t->notes[i].line.text);
        free(t->notes);
        free(t->cells);
        free(t);
        return NULL;
}

int table_add(Table *t, Style style, const char *text)
{
        _cleanup_free_ char *copy = strdup(isempty(text) ? "-" : text);
        Cell *grown;

        if (!copy)
                return -ENOMEM;
        grown = reallocarray(t->cells, t->n_cells + 1, sizeof(Cell));
        if (!grown)
                return -ENOMEM;
        t->cells = grown;
        t->cells[t->n_cells++] = (Cell){ .text = TAKE_PTR(copy), .style = style };
        return 0;
}

int table_addf(Table *t, Style style, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return table_add(t, style, text);
}

int table_note(Table *t, Style style, const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        Note *grown;

        assert(t->n_cells % t->n_columns == 0);

        if (!copy)
                return -ENOMEM;
        grown = reallocarray(t->notes, t->n_notes + 1, sizeof(Note));
        if (!grown)
                return -ENOMEM;
        t->notes = grown;
        t->notes[t->n_notes++] = (Note){ .line = { TAKE_PTR(copy), style }, .n_cells = t->n_cells };
        return 0;
}

static size_t column_width(const Table *t, size_t column)
{
        size_t width = 0;

        for (size_t i = column; i < t->n_cells; i += t->n_columns)
                width = MAX(width, text_columns(t->cells[i].text));
        return width;
}

static size_t print_notes(const Table *t, size_t i, size_t n_cells, FILE *f, bool colour, unsigned indent)
{
        for (; i < t->n_notes && t->notes[i].n_cells == n_cells; i++) {
                fprintf(f, "%*s", (int) indent, "");
                (void) print_styled(f, colour, t->notes[i].line.style, t->notes[i].line.text);
                fputc('\n', f);
        }
        return i;
}

void table_print(const Table *t, FILE *f, bool colour, unsigned indent)
{
        size_t note = 0;

        for (size_t i = 0; i < t->n_cells; i++) {
                size_t column = i % t->n_columns, printed;

                if (column == 0)
                        fprintf(f, "%*s", (int) indent, "");
                printed = print_styled(f, colour, t->cells[i].style, t->cells[i].text);
                if (column + 1 < t->n_columns)
                        fprintf(f, "%*s", (int) (column_width(t, column) - printed + 2), "");
                else {
                        fputc('\n', f);
                        note = print_notes(t, note, i + 1, f, colour, indent + 4);
                }
        }
}
