#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Many bots with one command, to the local server and some of them back: how long it takes by tgswitchd and by the least
# that any program must do (floor.c), with the same concurrency on the same host, and what a bot costs.
#
#       many.sh         BOTS="10 100 1000" BACK="10 100" LATENCY=50 CONCURRENCY=4 SETTLE=0
#
# One host for each number of bots: this script calls itself for them. During SettleSec= a bot keeps its place while it
# is seen whether its worker stays up, which the floor does not look at. So it is 0 here; SETTLE=5s shows its default.
#
# The way back is as long as the cloud wants it: nobody logs in there in the ten minutes after the logOut, nor more than
# 20 bots in a minute and 600 in an hour. The ten minutes are no part of what is measured. The minutes are, but they are
# passed over, for the simulated Telegram and tgswitchd alike, as soon as nothing is left to be done in one. The floor
# goes back without that limit, and what it would have cost is added.
#
# KEEP=DIRECTORY keeps the ledgers of the way there, which tell the time of each request of each bot.

if [[ -z ${BENCH_BOTS:-} ]]; then
        bench=$(cd "$(dirname "$0")" && pwd)
        results=$(cd "$bench/../.." && realpath -m "${BUILDROOT:-build}/${CONFIG:-release}/bench/many.jsonl")
        rm -f "$results"
        for n in ${BOTS:-10 100 1000}; do
                BENCH_BOTS=$n "$BASH" "$0" || exit
        done
        echo "In ms, from the command to its end; CPU of the mover, and of systemd, bus and polkitd, for each bot:"
        jq -rs 'def a_bot(f): f / .bots * 10 | round / 10;
                (map(select(.way == "floor") | {"\(.to) \(.bots)": .ms}) | add) as $floor
                | sort_by(.to != "local", .bots, .way)[]
                | [.to, .bots, .way, .ms, .waits_ms, (.ms / $floor["\(.to) \(.bots)"] * 100 | round / 100), a_bot(.ms),
                a_bot(.cpu_ms), a_bot(.host_cpu_ms)] | @tsv' "$results" |
                column -t -N to,bots,way,total,pace,of-floor,a-bot,CPU,CPU-of-host
        jq -rs -L "$bench" 'include "bench";
                # minutes that the N-th login comes after the first
                def pace: if . <= 600 then (. - 1) / 20 | floor else 60 + (. - 601) / 20 | floor end;
                def grows(f): map([.bots, f]) | exponent | short;
                (map(select(.to == "local")) | group_by(.way)[] | select(length > 1)
                | "\(.[0].way), to local: the time grows with the number of bots to the power of \(grows(.ms)), "
                + "its CPU to that of \(grows(.cpu_ms)), the host'"'"'s to that of \(grows(.host_cpu_ms))."),
                (.[0] | "By latency alone 1,000 bots take \(3 * .latency_ms / .concurrency) s: three round trips of "
                + "\(.latency_ms) ms each, \(.concurrency) bots at a time."),
                "By the limits of the cloud alone the way back of 1,000 takes \(1000 | pace) minutes."' "$results"
        exit
fi

# shellcheck source=tests/bench/bench.sh
source "$(dirname "$0")/bench.sh"
# shellcheck source=tests/host/points.sh
source "$HOST_DIR/points.sh"
# shellcheck source=tests/host/back.sh
source "$HOST_DIR/back.sh"

n=$BENCH_BOTS
latency=${LATENCY:-50}
concurrency=${CONCURRENCY:-4}

# ---- the host ----

# many_workers WAY: instances of one unit, as light as can be, since thousands of them start. Both ways have the same.
many_workers()
{
        host_put "/etc/systemd/system/$1-worker@.service" <<'EOT'
[Service]
Type=exec
ExecStart=/usr/bin/telegram-worker
# Not the hundreds of authorities that the host trusts.
Environment=BOT_CAFILE=/etc/bench/ca.pem
EOT
}

# many_bots WAY: with a session at the cloud, as bench_bots makes them, but not with several programs for each.
many_bots()
{
        local i name token random

        for ((i = 1; i <= n; i++)); do
                printf -v name '%s_%04d' "$1" "$i"
                printf -v random '%08x%09x' "$SRANDOM" "$SRANDOM"
                BOT_IDS[$name]=$((BENCH_NEXT_ID++))
                token=${BOT_IDS[$name]}:AAtgCanary${random:0:6}tgCanary${random:6:11}
                BOT_TOKENS[$name]=$token
                if [[ $1 == tgswitch ]]; then
                        echo "$token" >"$HOST_ROOT/etc/tgswitch/tokens/$name"
                        printf '[Bot]\nInitialSeat=cloud\nWorker=tgswitch-worker@%s.service\n' "$name" \
                                >"$HOST_ROOT/etc/tgswitch/bots.d/$name.conf"
                else
                        printf 'BOT_TOKEN=%s\nBOT_API_ROOT=%s\n' "$token" "${SEAT_ROOT[cloud]}" \
                                >"$HOST_ROOT/etc/bench/$name.env"
                fi
        done
        for name in "${!BOT_TOKENS[@]}"; do
                [[ $name == "$1"_* ]] || continue
                printf 'url = "http://%s/bots"\nfail\n' "$TELEGRAM_CONTROL"
                printf 'data-binary = "{\\"token\\":\\"%s\\",\\"username\\":\\"%s_bot\\"}"\nnext\n' \
                        "${BOT_TOKENS[$name]}" "$name"
        done | sed '$d' | curl -sS --fail-early -K - >/dev/null || host_bail "Telegram does not take the bots"
}

many_host()
{
        host_create
        host_install
        telegram_start
        host_put /etc/tgswitch/tgswitch.conf.d/50-bench.conf <<EOT
[Manager]
Concurrency=$concurrency
[BotDefaults]
SettleSec=${SETTLE:-0}
EOT
        install -d -m 755 "$HOST_ROOT"/etc/tgswitch/bots.d "$HOST_ROOT"/etc/bench
        install -d -m 700 "$HOST_ROOT"/etc/tgswitch/tokens
        host_put /etc/bench/ca.pem <"$HOST_DISK/ca.pem"
        many_workers floor
        host_put /etc/systemd/system/floor-worker@.service.d/bench.conf \
                <<<$'[Service]\nEnvironmentFile=/etc/bench/%i.env'
        many_workers tgswitch
        sed "s/shop/%i/g" "$SOURCE_DIR/units/worker-drop-in.conf.example" |
                host_put /etc/systemd/system/tgswitch-worker@.service.d/50-tgswitch.conf
        many_bots floor
        many_bots tgswitch
        telegram POST /settings "{\"latency_ms\":$latency}" >/dev/null
        bench_boot
        host_run systemctl start tgswitchd.service telegram-bot-api.service polkit.service ||
                host_bail "tgswitchd does not start"
}

# workers_start WAY, workers_stop WAY: all of that way. Only those of the bots that move run.
workers_start()
{
        local seq

        seq=$(telegram_seq)
        for ((i = 1; i <= n; i++)); do
                printf '%s-worker@%s_%04d.service\n' "$1" "$1" "$i"
        done | host_run xargs systemctl start --no-block
        telegram GET "/wait?event=worker-start&count=$n&since=$seq&timeout_ms=110000" >/dev/null ||
                host_bail "the workers of $1 do not start"
}

workers_stop()
{
        host_run systemctl stop "$1-worker@*.service"
}

# ---- a move of all of them ----

# cpu_ms UNIT…: what their main processes have taken so far.
cpu_ms()
{
        host_run systemctl show --property=MainPID --value "$@" | sed '/^$/d; s|.*|/proc/&/stat|' | host_run xargs cat |
                awk -v ticks="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); n += $12 + $13 } END { print n * 1000 / ticks }'
}

# host_cpu_ms: systemd, the bus and polkit.
host_cpu_ms()
{
        host_run cat /proc/1/stat | awk -v ticks="$(getconf CLK_TCK)" \
                -v others="$(cpu_ms dbus.service polkit.service)" '{ print ($14 + $15) * 1000 / ticks + others }'
}

# move_floor_all cloud|local: prints the CPU that it has taken, in microseconds.
move_floor_all()
{
        local name

        for ((i = 1; i <= n; i++)); do
                printf -v name 'floor_%04d' "$i"
                echo "floor-worker@$name.service /etc/bench/$name.env ${BOT_TOKENS[$name]}"
        done | host_run bench-floor "$concurrency" "$1"
}

# pass_minutes SEQ: while the bots go back: as soon as all that may log in within a minute have done so and work, the
# rest of it is over. What has passed is in TIME_PASSED_SEC.
pass_minutes()
{
        local arrived name left

        for ((arrived = 20; arrived < n; arrived += 20)); do
                telegram_wait event=worker-start "root=${SEAT_ROOT[cloud]}" count=$arrived since="$1" >/dev/null ||
                        return
                printf -v name 'tgswitch_%04d' $((arrived + 1))
                left=$(host_run busctl --json=short get-property org.tgswitch1 \
                        "/org/tgswitch1/job/$(job_number "$name")" org.tgswitch1.Job NotBeforeUSec | json data)
                left=$(((left - $(daemon_now_usec)) / 1000000 + 1))
                ((left <= 0)) || time_pass "$left"
        done
}

# measure WAY cloud|local
measure()
{
        local way=$1 target=$2 seq began host cpu waits_ms=0 passed=$TIME_PASSED_SEC mover took

        seq=$(telegram_seq)
        host=$(host_cpu_ms)
        [[ $way == floor ]] || cpu=$(cpu_ms tgswitchd.service)
        began=${EPOCHREALTIME/./}
        if [[ $way == floor ]]; then
                cpu=$(move_floor_all "$target") || host_bail "the floor does not get all bots there"
                took=$(((${EPOCHREALTIME/./} - began) / 1000))
                cpu=$((cpu / 1000))
                [[ $target == local ]] || waits_ms=$(((n - 1) / 20 * 60000))
        else
                host_run tgswitchctl switch "$target" --all --yes >"$HOST_DISK/switch.log" 2>&1 &
                mover=$!
                [[ $target == local ]] || pass_minutes "$seq"
                wait "$mover" || host_bail "tgswitchd does not get all bots there: $(tail -n 3 "$HOST_DISK/switch.log")"
                took=$(((${EPOCHREALTIME/./} - began) / 1000))
                cpu=$(($(cpu_ms tgswitchd.service) - cpu))
                waits_ms=$(((TIME_PASSED_SEC - passed) * 1000))
        fi
        result many "$(jq -cn --arg way "$way" --arg to "$target" --argjson bots "$n" --argjson latency "$latency" \
                --argjson concurrency "$concurrency" --argjson ms $((took + waits_ms)) --argjson waits "$waits_ms" \
                --argjson cpu "$cpu" --argjson host $(($(host_cpu_ms) - host)) \
                '{way: $way, to: $to, bots: $bots, latency_ms: $latency, concurrency: $concurrency, ms: $ms,
                waits_ms: $waits, cpu_ms: $cpu, host_cpu_ms: $host}')"
}

# way_back: with the ten minutes over, and a daemon to which time can be passed.
way_back()
{
        faults_install
        host_run systemctl daemon-reload
        host_run systemctl restart tgswitchd.service || host_bail "tgswitchd does not start again"
        time_pass 610
        telegram POST /settings '{"flood_per_minute":0}' >/dev/null
        workers_start floor
        measure floor cloud
        workers_stop floor
        telegram POST /settings '{"flood_per_minute":20}' >/dev/null
        time_pass 61
        workers_start tgswitch
        measure tgswitch cloud
}

many_host
for way in floor tgswitch; do
        workers_start "$way"
        measure "$way" local
        [[ -z ${KEEP:-} ]] || cp "$TELEGRAM_LEDGER" "$KEEP/$way-$n.jsonl"
        workers_stop "$way"
done
[[ " ${BACK-10 100} " != *" $n "* ]] || way_back
