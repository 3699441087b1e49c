/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

#include "base/macro.h"
#include "base/time-util.h"

/* How things look. Nothing here knows the bus or reads a clock. */

#define SHOW_SIZE 64

/* "74ms", "1.9s", "9min 12s", "2h 5min", "3d 4h": the two largest units. Returns `buffer`. */
char *show_span(char buffer[static SHOW_SIZE], usec_t span_usec);

/* "0:02", "9:41", "1:02:03": whole minutes and seconds, for what is looked at again and again. Rounded down. */
char *show_minutes(char buffer[static SHOW_SIZE], usec_t span_usec);

/* "14:05:12" where it is the day of `now`, else with the date; "unknown" for USEC_INFINITY. Local time. */
char *show_clock(char buffer[static SHOW_SIZE], usec_t realtime_usec, usec_t now_usec);

/* "not before 14:05:12 (in 9min 12s)"; whole seconds, rounded up: at "in 1.0s" it is not over. */
char *show_not_before(char buffer[static SHOW_SIZE], usec_t then_usec, usec_t now_usec);

/* "cloud not before 14:05:12 (in 9min 12s)", "cloud open", or that the end is not known. `seat` is cloud or local. */
char *show_window(char buffer[static SHOW_SIZE], const char *seat, usec_t allowed_usec, usec_t now_usec);

/* A seat as it stands in a sentence: "the cloud", "the local server". */
const char *show_place(const char *seat);

/* LocalServerState of org.tgswitch1(5) as it stands in a sentence: as it is, but for the one that is no state. */
const char *show_server(const char *state);

typedef enum Style {
        STYLE_PLAIN,
        STYLE_BOLD,
        STYLE_GOOD,
        STYLE_BAD,
        STYLE_FAINT,
        STYLE_MAX,
} Style;

/* Prints text from outside so that it cannot drive the terminal: control characters become '?'. With `colour`, in this
 * style. Returns the columns it takes. */
size_t print_styled(FILE *f, bool colour, Style style, const char *text);

/* Columns as wide as their widest cell, two spaces between them; the last one is not padded. */
typedef struct Table Table;

int table_new(Table **ret, size_t n_columns) _must_check_;
Table *table_free(Table *t);
DEFINE_CLEANUP(Table *, table_free);
/* Cells row by row. The text is copied; an empty one prints as "-". */
int table_add(Table *t, Style style, const char *text) _must_check_;
int table_addf(Table *t, Style style, const char *format, ...) _printf_(3, 4) _must_check_;
/* A line of its own below the row whose last cell was added last. */
int table_note(Table *t, Style style, const char *text) _must_check_;
void table_print(const Table *t, FILE *f, bool colour, unsigned indent);
