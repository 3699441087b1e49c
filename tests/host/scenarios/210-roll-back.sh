#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Moves that fail while the workers drain, while they are stopped, and while a job holds. Defends L9 and L6: the same
# workers and triggers run at the same server, every update is handled as if nothing had been, no logOut was sent, and
# the server's unit is as it was found. What fails behind the last worker is in 211-roll-back-spool.sh.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

SERVER="telegram-bot-api.service"

unit_now()
{
        host_run systemctl show --property=ActiveState,SubState,MainPID,InvocationID "$1"
}

# check_handles BOT SINCE: its worker handles what came after SINCE, at the cloud.
check_handles()
{
        check "$1: its worker handles what has come" telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" \
                root=https://api.telegram.org since="$2" count=5
}

bots=(denied held mute paused slow stubborn)

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=1
EOF
bot_add denied <<<"StopTimeoutSec=1"
bot_add mute </dev/null
bot_add slow <<<"OnUndrained=fail"
# hold-at=stop-workers and hold-at=log-out; the latter with a timer and a worker that does not run.
bot_add held <<<"HoldTimeoutSec=1"
bot_add paused cloud paused-worker.service paused-spare.service <<<"HoldTimeoutSec=5"
printf '[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n' |
        host_put /etc/systemd/system/paused-worker.timer
chroot "$HOST_ROOT" systemctl --quiet enable paused-worker.timer
chroot "$HOST_ROOT" systemctl --quiet disable paused-spare.service
bot_add stubborn <<<$'StopTimeoutSec=1\nStartTimeoutSec=1'
bot_worker_add stubborn stubborn-worker.service --ignore-sigterm
printf '[Service]\nTimeoutStopSec=infinity\n' |
        host_put /etc/systemd/system/stubborn-worker.service.d/60-test.conf
host_boot
check "the workers start" telegram_wait event=worker-start count=${#bots[@]}

# ---- drain ----

declare -A was=()
mark=$(bus_mark)
for bot in "${bots[@]}"; do
        was[$bot]=$(unit_now "$bot-worker.service")
done
host_run systemctl kill --signal=STOP slow-worker.service
seq=$(telegram_seq)
telegram_inject slow 0 5
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[mute]},\"method\":\"getWebhookInfo\",\"after\":1,\"times\":0,
        \"kind\":\"bad-gateway\"}"
check "the move of a bot begins whose worker does not take" bot_switch slow
check "and of one whose cloud does not tell what is pending" bot_switch mute
check_failed "$mark" slow "5 updates are still pending after DrainTimeoutSec=" "on-undrained=spool"
check_failed "$mark" mute "did not tell how many updates are pending" "502" "try again"
check "the server, started for the checks, is stopped" server_stops "$mark"
telegram_inject mute 0 5
for bot in slow mute; do
        check_equal "$bot: the worker was not touched" "${was[$bot]}" "$(unit_now "$bot-worker.service")"
done
host_run systemctl kill --signal=CONT slow-worker.service
check_handles slow "$seq"
check_handles mute "$seq"

check "an administrator starts the server" host_run systemctl start "$SERVER"
server=$(unit_now "$SERVER")
mark=$(bus_mark)
check "mute is asked to move again" bot_switch mute
check_failed "$mark" mute "502"
check_equal "a server that ran before is left running" "$server" "$(unit_now "$SERVER")"
check "the administrator stops it" host_run systemctl stop "$SERVER"
telegram DELETE /faults >/dev/null

# ---- holds that nobody ends ----

mark=$(bus_mark)
seq=$(telegram_seq)
check "a move begins that holds before stop-workers" bot_switch held 1 hold-at s stop-workers
check "and one that holds before log-out" bot_switch paused 1 hold-at s log-out
job=$(job_number paused)
check "which stops the worker" telegram_wait event=worker-stop bot="${BOT_IDS[paused]}" since="$seq"
check_equal "and its timer" inactive "$(host_run systemctl is-active paused-worker.timer)"
check "it holds" job_becomes "$mark" "$job" Holding true
telegram_inject paused 0 5
telegram_inject held 0 5
for bot in held paused; do
        check_failed "$mark" "$bot" "Nobody said 'tgswitchctl proceed [0-9]+' within HoldTimeoutSec=" \
                "Start the cutover again"
        check_handles "$bot" "$seq"
done
check_equal "held: the worker was not touched" "${was[held]}" "$(unit_now held-worker.service)"
check_equal "paused: the timer is active again" active "$(host_run systemctl is-active paused-worker.timer)"
check_equal "paused: a worker that did not run does not run" inactive \
        "$(host_run systemctl is-active paused-spare.service)"
check "the server, started for the checks, is stopped" server_stops "$mark"

# ---- stop-workers ----

mark=$(bus_mark)
seq=$(telegram_seq)
check "the move of a bot begins whose worker ignores SIGTERM" bot_switch stubborn
check "and one that holds" bot_switch denied 1 hold-at s stop-workers
check "until it does" job_becomes "$mark" "$(job_number denied)" Holding true
# What happens where somebody edits the rule by hand meanwhile. A new polkitd has read what is there now.
sed -i '/denied-worker/d' "$HOST_ROOT/etc/polkit-1/rules.d/50-tgswitch.rules"
host_run systemctl restart polkit.service
check "it is told to go on" host_run tgswitchctl proceed "$(job_number denied)"
check_failed "$mark" denied "workers could not be stopped" "denied-worker.service still runs" \
        "systemctl reload tgswitchd"
check_failed "$mark" stubborn "workers could not be stopped" "stubborn-worker.service still runs" "StopTimeoutSec="
check "the server, started for the checks, is stopped" server_stops "$mark"
telegram_inject denied 0 5
telegram_inject stubborn 0 5
check_equal "denied: the worker was not touched" "${was[denied]}" "$(unit_now denied-worker.service)"
check_handles denied "$seq"
check_handles stubborn "$seq"

seq=$(telegram_seq)
host_run systemctl kill --signal=KILL stubborn-worker.service
check "stubborn: its start is waiting for its end" telegram_wait event=worker-start unit=stubborn-worker.service \
        since="$seq" root=https://api.telegram.org

# ---- as if nothing had been ----

check_equal "no logOut was sent" 0 "$(telegram_count event=request method=logout)"
check_equal "no worker was ever at the local server" 0 "$(telegram_count event=worker-start root=http://127.0.0.1:8081)"
check "every update is accounted for" telegram_finish
check_verdict
tap_done
