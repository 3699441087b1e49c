#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tgswitchctl metrics: what is printed and written, of a daemon that answers and of one that does not; against the fake
# daemon of test-bus, on a bus of its own.
#
#       test-ctl-metrics.sh BUILD
set -uo pipefail

build=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/host/tap.sh
source ../host/tap.sh
# shellcheck source=tests/adapter/fake-daemon.sh
source fake-daemon.sh

# run ARGUMENT…: leaves $status, $output and $errors.
run()
{
        output=$("$build/tgswitchctl" "$@" 2>"$directory/errors" </dev/null)
        status=$?
        errors=$(<"$directory/errors")
}

# gives DESCRIPTION STATUS REGEX: what the last run() printed, on either stream.
gives()
{
        if ((status == $2)) && [[ $output$'\n'$errors =~ $3 ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected status $2 and: $3" "got status $status" "$output" "$errors"
        fi
}

file=$directory/tgswitch.prom
start_bus

# ---- nobody answers ----

run metrics
gives "a daemon that does not answer is told, with a status of its own" 9 $'^# HELP tgswitch_up .*\ntgswitch_up 0\n'
check_match "and how to start it" "tgswitchd does not answer" "$errors"
run metrics --output="$file"
gives "in a file that is told by the file" 0 '^.?$'
check_equal "which says nothing else" "tgswitch_up 0" "$(grep -v '^#' "$file")"
check_equal "and ends as a file of lines does" 1 "$(tail -c 1 "$file" | wc -l)"
run metrics --json
gives "and in JSON" 9 '"schema":1,"up":false,"metrics":"# HELP tgswitch_up '
for wrong in "metrics shop" "metrics --all" "metrics --clear" "metrics --output"; do
        # shellcheck disable=SC2086
        run $wrong
        gives "usage: $wrong" 2 '.'
done

# ---- somebody answers ----

start_daemon
run metrics
gives "the metrics are printed" 0 $'^# HELP tgswitch_up .*\ntgswitch_up 1\n'
printed=$output
inode=$(stat -c %i "$file")
umask 077
run metrics --output="$file"
umask 022
gives "or written" 0 '^.?$'
# What is counted there is how often the test has asked.
check_equal "the same" "${printed% *}" "$(sed '$s/ [0-9]*$//' "$file")"
check "as a new file, never into the old one" test "$(stat -c %i "$file")" != "$inode"
check_equal "which everybody may read" 644 "$(stat -c %a "$file")"
check_equal "and nothing beside it" tgswitch.prom "$(cd "$directory" && ls tgswitch*)"
(cd "$directory" && "$build/tgswitchctl" metrics --output=here.prom)
check "a name without a directory is one here" test -s "$directory/here.prom"
run metrics --json
gives "JSON has them as one text" 0 '"schema":1,"up":true,"metrics":"# HELP .*tgswitch_up 1\\n'

run metrics --output="$directory/nowhere/tgswitch.prom"
gives "a directory that is not there" 1 \
        'nowhere/tgswitch\.prom cannot be written: No such file or directory\..*tgswitch-metrics\(7\)'
mkdir "$directory/taken"
run metrics --output="$directory/taken"
gives "a directory in place of the file" 1 'taken cannot be written: Is a directory\.'
check_equal "which leaves nothing behind" "" "$(find "$directory" -name '*.tmp')"

# ---- refuses ----

# Who refuses is there: nobody is to be able to bring about an alarm that says otherwise.
before=$(<"$file")
fake RefuseMetrics b true
run metrics --output="$file"
gives "a refusal is none to be down" 1 'The file stays as it was: Device or resource busy'
check_equal "and the file stays as it was" "$before" "$(<"$file")"
run metrics
gives "nor is it printed as one" 1 'Device or resource busy'
check_equal "with anything else" "" "$output"
fake RefuseMetrics b false

# ---- and dies ----

kill_daemon
run metrics --output="$file"
gives "a daemon that has died" 0 '^.?$'
check_equal "is not in the file as it was" "tgswitch_up 0" "$(grep -v '^#' "$file")"
tap_done
