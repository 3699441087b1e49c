# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the measurements have in common: a scratch host with bots that tgswitchd moves, bots that the recipe moves, and
# bots that bench/floor moves. To be sourced first thing, as host.sh is.

# shellcheck source=tests/host/host.sh
source "$(dirname "${BASH_SOURCE[0]}")/../host/host.sh"
canary_none "it measures, and writes no file that a test would not"

# Nobody looks at the bus, nor at each program as it begins: that would cost more than what is measured.
bus_watch()
{
        BUS_WATCHED=nobody
}

canary_install()
{
        :
}

BENCH_RESULTS=$BUILD/bench
BENCH_NEXT_ID=7200000001

# bench_bots KIND PREFIX FROM TO: bots PREFIX_N with a session at the cloud. KIND `managed`: of tgswitchd; `bare`: of
# nobody, with token and endpoint in an environment file; `gated`: the same, by a unit that does at its start what a
# worker of tgswitchd does, with credentials from files. Their workers are not started.
bench_bots()
{
        local kind=$1 prefix=$2 i name token

        install -d -m 755 "$HOST_ROOT"/etc/tgswitch/bots.d "$HOST_ROOT"/etc/bench
        install -d -m 700 "$HOST_ROOT"/etc/tgswitch/tokens
        for ((i = $3; i <= $4; i++)); do
                name=$prefix$(printf '_%04d' "$i")
                BOT_IDS[$name]=$((BENCH_NEXT_ID++))
                token=$(canary_token "${BOT_IDS[$name]}")
                BOT_TOKENS[$name]=$token
                telegram POST /bots "{\"token\":\"$token\",\"username\":\"${name}_bot\"}" >/dev/null ||
                        host_bail "Telegram does not take the bot $name"
                bench_"$kind" "$name" "$token"
        done
}

bench_unit()
{
        printf '[Service]\nType=exec\nExecStart=/usr/bin/telegram-worker\nDynamicUser=yes\n%s\n' "$2" \
                >"$HOST_ROOT/etc/systemd/system/$1-worker.service"
}

bench_managed()
{
        echo "$2" | host_put "/etc/tgswitch/tokens/$1" 600
        printf '[Bot]\nInitialSeat=cloud\nWorker=%s-worker.service\n' "$1" >"$HOST_ROOT/etc/tgswitch/bots.d/$1.conf"
        bench_unit "$1" ""
        sed "s/shop/$1/g" "$SOURCE_DIR/units/worker-drop-in.conf.example" |
                host_put "/etc/systemd/system/$1-worker.service.d/50-tgswitch.conf"
}

bench_bare()
{
        printf 'BOT_TOKEN=%s\nBOT_API_ROOT=https://api.telegram.org\n' "$2" | host_put "/etc/bench/$1.env" 600
        bench_unit "$1" "EnvironmentFile=/etc/bench/$1.env"
}

bench_gated()
{
        bench_bare "$1" "$2"
        echo "$2" | host_put "/etc/bench/$1.token" 600
        sed -n '/^\[Service\]/,$p' "$SOURCE_DIR/units/worker-drop-in.conf.example" |
                sed "s|/run/tgswitch/credential.sock|/etc/bench/$1.token|; /^LoadCredential=/ s/=bot-/=bench-/
                        /^ExecStartPre=/ s|/bot-|/bench-|g; /^EnvironmentFile=/d" |
                host_put "/etc/systemd/system/$1-worker.service.d/50-bench.conf"
}

# bench_boot: with the recipe and the floor in it.
bench_boot()
{
        host_put /usr/bin/bench-floor 755 <"$BUILD/tests/bench/floor"
        host_put /usr/bin/bench-recipe 755 <<'EOF'
#!/bin/bash
# What people do today: bench-recipe NAME
token=$(sed -n 's/^BOT_TOKEN=//p' "/etc/bench/$1.env")
curl -sS "https://api.telegram.org/bot$token/logOut" >/dev/null
systemctl start telegram-bot-api.service
sed -i 's|^BOT_API_ROOT=.*|BOT_API_ROOT=http://127.0.0.1:8081|' "/etc/bench/$1.env"
systemctl restart "$1-worker.service"
EOF
        host_boot
}

# move_recipe NAME, move_bare NAME, move_floor NAME, move_tgswitch NAME
move_recipe()
{
        host_run bench-recipe "$1"
}

move_floor()
{
        host_run systemctl start telegram-bot-api.service
        host_run bench-floor 1 <<<"$1-worker.service /etc/bench/$1.env ${BOT_TOKENS[$1]}" >/dev/null
}

move_bare()
{
        move_floor "$1"
}

move_tgswitch()
{
        host_run tgswitchctl switch local "$1" --yes >/dev/null
}

# result NAME JSON: keeps it for the tables.
result()
{
        [[ $2 ]] || host_bail "$1: something is missing in what was measured"
        mkdir -p "$BENCH_RESULTS"
        echo "$2" >>"$BENCH_RESULTS/$1.jsonl"
}
