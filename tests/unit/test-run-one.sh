#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/run-one fails a program that lets a token out, in each form of tests/canary-forms, and names the place.
#
#       tests/unit/test-run-one.sh BUILD
set -uo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0

# reports DESCRIPTION REGEX SCRIPT: what run-one says of a program that passes its only test and does that.
reports()
{
        local said

        printf '%s\n' '#!/bin/bash' "forms=$tests/canary-forms" 'echo "ok 1 - fine"' 'echo 1..1' "$3" >"$dir/program"
        said=$("$tests/run-one" "$dir" unit 60 program "bash $dir/program" 2>&1)
        if [[ $said =~ $2 ]]; then
                echo "ok $((++count)) - $1"
        else
                echo "not ok $((++count)) - $1"
                echo "# $(head -n 3 <<<"$said")"
        fi
}

line=0
while read -r _; do
        ((++line))
        reports "form $line is seen in the output" 'FAIL .*a token came out: its output' "sed -n ${line}p \$forms"
        reports "form $line is seen on standard error" 'FAIL .*a token came out: its output' "sed -n ${line}p \$forms >&2"
        reports "form $line is seen in a file" 'FAIL .*a token came out: \$TMPDIR/a/b' \
                "mkdir \$TMPDIR/a; sed -n ${line}p \$forms >\$TMPDIR/a/b"
done <"$tests/canary-forms"
reports "a name is seen" 'FAIL .*a token came out: a name in \$TMPDIR' ': >"$TMPDIR/1:AA$(head -n 1 $forms)"'
reports "what is left otherwise does no harm" '^ok .* 1 passed \(' 'echo canary >$TMPDIR/canary'
echo "1..$count"
