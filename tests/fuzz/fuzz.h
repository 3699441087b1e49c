/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* What all fuzzers share. Each defines the one function below, and nothing else that is global. It asserts properties:
 * a fuzzer that looks for crashes alone finds no reply that is taken for another. The same input takes the same path,
 * whatever ran before; so what must outlive one input is set up once and never changed. Returns 0. */
/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name for it */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as lines of text, for which a person can write a seed. */
typedef struct FuzzInput {
        const char *next;
        size_t left;
} FuzzInput;

FuzzInput fuzz_input(const uint8_t *data, size_t size);

/* The next line as a new string, without its newline. What stands behind a NUL in it is dropped, and a line that is not
 * there is "": an input is never refused for its form, so that no change to it is lost. */
char *fuzz_take_line(FuzzInput *in);

/* A word of a line: moves *line behind it and the blanks that follow, and ends it with a NUL. Never NULL. */
char *fuzz_take_word(char **line);

/* Text for people, out of a message or a sentence: good for a journal line and a D-Bus string, and not longer than it
 * may be. */
void fuzz_assert_text(const char *text, size_t size_max);

/* An output argument is as it was before a call that failed, `size` bytes of it with all padding. */
void fuzz_assert_untouched(const void *now, const void *before, size_t size);

/* An empty directory that is made when it is first asked for and removed when the process ends by itself. Below
 * $TMPDIR, or /tmp. */
const char *fuzz_directory(void);
