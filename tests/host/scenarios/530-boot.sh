#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Boots with tgswitch-local.service enabled: bots on the cloud are moved by it, one that was on its way goes on, those
# at the local server find it there, one that is held stays. No worker runs at a wrong endpoint, nothing is left waiting
# and no unit is ordered in a circle. Also the delay that logind is asked for. Defends L4 and L5 at boot.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

BOTS=(held mid one two)

# inhibitors: for what tgswitchd has asked logind for a delay.
inhibitors()
{
        host_run busctl --json=short call org.freedesktop.login1 /org/freedesktop/login1 \
                org.freedesktop.login1.Manager ListInhibitors |
                jq -r '[.data[0][] | select(.[1] == "tgswitchd" and .[3] == "delay") | .[0] / ":" | .[]]
                        | sort | join(" ")'
}

# boot WHEN [JOBS]: and until nothing is left to be done, but for so many jobs that wait for a window. What Telegram was
# told to do wrong is forgotten meanwhile.
boot()
{
        telegram DELETE /faults >/dev/null
        seq=$(telegram_seq)
        host_boot
        check "$1: the host boots to its end" host_run systemctl is-system-running --wait
        check_equal "$1: no job of systemd is left" "No jobs running." "$(host_run systemctl list-jobs)"
        check_equal "$1: tgswitch-local has done its work" success \
                "$(host_run systemctl show --property=Result --value tgswitch-local.service)"
        check_equal "$1: nothing is ordered in a circle" "" \
                "$(host_run journalctl --boot --output=cat | grep -i "ordering cycle")"
        check_equal "$1: of tgswitchd ${2:-0} are left" "${2:-0}" \
                "$(host_run tgswitchctl status --json | jq '.jobs | length')"
}

# check_seat BOT cloud|local [moved]: the bot is there with its worker, and none was started elsewhere since the boot,
# unless it has moved since.
check_seat()
{
        check_equal "$1: it is at $2" "$2" "$(bot_property "$1" Seat)"
        check_equal "$1: its worker runs" active "$(host_run systemctl show --property=ActiveState --value \
                "$1-worker.service")"
        [[ ${3:-} == moved ]] || check_equal "$1: no worker of it was started elsewhere" 0 \
                "$(telegram_count event=worker-start bot="${BOT_IDS[$1]}" root="${SEAT_ROOT[${OTHER_SEAT[$2]}]}" \
                        since="$seq")"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
LogInTimeoutSec=3
SettleSec=200ms
EOT
for bot in "${BOTS[@]}"; do
        bot_add "$bot" </dev/null
done
host_boot
check "the workers start" telegram_wait event=worker-start count=${#BOTS[@]}
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null

# ---- logind is asked to wait while a bot is nowhere ----

check_equal "nobody asks logind for a delay" "" "$(inhibitors)"
telegram_fault "{\"bot\":${BOT_IDS[mid]},\"role\":\"cloud\",\"method\":\"logOut\",\"kind\":\"delay\",\"ms\":1000}"
telegram_fault "{\"bot\":${BOT_IDS[mid]},\"role\":\"local\",\"method\":\"getMe\",\"kind\":\"hang\",\"times\":0}"
seq=$(telegram_seq)
mark=$(bus_mark)
check "mid: its move begins" move_to local mid
check "mid: logOut goes out" telegram_wait event=request method=logout bot="${BOT_IDS[mid]}" since="$seq"
check_equal "by then logind has been asked for a delay" "shutdown sleep" "$(inhibitors)"
check "mid: the local server does not log it in" phase_wait "$mark" mid log-in
check_equal "and so it is while the bot is nowhere" "shutdown sleep" "$(inhibitors)"

# ---- from the cloud ----

check "held: is held" host_run tgswitchctl hold held --for 24h --reason "not at night"
chroot "$HOST_ROOT" systemctl --quiet enable tgswitch-local.service
printf '[Service]\nExecStartPre=/bin/sleep 1\n' |
        host_put "/etc/systemd/system/$SERVER.d/60-slow.conf"
host_power_cut
telegram POST /mark '{"name":"daemon-killed"}' >/dev/null
boot "after a power cut"
for bot in mid one two; do
        check_seat "$bot" local moved
done
check_equal "mid: no worker was started before it had arrived" 0 "$(telegram_count event=worker-start \
        bot="${BOT_IDS[mid]}" root=https://api.telegram.org since="$seq")"
check_seat held cloud
check_match "held: why it was left out is told" "held is left out: .*not at night" \
        "$(host_run journalctl --boot --unit=tgswitch-local.service --output=cat)"
check_equal "logind is no longer asked to wait" "" "$(inhibitors)"

# ---- at the local server ----

check "two: is to go back" host_run tgswitchctl switch cloud two --yes --no-wait --when-allowed
job=$(job_number two)
host_shutdown
boot "after a shutdown" 1
check_equal "two: still is" "$job" "$(job_number two)"
check_match "two: why it was left out is told" "two is left out: .*job $job" \
        "$(host_run journalctl --boot --unit=tgswitch-local.service --output=cat)"
check "two: the way back is cancelled" host_run tgswitchctl cancel "$job"
for bot in mid one two; do
        check_seat "$bot" local
        check_equal "$bot: nothing was sent to the cloud" 0 "$(cloud_requests "$seq" "$bot")"
        check_equal "$bot: its worker was started once" 1 "$(telegram_count event=worker-start bot="${BOT_IDS[$bot]}" \
                since="$seq")"
        check "$bot: and handles updates" telegram_wait event=worker-handled bot="${BOT_IDS[$bot]}" \
                root=http://127.0.0.1:8081 since="$seq"
done
first=$(telegram GET "/ledger?event=worker-start&root=http://127.0.0.1:8081&since=$seq" | head -n 1 | json seq)
check "the slow server was there before the first worker" test "$first" -gt "$(telegram_wait event=server-start \
        since="$seq" | json seq)"
check_seat held cloud
check_equal "no bot was logged out" 0 "$(telegram_count event=request method=logout since="$seq")"

check "held: is released" host_run tgswitchctl release held
check "tgswitch-local moves it" host_run systemctl start tgswitch-local.service
check_arrived held local

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
