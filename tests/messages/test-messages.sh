#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What finds the messages in the sources, hears them from programs and compares the two does so: one that no test provokes
# is named.
#
#       test-messages.sh BUILD
set -uo pipefail

build=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/host/tap.sh
source ../host/tap.sh
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
# Of the release, where tests/run asks for them, too.
export BUILDROOT=${build%/*} CONFIG=release
messages=$directory/logs/messages

# ---- in the sources ----

# As the preprocessor prints it.
found=$("$build/tests/messages/extract" <<'EOC'
# 1 "/usr/include/stdio.h" 1
extern int asprintf(char **p, const char *f, ...) __attribute__ ((__format__ (__printf__, 2, 3)));
static const char *there = "of another file";
# 1 "daemon/a.c" 2
static int __attribute__((format(printf, 2, 3))) fail(int status, const char *format, ...);
int say(const char *format, ...) __attribute__((format(printf, 1, 2))) __attribute__((cold));
int a(char c)
{
        const char *plain = "plain";
        if (c == '(' || c == '"')
                return fail(2, "two " "parts, \"%s\""
                               " and more", "an argument");
        say((c ? "either %d" : "or"), c);
        return asprintf(&p, "kept %s", other("put in"));
}
EOC
)
check_equal "literals, what they are passed to, and where they stand" \
        "$(printf '%s\n' 'daemon/a.c:5|-|argument||plain' 'daemon/a.c:7|fail|message|2,|two parts, \"%s\" and more' \
                'daemon/a.c:8|fail|argument|2,,|an argument' 'daemon/a.c:9|say|message|(c?|either %d' \
                'daemon/a.c:9|say|message|(c?:|or' 'daemon/a.c:10|asprintf|format|&p,|kept %s' \
                'daemon/a.c:10|other|argument||put in')" \
        "$(tr '\t' '|' <<<"$found")"

# ---- from a program ----

: >"$directory/record"
MESSAGES_RECORD=$directory/record LD_PRELOAD=$build/tests/messages/record-preload.so \
        ASAN_OPTIONS=verify_asan_link_order=0 "$build/tgswitchctl" nonsense 2>/dev/null
check_match "the format of a message is heard" "There is no verb '%s'; see 'tgswitchctl --help'." \
        "$(<"$directory/record")"
check "and its arguments are not" fails grep -q nonsense "$directory/record"

# ---- both ----

# verdicts: what is not ok where the tests provoked what stands in the record.
verdicts()
{
        ./report "$directory/logs" | sed -n 's/^not ok [0-9]* - //p'
}

mkdir -p "$messages/unit"
# All that is not excepted.
if ! ./list >"$directory/list"; then
        tap_fail "the messages of the sources are listed"
        tap_done
fi
cut -f 3 "$directory/list" | grep -vxFf <(cat exceptions owed) >"$messages/unit/test-a"
check_equal "where each is provoked there is nothing to say" "" "$(verdicts)"
missing=$(head -n 1 "$messages/unit/test-a")
sed -i 1d "$messages/unit/test-a"
check_match "one that no test provokes is named" "^daemon/.*\"${missing//[^A-Za-z ]/.*}\" is provoked by no test$" \
        "$(verdicts)"
printf '%s\nOut of memory.\n' "$missing" >"$messages/unit/test-b"
check_match "an exception that is none is named" '^.*"Out of memory." is provoked by unit/test-b: take it out' \
        "$(verdicts)"
tap_done
