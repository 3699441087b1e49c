#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the daemon takes in the irreversible part of a move: microseconds from the last byte of logOut's reply, read from
# the cloud's connection, to the first byte of getMe, written to the local server's. Seen from inside (stamp-preload.c),
# with the state directory on a disk of this machine, fsync and all, and in memory, where fsync costs nothing.
#
#       overhead.sh     RUNS=30 LATENCIES="0 50" SETTINGS="disk memory" BENCH_DISK=DIRECTORY
#
# The disk is the one that /var/tmp is on, or the directory that BENCH_DISK names. One host for each setting: this
# script calls itself for them.

if [[ -z ${BENCH_SETTING:-} ]]; then
        build=$(cd "$(dirname "$0")/../.." && realpath -m "${BUILDROOT:-build}/${CONFIG:-release}")
        results=$build/bench/overhead.jsonl
        mkdir -p "$build/bench"
        rm -f "$results"
        state=$(mktemp -d "${BENCH_DISK:-/var/tmp}/tgswitch-state.XXXXXX") || exit
        trap 'rm -rf "$state"' EXIT
        if [[ $(stat -f -c %T "$state") == tmpfs ]]; then
                echo "${state%/*} is in memory: name a directory on a disk by BENCH_DISK=." >&2
                exit 1
        fi
        for setting in ${SETTINGS:-disk memory}; do
                BENCH_SETTING=$setting BENCH_STATE=$state "$BASH" "$0" || exit
        done
        jq -rs 'def at(p): sort | .[length * p | floor]; def us: . | round;
                def row(f): [(map(f) | at(0.5), at(0.1), at(0.9) | us)];
                group_by([.setting, .latency_ms])[] | [.[0].setting, .[0].latency_ms, length] + row(.us) + row(.sync_us)
                        + [([.[].syncs[]] | at(0.5), at(0.1), at(0.9) | us)] | @tsv' "$results" |
                column -t -N state,latency,moves,median-us,p10,p90,in-fsync,p10,p90,one-fsync,p10,p90
        exit
fi

# shellcheck source=tests/bench/bench.sh
source "$(dirname "$0")/bench.sh"

read -r -a latencies <<<"${LATENCIES:-0 50}"
runs=${RUNS:-30}
stamps=/var/cache/tgswitch-stamps

# stamps_install: the library into the daemon, and a directory where it may write.
stamps_install()
{
        host_put /usr/lib/tgswitch-stamps.so 755 <"$BUILD/tests/bench/stamp-preload.so"
        host_put /etc/systemd/system/tgswitchd.service.d/50-stamps.conf <<EOF
[Service]
CacheDirectory=${stamps##*/}
Environment=LD_PRELOAD=/usr/lib/tgswitch-stamps.so STAMP_FILE=$stamps/stamps
EOF
}

# move NAME: once, with nothing of an earlier move under way.
move()
{
        host_run systemctl start "$1-worker.service"
        telegram_wait event=worker-start bot="${BOT_IDS[$1]}" >/dev/null || host_bail "$1: no worker"
        move_tgswitch "$1" || host_bail "$1: tgswitchd did not move it"
        host_run systemctl stop "$1-worker.service"
}

n=$((${#latencies[@]} * runs))
host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-bench.conf <<<$'[BotDefaults]\nSettleSec=100ms\nDrainTimeoutSec=2s\nOnUndrained=spool'
bench_bots managed tgswitch 1 "$n"
stamps_install
if [[ $BENCH_SETTING == disk ]]; then
        mkdir -p "$HOST_ROOT/var/lib/tgswitch"
        mount --bind "$BENCH_STATE" "$HOST_ROOT/var/lib/tgswitch" || host_bail "the state directory can't be on $BENCH_STATE"
fi
bench_boot

i=0
for latency in "${latencies[@]}"; do
        telegram POST /settings "{\"latency_ms\":$latency}" >/dev/null
        for ((run = 0; run < runs; run++)); do
                i=$((i + 1))
                move "tgswitch_$(printf %04d "$i")"
        done
done

moves=$HOST_DISK/moves
od -An -v -w48 -t u8 "$HOST_ROOT$stamps/stamps" |
        awk '$3 == 0 { exit } { print "[" $1 "," $2 "," $3 "," $4 "," $5 "," $6 "]" }' |
        jq -cs -f "$(dirname "$0")/overhead.jq" >"$moves"
# A repeated logOut, or stamps without room, would make another number of it.
[[ $(wc -l <"$moves") == "$n" ]] || host_bail "the stamps show $(wc -l <"$moves") moves of $n"
i=0
while read -r move; do
        result overhead "$(jq -c --arg setting "$BENCH_SETTING" --argjson latency "${latencies[i / runs]}" \
                '{setting: $setting, latency_ms: $latency} + del(.steps)' <<<"$move")"
        i=$((i + 1))
done <"$moves"
for ((i = 0; i < ${#latencies[@]}; i++)); do
        echo "The median move, state on $BENCH_SETTING, ${latencies[i]} ms of latency:"
        tail -n "+$((i * runs + 1))" "$moves" | head -n "$runs" |
                jq -rs 'sort_by(.us) | .[length / 2 | floor].steps[] | [.us, .thread, (.what | sub(" "; "-")),
                        if .port > 0 then .port else "-" end, if .size > 0 then .size else "-" end] | @tsv' |
                column -t -N us,thread,what,port,bytes
done
