#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the idle daemon takes with few bots and with many, none of which has moved: memory, locked pages and descriptors,
# and how long its start takes, from the program to READY=1.
#
#       size.sh         BOTS="1 100 1000"
#
# One host for each number of bots: this script calls itself for them.

if [[ -z ${BENCH_BOTS:-} ]]; then
        results=$(cd "$(dirname "$0")/../.." && realpath -m "${BUILDROOT:-build}/${CONFIG:-release}/bench/size.jsonl")
        rm -f "$results"
        for n in ${BOTS:-1 100 1000}; do
                BENCH_BOTS=$n "$BASH" "$0" || exit
        done
        jq -rs '.[] | [.bots, .start_ms, .rss_kib, .pss_kib, .private_dirty_kib, .locked_kib, .descriptors] | @tsv' \
                "$results" | column -t -N bots,start-ms,rss-KiB,pss-KiB,private-dirty-KiB,locked-KiB,descriptors
        exit
fi

# shellcheck source=tests/bench/bench.sh
source "$(dirname "$0")/bench.sh"

# field NAME: of /proc/PID/smaps_rollup, in KiB.
field()
{
        host_run awk -v name="$1:" '$1 == name { print $2 }' "/proc/$pid/smaps_rollup"
}

# property NAME: of the daemon's unit, a time on CLOCK_MONOTONIC in microseconds.
property()
{
        host_run systemctl show --property="$1Monotonic" --value tgswitchd.service
}

host_create
host_install
telegram_start
bench_bots managed bot 1 "$BENCH_BOTS"
bench_boot
host_run systemctl start tgswitchd.service || host_bail "tgswitchd does not start"
# The first start declares where each bot is; the second finds that on record, as every other does.
host_run systemctl restart tgswitchd.service
pid=$(daemon_pid)
result size "$(jq -cn --argjson bots "$BENCH_BOTS" \
        --argjson start $((($(property ActiveEnterTimestamp) - $(property ExecMainStartTimestamp)) / 1000)) \
        --argjson rss "$(field Rss)" --argjson pss "$(field Pss)" --argjson dirty "$(field Private_Dirty)" \
        --argjson locked "$(field Locked)" --argjson fds "$(host_run ls "/proc/$pid/fd" | wc -l)" \
        '{bots: $bots, start_ms: $start, rss_kib: $rss, pss_kib: $pss, private_dirty_kib: $dirty, locked_kib: $locked,
        descriptors: $fds}')"
