#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What calls on the bus take: tgswitchd's GetAll and GetManagedObjects, with few bots and with many, against what
# systemd's own services answer in the same run, in turns (bus.c).
#
#       bus.sh          BOTS="1 100 1000" ROUNDS=200
#
# One host for each number of bots: this script calls itself for them.

if [[ -z ${BENCH_BOTS:-} ]]; then
        results=$(cd "$(dirname "$0")/../.." && realpath -m "${BUILDROOT:-build}/${CONFIG:-release}/bench/bus.jsonl")
        rm -f "$results"
        for n in ${BOTS:-1 100 1000}; do
                BENCH_BOTS=$n "$BASH" "$0" || exit
        done
        jq -rs '.[] | [.bots, .call, .bytes, .us, .p90_us, .cpu_us] | @tsv' "$results" |
                column -t -s $'\t' -N bots,call,bytes,median-us,p90,cpu-us
        exit
fi

# shellcheck source=tests/bench/bench.sh
source "$(dirname "$0")/bench.sh"

host_create
host_install
telegram_start
bench_bots managed bot 1 "$BENCH_BOTS"
host_put /usr/bin/bench-bus 755 <"$BUILD/tests/bench/bus"
bench_boot
host_run systemctl start tgswitchd.service || host_bail "tgswitchd does not start"

figures=$(host_run bench-bus "${ROUNDS:-200}" <<'EOF'
tgswitchd,GetAll,of,a,bot org.tgswitch1 /org/tgswitch1/bot/bot_0001 org.freedesktop.DBus.Properties GetAll org.tgswitch1.Bot
systemd-hostnamed,GetAll org.freedesktop.hostname1 /org/freedesktop/hostname1 org.freedesktop.DBus.Properties GetAll org.freedesktop.hostname1
tgswitchd,GetAll,of,the,manager org.tgswitch1 /org/tgswitch1 org.freedesktop.DBus.Properties GetAll org.tgswitch1.Manager
systemd-logind,GetAll org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.DBus.Properties GetAll org.freedesktop.login1.Manager
tgswitchd,GetManagedObjects org.tgswitch1 /org/tgswitch1 org.freedesktop.DBus.ObjectManager GetManagedObjects
systemd-logind,ListSessions org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListSessions
tgswitchd,Ping org.tgswitch1 /org/tgswitch1 org.freedesktop.DBus.Peer Ping
systemd-hostnamed,Ping org.freedesktop.hostname1 /org/freedesktop/hostname1 org.freedesktop.DBus.Peer Ping
systemd,ListUnits org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager ListUnits
EOF
) || host_bail "some call fails"
while IFS=$'\t' read -r call bytes us p90 cpu; do
        result bus "$(jq -cn --argjson bots "$BENCH_BOTS" --arg call "${call//,/ }" --argjson bytes "$bytes" \
                --argjson us "$us" --argjson p90 "$p90" --argjson cpu "$cpu" \
                '{bots: $bots, call: $call, bytes: $bytes, us: $us, p90_us: $p90, cpu_us: $cpu}')"
done <<<"$figures"
