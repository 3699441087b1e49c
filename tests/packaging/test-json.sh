#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What tgswitchctl prints with --json, its schema and tgswitch-json(5) tell the same. Here against the fake daemon; what
# needs a systemd, and real moves, are the matter of the scenario 845-json.sh. Prints TAP.
# Usage: test-json.sh BUILD-DIRECTORY
set -uo pipefail

build=$(realpath "${1:?usage: test-json.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh
# shellcheck source=tests/adapter/fake-daemon.sh
source tests/adapter/fake-daemon.sh

schema=packaging/schema/tgswitchctl.json
page=packaging/man/tgswitch-json.5.scd

# ---- the page and the schema ----

# The members that the page has below each heading: "*name* type, optional", several in a line where they belong
# together.
page_members()
{
        sed -nE -e 's/^# //p; s/^## /## /p; /^\*[]a-z_.[]+\* /p; /^All members of /p' "$1" |
                sed -E 's/[,;] \*/\n*/g' | awk '
                        /^## / { n = split(substr($0, 4), verbs, ", "); next }
                        /^\*/ {
                                gsub(/\*/, "")
                                type[verbs[1]] = type[verbs[1]] $0 "\n"
                                for (i = 1; i <= n; i++)
                                        print part " " verbs[i] ": " $0
                                next
                        }
                        /^All members of an? / {
                                gsub(/[*,]/, "")
                                k = split(type[$5], members, "\n")
                                for (i = 1; i < k; i++)
                                        print part " " verbs[1] ": " members[i]
                                next
                        }
                        { part = $0; n = 0 }' | grep -E '^(TYPES|VERBS) ' | sort
}

schema_members()
{
        jq -rf tests/packaging/json-members.jq "$1" | sort
}

check_equal "the page has the schema's members, and each with its type" "" \
        "$(diff <(schema_members "$schema") <(page_members "$page"))"
check_equal "there are some" 0 "$(($(page_members "$page" | wc -l) < 100))"
sed '/^\*blind_usec\* /s/integer or null/integer/' "$page" >"$directory/other"
check "a type that is another is found" fails diff <(schema_members "$schema") <(page_members "$directory/other")
sed '/"drained"/d' "$schema" >"$directory/other"
check "a member that is missing is found" fails diff <(schema_members "$directory/other") <(page_members "$page")
check_equal "the schema has the verbs of the program" \
        "$("$build/tgswitchctl" --help | sed -nE '/^Verbs:/,/^$/s/^  ([a-z-]+) .*/\1/p' | sort)" \
        "$(jq -r '."$defs" | keys[] | select(test("^[a-z]"))' "$schema" | sort)"

# ---- the schema and the program ----

# Where there is no other, as with the user's own.
validates=(/usr/bin/python3 tests/packaging/json-validate.py "$schema")

declare -A validated
: >"$directory/printed"

# json STATUS VERB ARGUMENT…: leaves what is printed in $printed, and keeps it for the end.
json()
{
        local expected=$1
        shift

        printed=$("$build/tgswitchctl" "$@" --json 2>"$directory/errors" </dev/null)
        check_equal "tgswitchctl $* --json" "$expected" $? || cat "$directory/errors"
        keep "$*" "$printed"
}

# keep COMMAND OUTPUT, which may have several lines.
keep()
{
        validated[${1%% *}]=yes
        sed "s/^/$1\t/" <<<"$2" >>"$directory/printed"
}

check "a member that the schema does not have is found" fails "${validates[@]}" \
        <<<$'cancel\t{"schema":1,"job":7,"more":1}'
check "a member that is missing is found" fails "${validates[@]}" <<<$'cancel\t{"schema":1}'
check "an output that is none is found" fails "${validates[@]}" <<<$'cancel\t'
check "nothing at all is found" fails "${validates[@]}" </dev/null

# check_monitored DESCRIPTION REGEX: reads what the monitor tells, into $told, until a line matches.
told=
check_monitored()
{
        local line=

        while read -r -t 60 -u "$lines" line; do
                told+=$line$'\n'
                [[ ! $line =~ $2 ]] || break
        done
        check_match "monitor tells $1" "$2" "$line"
}

read_everything()
{
        json 0 status
        json 0 list
        json 0 status shop
}

# lost STATUS VERB ARGUMENT…: as json(), while tgswitchd is killed and one comes back that does not know the job.
lost()
{
        local expected=$1 calls monitor line=
        shift

        exec {calls}< <(exec busctl --system monitor --match="member=GetAll,arg0=org.tgswitch1.Job" 2>&1)
        monitor=$!
        read -r -u "$calls" # that it listens
        "$build/tgswitchctl" "$@" --json >"$directory/lost" 2>"$directory/errors" </dev/null &
        client=$!
        # it asks for the job when it listens already for what becomes of it
        until [[ $line == *Member=GetAll* ]]; do
                read -r -t 60 -u "$calls" line || break
        done
        kill_daemon
        start_daemon
        wait "$client"
        check_equal "tgswitchctl $* --json, of a job that nobody knows any more" "$expected" $? || cat "$directory/errors"
        client=
        kill "$monitor"
        check_equal "which is said" unknown "$(jq -r '.jobs[0].result' "$directory/lost")"
        keep "$*" "$(<"$directory/lost")"
}

start_bus
start_daemon
read_everything
fake CheckFails sb shop true
json 5 plan local
json 5 check local shop news
json 4 plan cloud 'done'
json 4 check cloud 'done'
fake CheckFails sb shop false
json 4 switch cloud 'done' news --yes
json 0 switch cloud 'done' --yes --when-allowed --no-wait
read_everything
json 0 cancel 1
json 1 wait 1
json 0 switch local shop --yes --hold-at=stop-workers --no-wait
fake Advance s shop
fake Advance s shop
read_everything
json 0 proceed 2
fake Auto b true
json 0 wait 2
read_everything
json 0 hold 'n*' shop --for=24h --reason="release day"
json 0 hold shop
json 0 switch local --all --yes --automatic
read_everything
json 0 release news shop
json 0 set-seat shop cloud
json 0 spool shop
json 0 spool shop --clear
json 0 metrics
json 0 reload
json 0 metrics
json 1 is-local shop news
json 0 is-local 'done'

# It does not say from when on it looks; what it sees first tells.
exec {lines}< <(exec "$build/tgswitchctl" monitor --json 2>&1)
client=$!
until read -r -t 0 -u "$lines"; do
        fake Stale sb shop true
        fake Stale sb shop false
        kill -0 "$client" || break
done
fake Stale sb shop true
fake Window sst news cloud 60000000
check_monitored "a window" '"window"'
json 0 hold shop
fake Auto b false
json 0 switch local news shop --yes --no-wait --hold-at=stop-workers
job=$(jq '.jobs[] | select(.bot == "shop") | .job' <<<"$printed")
check_monitored "a job that begins" '"job-new"'
fake Fail ss news "The disk is full; make room."
check_monitored "how it ends" '"job-end".*"failed"'
fake Advance s shop
fake Advance s shop
check_monitored "that one holds" '"holding":true'
fake Auto b true
json 0 proceed "$job"
check_monitored "and goes on, to its end" '"job-end".*"done"'
read_everything
fake Auto b false
json 0 switch local news --yes --no-wait --hold-at=stop-workers
check_monitored "another one" '"job-new"'
stop_daemon
check_monitored "that tgswitchd has gone" '"tgswitchd-gone"'
start_daemon
check_monitored "and is back" '"tgswitchd-back"'
check_monitored "that it does not know the job" '"job-end".*"unknown"'
kill "$client"
client=
keep monitor "${told%$'\n'}"
check_equal "what monitor has told is of many kinds" "" \
        "$(comm -23 <(tr ' ' '\n' <<<'hold holding job-end job-new phase seat tgswitchd-back tgswitchd-gone window') \
                <(jq -r .event <<<"$told" | sort -u))"

lost 1 switch local shop --yes
stop_daemon
start_daemon --resumed
lost 1 wait 7

# As test-ctl.sh does: the configuration is in /run/tgswitch for this process alone.
if unshare --mount true 2>/dev/null && [[ ! -e /etc/tgswitch ]]; then
        mkdir -p "$directory/config/bots.d"
        printf '[Bot]\nWorker=shop.service missing.service\n' >"$directory/config/bots.d/shop.conf"
        # shellcheck disable=SC2016
        printed=$(unshare --mount --propagation private bash -c '
                mount -t tmpfs none /run && cp -r "$1" /run/tgswitch && "$2/tgswitchctl" authorize "${@:3}"
                ' - "$directory/config" "$build" --output="$directory/50.rules" --json 2>/dev/null)
        keep authorize "$printed"
else
        validated[authorize]=yes
        tap_pass "authorize # SKIP needs a mount namespace and a host without /etc/tgswitch"
fi

check "everything that was printed is as the schema says" "${validates[@]}" <"$directory/printed"

# Those of the scenario, which says the same of itself.
for verb in $(sed -n 's/^# Verbs: //p' tests/host/scenarios/845-json.sh); do
        validated[$verb]=yes
done
check_equal "what every verb prints is looked at" \
        "$(jq -r '."$defs" | keys[] | select(test("^[a-z]"))' "$schema" | sort)" \
        "$(printf '%s\n' "${!validated[@]}" | sort)"
tap_done
