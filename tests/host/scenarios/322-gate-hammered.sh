#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Workers that something starts again and again, in every phase of the move: by hand in a loop, by a timer that tgswitchd
# does not know of, and by Restart=; for one bot tgswitchd is killed in the middle. None runs before its seat is settled
# (L4), none while logOut goes out (L3).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

bots=(hand timer restart killed)

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF
for bot in "${bots[@]}"; do
        bot_add "$bot" </dev/null
        # So that phases last long enough for many starts to fall into each. Not getUpdates: see 330-crash.sh.
        for method in getMe getWebhookInfo logOut; do
                telegram_fault "{\"role\":\"*\",\"bot\":${BOT_IDS[$bot]},\"method\":\"$method\",\"times\":0,
                        \"kind\":\"delay\",\"ms\":100}"
        done
done
# By hand: as fast as systemctl can, for as long as this host is on.
for bot in hand killed; do
        host_put "/etc/systemd/system/hammer-$bot.service" <<EOF
[Service]
ExecStart=/bin/bash -c 'for ((i = 0; i < 5000; i++)); do systemctl --no-block start $bot-worker.service; done'
EOF
done
# By a timer of another unit: systemd knows no tie between the two.
host_put /etc/systemd/system/hammer-timer.service <<'EOF'
[Unit]
StartLimitIntervalSec=0
[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl --no-block start timer-worker.service
EOF
host_put /etc/systemd/system/hammer-timer.timer <<'EOF'
[Timer]
OnActiveSec=0
OnUnitInactiveSec=20ms
AccuracySec=1ms
EOF
# By Restart=: it ends all the time, but has SettleSec= for what is handed over to it.
host_put /etc/systemd/system/restart-worker.service.d/60-test.conf <<'EOF'
[Unit]
StartLimitIntervalSec=0
[Service]
RuntimeMaxSec=1s
Restart=always
RestartSec=20ms
EOF
host_boot
check "the workers start" telegram_wait event=worker-start count=4
for bot in hand timer restart; do
        telegram_inject "$bot" 5
done
host_run systemctl start hammer-hand.service hammer-killed.service hammer-timer.timer

check_arrived()
{
        check "$1: the move ends" bot_wait "$1" Phase ""
        check_equal "$1: at the local server" local "$(bot_property "$1" Seat)"
        check "$1: its worker handles updates there" telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" \
                root=http://127.0.0.1:8081 count=3
}

for bot in hand timer restart; do
        bot_switch "$bot"
done
for bot in hand timer restart; do
        check_arrived "$bot"
done

# By itself and without updates: one that is on its way to a daemon that dies would be in the race.
mark=$(bus_mark)
bot_switch killed
check "killed: gets to log-out" phase_wait "$mark" killed log-out
check "killed: tgswitchd is killed there" daemon_kill
check "killed: is logged in again" telegram_wait event=login role=local bot="${BOT_IDS[killed]}"
telegram_inject killed 5
check_arrived killed
host_run systemctl stop hammer-timer.timer hammer-hand.service hammer-killed.service
check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
