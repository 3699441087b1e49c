/* SPDX-License-Identifier: MIT */
#pragma once

/* The secret of every token that a test uses has this word in it, twice, within its first ten bytes for the first time:
 * so the token, its secret alone and most pieces of it are known wherever they come out. tests/canary-forms has the
 * word as it is, in base64 (at each of three offsets), in hexadecimal and as decimal bytes; a JSON string and a
 * URL leave it as it is. tests/run-one looks for it in what a program prints and leaves behind. */

#define CANARY        "tgCanary"
#define CANARY_SECRET "AA" CANARY "-0000_" CANARY "-1111111_22"
