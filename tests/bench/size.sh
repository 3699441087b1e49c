#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the idle daemon takes, with few bots and with many: memory, locked pages, descriptors and wake-ups, when it has
# started and again after its first moves; how long its start takes; CPU time of a move; the size of the programs. Beside
# it the same of a bare program that does nothing but set up the same libraries, in the same unit (bare.c).
#
#       size.sh         BOTS="1 100 1000" RUNS=10 MOVES=100
#
# One host for each number of bots: this script calls itself for them.

if [[ -z ${BENCH_BOTS:-} ]]; then
        build=$(cd "$(dirname "$0")/../.." && realpath -m "${BUILDROOT:-build}/${CONFIG:-release}")
        results=$build/bench/size.jsonl
        rm -f "$results"
        for n in ${BOTS:-1 100 1000}; do
                BENCH_BOTS=$n "$BASH" "$0" || exit
        done
        jq -rs '.[] | [.bots, .moves, .start_ms, .unit_start_ms, .rss_kib, .pss_kib, .private_dirty_kib, .locked_kib,
                .descriptors, .wakeups_per_min, .probed_wakeups_per_min, .cpu_ms_per_cutover] | map(. // "-") | @tsv' \
                "$results" | column -t -N \
                bots,moves,start-ms,unit-start-ms,rss-KiB,pss-KiB,dirty-KiB,locked-KiB,fds,wakeups,probed,cpu-ms-move
        jq -r 'select(.bare_rss_kib) | "The bare program: \(.bare_rss_kib) KiB RSS, \(.bare_private_dirty_kib) KiB dirty, " +
                "\(.bare_unit_start_ms) ms to READY=1 of the unit. tgswitchd stripped: \(.binary_kib) KiB."' "$results"
        exit
fi

# shellcheck source=tests/bench/bench.sh
source "$(dirname "$0")/bench.sh"

runs=${RUNS:-10}
moves=$((BENCH_BOTS < ${MOVES:-100} ? BENCH_BOTS : ${MOVES:-100}))

# rollup NAME: of /proc/PID/smaps_rollup, in KiB.
rollup()
{
        host_run awk -v name="$1:" '$1 == name { print $2 }' "/proc/$pid/smaps_rollup"
}

# property NAME: of the daemon's unit.
property()
{
        host_run systemctl show --property="$1" --value tgswitchd.service
}

# The median of microseconds, in milliseconds.
median()
{
        sort -n | awk '{ value[NR] = $1 } END { printf "%.1f", value[int(NR / 2) + 1] / 1000 }'
}

# unit_runs COMMAND: the daemon's unit runs this from its next start on.
unit_runs()
{
        printf '[Service]\nExecStart=\nExecStart=/usr/bin/bench-bare %s\n' "$1" |
                host_put /run/systemd/system/tgswitchd.service.d/50-bench.conf
        host_run systemctl daemon-reload
}

# starts: restarts the unit `runs` times. Sets start_ms, the median from the program's exec to READY=1, unit_start_ms, that
# from the fork, with all that systemd does for the sandbox, and pid.
starts()
{
        local i ready

        for ((i = 0; i < runs; i++)); do
                host_run systemctl restart tgswitchd.service || host_bail "tgswitchd does not start"
                ready=$(property ActiveEnterTimestampMonotonic)
                pid=$(daemon_pid)
                echo $((ready - $(property ExecMainStartTimestampMonotonic))) >&3
                echo $((ready - $(host_run sed -nz 's/^BENCH_EXEC_USEC=//p' "/proc/$pid/environ" | tr -d '\0'))) >&4
        done 3>"$HOST_DISK/unit-starts" 4>"$HOST_DISK/starts"
        unit_start_ms=$(median <"$HOST_DISK/unit-starts")
        start_ms=$(median <"$HOST_DISK/starts")
}

# The times at which a thread of the daemon waited: each of them was a wake-up.
waits()
{
        host_run sh -c "cat /proc/$pid/task/*/status" | awk '$1 == "voluntary_ctxt_switches:" { n += $2 } END { print n }'
}

# wakeups: in a minute. Nothing is waited for: the time is what is measured.
wakeups()
{
        local before

        before=$(waits)
        sleep 60
        echo $(($(waits) - before))
}

# The CPU time of the daemon's process with all its threads, also those that have ended, in milliseconds.
cpu_ms()
{
        host_run awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$pid/stat"
}

# at_rest: returns when the daemon has no connection to the cloud any more: it closes them when they have rested for 30 s.
# Those to the local server come back once a minute, ten minutes long, to look at the queues of the bots there.
at_rest()
{
        local deadline=$((SECONDS + 120))

        while [[ $(host_run ss -Htnp dport = :443) == *\"tgswitchd\"* ]]; do
                ((SECONDS < deadline)) || host_bail "tgswitchd leaves its connections open"
                telegram GET "/wait?event=none&timeout_ms=500" >/dev/null 2>&1
        done
}

# kib: the daemon's memory, or that of what runs in its place -> JSON. What is private and dirty is what is anonymous: else
# only pages of the program's own file would count, which are all dirty where the disk is a tmpfs, and clean on any other.
kib()
{
        jq -cn --argjson rss_kib "$(rollup Rss)" --argjson pss_kib "$(rollup Pss)" \
                --argjson private_dirty_kib "$(rollup Anonymous)" --argjson locked_kib "$(rollup Locked)" \
                --argjson descriptors "$(host_run ls "/proc/$pid/fd" | wc -l)" \
                '{$rss_kib, $pss_kib, $private_dirty_kib, $locked_kib, $descriptors}'
}

# binary_kib: of the daemon, stripped as the packages are.
binary_kib()
{
        strip --remove-section=.comment --remove-section=.note -o "$HOST_DISK/stripped" "$BUILD/tgswitchd" &&
                jq -n "$(stat -c %s "$HOST_DISK/stripped") / 1024 | round"
}

# probed_wakeups: in a minute in which the daemon asks the local server whether it is well, every 5 s, since a bot there
# has Fallback=auto: twelve questions, and the look at the bot's queue besides.
probed_wakeups()
{
        echo Fallback=auto >>"$HOST_ROOT/etc/tgswitch/bots.d/bot_0001.conf"
        host_run systemctl reload tgswitchd.service || host_bail "tgswitchd does not reload"
        wakeups
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-bench.conf <<<$'[Manager]\nConcurrency=4\n[BotDefaults]\nSettleSec=100ms\nDrainTimeoutSec=2s\nOnUndrained=spool'
host_put /usr/bin/bench-bare 755 <"$BUILD/tests/bench/bare"
bench_bots managed bot 1 "$BENCH_BOTS"
bench_boot

more={}
if ((BENCH_BOTS == 1)); then
        unit_runs /usr/bin/bench-bare
        starts
        more=$(kib | jq -c --argjson bare_unit_start_ms "$unit_start_ms" --argjson binary_kib "$(binary_kib)" \
                '{bare_rss_kib: .rss_kib, bare_private_dirty_kib: .private_dirty_kib, $bare_unit_start_ms, $binary_kib}')
fi
# The first start declares where each bot is; the others find that on record.
unit_runs /usr/libexec/tgswitch/tgswitchd
host_run systemctl restart tgswitchd.service || host_bail "tgswitchd does not start"
starts
result size "$(kib | jq -c --argjson bots "$BENCH_BOTS" --argjson start_ms "$start_ms" --argjson more "$more" \
        --argjson unit_start_ms "$unit_start_ms" --argjson wakeups_per_min "$(wakeups)" \
        '{$bots, moved: false, $start_ms, $unit_start_ms} + . + {$wakeups_per_min} + $more')"

mapfile -t bots < <(seq -f bot_%04g "$moves")
host_run systemctl start "${bots[@]/%/-worker.service}"
cpu=$(cpu_ms)
host_run tgswitchctl switch local "${bots[@]}" --yes >/dev/null || host_bail "not all bots have moved"
cpu=$(jq -n "($(cpu_ms) - $cpu) / $moves * 10 | round / 10")
at_rest
memory=$(kib)
more={}
((BENCH_BOTS > 1)) || more=$(jq -cn --argjson probed_wakeups_per_min "$(probed_wakeups)" '{$probed_wakeups_per_min}')
result size "$(jq -c --argjson bots "$BENCH_BOTS" --argjson moves "$moves" --argjson cpu_ms_per_cutover "$cpu" \
        --argjson more "$more" '{$bots, moved: true, $moves} + . + {$cpu_ms_per_cutover} + $more' <<<"$memory")"
