#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Downtime and blind time of one move, by tgswitchd, by the recipe that people use, and by the least that any program
# must do (floor.c): each at several latencies and rates of updates, in turns, and what each of them loses. The floor
# moves a worker whose unit does at its start what tgswitchd's does; `bare` is the floor with a unit that does not: no
# credentials, and nothing that keeps it from running without them.
#
#       cutover.sh      RUNS=10 LATENCIES="0 20 50 200" RATES="0 20 200"

# shellcheck source=tests/bench/bench.sh
source "$(dirname "$0")/bench.sh"

read -r -a latencies <<<"${LATENCIES:-0 20 50 200}"
read -r -a rates <<<"${RATES:-0 20 200}"
runs=${RUNS:-10}
ways=(recipe bare floor tgswitch)

# The ledger of one bot since SEQ -> times in microseconds. Down: no worker asks any server.
times='
        def first(f): map(select(f)) | .[0];
        first(.event == "worker-stop") as $stop
        | first(.event == "logout-applied" and .role == "cloud") as $out
        | first(.event == "answer" and .method == "logout" and .role == "cloud") as $answer
        | first(.event == "login" and .role == "local") as $in
        | first(.event == "request" and .role == "local") as $ask
        | first(.event == "request" and .role == "local" and .method == "getupdates") as $poll
        | { down_us: ($poll.t - $stop.t), blind_us: ($in.t - $out.t), ask_us: ($ask.t - $answer.t) }'

# settled NAME: returns when nothing waits for the bot's worker any more, or when that lasts: a worker that was killed
# between the answer and its work has lost what was in it, and that counts as missing.
settled()
{
        local open deadline=$((SECONDS + 5))

        while open=$(telegram GET /verdict | jq --argjson bot "${BOT_IDS[$1]}" \
                '.bots[] | select(.bot == $bot) | .queued + .missing'); ((open > 0)); do
                ((SECONDS < deadline)) || return
                telegram GET "/wait?event=worker-handled&bot=${BOT_IDS[$1]}&since=$(telegram_seq)&timeout_ms=200" \
                        >/dev/null 2>&1
        done
}

# measure WAY BOT RATE: one move.
measure()
{
        local way=$1 name=$2 rate=$3 seq entry counts

        host_run systemctl stop telegram-bot-api.service
        host_run systemctl start "$name-worker.service"
        telegram_wait event=worker-start bot="${BOT_IDS[$name]}" >/dev/null || host_bail "$name: no worker"
        ((rate == 0)) || telegram_inject "$name" "$rate"
        ((rate == 0)) || telegram_wait event=worker-handled bot="${BOT_IDS[$name]}" count=$((rate / 4 + 1)) >/dev/null
        seq=$(telegram_seq)
        "move_$way" "$name" || host_bail "$name: $way did not move it"
        telegram_wait event=request role=local method=getupdates bot="${BOT_IDS[$name]}" since="$seq" >/dev/null ||
                host_bail "$name: its worker does not ask"
        telegram DELETE /inject >/dev/null
        # The floor takes what is pending and hands it to nobody.
        [[ $way == @(floor|bare) ]] || settled "$name"
        entry=$(telegram GET "/ledger?bot=${BOT_IDS[$name]}&since=$seq" | jq -cs "$times")
        counts=$(telegram GET /verdict | jq -c --argjson bot "${BOT_IDS[$name]}" \
                '.bots[] | select(.bot == $bot) | {injected, lost, wiped_race, wiped_other, missing, handled_twice}')
        host_run systemctl stop "$name-worker.service"
        result cutover "$(jq -cn --arg way "$way" --argjson latency "$latency" --argjson rate "$rate" \
                --argjson times "$entry" --argjson counts "$counts" \
                '{way: $way, latency_ms: $latency, rate: $rate} + $times + $counts')"
}

n=$((${#latencies[@]} * ${#rates[@]} * runs))
host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-bench.conf <<<$'[BotDefaults]\nSettleSec=100ms\nDrainTimeoutSec=2s\nOnUndrained=spool'
bench_bots bare recipe 1 "$n"
bench_bots bare bare 1 "$n"
bench_bots gated floor 1 "$n"
bench_bots managed tgswitch 1 "$n"
bench_boot
rm -f "$BENCH_RESULTS/cutover.jsonl"

i=0
for latency in "${latencies[@]}"; do
        telegram POST /settings "{\"latency_ms\":$latency}" >/dev/null
        for rate in "${rates[@]}"; do
                for ((run = 0; run < runs; run++)); do
                        i=$((i + 1))
                        for way in "${ways[@]}"; do
                                measure "$way" "${way}_$(printf %04d "$i")" "$rate"
                        done
                done
        done
done
jq -rs 'def median: sort | .[length / 2 | floor]; def ms: . / 1000 * 10 | round / 10;
        group_by([.latency_ms, .rate, .way])[] | [.[0].latency_ms, .[0].rate, .[0].way, length,
        (map(.down_us) | median | ms), (map(.blind_us) | median | ms), (map(.ask_us) | median | ms),
        (map(.injected) | add), (map(.lost) | add), (map(.wiped_race) | add), (map(.wiped_other) | add), (map(.missing) | add)] | @tsv' \
        "$BENCH_RESULTS/cutover.jsonl" | column -t -N latency,rate,way,runs,down,blind,ask,injected,lost,race,wiped,missing
